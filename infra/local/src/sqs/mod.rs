//! SQS: queues with visibility, delays, redrive and FIFO groups.
//!
//! [`Queues`] is used in two ways: by the SDK clients, through [`wire`], and by
//! the event source mappings, through the functions here, which know no limit
//! of ten messages.

mod attributes;
mod message;
mod moves;
pub(crate) mod queue;
mod receiving;
mod recovery;
mod sending;
pub(crate) mod wire;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use attributes::AttributeMap;
pub(crate) use attributes::check_name;
pub(crate) use message::check_attributes;
pub use message::{Message, MessageAttribute, MessageAttributes, OutgoingMessage, Sent};
pub use queue::Counts;

use crate::error::ServiceError;
use crate::store::Store;
use attributes::QueueSettings;

pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// The queues of the embedded cloud; clones share them. Queues go by name.
#[derive(Debug, Clone)]
pub struct Queues {
    store: Store,
}

/// How messages are to be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveOptions {
    /// At most so many messages.
    pub maximum: usize,
    /// How long they stay invisible; as the queue says if `None`.
    pub visibility_seconds: Option<i64>,
    /// How long to wait for a first message; as the queue says if `None`.
    pub wait: Option<Duration>,
}

impl ReceiveOptions {
    /// Up to `maximum` messages that are there now, without waiting.
    pub fn at_once(maximum: usize) -> Self {
        Self {
            maximum,
            visibility_seconds: None,
            wait: Some(Duration::ZERO),
        }
    }
}

impl Queues {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes sure that the queue is there with these attributes. Attributes
    /// that a queue has and that are not named go back to their defaults;
    /// messages stay. Blocks for a moment: for use while setting up.
    pub fn ensure(&self, queue: &str, attributes: &AttributeMap) -> Result<(), ServiceError> {
        attributes::check_name(queue)?;
        QueueSettings::parse(queue, attributes)?;
        let stored = serde_json::to_string(attributes)?;
        self.store.write(|write| {
            write.transaction.execute(
                "INSERT INTO queue (name, attributes, created, modified) VALUES (?1, ?2, ?3, ?3)
                 ON CONFLICT (name) DO UPDATE SET attributes = ?2, modified = ?3",
                rusqlite::params![queue, stored, write.now],
            )?;
            write.touch(queue);
            Ok(())
        })
    }

    /// The names of all queues, sorted. Blocks for a moment.
    pub fn names(&self) -> Result<Vec<String>, ServiceError> {
        self.store.read(wire::queue_names)
    }

    /// The attributes that were set on a queue. Blocks for a moment.
    pub fn attributes(&self, queue: &str) -> Result<AttributeMap, ServiceError> {
        self.store
            .read(|connection| queue::attributes(connection, queue))
    }

    /// Sends one message. It is durable when this returns.
    pub async fn send(&self, queue: &str, message: OutgoingMessage) -> Result<Sent, ServiceError> {
        let queue = queue.to_owned();
        let work = move |write: &mut crate::store::Write<'_>| queue::send(write, &queue, &message);
        self.store.write_blocking(work).await
    }

    /// Receives messages: those that are there, or else the first that come
    /// within the waiting time, woken by whatever makes one visible.
    pub async fn receive(
        &self,
        queue: &str,
        options: ReceiveOptions,
    ) -> Result<Vec<Message>, ServiceError> {
        let wait = match options.wait {
            Some(wait) => wait,
            None => self.waiting_time_of(queue).await?,
        };
        let deadline = Instant::now() + wait;
        let mut changes = self.changes(queue);
        loop {
            changes.mark_unchanged();
            let messages = self.receive_now(queue, options).await?;
            if !messages.is_empty() || Instant::now() >= deadline {
                return Ok(messages);
            }
            let due = self.earliest_due(queue).await?;
            tokio::select! {
                _ = changes.changed() => {}
                () = self.sleep_until_due(due) => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    async fn receive_now(
        &self,
        queue: &str,
        options: ReceiveOptions,
    ) -> Result<Vec<Message>, ServiceError> {
        let queue = queue.to_owned();
        let work = move |write: &mut crate::store::Write<'_>| {
            queue::receive(write, &queue, options.maximum, options.visibility_seconds)
        };
        self.store.write_blocking(work).await
    }

    async fn waiting_time_of(&self, queue: &str) -> Result<Duration, ServiceError> {
        let queue = queue.to_owned();
        let settings = self
            .store
            .read_blocking(move |connection| queue::settings(connection, &queue))
            .await?;
        Ok(Duration::from_secs(settings.wait_seconds))
    }

    async fn sleep_until_due(&self, due: Option<i64>) {
        match due {
            Some(due) => self.store.clock().sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Deletes messages by their receipts, all in one transaction. Returns how
    /// many were there: an outdated receipt deletes nothing.
    pub async fn delete(
        &self,
        queue: &str,
        receipt_handles: Vec<String>,
    ) -> Result<usize, ServiceError> {
        let queue = queue.to_owned();
        self.store
            .write_blocking(move |write| {
                let mut deleted = 0;
                for receipt_handle in &receipt_handles {
                    deleted += usize::from(queue::delete(write, &queue, receipt_handle)?);
                }
                Ok(deleted)
            })
            .await
    }

    /// Lets messages become visible again after so many seconds each. Receipts
    /// whose message is not in flight any more are passed over.
    pub async fn change_visibility(
        &self,
        queue: &str,
        changes: Vec<(String, i64)>,
    ) -> Result<(), ServiceError> {
        let queue = queue.to_owned();
        self.store
            .write_blocking(move |write| {
                for (receipt_handle, seconds) in &changes {
                    let changed = queue::change_visibility(write, &queue, receipt_handle, *seconds);
                    match changed {
                        Err(error) if error.code == "MessageNotInflight" => {}
                        other => other?,
                    }
                }
                Ok(())
            })
            .await
    }

    /// How many messages the queue holds.
    pub async fn counts(&self, queue: &str) -> Result<Counts, ServiceError> {
        let queue = queue.to_owned();
        let now = self.store.clock().now_millis();
        self.store
            .read_blocking(move |connection| queue::counts(connection, &queue, now))
            .await
    }

    /// When the next message that is not visible yet becomes so, in
    /// milliseconds since the epoch.
    pub async fn earliest_due(&self, queue: &str) -> Result<Option<i64>, ServiceError> {
        let queue = queue.to_owned();
        let now = self.store.clock().now_millis();
        self.store
            .read_blocking(move |connection| queue::earliest_due(connection, &queue, now))
            .await
    }

    /// Tells of every committed change to the queue: messages sent, made
    /// visible, moved or deleted. The passing of time is not a change: see
    /// [`Queues::earliest_due`].
    pub fn changes(&self, queue: &str) -> watch::Receiver<u64> {
        self.store.changes(queue)
    }

    /// Deletes what is older than its queue keeps messages. Says how many.
    pub async fn delete_expired(&self) -> Result<usize, ServiceError> {
        self.store.write_blocking(queue::delete_expired).await
    }
}
