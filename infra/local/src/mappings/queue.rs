//! The event source mapping of a queue.
//!
//! Messages are received in batches, filtered, handed to the function and deleted when they are done.
//! What failed is left alone: it becomes visible again when its visibility timeout is over, or when
//! the function changed it to be.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::MAXIMUM_EVENT_BYTES;
use super::activity::{Activity, Busy};
use super::invoke::Invoker;
use super::report::{self, Report};
use super::sources::QueueSource;
use crate::error::ServiceError;
use crate::sqs::Message;
use crate::template::QueueMapping;

/// Lambda begins with five pollers, and one machine has no use for more.
const DEFAULT_CONCURRENCY: usize = 5;

/// How long to wait after the queue itself failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Runs one mapping.
pub(crate) struct QueueEngine {
    pub(crate) mapping: QueueMapping,
    pub(crate) source: Arc<dyn QueueSource>,
    pub(crate) invoker: Invoker,
    pub(crate) activity: Arc<Activity>,
    /// Whether the queue is FIFO: its messages must not overtake each other.
    pub(crate) is_fifo: bool,
}

impl QueueEngine {
    /// Runs until `stop` says so, and then until all invocations have ended.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let concurrency = self
            .mapping
            .maximum_concurrency
            .unwrap_or(DEFAULT_CONCURRENCY);
        let permits = Arc::new(Semaphore::new(concurrency));
        let engine = Arc::new(self);
        // A set, because dropping it ends them: a crash leaves nobody behind.
        let mut batches = JoinSet::new();
        loop {
            let permit = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                permit = Arc::clone(&permits).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let batch = match engine.gather(&mut stop).await {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(queue = engine.source.name(), %error, "could not receive");
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => break,
                        () = tokio::time::sleep(AFTER_ERROR) => continue,
                    }
                }
            };
            let working = Arc::clone(&engine);
            batches.spawn(async move {
                working.process(batch.messages, batch.busy).await;
                drop(permit);
            });
            while batches.try_join_next().is_some() {}
        }
        while let Some(ended) = batches.join_next().await {
            if let Err(error) = ended {
                tracing::error!(mapping = engine.mapping.id, %error, "a batch died");
            }
        }
    }

    /// A batch, as soon as there is a message and the batch is full or its window over. `None` when
    /// the mapping is to stop. What was received is never dropped: only waiting is cut short.
    async fn gather(
        &self,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Gathered>, ServiceError> {
        let batch_size = self.mapping.batch_size;
        let mut messages;
        let busy = loop {
            let busy = self.activity.begin();
            messages = self.source.receive(batch_size).await?;
            if !messages.is_empty() {
                break busy;
            }
            drop(busy);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(None),
                visible = self.source.visible() => visible?,
            }
        };
        let window_end = Instant::now() + self.mapping.window;
        while messages.len() < batch_size && Instant::now() < window_end {
            let more = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = tokio::time::sleep_until(window_end) => break,
                visible = self.source.visible() => visible,
            };
            let room = batch_size - messages.len();
            let received = match more {
                Ok(()) => self.source.receive(room).await,
                Err(error) => Err(error),
            };
            match received {
                Ok(received) => messages.extend(received),
                Err(error) => {
                    tracing::error!(queue = self.source.name(), %error, "could not receive more");
                    break;
                }
            }
        }
        Ok(Some(Gathered { messages, busy }))
    }

    async fn process(&self, messages: Vec<Message>, busy: Busy) {
        let (wanted, unwanted): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| self.is_wanted(message));
        if !unwanted.is_empty() {
            self.delete(
                unwanted
                    .iter()
                    .map(|message| message.receipt_handle.clone())
                    .collect(),
            )
            .await;
        }
        for batch in by_size(wanted) {
            let all_done = self.invoke(&batch).await;
            // A later message of the same group must not overtake the one that failed.
            if self.is_fifo && !all_done {
                break;
            }
        }
        drop(busy);
    }

    /// Whether a message passes the filters. A body that is JSON is matched as JSON, any other as
    /// text; a message that no filter wants is deleted, as Lambda does it.
    fn is_wanted(&self, message: &Message) -> bool {
        if self.mapping.filters.is_empty() {
            return true;
        }
        let body = serde_json::from_str(&message.body)
            .unwrap_or_else(|_| Value::String(message.body.clone()));
        let record = json!({ "body": body });
        self.mapping
            .filters
            .iter()
            .any(|filter| filter.matches(&record))
    }

    /// Invokes the function with a batch and deletes what it did. Whether that was all of it.
    async fn invoke(&self, batch: &[Message]) -> bool {
        let records: Vec<Value> = batch
            .iter()
            .map(|message| message.to_event_record(self.source.name()))
            .collect();
        let request_id = uuid::Uuid::new_v4().to_string();
        let answer = self
            .invoker
            .invoke(json!({ "Records": records }), &request_id)
            .await;
        let identifiers: Vec<&str> = batch
            .iter()
            .map(|message| message.message_id.as_str())
            .collect();
        let done: Vec<String> = match report::read(&answer, self.mapping.failures, &identifiers) {
            Report::AllDone => batch
                .iter()
                .map(|message| message.receipt_handle.clone())
                .collect(),
            Report::Failed(failed) => batch
                .iter()
                .enumerate()
                .filter(|(position, _)| !failed.contains(position))
                .map(|(_, message)| message.receipt_handle.clone())
                .collect(),
            Report::FunctionFailed => Vec::new(),
            Report::Malformed(reason) => {
                let function = self.invoker.function().name.as_str();
                tracing::warn!(
                    function,
                    request_id,
                    reason,
                    "the answer makes no sense: all failed"
                );
                Vec::new()
            }
        };
        let all_done = done.len() == batch.len();
        if !done.is_empty() {
            self.delete(done).await;
        }
        all_done
    }

    async fn delete(&self, receipt_handles: Vec<String>) {
        // What could not be deleted is delivered again, which every worker must bear anyway.
        if let Err(error) = self.source.delete(receipt_handles).await {
            tracing::error!(queue = self.source.name(), %error, "could not delete what is done");
        }
    }
}

struct Gathered {
    messages: Vec<Message>,
    busy: Busy,
}

/// Splits messages into batches that fit into an event, in order.
fn by_size(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut batches: Vec<Vec<Message>> = Vec::new();
    let mut room = 0;
    for message in messages {
        // The body is escaped as JSON text; what surrounds it takes about a kilobyte.
        let escaped =
            serde_json::to_string(&message.body).map_or(message.body.len(), |text| text.len());
        let size = escaped + 1_024;
        match batches.last_mut() {
            Some(batch) if size <= room => {
                batch.push(message);
                room -= size;
            }
            _ => {
                batches.push(vec![message]);
                room = MAXIMUM_EVENT_BYTES.saturating_sub(size);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests;
