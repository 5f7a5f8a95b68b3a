//! The index of objects: what is there, under which key, in which blob.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Row, params};
use s3s::dto::{ETag, ETagCondition};
use serde::{Deserialize, Serialize};

use crate::error::ServiceError;
use crate::store::Write;

/// What an object answers with beside its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Headers {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) cache_control: Option<String>,
    /// The user's own metadata.
    pub(super) metadata: BTreeMap<String, String>,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObjectRow {
    pub(super) key: String,
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified: i64,
    /// JSON of [`Headers`], read only where they are wanted.
    headers: String,
}

impl ObjectRow {
    const COLUMNS: &str = "key, blob, size, etag, modified, headers";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            blob: row.get(1)?,
            size: row.get(2)?,
            etag: row.get(3)?,
            modified: row.get(4)?,
            headers: row.get(5)?,
        })
    }

    pub(super) fn headers(&self) -> Result<Headers, ServiceError> {
        Ok(serde_json::from_str(&self.headers)?)
    }
}

/// An object that is to be put into the index.
#[derive(Debug)]
pub(super) struct NewObject<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) blob: &'a str,
    pub(super) size: u64,
    pub(super) etag: &'a str,
    pub(super) headers: &'a Headers,
}

/// The conditions of a write: `If-Match` and `If-None-Match`.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// Checks the conditions against what is there now.
    pub(super) fn check(&self, key: &str, present: Option<&ObjectRow>) -> Result<(), ServiceError> {
        let failed = |condition: &str| ServiceError {
            status: 412,
            code: "PreconditionFailed",
            message: format!(
                "At least one of the pre-conditions you specified did not hold: {condition}"
            ),
        };
        if let Some(condition) = &self.if_match {
            let Some(present) = present else {
                return Err(no_such_key(key));
            };
            if !condition_matches(condition, &present.etag) {
                return Err(failed("If-Match"));
            }
        }
        match (&self.if_none_match, present) {
            (Some(condition), Some(present)) if condition_matches(condition, &present.etag) => {
                Err(failed("If-None-Match"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether an ETag condition holds for an object with this ETag.
pub(super) fn condition_matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(expected) | ETag::Weak(expected)) => expected == etag,
    }
}

pub(super) fn no_such_key(key: &str) -> ServiceError {
    ServiceError::missing(
        "NoSuchKey",
        format!("The specified key does not exist: {key}"),
    )
}

/// Fails if the bucket is not there.
pub(super) fn check_bucket(connection: &Connection, bucket: &str) -> Result<(), ServiceError> {
    let is_there = connection
        .prepare_cached("SELECT 1 FROM bucket WHERE name = ?")?
        .exists([bucket])?;
    if is_there {
        return Ok(());
    }
    Err(ServiceError::missing(
        "NoSuchBucket",
        format!("The specified bucket does not exist: {bucket}"),
    ))
}

/// The object under a key, if there is one.
pub(super) fn find(
    connection: &Connection,
    bucket: &str,
    key: &str,
) -> Result<Option<ObjectRow>, ServiceError> {
    let sql = format!(
        "SELECT {} FROM object WHERE bucket = ? AND key = ?",
        ObjectRow::COLUMNS
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row([bucket, key], ObjectRow::from_row)
        .optional()?;
    Ok(found)
}

/// The object under a key, or the error that says which of the two is missing.
pub(super) fn get(
    connection: &Connection,
    bucket: &str,
    key: &str,
) -> Result<ObjectRow, ServiceError> {
    check_bucket(connection, bucket)?;
    find(connection, bucket, key)?.ok_or_else(|| no_such_key(key))
}

/// Objects with keys greater than `after`, in order.
pub(super) fn after(
    connection: &Connection,
    bucket: &str,
    after: &str,
    at_or_after: &str,
    limit: usize,
) -> Result<Vec<ObjectRow>, ServiceError> {
    let sql = format!(
        "SELECT {} FROM object WHERE bucket = ?1 AND key > ?2 AND key >= ?3 ORDER BY key LIMIT ?4",
        ObjectRow::COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![bucket, after, at_or_after, limit as i64],
        ObjectRow::from_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts an object into the index under a new sequencer, which is returned. What
/// was there before is replaced.
pub(super) fn put(write: &Write<'_>, object: &NewObject<'_>) -> Result<String, ServiceError> {
    let sequencer = next_sequencer(write)?;
    write
        .transaction
        .prepare_cached(
            "INSERT INTO object (bucket, key, blob, size, etag, sequencer, modified, headers)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (bucket, key) DO UPDATE SET
                 blob = ?3, size = ?4, etag = ?5, sequencer = ?6, modified = ?7, headers = ?8",
        )?
        .execute(params![
            object.bucket,
            object.key,
            object.blob,
            object.size as i64,
            object.etag,
            sequencer,
            write.now,
            serde_json::to_string(object.headers)?,
        ])?;
    Ok(sequencer)
}

/// Takes an object out of the index. Returns the sequencer of its removal.
pub(super) fn remove(write: &Write<'_>, bucket: &str, key: &str) -> Result<String, ServiceError> {
    write
        .transaction
        .prepare_cached("DELETE FROM object WHERE bucket = ? AND key = ?")?
        .execute([bucket, key])?;
    next_sequencer(write)
}

/// A sequencer greater than all before it, also as text: the time in
/// microseconds, or one more than the last where the clock has not moved on.
/// Eighteen hexadecimal digits.
fn next_sequencer(write: &Write<'_>) -> Result<String, ServiceError> {
    let value: i64 = write
        .transaction
        .prepare_cached("UPDATE sequencer SET value = MAX(value + 1, ?) RETURNING value")?
        .query_row([write.now * 1_000], |row| row.get(0))?;
    Ok(format!("{value:018X}"))
}

/// The names of all blobs that something refers to.
pub(super) fn blobs(connection: &Connection) -> Result<HashSet<String>, ServiceError> {
    let mut statement =
        connection.prepare("SELECT blob FROM object UNION SELECT blob FROM part")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::store::Store;

    #[test]
    fn sequencers_rise_whatever_the_clock_does() {
        let clock = ManualClock::new(1_700_000_000_000);
        let store = Store::open(None, &[super::super::SCHEMA], Arc::new(clock.clone())).unwrap();
        let next = || store.write(|write| next_sequencer(write)).unwrap();
        let mut last = next();
        assert!(last.len() >= 16);
        for step in 0..5 {
            if step == 3 {
                clock.advance(Duration::from_millis(1));
            }
            let sequencer = next();
            assert!(sequencer > last, "{sequencer} after {last}");
            last = sequencer;
        }
    }
}
