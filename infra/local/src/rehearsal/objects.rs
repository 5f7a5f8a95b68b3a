//! S3 over reality: what is known of an object is copied before an operation touches it, its bytes before they are
//! read, and the operation runs on the copies. Entity tags and times stay what they are in reality.

mod operations;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3Result};
use tokio::sync::{Mutex, MutexGuard};

use super::notes::{Notes, Problem, bytes};
use super::reality::{Reality, Seen};
use crate::names;
use crate::s3::{Adopted, ObjectStore};

/// A listing may copy so many keys.
const MOST_KEYS: usize = 10_000;

/// Objects are held in memory; a larger one is not.
const LARGEST_OBJECT: u64 = 1024 * 1024 * 1024;

/// The operations that the overlay stands in for. Parts of uploads that others began are not there, versions are not,
/// and whatever is added to S3 is not, until somebody adds it here and to [`operations`].
const OPERATIONS: &[&str] = &[
    "HeadBucket",
    "GetBucketLocation",
    "HeadObject",
    "GetObject",
    "ListObjects",
    "ListObjectsV2",
    "PutObject",
    "CopyObject",
    "DeleteObject",
    "DeleteObjects",
    "CreateMultipartUpload",
    "UploadPart",
    "ListParts",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
];

/// How much of an object was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Copied {
    /// What a listing says.
    Listed,
    /// All but its bytes; or that it is not there.
    Known,
    /// All of it; or it was written in the overlay.
    Whole,
}

/// What was copied from reality.
#[derive(Default)]
struct Copies {
    buckets: HashMap<String, bool>,
    objects: HashMap<(String, String), Copied>,
}

/// The buckets of an overlay; clones share them.
#[derive(Clone)]
struct Objects {
    store: ObjectStore,
    reality: Reality,
    notes: Notes,
    /// Held while an operation runs: its copies, its effect and what is said of it belong together.
    copies: Arc<Mutex<Copies>>,
}

/// The HTTP service of an overlay's objects.
pub(super) fn service(store: ObjectStore, reality: Reality, notes: Notes) -> S3Service {
    let objects = Objects {
        store,
        reality,
        notes: notes.clone(),
        copies: Arc::default(),
    };
    let mut builder = S3ServiceBuilder::new(objects);
    builder.set_auth(SimpleAuth::from_single(
        names::CREDENTIAL,
        names::CREDENTIAL,
    ));
    builder.set_access(Listed(notes));
    builder.build()
}

/// Lets only those operations through that are listed.
struct Listed(Notes);

#[async_trait::async_trait]
impl S3Access for Listed {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        if OPERATIONS.contains(&operation) {
            return Ok(());
        }
        let why = "the overlay has no such operation";
        Err(self.0.refuse(&format!("S3 {operation}"), why).into())
    }
}

impl Objects {
    fn refuse(&self, operation: &str, why: &str) -> S3Error {
        self.notes.refuse(&format!("S3 {operation}"), why).into()
    }

    fn failed(&self, problem: Problem) -> S3Error {
        self.notes.keep(problem).into()
    }

    /// Versions and single parts of objects are not copied.
    fn whole_only(&self, operation: &str, part: Option<&str>) -> S3Result<()> {
        match part {
            None => Ok(()),
            Some(part) => Err(self.refuse(operation, &format!("it names a {part}"))),
        }
    }

    async fn copies(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().await
    }

    /// Makes the bucket if reality has it.
    async fn copy_bucket(&self, copies: &mut Copies, bucket: &str) -> S3Result<bool> {
        if let Some(is_there) = copies.buckets.get(bucket) {
            return Ok(*is_there);
        }
        let is_there = self.reality.has_bucket(bucket).await;
        let is_there = is_there.map_err(|problem| self.failed(problem))?;
        if is_there {
            self.store.ensure_bucket(bucket)?;
        }
        copies.buckets.insert(bucket.to_owned(), is_there);
        Ok(is_there)
    }

    /// Copies all of an object but its bytes.
    async fn know(&self, copies: &mut Copies, bucket: &str, key: &str) -> S3Result<()> {
        if !self.copy_bucket(copies, bucket).await? {
            // The operation finds out by itself that the bucket is not there.
            return Ok(());
        }
        let name = (bucket.to_owned(), key.to_owned());
        if copies.objects.get(&name) >= Some(&Copied::Known) {
            return Ok(());
        }
        let seen = self.reality.look_at(bucket, key).await;
        match seen.map_err(|problem| self.failed(problem))? {
            Some(seen) => self.store.adopt(bucket, key, adopted(seen))?,
            None => self.store.disown(bucket, key)?,
        }
        copies.objects.insert(name, Copied::Known);
        Ok(())
    }

    /// Copies an object with its bytes.
    async fn fill(&self, copies: &mut Copies, bucket: &str, key: &str) -> S3Result<()> {
        loop {
            self.know(copies, bucket, key).await?;
            let name = (bucket.to_owned(), key.to_owned());
            if copies.objects.get(&name) != Some(&Copied::Known) {
                return Ok(());
            }
            let Some((size, e_tag)) = self.store.glance(bucket, key)? else {
                return Ok(());
            };
            if size > LARGEST_OBJECT {
                let why = format!("s3://{bucket}/{key} has {}", bytes(size));
                return Err(self.refuse("GetObject", &why));
            }
            let read = self.reality.bytes(bucket, key, &e_tag).await;
            match read.map_err(|problem| self.failed(problem))? {
                Some(read) => {
                    self.store.fill(bucket, key, read)?;
                    copies.objects.insert(name, Copied::Whole);
                    return Ok(());
                }
                // Somebody replaced it since it was looked at: then the new one is what is there.
                None => copies.objects.remove(&name),
            };
        }
    }

    /// Copies what a listing of reality says of objects that are not known.
    async fn copy_listing(&self, copies: &mut Copies, bucket: &str, prefix: &str) -> S3Result<()> {
        if !self.copy_bucket(copies, bucket).await? {
            return Ok(());
        }
        let mut from = None;
        let mut count = 0;
        loop {
            let page = self.reality.list(bucket, prefix, from).await;
            let (objects, next) = page.map_err(|problem| self.failed(problem))?;
            count += objects.len();
            for (key, seen) in objects {
                let name = (bucket.to_owned(), key);
                if let Entry::Vacant(unknown) = copies.objects.entry(name) {
                    self.store.adopt(bucket, &unknown.key().1, adopted(seen))?;
                    unknown.insert(Copied::Listed);
                }
            }
            if next.is_none() {
                return Ok(());
            }
            if count >= MOST_KEYS {
                let why = format!("there are more than {MOST_KEYS} keys in s3://{bucket}/{prefix}");
                return Err(self.refuse("ListObjectsV2", &why));
            }
            from = next;
        }
    }

    /// Notes that an object was written, and by what.
    fn written(
        &self,
        copies: &mut Copies,
        operation: &str,
        (bucket, key): (&str, &str),
        before: Option<(u64, String)>,
    ) -> S3Result<()> {
        let name = (bucket.to_owned(), key.to_owned());
        copies.objects.insert(name, Copied::Whole);
        let Some((size, e_tag)) = self.store.glance(bucket, key)? else {
            return Ok(());
        };
        let instead = match before {
            None => "new".to_owned(),
            Some((_, former)) if former == e_tag => "the same bytes as now".to_owned(),
            Some((former, _)) => format!("in place of {}", bytes(former)),
        };
        let target = format!("s3://{bucket}/{key}");
        let summary = format!("write {target} ({}, {instead})", bytes(size));
        self.notes.withheld("S3", operation, target, summary);
        Ok(())
    }

    /// Notes that an object was deleted.
    fn deleted(&self, operation: &str, bucket: &str, key: &str, before: Option<(u64, String)>) {
        let target = format!("s3://{bucket}/{key}");
        let summary = match before {
            Some((size, _)) => format!("delete {target} ({})", bytes(size)),
            None => format!("delete {target}, which is not there"),
        };
        self.notes.withheld("S3", operation, target, summary);
    }
}

fn adopted(seen: Seen) -> Adopted {
    Adopted {
        size: seen.size,
        etag: seen.e_tag,
        modified: seen.modified,
        content_type: seen.content_type,
        content_encoding: seen.content_encoding,
        content_language: seen.content_language,
        content_disposition: seen.content_disposition,
        cache_control: seen.cache_control,
        metadata: seen.metadata,
    }
}
