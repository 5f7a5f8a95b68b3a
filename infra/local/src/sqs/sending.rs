//! How a message gets into a queue: what is checked, and what FIFO queues
//! remember.

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::attributes::QueueSettings;
use super::message::{self, MessageAttributes, OutgoingMessage, Sent};
use super::queue::{sequence_number, settings};
use crate::error::ServiceError;
use crate::store::Write;

/// How long FIFO queues remember a deduplication id.
const DEDUPLICATION_WINDOW_MILLIS: i64 = 5 * 60 * 1_000;

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

fn stored_attributes_of(attributes: &MessageAttributes) -> Result<Option<String>, ServiceError> {
    if attributes.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_string(attributes)?))
}
