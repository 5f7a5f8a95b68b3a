//! One letter through its worker's own queue: the way on AWS, where the functions have the rights and the network.

use millrace_events::{Failure, open_slice, reason};

use super::{
    outcome::{Became, Trouble},
    resolve::resolve,
};
use crate::letters::{Attributes, Desk, Kind, Letter};

/// The workers' queues.
#[derive(Debug)]
pub(crate) struct ThroughQueues {
    desk: Desk,
    workers: Vec<String>,
}

impl ThroughQueues {
    pub(crate) fn new(desk: Desk, workers: Vec<String>) -> Self {
        Self { desk, workers }
    }

    /// Puts a letter's event into its worker's queue. Once this says [`Became::Sent`] the queue has all of it; a
    /// letter of which a part was sent when something failed is sent whole again, which is safe.
    pub(crate) async fn send(&self, letter: &Letter) -> Became {
        match self.try_to_send(letter).await {
            Ok(records) => Became::Sent(records),
            Err(failure) => Became::Failed(Trouble::of(&failure)),
        }
    }

    async fn try_to_send(&self, letter: &Letter) -> Result<Vec<String>, Failure> {
        if !self.workers.contains(&letter.worker) {
            return Err(Failure::permanent(
                reason::WORKER_UNAVAILABLE,
                format!(
                    "there is no worker {:?} here; there are {}",
                    letter.worker,
                    self.workers.join(", ")
                ),
            ));
        }
        let queue = format!("millrace-{}", letter.worker);
        let mut resolved = resolve(letter, &self.desk.clients().streams)?;
        // What Lambda or a rule wrote beside the body is about the failure; a queue's own attributes are the event's.
        let attributes = match letter.kind {
            Kind::Redriven if !letter.attributes.contains_key("RULE_ARN") => {
                letter.attributes.clone()
            }
            _ => Attributes::new(),
        };
        let mut records = Vec::new();
        loop {
            let bodies = resolved.next_bodies().await?;
            if bodies.is_empty() {
                return Ok(records);
            }
            for body in bodies {
                let group = letter.group.as_deref();
                self.desk.put(&queue, &body, &attributes, group).await?;
                if letter.kind == Kind::StreamPlace {
                    records.extend(records_in(&body));
                }
            }
        }
    }
}

/// The identities of the records in a body.
fn records_in(body: &str) -> Vec<String> {
    let batch = open_slice(body.as_bytes());
    let messages = batch.map(|batch| batch.messages).unwrap_or_default();
    let records = messages.into_iter().flat_map(|message| message.records);
    records.flatten().map(|record| record.id).collect()
}
