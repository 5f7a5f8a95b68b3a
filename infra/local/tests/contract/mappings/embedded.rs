//! The mappings of the embedded cloud.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use millrace_local::sqs::ReceiveOptions;
use millrace_local::{FunctionConfig, FunctionError, Functions, LocalCloud, Storage, Template};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Answer, Function, GOOD_AND_BAD, RECEIVES, SCENARIOS, Scenario, check, counted};

#[async_trait]
impl Functions for Function {
    async fn invoke(
        &self,
        _function: &FunctionConfig,
        event: Value,
        _request_id: &str,
        _deadline: Instant,
    ) -> Result<Value, FunctionError> {
        self.handle(&event).map_err(FunctionError::new)
    }
}

const HEAD: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: things
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  Dead:
    Type: AWS::SQS::Queue
    Properties: {QueueName: dead}
  Work:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: work
      VisibilityTimeout: 1
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 2}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: worker
      Handler: worker
      Runtime: provided.al2023
      CodeUri: .
      Timeout: 1
      Events:
";

fn template(events: &str) -> Template {
    let text = format!("{HEAD}{events}");
    Template::parse(&text, "contract.yaml", &BTreeMap::new())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn mapping(scenario: &Scenario) -> Template {
    let mut events = format!(
        "        Stream:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Things.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: {}
            MaximumRetryAttempts: {}
            DestinationConfig: {{OnFailure: {{Type: SQS, Destination: !GetAtt Dead.Arn}}}}
",
        scenario.batch_size, scenario.retries
    );
    if scenario.reports {
        events += "            FunctionResponseTypes: [ReportBatchItemFailures]\n";
    }
    if let Some(filter) = scenario.filter {
        events += &format!("            FilterCriteria: {{Filters: [{{Pattern: '{filter}'}}]}}\n");
    }
    template(&events)
}

async fn settle(cloud: &LocalCloud) {
    let settled = tokio::time::timeout(Duration::from_secs(30), cloud.wait_idle());
    settled.await.unwrap().unwrap();
}

async fn letters(cloud: &LocalCloud) -> Vec<String> {
    let all = ReceiveOptions::at_once(100);
    let letters = cloud.services().queues.receive("dead", all).await.unwrap();
    letters.into_iter().map(|letter| letter.body).collect()
}

async fn play(scenario: &Scenario) {
    let template = mapping(scenario);
    let cloud = LocalCloud::open(&template, Storage::Memory).await.unwrap();
    for id in scenario.items {
        let put = json!({ "TableName": "things", "Item": { "id": { "S": id } } });
        cloud.services().dynamo.call_json("PutItem", &put).unwrap();
    }
    let function = Arc::new(Function::new(scenario.answer));
    let running = cloud.start(Arc::clone(&function) as Arc<_>);
    settle(&cloud).await;
    running.stop().await;
    let letters = letters(&cloud).await;
    let told = letters
        .iter()
        .map(|body| serde_json::from_str(body).unwrap());
    let told: Vec<Value> = told.collect();
    check(scenario, &function.invocations(), &told);
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_of_streams_do_what_the_scenarios_say() {
    futures::future::join_all(SCENARIOS.iter().map(play)).await;
}

/// Whether the function has been mended. Only this test asks for it.
static MENDED: AtomicBool = AtomicBool::new(false);

#[tokio::test(flavor = "multi_thread")]
async fn messages_become_dead_letters_and_come_back() {
    let template = template(
        "        Queue:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
            BatchSize: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
",
    );
    let cloud = LocalCloud::open(&template, Storage::Memory).await.unwrap();
    let function = Arc::new(Function::new(|_, _| {
        if MENDED.load(Ordering::Relaxed) {
            Answer::Success
        } else {
            Answer::Failed(&["bad"])
        }
    }));
    let sqs = aws_sdk_sqs::Client::new(&cloud.sdk_config());
    let url = sqs.get_queue_url().queue_name("work").send().await.unwrap();
    let url = url.queue_url.unwrap();
    for body in GOOD_AND_BAD {
        let send = sqs.send_message().queue_url(&url).message_body(body);
        send.send().await.unwrap();
    }
    let running = cloud.start(Arc::clone(&function) as Arc<_>);
    settle(&cloud).await;
    let seen = function.invocations();
    let counts = GOOD_AND_BAD.map(|body| counted(&seen, body));
    assert_eq!(counts, [RECEIVES as usize, 1, 1]);
    MENDED.store(true, Ordering::Relaxed);
    let dead = millrace_local::names::queue_arn("dead");
    let moved = sqs.start_message_move_task().source_arn(dead);
    moved.send().await.unwrap();
    settle(&cloud).await;
    running.stop().await;
    let seen = function.invocations();
    let counts = GOOD_AND_BAD.map(|body| counted(&seen, body));
    assert_eq!(counts, [RECEIVES as usize + 1, 1, 1]);
    assert_eq!(letters(&cloud).await, Vec::<String>::new());
}
