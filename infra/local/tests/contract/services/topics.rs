//! Topics.

use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::{Value, json};

use super::{Cloud, Transcript, agree, code, story, without};

story!(a_publication_arrives_enveloped_or_raw);
story!(policies_choose_among_publications);

fn attribute(data_type: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type(data_type)
        .string_value(value)
        .build()
        .unwrap()
}

async fn topic(cloud: &Cloud) -> String {
    let made = cloud.sns.create_topic().name(cloud.name("news"));
    made.send().await.unwrap().topic_arn.unwrap()
}

async fn subscribe(cloud: &Cloud, topic: &str, queue: &str, attributes: &[(&str, &str)]) {
    let mut request = cloud.sns.subscribe().topic_arn(topic).protocol("sqs");
    request = request.endpoint(cloud.queue_arn(queue));
    for (name, value) in attributes {
        request = request.attributes(*name, *value);
    }
    request.send().await.unwrap();
}

async fn a_publication_arrives_enveloped_or_raw(cloud: &Cloud) -> Transcript {
    const VOLATILE: [&str; 6] = [
        "MessageId",
        "Timestamp",
        "Signature",
        "SignatureVersion",
        "SigningCertURL",
        "UnsubscribeURL",
    ];
    let mut seen = Transcript::default();
    let enveloped = cloud.queue("enveloped", &[]).await;
    let raw = cloud.queue("raw", &[]).await;
    let topic = topic(cloud).await;
    subscribe(cloud, &topic, "enveloped", &[]).await;
    subscribe(cloud, &topic, "raw", &[("RawMessageDelivery", "true")]).await;
    let publish = cloud.sns.publish().topic_arn(&topic);
    publish
        .subject("a subject")
        .message(r#"{"a":"1 & 2"}"#)
        .message_attributes("kind", attribute("String", "greeting"))
        .send()
        .await
        .unwrap();
    let envelopes = cloud.bodies(&enveloped, 1).await;
    seen.saw("enveloped", without(&json!(envelopes), &VOLATILE));
    let received = cloud.sqs.receive_message().queue_url(&raw);
    let received = received
        .wait_time_seconds(5)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    let message = &received.messages()[0];
    seen.saw("raw", message.body());
    let kind = &message.message_attributes().unwrap()["kind"];
    seen.saw("raw kind", json!([kind.data_type(), kind.string_value()]));
    let batch = cloud.sns.publish_batch().topic_arn(&topic);
    let entry = |id: &str| {
        let entry = PublishBatchRequestEntry::builder();
        entry.id(id).message(format!("m{id}")).build().unwrap()
    };
    let published = batch
        .publish_batch_request_entries(entry("1"))
        .publish_batch_request_entries(entry("2"))
        .send()
        .await
        .unwrap();
    seen.saw("published together", published.successful().len());
    let mut bodies: Vec<String> = cloud
        .bodies(&raw, 2)
        .await
        .iter()
        .map(Value::to_string)
        .collect();
    bodies.sort();
    seen.saw("arrived", json!(bodies));
    let nowhere = cloud.sns.publish().topic_arn(format!("{topic}-nowhere"));
    seen.saw("to nowhere", code(nowhere.message("x").send().await));
    seen
}

/// Every operator that policies have, on attributes and on bodies: who got what.
async fn policies_choose_among_publications(cloud: &Cloud) -> Transcript {
    const POLICIES: [(&str, &str, &str); 11] = [
        (
            "exact",
            "MessageAttributes",
            r#"{"store":["north","south"]}"#,
        ),
        (
            "prefix",
            "MessageAttributes",
            r#"{"store":[{"prefix":"no"}]}"#,
        ),
        (
            "suffix",
            "MessageAttributes",
            r#"{"store":[{"suffix":"th"}]}"#,
        ),
        (
            "not",
            "MessageAttributes",
            r#"{"store":[{"anything-but":["north"]}]}"#,
        ),
        (
            "exists",
            "MessageAttributes",
            r#"{"store":[{"exists":true}]}"#,
        ),
        (
            "missing",
            "MessageAttributes",
            r#"{"store":[{"exists":false}]}"#,
        ),
        (
            "number",
            "MessageAttributes",
            r#"{"amount":[{"numeric":[">=",100]}]}"#,
        ),
        (
            "range",
            "MessageAttributes",
            r#"{"amount":[{"numeric":[">",1,"<=",100]}]}"#,
        ),
        (
            "both",
            "MessageAttributes",
            r#"{"store":["north"],"amount":[{"numeric":["=",100]}]}"#,
        ),
        ("body", "MessageBody", r#"{"place":{"city":["Seoul"]}}"#),
        (
            "body-number",
            "MessageBody",
            r#"{"count":[{"numeric":["<",5]}]}"#,
        ),
    ];
    let mut seen = Transcript::default();
    let topic = topic(cloud).await;
    let mut queues = Vec::new();
    for (name, scope, policy) in POLICIES {
        queues.push((name, cloud.queue(name, &[]).await));
        let attributes = [
            ("RawMessageDelivery", "true"),
            ("FilterPolicy", policy),
            ("FilterPolicyScope", scope),
        ];
        subscribe(cloud, &topic, name, &attributes).await;
    }
    let publications = [
        (
            Some("north"),
            Some("100"),
            r#"{"id":1,"place":{"city":"Seoul"},"count":4}"#,
        ),
        (
            Some("north"),
            Some("99.5"),
            r#"{"id":2,"place":{"city":"Busan"},"count":5}"#,
        ),
        (Some("south"), Some("101"), r#"{"id":3,"place":"Seoul"}"#),
        (Some("east"), None, r#"{"id":4,"count":"4"}"#),
        (
            None,
            Some("1"),
            r#"{"id":5,"place":{"city":["Seoul","Jeju"]}}"#,
        ),
        (None, None, r#"{"id":6}"#),
    ];
    for (store, amount, body) in publications {
        let mut publish = cloud.sns.publish().topic_arn(&topic).message(body);
        if let Some(store) = store {
            publish = publish.message_attributes("store", attribute("String", store));
        }
        if let Some(amount) = amount {
            publish = publish.message_attributes("amount", attribute("Number", amount));
        }
        publish.send().await.unwrap();
    }
    for (name, url) in queues {
        // At least one reaches each of them.
        let bodies = cloud.bodies(&url, 1).await;
        let mut ids: Vec<i64> = bodies
            .iter()
            .filter_map(|body| body["id"].as_i64())
            .collect();
        ids.sort_unstable();
        seen.saw(name, json!(ids));
    }
    seen
}
