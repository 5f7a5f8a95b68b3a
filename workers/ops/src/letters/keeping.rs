//! Keeping what a reading finds: the catalogue's side of [`super::Desk::read`].

use rusqlite::{OptionalExtension as _, params, params_from_iter};
use time::OffsetDateTime;

use super::{
    Catalogue, CatalogueError, LetterCopy, Selection,
    catalogue::{COPY_COLUMNS, Sighting, copy_of_row, settle},
    letter::Place,
    selection::{millis, time_of},
};

impl Catalogue {
    /// A new reading begins.
    pub(super) fn begin_reading(&self, now: OffsetDateTime) -> Result<i64, CatalogueError> {
        self.write(|transaction| {
            transaction.execute("INSERT INTO reading (began) VALUES (?)", [millis(now)])?;
            Ok(transaction.last_insert_rowid())
        })
    }

    /// Keeps what was received, in one transaction. Says how many of the messages this reading had seen already.
    pub(super) fn keep(
        &self,
        reading: i64,
        now: OffsetDateTime,
        sightings: &[Sighting],
    ) -> Result<usize, CatalogueError> {
        self.write(|transaction| {
            let mut again = 0;
            for sighting in sightings {
                let letter = &sighting.letter;
                let id = letter.id.simple().to_string();
                let seen: Option<(i64, String)> = transaction
                    .prepare_cached("SELECT reading, letter FROM copy WHERE place = ? AND message_id = ?")?
                    .query_row(params![letter.place.to_string(), sighting.message_id], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?;
                again += usize::from(seen.as_ref().is_some_and(|(number, _)| *number == reading));
                transaction
                    .prepare_cached(
                        "INSERT INTO copy (place, message_id, letter, kind, worker, reason, message, subject, record_ids,
                                           attempts, at, trace_id, edited_from, message_group, receipt, visible_at,
                                           reading, first_seen, last_seen, state, attributes, body)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?18,
                                 'here', ?19, ?20)
                         ON CONFLICT (place, message_id) DO UPDATE SET
                             receipt = excluded.receipt, visible_at = excluded.visible_at, reading = excluded.reading,
                             last_seen = excluded.last_seen, state = 'here', worker = excluded.worker,
                             letter = excluded.letter, reason = excluded.reason, message = excluded.message,
                             subject = excluded.subject, record_ids = excluded.record_ids",
                    )?
                    .execute(params![
                        letter.place.to_string(),
                        sighting.message_id,
                        id,
                        letter.kind.word(),
                        letter.worker,
                        letter.reason,
                        letter.message,
                        letter.subject,
                        serde_json::to_string(&letter.record_ids)?,
                        letter.attempts,
                        millis(letter.last),
                        letter.trace_id,
                        letter.edited_from.map(|id| id.simple().to_string()),
                        letter.group,
                        sighting.receipt,
                        millis(sighting.visible_at),
                        reading,
                        millis(now),
                        serde_json::to_string(&letter.attributes)?,
                        letter.body,
                    ])?;
                settle(transaction, &id)?;
                // Read with other eyes (a queue has another source now) it may be another letter.
                if let Some((_, former)) = seen.filter(|(_, former)| *former != id) {
                    settle(transaction, &former)?;
                }
            }
            Ok(again)
        })
    }

    /// A place was read to its end: what was not seen is gone. Says how many copies.
    pub(super) fn sweep(&self, reading: i64, place: &str) -> Result<usize, CatalogueError> {
        self.write(|transaction| {
            let unseen: Vec<String> = {
                // What was being dropped when the process ended, and is not there any more, is dropped.
                let mut statement = transaction.prepare_cached(
                    "UPDATE copy SET receipt = NULL,
                            state = CASE state WHEN 'dropping' THEN 'dropped' ELSE 'gone' END
                     WHERE place = ? AND state IN ('here', 'dropping') AND reading < ? RETURNING letter",
                )?;
                let rows = statement.query_map(params![place, reading], |row| row.get(0))?;
                rows.collect::<Result<_, _>>()?
            };
            for letter in &unseen {
                settle(transaction, letter)?;
            }
            Ok(unseen.len())
        })
    }

    /// An object that has not changed since it was read: no need to fetch it again.
    pub(super) fn touch(
        &self,
        reading: i64,
        place: &Place,
        tag: &str,
        now: OffsetDateTime,
    ) -> Result<bool, CatalogueError> {
        self.write(|transaction| {
            let touched = transaction
                .prepare_cached(
                    "UPDATE copy SET reading = ?, last_seen = ?
                     WHERE place = ? AND message_id = ? AND state = 'here'",
                )?
                .execute(params![reading, millis(now), place.to_string(), tag])?;
            Ok(touched > 0)
        })
    }

    /// How many copies in a place the reading has seen.
    pub(super) fn seen(&self, reading: i64, place: &str) -> Result<u64, CatalogueError> {
        let connection = self.connection();
        let count: i64 = connection.query_row(
            "SELECT count(*) FROM copy WHERE place = ? AND state = 'here' AND reading = ?",
            params![place, reading],
            |row| row.get(0),
        )?;
        Ok(count.unsigned_abs())
    }

    /// Every place in which the catalogue believes letters to lie.
    pub(super) fn places(&self) -> Result<Vec<Place>, CatalogueError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT DISTINCT place FROM copy WHERE state IN ('here', 'dropping')",
        )?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut places = Vec::new();
        for place in rows {
            places.push(Place::parse(&place?));
        }
        Ok(places)
    }

    /// Copies in queues that this reading holds, beyond those that `keep` selects; in pages by number.
    pub(super) fn held(
        &self,
        reading: i64,
        keep: Option<&Selection>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<LetterCopy>, CatalogueError> {
        let (condition, values) = match keep {
            Some(selection) => selection.condition(),
            None => ("0".to_owned(), Vec::new()),
        };
        let mut all: Vec<rusqlite::types::Value> = vec![reading.into(), after.into()];
        all.extend(values);
        all.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COPY_COLUMNS} FROM copy
             WHERE copy.reading = ? AND copy.number > ? AND copy.receipt IS NOT NULL AND copy.state = 'here'
               AND NOT EXISTS (SELECT 1 FROM letter WHERE letter.id = copy.letter AND {condition})
             ORDER BY copy.number LIMIT ?"
        ))?;
        let rows = statement.query_map(params_from_iter(all), copy_of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// These copies are visible to everybody: their receipts are worth nothing any more.
    pub(super) fn forget_receipts(&self, copies: &[i64]) -> Result<(), CatalogueError> {
        self.write(|transaction| {
            for number in copies {
                transaction
                    .prepare_cached(
                        "UPDATE copy SET receipt = NULL, visible_at = 0 WHERE number = ?",
                    )?
                    .execute([number])?;
            }
            Ok(())
        })
    }

    /// The reading is over.
    pub(super) fn end_reading(
        &self,
        reading: i64,
        now: OffsetDateTime,
    ) -> Result<(), CatalogueError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE reading SET ended = ? WHERE number = ?",
                params![millis(now), reading],
            )?;
            Ok(())
        })
    }

    /// When the last reading that was finished ended.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn read_at(&self) -> Result<Option<OffsetDateTime>, CatalogueError> {
        let connection = self.connection();
        let ended: Option<i64> =
            connection.query_row("SELECT max(ended) FROM reading", [], |row| row.get(0))?;
        Ok(ended.map(time_of))
    }
}
