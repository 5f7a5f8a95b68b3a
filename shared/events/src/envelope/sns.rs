//! SNS: as Lambda gets it, and as a notification in a queue. Raw delivery leaves no envelope.

use serde_json::Value;

use super::{optional_text, required_text};
use crate::Failure;

pub(super) fn is_record(value: &Value) -> bool {
    optional_text(value, "/EventSource") == Some("aws:sns")
        || value.get("Sns").is_some_and(Value::is_object)
}

pub(super) fn record_message(value: &Value) -> Result<&str, Failure> {
    required_text(value, "/Sns/Message", "SNS record")
}

/// In a queue, SNS wraps the message in a notification of text fields.
pub(super) fn is_notification(value: &Value) -> bool {
    optional_text(value, "/Type") == Some("Notification") && value.get("TopicArn").is_some()
}

pub(super) fn notification_message(value: &Value) -> Result<&str, Failure> {
    required_text(value, "/Message", "SNS notification")
}
