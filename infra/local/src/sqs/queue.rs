//! Queues themselves. Each step here and in the files beside it happens inside a
//! transaction of the caller, so that other services can make a message part of
//! their own effect.

use rusqlite::{Connection, OptionalExtension, params};

use super::attributes::{AttributeMap, QueueSettings};
pub(crate) use super::receiving::{change_visibility, delete, receive};
pub(crate) use super::sending::send;
use crate::error::ServiceError;
use crate::store::Write;

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

/// The sequence number of the message at a place: 20 digits.
pub(super) fn sequence_number(place: i64) -> String {
    format!("{place:020}")
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
