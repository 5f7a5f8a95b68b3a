//! A worker without its type, run so that what it does wrong stays its own.

use std::{collections::BTreeSet, future::Future, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use futures::FutureExt;
use millrace_events::{Failure, Outcome};
use tokio::{task::JoinSet, time::Instant};

use crate::{Cx, FromRecord, Worker, panics, worker::held_back};

/// How the handling of one record ended.
pub(crate) type Answer = Result<Outcome, Failure>;

/// A worker whose event type is forgotten.
#[async_trait]
pub(crate) trait Handler: Send + Sync {
    fn name(&self) -> &'static str;
    async fn handle(&self, cx: &Cx) -> Result<Outcome, Failure>;
    /// How many are handled together at most.
    fn together(&self) -> usize;
    /// An answer for each, or none for all of them.
    async fn handle_together(&self, cxs: Vec<Cx>) -> Result<Vec<Answer>, Failure>;
    async fn give_up(&self, failure: &Failure, cx: &Cx) -> Result<(), Failure>;
    fn steps_aside(&self, failure: &Failure) -> bool;
}

const NOT_ITS_OWN: Outcome = Outcome::Ignored("not an event of this worker");

pub(crate) fn erase<W: Worker>(worker: W) -> Arc<dyn Handler> {
    Arc::new(Erased(worker))
}

struct Erased<W>(W);

#[async_trait]
impl<W: Worker> Handler for Erased<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    async fn handle(&self, cx: &Cx) -> Result<Outcome, Failure> {
        match W::Event::from_record(&cx.record)? {
            Some(event) => self.0.handle(event, cx).await,
            None => Ok(NOT_ITS_OWN),
        }
    }

    fn together(&self) -> usize {
        W::TOGETHER
    }

    async fn handle_together(&self, cxs: Vec<Cx>) -> Result<Vec<Answer>, Failure> {
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(cxs.len());
        let mut events = Vec::with_capacity(cxs.len());
        let mut failed: BTreeSet<String> = BTreeSet::new();
        for cx in cxs {
            let subject = &cx.record.subject;
            answers.push(match W::Event::from_record(&cx.record) {
                Ok(None) => Some(Ok(NOT_ITS_OWN)),
                // What is behind one that failed is not handled here.
                _ if failed.contains(subject) => Some(Err(held_back("an earlier record"))),
                Err(failure) => {
                    failed.insert(subject.clone());
                    Some(Err(failure))
                }
                Ok(Some(event)) => {
                    events.push((event, cx));
                    None
                }
            });
        }
        if events.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let mut told = self.0.handle_together(events).await?.into_iter();
        let answers = answers
            .into_iter()
            .map(|answer| answer.or_else(|| told.next()));
        // One too few or too many shows in their number.
        let mut answers: Vec<Answer> = answers.flatten().collect();
        answers.extend(told);
        Ok(answers)
    }

    async fn give_up(&self, failure: &Failure, cx: &Cx) -> Result<(), Failure> {
        match W::Event::from_record(&cx.record) {
            Ok(Some(event)) => self.0.give_up(event, failure, cx).await,
            // Not readable as an event: there is no subject that could say that it failed.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn steps_aside(&self, failure: &Failure) -> bool {
        failure.is_transient() && W::steps_aside(failure)
    }
}

/// How an isolated piece of work ended.
#[derive(Debug)]
pub(crate) enum Isolated<T> {
    Finished(T),
    /// Where, if the panic hook is installed.
    Panicked(Option<String>),
    TimedOut,
}

/// Runs work on a task of its own until `limit`: a panic ends only it, and even work that blocks its
/// thread does not hold up the others. What is still running at the limit is aborted.
pub(crate) async fn isolate<T, F>(limit: Instant, work: F) -> Isolated<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut task = JoinSet::new();
    task.spawn(async move {
        let ended = AssertUnwindSafe(work).catch_unwind().await;
        ended.map_err(|_| panics::take_place())
    });
    // Dropping the set aborts the task, also when the whole delivery is dropped.
    match tokio::time::timeout_at(limit, task.join_next()).await {
        Ok(Some(Ok(Ok(value)))) => Isolated::Finished(value),
        Ok(Some(Ok(Err(place)))) => Isolated::Panicked(place),
        // The payload of the panic panicked when it was dropped, or the runtime shuts down.
        Ok(Some(Err(_)) | None) => Isolated::Panicked(None),
        Err(_) => Isolated::TimedOut,
    }
}
