//! From a publication to messages in queues.

use rusqlite::params;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::subscription::SubscriptionSettings;
use super::{Publication, check_topic};
use crate::error::ServiceError;
use crate::sqs::{OutgoingMessage, check_attributes, queue};
use crate::store::Write;
use crate::{names, times};

/// The largest message that a topic takes, in bytes.
const LARGEST_MESSAGE: usize = 262_144;

struct Subscriber {
    arn: String,
    endpoint: String,
    settings: SubscriptionSettings,
}

/// Publishes to a topic: puts a message into the queue of every subscription
/// that wants it. Returns the id of the publication.
pub(crate) fn publish(
    write: &mut Write<'_>,
    topic: &str,
    publication: &Publication,
) -> Result<String, ServiceError> {
    check_topic(write, topic)?;
    check_publication(topic, publication)?;
    let message_id = Uuid::new_v4().to_string();
    for subscriber in subscribers(write, topic)? {
        if !subscriber.settings.wants(publication) {
            continue;
        }
        let message = if subscriber.settings.raw {
            raw_message(publication)
        } else {
            enveloped_message(write.now, topic, &subscriber.arn, &message_id, publication)
        };
        let queue = names::queue_of_arn(&subscriber.endpoint).unwrap_or_default();
        match queue::send(write, queue, &message) {
            Ok(_) => {}
            // A queue that is gone, or refuses the message, must not fail the
            // publisher: SNS has acknowledged by then.
            Err(error) if error.status < 500 => {
                tracing::warn!(topic, queue, %error, "a publication could not be delivered");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(message_id)
}

fn check_publication(topic: &str, publication: &Publication) -> Result<(), ServiceError> {
    let invalid = |text: String| Err(ServiceError::client("InvalidParameter", text));
    if publication.message.is_empty() {
        return invalid("Invalid parameter: Empty message".to_owned());
    }
    if publication.message.len() > LARGEST_MESSAGE {
        return invalid("Invalid parameter: Message too long".to_owned());
    }
    if topic.ends_with(".fifo") && publication.group.is_none() {
        return invalid(
            "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
                .to_owned(),
        );
    }
    // `String.Array` is a type of SNS only; everything else is as in SQS.
    check_attributes(&publication.attributes)
}

fn subscribers(write: &Write<'_>, topic: &str) -> Result<Vec<Subscriber>, ServiceError> {
    let mut statement = write.transaction.prepare_cached(
        "SELECT arn, endpoint, attributes FROM subscription WHERE topic = ? ORDER BY arn",
    )?;
    let rows = statement.query_map(params![topic], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
        ))
    })?;
    let mut subscribers = Vec::new();
    for row in rows {
        let (arn, endpoint, attributes) = row?;
        subscribers.push(Subscriber {
            arn,
            endpoint,
            settings: SubscriptionSettings::parse(&serde_json::from_str(&attributes)?)?,
        });
    }
    Ok(subscribers)
}

fn raw_message(publication: &Publication) -> OutgoingMessage {
    OutgoingMessage {
        body: publication.message.clone(),
        attributes: publication.attributes.clone(),
        group: publication.group.clone(),
        deduplication: publication.deduplication.clone(),
        ..OutgoingMessage::default()
    }
}

fn enveloped_message(
    now_millis: i64,
    topic: &str,
    subscription_arn: &str,
    message_id: &str,
    publication: &Publication,
) -> OutgoingMessage {
    let mut envelope = json!({
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": names::topic_arn(topic),
        "Message": publication.message,
        "Timestamp": times::with_milliseconds(now_millis),
        "SignatureVersion": "1",
        "Signature": "embedded",
        "SigningCertURL": format!("https://sns.{}.amazonaws.com/embedded.pem", names::REGION),
        "UnsubscribeURL": format!(
            "https://sns.{}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription_arn}",
            names::REGION
        ),
    });
    if let Some(subject) = &publication.subject {
        envelope["Subject"] = subject.as_str().into();
    }
    if !publication.attributes.is_empty() {
        let shown: Map<String, Value> = publication
            .attributes
            .iter()
            .map(|(name, attribute)| {
                let value = attribute
                    .string_value
                    .as_ref()
                    .or(attribute.binary_value.as_ref());
                (
                    name.clone(),
                    json!({ "Type": attribute.data_type, "Value": value }),
                )
            })
            .collect();
        envelope["MessageAttributes"] = shown.into();
    }
    OutgoingMessage {
        body: envelope.to_string(),
        group: publication.group.clone(),
        deduplication: publication.deduplication.clone(),
        ..OutgoingMessage::default()
    }
}
