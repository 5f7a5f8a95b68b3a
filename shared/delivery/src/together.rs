//! Workers that handle many records together.
//!
//! What they say of each record stands in for handling it alone, once its turn comes; everything else (order, giving up, parking,
//! stepping aside, the report) goes as for any record. What they say nothing of is handled alone.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use millrace_events::{Batch, Failure, Outcome, Payload, Record, Source};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    Cx, Delivery,
    attempt::{Attempt, Times},
    handler::{Isolated, isolate},
};

/// A record by its message in the batch and its place in the message.
type Place = (usize, usize);

/// How a record was handled among others.
pub(crate) struct Handled {
    pub(crate) started: Instant,
    pub(crate) result: Result<Outcome, Failure>,
}

/// What is known of records before their turn comes.
#[derive(Default)]
pub(crate) struct Early(Mutex<HashMap<Place, Handled>>);

impl Early {
    /// What is known of this record, once.
    pub(crate) fn take(&self, message: usize, record: usize) -> Option<Handled> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&(message, record))
    }
}

/// A record that may be handled among others.
struct Candidate {
    place: Place,
    lane: usize,
    record: Arc<Record>,
}

impl Delivery {
    /// Handles the batch's records together, as many at once as the worker takes, in their order.
    pub(crate) async fn together(
        &self,
        batch: &Batch,
        lanes: &[Vec<usize>],
        times: Times,
        invocation_trace: Option<&str>,
    ) -> Early {
        let most = self.handler.together();
        let mut waiting = if most > 1 {
            candidates(batch, lanes)
        } else {
            VecDeque::new()
        };
        let mut known = HashMap::new();
        // A lane of which something failed goes on alone: what is behind it must not overtake it.
        let mut stopped: BTreeSet<usize> = BTreeSet::new();
        while !waiting.is_empty() && Instant::now() < times.stop_at {
            let chunk = next_chunk(&mut waiting, most, batch.source, &stopped);
            if chunk.len() < 2 {
                stopped.extend(chunk.iter().map(|one| one.lane));
                continue;
            }
            let started = Instant::now();
            let results = self.chunk(batch, &chunk, times, invocation_trace).await;
            let results = results
                .into_iter()
                .map(Some)
                .chain(std::iter::repeat_with(|| None));
            for (one, result) in chunk.into_iter().zip(results) {
                if stopped.contains(&one.lane) {
                    continue;
                }
                match result {
                    Some(result) => {
                        if result.is_err() {
                            stopped.insert(one.lane);
                        }
                        known.insert(one.place, Handled { started, result });
                    }
                    None => {
                        stopped.insert(one.lane);
                    }
                }
            }
        }
        Early(Mutex::new(known))
    }

    /// What the worker says of each of these; nothing when it failed as a whole.
    async fn chunk(
        &self,
        batch: &Batch,
        chunk: &[Candidate],
        times: Times,
        invocation_trace: Option<&str>,
    ) -> Vec<Result<Outcome, Failure>> {
        let now = Instant::now();
        // Half of the time is for handling them one by one, should that be needed.
        let left = times.stop_at.saturating_duration_since(now);
        let limit = now + (left / 2).min(self.settings.record_time_limit);
        let early = Early::default();
        let cx = |one: &Candidate| -> Option<Cx> {
            let attempt = Attempt {
                delivery: self,
                source: batch.source,
                message: batch.messages.get(one.place.0)?,
                position: one.place.0,
                times,
                invocation_trace,
                early: &early,
            };
            Some(attempt.cx(Arc::clone(&one.record), limit))
        };
        let cxs: Vec<Cx> = chunk.iter().filter_map(cx).collect();
        let handler = Arc::clone(&self.handler);
        let span = tracing::info_span!(
            "worker",
            step = "handle_together",
            worker = self.worker_name(),
            records = cxs.len()
        );
        let work = async move { handler.handle_together(cxs).await };
        let why = match isolate(limit, work.instrument(span)).await {
            Isolated::Finished(Ok(results)) if results.len() == chunk.len() => return results,
            Isolated::Finished(Ok(_)) => "it did not say of each record how it ended".to_owned(),
            Isolated::Finished(Err(failure)) => failure.to_string(),
            Isolated::Panicked(place) => format!("panicked at {}", place.unwrap_or_default()),
            Isolated::TimedOut => "did not finish in time".to_owned(),
        };
        tracing::warn!(
            worker = self.worker_name(),
            records = chunk.len(),
            why,
            "records could not be handled together; they are handled one by one"
        );
        Vec::new()
    }
}

/// The records that are the worker's to handle, in the order of the batch.
fn candidates(batch: &Batch, lanes: &[Vec<usize>]) -> VecDeque<Candidate> {
    let mut lane_of: HashMap<usize, usize> = HashMap::new();
    for (lane, positions) in lanes.iter().enumerate() {
        lane_of.extend(positions.iter().map(|position| (*position, lane)));
    }
    let mut candidates = VecDeque::new();
    for (position, message) in batch.messages.iter().enumerate() {
        let (Ok(records), Some(lane)) = (&message.records, lane_of.get(&position)) else {
            continue;
        };
        for (place, record) in records.iter().enumerate() {
            if !matches!(record.payload, Payload::Test) {
                candidates.push_back(Candidate {
                    place: (position, place),
                    lane: *lane,
                    record: Arc::new(record.clone()),
                });
            }
        }
    }
    candidates
}

/// Up to `most` of those that wait. What belongs to lanes that have stopped is left out for good.
fn next_chunk(
    waiting: &mut VecDeque<Candidate>,
    most: usize,
    source: Source,
    stopped: &BTreeSet<usize>,
) -> Vec<Candidate> {
    let mut chunk: Vec<Candidate> = Vec::new();
    let mut later = VecDeque::new();
    let mut lanes: BTreeSet<usize> = BTreeSet::new();
    for one in waiting.drain(..) {
        if stopped.contains(&one.lane) {
            continue;
        }
        // A worker sees of which subject a record is, not of which group of a queue.
        let must_wait = matches!(source, Source::Sqs { .. }) && lanes.contains(&one.lane);
        if chunk.len() >= most || must_wait {
            later.push_back(one);
        } else {
            lanes.insert(one.lane);
            chunk.push(one);
        }
    }
    *waiting = later;
    chunk
}
