//! What the loop does with records of DynamoDB Streams, and with events that come directly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::num::NonZeroU32;

use millrace_delivery::{DeliverySettings, Said};
use millrace_events::{Record, reason};
use serde_json::json;
use support::*;

/// The sequence number of a row's change.
fn number(record: &Record) -> u64 {
    let version = record.version.as_str();
    version.rsplit('/').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_lowest_failed_number_alone_is_reported() {
    let bench = bench(|record| {
        if matches!(number(record), 9 | 100) {
            Step::Transient
        } else {
            Step::Apply
        }
    });
    let changes = [
        ("a", 8),
        ("a", 9),
        ("b", 10),
        ("c", 100),
        ("a", 101),
        ("b", 102),
    ];
    let report = bench
        .deliver(&batch(changes.map(|(row, n)| change(row, n))))
        .await;
    assert_eq!(
        report.response,
        json!({"batchItemFailures": [{"itemIdentifier": "9"}]})
    );
    let said: Vec<_> = report.records.iter().map(|record| record.outcome).collect();
    use Said::{Applied, Retry};
    assert_eq!(said, [Applied, Retry, Applied, Retry, Retry, Applied]);
    assert_eq!(reason_of(&report, &report.records[4].id), Some("held-back"));
    assert!(report.failed.is_none());
    assert!(bench.visibility.hidden.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_failures_says_so() {
    let bench = bench(|_| Step::Apply);
    let report = bench.deliver(&batch([change("a", 1)])).await;
    assert_eq!(report.response, json!({"batchItemFailures": []}));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_parked_and_the_shard_goes_on() {
    let bench = bench(|record| {
        if number(record) == 1 {
            Step::Permanent
        } else {
            Step::Apply
        }
    });
    let report = bench
        .deliver(&batch([change("a", 1), change("a", 2)]))
        .await;
    assert!(failed_ids(&report).is_empty());
    assert_eq!(bench.started().len(), 2);
    assert_eq!(bench.parked()[0].event, change("a", 1));
}

#[tokio::test(start_paused = true)]
async fn rows_are_handled_side_by_side_each_in_its_order() {
    let bench = bench(|record| {
        if number(record) % 2 == 1 {
            Step::Take(3)
        } else {
            Step::Apply
        }
    });
    let started = tokio::time::Instant::now();
    bench
        .deliver(&batch([
            change("a", 1),
            change("b", 3),
            change("a", 2),
            change("b", 4),
        ]))
        .await;
    assert_eq!(started.elapsed().as_secs(), 3);
    let ended = bench.seen.ended.lock().unwrap().clone();
    for row in ["k=a", "k=b"] {
        let of_row: Vec<_> = ended.iter().filter(|id| id.contains(row)).collect();
        assert!(of_row.is_sorted(), "{of_row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_no_attempts() {
    let settings = DeliverySettings {
        max_attempts: NonZeroU32::MIN,
        ..settings()
    };
    let bench = bench_with(settings, |_| Step::Transient);
    for _ in 0..3 {
        let report = bench.deliver(&batch([change("a", 1)])).await;
        assert_eq!(failed_ids(&report), ["1"]);
    }
    assert!(bench.parked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_record_that_cannot_be_parked_blocks_its_row_rather_than_being_lost() {
    let bench = bench(|record| {
        if number(record) == 1 {
            Step::Permanent
        } else {
            Step::Apply
        }
    });
    let first = millrace_events::open(&change("a", 1))
        .unwrap()
        .messages
        .remove(0);
    let id = first.records.unwrap()[0].id.clone();
    bench.parking.refuse.lock().unwrap().insert(id);
    let report = bench
        .deliver(&batch([change("a", 1), change("a", 2)]))
        .await;
    assert_eq!(failed_ids(&report), ["1"]);
    assert_eq!(bench.started().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_direct_event_fails_as_a_whole_if_anything_must_come_again() {
    let bench = bench(|record| {
        if record.id.contains("/two@") {
            Step::Throttled(7)
        } else {
            Step::Apply
        }
    });
    let report = bench
        .deliver(&batch([creation("one", "0A"), creation("two", "0A")]))
        .await;
    assert!(report.response.is_null());
    let failed = report.failed.unwrap();
    assert!(failed.is_transient());
    assert_eq!(failed.reason(), reason::THROTTLED);
    assert_eq!(failed.message(), "slow down");
}

#[tokio::test(start_paused = true)]
async fn a_direct_event_that_is_parked_is_done() {
    let bench = bench(|_| Step::Permanent);
    let report = bench.deliver(&batch([creation("one", "0A")])).await;
    assert!(report.failed.is_none() && report.response.is_null());
    assert_eq!(bench.parked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_at_all_is_parked() {
    let bench = bench(|_| Step::Apply);
    for event in [json!(null), json!("text"), json!({"Records": 7})] {
        let report = bench.deliver(&event).await;
        assert_eq!(report.records[0].outcome, Said::Parked, "{event}");
        assert!(report.failed.is_none());
    }
    assert_eq!(bench.parked().len(), 3);
}
