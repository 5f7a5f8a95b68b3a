//! What changes a place: making letters visible again, deleting them, putting them there.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
};
use futures::{StreamExt as _, stream};
use millrace_cloud::{Condition, PutOutcome, classify, retry::Retry};
use millrace_events::{Failure, reason};
use tokio::time::Instant;

use super::{
    catalogue::{LetterCopy, State},
    desk::Desk,
    letter::{Attributes, Place},
    selection::Selection,
};

/// What SQS takes at once.
const BATCH: usize = 10;
/// Requests that run at once.
const AT_ONCE: usize = 8;
/// A receipt must be good for longer than its last request may take.
const MARGIN: std::time::Duration = std::time::Duration::from_secs(10);
/// A request whose answer is lost is made again for so long.
const TRIED_FOR: std::time::Duration = std::time::Duration::from_secs(10);
/// Copies that are put back in one go of the catalogue.
const PAGE: usize = 2_000;

/// What could not be done with a copy, and why.
pub type Refused = (LetterCopy, String);

impl Desk {
    /// Puts back whatever a reading still holds: at the end of an act, and when it is interrupted.
    ///
    /// # Errors
    /// A [`Failure`] when the catalogue cannot be read or written; nothing stays hidden for longer than the time that the
    /// reading asked for.
    pub async fn release_held(&self, reading: i64) -> Result<(), Failure> {
        self.release_reading(reading, None).await
    }

    /// Puts back what a reading holds, but for what `keep` selects.
    pub(super) async fn release_reading(
        &self,
        reading: i64,
        keep: Option<&Selection>,
    ) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let page = self.catalogue.held(reading, keep, after, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.number;
            self.release(&page).await?;
        }
    }

    /// Makes held copies visible again at once. A copy that somebody else took meanwhile is theirs.
    ///
    /// # Errors
    /// A [`Failure`] when the catalogue cannot be written or a queue is gone.
    pub async fn release(&self, copies: &[LetterCopy]) -> Result<(), Failure> {
        for (copy, why) in self.change_visibility(copies, 0).await? {
            tracing::debug!(place = %copy.place, why, "a dead letter could not be put back");
        }
        let numbers: Vec<i64> = copies.iter().map(|copy| copy.number).collect();
        self.catalogue.forget_receipts(&numbers)?;
        Ok(())
    }

    /// Keeps held copies invisible for so many seconds from now. Gives those of which it could not be done: they are no
    /// longer there, or somebody else's.
    ///
    /// # Errors
    /// A [`Failure`] when a queue is gone.
    pub async fn keep_holding(
        &self,
        copies: &[LetterCopy],
        seconds: i32,
    ) -> Result<Vec<Refused>, Failure> {
        self.change_visibility(copies, seconds).await
    }

    /// Copies as SQS takes them: by queue, so many at once. Those that no request can be made for join the refused.
    async fn batches(
        &self,
        copies: &[LetterCopy],
        refused: &mut Vec<Refused>,
    ) -> Result<Vec<(String, Vec<LetterCopy>)>, Failure> {
        let mut batches = Vec::new();
        for (queue, copies) in by_queue(copies, refused) {
            let url = self.queue_url(&queue).await?;
            for batch in copies.chunks(BATCH) {
                batches.push((url.clone(), batch.to_vec()));
            }
        }
        Ok(batches)
    }

    async fn change_visibility(
        &self,
        copies: &[LetterCopy],
        seconds: i32,
    ) -> Result<Vec<Refused>, Failure> {
        let mut refused = Vec::new();
        let requests = self.batches(copies, &mut refused).await?;
        let mut answers = stream::iter(requests)
            .map(|(url, batch)| async move {
                let entries: Result<Vec<_>, _> = batch
                    .iter()
                    .enumerate()
                    .map(|(position, copy)| {
                        ChangeMessageVisibilityBatchRequestEntry::builder()
                            .id(position.to_string())
                            .set_receipt_handle(copy.receipt.clone())
                            .visibility_timeout(seconds)
                            .build()
                    })
                    .collect();
                let request = self
                    .clients
                    .sqs
                    .change_message_visibility_batch()
                    .queue_url(url)
                    .set_entries(entries.ok());
                // What is not put back for a lost answer would be hidden from everybody for hours.
                let retry = Retry::default();
                let sent = retry.run(Instant::now() + TRIED_FOR, || {
                    let request = request.clone();
                    async move {
                        let sent = request.send().await;
                        sent.map_err(|error| {
                            classify("change the visibility of dead letters", error)
                        })
                    }
                });
                match sent.await {
                    Ok(answer) => refused_of(&batch, answer.failed()),
                    Err(failure) => all_refused(batch, &failure),
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(mut answer) = answers.next().await {
            refused.append(&mut answer);
        }
        Ok(refused)
    }

    /// Deletes copies from their places and notes in the catalogue what became of them. Gives those that could not be
    /// deleted: one whose time of holding is over is not touched, because it may be somebody else's by now.
    ///
    /// # Errors
    /// A [`Failure`] when the catalogue cannot be written or a queue is gone.
    pub async fn delete(
        &self,
        copies: &[LetterCopy],
        becomes: State,
    ) -> Result<Vec<Refused>, Failure> {
        let now = self.clock.now();
        let mut refused = Vec::new();
        let mut held = Vec::new();
        let mut objects = Vec::new();
        for copy in copies {
            match &copy.place {
                Place::Object { bucket, key } => objects.push((copy, bucket, key)),
                Place::Queue(_) if copy.receipt.is_some() && copy.visible_at > now + MARGIN => {
                    held.push(copy.clone());
                }
                Place::Queue(_) => {
                    refused.push((copy.clone(), "it is not held any more".to_owned()));
                }
            }
        }
        let requests = self.batches(&held, &mut refused).await?;
        let mut answers = stream::iter(requests)
            .map(|(url, batch)| async move {
                let entries: Result<Vec<_>, _> = batch
                    .iter()
                    .enumerate()
                    .map(|(position, copy)| {
                        DeleteMessageBatchRequestEntry::builder()
                            .id(position.to_string())
                            .set_receipt_handle(copy.receipt.clone())
                            .build()
                    })
                    .collect();
                let request = self
                    .clients
                    .sqs
                    .delete_message_batch()
                    .queue_url(url)
                    .set_entries(entries.ok());
                let refused = match request.send().await {
                    Ok(answer) => refused_of(&batch, answer.failed()),
                    Err(error) => {
                        let failure = classify("delete dead letters", error);
                        all_refused(batch.clone(), &failure)
                    }
                };
                (batch, refused)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((batch, mut kept)) = answers.next().await {
            let deleted: Vec<i64> = batch
                .iter()
                .map(|copy| copy.number)
                .filter(|number| kept.iter().all(|(copy, _)| copy.number != *number))
                .collect();
            self.catalogue.set_state(&deleted, becomes)?;
            self.catalogue.forget_receipts(&deleted)?;
            refused.append(&mut kept);
        }
        for (copy, bucket, key) in objects {
            let bucket = millrace_cloud::Bucket::new(self.clients.s3.clone(), bucket);
            // Only what was read: an object that was written again meanwhile is another one.
            let as_read = Condition::Is(copy.message_id.clone());
            match bucket.delete(key, &as_read).await {
                Ok(PutOutcome::Written) => self.catalogue.set_state(&[copy.number], becomes)?,
                Ok(PutOutcome::Refused) => {
                    refused.push((copy.clone(), "it was written again meanwhile".to_owned()))
                }
                Err(failure) => refused.push((copy.clone(), failure.chain())),
            }
        }
        Ok(refused)
    }

    /// Puts a letter's body and attributes into a queue. Says the id that the queue gave it.
    ///
    /// # Errors
    /// A [`Failure`] when the queue does not take it; then it may be there all the same (a lost answer), and a later
    /// `dedupe` finds it.
    pub async fn put(
        &self,
        queue: &str,
        body: &str,
        attributes: &Attributes,
        group: Option<&str>,
    ) -> Result<String, Failure> {
        let url = self.queue_url(queue).await?;
        let mut request = self
            .clients
            .sqs
            .send_message()
            .queue_url(url)
            .message_body(body)
            .set_message_attributes(Some(values_of(attributes)?));
        if queue.ends_with(".fifo") {
            // Of its own for each sending: by an id of the body, SQS would take what was put there a minute ago, and
            // dropped since, for this letter, and throw this one away.
            let id = uuid::Uuid::new_v4().to_string();
            request = request
                .message_group_id(group.unwrap_or(&id))
                .message_deduplication_id(&id);
        } else {
            request = request.set_message_group_id(group.map(str::to_owned));
        }
        let sent = request
            .send()
            .await
            .map_err(|error| classify(&format!("put the letter into {queue}"), error))?;
        Ok(sent.message_id().unwrap_or_default().to_owned())
    }
}

/// Copies in queues by queue; the others are refused.
fn by_queue(
    copies: &[LetterCopy],
    refused: &mut Vec<Refused>,
) -> BTreeMap<String, Vec<LetterCopy>> {
    let mut queues: BTreeMap<String, Vec<LetterCopy>> = BTreeMap::new();
    for copy in copies {
        match (&copy.place, &copy.receipt) {
            (Place::Queue(name), Some(_)) => {
                queues.entry(name.clone()).or_default().push(copy.clone());
            }
            // An object is not held: it lies where it lies.
            (Place::Object { .. }, _) => {}
            (Place::Queue(_), None) => {
                refused.push((copy.clone(), "it is not held".to_owned()));
            }
        }
    }
    queues
}

fn refused_of(
    batch: &[LetterCopy],
    failed: &[aws_sdk_sqs::types::BatchResultErrorEntry],
) -> Vec<Refused> {
    let of_entry = |entry: &aws_sdk_sqs::types::BatchResultErrorEntry| {
        let copy = batch.get(entry.id().parse::<usize>().ok()?)?;
        let said = entry.message().unwrap_or_default();
        Some((copy.clone(), format!("{}: {said}", entry.code())))
    };
    failed.iter().filter_map(of_entry).collect()
}

fn all_refused(batch: Vec<LetterCopy>, failure: &Failure) -> Vec<Refused> {
    let said = failure.chain();
    batch.into_iter().map(|copy| (copy, said.clone())).collect()
}

fn values_of(
    attributes: &Attributes,
) -> Result<std::collections::HashMap<String, MessageAttributeValue>, Failure> {
    use base64::Engine as _;
    let mut values = std::collections::HashMap::new();
    for (name, attribute) in attributes {
        let bad = |what: &str| {
            Failure::permanent(
                reason::REQUEST_REJECTED,
                format!("the message attribute {name} {what}"),
            )
        };
        let binary = match &attribute.binary {
            Some(text) => Some(
                base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .map_err(|_| bad("is not base64"))?,
            ),
            None => None,
        };
        let value = MessageAttributeValue::builder()
            .data_type(&attribute.data_type)
            .set_string_value(attribute.text.clone())
            .set_binary_value(binary.map(aws_sdk_sqs::primitives::Blob::new))
            .build()
            .map_err(|_| bad("has no type"))?;
        values.insert(name.clone(), value);
    }
    Ok(values)
}
