//! Reading: every message of every dead-letter queue, received, kept in the catalogue, and put back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_sqs::{
    error::ProvideErrorMetadata as _,
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use futures::{StreamExt as _, stream};
use millrace_cloud::classify;
use millrace_events::Failure;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{
    catalogue::Sighting,
    decode::{Received, Workers, decode},
    desk::Desk,
    letter::{Attribute, Attributes, Place},
    queues::DeadLetterQueue,
    selection::Selection,
};

/// What SQS hands over at once.
const BATCH: i32 = 10;
/// Queues that are read at once.
const QUEUES: usize = 4;
/// Receives that run at once on a queue.
const RECEIVERS: usize = 4;
/// Batches that may wait for the catalogue: with letters of 1 MiB, 80 MiB.
const WAITING: usize = 8;
/// A transaction of the catalogue takes so many letters, or so many bytes.
const KEEP_AT_ONCE: usize = 400;
const KEEP_BYTES: usize = 4 * 1024 * 1024;
/// Receives that may find nothing although the queue says that there is something.
const EMPTY_RECEIVES: u32 = 3;
/// The least and the most that a message is invisible while its queue is read.
const LEAST_HIDDEN: u64 = 120;
const MOST_HIDDEN: u64 = 900;
/// Letters a second that a reading does at least: by this the time of invisibility is estimated.
const LETTERS_A_SECOND: u64 = 200;
/// Where Lambda writes what it gave up.
const FAILURES_PREFIX: &str = "aws/lambda/";

/// What is done with the letters once they are read.
#[derive(Debug, Clone)]
pub enum Hold {
    /// All of them are put back.
    Nothing,
    /// Those of the selection stay invisible to others, with receipts that are good for this long.
    For {
        /// Which letters.
        selection: Selection,
        /// For how long at least, counted from when they are received.
        time: Duration,
    },
}

/// What a reading found.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadReport {
    /// The reading: what it holds is released by this number.
    #[serde(skip)]
    pub reading: i64,
    /// Messages and objects that were read.
    pub read: u64,
    /// Copies that were there the last time and are not any more.
    pub gone: u64,
    /// Messages that are invisible and not ours: by queue.
    pub hidden: BTreeMap<String, u64>,
    /// Messages that are there and did not come: by queue.
    pub unread: BTreeMap<String, u64>,
    /// Places that could not be read, with the reason.
    pub failed: BTreeMap<String, String>,
    /// It was asked to stop before its end.
    pub interrupted: bool,
}

impl ReadReport {
    /// Whether every place was read to its end.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.unread.is_empty() && !self.interrupted
    }
}

/// How the reading of one queue ended.
#[derive(Debug, Default)]
struct QueueRead {
    over_limit: bool,
    failure: Option<Failure>,
}

/// What the receivers of a queue share.
struct Shared {
    stop: AtomicBool,
    read: AtomicU64,
}

type Batch = (Arc<Shared>, Place, Workers, Vec<Message>, OffsetDateTime);

impl Desk {
    /// Brings the catalogue up to date. `progress` is told how many letters were read so far.
    ///
    /// # Errors
    /// A [`Failure`] when the queues cannot be listed or the catalogue cannot be written; a queue that cannot be read
    /// is said in the report.
    pub async fn read(
        &self,
        hold: &Hold,
        progress: impl Fn(u64) + Send + Sync,
    ) -> Result<ReadReport, Failure> {
        let queues = self.queues().await?;
        let reading = self.catalogue.begin_reading(self.clock.now())?;
        let mut report = ReadReport {
            reading,
            ..ReadReport::default()
        };
        let (batches, mut waiting) = mpsc::channel::<Batch>(WAITING);
        let keeper = {
            let desk = self.clone();
            tokio::task::spawn_blocking(move || -> Result<u64, Failure> {
                let mut read = 0;
                let mut sightings = Vec::new();
                let mut bytes = 0;
                while let Some((shared, place, workers, messages, visible_at)) =
                    waiting.blocking_recv()
                {
                    for message in messages {
                        let sighting =
                            sighting(&place, &workers, message, visible_at, desk.clock.now());
                        bytes += sighting.letter.body.len();
                        sightings.push(sighting);
                    }
                    // What comes slowly is kept at once, what comes fast in large transactions.
                    if waiting.is_empty() || sightings.len() >= KEEP_AT_ONCE || bytes >= KEEP_BYTES
                    {
                        let again = desk.catalogue.keep(reading, desk.clock.now(), &sightings)?;
                        read += (sightings.len() - again) as u64;
                        shared.read.fetch_max(read, Ordering::Relaxed);
                        if again > 0 {
                            // The queue has come around: its first messages are visible again already.
                            shared.stop.store(true, Ordering::SeqCst);
                        }
                        sightings.clear();
                        bytes = 0;
                    }
                }
                let again = desk.catalogue.keep(reading, desk.clock.now(), &sightings)?;
                Ok(read + (sightings.len() - again) as u64)
            })
        };
        let mut reads = stream::iter(&queues)
            .map(|queue| {
                let (batches, progress) = (batches.clone(), &progress);
                async move {
                    let read = self.read_queue(queue, hold, batches, progress).await;
                    (queue, read)
                }
            })
            .buffer_unordered(QUEUES);
        let mut ended = Vec::new();
        while let Some(read) = reads.next().await {
            ended.push(read);
        }
        drop(reads);
        drop(batches);
        let kept = keeper.await.map_err(|error| {
            Failure::transient(
                millrace_events::reason::SERVICE_UNAVAILABLE,
                format!("keeping what was read was interrupted: {error}"),
            )
        })?;
        // Whatever went wrong, what was received goes back first.
        let counted = self.count_queues(reading, &mut report, ended).await;
        let objects = self.read_objects(reading, &mut report).await;
        let keep = match hold {
            // Who is asked to stop holds nothing, and what did not go well ends with this reading.
            Hold::For { selection, .. }
                if !self.is_stopping() && kept.is_ok() && counted.is_ok() && objects.is_ok() =>
            {
                Some(selection)
            }
            Hold::For { .. } | Hold::Nothing => None,
        };
        let released = self.release_reading(reading, keep).await;
        report.read += kept?;
        report.read += objects?;
        counted?;
        released?;
        report.interrupted = self.is_stopping();
        if !report.interrupted {
            self.sweep_places(reading, &queues, &mut report)?;
            self.catalogue.end_reading(reading, self.clock.now())?;
        }
        Ok(report)
    }

    async fn read_queue(
        &self,
        queue: &DeadLetterQueue,
        hold: &Hold,
        batches: mpsc::Sender<Batch>,
        progress: &(impl Fn(u64) + Send + Sync),
    ) -> QueueRead {
        let visible = match self.counts_of(queue).await {
            Ok((0, _)) if self.patience.is_zero() => return QueueRead::default(),
            Ok((visible, _)) => visible,
            Err(failure) => {
                return QueueRead {
                    failure: Some(failure),
                    over_limit: false,
                };
            }
        };
        let estimate = (60 + visible / LETTERS_A_SECOND).clamp(LEAST_HIDDEN, MOST_HIDDEN);
        let hidden = match hold {
            Hold::Nothing => estimate,
            Hold::For { time, .. } => estimate.max(time.as_secs()),
        };
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            read: AtomicU64::new(0),
        });
        let receivers = if visible <= u64::from(BATCH.unsigned_abs()) {
            1
        } else {
            RECEIVERS
        };
        let mut running = stream::iter(0..receivers)
            .map(|_| self.receive(queue, hidden, &shared, batches.clone(), progress))
            .buffer_unordered(RECEIVERS);
        let mut read = QueueRead::default();
        while let Some(one) = running.next().await {
            read.over_limit |= one.over_limit;
            read.failure = read.failure.or(one.failure);
        }
        read
    }

    /// Receives until the queue has no more.
    async fn receive(
        &self,
        queue: &DeadLetterQueue,
        hidden: u64,
        shared: &Arc<Shared>,
        batches: mpsc::Sender<Batch>,
        progress: &(impl Fn(u64) + Send + Sync),
    ) -> QueueRead {
        let mut read = QueueRead::default();
        let mut empty = 0;
        while !shared.stop.load(Ordering::SeqCst) && !self.is_stopping() {
            let visible_at = self.clock.now() + Duration::from_secs(hidden);
            let asked = self
                .clients
                .sqs
                .receive_message()
                .queue_url(&queue.url)
                .max_number_of_messages(BATCH)
                .visibility_timeout(i32::try_from(hidden).unwrap_or(43_200))
                .wait_time_seconds(i32::try_from(self.patience.as_secs()).unwrap_or(1))
                .message_attribute_names("All")
                .message_system_attribute_names(MessageSystemAttributeName::All);
            let messages = match asked.send().await {
                Ok(answer) => answer.messages.unwrap_or_default(),
                // 120,000 messages are out already: the rest must wait until these are put back or deleted.
                Err(error) if error.code().is_some_and(|code| code.contains("OverLimit")) => {
                    read.over_limit = true;
                    shared.stop.store(true, Ordering::SeqCst);
                    break;
                }
                Err(error) => {
                    read.failure = Some(classify(&format!("read {}", queue.name), error));
                    shared.stop.store(true, Ordering::SeqCst);
                    break;
                }
            };
            if messages.is_empty() {
                empty += 1;
                let left = self
                    .counts_of(queue)
                    .await
                    .map_or(0, |(visible, _)| visible);
                if left == 0 || empty >= EMPTY_RECEIVES {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            empty = 0;
            progress(messages.len() as u64);
            let batch = (
                Arc::clone(shared),
                Place::Queue(queue.name.clone()),
                queue.workers.clone(),
                messages,
                visible_at,
            );
            if batches.send(batch).await.is_err() {
                // The catalogue failed; who waits for it says why.
                break;
            }
        }
        read
    }

    /// Messages that are visible, and that are in flight.
    pub(super) async fn counts_of(&self, queue: &DeadLetterQueue) -> Result<(u64, u64), Failure> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let asked = self
            .clients
            .sqs
            .get_queue_attributes()
            .queue_url(&queue.url);
        let asked = asked.set_attribute_names(Some(names.to_vec()));
        let answer = asked
            .send()
            .await
            .map_err(|error| classify(&format!("count the letters in {}", queue.name), error))?;
        let count = |name: &QueueAttributeName| {
            let text = answer.attributes().and_then(|all| all.get(name));
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Ok((count(&names[0]), count(&names[1])))
    }

    /// What of the queues is not ours to read, before ours is put back.
    async fn count_queues(
        &self,
        reading: i64,
        report: &mut ReadReport,
        ended: Vec<(&DeadLetterQueue, QueueRead)>,
    ) -> Result<(), Failure> {
        for (queue, read) in ended {
            if let Some(failure) = read.failure {
                report.failed.insert(
                    queue.name.clone(),
                    format!("{} [{}]", failure.chain(), failure.reason()),
                );
                continue;
            }
            let (visible, in_flight) = self.counts_of(queue).await?;
            let ours = self.catalogue.seen(reading, &queue.name)?;
            if in_flight > ours {
                report.hidden.insert(queue.name.clone(), in_flight - ours);
            }
            if visible > 0 || read.over_limit {
                report.unread.insert(queue.name.clone(), visible);
            }
        }
        Ok(())
    }

    /// What lies in no place that was read is gone, unless somebody holds it.
    fn sweep_places(
        &self,
        reading: i64,
        queues: &[DeadLetterQueue],
        report: &mut ReadReport,
    ) -> Result<(), Failure> {
        let was_read = |place: &Place| match place {
            Place::Queue(name) => {
                queues.iter().any(|queue| queue.name == *name)
                    && !report.hidden.contains_key(name)
                    && !report.unread.contains_key(name)
                    && !report.failed.contains_key(name)
            }
            Place::Object { bucket, .. } => {
                self.failures_bucket.as_ref() == Some(bucket)
                    && !report.failed.contains_key(&format!("s3://{bucket}"))
            }
        };
        let mut places = self.catalogue.places()?;
        places.retain(was_read);
        for place in places {
            report.gone += self.catalogue.sweep(reading, &place.to_string())? as u64;
        }
        Ok(())
    }

    /// Reads what Lambda wrote into the bucket of failures.
    async fn read_objects(&self, reading: i64, report: &mut ReadReport) -> Result<u64, Failure> {
        let Some(name) = &self.failures_bucket else {
            return Ok(0);
        };
        let bucket = millrace_cloud::Bucket::new(self.clients.s3.clone(), name);
        let listed = match bucket.list(FAILURES_PREFIX).await {
            Ok(listed) => listed,
            Err(failure) => {
                let said = format!("{} [{}]", failure.chain(), failure.reason());
                report.failed.insert(format!("s3://{name}"), said);
                return Ok(0);
            }
        };
        let mut read = 0;
        for object in listed {
            if self.is_stopping() {
                break;
            }
            let now = self.clock.now();
            let place = Place::Object {
                bucket: name.clone(),
                key: object.key.clone(),
            };
            read += 1;
            if self.catalogue.touch(reading, &place, &object.e_tag, now)? {
                continue;
            }
            let Some(found) = bucket.get(&object.key).await? else {
                read -= 1;
                continue;
            };
            let received = Received {
                body: String::from_utf8_lossy(&found.bytes).into_owned(),
                ..Received::default()
            };
            let workers = Workers {
                default: "-".to_owned(),
                max_receives: None,
                known: self.workers.clone(),
            };
            let sighting = Sighting {
                letter: decode(place, &received, &workers, now),
                message_id: object.e_tag,
                receipt: None,
                visible_at: OffsetDateTime::UNIX_EPOCH,
            };
            self.catalogue.keep(reading, now, &[sighting])?;
        }
        Ok(read)
    }
}

fn sighting(
    place: &Place,
    workers: &Workers,
    message: Message,
    visible_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Sighting {
    let message_id = message.message_id.clone().unwrap_or_default();
    let receipt = message.receipt_handle.clone();
    let received = received_of(message);
    Sighting {
        letter: decode(place.clone(), &received, workers, now),
        message_id,
        receipt,
        visible_at,
    }
}

fn received_of(message: Message) -> Received {
    use base64::Engine as _;
    let mut attributes = Attributes::new();
    for (name, value) in message.message_attributes.unwrap_or_default() {
        let binary = value
            .binary_value
            .map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes));
        let attribute = Attribute {
            data_type: value.data_type,
            text: value.string_value,
            binary,
        };
        attributes.insert(name, attribute);
    }
    let system = message.attributes.unwrap_or_default();
    Received {
        body: message.body.unwrap_or_default(),
        attributes,
        system: system
            .into_iter()
            .map(|(name, value)| (name.as_str().to_owned(), value))
            .collect(),
    }
}
