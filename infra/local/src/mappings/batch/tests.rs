#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;

const NOW: i64 = 1_000_000;

fn batch(records: usize, limits: Limits) -> Batch {
    let entries = (0..records).map(|number| Entry {
        sequence: number.to_string(),
        written_millis: NOW,
        record: serde_json::Value::Null,
    });
    Batch::new(entries.collect(), limits)
}

fn limits(on_error: OnError, maximum_retries: Option<u32>) -> Limits {
    Limits {
        on_error,
        maximum_retries,
        maximum_age: None,
    }
}

/// Works a batch off with a function that fails as a whole while any of `poison` is in its batch.
/// Gives the invocations and the discarded ranges.
fn run(mut batch: Batch, poison: &[usize]) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut invoked, mut discarded) = (Vec::new(), Vec::new());
    loop {
        match batch.next(NOW) {
            Step::Finished => return (invoked, discarded),
            Step::Discard { range, .. } => {
                batch.discarded(&range);
                discarded.push(range);
            }
            Step::Invoke(range) => {
                let fails = poison.iter().any(|position| range.contains(position));
                batch.answered(if fails {
                    &Report::FunctionFailed
                } else {
                    &Report::AllDone
                });
                invoked.push(range);
            }
        }
        assert!(invoked.len() < 1_000, "it never ends");
    }
}

#[test]
fn a_batch_that_succeeds_is_invoked_once() {
    assert_eq!(
        run(batch(3, limits(OnError::Retry, Some(2))), &[]),
        (vec![Range { start: 0, end: 3 }], vec![])
    );
}

#[test]
fn without_bisect_the_whole_batch_is_retried_and_then_discarded() {
    let (invoked, discarded) = run(batch(3, limits(OnError::Retry, Some(2))), &[1]);
    assert_eq!(
        invoked,
        [0..3, 0..3, 0..3],
        "one invocation and two retries"
    );
    assert_eq!(discarded, std::slice::from_ref(&(0..3)));
}

#[test]
fn no_retries_means_one_invocation() {
    let (invoked, discarded) = run(batch(2, limits(OnError::Retry, Some(0))), &[0]);
    assert_eq!(invoked, std::slice::from_ref(&(0..2)));
    assert_eq!(discarded, std::slice::from_ref(&(0..2)));
}

#[test]
fn bisect_halves_until_only_the_poison_is_left() {
    let (invoked, discarded) = run(batch(8, limits(OnError::Bisect, Some(0))), &[5]);
    assert_eq!(invoked, [0..8, 0..4, 4..8, 4..6, 4..5, 5..6, 6..8]);
    assert_eq!(discarded, std::slice::from_ref(&(5..6)));
}

#[test]
fn a_split_uses_up_no_retry() {
    let (invoked, discarded) = run(batch(2, limits(OnError::Bisect, Some(2))), &[0]);
    assert_eq!(invoked, [0..2, 0..1, 0..1, 0..1, 1..2]);
    assert_eq!(discarded, std::slice::from_ref(&(0..1)));
}

#[test]
fn several_poisons_are_each_isolated() {
    let (_, discarded) = run(batch(10, limits(OnError::Bisect, Some(1))), &[0, 4, 9]);
    assert_eq!(discarded, [0..1, 4..5, 9..10]);
}

#[test]
fn the_lowest_reported_failure_is_where_the_retry_begins() {
    let mut batch = batch(5, limits(OnError::Retry, Some(2)));
    assert_eq!(batch.next(NOW), Step::Invoke(0..5));
    batch.answered(&Report::Failed(BTreeSet::from([2, 4])));
    assert_eq!(batch.done_through(), Some("1"));
    assert_eq!(
        batch.next(NOW),
        Step::Invoke(2..5),
        "3 is delivered again, though it succeeded"
    );
    batch.answered(&Report::AllDone);
    assert_eq!(batch.done_through(), Some("4"));
    assert_eq!(batch.next(NOW), Step::Finished);
}

#[test]
fn reported_failures_use_up_the_retries_without_bisect() {
    let mut batch = batch(3, limits(OnError::Retry, Some(2)));
    for (range, first_failed) in [(0..3, 1), (1..3, 0), (1..3, 0)] {
        assert_eq!(batch.next(NOW), Step::Invoke(range));
        batch.answered(&Report::Failed(BTreeSet::from([first_failed])));
    }
    let Step::Discard {
        range,
        condition,
        invocations,
    } = batch.next(NOW)
    else {
        panic!("three invocations are all that there are");
    };
    assert_eq!(
        (range, condition, invocations),
        (1..3, Condition::RetriesExhausted, 3)
    );
}

#[test]
fn with_bisect_and_reports_the_batch_is_split_at_the_reported_record() {
    let mut batch = batch(6, limits(OnError::Bisect, Some(0)));
    assert_eq!(batch.next(NOW), Step::Invoke(0..6));
    batch.answered(&Report::Failed(BTreeSet::from([3])));
    assert_eq!(
        batch.next(NOW),
        Step::Invoke(3..6),
        "only what remains is retried"
    );
    batch.answered(&Report::Failed(BTreeSet::from([0])));
    assert_eq!(
        batch.next(NOW),
        Step::Invoke(3..4),
        "nothing was done: split in the middle"
    );
    batch.answered(&Report::Failed(BTreeSet::from([0])));
    assert!(matches!(batch.next(NOW), Step::Discard { range, .. } if range == (3..4)));
    batch.discarded(&(3..4));
    assert_eq!(batch.next(NOW), Step::Invoke(4..6));
    batch.answered(&Report::AllDone);
    assert_eq!(batch.next(NOW), Step::Finished);
}

#[test]
fn an_answer_that_makes_no_sense_counts_as_a_failed_batch() {
    let mut batch = batch(2, limits(OnError::Retry, Some(1)));
    batch.next(NOW);
    batch.answered(&Report::Malformed(String::new()));
    assert_eq!(batch.next(NOW), Step::Invoke(0..2));
}

#[test]
fn records_too_old_go_and_those_with_time_left_stay() {
    let limits = Limits {
        on_error: OnError::Retry,
        maximum_retries: None,
        maximum_age: Some(Duration::from_secs(60)),
    };
    let entries = [0, 10, 70].map(|seconds| Entry {
        sequence: seconds.to_string(),
        written_millis: seconds * 1_000,
        record: serde_json::Value::Null,
    });
    let mut batch = Batch::new(entries.into(), limits);
    assert_eq!(
        batch.next(60_000),
        Step::Invoke(0..3),
        "sixty seconds are not older than sixty"
    );
    batch.answered(&Report::FunctionFailed);
    assert_eq!(batch.expires_millis(), Some(60_001));
    assert_eq!(
        batch.next(71_000),
        Step::Discard {
            range: 0..2,
            condition: Condition::AgeExceeded,
            invocations: 1,
        }
    );
    batch.discarded(&(0..2));
    assert_eq!(batch.done_through(), Some("10"));
    assert_eq!(batch.next(71_000), Step::Invoke(2..3));
}

#[test]
fn without_limits_a_batch_is_retried_for_ever() {
    let mut batch = batch(2, limits(OnError::Retry, None));
    for attempt in 1..500 {
        assert_eq!(batch.next(NOW), Step::Invoke(0..2));
        batch.answered(&Report::FunctionFailed);
        assert_eq!(batch.fruitless(), attempt);
    }
}

#[test]
fn the_back_off_begins_anew_when_a_record_got_done() {
    let mut batch = batch(3, limits(OnError::Retry, None));
    for _ in 0..5 {
        batch.answered(&Report::FunctionFailed);
    }
    batch.answered(&Report::Failed(BTreeSet::from([1])));
    assert_eq!(batch.fruitless(), 1);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the function answers: parts come strictly from the front, every record ends as
        /// done or discarded exactly once, and it ends.
        #[test]
        fn every_record_ends_once_and_in_order(
            size in 1_usize..40,
            bisects in any::<bool>(),
            retries in 0_u32..4,
            answers in proptest::collection::vec(0_usize..60, 1..400),
        ) {
            let on_error = if bisects { OnError::Bisect } else { OnError::Retry };
            let mut batch = batch(size, limits(on_error, Some(retries)));
            let mut answers = answers.into_iter().cycle();
            let mut done = 0;
            for _ in 0..10_000 {
                match batch.next(NOW) {
                    Step::Finished => {
                        prop_assert_eq!(done, size);
                        return Ok(());
                    }
                    Step::Discard { range, .. } => {
                        prop_assert_eq!(range.start, done);
                        done = range.end;
                        batch.discarded(&range);
                    }
                    Step::Invoke(range) => {
                        prop_assert_eq!(range.start, done);
                        let report = match answers.next().unwrap() {
                            0..10 => Report::AllDone,
                            10..20 => Report::FunctionFailed,
                            position => Report::Failed(BTreeSet::from([(position - 20) % range.len()])),
                        };
                        done = match &report {
                            Report::AllDone => range.end,
                            Report::Failed(failed) => range.start + failed.first().unwrap(),
                            _ => done,
                        };
                        batch.answered(&report);
                    }
                }
                let through = batch.done_through().map(str::to_owned);
                prop_assert_eq!(through, done.checked_sub(1).map(|last| last.to_string()));
            }
            prop_assert!(false, "it never ends");
        }
    }
}
