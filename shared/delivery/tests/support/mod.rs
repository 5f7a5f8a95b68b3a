//! A worker that does what a script says, and doubles of what stands around the loop.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use millrace_cloud::ManualClock;
use millrace_delivery::{
    CountingSink, Cx, Delivery, DeliverySettings, Invocation, MemoryParking, Parking, Report, Said,
    Visibility, Worker,
};
use millrace_events::{Failure, Outcome, ParkedRecord, Receipt, Record, reason};
use serde_json::{Value, json};

/// What the scripted worker does with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Apply,
    Already,
    Supersede,
    Ignore,
    Transient,
    /// Transient, and the worker lets its records wait.
    Down,
    /// Transient, to be retried after so many seconds.
    Throttled(u64),
    Permanent,
    Panic,
    /// Never ends.
    Hang,
    /// Ends after so many seconds.
    Take(u64),
    /// Permanent, and giving up fails: transiently, permanently, by a panic, by never ending.
    GiveUpTransient,
    GiveUpPermanent,
    GiveUpPanic,
    GiveUpHang,
    /// Applied, but together with others all of them fail.
    FailAll,
}

#[derive(Debug, Default)]
pub struct Seen {
    /// Ids in the order in which their handling began.
    pub started: Mutex<Vec<String>>,
    /// Ids in the order in which their handling ended.
    pub ended: Mutex<Vec<String>>,
    pub given_up: Mutex<Vec<(String, &'static str)>>,
    pub traces: Mutex<Vec<String>>,
    /// Ids of those that were handled together.
    pub together: Mutex<Vec<Vec<String>>>,
    running: AtomicUsize,
    pub most_at_once: AtomicUsize,
}

type Script = Box<dyn Fn(&Record) -> Step + Send + Sync>;

pub struct Scripted {
    script: Script,
    seen: Arc<Seen>,
}

impl Worker for Scripted {
    const NAME: &'static str = "scripted";
    type Event = Record;

    async fn handle(&self, record: Record, cx: &Cx) -> Result<Outcome, Failure> {
        self.seen.started.lock().unwrap().push(record.id.clone());
        self.seen.traces.lock().unwrap().push(cx.trace_id.clone());
        let running = self.seen.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.most_at_once.fetch_max(running, Ordering::SeqCst);
        // Lets the others begin.
        tokio::task::yield_now().await;
        let step = (self.script)(&record);
        if let Step::Take(seconds) = step {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        if step == Step::Hang {
            std::future::pending::<()>().await;
        }
        self.seen.running.fetch_sub(1, Ordering::SeqCst);
        self.seen.ended.lock().unwrap().push(record.id.clone());
        match step {
            Step::Apply | Step::Take(_) | Step::Hang | Step::FailAll => Ok(Outcome::Applied),
            Step::Already => Ok(Outcome::Already),
            Step::Supersede => Ok(Outcome::Superseded),
            Step::Ignore => Ok(Outcome::Ignored("as the script says")),
            Step::Transient => Err(Failure::transient(reason::CONFLICT, "another was faster")),
            Step::Down => Err(Failure::transient(
                reason::EMBEDDER_UNAVAILABLE,
                "the embedder is down",
            )),
            Step::Throttled(seconds) => Err(Failure::transient(reason::THROTTLED, "slow down")
                .retry_after(Duration::from_secs(seconds))),
            Step::Panic => panic!("SECRET text of a document"),
            Step::Permanent
            | Step::GiveUpTransient
            | Step::GiveUpPermanent
            | Step::GiveUpPanic
            | Step::GiveUpHang => Err(Failure::permanent(
                reason::ENCRYPTED,
                "the file needs a password",
            )),
        }
    }

    fn steps_aside(failure: &Failure) -> bool {
        failure.reason() == reason::EMBEDDER_UNAVAILABLE
    }

    async fn give_up(&self, record: Record, failure: &Failure, _cx: &Cx) -> Result<(), Failure> {
        let code = failure.reason().code();
        self.seen
            .given_up
            .lock()
            .unwrap()
            .push((record.id.clone(), code));
        match (self.script)(&record) {
            Step::GiveUpTransient => Err(Failure::transient(reason::THROTTLED, "slow down")),
            Step::GiveUpPermanent => Err(Failure::permanent(reason::REQUEST_REJECTED, "no")),
            Step::GiveUpPanic => panic!("in give_up"),
            Step::GiveUpHang => {
                std::future::pending::<()>().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The same worker, for several records together: a panic or a hang befalls all of them.
pub struct Together(Scripted);

impl Worker for Together {
    const NAME: &'static str = Scripted::NAME;
    const TOGETHER: usize = 5;
    type Event = Record;

    async fn handle(&self, record: Record, cx: &Cx) -> Result<Outcome, Failure> {
        self.0.handle(record, cx).await
    }

    async fn handle_together(
        &self,
        events: Vec<(Record, Cx)>,
    ) -> Result<Vec<Result<Outcome, Failure>>, Failure> {
        let ids = events.iter().map(|(record, _)| record.id.clone());
        self.0.seen.together.lock().unwrap().push(ids.collect());
        let mut answers: Vec<Result<Outcome, Failure>> = Vec::new();
        let mut failed = BTreeSet::new();
        for (record, cx) in events {
            let subject = record.subject.clone();
            if failed.contains(&subject) {
                answers.push(Err(Failure::permanent(reason::ENCRYPTED, "not looked at")));
                continue;
            }
            if (self.0.script)(&record) == Step::FailAll {
                return Err(Failure::transient(reason::CONFLICT, "all of it"));
            }
            let answer = self.0.handle(record, &cx).await;
            if answer.is_err() {
                failed.insert(subject);
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    fn steps_aside(failure: &Failure) -> bool {
        Scripted::steps_aside(failure)
    }

    async fn give_up(&self, record: Record, failure: &Failure, cx: &Cx) -> Result<(), Failure> {
        self.0.give_up(record, failure, cx).await
    }
}

/// Parks in memory, except what it is told to refuse.
#[derive(Debug, Default)]
pub struct FakeParking {
    pub kept: MemoryParking,
    pub refuse: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Parking for FakeParking {
    async fn park(&self, record: ParkedRecord) -> Result<(), Failure> {
        if self.refuse.lock().unwrap().contains(&record.record_id) {
            return Err(Failure::permanent(
                reason::REQUEST_REJECTED,
                "the queue refused",
            ));
        }
        self.kept.park(record).await
    }
}

#[derive(Debug, Default)]
pub struct FakeVisibility {
    /// Receipt handles with the delay that was asked for.
    pub hidden: Mutex<Vec<(String, Duration)>>,
}

impl FakeVisibility {
    pub fn of(&self, handle: &str) -> Option<Duration> {
        let hidden = self.hidden.lock().unwrap();
        hidden
            .iter()
            .find(|(known, _)| known == handle)
            .map(|(_, delay)| *delay)
    }
}

#[async_trait]
impl Visibility for FakeVisibility {
    async fn hide(&self, receipt: &Receipt, delay: Duration) -> Result<(), Failure> {
        self.hidden
            .lock()
            .unwrap()
            .push((receipt.handle.clone(), delay));
        Ok(())
    }
}

pub struct Bench {
    pub delivery: Delivery,
    pub seen: Arc<Seen>,
    pub parking: Arc<FakeParking>,
    pub visibility: Arc<FakeVisibility>,
    pub counts: Arc<CountingSink>,
    /// Whether the worker handles several records together.
    pub is_together: bool,
}

pub fn settings() -> DeliverySettings {
    DeliverySettings {
        concurrency: NonZeroUsize::new(4).unwrap(),
        max_attempts: NonZeroU32::new(5).unwrap(),
        ..DeliverySettings::default()
    }
}

pub fn bench(script: impl Fn(&Record) -> Step + Send + Sync + 'static) -> Bench {
    bench_with(settings(), script)
}

/// A bench whose worker handles several records together.
pub fn bench_together(script: impl Fn(&Record) -> Step + Send + Sync + 'static) -> Bench {
    build(settings(), script, Together)
}

pub fn bench_with(
    settings: DeliverySettings,
    script: impl Fn(&Record) -> Step + Send + Sync + 'static,
) -> Bench {
    build(settings, script, |scripted| scripted)
}

fn build<W: Worker>(
    settings: DeliverySettings,
    script: impl Fn(&Record) -> Step + Send + Sync + 'static,
    worker: impl FnOnce(Scripted) -> W,
) -> Bench {
    let seen = Arc::new(Seen::default());
    let parking = Arc::new(FakeParking::default());
    let visibility = Arc::new(FakeVisibility::default());
    let counts = Arc::new(CountingSink::default());
    let worker = worker(Scripted {
        script: Box::new(script),
        seen: Arc::clone(&seen),
    });
    let clock = Arc::new(ManualClock::at(1_795_169_730_000));
    let delivery = Delivery::new(worker, settings, parking.clone(), visibility.clone(), clock)
        .with_metrics(counts.clone());
    Bench {
        delivery,
        seen,
        parking,
        visibility,
        counts,
        is_together: W::TOGETHER > 1,
    }
}

impl Bench {
    /// Delivers with a minute to go.
    pub async fn deliver(&self, event: &Value) -> Report {
        self.deliver_within(event, 60).await
    }

    pub async fn deliver_within(&self, event: &Value, seconds: u64) -> Report {
        let invocation = Invocation::lasting(Duration::from_secs(seconds));
        self.delivery.deliver(event.clone(), invocation).await
    }

    pub fn started(&self) -> Vec<String> {
        self.seen.started.lock().unwrap().clone()
    }

    pub fn parked(&self) -> Vec<ParkedRecord> {
        self.parking.kept.records()
    }
}

/// A queue's message with a message of the platform in it.
pub fn message(id: &str) -> Value {
    message_with(id, json!({"id": id}).to_string(), 1)
}

pub fn message_with(id: &str, body: String, receives: u32) -> Value {
    json!({
        "messageId": id, "receiptHandle": format!("receipt-{id}"), "body": body,
        "attributes": {"ApproximateReceiveCount": receives.to_string()},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:jobs"
    })
}

pub fn fifo_message(id: &str, group: &str) -> Value {
    let mut message = message(id);
    message["eventSourceARN"] = json!("arn:aws:sqs:us-east-1:000000000000:jobs.fifo");
    message["attributes"]["MessageGroupId"] = json!(group);
    message
}

/// A row's change; `row` is its key.
pub fn change(row: &str, number: u64) -> Value {
    json!({
        "eventName": "MODIFY", "eventSource": "aws:dynamodb",
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-11-20T00:00:00.000",
        "dynamodb": {"Keys": {"k": {"S": row}}, "SequenceNumber": number.to_string()}
    })
}

/// An object's creation.
pub fn creation(key: &str, sequencer: &str) -> Value {
    json!({
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-20T10:15:20.000Z",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "sequencer": sequencer}}
    })
}

pub fn batch(entries: impl IntoIterator<Item = Value>) -> Value {
    json!({"Records": entries.into_iter().collect::<Vec<_>>()})
}

/// The ids in a partial batch response.
pub fn failed_ids(report: &Report) -> Vec<String> {
    let failures = report.response["batchItemFailures"]
        .as_array()
        .expect("no batch response");
    let ids = failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned());
    ids.collect()
}

pub fn outcomes(report: &Report) -> Vec<(&str, Said)> {
    let records = report.records.iter();
    records
        .map(|record| (record.id.as_str(), record.outcome))
        .collect()
}

pub fn reason_of<'a>(report: &'a Report, id: &str) -> Option<&'a str> {
    let record = report
        .records
        .iter()
        .find(|record| record.id == id)
        .expect("no such record");
    record.reason.as_ref().map(|reason| reason.code)
}
