//! The operations of SNS over the query protocol.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::form::{Form, escape};
use super::subscription::SubscriptionSettings;
use super::{Publication, Topics, check_topic, ensure_topic, publish, subscribe};
use crate::error::ServiceError;
use crate::names;
use crate::sqs::{MessageAttribute, MessageAttributes};
use crate::store::Write;

/// The most entries that a batch may have.
const LARGEST_BATCH: usize = 10;

/// Answers one request with XML.
pub(crate) async fn handle(topics: &Topics, body: &[u8]) -> Result<String, ServiceError> {
    let form = Form::parse(body);
    let action = form.required("Action")?.to_owned();
    let operation = action.clone();
    let inner = topics
        .store
        .write_blocking(move |write| dispatch(write, &operation, &form))
        .await?;
    Ok(format!(
        "<{action}Response xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><{action}Result>{inner}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        Uuid::new_v4()
    ))
}

/// The answer to a request that failed.
pub(crate) fn error_body(error: &ServiceError) -> String {
    let fault = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>{fault}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        error.code,
        escape(&error.message),
        Uuid::new_v4()
    )
}

fn dispatch(write: &mut Write<'_>, action: &str, form: &Form) -> Result<String, ServiceError> {
    match action {
        "CreateTopic" => create_topic(write, form),
        "DeleteTopic" => delete_topic(write, form),
        "ListTopics" => list_topics(write),
        "GetTopicAttributes" => get_topic_attributes(write, form),
        "SetTopicAttributes" => set_topic_attributes(write, form),
        "Subscribe" => subscribe_queue(write, form),
        "Unsubscribe" => unsubscribe(write, form),
        "ListSubscriptions" => list_subscriptions(write, None),
        "ListSubscriptionsByTopic" => list_subscriptions(write, Some(topic_of(form)?)),
        "GetSubscriptionAttributes" => get_subscription_attributes(write, form),
        "SetSubscriptionAttributes" => set_subscription_attributes(write, form),
        "Publish" => publish_one(write, form),
        "PublishBatch" => publish_batch(write, form),
        "TagResource" | "UntagResource" => Ok(String::new()),
        "ListTagsForResource" => Ok("<Tags/>".to_owned()),
        unknown => Err(ServiceError::client(
            "InvalidAction",
            format!("the embedded SNS has no operation {unknown}"),
        )),
    }
}

fn topic_of(form: &Form) -> Result<&str, ServiceError> {
    let arn = form.get("TopicArn").or(form.get("TargetArn"));
    let topic = arn.and_then(names::topic_of_arn);
    topic.ok_or_else(|| {
        ServiceError::client(
            "InvalidParameter",
            "Invalid parameter: TopicArn is not the ARN of a topic",
        )
    })
}

fn create_topic(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let name = form.required("Name")?;
    ensure_topic(write, name, &form.map("Attributes"))?;
    Ok(element("TopicArn", &names::topic_arn(name)))
}

fn delete_topic(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let topic = topic_of(form)?;
    for statement in [
        "DELETE FROM subscription WHERE topic = ?",
        "DELETE FROM topic WHERE name = ?",
    ] {
        write.transaction.execute(statement, [topic])?;
    }
    Ok(String::new())
}

fn list_topics(write: &Write<'_>) -> Result<String, ServiceError> {
    let mut statement = write
        .transaction
        .prepare("SELECT name FROM topic ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut members = String::new();
    for name in rows {
        let arn = element("TopicArn", &names::topic_arn(&name?));
        members.push_str(&format!("<member>{arn}</member>"));
    }
    Ok(format!("<Topics>{members}</Topics>"))
}

fn topic_attributes(
    write: &Write<'_>,
    topic: &str,
) -> Result<BTreeMap<String, String>, ServiceError> {
    check_topic(write, topic)?;
    let stored: String = write.transaction.query_row(
        "SELECT attributes FROM topic WHERE name = ?",
        [topic],
        |row| row.get(0),
    )?;
    Ok(serde_json::from_str(&stored)?)
}

fn get_topic_attributes(write: &Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let topic = topic_of(form)?;
    let mut attributes = topic_attributes(write, topic)?;
    let subscriptions: i64 = write.transaction.query_row(
        "SELECT count(*) FROM subscription WHERE topic = ?",
        [topic],
        |row| row.get(0),
    )?;
    attributes.insert("TopicArn".to_owned(), names::topic_arn(topic));
    attributes.insert("Owner".to_owned(), names::ACCOUNT.to_owned());
    attributes.insert(
        "SubscriptionsConfirmed".to_owned(),
        subscriptions.to_string(),
    );
    attributes.insert("SubscriptionsPending".to_owned(), "0".to_owned());
    attributes.insert("SubscriptionsDeleted".to_owned(), "0".to_owned());
    Ok(attribute_entries(&attributes))
}

fn set_topic_attributes(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let topic = topic_of(form)?;
    let mut attributes = topic_attributes(write, topic)?;
    let value = form.get("AttributeValue").unwrap_or_default();
    attributes.insert(form.required("AttributeName")?.to_owned(), value.to_owned());
    write.transaction.execute(
        "UPDATE topic SET attributes = ? WHERE name = ?",
        params![serde_json::to_string(&attributes)?, topic],
    )?;
    Ok(String::new())
}

fn subscribe_queue(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let protocol = form.required("Protocol")?;
    if protocol != "sqs" {
        return Err(ServiceError::client(
            "InvalidParameter",
            format!(
                "Invalid parameter: Protocol: the embedded SNS delivers to sqs only, not to {protocol}"
            ),
        ));
    }
    let endpoint = form.required("Endpoint")?;
    let arn = subscribe(write, topic_of(form)?, endpoint, &form.map("Attributes"))?;
    Ok(element("SubscriptionArn", &arn))
}

fn unsubscribe(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let arn = form.required("SubscriptionArn")?;
    write
        .transaction
        .execute("DELETE FROM subscription WHERE arn = ?", [arn])?;
    Ok(String::new())
}

fn list_subscriptions(write: &Write<'_>, topic: Option<&str>) -> Result<String, ServiceError> {
    if let Some(topic) = topic {
        check_topic(write, topic)?;
    }
    let mut statement = write.transaction.prepare(
        "SELECT arn, topic, endpoint FROM subscription WHERE ?1 IS NULL OR topic = ?1 ORDER BY arn",
    )?;
    let rows = statement.query_map(params![topic], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
        ))
    })?;
    let mut members = String::new();
    for row in rows {
        let (arn, topic, endpoint) = row?;
        members.push_str("<member>");
        for (name, value) in [
            ("SubscriptionArn", arn.as_str()),
            ("TopicArn", &names::topic_arn(&topic)),
            ("Protocol", "sqs"),
            ("Endpoint", &endpoint),
            ("Owner", names::ACCOUNT),
        ] {
            members.push_str(&element(name, value));
        }
        members.push_str("</member>");
    }
    Ok(format!("<Subscriptions>{members}</Subscriptions>"))
}

struct StoredSubscription {
    topic: String,
    endpoint: String,
    attributes: BTreeMap<String, String>,
}

fn subscription(write: &Write<'_>, arn: &str) -> Result<StoredSubscription, ServiceError> {
    let found: Option<(String, String, String)> = write
        .transaction
        .query_row(
            "SELECT topic, endpoint, attributes FROM subscription WHERE arn = ?",
            [arn],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let (topic, endpoint, attributes) = found.ok_or_else(|| {
        ServiceError::missing("NotFound", format!("Subscription does not exist: {arn}"))
    })?;
    Ok(StoredSubscription {
        topic,
        endpoint,
        attributes: serde_json::from_str(&attributes)?,
    })
}

fn get_subscription_attributes(write: &Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let arn = form.required("SubscriptionArn")?;
    let stored = subscription(write, arn)?;
    let mut shown = stored.attributes;
    for (name, value) in [
        ("SubscriptionArn", arn.to_owned()),
        ("TopicArn", names::topic_arn(&stored.topic)),
        ("Protocol", "sqs".to_owned()),
        ("Endpoint", stored.endpoint),
        ("Owner", names::ACCOUNT.to_owned()),
        ("PendingConfirmation", "false".to_owned()),
    ] {
        shown.insert(name.to_owned(), value);
    }
    shown
        .entry("RawMessageDelivery".to_owned())
        .or_insert_with(|| "false".to_owned());
    Ok(attribute_entries(&shown))
}

fn set_subscription_attributes(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let arn = form.required("SubscriptionArn")?;
    let mut attributes = subscription(write, arn)?.attributes;
    let value = form.get("AttributeValue").unwrap_or_default();
    attributes.insert(form.required("AttributeName")?.to_owned(), value.to_owned());
    SubscriptionSettings::parse(&attributes)?;
    write.transaction.execute(
        "UPDATE subscription SET attributes = ? WHERE arn = ?",
        params![serde_json::to_string(&attributes)?, arn],
    )?;
    Ok(String::new())
}

fn publish_one(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let id = publish(write, topic_of(form)?, &publication(form)?)?;
    Ok(element("MessageId", &id))
}

fn publish_batch(write: &mut Write<'_>, form: &Form) -> Result<String, ServiceError> {
    let topic = topic_of(form)?;
    check_topic(write, topic)?;
    let entries = form.list("PublishBatchRequestEntries.member");
    if entries.is_empty() {
        return Err(ServiceError::client(
            "EmptyBatchRequest",
            "The batch request doesn't contain any entries.",
        ));
    }
    if entries.len() > LARGEST_BATCH {
        return Err(ServiceError::client(
            "TooManyEntriesInBatchRequest",
            format!(
                "The batch request contains more entries than permissible: {}.",
                entries.len()
            ),
        ));
    }
    let (mut successful, mut failed) = (String::new(), String::new());
    for entry in &entries {
        let id = element("Id", entry.required("Id")?);
        let published =
            publication(entry).and_then(|publication| publish(write, topic, &publication));
        match published {
            Ok(message_id) => {
                let message_id = element("MessageId", &message_id);
                successful.push_str(&format!("<member>{id}{message_id}</member>"));
            }
            Err(error) if error.status < 500 => {
                let (code, message) = (
                    element("Code", error.code),
                    element("Message", &error.message),
                );
                failed.push_str(&format!(
                    "<member>{id}{code}{message}<SenderFault>true</SenderFault></member>"
                ));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(format!(
        "<Successful>{successful}</Successful><Failed>{failed}</Failed>"
    ))
}

fn publication(form: &Form) -> Result<Publication, ServiceError> {
    Ok(Publication {
        message: form.required("Message")?.to_owned(),
        subject: form.get("Subject").map(str::to_owned),
        attributes: attributes(form)?,
        group: form.get("MessageGroupId").map(str::to_owned),
        deduplication: form.get("MessageDeduplicationId").map(str::to_owned),
    })
}

/// The attributes of a message: a map whose keys are called `Name`.
fn attributes(form: &Form) -> Result<MessageAttributes, ServiceError> {
    let mut attributes = MessageAttributes::new();
    for entry in form.list("MessageAttributes.entry") {
        let attribute = MessageAttribute {
            data_type: entry.required("Value.DataType")?.to_owned(),
            string_value: entry.get("Value.StringValue").map(str::to_owned),
            binary_value: entry.get("Value.BinaryValue").map(str::to_owned),
        };
        attributes.insert(entry.required("Name")?.to_owned(), attribute);
    }
    Ok(attributes)
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

fn attribute_entries(attributes: &BTreeMap<String, String>) -> String {
    let entries: String = attributes
        .iter()
        .map(|(name, value)| {
            format!(
                "<entry>{}{}</entry>",
                element("key", name),
                element("value", value)
            )
        })
        .collect();
    format!("<Attributes>{entries}</Attributes>")
}
