//! Queue attributes: what SQS calls them, what they may be, what they mean.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::ServiceError;
use crate::names;

/// The attributes of a queue as they are set and listed.
pub type AttributeMap = BTreeMap<String, String>;

const DELAY: &str = "DelaySeconds";
const MAXIMUM_SIZE: &str = "MaximumMessageSize";
const RETENTION: &str = "MessageRetentionPeriod";
const WAIT: &str = "ReceiveMessageWaitTimeSeconds";
const VISIBILITY: &str = "VisibilityTimeout";
const REDRIVE: &str = "RedrivePolicy";
const FIFO: &str = "FifoQueue";
const CONTENT_BASED: &str = "ContentBasedDeduplication";

/// Attributes that take a number: name, lowest, highest, default.
const NUMBERS: [(&str, i64, i64, i64); 5] = [
    (DELAY, 0, 900, 0),
    (MAXIMUM_SIZE, 1_024, 1_048_576, 1_048_576),
    (RETENTION, 60, 1_209_600, 345_600),
    (WAIT, 0, 20, 0),
    (VISIBILITY, 0, 43_200, 30),
];

/// Attributes that are accepted and shown, and change nothing here.
const OPAQUE: [&str; 7] = [
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "RedriveAllowPolicy",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

/// What a queue does, read from its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueSettings {
    pub(crate) fifo: bool,
    pub(crate) content_based_deduplication: bool,
    pub(crate) delay_seconds: i64,
    pub(crate) maximum_message_size: usize,
    pub(crate) retention_seconds: i64,
    pub(crate) wait_seconds: u64,
    pub(crate) visibility_seconds: i64,
    pub(crate) redrive: Option<RedrivePolicy>,
}

/// After how many receives a message moves to which queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedrivePolicy {
    pub(crate) dead_letter_queue: String,
    pub(crate) maximum_receives: i64,
}

impl QueueSettings {
    /// Reads the settings of the queue `name`. Errors name the attribute.
    pub(crate) fn parse(name: &str, attributes: &AttributeMap) -> Result<Self, ServiceError> {
        for (attribute, value) in attributes {
            check(attribute, value)?;
        }
        let number = |wanted: &str| {
            let (_, _, _, default) = NUMBERS.iter().find(|(name, ..)| *name == wanted)?;
            let set = attributes.get(wanted).and_then(|value| value.parse().ok());
            Some(set.unwrap_or(*default))
        };
        let number = |wanted| number(wanted).unwrap_or_default();
        let flag = |wanted: &str| attributes.get(wanted).is_some_and(|value| value == "true");
        let fifo = name.ends_with(".fifo");
        if fifo != flag(FIFO) && attributes.contains_key(FIFO) {
            return Err(invalid(format!(
                "the name of a FIFO queue, and of no other, ends in .fifo: {name}"
            )));
        }
        let redrive = match attributes.get(REDRIVE).map(String::as_str) {
            None | Some("") => None,
            Some(policy) => Some(RedrivePolicy::parse(policy)?),
        };
        Ok(Self {
            fifo,
            content_based_deduplication: flag(CONTENT_BASED),
            delay_seconds: number(DELAY),
            maximum_message_size: number(MAXIMUM_SIZE) as usize,
            retention_seconds: number(RETENTION),
            wait_seconds: number(WAIT) as u64,
            visibility_seconds: number(VISIBILITY),
            redrive,
        })
    }
}

impl RedrivePolicy {
    fn parse(policy: &str) -> Result<Self, ServiceError> {
        let policy: Value = serde_json::from_str(policy)
            .map_err(|error| invalid(format!("RedrivePolicy is not JSON: {error}")))?;
        // Both spellings of the count are in use: a number and a string.
        let count = &policy["maxReceiveCount"];
        let maximum_receives = count
            .as_i64()
            .or_else(|| count.as_str()?.parse().ok())
            .filter(|count| (1..=1_000).contains(count))
            .ok_or_else(|| {
                invalid("RedrivePolicy.maxReceiveCount must be a number from 1 to 1000".to_owned())
            })?;
        let dead_letter_queue = policy["deadLetterTargetArn"]
            .as_str()
            .and_then(names::queue_of_arn)
            .ok_or_else(|| {
                invalid("RedrivePolicy.deadLetterTargetArn must be the ARN of a queue".to_owned())
            })?;
        Ok(Self {
            dead_letter_queue: dead_letter_queue.to_owned(),
            maximum_receives,
        })
    }
}

/// The attributes as `GetQueueAttributes` shows them: with those that were
/// never set, at their defaults.
pub(crate) fn with_defaults(name: &str, attributes: &AttributeMap) -> AttributeMap {
    let mut shown = attributes.clone();
    for (attribute, _, _, default) in NUMBERS {
        shown
            .entry(attribute.to_owned())
            .or_insert_with(|| default.to_string());
    }
    shown
        .entry("SqsManagedSseEnabled".to_owned())
        .or_insert_with(|| "true".to_owned());
    if name.ends_with(".fifo") {
        shown.insert(FIFO.to_owned(), "true".to_owned());
        for (attribute, default) in [
            (CONTENT_BASED, "false"),
            ("DeduplicationScope", "queue"),
            ("FifoThroughputLimit", "perQueue"),
        ] {
            shown
                .entry(attribute.to_owned())
                .or_insert_with(|| default.to_owned());
        }
    }
    shown
}

/// Checks that a queue may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), ServiceError> {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let is_legal =
        |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    if stem.is_empty() || name.len() > 80 || !stem.chars().all(is_legal) {
        return Err(ServiceError::client(
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

fn check(attribute: &str, value: &str) -> Result<(), ServiceError> {
    let number = NUMBERS.iter().find(|(name, ..)| *name == attribute);
    if let Some((_, lowest, highest, _)) = number {
        let is_legal = value
            .parse::<i64>()
            .is_ok_and(|value| (*lowest..=*highest).contains(&value));
        if !is_legal {
            return Err(invalid(format!(
                "{attribute} must be a number from {lowest} to {highest}, not {value:?}"
            )));
        }
        return Ok(());
    }
    match attribute {
        FIFO | CONTENT_BASED if value == "true" || value == "false" => Ok(()),
        FIFO | CONTENT_BASED => Err(invalid(format!("{attribute} must be true or false"))),
        REDRIVE => Ok(()),
        known if OPAQUE.contains(&known) => Ok(()),
        unknown => Err(ServiceError::client(
            "InvalidAttributeName",
            format!("Unknown Attribute {unknown}."),
        )),
    }
}

fn invalid(message: String) -> ServiceError {
    ServiceError::client("InvalidAttributeValue", message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> AttributeMap {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_redrive_policy_is_read_with_its_count_in_either_spelling() {
        for count in ["3", "\"3\""] {
            let policy = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":{count}}}"#
            );
            let settings =
                QueueSettings::parse("q", &attributes(&[("RedrivePolicy", &policy)])).unwrap();
            let redrive = settings.redrive.unwrap();
            assert_eq!(redrive.maximum_receives, 3);
            assert_eq!(redrive.dead_letter_queue, "dead");
        }
    }

    #[test]
    fn wrong_attributes_are_refused_by_name() {
        for (name, value) in [
            ("VisibilityTimeout", "43201"),
            ("DelaySeconds", "soon"),
            ("Visibility", "3"),
            ("FifoQueue", "yes"),
            ("RedrivePolicy", "{}"),
        ] {
            let error = QueueSettings::parse("q", &attributes(&[(name, value)])).unwrap_err();
            assert!(error.message.contains(name), "{error}");
        }
    }

    #[test]
    fn queue_names_are_checked() {
        assert!(check_name("millrace-extract_text.fifo").is_ok());
        for name in ["", ".fifo", "a.b", "a/b", &"x".repeat(81)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
