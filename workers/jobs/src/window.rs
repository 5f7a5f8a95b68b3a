//! The matching window: it opens with a job's first response and is open for a set time.
//!
//! Responses may be heard of in any order. What follows from them is therefore a function of the set of those that are
//! known: the first is the earliest, not the one heard of first, and a response counts when it was given in time, however
//! late its event came. An earlier one that is heard of later only moves the end forward in time, so a window
//! that was closed stays rightly closed.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use crate::rows;

/// SQS delays a message by so much at most; a longer window is waited for in several steps.
pub const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// A response as it was collected. It is a fact: nothing of it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Who answered.
    pub employee_id: String,
    /// When.
    pub responded_at: OffsetDateTime,
}

impl Response {
    /// Of a row in the matches table. Times are kept in whole milliseconds, as rows write them.
    pub fn of(row: &rows::Response) -> Self {
        let at = row.responded_at.to_offset(time::UtcOffset::UTC);
        let whole = at.replace_millisecond(at.millisecond());
        Self {
            employee_id: row.employee_id.clone(),
            responded_at: whole.unwrap_or(at),
        }
    }
}

/// All that are known, by response id.
pub type Responses = BTreeMap<String, Response>;

/// The window of a job with at least one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When the earliest response was given.
    pub first: OffsetDateTime,
    /// When the window ends; what was given exactly then still counts.
    pub due: OffsetDateTime,
}

/// What a message that says "look at this window" finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The time has come.
    Due,
    /// Not yet: look again after so long.
    Later(Duration),
}

impl Window {
    /// The window that these responses open; `None` when there is none.
    pub fn of(responses: &Responses, length: Duration) -> Option<Self> {
        let first = responses.values().map(|one| one.responded_at).min()?;
        let length = time::Duration::try_from(length).unwrap_or(time::Duration::MAX);
        // Beyond the end of time nothing is ever due.
        let due = first
            .checked_add(length)
            .unwrap_or(time::PrimitiveDateTime::MAX.assume_utc());
        Some(Self { first, due })
    }

    /// Whether a response that was given then counts.
    pub fn counts(&self, response: &Response) -> bool {
        response.responded_at <= self.due
    }

    /// The responses that count, earliest first, ties by id.
    pub fn counted(self, responses: &Responses) -> Vec<(&str, &Response)> {
        let mut counted: Vec<(&str, &Response)> = responses
            .iter()
            .filter(|(_, response)| self.counts(response))
            .map(|(id, response)| (id.as_str(), response))
            .collect();
        counted.sort_by_key(|(id, response)| (response.responded_at, *id));
        counted
    }

    /// Whether to close it now, or when to look again: whole seconds, at least one, at most what SQS can wait.
    pub fn look(&self, now: OffsetDateTime) -> Look {
        let left = self.due - now;
        if left <= time::Duration::ZERO {
            return Look::Due;
        }
        let nanoseconds = left.subsec_nanoseconds();
        let seconds = left.whole_seconds() + i64::from(nanoseconds > 0);
        let seconds = u64::try_from(seconds).unwrap_or(1);
        Look::Later(Duration::from_secs(seconds).min(LONGEST_DELAY))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::{collection::btree_map, prelude::*};
    use time::macros::datetime;

    use super::*;

    const TEN: OffsetDateTime = datetime!(2026-11-21 10:00 UTC);
    const QUARTER: Duration = Duration::from_secs(900);

    fn at(seconds: i64) -> Response {
        Response {
            employee_id: format!("e-{seconds}"),
            responded_at: TEN + time::Duration::seconds(seconds),
        }
    }

    fn all(seconds: &[i64]) -> Responses {
        let entries = seconds.iter().map(|one| (format!("r{one}"), at(*one)));
        entries.collect()
    }

    fn ids(responses: &Responses) -> Vec<&str> {
        let window = Window::of(responses, QUARTER).unwrap();
        let counted = window.counted(responses);
        counted.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn nobody_has_answered_no_window() {
        assert_eq!(Window::of(&Responses::new(), QUARTER), None);
    }

    #[test]
    fn what_is_given_exactly_at_the_end_counts() {
        assert_eq!(ids(&all(&[0, 899, 900, 901])), ["r0", "r899", "r900"]);
    }

    #[test]
    fn an_earlier_response_heard_of_later_moves_the_end() {
        assert_eq!(ids(&all(&[100, 950])), ["r100", "r950"]);
        assert_eq!(ids(&all(&[100, 950, 0])), ["r0", "r100"]);
    }

    #[test]
    fn a_window_is_closed_when_it_is_due_and_not_a_moment_before() {
        let window = Window::of(&all(&[0]), QUARTER).unwrap();
        assert_eq!(window.look(TEN + QUARTER), Look::Due);
        assert_eq!(window.look(TEN + QUARTER * 2), Look::Due);
        let almost = TEN + QUARTER - Duration::from_millis(1);
        assert_eq!(window.look(almost), Look::Later(Duration::from_secs(1)));
        assert_eq!(window.look(TEN), Look::Later(QUARTER));
        // A response from a clock that goes fast.
        let before = TEN - Duration::from_secs(100);
        assert_eq!(window.look(before), Look::Later(LONGEST_DELAY));
    }

    #[test]
    fn a_window_of_weeks_is_waited_for_in_steps() {
        let weeks = Duration::from_secs(30 * 24 * 60 * 60);
        let window = Window::of(&all(&[0]), weeks).unwrap();
        let (mut now, mut looks) = (TEN, 0);
        while let Look::Later(delay) = window.look(now) {
            assert!(delay <= LONGEST_DELAY && delay >= Duration::from_secs(1));
            now += delay;
            looks += 1;
        }
        assert_eq!((now, looks), (TEN + weeks, 30 * 24 * 4));
    }

    #[test]
    fn a_window_without_end_is_never_due() {
        let window = Window::of(&all(&[0]), Duration::MAX).unwrap();
        assert_eq!(window.look(TEN), Look::Later(LONGEST_DELAY));
    }

    proptest! {
        #[test]
        fn whatever_the_order_the_end_is_the_same_and_only_moves_forward(
            known in btree_map("[a-f]{1,2}", -2000_i64..2000, 1..12),
            order in any::<prop::sample::Index>(),
            seconds in 0_u64..3000,
        ) {
            let length = Duration::from_secs(seconds);
            let mut heard: Vec<(String, Response)> =
                known.iter().map(|(id, second)| (id.clone(), at(*second))).collect();
            let whole: Responses = heard.iter().cloned().collect();
            let size = heard.len();
            heard.rotate_left(order.index(size));
            let mut collected = Responses::new();
            let mut dues = Vec::new();
            for (id, response) in heard {
                collected.insert(id, response);
                dues.push(Window::of(&collected, length).unwrap().due);
            }
            prop_assert!(dues.is_sorted_by(|earlier, later| earlier >= later));
            let window = Window::of(&whole, length).unwrap();
            prop_assert_eq!(dues.last(), Some(&window.due));
            // Said again, simply: who answered at most `length` after the earliest.
            let earliest = known.values().min().unwrap();
            let expected = known.values().filter(|one| u64::try_from(*one - earliest).unwrap() <= seconds).count();
            prop_assert_eq!(window.counted(&whole).len(), expected);
            prop_assert!(window.counted(&whole).is_sorted_by_key(|(id, one)| (one.responded_at, *id)));
        }
    }
}
