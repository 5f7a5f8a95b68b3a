//! S3: objects in a directory, their index in SQLite, through `s3s`.
//!
//! The index is the truth. The bytes of an object are written first, under a
//! name of their own; one transaction then names them under the object's key,
//! with all the messages that announce it. A crash in between leaves bytes that
//! nothing names, which the next opening removes. Keys never become file names.

mod adopt;
mod answers;
mod blobs;
mod buckets;
mod checksums;
mod index;
mod listing;
mod multipart;
mod notifications;
mod objects;
mod operations;
mod reading;
mod staging;

use std::path::Path;
use std::sync::Arc;

use rusqlite::params;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

pub(crate) use adopt::Adopted;
pub use notifications::NotificationRule;

use crate::error::{OpenError, ServiceError};
use crate::eventbridge::EventBus;
use crate::names;
use crate::store::{Store, Write};
use blobs::Blobs;

pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// The buckets of the embedded cloud; clones share them.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    store: Store,
    blobs: Arc<Blobs>,
    bus: EventBus,
}

impl ObjectStore {
    /// Opens the objects below `directory`, or objects in memory.
    pub(crate) fn open(
        directory: Option<&Path>,
        store: Store,
        bus: EventBus,
    ) -> Result<Self, OpenError> {
        let blobs = match directory {
            Some(directory) => {
                let failed = |source| OpenError::Objects {
                    directory: directory.to_path_buf(),
                    source,
                };
                let blobs = Blobs::in_directory(directory.to_path_buf()).map_err(failed)?;
                let named = store.read(index::blobs)?;
                let removed = blobs.remove_others(&named).map_err(failed)?;
                if removed > 0 {
                    tracing::info!(
                        removed,
                        "removed the bytes of objects that were never finished"
                    );
                }
                blobs
            }
            None => Blobs::in_memory(),
        };
        Ok(Self {
            store,
            blobs: Arc::new(blobs),
            bus,
        })
    }

    /// The HTTP service on these objects, for requests that are signed with
    /// the embedded credential.
    pub(crate) fn service(&self) -> S3Service {
        let mut builder = S3ServiceBuilder::new(self.clone());
        builder.set_auth(SimpleAuth::from_single(
            names::CREDENTIAL,
            names::CREDENTIAL,
        ));
        builder.build()
    }

    /// Makes sure that the bucket is there. Blocks for a moment.
    pub fn ensure_bucket(&self, bucket: &str) -> Result<(), ServiceError> {
        self.store
            .write(|write| insert_bucket(write, bucket))
            .map(drop)
    }

    /// The names of all buckets, sorted. Blocks for a moment.
    pub fn bucket_names(&self) -> Result<Vec<String>, ServiceError> {
        let buckets = self.store.read(buckets::stored_buckets)?;
        Ok(buckets.into_iter().map(|(name, _)| name).collect())
    }

    /// Sets what a bucket tells, and whom: messages to queues by rules, and
    /// every event to the bus if `to_event_bus`. As with S3, rules must not
    /// overlap and their queues must exist. Replaces what was set before.
    /// Unlike S3 it sends no test event. Blocks for a moment.
    pub fn set_notifications(
        &self,
        bucket: &str,
        rules: &[NotificationRule],
        to_event_bus: bool,
    ) -> Result<(), ServiceError> {
        let stored = serde_json::to_string(rules)?;
        self.store.write(|write| {
            index::check_bucket(&write.transaction, bucket)?;
            notifications::check_rules(write, rules)?;
            write.transaction.execute(
                "UPDATE bucket SET notifications = ?, eventbridge = ? WHERE name = ?",
                params![stored, to_event_bus, bucket],
            )?;
            Ok(())
        })
    }
}

/// Adds a bucket. Says whether it is new.
fn insert_bucket(write: &mut Write<'_>, bucket: &str) -> Result<bool, ServiceError> {
    let inserted = write.transaction.execute(
        "INSERT INTO bucket (name, created) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        params![bucket, write.now],
    )?;
    Ok(inserted > 0)
}
