//! Records of a stream that step aside: a real stream mapping, a real queue, a worker whose embedder is down for a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use millrace_cloud::{Addressing, Clients, Fault, Settings, SystemClock, Tap};
use millrace_delivery::{Cx, Delivery, DeliverySettings, Invocation, Report, Ways, Worker};
use millrace_events::{Failure, Outcome, RowChange, reason};
use millrace_local::{
    FunctionConfig, FunctionError, Functions, LocalCloud, Storage, Template, http_client,
    sdk_config_with, sqs::ReceiveOptions,
};
use millrace_tests::{TEMPLATE, World, has_failed};
use serde_json::{Value, json};

const ROWS: &str = "
AWSTemplateFormatVersion: \"2010-09-09\"
Transform: AWS::Serverless-2016-10-31
Resources:
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: rows
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
  Waiting:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: millrace-patient
      VisibilityTimeout: 60
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 120 }
  Dead:
    Type: AWS::SQS::Queue
    Properties: { QueueName: millrace-patient-dlq }
  Patient:
    Type: AWS::Serverless::Function
    Properties:
      Handler: patient
      Runtime: provided.al2023
      Timeout: 10
      Environment:
        Variables:
          MILLRACE_QUEUE_URL: !Ref Waiting
          MILLRACE_DEAD_LETTER_QUEUE_URL: !Ref Dead
      Events:
        Messages:
          Type: SQS
          Properties: { Queue: !GetAtt Waiting.Arn, FunctionResponseTypes: [ReportBatchItemFailures] }
        Stream:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Rows.StreamArn
            StartingPosition: TRIM_HORIZON
            FunctionResponseTypes: [ReportBatchItemFailures]
";

/// Takes rows in; of some it cannot while its embedder is down.
#[derive(Clone, Default)]
struct Patient {
    is_down: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Worker for Patient {
    const NAME: &'static str = "patient";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let Some(serde_dynamo::AttributeValue::S(id)) = change.keys.get("id") else {
            return Ok(Outcome::Ignored("not a row of this test"));
        };
        if id.starts_with("text") && self.is_down.load(Ordering::SeqCst) {
            let message = "the embedder is down";
            return Err(Failure::transient(reason::EMBEDDER_UNAVAILABLE, message));
        }
        self.taken.lock().unwrap().push(id.clone());
        Ok(Outcome::Applied)
    }

    fn steps_aside(failure: &Failure) -> bool {
        failure.reason() == reason::EMBEDDER_UNAVAILABLE
    }
}

struct Bench {
    cloud: LocalCloud,
    worker: Patient,
    delivery: Arc<Delivery>,
    tap: Tap,
}

impl Bench {
    async fn new() -> Self {
        let template = Template::parse(ROWS, "rows.yaml", &BTreeMap::new()).unwrap();
        let cloud = LocalCloud::open(&template, Storage::Memory).await.unwrap();
        let tap = Tap::new(http_client(cloud.services()));
        let clients = Clients::new(&sdk_config_with(tap.client()), Addressing::Path);
        let settings = Settings::from_map(template.functions[0].config.environment.clone());
        let ways = Ways::from_settings(&settings, &clients).unwrap();
        let loop_settings = DeliverySettings {
            retry_base: Duration::from_millis(50),
            ..DeliverySettings::default()
        };
        let worker = Patient::default();
        worker.is_down.store(true, Ordering::SeqCst);
        let clock = Arc::new(SystemClock);
        let own = worker.clone();
        let delivery = Delivery::new(own, loop_settings, ways.parking, ways.visibility, clock);
        Self {
            cloud,
            worker,
            delivery: Arc::new(delivery.aside(&settings, &clients)),
            tap,
        }
    }

    fn put(&self, id: &str) {
        let request = json!({"TableName": "rows", "Item": {"id": {"S": id}}});
        let dynamo = &self.cloud.services().dynamo;
        dynamo.call_json("PutItem", &request).unwrap();
    }

    fn taken(&self) -> Vec<String> {
        self.worker.taken.lock().unwrap().clone()
    }

    async fn deliver(&self, event: Value) -> Report {
        let time = Invocation::lasting(Duration::from_secs(10));
        self.delivery.deliver(event, time).await
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..600 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not come");
    }
}

struct Invoked(Arc<Delivery>);

#[async_trait]
impl Functions for Invoked {
    async fn invoke(
        &self,
        _function: &FunctionConfig,
        event: Value,
        request_id: &str,
        deadline: tokio::time::Instant,
    ) -> Result<Value, FunctionError> {
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            deadline,
            trace_id: None,
        };
        let report = self.0.deliver(event, invocation).await;
        match report.failed {
            Some(failure) => Err(FunctionError::new(failure.chain())),
            None => Ok(report.response),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_flows_past_rows_that_wait_for_an_embedder_and_they_come_back() {
    let bench = Bench::new().await;
    let running = bench.cloud.start(Arc::new(Invoked(bench.delivery.clone())));
    for id in ["text-1", "plain-1", "text-2", "plain-2"] {
        bench.put(id);
    }
    let plain = ["plain-1".to_owned(), "plain-2".to_owned()];
    bench
        .until("what needs no embedder", async || {
            let taken: BTreeSet<String> = bench.taken().into_iter().collect();
            taken == BTreeSet::from(plain.clone())
        })
        .await;
    let queues = &bench.cloud.services().queues;
    bench
        .until("what waits", async || {
            let counts = queues.counts("millrace-patient").await.unwrap();
            counts.visible + counts.in_flight + counts.delayed == 2
        })
        .await;
    bench.worker.is_down.store(false, Ordering::SeqCst);
    bench.cloud.wait_idle().await.unwrap();
    let mut taken = bench.taken();
    taken.sort();
    assert_eq!(taken, ["plain-1", "plain-2", "text-1", "text-2"]);
    let dead = queues.counts("millrace-patient-dlq").await.unwrap();
    assert_eq!(dead.visible, 0);
    running.stop().await;
}

/// Whatever befalls the way into the queue, the row is taken in the end: more than once perhaps, which guards make harmless.
#[tokio::test]
async fn no_fault_on_the_way_aside_loses_a_record() {
    for fault in Fault::ALL {
        let bench = Bench::new().await;
        bench.put("text-1");
        bench.put("plain-1");
        let dynamo = &bench.cloud.services().dynamo;
        let records = dynamo.stream_records("rows", None, 100).await.unwrap();
        let event = json!({"Records": records});
        bench.tap.arm(Some((0, fault)));
        let report = tokio::select! {
            report = bench.deliver(event.clone()) => Some(report),
            () = bench.tap.died() => None,
        };
        assert!(
            bench
                .tap
                .calls()
                .iter()
                .any(|call| call.contains("SendMessage")),
            "{fault:?}: {:?}",
            bench.tap.calls()
        );
        bench.tap.arm(None);
        // What was not acknowledged comes again.
        if report.is_none_or(|report| has_failed(&report)) {
            assert!(!has_failed(&bench.deliver(event).await), "{fault:?}");
        }
        bench.worker.is_down.store(false, Ordering::SeqCst);
        let queues = &bench.cloud.services().queues;
        let waiting = queues.receive("millrace-patient", ReceiveOptions::at_once(10));
        let waiting = waiting.await.unwrap();
        assert!(
            (1..=2).contains(&waiting.len()),
            "{fault:?}: {}",
            waiting.len()
        );
        for message in waiting {
            let event = json!({"Records": [message.to_event_record("millrace-patient")]});
            assert!(!has_failed(&bench.deliver(event).await), "{fault:?}");
        }
        let taken: BTreeSet<String> = bench.taken().into_iter().collect();
        let all = ["plain-1", "text-1"].map(str::to_owned);
        assert_eq!(taken, BTreeSet::from(all), "{fault:?}");
    }
}

/// The queue's own redrive knows no reason, and must not come first.
#[tokio::test]
async fn a_queue_delivers_oftener_than_its_worker_tries() {
    let world = World::in_process().await;
    let settings = DeliverySettings::default();
    let is_down = Failure::transient(reason::EMBEDDER_UNAVAILABLE, "the embedder is down");
    for (worker, delivery) in &world.deliveries {
        let tries = if delivery.steps_aside(&is_down) {
            settings.max_waits
        } else {
            settings.max_attempts
        };
        let name = format!("millrace-{worker}");
        let queue = TEMPLATE.queues.iter().find(|queue| queue.name == name);
        let receives = queue.unwrap().redrive.as_ref().unwrap().maximum_receives;
        assert!(receives > tries.get(), "{worker}: {receives}, {tries}");
    }
}
