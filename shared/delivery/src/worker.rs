//! The worker: what happens when an event arrives.

use std::{future::Future, sync::Arc};

use millrace_events::{Failure, Outcome, Payload, Record, RowChange};
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
