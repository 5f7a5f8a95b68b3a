//! What must hold for any batch and any outcomes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use millrace_delivery::{Report, Said};
use millrace_events::Record;
use proptest::prelude::*;
use support::*;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Apply),
        1 => Just(Step::Already),
        1 => Just(Step::Ignore),
        2 => Just(Step::Transient),
        1 => Just(Step::Throttled(30)),
        2 => Just(Step::Permanent),
        1 => Just(Step::Panic),
        1 => Just(Step::Hang),
        1 => Just(Step::Take(20)),
        1 => Just(Step::GiveUpTransient),
        1 => Just(Step::GiveUpPanic),
        1 => Just(Step::FailAll),
    ]
}

/// Steps with the lane each belongs to and whether parking it is refused, the seconds there are, and whether the worker handles
/// several together.
fn batches() -> impl Strategy<Value = (Vec<(Step, u8, bool)>, u64, bool)> {
    let entry = (step(), 0_u8..4, prop::bool::weighted(0.1));
    // Together, one that hangs or fails all befalls the others: calmer batches show more.
    let calm = prop_oneof![6 => Just(Step::Apply), 1 => Just(Step::Already), 1 => Just(Step::Transient), 1 => Just(Step::Permanent)];
    let calm = (calm, 0_u8..4, prop::bool::weighted(0.1));
    let entries = prop_oneof![
        prop::collection::vec(entry, 1..14),
        prop::collection::vec(calm, 1..14),
    ];
    (entries, 5_u64..120, any::<bool>())
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// Nothing is lost: what is not said to come back was handled to its end or parked.
fn assert_nothing_lost(bench: &Bench, report: &Report) {
    let parked: BTreeSet<_> = bench
        .parked()
        .into_iter()
        .map(|parked| parked.record_id)
        .collect();
    let ended: BTreeSet<_> = bench.seen.ended.lock().unwrap().iter().cloned().collect();
    for record in &report.records {
        match record.outcome {
            Said::Retry => {}
            Said::Parked => assert!(parked.contains(&record.id), "{} is lost", record.id),
            _ => assert!(ended.contains(&record.id), "{} never ended", record.id),
        }
    }
}

/// No record of a lane was started after one of it that must come back, and none took effect before one that came first.
fn assert_ordered<'a>(
    bench: &Bench,
    report: &'a Report,
    lane_of: impl Fn(&'a str) -> &'a str,
    step_of: impl Fn(&str) -> Step,
) {
    let started = bench.started();
    let ended = bench.seen.ended.lock().unwrap().clone();
    let mut failed: BTreeMap<&str, &str> = BTreeMap::new();
    let mut last: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for record in &report.records {
        let lane = lane_of(&record.id);
        let place = |of: &[String]| of.iter().position(|id| *id == record.id);
        if let Some(start) = place(&started) {
            assert!(
                !failed.contains_key(lane),
                "{} overtook {}",
                record.id,
                failed[lane]
            );
            let end = place(&ended).unwrap_or(usize::MAX);
            if let Some((started, ended)) = last.insert(lane, (start, end)) {
                assert!(started < start, "{} was started too early", record.id);
                // What panics has no end.
                assert!(
                    ended < end || ended == usize::MAX,
                    "{} took effect too early",
                    record.id
                );
            }
        }
        if record.outcome == Said::Retry {
            // Together, it may have taken effect with those behind it before the time was up: then it has its place before them.
            let took_effect = matches!(
                step_of(&record.id),
                Step::Apply | Step::Already | Step::Ignore | Step::Take(_) | Step::FailAll
            );
            if !(bench.is_together && took_effect && place(&ended).is_some()) {
                failed.insert(lane, &record.id);
            }
        } else {
            assert!(
                !failed.contains_key(lane),
                "{} ended after {}",
                record.id,
                failed[lane]
            );
        }
    }
}

fn refuse(bench: &Bench, entries: &[(Step, u8, bool)], id_of: impl Fn(usize) -> String) {
    let mut refused = bench.parking.refuse.lock().unwrap();
    for (position, (_, _, refuse)) in entries.iter().enumerate() {
        if *refuse {
            refused.insert(id_of(position));
        }
    }
}

/// A script by position; ids end in `#position`, or are sequence numbers.
fn bench_of(entries: &[(Step, u8, bool)], together: bool, position_of: fn(&str) -> usize) -> Bench {
    let steps: Vec<Step> = entries.iter().map(|(step, _, _)| *step).collect();
    let script = move |record: &Record| steps[position_of(&record.id)];
    if together {
        bench_together(script)
    } else {
        bench(script)
    }
}

fn after_hash(id: &str) -> usize {
    id.rsplit('#').next().unwrap().parse().unwrap()
}

fn after_at(id: &str) -> usize {
    id.rsplit('@').next().unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn fifo_groups_keep_their_order_and_lose_nothing((entries, seconds, together) in batches()) {
        let id = |position: usize| format!("g{}#{position}", entries[position].1);
        let bench = bench_of(&entries, together, after_hash);
        refuse(&bench, &entries, id);
        let messages = entries.iter().enumerate();
        let event = batch(messages.map(|(n, (_, group, _))| fifo_message(&id(n), &group.to_string())));
        let report = run(bench.deliver_within(&event, seconds));
        prop_assert_eq!(report.records.len(), entries.len());
        assert_nothing_lost(&bench, &report);
        assert_ordered(&bench, &report, |id| id.split('#').next().unwrap(), |id| entries[after_hash(id)].0);
        let retried: Vec<_> = report.records.iter().filter(|r| r.outcome == Said::Retry).map(|r| r.id.clone()).collect();
        prop_assert_eq!(failed_ids(&report), retried);
    }

    #[test]
    fn standard_messages_never_wait_for_one_another((entries, seconds, together) in batches()) {
        let id = |position: usize| format!("m#{position}");
        let bench = bench_of(&entries, together, after_hash);
        refuse(&bench, &entries, id);
        let event = batch((0..entries.len()).map(|n| message(&id(n))));
        let report = run(bench.deliver_within(&event, seconds));
        prop_assert_eq!(report.records.len(), entries.len());
        assert_nothing_lost(&bench, &report);
        for record in &report.records {
            let reason = record.reason.as_ref().map(|reason| reason.code);
            prop_assert_ne!(reason, Some("held-back"));
        }
        let retried: Vec<_> = report.records.iter().filter(|r| r.outcome == Said::Retry).map(|r| r.id.clone()).collect();
        prop_assert_eq!(failed_ids(&report), retried);
    }

    #[test]
    fn streams_keep_a_row_s_order_and_report_the_lowest_number((entries, seconds, together) in batches()) {
        let bench = bench_of(&entries, together, after_at);
        let changes: Vec<_> = entries.iter().enumerate().map(|(n, (_, row, _))| change(&row.to_string(), n as u64)).collect();
        let ids: Vec<String> = changes.iter().map(|change| {
            let message = millrace_events::open(change).unwrap().messages.remove(0);
            message.records.unwrap()[0].id.clone()
        }).collect();
        refuse(&bench, &entries, |position| ids[position].clone());
        let report = run(bench.deliver_within(&batch(changes), seconds));
        prop_assert_eq!(report.records.len(), entries.len());
        assert_nothing_lost(&bench, &report);
        assert_ordered(&bench, &report, |id| id.split('@').next().unwrap(), |id| entries[after_at(id)].0);
        let lowest = report.records.iter().filter(|r| r.outcome == Said::Retry).map(|r| after_at(&r.id)).min();
        prop_assert_eq!(failed_ids(&report), lowest.map(|n| n.to_string()).into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_redelivered_stream_ends_with_every_record_handled((entries, _, together) in batches()) {
        // Lambda's side of the contract: from the reported number on, everything is delivered again.
        // Whatever was transient the first time works the second time.
        let steps: Vec<Step> = entries.iter().map(|(step, _, _)| *step).collect();
        let tries = std::sync::Mutex::new(BTreeMap::<String, u32>::new());
        let script = move |record: &Record| {
            let mut tries = tries.lock().unwrap();
            let count = tries.entry(record.id.clone()).or_default();
            *count += 1;
            match steps[after_at(&record.id)] {
                Step::Transient | Step::Throttled(_) if *count == 1 => Step::Transient,
                Step::Permanent => Step::Permanent,
                _ => Step::Apply,
            }
        };
        let bench = if together { bench_together(script) } else { bench(script) };
        let changes: Vec<_> = entries.iter().enumerate().map(|(n, (_, row, _))| change(&row.to_string(), n as u64)).collect();
        let mut from = 0;
        let mut done = BTreeSet::new();
        for _ in 0..=2 * entries.len() {
            let report = run(bench.deliver(&batch(changes[from..].to_vec())));
            let ended = report.records.iter().filter(|record| record.outcome != Said::Retry);
            done.extend(ended.map(|record| record.id.clone()));
            match failed_ids(&report).first() {
                Some(number) => from = number.parse().unwrap(),
                None => break,
            }
        }
        prop_assert_eq!(done.len(), entries.len());
    }
}
