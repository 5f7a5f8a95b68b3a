//! What happens to messages, each step inside a transaction of the caller, so
//! that other services can make a message part of their own effect.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::attributes::{AttributeMap, QueueSettings, RedrivePolicy};
use super::message::{self, Message, MessageAttributes, OutgoingMessage, Sent};
use crate::error::ServiceError;
use crate::names;
use crate::store::Write;

/// How long FIFO queues remember a deduplication id.
const DEDUPLICATION_WINDOW_MILLIS: i64 = 5 * 60 * 1_000;

/// The longest that a message can stay invisible: twelve hours.
const LONGEST_INVISIBLE_SECONDS: i64 = 43_200;

/// How many messages a queue holds, by what can be done with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be received.
    pub visible: u64,
    /// Received and neither deleted nor visible again.
    pub in_flight: u64,
    /// Sent with a delay that has not passed.
    pub delayed: u64,
}

impl Counts {
    /// All messages of the queue.
    pub fn total(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// The attributes of a queue, or the error that it does not exist.
pub(crate) fn attributes(
    connection: &Connection,
    queue: &str,
) -> Result<AttributeMap, ServiceError> {
    let stored: Option<String> = connection
        .prepare_cached("SELECT attributes FROM queue WHERE name = ?")?
        .query_row([queue], |row| row.get(0))
        .optional()?;
    let stored = stored.ok_or_else(|| {
        ServiceError::client(
            "QueueDoesNotExist",
            format!("The specified queue does not exist: {queue}"),
        )
    })?;
    Ok(serde_json::from_str(&stored)?)
}

pub(crate) fn settings(
    connection: &Connection,
    queue: &str,
) -> Result<QueueSettings, ServiceError> {
    QueueSettings::parse(queue, &attributes(connection, queue)?)
}

/// Whether the queue is there.
pub(crate) fn exists(connection: &Connection, queue: &str) -> Result<bool, ServiceError> {
    let found = connection
        .prepare_cached("SELECT 1 FROM queue WHERE name = ?")?
        .exists([queue])?;
    Ok(found)
}

/// Puts a message into a queue.
pub(crate) fn send(
    write: &mut Write<'_>,
    queue: &str,
    message: &OutgoingMessage,
) -> Result<Sent, ServiceError> {
    let settings = settings(&write.transaction, queue)?;
    check_message(&settings, message)?;
    let deduplication = deduplication_id(&settings, message)?;
    if let Some(id) = &deduplication
        && let Some(earlier) = earlier_duplicate(write, queue, id)?
    {
        return Ok(earlier);
    }
    let delay_seconds = message.delay_seconds.unwrap_or(settings.delay_seconds);
    let message_id = Uuid::new_v4().to_string();
    let stored_attributes = stored_attributes_of(&message.attributes)?;
    let stored_system_attributes = stored_attributes_of(&message.system_attributes)?;
    write
        .transaction
        .prepare_cached(
            "INSERT INTO message (queue, id, body, attributes, system_attributes, message_group,
                                  deduplication, sent, visible)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            queue,
            message_id,
            message.body,
            stored_attributes,
            stored_system_attributes,
            message.group,
            deduplication,
            write.now,
            write.now + delay_seconds * 1_000,
        ])?;
    let place = write.transaction.last_insert_rowid();
    if let Some(id) = &deduplication {
        write
            .transaction
            .prepare_cached("INSERT INTO deduplication VALUES (?, ?, ?, ?, ?)")?
            .execute(params![queue, id, message_id, place, write.now])?;
    }
    write.touch(queue);
    Ok(Sent {
        message_id,
        sequence_number: settings.fifo.then(|| sequence_number(place)),
    })
}

fn check_message(settings: &QueueSettings, message: &OutgoingMessage) -> Result<(), ServiceError> {
    let invalid = |text: String| Err(ServiceError::client("InvalidParameterValue", text));
    if message.body.is_empty() {
        return Err(ServiceError::client(
            "MissingParameter",
            "The request must contain the parameter MessageBody.",
        ));
    }
    if message.size() > settings.maximum_message_size {
        return invalid(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {} bytes.",
            settings.maximum_message_size
        ));
    }
    if let Some(character) = message.body.chars().find(|character| !is_legal(*character)) {
        return Err(ServiceError::client(
            "InvalidMessageContents",
            format!(
                "Invalid characters found: U+{:04X} is not allowed in a message body.",
                character as u32
            ),
        ));
    }
    message::check_attributes(&message.attributes)?;
    if let Some(delay_seconds) = message.delay_seconds {
        if settings.fifo {
            return invalid(format!(
                "Value {delay_seconds} for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type."
            ));
        }
        if !(0..=900).contains(&delay_seconds) {
            return invalid(format!(
                "Value {delay_seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
            ));
        }
    }
    if settings.fifo && message.group.is_none() {
        return Err(ServiceError::client(
            "MissingParameter",
            "The request must contain the parameter MessageGroupId.",
        ));
    }
    Ok(())
}

/// The characters of XML 1.0, which are those that SQS takes.
fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn deduplication_id(
    settings: &QueueSettings,
    message: &OutgoingMessage,
) -> Result<Option<String>, ServiceError> {
    if !settings.fifo {
        return Ok(None);
    }
    if let Some(id) = &message.deduplication {
        return Ok(Some(id.clone()));
    }
    if settings.content_based_deduplication {
        return Ok(Some(hex::encode(Sha256::digest(message.body.as_bytes()))));
    }
    Err(ServiceError::client(
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
    ))
}

fn earlier_duplicate(
    write: &mut Write<'_>,
    queue: &str,
    id: &str,
) -> Result<Option<Sent>, ServiceError> {
    write
        .transaction
        .prepare_cached("DELETE FROM deduplication WHERE sent <= ?")?
        .execute([write.now - DEDUPLICATION_WINDOW_MILLIS])?;
    let earlier = write
        .transaction
        .prepare_cached("SELECT message, place FROM deduplication WHERE queue = ? AND id = ?")?
        .query_row([queue, id], |row| {
            Ok(Sent {
                message_id: row.get(0)?,
                sequence_number: Some(sequence_number(row.get(1)?)),
            })
        })
        .optional()?;
    Ok(earlier)
}

fn sequence_number(place: i64) -> String {
    format!("{place:020}")
}

fn stored_attributes_of(attributes: &MessageAttributes) -> Result<Option<String>, ServiceError> {
    if attributes.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_string(attributes)?))
}

/// A message as it lies in its queue.
struct Stored {
    place: i64,
    id: String,
    body: String,
    attributes: Option<String>,
    system_attributes: Option<String>,
    group: Option<String>,
    deduplication: Option<String>,
    sent: i64,
    receives: i64,
    first_received: Option<i64>,
    origin: Option<String>,
}

impl Stored {
    const COLUMNS: &str = "m.place, m.id, m.body, m.attributes, m.system_attributes, \
                           m.message_group, m.deduplication, m.sent, m.receives, \
                           m.first_received, m.origin";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            place: row.get(0)?,
            id: row.get(1)?,
            body: row.get(2)?,
            attributes: row.get(3)?,
            system_attributes: row.get(4)?,
            group: row.get(5)?,
            deduplication: row.get(6)?,
            sent: row.get(7)?,
            receives: row.get(8)?,
            first_received: row.get(9)?,
            origin: row.get(10)?,
        })
    }
}

/// Receives up to `maximum` messages, which then stay invisible for
/// `visibility_seconds`, or for as long as the queue says. Messages that were
/// received too often move to the dead-letter queue instead.
pub(crate) fn receive(
    write: &mut Write<'_>,
    queue: &str,
    maximum: usize,
    visibility_seconds: Option<i64>,
) -> Result<Vec<Message>, ServiceError> {
    let settings = settings(&write.transaction, queue)?;
    let redrive = usable_redrive(write, queue, &settings)?;
    let visible_again =
        write.now + visibility_seconds.unwrap_or(settings.visibility_seconds) * 1_000;
    let mut messages = Vec::new();
    while messages.len() < maximum {
        let candidates = candidates(write, queue, &settings, maximum - messages.len())?;
        if candidates.is_empty() {
            break;
        }
        for stored in candidates {
            match &redrive {
                Some(policy) if stored.receives >= policy.maximum_receives => {
                    move_to_dead_letters(write, queue, &stored, policy)?;
                }
                _ => messages.push(hand_out(write, &settings, stored, visible_again)?),
            }
        }
        // With nothing left invisible, a timeout of zero would find the same
        // messages again in the same request.
        if visible_again <= write.now {
            break;
        }
    }
    Ok(messages)
}

/// The redrive policy, unless the queue that it names is gone: then messages
/// stay where they are rather than being lost.
fn usable_redrive(
    write: &Write<'_>,
    queue: &str,
    settings: &QueueSettings,
) -> Result<Option<RedrivePolicy>, ServiceError> {
    let Some(policy) = &settings.redrive else {
        return Ok(None);
    };
    if exists(&write.transaction, &policy.dead_letter_queue)? {
        return Ok(Some(policy.clone()));
    }
    tracing::warn!(
        queue,
        dead_letter_queue = policy.dead_letter_queue,
        "the dead-letter queue does not exist, so messages stay in their queue"
    );
    Ok(None)
}

fn candidates(
    write: &Write<'_>,
    queue: &str,
    settings: &QueueSettings,
    limit: usize,
) -> Result<Vec<Stored>, ServiceError> {
    let oldest = write.now - settings.retention_seconds * 1_000;
    // A group is locked while one of its messages is in flight, and behind a
    // message that is still delayed.
    let sql = if settings.fifo {
        format!(
            "SELECT {} FROM message m
             WHERE m.queue = ?1 AND m.visible <= ?2 AND m.sent > ?3 AND NOT EXISTS (
                 SELECT 1 FROM message o
                 WHERE o.queue = ?1 AND o.message_group = m.message_group AND o.visible > ?2
                   AND (o.receives > 0 OR o.place < m.place))
             ORDER BY m.place LIMIT ?4",
            Stored::COLUMNS
        )
    } else {
        format!(
            "SELECT {} FROM message m
             WHERE m.queue = ?1 AND m.visible <= ?2 AND m.sent > ?3
             ORDER BY m.visible, m.place LIMIT ?4",
            Stored::COLUMNS
        )
    };
    let mut statement = write.transaction.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![queue, write.now, oldest, limit as i64],
        Stored::from_row,
    )?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

fn move_to_dead_letters(
    write: &mut Write<'_>,
    queue: &str,
    stored: &Stored,
    policy: &RedrivePolicy,
) -> Result<(), ServiceError> {
    write
        .transaction
        .prepare_cached(
            "UPDATE message SET queue = ?, visible = ?, receives = 0, first_received = NULL,
                                receipt = NULL, origin = ?
             WHERE place = ?",
        )?
        .execute(params![
            policy.dead_letter_queue,
            write.now,
            names::queue_arn(queue),
            stored.place
        ])?;
    write.touch(&policy.dead_letter_queue);
    write.touch(queue);
    Ok(())
}

fn hand_out(
    write: &Write<'_>,
    settings: &QueueSettings,
    stored: Stored,
    visible_again: i64,
) -> Result<Message, ServiceError> {
    let receipt_handle = format!("{}#{}", stored.place, Uuid::new_v4().simple());
    let first_received = stored.first_received.unwrap_or(write.now);
    write
        .transaction
        .prepare_cached(
            "UPDATE message SET visible = ?, receives = receives + 1, first_received = ?, receipt = ?
             WHERE place = ?",
        )?
        .execute(params![
            visible_again,
            first_received,
            receipt_handle,
            stored.place
        ])?;
    let mut system_attributes = std::collections::BTreeMap::from([
        ("SenderId".to_owned(), names::ACCOUNT.to_owned()),
        ("SentTimestamp".to_owned(), stored.sent.to_string()),
        (
            "ApproximateReceiveCount".to_owned(),
            (stored.receives + 1).to_string(),
        ),
        (
            "ApproximateFirstReceiveTimestamp".to_owned(),
            first_received.to_string(),
        ),
    ]);
    if settings.fifo {
        system_attributes.insert("SequenceNumber".to_owned(), sequence_number(stored.place));
    }
    let optional = [
        ("MessageGroupId", stored.group),
        ("MessageDeduplicationId", stored.deduplication),
        ("DeadLetterQueueSourceArn", stored.origin),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            system_attributes.insert(name.to_owned(), value);
        }
    }
    for (name, attribute) in parse_attributes(stored.system_attributes.as_deref())? {
        if let Some(value) = attribute.string_value {
            system_attributes.insert(name, value);
        }
    }
    Ok(Message {
        message_id: stored.id,
        receipt_handle,
        body: stored.body,
        system_attributes,
        attributes: parse_attributes(stored.attributes.as_deref())?,
    })
}

fn parse_attributes(stored: Option<&str>) -> Result<MessageAttributes, ServiceError> {
    match stored {
        Some(stored) => Ok(serde_json::from_str(stored)?),
        None => Ok(MessageAttributes::new()),
    }
}

/// The place that a receipt handle names.
fn place_of(receipt_handle: &str) -> Result<i64, ServiceError> {
    let place = receipt_handle
        .split_once('#')
        .and_then(|(place, _)| place.parse().ok());
    place.ok_or_else(|| {
        ServiceError::client(
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{receipt_handle}\" is not a valid receipt handle."),
        )
    })
}

/// Deletes the message of a receipt. Says whether there was one: an older
/// receipt, or a message that is gone, is no error.
pub(crate) fn delete(
    write: &mut Write<'_>,
    queue: &str,
    receipt_handle: &str,
) -> Result<bool, ServiceError> {
    let place = place_of(receipt_handle)?;
    let deleted = write
        .transaction
        .prepare_cached("DELETE FROM message WHERE place = ? AND queue = ? AND receipt = ?")?
        .execute(params![place, queue, receipt_handle])?;
    write.touch(queue);
    Ok(deleted > 0)
}

/// Lets a message become visible in `seconds` from now. Zero: at once.
pub(crate) fn change_visibility(
    write: &mut Write<'_>,
    queue: &str,
    receipt_handle: &str,
    seconds: i64,
) -> Result<(), ServiceError> {
    if !(0..=LONGEST_INVISIBLE_SECONDS).contains(&seconds) {
        return Err(ServiceError::client(
            "InvalidParameterValue",
            format!(
                "Value {seconds} for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and 43200."
            ),
        ));
    }
    let place = place_of(receipt_handle)?;
    let changed = write
        .transaction
        .prepare_cached(
            "UPDATE message SET visible = ? WHERE place = ? AND queue = ? AND receipt = ? AND visible > ?",
        )?
        .execute(params![
            write.now + seconds * 1_000,
            place,
            queue,
            receipt_handle,
            write.now
        ])?;
    if changed == 0 {
        return Err(ServiceError::client(
            "MessageNotInflight",
            "The specified message isn't in flight.",
        ));
    }
    write.touch(queue);
    Ok(())
}

/// How many messages the queue holds at `now`.
pub(crate) fn counts(
    connection: &Connection,
    queue: &str,
    now: i64,
) -> Result<Counts, ServiceError> {
    let counts = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE visible <= ?2),
                    count(*) FILTER (WHERE visible > ?2 AND receives > 0),
                    count(*) FILTER (WHERE visible > ?2 AND receives = 0)
             FROM message WHERE queue = ?1",
        )?
        .query_row(params![queue, now], |row| {
            Ok(Counts {
                visible: row.get(0)?,
                in_flight: row.get(1)?,
                delayed: row.get(2)?,
            })
        })?;
    Ok(counts)
}

/// When the next message that is not visible at `now` becomes so.
pub(crate) fn earliest_due(
    connection: &Connection,
    queue: &str,
    now: i64,
) -> Result<Option<i64>, ServiceError> {
    let due = connection
        .prepare_cached("SELECT MIN(visible) FROM message WHERE queue = ? AND visible > ?")?
        .query_row(params![queue, now], |row| row.get(0))?;
    Ok(due)
}

/// Deletes what is older than its queue keeps messages. Says how many.
pub(crate) fn delete_expired(write: &mut Write<'_>) -> Result<usize, ServiceError> {
    let queues: Vec<String> = {
        let mut statement = write.transaction.prepare_cached("SELECT name FROM queue")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    let mut deleted = 0;
    for queue in queues {
        let settings = settings(&write.transaction, &queue)?;
        let oldest = write.now - settings.retention_seconds * 1_000;
        deleted += write
            .transaction
            .prepare_cached("DELETE FROM message WHERE queue = ? AND sent <= ?")?
            .execute(params![queue, oldest])?;
    }
    Ok(deleted)
}
