//! What is sent to SQS, read from the wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod http;

use std::{
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use millrace_delivery::{Parking, SqsParking, SqsVisibility, Visibility};
use millrace_events::{ParkedFormat, ParkedReason, ParkedRecord, Receipt, reason};
use serde_json::{Value, json};
use time::macros::datetime;

const DEAD_LETTERS: &str =
    "https://sqs.us-east-1.amazonaws.com/000000000000/millrace-extract-text-dlq";

/// A queue service that keeps what it is sent; a client that does not try again; the operations and bodies.
fn queues(status: &'static str, answer: Value) -> (aws_sdk_sqs::Client, Receiver<(String, Value)>) {
    let (sent, received) = channel();
    let address = http::serve(move |request| {
        let operation = request
            .headers
            .get("x-amz-target")
            .cloned()
            .unwrap_or_default();
        sent.send((operation, serde_json::from_slice(&request.body).unwrap()))
            .ok()?;
        Some(http::response(status, "", &answer.to_string()))
    });
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .retry_config(RetryConfig::disabled())
        .build();
    (aws_sdk_sqs::Client::from_conf(config), received)
}

fn parked() -> ParkedRecord {
    ParkedRecord {
        millrace: ParkedFormat::V1,
        id: millrace_events::parked_id("extract-text", "r"),
        worker: "extract-text".to_owned(),
        reason: ParkedReason {
            code: "encrypted".to_owned(),
            message: "the file needs a password".to_owned(),
        },
        attempts: 1,
        parked_at: datetime!(2026-11-20 10:20 UTC),
        record_id: "r".to_owned(),
        subject: "s".to_owned(),
        trace_id: None,
        event: json!({"id": "r"}),
        original: None,
        edited_from: None,
    }
}

#[tokio::test]
async fn a_parked_record_is_the_body_worker_and_reason_are_attributes() {
    let (client, received) = queues("200 OK", json!({"MessageId": "m"}));
    SqsParking::new(client, DEAD_LETTERS)
        .park(parked())
        .await
        .unwrap();
    let (operation, body) = received.recv().unwrap();
    assert_eq!(operation, "AmazonSQS.SendMessage");
    assert_eq!(
        body,
        json!({
            "QueueUrl": DEAD_LETTERS,
            "MessageBody": parked().to_body(),
            "MessageAttributes": {
                "worker": {"DataType": "String", "StringValue": "extract-text"},
                "reason": {"DataType": "String", "StringValue": "encrypted"}
            }
        })
    );
}

#[tokio::test]
async fn a_fifo_dead_letter_queue_gets_a_group_and_an_id() {
    let (client, received) = queues("200 OK", json!({"MessageId": "m"}));
    SqsParking::new(client, format!("{DEAD_LETTERS}.fifo"))
        .park(parked())
        .await
        .unwrap();
    let (_, body) = received.recv().unwrap();
    assert_eq!(body["MessageGroupId"], json!(parked().id));
    assert_eq!(body["MessageDeduplicationId"], json!(parked().id));
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_a_failure_that_can_be_mended() {
    let missing =
        json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"});
    let (client, _received) = queues("400 Bad Request", missing);
    let failure = SqsParking::new(client, DEAD_LETTERS)
        .park(parked())
        .await
        .unwrap_err();
    assert!(failure.is_transient());
    assert_eq!(failure.reason(), reason::RESOURCE_MISSING);
}

#[tokio::test]
async fn a_message_is_hidden_in_its_own_queue_for_whole_seconds() {
    let (client, received) = queues("200 OK", json!({}));
    let visibility = SqsVisibility::beside(client, DEAD_LETTERS);
    let receipt = Receipt {
        queue_arn: "arn:aws:sqs:us-east-1:000000000000:millrace-extract-text".to_owned(),
        handle: "receipt".to_owned(),
    };
    visibility
        .hide(&receipt, Duration::from_millis(3_200))
        .await
        .unwrap();
    let (operation, body) = received.recv().unwrap();
    assert_eq!(operation, "AmazonSQS.ChangeMessageVisibility");
    assert_eq!(
        body,
        json!({
            "QueueUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/millrace-extract-text",
            "ReceiptHandle": "receipt",
            "VisibilityTimeout": 4
        })
    );
}
