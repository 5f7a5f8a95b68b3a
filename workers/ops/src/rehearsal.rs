//! Rehearsals: what would come of an event if it were delivered now.
//!
//! The worker itself runs, on what is there. Its writes go into an overlay that is thrown away
//! ([`millrace_local::rehearsal`], [`millrace_vectors::OverlayIndex`]), so it reads what it wrote, and its
//! conditions and transactions end as they would; nothing else sees them. A record that fails is
//! parked in memory.

use std::{fmt, sync::Arc, time::Duration};

use millrace_cloud::{Addressing, Clients, Settings};
use millrace_delivery::{
    DeliverySettings, Invocation, MemoryParking, QueueDefault, RecordReport, Said, Ways,
};
use millrace_local::{
    OpenError,
    rehearsal::{Effect, Effects, Overlay, Problem, Reality},
};
use millrace_vectors::{
    IndexChange, OverlayIndex, OverlayPoints, PointChange, settings as vectors,
};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::{
    platform::Platform,
    products::{self, Place, Products, SetupError},
};

/// How long the worker may take, as Lambda would give it.
const TIME: Duration = Duration::from_secs(120);

/// What would come of an event.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsal {
    /// The worker that it was rehearsed with.
    pub worker: String,
    /// The one answer for all its records: that of the record that is worst off.
    pub verdict: Verdict,
    /// One entry a record, in the order of the event.
    pub records: Vec<RecordReport>,
    /// What was withheld, in the order in which the worker did it. Without document text; ids are all it
    /// says of anybody.
    pub effects: Vec<Effect>,
}

/// What a replay would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It would take effect.
    WouldApply,
    /// Its effect is there: a replay would change nothing that counts.
    AlreadyApplied,
    /// A newer version of its subject was applied: a replay would leave that as it is.
    Superseded,
    /// It is not this worker's.
    Ignored,
    /// It would be parked again.
    StillFailing {
        /// The stable reason code.
        reason: String,
        /// The sentence for people.
        message: String,
    },
    /// It would go back to its source, or into the worker's own queue, to be tried again.
    WouldRetry {
        /// The stable reason code.
        reason: String,
        /// The sentence for people.
        message: String,
    },
}

impl Verdict {
    /// The word for it, as `--json` writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::WouldApply => "would-apply",
            Self::AlreadyApplied => "already-applied",
            Self::Superseded => "superseded",
            Self::Ignored => "ignored",
            Self::StillFailing { .. } => "still-failing",
            Self::WouldRetry { .. } => "would-retry",
        }
    }

    /// What became of one record, as a verdict.
    pub fn of(record: &RecordReport) -> Self {
        let why = || {
            let reason = record.reason.as_ref();
            (
                reason
                    .map(|reason| reason.code.to_owned())
                    .unwrap_or_default(),
                reason
                    .map(|reason| reason.message.clone())
                    .unwrap_or_default(),
            )
        };
        match record.outcome {
            Said::Applied => Self::WouldApply,
            Said::Already => Self::AlreadyApplied,
            Said::Superseded => Self::Superseded,
            Said::Ignored => Self::Ignored,
            Said::Parked => {
                let (reason, message) = why();
                Self::StillFailing { reason, message }
            }
            Said::Retry | Said::SetAside => {
                let (reason, message) = why();
                Self::WouldRetry { reason, message }
            }
        }
    }

    /// The verdict on several records: a failure before a success, a success before what does nothing. An event
    /// without records is nobody's.
    fn of_all(records: &[RecordReport]) -> Self {
        let weight = |verdict: &Self| match verdict {
            Self::StillFailing { .. } => 5,
            Self::WouldRetry { .. } => 4,
            Self::WouldApply => 3,
            Self::Superseded => 2,
            Self::AlreadyApplied => 1,
            Self::Ignored => 0,
        };
        records
            .iter()
            .map(Self::of)
            // Of equals the first one: `max_by_key` would take the last.
            .rev()
            .max_by_key(weight)
            .unwrap_or(Self::Ignored)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldApply => f.write_str("would apply"),
            Self::AlreadyApplied => {
                f.write_str("already applied: a replay would change nothing that counts")
            }
            Self::Superseded => f.write_str("superseded: a newer version was applied"),
            Self::Ignored => f.write_str("ignored: not this worker's"),
            Self::StillFailing { reason, message } => {
                write!(f, "still failing with {reason}: {message}")
            }
            Self::WouldRetry { reason, message } => {
                write!(f, "would be tried again, {reason}: {message}")
            }
        }
    }
}

/// Why nothing can be said of an event.
#[derive(Debug, Error)]
pub enum RehearseFailed {
    /// There is no worker of that name.
    #[error("there is no worker {worker:?}; there are {known}")]
    NoWorker {
        /// The name that was asked for.
        worker: String,
        /// The names that there are.
        known: String,
    },
    /// The product could not be set up on the overlay.
    #[error("could not set up a rehearsal of {worker}")]
    Setup {
        /// The worker.
        worker: String,
        /// What went wrong.
        #[source]
        source: SetupError,
    },
    /// The overlay could not be made.
    #[error("could not make the overlay of a rehearsal")]
    Overlay(#[source] OpenError),
    /// The worker made a call of which nobody knows what would have come of it, or reality could not be read.
    #[error("{0}")]
    Problem(Problem),
}

/// Delivers an event to a worker, its effects withheld. Needs only what reads: of `place`, the clients read tables
/// and objects, the index is searched, and an index or embedder that it does not have is the one that the function's
/// `settings` name. Embeddings that are not cached are really computed.
///
/// # Errors
/// See [`RehearseFailed`]; that the event fails is no error but a [`Verdict`].
pub async fn rehearse(
    place: Place,
    settings: &Settings,
    worker: &str,
    event: Value,
) -> Result<Rehearsal, RehearseFailed> {
    let setup = |source: SetupError| RehearseFailed::Setup {
        worker: worker.to_owned(),
        source,
    };
    let effects = Effects::default();
    let reality = Reality::new(
        place.clients.dynamodb.clone(),
        place.clients.s3.clone(),
        place.clients.sqs.clone(),
    );
    let overlay = Overlay::over(reality, effects.clone()).map_err(RehearseFailed::Overlay)?;
    let embedder = match place.embedder.clone() {
        Some(embedder) => embedder,
        None => vectors::embedder(settings, &place.clients).map_err(|error| setup(error.into()))?,
    };
    let chunks = match place.chunks {
        Some(index) => index,
        None => vectors::index(settings, &place.clients).map_err(|error| setup(error.into()))?,
    };
    let withheld = effects.clone();
    let chunks = OverlayIndex::new(
        chunks,
        Box::new(move |change| withheld.push(effect_on_index(&change))),
    );
    let profiles = match place.profiles {
        Some(points) => points,
        None => vectors::points(settings, &place.clients).map_err(|error| setup(error.into()))?,
    };
    let withheld = effects.clone();
    let profiles = OverlayPoints::new(
        profiles,
        Box::new(move |change| withheld.push(effect_on_points(&change))),
    );
    let place = Place {
        clients: Clients::new(&overlay.sdk_config(), Addressing::Path),
        chunks: Some(Arc::new(chunks)),
        profiles: Some(Arc::new(profiles)),
        embedder: Some(embedder),
        ..place
    };
    let products = Products::new(settings, place).await.map_err(setup)?;
    let ways = Ways {
        parking: Arc::new(MemoryParking::default()),
        visibility: Arc::new(QueueDefault),
    };
    let made = products.delivery(worker, ways, DeliverySettings::default());
    let Some(delivery) = made else {
        return Err(RehearseFailed::NoWorker {
            worker: worker.to_owned(),
            known: products::workers().collect::<Vec<_>>().join(", "),
        });
    };
    let delivery = delivery.with_aside(Arc::new(MemoryParking::default()));
    let report = delivery.deliver(event, Invocation::lasting(TIME)).await;
    if let Some(problem) = overlay.problem() {
        return Err(RehearseFailed::Problem(problem));
    }
    Ok(Rehearsal {
        worker: worker.to_owned(),
        verdict: Verdict::of_all(&report.records),
        records: report.records,
        effects: effects.all(),
    })
}

impl From<RehearseFailed> for crate::output::Error {
    fn from(error: RehearseFailed) -> Self {
        match &error {
            RehearseFailed::NoWorker { .. } => Self::usage(error.to_string()),
            _ => {
                let cause = std::error::Error::source(&error);
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                Self::failed(format!("{error}{cause}"))
            }
        }
    }
}

fn effect_on_index(change: &IndexChange) -> Effect {
    let chunks = |count: u64| match count {
        1 => "1 chunk".to_owned(),
        more => format!("{more} chunks"),
    };
    let effect = |operation, user: &str, document: &str, summary: String| Effect {
        service: "vector index".to_owned(),
        operation: String::from(operation),
        target: format!("{user}/{document}"),
        summary,
    };
    match change {
        IndexChange::Put {
            user_id,
            document_id,
            chunks: count,
        } => effect(
            "put",
            user_id,
            document_id,
            format!("index {} of document {document_id}", chunks(*count)),
        ),
        IndexChange::RemoveOlder {
            user_id,
            document_id,
            chunks: count,
        } => effect(
            "remove_older",
            user_id,
            document_id,
            format!(
                "remove {} of former generations of document {document_id} from the index",
                chunks(*count)
            ),
        ),
        IndexChange::RemoveDocument {
            user_id,
            document_id,
            chunks: count,
        } => effect(
            "remove_document",
            user_id,
            document_id,
            format!(
                "remove {} of document {document_id} from the index",
                chunks(*count)
            ),
        ),
    }
}

fn effect_on_points(change: &PointChange) -> Effect {
    let effect = |operation, id: &str, summary: String| Effect {
        service: "vector index".to_owned(),
        operation: String::from(operation),
        target: id.to_owned(),
        summary,
    };
    match change {
        PointChange::Put { id, .. } => effect("put", id, format!("index the profile of {id}")),
        PointChange::Remove { id, .. } => effect(
            "remove",
            id,
            format!("remove the profile of {id} from the index"),
        ),
    }
}

impl Platform {
    /// What would come of an event if this worker got it now. Nothing changes, whether this process owns the platform
    /// or is attached to a running one.
    ///
    /// # Errors
    /// See [`RehearseFailed`].
    pub async fn rehearse(&self, worker: &str, event: Value) -> Result<Rehearsal, RehearseFailed> {
        let Some(settings) = self.settings(worker) else {
            return Err(RehearseFailed::NoWorker {
                worker: worker.to_owned(),
                known: self.workers().join(", "),
            });
        };
        rehearse(self.place().clone(), &settings, worker, event).await
    }
}
