//! One letter through its worker's own queue: the way on AWS, where the functions have the rights and the network.

use millrace_events::{Failure, open, reason};
use serde_json::json;

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
                if letter.kind == Kind::StreamPlace || letter.record_ids.is_empty() {
                    records.extend(records_in(&body));
                }
            }
        }
    }
}

/// The identities of the records in a body, as the worker will know them: also of what it cannot decode.
fn records_in(body: &str) -> Vec<String> {
    let message = json!({"eventSource": "aws:sqs", "messageId": "-", "body": body});
    let batch = open(&json!({ "Records": [message] }));
    let messages = batch.map(|batch| batch.messages).unwrap_or_default();
    let ids = messages.iter().flat_map(|message| {
        let (known, unknown) = match &message.records {
            Ok(records) => (records.as_slice(), 0),
            Err(_) => (&[][..], 1),
        };
        let unknown = 0..unknown + message.rejected.len();
        let known = known.iter().map(|record| record.id.clone());
        known.chain(unknown.map(|position| message.undecodable_id(position)))
    });
    ids.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_worker_can_decode_is_known_by_what_it_is() {
        let one = records_in("hello");
        assert_eq!(one.len(), 1);
        assert!(
            one.iter().all(|id| id.starts_with("undecodable:")),
            "{one:?}"
        );
        assert_eq!(one, records_in("hello"));
        assert_ne!(one, records_in("hello!"));
    }
}
