//! Messages: what goes into a queue, what comes out, and the digests that SQS
//! computes over them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::ServiceError;
use crate::names;

/// A typed attribute that a sender puts beside the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttribute {
    /// `String`, `Number` or `Binary`, with an optional `.label` after it.
    #[serde(rename = "DataType")]
    pub data_type: String,
    /// The value of a `String` or `Number`.
    #[serde(
        rename = "StringValue",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub string_value: Option<String>,
    /// The value of a `Binary`, in base64.
    #[serde(
        rename = "BinaryValue",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub binary_value: Option<String>,
}

impl MessageAttribute {
    /// An attribute of the type `String`.
    pub fn text(value: impl Into<String>) -> Self {
        Self {
            data_type: "String".to_owned(),
            string_value: Some(value.into()),
            binary_value: None,
        }
    }
}

/// Attributes by name. The order is that of the digest.
pub type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// A message on its way into a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// The body: any text.
    pub body: String,
    /// The sender's attributes.
    pub attributes: MessageAttributes,
    /// Attributes for AWS itself: `AWSTraceHeader`.
    pub system_attributes: MessageAttributes,
    /// How long it stays invisible; the queue's own delay if `None`.
    pub delay_seconds: Option<i64>,
    /// The group: required by FIFO queues.
    pub group: Option<String>,
    /// Equal ids within five minutes are one message, in FIFO queues.
    pub deduplication: Option<String>,
}

impl OutgoingMessage {
    /// A message of nothing but a body.
    pub fn new(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// What counts towards the limit of a message: body and attributes.
    pub(crate) fn size(&self) -> usize {
        let attribute_size = |(name, attribute): (&String, &MessageAttribute)| {
            let text = attribute.string_value.as_ref().map_or(0, String::len);
            let binary = attribute
                .binary_value
                .as_ref()
                .map_or(0, |value| value.len() * 3 / 4);
            name.len() + attribute.data_type.len() + text + binary
        };
        self.body.len() + self.attributes.iter().map(attribute_size).sum::<usize>()
    }
}

/// What a sender is told of a message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The id of the message; of the first one if this was a duplicate.
    pub message_id: String,
    /// The place in a FIFO queue: 20 digits.
    pub sequence_number: Option<String>,
}

/// A message as a receiver gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that SQS gave it. A redrive gives another one.
    pub message_id: String,
    /// What deletes this very receipt of it.
    pub receipt_handle: String,
    /// The body.
    pub body: String,
    /// What SQS knows of it: `SentTimestamp`, `ApproximateReceiveCount`, …
    pub system_attributes: BTreeMap<String, String>,
    /// The sender's attributes.
    pub attributes: MessageAttributes,
}

impl Message {
    /// The record of this message in a Lambda event, received from `queue`.
    pub fn to_event_record(&self, queue: &str) -> Value {
        let mut record = json!({
            "messageId": self.message_id,
            "receiptHandle": self.receipt_handle,
            "body": self.body,
            "attributes": self.system_attributes,
            "messageAttributes": self.event_attributes(),
            "md5OfBody": body_digest(&self.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": names::queue_arn(queue),
            "awsRegion": names::REGION,
        });
        if let Some(digest) = attributes_digest(&self.attributes) {
            record["md5OfMessageAttributes"] = digest.into();
        }
        record
    }

    fn event_attributes(&self) -> Map<String, Value> {
        let event_attribute = |(name, attribute): (&String, &MessageAttribute)| {
            let mut shown = json!({
                "dataType": attribute.data_type,
                "stringListValues": [],
                "binaryListValues": [],
            });
            if let Some(text) = &attribute.string_value {
                shown["stringValue"] = text.as_str().into();
            }
            if let Some(binary) = &attribute.binary_value {
                shown["binaryValue"] = binary.as_str().into();
            }
            (name.clone(), shown)
        };
        self.attributes.iter().map(event_attribute).collect()
    }
}

/// The MD5 of a body, in lower-case hexadecimal.
pub(crate) fn body_digest(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

/// The MD5 over attributes as SQS computes it, or `None` if there are none:
/// in the order of names, name, type and value, each after its length in four
/// bytes, with a byte before the value that says whether it is text or bytes.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub(crate) fn attributes_digest(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        update_with_length(&mut digest, name.as_bytes());
        update_with_length(&mut digest, attribute.data_type.as_bytes());
        match &attribute.binary_value {
            Some(binary) => {
                digest.update([2]);
                // Checked when it was sent, so an error cannot come up here.
                let bytes = BASE64.decode(binary).unwrap_or_default();
                update_with_length(&mut digest, &bytes);
            }
            None => {
                digest.update([1]);
                let text = attribute.string_value.as_deref().unwrap_or_default();
                update_with_length(&mut digest, text.as_bytes());
            }
        }
    }
    Some(hex::encode(digest.finalize()))
}

fn update_with_length(digest: &mut Md5, bytes: &[u8]) {
    digest.update((bytes.len() as u32).to_be_bytes());
    digest.update(bytes);
}

/// Checks attributes as SQS does when a message is sent.
pub(crate) fn check_attributes(attributes: &MessageAttributes) -> Result<(), ServiceError> {
    let invalid = |message: String| Err(ServiceError::client("InvalidParameterValue", message));
    if attributes.len() > 10 {
        return invalid("Number of message attributes must be at most 10.".to_owned());
    }
    for (name, attribute) in attributes {
        if name.is_empty() || name.len() > 256 {
            return invalid(format!(
                "the name of the attribute {name:?} is empty or too long."
            ));
        }
        let kind = attribute.data_type.split('.').next().unwrap_or_default();
        let text = attribute.string_value.as_deref();
        let binary = attribute.binary_value.as_deref();
        let is_legal = match kind {
            "String" => text.is_some_and(|text| !text.is_empty()),
            "Number" => text.is_some_and(|text| text.parse::<f64>().is_ok()),
            "Binary" => binary.is_some_and(|binary| BASE64.decode(binary).is_ok()),
            _ => {
                return invalid(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String."
                ));
            }
        };
        if !is_legal {
            return invalid(format!(
                "The message attribute '{name}' must contain a value of its type {kind}."
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of one attribute, put together by hand from the published
    /// rule, so that a change of the order or of a length would show.
    #[test]
    fn the_digest_follows_the_published_rule() {
        let attributes =
            MessageAttributes::from([("hello".to_owned(), MessageAttribute::text("world"))]);
        let mut encoded = Vec::new();
        encoded.extend_from_slice(b"\0\0\0\x05hello");
        encoded.extend_from_slice(b"\0\0\0\x06String");
        encoded.extend_from_slice(b"\x01\0\0\0\x05world");
        let expected = hex::encode(Md5::digest(&encoded));
        assert_eq!(attributes_digest(&attributes), Some(expected));
        assert_eq!(attributes_digest(&MessageAttributes::new()), None);
    }

    #[test]
    fn attributes_without_a_value_of_their_type_are_refused() {
        let mut wrong = MessageAttribute::text("ten");
        wrong.data_type = "Number".to_owned();
        let attributes = MessageAttributes::from([("count".to_owned(), wrong)]);
        assert!(check_attributes(&attributes).is_err());
        let attributes =
            MessageAttributes::from([("name".to_owned(), MessageAttribute::text("ten"))]);
        assert!(check_attributes(&attributes).is_ok());
    }
}
