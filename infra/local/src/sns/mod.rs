//! SNS: topics, subscriptions of queues, filter policies.
//!
//! A publication and the messages that it becomes are one transaction.

mod delivery;
pub(crate) mod form;
mod subscription;
pub(crate) mod wire;

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

pub(crate) use delivery::publish;
pub use subscription::FilterScope;

use crate::error::ServiceError;
use crate::names;
use crate::sqs::MessageAttributes;
use crate::store::{Store, Write};
use subscription::SubscriptionSettings;

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS topic (
    name       TEXT PRIMARY KEY,
    attributes TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subscription (
    arn        TEXT PRIMARY KEY,
    topic      TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    attributes TEXT NOT NULL,
    UNIQUE (topic, endpoint)
) WITHOUT ROWID;
";

/// The topics of the embedded cloud; clones share them. Topics go by name.
#[derive(Debug, Clone)]
pub struct Topics {
    store: Store,
}

/// What is published to a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// The text of the message.
    pub message: String,
    /// The subject, for those who read mail.
    pub subject: Option<String>,
    /// The attributes, which filter policies look at.
    pub attributes: MessageAttributes,
    /// The group of the messages, for FIFO topics.
    pub group: Option<String>,
    /// The deduplication id of the messages, for FIFO topics.
    pub deduplication: Option<String>,
}

impl Publication {
    /// A publication of nothing but a text.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }
}

impl Topics {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes sure that the topic is there. Blocks for a moment.
    pub fn ensure(&self, topic: &str) -> Result<(), ServiceError> {
        self.store
            .write(|write| ensure_topic(write, topic, &BTreeMap::new()))
    }

    /// Makes sure that the queue is subscribed to the topic, with exactly these
    /// attributes: `FilterPolicy`, `FilterPolicyScope`, `RawMessageDelivery`.
    /// Returns the ARN of the subscription. Blocks for a moment.
    pub fn subscribe_queue(
        &self,
        topic: &str,
        queue_arn: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<String, ServiceError> {
        self.store.write(|write| {
            let arn = subscribe(write, topic, queue_arn, attributes)?;
            write.transaction.execute(
                "UPDATE subscription SET attributes = ? WHERE arn = ?",
                params![serde_json::to_string(attributes)?, arn],
            )?;
            Ok(arn)
        })
    }

    /// Publishes to a topic. Its messages are durable when this returns the id
    /// of the publication.
    pub async fn publish(
        &self,
        topic: &str,
        publication: Publication,
    ) -> Result<String, ServiceError> {
        let topic = topic.to_owned();
        self.store
            .write_blocking(move |write| publish(write, &topic, &publication))
            .await
    }
}

fn ensure_topic(
    write: &mut Write<'_>,
    topic: &str,
    attributes: &BTreeMap<String, String>,
) -> Result<(), ServiceError> {
    crate::sqs::check_name(topic)?;
    write.transaction.execute(
        "INSERT INTO topic VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        params![topic, serde_json::to_string(attributes)?],
    )?;
    Ok(())
}

fn check_topic(write: &Write<'_>, topic: &str) -> Result<(), ServiceError> {
    let is_there = write
        .transaction
        .prepare_cached("SELECT 1 FROM topic WHERE name = ?")?
        .exists([topic])?;
    if is_there {
        return Ok(());
    }
    Err(ServiceError::missing(
        "NotFound",
        format!("Topic does not exist: {topic}"),
    ))
}

/// Subscribes a queue, or finds the subscription that it has.
fn subscribe(
    write: &mut Write<'_>,
    topic: &str,
    queue_arn: &str,
    attributes: &BTreeMap<String, String>,
) -> Result<String, ServiceError> {
    check_topic(write, topic)?;
    if names::queue_of_arn(queue_arn).is_none() {
        return Err(ServiceError::client(
            "InvalidParameter",
            format!("Invalid parameter: SQS endpoint ARN: {queue_arn}"),
        ));
    }
    SubscriptionSettings::parse(attributes)?;
    let known: Option<String> = write
        .transaction
        .query_row(
            "SELECT arn FROM subscription WHERE topic = ? AND endpoint = ?",
            [topic, queue_arn],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(arn) = known {
        return Ok(arn);
    }
    let arn = format!("{}:{}", names::topic_arn(topic), Uuid::new_v4());
    write.transaction.execute(
        "INSERT INTO subscription VALUES (?, ?, ?, ?)",
        params![arn, topic, queue_arn, serde_json::to_string(attributes)?],
    )?;
    Ok(arn)
}
