//! What a bucket tells: messages to queues, events on the bus.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use millrace_local::eventbridge::Target;
use millrace_local::s3::NotificationRule;
use millrace_local::sqs::ReceiveOptions;
use millrace_local::{Services, names};
use serde_json::{Value, json};

use crate::cloud;

const BUCKET: &str = "documents";

fn rule(id: &str, events: &[&str], prefix: &str, suffix: &str, queue: &str) -> NotificationRule {
    NotificationRule {
        id: id.to_owned(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        prefix: prefix.to_owned(),
        suffix: suffix.to_owned(),
        queue_arn: names::queue_arn(queue),
    }
}

async fn bucket_and_queues(queues: &[&str]) -> (Services, Client) {
    let (services, config) = cloud();
    for queue in queues {
        services.queues.ensure(queue, &BTreeMap::new()).unwrap();
    }
    services.s3.ensure_bucket(BUCKET).unwrap();
    (services, Client::new(&config))
}

async fn put(client: &Client, key: &str) {
    let body = ByteStream::from_static(b"hello");
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body)
        .send()
        .await
        .unwrap();
}

/// The bodies of all messages of a queue, in the order of sending.
async fn bodies(services: &Services, queue: &str) -> Vec<Value> {
    let messages = services
        .queues
        .receive(queue, ReceiveOptions::at_once(1_000))
        .await
        .unwrap();
    messages
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect()
}

#[tokio::test]
async fn queues_are_told_of_what_their_rules_name() {
    let (services, client) = bucket_and_queues(&["created", "removed"]).await;
    let rules = [
        rule("texts", &["s3:ObjectCreated:*"], "in/", ".txt", "created"),
        rule("gone", &["s3:ObjectRemoved:*"], "", "", "removed"),
    ];
    services
        .s3
        .set_notifications(BUCKET, &rules, false)
        .unwrap();
    put(&client, "in/a b+ü.txt").await;
    put(&client, "in/a.pdf").await;
    put(&client, "out/a.txt").await;
    client
        .copy_object()
        .bucket(BUCKET)
        .key("in/copy.txt")
        .copy_source(format!("{BUCKET}/out/a.txt"))
        .send()
        .await
        .unwrap();
    for key in ["in/a.pdf", "never"] {
        client
            .delete_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
    }

    let created = bodies(&services, "created").await;
    assert_eq!(created.len(), 2);
    let record = &created[0]["Records"][0];
    assert_eq!(record["eventVersion"], "2.1");
    assert_eq!(record["eventSource"], "aws:s3");
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["configurationId"], "texts");
    assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::documents");
    let object = &record["s3"]["object"];
    assert_eq!(object["key"], "in/a+b%2B%C3%BC.txt");
    assert_eq!(object["size"], 5);
    assert_eq!(object["eTag"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(created[1]["Records"][0]["eventName"], "ObjectCreated:Copy");
    let sequencer = |body: &Value| {
        body["Records"][0]["s3"]["object"]["sequencer"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(sequencer(&created[0]).len() >= 16);
    assert!(sequencer(&created[0]) < sequencer(&created[1]));

    let removed = bodies(&services, "removed").await;
    assert_eq!(removed.len(), 1, "a key that was not there is not removed");
    let record = &removed[0]["Records"][0];
    assert_eq!(record["eventName"], "ObjectRemoved:Delete");
    assert_eq!(record["s3"]["object"]["key"], "in/a.pdf");
    assert_eq!(record["s3"]["object"].get("size"), None);
    assert!(sequencer(&created[1]) < sequencer(&removed[0]));
}

#[tokio::test]
async fn a_write_that_fails_its_condition_tells_nobody() {
    let (services, client) = bucket_and_queues(&["q"]).await;
    let rules = [rule("all", &["s3:ObjectCreated:*"], "", "", "q")];
    services
        .s3
        .set_notifications(BUCKET, &rules, false)
        .unwrap();
    put(&client, "k").await;
    let refused = client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .if_none_match("*")
        .send()
        .await;
    assert!(refused.is_err());
    assert_eq!(bodies(&services, "q").await.len(), 1);
}

#[tokio::test]
async fn rules_that_s3_would_refuse_are_refused() {
    let (services, _client) = bucket_and_queues(&["q"]).await;
    let created = ["s3:ObjectCreated:*"];
    for (rules, expected) in [
        (
            vec![
                rule("one", &created, "in/", "", "q"),
                rule("two", &created, "in/a", ".txt", "q"),
            ],
            "overlap",
        ),
        (
            vec![rule("one", &["s3:ObjectCreate:*"], "", "", "q")],
            "unknown event",
        ),
        (
            vec![rule("one", &created, "", "", "nowhere")],
            "destination",
        ),
    ] {
        let error = services
            .s3
            .set_notifications(BUCKET, &rules, false)
            .unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
    let error = services
        .s3
        .set_notifications("none", &[], true)
        .unwrap_err();
    assert_eq!(error.code, "NoSuchBucket");
}

#[tokio::test]
async fn the_bus_takes_events_to_the_queues_of_matching_rules() {
    let (services, client) = bucket_and_queues(&["originals", "gone"]).await;
    services.s3.set_notifications(BUCKET, &[], true).unwrap();
    let pattern = |detail_type: &str| {
        json!({
            "source": ["aws.s3"],
            "detail-type": [detail_type],
            "detail": {
                "bucket": {"name": [BUCKET]},
                "object": {"key": [{"wildcard": "documents/*/*/original*"}]},
            },
        })
    };
    let to = |queue: &str| [Target::queue(names::queue_arn(queue))];
    services
        .bus
        .put_rule("created", &pattern("Object Created"), &to("originals"))
        .unwrap();
    services
        .bus
        .put_rule("removed", &pattern("Object Deleted"), &to("gone"))
        .unwrap();
    put(&client, "documents/u 1/d/original.pdf").await;
    put(&client, "documents/u 1/d/extracted-text.txt").await;
    client
        .delete_object()
        .bucket(BUCKET)
        .key("documents/u 1/d/original.pdf")
        .send()
        .await
        .unwrap();

    let created = bodies(&services, "originals").await;
    assert_eq!(created.len(), 1);
    let event = &created[0];
    assert_eq!(event["source"], "aws.s3");
    assert_eq!(event["detail-type"], "Object Created");
    assert_eq!(event["resources"], json!(["arn:aws:s3:::documents"]));
    assert_eq!(event["detail"]["reason"], "PutObject");
    assert_eq!(
        event["detail"]["object"]["key"],
        "documents/u 1/d/original.pdf"
    );
    assert_eq!(event["detail"]["object"]["size"], 5);
    let gone = bodies(&services, "gone").await;
    assert_eq!(gone[0]["detail"]["deletion-type"], "Permanently Deleted");
    assert!(
        gone[0]["detail"]["object"]["sequencer"].as_str()
            > event["detail"]["object"]["sequencer"].as_str()
    );
}

#[tokio::test]
async fn what_a_rule_cannot_deliver_goes_to_its_dead_letters() {
    let (services, _client) = bucket_and_queues(&["dead"]).await;
    let target = Target {
        arn: names::queue_arn("nowhere"),
        dead_letter_queue_arn: Some(names::queue_arn("dead")),
        message_group: None,
    };
    services
        .bus
        .put_rule("lost", &json!({"source": ["test"]}), &[target])
        .unwrap();
    services
        .bus
        .publish(json!({"id": "1", "source": "test"}))
        .await
        .unwrap();
    services
        .bus
        .publish(json!({"id": "2", "source": "other"}))
        .await
        .unwrap();
    let messages = services
        .queues
        .receive("dead", ReceiveOptions::at_once(10))
        .await
        .unwrap();
    assert_eq!(messages.len(), 1);
    let code = &messages[0].attributes["ERROR_CODE"];
    assert_eq!(code.string_value.as_deref(), Some("QueueDoesNotExist"));
}

#[tokio::test]
async fn patterns_with_unknown_operators_are_refused() {
    let (services, _client) = bucket_and_queues(&[]).await;
    let pattern = json!({"detail": {"object": {"key": [{"like": "x"}]}}});
    let error = services.bus.put_rule("r", &pattern, &[]).unwrap_err();
    assert!(
        error
            .message
            .contains("unknown operator like at $.detail.object.key"),
        "{error}"
    );
}
