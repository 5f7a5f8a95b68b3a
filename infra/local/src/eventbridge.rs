//! EventBridge: the default bus, its rules and the delivery to their targets.
//!
//! A rule takes events that match a pattern, or makes one itself at the times
//! of a schedule. An event reaches the queues of all rules that match it in the transaction
//! that publishes it: once it is acknowledged, its messages are there.

use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{OpenError, ServiceError};
use crate::matching::Pattern;
use crate::sns::{self, Publication};
use crate::sqs::{OutgoingMessage, queue};
use crate::store::{Store, Write};
use crate::{names, times};

mod schedules;

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS rule (
    name    TEXT PRIMARY KEY,
    pattern TEXT NOT NULL,
    targets TEXT NOT NULL
) WITHOUT ROWID;
-- A rule that runs at times: counted from `made`, done up to `through`, both in milliseconds.
CREATE TABLE IF NOT EXISTS schedule (
    name       TEXT PRIMARY KEY,
    expression TEXT NOT NULL,
    targets    TEXT NOT NULL,
    made       INTEGER NOT NULL,
    through    INTEGER NOT NULL
) WITHOUT ROWID;
";

/// Where a rule sends the events that match it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The ARN of a queue or a topic.
    pub arn: String,
    /// The queue for events that cannot be delivered.
    pub dead_letter_queue_arn: Option<String>,
    /// The group of the messages, for FIFO queues.
    pub message_group: Option<String>,
}

impl Target {
    /// A queue, without a queue for what cannot be delivered.
    pub fn queue(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            dead_letter_queue_arn: None,
            message_group: None,
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    pattern: Pattern,
    targets: Vec<Target>,
}

/// The default event bus; clones share it.
#[derive(Debug, Clone)]
pub struct EventBus {
    store: Store,
    rules: Arc<RwLock<Arc<Vec<Rule>>>>,
}

impl EventBus {
    pub(crate) fn open(store: Store) -> Result<Self, OpenError> {
        let rules = store.read(stored_rules)?;
        Ok(Self {
            store,
            rules: Arc::new(RwLock::new(Arc::new(rules))),
        })
    }

    /// Makes sure that the rule is there with this pattern and these targets.
    /// An operator that EventBridge does not have is an error. Blocks for a
    /// moment.
    pub fn put_rule(
        &self,
        name: &str,
        pattern: &Value,
        targets: &[Target],
    ) -> Result<(), ServiceError> {
        Pattern::parse(pattern).map_err(|error| {
            ServiceError::client(
                "InvalidEventPatternException",
                format!("rule {name}: {error}"),
            )
        })?;
        for target in targets {
            check_target(name, target)?;
        }
        self.store.write(|write| {
            write.transaction.execute(
                "INSERT INTO rule VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET pattern = ?2, targets = ?3",
                params![name, pattern.to_string(), serde_json::to_string(targets)?],
            )?;
            Ok(())
        })?;
        self.reload()
    }

    /// Removes a rule, if it is there. Blocks for a moment.
    pub fn remove_rule(&self, name: &str) -> Result<(), ServiceError> {
        self.store.write(|write| {
            write
                .transaction
                .execute("DELETE FROM rule WHERE name = ?", [name])?;
            Ok(())
        })?;
        self.reload()
    }

    /// The names of all rules, sorted. Blocks for a moment.
    pub fn rule_names(&self) -> Vec<String> {
        self.rules().iter().map(|rule| rule.name.clone()).collect()
    }

    fn reload(&self) -> Result<(), ServiceError> {
        let stored = self.store.read(stored_rules)?;
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        *rules = Arc::new(stored);
        Ok(())
    }

    fn rules(&self) -> Arc<Vec<Rule>> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rules)
    }

    /// Publishes an event in EventBridge's full form. Its messages are durable
    /// when this returns.
    pub async fn publish(&self, event: Value) -> Result<(), ServiceError> {
        let bus = self.clone();
        self.store
            .write_blocking(move |write| bus.deliver(write, &event))
            .await
    }

    /// Delivers an event to the targets of every rule that matches it.
    pub(crate) fn deliver(&self, write: &mut Write<'_>, event: &Value) -> Result<(), ServiceError> {
        for rule in self.rules().iter() {
            if !rule.pattern.matches(event) {
                continue;
            }
            for target in &rule.targets {
                deliver_to(write, &rule.name, target, event)?;
            }
        }
        Ok(())
    }
}

fn stored_rules(connection: &Connection) -> Result<Vec<Rule>, ServiceError> {
    let mut statement =
        connection.prepare("SELECT name, pattern, targets FROM rule ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
        ))
    })?;
    let mut rules = Vec::new();
    for row in rows {
        let (name, pattern, targets) = row?;
        let pattern = Pattern::parse(&serde_json::from_str(&pattern)?)
            .map_err(|error| ServiceError::internal(format!("rule {name}: {error}")))?;
        rules.push(Rule {
            pattern,
            targets: serde_json::from_str(&targets)?,
            name,
        });
    }
    Ok(rules)
}

fn check_target(rule: &str, target: &Target) -> Result<(), ServiceError> {
    let is_target = |arn: &str| {
        names::queue_of_arn(arn)
            .or(names::topic_of_arn(arn))
            .is_some()
    };
    let dead_letters = target.dead_letter_queue_arn.as_deref();
    if is_target(&target.arn) && dead_letters.is_none_or(|arn| names::queue_of_arn(arn).is_some()) {
        return Ok(());
    }
    Err(ServiceError::client(
        "ValidationException",
        format!(
            "rule {rule}: a target must be a queue or a topic, and its dead letters go to a queue: {target:?}"
        ),
    ))
}

/// What cannot be delivered goes to the dead-letter queue, with the reason; with
/// no such queue it is lost, as on AWS, and said so in the log.
fn deliver_to(
    write: &mut Write<'_>,
    rule: &str,
    target: &Target,
    event: &Value,
) -> Result<(), ServiceError> {
    let delivered = match names::queue_of_arn(&target.arn) {
        Some(queue) => {
            let mut message = OutgoingMessage::new(event.to_string());
            message.group = target.message_group.clone();
            message.deduplication = message
                .group
                .as_ref()
                .and(event["id"].as_str().map(str::to_owned));
            queue::send(write, queue, &message).map(drop)
        }
        None => {
            let topic = names::topic_of_arn(&target.arn).unwrap_or_default();
            sns::publish(write, topic, &Publication::new(event.to_string())).map(drop)
        }
    };
    let Err(error) = delivered else {
        return Ok(());
    };
    if error.status >= 500 {
        return Err(error);
    }
    let dead_letters = target
        .dead_letter_queue_arn
        .as_deref()
        .and_then(names::queue_of_arn);
    tracing::warn!(rule, target = target.arn, %error, dead_letters, "an event could not be delivered");
    let Some(dead_letters) = dead_letters else {
        return Ok(());
    };
    let mut message = OutgoingMessage::new(event.to_string());
    for (name, value) in [
        ("RULE_ARN", names::rule_arn(rule)),
        ("TARGET_ARN", target.arn.clone()),
        ("ERROR_CODE", error.code.to_owned()),
        ("ERROR_MESSAGE", error.message.clone()),
    ] {
        message
            .attributes
            .insert(name.to_owned(), crate::sqs::MessageAttribute::text(value));
    }
    match queue::send(write, dead_letters, &message) {
        Ok(_) => Ok(()),
        Err(error) if error.status < 500 => {
            tracing::warn!(rule, dead_letters, %error, "nor could it be put into the dead-letter queue");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// An event around `detail`, as a service of AWS publishes it.
pub(crate) fn service_event(
    source: &str,
    detail_type: &str,
    now_millis: i64,
    resource_arn: &str,
    detail: Value,
) -> Value {
    json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": detail_type,
        "source": source,
        "account": names::ACCOUNT,
        "time": times::with_seconds(now_millis),
        "region": names::REGION,
        "resources": [resource_arn],
        "detail": detail,
    })
}
