//! What happens when an object comes or goes: messages to the queues whose
//! rules match, and an event on the bus, in the transaction of the change.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::ServiceError;
use crate::eventbridge::{EventBus, service_event};
use crate::sqs::{OutgoingMessage, queue};
use crate::store::Write;
use crate::{names, times};

/// The event names that a rule may have.
const EVENTS: [&str; 8] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
];

/// Which events of a bucket go to which queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationRule {
    /// The id of the rule, shown in its messages.
    pub id: String,
    /// Events such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// Only keys that begin with this.
    pub prefix: String,
    /// Only keys that end with this.
    pub suffix: String,
    /// The queue that is told.
    pub queue_arn: String,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Put,
    Copy,
    CompleteMultipartUpload,
    Delete,
}

impl Change {
    /// The name without the `s3:` that rules have before it.
    fn name(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Put => "PutObject",
            Self::Copy => "CopyObject",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::Delete => "DeleteObject",
        }
    }
}

/// The object that it happened to. Size and ETag are of no interest once it is
/// gone.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) size: u64,
    pub(super) etag: &'a str,
    pub(super) sequencer: &'a str,
}

impl NotificationRule {
    fn wants(&self, change: Change, key: &str) -> bool {
        let is_wanted = |event: &String| {
            let event = event.trim_start_matches("s3:");
            match event.strip_suffix('*') {
                Some(group) => change.name().starts_with(group),
                None => change.name() == event,
            }
        };
        key.starts_with(&self.prefix)
            && key.ends_with(&self.suffix)
            && self.events.iter().any(is_wanted)
    }

    /// Whether a key could match both rules, for an event that both have.
    fn overlaps(&self, other: &Self) -> bool {
        let share_events = self.events.iter().any(|left| {
            other
                .events
                .iter()
                .any(|right| event_covers(left, right) || event_covers(right, left))
        });
        let (prefix, other_prefix) = (&self.prefix, &other.prefix);
        let (suffix, other_suffix) = (&self.suffix, &other.suffix);
        share_events
            && (prefix.starts_with(other_prefix) || other_prefix.starts_with(prefix))
            && (suffix.ends_with(other_suffix) || other_suffix.ends_with(suffix))
    }
}

fn event_covers(general: &str, special: &str) -> bool {
    match general.strip_suffix('*') {
        Some(group) => special.starts_with(group),
        None => general == special,
    }
}

/// Checks rules as S3 does: known events, queues that exist, no overlaps.
pub(super) fn check_rules(
    write: &Write<'_>,
    rules: &[NotificationRule],
) -> Result<(), ServiceError> {
    let invalid = |message: String| Err(ServiceError::client("InvalidArgument", message));
    for (position, rule) in rules.iter().enumerate() {
        if rule.events.is_empty() {
            return invalid(format!("the notification {} has no events", rule.id));
        }
        for event in &rule.events {
            if !EVENTS.contains(&event.as_str()) {
                return invalid(format!(
                    "the notification {} has the unknown event {event}",
                    rule.id
                ));
            }
        }
        let queue = names::queue_of_arn(&rule.queue_arn);
        let is_there = match queue {
            Some(queue) => queue::exists(&write.transaction, queue)?,
            None => false,
        };
        if !is_there {
            return invalid(format!(
                "Unable to validate the following destination configurations: {} of the notification {}",
                rule.queue_arn, rule.id
            ));
        }
        if let Some(other) = rules[..position].iter().find(|other| other.overlaps(rule)) {
            return invalid(format!(
                "Configurations overlap. Configurations on the same bucket cannot share a common event type: {} and {}",
                other.id, rule.id
            ));
        }
    }
    Ok(())
}

/// Tells everybody who wants to know. A queue that is gone is passed over, as
/// on AWS: the change itself has happened.
pub(super) fn announce(
    write: &mut Write<'_>,
    bus: &EventBus,
    change: Change,
    subject: &Subject<'_>,
) -> Result<(), ServiceError> {
    let configuration: Option<(String, bool)> = write
        .transaction
        .prepare_cached("SELECT notifications, eventbridge FROM bucket WHERE name = ?")?
        .query_row(params![subject.bucket], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((rules, eventbridge)) = configuration else {
        return Ok(());
    };
    let rules: Vec<NotificationRule> = serde_json::from_str(&rules)?;
    for rule in rules.iter().filter(|rule| rule.wants(change, subject.key)) {
        let body = notification(write.now, rule, change, subject).to_string();
        let queue = names::queue_of_arn(&rule.queue_arn).unwrap_or_default();
        match queue::send(write, queue, &OutgoingMessage::new(body)) {
            Ok(_) => {}
            Err(error) if error.status < 500 => {
                tracing::warn!(rule = rule.id, queue, %error, "a notification could not be delivered");
            }
            Err(error) => return Err(error),
        }
    }
    if eventbridge {
        let event = bus_event(write.now, change, subject);
        bus.deliver(write, &event)?;
    }
    Ok(())
}

/// What S3 leaves of a key as it is. A space becomes a plus.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

fn encoded_key(key: &str) -> String {
    percent_encode(key.as_bytes(), KEPT)
        .to_string()
        .replace(' ', "+")
}

/// The body of a message to a queue.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
fn notification(
    now_millis: i64,
    rule: &NotificationRule,
    change: Change,
    subject: &Subject<'_>,
) -> Value {
    let mut object = json!({ "key": encoded_key(subject.key) });
    if change != Change::Delete {
        object["size"] = subject.size.into();
        object["eTag"] = subject.etag.into();
    }
    object["sequencer"] = subject.sequencer.into();
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": names::REGION,
        "eventTime": times::with_milliseconds(now_millis),
        "eventName": change.name(),
        "userIdentity": { "principalId": format!("AWS:{}", names::ACCOUNT) },
        "requestParameters": { "sourceIPAddress": "127.0.0.1" },
        "responseElements": {
            "x-amz-request-id": request_id(subject),
            "x-amz-id-2": Uuid::new_v4().simple().to_string(),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": rule.id,
            "bucket": {
                "name": subject.bucket,
                "ownerIdentity": { "principalId": names::ACCOUNT },
                "arn": names::bucket_arn(subject.bucket),
            },
            "object": object,
        },
    }]})
}

/// Sixteen capitals and digits; the same in all that one change gives rise to.
fn request_id(subject: &Subject<'_>) -> String {
    let sequencer = subject.sequencer;
    sequencer
        .get(sequencer.len().saturating_sub(16)..)
        .unwrap_or(sequencer)
        .to_owned()
}

/// The event on the bus. The key is not encoded here.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
fn bus_event(now_millis: i64, change: Change, subject: &Subject<'_>) -> Value {
    let mut object = json!({ "key": subject.key });
    if change != Change::Delete {
        object["size"] = subject.size.into();
        object["etag"] = subject.etag.into();
    }
    object["sequencer"] = subject.sequencer.into();
    let mut detail = json!({
        "version": "0",
        "bucket": { "name": subject.bucket },
        "object": object,
        "request-id": request_id(subject),
        "requester": names::ACCOUNT,
        "source-ip-address": "127.0.0.1",
        "reason": change.reason(),
    });
    let detail_type = if change == Change::Delete {
        detail["deletion-type"] = "Permanently Deleted".into();
        "Object Deleted"
    } else {
        "Object Created"
    };
    let bucket_arn = names::bucket_arn(subject.bucket);
    service_event("aws.s3", detail_type, now_millis, &bucket_arn, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(events: &[&str], prefix: &str, suffix: &str) -> NotificationRule {
        NotificationRule {
            id: format!("{prefix}…{suffix}"),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            queue_arn: names::queue_arn("q"),
        }
    }

    #[test]
    fn rules_want_their_events_and_keys() {
        let created = rule(&["s3:ObjectCreated:*"], "in/", ".txt");
        assert!(created.wants(Change::Put, "in/a.txt"));
        assert!(created.wants(Change::Copy, "in/a.txt"));
        assert!(!created.wants(Change::Delete, "in/a.txt"));
        assert!(!created.wants(Change::Put, "out/a.txt"));
        assert!(!created.wants(Change::Put, "in/a.pdf"));
        let put = rule(&["s3:ObjectCreated:Put"], "", "");
        assert!(put.wants(Change::Put, "a"));
        assert!(!put.wants(Change::CompleteMultipartUpload, "a"));
    }

    #[test]
    fn rules_overlap_where_one_key_could_match_both() {
        let base = rule(&["s3:ObjectCreated:*"], "in/", ".txt");
        assert!(base.overlaps(&rule(&["s3:ObjectCreated:Put"], "in/a/", "")));
        assert!(base.overlaps(&rule(&["s3:ObjectCreated:*"], "", "x.txt")));
        assert!(!base.overlaps(&rule(&["s3:ObjectRemoved:*"], "in/", ".txt")));
        assert!(!base.overlaps(&rule(&["s3:ObjectCreated:*"], "out/", ".txt")));
        assert!(!base.overlaps(&rule(&["s3:ObjectCreated:*"], "in/", ".json")));
    }

    #[test]
    fn keys_are_encoded_as_s3_encodes_them() {
        assert_eq!(
            encoded_key("documents/a b+c/原.pdf"),
            "documents/a+b%2Bc/%E5%8E%9F.pdf"
        );
    }
}
