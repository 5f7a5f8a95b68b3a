//! What must hold meanwhile and in the end, and the operator with the dead letters.

use millrace_documents::invariants::{ALWAYS, AT_REST, Snapshot};
use millrace_effects::{Invariant, broken};
use millrace_events::{ParkedRecord, Reason};
use millrace_tests::{State, workers};
use serde_json::{Value, json};

use super::{Simulation, WHOLE_EVERY};

impl Simulation<'_> {
    /// Sends a dead letter to its worker again, and only then takes it out of its queue. With a list: one of those only.
    pub(super) async fn replay_letter(&mut self, worker: &'static str, only: &[String]) -> bool {
        let letters = self.world.receive(&format!("{worker}-dlq")).await;
        let mut replayed = false;
        for letter in letters {
            let body = letter.event["Records"][0]["body"].as_str().unwrap();
            let known = only.is_empty() || only.contains(&letter_line(body));
            if replayed || !known {
                self.world.put_back(&letter).await;
                continue;
            }
            self.world.send(worker, body).await;
            self.world.delete(&letter).await;
            self.run.replays += 1;
            replayed = true;
        }
        replayed
    }

    /// Worker, reason and subject of every dead letter.
    pub(super) async fn letters(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for worker in workers() {
            for letter in self.world.receive(&format!("{worker}-dlq")).await {
                let body = letter.event["Records"][0]["body"].as_str().unwrap();
                lines.push(letter_line(body));
                self.world.put_back(&letter).await;
            }
        }
        lines.sort();
        lines.dedup();
        lines
    }

    pub(super) async fn look(&mut self, whole: bool) -> Result<(), String> {
        let observer = &self.world.observer;
        for (at, document) in self.documents.iter().enumerate() {
            let now = if whole {
                Snapshot::read(observer, document).await
            } else {
                Snapshot::glance(observer, document).await
            };
            let now = now.map_err(|failure| format!("{document}: {}", failure.chain()))?;
            self.snapshots[at] = now.after(&self.snapshots[at]);
        }
        Ok(())
    }

    pub(super) async fn check_always(&mut self) -> Result<(), String> {
        self.looks += 1;
        self.look(self.looks.is_multiple_of(WHOLE_EVERY)).await?;
        self.check(ALWAYS)
    }

    pub(super) fn check(&self, invariants: &[Invariant<Snapshot>]) -> Result<(), String> {
        for (document, snapshot) in self.documents.iter().zip(&self.snapshots) {
            let broken = broken(invariants, snapshot);
            if !broken.is_empty() {
                let what = format!("{snapshot:#?}");
                return Err(format!("{}: {document}\n{what:.4000}", broken.join(", ")));
            }
        }
        Ok(())
    }

    pub(super) async fn check_rest(&mut self) -> Result<(), String> {
        self.look(true).await?;
        for worker in workers() {
            for letter in self.world.receive(&format!("{worker}-dlq")).await {
                let body = letter.event["Records"][0]["body"].as_str().unwrap();
                let Some(parked) = ParkedRecord::from_body(body) else {
                    return Err(format!("letters-are-whole: {worker} parked {body:.300}"));
                };
                let opened = serde_json::from_str(body).ok();
                let opened = opened.and_then(|body: Value| millrace_events::open(&body).ok());
                let holds_it = opened.is_some_and(|batch| {
                    let records = batch
                        .messages
                        .iter()
                        .filter_map(|one| one.records.as_ref().ok());
                    records
                        .flatten()
                        .any(|record| record.id == parked.record_id)
                });
                if !holds_it || Reason::from_code(&parked.reason.code).is_none() {
                    return Err(format!("letters-are-whole: {worker} parked {body:.300}"));
                }
                for (document, snapshot) in self.documents.iter().zip(&mut self.snapshots) {
                    snapshot.has_letter |= parked.subject.contains(document.id.as_str());
                }
                self.world.put_back(&letter).await;
            }
        }
        self.check(ALWAYS)?;
        self.check(AT_REST)
    }

    pub(super) async fn end_state(&self) -> State {
        let mut state = State::of(&self.world).await;
        for (key, row) in &mut state.rows {
            *row = self.seen_from_outside(key, row.take());
        }
        // A document of which only a removal is known need not have a row of its own.
        let removed = json!({"status": {"S": "removed"}});
        state.rows.retain(|_, row| *row != removed);
        state
    }

    /// How a removal was learnt of differs from run to run, and only Millrace reads it; that it is removed does not.
    pub(super) fn seen_from_outside(&self, key: &str, mut row: Value) -> Value {
        if !key.starts_with(&self.world.names.progress_table) {
            return row;
        }
        if matches!(row["status"]["S"].as_str(), Some("removed" | "removing")) {
            return json!({"status": row["status"]});
        }
        for private in ["removedThrough", "removedAt", "writtenTitle"] {
            row.as_object_mut().unwrap().remove(private);
        }
        row
    }
}

fn letter_line(body: &str) -> String {
    match ParkedRecord::from_body(body) {
        Some(parked) => format!(
            "{} {} {}",
            parked.worker, parked.reason.code, parked.subject
        ),
        None => format!("redriven {body:.200}"),
    }
}
