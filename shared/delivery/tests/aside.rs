//! What the loop does with records whose worker lets them wait while something that it stands on is down.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use millrace_delivery::Said;
use millrace_events::{Record, open, reason};
use serde_json::{Value, json};
use support::*;

/// A bench whose worker has a queue of its own to put records into.
fn bench_beside_a_queue(
    script: impl Fn(&Record) -> Step + Send + Sync + 'static,
) -> (Bench, Arc<FakeParking>) {
    let queue = Arc::new(FakeParking::default());
    let mut bench = bench(script);
    bench.delivery = bench.delivery.with_aside(queue.clone());
    (bench, queue)
}

fn is_first(record: &Record) -> bool {
    record.version.as_str().ends_with("01")
}

fn down_for_the_first(record: &Record) -> Step {
    if is_first(record) {
        Step::Down
    } else {
        Step::Apply
    }
}

fn three_changes() -> Value {
    batch([change("a", 1), change("a", 2), change("b", 3)])
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_without_a_record_that_waits_in_the_queue() {
    let (bench, queue) = bench_beside_a_queue(down_for_the_first);
    let report = bench.deliver(&three_changes()).await;
    assert_eq!(report.response, json!({"batchItemFailures": []}));
    let said: Vec<_> = report.records.iter().map(|record| record.outcome).collect();
    assert_eq!(said, [Said::SetAside, Said::Applied, Said::Applied]);
    let first = &report.records[0];
    assert_eq!(reason_of(&report, &first.id), Some("embedder-unavailable"));
    assert_eq!(bench.counts.count("scripted", Said::SetAside), 1);
    assert!(bench.parked().is_empty());
    assert!(bench.seen.given_up.lock().unwrap().is_empty());

    let waiting = queue.kept.records();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].event, change("a", 1));
    assert_eq!(waiting[0].reason.code, "embedder-unavailable");
    // What comes out of the queue is the record that was put in.
    let message = message_with("m", waiting[0].to_body(), 1);
    let opened = open(&batch([message])).unwrap();
    let records = opened.messages[0].records.as_ref().unwrap();
    assert_eq!(records[0].id, first.id);
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_does_not_take_holds_its_row_back() {
    let (bench, queue) = bench_beside_a_queue(down_for_the_first);
    let opened = open(&change("a", 1)).unwrap();
    let id = opened.messages[0].records.as_ref().unwrap()[0].id.clone();
    queue.refuse.lock().unwrap().insert(id);
    let report = bench.deliver(&three_changes()).await;
    assert_eq!(failed_ids(&report), ["1"]);
    let said: Vec<_> = report.records.iter().map(|record| record.outcome).collect();
    assert_eq!(said, [Said::Retry, Said::Retry, Said::Applied]);
    let failed = &report.records[0];
    assert_eq!(reason_of(&report, &failed.id), Some("embedder-unavailable"));
}

#[tokio::test(start_paused = true)]
async fn other_failures_and_workers_without_a_queue_hold_the_row_back() {
    let (other_failure, queue) = bench_beside_a_queue(|record| {
        if is_first(record) {
            Step::Transient
        } else {
            Step::Apply
        }
    });
    for bench in [other_failure, bench(down_for_the_first)] {
        let report = bench.deliver(&three_changes()).await;
        assert_eq!(failed_ids(&report), ["1"]);
    }
    assert!(queue.kept.records().is_empty());
}

/// A message is in a queue already: it stays, and comes back later and later.
#[tokio::test(start_paused = true)]
async fn a_message_waits_where_it_is_and_for_longer_than_others() {
    let (bench, queue) = bench_beside_a_queue(|_| Step::Down);
    let most = settings().max_waits.get();
    assert!(most > settings().max_attempts.get());
    for (attempt, expected) in [
        (settings().max_attempts.get(), Said::Retry),
        (most - 1, Said::Retry),
        (most, Said::Parked),
    ] {
        let event = batch([message_with("m", json!({"id": "m"}).to_string(), attempt)]);
        let report = bench.deliver(&event).await;
        assert_eq!(report.records[0].outcome, expected, "{attempt}");
    }
    assert!(queue.kept.records().is_empty());
    let parked = bench.parked();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].reason.code, reason::RETRIES_EXHAUSTED.code());
}
