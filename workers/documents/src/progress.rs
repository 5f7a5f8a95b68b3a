//! A document's progress: the fence, the tombstone, and everything that workers found out.
//!
//! The platform's row of a document is not ours alone: the upload writes it whole, perhaps after the first
//! worker was done, and a deletion takes it away. The fence therefore lives in a row of its own that
//! only Millrace writes and that outlives the document. The platform's row is a projection of it: every
//! step writes both in one transaction, and `keep-progress` projects again when somebody overwrote it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::retry::Retry;
use millrace_effects::{Committed, Row, Table, Update, When, Write, key};
use millrace_events::{Failure, Outcome, Reason, mutation, reason};
use serde::{Deserialize, Serialize};

use crate::{context::Names, invariants::Move, keys::Document};

/// The attribute by which the last image of a platform's row says that [`ProgressStore::remove_row`] removed it.
pub const REMOVED_BY: &str = "removedBy";
const MILLRACE: &str = "millrace";

/// `2026-11-21T04:00:00`: so much of a time is whole seconds.
const SECONDS: usize = 19;

/// How far a generation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A worker knows of it.
    Claimed,
    /// Its text is there.
    TextExtracted,
    /// Its chunks are there.
    ChunksCreated,
    /// Its vectors are there.
    VectorsGenerated,
    /// Its chunks are in the index: it is ready.
    Indexed,
}

/// `status` of the data model, and the tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// On its way.
    Processing,
    /// Searchable.
    Ready,
    /// It cannot be processed, or not now.
    Error,
    /// It was removed; what is left is to be tidied.
    Removing,
    /// It was removed, and nothing of it is left.
    Removed,
}

impl Status {
    /// The word in the rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Error => "error",
            Self::Removing => "removing",
            Self::Removed => "removed",
        }
    }
}

/// What extraction found out for the platform's row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Derived {
    /// The document's own title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// BCP 47.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
    /// Pages, for formats that have them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_count: Option<u32>,
    /// Words.
    pub word_count: u64,
    /// The first 500 characters.
    pub preview: String,
    /// Words that stand out.
    pub keywords: Vec<String>,
}

/// Why a document ended as an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorSaid {
    /// The stable reason code.
    pub code: String,
    /// The sentence for people.
    pub message: String,
}

/// Codes that are the file's own fault: nothing can be derived from it, however often it is tried.
const OF_THE_FILE: [Reason; 11] = [
    reason::ENCRYPTED,
    reason::EMPTY_FILE,
    reason::DAMAGED_FILE,
    reason::NEEDS_OCR,
    reason::NO_TEXT,
    reason::UNSUPPORTED_FORMAT,
    reason::TOO_LARGE,
    reason::MEMORY_LIMIT,
    reason::TIME_LIMIT,
    reason::OUTPUT_LIMIT,
    reason::EXTRACTION_CRASHED,
];

impl ErrorSaid {
    /// Whether the file itself is at fault.
    pub fn is_of_the_file(&self) -> bool {
        OF_THE_FILE.iter().any(|reason| reason.code() == self.code)
    }
}

/// The progress row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The owner.
    pub user_id: String,
    /// The document.
    pub document_id: String,
    /// The sequencer of the original, padded: the fence. Not there when only a removal is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub generation: Option<String>,
    /// The original's key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub s3_key: Option<String>,
    /// The original's entity tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub e_tag: Option<String>,
    /// When it was uploaded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uploaded_at: Option<String>,
    /// How far it has come, as a number that compares.
    pub reached: u8,
    /// See [`Status`].
    pub status: Status,
    /// What extraction found out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub derived: Option<Derived>,
    /// The title that was last written into the platform's row by us, so that a user's own is told apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub written_title: Option<String>,
    /// Why it is an error.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorSaid>,
    /// No upload up to this sequencer is processed any more: the tombstone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed_through: Option<String>,
    /// The same by time, when the row was removed before any upload of it was known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed_at: Option<String>,
    /// When this row last changed.
    pub updated_at: String,
    /// How often it changed: whoever writes it whole asks that nobody did since it was read.
    #[serde(default)]
    pub revision: u64,
}

impl Progress {
    /// Whether this generation is the one that counts.
    pub fn is_current(&self, generation: &str) -> bool {
        !self.is_removed() && self.generation.as_deref() == Some(generation)
    }

    /// Whether the document was removed.
    pub fn is_removed(&self) -> bool {
        matches!(self.status, Status::Removing | Status::Removed)
    }

    /// Whether nothing can be derived from the current generation.
    pub fn is_unreadable(&self) -> bool {
        self.status == Status::Error && self.error.as_ref().is_some_and(ErrorSaid::is_of_the_file)
    }

    /// Whether the current generation has come this far.
    pub fn has_reached(&self, step: Step) -> bool {
        self.reached >= step as u8
    }
}

/// An upload that wants to be processed.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The sequencer, padded.
    pub generation: String,
    /// Bucket of the original.
    pub bucket: String,
    /// Key of the original.
    pub key: String,
    /// Its entity tag.
    pub e_tag: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was uploaded, ISO 8601.
    pub uploaded_at: String,
    /// The name that the user knows it by.
    pub file_name: String,
    /// Its MIME type.
    pub file_type: String,
}

/// How a claim ended.
#[derive(Debug)]
pub enum Claim {
    /// This generation is the current one: new, or delivered again.
    Current(Box<Progress>),
    /// A newer upload or a removal was there first.
    Superseded,
}

/// How the removal of a row began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowRemoval {
    /// What was derived up to this generation is to be tidied away.
    Begun(String),
    /// The tombstone is set; nothing had been derived, or it is gone.
    NothingToTidy,
    /// All of it was done before.
    Already,
    /// A later upload is there.
    Superseded,
}

/// Reads and moves progress rows, and the platform's rows with them.
#[derive(Debug, Clone)]
pub struct ProgressStore {
    table: Table,
    names: Names,
}

/// How long a move that lost a race is tried again at once.
fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(5)
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn to_attribute<T: Serialize>(value: &T) -> Result<AttributeValue, Failure> {
    serde_dynamo::to_attribute_value(value).map_err(|error| {
        Failure::permanent(
            reason::MALFORMED_ARTEFACT,
            "could not write a value as an attribute",
        )
        .caused_by(error)
    })
}

fn from_row(row: Row) -> Result<Progress, Failure> {
    serde_dynamo::from_item(row).map_err(|error| {
        Failure::permanent(
            reason::MALFORMED_ARTEFACT,
            "a progress row is not what a worker writes",
        )
        .caused_by(error)
    })
}

impl ProgressStore {
    /// On these tables.
    pub fn new(table: Table, names: Names) -> Self {
        Self { table, names }
    }

    fn progress_key(document: &Document) -> Row {
        key([
            ("userId", document.user.as_str()),
            ("documentId", document.id.as_str()),
        ])
    }

    /// The progress as it is now.
    pub async fn read(&self, document: &Document) -> Result<Option<Progress>, Failure> {
        let row = self
            .table
            .read(&self.names.progress_table, Self::progress_key(document))
            .await?;
        row.map(from_row).transpose()
    }

    /// The platform's row as it is now.
    pub async fn read_row(&self, document: &Document) -> Result<Option<Row>, Failure> {
        self.table
            .read(&self.names.documents_table, Self::progress_key(document))
            .await
    }

    /// Makes this upload the document's current generation unless a newer one, or a removal, was there first. The
    /// platform's row is created when the event was faster than the upload's own write.
    pub async fn claim(
        &self,
        document: &Document,
        upload: &Upload,
        now: &str,
    ) -> Result<Claim, Failure> {
        let generation = text(&*upload.generation);
        let mut fence = When::Any(vec![
            When::Absent("generation"),
            When::Less("generation", generation.clone()),
        ]);
        let mut tombstone = When::All(vec![
            When::Any(vec![
                When::Absent("removedThrough"),
                When::Less("removedThrough", generation.clone()),
            ]),
            When::Any(vec![
                When::Absent("removedAt"),
                When::Less("removedAt", text(&*upload.uploaded_at)),
            ]),
        ]);
        if mutation::on(mutation::CLAIM_UNFENCED) {
            fence = When::whatever("generation");
        }
        if mutation::on(mutation::CLAIM_OVER_TOMBSTONE) {
            fence = When::Any(vec![fence, When::Present("removedThrough")]);
            tombstone = When::whatever("removedThrough");
        }
        let newer = When::All(vec![fence, tombstone]);
        let progress = Update::of(&self.names.progress_table, Self::progress_key(document))
            .set("generation", generation)
            .set("s3Key", text(&*upload.key))
            .set("eTag", text(&*upload.e_tag))
            .set("uploadedAt", text(&*upload.uploaded_at))
            .set(
                "reached",
                AttributeValue::N((Step::Claimed as u8).to_string()),
            )
            .set("status", text(Status::Processing.word()))
            .set("updatedAt", text(now))
            .remove("error")
            .remove("removedAt")
            .remove("derived")
            .add("revision", 1)
            .when(newer);
        let empty = || {
            AttributeValue::M(HashMap::from([(
                "tags".to_owned(),
                AttributeValue::L(Vec::new()),
            )]))
        };
        let row = Update::of(&self.names.documents_table, Self::progress_key(document))
            .set_if_absent("fileName", text(&*upload.file_name))
            .set_if_absent("fileType", text(&*upload.file_type))
            .set_if_absent("fileSize", AttributeValue::N(upload.size.to_string()))
            .set_if_absent("s3Key", text(&*upload.key))
            .set_if_absent("s3Bucket", text(&*upload.bucket))
            .set_if_absent("uploadDate", text(&*upload.uploaded_at))
            .set_if_absent("metadata", empty())
            .set_if_absent("searchableContent", searchable(&Derived::default()))
            .set_if_absent("access", no_access())
            .set("status", text(Status::Processing.word()))
            .set(
                "processingStatus",
                processing_status(Step::Claimed as u8, None),
            )
            .set("updatedAt", text(now))
            .remove(REMOVED_BY);
        match self
            .table
            .commit("claim the upload", vec![progress.into(), row.into()])
            .await?
        {
            Committed::Done => {}
            Committed::Refused { current, .. } => {
                let current = current.map(from_row).transpose()?;
                return Ok(match current {
                    Some(progress) if progress.is_current(&upload.generation) => {
                        Claim::Current(Box::new(progress))
                    }
                    _ => Claim::Superseded,
                });
            }
        }
        let progress = self.read(document).await?;
        Ok(match progress {
            Some(progress) if progress.is_current(&upload.generation) => {
                Claim::Current(Box::new(progress))
            }
            _ => Claim::Superseded,
        })
    }

    /// Moves a generation on to `step`, under the fence, and the platform's row with it.
    pub async fn advance(
        &self,
        document: &Document,
        generation: &str,
        step: Step,
        derived: Option<Derived>,
        now: &str,
    ) -> Result<Outcome, Failure> {
        Retry::default()
            .run(soon(), || {
                self.try_advance(document, generation, step, derived.clone(), now)
            })
            .await
    }

    async fn try_advance(
        &self,
        document: &Document,
        generation: &str,
        step: Step,
        derived: Option<Derived>,
        now: &str,
    ) -> Result<Outcome, Failure> {
        let Some(before) = self.read(document).await? else {
            return Ok(Outcome::Superseded);
        };
        if !before.is_current(generation) && !mutation::on(mutation::ADVANCE_STALE) {
            return Ok(Outcome::Superseded);
        }
        let is_news = derived.is_some() && before.derived.is_none();
        if before.has_reached(step) && !is_news {
            return Ok(Outcome::Already);
        }
        let mut after = before.clone();
        // The next worker's event can be faster than this step's own end: then only what was found out is new.
        if !before.has_reached(step) {
            after.reached = step as u8;
            after.status = if step == Step::Indexed {
                Status::Ready
            } else {
                Status::Processing
            };
            after.error = None;
        }
        now.clone_into(&mut after.updated_at);
        if let Some(derived) = derived {
            after.derived = Some(derived);
        }
        self.replace(document, &before, after).await
    }

    /// Says that a generation cannot be processed. A later success takes it back.
    pub async fn fail(
        &self,
        document: &Document,
        generation: &str,
        step: Step,
        said: ErrorSaid,
        now: &str,
    ) -> Result<Outcome, Failure> {
        Retry::default()
            .run(soon(), || {
                self.try_fail(document, generation, step, said.clone(), now)
            })
            .await
    }

    async fn try_fail(
        &self,
        document: &Document,
        generation: &str,
        step: Step,
        said: ErrorSaid,
        now: &str,
    ) -> Result<Outcome, Failure> {
        let Some(before) = self.read(document).await? else {
            return Ok(Outcome::Superseded);
        };
        if !before.is_current(generation) || before.has_reached(step) {
            return Ok(Outcome::Superseded);
        }
        let mut after = before.clone();
        after.status = Status::Error;
        after.error = Some(said);
        now.clone_into(&mut after.updated_at);
        self.replace(document, &before, after).await
    }

    /// Writes the whole progress row under the condition that it is still what was read, and projects it.
    async fn replace(
        &self,
        document: &Document,
        before: &Progress,
        mut after: Progress,
    ) -> Result<Outcome, Failure> {
        let Some(row) = self.read_row(document).await? else {
            return Ok(Outcome::Superseded);
        };
        after.revision = before.revision + 1;
        debug_assert_eq!(Move::broken(before, &after), [""; 0], "{document}");
        let projection = self.projection(document, &row, &mut after).await?;
        let put = Write::Put {
            table: self.names.progress_table.clone(),
            row: to_row(&after)?,
            when: (!mutation::on(mutation::ADVANCE_UNGUARDED)).then(|| unchanged(before)),
        };
        let mut writes = vec![put, projection.into()];
        if mutation::on(mutation::ROW_LEFT_BEHIND) {
            writes.truncate(1);
        }
        match self
            .table
            .commit("move the document's progress on", writes)
            .await?
        {
            Committed::Done => Ok(Outcome::Applied),
            Committed::Refused { index: 0, .. } => {
                let message =
                    "the document's progress was moved on by somebody else at the same time";
                Err(Failure::transient(reason::CONFLICT, message))
            }
            // The row was removed, or its title changed, in between: look again.
            Committed::Refused { .. } => match self.read_row(document).await? {
                None => Ok(Outcome::Superseded),
                Some(_) => Err(Failure::transient(
                    reason::CONFLICT,
                    "the document's row was changed at the same time",
                )),
            },
        }
    }

    /// Writes the progress into the platform's row again. [`Outcome::Already`] when it says so.
    pub async fn project(&self, document: &Document) -> Result<Outcome, Failure> {
        Retry::default()
            .run(soon(), || self.try_project(document))
            .await
    }

    async fn try_project(&self, document: &Document) -> Result<Outcome, Failure> {
        let Some(before) = self.read(document).await? else {
            return Ok(Outcome::Ignored("nothing is processed yet"));
        };
        if before.is_removed() {
            return Ok(Outcome::Ignored("the document was removed"));
        }
        let Some(row) = self.read_row(document).await? else {
            return Ok(Outcome::Superseded);
        };
        if says(&row, &before) || mutation::on(mutation::OVERWRITTEN_ROW_IGNORED) {
            return Ok(Outcome::Already);
        }
        let mut after = before.clone();
        after.revision = before.revision + 1;
        let projection = self.projection(document, &row, &mut after).await?;
        let put = Write::Put {
            table: self.names.progress_table.clone(),
            row: to_row(&after)?,
            when: Some(unchanged(&before)),
        };
        match self
            .table
            .commit(
                "write the progress into the document's row",
                vec![put, projection.into()],
            )
            .await?
        {
            Committed::Done => Ok(Outcome::Applied),
            Committed::Refused { .. } => Err(Failure::transient(
                reason::CONFLICT,
                "the document's row was changed at the same time",
            )),
        }
    }

    /// The update that makes the platform's row say what the progress says. What users and the upload wrote
    /// (names, tags, description, a title of their own) stays.
    async fn projection(
        &self,
        document: &Document,
        row: &Row,
        after: &mut Progress,
    ) -> Result<Update, Failure> {
        let key = Self::progress_key(document);
        let metadata = row.get("metadata").and_then(|value| value.as_m().ok());
        if metadata.is_none() {
            let empty = AttributeValue::M(HashMap::from([(
                "tags".to_owned(),
                AttributeValue::L(Vec::new()),
            )]));
            let ensure = Update::of(&self.names.documents_table, key.clone())
                .set_if_absent("metadata", empty)
                .when(When::Present("userId"));
            self.table
                .commit("give the document's row its metadata", vec![ensure.into()])
                .await?;
        }
        let mut update = Update::of(&self.names.documents_table, key)
            .set("status", text(after.status.word()))
            .set(
                "processingStatus",
                processing_status(after.reached, after.error.as_ref()),
            )
            .set("updatedAt", text(&*after.updated_at))
            .when(When::Present("userId"));
        let Some(derived) = shown(after) else {
            return Ok(update);
        };
        update = update.set("searchableContent", searchable(&derived));
        update = match word_count(after, &derived) {
            Some(words) => update.set("metadata.wordCount", words),
            None => update.remove("metadata.wordCount"),
        };
        update = match &derived.language {
            Some(language) => update.set("metadata.language", text(language)),
            None => update.remove("metadata.language"),
        };
        update = match derived.page_count {
            Some(pages) => update.set("metadata.pageCount", AttributeValue::N(pages.to_string())),
            None => update.remove("metadata.pageCount"),
        };
        let held = metadata
            .and_then(|map| map.get("title"))
            .and_then(|title| title.as_s().ok())
            .cloned();
        let users_own = held.is_some() && held != after.written_title;
        if !users_own {
            update = update.when(match &held {
                Some(held) => When::Equal("metadata.title", text(held)),
                None => When::Absent("metadata.title"),
            });
            update = match &derived.title {
                Some(title) => update.set("metadata.title", text(title)),
                None => update.remove("metadata.title"),
            };
            after.written_title = derived.title;
        }
        Ok(update)
    }

    /// Sets the tombstone: no upload up to `through` is processed any more. `Already` when everything is tidied.
    pub async fn begin_removal(
        &self,
        document: &Document,
        through: &str,
        now: &str,
    ) -> Result<Outcome, Failure> {
        if mutation::on(mutation::REMOVAL_WITHOUT_TOMBSTONE) {
            return Ok(Outcome::Applied);
        }
        let through_value = || text(through);
        let older = When::All(vec![
            When::Any(vec![
                When::Absent("generation"),
                When::AtMost("generation", through_value()),
            ]),
            When::Any(vec![
                When::Absent("removedThrough"),
                When::Less("removedThrough", through_value()),
            ]),
        ]);
        let update = Update::of(&self.names.progress_table, Self::progress_key(document))
            .set("removedThrough", through_value())
            .set("status", text(Status::Removing.word()))
            .set_if_absent("reached", AttributeValue::N("0".to_owned()))
            .set("updatedAt", text(now))
            .add("revision", 1)
            .when(older);
        match self
            .table
            .commit("mark the document as removed", vec![update.into()])
            .await?
        {
            Committed::Done => Ok(Outcome::Applied),
            Committed::Refused { current, .. } => {
                let Some(progress) = current.map(from_row).transpose()? else {
                    return Err(Failure::transient(
                        reason::CONFLICT,
                        "the document's progress changed at the same time",
                    ));
                };
                Ok(match progress.status {
                    Status::Removing if progress.removed_through.as_deref() == Some(through) => {
                        Outcome::Applied
                    }
                    Status::Removed if progress.removed_through.as_deref() == Some(through) => {
                        Outcome::Already
                    }
                    _ => Outcome::Superseded,
                })
            }
        }
    }

    /// Sets the tombstone of a row that was removed: no upload up to `at` is processed any more, known or not.
    pub async fn begin_row_removal(
        &self,
        document: &Document,
        at: &str,
        now: &str,
    ) -> Result<RowRemoval, Failure> {
        Retry::default()
            .run(soon(), || self.try_row_removal(document, at, now))
            .await
    }

    async fn try_row_removal(
        &self,
        document: &Document,
        at: &str,
        now: &str,
    ) -> Result<RowRemoval, Failure> {
        let before = self.read(document).await?;
        let known = before
            .as_ref()
            .and_then(|known| Some((known, known.generation.as_deref()?)));
        // The stream tells whole seconds. What was claimed within the same one had a row, and that is gone.
        let second = |time: &str| time.get(..SECONDS).map(str::to_owned);
        let is_later = |time: &Option<String>| {
            time.as_deref()
                .is_some_and(|time| second(time) > second(at))
        };
        if known.is_some_and(|(known, _)| is_later(&known.uploaded_at)) {
            return Ok(RowRemoval::Superseded);
        }
        let is_told = before.as_ref().is_some_and(|before| {
            before.is_removed() && before.removed_at.as_deref().is_some_and(|told| told >= at)
        });
        let mut update = Update::of(&self.names.progress_table, Self::progress_key(document))
            .set("removedAt", text(at))
            .set_if_absent("reached", AttributeValue::N("0".to_owned()))
            .set("updatedAt", text(now))
            .add("revision", 1)
            .when(before.as_ref().map_or(When::Absent("userId"), unchanged));
        // What is left to tidy, and up to which generation.
        let through = match (&before, known) {
            (Some(before), _) if before.status == Status::Removing => {
                before.removed_through.clone()
            }
            (Some(before), Some((_, generation))) if !before.is_removed() => {
                update = update.set("removedThrough", text(generation));
                Some(generation.to_owned())
            }
            _ => None,
        };
        if !is_told {
            let status = match &through {
                Some(_) => Status::Removing,
                None => Status::Removed,
            };
            let update = update.set("status", text(status.word()));
            let attempted = "mark the document as removed";
            if let Committed::Refused { .. } =
                self.table.commit(attempted, vec![update.into()]).await?
            {
                return Err(Failure::transient(
                    reason::CONFLICT,
                    "the document's progress changed at the same time",
                ));
            }
        }
        Ok(match through {
            Some(through) => RowRemoval::Begun(through),
            None if is_told => RowRemoval::Already,
            None => RowRemoval::NothingToTidy,
        })
    }

    /// Removes the platform's row, unless it is of a later upload than the removal or a newer generation was claimed
    /// meanwhile. The row is marked first, so that the stream's record of this very removal is told apart from that of
    /// somebody who removed the row himself.
    pub async fn remove_row(
        &self,
        document: &Document,
        through: &str,
        removed_at: &str,
    ) -> Result<(), Failure> {
        let still_removing = || Write::Check {
            table: self.names.progress_table.clone(),
            key: Self::progress_key(document),
            when: removing(through),
        };
        let not_later = When::Any(vec![
            When::Absent("uploadDate"),
            When::AtMost("uploadDate", text(removed_at)),
        ]);
        let mark = Update::of(&self.names.documents_table, Self::progress_key(document))
            .set(REMOVED_BY, text(MILLRACE))
            .when(When::Present("userId"))
            .when(not_later);
        let marked = self
            .table
            .commit(
                "mark the document's row",
                vec![still_removing(), mark.into()],
            )
            .await?;
        if let Committed::Refused { .. } = marked {
            return Ok(());
        }
        let delete = Write::Delete {
            table: self.names.documents_table.clone(),
            key: Self::progress_key(document),
            when: Some(When::Equal(REMOVED_BY, text(MILLRACE))),
        };
        self.table
            .commit("remove the document's row", vec![still_removing(), delete])
            .await
            .map(|_| ())
    }

    /// Says that nothing of a removed document is left.
    pub async fn finish_removal(
        &self,
        document: &Document,
        through: &str,
        now: &str,
    ) -> Result<(), Failure> {
        let update = Update::of(&self.names.progress_table, Self::progress_key(document))
            .set("status", text(Status::Removed.word()))
            .set("updatedAt", text(now))
            .remove("derived")
            .remove("writtenTitle")
            .remove("error")
            .add("revision", 1)
            .when(removing(through));
        self.table
            .commit("say that the document is gone", vec![update.into()])
            .await
            .map(|_| ())
    }
}

fn to_row(progress: &Progress) -> Result<Row, Failure> {
    match to_attribute(progress)? {
        AttributeValue::M(row) => Ok(row),
        _ => Err(Failure::permanent(
            reason::MALFORMED_ARTEFACT,
            "a progress row is not a map",
        )),
    }
}

/// Holds while this removal is the newest thing that is known of the document.
fn removing(through: &str) -> When {
    When::All(vec![
        When::Equal("removedThrough", text(through)),
        When::Equal("status", text(Status::Removing.word())),
    ])
}

/// Holds while nobody changed the row since it was read.
fn unchanged(before: &Progress) -> When {
    let same = When::Equal("revision", AttributeValue::N(before.revision.to_string()));
    if before.revision == 0 {
        return When::Any(vec![When::Absent("revision"), same]);
    }
    same
}

fn processing_status(reached: u8, error: Option<&ErrorSaid>) -> AttributeValue {
    let flag = |step: Step| AttributeValue::Bool(reached >= step as u8);
    let mut map = HashMap::from([
        ("textExtracted".to_owned(), flag(Step::TextExtracted)),
        ("chunksCreated".to_owned(), flag(Step::ChunksCreated)),
        ("vectorsGenerated".to_owned(), flag(Step::VectorsGenerated)),
        ("indexed".to_owned(), flag(Step::Indexed)),
    ]);
    if let Some(error) = error {
        map.insert("errorMessage".to_owned(), text(&*error.message));
        map.insert("errorCode".to_owned(), text(&*error.code));
    }
    AttributeValue::M(map)
}

fn searchable(derived: &Derived) -> AttributeValue {
    let keywords = derived.keywords.iter().map(|word| text(&**word)).collect();
    AttributeValue::M(HashMap::from([
        ("preview".to_owned(), text(&*derived.preview)),
        ("keywords".to_owned(), AttributeValue::L(keywords)),
    ]))
}

fn no_access() -> AttributeValue {
    AttributeValue::M(HashMap::from([
        ("isPublic".to_owned(), AttributeValue::Bool(false)),
        ("sharedWith".to_owned(), AttributeValue::L(Vec::new())),
    ]))
}

/// What the platform's row shows of the file: what was found out, or nothing when it cannot be read. `None` while that is not
/// known: the row keeps what it says of the former one.
fn shown(progress: &Progress) -> Option<Derived> {
    if progress.is_unreadable() {
        return Some(Derived::default());
    }
    let derived = progress.derived.clone();
    derived.filter(|_| progress.has_reached(Step::TextExtracted))
}

/// Nobody has counted the words of a file that cannot be read.
fn word_count(progress: &Progress, derived: &Derived) -> Option<AttributeValue> {
    let count = || AttributeValue::N(derived.word_count.to_string());
    (!progress.is_unreadable()).then(count)
}

/// Whether the platform's row says what the progress says.
pub(crate) fn says(row: &Row, progress: &Progress) -> bool {
    let same = |name: &str, value: &AttributeValue| row.get(name) == Some(value);
    let status = same("status", &text(progress.status.word()))
        && same(
            "processingStatus",
            &processing_status(progress.reached, progress.error.as_ref()),
        );
    let Some(derived) = shown(progress) else {
        return status;
    };
    let metadata = row.get("metadata").and_then(|value| value.as_m().ok());
    let language = metadata
        .and_then(|map| map.get("language"))
        .and_then(|value| value.as_s().ok());
    let words = metadata.and_then(|map| map.get("wordCount"));
    let titled = derived.title.is_none() || metadata.is_some_and(|map| map.contains_key("title"));
    status
        && titled
        && same("searchableContent", &searchable(&derived))
        && language == derived.language.as_ref()
        && words == word_count(progress, &derived).as_ref()
}
