//! Message move tasks: how dead letters go back to where they came from.
//!
//! AWS moves messages over time; here a task has moved everything before it is
//! answered, so it is always seen completed. A moved message is a new one, with
//! an id and a time of its own, as on AWS.

use rusqlite::params;
use serde_json::{Value, json};
use uuid::Uuid;

use super::queue;
use crate::error::ServiceError;
use crate::names;
use crate::store::Write;

struct DeadLetter {
    place: i64,
    origin: Option<String>,
}

/// Moves every visible message of `source` to `destination`, or each to the
/// queue it came from. Returns the handle of the task.
pub(crate) fn start(
    write: &mut Write<'_>,
    source: &str,
    destination: Option<&str>,
) -> Result<String, ServiceError> {
    queue::attributes(&write.transaction, source)?;
    if let Some(destination) = destination {
        queue::attributes(&write.transaction, destination)?;
    }
    let letters = dead_letters(write, source)?;
    let mut moved = 0;
    let mut failure = None;
    for letter in &letters {
        let origin = letter.origin.as_deref().and_then(names::queue_of_arn);
        let Some(target) = destination.or(origin) else {
            failure = Some("CouldNotDetermineMessageSource");
            continue;
        };
        if !queue::exists(&write.transaction, target)? {
            failure = Some("AWS.SimpleQueueService.NonExistentQueue");
            continue;
        }
        requeue(write, letter, target)?;
        moved += 1;
    }
    write.touch(source);
    let handle = Uuid::new_v4().to_string();
    write.transaction.execute(
        "INSERT INTO move_task VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            handle,
            source,
            destination,
            moved,
            letters.len() as i64,
            failure,
            write.now
        ],
    )?;
    Ok(handle)
}

fn dead_letters(write: &Write<'_>, source: &str) -> Result<Vec<DeadLetter>, ServiceError> {
    let mut statement = write.transaction.prepare_cached(
        "SELECT place, origin FROM message WHERE queue = ? AND visible <= ? ORDER BY place",
    )?;
    let rows = statement.query_map(params![source, write.now], |row| {
        Ok(DeadLetter {
            place: row.get(0)?,
            origin: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts the message at the end of `target`, as if it had been sent now.
fn requeue(write: &mut Write<'_>, letter: &DeadLetter, target: &str) -> Result<(), ServiceError> {
    write
        .transaction
        .prepare_cached(
            "INSERT INTO message (queue, id, body, attributes, system_attributes, message_group,
                                  deduplication, sent, visible)
             SELECT ?, ?, body, attributes, system_attributes, message_group, deduplication, ?, ?
             FROM message WHERE place = ?",
        )?
        .execute(params![
            target,
            Uuid::new_v4().to_string(),
            write.now,
            write.now,
            letter.place
        ])?;
    write
        .transaction
        .prepare_cached("DELETE FROM message WHERE place = ?")?
        .execute([letter.place])?;
    write.touch(target);
    Ok(())
}

/// The latest tasks of `source`, newest first, as the API lists them.
pub(crate) fn list(
    connection: &rusqlite::Connection,
    source: &str,
    limit: i64,
) -> Result<Vec<Value>, ServiceError> {
    let mut statement = connection.prepare_cached(
        "SELECT destination, moved, to_move, failure, started FROM move_task
         WHERE source = ? ORDER BY started DESC LIMIT ?",
    )?;
    let rows = statement.query_map(params![source, limit], |row| {
        let destination: Option<String> = row.get(0)?;
        let failure: Option<String> = row.get(3)?;
        let mut task = json!({
            "Status": if failure.is_some() { "FAILED" } else { "COMPLETED" },
            "SourceArn": names::queue_arn(source),
            "ApproximateNumberOfMessagesMoved": row.get::<_, i64>(1)?,
            "ApproximateNumberOfMessagesToMove": row.get::<_, i64>(2)?,
            "StartedTimestamp": row.get::<_, i64>(4)?,
        });
        if let Some(destination) = destination {
            task["DestinationArn"] = names::queue_arn(&destination).into();
        }
        if let Some(failure) = failure {
            task["FailureReason"] = failure.into();
        }
        Ok(task)
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
