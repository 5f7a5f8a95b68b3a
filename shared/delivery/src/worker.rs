//! The worker: what happens when an event arrives.

use std::{collections::BTreeSet, future::Future, sync::Arc};

use millrace_events::{Failure, Outcome, Payload, Record, RowChange, reason};
use time::OffsetDateTime;

/// What turns one kind of event into durable effects.
///
/// Everything around it (envelopes, batches, ordering, panics, deadlines, retries, parking, metrics,
/// logs) is the loop's business.
pub trait Worker: Send + Sync + 'static {
    /// The worker's name: Lambda's `_HANDLER`, the word in logs and metrics.
    const NAME: &'static str;

    /// What it listens to, decoded.
    type Event: FromRecord + Send + Sync + Clone;

    /// Turns one event into its effects. May be called again with the same event at any time.
    fn handle(
        &self,
        event: Self::Event,
        cx: &Cx,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// How many records of a batch are handled together at most; 1: each alone.
    const TOGETHER: usize = 1;

    /// Turns several events into their effects, with an answer for each, in their order: for workers that need fewer requests for
    /// many than for each alone. May be called with any part of them again, or with one alone by [`Worker::handle`]: when
    /// this fails as a whole, panics or takes too long, each is handled alone.
    ///
    /// Events of one subject are in its order. Once one of them fails, those behind it must not take effect here, and the answer for
    /// them does not count: they are handled alone when their turn comes.
    fn handle_together(
        &self,
        events: Vec<(Self::Event, Cx)>,
    ) -> impl Future<Output = Result<Vec<Result<Outcome, Failure>>, Failure>> + Send {
        async move {
            let mut answers = Vec::with_capacity(events.len());
            let mut failed: BTreeSet<String> = BTreeSet::new();
            for (event, cx) in events {
                let answer = if failed.contains(&cx.record.subject) {
                    Err(held_back("an earlier record of its subject"))
                } else {
                    self.handle(event, &cx).await
                };
                if answer.is_err() {
                    failed.insert(cx.record.subject.clone());
                }
                answers.push(answer);
            }
            Ok(answers)
        }
    }

    /// Whether a record waits in the worker's own queue after this failure, which is transient: something that the worker stands on is
    /// down, perhaps for long. A stream then goes on without the record, which comes back from the queue, later and
    /// later, and for much longer than after other failures. So it may be handled after newer ones of its subject: for
    /// workers whose guards make that harmless.
    fn steps_aside(failure: &Failure) -> bool {
        let _ = failure;
        false
    }

    /// Called before a record is parked, so that the subject can say that it failed. May be called again.
    fn give_up(
        &self,
        event: Self::Event,
        failure: &Failure,
        cx: &Cx,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = (event, failure, cx);
        std::future::ready(Ok(()))
    }
}

/// That something must be retried first.
pub(crate) fn held_back(by: &str) -> Failure {
    Failure::transient(reason::HELD_BACK, format!("{by} must be retried first"))
}

/// Takes from a record what a worker listens to.
pub trait FromRecord: Sized {
    /// `Ok(None)`: not this worker's, which ends as `Ignored`.
    fn from_record(record: &Record) -> Result<Option<Self>, Failure>;
}

impl FromRecord for Record {
    fn from_record(record: &Record) -> Result<Option<Self>, Failure> {
        Ok(Some(record.clone()))
    }
}

impl FromRecord for millrace_events::ObjectChange {
    fn from_record(record: &Record) -> Result<Option<Self>, Failure> {
        Ok(match &record.payload {
            Payload::Object(change) => Some(change.clone()),
            Payload::Row(_) | Payload::Schedule(_) | Payload::Message(_) | Payload::Test => None,
        })
    }
}

impl FromRecord for RowChange {
    fn from_record(record: &Record) -> Result<Option<Self>, Failure> {
        Ok(match &record.payload {
            Payload::Row(change) => Some(change.clone()),
            Payload::Object(_) | Payload::Schedule(_) | Payload::Message(_) | Payload::Test => None,
        })
    }
}

/// What a handler may know of the delivery it is part of.
#[derive(Debug, Clone)]
pub struct Cx {
    /// The record being handled, without its payload's meaning.
    pub record: Arc<Record>,
    /// 1 for the first delivery, as far as the source counts.
    pub attempt: u32,
    /// When the invocation ends; work that cannot be done by then is better not begun.
    pub deadline: tokio::time::Instant,
    /// The trace that this record belongs to, through the whole pipeline.
    pub trace_id: String,
    /// The time by the world's clock.
    pub now: OffsetDateTime,
}
