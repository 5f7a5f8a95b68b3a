//! What is said about a delivery: the response for Lambda, a line per record for everybody else.

use millrace_events::{Failure, Outcome, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

/// What came of an invocation.
#[derive(Debug)]
pub struct Report {
    /// What Lambda returns: `{"batchItemFailures": […]}` for SQS and streams, else null.
    pub response: Value,
    /// One entry a record, in the order of the batch.
    pub records: Vec<RecordReport>,
    /// Direct sources know no partial response: if anything must be retried, the invocation has to fail.
    pub failed: Option<Failure>,
}

/// The one word for what became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// The effect took place now.
    Applied,
    /// A duplicate: the effect was there.
    Already,
    /// A newer version of the subject was applied before.
    Superseded,
    /// Not this worker's.
    Ignored,
    /// Handed back to its source, which will deliver it again.
    Retry,
    /// Moved from a stream to the worker's own queue, which will deliver it again.
    SetAside,
    /// Moved to the dead-letter queue.
    Parked,
}

impl Said {
    /// The word itself.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Already => "already",
            Self::Superseded => "superseded",
            Self::Ignored => "ignored",
            Self::Retry => "retry",
            Self::SetAside => "set-aside",
            Self::Parked => "parked",
        }
    }
}

impl From<Outcome> for Said {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied => Self::Applied,
            Outcome::Already => Self::Already,
            Outcome::Superseded => Self::Superseded,
            Outcome::Ignored(_) => Self::Ignored,
        }
    }
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordReport {
    /// The record's business identity; `undecodable:…` where it has none.
    pub id: String,
    /// What it happened to.
    pub subject: String,
    /// What became of it.
    pub outcome: Said,
    /// Why it failed, if it did.
    pub reason: Option<ReasonReport>,
    /// 1 for the first delivery, as far as the source counts.
    pub attempt: u32,
}

/// Why a record failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonReport {
    /// One of [`millrace_events::reason::ALL`].
    pub code: &'static str,
    /// The sentence for people, with its causes.
    pub message: String,
}

impl From<&Failure> for ReasonReport {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.reason().code(),
            message: failure.chain(),
        }
    }
}

/// By what a record, or what should have been one, is known.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) occurred_at: Option<OffsetDateTime>,
}

impl From<&Record> for Identity {
    fn from(record: &Record) -> Self {
        Self {
            id: record.id.clone(),
            subject: record.subject.clone(),
            occurred_at: record.occurred_at,
        }
    }
}

/// What became of a record, as the loop passes it around.
#[derive(Debug)]
pub(crate) enum Verdict {
    Done(Outcome),
    Parked(std::sync::Arc<Failure>),
    SetAside(Failure),
    Retry(Failure),
}

impl Verdict {
    pub(crate) fn said(&self) -> Said {
        match self {
            Self::Done(outcome) => Said::from(*outcome),
            Self::Parked(_) => Said::Parked,
            Self::SetAside(_) => Said::SetAside,
            Self::Retry(_) => Said::Retry,
        }
    }

    /// Why, for the log: without the failure's causes.
    pub(crate) fn sentence(&self) -> Option<&str> {
        match self {
            Self::Done(Outcome::Ignored(why)) => Some(why),
            other => other.failure().map(Failure::message),
        }
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Done(_) => None,
            Self::Parked(failure) => Some(failure),
            Self::SetAside(failure) | Self::Retry(failure) => Some(failure),
        }
    }
}
