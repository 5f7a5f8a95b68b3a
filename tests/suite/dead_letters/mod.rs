//! The operators' desk: every kind of dead letter becomes a letter.

mod commands;
mod jobs;
mod marketing;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_cloud::{Clock as _, SystemClock};
use millrace_local::sqs::{MessageAttribute, OutgoingMessage, ReceiveOptions};
use millrace_ops::{
    letters::{Attributes, Catalogue, Desk, Hold, Kind, Letter, Place, Progress, Selection, State},
    platform::Platform,
};
use millrace_tests::World;
use serde_json::{Value, json};

use crate::PROGRAM;

const QUEUE: &str = "millrace-extract-text-dlq";

fn desk_of(world: &World) -> Desk {
    let catalogue = Catalogue::in_memory().unwrap();
    Desk::new(world.clients.clone(), catalogue, Arc::new(SystemClock))
        .with_workers(millrace_documents::WORKERS.map(str::to_owned).to_vec())
        .with_failures_bucket(Some(world.names.documents.bucket.clone()))
}

async fn send(world: &World, queue: &str, body: &str, attributes: &[(&str, &str)]) {
    let mut message = OutgoingMessage::new(body);
    for (name, value) in attributes {
        let value = MessageAttribute::text(*value);
        message.attributes.insert((*name).to_owned(), value);
    }
    world.services().queues.send(queue, message).await.unwrap();
}

/// A parked record; `number` is what it is about.
fn parked(number: u32, attempts: u32) -> String {
    let id = millrace_events::parked_id("extract-text", &format!("r-{number}"));
    json!({
        "millrace": "parked/1", "id": id, "worker": "extract-text",
        "reason": {"code": "encrypted", "message": "the file needs a password"},
        "attempts": attempts, "parkedAt": "2025-11-20T10:20:00Z", "recordId": format!("r-{number}"),
        "subject": format!("subject-{number}"), "event": {"eventId": format!("r-{number}")},
    })
    .to_string()
}

/// An event of S3 as EventBridge sends it.
fn object_created(key: &str) -> Value {
    json!({
        "version": "0", "id": "e-1", "detail-type": "Object Created", "source": "aws.s3",
        "time": "2026-11-20T10:00:00Z", "region": "us-east-1",
        "detail": {"bucket": {"name": "b"}, "object": {"key": key, "sequencer": "0055AED6DCD90281E5", "size": 3}},
    })
}

fn on_failure_of_stream() -> Value {
    json!({
        "requestContext": {
            "requestId": "q", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 4,
            "functionArn": "arn:aws:lambda:us-east-1:1:function:millrace-dev-keep-progress",
        },
        "version": "1.0", "timestamp": "2026-11-20T11:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-1", "startSequenceNumber": "111", "endSequenceNumber": "113", "batchSize": 3,
            "streamArn": "arn:aws:dynamodb:us-east-1:1:table/ai-assistant-documents/stream/2026-11-20T00:00:00.000",
        },
    })
}

fn only(letters: &[Letter], kind: Kind) -> Letter {
    let of_kind: Vec<&Letter> = letters
        .iter()
        .filter(|letter| letter.kind == kind)
        .collect();
    assert_eq!(of_kind.len(), 1, "{kind}: {letters:?}");
    of_kind[0].clone()
}

async fn all(desk: &Desk) -> Vec<Letter> {
    desk.read(&Hold::Nothing, |_| ()).await.unwrap();
    let page = desk
        .catalogue()
        .select(&Selection::everything(), None, 1_000);
    page.unwrap().letters
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_failure_becomes_a_letter() {
    let world = World::new(PROGRAM).await;
    let body = parked(1, 3);
    send(&world, QUEUE, &body, &[("worker", "extract-text")]).await;
    let place = on_failure_of_stream();
    send(
        &world,
        "millrace-keep-progress-dlq",
        &place.to_string(),
        &[],
    )
    .await;
    let mut whole = place.clone();
    whole["payload"] = json!({"Records": []}).to_string().into();
    let put = world
        .clients
        .s3
        .put_object()
        .bucket(&world.names.documents.bucket);
    put.key("aws/lambda/m/shard/2026/11/20/x")
        .body(whole.to_string().into_bytes().into())
        .send()
        .await
        .unwrap();
    let asynchronous = json!({
        "version": "1.0", "timestamp": "2026-11-20T12:00:00.000Z",
        "requestContext": {"requestId": "q", "condition": "RetriesExhausted", "approximateInvokeCount": 3,
            "functionArn": "arn:aws:lambda:us-east-1:1:function:millrace-dev-chunk-text:$LATEST"},
        "requestPayload": object_created("documents/ada/x/original.txt"),
        "responsePayload": {"errorMessage": "out of cheese"},
    });
    let through_sns =
        json!({"Type": "Notification", "TopicArn": "t", "Message": asynchronous.to_string()});
    send(
        &world,
        "millrace-chunk-text-dlq",
        &through_sns.to_string(),
        &[],
    )
    .await;
    let bare = object_created("documents/ada/y/original.txt").to_string();
    send(&world, "millrace-remove-document-dlq", &bare, &[]).await;

    let letters = all(&desk_of(&world)).await;
    assert_eq!(letters.len(), 5);

    let letter = only(&letters, Kind::Parked);
    assert_eq!(letter.body, body, "byte for byte");
    assert_eq!(
        (letter.worker.as_str(), letter.reason.as_str()),
        ("extract-text", "encrypted")
    );
    assert_eq!((letter.attempts, letter.copies), (3, 1));
    assert_eq!(letter.place, Place::Queue(QUEUE.to_owned()));

    let letter = only(&letters, Kind::StreamPlace);
    assert_eq!(
        (letter.worker.as_str(), letter.reason.as_str()),
        ("keep-progress", "invocation-failed")
    );
    assert_eq!(letter.subject, "ai-assistant-documents 111..113");
    assert_eq!(letter.attempts, 4);

    let letter = only(&letters, Kind::StreamBatch);
    assert!(matches!(&letter.place, Place::Object { key, .. } if key.starts_with("aws/lambda/")));
    assert_eq!(letter.worker, "keep-progress");

    let letter = only(&letters, Kind::Async);
    assert_eq!(letter.worker, "chunk-text");
    assert!(
        letter.message.contains("out of cheese"),
        "{}",
        letter.message
    );
    assert_eq!(letter.subject, "s3://b/documents/ada/x/original.txt");

    let letter = only(&letters, Kind::Redriven);
    assert_eq!(
        (letter.worker.as_str(), letter.reason.as_str()),
        ("remove-document", "redriven")
    );
    assert_eq!(
        letter.attempts, 10,
        "the source queue's maximum of receives"
    );
    assert_eq!(letter.subject, "s3://b/documents/ada/y/original.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_lies_in_a_queue_becomes_a_letter() {
    let world = World::new(PROGRAM).await;
    let odd = [
        "plain text",
        "{",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{\"millrace\":\"parked/2\"}",
        "{\"millrace\":\"parked/1\"}",
        "{\"requestContext\":{}}",
        "{\"requestContext\":{},\"requestPayload\":null}",
        "{\"Records\":[1,\"x\",null]}",
        "{\"DDBStreamBatchInfo\":{},\"requestContext\":{}}",
        "{\"Type\":\"Notification\",\"Message\":\"{\"}",
        "{\"source\":\"lambda\",\"detail\":7}",
        "\u{1F600}\u{1F600}",
    ];
    for body in odd {
        send(&world, QUEUE, body, &[]).await;
    }
    send(
        &world,
        QUEUE,
        "{\"a\":1}",
        &[
            ("RequestID", "q"),
            ("ErrorCode", "200"),
            ("ErrorMessage", "boom"),
        ],
    )
    .await;
    let rule = [
        ("RULE_ARN", "arn:aws:events:us-east-1:1:rule/r"),
        ("ERROR_CODE", "NO_PERMISSIONS"),
    ];
    send(&world, QUEUE, "{\"a\":2}", &rule).await;
    let letters = all(&desk_of(&world)).await;
    let mut bodies: Vec<&str> = letters.iter().map(|letter| letter.body.as_str()).collect();
    let mut expected: Vec<&str> = odd.to_vec();
    expected.extend(["{\"a\":1}", "{\"a\":2}"]);
    bodies.sort_unstable();
    expected.sort_unstable();
    assert_eq!(bodies, expected);
    let reasons: Vec<(&str, &str)> = letters
        .iter()
        .filter(|letter| letter.body.starts_with("{\"a\""))
        .map(|letter| (letter.body.as_str(), letter.reason.as_str()))
        .collect();
    assert!(
        reasons.contains(&("{\"a\":1}", "invocation-failed")),
        "{reasons:?}"
    );
    assert!(
        reasons.contains(&("{\"a\":2}", "undelivered")),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_one_letter_and_reading_leaves_everything_visible() {
    let world = World::new(PROGRAM).await;
    for attempts in [2, 7, 5] {
        send(&world, QUEUE, &parked(1, attempts), &[]).await;
    }
    let event = object_created("k").to_string();
    // The same event, received twice by another way: other transport, same record.
    let through_sqs =
        json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": event}]})
            .to_string();
    send(&world, QUEUE, &event, &[]).await;
    send(&world, QUEUE, &through_sqs, &[]).await;
    let desk = desk_of(&world);
    for _ in 0..2 {
        let letters = all(&desk).await;
        assert_eq!(letters.len(), 2);
        let letter = only(&letters, Kind::Parked);
        assert_eq!(
            (letter.copies, letter.attempts),
            (3, 7),
            "the copy that tells most"
        );
        assert_eq!(only(&letters, Kind::Redriven).copies, 2);
    }
    let counts = world.services().queues.counts(QUEUE).await.unwrap();
    assert_eq!((counts.visible, counts.in_flight), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_hidden_until_it_is_released_and_the_rest_does_not() {
    let world = World::new(PROGRAM).await;
    for number in 0..25 {
        send(&world, QUEUE, &parked(number, 1), &[]).await;
    }
    let desk = desk_of(&world);
    let hold = Hold::For {
        selection: Selection {
            subject: Some("subject-1".to_owned()),
            ..Selection::default()
        },
        time: Duration::from_secs(600),
    };
    let report = desk.read(&hold, |_| ()).await.unwrap();
    // subject-1 and subject-10 … subject-19
    let counts = || world.services().queues.counts(QUEUE);
    assert_eq!((report.read, counts().await.unwrap().in_flight), (25, 11));

    // Another operator sees that somebody holds them, and does not take them for gone.
    let other = desk_of(&world);
    let report_of_other = other.read(&Hold::Nothing, |_| ()).await.unwrap();
    assert_eq!(report_of_other.hidden.get(QUEUE), Some(&11));
    let again = desk.read(&Hold::Nothing, |_| ()).await.unwrap();
    assert_eq!(again.gone, 0);
    assert_eq!(
        desk.catalogue().total(&Selection::everything()).unwrap(),
        25
    );

    desk.release_held(report.reading).await.unwrap();
    assert_eq!(counts().await.unwrap().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_put_back_soon_is_not_taken_for_the_one_before_it() {
    let world = World::new(PROGRAM).await;
    let queue = "millrace-extract-text-dlq.fifo";
    let fifo = [("FifoQueue".to_owned(), "true".to_owned())];
    let queues = &world.services().queues;
    queues.ensure(queue, &fifo.into_iter().collect()).unwrap();
    let desk = desk_of(&world);
    let hold = Hold::For {
        selection: Selection::everything(),
        time: Duration::from_secs(600),
    };
    // SQS knows an id of deduplication for five minutes, also when its message is gone.
    for _ in 0..2 {
        let (body, none) = (parked(1, 1), Attributes::new());
        desk.put(queue, &body, &none, Some("ada")).await.unwrap();
        desk.read(&hold, |_| ()).await.unwrap();
        let letters = desk.catalogue().select(&Selection::everything(), None, 10);
        let letters = letters.unwrap().letters;
        assert_eq!(letters.len(), 1);
        let copies = desk.catalogue().copies(letters[0].id).unwrap();
        let refused = desk.delete(&copies, State::Dropped).await.unwrap();
        assert!(refused.is_empty(), "{refused:?}");
    }
    assert_eq!(queues.counts(queue).await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_gone_and_what_is_new_is_there() {
    let world = World::new(PROGRAM).await;
    send(&world, QUEUE, &parked(1, 1), &[]).await;
    let desk = desk_of(&world);
    let first = all(&desk).await.remove(0);
    let taken = world
        .services()
        .queues
        .receive(QUEUE, ReceiveOptions::at_once(10))
        .await
        .unwrap();
    let receipts = taken
        .iter()
        .map(|message| message.receipt_handle.clone())
        .collect();
    world
        .services()
        .queues
        .delete(QUEUE, receipts)
        .await
        .unwrap();
    send(&world, QUEUE, &parked(2, 1), &[]).await;
    let letters = all(&desk).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].subject, "subject-2");
    let (known, state) = desk.catalogue().letter(first.id).unwrap().unwrap();
    assert_eq!(
        (known.body, known.copies, state),
        (first.body, 0, State::Gone)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_is_stopped_puts_everything_back_and_forgets_nothing() {
    let world = World::new(PROGRAM).await;
    for number in 0..300 {
        send(&world, QUEUE, &parked(number, 1), &[]).await;
    }
    let desk = desk_of(&world);
    let stopper = desk.clone();
    let report = desk
        .read(&Hold::Nothing, move |_| stopper.stop())
        .await
        .unwrap();
    assert!(report.interrupted);
    assert!(report.read < 300, "it was stopped in the middle");
    let counts = world.services().queues.counts(QUEUE).await.unwrap();
    assert_eq!((counts.visible, counts.in_flight), (300, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn selections_hold_together() {
    let world = World::new(PROGRAM).await;
    send(&world, QUEUE, &parked(1, 1), &[]).await;
    send(&world, QUEUE, "no json", &[]).await;
    send(
        &world,
        "millrace-chunk-text-dlq",
        &object_created("k").to_string(),
        &[],
    )
    .await;
    let desk = desk_of(&world);
    let letters = all(&desk).await;
    let count = |selection: Selection| desk.catalogue().total(&selection).unwrap();
    let none = Selection::default;
    let parked = only(&letters, Kind::Parked);
    assert_eq!(
        count(Selection {
            worker: Some("extract-text".to_owned()),
            ..none()
        }),
        2
    );
    assert_eq!(
        count(Selection {
            reason: Some("redriven".to_owned()),
            ..none()
        }),
        2
    );
    let both = Selection {
        worker: Some("extract-text".to_owned()),
        reason: Some("redriven".to_owned()),
        ..none()
    };
    assert_eq!(count(both), 1);
    assert_eq!(
        count(Selection {
            kind: Some(Kind::Parked),
            ..none()
        }),
        1
    );
    assert_eq!(
        count(Selection {
            subject: Some("r-1".to_owned()),
            ..none()
        }),
        1,
        "a record's id"
    );
    assert_eq!(
        count(Selection {
            place: Some(QUEUE.to_owned()),
            ..none()
        }),
        2
    );
    for id in [
        parked.id.to_string(),
        parked.id.to_string()[..9].to_owned(),
        parked.short_id(),
    ] {
        assert_eq!(count(Selection::id(id)), 1);
    }
    assert_eq!(count(Selection::id("zz")), 0);
    // The parked one is of 2025, the others are of the time at which the world's clock stands still.
    let hour_ago =
        millrace_cloud::ManualClock::at(millrace_tests::NOW).now() - Duration::from_secs(3_600);
    assert_eq!(
        count(Selection {
            older_than: Some(hour_ago),
            ..none()
        }),
        1
    );
    assert_eq!(
        count(Selection {
            newer_than: Some(hour_ago),
            ..none()
        }),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_every_letter_once_and_runs_remember() {
    let world = World::new(PROGRAM).await;
    for number in 0..45 {
        send(&world, QUEUE, &parked(number, 1), &[]).await;
    }
    let desk = desk_of(&world);
    let mut expected: Vec<_> = all(&desk).await.iter().map(|letter| letter.id).collect();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = desk
            .catalogue()
            .select(&Selection::everything(), cursor.as_ref(), 10)
            .unwrap();
        assert!(page.letters.len() <= 10);
        seen.extend(page.letters.iter().map(|letter| letter.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);

    let now = SystemClock.now();
    let run = uuid_of(1);
    let enlisted = desk
        .catalogue()
        .begin_run(run, "{}", &Selection::everything(), now)
        .unwrap();
    assert_eq!(enlisted, 45);
    desk.catalogue()
        .mark(run, expected[0], Progress::Confirmed, None, now)
        .unwrap();
    let waiting = desk
        .catalogue()
        .run_letters(run, Progress::Waiting, None, 100)
        .unwrap();
    assert_eq!(waiting.len(), 44);
    assert_eq!(desk.catalogue().unfinished_runs().unwrap().len(), 1);
    desk.catalogue().end_run(run, now).unwrap();
    assert!(desk.catalogue().unfinished_runs().unwrap().is_empty());
}

fn uuid_of(number: u128) -> millrace_ops::letters::Id {
    millrace_ops::letters::Id::from_u128(number)
}

/// For people: `cargo test … -- --ignored a_hundred_thousand --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes in a debug build"]
async fn a_hundred_thousand_letters_are_listed_in_less_than_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let count: u32 = std::env::var("MILLRACE_LETTERS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000);
    let platform = Platform::open(folder.path()).await.unwrap();
    let queues = platform.cloud().unwrap().services().queues.clone();
    for number in 0..count {
        let body = match number % 4 {
            0 => object_created(&format!("documents/ada/{number}/original.txt")).to_string(),
            _ => parked(number, 1),
        };
        let queue = ["extract-text", "chunk-text", "embed-chunks"][number as usize % 3];
        queues
            .send(&format!("millrace-{queue}-dlq"), OutgoingMessage::new(body))
            .await
            .unwrap();
    }
    let catalogue = Catalogue::open(&folder.path().join("letters.sqlite")).unwrap();
    let desk = Desk::new(platform.clients().clone(), catalogue, Arc::new(SystemClock));
    let begun = Instant::now();
    let report = desk.read(&Hold::Nothing, |_| ()).await.unwrap();
    println!(
        "reading {count} letters and putting them back: {:?}; {report:?}",
        begun.elapsed()
    );
    assert_eq!(report.read, u64::from(count));
    let begun = Instant::now();
    let counts = desk.catalogue().counts(&Selection::everything()).unwrap();
    let page = desk
        .catalogue()
        .select(&Selection::everything(), None, 20)
        .unwrap();
    let took = begun.elapsed();
    println!(
        "counts and the first page: {took:?}; memory {}",
        peak_memory()
    );
    assert_eq!(
        counts.iter().map(|count| count.letters).sum::<u64>(),
        u64::from(count)
    );
    assert_eq!(page.letters.len(), 20);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("unknown").to_owned()
}
