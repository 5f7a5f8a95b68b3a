//! The operators' desk: every kind of dead letter becomes a letter, every command keeps what it promises.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_cloud::{Clock as _, SystemClock};
use millrace_local::sqs::{MessageAttribute, OutgoingMessage, ReceiveOptions};
use millrace_ops::{
    letters::{Catalogue, Desk, Hold, Kind, Letter, Place, Progress, Selection, State},
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
        .with_failures_bucket(Some(world.names.bucket.clone()))
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
    let put = world.clients.s3.put_object().bucket(&world.names.bucket);
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

// ---------------------------------------------------------------- the commands

/// A data folder with letters in it, and the command on it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    async fn with(messages: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder };
        let platform = Platform::open(&bench.data()).await.unwrap();
        for (queue, body) in messages {
            let queues = &platform.cloud().unwrap().services().queues;
            queues
                .send(queue, OutgoingMessage::new(body.clone()))
                .await
                .unwrap();
        }
        bench
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("dlq")
            .args(arguments)
            .arg("--data")
            .arg(self.data());
        command.current_dir(self.folder.path());
        command
            .env("USER", "ada")
            .env_remove("EDITOR")
            .env_remove("VISUAL");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints, when all goes well.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.ok(&all)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What it complains about, and its exit code.
    fn fails(&self, arguments: &[&str]) -> (String, i32) {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (said, output.status.code().unwrap())
    }

    /// Bodies and attributes of everything that lies in the queue.
    async fn queue(&self, queue: &str) -> Vec<String> {
        let platform = Platform::open(&self.data()).await.unwrap();
        let queues = &platform.cloud().unwrap().services().queues;
        let messages = queues
            .receive(queue, ReceiveOptions::at_once(10_000))
            .await
            .unwrap();
        let given_back = messages
            .iter()
            .map(|message| (message.receipt_handle.clone(), 0))
            .collect();
        queues.change_visibility(queue, given_back).await.unwrap();
        let mut bodies: Vec<String> = messages.into_iter().map(|message| message.body).collect();
        bodies.sort();
        bodies
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_counts_first_and_says_what_it_does_not_show() {
    let mut messages: Vec<(&str, String)> = (0..5).map(|n| (QUEUE, parked(n, 1))).collect();
    messages.push(("millrace-chunk-text-dlq", "no json".to_owned()));
    let bench = Bench::with(&messages).await;
    let output = bench.run(&["list", "--limit", "2"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "6 letters");
    assert!(lines[1].contains("5  extract-text  encrypted"), "{said}");
    assert!(lines[1].ends_with("docs/reasons.md#encrypted"), "{said}");
    assert!(lines[2].contains("1  chunk-text    redriven"), "{said}");
    assert_eq!(lines.len(), 6, "{said}");
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("4 letters more")
    );
    assert_eq!(bench.json(&["list", "--limit", "2"]).len(), 6);
    assert_eq!(
        bench
            .json(&["list", "--cached", "--worker", "chunk-text"])
            .len(),
        1
    );
    assert_eq!(bench.json(&["list", "--older-than", "1h"]).len(), 5);
    let (said, code) = bench.fails(&["list", "--older-than", "soon"]);
    assert!(said.contains("such as 2h"), "{said}");
    assert_eq!(code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_every_attempt_and_every_act() {
    let bench = Bench::with(&[(QUEUE, parked(1, 2)), (QUEUE, parked(1, 9))]).await;
    let id = millrace_events::parked_id("extract-text", "r-1").to_string();
    bench.ok(&["dedupe", "--why", "twice"]);
    let shown = bench.json(&["show", &id[..6]]).remove(0);
    assert_eq!(shown["state"], "here");
    assert_eq!(shown["letter"]["attempts"], 9);
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.len(), 2, "the copy that was deleted is still told");
    assert_eq!(shown["acts"][0]["what"], "dedupe");
    assert_eq!(shown["acts"][0]["why"], "twice");
    assert_eq!(shown["event"]["eventId"], "r-1");
    assert!(shown["subject"].is_null());
    assert!(
        bench
            .ok(&["show", &id])
            .contains("nothing is known of this subject")
    );
    let (said, code) = bench.fails(&["show", "ffffffff"]);
    assert!(said.contains("there is no dead letter ffffffff"), "{said}");
    assert_eq!(code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_has_the_state_of_a_document_beside_its_letter() {
    let bench = Bench::with(&[]).await;
    let subject = "s3://b/documents/ada/0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a01/original.txt";
    let body = parked(1, 1).replace("subject-1", subject);
    let platform = Platform::open(&bench.data()).await.unwrap();
    let queues = &platform.cloud().unwrap().services().queues;
    queues
        .send(QUEUE, OutgoingMessage::new(body))
        .await
        .unwrap();
    drop(platform);
    let id = millrace_events::parked_id("extract-text", "r-1").to_string();
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(
        shown["subject"]["name"],
        "document ada/0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a01"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dedupe_keeps_the_copy_that_tells_most() {
    let messages = [
        (QUEUE, parked(1, 2)),
        (QUEUE, parked(1, 7)),
        (QUEUE, parked(1, 5)),
        (QUEUE, parked(2, 1)),
    ];
    let bench = Bench::with(&messages).await;
    assert_eq!(
        bench.json(&["dedupe"])[0],
        json!({"letters": 1, "deleted": 2, "left": 0})
    );
    let mut expected = vec![parked(1, 7), parked(2, 1)];
    expected.sort();
    assert_eq!(bench.queue(QUEUE).await, expected);
    assert!(
        bench.ok(&["dedupe"]).is_empty(),
        "there is nothing left to do"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_asks_keeps_a_copy_and_restore_brings_it_back() {
    let bench = Bench::with(&[
        (QUEUE, parked(1, 1)),
        (QUEUE, parked(2, 1)),
        (QUEUE, "no json".to_owned()),
    ])
    .await;
    let before = bench.queue(QUEUE).await;
    let (said, code) = bench.fails(&["drop", "--all", "--why", "a test"]);
    assert!(said.contains("say --yes"), "{said}");
    assert_eq!(code, 2);
    let (said, _) = bench.fails(&["drop", "--yes", "--why", "a test"]);
    assert!(said.contains("say which letters"), "{said}");
    let (said, _) = bench.fails(&["drop", "--all", "--yes"]);
    assert!(said.contains("--why"), "{said}");
    assert_eq!(bench.queue(QUEUE).await, before, "nothing happened so far");

    let dropped = bench.json(&["drop", "--reason", "encrypted", "--yes", "--why", "a test"]);
    assert_eq!(dropped.last().unwrap()["dropped"], 2);
    assert_eq!(bench.queue(QUEUE).await, ["no json"]);
    assert_eq!(bench.json(&["restore", "--all"])[0], json!({"restored": 2}));
    assert_eq!(bench.queue(QUEUE).await, before, "byte for byte");
    let (said, _) = bench.fails(&["restore", "ffffffff"]);
    assert!(said.contains("no dropped letter"), "{said}");
    assert_eq!(
        bench.json(&["restore", "--all"])[0],
        json!({"restored": 0}),
        "once is enough"
    );

    let acts = bench.json(&["audit"]);
    let told: Vec<(&str, &str)> = acts
        .iter()
        .map(|act| (act["what"].as_str().unwrap(), act["who"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("drop", "os:ada"),
            ("restore", "os:ada"),
            ("restore", "os:ada")
        ]
    );
    assert_eq!(acts[0]["why"], "a test");
    assert_eq!(acts[0]["selection"], "--reason encrypted");
    assert_eq!(
        (&acts[0]["letters"], &acts[0]["result"]),
        (&json!(2), &json!("2 of 2 dropped"))
    );
    let (said, _) = bench.fails(&["audit", "--day", "yesterday"]);
    assert!(said.contains("no day"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_letter_takes_the_place_of_the_one_before_and_keeps_it() {
    let event = json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m",
        "body": object_created("documents/ada/x/wrong.txt").to_string()}]});
    let bench = Bench::with(&[(QUEUE, event.to_string())]).await;
    let id = bench.json(&["list"])[0]["id"].as_str().unwrap().to_owned();
    let place = "/Records/0/body/detail/object/key=documents/ada/x/right.txt";
    let edited = bench
        .json(&["edit", &id, "--set", place, "--why", "a typing error"])
        .remove(0);
    assert_eq!(edited["editedFrom"], json!(id));
    assert_eq!(edited["subject"], "s3://b/documents/ada/x/right.txt");

    let bodies = bench.queue(QUEUE).await;
    assert_eq!(bodies.len(), 1, "the one before is gone");
    let parked: Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(
        parked["original"], event,
        "what it was stands in the letter itself"
    );
    let inner: Value =
        serde_json::from_str(parked["event"]["Records"][0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        inner["detail"]["object"]["key"],
        "documents/ada/x/right.txt"
    );
    // A worker opens it to the record it is now.
    let opened = millrace_events::open(&parked).unwrap();
    assert_eq!(
        opened.messages[0].records.as_ref().unwrap()[0].subject,
        "s3://b/documents/ada/x/right.txt"
    );
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["state"], "edited");
    assert_eq!(shown["edits"][0]["letter"], edited["id"]);

    // Edited once more, by a patch: what it was in the beginning stays.
    let patch = bench.folder.path().join("patch.json");
    std::fs::write(&patch, json!({"note": "by hand"}).to_string()).unwrap();
    bench.ok(&[
        "edit",
        edited["id"].as_str().unwrap(),
        "--patch",
        patch.to_str().unwrap(),
    ]);
    let parked: Value = serde_json::from_str(&bench.queue(QUEUE).await[0]).unwrap();
    assert_eq!(
        (&parked["original"], &parked["event"]["note"]),
        (&event, &json!("by hand"))
    );
    assert_eq!(parked["editedFrom"], edited["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_does_not_fit_changes_nothing() {
    let stream = on_failure_of_stream().to_string();
    let bench = Bench::with(&[
        (QUEUE, parked(1, 1)),
        ("millrace-keep-progress-dlq", stream),
    ])
    .await;
    let before = bench.queue(QUEUE).await;
    let id = millrace_events::parked_id("extract-text", "r-1").to_string();
    for (arguments, expected) in [
        (vec!["edit", &id], "--patch FILE"),
        (vec!["edit", &id, "--set", "/a/b/c=1"], "not there"),
        (vec!["edit", &id, "--set", "nothing"], "POINTER=VALUE"),
        (
            vec!["edit", &id, "--patch", "not-there.json"],
            "cannot be read",
        ),
    ] {
        let (said, code) = bench.fails(&arguments);
        assert!(said.contains(expected), "{said}");
        assert_eq!(code, 2);
    }
    let of_stream = bench.json(&["list", "--kind", "stream-place"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (said, _) = bench.fails(&["edit", &of_stream, "--set", "/a=1"]);
    assert!(said.contains("event-not-carried"), "{said}");
    assert!(
        bench.ok(&["edit", &id, "--set", "/eventId=r-1"]).is_empty(),
        "nothing was changed"
    );
    assert_eq!(bench.queue(QUEUE).await, before);
    assert!(bench.json(&["audit"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_sees_json_within_json_as_json() {
    let event = json!({"body": object_created("k").to_string(), "odd": "{ \"kept\" :1}"});
    let bench = Bench::with(&[(QUEUE, event.to_string())]).await;
    let id = bench.json(&["list"])[0]["id"].as_str().unwrap().to_owned();
    let output = bench
        .command(&["edit", &id])
        .env("EDITOR", "sed -i 's/\"key\": \"k\"/\"key\": \"l\"/'")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let parked: Value = serde_json::from_str(&bench.queue(QUEUE).await[0]).unwrap();
    assert!(
        parked["event"]["body"]
            .as_str()
            .unwrap()
            .contains("\"key\":\"l\"")
    );
    assert_eq!(
        parked["event"]["odd"], event["odd"],
        "what was not touched keeps its bytes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_import_bring_back_the_same_bytes_once() {
    let bench = Bench::with(&[]).await;
    let platform = Platform::open(&bench.data()).await.unwrap();
    let queues = platform.cloud().unwrap().services().queues.clone();
    let odd = "{ \"a\" :1,\n\"line\\u2028\": \"\u{1F600}\\n\" }";
    let mut message = OutgoingMessage::new(odd);
    message
        .attributes
        .insert("text".to_owned(), MessageAttribute::text("v"));
    let mut binary = MessageAttribute::text("");
    (binary.data_type, binary.string_value, binary.binary_value) =
        ("Binary.png".to_owned(), None, Some("AAEC".to_owned()));
    message.attributes.insert("bytes".to_owned(), binary);
    queues.send(QUEUE, message.clone()).await.unwrap();
    for number in 0..30 {
        queues
            .send(QUEUE, OutgoingMessage::new(parked(number, 1)))
            .await
            .unwrap();
    }
    drop((queues, platform));
    let before = bench.queue(QUEUE).await;
    let file = bench.folder.path().join("letters.jsonl");
    let file = file.to_str().unwrap();
    bench.ok(&["export", file]);
    let (said, _) = bench.fails(&["export", file]);
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(
        bench.json(&["import", file])[0],
        json!({"imported": 0, "present": 31})
    );
    bench.ok(&["drop", "--all", "--yes", "--why", "a test"]);
    assert!(bench.queue(QUEUE).await.is_empty());
    assert_eq!(
        bench.json(&["import", file])[0],
        json!({"imported": 31, "present": 0})
    );
    assert_eq!(bench.queue(QUEUE).await, before);
    let platform = Platform::open(&bench.data()).await.unwrap();
    let queues = &platform.cloud().unwrap().services().queues;
    let messages = queues
        .receive(QUEUE, ReceiveOptions::at_once(100))
        .await
        .unwrap();
    let back = messages.iter().find(|found| found.body == odd).unwrap();
    assert_eq!(back.attributes, message.attributes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_mistake_is_not_imported_at_all() {
    let bench = Bench::with(&[(QUEUE, parked(1, 1))]).await;
    let file = bench.folder.path().join("letters.jsonl");
    bench.ok(&["export", file.to_str().unwrap()]);
    let good = std::fs::read_to_string(&file).unwrap();
    let altered = good.replace("r-1", "r-9");
    std::fs::write(&file, format!("{good}\nnot json\n{altered}")).unwrap();
    bench.ok(&["drop", "--all", "--yes", "--why", "a test"]);
    let (said, code) = bench.fails(&["import", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(said.contains("line 3: "), "{said}");
    std::fs::write(
        &file,
        good.replace("\"place\":\"millrace", "\"place\":\"nowhere"),
    )
    .unwrap();
    let (said, _) = bench.fails(&["import", file.to_str().unwrap()]);
    assert!(said.contains("nowhere-extract-text-dlq"), "{said}");
    assert!(bench.queue(QUEUE).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_that_is_killed_loses_nothing() {
    let messages: Vec<(&str, String)> = (0..400).map(|n| (QUEUE, parked(n, 1))).collect();
    let bench = Bench::with(&messages).await;
    let mut before: Vec<String> = messages.into_iter().map(|(_, body)| body).collect();
    before.sort();
    let mut killed_in_the_middle = false;
    for round in 0..6_u64 {
        let mut command = bench.command(&["drop", "--all", "--yes", "--why", "a test"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(150 + round * 60));
        let _ = child.kill();
        child.wait().unwrap();
        let left = bench.queue(QUEUE).await.len();
        killed_in_the_middle |= left > 0 && left < 400;
        if left == 0 {
            break;
        }
    }
    // Whatever is not in the queue is in the catalogue.
    bench.run(&["restore", "--all"]);
    assert_eq!(
        bench.queue(QUEUE).await,
        before,
        "killed in the middle: {killed_in_the_middle}"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_at_the_question_leaves_nothing_hidden() {
    let bench = Bench::with(&[(QUEUE, parked(1, 1))]).await;
    // `script` gives the command a terminal to ask on.
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `script` to make a terminal with");
        return;
    }
    let begun = Instant::now();
    let typed = format!(
        "{PROGRAM} dlq drop --all --why test --data {}",
        bench.data().display()
    );
    let mut child = Command::new("script")
        .args(["-qec", &typed, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    use std::io::Write as _;
    // Ctrl-C as a terminal sends it.
    child.stdin.as_mut().unwrap().write_all(&[3]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("drop 1 letter?"), "{said}");
    assert!(said.contains("nothing was dropped"), "{said}");
    let platform = Platform::open(&bench.data()).await.unwrap();
    let counts = platform
        .cloud()
        .unwrap()
        .services()
        .queues
        .counts(QUEUE)
        .await
        .unwrap();
    assert_eq!((counts.visible, counts.in_flight), (1, 0));
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
