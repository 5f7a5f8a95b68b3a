//! What a rehearsal writes down.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::error::ServiceError;

/// One effect that was withheld. Nothing in it is content: names, ids, counts and sizes only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// Such as `DynamoDB`, `S3`, `SQS`, `vector index`.
    pub service: String,
    /// The operation as its service calls it, such as `PutObject`.
    pub operation: String,
    /// What it would have changed: `table/key/key`, `s3://bucket/key`, the name of a queue or topic.
    pub target: String,
    /// A sentence without its subject: "write s3://… (1,234 bytes, new)".
    pub summary: String,
}

impl fmt::Display for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.summary)
    }
}

/// The effects that were withheld so far, in their order; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Effects(Arc<Mutex<Vec<Effect>>>);

impl Effects {
    /// Adds one.
    pub fn push(&self, effect: Effect) {
        let mut effects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        effects.push(effect);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Effect> {
        let effects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        effects.clone()
    }
}

/// Why a rehearsal says nothing: what the worker was answered is not what it would have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The worker asked for something that an overlay cannot stand in for.
    #[error("cannot be rehearsed: {operation} ({why})")]
    Operation {
        /// The operation.
        operation: String,
        /// Why not.
        why: String,
    },
    /// Reality could not be read.
    #[error("could not {attempted} for a rehearsal: {message}")]
    Unreadable {
        /// What was attempted.
        attempted: String,
        /// What the service said.
        message: String,
    },
}

/// Effects, and the first problem if there is one; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    effects: Effects,
    problem: Arc<Mutex<Option<Problem>>>,
}

impl Notes {
    pub(super) fn new(effects: Effects) -> Self {
        Self {
            effects,
            problem: Arc::default(),
        }
    }

    pub(super) fn withheld(&self, service: &str, operation: &str, target: String, summary: String) {
        self.effects.push(Effect {
            service: service.to_owned(),
            operation: operation.to_owned(),
            target,
            summary,
        });
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.clone()
    }

    /// Keeps the problem, unless there was one before, and makes an answer of it.
    pub(super) fn keep(&self, problem: Problem) -> ServiceError {
        tracing::debug!(%problem, "a rehearsal cannot go on");
        let error = ServiceError::from(&problem);
        let mut first = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(problem);
        error
    }

    pub(super) fn refuse(&self, operation: &str, why: &str) -> ServiceError {
        self.keep(Problem::Operation {
            operation: operation.to_owned(),
            why: why.to_owned(),
        })
    }
}

/// `1,234 bytes`.
pub(super) fn bytes(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let unit = if count == 1 { "byte" } else { "bytes" };
    format!("{grouped} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_grouped_by_three_digits() {
        let said: Vec<String> = [0, 1, 999, 1_000, 1_234_567]
            .into_iter()
            .map(bytes)
            .collect();
        assert_eq!(
            said,
            [
                "0 bytes",
                "1 byte",
                "999 bytes",
                "1,000 bytes",
                "1,234,567 bytes"
            ]
        );
    }
}
