//! The checksums that a sender may give with a body: in a header, or in a
//! trailer after the body.

use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Result, TrailingHeaders, s3_error};

const CRC32: &str = "x-amz-checksum-crc32";
const CRC32C: &str = "x-amz-checksum-crc32c";
const CRC64_NVME: &str = "x-amz-checksum-crc64nvme";
const SHA1: &str = "x-amz-checksum-sha1";
const SHA256: &str = "x-amz-checksum-sha256";

/// What has been announced, and what has been seen of the body so far.
pub(super) struct Checksums {
    headers: HeaderMap,
    trailers: Option<TrailingHeaders>,
    hasher: ChecksumHasher,
}

impl Checksums {
    /// Gets ready for the checksums that the headers announce.
    pub(super) fn announced(headers: HeaderMap, trailers: Option<TrailingHeaders>) -> Self {
        let trailer_names = headers
            .get("x-amz-trailer")
            .and_then(|names| names.to_str().ok());
        let trailer_names = trailer_names.unwrap_or_default();
        let is_announced = |name: &str| {
            headers.contains_key(name)
                || trailer_names
                    .split(',')
                    .any(|trailer| trailer.trim().eq_ignore_ascii_case(name))
        };
        let hasher = ChecksumHasher {
            crc32: is_announced(CRC32).then(Crc32::new),
            crc32c: is_announced(CRC32C).then(Crc32c::new),
            sha1: is_announced(SHA1).then(Sha1::new),
            sha256: is_announced(SHA256).then(Sha256::new),
            crc64nvme: is_announced(CRC64_NVME).then(Crc64Nvme::new),
        };
        Self {
            headers,
            trailers,
            hasher,
        }
    }

    /// Takes the next piece of the body into account.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Compares what was announced with what came, now that all has come.
    pub(super) fn check(self) -> S3Result<()> {
        let trailers = self
            .trailers
            .and_then(|trailers| trailers.take())
            .unwrap_or_default();
        let Checksum {
            checksum_crc32,
            checksum_crc32c,
            checksum_crc64nvme,
            checksum_sha1,
            checksum_sha256,
            ..
        } = self.hasher.finalize();
        for (name, computed) in [
            (CRC32, checksum_crc32),
            (CRC32C, checksum_crc32c),
            (CRC64_NVME, checksum_crc64nvme),
            (SHA1, checksum_sha1),
            (SHA256, checksum_sha256),
        ] {
            let announced = self.headers.get(name).or(trailers.get(name));
            let announced = announced.and_then(|value| value.to_str().ok());
            if computed.is_some() && computed.as_deref() != announced {
                return Err(s3_error!(
                    BadDigest,
                    "The {name} you specified did not match the calculated checksum."
                ));
            }
        }
        Ok(())
    }
}
