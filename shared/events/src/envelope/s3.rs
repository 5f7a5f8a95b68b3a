//! S3 event notifications.
//!
//! Shape: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>.

use percent_encoding::percent_decode;
use serde_json::Value;

use super::{malformed, message, optional_text, parse_time, required_text};
use crate::{Failure, ObjectChange, ObjectChangeKind, Payload, Record, Version, reason};

const WHAT: &str = "S3 record";

pub(super) fn is_record(value: &Value) -> bool {
    optional_text(value, "/eventSource") == Some("aws:s3")
        || value.get("s3").is_some_and(Value::is_object) && value.get("eventName").is_some()
}

pub(super) fn is_test_event(value: &Value) -> bool {
    optional_text(value, "/Event") == Some("s3:TestEvent")
}

pub(super) fn decode_test_event(value: &Value) -> Record {
    let bucket = optional_text(value, "/Bucket").unwrap_or_default();
    let request = optional_text(value, "/RequestId").unwrap_or_default();
    Record {
        id: format!("s3-test:{bucket}@{request}"),
        subject: format!("s3://{bucket}"),
        version: Version::default(),
        occurred_at: optional_text(value, "/Time").and_then(parse_time),
        payload: Payload::Test,
    }
}

pub(super) fn decode(value: &Value) -> Result<Record, Failure> {
    let event_name = required_text(value, "/eventName", WHAT)?;
    let Some(kind) = kind_of_event(event_name) else {
        // Tagging, restores, replication …: no object came or went; workers ignore messages.
        return Ok(message::decode(value));
    };
    let key = decode_key(required_text(value, "/s3/object/key", WHAT)?)?;
    let change = ObjectChange {
        kind,
        bucket: required_text(value, "/s3/bucket/name", WHAT)?.to_owned(),
        key,
        size: value.pointer("/s3/object/size").and_then(Value::as_u64),
        e_tag: optional_text(value, "/s3/object/eTag").map(unquoted),
        version_id: optional_text(value, "/s3/object/versionId").map(str::to_owned),
    };
    let sequencer = required_text(value, "/s3/object/sequencer", WHAT)?;
    let occurred_at = optional_text(value, "/eventTime").and_then(parse_time);
    object_record(change, sequencer, occurred_at)
}

/// The record of an object's change; the same whichever service told of it.
pub(super) fn object_record(
    change: ObjectChange,
    sequencer: &str,
    occurred_at: Option<time::OffsetDateTime>,
) -> Result<Record, Failure> {
    if change.bucket.is_empty() || change.key.is_empty() {
        return Err(malformed(format!(
            "the {WHAT} names an empty bucket or an empty key"
        )));
    }
    let version = Version::of_sequencer(sequencer)?;
    let happened = match change.kind {
        ObjectChangeKind::Created => "created",
        ObjectChangeKind::Removed => "removed",
    };
    Ok(Record {
        id: format!("s3:{}/{}@{version}:{happened}", change.bucket, change.key),
        subject: format!("s3://{}/{}", change.bucket, change.key),
        version,
        occurred_at,
        payload: Payload::Object(change),
    })
}

/// Records name events without `s3:`, configurations and some other services with it.
fn kind_of_event(event_name: &str) -> Option<ObjectChangeKind> {
    let name = event_name.strip_prefix("s3:").unwrap_or(event_name);
    let (category, _) = name.split_once(':').unwrap_or((name, ""));
    match category {
        "ObjectCreated" => Some(ObjectChangeKind::Created),
        "ObjectRemoved" | "LifecycleExpiration" => Some(ObjectChangeKind::Removed),
        _ => None,
    }
}

pub(super) fn unquoted(e_tag: &str) -> String {
    e_tag.trim_matches('"').to_owned()
}

/// Decodes a key as notifications encode it: as a form does, a space is `+`.
fn decode_key(encoded: &str) -> Result<String, Failure> {
    let invalid = |why: &str| {
        Failure::permanent(
            reason::INVALID_KEY,
            format!("the object key `{encoded}` cannot be decoded: {why}"),
        )
    };
    if !escapes_are_whole(encoded.as_bytes()) {
        return Err(invalid("a `%` is not followed by two hexadecimal digits"));
    }
    let spaced = encoded.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| invalid("it is not UTF-8").caused_by(error))
}

fn escapes_are_whole(encoded: &[u8]) -> bool {
    encoded.iter().enumerate().all(|(position, byte)| {
        *byte != b'%'
            || encoded
                .get(position + 1..position + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// What S3 leaves as it is.
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'*');

    #[test]
    fn keys_are_decoded_as_a_form() {
        let decoded = |key| decode_key(key).unwrap();
        assert_eq!(decoded("a+b%2Bc.pdf"), "a b+c.pdf");
        assert_eq!(decoded("%E6%96%87%E4%BB%B6/x"), "文件/x");
        assert_eq!(decoded("Happy%20Face.jpg"), "Happy Face.jpg");
    }

    #[test]
    fn undecodable_keys_say_so() {
        for key in ["%FF.pdf", "100%", "100%2", "%zz", "%C3%28"] {
            let failure = decode_key(key).unwrap_err();
            assert_eq!(failure.reason(), reason::INVALID_KEY, "{key}");
            assert!(!failure.is_transient());
        }
    }

    proptest! {
        #[test]
        fn what_s3_encodes_is_decoded_to_the_same_key(key in any::<String>()) {
            let encoded = utf8_percent_encode(&key, ENCODED).to_string().replace("%20", "+");
            prop_assert_eq!(decode_key(&encoded).unwrap(), key);
        }

        #[test]
        fn no_key_panics(key in any::<String>()) {
            let _ = decode_key(&key);
        }
    }
}
