//! The operations of S3 on objects and buckets.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, params};
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::blobs::{Blobs, OpenBlob};
use super::index::{self, Headers, NewObject, ObjectRow, WriteConditions};
use super::listing::{self, Page, Query};
use super::notifications::{self, Change, Subject};
use super::staging::Staged;
use super::{ObjectStore, insert_bucket};
use crate::error::ServiceError;
use crate::names;
use crate::store::Write;

/// Objects up to this size are read whole; larger ones are streamed.
const LARGEST_READ_AT_ONCE: u64 = 8 * 1024 * 1024;

/// The size of a piece of a streamed object.
const PIECE: u64 = 512 * 1024;

/// The most keys on a page.
const LARGEST_PAGE: i32 = 1_000;

impl From<ServiceError> for S3Error {
    fn from(error: ServiceError) -> Self {
        let known = S3ErrorCode::from_bytes(error.code.as_bytes());
        let mut answer = match known {
            Some(code) => Self::with_message(code, error.message),
            None => Self::with_message(S3ErrorCode::InternalError, error.to_string()),
        };
        if let Ok(status) = http::StatusCode::from_u16(error.status) {
            answer.set_status_code(status);
        }
        answer
    }
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    let since_epoch = Duration::from_millis(millis.unsigned_abs());
    Timestamp::from(UNIX_EPOCH + since_epoch)
}

/// HTTP dates have no fractions of a second.
fn seconds(millis: i64) -> i64 {
    millis / 1_000
}

fn is_after(modified: i64, moment: &Timestamp) -> bool {
    timestamp(seconds(modified) * 1_000) > *moment
}

pub(super) fn strong(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

/// All buckets with the time of their creation.
pub(super) fn buckets(connection: &Connection) -> Result<Vec<(String, i64)>, ServiceError> {
    let mut statement = connection.prepare("SELECT name, created FROM bucket ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

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

    async fn page(&self, query: Query) -> S3Result<Page> {
        self.blocking(move |objects| {
            let page = objects
                .store
                .read(|connection| listing::page(connection, &query));
            Ok(page?)
        })
        .await
    }
}

/// The conditions of a read.
#[derive(Debug, Default)]
struct ReadConditions {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// In the order of RFC 9110, section 13.2.2: an ETag condition that holds
    /// makes the date of the same kind irrelevant.
    fn check(&self, row: &ObjectRow) -> S3Result<()> {
        let matches = |condition: &ETagCondition| index::condition_matches(condition, &row.etag);
        let precondition_failed = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !matches(condition),
            (None, Some(moment)) => is_after(row.modified, moment),
            (None, None) => false,
        };
        if precondition_failed {
            return Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            ));
        }
        let not_modified = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition),
            (None, Some(moment)) => !is_after(row.modified, moment),
            (None, None) => false,
        };
        if not_modified {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

/// The part of the object that was asked for, and how to call it.
fn resolve_range(
    row: &ObjectRow,
    range: Option<s3s::dto::Range>,
) -> S3Result<(Range<u64>, Option<String>)> {
    let Some(range) = range else {
        return Ok((0..row.size, None));
    };
    let resolved = range
        .check(row.size)
        .map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
    let content_range = format!(
        "bytes {}-{}/{}",
        resolved.start,
        resolved.end.saturating_sub(1),
        row.size
    );
    Ok((resolved, Some(content_range)))
}

/// The bytes in pieces, each read when the receiver is ready for it.
fn stream_of(blob: OpenBlob, range: Range<u64>) -> StreamingBlob {
    let pieces = stream::try_unfold((blob, range), |(mut blob, range)| async move {
        if range.is_empty() {
            return Ok::<_, io::Error>(None);
        }
        let end = range.end.min(range.start + PIECE);
        let read = tokio::task::spawn_blocking(move || {
            let bytes = blob.read(range.start..end);
            bytes.map(|bytes| (bytes, (blob, end..range.end)))
        });
        read.await.map_err(io::Error::other)?.map(Some)
    });
    // The pieces are made by one receiver at a time; the body type wants more.
    StreamingBlob::wrap(SyncStream(std::sync::Mutex::new(Box::pin(pieces))))
}

/// A stream behind a lock, for a body that must be `Sync`.
struct SyncStream<S>(std::sync::Mutex<S>);

impl<S: futures::Stream + Unpin> futures::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        let stream = self.get_mut().0.get_mut();
        let stream = stream.unwrap_or_else(std::sync::PoisonError::into_inner);
        std::pin::Pin::new(stream).poll_next(context)
    }
}

fn body_of_bytes(bytes: Bytes) -> StreamingBlob {
    StreamingBlob::from(s3s::Body::from(bytes))
}

/// Metadata as S3 shows it: nothing at all if there is none.
fn shown_metadata(headers: &Headers) -> Option<Metadata> {
    let metadata: HashMap<String, String> = headers.metadata.clone().into_iter().collect();
    (!metadata.is_empty()).then_some(metadata)
}

pub(super) fn metadata_of(
    metadata: Option<Metadata>,
) -> std::collections::BTreeMap<String, String> {
    metadata.unwrap_or_default().into_iter().collect()
}

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/');

/// Keys as a listing shows them: percent-encoded if that was asked for, since
/// XML cannot carry every key.
struct KeyEncoding {
    is_url: bool,
}

impl KeyEncoding {
    fn of(encoding_type: Option<&EncodingType>) -> Self {
        Self {
            is_url: encoding_type.is_some_and(|encoding| encoding.as_str() == EncodingType::URL),
        }
    }

    fn apply(&self, key: String) -> String {
        if self.is_url {
            return utf8_percent_encode(&key, ENCODED).to_string();
        }
        key
    }

    fn objects(&self, rows: Vec<ObjectRow>) -> Vec<Object> {
        let object = |row: ObjectRow| Object {
            e_tag: Some(strong(&row.etag)),
            key: Some(self.apply(row.key)),
            last_modified: Some(timestamp(row.modified)),
            size: Some(row.size as i64),
            storage_class: Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            )),
            ..Object::default()
        };
        rows.into_iter().map(object).collect()
    }

    fn prefixes(&self, prefixes: Vec<String>) -> Vec<CommonPrefix> {
        let common_prefix = |prefix| CommonPrefix {
            prefix: Some(self.apply(prefix)),
        };
        prefixes.into_iter().map(common_prefix).collect()
    }
}

#[async_trait::async_trait]
impl S3 for ObjectStore {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        let location = format!("/{bucket}");
        self.blocking(move |objects| {
            objects.store.write(|write| insert_bucket(write, &bucket))?;
            Ok(())
        })
        .await?;
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(location),
        }))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = request.input.bucket;
        self.blocking(move |objects| {
            objects.store.write(|write| {
                index::check_bucket(&write.transaction, &bucket)?;
                let objects = index::after(&write.transaction, &bucket, "", "", 1)?;
                if !objects.is_empty() {
                    return Err(ServiceError {
                        status: 409,
                        code: "BucketNotEmpty",
                        message: "The bucket you tried to delete is not empty".to_owned(),
                    });
                }
                write
                    .transaction
                    .execute("DELETE FROM bucket WHERE name = ?", params![bucket])?;
                Ok(())
            })?;
            Ok(S3Response::new(DeleteBucketOutput::default()))
        })
        .await
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let bucket = request.input.bucket;
        self.blocking(move |objects| {
            objects
                .store
                .read(|connection| index::check_bucket(connection, &bucket))?;
            Ok(S3Response::new(HeadBucketOutput {
                bucket_region: Some(names::REGION.to_owned()),
                ..HeadBucketOutput::default()
            }))
        })
        .await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let bucket = request.input.bucket;
        self.blocking(move |objects| {
            objects
                .store
                .read(|connection| index::check_bucket(connection, &bucket))?;
            // us-east-1 is the region that has no name here.
            Ok(S3Response::new(GetBucketLocationOutput::default()))
        })
        .await
    }

    async fn list_buckets(
        &self,
        _request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.blocking(|objects| {
            let bucket = |(name, created)| Bucket {
                bucket_region: Some(names::REGION.to_owned()),
                creation_date: Some(timestamp(created)),
                name: Some(name),
            };
            let buckets = objects.store.read(buckets)?;
            Ok(S3Response::new(ListBucketsOutput {
                buckets: Some(buckets.into_iter().map(bucket).collect()),
                ..ListBucketsOutput::default()
            }))
        })
        .await
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let staged = Staged::receive(&self.blobs, input.body).await?;
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
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(etag),
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
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
            Ok(S3Response::new(GetObjectOutput {
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
            }))
        })
        .await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
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
            Ok(S3Response::new(HeadObjectOutput {
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
            }))
        })
        .await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let conditions = WriteConditions {
            if_match: input.if_match,
            if_none_match: None,
        };
        self.blocking(move |objects| {
            objects.depart(&input.bucket, &input.key, &conditions)?;
            Ok(S3Response::new(DeleteObjectOutput::default()))
        })
        .await
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
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
            Ok(S3Response::new(DeleteObjectsOutput {
                deleted: (!is_quiet).then_some(deleted),
                errors: (!errors.is_empty()).then_some(errors),
                ..DeleteObjectsOutput::default()
            }))
        })
        .await
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
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
            Ok(S3Response::new(CopyObjectOutput {
                copy_object_result: Some(CopyObjectResult {
                    e_tag: Some(strong(&arrival.etag)),
                    last_modified: Some(timestamp(now)),
                    ..CopyObjectResult::default()
                }),
                ..CopyObjectOutput::default()
            }))
        })
        .await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let after = match &input.continuation_token {
            Some(token) => listing::after_of_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let max_keys = input
            .max_keys
            .unwrap_or(LARGEST_PAGE)
            .clamp(0, LARGEST_PAGE);
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after,
            limit: max_keys as usize,
        };
        let page = self.page(query).await?;
        let encoding = KeyEncoding::of(input.encoding_type.as_ref());
        let key_count = page.objects.len() + page.common_prefixes.len();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encoding.apply(input.prefix.unwrap_or_default())),
            max_keys: Some(max_keys),
            key_count: Some(key_count as i32),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next_after.is_some()),
            next_continuation_token: page.next_after.as_deref().map(listing::token),
            contents: Some(encoding.objects(page.objects)),
            common_prefixes: Some(encoding.prefixes(page.common_prefixes)),
            delimiter: input.delimiter.map(|delimiter| encoding.apply(delimiter)),
            start_after: input
                .start_after
                .map(|start_after| encoding.apply(start_after)),
            encoding_type: input.encoding_type,
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let max_keys = input
            .max_keys
            .unwrap_or(LARGEST_PAGE)
            .clamp(0, LARGEST_PAGE);
        let query = Query {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after: input.marker.clone().unwrap_or_default(),
            limit: max_keys as usize,
        };
        let page = self.page(query).await?;
        let encoding = KeyEncoding::of(input.encoding_type.as_ref());
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encoding.apply(input.prefix.unwrap_or_default())),
            marker: Some(encoding.apply(input.marker.unwrap_or_default())),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next_after.is_some()),
            next_marker: page.next_after.map(|after| encoding.apply(after)),
            contents: Some(encoding.objects(page.objects)),
            common_prefixes: Some(encoding.prefixes(page.common_prefixes)),
            delimiter: input.delimiter.map(|delimiter| encoding.apply(delimiter)),
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin_upload(request.input).await.map(S3Response::new)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.add_part(request.input).await.map(S3Response::new)
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.parts_of_upload(request.input)
            .await
            .map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_upload(request.input)
            .await
            .map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload(request.input).await.map(S3Response::new)
    }
}

/// Shares the blobs with those who receive bodies.
impl ObjectStore {
    pub(super) fn shared_blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }
}
