//! A stream, a function and destinations in memory, and a mapping at work between them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};

use super::super::super::destination::Discarded;
use super::super::*;
use crate::mappings::invoke::{FunctionError, Functions};
use crate::template::{Destination, FailureReports, FunctionConfig, OnError, StartingPosition};

/// The time of day when tests begin, in seconds.
pub(super) const MORNING: i64 = 1_790_000_000;

/// A clock that goes with tokio's, which tests pause.
#[derive(Debug)]
pub(super) struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now_millis(&self) -> i64 {
        MORNING * 1_000 + self.0.elapsed().as_millis() as i64
    }

    fn sleep_until(&self, millis: i64) -> BoxFuture<'static, ()> {
        let remaining = (millis - self.now_millis()).max(0) as u64;
        tokio::time::sleep(Duration::from_millis(remaining)).boxed()
    }
}

/// A stream in memory.
pub(super) struct FakeStream {
    pub(super) records: Mutex<Vec<Value>>,
    pub(super) changes: watch::Sender<u64>,
    pub(super) began: Instant,
    pub(super) label: &'static str,
}

impl FakeStream {
    pub(super) fn new() -> Arc<Self> {
        Self::labelled("2026-01-01")
    }

    pub(super) fn labelled(label: &'static str) -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            changes: watch::channel(0).0,
            began: Instant::now(),
            label,
        })
    }

    /// Writes a row. Sequence numbers grow from nine to ten digits on the way.
    pub(super) fn write(&self, item: &str, status: &str) {
        let mut records = self.records.lock().unwrap();
        let number = 999_999_998 + records.len();
        let seconds = MORNING as f64 + self.began.elapsed().as_secs_f64();
        records.push(json!({
            "eventName": "MODIFY",
            "dynamodb": {
                "ApproximateCreationDateTime": seconds,
                "Keys": {"id": {"S": item}},
                "NewImage": {"id": {"S": item}, "status": {"S": status}, "number": {"N": number.to_string()}},
                "SequenceNumber": number.to_string(),
            },
        }));
        drop(records);
        self.changes.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl StreamSource for FakeStream {
    fn arn(&self) -> &str {
        "arn:aws:dynamodb:us-east-1:000000000000:table/rows/stream/2026-01-01"
    }

    fn label(&self) -> &str {
        self.label
    }

    async fn read(&self, after: Option<&str>, maximum: usize) -> Result<Vec<Value>, ServiceError> {
        let after: u64 = after.map_or(0, |after| after.parse().unwrap());
        let records = self.records.lock().unwrap();
        let later = records.iter().filter(|record| number_of(record) > after);
        Ok(later.take(maximum).cloned().collect())
    }

    async fn latest(&self) -> Result<Option<String>, ServiceError> {
        let records = self.records.lock().unwrap();
        Ok(records.last().map(|record| number_of(record).to_string()))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

pub(super) fn number_of(record: &Value) -> u64 {
    record["dynamodb"]["SequenceNumber"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// The record's place in the stream, from 0.
pub(super) fn place(record: &Value) -> usize {
    usize::try_from(number_of(record) - 999_999_998).unwrap()
}

pub(super) fn item_of(record: &Value) -> String {
    record["dynamodb"]["Keys"]["id"]["S"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(super) type Answer = Box<dyn Fn(&[Value]) -> Result<Value, FunctionError> + Send + Sync>;

/// A function that takes a tenth of a second and keeps what it was invoked with.
pub(super) struct FakeFunction {
    pub(super) answer: Answer,
    pub(super) invocations: Mutex<Vec<(Duration, Vec<Value>)>>,
    pub(super) running: Mutex<(usize, usize)>,
    pub(super) began: Instant,
}

#[async_trait]
impl Functions for FakeFunction {
    async fn invoke(
        &self,
        _function: &FunctionConfig,
        event: Value,
        _request_id: &str,
        _deadline: Instant,
    ) -> Result<Value, FunctionError> {
        let records = event["Records"].as_array().unwrap().clone();
        self.invocations
            .lock()
            .unwrap()
            .push((self.began.elapsed(), records.clone()));
        {
            let mut running = self.running.lock().unwrap();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.running.lock().unwrap().0 -= 1;
        (self.answer)(&records)
    }
}

/// Keeps what it is told; fails the first `failures` times.
#[derive(Default)]
pub(super) struct FakeDestinations {
    pub(super) told: Mutex<Vec<(Destination, Discarded)>>,
    pub(super) failures: Mutex<usize>,
}

#[async_trait]
impl Destinations for FakeDestinations {
    async fn deliver(
        &self,
        destination: &Destination,
        discarded: &Discarded,
    ) -> Result<(), String> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err("not now".to_owned());
        }
        self.told
            .lock()
            .unwrap()
            .push((destination.clone(), discarded.clone()));
        Ok(())
    }
}

pub(super) fn mapping() -> StreamMapping {
    StreamMapping {
        id: "F/Rows".to_owned(),
        table: "rows".to_owned(),
        batch_size: 100,
        window: Duration::ZERO,
        lanes: 1,
        starting_position: StartingPosition::TrimHorizon,
        failures: FailureReports::Read,
        on_error: OnError::Retry,
        maximum_retries: None,
        maximum_age: None,
        filters: Vec::new(),
        on_failure: Some(Destination::Queue("dlq".to_owned())),
    }
}

/// A mapping at work on a stream. What survives a restart is the stream and the checkpoints.
pub(super) struct World {
    pub(super) stream: Arc<FakeStream>,
    pub(super) checkpoints: Arc<Checkpoints>,
    pub(super) destinations: Arc<FakeDestinations>,
    pub(super) function: Arc<FakeFunction>,
    pub(super) progress: StreamProgress,
    pub(super) stop: watch::Sender<bool>,
    pub(super) engine: tokio::task::JoinHandle<()>,
}

impl World {
    pub(super) async fn start(
        stream: &Arc<FakeStream>,
        mapping: StreamMapping,
        answer: impl Fn(&[Value]) -> Result<Value, FunctionError> + Send + Sync + 'static,
    ) -> Self {
        let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
        Self::restart(stream, &checkpoints, &Arc::default(), mapping, answer).await
    }

    pub(super) async fn restart(
        stream: &Arc<FakeStream>,
        checkpoints: &Arc<Checkpoints>,
        destinations: &Arc<FakeDestinations>,
        mapping: StreamMapping,
        answer: impl Fn(&[Value]) -> Result<Value, FunctionError> + Send + Sync + 'static,
    ) -> Self {
        let function = Arc::new(FakeFunction {
            answer: Box::new(answer),
            invocations: Mutex::default(),
            running: Mutex::default(),
            began: Instant::now(),
        });
        let config = FunctionConfig {
            logical_id: "F".to_owned(),
            name: "f".to_owned(),
            handler: "work".to_owned(),
            timeout: Duration::from_secs(10),
            memory_mb: 128,
            environment: BTreeMap::new(),
        };
        let positions = checkpoints.begin(&mapping, stream.as_ref()).await.unwrap();
        let progress = StreamProgress::new(positions);
        let (stop, stopped) = watch::channel(false);
        let engine = StreamEngine {
            mapping,
            source: Arc::clone(stream) as Arc<_>,
            invoker: Invoker::new(Arc::clone(&function) as Arc<_>, config),
            checkpoints: Arc::clone(checkpoints),
            destinations: Arc::clone(destinations) as Arc<_>,
            clock: Arc::new(TokioClock(stream.began)),
            progress: progress.clone(),
            activity: Arc::default(),
        };
        Self {
            stream: Arc::clone(stream),
            checkpoints: Arc::clone(checkpoints),
            destinations: Arc::clone(destinations),
            function,
            progress,
            stop,
            engine: tokio::spawn(engine.run(stopped)),
        }
    }

    /// The places in the stream of each invocation's records.
    pub(super) fn invocations(&self) -> Vec<Vec<usize>> {
        let invocations = self.function.invocations.lock().unwrap();
        invocations
            .iter()
            .map(|(_, records)| records.iter().map(place).collect())
            .collect()
    }

    /// When each invocation began.
    pub(super) fn times(&self) -> Vec<Duration> {
        self.function
            .invocations
            .lock()
            .unwrap()
            .iter()
            .map(|(at, _)| *at)
            .collect()
    }

    /// The records for the on-failure destination.
    pub(super) fn told(&self) -> Vec<Value> {
        let told = self.destinations.told.lock().unwrap();
        told.iter()
            .map(|(_, discarded)| discarded.record.clone())
            .collect()
    }

    /// Ends the engine wherever it stands. Gives what outlives it.
    pub(super) async fn crash(self) -> (Arc<Checkpoints>, Arc<FakeDestinations>) {
        self.engine.abort();
        assert!(self.engine.await.unwrap_err().is_cancelled());
        (self.checkpoints, self.destinations)
    }

    pub(super) async fn is_read(&self) -> bool {
        self.progress
            .has_reached(self.stream.latest().await.unwrap().as_deref())
    }
}

pub(super) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(super) fn done(_records: &[Value]) -> Result<Value, FunctionError> {
    Ok(json!({"batchItemFailures": []}))
}

pub(super) fn report(places: &[usize]) -> Result<Value, FunctionError> {
    let failures: Vec<Value> = places
        .iter()
        .map(|place| json!({"itemIdentifier": (999_999_998 + place).to_string()}))
        .collect();
    Ok(json!({ "batchItemFailures": failures }))
}

pub(super) fn boom() -> Result<Value, FunctionError> {
    Err(FunctionError::new("boom"))
}

pub(super) fn stream_of(records: usize) -> Arc<FakeStream> {
    let stream = FakeStream::new();
    for record in 0..records {
        stream.write(&format!("item-{record}"), "new");
    }
    stream
}
