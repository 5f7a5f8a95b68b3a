//! `remove-document`: an original, or a document's row, was removed; everything that was derived goes.

use millrace_cloud::clock::iso;
use millrace_delivery::{Cx, Worker};
use millrace_events::{Failure, ObjectChangeKind, Outcome, Payload, Record, RowChangeKind, reason};

use crate::{
    context::Documents,
    keys::{Document, Named},
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
                self.row_removed(&document, &record).await
            }
            Payload::Object(_) => Ok(Outcome::Ignored("the object was created")),
            Payload::Row(_) => Ok(Outcome::Ignored("the row was not removed")),
            Payload::Message(_) | Payload::Test => Ok(Outcome::Ignored("not a removal")),
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
            .and_then(|progress| progress.s3_key.as_deref())
            .is_some_and(|current| current != key)
        {
            return Ok(Outcome::Ignored("not the document's current original"));
        }
        let Some(removed_at) = record.occurred_at.map(iso) else {
            return Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                "the S3 event does not say when it happened",
            ));
        };
        self.remove(document, record.version.as_str(), Some(&removed_at))
            .await
    }

    async fn row_removed(&self, document: &Document, record: &Record) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if documents.progress.read_row(document).await?.is_some() {
            // The row was written again after this removal.
            return settle(documents, document).await;
        }
        let progress = documents.progress.read(document).await?;
        let Some(generation) = progress.and_then(|progress| progress.generation) else {
            let Some(removed_at) = record.occurred_at else {
                return Err(Failure::permanent(
                    reason::MALFORMED_EVENT,
                    "the stream record does not say when it happened",
                ));
            };
            return documents
                .progress
                .remove_unknown(document, &iso(removed_at), &documents.now())
                .await;
        };
        self.remove(document, &generation, None).await
    }

    /// Removes everything up to a generation. The row goes too when it was the original that was removed, at
    /// `removed_at`; when the row was, it is gone, and one that is there now is another's.
    async fn remove(
        &self,
        document: &Document,
        through: &str,
        removed_at: Option<&str>,
    ) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        match documents
            .progress
            .begin_removal(document, through, &documents.now())
            .await?
        {
            Outcome::Applied => {}
            Outcome::Superseded => return settle(documents, document).await,
            outcome => return Ok(outcome),
        }
        remove_derived(documents, document, through).await?;
        if let Some(removed_at) = removed_at {
            documents
                .progress
                .remove_row(document, through, removed_at)
                .await?;
        }
        documents
            .progress
            .finish_removal(document, through, &documents.now())
            .await?;
        Ok(Outcome::Applied)
    }
}
