//! Where records go that nobody can handle: the worker's dead-letter queue.

use std::sync::Mutex;

use async_trait::async_trait;
use aws_sdk_sqs::types::MessageAttributeValue;
use millrace_cloud::classify;
use millrace_events::{Failure, ParkedRecord, mutation, reason};

/// SQS takes no larger message, attributes included.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// What the message attributes may take of it.
const ATTRIBUTE_BYTES: usize = 1024;

/// Keeps parked records until somebody replays them.
#[async_trait]
pub trait Parking: Send + Sync {
    /// Keeps a record durably; only then does it count as handled.
    ///
    /// # Errors
    /// Any failure: the record goes back to its source instead.
    async fn park(&self, record: ParkedRecord) -> Result<(), Failure>;
}

/// Parks in an SQS queue: the body is the parked record's JSON, the attributes `worker` and `reason`
/// let consoles and filters tell dead letters apart without reading them.
#[derive(Debug, Clone)]
pub struct SqsParking {
    client: aws_sdk_sqs::Client,
    queue_url: String,
}

impl SqsParking {
    /// Parks in the queue of that URL.
    pub fn new(client: aws_sdk_sqs::Client, queue_url: impl Into<String>) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
        }
    }

    fn queue_name(&self) -> &str {
        self.queue_url.rsplit('/').next().unwrap_or_default()
    }
}

#[async_trait]
impl Parking for SqsParking {
    async fn park(&self, record: ParkedRecord) -> Result<(), Failure> {
        if mutation::on(mutation::PARK_LOST) {
            return Ok(());
        }
        let body = body_within_limit(&record)?;
        let mut request = self
            .client
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .message_attributes("worker", text_attribute(&record.worker)?)
            .message_attributes("reason", text_attribute(&record.reason.code)?);
        if self.queue_url.ends_with(".fifo") {
            // A FIFO queue's dead-letter queue is one too. Parked records wait for no other.
            request = request
                .message_group_id(record.id.to_string())
                .message_deduplication_id(record.id.to_string());
        }
        request
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify(&format!("put the record into {}", self.queue_name()), error))
    }
}

/// A record that does not fit stays in its source, whose own redrive moves the bare message: SQS
/// messages are never larger than the queue they are moved to takes.
fn body_within_limit(record: &ParkedRecord) -> Result<String, Failure> {
    let body = record.to_body();
    if body.len() + ATTRIBUTE_BYTES > MAX_MESSAGE_BYTES {
        return Err(Failure::transient(
            reason::PARKED_TOO_LARGE,
            format!(
                "the parked record has {} bytes, SQS takes {MAX_MESSAGE_BYTES}: the message stays in its source \
                 until that redrives it (the record failed with {}: {})",
                body.len(),
                record.reason.code,
                record.reason.message
            ),
        ));
    }
    Ok(body)
}

fn text_attribute(text: &str) -> Result<MessageAttributeValue, Failure> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(text)
        .build()
        .map_err(|error| {
            Failure::transient(
                reason::REQUEST_REJECTED,
                "could not build the parked record's attributes",
            )
            .caused_by(error)
        })
}

/// Parks in memory, for tests and for feeding a single event.
#[derive(Debug, Default)]
pub struct MemoryParking {
    records: Mutex<Vec<ParkedRecord>>,
}

impl MemoryParking {
    /// What was parked so far, in order.
    pub fn records(&self) -> Vec<ParkedRecord> {
        let records = self.records.lock();
        records.unwrap_or_else(|e| e.into_inner()).clone()
    }
}

#[async_trait]
impl Parking for MemoryParking {
    async fn park(&self, record: ParkedRecord) -> Result<(), Failure> {
        let mut records = self.records.lock().unwrap_or_else(|e| e.into_inner());
        records.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use millrace_events::{ParkedFormat, ParkedReason};
    use serde_json::{Value, json};
    use time::OffsetDateTime;

    use super::*;

    fn parked(event: Value) -> ParkedRecord {
        ParkedRecord {
            millrace: ParkedFormat::V1,
            id: uuid::Uuid::nil(),
            worker: "w".to_owned(),
            reason: ParkedReason {
                code: "encrypted".to_owned(),
                message: "needs a password".to_owned(),
            },
            attempts: 1,
            parked_at: OffsetDateTime::UNIX_EPOCH,
            record_id: "r".to_owned(),
            subject: "s".to_owned(),
            trace_id: None,
            event,
            original: None,
            edited_from: None,
        }
    }

    #[test]
    fn what_sqs_does_not_take_goes_back_with_its_reason() {
        assert!(body_within_limit(&parked(json!({"body": "x"}))).is_ok());
        // Quotes double when text is put into text: a message that fits may not fit once parked.
        let wide = "\"".repeat(MAX_MESSAGE_BYTES * 2 / 3);
        let failure = body_within_limit(&parked(json!({"body": wide}))).unwrap_err();
        assert!(failure.is_transient());
        assert_eq!(failure.reason(), reason::PARKED_TOO_LARGE);
        assert!(failure.message().contains("encrypted"));
    }
}
