//! Runs: what a replay has done so far, so that an interrupted one goes on where it was.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params, params_from_iter};
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Catalogue, CatalogueError, Selection,
    catalogue::id_of,
    selection::{millis, time_of},
};

/// How far a letter is in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It is the run's, and nothing was done yet.
    Waiting,
    /// Its worker was given it; it is not known what came of it.
    Sent,
    /// Its worker handled it.
    Confirmed,
    /// It failed again and is a dead letter once more.
    FailedAgain,
    /// It was left where it is; the note says why.
    Skipped,
}

impl Progress {
    const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Sent,
        Self::Confirmed,
        Self::FailedAgain,
        Self::Skipped,
    ];

    /// The word in the catalogue.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::FailedAgain => "failed-again",
            Self::Skipped => "skipped",
        }
    }

    fn parse(word: &str) -> Self {
        let found = Self::ALL.into_iter().find(|one| one.word() == word);
        found.unwrap_or(Self::Waiting)
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// What was asked for, in the words of who began it (JSON).
    pub what: String,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub began: OffsetDateTime,
    /// When it ended; `None`: it runs, or was interrupted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended: Option<OffsetDateTime>,
}

/// A letter in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunLetter {
    /// The run.
    pub run: Uuid,
    /// The letter.
    pub letter: Uuid,
    /// How far it is.
    pub progress: Progress,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// More words.
    pub note: Option<String>,
}

impl Catalogue {
    /// Begins a run over the letters of a selection: all of them wait.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn begin_run(
        &self,
        id: Uuid,
        what: &str,
        selection: &Selection,
        now: OffsetDateTime,
    ) -> Result<u64, CatalogueError> {
        let (condition, mut values) = selection.condition();
        let run = id.simple().to_string();
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO run (id, what, began) VALUES (?, ?, ?)",
                params![run, what, millis(now)],
            )?;
            let mut all = vec![run.clone().into(), millis(now).into()];
            all.append(&mut values);
            let enlisted = transaction.execute(
                &format!(
                    "INSERT INTO run_letter (run, letter, progress, at)
                     SELECT ?, letter.id, 'waiting', ? FROM letter WHERE letter.state = 'here' AND {condition}"
                ),
                params_from_iter(all),
            )?;
            Ok(enlisted as u64)
        })
    }

    /// Says how far a letter is.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn mark(
        &self,
        run: Uuid,
        letter: Uuid,
        progress: Progress,
        note: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), CatalogueError> {
        self.mark_all(run, &[letter], progress, note, now)
    }

    /// Says how far several letters are, in one transaction.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn mark_all(
        &self,
        run: Uuid,
        letters: &[Uuid],
        progress: Progress,
        note: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), CatalogueError> {
        self.write(|transaction| {
            for letter in letters {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO run_letter VALUES (?, ?, ?, ?, ?)")?
                    .execute(params![
                        run.simple().to_string(),
                        letter.simple().to_string(),
                        progress.word(),
                        millis(now),
                        note
                    ])?;
            }
            Ok(())
        })
    }

    /// The letters of a run that are so far, in the order of their ids, after the given one.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn run_letters(
        &self,
        run: Uuid,
        progress: Progress,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<RunLetter>, CatalogueError> {
        let after = after.map(|id| id.simple().to_string());
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT letter, at, note FROM run_letter WHERE run = ? AND progress = ? AND letter > ?
             ORDER BY letter LIMIT ?",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let asked = params![
            run.simple().to_string(),
            progress.word(),
            after.unwrap_or_default(),
            limit
        ];
        let rows = statement.query_map(asked, |row| {
            Ok(RunLetter {
                run,
                letter: id_of(&row.get::<_, String>(0)?),
                progress,
                at: time_of(row.get(1)?),
                note: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many letters of a run are how far.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn run_counts(&self, run: Uuid) -> Result<BTreeMap<Progress, u64>, CatalogueError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT progress, count(*) FROM run_letter WHERE run = ? GROUP BY progress",
        )?;
        let rows = statement.query_map([run.simple().to_string()], |row| {
            let count: i64 = row.get(1)?;
            Ok((
                Progress::parse(&row.get::<_, String>(0)?),
                count.unsigned_abs(),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The run is over.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn end_run(&self, run: Uuid, now: OffsetDateTime) -> Result<(), CatalogueError> {
        self.write(|transaction| {
            transaction.execute(
                "UPDATE run SET ended = ? WHERE id = ?",
                params![millis(now), run.simple().to_string()],
            )?;
            Ok(())
        })
    }

    /// Runs that did not come to their end, the oldest first.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn unfinished_runs(&self) -> Result<Vec<Run>, CatalogueError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT id, what, began, ended FROM run WHERE ended IS NULL ORDER BY began",
        )?;
        let rows = statement.query_map([], run_of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The run of that id.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn run(&self, id: Uuid) -> Result<Option<Run>, CatalogueError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT id, what, began, ended FROM run WHERE id = ?")?;
        let found = statement
            .query_row([id.simple().to_string()], run_of_row)
            .optional()?;
        Ok(found)
    }

    /// In which runs a letter was, the oldest first.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn runs_of(&self, letter: Uuid) -> Result<Vec<RunLetter>, CatalogueError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT run, progress, at, note FROM run_letter WHERE letter = ? ORDER BY at",
        )?;
        let rows = statement.query_map([letter.simple().to_string()], |row| {
            Ok(RunLetter {
                run: id_of(&row.get::<_, String>(0)?),
                letter,
                progress: Progress::parse(&row.get::<_, String>(1)?),
                at: time_of(row.get(2)?),
                note: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn run_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        id: id_of(&row.get::<_, String>(0)?),
        what: row.get(1)?,
        began: time_of(row.get(2)?),
        ended: row.get::<_, Option<i64>>(3)?.map(time_of),
    })
}
