//! Where recorded fixtures are kept.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use millrace_cloud::{Bucket, Condition, Put};
use millrace_events::{Failure, reason};

/// Keeps fixtures by name. What is there under a name already stays.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Keeps a fixture under `worker/hash.json`.
    ///
    /// # Errors
    /// Any failure: the fixture is not kept, and nothing else happens.
    async fn keep(&self, name: &str, fixture: Vec<u8>) -> Result<(), Failure>;

    /// How the subjects of records begin that tell of what is kept here; `None` if there are no such records.
    fn subjects(&self) -> Option<&str> {
        None
    }
}

/// Keeps fixtures in a bucket.
#[derive(Debug, Clone)]
pub struct BucketStore {
    bucket: Bucket,
    prefix: String,
    subjects: String,
}

impl BucketStore {
    /// Keeps them in that bucket, under keys that begin with `prefix`.
    pub fn new(client: aws_sdk_s3::Client, bucket: &str, prefix: &str) -> Self {
        let mut prefix = prefix.to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        Self {
            bucket: Bucket::new(client, bucket),
            subjects: format!("s3://{bucket}/{prefix}"),
            prefix,
        }
    }
}

#[async_trait]
impl RecordStore for BucketStore {
    async fn keep(&self, name: &str, fixture: Vec<u8>) -> Result<(), Failure> {
        let key = format!("{}{name}", self.prefix);
        let put = Put {
            bytes: fixture.into(),
            content_type: "application/json",
            metadata: HashMap::new(),
        };
        // One that is there is as good: its name says that it is the same message.
        self.bucket.put(&key, put, &Condition::Absent).await?;
        Ok(())
    }

    fn subjects(&self) -> Option<&str> {
        Some(&self.subjects)
    }
}

/// Keeps fixtures in a folder, which is made when it is not there.
#[derive(Debug)]
pub struct FolderStore {
    folder: PathBuf,
    written: AtomicU64,
}

impl FolderStore {
    /// Keeps them in that folder.
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self {
            folder: folder.as_ref().to_owned(),
            written: AtomicU64::new(0),
        }
    }
}

#[async_trait]
impl RecordStore for FolderStore {
    async fn keep(&self, name: &str, fixture: Vec<u8>) -> Result<(), Failure> {
        let file = self.folder.join(name);
        if tokio::fs::try_exists(&file).await.unwrap_or(false) {
            return Ok(());
        }
        // Under another name first: a reader sees whole fixtures only.
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let unfinished = file.with_extension(format!("{}-{number}.unfinished", std::process::id()));
        let failed = |error: std::io::Error| {
            let message = format!("could not write the fixture {}", file.display());
            Failure::transient(reason::SERVICE_UNAVAILABLE, message).caused_by(error)
        };
        if let Some(folder) = file.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(failed)?;
        }
        tokio::fs::write(&unfinished, fixture)
            .await
            .map_err(failed)?;
        tokio::fs::rename(&unfinished, &file).await.map_err(failed)
    }
}
