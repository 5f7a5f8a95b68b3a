//! `keep-progress`: somebody wrote a document's row; what the workers found out stays in it.
//!
//! The platform's upload writes the row whole, and the event of the object can be faster than that write. What
//! the workers had written by then would be lost, and the document would seem to be on its way for ever.

use millrace_delivery::{Cx, Worker};
use millrace_events::{Failure, Outcome, RowChange, RowChangeKind, reason};

use crate::{context::Documents, keys::Document};

/// Listens to `INSERT` and `MODIFY` in the table of documents; its own writes end as `Already`.
#[derive(Clone)]
pub struct KeepProgress(pub Documents);

impl Worker for KeepProgress {
    const NAME: &'static str = "keep-progress";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if change.kind == RowChangeKind::Removed {
            return Ok(Outcome::Ignored("the row was removed"));
        }
        let id = |name: &str| match change.keys.get(name) {
            Some(serde_dynamo::AttributeValue::S(text)) => Ok(text.clone()),
            _ => Err(Failure::permanent(
                reason::MALFORMED_EVENT,
                format!("the row's key has no {name}"),
            )),
        };
        // Rows of other makers may have ids that no worker accepts: nothing of ours is in them.
        let Ok(document) = Document::parse(&id("userId")?, &id("documentId")?) else {
            return Ok(Outcome::Ignored("not a document that workers process"));
        };
        documents.progress.project(&document).await
    }
}
