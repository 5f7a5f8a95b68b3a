//! Queues.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use millrace_local::clock::Clock;
use millrace_local::names;
use millrace_local::sqs::{OutgoingMessage, ReceiveOptions};
use proptest::prelude::*;

use crate::{cloud, cloud_on_manual_clock};

async fn create(client: &Client, name: &str, attributes: &[(&str, &str)]) -> String {
    let mut request = client.create_queue().queue_name(name);
    for (name, value) in attributes {
        request = request.attributes(QueueAttributeName::from(*name), *value);
    }
    request.send().await.unwrap().queue_url.unwrap()
}

fn redrive_to(queue: &str, maximum: u32) -> String {
    let arn = names::queue_arn(queue);
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{maximum}}}"#)
}

async fn receive(client: &Client, url: &str) -> Vec<aws_sdk_sqs::types::Message> {
    let answer = client
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    answer.messages.unwrap_or_default()
}

#[tokio::test]
async fn a_message_is_received_with_its_attributes_and_deleted() {
    let (_services, config) = cloud();
    let client = Client::new(&config);
    let url = create(&client, "orders", &[]).await;
    let kind = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("order")
        .build()
        .unwrap();
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("one")
        .message_attributes("kind", kind)
        .send()
        .await
        .unwrap();
    assert_eq!(
        sent.md5_of_message_body(),
        Some("f97c5d29941bfb1b2fdab0874906ab82")
    );

    let messages = receive(&client, &url).await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(message.body(), Some("one"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(
        message.md5_of_message_attributes(),
        sent.md5_of_message_attributes()
    );
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["kind"].string_value(), Some("order"));
    let system = message.attributes().unwrap();
    assert_eq!(
        system[&MessageSystemAttributeName::ApproximateReceiveCount],
        "1"
    );

    // In flight: invisible, and counted as such.
    assert!(receive(&client, &url).await.is_empty());
    let shown = client
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .unwrap();
    let shown = shown.attributes.unwrap();
    assert_eq!(
        shown[&QueueAttributeName::ApproximateNumberOfMessagesNotVisible],
        "1"
    );
    assert_eq!(
        shown[&QueueAttributeName::QueueArn],
        names::queue_arn("orders")
    );
    assert_eq!(shown[&QueueAttributeName::VisibilityTimeout], "30");

    let handle = message.receipt_handle().unwrap();
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(handle)
        .send()
        .await
        .unwrap();
    let counts = _services.queues.counts("orders").await.unwrap();
    assert_eq!(counts.total(), 0);
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_a_typed_error() {
    let (_services, config) = cloud();
    let client = Client::new(&config);
    let error = client
        .get_queue_url()
        .queue_name("none")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
    let url = names::queue_url("none");
    let error = client
        .send_message()
        .queue_url(url)
        .message_body("x")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn wrong_handles_and_timeouts_are_typed_errors() {
    let (_services, config) = cloud();
    let client = Client::new(&config);
    let url = create(&client, "q", &[]).await;
    let error = client
        .delete_message()
        .queue_url(&url)
        .receipt_handle("x")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_receipt_handle_is_invalid());

    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    let handle = receive(&client, &url).await[0]
        .receipt_handle
        .clone()
        .unwrap();
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(&handle)
        .send()
        .await
        .unwrap();
    let change = client
        .change_message_visibility()
        .queue_url(&url)
        .receipt_handle(&handle);
    let error = change.visibility_timeout(0).send().await.unwrap_err();
    assert!(error.into_service_error().is_message_not_inflight());
}

#[tokio::test]
async fn a_message_comes_back_after_its_timeout_and_then_moves_to_the_dead_letters() {
    let (_services, config, clock) = cloud_on_manual_clock();
    let client = Client::new(&config);
    let dead_url = create(&client, "dead", &[]).await;
    let policy = redrive_to("dead", 2);
    let attributes = [
        ("VisibilityTimeout", "60"),
        ("RedrivePolicy", policy.as_str()),
    ];
    let url = create(&client, "work", &attributes).await;
    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    let first = receive(&client, &url).await.remove(0);
    let sent = first.attributes.unwrap()[&MessageSystemAttributeName::SentTimestamp].clone();
    for seconds in [59, 1] {
        assert!(receive(&client, &url).await.is_empty());
        clock.advance(Duration::from_secs(seconds));
    }
    let second = receive(&client, &url).await.remove(0);
    let count =
        &second.attributes.as_ref().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount];
    assert_eq!(count, "2");
    clock.advance(Duration::from_secs(60));
    assert!(receive(&client, &url).await.is_empty());

    let dead = receive(&client, &dead_url).await.remove(0);
    assert_eq!(dead.message_id, first.message_id);
    let system = dead.attributes.unwrap();
    assert_eq!(system[&MessageSystemAttributeName::SentTimestamp], sent);
    let origin = &system[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(*origin, names::queue_arn("work"));
}

#[tokio::test]
async fn dead_letters_go_back_to_where_they_came_from() {
    let (_services, config, clock) = cloud_on_manual_clock();
    let client = Client::new(&config);
    let dead_url = create(&client, "dead", &[]).await;
    let policy = redrive_to("dead", 1);
    let url = create(&client, "work", &[("RedrivePolicy", policy.as_str())]).await;
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    receive(&client, &url).await;
    clock.advance(Duration::from_secs(31));
    assert!(receive(&client, &url).await.is_empty());

    let source = names::queue_arn("dead");
    client
        .start_message_move_task()
        .source_arn(&source)
        .send()
        .await
        .unwrap();
    assert!(receive(&client, &dead_url).await.is_empty());
    let again = receive(&client, &url).await.remove(0);
    assert_eq!(again.body(), Some("x"));
    assert_ne!(
        again.message_id, sent.message_id,
        "a redrive makes a new message"
    );
    let tasks = client
        .list_message_move_tasks()
        .source_arn(&source)
        .send()
        .await
        .unwrap();
    let task = &tasks.results()[0];
    assert_eq!(task.status(), Some("COMPLETED"));
    assert_eq!(task.approximate_number_of_messages_moved(), 1);

    let sources = client
        .list_dead_letter_source_queues()
        .queue_url(&dead_url)
        .send()
        .await
        .unwrap();
    assert_eq!(sources.queue_urls(), [url]);
}

#[tokio::test]
async fn long_polling_wakes_for_a_message_that_is_sent() {
    let (_services, config) = cloud();
    let client = Client::new(&config);
    let url = create(&client, "q", &[]).await;
    let started = Instant::now();
    let waiting = tokio::spawn({
        let request = client
            .receive_message()
            .queue_url(&url)
            .wait_time_seconds(20);
        async move { request.send().await.unwrap().messages.unwrap_or_default() }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn long_polling_wakes_when_a_delay_has_passed() {
    let (_services, config, clock) = cloud_on_manual_clock();
    let client = Client::new(&config);
    let url = create(&client, "q", &[]).await;
    let send = client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .delay_seconds(600);
    send.send().await.unwrap();
    let waiting = tokio::spawn({
        let request = client
            .receive_message()
            .queue_url(&url)
            .wait_time_seconds(20);
        async move { request.send().await.unwrap().messages.unwrap_or_default() }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    clock.advance(Duration::from_secs(600));
    assert_eq!(waiting.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wait_without_messages_ends_empty() {
    let (services, _config) = cloud();
    services.queues.ensure("q", &BTreeMap::new()).unwrap();
    let started = Instant::now();
    let options = ReceiveOptions {
        wait: Some(Duration::from_millis(100)),
        ..ReceiveOptions::at_once(1)
    };
    assert!(
        services
            .queues
            .receive("q", options)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn entries_of_a_batch_fail_alone() {
    let (_services, config) = cloud();
    let client = Client::new(&config);
    let url = create(&client, "q", &[("MaximumMessageSize", "1024")]).await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(body)
            .build()
            .unwrap()
    };
    let answer = client
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("good", "x"))
        .entries(entry("large", &"x".repeat(1025)))
        .entries(entry("strange", "\u{1}"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.successful().len(), 1);
    let codes: Vec<_> = answer.failed().iter().map(|failed| failed.code()).collect();
    assert_eq!(codes, ["InvalidParameterValue", "InvalidMessageContents"]);

    let handle = receive(&client, &url).await[0]
        .receipt_handle
        .clone()
        .unwrap();
    let entry = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder()
            .id(id)
            .receipt_handle(handle)
            .build()
            .unwrap()
    };
    let answer = client
        .delete_message_batch()
        .queue_url(&url)
        .entries(entry("1", &handle))
        .entries(entry("2", "nonsense"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.successful()[0].id(), "1");
    assert_eq!(answer.failed()[0].code(), "ReceiptHandleIsInvalid");

    let error = client
        .send_message_batch()
        .queue_url(&url)
        .set_entries(Some(vec![]))
        .send()
        .await;
    assert!(
        error
            .unwrap_err()
            .into_service_error()
            .is_empty_batch_request()
    );
}

#[tokio::test]
async fn queues_are_described_changed_emptied_and_deleted() {
    let (services, config) = cloud();
    let client = Client::new(&config);
    let url = create(&client, "q-one", &[("DelaySeconds", "0")]).await;
    create(&client, "q-two", &[]).await;
    create(&client, "other", &[]).await;
    let listed = client
        .list_queues()
        .queue_name_prefix("q-")
        .send()
        .await
        .unwrap();
    assert_eq!(
        listed.queue_urls(),
        ["q-one", "q-two"].map(names::queue_url)
    );
    let page = client.list_queues().max_results(2).send().await.unwrap();
    let rest = client
        .list_queues()
        .max_results(2)
        .next_token(page.next_token.unwrap());
    assert_eq!(
        rest.send().await.unwrap().queue_urls(),
        [names::queue_url("q-two")]
    );

    // The same again is no error, another value is.
    assert_eq!(
        create(&client, "q-one", &[("DelaySeconds", "0")]).await,
        url
    );
    let different = client.create_queue().queue_name("q-one");
    let different = different
        .attributes(QueueAttributeName::DelaySeconds, "5")
        .send()
        .await;
    assert!(
        different
            .unwrap_err()
            .into_service_error()
            .is_queue_name_exists()
    );

    let set = client.set_queue_attributes().queue_url(&url);
    set.attributes(QueueAttributeName::DelaySeconds, "7")
        .send()
        .await
        .unwrap();
    assert_eq!(
        services.queues.attributes("q-one").unwrap()["DelaySeconds"],
        "7"
    );
    let set = client.set_queue_attributes().queue_url(&url);
    let wrong = set
        .attributes(QueueAttributeName::DelaySeconds, "soon")
        .send()
        .await;
    assert!(
        wrong
            .unwrap_err()
            .into_service_error()
            .is_invalid_attribute_value()
    );

    client
        .tag_queue()
        .queue_url(&url)
        .tags("team", "a")
        .tags("stage", "b")
        .send()
        .await
        .unwrap();
    client
        .untag_queue()
        .queue_url(&url)
        .tag_keys("stage")
        .send()
        .await
        .unwrap();
    let tags = client
        .list_queue_tags()
        .queue_url(&url)
        .send()
        .await
        .unwrap()
        .tags
        .unwrap();
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        [("team".to_owned(), "a".to_owned())]
    );

    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(services.queues.counts("q-one").await.unwrap().delayed, 1);
    client.purge_queue().queue_url(&url).send().await.unwrap();
    assert_eq!(services.queues.counts("q-one").await.unwrap().total(), 0);
    client.delete_queue().queue_url(&url).send().await.unwrap();
    let gone = client.get_queue_url().queue_name("q-one").send().await;
    assert!(
        gone.unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
}

#[tokio::test]
async fn visibility_is_changed_in_batches() {
    let (services, config, clock) = cloud_on_manual_clock();
    let client = Client::new(&config);
    let url = create(&client, "q", &[]).await;
    for body in ["1", "2"] {
        client
            .send_message()
            .queue_url(&url)
            .message_body(body)
            .send()
            .await
            .unwrap();
    }
    let mut change = client.change_message_visibility_batch().queue_url(&url);
    for (message, (id, seconds)) in receive(&client, &url)
        .await
        .iter()
        .zip([("1", 0), ("2", 90)])
    {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(id)
            .receipt_handle(message.receipt_handle().unwrap())
            .visibility_timeout(seconds)
            .build()
            .unwrap();
        change = change.entries(entry);
    }
    assert_eq!(change.send().await.unwrap().successful().len(), 2);
    assert_eq!(services.queues.counts("q").await.unwrap().visible, 1);
    let due = services.queues.earliest_due("q").await.unwrap();
    assert_eq!(due, Some(clock.now_millis() + 90_000));
    clock.advance(Duration::from_secs(90));
    assert_eq!(services.queues.counts("q").await.unwrap().visible, 2);
}

#[tokio::test]
async fn fifo_duplicates_are_one_message_for_five_minutes() {
    let (services, config, clock) = cloud_on_manual_clock();
    let client = Client::new(&config);
    let attributes = [("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
    let url = create(&client, "q.fifo", &attributes).await;
    let send = || {
        client
            .send_message()
            .queue_url(&url)
            .message_body("x")
            .message_group_id("g")
            .send()
    };
    let first = send().await.unwrap();
    let second = send().await.unwrap();
    assert_eq!(first.message_id, second.message_id);
    assert_eq!(first.sequence_number, second.sequence_number);
    clock.advance(Duration::from_secs(300));
    let third = send().await.unwrap();
    assert_ne!(first.message_id, third.message_id);
    assert!(third.sequence_number > first.sequence_number);
    assert_eq!(services.queues.counts("q.fifo").await.unwrap().visible, 2);
}

#[tokio::test]
async fn thousands_of_messages_are_received_and_deleted_at_once() {
    let (services, _config) = cloud();
    services.queues.ensure("q", &BTreeMap::new()).unwrap();
    for number in 0..2_000 {
        let message = OutgoingMessage::new(format!("{number}"));
        services.queues.send("q", message).await.unwrap();
    }
    let messages = services
        .queues
        .receive("q", ReceiveOptions::at_once(10_000))
        .await
        .unwrap();
    assert_eq!(messages.len(), 2_000);
    let event = messages[7].to_event_record("q");
    assert_eq!(event["body"], "7");
    assert_eq!(event["eventSourceARN"], names::queue_arn("q"));
    let handles = messages
        .into_iter()
        .map(|message| message.receipt_handle)
        .collect();
    assert_eq!(services.queues.delete("q", handles).await.unwrap(), 2_000);
    assert_eq!(services.queues.counts("q").await.unwrap().total(), 0);
}

#[tokio::test]
async fn messages_past_their_retention_go() {
    let (services, config, clock) = cloud_on_manual_clock();
    let client = Client::new(&config);
    let url = create(&client, "q", &[("MessageRetentionPeriod", "60")]).await;
    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    clock.advance(Duration::from_secs(61));
    assert!(receive(&client, &url).await.is_empty());
    assert_eq!(services.queues.delete_expired().await.unwrap(), 1);
}

/// What a consumer may do next with a FIFO queue.
#[derive(Debug, Clone)]
enum Step {
    Send(u8),
    Receive(usize),
    Delete(usize),
    GiveBack(usize),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3).prop_map(Step::Send),
        3 => (1_usize..5).prop_map(Step::Receive),
        3 => (0_usize..8).prop_map(Step::Delete),
        1 => (0_usize..8).prop_map(Step::GiveBack),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a consumer does, the messages of a group are deleted in the
    /// order in which they were sent, if it deletes what it holds in order; and
    /// a group with a message in flight gives out none.
    #[test]
    fn fifo_groups_keep_their_order(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (services, _config, clock) = cloud_on_manual_clock();
            let queues = services.queues.clone();
            queues.ensure("q.fifo", &BTreeMap::new()).unwrap();
            // Messages in hand, by group, in the order of receiving.
            let mut held: Vec<(u8, u32, String)> = Vec::new();
            let mut last_done: BTreeMap<u8, u32> = BTreeMap::new();
            let mut number = 0;
            for step in steps {
                match step {
                    Step::Send(group) => {
                        number += 1;
                        let mut message = OutgoingMessage::new(format!("{group}:{number}"));
                        message.group = Some(group.to_string());
                        message.deduplication = Some(number.to_string());
                        queues.send("q.fifo", message).await.unwrap();
                    }
                    Step::Receive(maximum) => {
                        let messages = queues.receive("q.fifo", ReceiveOptions::at_once(maximum)).await.unwrap();
                        let locked: Vec<u8> = held.iter().map(|(group, ..)| *group).collect();
                        for message in messages {
                            let (group, number) = message.body.split_once(':').unwrap();
                            let (group, number): (u8, u32) = (group.parse().unwrap(), number.parse().unwrap());
                            assert!(!locked.contains(&group), "group {group} was locked");
                            held.push((group, number, message.receipt_handle));
                        }
                    }
                    Step::Delete(position) if !held.is_empty() => {
                        // The first that is held of some group.
                        let group = held[position % held.len()].0;
                        let first = held.iter().position(|(other, ..)| *other == group).unwrap();
                        let (group, number, handle) = held.remove(first);
                        assert_eq!(queues.delete("q.fifo", vec![handle]).await.unwrap(), 1);
                        let before = last_done.insert(group, number).unwrap_or(0);
                        assert!(before < number, "group {group}: {number} after {before}");
                    }
                    Step::GiveBack(position) if !held.is_empty() => {
                        // A group fails: all that is held of it becomes visible.
                        let group = held[position % held.len()].0;
                        let (given_back, kept): (Vec<_>, Vec<_>) =
                            held.into_iter().partition(|(other, ..)| *other == group);
                        held = kept;
                        let changes = given_back.into_iter().map(|(_, _, handle)| (handle, 0)).collect();
                        queues.change_visibility("q.fifo", changes).await.unwrap();
                    }
                    Step::Wait => {
                        clock.advance(Duration::from_secs(31));
                        held.clear();
                    }
                    Step::Delete(_) | Step::GiveBack(_) => {}
                }
            }
        });
    }
}
