//! What to do next with a batch of a stream's records: retry, bisect, discard, go on.
//!
//! A plain state machine. A batch is a row of parts, worked off strictly from the front, so that no
//! record overtakes an older one of its item. The engine asks for the next step, carries it out and
//! tells what came of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::report::Report;
use crate::template::OnError;

/// A record of a batch, as far as decisions need it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// The sequence number.
    pub(super) sequence: String,
    /// When it was written, in milliseconds since the epoch.
    pub(super) written_millis: i64,
    /// The record as it goes into the event.
    pub(super) record: serde_json::Value,
}

/// Why records are given up. The words are Lambda's, in the record for the on-failure destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    RetriesExhausted,
    AgeExceeded,
}

impl Condition {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "RetryAttemptsExhausted",
            Self::AgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// When to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) on_error: OnError,
    pub(super) maximum_retries: Option<u32>,
    pub(super) maximum_age: Option<Duration>,
}

/// What to do next. Positions are those of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Invoke the function with these records.
    Invoke(Range<usize>),
    /// Describe these records to the on-failure destination and go on after them.
    Discard {
        range: Range<usize>,
        condition: Condition,
        invocations: u32,
    },
    /// Nothing is left.
    Finished,
}

/// A stretch of the batch that is invoked as one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    range: Range<usize>,
    /// How often it was invoked as it is, or since it was only retried.
    invocations: u32,
}

/// A batch that is being worked off.
#[derive(Debug)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    parts: VecDeque<Part>,
    limits: Limits,
    /// Invocations in a row that got no record done: what the back-off grows with.
    fruitless: u32,
}

impl Batch {
    pub(super) fn new(entries: Vec<Entry>, limits: Limits) -> Self {
        let whole = Part {
            range: 0..entries.len(),
            invocations: 0,
        };
        Self {
            entries,
            parts: VecDeque::from([whole]),
            limits,
            fruitless: 0,
        }
    }

    pub(super) fn entries(&self, range: Range<usize>) -> &[Entry] {
        &self.entries[range]
    }

    /// The sequence number of the last record that is done or discarded with all before it.
    pub(super) fn done_through(&self) -> Option<&str> {
        let done = self
            .parts
            .front()
            .map_or(self.entries.len(), |part| part.range.start);
        done.checked_sub(1)
            .map(|last| self.entries[last].sequence.as_str())
    }

    pub(super) fn next(&mut self, now_millis: i64) -> Step {
        while self.parts.front().is_some_and(|part| part.range.is_empty()) {
            self.parts.pop_front();
        }
        let Some(part) = self.parts.front() else {
            return Step::Finished;
        };
        if let Some(retries) = self.limits.maximum_retries
            && part.invocations > retries
        {
            return Step::Discard {
                range: part.range.clone(),
                condition: Condition::RetriesExhausted,
                invocations: part.invocations,
            };
        }
        let expired = self.expired(part, now_millis);
        if expired > 0 {
            return Step::Discard {
                range: part.range.start..part.range.start + expired,
                condition: Condition::AgeExceeded,
                invocations: part.invocations,
            };
        }
        Step::Invoke(part.range.clone())
    }

    /// How many records at the front of a part are too old. Only those go: the ones after them still
    /// have their time.
    fn expired(&self, part: &Part, now_millis: i64) -> usize {
        let Some(maximum_age) = self.limits.maximum_age else {
            return 0;
        };
        let maximum = i64::try_from(maximum_age.as_millis()).unwrap_or(i64::MAX);
        self.entries[part.range.clone()]
            .iter()
            .take_while(|entry| now_millis.saturating_sub(entry.written_millis) > maximum)
            .count()
    }

    /// When the first record that is left becomes too old, in milliseconds since the epoch.
    pub(super) fn expires_millis(&self) -> Option<i64> {
        let first = self.entries.get(self.parts.front()?.range.start)?;
        let maximum = i64::try_from(self.limits.maximum_age?.as_millis()).ok()?;
        first.written_millis.checked_add(maximum)?.checked_add(1)
    }

    /// The first records of the front part were discarded.
    pub(super) fn discarded(&mut self, range: &Range<usize>) {
        if let Some(part) = self.parts.front_mut() {
            part.range.start = range.end.min(part.range.end);
        }
        self.fruitless = 0;
    }

    /// The front part was invoked.
    pub(super) fn answered(&mut self, report: &Report) {
        let Some(mut part) = self.parts.pop_front() else {
            return;
        };
        part.invocations += 1;
        let first_failed = match report {
            Report::AllDone => {
                self.fruitless = 0;
                return;
            }
            // Everything before the lowest failed record is done; what comes after it is delivered
            // again even if it succeeded.
            Report::Failed(failed) => failed.first().copied().unwrap_or(0),
            Report::FunctionFailed | Report::Malformed(_) => 0,
        };
        part.range.start += first_failed;
        self.fruitless = if first_failed > 0 {
            1
        } else {
            self.fruitless + 1
        };
        match self.limits.on_error {
            OnError::Retry => self.parts.push_front(part),
            OnError::Bisect => self.bisect(part, first_failed > 0),
        }
    }

    /// Splits what failed. Both halves begin with their retries unused: a split is not a retry.
    fn bisect(&mut self, part: Part, split_at_report: bool) {
        let fresh = |range: Range<usize>| Part {
            range,
            invocations: 0,
        };
        if split_at_report {
            // The done records were split off at the reported one: the rest is a batch of its own.
            self.parts.push_front(fresh(part.range));
        } else if part.range.len() > 1 {
            let middle = part.range.start + part.range.len() / 2;
            self.parts.push_front(fresh(middle..part.range.end));
            self.parts.push_front(fresh(part.range.start..middle));
        } else {
            self.parts.push_front(part);
        }
    }

    /// How many invocations in a row got nothing done.
    pub(super) fn fruitless(&self) -> u32 {
        self.fruitless
    }
}

#[cfg(test)]
mod tests;
