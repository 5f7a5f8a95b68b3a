//! What must hold meanwhile and in the end, and the operator with the dead letters.

use millrace_events::{ParkedRecord, Reason};
use millrace_tests::State;
use serde_json::Value;

use super::{Simulation, WHOLE_EVERY};
use crate::histories::When;

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
        for worker in self.scene.workers() {
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

    pub(super) async fn check_always(&mut self) -> Result<(), String> {
        self.looks += 1;
        let whole = self.looks.is_multiple_of(WHOLE_EVERY);
        self.scene.look(&self.world, whole).await?;
        self.check(When::Always)
    }

    fn check(&self, when: When) -> Result<(), String> {
        self.scene.broken(when).map_or(Ok(()), Err)
    }

    pub(super) async fn check_rest(&mut self) -> Result<(), String> {
        self.scene.look(&self.world, true).await?;
        for worker in self.scene.workers() {
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
                self.scene.has_letter(&parked.subject);
                self.world.put_back(&letter).await;
            }
        }
        self.check(When::Always)?;
        self.check(When::AtRest)
    }

    pub(super) async fn end_state(&self) -> State {
        let state = State::of(&self.world).await;
        self.scene.seen_from_outside(&self.world, state)
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
