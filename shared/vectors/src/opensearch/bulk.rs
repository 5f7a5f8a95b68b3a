//! Many writes in one request, and the word on each of them.

use millrace_events::{Failure, reason};
use opensearch::http::Method;
use serde_json::{Value, json};

use super::{
    documents::document,
    wire::{Wire, refused},
};
use crate::index::Entry;

/// A request's size in bytes before the next one is begun. A vector takes about 18 KB as text.
const MAX_REQUEST_BYTES: usize = 5 << 20;

/// Who chooses a document's `_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// It is the chunk's id, so that a second put replaces the first.
    ByChunk,
    /// Serverless vector collections accept no id.
    ByService,
}

/// What makes written documents findable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The service, in its own time.
    Later,
    /// A refresh, which makes a segment: what everybody wrote in the last second has to be merged that often.
    ByRefresh,
    /// The index's own refresh, soon; the answer comes after it, and all that came in meanwhile shares it.
    ByWaiting,
}

/// Writes entries.
pub(super) async fn put(
    wire: &Wire,
    entries: &[&Entry],
    naming: Naming,
    shown: Shown,
) -> Result<(), Failure> {
    let mut requests = Requests::default();
    for entry in entries {
        let action = match naming {
            Naming::ByChunk => json!({"index": {"_id": entry.chunk_id}}),
            Naming::ByService => json!({"index": {}}),
        };
        let document = document(entry).map_err(|error| {
            let message = "an entry cannot be written as JSON";
            Failure::permanent(reason::INDEX_REJECTED, message).caused_by(error)
        })?;
        requests.add(&action, Some(&document));
    }
    let mut requests = requests.all();
    if shown == Shown::ByWaiting && requests.len() == 1 {
        // Of several, each would wait, and the last one only for the shards that it writes to.
        let request = requests.remove(0);
        let parameters = [("refresh", "wait_for")];
        send_with(wire, "put chunks", request, Conflicts::Refused, &parameters).await?;
        return Ok(());
    }
    for request in requests {
        send(wire, "put chunks", request, Conflicts::Refused).await?;
    }
    match shown {
        Shown::Later => Ok(()),
        Shown::ByRefresh | Shown::ByWaiting => refresh(wire).await,
    }
}

/// Shows what was written.
pub(super) async fn refresh(wire: &Wire) -> Result<(), Failure> {
    wire.ask_index("refresh", Method::Post, "/_refresh", &[], None)
        .await
        .map(|_| ())
}

/// Deletes documents by `_id`; answers how many were there.
pub(super) async fn delete(wire: &Wire, ids: &[String]) -> Result<u64, Failure> {
    let mut requests = Requests::default();
    for id in ids {
        requests.add(&json!({"delete": {"_id": id}}), None);
    }
    let mut deleted = 0;
    for request in requests.all() {
        deleted += send(wire, "remove", request, Conflicts::Refused).await?;
    }
    Ok(deleted)
}

/// Requests of a size that the service takes.
#[derive(Default)]
pub(super) struct Requests {
    full: Vec<String>,
    open: String,
}

impl Requests {
    pub(super) fn add(&mut self, action: &Value, document: Option<&str>) {
        self.open.push_str(&action.to_string());
        self.open.push('\n');
        if let Some(document) = document {
            self.open.push_str(document);
            self.open.push('\n');
        }
        if self.open.len() >= MAX_REQUEST_BYTES {
            self.full.push(std::mem::take(&mut self.open));
        }
    }

    /// What was added.
    pub(super) fn all(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.full.push(self.open);
        }
        self.full
    }
}

/// What an item means that is refused for its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conflicts {
    /// A failure, as any other.
    Refused,
    /// What is there is newer, and stays.
    Fine,
}

/// Answers how many items changed something. A bulk request succeeds even when its items fail.
pub(super) async fn send(
    wire: &Wire,
    attempted: &str,
    body: String,
    conflicts: Conflicts,
) -> Result<u64, Failure> {
    send_with(wire, attempted, body, conflicts, &[]).await
}

async fn send_with(
    wire: &Wire,
    attempted: &str,
    body: String,
    conflicts: Conflicts,
    parameters: &[(&str, &str)],
) -> Result<u64, Failure> {
    let answer = wire
        .ask_index(attempted, Method::Post, "/_bulk", parameters, Some(body))
        .await?;
    judge(
        &format!("could not {attempted} in {}", wire.index()),
        &answer,
        conflicts,
    )
}

/// One item that will never be accepted makes the whole permanent; else one that may be later makes it transient.
fn judge(attempted: &str, answer: &Value, conflicts: Conflicts) -> Result<u64, Failure> {
    let items = answer["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut changed = 0;
    let mut worst: Option<Failure> = None;
    let mut failed = 0;
    for item in items
        .iter()
        .filter_map(|item| item.as_object()?.values().next())
    {
        let status = item["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or(500);
        match status {
            200..300 => changed += 1,
            409 if conflicts == Conflicts::Fine
                && item["error"]["type"] == "version_conflict_engine_exception" => {}
            // A delete of what is not there any more.
            404 if item.get("error").is_none() => {}
            _ => {
                failed += 1;
                let failure = refused(attempted, status, &item["error"].to_string());
                if worst
                    .as_ref()
                    .is_none_or(|worst| worst.is_transient() && !failure.is_transient())
                {
                    worst = Some(failure);
                }
            }
        }
    }
    match worst {
        None => Ok(changed),
        Some(worst) => {
            let message = format!(
                "{} ({failed} of {} items failed)",
                worst.message(),
                items.len()
            );
            Err(if worst.is_transient() {
                Failure::transient(worst.reason(), message)
            } else {
                Failure::permanent(worst.reason(), message)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn item(status: u16) -> Value {
        let error = json!({"type": "an_exception", "reason": "because"});
        match status {
            200..300 => json!({"index": {"status": status}}),
            _ => json!({"index": {"status": status, "error": error}}),
        }
    }

    #[test]
    fn every_item_is_looked_at() {
        assert_eq!(
            judge(
                "x",
                &json!({"errors": false, "items": [item(200), item(201)]}),
                Conflicts::Refused
            )
            .unwrap(),
            2
        );
        let throttled = judge(
            "x",
            &json!({"errors": true, "items": [item(200), item(429)]}),
            Conflicts::Refused,
        )
        .unwrap_err();
        assert!(throttled.is_transient());
        assert_eq!(throttled.reason(), reason::INDEX_UNAVAILABLE);
        let rejected = judge(
            "x",
            &json!({"errors": true, "items": [item(429), item(400), item(503)]}),
            Conflicts::Fine,
        )
        .unwrap_err();
        assert!(!rejected.is_transient());
        assert_eq!(rejected.reason(), reason::INDEX_REJECTED);
        assert!(
            rejected
                .message()
                .ends_with("because (3 of 3 items failed)"),
            "{rejected}"
        );
    }

    #[test]
    fn deleting_what_is_gone_is_no_failure() {
        let answer = json!({"items": [{"delete": {"status": 404, "result": "not_found"}}, {"delete": {"status": 200}}]});
        assert_eq!(judge("x", &answer, Conflicts::Refused).unwrap(), 1);
    }

    #[test]
    fn what_is_older_than_what_is_there_is_refused_and_that_may_be_fine() {
        let error = json!({"type": "version_conflict_engine_exception", "reason": "newer"});
        let answer = json!({"items": [{"index": {"status": 409, "error": error}}, item(201)]});
        assert_eq!(judge("x", &answer, Conflicts::Fine).unwrap(), 1);
        assert!(
            judge("x", &answer, Conflicts::Refused)
                .unwrap_err()
                .is_transient()
        );
        let other = json!({"items": [item(409)]});
        assert!(judge("x", &other, Conflicts::Fine).is_err());
    }
}
