#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt};

use super::super::destination::Discarded;
use super::*;
use crate::mappings::invoke::{FunctionError, Functions};
use crate::matching::Pattern;
use crate::template::{Destination, FailureReports, FunctionConfig, OnError, StartingPosition};

/// The time of day when tests begin, in seconds.
const MORNING: i64 = 1_790_000_000;

/// A clock that goes with tokio's, which tests pause.
#[derive(Debug)]
struct TokioClock(Instant);

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
struct FakeStream {
    records: Mutex<Vec<Value>>,
    changes: watch::Sender<u64>,
    began: Instant,
    label: &'static str,
}

impl FakeStream {
    fn new() -> Arc<Self> {
        Self::labelled("2026-01-01")
    }

    fn labelled(label: &'static str) -> Arc<Self> {
        Arc::new(Self {
            records: Mutex::default(),
            changes: watch::channel(0).0,
            began: Instant::now(),
            label,
        })
    }

    /// Writes a row. Sequence numbers grow from nine to ten digits on the way.
    fn write(&self, item: &str, status: &str) {
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

fn number_of(record: &Value) -> u64 {
    record["dynamodb"]["SequenceNumber"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// The record's place in the stream, from 0.
fn place(record: &Value) -> usize {
    usize::try_from(number_of(record) - 999_999_998).unwrap()
}

fn item_of(record: &Value) -> String {
    record["dynamodb"]["Keys"]["id"]["S"]
        .as_str()
        .unwrap()
        .to_owned()
}

type Answer = Box<dyn Fn(&[Value]) -> Result<Value, FunctionError> + Send + Sync>;

/// A function that takes a tenth of a second and keeps what it was invoked with.
struct FakeFunction {
    answer: Answer,
    invocations: Mutex<Vec<(Duration, Vec<Value>)>>,
    running: Mutex<(usize, usize)>,
    began: Instant,
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
struct FakeDestinations {
    told: Mutex<Vec<(Destination, Discarded)>>,
    failures: Mutex<usize>,
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

fn mapping() -> StreamMapping {
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
struct World {
    stream: Arc<FakeStream>,
    checkpoints: Arc<Checkpoints>,
    destinations: Arc<FakeDestinations>,
    function: Arc<FakeFunction>,
    progress: StreamProgress,
    stop: watch::Sender<bool>,
    engine: tokio::task::JoinHandle<()>,
}

impl World {
    async fn start(
        stream: &Arc<FakeStream>,
        mapping: StreamMapping,
        answer: impl Fn(&[Value]) -> Result<Value, FunctionError> + Send + Sync + 'static,
    ) -> Self {
        let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
        Self::restart(stream, &checkpoints, &Arc::default(), mapping, answer).await
    }

    async fn restart(
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
    fn invocations(&self) -> Vec<Vec<usize>> {
        let invocations = self.function.invocations.lock().unwrap();
        invocations
            .iter()
            .map(|(_, records)| records.iter().map(place).collect())
            .collect()
    }

    /// When each invocation began.
    fn times(&self) -> Vec<Duration> {
        self.function
            .invocations
            .lock()
            .unwrap()
            .iter()
            .map(|(at, _)| *at)
            .collect()
    }

    /// The records for the on-failure destination.
    fn told(&self) -> Vec<Value> {
        let told = self.destinations.told.lock().unwrap();
        told.iter()
            .map(|(_, discarded)| discarded.record.clone())
            .collect()
    }

    /// Ends the engine wherever it stands. Gives what outlives it.
    async fn crash(self) -> (Arc<Checkpoints>, Arc<FakeDestinations>) {
        self.engine.abort();
        assert!(self.engine.await.unwrap_err().is_cancelled());
        (self.checkpoints, self.destinations)
    }

    async fn is_read(&self) -> bool {
        self.progress
            .has_reached(self.stream.latest().await.unwrap().as_deref())
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn done(_records: &[Value]) -> Result<Value, FunctionError> {
    Ok(json!({"batchItemFailures": []}))
}

fn report(places: &[usize]) -> Result<Value, FunctionError> {
    let failures: Vec<Value> = places
        .iter()
        .map(|place| json!({"itemIdentifier": (999_999_998 + place).to_string()}))
        .collect();
    Ok(json!({ "batchItemFailures": failures }))
}

fn boom() -> Result<Value, FunctionError> {
    Err(FunctionError::new("boom"))
}

fn stream_of(records: usize) -> Arc<FakeStream> {
    let stream = FakeStream::new();
    for record in 0..records {
        stream.write(&format!("item-{record}"), "new");
    }
    stream
}

#[tokio::test(start_paused = true)]
async fn trim_horizon_begins_with_the_oldest_record_and_latest_after_the_newest() {
    let stream = stream_of(3);
    let world = World::start(&stream, mapping(), done).await;
    let from_latest = StreamMapping {
        starting_position: StartingPosition::Latest,
        ..mapping()
    };
    let late = World::start(&stream, from_latest, done).await;
    seconds(1).await;
    stream.write("item-3", "new");
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![0, 1, 2], vec![3]]);
    assert_eq!(late.invocations(), [vec![3]]);
    assert!(world.is_read().await && late.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn latest_is_decided_once_and_survives_a_restart_before_the_first_record() {
    let stream = stream_of(2);
    let from_latest = StreamMapping {
        starting_position: StartingPosition::Latest,
        ..mapping()
    };
    let first = World::start(&stream, from_latest.clone(), done).await;
    let (checkpoints, destinations) = first.crash().await;
    stream.write("item-2", "new");
    let second = World::restart(&stream, &checkpoints, &destinations, from_latest, done).await;
    seconds(1).await;
    assert_eq!(second.invocations(), [vec![2]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_as_large_as_it_may_be_and_without_a_window_does_not_wait() {
    let small = StreamMapping {
        batch_size: 4,
        ..mapping()
    };
    let world = World::start(&stream_of(10), small, done).await;
    seconds(1).await;
    assert_eq!(
        world.invocations(),
        [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]
    );
}

#[tokio::test(start_paused = true)]
async fn a_window_gathers_until_the_batch_is_full_or_the_time_is_over() {
    let stream = stream_of(1);
    let with_window = StreamMapping {
        batch_size: 3,
        window: Duration::from_secs(10),
        ..mapping()
    };
    let world = World::start(&stream, with_window, done).await;
    seconds(4).await;
    stream.write("item-1", "new");
    seconds(4).await;
    assert_eq!(world.invocations(), Vec::<Vec<usize>>::new());
    stream.write("item-2", "new");
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![0, 1, 2]], "full before its time");
    stream.write("item-3", "new");
    seconds(12).await;
    assert_eq!(world.invocations()[1], [3]);
    assert_eq!(
        world.times()[1].as_secs(),
        19,
        "its window began when it came"
    );
}

#[tokio::test(start_paused = true)]
async fn records_that_no_filter_wants_are_passed_over_and_count_as_done() {
    let stream = FakeStream::new();
    for status in ["a", "b", "a", "b", "b"] {
        stream.write(status, status);
    }
    let pattern = json!({"dynamodb": {"NewImage": {"status": {"S": ["a"]}}}});
    let filtered = StreamMapping {
        filters: vec![Pattern::parse(&pattern).unwrap()],
        ..mapping()
    };
    let world = World::start(&stream, filtered, done).await;
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![0, 2]]);
    assert!(
        world.is_read().await,
        "the checkpoint lies behind the last record, wanted or not"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_retries_the_whole_batch_with_growing_pauses_and_holds_up_what_follows() {
    let stream = stream_of(3);
    let small = StreamMapping {
        batch_size: 2,
        ..mapping()
    };
    let world = World::start(&stream, small, |_| boom()).await;
    seconds(300).await;
    let invocations = world.invocations();
    assert!(
        invocations.iter().all(|invocation| *invocation == [0, 1]),
        "{invocations:?}"
    );
    let times = world.times();
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[3] > pauses[0] * 4, "{pauses:?}");
    assert!(
        pauses.iter().all(|pause| *pause < Duration::from_secs(62)),
        "{pauses:?}"
    );
    assert!(!world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn exhausted_retries_discard_the_batch_tell_the_destination_and_go_on() {
    let small = StreamMapping {
        batch_size: 2,
        maximum_retries: Some(2),
        ..mapping()
    };
    let world = World::start(&stream_of(3), small, |records| {
        if place(&records[0]) == 0 {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(60).await;
    assert_eq!(
        world.invocations(),
        [vec![0, 1], vec![0, 1], vec![0, 1], vec![2]]
    );
    assert!(world.is_read().await);
    let told = world.told();
    assert_eq!(told.len(), 1);
    let mut record = told[0].clone();
    let request_id = record["requestContext"]["requestId"].take();
    assert_eq!(request_id.as_str().unwrap().len(), 36);
    let timestamp = record["timestamp"].take();
    assert!(
        timestamp.as_str().unwrap().starts_with("2026-09-21T"),
        "{timestamp}"
    );
    assert_eq!(
        record,
        json!({
            "requestContext": {
                "requestId": null,
                "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 3,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": null,
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000000000000000000-00000001",
                "startSequenceNumber": "999999998",
                "endSequenceNumber": "999999999",
                "approximateArrivalOfFirstRecord": "2026-09-21T14:13:20Z",
                "approximateArrivalOfLastRecord": "2026-09-21T14:13:20Z",
                "batchSize": 2,
                "streamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/rows/stream/2026-01-01",
            },
        })
    );
    let told = world.destinations.told.lock().unwrap();
    assert_eq!(told[0].0, Destination::Queue("dlq".to_owned()));
    assert_eq!(told[0].1.payload["Records"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_destination_a_discarded_batch_is_passed_over() {
    let forgetful = StreamMapping {
        batch_size: 1,
        maximum_retries: Some(0),
        on_failure: None,
        ..mapping()
    };
    let world = World::start(&stream_of(2), forgetful, |_| boom()).await;
    seconds(10).await;
    assert_eq!(world.invocations(), [vec![0], vec![1]]);
    assert!(world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_waits_until_the_destination_was_told() {
    let stream = stream_of(1);
    let poisoned = StreamMapping {
        maximum_retries: Some(0),
        ..mapping()
    };
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let destinations = Arc::new(FakeDestinations::default());
    *destinations.failures.lock().unwrap() = 5;
    let world = World::restart(&stream, &checkpoints, &destinations, poisoned, |_| boom()).await;
    seconds(1).await;
    assert!(!world.is_read().await);
    seconds(60).await;
    assert_eq!(world.told().len(), 1);
    assert_eq!(
        world.invocations().len(),
        1,
        "the function is not invoked again for it"
    );
    assert!(world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn a_reported_failure_moves_the_checkpoint_to_it_and_retries_from_there() {
    let stream = stream_of(5);
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let world = World::restart(
        &stream,
        &checkpoints,
        &Arc::default(),
        mapping(),
        |records| {
            // The lowest counts, wherever it stands in the list.
            if records.len() == 5 {
                report(&[4, 2])
            } else {
                boom()
            }
        },
    )
    .await;
    seconds(2).await;
    assert_eq!(
        world.invocations()[..2],
        [vec![0, 1, 2, 3, 4], vec![2, 3, 4]]
    );
    world.crash().await;
    let again = World::restart(&stream, &checkpoints, &Arc::default(), mapping(), done).await;
    seconds(1).await;
    assert_eq!(
        again.invocations(),
        [vec![2, 3, 4]],
        "what was done is done after a restart, too"
    );
}

#[tokio::test(start_paused = true)]
async fn the_lowest_sequence_number_is_the_lowest_number_not_the_first_in_the_alphabet() {
    // 999999999 comes before 1000000000.
    let world = World::start(&stream_of(4), mapping(), |records| {
        if records.len() == 4 {
            report(&[2, 1])
        } else {
            done(records)
        }
    })
    .await;
    seconds(2).await;
    assert_eq!(world.invocations(), [vec![0, 1, 2, 3], vec![1, 2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn an_identifier_of_another_batch_fails_the_whole_batch() {
    let once = StreamMapping {
        maximum_retries: Some(1),
        ..mapping()
    };
    let world = World::start(&stream_of(2), once, |_| report(&[1, 7])).await;
    seconds(10).await;
    assert_eq!(world.invocations(), [vec![0, 1], vec![0, 1]]);
    assert_eq!(world.told()[0]["DDBStreamBatchInfo"]["batchSize"], 2);
    assert_eq!(
        world.told()[0]["responseContext"]["functionError"],
        Value::Null
    );
}

#[tokio::test(start_paused = true)]
async fn without_reports_an_answer_is_success_whatever_it_says() {
    let unread = StreamMapping {
        failures: FailureReports::Unread,
        ..mapping()
    };
    let world = World::start(&stream_of(2), unread, |_| report(&[0])).await;
    seconds(10).await;
    assert_eq!(world.invocations(), [vec![0, 1]]);
}

#[tokio::test(start_paused = true)]
async fn bisect_isolates_the_poison_and_everything_else_is_done() {
    let bisecting = StreamMapping {
        on_error: OnError::Bisect,
        maximum_retries: Some(1),
        ..mapping()
    };
    let world = World::start(&stream_of(6), bisecting, |records| {
        if records.iter().any(|record| place(record) == 4) {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(60).await;
    assert_eq!(
        world.invocations(),
        [
            vec![0, 1, 2, 3, 4, 5],
            vec![0, 1, 2],
            vec![3, 4, 5],
            vec![3],
            vec![4, 5],
            vec![4],
            vec![4],
            vec![5]
        ]
    );
    assert_eq!(world.told().len(), 1);
    assert_eq!(
        world.told()[0]["DDBStreamBatchInfo"]["startSequenceNumber"],
        "1000000002"
    );
    assert_eq!(world.told()[0]["DDBStreamBatchInfo"]["batchSize"], 1);
}

#[tokio::test(start_paused = true)]
async fn records_too_old_are_told_without_an_invocation() {
    let stream = stream_of(2);
    seconds(120).await;
    stream.write("item-2", "new");
    let impatient = StreamMapping {
        maximum_age: Some(Duration::from_secs(60)),
        ..mapping()
    };
    let world = World::start(&stream, impatient, done).await;
    seconds(1).await;
    assert_eq!(world.invocations(), [vec![2]]);
    let told = world.told();
    assert_eq!(told[0]["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(told[0]["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(told[0]["responseContext"], Value::Null);
    assert_eq!(told[0]["DDBStreamBatchInfo"]["batchSize"], 2);
}

#[tokio::test(start_paused = true)]
async fn retries_end_when_the_record_is_too_old_even_within_a_pause() {
    let impatient = StreamMapping {
        maximum_age: Some(Duration::from_secs(60)),
        ..mapping()
    };
    let world = World::start(&stream_of(1), impatient, |_| boom()).await;
    seconds(59).await;
    assert_eq!(world.told().len(), 0);
    seconds(2).await;
    assert_eq!(world.told().len(), 1);
    assert_eq!(
        world.told()[0]["responseContext"]["functionError"],
        "Unhandled"
    );
    assert!(world.is_read().await);
}

#[tokio::test(start_paused = true)]
async fn lanes_work_side_by_side_and_a_stuck_item_holds_up_its_lane_only() {
    let stream = FakeStream::new();
    for round in 0..5 {
        for item in 0..12 {
            stream.write(&format!("item-{item}"), &round.to_string());
        }
    }
    let parallel = StreamMapping {
        lanes: 4,
        batch_size: 1,
        ..mapping()
    };
    let world = World::start(&stream, parallel, |records| {
        if item_of(&records[0]) == "item-0" {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(30).await;
    assert_eq!(
        world.function.running.lock().unwrap().1,
        4,
        "as many at once as there are lanes"
    );
    let stuck = super::super::lanes::lane_of(&stream.records.lock().unwrap()[0], 4);
    let records = stream.records.lock().unwrap().clone();
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (_, invoked) in world.function.invocations.lock().unwrap().iter() {
        for record in invoked {
            seen.entry(item_of(record)).or_default().push(place(record));
        }
    }
    for (item, first) in records.iter().enumerate().take(12).skip(1) {
        let name = format!("item-{item}");
        let lane = super::super::lanes::lane_of(first, 4);
        if lane != stuck {
            let expected: Vec<usize> = (0..5).map(|round| round * 12 + item).collect();
            assert_eq!(seen[&name], expected, "{name} is complete and in order");
        }
    }
    assert!(
        seen["item-0"].iter().all(|place| *place == 0),
        "nothing overtook the record that fails"
    );
}

#[tokio::test(start_paused = true)]
async fn another_number_of_lanes_loses_nothing() {
    let stream = stream_of(40);
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let four = StreamMapping {
        lanes: 4,
        batch_size: 1,
        ..mapping()
    };
    let stuck = World::restart(&stream, &checkpoints, &Arc::default(), four, |records| {
        if place(&records[0]) == 7 {
            boom()
        } else {
            done(records)
        }
    })
    .await;
    seconds(20).await;
    let before: Vec<usize> = stuck.invocations().concat();
    stuck.crash().await;
    let three = StreamMapping {
        lanes: 3,
        ..mapping()
    };
    let after = World::restart(&stream, &checkpoints, &Arc::default(), three, done).await;
    seconds(5).await;
    let after: Vec<usize> = after.invocations().concat();
    for place in 0..40 {
        let was_done = before.contains(&place) && place != 7;
        assert!(was_done || after.contains(&place), "{place} was lost");
    }
    assert!(after.contains(&7));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_lost_its_end_is_read_from_where_it_ends_now() {
    let stream = stream_of(5);
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let first = World::restart(&stream, &checkpoints, &Arc::default(), mapping(), done).await;
    seconds(1).await;
    first.crash().await;
    stream.records.lock().unwrap().truncate(3);
    let second = World::restart(&stream, &checkpoints, &Arc::default(), mapping(), done).await;
    stream.write("item-3", "written again");
    seconds(1).await;
    assert_eq!(second.invocations(), [vec![3]]);
}

#[tokio::test(start_paused = true)]
async fn a_table_made_anew_is_read_from_its_beginning() {
    let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
    let first = World::restart(
        &stream_of(3),
        &checkpoints,
        &Arc::default(),
        mapping(),
        done,
    )
    .await;
    seconds(1).await;
    first.crash().await;
    let anew = FakeStream::labelled("2026-02-02");
    anew.write("item-0", "new");
    let second = World::restart(&anew, &checkpoints, &Arc::default(), mapping(), done).await;
    seconds(1).await;
    assert_eq!(second.invocations(), [vec![0]]);
}

#[tokio::test(start_paused = true)]
async fn an_event_stays_below_six_megabytes() {
    let stream = FakeStream::new();
    for record in 0..20 {
        stream.write(&format!("item-{record}"), &"x".repeat(390_000));
    }
    let world = World::start(&stream, mapping(), done).await;
    seconds(5).await;
    assert_eq!(world.invocations().concat(), (0..20).collect::<Vec<_>>());
    for (_, records) in world.function.invocations.lock().unwrap().iter() {
        let size = json!({ "Records": records }).to_string().len();
        assert!(size < 6 * 1024 * 1024, "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_the_invocation_that_runs_and_keeps_what_it_did() {
    let stream = stream_of(4);
    let small = StreamMapping {
        batch_size: 2,
        ..mapping()
    };
    let world = World::start(&stream, small.clone(), done).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.stop.send_replace(true);
    world.engine.await.unwrap();
    assert_eq!(world.function.running.lock().unwrap().0, 0);
    let invoked = world.function.invocations.lock().unwrap().len();
    assert_eq!(invoked, 1);
    let again = World::restart(
        &stream,
        &world.checkpoints,
        &world.destinations,
        small,
        done,
    )
    .await;
    seconds(1).await;
    assert_eq!(again.invocations(), [vec![2, 3]]);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// How a function answers its next invocation.
    #[derive(Debug, Clone)]
    enum Mood {
        Fine,
        Broken,
        Nonsense,
        /// Reports the record at this place of the batch, counted round and round.
        Picky(usize),
    }

    fn mood() -> impl Strategy<Value = Mood> {
        prop_oneof![
            3 => Just(Mood::Fine),
            1 => Just(Mood::Broken),
            1 => Just(Mood::Nonsense),
            2 => (0_usize..50).prop_map(Mood::Picky),
        ]
    }

    #[derive(Debug, Clone)]
    struct Plan {
        items: Vec<u8>,
        moods: Vec<Mood>,
        /// After how many milliseconds the process is killed, again and again.
        kills: Vec<u64>,
        lanes: Vec<usize>,
        batch_size: usize,
        window_seconds: u64,
        bisects: bool,
        retries: Option<u32>,
    }

    fn plan() -> impl Strategy<Value = Plan> {
        (
            proptest::collection::vec(0_u8..6, 1..60),
            proptest::collection::vec(mood(), 1..40),
            proptest::collection::vec(20_u64..3_000, 0..5),
            proptest::collection::vec(1_usize..5, 6),
            1_usize..12,
            0_u64..2,
            any::<bool>(),
            proptest::option::of(0_u32..3),
        )
            .prop_map(
                |(items, moods, kills, lanes, batch_size, window_seconds, bisects, retries)| Plan {
                    items,
                    moods,
                    kills,
                    lanes,
                    batch_size,
                    window_seconds,
                    bisects,
                    retries,
                },
            )
    }

    /// What a run left behind: for each record whether it was done, in the order in which this
    /// became so, and what the destination was told.
    type Journal = Arc<Mutex<Vec<(String, usize)>>>;

    async fn run(plan: Plan) -> Result<(), TestCaseError> {
        let stream = FakeStream::new();
        for item in &plan.items {
            stream.write(&item.to_string(), "new");
        }
        let checkpoints = Arc::new(Checkpoints::open(None).unwrap());
        let destinations: Arc<FakeDestinations> = Arc::default();
        let journal: Journal = Arc::default();
        let turn = Arc::new(Mutex::new(0_usize));
        let mut kills = plan.kills.iter();
        let mut life = 0;
        loop {
            let mapping = StreamMapping {
                batch_size: plan.batch_size,
                window: Duration::from_secs(plan.window_seconds),
                lanes: plan.lanes[life],
                on_error: if plan.bisects {
                    OnError::Bisect
                } else {
                    OnError::Retry
                },
                maximum_retries: plan.retries,
                ..mapping()
            };
            let (journal, turn, moods) =
                (Arc::clone(&journal), Arc::clone(&turn), plan.moods.clone());
            let answer = move |records: &[Value]| {
                let mut turn = turn.lock().unwrap();
                // Whoever is never fine is so in the end: the stream must come to its end.
                let mood = if *turn >= 400 {
                    Mood::Fine
                } else {
                    moods[*turn % moods.len()].clone()
                };
                *turn += 1;
                let (answer, done) = match mood {
                    Mood::Fine => (done(records), records.len()),
                    Mood::Broken => (boom(), 0),
                    Mood::Nonsense => (
                        Ok(json!({"batchItemFailures": [{"itemIdentifier": ""}]})),
                        0,
                    ),
                    Mood::Picky(pick) => {
                        let failed = pick % records.len();
                        (report(&[place(&records[failed])]), failed)
                    }
                };
                let mut journal = journal.lock().unwrap();
                journal.extend(
                    records[..done]
                        .iter()
                        .map(|record| (item_of(record), place(record))),
                );
                answer
            };
            let world = World::restart(&stream, &checkpoints, &destinations, mapping, answer).await;
            match kills.next() {
                Some(after) => {
                    tokio::time::sleep(Duration::from_millis(*after)).await;
                    world.crash().await;
                    life += 1;
                }
                None => {
                    for _ in 0..100_000 {
                        if world.is_read().await {
                            break;
                        }
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    prop_assert!(world.is_read().await, "the stream never came to its end");
                    world.stop.send_replace(true);
                    world.engine.await.unwrap();
                    break;
                }
            }
        }
        check(&stream, &journal.lock().unwrap(), &destinations)
    }

    fn check(
        stream: &FakeStream,
        journal: &[(String, usize)],
        destinations: &FakeDestinations,
    ) -> Result<(), TestCaseError> {
        let mut told: Vec<usize> = Vec::new();
        for (_, discarded) in destinations.told.lock().unwrap().iter() {
            told.extend(
                discarded.payload["Records"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(place),
            );
        }
        // None lost: every record was done, or the destination was told.
        for record in stream.records.lock().unwrap().iter() {
            let place = place(record);
            let was_done = journal.iter().any(|(_, done)| *done == place);
            prop_assert!(
                was_done || told.contains(&place),
                "record {} was lost",
                place
            );
        }
        // In order: the first time that a record of an item is done comes after all older ones of
        // that item were done or given up.
        let mut first_times: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (item, place) in journal {
            let places = first_times.entry(item).or_default();
            if !places.contains(place) {
                if let Some(former) = places.last() {
                    prop_assert!(
                        former < place || told.contains(place),
                        "{} of item {} was overtaken by {}",
                        place,
                        item,
                        former
                    );
                }
                places.push(*place);
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn every_record_is_delivered_in_order_until_success_or_told_and_none_is_lost(plan in plan()) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(run(plan))?;
        }
    }
}
