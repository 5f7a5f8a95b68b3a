//! The loop: a batch in, a report out.
//!
//! A batch is cut into lanes. What is in one lane is handled in order and held back by a failure before
//! it; lanes run side by side. What a lane is depends on the source: a message of a standard queue, a
//! group of a FIFO queue, a subject of a stream.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt;
use millrace_cloud::{Clients, Clock, SettingError, Settings, chance};
use millrace_events::{
    Batch, DecodeError, Failure, Message, Reason, Source, mutation, open_owned, reason,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    DeliverySettings, MetricSink, OutcomeEvent, Parking, RecordReport, Report, SqsParking,
    Visibility, Worker,
    attempt::{Attempt, Times},
    handler::{Handler, erase},
    metrics,
    recorder::{Heard, Recorder, Wrapping},
    report::{Identity, ReasonReport, Verdict},
    together::Early,
    visibility::retry_delay,
    worker::held_back,
};

/// A worker with everything around it; shared, and without the worker's type.
pub struct Delivery {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) settings: DeliverySettings,
    pub(crate) parking: Arc<dyn Parking>,
    visibility: Arc<dyn Visibility>,
    pub(crate) aside: Option<Arc<dyn Parking>>,
    pub(crate) clock: Arc<dyn Clock>,
    metrics: Option<Arc<dyn MetricSink>>,
    recorder: Option<Arc<Recorder>>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("worker", &self.worker_name())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A bound that keeps sums of times from overflowing.
const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One call of the function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Lambda's request id, for the logs.
    pub request_id: String,
    /// When the environment ends the invocation.
    pub deadline: Instant,
    /// The trace of the invocation, if there is one.
    pub trace_id: Option<String>,
}

impl Invocation {
    /// An invocation that may take `limit` from now on, a day at most.
    pub fn lasting(limit: Duration) -> Self {
        Self {
            request_id: uuid::Uuid::new_v4().to_string(),
            deadline: Instant::now() + limit.min(ONE_DAY),
            trace_id: None,
        }
    }
}

/// How a message ended.
#[derive(Clone)]
struct Ended {
    reports: Vec<RecordReport>,
    retry: Option<Retry>,
}

/// That a message must come back.
#[derive(Clone)]
struct Retry {
    reason: Reason,
    message: String,
    delay: Duration,
}

impl Delivery {
    /// Puts the loop around a worker.
    pub fn new<W: Worker>(
        worker: W,
        settings: DeliverySettings,
        parking: Arc<dyn Parking>,
        visibility: Arc<dyn Visibility>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            handler: erase(worker),
            settings,
            parking,
            visibility,
            aside: None,
            clock,
            metrics: None,
            recorder: None,
        }
    }

    /// Tells every outcome to `sink` too.
    #[must_use]
    pub fn with_metrics(mut self, sink: Arc<dyn MetricSink>) -> Self {
        self.metrics = Some(sink);
        self
    }

    /// Lets records of streams that may wait ([`Worker::steps_aside`]) wait in `queue`: the worker's own, which delivers
    /// them again. Without one, they hold their stream back.
    #[must_use]
    pub fn with_aside(mut self, queue: Arc<dyn Parking>) -> Self {
        self.aside = Some(queue);
        self
    }

    /// With the queue that the function's settings name as its own, `MILLRACE_QUEUE_URL`, if they do.
    #[must_use]
    pub fn aside(self, settings: &Settings, clients: &Clients) -> Self {
        match settings.optional("MILLRACE_QUEUE_URL") {
            Some(queue) => self.with_aside(Arc::new(SqsParking::new(clients.sqs.clone(), queue))),
            None => self,
        }
    }

    /// Whether records that failed so wait in the worker's own queue, for long: its `maxReceiveCount` must be larger than
    /// [`DeliverySettings::max_waits`].
    pub fn steps_aside(&self, failure: &Failure) -> bool {
        self.handler.steps_aside(failure)
    }

    /// Keeps what it receives, as the recorder's rule says.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Arc<Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// With the recorder that the settings ask for, if they do. `public_words` tell nothing of anybody: they stay as they are.
    ///
    /// # Errors
    /// When the recorder's settings are wrong.
    pub fn recorded(
        self,
        settings: &Settings,
        clients: &Clients,
        public_words: &[&'static str],
    ) -> Result<Self, SettingError> {
        Ok(match Recorder::from_settings(settings, clients)? {
            Some(recorder) => self.with_recorder(Arc::new(recorder.keep_words(public_words))),
            None => self,
        })
    }

    /// Gives it a sink if it has none.
    pub(crate) fn or_metrics(mut self, sink: impl FnOnce() -> Arc<dyn MetricSink>) -> Self {
        self.metrics = self.metrics.or_else(|| Some(sink()));
        self
    }

    /// The worker's name.
    pub fn worker_name(&self) -> &'static str {
        self.handler.name()
    }

    /// Delivers an event. Each record is handled, or parked, or said in the response (for direct sources:
    /// by [`Report::failed`]) to be retried; none is lost.
    pub async fn deliver(&self, event: Value, invocation: Invocation) -> Report {
        let times = Times::new(&self.settings, Instant::now(), invocation.deadline);
        let wrapping = Wrapping::of(&event);
        let batch = open_owned(event).unwrap_or_else(|(event, error)| unopened(event, error));
        let lanes = lanes_of(&batch);
        let trace = invocation.trace_id.as_deref();
        let early = self.together(&batch, &lanes, times, trace).await;
        let run = |lane| self.run_lane(&batch, lane, times, trace, &early);
        let ended: Vec<Vec<(usize, Ended)>> = futures::stream::iter(lanes.into_iter().map(run))
            .buffer_unordered(self.settings.concurrency.get())
            .collect()
            .await;
        let mut ended: Vec<_> = ended.into_iter().flatten().collect();
        ended.sort_by_key(|(position, _)| *position);
        self.record(&batch, wrapping, &ended, times).await;
        let report = report_of(&batch, ended);
        tracing::debug!(
            worker = self.worker_name(),
            request = invocation.request_id,
            messages = batch.messages.len(),
            records = report.records.len(),
            "delivered"
        );
        report
    }

    /// Lets the recorder keep what it takes.
    async fn record(
        &self,
        batch: &Batch,
        wrapping: Wrapping,
        ended: &[(usize, Ended)],
        times: Times,
    ) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        let taken = ended
            .iter()
            .filter(|(_, end)| recorder.takes(&end.reports))
            .filter_map(|(position, end)| Some((batch.messages.get(*position)?, end)))
            .map(|(message, end)| {
                let report = report_on(batch.source, vec![(message.id.as_str(), end.clone())]);
                Heard::new(batch.source, wrapping, message, &report)
            });
        let day = self.clock.now().date();
        let worker = self.worker_name();
        recorder
            .keep(worker, day, taken.collect(), times.settle_by)
            .await;
    }

    /// Handles the messages of one lane in order. Once one must come back, so must those behind it.
    async fn run_lane(
        &self,
        batch: &Batch,
        lane: Vec<usize>,
        times: Times,
        invocation_trace: Option<&str>,
        early: &Early,
    ) -> Vec<(usize, Ended)> {
        let mut ended = Vec::with_capacity(lane.len());
        let mut held_for = None;
        for position in lane {
            let Some(message) = batch.messages.get(position) else {
                continue;
            };
            let attempt = Attempt {
                delivery: self,
                source: batch.source,
                message,
                position,
                times,
                invocation_trace,
                early,
            };
            let end = match held_for {
                None => self.handle_message(&attempt).await,
                Some(delay) => self.hold_back(&attempt, delay),
            };
            if let Some(retry) = &end.retry {
                held_for = Some(retry.delay);
                self.come_back(&attempt, retry.delay).await;
            }
            ended.push((position, end));
        }
        ended
    }

    /// Handles the records of a message in order; a record waits for an earlier one of its subject.
    async fn handle_message(&self, attempt: &Attempt<'_>) -> Ended {
        let mut ended = Ended {
            reports: Vec::new(),
            retry: None,
        };
        let (records, undecodable) = match &attempt.message.records {
            Ok(records) => (records.as_slice(), None),
            Err(failure) => ([].as_slice(), Some(failure)),
        };
        let mut failed_subjects: Vec<&str> = Vec::new();
        for (place, record) in records.iter().enumerate() {
            let (started, verdict) = if failed_subjects.contains(&record.subject.as_str()) {
                let waits = held_back("an earlier record of its subject");
                (Instant::now(), Verdict::Retry(waits))
            } else {
                attempt.record(place, Arc::new(record.clone())).await
            };
            if matches!(verdict, Verdict::Retry(_)) {
                failed_subjects.push(&record.subject);
            }
            self.conclude(
                attempt,
                &mut ended,
                &Identity::from(record),
                &verdict,
                started,
            );
        }
        for (position, failure) in undecodable
            .into_iter()
            .chain(&attempt.message.rejected)
            .enumerate()
        {
            let started = Instant::now();
            let identity = attempt.undecodable_identity(position);
            let verdict = attempt.undecodable(&identity, copy_of(failure)).await;
            self.conclude(attempt, &mut ended, &identity, &verdict, started);
        }
        ended
    }

    fn hold_back(&self, attempt: &Attempt<'_>, delay: Duration) -> Ended {
        let mut ended = Ended {
            reports: Vec::new(),
            retry: None,
        };
        // A message without a single record must wait too, or the response would let it overtake.
        let mut identities: Vec<Identity> = match &attempt.message.records {
            Ok(records) => records.iter().map(Identity::from).collect(),
            Err(_) => vec![attempt.undecodable_identity(0)],
        };
        let rejected = 0..attempt.message.rejected.len();
        identities.extend(rejected.map(|position| attempt.undecodable_identity(position)));
        if identities.is_empty() {
            identities.push(attempt.undecodable_identity(0));
        }
        for identity in identities {
            let verdict = Verdict::Retry(held_back("an earlier message of its lane"));
            self.conclude(attempt, &mut ended, &identity, &verdict, Instant::now());
        }
        if let Some(retry) = &mut ended.retry {
            // It cannot be handled before the one it waits for.
            retry.delay = delay;
        }
        ended
    }

    /// Tells what became of a record, and keeps what the message must know of it.
    fn conclude(
        &self,
        attempt: &Attempt<'_>,
        ended: &mut Ended,
        identity: &Identity,
        verdict: &Verdict,
        started: Instant,
    ) {
        let report = RecordReport {
            id: identity.id.clone(),
            subject: identity.subject.clone(),
            outcome: verdict.said(),
            reason: verdict.failure().map(ReasonReport::from),
            attempt: attempt.message.attempt,
        };
        let now = self.clock.now();
        let event = OutcomeEvent {
            worker: self.worker_name(),
            report: &report,
            // A clock that runs behind the source's makes no negative ages.
            age: identity
                .occurred_at
                .map(|then| (now - then).try_into().unwrap_or(Duration::ZERO)),
            duration: started.elapsed(),
            trace_id: &attempt.trace_id(&identity.id),
            at: now,
        };
        metrics::log(&event, verdict.sentence());
        if let Some(sink) = &self.metrics {
            sink.record(&event);
        }
        if let Verdict::Retry(failure) = verdict {
            let delay = self.delay_of(failure, attempt.message.attempt);
            let retry = ended.retry.get_or_insert_with(|| Retry {
                reason: failure.reason(),
                message: failure.chain(),
                delay,
            });
            retry.delay = retry.delay.max(delay);
        }
        ended.reports.push(report);
    }

    /// What was not tried comes back at once, what failed later and later.
    fn delay_of(&self, failure: &Failure, attempts: u32) -> Duration {
        if failure.reason() == reason::NO_TIME_LEFT || failure.reason() == reason::HELD_BACK {
            return Duration::ZERO;
        }
        retry_delay(&self.settings, attempts, failure.delay(), chance::unit())
    }

    async fn come_back(&self, attempt: &Attempt<'_>, delay: Duration) {
        let Some(receipt) = &attempt.message.receipt else {
            return;
        };
        if !matches!(attempt.source, Source::Sqs { .. }) {
            return;
        }
        let hiding = self.visibility.hide(receipt, delay);
        let problem = match tokio::time::timeout_at(attempt.times.settle_by, hiding).await {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "no time was left".to_owned(),
        };
        tracing::warn!(
            worker = self.worker_name(),
            message = attempt.message.id,
            problem,
            "the message comes back when the queue's own visibility timeout ends"
        );
    }
}

/// An event that is no batch is still not lost: it becomes a message that cannot be decoded.
fn unopened(event: Value, error: DecodeError) -> Batch {
    Batch {
        source: Source::Direct,
        messages: vec![Message {
            id: "0".to_owned(),
            group: None,
            attempt: 1,
            receipt: None,
            raw: event,
            trace_id: None,
            records: Err(error.into()),
            rejected: Vec::new(),
        }],
    }
}

/// Which messages must be handled in order, as positions in the batch.
fn lanes_of(batch: &Batch) -> Vec<Vec<usize>> {
    let mut lanes: Vec<Vec<usize>> = Vec::new();
    let mut by_key: HashMap<&str, usize> = HashMap::new();
    for (position, message) in batch.messages.iter().enumerate() {
        let Some(key) = lane_key(batch.source, message) else {
            lanes.push(vec![position]);
            continue;
        };
        let lane = *by_key.entry(key).or_insert_with(|| {
            lanes.push(Vec::new());
            lanes.len() - 1
        });
        if let Some(lane) = lanes.get_mut(lane) {
            lane.push(position);
        }
    }
    lanes
}

/// `None`: the message waits for no other.
fn lane_key(source: Source, message: &Message) -> Option<&str> {
    match source {
        // Fair queues have groups too, but share time between them instead of ordering them.
        Source::Sqs { fifo: false } => None,
        Source::Sqs { fifo: true } => Some(message.group.as_deref().unwrap_or_default()),
        Source::Stream | Source::Direct => {
            let first = message.records.as_ref().ok()?.first()?;
            Some(&first.subject)
        }
    }
}

/// A failure lives in its message; what is parked needs its own.
fn copy_of(failure: &Failure) -> Failure {
    Failure::permanent(failure.reason(), failure.chain())
}

fn report_of(batch: &Batch, ended: Vec<(usize, Ended)>) -> Report {
    let named = ended.into_iter().filter_map(|(position, end)| {
        let message = batch.messages.get(position)?;
        Some((message.id.as_str(), end))
    });
    report_on(batch.source, named.collect())
}

/// The report on messages of these ids.
fn report_on(source: Source, ended: Vec<(&str, Ended)>) -> Report {
    let mut records = Vec::new();
    let mut retries = Vec::new();
    for (id, end) in ended {
        records.extend(end.reports);
        if let Some(retry) = end.retry {
            retries.push((id, retry));
        }
    }
    let ids = retries.iter().map(|(id, _)| *id);
    let (response, failed) = match source {
        Source::Sqs { .. } | Source::Stream if mutation::on(mutation::RETRY_FORGOTTEN) => {
            (failures_response([]), None)
        }
        Source::Sqs { .. } => (failures_response(ids), None),
        // Lambda delivers everything from the checkpoint on again: naming more would say nothing more.
        Source::Stream => (
            failures_response(if mutation::on(mutation::STREAM_HIGHEST) {
                ids.max_by_key(|id| (id.len(), *id))
            } else {
                ids.min_by_key(|id| (id.len(), *id))
            }),
            None,
        ),
        Source::Direct => (
            Value::Null,
            retries
                .first()
                .map(|(_, retry)| all_again(retry, retries.len())),
        ),
    };
    Report {
        response,
        records,
        failed,
    }
}

fn failures_response<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    let failures: Vec<Value> = ids
        .into_iter()
        .map(|id| json!({"itemIdentifier": id}))
        .collect();
    json!({"batchItemFailures": failures})
}

fn all_again(first: &Retry, count: usize) -> Failure {
    let message = match count {
        1 => first.message.clone(),
        more => format!(
            "{more} messages must be retried, the first because {}",
            first.message
        ),
    };
    Failure::transient(first.reason, message).retry_after(first.delay)
}
