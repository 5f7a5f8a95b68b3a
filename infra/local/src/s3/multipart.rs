//! Uploads in parts: each part is a blob; completing makes one of them all.

use md5::{Digest, Md5};
use rusqlite::{Connection, OptionalExtension, params};
use s3s::dto::*;
use s3s::{S3Error, S3Result};

use super::ObjectStore;
use super::answers::{metadata_of, strong, timestamp};
use super::blobs::Blobs;
use super::checksums::Checksums;
use super::index::{self, Headers, WriteConditions};
use super::notifications::Change;
use super::objects::Arrival;
use super::staging::Staged;
use crate::error::ServiceError;

/// Every part but the last has at least this size.
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

/// The highest number that a part can have.
const LAST_PART: i32 = 10_000;

/// A part that was received.
#[derive(Debug, Clone)]
struct PartRow {
    number: i32,
    blob: String,
    size: u64,
    etag: String,
    modified: i64,
}

/// The headers that the object of an upload will have.
fn headers_of_upload(
    connection: &Connection,
    upload: &str,
    bucket: &str,
    key: &str,
) -> Result<Headers, ServiceError> {
    let stored: Option<String> = connection
        .query_row(
            "SELECT headers FROM upload WHERE id = ? AND bucket = ? AND key = ?",
            [upload, bucket, key],
            |row| row.get(0),
        )
        .optional()?;
    let stored = stored.ok_or_else(|| {
        ServiceError::missing(
            "NoSuchUpload",
            format!("The specified multipart upload does not exist: {upload}"),
        )
    })?;
    Ok(serde_json::from_str(&stored)?)
}

fn parts(connection: &Connection, upload: &str) -> Result<Vec<PartRow>, ServiceError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, blob, size, etag, modified FROM part WHERE upload = ? ORDER BY number",
    )?;
    let rows = statement.query_map([upload], |row| {
        Ok(PartRow {
            number: row.get(0)?,
            blob: row.get(1)?,
            size: row.get(2)?,
            etag: row.get(3)?,
            modified: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn forget_upload(connection: &Connection, upload: &str) -> Result<(), ServiceError> {
    connection.execute("DELETE FROM part WHERE upload = ?", [upload])?;
    connection.execute("DELETE FROM upload WHERE id = ?", [upload])?;
    Ok(())
}

/// The parts that the client names, which must be there, in order, and large
/// enough.
fn chosen_parts(
    present: &[PartRow],
    wanted: &[CompletedPart],
) -> Result<Vec<PartRow>, ServiceError> {
    let mut chosen: Vec<PartRow> = Vec::with_capacity(wanted.len());
    for part in wanted {
        let number = part.part_number.unwrap_or_default();
        if chosen.last().is_some_and(|last| last.number >= number) {
            return Err(ServiceError::client(
                "InvalidPartOrder",
                "The list of parts was not in ascending order.",
            ));
        }
        let etag = part.e_tag.as_ref().map(ETag::value);
        let found = present
            .iter()
            .find(|row| row.number == number && etag.is_none_or(|etag| etag == row.etag));
        let Some(found) = found else {
            return Err(ServiceError::client(
                "InvalidPart",
                format!("One or more of the specified parts could not be found: {number}"),
            ));
        };
        chosen.push(found.clone());
    }
    let Some((_, all_but_last)) = chosen.split_last() else {
        return Err(ServiceError::client(
            "MalformedXML",
            "You must specify at least one part",
        ));
    };
    if all_but_last.iter().any(|part| part.size < SMALLEST_PART) {
        return Err(ServiceError::client(
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size",
        ));
    }
    Ok(chosen)
}

/// The MD5 of the parts' MD5s, and how many there were.
fn combined_etag(parts: &[PartRow]) -> String {
    let mut digest = Md5::new();
    for part in parts {
        // Written by this service as hexadecimal.
        digest.update(hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(digest.finalize()), parts.len())
}

impl ObjectStore {
    pub(super) async fn begin_upload(
        &self,
        input: CreateMultipartUploadInput,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            metadata: metadata_of(input.metadata),
        };
        let (bucket, key) = (input.bucket, input.key);
        self.blocking(move |objects| {
            let upload = Blobs::new_name();
            objects.store.write(|write| {
                index::check_bucket(&write.transaction, &bucket)?;
                write.transaction.execute(
                    "INSERT INTO upload VALUES (?, ?, ?, ?, ?)",
                    params![
                        upload,
                        bucket,
                        key,
                        serde_json::to_string(&headers)?,
                        write.now
                    ],
                )?;
                Ok(())
            })?;
            Ok(CreateMultipartUploadOutput {
                bucket: Some(bucket),
                key: Some(key),
                upload_id: Some(upload),
                ..CreateMultipartUploadOutput::default()
            })
        })
        .await
    }

    pub(super) async fn add_part(
        &self,
        input: UploadPartInput,
        checksums: Checksums,
    ) -> S3Result<UploadPartOutput> {
        if !(1..=LAST_PART).contains(&input.part_number) {
            return Err(ServiceError::client(
                "InvalidArgument",
                "Part number must be an integer between 1 and 10000, inclusive",
            )
            .into());
        }
        let staged = Staged::receive(&self.blobs, input.body, checksums).await?;
        staged.check_digest(input.content_md5.as_deref())?;
        let etag = staged.etag();
        let answered = strong(&etag);
        self.blocking(move |objects| {
            staged
                .store(&objects.blobs)
                .map_err(S3Error::internal_error)?;
            let stored = objects.store.write(|write| {
                headers_of_upload(
                    &write.transaction,
                    &input.upload_id,
                    &input.bucket,
                    &input.key,
                )?;
                let present = parts(&write.transaction, &input.upload_id)?;
                let former = present
                    .into_iter()
                    .find(|part| part.number == input.part_number);
                write.transaction.execute(
                    "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)",
                    params![
                        input.upload_id,
                        input.part_number,
                        staged.blob,
                        staged.size as i64,
                        etag,
                        write.now
                    ],
                )?;
                Ok(former.map(|part| part.blob))
            });
            match stored {
                Ok(former) => {
                    if let Some(former) = former {
                        objects.blobs.remove(&former);
                    }
                    Ok(())
                }
                Err(error) => {
                    objects.blobs.remove(&staged.blob);
                    Err(error.into())
                }
            }
        })
        .await?;
        Ok(UploadPartOutput {
            e_tag: Some(answered),
            ..UploadPartOutput::default()
        })
    }

    pub(super) async fn parts_of_upload(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        self.blocking(move |objects| {
            let rows = objects.store.read(|connection| {
                headers_of_upload(connection, &input.upload_id, &input.bucket, &input.key)?;
                parts(connection, &input.upload_id)
            })?;
            let part = |row: PartRow| Part {
                e_tag: Some(strong(&row.etag)),
                last_modified: Some(timestamp(row.modified)),
                part_number: Some(row.number),
                size: Some(row.size as i64),
                ..Part::default()
            };
            Ok(ListPartsOutput {
                bucket: Some(input.bucket),
                key: Some(input.key),
                upload_id: Some(input.upload_id),
                is_truncated: Some(false),
                parts: Some(rows.into_iter().map(part).collect()),
                ..ListPartsOutput::default()
            })
        })
        .await
    }

    pub(super) async fn complete_upload(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        self.blocking(move |objects| {
            let (headers, present) = objects.store.read(|connection| {
                let headers =
                    headers_of_upload(connection, &input.upload_id, &input.bucket, &input.key)?;
                Ok((headers, parts(connection, &input.upload_id)?))
            })?;
            let wanted = input
                .multipart_upload
                .and_then(|upload| upload.parts)
                .unwrap_or_default();
            let chosen = chosen_parts(&present, &wanted)?;
            let blob = Blobs::new_name();
            let blobs: Vec<String> = chosen.iter().map(|part| part.blob.clone()).collect();
            objects
                .blobs
                .concatenate(&blob, &blobs)
                .map_err(S3Error::internal_error)?;
            let arrival = Arrival {
                bucket: input.bucket,
                key: input.key,
                blob,
                size: chosen.iter().map(|part| part.size).sum(),
                etag: combined_etag(&chosen),
                headers,
                conditions: WriteConditions {
                    if_match: input.if_match,
                    if_none_match: input.if_none_match,
                },
                change: Change::CompleteMultipartUpload,
            };
            let completed = objects.store.write(|write| {
                // Gone if another completed or aborted it meanwhile.
                headers_of_upload(
                    &write.transaction,
                    &input.upload_id,
                    &arrival.bucket,
                    &arrival.key,
                )?;
                let former = objects.arrive(write, &arrival)?;
                forget_upload(&write.transaction, &input.upload_id)?;
                Ok(former)
            });
            let former = completed.inspect_err(|_| objects.blobs.remove(&arrival.blob))?;
            for blob in present.into_iter().map(|part| part.blob).chain(former) {
                objects.blobs.remove(&blob);
            }
            Ok(CompleteMultipartUploadOutput {
                e_tag: Some(strong(&arrival.etag)),
                location: Some(format!("/{}/{}", arrival.bucket, arrival.key)),
                bucket: Some(arrival.bucket),
                key: Some(arrival.key),
                ..CompleteMultipartUploadOutput::default()
            })
        })
        .await
    }

    pub(super) async fn abort_upload(
        &self,
        input: AbortMultipartUploadInput,
    ) -> S3Result<AbortMultipartUploadOutput> {
        self.blocking(move |objects| {
            let removed = objects.store.write(|write| {
                headers_of_upload(
                    &write.transaction,
                    &input.upload_id,
                    &input.bucket,
                    &input.key,
                )?;
                let present = parts(&write.transaction, &input.upload_id)?;
                forget_upload(&write.transaction, &input.upload_id)?;
                Ok(present)
            })?;
            for part in removed {
                objects.blobs.remove(&part.blob);
            }
            Ok(AbortMultipartUploadOutput::default())
        })
        .await
    }
}
