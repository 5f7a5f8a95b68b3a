//! Buckets, and the keys that are in them.

use rusqlite::{Connection, params};
use s3s::S3Result;
use s3s::dto::*;

use super::answers::{KeyEncoding, timestamp};
use super::index;
use super::listing::{self, Page, Query};
use super::{ObjectStore, insert_bucket};
use crate::error::ServiceError;
use crate::names;

/// The most keys on a page.
const LARGEST_PAGE: i32 = 1_000;
/// All buckets with the time of their creation.
pub(super) fn stored_buckets(connection: &Connection) -> Result<Vec<(String, i64)>, ServiceError> {
    let mut statement = connection.prepare("SELECT name, created FROM bucket ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
impl ObjectStore {
    pub(super) async fn add_bucket(
        &self,
        input: CreateBucketInput,
    ) -> S3Result<CreateBucketOutput> {
        let bucket = input.bucket;
        let location = format!("/{bucket}");
        self.blocking(move |objects| {
            objects.store.write(|write| insert_bucket(write, &bucket))?;
            Ok(())
        })
        .await?;
        Ok(CreateBucketOutput {
            location: Some(location),
        })
    }

    pub(super) async fn drop_bucket(
        &self,
        input: DeleteBucketInput,
    ) -> S3Result<DeleteBucketOutput> {
        let bucket = input.bucket;
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
            Ok(DeleteBucketOutput::default())
        })
        .await
    }

    pub(super) async fn show_bucket(&self, input: HeadBucketInput) -> S3Result<HeadBucketOutput> {
        let bucket = input.bucket;
        self.blocking(move |objects| {
            objects
                .store
                .read(|connection| index::check_bucket(connection, &bucket))?;
            Ok(HeadBucketOutput {
                bucket_region: Some(names::REGION.to_owned()),
                ..HeadBucketOutput::default()
            })
        })
        .await
    }

    pub(super) async fn locate_bucket(
        &self,
        input: GetBucketLocationInput,
    ) -> S3Result<GetBucketLocationOutput> {
        let bucket = input.bucket;
        self.blocking(move |objects| {
            objects
                .store
                .read(|connection| index::check_bucket(connection, &bucket))?;
            // us-east-1 is the region that has no name here.
            Ok(GetBucketLocationOutput::default())
        })
        .await
    }

    pub(super) async fn show_buckets(
        &self,
        _input: ListBucketsInput,
    ) -> S3Result<ListBucketsOutput> {
        self.blocking(|objects| {
            let bucket = |(name, created)| Bucket {
                bucket_region: Some(names::REGION.to_owned()),
                creation_date: Some(timestamp(created)),
                name: Some(name),
            };
            let buckets = objects.store.read(stored_buckets)?;
            Ok(ListBucketsOutput {
                buckets: Some(buckets.into_iter().map(bucket).collect()),
                ..ListBucketsOutput::default()
            })
        })
        .await
    }

    pub(super) async fn list(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
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
        Ok(ListObjectsV2Output {
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
        })
    }

    pub(super) async fn list_by_marker(
        &self,
        input: ListObjectsInput,
    ) -> S3Result<ListObjectsOutput> {
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
        Ok(ListObjectsOutput {
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
        })
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
