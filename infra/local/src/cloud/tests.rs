#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;

use super::*;

fn deployed() -> Template {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    Template::load(&path).unwrap()
}

/// Functions that note what they are invoked with, and fail the first times they are told to.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<(String, Value)>>,
    failures_left: Mutex<BTreeMap<String, usize>>,
}

impl Recorder {
    fn failing(handler: &str, times: usize) -> Arc<Self> {
        let recorder = Self::default();
        recorder
            .failures_left
            .lock()
            .unwrap()
            .insert(handler.to_owned(), times);
        Arc::new(recorder)
    }

    /// What a worker was invoked with, one record after the other.
    fn records(&self, handler: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap();
        let events = seen.iter().filter(|(known, _)| known == handler);
        events
            .flat_map(|(_, event)| event["Records"].as_array().unwrap().clone())
            .collect()
    }
}

#[async_trait]
impl Functions for Recorder {
    async fn invoke(
        &self,
        function: &FunctionConfig,
        event: Value,
        _request_id: &str,
        _deadline: Instant,
    ) -> Result<Value, crate::FunctionError> {
        self.seen
            .lock()
            .unwrap()
            .push((function.handler.clone(), event));
        if let Some(left) = self
            .failures_left
            .lock()
            .unwrap()
            .get_mut(&function.handler)
            && *left > 0
        {
            *left -= 1;
            return Err(crate::FunctionError::new("not yet"));
        }
        Ok(Value::Null)
    }
}

fn objects(cloud: &LocalCloud) -> aws_sdk_s3::Client {
    let configuration = aws_sdk_s3::config::Builder::from(&cloud.sdk_config())
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(configuration)
}

async fn put_object(cloud: &LocalCloud, key: &str) {
    let put = objects(cloud)
        .put_object()
        .bucket("ai-assistant-documents-dev")
        .key(key);
    put.body(b"text".to_vec().into()).send().await.unwrap();
}

async fn put_row(cloud: &LocalCloud, document: &str, status: &str) {
    let request = json!({
        "TableName": "ai-assistant-documents",
        "Item": {"userId": {"S": "u"}, "documentId": {"S": document}, "status": {"S": status}},
    });
    cloud
        .services()
        .dynamo
        .call_json("PutItem", &request)
        .unwrap();
}

async fn settle(cloud: &LocalCloud) {
    tokio::time::timeout(Duration::from_secs(20), cloud.wait_idle())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_worker_of_the_deployed_template_is_reached_by_its_event() {
    let cloud = LocalCloud::open(&deployed(), Storage::Memory)
        .await
        .unwrap();
    let recorder = Arc::new(Recorder::default());
    let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
    put_object(&cloud, "documents/u/d/original.pdf").await;
    put_object(&cloud, "documents/u/d/extracted-text.txt").await;
    put_object(&cloud, "processed/u/d/metadata.json").await;
    put_object(&cloud, "processed/u/d/embeddings.json").await;
    put_object(&cloud, "documents/u/d/chunks/chunk-001.json").await;
    let key = "documents/u/d/original.pdf";
    objects(&cloud)
        .delete_object()
        .bucket("ai-assistant-documents-dev")
        .key(key)
        .send()
        .await
        .unwrap();
    put_row(&cloud, "d", "processing").await;
    settle(&cloud).await;

    for worker in [
        "extract-text",
        "chunk-text",
        "embed-chunks",
        "index-chunks",
        "remove-document",
        "keep-progress",
    ] {
        assert_eq!(recorder.records(worker).len(), 1, "{worker}");
    }
    let body = |worker: &str| {
        let body = recorder.records(worker)[0]["body"]
            .as_str()
            .unwrap()
            .to_owned();
        serde_json::from_str::<Value>(&body).unwrap()
    };
    assert_eq!(body("extract-text")["detail-type"], "Object Created");
    assert_eq!(body("extract-text")["detail"]["object"]["key"], key);
    assert_eq!(body("remove-document")["detail-type"], "Object Deleted");
    assert_eq!(
        body("chunk-text")["Records"][0]["s3"]["object"]["key"],
        "documents/u/d/extracted-text.txt"
    );
    let row = &recorder.records("keep-progress")[0];
    assert_eq!(row["eventName"], "INSERT");
    assert_eq!(row["dynamodb"]["NewImage"]["status"]["S"], "processing");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_was_at_the_end_wakes_for_what_comes_after() {
    let cloud = LocalCloud::open(&deployed(), Storage::Memory)
        .await
        .unwrap();
    let recorder = Arc::new(Recorder::default());
    let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
    for round in 1..=5 {
        put_row(&cloud, "d", &format!("round {round}")).await;
        settle(&cloud).await;
        assert_eq!(recorder.records("keep-progress").len(), round);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_row_reaches_the_worker_that_removes_and_no_other() {
    let cloud = LocalCloud::open(&deployed(), Storage::Memory)
        .await
        .unwrap();
    let recorder = Arc::new(Recorder::default());
    put_row(&cloud, "d", "ready").await;
    let key = json!({
        "TableName": "ai-assistant-documents",
        "Key": {"userId": {"S": "u"}, "documentId": {"S": "d"}},
    });
    cloud
        .services()
        .dynamo
        .call_json("DeleteItem", &key)
        .unwrap();
    let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
    settle(&cloud).await;
    let names = |worker: &str| -> Vec<String> {
        let records = recorder.records(worker);
        records
            .iter()
            .map(|record| record["eventName"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("remove-document"), ["REMOVE"]);
    assert_eq!(names("keep-progress"), ["INSERT"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_done_is_delivered_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    {
        let cloud = LocalCloud::open(&deployed(), storage.clone())
            .await
            .unwrap();
        // Fails for ever: nothing of it may count as done.
        let recorder = Recorder::failing("extract-text", usize::MAX);
        recorder
            .failures_left
            .lock()
            .unwrap()
            .insert("keep-progress".to_owned(), usize::MAX);
        let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
        put_object(&cloud, "documents/u/d/original").await;
        put_row(&cloud, "d", "processing").await;
        while recorder.records("extract-text").is_empty()
            || recorder.records("keep-progress").is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!cloud.idle().await.unwrap());
        drop(running);
    }
    // The tasks of the dropped cloud let go of the directory in their own time.
    let cloud = loop {
        match LocalCloud::open(&deployed(), storage.clone()).await {
            Err(CloudError::Open(OpenError::InUse { .. })) => {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
            opened => break opened.unwrap(),
        }
    };
    let recorder = Arc::new(Recorder::default());
    let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
    settle(&cloud).await;
    assert_eq!(
        recorder.records("extract-text").len(),
        1,
        "at once, without waiting for its visibility timeout"
    );
    assert_eq!(
        recorder.records("extract-text")[0]["attributes"]["ApproximateReceiveCount"],
        "1"
    );
    assert_eq!(recorder.records("keep-progress").len(), 1);
    running.stop().await;
    drop(cloud);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_not_delivered_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    for round in 0..2 {
        let cloud = LocalCloud::open(&deployed(), storage.clone())
            .await
            .unwrap();
        let recorder = Arc::new(Recorder::default());
        let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
        put_row(&cloud, &format!("d{round}"), "processing").await;
        put_object(&cloud, &format!("documents/u/d{round}/original")).await;
        settle(&cloud).await;
        assert_eq!(recorder.records("keep-progress").len(), 1, "round {round}");
        assert_eq!(recorder.records("extract-text").len(), 1, "round {round}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changed_is_refused_instead_of_used_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(directory.path().to_owned());
    let mut template = deployed();
    drop(LocalCloud::open(&template, storage.clone()).await.unwrap());
    template.tables[0].create["GlobalSecondaryIndexes"][0]["IndexName"] = json!("Renamed");
    let error = LocalCloud::open(&template, storage)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("ai-assistant-documents has other GlobalSecondaryIndexes"),
        "{error}"
    );
}

/// A function that always fails, a table with a stream, and a destination for what it gives up.
fn poisoned(destination: &str) -> Template {
    let text = format!(
        "Transform: AWS::Serverless-2016-10-31
Resources:
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: ai-assistant-documents
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {{AttributeName: userId, AttributeType: S}}
        - {{AttributeName: documentId, AttributeType: S}}
      KeySchema:
        - {{AttributeName: userId, KeyType: HASH}}
        - {{AttributeName: documentId, KeyType: RANGE}}
      StreamSpecification: {{StreamViewType: NEW_AND_OLD_IMAGES}}
  Kept: {{Type: AWS::S3::Bucket, Properties: {{BucketName: kept}}}}
  News: {{Type: AWS::SNS::Topic, Properties: {{TopicName: news}}}}
  Heard: {{Type: AWS::SQS::Queue, Properties: {{QueueName: heard}}}}
  Hears:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref News
      Protocol: sqs
      Endpoint: !GetAtt Heard.Arn
      RawMessageDelivery: true
  Work:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: work
      Handler: work
      Runtime: provided.al2023
      Events:
        Rows:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Rows.StreamArn
            StartingPosition: TRIM_HORIZON
            MaximumRetryAttempts: 0
            DestinationConfig: {{OnFailure: {{Destination: {destination}}}}}
"
    );
    Template::parse(&text, "poisoned.yaml", &BTreeMap::new()).unwrap()
}

async fn streams_settle(cloud: &LocalCloud) {
    let read = async {
        while !cloud.streams_are_read().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_gets_the_event_and_a_topic_the_place() {
    let cloud = LocalCloud::open(&poisoned("!GetAtt Kept.Arn"), Storage::Memory)
        .await
        .unwrap();
    let running = cloud.start(Recorder::failing("work", usize::MAX));
    put_row(&cloud, "d", "new").await;
    streams_settle(&cloud).await;
    let listed = objects(&cloud)
        .list_objects_v2()
        .bucket("kept")
        .send()
        .await
        .unwrap();
    let key = listed.contents()[0].key().unwrap().to_owned();
    assert!(key.starts_with("aws/lambda/Work-Rows/shardId-"), "{key}");
    let object = objects(&cloud)
        .get_object()
        .bucket("kept")
        .key(&key)
        .send()
        .await
        .unwrap();
    let bytes = object.body.collect().await.unwrap().into_bytes();
    let record: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(record["DDBStreamBatchInfo"]["batchSize"], 1);
    let payload: Value = serde_json::from_str(record["payload"].as_str().unwrap()).unwrap();
    assert_eq!(
        payload["Records"][0]["dynamodb"]["Keys"]["documentId"]["S"],
        "d"
    );
    running.stop().await;

    let cloud = LocalCloud::open(&poisoned("!Ref News"), Storage::Memory)
        .await
        .unwrap();
    let running = cloud.start(Recorder::failing("work", usize::MAX));
    put_row(&cloud, "d", "new").await;
    streams_settle(&cloud).await;
    let options = crate::sqs::ReceiveOptions::at_once(10);
    let heard = cloud
        .services()
        .queues
        .receive("heard", options)
        .await
        .unwrap();
    let record: Value = serde_json::from_str(&heard[0].body).unwrap();
    assert_eq!(
        record["requestContext"]["condition"],
        "RetryAttemptsExhausted"
    );
    assert_eq!(record["payload"], Value::Null);
    running.stop().await;
}

/// Takes its time with each message, and fails the first delivery of some.
#[derive(Default)]
struct Slow {
    journal: Mutex<Vec<String>>,
}

#[async_trait]
impl Functions for Slow {
    async fn invoke(
        &self,
        _function: &FunctionConfig,
        event: Value,
        _request_id: &str,
        _deadline: Instant,
    ) -> Result<Value, crate::FunctionError> {
        let record = &event["Records"][0];
        let body = record["body"].as_str().unwrap();
        let attempt = record["attributes"]["ApproximateReceiveCount"]
            .as_str()
            .unwrap();
        self.journal.lock().unwrap().push(format!("{body} begins"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.journal.lock().unwrap().push(format!("{body} ends"));
        if body == "a1" && attempt == "1" {
            return Err(crate::FunctionError::new("not yet"));
        }
        Ok(Value::Null)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_a_fifo_queue_waits_for_its_failed_message_and_other_groups_do_not() {
    let text = "Transform: AWS::Serverless-2016-10-31
Resources:
  Letters:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: letters.fifo
      FifoQueue: true
      ContentBasedDeduplication: true
      VisibilityTimeout: 1
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Handler: work
      Runtime: provided.al2023
      Timeout: 1
      Events:
        Letters:
          Type: SQS
          Properties: {Queue: !GetAtt Letters.Arn, BatchSize: 1, ScalingConfig: {MaximumConcurrency: 4}}
";
    let template = Template::parse(text, "fifo.yaml", &BTreeMap::new()).unwrap();
    let cloud = LocalCloud::open(&template, Storage::Memory).await.unwrap();
    for body in ["a1", "a2", "b1", "b2"] {
        let message = crate::sqs::OutgoingMessage {
            group: Some(body[..1].to_owned()),
            ..crate::sqs::OutgoingMessage::new(body)
        };
        cloud
            .services()
            .queues
            .send("letters.fifo", message)
            .await
            .unwrap();
    }
    let slow = Arc::new(Slow::default());
    let running = cloud.start(Arc::clone(&slow) as Arc<_>);
    settle(&cloud).await;
    let journal = slow.journal.lock().unwrap().clone();
    let of_group = |group: &str| -> Vec<String> {
        journal
            .iter()
            .filter(|line| line.starts_with(group))
            .cloned()
            .collect()
    };
    let expected = [
        "a1 begins",
        "a1 ends",
        "a1 begins",
        "a1 ends",
        "a2 begins",
        "a2 ends",
    ];
    assert_eq!(of_group("a"), expected);
    assert_eq!(
        of_group("b"),
        ["b1 begins", "b1 ends", "b2 begins", "b2 ends"]
    );
    let place = |line: &str| journal.iter().position(|known| known == line).unwrap();
    assert!(
        place("b2 ends") < place("a2 begins"),
        "the other group went on: {journal:?}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_for_later_is_not_waited_for() {
    let cloud = LocalCloud::open(&deployed(), Storage::Memory)
        .await
        .unwrap();
    let queues = &cloud.services().queues;
    let later = crate::sqs::OutgoingMessage {
        delay_seconds: Some(600),
        ..crate::sqs::OutgoingMessage::new("{}")
    };
    queues.send("millrace-close-window", later).await.unwrap();
    settle(&cloud).await;
    let now = crate::sqs::OutgoingMessage::new("{}");
    queues.send("millrace-close-window", now).await.unwrap();
    assert!(!cloud.idle().await.unwrap(), "a message waits");
}

const SCHEDULED: &str = r"
Transform: AWS::Serverless-2016-10-31
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: work
  Rule:
    Type: AWS::Events::Rule
    Properties:
      Name: daily
      ScheduleExpression: cron(10 0 * * ? *)
      Targets:
        - Id: work
          Arn: !GetAtt Work.Arn
  Function:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: daily
      Handler: daily
      Runtime: provided.al2023
      Timeout: 5
      Events:
        Messages:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
";

const HOUR: Duration = Duration::from_secs(3_600);

/// The times that a function was told of, as soon as there are this many.
async fn times_told(recorder: &Recorder, count: usize) -> Vec<String> {
    let told = async {
        while recorder.records("daily").len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told)
        .await
        .unwrap();
    let records = recorder.records("daily");
    let events = records
        .iter()
        .map(|record| serde_json::from_str::<Value>(record["body"].as_str().unwrap()).unwrap());
    events
        .map(|event| event["time"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_by_the_worlds_clock_each_time_once_and_catches_up_after_a_pause() {
    let template = Template::parse(SCHEDULED, "t.yaml", &BTreeMap::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let storage = || Storage::Directory(directory.path().to_owned());
    // 2026-11-21T00:00:00Z
    let clock = crate::clock::ManualClock::new(1_795_219_200_000);
    let recorder = Arc::new(Recorder::default());

    let cloud = LocalCloud::open_with_clock(&template, storage(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
    clock.advance(HOUR);
    let told = times_told(&recorder, 1).await;
    assert_eq!(told, ["2026-11-21T00:10:00Z"]);
    clock.advance(24 * HOUR);
    let told = times_told(&recorder, 2).await;
    assert_eq!(told[1], "2026-11-22T00:10:00Z");
    settle(&cloud).await;
    running.stop().await;
    drop(cloud);

    // Three days off: what was told is not told again, and of what was missed the newest is.
    clock.advance(72 * HOUR);
    let cloud = LocalCloud::open_with_clock(&template, storage(), Arc::new(clock.clone()))
        .await
        .unwrap();
    let running = cloud.start(Arc::clone(&recorder) as Arc<_>);
    let told = times_told(&recorder, 3).await;
    assert_eq!(told[2], "2026-11-25T00:10:00Z");
    clock.advance(HOUR);
    settle(&cloud).await;
    assert_eq!(times_told(&recorder, 3).await.len(), 3);
    let event: Value =
        serde_json::from_str(recorder.records("daily")[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(event["detail-type"], "Scheduled Event");
    assert_eq!(event["source"], "aws.events");
    assert_eq!(
        event["resources"],
        json!(["arn:aws:events:us-east-1:000000000000:rule/daily"])
    );
    running.stop().await;
}

#[tokio::test]
async fn a_schedule_that_is_no_longer_in_the_template_is_no_longer_run() {
    let with = Template::parse(SCHEDULED, "t.yaml", &BTreeMap::new()).unwrap();
    let off = SCHEDULED.replace(
        "      Name: daily",
        "      Name: daily\n      State: DISABLED",
    );
    let without = Template::parse(&off, "t.yaml", &BTreeMap::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (template, expected) in [(with, vec!["daily".to_owned()]), (without, Vec::new())] {
        let storage = Storage::Directory(directory.path().to_owned());
        let cloud = LocalCloud::open(&template, storage).await.unwrap();
        assert_eq!(cloud.services().bus.schedule_names().unwrap(), expected);
    }
}
