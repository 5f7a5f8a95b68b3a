//! Topics.

use std::collections::BTreeMap;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use millrace_local::sqs::{Message, ReceiveOptions};
use millrace_local::{Services, names};
use serde_json::Value;

use crate::cloud;

fn attribute(data_type: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type(data_type)
        .string_value(value)
        .build()
        .unwrap()
}

async fn received(services: &Services, queue: &str) -> Vec<Message> {
    services
        .queues
        .receive(queue, ReceiveOptions::at_once(100))
        .await
        .unwrap()
}

async fn topic_and_queues(queues: &[&str]) -> (Services, Client, String) {
    let (services, config) = cloud();
    for queue in queues {
        services.queues.ensure(queue, &BTreeMap::new()).unwrap();
    }
    let client = Client::new(&config);
    let topic = client
        .create_topic()
        .name("news")
        .send()
        .await
        .unwrap()
        .topic_arn
        .unwrap();
    assert_eq!(topic, names::topic_arn("news"));
    (services, client, topic)
}

async fn subscribe(
    client: &Client,
    topic: &str,
    queue: &str,
    attributes: &[(&str, &str)],
) -> String {
    let mut request = client
        .subscribe()
        .topic_arn(topic)
        .protocol("sqs")
        .endpoint(names::queue_arn(queue));
    for (name, value) in attributes {
        request = request.attributes(*name, *value);
    }
    request.send().await.unwrap().subscription_arn.unwrap()
}

#[tokio::test]
async fn a_publication_reaches_queues_enveloped_or_raw() {
    let (services, client, topic) = topic_and_queues(&["enveloped", "raw"]).await;
    let subscription = subscribe(&client, &topic, "enveloped", &[]).await;
    subscribe(&client, &topic, "raw", &[("RawMessageDelivery", "true")]).await;
    let published = client
        .publish()
        .topic_arn(&topic)
        .subject("Hello & <you>")
        .message("{\"a\": \"1 & 2 + 3\"}")
        .message_attributes("kind", attribute("String", "greeting"))
        .send()
        .await
        .unwrap();

    let message = received(&services, "enveloped").await.remove(0);
    let envelope: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(envelope["Type"], "Notification");
    assert_eq!(envelope["MessageId"].as_str(), published.message_id());
    assert_eq!(envelope["TopicArn"], topic);
    assert_eq!(envelope["Subject"], "Hello & <you>");
    assert_eq!(envelope["Message"], "{\"a\": \"1 & 2 + 3\"}");
    assert_eq!(envelope["MessageAttributes"]["kind"]["Type"], "String");
    assert_eq!(envelope["MessageAttributes"]["kind"]["Value"], "greeting");
    assert!(
        envelope["UnsubscribeURL"]
            .as_str()
            .unwrap()
            .contains(&subscription)
    );

    let message = received(&services, "raw").await.remove(0);
    assert_eq!(message.body, "{\"a\": \"1 & 2 + 3\"}");
    assert_eq!(
        message.attributes["kind"].string_value.as_deref(),
        Some("greeting")
    );
}

#[tokio::test]
async fn filter_policies_choose_by_attributes_or_by_body() {
    let (services, client, topic) = topic_and_queues(&["big", "north", "all"]).await;
    let by_number = [("FilterPolicy", r#"{"amount":[{"numeric":[">=",100]}]}"#)];
    let subscription = subscribe(&client, &topic, "big", &by_number).await;
    let by_body = [
        ("FilterPolicy", r#"{"store":["north"]}"#),
        ("FilterPolicyScope", "MessageBody"),
    ];
    subscribe(&client, &topic, "north", &by_body).await;
    subscribe(&client, &topic, "all", &[]).await;
    for (amount, store) in [("99", "north"), ("100", "south")] {
        let body = format!(r#"{{"store":"{store}"}}"#);
        let request = client.publish().topic_arn(&topic).message(body);
        request
            .message_attributes("amount", attribute("Number", amount))
            .send()
            .await
            .unwrap();
    }
    for (queue, expected) in [("big", 1), ("north", 1), ("all", 2)] {
        assert_eq!(received(&services, queue).await.len(), expected, "{queue}");
    }

    let set = client
        .set_subscription_attributes()
        .subscription_arn(&subscription);
    let wrong = set
        .attribute_name("FilterPolicy")
        .attribute_value(r#"{"a":[{"like":"x"}]}"#);
    let error = wrong.send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    let set = client
        .set_subscription_attributes()
        .subscription_arn(&subscription);
    set.attribute_name("RawMessageDelivery")
        .attribute_value("true")
        .send()
        .await
        .unwrap();
    let shown = client
        .get_subscription_attributes()
        .subscription_arn(&subscription)
        .send()
        .await
        .unwrap();
    assert_eq!(shown.attributes().unwrap()["RawMessageDelivery"], "true");
}

#[tokio::test]
async fn batches_and_listings() {
    let (services, client, topic) = topic_and_queues(&["q"]).await;
    subscribe(&client, &topic, "q", &[]).await;
    let entry = |id: &str, message: &str| {
        PublishBatchRequestEntry::builder()
            .id(id)
            .message(message)
            .build()
            .unwrap()
    };
    let answer = client
        .publish_batch()
        .topic_arn(&topic)
        .publish_batch_request_entries(entry("1", "x"))
        .publish_batch_request_entries(entry("2", ""))
        .publish_batch_request_entries(entry("3", "z"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.successful().len(), 2);
    assert_eq!(answer.failed()[0].id(), "2");
    assert_eq!(received(&services, "q").await.len(), 2);

    let listed = client
        .list_subscriptions_by_topic()
        .topic_arn(&topic)
        .send()
        .await
        .unwrap();
    assert_eq!(
        listed.subscriptions()[0].endpoint(),
        Some(names::queue_arn("q").as_str())
    );
    let topics = client.list_topics().send().await.unwrap();
    assert_eq!(topics.topics()[0].topic_arn(), Some(topic.as_str()));
    let error = client
        .publish()
        .topic_arn(names::topic_arn("none"))
        .message("x")
        .send()
        .await;
    assert!(
        error
            .unwrap_err()
            .into_service_error()
            .is_not_found_exception()
    );
}
