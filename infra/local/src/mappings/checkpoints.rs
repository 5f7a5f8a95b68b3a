//! How far each lane of each stream mapping has come, on disk.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use super::sources::StreamSource;
use crate::error::ServiceError;
use crate::template::{StartingPosition, StreamMapping};

const SCHEMA: &str = "
-- One row for each lane. `sequence` is the last record that is done, with all before it;
-- NULL stands before the first one.
CREATE TABLE IF NOT EXISTS checkpoint (
    mapping  TEXT NOT NULL,
    stream   TEXT NOT NULL,
    lanes    INTEGER NOT NULL,
    lane     INTEGER NOT NULL,
    sequence TEXT,
    PRIMARY KEY (mapping, lane)
) WITHOUT ROWID;
";

/// The checkpoints of all stream mappings.
#[derive(Debug)]
pub(crate) struct Checkpoints(Mutex<Connection>);

impl Checkpoints {
    /// Opens the file, or a database in memory.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, ServiceError> {
        let connection = match file {
            Some(file) => Connection::open(file)?,
            None => Connection::open_in_memory()?,
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// A panic within a transaction rolls it back: the connection is as good as before.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where each lane of a mapping goes on, made at the first time.
    ///
    /// With another number of lanes, items change lanes: all of them then go on from the one that is
    /// furthest behind, which repeats some records and loses none. A stream that ends before a
    /// checkpoint lost its end (power was cut, a copy was put back) and will use those numbers again:
    /// the checkpoint goes back to the end.
    pub(crate) async fn begin(
        &self,
        mapping: &StreamMapping,
        source: &dyn StreamSource,
    ) -> Result<Vec<Option<String>>, ServiceError> {
        let stored = self.stored(&mapping.id, source.label())?;
        let positions = match stored {
            Stored::SameStream(positions) if positions.len() == mapping.lanes => {
                let latest = source.latest().await?;
                let kept = positions.iter().map(|position| {
                    std::cmp::min_by(position.clone(), latest.clone(), |left, right| {
                        compare(left.as_deref(), right.as_deref())
                    })
                });
                kept.collect()
            }
            Stored::SameStream(positions) => {
                let furthest_behind = positions
                    .into_iter()
                    .min_by(|left, right| compare(left.as_deref(), right.as_deref()))
                    .flatten();
                vec![furthest_behind; mapping.lanes]
            }
            // The table was made anew since: everything in its stream came after.
            Stored::FormerStream => vec![None; mapping.lanes],
            Stored::Nothing => match mapping.starting_position {
                StartingPosition::TrimHorizon => vec![None; mapping.lanes],
                StartingPosition::Latest => vec![source.latest().await?; mapping.lanes],
            },
        };
        self.replace(&mapping.id, source.label(), &positions)?;
        Ok(positions)
    }

    fn stored(&self, mapping: &str, stream: &str) -> Result<Stored, ServiceError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT stream, sequence FROM checkpoint WHERE mapping = ? ORDER BY lane",
        )?;
        let rows: Vec<(String, Option<String>)> = statement
            .query_map([mapping], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(match rows.first() {
            None => Stored::Nothing,
            Some((known, _)) if known != stream => Stored::FormerStream,
            Some(_) => Stored::SameStream(rows.into_iter().map(|(_, sequence)| sequence).collect()),
        })
    }

    fn replace(
        &self,
        mapping: &str,
        stream: &str,
        positions: &[Option<String>],
    ) -> Result<(), ServiceError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM checkpoint WHERE mapping = ?", [mapping])?;
        for (lane, sequence) in positions.iter().enumerate() {
            transaction.execute(
                "INSERT INTO checkpoint (mapping, stream, lanes, lane, sequence) VALUES (?, ?, ?, ?, ?)",
                params![mapping, stream, positions.len() as i64, lane as i64, sequence],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Notes that a lane is done with everything up to a sequence number.
    pub(crate) fn advance(
        &self,
        mapping: &str,
        lane: usize,
        sequence: &str,
    ) -> Result<(), ServiceError> {
        self.connection()
            .prepare_cached("UPDATE checkpoint SET sequence = ? WHERE mapping = ? AND lane = ?")?
            .execute(params![sequence, mapping, lane as i64])?;
        Ok(())
    }
}

enum Stored {
    Nothing,
    FormerStream,
    SameStream(Vec<Option<String>>),
}

/// Compares sequence numbers as numbers: they have no leading zeros and up to 40 digits.
fn compare(left: Option<&str>, right: Option<&str>) -> std::cmp::Ordering {
    let key = |sequence: Option<&str>| sequence.map(|digits| (digits.len(), digits.to_owned()));
    key(left).cmp(&key(right))
}
