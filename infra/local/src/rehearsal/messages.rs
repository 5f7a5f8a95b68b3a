//! Queues, topics and the event bus: what would be sent goes nowhere, and its sender is told that it arrived.
//!
//! A message is checked as the embedded services check it: one that is too large, or a batch with an id twice, is
//! refused as ever. Whether the queue or topic is there is not looked up.

use serde_json::{Value, json};
use uuid::Uuid;

use super::notes::{Notes, bytes};
use crate::error::ServiceError;
use crate::names;
use crate::sns::{self, Topics};
use crate::sqs::{self, Queues};

/// Answers a request to SQS.
pub(super) async fn sqs(
    queues: &Queues,
    notes: &Notes,
    reality: &super::Reality,
    operation: &str,
    body: &[u8],
) -> Result<Value, ServiceError> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let url = request["QueueUrl"].as_str().unwrap_or_default();
    let queue = names::queue_of_url(url).to_owned();
    let entries = request["Entries"].as_array().map_or(&[][..], Vec::as_slice);
    let withheld = |summary: String| notes.withheld("SQS", operation, queue.clone(), summary);
    match operation {
        "SendMessage" | "SendMessageBatch" => {
            ensure(queues, &queue)?;
            let answer = sqs::wire::handle(queues, operation, body).await?;
            let messages = match operation {
                "SendMessage" => std::slice::from_ref(&request),
                _ => entries,
            };
            for message in messages {
                let size = message["MessageBody"].as_str().map_or(0, str::len);
                withheld(format!(
                    "send a message of {} to {queue}",
                    bytes(size as u64)
                ));
            }
            Ok(answer)
        }
        "DeleteMessage" => {
            withheld(format!("delete a message of {queue}"));
            Ok(json!({}))
        }
        "ChangeMessageVisibility" => {
            withheld(format!("hide or show a message of {queue}"));
            Ok(json!({}))
        }
        "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" => {
            let what = match operation {
                "DeleteMessageBatch" => "delete",
                _ => "hide or show",
            };
            withheld(format!("{what} {} messages of {queue}", entries.len()));
            let done: Vec<Value> = entries
                .iter()
                .map(|entry| json!({"Id": entry["Id"]}))
                .collect();
            Ok(json!({"Successful": done, "Failed": []}))
        }
        "GetQueueUrl" => {
            let name = request["QueueName"].as_str().unwrap_or_default();
            match reality.queue_url(name).await {
                Ok(Some(url)) => Ok(json!({ "QueueUrl": url })),
                Ok(None) => Err(ServiceError::client(
                    "QueueDoesNotExist",
                    "The specified queue does not exist.",
                )),
                Err(problem) => Err(notes.keep(problem)),
            }
        }
        // Receiving hides messages from their workers, so it is no read.
        other => Err(notes.refuse(&format!("SQS {other}"), "the overlay has no such operation")),
    }
}

/// Makes the queue, once. What is sent to a FIFO queue may lack its deduplication id only if the queue says so, which
/// is not known here.
fn ensure(queues: &Queues, queue: &str) -> Result<(), ServiceError> {
    if queues.names()?.iter().any(|name| name == queue) {
        return Ok(());
    }
    let fifo = ["FifoQueue", "ContentBasedDeduplication"];
    let attributes = fifo
        .into_iter()
        .filter(|_| queue.ends_with(".fifo"))
        .map(|name| (name.to_owned(), "true".to_owned()))
        .collect();
    queues.ensure(queue, &attributes)
}

/// Answers a request to SNS with XML.
pub(super) async fn sns(
    topics: &Topics,
    notes: &Notes,
    body: &[u8],
) -> Result<String, ServiceError> {
    let form = sns::form::Form::parse(body);
    let action = form.required("Action")?;
    let messages = match action {
        "Publish" => 1,
        "PublishBatch" => form.list("PublishBatchRequestEntries.member").len(),
        other => {
            let why = "the overlay has no such operation";
            return Err(notes.refuse(&format!("SNS {other}"), why));
        }
    };
    let arn = form.get("TopicArn").or_else(|| form.get("TargetArn"));
    let Some(topic) = arn.and_then(names::topic_of_arn) else {
        return Err(notes.refuse(&format!("SNS {action}"), "it names no topic"));
    };
    topics.ensure(topic)?;
    let answer = sns::wire::handle(topics, body).await?;
    let summary = match messages {
        1 => format!("publish a notification to {topic}"),
        many => format!("publish {many} notifications to {topic}"),
    };
    notes.withheld("SNS", action, topic.to_owned(), summary);
    Ok(answer)
}

/// Answers a request to EventBridge.
pub(super) fn event_bridge(
    notes: &Notes,
    operation: &str,
    body: &[u8],
) -> Result<Value, ServiceError> {
    if operation != "PutEvents" {
        let why = "the overlay has no such operation";
        return Err(notes.refuse(&format!("EventBridge {operation}"), why));
    }
    let request: Value = serde_json::from_slice(body)?;
    let entries = request["Entries"].as_array().map_or(&[][..], Vec::as_slice);
    for entry in entries {
        let bus = entry["EventBusName"].as_str().unwrap_or("default");
        let kind = entry["DetailType"].as_str().unwrap_or_default();
        let summary = format!("put an event {kind:?} on the bus {bus}");
        notes.withheld("EventBridge", operation, bus.to_owned(), summary);
    }
    let ids: Vec<Value> = entries
        .iter()
        .map(|_| json!({"EventId": Uuid::new_v4()}))
        .collect();
    Ok(json!({"FailedEntryCount": 0, "Entries": ids}))
}
