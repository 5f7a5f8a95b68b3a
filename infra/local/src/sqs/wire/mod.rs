//! The JSON protocol of SQS: `x-amz-target: AmazonSQS.<operation>`.

mod administration;
mod batch;
mod messages;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use administration::queue_names;

use self::administration::{
    create_queue, delete_queue, get_queue_attributes, get_queue_url,
    list_dead_letter_source_queues, list_message_move_tasks, list_queue_tags, list_queues,
    purge_queue, set_queue_attributes, start_message_move_task, tag_queue, untag_queue,
};
use self::messages::{
    change_message_visibility, change_message_visibility_batch, delete_message,
    delete_message_batch, receive_message, send_message, send_message_batch,
};
use super::Queues;
use crate::error::ServiceError;
use crate::names;
use crate::store::Write;

/// The name that the older protocol has for an error code. Clients read it
/// from the header `x-amzn-query-error`, and some look at nothing else.
pub(crate) fn query_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "EmptyBatchRequest"
        | "TooManyEntriesInBatchRequest"
        | "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "InvalidBatchEntryId"
        | "MessageNotInflight"
        | "PurgeQueueInProgress"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{code}"),
        other => other.to_owned(),
    }
}

/// Answers one request.
pub(crate) async fn handle(
    queues: &Queues,
    operation: &str,
    body: &[u8],
) -> Result<Value, ServiceError> {
    if operation == "ReceiveMessage" {
        return receive_message(queues, parse(body)?).await;
    }
    let operation = operation.to_owned();
    let request: Value = parse(body)?;
    let work = move |write: &mut Write<'_>| dispatch(write, &operation, request);
    queues.store.write_blocking(work).await
}

fn dispatch(write: &mut Write<'_>, operation: &str, request: Value) -> Result<Value, ServiceError> {
    match operation {
        "CreateQueue" => create_queue(write, from(request)?),
        "DeleteQueue" => delete_queue(write, from(request)?),
        "GetQueueUrl" => get_queue_url(write, from(request)?),
        "ListQueues" => list_queues(write, from(request)?),
        "GetQueueAttributes" => get_queue_attributes(write, from(request)?),
        "SetQueueAttributes" => set_queue_attributes(write, from(request)?),
        "PurgeQueue" => purge_queue(write, from(request)?),
        "TagQueue" => tag_queue(write, from(request)?),
        "UntagQueue" => untag_queue(write, from(request)?),
        "ListQueueTags" => list_queue_tags(write, from(request)?),
        "SendMessage" => send_message(write, from(request)?),
        "SendMessageBatch" => send_message_batch(write, from(request)?),
        "DeleteMessage" => delete_message(write, from(request)?),
        "DeleteMessageBatch" => delete_message_batch(write, from(request)?),
        "ChangeMessageVisibility" => change_message_visibility(write, from(request)?),
        "ChangeMessageVisibilityBatch" => change_message_visibility_batch(write, from(request)?),
        "StartMessageMoveTask" => start_message_move_task(write, from(request)?),
        "ListMessageMoveTasks" => list_message_move_tasks(write, from(request)?),
        "ListDeadLetterSourceQueues" => list_dead_letter_source_queues(write, from(request)?),
        unknown => Err(ServiceError::client(
            "UnsupportedOperation",
            format!("the embedded SQS has no operation {unknown}"),
        )),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(not_a_request)
}

fn from<T: DeserializeOwned>(request: Value) -> Result<T, ServiceError> {
    serde_json::from_value(request).map_err(not_a_request)
}

fn not_a_request(error: serde_json::Error) -> ServiceError {
    let message = error.to_string();
    if message.starts_with("missing field") {
        return ServiceError::client(
            "MissingParameter",
            format!("The request must contain all of its parameters: {message}"),
        );
    }
    ServiceError::client(
        "InvalidParameterValue",
        format!("could not read the request: {message}"),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueRequest {
    queue_url: String,
}

impl QueueRequest {
    fn queue(&self) -> &str {
        names::queue_of_url(&self.queue_url)
    }
}
