//! The body of a request on its way to a blob.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::StreamExt as _;
use md5::{Digest, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, s3_error};

use super::blobs::Blobs;
use super::checksums::Checksums;

/// Bodies up to this size are held in memory until they are stored.
const LARGEST_IN_MEMORY: usize = 8 * 1024 * 1024;

/// A body that was received whole.
#[derive(Debug)]
pub(super) struct Staged {
    content: Content,
    pub(super) blob: String,
    pub(super) size: u64,
    digest: [u8; 16],
}

#[derive(Debug)]
enum Content {
    InMemory(Bytes),
    /// The blob is there already.
    Written,
}

impl Staged {
    /// Receives a body and checks it against what its sender says of it. Large
    /// ones go straight to their blob.
    pub(super) async fn receive(
        blobs: &Arc<Blobs>,
        mut body: Option<StreamingBlob>,
        mut checksums: Checksums,
    ) -> S3Result<Self> {
        let blob = Blobs::new_name();
        let mut digest = Md5::new();
        let mut buffer: Vec<u8> = Vec::new();
        let mut spilled: Option<Spill> = None;
        let mut size = 0;
        while let Some(chunk) = next_chunk(&mut body).await? {
            size += chunk.len() as u64;
            digest.update(&chunk);
            checksums.update(&chunk);
            buffer.extend_from_slice(&chunk);
            if buffer.len() > LARGEST_IN_MEMORY {
                let spill = match spilled.take() {
                    Some(spill) => spill,
                    None => Spill::create(blobs, &blob)?,
                };
                let (spill, emptied) = spill.append(std::mem::take(&mut buffer)).await?;
                buffer = emptied;
                spilled = Some(spill);
            }
        }
        checksums.check()?;
        let content = match spilled {
            Some(spill) => {
                let (spill, _) = spill.append(buffer).await?;
                spill.keep()?;
                Content::Written
            }
            None => Content::InMemory(buffer.into()),
        };
        Ok(Self {
            content,
            blob,
            size,
            digest: digest.finalize().into(),
        })
    }

    /// The ETag of the body: its MD5 in hexadecimal.
    pub(super) fn etag(&self) -> String {
        hex::encode(self.digest)
    }

    /// Checks the `Content-MD5` that the sender may have given.
    pub(super) fn check_digest(&self, content_md5: Option<&str>) -> S3Result<()> {
        match content_md5 {
            Some(expected) if BASE64.encode(self.digest) != expected => Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            )),
            _ => Ok(()),
        }
    }

    /// Makes sure that the blob is there. Blocks.
    pub(super) fn store(&self, blobs: &Blobs) -> std::io::Result<()> {
        match &self.content {
            Content::InMemory(bytes) => blobs.put(&self.blob, bytes.clone()),
            Content::Written => Ok(()),
        }
    }
}

async fn next_chunk(body: &mut Option<StreamingBlob>) -> S3Result<Option<Bytes>> {
    let Some(body) = body else {
        return Ok(None);
    };
    match body.next().await {
        Some(Ok(chunk)) => Ok(Some(chunk)),
        Some(Err(error)) => Err(body_failed(&error.to_string())),
        None => Ok(None),
    }
}

/// A body can end too early, or turn out not to match its signature.
fn body_failed(reason: &str) -> S3Error {
    s3_error!(IncompleteBody, "the body could not be received: {reason}")
}

/// A blob that is being written, in pieces. Removed unless it is kept.
struct Spill {
    blobs: Arc<Blobs>,
    blob: String,
    file: Option<std::fs::File>,
    /// In memory there is no file to write to.
    pieces: Vec<u8>,
    is_kept: bool,
}

impl Spill {
    fn create(blobs: &Arc<Blobs>, blob: &str) -> S3Result<Self> {
        Ok(Self {
            file: blobs.create_file(blob).map_err(S3Error::internal_error)?,
            blobs: Arc::clone(blobs),
            blob: blob.to_owned(),
            pieces: Vec::new(),
            is_kept: false,
        })
    }

    /// Appends the buffer and hands it back, empty.
    async fn append(mut self, mut buffer: Vec<u8>) -> S3Result<(Self, Vec<u8>)> {
        let work = move || {
            match &mut self.file {
                Some(file) => file.write_all(&buffer)?,
                None => self.pieces.extend_from_slice(&buffer),
            }
            buffer.clear();
            Ok::<_, std::io::Error>((self, buffer))
        };
        let result = tokio::task::spawn_blocking(work).await;
        result
            .map_err(S3Error::internal_error)?
            .map_err(S3Error::internal_error)
    }

    fn keep(mut self) -> S3Result<()> {
        if self.file.is_none() {
            let pieces = std::mem::take(&mut self.pieces);
            let put = self.blobs.put(&self.blob, pieces.into());
            put.map_err(S3Error::internal_error)?;
        }
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        if !self.is_kept {
            self.blobs.remove(&self.blob);
        }
    }
}
