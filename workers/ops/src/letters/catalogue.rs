//! The catalogue: what was read, in one SQLite file.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter};
use serde::Serialize;
use thiserror::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    letter::{Kind, Letter, Place},
    selection::{Selection, millis, time_of},
};

const SCHEMA: &str = include_str!("schema.sql");
/// To be raised with any change that older code could not work with.
const SCHEMA_VERSION: i64 = 1;
/// A page ends early once its bodies have so many bytes: 1 MiB letters must not fill the memory.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// How long to wait for another process that writes to the same catalogue.
const BUSY: std::time::Duration = std::time::Duration::from_secs(30);

/// Why the catalogue could not do what it should.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// It could not be opened.
    #[error("could not open the catalogue {path}: {message}")]
    Open {
        /// Where it should be.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// It could not be read or written.
    #[error("the catalogue of dead letters could not be read or written: {0}")]
    Sql(#[from] rusqlite::Error),
    /// A value in it makes no sense.
    #[error("the catalogue of dead letters has a value that makes no sense: {0}")]
    Value(#[from] serde_json::Error),
}

/// What became of a letter or a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It lies in its place.
    Here,
    /// It is no longer there: handled, redriven, expired, or deleted by somebody.
    Gone,
    /// An operator is dropping it: its copy is kept, its message may or may not be deleted.
    Dropping,
    /// An operator dropped it; it can be restored.
    Dropped,
    /// An operator edited it; another letter is there in its place.
    Edited,
}

impl State {
    /// The word in the catalogue.
    pub fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Gone => "gone",
            Self::Dropping => "dropping",
            Self::Dropped => "dropped",
            Self::Edited => "edited",
        }
    }

    fn parse(word: &str) -> Self {
        let all = [Self::Here, Self::Dropping, Self::Dropped, Self::Edited];
        let found = all.into_iter().find(|state| state.word() == word);
        found.unwrap_or(Self::Gone)
    }
}

/// One message or object that carries a letter, without its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterCopy {
    /// The catalogue's own number for it.
    pub number: i64,
    /// The letter.
    pub letter: Uuid,
    /// Where it lies, or lay.
    pub place: Place,
    /// The queue's id of the message, or the object's entity tag.
    pub message_id: String,
    /// By what it is deleted or made visible.
    #[serde(skip)]
    pub receipt: Option<String>,
    /// When it becomes visible again, if it is held.
    #[serde(with = "time::serde::rfc3339")]
    pub visible_at: OffsetDateTime,
    /// How many deliveries it tells of.
    pub attempts: u32,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The reason code it tells.
    pub reason: String,
    /// The sentence it tells.
    pub message: String,
    /// What became of it.
    pub state: State,
}

/// So many letters of one worker with one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// The worker.
    pub worker: String,
    /// The reason code.
    pub reason: String,
    /// How many letters.
    pub letters: u64,
    /// How many copies of them.
    pub copies: u64,
    /// When the oldest was given up.
    #[serde(with = "time::serde::rfc3339")]
    pub oldest: OffsetDateTime,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    last: i64,
    id: String,
}

/// Some letters, newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The letters.
    pub letters: Vec<Letter>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// A letter as it was read, with what is needed to act on that very message.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) letter: Letter,
    pub(super) message_id: String,
    pub(super) receipt: Option<String>,
    pub(super) visible_at: OffsetDateTime,
}

/// The catalogue. Clones share it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    connection: Arc<Mutex<Connection>>,
    path: Option<PathBuf>,
}

impl Catalogue {
    /// Opens the file, which is made when it is not there, with the folder it lies in.
    ///
    /// # Errors
    /// [`CatalogueError::Open`] when it cannot be made, or is of a later version.
    pub fn open(path: &Path) -> Result<Self, CatalogueError> {
        let failed = |message: String| CatalogueError::Open {
            path: path.to_owned(),
            message,
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        let connection = Connection::open(path).map_err(|error| failed(error.to_string()))?;
        let catalogue = Self::with(connection).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            path: Some(path.to_owned()),
            ..catalogue
        })
    }

    /// A catalogue that is gone with the process.
    ///
    /// # Errors
    /// [`CatalogueError::Sql`] when SQLite refuses.
    pub fn in_memory() -> Result<Self, CatalogueError> {
        Ok(Self::with(Connection::open_in_memory()?)?)
    }

    fn with(connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(BUSY)?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > SCHEMA_VERSION {
            return Err(rusqlite::Error::InvalidPath(PathBuf::from(format!(
                "it is of version {found}, this program knows {SCHEMA_VERSION}; use a newer one, or another --catalogue"
            ))));
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A copy that is kept before its message is deleted must survive a power cut, too.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            path: None,
        })
    }

    /// The file, unless it is in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// A panic inside a transaction rolls it back: the connection behind a poisoned lock is as good as before.
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CatalogueError>,
    ) -> Result<T, CatalogueError> {
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Letters per worker and reason, most first.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn counts(&self, selection: &Selection) -> Result<Vec<Count>, CatalogueError> {
        let (condition, values) = selection.condition();
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT worker, reason, count(*), sum(copies), min(first) FROM letter
             WHERE state = 'here' AND {condition} GROUP BY worker, reason
             ORDER BY count(*) DESC, worker, reason"
        ))?;
        let rows = statement.query_map(params_from_iter(values), |row| {
            Ok(Count {
                worker: row.get(0)?,
                reason: row.get(1)?,
                letters: row.get::<_, i64>(2)?.unsigned_abs(),
                copies: row.get::<_, i64>(3)?.unsigned_abs(),
                oldest: time_of(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many letters are there.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn total(&self, selection: &Selection) -> Result<u64, CatalogueError> {
        let counts = self.counts(selection)?;
        Ok(counts.iter().map(|count| count.letters).sum())
    }

    /// The letters that are there, newest first, at most `limit` of them (fewer if they are large).
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn select(
        &self,
        selection: &Selection,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, CatalogueError> {
        self.select_in(State::Here, selection, after, limit)
    }

    /// The same of letters in another state: dropped ones, to restore them.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn select_in(
        &self,
        state: State,
        selection: &Selection,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, CatalogueError> {
        let (condition, mut values) = selection.condition();
        let mut sql = format!(
            "SELECT {LETTER_COLUMNS} FROM letter JOIN copy ON copy.number = letter.best
             WHERE letter.state = '{}' AND {condition}",
            state.word()
        );
        if let Some(cursor) = after {
            sql.push_str(" AND (letter.last < ? OR (letter.last = ? AND letter.id > ?))");
            values.push(cursor.last.into());
            values.push(cursor.last.into());
            values.push(cursor.id.clone().into());
        }
        sql.push_str(" ORDER BY letter.last DESC, letter.id LIMIT ?");
        // One more than asked for tells whether there is another page.
        let asked = i64::try_from(limit).unwrap_or(i64::MAX - 1);
        values.push((asked + 1).into());
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            if page.letters.len() == limit || (bytes > PAGE_BYTES && !page.letters.is_empty()) {
                page.next = page.letters.last().map(|letter: &Letter| Cursor {
                    last: millis(letter.last),
                    id: letter.id.simple().to_string(),
                });
                break;
            }
            let letter = letter_of_row(row)?;
            bytes += letter.body.len();
            page.letters.push(letter);
        }
        Ok(page)
    }

    /// The letter of that id, whatever became of it, with what became of it.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn letter(&self, id: Uuid) -> Result<Option<(Letter, State)>, CatalogueError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {LETTER_COLUMNS}, letter.state FROM letter JOIN copy ON copy.number = letter.best
             WHERE letter.id = ?"
        ))?;
        let found = statement
            .query_row([id.simple().to_string()], |row| {
                Ok((letter_of_row(row), row.get::<_, String>("state")?))
            })
            .optional()?;
        match found {
            Some((letter, state)) => Ok(Some((letter?, State::parse(&state)))),
            None => Ok(None),
        }
    }

    /// Every copy of a letter that was ever read, in the order in which they were given up.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn history(&self, letter: Uuid) -> Result<Vec<LetterCopy>, CatalogueError> {
        self.copies_where("letter = ? ORDER BY at, number", letter)
    }

    /// The copies of a letter that are there, the best first.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn copies(&self, letter: Uuid) -> Result<Vec<LetterCopy>, CatalogueError> {
        self.copies_where(
            "letter = ? AND state = 'here' ORDER BY attempts DESC, at DESC, number",
            letter,
        )
    }

    fn copies_where(
        &self,
        condition: &str,
        letter: Uuid,
    ) -> Result<Vec<LetterCopy>, CatalogueError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COPY_COLUMNS} FROM copy WHERE {condition}"
        ))?;
        let rows = statement.query_map([letter.simple().to_string()], copy_of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What became of copies: they are kept, with their bodies.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn set_state(&self, copies: &[i64], state: State) -> Result<(), CatalogueError> {
        self.write(|transaction| {
            for number in copies {
                let letter: Option<String> = transaction
                    .prepare_cached("UPDATE copy SET state = ? WHERE number = ? RETURNING letter")?
                    .query_row(params![state.word(), number], |row| row.get(0))
                    .optional()?;
                if let Some(letter) = letter {
                    settle(transaction, &letter)?;
                }
            }
            Ok(())
        })
    }

    /// Keeps what an operator changed.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be written.
    pub fn keep_edit(
        &self,
        letter: Uuid,
        original: Uuid,
        patch: &str,
        before: &str,
        at: OffsetDateTime,
    ) -> Result<(), CatalogueError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO edit VALUES (?, ?, ?, ?, ?)",
                params![
                    letter.simple().to_string(),
                    original.simple().to_string(),
                    patch,
                    before,
                    millis(at)
                ],
            )?;
            Ok(())
        })
    }

    /// The letters that an operator made of this one by editing, with their patches.
    ///
    /// # Errors
    /// [`CatalogueError`] when the file cannot be read.
    pub fn edits(&self, original: Uuid) -> Result<Vec<(Uuid, String)>, CatalogueError> {
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached("SELECT letter, patch FROM edit WHERE original = ? ORDER BY at")?;
        let rows = statement.query_map([original.simple().to_string()], |row| {
            Ok((id_of(&row.get::<_, String>(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

const LETTER_COLUMNS: &str = "letter.id, letter.copies, letter.first, letter.last, copy.place, copy.kind, copy.worker, \
     copy.reason, copy.message, copy.subject, copy.record_ids, copy.attempts, copy.trace_id, copy.edited_from, \
     copy.message_group, copy.attributes, copy.body";

fn letter_of_row(row: &Row<'_>) -> Result<Letter, CatalogueError> {
    let record_ids: String = row.get("record_ids")?;
    let attributes: String = row.get("attributes")?;
    let edited_from: Option<String> = row.get("edited_from")?;
    Ok(Letter {
        id: id_of(&row.get::<_, String>("id")?),
        // The catalogue writes only kinds that there are.
        kind: row
            .get::<_, String>("kind")?
            .parse()
            .unwrap_or(Kind::Redriven),
        place: Place::parse(&row.get::<_, String>("place")?),
        worker: row.get("worker")?,
        reason: row.get("reason")?,
        message: row.get("message")?,
        subject: row.get("subject")?,
        record_ids: serde_json::from_str(&record_ids)?,
        attempts: row.get("attempts")?,
        first: time_of(row.get("first")?),
        last: time_of(row.get("last")?),
        copies: row.get("copies")?,
        trace_id: row.get("trace_id")?,
        edited_from: edited_from.as_deref().map(id_of),
        body: row.get("body")?,
        attributes: serde_json::from_str(&attributes)?,
        group: row.get("message_group")?,
    })
}

pub(super) const COPY_COLUMNS: &str = "copy.number, copy.letter, copy.place, copy.message_id, copy.receipt, copy.visible_at, \
     copy.attempts, copy.at, copy.reason, copy.message, copy.state";

pub(super) fn copy_of_row(row: &Row<'_>) -> rusqlite::Result<LetterCopy> {
    Ok(LetterCopy {
        number: row.get("number")?,
        letter: id_of(&row.get::<_, String>("letter")?),
        place: Place::parse(&row.get::<_, String>("place")?),
        message_id: row.get("message_id")?,
        receipt: row.get("receipt")?,
        visible_at: time_of(row.get("visible_at")?),
        attempts: row.get("attempts")?,
        at: time_of(row.get("at")?),
        reason: row.get("reason")?,
        message: row.get("message")?,
        state: State::parse(&row.get::<_, String>("state")?),
    })
}

/// The catalogue writes ids only as [`Uuid`] prints them.
pub(super) fn id_of(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or_default()
}

/// Makes the letter's row say what its copies say.
pub(super) fn settle(transaction: &Transaction<'_>, letter: &str) -> rusqlite::Result<()> {
    let settled = transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO letter (id, best, copies, first, last, state, kind, worker, reason, subject, record_ids)
             SELECT c.letter, c.number, all_of.here,
                    coalesce(all_of.first, c.at), coalesce(all_of.last, c.at),
                    c.state, c.kind, c.worker, c.reason, c.subject, c.record_ids
             FROM copy c,
                  (SELECT count(*) AS here, min(at) AS first, max(at) AS last FROM copy
                   WHERE letter = ?1 AND state = 'here') AS all_of
             WHERE c.letter = ?1
             ORDER BY CASE c.state WHEN 'here' THEN 0 WHEN 'dropping' THEN 1 WHEN 'dropped' THEN 2
                                   WHEN 'edited' THEN 3 ELSE 4 END,
                      c.attempts DESC, c.at DESC, c.number LIMIT 1",
        )?
        .execute([letter])?;
    if settled == 0 {
        transaction
            .prepare_cached("DELETE FROM letter WHERE id = ?")?
            .execute([letter])?;
    }
    Ok(())
}
