//! EventBridge events.
//!
//! Shape of S3's: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>. Their keys are
//! not URL-encoded, and an `Object Deleted` has neither size nor, in some cases, an ETag.

use serde_json::Value;
use time::UtcOffset;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::{optional_text, parse_time, required_text, s3};
use crate::{Failure, ObjectChange, ObjectChangeKind, Payload, Record, ScheduledTime, Version};

/// Of one length, so that it compares as text. EventBridge tells whole seconds.
const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

const WHAT: &str = "EventBridge event";

pub(super) fn is_event(value: &Value) -> bool {
    value.get("detail-type").is_some() && value.get("source").is_some()
}

pub(super) fn is_object_event(value: &Value) -> bool {
    optional_text(value, "/source") == Some("aws.s3") && object_kind(value).is_some()
}

fn object_kind(value: &Value) -> Option<ObjectChangeKind> {
    match optional_text(value, "/detail-type")? {
        "Object Created" => Some(ObjectChangeKind::Created),
        "Object Deleted" => Some(ObjectChangeKind::Removed),
        _ => None,
    }
}

pub(super) fn detail(value: &Value) -> &Value {
    value.get("detail").unwrap_or(&Value::Null)
}

pub(super) fn decode_object_event(value: &Value) -> Result<Record, Failure> {
    let kind = object_kind(value)
        .ok_or_else(|| super::malformed(format!("the {WHAT} has no `detail-type` of an object")))?;
    let change = ObjectChange {
        kind,
        bucket: required_text(value, "/detail/bucket/name", WHAT)?.to_owned(),
        key: required_text(value, "/detail/object/key", WHAT)?.to_owned(),
        size: value.pointer("/detail/object/size").and_then(Value::as_u64),
        e_tag: optional_text(value, "/detail/object/etag").map(s3::unquoted),
        version_id: optional_text(value, "/detail/object/version-id").map(str::to_owned),
    };
    let sequencer = required_text(value, "/detail/object/sequencer", WHAT)?;
    s3::object_record(change, sequencer, occurred_at(value))
}

/// Made by a rule with a schedule:
/// <https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-events.html>.
pub(super) fn is_scheduled_event(value: &Value) -> bool {
    optional_text(value, "/source") == Some("aws.events")
        && optional_text(value, "/detail-type") == Some("Scheduled Event")
}

pub(super) fn decode_scheduled_event(value: &Value) -> Result<Record, Failure> {
    let arn = required_text(value, "/resources/0", WHAT)?;
    let rule = arn
        .split_once(":rule/")
        .map(|(_, rule)| rule)
        .filter(|rule| !rule.is_empty())
        .ok_or_else(|| super::malformed(format!("the {WHAT}'s resource is no rule: `{arn}`")))?;
    let text = required_text(value, "/time", WHAT)?;
    let at = parse_time(text)
        .ok_or_else(|| super::malformed(format!("the {WHAT}'s `time` is no time: `{text}`")))?
        .to_offset(UtcOffset::UTC);
    let subject = format!("schedule/{rule}");
    let version = at.format(SECONDS).map_err(|error| {
        super::malformed(format!("the {WHAT}'s `time` is no time")).caused_by(error)
    })?;
    Ok(Record {
        id: format!("{subject}@{version}"),
        subject,
        version: Version::from_padded(version),
        occurred_at: Some(at),
        payload: Payload::Schedule(ScheduledTime {
            rule: rule.to_owned(),
            at,
        }),
    })
}

pub(super) fn decode_message(value: &Value) -> Result<Record, Failure> {
    let id = required_text(value, "/id", WHAT)?;
    Ok(Record {
        id: id.to_owned(),
        subject: id.to_owned(),
        version: Version::default(),
        occurred_at: occurred_at(value),
        payload: Payload::Message(detail(value).clone()),
    })
}

fn occurred_at(value: &Value) -> Option<time::OffsetDateTime> {
    optional_text(value, "/time").and_then(parse_time)
}
