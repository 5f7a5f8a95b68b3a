//! The letters of a run in the order in which they are replayed, and what became of many of them at once.

use millrace_events::Failure;
use rusqlite::{Row, params, params_from_iter};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Catalogue, CatalogueError, Desk, LetterCopy, Progress, Selection,
    catalogue::{COPY_COLUMNS, copy_of_row, id_of},
    selection::millis,
};

/// Copies that are put back in one go.
const PAGE: usize = 1_000;

/// A letter of a run that was not tried yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The letter.
    pub letter: Uuid,
    /// Its worker.
    pub worker: String,
    /// What it is about.
    pub subject: String,
    /// When it was first given up, in milliseconds since 1970: the order.
    pub first: i64,
}

/// How far a letter of a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The letter.
    pub letter: Uuid,
    /// How far it is.
    pub progress: Progress,
    /// More words.
    pub note: Option<String>,
}

impl Catalogue {
    /// The letters of a run that wait, oldest first, behind the given one.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn run_waiting(
        &self,
        run: Uuid,
        after: Option<&Waiting>,
        limit: usize,
    ) -> Result<Vec<Waiting>, CatalogueError> {
        let (first, id) = place_of(after);
        let connection = self.connection();
        // CROSS JOIN keeps the order of the tables: letters by age from where the last page ended, never all of them.
        let mut statement = connection.prepare_cached(
            "SELECT letter.id, letter.worker, letter.subject, letter.first
             FROM letter CROSS JOIN run_letter ON run_letter.run = ?1 AND run_letter.letter = letter.id
             WHERE run_letter.progress = 'waiting' AND (letter.first, letter.id) > (?2, ?3)
             ORDER BY letter.first, letter.id LIMIT ?4",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let asked = params![run.simple().to_string(), first, id, limit];
        let rows = statement.query_map(asked, waiting_of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The letters of a selection that are there, oldest first, behind the given one.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn oldest(
        &self,
        selection: &Selection,
        after: Option<&Waiting>,
        limit: usize,
    ) -> Result<Vec<Waiting>, CatalogueError> {
        let (condition, mut values) = selection.condition();
        let (first, id) = place_of(after);
        values.extend([first.into(), id.into()]);
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT letter.id, letter.worker, letter.subject, letter.first FROM letter
             WHERE letter.state = 'here' AND {condition} AND (letter.first, letter.id) > (?, ?)
             ORDER BY letter.first, letter.id LIMIT ?"
        ))?;
        let rows = statement.query_map(params_from_iter(values), waiting_of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The copies of a selection's letters that are invisible to others because we hold them; in pages by number.
    fn held_of(
        &self,
        selection: &Selection,
        after: i64,
        now: OffsetDateTime,
        limit: usize,
    ) -> Result<Vec<LetterCopy>, CatalogueError> {
        let (condition, mut values) = selection.condition();
        values.extend([after.into(), millis(now).into()]);
        values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COPY_COLUMNS} FROM letter CROSS JOIN copy ON copy.letter = letter.id
             WHERE {condition} AND copy.state = 'here' AND copy.receipt IS NOT NULL
               AND copy.number > ? AND copy.visible_at > ?
             ORDER BY copy.number LIMIT ?"
        ))?;
        let rows = statement.query_map(params_from_iter(values), copy_of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Leaves only the oldest letters of a run waiting; the others are skipped. Says how many.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn keep_oldest(
        &self,
        run: Uuid,
        count: u64,
        note: &str,
        now: OffsetDateTime,
    ) -> Result<u64, CatalogueError> {
        self.write(|transaction| {
            let skipped = transaction.execute(
                "UPDATE run_letter SET progress = 'skipped', note = ?2, at = ?3
                 WHERE run = ?1 AND progress = 'waiting' AND letter NOT IN (
                     SELECT letter.id FROM run_letter AS mine JOIN letter ON letter.id = mine.letter
                     WHERE mine.run = ?1 AND mine.progress = 'waiting'
                     ORDER BY letter.first, letter.id LIMIT ?4)",
                params![
                    run.simple().to_string(),
                    note,
                    millis(now),
                    i64::try_from(count).unwrap_or(i64::MAX)
                ],
            )?;
            Ok(skipped as u64)
        })
    }

    /// Says how far several letters are, each for itself, in one transaction.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn mark_each(
        &self,
        run: Uuid,
        marked: &[Marked],
        now: OffsetDateTime,
    ) -> Result<(), CatalogueError> {
        let run = run.simple().to_string();
        self.write(|transaction| {
            let mut statement = transaction
                .prepare_cached("INSERT OR REPLACE INTO run_letter VALUES (?, ?, ?, ?, ?)")?;
            for one in marked {
                statement.execute(params![
                    run,
                    one.letter.simple().to_string(),
                    one.progress.word(),
                    millis(now),
                    one.note
                ])?;
            }
            Ok(())
        })
    }
}

impl Desk {
    /// About how many messages lie in the dead-letter queues, as the queues say.
    ///
    /// # Errors
    /// A [`Failure`] when the queues cannot be listed.
    pub async fn approximate_total(&self) -> Result<u64, Failure> {
        let mut total = 0;
        for queue in self.queues().await? {
            // A queue that cannot be counted cannot be read either, and the reading says so.
            if let Ok((visible, _)) = self.counts_of(&queue).await {
                total += visible;
            }
        }
        Ok(total)
    }

    /// Makes visible again what is still held of a selection.
    ///
    /// # Errors
    /// A [`Failure`] when the catalogue cannot be written or a queue is gone.
    pub async fn release_selection(&self, selection: &Selection) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let now = self.clock().now();
            let page = self.catalogue().held_of(selection, after, now, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.number;
            self.release(&page).await?;
        }
    }
}

/// Where a page begins: behind this letter.
fn place_of(after: Option<&Waiting>) -> (i64, String) {
    after.map_or((i64::MIN, String::new()), |waiting| {
        (waiting.first, waiting.letter.simple().to_string())
    })
}

fn waiting_of_row(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        letter: id_of(&row.get::<_, String>(0)?),
        worker: row.get(1)?,
        subject: row.get(2)?,
        first: row.get(3)?,
    })
}
