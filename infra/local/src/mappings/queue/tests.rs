#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::*;
use crate::mappings::invoke::{FunctionError, Functions};
use crate::matching::Pattern;
use crate::template::{FailureReports, FunctionConfig};

/// A queue in memory: what is received is in flight until it is deleted.
#[derive(Default)]
struct FakeQueue {
    waiting: Mutex<Vec<Message>>,
    deleted: Mutex<Vec<String>>,
    arrived: Notify,
}

impl FakeQueue {
    fn send(&self, id: &str, body: &str) {
        self.waiting.lock().unwrap().push(Message {
            message_id: id.to_owned(),
            receipt_handle: format!("receipt-{id}"),
            body: body.to_owned(),
            system_attributes: BTreeMap::from([(
                "ApproximateReceiveCount".to_owned(),
                "1".to_owned(),
            )]),
            attributes: BTreeMap::new(),
        });
        self.arrived.notify_one();
    }

    fn deleted(&self) -> Vec<String> {
        let mut deleted = self.deleted.lock().unwrap().clone();
        deleted.sort();
        deleted
    }
}

#[async_trait]
impl QueueSource for FakeQueue {
    fn name(&self) -> &str {
        "work"
    }

    async fn receive(&self, maximum: usize) -> Result<Vec<Message>, ServiceError> {
        let mut waiting = self.waiting.lock().unwrap();
        let count = maximum.min(waiting.len());
        Ok(waiting.drain(..count).collect())
    }

    async fn delete(&self, receipt_handles: Vec<String>) -> Result<(), ServiceError> {
        self.deleted.lock().unwrap().extend(receipt_handles);
        Ok(())
    }

    async fn visible(&self) -> Result<(), ServiceError> {
        if self.waiting.lock().unwrap().is_empty() {
            self.arrived.notified().await;
        }
        Ok(())
    }
}

type Answered = Result<Value, FunctionError>;
type Answer = Box<dyn Fn(&Value) -> Answered + Send + Sync>;

/// A function that takes a second and keeps what it was invoked with.
struct FakeFunction {
    answer: Answer,
    events: Mutex<Vec<(Duration, Value)>>,
    began: Instant,
    running: Mutex<(usize, usize)>,
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
        {
            let mut running = self.running.lock().unwrap();
            running.0 += 1;
            running.1 = running.1.max(running.0);
        }
        self.events
            .lock()
            .unwrap()
            .push((self.began.elapsed(), event.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.running.lock().unwrap().0 -= 1;
        (self.answer)(&event)
    }
}

struct World {
    queue: Arc<FakeQueue>,
    function: Arc<FakeFunction>,
    stop: watch::Sender<bool>,
    engine: tokio::task::JoinHandle<()>,
}

impl World {
    fn start(
        change: impl FnOnce(&mut QueueMapping),
        messages: &[(&str, &str)],
        answer: impl Fn(&Value) -> Result<Value, FunctionError> + Send + Sync + 'static,
    ) -> Self {
        let mut mapping = QueueMapping {
            id: "F/E".to_owned(),
            queue: "work".to_owned(),
            batch_size: 10,
            window: Duration::ZERO,
            maximum_concurrency: Some(2),
            failures: FailureReports::Read,
            filters: Vec::new(),
        };
        change(&mut mapping);
        let queue = Arc::new(FakeQueue::default());
        for (id, body) in messages {
            queue.send(id, body);
        }
        let function = Arc::new(FakeFunction {
            answer: Box::new(answer),
            events: Mutex::default(),
            began: Instant::now(),
            running: Mutex::default(),
        });
        let config = FunctionConfig {
            logical_id: "F".to_owned(),
            name: "f".to_owned(),
            handler: "work".to_owned(),
            timeout: Duration::from_secs(10),
            memory_mb: 128,
            environment: BTreeMap::new(),
        };
        let (stop, stopped) = watch::channel(false);
        let engine = QueueEngine {
            is_fifo: mapping.queue.ends_with(".fifo"),
            mapping,
            source: Arc::clone(&queue) as Arc<_>,
            invoker: Invoker::new(Arc::clone(&function) as Arc<_>, config),
            activity: Arc::default(),
        };
        Self {
            queue,
            function,
            stop,
            engine: tokio::spawn(engine.run(stopped)),
        }
    }

    /// The ids of each invocation's messages with the second it began in.
    fn invocations(&self) -> Vec<(u64, Vec<String>)> {
        let events = self.function.events.lock().unwrap();
        let ids = |event: &Value| {
            let records = event["Records"].as_array().unwrap();
            records
                .iter()
                .map(|record| record["messageId"].as_str().unwrap().to_owned())
                .collect()
        };
        events
            .iter()
            .map(|(at, event)| (at.as_secs(), ids(event)))
            .collect()
    }

    async fn after(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

fn done(_event: &Value) -> Result<Value, FunctionError> {
    Ok(Value::Null)
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_a_window_takes_what_is_there() {
    let messages: Vec<(String, &str)> = (0..25)
        .map(|number| (format!("{number:02}"), "{}"))
        .collect();
    let messages: Vec<(&str, &str)> = messages
        .iter()
        .map(|(id, body)| (id.as_str(), *body))
        .collect();
    let world = World::start(|_| {}, &messages, done);
    world.after(5).await;
    let sizes: Vec<usize> = world
        .invocations()
        .iter()
        .map(|(_, ids)| ids.len())
        .collect();
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(world.queue.deleted().len(), 25);
}

#[tokio::test(start_paused = true)]
async fn the_event_has_lambdas_form() {
    let world = World::start(|_| {}, &[("m-1", "hello")], done);
    world.after(2).await;
    let events = world.function.events.lock().unwrap();
    let record = &events[0].1["Records"][0];
    assert_eq!(record["messageId"], "m-1");
    assert_eq!(record["receiptHandle"], "receipt-m-1");
    assert_eq!(record["body"], "hello");
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(record["messageAttributes"], json!({}));
    assert_eq!(record["md5OfBody"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(
        record["eventSourceARN"],
        "arn:aws:sqs:us-east-1:000000000000:work"
    );
    assert_eq!(record["awsRegion"], "us-east-1");
}

#[tokio::test(start_paused = true)]
async fn a_window_waits_for_more_until_the_batch_is_full_or_the_time_is_over() {
    let world = World::start(
        |mapping| {
            mapping.window = Duration::from_secs(20);
            mapping.batch_size = 3;
        },
        &[("1", "")],
        done,
    );
    world.after(5).await;
    world.queue.send("2", "");
    world.after(5).await;
    assert_eq!(world.invocations(), [], "neither full nor over");
    world.queue.send("3", "");
    world.after(1).await;
    assert_eq!(
        world.invocations(),
        [(10, vec!["1".to_owned(), "2".to_owned(), "3".to_owned()])]
    );
    world.queue.send("4", "");
    world.after(25).await;
    assert_eq!(world.invocations()[1].1, ["4"]);
    assert_eq!(
        world.invocations()[1].0,
        31,
        "its window began when it came"
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_invocations_run_at_once_than_the_mapping_allows() {
    let world = World::start(
        |mapping| mapping.batch_size = 1,
        &[("1", ""), ("2", ""), ("3", ""), ("4", ""), ("5", "")],
        done,
    );
    world.after(10).await;
    assert_eq!(world.invocations().len(), 5);
    assert_eq!(world.function.running.lock().unwrap().1, 2);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_not_reported_is_deleted() {
    let world = World::start(
        |_| {},
        &[("1", ""), ("2", ""), ("3", "")],
        |_| Ok(json!({"batchItemFailures": [{"itemIdentifier": "2"}]})),
    );
    world.after(2).await;
    assert_eq!(world.queue.deleted(), ["receipt-1", "receipt-3"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_an_unknown_identifier_a_panic_and_a_timeout_delete_nothing() {
    let answers: [fn(&Value) -> Answered; 3] = [
        |_| Err(FunctionError::new("boom")),
        |_| Ok(json!({"batchItemFailures": [{"itemIdentifier": "stranger"}]})),
        |_| panic!("the worker died"),
    ];
    for answer in answers {
        let world = World::start(|_| {}, &[("1", ""), ("2", "")], answer);
        world.after(2).await;
        assert_eq!(world.invocations().len(), 1);
        assert_eq!(world.queue.deleted(), Vec::<String>::new());
        world.queue.send("3", "");
        world.after(2).await;
        assert_eq!(world.invocations().len(), 2, "the mapping goes on");
    }
}

/// A function that never answers.
struct Hanging;

#[async_trait]
impl Functions for Hanging {
    async fn invoke(
        &self,
        _function: &FunctionConfig,
        _event: Value,
        _request_id: &str,
        _deadline: Instant,
    ) -> Result<Value, FunctionError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_invocation_ends_at_its_deadline() {
    let config = FunctionConfig {
        logical_id: "F".to_owned(),
        name: "f".to_owned(),
        handler: "work".to_owned(),
        timeout: Duration::from_secs(10),
        memory_mb: 128,
        environment: BTreeMap::new(),
    };
    let began = Instant::now();
    let answer = Invoker::new(Arc::new(Hanging), config)
        .invoke(json!({}), "id")
        .await;
    assert_eq!(answer, Err(FunctionError::new("timed out after 10 s")));
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn messages_that_no_filter_wants_are_deleted_unseen() {
    let pattern = Pattern::parse(&json!({"body": {"kind": ["a"]}})).unwrap();
    let world = World::start(
        |mapping| mapping.filters = vec![pattern],
        &[
            ("1", r#"{"kind":"a"}"#),
            ("2", r#"{"kind":"b"}"#),
            ("3", "plain"),
        ],
        |_| Err(FunctionError::new("boom")),
    );
    world.after(2).await;
    assert_eq!(world.invocations()[0].1, ["1"]);
    assert_eq!(world.queue.deleted(), ["receipt-2", "receipt-3"]);
}

#[tokio::test(start_paused = true)]
async fn plain_text_matches_a_text_pattern() {
    let pattern = Pattern::parse(&json!({"body": [{"prefix": "pl"}]})).unwrap();
    let world = World::start(
        |mapping| mapping.filters = vec![pattern],
        &[("1", "plain"), ("2", r#"{"pl":1}"#)],
        done,
    );
    world.after(2).await;
    assert_eq!(world.invocations()[0].1, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_stays_below_six_megabytes() {
    let body = "x".repeat(1_000_000);
    let messages: Vec<(String, &str)> = (0..10)
        .map(|number| (number.to_string(), body.as_str()))
        .collect();
    let messages: Vec<(&str, &str)> = messages
        .iter()
        .map(|(id, body)| (id.as_str(), *body))
        .collect();
    let world = World::start(|_| {}, &messages, done);
    world.after(5).await;
    let sizes: Vec<usize> = world
        .invocations()
        .iter()
        .map(|(_, ids)| ids.len())
        .collect();
    assert_eq!(sizes, [6, 4]);
    for (_, event) in world.function.events.lock().unwrap().iter() {
        assert!(event.to_string().len() < 6 * 1024 * 1024);
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_fifo_queue_what_comes_after_a_failure_is_not_even_tried() {
    let body = "x".repeat(1_000_000);
    for (queue, invocations) in [("work.fifo", 1), ("work", 2)] {
        let ids: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let messages: Vec<(&str, &str)> =
            ids.iter().map(|id| (id.as_str(), body.as_str())).collect();
        let change = |mapping: &mut QueueMapping| mapping.queue = queue.to_owned();
        let world = World::start(change, &messages, |_| Err(FunctionError::new("boom")));
        world.after(5).await;
        assert_eq!(
            world.invocations().len(),
            invocations,
            "{queue}: ten megabytes are two events"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_what_runs_and_takes_nothing_new() {
    let world = World::start(
        |mapping| mapping.batch_size = 1,
        &[("1", ""), ("2", ""), ("3", "")],
        done,
    );
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.stop.send_replace(true);
    world.engine.await.unwrap();
    assert_eq!(world.function.began.elapsed(), Duration::from_secs(1));
    assert_eq!(world.queue.deleted(), ["receipt-1", "receipt-2"]);
}
