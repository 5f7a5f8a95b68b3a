//! What is published to the topics, as a subscriber hears it.
//!
//! A subscriber may be told of something twice and drops what has a `notificationId` that it knows. So the end state is what was
//! published under each id; and that under one id only one thing was ever published, to the byte.

use std::collections::{BTreeMap, BTreeSet};

use millrace_local::{Services, names::queue_arn, sqs::ReceiveOptions};
use serde_json::{Value, json};

use crate::{World, world::TEMPLATE};

/// The queue of a subscriber that wants everything.
const HEARD: &str = "heard-by-the-tests";
/// Messages that are received at once.
const AT_ONCE: usize = 100;

/// Everything that was published: by topic and `notificationId`, the different forms of it: attributes and body. What has no id is
/// known by itself.
pub(crate) type Heard = BTreeMap<String, BTreeSet<String>>;

/// Subscribes to every topic of the template.
pub(crate) fn subscribe(services: &Services) {
    services.queues.ensure(HEARD, &BTreeMap::new()).unwrap();
    for topic in &TEMPLATE.topics {
        let raw = BTreeMap::from([("RawMessageDelivery".to_owned(), "true".to_owned())]);
        let subscribed = services
            .topics
            .subscribe_queue(&topic.name, &queue_arn(HEARD), &raw);
        subscribed.unwrap();
    }
}

/// All that was published in this world so far.
pub(crate) async fn heard(world: &World) -> Heard {
    let queues = &world.services().queues;
    loop {
        let received = queues
            .receive(HEARD, ReceiveOptions::at_once(AT_ONCE))
            .await;
        let messages = received.unwrap();
        if messages.is_empty() {
            return world.heard.lock().unwrap().clone();
        }
        let receipts = messages.iter().map(|m| m.receipt_handle.clone()).collect();
        queues.delete(HEARD, receipts).await.unwrap();
        let mut heard = world.heard.lock().unwrap();
        for message in messages {
            let record = message.to_event_record(HEARD);
            let form = form_of(&record);
            let id = id_of(&record).unwrap_or_else(|| form.clone());
            heard.entry(id).or_default().insert(form);
        }
    }
}

/// The id that subscribers go by: an attribute, or a field of the message.
fn id_of(record: &Value) -> Option<String> {
    let attribute = &record["messageAttributes"]["notificationId"]["stringValue"];
    let body: Value = serde_json::from_str(record["body"].as_str()?).unwrap_or_default();
    let field = &body["notificationId"];
    assert!(
        attribute.is_null() || field.is_null() || attribute == field,
        "a notification has two ids: {record}"
    );
    let id = attribute.as_str().or(field.as_str())?;
    Some(id.to_owned())
}

/// The message as it is, in a form that compares.
fn form_of(record: &Value) -> String {
    let attributes = record["messageAttributes"]
        .as_object()
        .into_iter()
        .flatten();
    let attributes: BTreeMap<&String, Value> = attributes
        .map(|(name, value)| (name, json!([value["dataType"], value["stringValue"]])))
        .collect();
    let attributes = serde_json::to_string(&attributes).unwrap();
    format!("{attributes} {}", record["body"].as_str().unwrap())
}
