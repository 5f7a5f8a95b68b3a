//! How a message gets out of a queue: handed out, given back, deleted, or moved
//! to the dead letters.

use std::collections::BTreeMap;

use rusqlite::{Row, params};
use uuid::Uuid;

use super::attributes::{QueueSettings, RedrivePolicy};
use super::message::{Message, MessageAttributes};
use super::queue::{exists, sequence_number, settings};
use crate::error::ServiceError;
use crate::names;
use crate::store::Write;

/// The longest that a message can stay invisible: twelve hours.
const LONGEST_INVISIBLE_SECONDS: i64 = 43_200;

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
    let mut system_attributes = BTreeMap::from([
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
