//! SQS messages as Lambda gets them.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>.

use serde_json::Value;

use super::{Receipt, optional_text, required_text};
use crate::Failure;

pub(super) fn is_message(value: &Value) -> bool {
    optional_text(value, "/eventSource") == Some("aws:sqs")
}

pub(super) fn body(value: &Value) -> Result<&str, Failure> {
    required_text(value, "/body", "SQS message")
}

pub(super) fn message_id(value: &Value) -> Option<&str> {
    if !is_message(value) {
        return None;
    }
    optional_text(value, "/messageId")
}

pub(super) fn is_fifo(value: &Value) -> bool {
    optional_text(value, "/eventSourceARN").is_some_and(|arn| arn.ends_with(".fifo"))
}

/// Fair queues carry a group too, but only FIFO queues are ordered by it.
pub(super) fn group(value: &Value) -> Option<String> {
    if !is_message(value) {
        return None;
    }
    optional_text(value, "/attributes/MessageGroupId").map(str::to_owned)
}

/// How often the message was received, this time included; 1 where nobody counts.
pub(super) fn receive_count(value: &Value) -> u32 {
    if !is_message(value) {
        return 1;
    }
    let counted = match value.pointer("/attributes/ApproximateReceiveCount") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Number(number)) => number.as_u64().and_then(|count| count.try_into().ok()),
        _ => None,
    };
    counted.unwrap_or(1).max(1)
}

pub(super) fn receipt(value: &Value) -> Option<Receipt> {
    if !is_message(value) {
        return None;
    }
    Some(Receipt {
        queue_arn: optional_text(value, "/eventSourceARN")?.to_owned(),
        handle: optional_text(value, "/receiptHandle")?.to_owned(),
    })
}

pub(super) fn trace_header(value: &Value) -> Option<&str> {
    optional_text(value, "/attributes/AWSTraceHeader")
}
