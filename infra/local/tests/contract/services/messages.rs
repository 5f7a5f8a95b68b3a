//! Queues.

use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use serde_json::{Value, json};

use super::{Cloud, Transcript, agree, code, story};

story!(messages_are_hidden_shown_again_and_deleted);
story!(messages_that_fail_too_often_move_to_the_dead_letters);
story!(entries_of_batches_end_each_for_itself);
story!(groups_keep_their_order);
story!(queues_refuse_what_cannot_be);

fn attribute(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .unwrap()
}

async fn send(cloud: &Cloud, url: &str, body: &str) {
    let send = cloud.sqs.send_message().queue_url(url).message_body(body);
    send.message_attributes("kind", attribute("plain"))
        .send()
        .await
        .unwrap();
}

/// What comes within a second.
async fn receive(cloud: &Cloud, url: &str) -> Vec<Message> {
    let request = cloud.sqs.receive_message().queue_url(url);
    let request = request
        .max_number_of_messages(10)
        .wait_time_seconds(1)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All);
    let received = request.send().await.unwrap();
    received.messages.unwrap_or_default()
}

/// What of a message is the same every time.
fn told(message: &Message) -> Value {
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    let system = message.attributes().unwrap();
    let mut names: Vec<_> = system.keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    let attributes = message.message_attributes().into_iter().flatten();
    let attributes: Value = attributes
        .map(|(name, value)| {
            let value = json!([value.data_type(), value.string_value()]);
            (name.clone(), value)
        })
        .collect();
    json!({
        "body": message.body(),
        "md5": message.md5_of_body(),
        "received": system.get(&count),
        "system": names,
        "attributes": attributes,
    })
}

async fn counts(cloud: &Cloud, url: &str) -> Value {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let request = cloud.sqs.get_queue_attributes().queue_url(url);
    let answer = request
        .set_attribute_names(Some(names.to_vec()))
        .send()
        .await
        .unwrap();
    let attributes = answer.attributes.unwrap();
    json!(names.map(|name| attributes.get(&name).cloned()))
}

async fn show_after(cloud: &Cloud, url: &str, message: &Message, seconds: i32) -> Value {
    let change = cloud
        .sqs
        .change_message_visibility()
        .queue_url(url)
        .receipt_handle(message.receipt_handle().unwrap());
    code(change.visibility_timeout(seconds).send().await)
}

async fn delete(cloud: &Cloud, url: &str, handle: &str) -> Value {
    let delete = cloud.sqs.delete_message().queue_url(url);
    code(delete.receipt_handle(handle).send().await)
}

async fn messages_are_hidden_shown_again_and_deleted(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let url = cloud.queue("plain", &[("VisibilityTimeout", "30")]).await;
    send(cloud, &url, "one ü").await;
    seen.saw("sent", counts(cloud, &url).await);
    let first = receive(cloud, &url).await;
    seen.saw("received", first.iter().map(told).collect::<Vec<_>>());
    seen.saw("hidden", counts(cloud, &url).await);
    seen.saw("again", receive(cloud, &url).await.len());
    seen.saw("shown", show_after(cloud, &url, &first[0], 0).await);
    let second = receive(cloud, &url).await;
    seen.saw("second time", second.iter().map(told).collect::<Vec<_>>());
    let handle = second[0].receipt_handle().unwrap();
    seen.saw("deleted", delete(cloud, &url, handle).await);
    seen.saw("deleted again", delete(cloud, &url, handle).await);
    seen.saw("in the end", counts(cloud, &url).await);
    let delayed = cloud.sqs.send_message().queue_url(&url).message_body("two");
    delayed.delay_seconds(2).send().await.unwrap();
    seen.saw("delayed", receive(cloud, &url).await.len());
    let mut after = receive(cloud, &url).await;
    after.extend(receive(cloud, &url).await);
    seen.saw("after the delay", after.len());
    seen
}

async fn messages_that_fail_too_often_move_to_the_dead_letters(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let dead = cloud.queue("dead", &[]).await;
    let policy = json!({ "deadLetterTargetArn": cloud.queue_arn("dead"), "maxReceiveCount": 2 });
    let attributes = [
        ("RedrivePolicy", policy.to_string()),
        ("VisibilityTimeout", "1".to_owned()),
    ];
    let attributes = attributes
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let url = cloud.queue("work", &attributes).await;
    send(cloud, &url, "poison").await;
    for attempt in ["first", "second", "third"] {
        let received = receive(cloud, &url).await;
        seen.saw(attempt, received.iter().map(told).collect::<Vec<_>>());
        if !received.is_empty() {
            tokio::time::sleep(Duration::from_millis(1_050)).await;
        }
    }
    let letters = receive(cloud, &dead).await;
    let bodies: Vec<_> = letters.iter().map(|it| json!(it.body())).collect();
    seen.saw("dead letters", bodies);
    seen
}

async fn entries_of_batches_end_each_for_itself(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let url = cloud.queue("batches", &[]).await;
    let entry = |id: &str, body: &str| {
        let entry = SendMessageBatchRequestEntry::builder();
        entry.id(id).message_body(body).build().unwrap()
    };
    let send = |entries: Vec<SendMessageBatchRequestEntry>| {
        let request = cloud.sqs.send_message_batch().queue_url(&url);
        request.set_entries(Some(entries)).send()
    };
    seen.saw("nothing", code(send(vec![]).await));
    seen.saw(
        "one id twice",
        code(send(vec![entry("a", "x"), entry("a", "y")]).await),
    );
    let many = (0..11).map(|number| entry(&number.to_string(), "x"));
    seen.saw("eleven", code(send(many.collect()).await));
    let sent = send(vec![entry("a", "x"), entry("b", "y"), entry("c", "z")])
        .await
        .unwrap();
    let ids: Vec<_> = sent.successful().iter().map(|it| it.id()).collect();
    seen.saw("sent", json!(ids));
    let mut received = Vec::new();
    while received.len() < 3 {
        received.extend(receive(cloud, &url).await);
    }
    let show = |id: &str, handle: &str| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder();
        entry
            .id(id)
            .receipt_handle(handle)
            .visibility_timeout(0)
            .build()
    };
    let handle = received[0].receipt_handle().unwrap();
    let shown = cloud
        .sqs
        .change_message_visibility_batch()
        .queue_url(&url)
        .entries(show("good", handle).unwrap())
        .send()
        .await
        .unwrap();
    seen.saw("shown", shown.successful().len());
    let delete = |id: &str, message: &Message| {
        let entry = DeleteMessageBatchRequestEntry::builder();
        entry
            .id(id)
            .receipt_handle(message.receipt_handle().unwrap())
            .build()
            .unwrap()
    };
    let deleted = cloud
        .sqs
        .delete_message_batch()
        .queue_url(&url)
        .entries(delete("1", &received[1]))
        .entries(delete("2", &received[2]))
        .send()
        .await
        .unwrap();
    seen.saw("deleted", deleted.successful().len());
    seen.saw("left", counts(cloud, &url).await);
    seen
}

async fn groups_keep_their_order(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let attributes = [("FifoQueue", "true"), ("VisibilityTimeout", "30")];
    // A FIFO queue's name ends in `.fifo`: the run's suffix goes before.
    let mut request = cloud.sqs.create_queue();
    request = request.queue_name(format!("{}.fifo", cloud.name("ordered")));
    for (name, value) in attributes {
        request = request.attributes(name.into(), value);
    }
    let url = request.send().await.unwrap().queue_url.unwrap();
    let send = |group: &str, id: &str, body: &str| {
        let request = cloud.sqs.send_message().queue_url(&url).message_body(body);
        let request = request.message_group_id(group);
        request.message_deduplication_id(id).send()
    };
    for (group, id, body) in [
        ("a", "1", "a1"),
        ("a", "2", "a2"),
        ("b", "3", "b1"),
        ("a", "2", "again"),
    ] {
        send(group, id, body).await.unwrap();
    }
    seen.saw("sent", counts(cloud, &url).await);
    let one = cloud.sqs.receive_message().queue_url(&url);
    let one = one.max_number_of_messages(1).send().await.unwrap();
    let first = one.messages()[0].clone();
    seen.saw("first", first.body().unwrap());
    let bodies = |messages: Vec<Message>| {
        let bodies: Vec<_> = messages.iter().map(|it| json!(it.body())).collect();
        Value::Array(bodies)
    };
    seen.saw("while it is held", bodies(receive(cloud, &url).await));
    delete(cloud, &url, first.receipt_handle().unwrap()).await;
    seen.saw("after it", bodies(receive(cloud, &url).await));
    let ungrouped = cloud.sqs.send_message().queue_url(&url).message_body("x");
    seen.saw("without a group", code(ungrouped.send().await));
    seen
}

async fn queues_refuse_what_cannot_be(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let url = cloud.queue("strict", &[("VisibilityTimeout", "30")]).await;
    let nowhere = url.replace("strict", "nowhere");
    let sqs = &cloud.sqs;
    let none = sqs.get_queue_url().queue_name(cloud.name("nowhere"));
    seen.saw("no queue of a name", code(none.send().await));
    let none = sqs.receive_message().queue_url(&nowhere);
    seen.saw("receive from nowhere", code(none.send().await));
    let none = sqs.send_message().queue_url(&nowhere).message_body("x");
    seen.saw("send to nowhere", code(none.send().await));
    seen.saw("a handle", delete(cloud, &url, "no handle").await);
    let empty = sqs.send_message().queue_url(&url).message_body("");
    seen.saw("an empty body", code(empty.send().await));
    let long = "x".repeat(1_048_577);
    let long = sqs.send_message().queue_url(&url).message_body(long);
    seen.saw("more than a mebibyte", code(long.send().await));
    let late = sqs.send_message().queue_url(&url).message_body("x");
    seen.saw(
        "a delay of an hour",
        code(late.delay_seconds(3_600).send().await),
    );
    let many = sqs.receive_message().queue_url(&url);
    seen.saw(
        "eleven at once",
        code(many.max_number_of_messages(11).send().await),
    );
    let other = sqs.create_queue().queue_name(cloud.name("strict"));
    let other = other.attributes(QueueAttributeName::VisibilityTimeout, "31");
    seen.saw("another of its name", code(other.send().await));
    let same = sqs.create_queue().queue_name(cloud.name("strict"));
    let same = same.attributes(QueueAttributeName::VisibilityTimeout, "30");
    seen.saw("the same of its name", code(same.send().await));
    send(cloud, &url, "x").await;
    let message = receive(cloud, &url).await.remove(0);
    seen.saw(
        "hidden for a day",
        show_after(cloud, &url, &message, 86_400).await,
    );
    delete(cloud, &url, message.receipt_handle().unwrap()).await;
    seen.saw("gone", show_after(cloud, &url, &message, 0).await);
    seen.saw(
        "deleted",
        code(sqs.delete_queue().queue_url(&url).send().await),
    );
    seen.saw(
        "deleted again",
        code(sqs.delete_queue().queue_url(&url).send().await),
    );
    seen
}
