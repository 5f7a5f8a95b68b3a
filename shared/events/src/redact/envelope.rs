//! What stays of the envelopes: fields that AWS documents, as long as they hold what AWS puts there.

use serde_json::Value;

use super::{
    MAX_DEPTH, Within,
    shape::Maker,
    text::{Phrases, resource_name},
};
use crate::parked;

/// Identifiers of the services: names of events, versions, states.
const NAMES: &[&str] = &[
    "eventSource",
    "EventSource",
    "eventVersion",
    "EventVersion",
    "awsRegion",
    "region",
    "eventName",
    "s3SchemaVersion",
    "StreamViewType",
    "detail-type",
    "source",
    "version",
    "Type",
    "type",
    "SignatureVersion",
    "deletion-type",
    "reason",
    "condition",
    "functionError",
    "executedVersion",
    "millrace",
    "worker",
    "code",
    "Service",
    "Event",
    "shardId",
];
/// Counts and times in text.
const DIGITS: &[&str] = &[
    "ApproximateReceiveCount",
    "SentTimestamp",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "startSequenceNumber",
    "endSequenceNumber",
];
/// Sequencers and entity tags, wherever they stand.
const TAGS: &[&str] = &["etag", "sequencer", "generation"];
/// Fields of envelopes that hold what is somebody's, or an envelope of its own.
const PAYLOADS: &[&str] = &[
    "Records",
    "Keys",
    "NewImage",
    "OldImage",
    "event",
    "requestPayload",
    "payload",
    "responsePayload",
    "messageAttributes",
    "MessageAttributes",
];
/// The services whose records are known.
const SOURCES: &[&str] = &["aws:s3", "aws:sqs", "aws:sns", "aws:dynamodb"];
/// Shorter ones are no tags, and words (`facade`) are hexadecimal too.
const SHORTEST_TAG: usize = 12;

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn source(value: &Value) -> Option<&str> {
    text(value, "eventSource").or_else(|| text(value, "EventSource"))
}

/// In what the fields of an object stand.
pub(super) fn within(object: &Value, around: Within) -> Within {
    let has = |name| object.get(name).is_some();
    let is_record = source(object).is_some_and(|source| SOURCES.contains(&source));
    let is_stream_record = has("dynamodb") && has("eventName");
    let is_event_bridge = has("detail-type") && has("source") && has("detail");
    let is_notification = text(object, "Type") == Some("Notification") && has("TopicArn");
    let is_on_failure = has("requestContext")
        && (has("requestPayload") || has("DDBStreamBatchInfo") || has("KinesisBatchInfo"));
    let is_test = text(object, "Event") == Some("s3:TestEvent");
    let is_envelope = is_record
        || is_stream_record
        || is_event_bridge
        || is_notification
        || is_on_failure
        || is_test;
    if is_envelope || parked::is_parked(object) {
        return Within::Envelope;
    }
    around
}

/// In what the content of a field stands.
pub(super) fn within_field(object: &Value, name: &str, within: Within) -> Within {
    let is_objects_detail = name == "detail" && text(object, "source") == Some("aws.s3");
    if PAYLOADS.contains(&name) || (name == "detail" && !is_objects_detail) {
        return Within::Payload;
    }
    within
}

/// Whether a field of an envelope stays as it is.
pub(super) fn stays(name: &str, field: &Value) -> bool {
    match field {
        // Sizes, counts, times: AWS puts nothing else there.
        Value::Number(_) => true,
        Value::String(text) if DIGITS.contains(&name) => {
            text.bytes().all(|byte| byte.is_ascii_digit())
        }
        // However short a sequencer is, it says when an object was written and nothing else.
        Value::String(text) if name == "sequencer" => {
            text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        Value::String(text) if is_tag_name(name) => is_tag(text),
        Value::String(text) if NAMES.contains(&name) => is_name(text, name),
        _ => false,
    }
}

/// `ObjectCreated:Put`, `2.1`, `aws.s3`; of two words only where AWS has such names: `Object Created`, `Amazon S3`.
fn is_name(text: &str, name: &str) -> bool {
    let may_have_spaces = matches!(name, "detail-type" | "Service");
    let allowed = |letter: char| {
        letter.is_ascii_alphanumeric()
            || ":._/$*-".contains(letter)
            || (letter == ' ' && may_have_spaces)
    };
    text.len() <= 64 && text.chars().all(allowed)
}

/// However it is written: `eTag`, `etag`, `e-tag`.
fn is_tag_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .collect();
    TAGS.contains(&plain.to_ascii_lowercase().as_str())
}

/// Hexadecimal, in quotes or not, with the number of parts or not.
fn is_tag(text: &str) -> bool {
    let tag = text.trim_matches('"');
    let (hash, parts) = tag.split_once('-').unwrap_or((tag, ""));
    hash.len() >= SHORTEST_TAG
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && parts.bytes().all(|byte| byte.is_ascii_digit())
}

/// Counts and times are shorter, and a number that is not padded may be anything else.
fn is_sequence_number(digits: &str) -> bool {
    (20..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Learns the names and tags that stay, from JSON within text too.
pub(super) fn learn(value: &Value, phrases: &mut Phrases, maker: &Maker, depth: usize) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                learn_field(value, name, field, phrases, maker);
                learn(field, phrases, maker, depth);
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                learn(entry, phrases, maker, depth);
            }
        }
        Value::String(text) => {
            let is_json = text.trim_start().starts_with(['{', '[', '"']);
            match serde_json::from_str::<Value>(text) {
                Ok(inner) if is_json && depth < MAX_DEPTH => {
                    learn(&inner, phrases, maker, depth + 1)
                }
                _ => learn_arns(text, phrases, maker),
            }
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn learn_field(object: &Value, name: &str, field: &Value, phrases: &mut Phrases, maker: &Maker) {
    // A row's attribute says its type first.
    let said = field.as_str().or_else(|| text(field, "S"));
    match (name, said) {
        ("bucket", None) => learn_name(text(field, "name"), phrases, maker),
        ("Bucket", Some(_)) if within(object, Within::Payload) == Within::Envelope => {
            learn_name(said, phrases, maker)
        }
        // A fixture's rows.
        ("table", Some(_)) if object.get("item").is_some() => learn_name(said, phrases, maker),
        ("configurationId", Some(_)) if object.get("s3SchemaVersion").is_some() => {
            learn_name(said, phrases, maker)
        }
        (name, Some(digits)) if DIGITS.contains(&name) && is_sequence_number(digits) => {
            phrases.keep_name(digits);
        }
        (name, Some(tag)) if is_tag_name(name) && is_tag(tag) => {
            phrases.keep_name(tag.trim_matches('"'))
        }
        _ => {}
    }
}

fn learn_name(name: Option<&str>, phrases: &mut Phrases, maker: &Maker) {
    let Some(name) = name.filter(|name| name.len() >= 3) else {
        return;
    };
    let stays = resource_name(name, maker);
    if stays == name {
        phrases.keep_name(name);
    } else {
        phrases.replace(name, &stays);
    }
}

/// The names of the resources in a text's ARNs.
fn learn_arns(text: &str, phrases: &mut Phrases, maker: &Maker) {
    for arn in text.split("arn:").skip(1) {
        // partition:service:region:account:resource
        let mut parts = arn.splitn(5, ':');
        let service = parts.nth(1).unwrap_or_default();
        let Some(resource) = parts.nth(2) else {
            continue;
        };
        let end =
            resource.find(|letter: char| letter.is_whitespace() || "\"',;)]}".contains(letter));
        let resource = resource
            .get(..end.unwrap_or(resource.len()))
            .unwrap_or_default();
        let up_to = |text: &'static str, rest| -> Option<&str> {
            let named: &str = str::strip_prefix(rest, text)?;
            named.split([':', '/']).next()
        };
        let name = match service {
            "s3" | "sqs" | "sns" => up_to("", resource),
            "dynamodb" => up_to("table/", resource),
            "lambda" => up_to("function:", resource),
            "events" => up_to("rule/", resource),
            _ => None,
        };
        learn_name(name, phrases, maker);
    }
}
