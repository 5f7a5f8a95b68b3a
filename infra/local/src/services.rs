//! All services of the embedded cloud, opened together.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::dynamo::Dynamo;
use crate::error::{OpenError, ServiceError};
use crate::eventbridge::{self, EventBus};
use crate::s3::{self, ObjectStore};
use crate::sns::{self, Topics};
use crate::sqs::{self, Queues};
use crate::storage::{DirectoryLock, Storage};
use crate::store::Store;

/// The services; clones share them. The data directory is let go of when the
/// last clone is dropped.
#[derive(Debug, Clone)]
pub struct Services {
    /// DynamoDB and its streams.
    pub dynamo: Dynamo,
    /// S3.
    pub s3: ObjectStore,
    /// SQS.
    pub queues: Queues,
    /// SNS.
    pub topics: Topics,
    /// EventBridge.
    pub bus: EventBus,
    clock: Arc<dyn Clock>,
    _lock: Option<Arc<DirectoryLock>>,
}

impl Services {
    /// Opens the services on what is stored, or on nothing yet. One process at
    /// a time may work on a directory: for a second one this is an error that
    /// names it.
    pub fn open(storage: &Storage, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let directory = match storage {
            Storage::Directory(directory) => Some(directory),
            Storage::Memory => None,
        };
        let lock = directory
            .map(|directory| DirectoryLock::acquire(directory))
            .transpose()?;
        let below = |name: &str| -> Option<PathBuf> { directory.map(|path| path.join(name)) };
        let schemas = [sqs::SCHEMA, sns::SCHEMA, eventbridge::SCHEMA, s3::SCHEMA];
        let store = Store::open(
            below("cloud.sqlite").as_deref(),
            &schemas,
            Arc::clone(&clock),
        )?;
        let bus = EventBus::open(store.clone())?;
        Ok(Self {
            dynamo: Dynamo::open(below("tables.sqlite").as_deref(), Arc::clone(&clock))?,
            s3: ObjectStore::open(below("objects").as_deref(), store.clone(), bus.clone())?,
            queues: Queues::new(store.clone()),
            topics: Topics::new(store),
            bus,
            clock,
            _lock: lock.map(Arc::new),
        })
    }

    /// The clock that the services go by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Removes what has had its time: items past their time to live, stream
    /// records after a day, messages past the retention of their queues. To be
    /// called every few seconds.
    pub async fn sweep(&self) -> Result<(), ServiceError> {
        let swept = self.dynamo.sweep().await?;
        let expired_messages = self.queues.delete_expired().await?;
        if swept.expired_items + swept.stream_records + expired_messages > 0 {
            tracing::debug!(
                expired_items = swept.expired_items,
                stream_records = swept.stream_records,
                expired_messages,
                "swept"
            );
        }
        Ok(())
    }
}
