//! The event source mapping of a table's stream.
//!
//! Each lane reads the stream by itself from its own checkpoint and takes the records that are its
//! own. So a lane that is held up by a failing record holds up nobody else, nothing but a sequence
//! number has to survive a restart, and memory holds one batch a lane.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::MAXIMUM_EVENT_BYTES;
use super::activity::Activity;
use super::batch::{Batch, Entry, Limits, Step};
use super::checkpoints::Checkpoints;
use super::destination::{Destinations, Facts, LastInvocation, describe};
use super::invoke::Invoker;
use super::lanes::lane_of;
use super::report::{self, Report};
use super::sources::StreamSource;
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::template::StreamMapping;

/// The first wait after a failure; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// No wait is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// How many records are read at once: many are another lane's, or filtered out.
const PAGE: usize = 500;

/// Where the lanes of a mapping stand.
#[derive(Debug, Clone)]
pub(crate) struct StreamProgress(Arc<Mutex<Vec<Option<String>>>>);

impl StreamProgress {
    pub(crate) fn new(positions: Vec<Option<String>>) -> Self {
        Self(Arc::new(Mutex::new(positions)))
    }

    fn position(&self, lane: usize) -> Option<String> {
        let positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        positions.get(lane).cloned().flatten()
    }

    fn advance(&self, lane: usize, sequence: &str) {
        let mut positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = positions.get_mut(lane) {
            *position = Some(sequence.to_owned());
        }
    }

    /// Whether all lanes are done with everything up to `latest`, the stream's newest record.
    pub(crate) fn has_reached(&self, latest: Option<&str>) -> bool {
        let positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        positions
            .iter()
            .all(|position| latest.is_none() || position.as_deref() == latest)
    }
}

/// Runs one mapping.
pub(crate) struct StreamEngine {
    pub(crate) mapping: StreamMapping,
    pub(crate) source: Arc<dyn StreamSource>,
    pub(crate) invoker: Invoker,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) destinations: Arc<dyn Destinations>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: StreamProgress,
    pub(crate) activity: Arc<Activity>,
}

/// The mapping is to stop.
struct Stopped;

/// A batch with what to note when it is done.
struct Gathered {
    entries: Vec<Entry>,
    /// The last record that was looked at: those after the last entry are not this lane's.
    scanned: Option<String>,
}

impl StreamEngine {
    /// Runs until `stop` says so, and then until all invocations have ended.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let engine = Arc::new(self);
        // A set, because dropping it ends them: a crash leaves nobody behind.
        let mut lanes = JoinSet::new();
        for lane in 0..engine.mapping.lanes {
            let engine = Arc::clone(&engine);
            let stop = stop.clone();
            lanes.spawn(async move { engine.run_lane(lane, stop).await });
        }
        while let Some(ended) = lanes.join_next().await {
            if let Err(error) = ended {
                tracing::error!(mapping = engine.mapping.id, %error, "a lane died");
            }
        }
    }

    async fn run_lane(&self, lane: usize, mut stop: watch::Receiver<bool>) {
        let mut failures = 0;
        while !*stop.borrow() {
            match self.round(lane, &mut stop).await {
                Ok(Ok(())) => failures = 0,
                Ok(Err(Stopped)) => return,
                Err(error) => {
                    failures += 1;
                    tracing::error!(mapping = self.mapping.id, lane, %error, "the stream or its checkpoints failed");
                    if pause(backoff(failures), &mut stop).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// One batch from reading to its checkpoint, or the wait for one.
    async fn round(
        &self,
        lane: usize,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Result<(), Stopped>, ServiceError> {
        let mut changes = self.source.changes();
        changes.mark_unchanged();
        let busy = self.activity.begin();
        let position = self.progress.position(lane);
        let gathered = self.gather(lane, position, stop).await?;
        if let Some(entries) = Some(gathered.entries).filter(|entries| !entries.is_empty()) {
            if self.work_off(lane, entries, stop).await?.is_err() {
                return Ok(Err(Stopped));
            }
        } else if gathered.scanned.is_none() {
            drop(busy);
            return Ok(tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => Err(Stopped),
                _ = changes.changed() => Ok(()),
            });
        }
        if let Some(scanned) = gathered.scanned {
            self.advance(lane, &scanned)?;
        }
        Ok(Ok(()))
    }

    fn advance(&self, lane: usize, sequence: &str) -> Result<(), ServiceError> {
        self.checkpoints.advance(&self.mapping.id, lane, sequence)?;
        self.progress.advance(lane, sequence);
        Ok(())
    }

    /// Reads until a batch is full or its window is over; without a window, until the end of what
    /// there is now.
    async fn gather(
        &self,
        lane: usize,
        mut position: Option<String>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Gathered, ServiceError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut scanned = None;
        let mut bytes = 0;
        let mut window_end: Option<Instant> = None;
        loop {
            let mut changes = self.source.changes();
            changes.mark_unchanged();
            let page = self.source.read(position.as_deref(), PAGE).await?;
            let is_last_page = page.len() < PAGE;
            for record in page {
                let Some(sequence) = record["dynamodb"]["SequenceNumber"].as_str() else {
                    tracing::error!(mapping = self.mapping.id, "a record has no sequence number");
                    continue;
                };
                let sequence = sequence.to_owned();
                if lane_of(&record, self.mapping.lanes) == lane && self.is_wanted(&record) {
                    let size = record.to_string().len() + 1;
                    if !entries.is_empty() && bytes + size > MAXIMUM_EVENT_BYTES {
                        return Ok(Gathered { entries, scanned });
                    }
                    bytes += size;
                    let written_millis = written_millis(&record);
                    entries.push(Entry {
                        sequence: sequence.clone(),
                        written_millis,
                        record,
                    });
                }
                scanned = Some(sequence.clone());
                position = Some(sequence);
                if entries.len() >= self.mapping.batch_size {
                    return Ok(Gathered { entries, scanned });
                }
            }
            if !is_last_page && !entries.is_empty() {
                continue;
            }
            // Nothing for this lane on a whole page: note how far it looked before going on.
            if entries.is_empty() || self.mapping.window.is_zero() {
                return Ok(Gathered { entries, scanned });
            }
            let end = *window_end.get_or_insert_with(|| Instant::now() + self.mapping.window);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(Gathered { entries, scanned }),
                () = tokio::time::sleep_until(end) => return Ok(Gathered { entries, scanned }),
                _ = changes.changed() => {}
            }
        }
    }

    fn is_wanted(&self, record: &Value) -> bool {
        let filters = &self.mapping.filters;
        filters.is_empty() || filters.iter().any(|filter| filter.matches(record))
    }

    async fn work_off(
        &self,
        lane: usize,
        entries: Vec<Entry>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Result<(), Stopped>, ServiceError> {
        let limits = Limits {
            on_error: self.mapping.on_error,
            maximum_retries: self.mapping.maximum_retries,
            maximum_age: self.mapping.maximum_age,
        };
        let mut batch = Batch::new(entries, limits);
        let mut last = LastInvocation::Never;
        let mut request_id = String::new();
        loop {
            match batch.next(self.clock.now_millis()) {
                Step::Finished => return Ok(Ok(())),
                Step::Discard {
                    range,
                    condition,
                    invocations,
                } => {
                    let described = describe(&Facts {
                        mapping: &self.mapping.id,
                        function_arn: &self.invoker.function().arn(),
                        stream_arn: self.source.arn(),
                        request_id: &request_id,
                        condition,
                        invocations,
                        last: if invocations == 0 {
                            LastInvocation::Never
                        } else {
                            last
                        },
                        entries: batch.entries(range.clone()),
                        now_millis: self.clock.now_millis(),
                    });
                    tracing::warn!(mapping = self.mapping.id, record = %described.record, "gave up a batch");
                    if self.tell(&described, stop).await.is_err() {
                        return Ok(Err(Stopped));
                    }
                    batch.discarded(&range);
                }
                Step::Invoke(range) => {
                    if *stop.borrow() {
                        return Ok(Err(Stopped));
                    }
                    let report;
                    (request_id, report) = self.invoke(batch.entries(range)).await;
                    last = match &report {
                        Report::FunctionFailed => LastInvocation::FunctionError,
                        _ => LastInvocation::ReportedFailures,
                    };
                    batch.answered(&report);
                }
            }
            if let Some(done) = batch.done_through() {
                self.advance(lane, done)?;
            }
            if batch.fruitless() > 0 && self.back_off(&batch, stop).await.is_err() {
                return Ok(Err(Stopped));
            }
        }
    }

    async fn invoke(&self, entries: &[Entry]) -> (String, Report) {
        let records: Vec<&Value> = entries.iter().map(|entry| &entry.record).collect();
        let request_id = uuid::Uuid::new_v4().to_string();
        let answer = self
            .invoker
            .invoke(json!({ "Records": records }), &request_id)
            .await;
        let identifiers: Vec<&str> = entries
            .iter()
            .map(|entry| entry.sequence.as_str())
            .collect();
        let report = report::read(&answer, self.mapping.failures, &identifiers);
        if let Report::Malformed(reason) = &report {
            let function = self.invoker.function().name.as_str();
            tracing::warn!(
                function,
                request_id,
                reason,
                "the answer makes no sense: all failed"
            );
        }
        (request_id, report)
    }

    /// Tells the destination, however long it takes: only then may the checkpoint move on.
    async fn tell(
        &self,
        discarded: &super::destination::Discarded,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        let Some(destination) = &self.mapping.on_failure else {
            return Ok(());
        };
        let mut failures = 0;
        while let Err(error) = self.destinations.deliver(destination, discarded).await {
            failures += 1;
            tracing::error!(mapping = self.mapping.id, %error, "the on-failure destination failed");
            pause(backoff(failures), stop).await?;
        }
        Ok(())
    }

    /// Waits longer from failure to failure, but not past the end of the first record's time.
    async fn back_off(
        &self,
        batch: &Batch,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        let pause = pause(backoff(batch.fruitless()), stop);
        match batch.expires_millis() {
            Some(expiry) => tokio::select! {
                paused = pause => paused,
                () = self.clock.sleep_until(expiry) => Ok(()),
            },
            None => pause.await,
        }
    }
}

async fn pause(time: Duration, stop: &mut watch::Receiver<bool>) -> Result<(), Stopped> {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => Err(Stopped),
        () = tokio::time::sleep(time) => Ok(()),
    }
}

/// Doubles with every failure, with up to a quarter less by chance, so that lanes do not march in step.
fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST_BACKOFF
        .saturating_mul(1 << doublings)
        .min(LONGEST_BACKOFF);
    full.mul_f64(rand::rng().random_range(0.75..=1.0))
}

/// When a record was written. Streams give it in seconds, some with a fraction.
fn written_millis(record: &Value) -> i64 {
    let seconds = record["dynamodb"]["ApproximateCreationDateTime"].as_f64();
    seconds.map_or(0, |seconds| (seconds * 1_000.0) as i64)
}

#[cfg(test)]
mod tests;
