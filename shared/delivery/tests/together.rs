//! Workers that handle several records together.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use millrace_delivery::Said;
use support::*;

fn number(id: &str) -> usize {
    id.rsplit('@').next().unwrap().parse().unwrap()
}

fn changes(rows: &[&str]) -> serde_json::Value {
    let numbered = rows.iter().enumerate();
    batch(numbered.map(|(n, row)| change(row, n as u64)))
}

/// How many were handled together each time.
fn sizes(bench: &Bench) -> Vec<usize> {
    let together = bench.seen.together.lock().unwrap();
    together.iter().map(Vec::len).collect()
}

fn said(report: &millrace_delivery::Report) -> Vec<Said> {
    report.records.iter().map(|record| record.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_handled_in_as_few_parts_as_the_worker_takes() {
    let bench = bench_together(|_| Step::Apply);
    let report = bench
        .deliver(&changes(&["a", "b", "a", "c", "d", "e", "f"]))
        .await;
    assert_eq!(said(&report), [Said::Applied; 7]);
    assert_eq!(sizes(&bench), [5, 2]);
    assert_eq!(bench.started().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn one_record_is_handled_alone() {
    let bench = bench_together(|_| Step::Apply);
    let report = bench.deliver(&changes(&["a"])).await;
    assert_eq!(said(&report), [Said::Applied]);
    assert_eq!(sizes(&bench), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn each_record_ends_for_itself() {
    let bench = bench_together(|record| match number(&record.id) {
        1 => Step::Permanent,
        2 => Step::Transient,
        3 => Step::Ignore,
        _ => Step::Apply,
    });
    // What is behind the transient one of its row waits; what is behind the parked one goes on, alone.
    let report = bench
        .deliver(&changes(&["a", "b", "c", "d", "b", "c"]))
        .await;
    let expected = [
        Said::Applied,
        Said::Parked,
        Said::Retry,
        Said::Ignored,
        Said::Applied,
        Said::Retry,
    ];
    assert_eq!(said(&report), expected);
    let id = &report.records[5].id;
    assert_eq!(reason_of(&report, id), Some("held-back"));
    assert_eq!(failed_ids(&report), ["2"]);
    assert_eq!(bench.parked().len(), 1);
    assert_eq!(bench.seen.given_up.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_fails_as_a_whole_is_handled_one_by_one() {
    for (poison, ends) in [
        (Step::FailAll, Said::Applied),
        (Step::Panic, Said::Parked),
        (Step::Hang, Said::Retry),
    ] {
        let bench = bench_together(move |record| match number(&record.id) {
            3 => poison,
            _ => Step::Apply,
        });
        let report = bench
            .deliver(&changes(&["a", "b", "a", "c", "d", "e"]))
            .await;
        let mut expected = [Said::Applied; 6];
        expected[3] = ends;
        assert_eq!(said(&report), expected, "{poison:?}");
        assert_eq!(sizes(&bench)[0], 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_decode_fails_alone() {
    let bench = bench_together(|_| Step::Apply);
    let mut event = batch(["one", "two", "three"].map(message));
    event["Records"][1]["body"] = "{".into();
    let report = bench.deliver(&event).await;
    assert_eq!(said(&report), [Said::Applied, Said::Parked, Said::Applied]);
    assert_eq!(sizes(&bench), [2]);
}

#[tokio::test(start_paused = true)]
async fn of_a_group_of_a_queue_only_one_is_among_others() {
    let bench = bench_together(|_| Step::Apply);
    let messages = [("1", "a"), ("2", "a"), ("3", "b"), ("4", "a")];
    let report = bench
        .deliver(&batch(messages.map(|(id, group)| fifo_message(id, group))))
        .await;
    assert_eq!(said(&report), [Said::Applied; 4]);
    assert_eq!(sizes(&bench), [2]);
}
