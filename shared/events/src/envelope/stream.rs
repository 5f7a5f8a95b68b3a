//! DynamoDB Streams records.
//!
//! Shape: <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize as _;
use serde_dynamo::AttributeValue;
use serde_json::Value;
use time::OffsetDateTime;

use super::{malformed, optional_text, required_text};
use crate::{Failure, Item, Payload, Record, RowChange, RowChangeKind, Version};

const WHAT: &str = "stream record";

/// What would make the text of a key ambiguous.
const IN_KEYS: &AsciiSet = &CONTROLS.add(b'%').add(b',').add(b'=').add(b'/').add(b'@');

/// Times beyond this are milliseconds: as seconds they would lie in the year 5138.
const LARGEST_SECONDS: f64 = 1e11;

pub(super) fn is_record(value: &Value) -> bool {
    optional_text(value, "/eventSource") == Some("aws:dynamodb")
        || value.get("dynamodb").is_some_and(Value::is_object) && value.get("eventName").is_some()
}

pub(super) fn sequence_number(value: &Value) -> Option<&str> {
    optional_text(value, "/dynamodb/SequenceNumber")
}

pub(super) fn decode(value: &Value) -> Result<Record, Failure> {
    let (table, label) = table_and_label(required_text(value, "/eventSourceARN", WHAT)?)?;
    let number = required_text(value, "/dynamodb/SequenceNumber", WHAT)?;
    let version = Version::of_sequence_number(label, number)?;
    let keys = image(value, "Keys")?
        .ok_or_else(|| malformed(format!("the {WHAT} {number} has no `dynamodb.Keys`")))?;
    let subject = format!("{table}/{}", text_of_keys(&keys)?);
    // The version is `label/number`; the number is behind the last slash.
    let padded = version.as_str().rsplit('/').next().unwrap_or_default();
    Ok(Record {
        id: format!("{label}:{subject}@{padded}"),
        subject,
        occurred_at: value
            .pointer("/dynamodb/ApproximateCreationDateTime")
            .and_then(Value::as_f64)
            .and_then(creation_time),
        payload: Payload::Row(RowChange {
            kind: change_kind(required_text(value, "/eventName", WHAT)?)?,
            table: table.to_owned(),
            keys,
            new: image(value, "NewImage")?,
            old: image(value, "OldImage")?,
            by_ttl: is_by_ttl(value),
        }),
        version,
    })
}

/// From `arn:aws:dynamodb:us-east-1:123456789012:table/NAME/stream/LABEL`.
fn table_and_label(arn: &str) -> Result<(&str, &str), Failure> {
    let named = arn.split_once(":table/").map(|(_, rest)| rest);
    let parts = named.and_then(|rest| rest.split_once("/stream/"));
    match parts {
        Some((table, label)) if !table.is_empty() && !label.is_empty() => Ok((table, label)),
        _ => Err(malformed(format!(
            "`eventSourceARN` of the {WHAT} is not a stream's ARN: `{arn}`"
        ))),
    }
}

fn change_kind(event_name: &str) -> Result<RowChangeKind, Failure> {
    match event_name {
        "INSERT" => Ok(RowChangeKind::Inserted),
        "MODIFY" => Ok(RowChangeKind::Modified),
        "REMOVE" => Ok(RowChangeKind::Removed),
        other => Err(malformed(format!(
            "`eventName` of the {WHAT} is `{other}`, not INSERT, MODIFY or REMOVE"
        ))),
    }
}

fn image(value: &Value, name: &str) -> Result<Option<Item>, Failure> {
    let Some(image) = value
        .pointer("/dynamodb")
        .and_then(|change| change.get(name))
    else {
        return Ok(None);
    };
    if image.is_null() {
        return Ok(None);
    }
    let item = Item::deserialize(image).map_err(|error| {
        malformed(format!("`dynamodb.{name}` of the {WHAT} is not an item")).caused_by(error)
    })?;
    Ok(Some(item))
}

/// `documentId=d-1,userId=u-1`: sorted by name, because a record does not say which is the sort key.
fn text_of_keys(keys: &Item) -> Result<String, Failure> {
    let mut parts = Vec::with_capacity(keys.len());
    for (name, value) in keys.iter() {
        let text = match value {
            AttributeValue::S(text) | AttributeValue::N(text) => {
                utf8_percent_encode(text, IN_KEYS).to_string()
            }
            AttributeValue::B(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            _ => {
                return Err(malformed(format!(
                    "the key attribute `{name}` of the {WHAT} is not text, a number or bytes"
                )));
            }
        };
        parts.push(format!("{}={text}", utf8_percent_encode(name, IN_KEYS)));
    }
    if parts.is_empty() {
        return Err(malformed(format!("`dynamodb.Keys` of the {WHAT} is empty")));
    }
    parts.sort();
    Ok(parts.join(","))
}

/// Lambda writes the names in camel case, the API and some stand-ins in Pascal case.
fn is_by_ttl(value: &Value) -> bool {
    let Some(identity) = value
        .get("userIdentity")
        .or_else(|| value.get("UserIdentity"))
    else {
        return false;
    };
    let said = |names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| identity.get(name))
            .and_then(Value::as_str)
    };
    said(["type", "Type"]) == Some("Service")
        && said(["principalId", "PrincipalId"]) == Some("dynamodb.amazonaws.com")
}

fn creation_time(said: f64) -> Option<OffsetDateTime> {
    let seconds = if said.abs() > LARGEST_SECONDS {
        said / 1000.0
    } else {
        said
    };
    // Saturates instead of overflowing; what is out of range has no time.
    let nanoseconds = (seconds * 1e9) as i128;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()
}
