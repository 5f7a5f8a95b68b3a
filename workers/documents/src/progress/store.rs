//! The progress row moves, under its condition, and the platform's row with it.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::retry::Retry;
use millrace_effects::{Committed, Row, Table, Update, When, Write, key};
use millrace_events::{Failure, Outcome, mutation, reason};
use serde::Serialize;

use super::{
    Claim, Derived, ErrorSaid, Progress, Status, Step, Upload,
    projection::{no_access, no_metadata, processing_status, searchable},
    removal::REMOVED_BY,
};
use crate::{context::Names, invariants::Move, keys::Document};

/// Reads and moves progress rows, and the platform's rows with them.
#[derive(Debug, Clone)]
pub struct ProgressStore {
    pub(super) table: Table,
    pub(super) names: Names,
}

/// How long a move that lost a race is tried again at once.
pub(super) fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(5)
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
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

pub(super) fn from_row(row: Row) -> Result<Progress, Failure> {
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

    pub(super) fn progress_key(document: &Document) -> Row {
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
        let row = Update::of(&self.names.documents_table, Self::progress_key(document))
            .set_if_absent("fileName", text(&*upload.file_name))
            .set_if_absent("fileType", text(&*upload.file_type))
            .set_if_absent("fileSize", AttributeValue::N(upload.size.to_string()))
            .set_if_absent("s3Key", text(&*upload.key))
            .set_if_absent("s3Bucket", text(&*upload.bucket))
            .set_if_absent("uploadDate", text(&*upload.uploaded_at))
            .set_if_absent("metadata", no_metadata())
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

    /// Moves the progress on from what was read.
    async fn replace(
        &self,
        document: &Document,
        before: &Progress,
        after: Progress,
    ) -> Result<Outcome, Failure> {
        let Some(row) = self.read_row(document).await? else {
            return Ok(Outcome::Superseded);
        };
        let attempted = "move the document's progress on";
        match self.write(attempted, document, &row, before, after).await? {
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

    /// Writes the whole progress row under the condition that it is still what was read, and projects it into the platform's
    /// row, which is `row` now. One transaction.
    pub(super) async fn write(
        &self,
        attempted: &str,
        document: &Document,
        row: &Row,
        before: &Progress,
        mut after: Progress,
    ) -> Result<Committed, Failure> {
        after.revision = before.revision + 1;
        debug_assert_eq!(Move::broken(before, &after), [""; 0], "{document}");
        let projection = self.projection(document, row, &mut after).await?;
        let put = Write::Put {
            table: self.names.progress_table.clone(),
            row: to_row(&after)?,
            when: (!mutation::on(mutation::ADVANCE_UNGUARDED)).then(|| unchanged(before)),
        };
        let mut writes = vec![put, projection.into()];
        if mutation::on(mutation::ROW_LEFT_BEHIND) {
            writes.truncate(1);
        }
        self.table.commit(attempted, writes).await
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

/// Holds while nobody changed the row since it was read.
pub(super) fn unchanged(before: &Progress) -> When {
    let same = When::Equal("revision", AttributeValue::N(before.revision.to_string()));
    if before.revision == 0 {
        return When::Any(vec![When::Absent("revision"), same]);
    }
    same
}
