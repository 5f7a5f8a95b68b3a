//! Operations on messages: sending, receiving, deleting, giving back.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::batch::{Batch, LARGEST_BATCH, each_entry};
use crate::error::ServiceError;
use crate::names;
use crate::sqs::message::{self, Message, MessageAttributes, OutgoingMessage, Sent};
use crate::sqs::{Queues, ReceiveOptions, queue};
use crate::store::Write;

/// The most that the bodies of a batch may have together: 1 MiB.
const LARGEST_BATCH_BYTES: usize = 1_048_576;
/// The message of a request or of a batch's entry.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageFields {
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: MessageAttributes,
    #[serde(default)]
    message_system_attributes: MessageAttributes,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

impl From<MessageFields> for OutgoingMessage {
    fn from(fields: MessageFields) -> Self {
        Self {
            body: fields.message_body,
            attributes: fields.message_attributes,
            system_attributes: fields.message_system_attributes,
            // Clients send a delay of zero to FIFO queues, where it means none.
            delay_seconds: fields.delay_seconds,
            group: fields.message_group_id,
            deduplication: fields.message_deduplication_id,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: MessageFields,
}

pub(super) fn send_message(
    write: &mut Write<'_>,
    request: SendMessage,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    send_one(write, queue, &request.message.into())
}

fn send_one(
    write: &mut Write<'_>,
    queue: &str,
    outgoing: &OutgoingMessage,
) -> Result<Value, ServiceError> {
    let Sent {
        message_id,
        sequence_number,
    } = queue::send(write, queue, outgoing)?;
    let mut answer = json!({
        "MessageId": message_id,
        "MD5OfMessageBody": message::body_digest(&outgoing.body),
    });
    if let Some(digest) = message::attributes_digest(&outgoing.attributes) {
        answer["MD5OfMessageAttributes"] = digest.into();
    }
    if let Some(digest) = message::attributes_digest(&outgoing.system_attributes) {
        answer["MD5OfMessageSystemAttributes"] = digest.into();
    }
    if let Some(sequence_number) = sequence_number {
        answer["SequenceNumber"] = sequence_number.into();
    }
    Ok(answer)
}

pub(super) fn send_message_batch(
    write: &mut Write<'_>,
    batch: Batch<MessageFields>,
) -> Result<Value, ServiceError> {
    let bytes: usize = batch
        .entries
        .iter()
        .map(|entry| entry.fields.message_body.len())
        .sum();
    if bytes > LARGEST_BATCH_BYTES {
        return Err(ServiceError::client(
            "BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {LARGEST_BATCH_BYTES} bytes. You have sent {bytes} bytes."
            ),
        ));
    }
    each_entry(write, batch, |write, queue, fields| {
        send_one(write, queue, &fields.into())
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receipt {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

pub(super) fn delete_message(
    write: &mut Write<'_>,
    request: DeleteMessage,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    queue::attributes(&write.transaction, queue)?;
    queue::delete(write, queue, &request.receipt_handle)?;
    Ok(json!({}))
}

pub(super) fn delete_message_batch(
    write: &mut Write<'_>,
    batch: Batch<Receipt>,
) -> Result<Value, ServiceError> {
    each_entry(write, batch, |write, queue, fields| {
        queue::delete(write, queue, &fields.receipt_handle)?;
        Ok(json!({}))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Visibility {
    receipt_handle: String,
    #[serde(default)]
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

pub(super) fn change_message_visibility(
    write: &mut Write<'_>,
    request: ChangeMessageVisibility,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    queue::attributes(&write.transaction, queue)?;
    queue::change_visibility(
        write,
        queue,
        &request.receipt_handle,
        request.visibility_timeout,
    )?;
    Ok(json!({}))
}

pub(super) fn change_message_visibility_batch(
    write: &mut Write<'_>,
    batch: Batch<Visibility>,
) -> Result<Value, ServiceError> {
    each_entry(write, batch, |write, queue, fields| {
        queue::change_visibility(
            write,
            queue,
            &fields.receipt_handle,
            fields.visibility_timeout,
        )?;
        Ok(json!({}))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<u64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

pub(super) async fn receive_message(
    queues: &Queues,
    request: ReceiveMessage,
) -> Result<Value, ServiceError> {
    let out_of_range = |name: &str| {
        ServiceError::client(
            "InvalidParameterValue",
            format!("The value for parameter {name} is out of its range."),
        )
    };
    let maximum = request.max_number_of_messages.unwrap_or(1);
    if !(1..=LARGEST_BATCH).contains(&maximum) {
        return Err(out_of_range("MaxNumberOfMessages"));
    }
    if request
        .wait_time_seconds
        .is_some_and(|seconds| seconds > 20)
    {
        return Err(out_of_range("WaitTimeSeconds"));
    }
    let visibility = request.visibility_timeout;
    if visibility.is_some_and(|seconds| !(0..=43_200).contains(&seconds)) {
        return Err(out_of_range("VisibilityTimeout"));
    }
    let options = ReceiveOptions {
        maximum,
        visibility_seconds: visibility,
        wait: request.wait_time_seconds.map(Duration::from_secs),
    };
    let queue = names::queue_of_url(&request.queue_url);
    let messages = queues.receive(queue, options).await?;
    if messages.is_empty() {
        return Ok(json!({}));
    }
    let shown: Vec<Value> = messages
        .into_iter()
        .map(|message| shown(message, &request))
        .collect();
    Ok(json!({ "Messages": shown }))
}

/// A message with the attributes that the receiver asked for.
fn shown(mut received: Message, request: &ReceiveMessage) -> Value {
    let system_names = || {
        let names = request.attribute_names.iter();
        names.chain(&request.message_system_attribute_names)
    };
    received
        .system_attributes
        .retain(|name, _| system_names().any(|wanted| wanted == "All" || wanted == name));
    received.attributes.retain(|name, _| {
        let wanted = &request.message_attribute_names;
        wanted.iter().any(|wanted| is_wanted(wanted, name))
    });
    let mut shown = json!({
        "MessageId": received.message_id,
        "ReceiptHandle": received.receipt_handle,
        "MD5OfBody": message::body_digest(&received.body),
        "Body": received.body,
    });
    if !received.system_attributes.is_empty() {
        shown["Attributes"] = json!(received.system_attributes);
    }
    if let Some(digest) = message::attributes_digest(&received.attributes) {
        shown["MD5OfMessageAttributes"] = digest.into();
        shown["MessageAttributes"] = json!(received.attributes);
    }
    shown
}

fn is_wanted(wanted: &str, name: &str) -> bool {
    if wanted == "All" || wanted == ".*" {
        return true;
    }
    match wanted.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == name,
    }
}
