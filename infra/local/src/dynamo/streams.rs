//! The stream log of the engine, read and kept in order from the side.
//!
//! The engine writes its log without an index and never shortens it, so that
//! every write gets slower with all those before it. The index and the trimming
//! here keep a write as fast as the first one. The layout is that of dynoxide
//! 3.2.0, which the workspace pins.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};

use super::CallError;
use crate::error::ServiceError;
use crate::names;

/// What the engine adds to a stored number to make it a sequence number of 21
/// digits.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// How long a stream keeps its records, in seconds.
const RETENTION_SECONDS: i64 = 24 * 60 * 60;

/// The stream of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamDescription {
    /// The ARN of the stream.
    pub arn: String,
    /// The label: it tells this stream from one that the table had before.
    pub label: String,
    /// What the records carry, such as `NEW_AND_OLD_IMAGES`.
    pub view_type: String,
}

/// Connects to the engine's database and gives its log the indexes it needs.
pub(super) fn prepare(path: &str) -> rusqlite::Result<Connection> {
    let side = Connection::open(path)?;
    side.pragma_update(None, "synchronous", "NORMAL")?;
    side.execute_batch(
        "CREATE INDEX IF NOT EXISTS millrace_stream_by_sequence
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
         CREATE INDEX IF NOT EXISTS millrace_stream_by_age ON _stream_records (created_at);",
    )?;
    Ok(side)
}

/// Gives the records behind the one of this id the time that it is, and answers the id of the newest.
pub(super) fn stamp(side: &Connection, after: i64, now_millis: i64) -> rusqlite::Result<i64> {
    side.prepare_cached("UPDATE _stream_records SET created_at = ?1 WHERE id > ?2")?
        .execute([now_millis / 1_000, after])?;
    side.prepare_cached("SELECT MAX(?1, COALESCE(MAX(id), 0)) FROM _stream_records")?
        .query_row([after], |row| row.get(0))
}

/// The id of the newest record of any table.
pub(super) fn newest(side: &Connection) -> rusqlite::Result<i64> {
    side.prepare_cached("SELECT COALESCE(MAX(id), 0) FROM _stream_records")?
        .query_row([], |row| row.get(0))
}

/// The records behind the one of this id are of what the service deleted by itself, since its time to live had passed.
pub(super) fn say_it_was_the_service(side: &Connection, after: i64) -> rusqlite::Result<()> {
    let identity = r#"{"type":"Service","principalId":"dynamodb.amazonaws.com"}"#;
    side.prepare_cached("UPDATE _stream_records SET user_identity = ?1 WHERE id > ?2")?
        .execute(params![identity, after])?;
    Ok(())
}

/// Deletes records older than the retention. The newest of each table stays,
/// so that sequence numbers go on from it whatever the clock does.
pub(super) fn trim(side: &Connection, now_millis: i64) -> Result<usize, ServiceError> {
    let deleted = side
        .prepare_cached(
            "DELETE FROM _stream_records WHERE created_at < ?
             AND id NOT IN (SELECT MAX(id) FROM _stream_records GROUP BY table_name)",
        )?
        .execute([oldest_kept(now_millis)])?;
    Ok(deleted)
}

/// Deletes all records of a table that is gone.
pub(super) fn forget(side: &Connection, table: &str) -> rusqlite::Result<usize> {
    side.execute("DELETE FROM _stream_records WHERE table_name = ?", [table])
}

fn oldest_kept(now_millis: i64) -> i64 {
    now_millis / 1_000 - RETENTION_SECONDS
}

/// The stream of a table, or the error that it has none.
pub(super) fn describe(side: &Connection, table: &str) -> Result<StreamDescription, ServiceError> {
    let found: Option<(String, Option<String>)> = side
        .prepare_cached(
            "SELECT stream_label, stream_view_type FROM _tables
             WHERE table_name = ? AND stream_enabled = 1 AND stream_label IS NOT NULL",
        )?
        .query_row([table], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (label, view_type) = found.ok_or_else(|| {
        ServiceError::client(
            "ResourceNotFoundException",
            format!("the table {table} does not exist, or has no stream"),
        )
    })?;
    Ok(StreamDescription {
        arn: names::stream_arn(table, &label),
        label,
        view_type: view_type.unwrap_or_else(|| "NEW_AND_OLD_IMAGES".to_owned()),
    })
}

/// The sequence number of the newest record that is kept and says something: nobody is ever given one that does not.
pub(super) fn latest_sequence_number(
    side: &Connection,
    table: &str,
) -> Result<Option<String>, ServiceError> {
    let mut statement = side.prepare_cached(
        "SELECT CAST(sequence_number AS INTEGER), old_image, new_image FROM _stream_records
         WHERE table_name = ? ORDER BY id DESC",
    )?;
    // Asked every few milliseconds: the log's own order is that of the sequence, so this ends at the first row as a rule.
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let (old, new): (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
        let says_nothing = match (&old, &new) {
            (Some(old), Some(new)) => {
                same_item(&serde_json::from_str(old)?, &serde_json::from_str(new)?)
            }
            _ => false,
        };
        if !says_nothing {
            return Ok(Some(public_sequence_number(row.get(0)?)));
        }
    }
    Ok(None)
}

fn public_sequence_number(stored: i64) -> String {
    (SEQUENCE_OFFSET + u128::from(stored.unsigned_abs())).to_string()
}

fn stored_sequence_number(public: &str) -> Result<i64, ServiceError> {
    let parsed: Option<i64> = public
        .parse::<u128>()
        .ok()
        .and_then(|number| number.checked_sub(SEQUENCE_OFFSET))
        .and_then(|number| i64::try_from(number).ok());
    parsed.ok_or_else(|| {
        ServiceError::client(
            "ValidationException",
            format!("{public} is not a sequence number of this stream"),
        )
    })
}

/// A record as the log has it.
struct Logged {
    id: i64,
    event_name: String,
    keys: String,
    new_image: Option<String>,
    old_image: Option<String>,
    sequence: i64,
    created_seconds: i64,
    user_identity: Option<String>,
    event_id: Option<String>,
}

impl Logged {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            event_name: row.get(1)?,
            keys: row.get(2)?,
            new_image: row.get(3)?,
            old_image: row.get(4)?,
            sequence: row.get(5)?,
            created_seconds: row.get(6)?,
            user_identity: row.get(7)?,
            event_id: row.get(8)?,
        })
    }

    fn size(&self) -> usize {
        let image_size = |image: &Option<String>| image.as_ref().map_or(0, String::len);
        self.keys.len() + image_size(&self.new_image) + image_size(&self.old_image)
    }

    /// The record of a Lambda event, or `None` for a write that changed
    /// nothing: DynamoDB has no record of those.
    fn to_event(&self, stream: &StreamDescription) -> Result<Option<Value>, ServiceError> {
        let image = |stored: &Option<String>| -> Result<Option<Value>, ServiceError> {
            let parsed = stored.as_deref().map(serde_json::from_str).transpose();
            Ok(parsed?)
        };
        let (old_image, new_image) = (image(&self.old_image)?, image(&self.new_image)?);
        if let (Some(old), Some(new)) = (&old_image, &new_image)
            && same_item(old, new)
        {
            return Ok(None);
        }
        let mut change = json!({
            "ApproximateCreationDateTime": self.created_seconds,
            "Keys": serde_json::from_str::<Value>(&self.keys)?,
            "SequenceNumber": public_sequence_number(self.sequence),
            "SizeBytes": self.size(),
            "StreamViewType": stream.view_type,
        });
        for (name, image) in [("NewImage", new_image), ("OldImage", old_image)] {
            if let Some(image) = image {
                change[name] = image;
            }
        }
        let event_id = self.event_id.clone();
        let mut event = json!({
            "eventID": event_id.unwrap_or_else(|| self.sequence.to_string()),
            "eventName": self.event_name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": names::REGION,
            "dynamodb": change,
            "eventSourceARN": stream.arn,
        });
        if let Some(identity) = &self.user_identity {
            event["userIdentity"] = serde_json::from_str(identity)?;
        }
        Ok(Some(event))
    }
}

/// Up to `limit` records after a sequence number, oldest first.
pub(super) fn records(
    side: &Connection,
    table: &str,
    after_sequence_number: Option<&str>,
    limit: usize,
    now_millis: i64,
) -> Result<Vec<Value>, ServiceError> {
    let stream = describe(side, table)?;
    let mut after = match after_sequence_number {
        Some(public) => stored_sequence_number(public)?,
        None => 0,
    };
    let mut events = Vec::new();
    while events.len() < limit {
        let wanted = limit - events.len();
        let logged = logged_after(side, table, after, wanted, oldest_kept(now_millis))?;
        for record in &logged {
            after = record.sequence;
            match record.to_event(&stream)? {
                Some(event) => events.push(event),
                None => forget_record(side, record.id)?,
            }
        }
        if logged.len() < wanted {
            break;
        }
    }
    Ok(events)
}

/// What a `GetShardIterator` request is refused for and the engine knows nothing of: a stream that the table
/// has no more, and a record that is older than the retention.
pub(super) fn check_position(
    side: &Connection,
    request: &[u8],
    now_millis: i64,
) -> Result<(), CallError> {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let arn = request["StreamArn"].as_str().unwrap_or_default();
    let table = arn.split('/').nth(1).unwrap_or_default();
    let internal = |error: ServiceError| refused("InternalServerError", 500, &error.to_string());
    if describe(side, table).is_ok_and(|stream| stream.arn != arn) {
        let message = format!("Requested resource not found: Stream: {arn} not found");
        return Err(refused("ResourceNotFoundException", 400, &message));
    }
    let Some(public) = request["SequenceNumber"].as_str() else {
        return Ok(());
    };
    // The engine says what is wrong with what is no number.
    let Ok(wanted) = stored_sequence_number(public) else {
        return Ok(());
    };
    let oldest = oldest_record(side, table, oldest_kept(now_millis)).map_err(internal)?;
    if request["ShardIteratorType"] == "AT_SEQUENCE_NUMBER"
        && oldest.is_none_or(|oldest| wanted < oldest)
    {
        let message = format!(
            "The operation attempted to read past the oldest stream record in a shard: {public}"
        );
        return Err(refused("TrimmedDataAccessException", 400, &message));
    }
    Ok(())
}

fn refused(code: &str, status: u16, message: &str) -> CallError {
    let body =
        json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message});
    CallError {
        status,
        body: body.to_string(),
    }
}

/// The stored number of the oldest record that is young enough.
fn oldest_record(side: &Connection, table: &str, oldest: i64) -> Result<Option<i64>, ServiceError> {
    let mut statement = side.prepare_cached(
        "SELECT MIN(CAST(sequence_number AS INTEGER)) FROM _stream_records
         WHERE table_name = ?1 AND created_at >= ?2",
    )?;
    Ok(statement.query_row(params![table, oldest], |row| row.get(0))?)
}

fn logged_after(
    side: &Connection,
    table: &str,
    after: i64,
    limit: usize,
    oldest: i64,
) -> Result<Vec<Logged>, ServiceError> {
    let mut statement = side.prepare_cached(
        "SELECT id, event_name, keys_json, new_image, old_image,
                CAST(sequence_number AS INTEGER), created_at, user_identity, event_id
         FROM _stream_records
         WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) > ?2 AND created_at >= ?3
         ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?4",
    )?;
    let rows = statement.query_map(
        params![table, after, oldest, limit as i64],
        Logged::from_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A record that says nothing would be read again by every reader. The newest
/// one stays: the next sequence number is counted from it.
fn forget_record(side: &Connection, id: i64) -> Result<(), ServiceError> {
    side.prepare_cached(
        "DELETE FROM _stream_records
         WHERE id = ?1 AND id < (SELECT MAX(id) FROM _stream_records)",
    )?
    .execute([id])?;
    Ok(())
}

/// Whether two items in DynamoDB's JSON are equal: sets have no order.
pub(super) fn same_item(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| match right.get(name) {
                    Some(other) if matches!(name.as_str(), "SS" | "NS" | "BS") => {
                        same_set(value, other)
                    }
                    Some(other) => same_item(value, other),
                    None => false,
                })
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same_item(left, right))
        }
        _ => left == right,
    }
}

fn same_set(left: &Value, right: &Value) -> bool {
    let (Some(left_members), Some(right_members)) = (left.as_array(), right.as_array()) else {
        // An attribute of the item that happens to have such a name.
        return same_item(left, right);
    };
    if left_members.len() != right_members.len() {
        return false;
    }
    let mut counts: HashMap<String, i64> = HashMap::new();
    for member in left_members {
        *counts.entry(member.to_string()).or_default() += 1;
    }
    for member in right_members {
        *counts.entry(member.to_string()).or_default() -= 1;
    }
    counts.values().all(|count| *count == 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn items_are_compared_with_their_sets_in_any_order() {
        let left = json!({"tags": {"SS": ["a", "b"]}, "at": {"L": [{"N": "1"}, {"N": "2"}]}});
        let same = json!({"at": {"L": [{"N": "1"}, {"N": "2"}]}, "tags": {"SS": ["b", "a"]}});
        let other_list = json!({"tags": {"SS": ["a", "b"]}, "at": {"L": [{"N": "2"}, {"N": "1"}]}});
        let other_set = json!({"tags": {"SS": ["a", "c"]}, "at": {"L": [{"N": "1"}, {"N": "2"}]}});
        assert!(same_item(&left, &same));
        assert!(!same_item(&left, &other_list));
        assert!(!same_item(&left, &other_set));
        assert!(!same_item(&left, &json!({})));
    }

    #[test]
    fn sequence_numbers_are_read_as_they_are_written() {
        for stored in [1, 1_761_000_000_000_000] {
            let public = public_sequence_number(stored);
            assert_eq!(public.len(), 21);
            assert_eq!(stored_sequence_number(&public).unwrap(), stored);
        }
        assert!(stored_sequence_number("5").is_err());
        assert!(stored_sequence_number("five").is_err());
    }
}
