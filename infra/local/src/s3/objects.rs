//! Objects: how they come, are read, and go.

use std::io;

use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};

use super::ObjectStore;
use super::answers::{metadata_of, shown_metadata, strong, timestamp};
use super::blobs::{Blobs, OpenBlob};
use super::checksums::Checksums;
use super::index::{self, Headers, NewObject, ObjectRow, WriteConditions};
use super::notifications::{self, Change, Subject};
use super::reading::{ReadConditions, body_of_bytes, resolve_range, stream_of};
use super::staging::Staged;
use crate::error::ServiceError;
use crate::store::Write;

/// Objects up to this size are read whole; larger ones are streamed.
const LARGEST_READ_AT_ONCE: u64 = 8 * 1024 * 1024;
/// An object that is about to be there: its blob, and all that is said of it.
pub(super) struct Arrival {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) headers: Headers,
    pub(super) conditions: WriteConditions,
    pub(super) change: Change,
}

impl ObjectStore {
    /// Puts an object into the index and announces it. Returns the blob of what
    /// was there before, for the caller to remove after the commit.
    pub(super) fn arrive(
        &self,
        write: &mut Write<'_>,
        arrival: &Arrival,
    ) -> Result<Option<String>, ServiceError> {
        index::check_bucket(&write.transaction, &arrival.bucket)?;
        let present = index::find(&write.transaction, &arrival.bucket, &arrival.key)?;
        arrival.conditions.check(&arrival.key, present.as_ref())?;
        let sequencer = index::put(
            write,
            &NewObject {
                bucket: &arrival.bucket,
                key: &arrival.key,
                blob: &arrival.blob,
                size: arrival.size,
                etag: &arrival.etag,
                headers: &arrival.headers,
            },
        )?;
        let subject = Subject {
            bucket: &arrival.bucket,
            key: &arrival.key,
            size: arrival.size,
            etag: &arrival.etag,
            sequencer: &sequencer,
        };
        notifications::announce(write, &self.bus, arrival.change, &subject)?;
        Ok(present.map(|present| present.blob))
    }

    /// Runs [`ObjectStore::arrive`] in a transaction of its own, and removes
    /// the blob that lost: the former one, or the new one on failure. Blocks.
    pub(super) fn arrive_and_clean(&self, arrival: &Arrival) -> Result<(), ServiceError> {
        match self.store.write(|write| self.arrive(write, arrival)) {
            Ok(former) => {
                if let Some(former) = former {
                    self.blobs.remove(&former);
                }
                Ok(())
            }
            Err(error) => {
                self.blobs.remove(&arrival.blob);
                Err(error)
            }
        }
    }

    /// Removes an object, if it is there and the condition holds.
    fn depart(
        &self,
        bucket: &str,
        key: &str,
        conditions: &WriteConditions,
    ) -> Result<(), ServiceError> {
        let removed = self.store.write(|write| {
            index::check_bucket(&write.transaction, bucket)?;
            let present = index::find(&write.transaction, bucket, key)?;
            conditions.check(key, present.as_ref())?;
            let Some(present) = present else {
                return Ok(None);
            };
            let sequencer = index::remove(write, bucket, key)?;
            let subject = Subject {
                bucket,
                key,
                size: present.size,
                etag: &present.etag,
                sequencer: &sequencer,
            };
            notifications::announce(write, &self.bus, Change::Delete, &subject)?;
            Ok(Some(present.blob))
        })?;
        if let Some(blob) = removed {
            self.blobs.remove(&blob);
        }
        Ok(())
    }

    /// Finds an object and opens its bytes. A writer that replaces the object in
    /// between takes the bytes away: then the new ones are what is wanted.
    fn open_object(&self, bucket: &str, key: &str) -> S3Result<(ObjectRow, OpenBlob)> {
        let mut attempts = 0;
        loop {
            let row = self
                .store
                .read(|connection| index::get(connection, bucket, key))?;
            match self.blobs.open(&row.blob) {
                Ok(blob) => return Ok((row, blob)),
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < 100 => {
                    attempts += 1;
                }
                Err(error) => return Err(S3Error::internal_error(error)),
            }
        }
    }

    /// Runs `work`, which blocks, on a thread that may.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> S3Result<T> + Send + 'static,
    ) -> S3Result<T> {
        let objects = self.clone();
        let result = tokio::task::spawn_blocking(move || work(&objects)).await;
        result.map_err(S3Error::internal_error)?
    }

    pub(super) async fn put(
        &self,
        input: PutObjectInput,
        checksums: Checksums,
    ) -> S3Result<PutObjectOutput> {
        let staged = Staged::receive(&self.blobs, input.body, checksums).await?;
        staged.check_digest(input.content_md5.as_deref())?;
        let arrival = Arrival {
            bucket: input.bucket,
            key: input.key,
            blob: staged.blob.clone(),
            size: staged.size,
            etag: staged.etag(),
            headers: Headers {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_disposition: input.content_disposition,
                cache_control: input.cache_control,
                metadata: metadata_of(input.metadata),
            },
            conditions: WriteConditions {
                if_match: input.if_match,
                if_none_match: input.if_none_match,
            },
            change: Change::Put,
        };
        let etag = strong(&arrival.etag);
        self.blocking(move |objects| {
            staged
                .store(&objects.blobs)
                .map_err(S3Error::internal_error)?;
            Ok(objects.arrive_and_clean(&arrival)?)
        })
        .await?;
        Ok(PutObjectOutput {
            e_tag: Some(etag),
            ..PutObjectOutput::default()
        })
    }

    pub(super) async fn read(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        let conditions = ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        self.blocking(move |objects| {
            let (row, mut blob) = objects.open_object(&input.bucket, &input.key)?;
            conditions.check(&row)?;
            let (range, content_range) = resolve_range(&row, input.range)?;
            let length = range.end - range.start;
            let headers = row.headers()?;
            let body = if length <= LARGEST_READ_AT_ONCE {
                body_of_bytes(blob.read(range).map_err(S3Error::internal_error)?)
            } else {
                stream_of(blob, range)
            };
            Ok(GetObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                body: Some(body),
                content_length: Some(length as i64),
                content_range,
                e_tag: Some(strong(&row.etag)),
                last_modified: Some(timestamp(row.modified)),
                metadata: shown_metadata(&headers),
                content_type: input.response_content_type.or(headers.content_type),
                content_encoding: input.response_content_encoding.or(headers.content_encoding),
                content_language: input.response_content_language.or(headers.content_language),
                content_disposition: input
                    .response_content_disposition
                    .or(headers.content_disposition),
                cache_control: input.response_cache_control.or(headers.cache_control),
                ..GetObjectOutput::default()
            })
        })
        .await
    }

    pub(super) async fn show(&self, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
        let conditions = ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        self.blocking(move |objects| {
            let row = objects
                .store
                .read(|connection| index::get(connection, &input.bucket, &input.key))?;
            conditions.check(&row)?;
            let (range, content_range) = resolve_range(&row, input.range)?;
            let headers = row.headers()?;
            Ok(HeadObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                content_length: Some((range.end - range.start) as i64),
                content_range,
                e_tag: Some(strong(&row.etag)),
                last_modified: Some(timestamp(row.modified)),
                metadata: shown_metadata(&headers),
                content_type: headers.content_type,
                content_encoding: headers.content_encoding,
                content_language: headers.content_language,
                content_disposition: headers.content_disposition,
                cache_control: headers.cache_control,
                ..HeadObjectOutput::default()
            })
        })
        .await
    }

    pub(super) async fn remove(&self, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        let conditions = WriteConditions {
            if_match: input.if_match,
            if_none_match: None,
        };
        self.blocking(move |objects| {
            objects.depart(&input.bucket, &input.key, &conditions)?;
            Ok(DeleteObjectOutput::default())
        })
        .await
    }

    pub(super) async fn remove_several(
        &self,
        input: DeleteObjectsInput,
    ) -> S3Result<DeleteObjectsOutput> {
        let bucket = input.bucket;
        let is_quiet = input.delete.quiet.unwrap_or(false);
        self.blocking(move |objects| {
            objects
                .store
                .read(|connection| index::check_bucket(connection, &bucket))?;
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in input.delete.objects {
                let conditions = WriteConditions {
                    if_match: object.e_tag.map(ETagCondition::ETag),
                    if_none_match: None,
                };
                match objects.depart(&bucket, &object.key, &conditions) {
                    Ok(()) => deleted.push(DeletedObject {
                        key: Some(object.key),
                        ..DeletedObject::default()
                    }),
                    Err(error) => errors.push(s3s::dto::Error {
                        code: Some(error.code.to_owned()),
                        key: Some(object.key),
                        message: Some(error.message),
                        version_id: None,
                    }),
                }
            }
            Ok(DeleteObjectsOutput {
                deleted: (!is_quiet).then_some(deleted),
                errors: (!errors.is_empty()).then_some(errors),
                ..DeleteObjectsOutput::default()
            })
        })
        .await
    }

    pub(super) async fn copy(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        let CopySource::Bucket { bucket, key, .. } = input.copy_source else {
            return Err(s3_error!(
                NotImplemented,
                "copies are made from buckets only"
            ));
        };
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        let replaces = input
            .metadata_directive
            .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        if !replaces && *bucket == input.bucket && *key == input.key {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata"
            ));
        }
        let replacement = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            metadata: metadata_of(input.metadata),
        };
        self.blocking(move |objects| {
            let source = objects
                .store
                .read(|connection| index::get(connection, &bucket, &key))?;
            if conditions.check(&source).is_err() {
                return Err(s3_error!(
                    PreconditionFailed,
                    "At least one of the pre-conditions you specified did not hold"
                ));
            }
            let blob = Blobs::new_name();
            objects
                .blobs
                .duplicate(&source.blob, &blob)
                .map_err(S3Error::internal_error)?;
            let headers = if replaces {
                replacement
            } else {
                source.headers()?
            };
            let arrival = Arrival {
                bucket: input.bucket,
                key: input.key,
                blob,
                size: source.size,
                etag: source.etag,
                headers,
                conditions: WriteConditions::default(),
                change: Change::Copy,
            };
            objects.arrive_and_clean(&arrival)?;
            let now = objects.store.clock().now_millis();
            Ok(CopyObjectOutput {
                copy_object_result: Some(CopyObjectResult {
                    e_tag: Some(strong(&arrival.etag)),
                    last_modified: Some(timestamp(now)),
                    ..CopyObjectResult::default()
                }),
                ..CopyObjectOutput::default()
            })
        })
        .await
    }
}
