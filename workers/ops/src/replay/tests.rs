#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use clap::Parser;
use millrace_cloud::{Settings, SystemClock};
use millrace_events::{ParkedFormat, ParkedReason, ParkedRecord, open, parked_id, reason};
use millrace_local::sqs::{OutgoingMessage, ReceiveOptions};
use millrace_text::{Child, Limits};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Counter, args::ReplayArgs, run};
use crate::{
    audit::Audit,
    letters::{Catalogue, Desk, Progress, Selection},
    output::Ended,
    platform::{Home, Platform},
};

const WORKER: &str = "remove-document";
const QUEUE: &str = "millrace-remove-document-dlq";
const STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/ai-assistant-documents/stream/2026-11-01T08:00:00.000";

/// A platform with a desk over its dead letters.
struct World {
    platform: Platform,
    desk: Desk,
    audit: Audit,
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: ReplayArgs,
}

fn asked(words: &str) -> ReplayArgs {
    let line = std::iter::once("replay").chain(words.split_whitespace());
    Line::try_parse_from(line).unwrap().args
}

impl World {
    async fn new() -> Self {
        let platform = Platform::embedded(Home::Memory, Limits::default(), Child::this_program());
        let platform = platform.await.unwrap();
        let catalogue = Catalogue::in_memory().unwrap();
        let clock: Arc<SystemClock> = Arc::new(SystemClock);
        let desk = Desk::new(platform.clients().clone(), catalogue, clock.clone());
        let desk = desk.with_workers(platform.workers());
        let settings = Settings::from_map(BTreeMap::new());
        let audit = Audit::new(platform.clients(), &settings, "os:test", clock);
        Self {
            platform,
            desk,
            audit,
        }
    }

    async fn put(&self, queue: &str, body: &Value) {
        let queues = &self.platform.cloud().unwrap().services().queues;
        let message = OutgoingMessage::new(body.to_string());
        queues.send(queue, message).await.unwrap();
    }

    async fn replay(&mut self, selection: Selection, words: &str) -> Ended {
        let counter = Counter {
            platform: &mut self.platform,
            desk: &self.desk,
            audit: &self.audit,
            as_json: true,
        };
        let ended = run(counter, selection, "--all".to_owned(), &asked(words)).await;
        ended.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The bodies of the letters that can be seen.
    async fn letters(&self) -> Vec<String> {
        let queues = &self.platform.cloud().unwrap().services().queues;
        let seen = queues.receive(QUEUE, ReceiveOptions::at_once(100)).await;
        let seen = seen.unwrap();
        let receipts = seen
            .iter()
            .map(|message| (message.receipt_handle.clone(), 0));
        let receipts = receipts.collect();
        queues.change_visibility(QUEUE, receipts).await.unwrap();
        seen.into_iter().map(|message| message.body).collect()
    }

    /// How often a removal was applied: its tombstone counts.
    async fn applied(&self, number: u32) -> u32 {
        let asked = self.platform.clients().dynamodb.get_item();
        let row = asked
            .table_name(&self.platform.names().documents.progress_table)
            .key("userId", AttributeValue::S("ada".to_owned()))
            .key("documentId", AttributeValue::S(document(number)))
            .send()
            .await
            .unwrap();
        let revision = row.item.and_then(|row| row.get("revision").cloned());
        revision.map_or(0, |revision| revision.as_n().unwrap().parse().unwrap())
    }

    async fn results(&self) -> Vec<(Option<String>, Option<String>, u64)> {
        let day = millrace_cloud::clock::iso(OffsetDateTime::now_utc());
        let acts = self.audit.day(&day[..10]).await.unwrap();
        acts.into_iter()
            .map(|act| (act.why, act.result, act.letters))
            .collect()
    }
}

fn document(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// The row of a document was removed.
fn removal(number: u32) -> Value {
    let sequence = format!("{}", 100_000_000_000_000_000_000_u128 + u128::from(number));
    json!({
        "eventID": format!("e-{number}"), "eventName": "REMOVE", "eventVersion": "1.1",
        "eventSource": "aws:dynamodb", "awsRegion": "us-east-1", "eventSourceARN": STREAM,
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_233_600 + number,
            "Keys": {"userId": {"S": "ada"}, "documentId": {"S": document(number)}},
            "SequenceNumber": sequence, "SizeBytes": 60, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
}

fn parked(event: &Value, code: &str, minute: i64) -> Value {
    let batch = open(event).unwrap();
    let record = batch.messages[0]
        .records
        .as_ref()
        .map(|records| records[0].clone());
    let (id, subject) = record.map_or(("undecodable".to_owned(), "-".to_owned()), |record| {
        (record.id, record.subject)
    });
    let parked = ParkedRecord {
        millrace: ParkedFormat::V1,
        id: parked_id(WORKER, &id),
        worker: WORKER.to_owned(),
        reason: ParkedReason {
            code: code.to_owned(),
            message: "for a test".to_owned(),
        },
        attempts: 1,
        parked_at: OffsetDateTime::from_unix_timestamp(1_795_233_600 + minute * 60).unwrap(),
        record_id: id,
        subject,
        trace_id: None,
        event: event.clone(),
        original: None,
        edited_from: None,
    };
    serde_json::from_str(&parked.to_body()).unwrap()
}

/// A removal whose document has an id that no worker accepts: it fails whenever it is tried.
fn hopeless(number: u32) -> Value {
    let mut event = removal(number);
    event["dynamodb"]["Keys"]["documentId"]["S"] = format!("no-id-{number}").into();
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_handled_once_and_leaves_and_what_fails_stays() {
    let mut world = World::new().await;
    world.put(QUEUE, &parked(&removal(1), "conflict", 1)).await;
    // Twice in the queue is one letter.
    world.put(QUEUE, &parked(&removal(1), "conflict", 2)).await;
    world.put(QUEUE, &json!({"Records": [removal(2)]})).await;
    let invocation = json!({
        "version": "1.0", "timestamp": "2026-11-12T09:12:04.118Z",
        "requestContext": {
            "requestId": "r", "condition": "RetriesExhausted", "approximateInvokeCount": 3,
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:millrace-dev-remove-document:$LATEST",
        },
        "requestPayload": removal(3),
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    });
    world.put(QUEUE, &invocation).await;
    world.put(QUEUE, &parked(&hopeless(4), "conflict", 3)).await;

    let ended = world.replay(Selection::everything(), "--why because").await;

    assert_eq!(ended, Ended::SomeFailed);
    for number in 1..=3 {
        assert_eq!(world.applied(number).await, 1, "document {number}");
    }
    let left = world.letters().await;
    assert_eq!(left.len(), 1);
    assert!(left[0].contains("no-id-4"));
    let failed = parked_of(&left[0]);
    let attempts = world.desk.catalogue().runs_of(failed.id).unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].progress, Progress::FailedAgain);
    let note = attempts[0].note.clone().unwrap();
    assert!(note.starts_with(reason::INVALID_ID.code()), "{note}");
    assert_eq!(
        world.results().await,
        [(
            Some("because".to_owned()),
            Some("3 applied, 1 failed".to_owned()),
            4
        )]
    );
    assert!(world.desk.catalogue().unfinished_runs().unwrap().is_empty());
}

fn parked_of(body: &str) -> ParkedRecord {
    ParkedRecord::from_body(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_queue_a_letter_is_kept_by_it_and_comes_back_if_it_fails() {
    let mut world = World::new().await;
    for number in 1..=5 {
        world
            .put(QUEUE, &parked(&removal(number), "conflict", 0))
            .await;
    }
    world.put(QUEUE, &parked(&hopeless(6), "conflict", 0)).await;
    let ended = world.replay(Selection::everything(), "--via queue").await;
    assert_eq!(ended, Ended::SomeFailed);
    for number in 1..=5 {
        assert_eq!(world.applied(number).await, 1, "document {number}");
    }
    let left = world.letters().await;
    assert_eq!(left.len(), 1);
    let back = parked_of(&left[0]);
    assert_eq!(back.reason.code, reason::INVALID_ID.code());
    assert_eq!(back.attempts, 2, "the attempt is in the letter itself");
    let results = world.results().await;
    assert_eq!(results[0].1.as_deref(), Some("1 failed, 5 handled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_too_often_stops_the_replay_and_it_goes_on_when_told() {
    let mut world = World::new().await;
    for number in 1..=30 {
        let letter = parked(&hopeless(number), "conflict", i64::from(number));
        world.put(QUEUE, &letter).await;
    }
    for number in 31..=40 {
        let letter = parked(&removal(number), "conflict", i64::from(number));
        world.put(QUEUE, &letter).await;
    }
    let words = "--stop-on-error-rate 50 --concurrency 1";
    let ended = world.replay(Selection::everything(), words).await;
    assert_eq!(ended, Ended::SomeFailed);
    let runs = world.desk.catalogue().unfinished_runs().unwrap();
    let counts = world.desk.catalogue().run_counts(runs[0].id).unwrap();
    assert_eq!(counts[&Progress::FailedAgain], 20, "{counts:?}");
    assert_eq!(counts[&Progress::Waiting], 20, "{counts:?}");
    assert_eq!(world.letters().await.len(), 40, "all can be seen again");

    world.replay(Selection::default(), "--continue").await;
    for number in 31..=40 {
        assert_eq!(world.applied(number).await, 1, "document {number}");
    }
    assert_eq!(world.letters().await.len(), 30);
    assert!(world.desk.catalogue().unfinished_runs().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_oldest_are_replayed_when_a_maximum_is_given() {
    let mut world = World::new().await;
    for number in [3_u32, 1, 2, 4] {
        let letter = parked(&removal(number), "conflict", i64::from(number));
        world.put(QUEUE, &letter).await;
    }
    assert_eq!(
        world.replay(Selection::everything(), "--max 2").await,
        Ended::Done
    );
    let mut applied = Vec::new();
    for number in 1..=4 {
        applied.push(world.applied(number).await);
    }
    assert_eq!(applied, [1, 1, 0, 0]);
    assert_eq!(world.letters().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_leaves_no_run() {
    let mut world = World::new().await;
    world.put(QUEUE, &parked(&removal(1), "conflict", 1)).await;
    let ended = world.replay(Selection::everything(), "--dry-run").await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(world.applied(1).await, 0);
    assert_eq!(world.letters().await.len(), 1);
    assert!(world.desk.catalogue().unfinished_runs().unwrap().is_empty());
    let words = "--dry-run --explain";
    let ended = world.replay(Selection::everything(), words).await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(world.applied(1).await, 0, "a rehearsal withholds");
    assert!(world.results().await.is_empty(), "nothing was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_the_stream_forgot_says_what_to_do() {
    let mut world = World::new().await;
    let place = json!({
        "version": "1.0", "timestamp": "2026-11-12T09:12:04.118Z",
        "requestContext": {
            "requestId": "r", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 11,
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:millrace-dev-remove-document",
        },
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000000000000000001-00000001", "streamArn": STREAM, "batchSize": 1,
            "startSequenceNumber": "100000000000000000001", "endSequenceNumber": "100000000000000000001",
        },
    });
    world.put(QUEUE, &place).await;
    assert_eq!(
        world.replay(Selection::everything(), "").await,
        Ended::SomeFailed
    );
    assert_eq!(world.letters().await.len(), 1);
    let letter = world
        .desk
        .catalogue()
        .oldest(&Selection::everything(), None, 1);
    let letter = letter.unwrap()[0].letter;
    let runs = world.desk.catalogue().runs_of(letter).unwrap();
    let note = runs[0].note.clone().unwrap();
    assert!(note.starts_with("event-not-carried"), "{note}");
    assert!(note.contains("24 hours"), "{note}");
}

#[test]
fn asking_to_go_on_takes_the_last_run_or_one_by_its_id() {
    assert_eq!(asked("").run_to_go_on(), Ok(None));
    assert_eq!(asked("--continue").run_to_go_on(), Ok(Some(None)));
    let id = uuid::Uuid::new_v4();
    let words = format!("--continue {id}");
    assert_eq!(asked(&words).run_to_go_on(), Ok(Some(Some(id))));
    assert!(asked("--continue last").run_to_go_on().is_err());
}
