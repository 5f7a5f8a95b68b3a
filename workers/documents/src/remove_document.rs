//! `remove-document`: an original, or a document's row, was removed; everything that was derived goes.

use millrace_cloud::clock::iso;
use millrace_delivery::{Cx, Worker};
use millrace_effects::Row;
use millrace_events::{
    Failure, Item, ObjectChangeKind, Outcome, Payload, Record, RowChange, RowChangeKind, reason,
};

use crate::{
    context::Documents,
    keys::{Document, Named},
    progress::{Progress, REMOVED_BY, RowRemoval},
    tidy::{remove_derived, settle},
};

/// Listens to removed originals and to `REMOVE` in the table of documents. A tombstone stays, so that an upload's event
/// that comes late brings nothing back.
#[derive(Clone)]
pub struct RemoveDocument(pub Documents);

impl Worker for RemoveDocument {
    const NAME: &'static str = "remove-document";
    type Event = Record;

    async fn handle(&self, record: Record, _cx: &Cx) -> Result<Outcome, Failure> {
        match &record.payload {
            Payload::Object(change) if change.kind == ObjectChangeKind::Removed => {
                match Named::of(&change.key)? {
                    Named::Original(document) => {
                        self.original_removed(&document, &change.key, &record).await
                    }
                    _ => Ok(Outcome::Ignored("not an original")),
                }
            }
            Payload::Row(change) if change.kind == RowChangeKind::Removed => {
                let id = |name: &str| match change.keys.get(name) {
                    Some(serde_dynamo::AttributeValue::S(text)) => Ok(text.clone()),
                    _ => Err(Failure::permanent(
                        reason::MALFORMED_EVENT,
                        format!("the row's key has no {name}"),
                    )),
                };
                let document = Document::parse(&id("userId")?, &id("documentId")?)?;
                self.row_removed(&document, change, &record).await
            }
            Payload::Object(_) => Ok(Outcome::Ignored("the object was created")),
            Payload::Row(_) => Ok(Outcome::Ignored("the row was not removed")),
            Payload::Schedule(_) | Payload::Message(_) | Payload::Test => {
                Ok(Outcome::Ignored("not a removal"))
            }
        }
    }
}

impl RemoveDocument {
    async fn original_removed(
        &self,
        document: &Document,
        key: &str,
        record: &Record,
    ) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if record.version.is_none() {
            return Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                "the S3 event has no sequencer",
            ));
        }
        let progress = documents.progress.read(document).await?;
        if progress
            .as_ref()
            .filter(|progress| !progress.is_removed())
            .and_then(|progress| progress.s3_key.as_deref())
            .is_some_and(|current| current != key)
        {
            return Ok(Outcome::Ignored("not the document's current original"));
        }
        if self
            .has_later_original(document, key, progress.as_ref())
            .await?
        {
            return Ok(Outcome::Ignored("another original has taken its place"));
        }
        let Some(removed_at) = record.occurred_at.map(iso) else {
            return Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                "the S3 event does not say when it happened",
            ));
        };
        self.remove(document, record.version.as_str(), &removed_at)
            .await
    }

    /// Whether there is an original under another key (with another extension) that was uploaded later than the one that is
    /// known: its own event is still to come, and this removal must not take it away.
    async fn has_later_original(
        &self,
        document: &Document,
        key: &str,
        progress: Option<&Progress>,
    ) -> Result<bool, Failure> {
        let known = progress.and_then(|progress| progress.uploaded_at.as_deref());
        let prefix = document.original(None);
        for listed in self.0.bucket.list(&prefix).await? {
            let is_original = matches!(Named::of(&listed.key), Ok(Named::Original(_)));
            // A listing tells whole seconds.
            let is_later = known.is_none_or(|known| {
                let modified = listed.modified.map(iso).unwrap_or_default();
                modified.get(..19) >= known.get(..19)
            });
            if is_original && listed.key != key && is_later {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn row_removed(
        &self,
        document: &Document,
        change: &RowChange,
        record: &Record,
    ) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if change
            .old
            .as_ref()
            .is_some_and(|row| row.get(REMOVED_BY).is_some())
        {
            return Ok(Outcome::Ignored("removed with the document's original"));
        }
        let Some(occurred_at) = record.occurred_at.map(iso) else {
            return Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                "the stream record does not say when it happened",
            ));
        };
        // The stream tells times in whole seconds. The row that was removed says itself since when it had been there.
        let removed_at = change
            .old
            .as_ref()
            .and_then(upload_date)
            .map_or(occurred_at.clone(), |written| occurred_at.max(written));
        let row = documents.progress.read_row(document).await?;
        let is_later = |row: &Row| {
            let date = row.get("uploadDate").and_then(|date| date.as_s().ok());
            date.is_some_and(|date| *date > removed_at)
        };
        if row.as_ref().is_some_and(is_later) {
            // The row of a later upload. One that is not later was made anew by the event of the upload whose row was removed.
            return settle(documents, document).await;
        }
        let now = documents.now();
        let store = &documents.progress;
        match store.begin_row_removal(document, &removed_at, &now).await? {
            RowRemoval::Begun(through) => self.tidy_away(document, &through, &removed_at).await,
            RowRemoval::NothingToTidy => Ok(Outcome::Applied),
            RowRemoval::Already => Ok(Outcome::Already),
            RowRemoval::Superseded => settle(documents, document).await,
        }
    }

    /// Removes everything of an original, and of those before it.
    async fn remove(
        &self,
        document: &Document,
        through: &str,
        removed_at: &str,
    ) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        match documents
            .progress
            .begin_removal(document, through, &documents.now())
            .await?
        {
            Outcome::Applied => self.tidy_away(document, through, removed_at).await,
            Outcome::Superseded => settle(documents, document).await,
            outcome => Ok(outcome),
        }
    }

    /// Removes what was derived up to a generation, and the row unless it is later than the removal.
    async fn tidy_away(
        &self,
        document: &Document,
        through: &str,
        removed_at: &str,
    ) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        remove_derived(documents, document, through).await?;
        documents
            .progress
            .remove_row(document, through, removed_at)
            .await?;
        documents
            .progress
            .finish_removal(document, through, &documents.now())
            .await?;
        Ok(Outcome::Applied)
    }
}

/// When the upload was that a row is of.
fn upload_date(row: &Item) -> Option<String> {
    match row.get("uploadDate")? {
        serde_dynamo::AttributeValue::S(date) => Some(date.clone()),
        _ => None,
    }
}
