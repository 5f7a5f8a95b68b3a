//! Where records come from: the small part of a queue and of a stream that an engine needs.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::clock::Clock;
use crate::dynamo::Dynamo;
use crate::error::ServiceError;
use crate::services::Services;
use crate::sqs::{Message, Queues, ReceiveOptions};

/// A queue, as its event source mapping sees it.
#[async_trait]
pub(crate) trait QueueSource: Send + Sync {
    /// The queue's name.
    fn name(&self) -> &str;
    /// Up to `maximum` messages that are visible now.
    async fn receive(&self, maximum: usize) -> Result<Vec<Message>, ServiceError>;
    /// Deletes messages for good.
    async fn delete(&self, receipt_handles: Vec<String>) -> Result<(), ServiceError>;
    /// Completes once a message may be visible. Safe to drop.
    async fn visible(&self) -> Result<(), ServiceError>;
}

/// A table's stream, as its event source mapping sees it.
#[async_trait]
pub(crate) trait StreamSource: Send + Sync {
    /// The stream's ARN.
    fn arn(&self) -> &str;
    /// What tells the stream from one that the table had before.
    fn label(&self) -> &str;
    /// Records after a sequence number, oldest first; all that there are for `None`.
    async fn read(&self, after: Option<&str>, maximum: usize) -> Result<Vec<Value>, ServiceError>;
    /// The sequence number of the newest record.
    async fn latest(&self) -> Result<Option<String>, ServiceError>;
    /// Tells of every write to the table, perhaps of more.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
}

/// A queue of the embedded cloud.
pub(crate) struct ServiceQueue {
    queues: Queues,
    clock: std::sync::Arc<dyn Clock>,
    name: String,
}

impl ServiceQueue {
    pub(crate) fn new(services: &Services, name: &str) -> Self {
        Self {
            queues: services.queues.clone(),
            clock: std::sync::Arc::clone(services.clock()),
            name: name.to_owned(),
        }
    }
}

#[async_trait]
impl QueueSource for ServiceQueue {
    fn name(&self) -> &str {
        &self.name
    }

    async fn receive(&self, maximum: usize) -> Result<Vec<Message>, ServiceError> {
        self.queues
            .receive(&self.name, ReceiveOptions::at_once(maximum))
            .await
    }

    async fn delete(&self, receipt_handles: Vec<String>) -> Result<(), ServiceError> {
        self.queues
            .delete(&self.name, receipt_handles)
            .await
            .map(drop)
    }

    async fn visible(&self) -> Result<(), ServiceError> {
        let mut changes = self.queues.changes(&self.name);
        changes.mark_unchanged();
        if self.queues.counts(&self.name).await?.visible > 0 {
            return Ok(());
        }
        let due = self.queues.earliest_due(&self.name).await?;
        let until_due = async {
            match due {
                Some(due) => self.clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = changes.changed() => {}
            () = until_due => {}
        }
        Ok(())
    }
}

/// A table's stream in the embedded cloud.
pub(crate) struct ServiceStream {
    dynamo: Dynamo,
    table: String,
    arn: String,
    label: String,
    newest: Mutex<Option<Newest>>,
}

/// The newest record as of a count of changes.
struct Newest {
    changes: u64,
    sequence: Option<String>,
}

impl ServiceStream {
    pub(crate) fn open(services: &Services, table: &str) -> Result<Self, ServiceError> {
        let stream = services.dynamo.stream(table)?;
        Ok(Self {
            dynamo: services.dynamo.clone(),
            table: table.to_owned(),
            arn: stream.arn,
            label: stream.label,
            newest: Mutex::new(None),
        })
    }

    /// Whether there is nothing after a position. Every lane of a mapping asks after every write to
    /// any table: the first one looks, the others are told.
    async fn ends_at(&self, position: &str) -> Result<bool, ServiceError> {
        // Taken before looking: what is written later changes the count again.
        let changes = *self.dynamo.changes().borrow();
        {
            let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = newest.as_ref().filter(|known| known.changes == changes) {
                return Ok(known.sequence.as_deref() == Some(position));
            }
        }
        let sequence = self.latest().await?;
        let at_end = sequence.as_deref() == Some(position);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Some(Newest { changes, sequence });
        Ok(at_end)
    }
}

#[async_trait]
impl StreamSource for ServiceStream {
    fn arn(&self) -> &str {
        &self.arn
    }

    fn label(&self) -> &str {
        &self.label
    }

    async fn read(&self, after: Option<&str>, maximum: usize) -> Result<Vec<Value>, ServiceError> {
        if let Some(after) = after
            && self.ends_at(after).await?
        {
            return Ok(Vec::new());
        }
        self.dynamo
            .stream_records(&self.table, after, maximum)
            .await
    }

    async fn latest(&self) -> Result<Option<String>, ServiceError> {
        self.dynamo.latest_sequence_number(&self.table).await
    }

    fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.dynamo.changes()
    }
}
