//! The workers of this product by name, and how each is set up from its settings.

use std::sync::Arc;

use millrace_cloud::{Clients, Clock, Settings, SystemClock};
use millrace_delivery::{Delivery, DeliverySettings, EmfSink, Registry, Ways, Worker};
use millrace_vectors::{
    Embedder, GuardedEmbedder, GuardedIndex, PointIndex,
    settings::{embedder, points},
};

use crate::{
    close_window::CloseWindow,
    context::{Jobs, Names, Parts, Rules, SetupError},
    embed_profile::EmbedProfile,
    notify_candidate::NotifyCandidate,
    record_response::RecordResponse,
    score_candidates::ScoreCandidates,
    settle_job::SettleJob,
};

/// Every worker of this product.
pub const WORKERS: [&str; 6] = [
    EmbedProfile::NAME,
    ScoreCandidates::NAME,
    NotifyCandidate::NAME,
    RecordResponse::NAME,
    CloseWindow::NAME,
    SettleJob::NAME,
];

/// Words in events that tell nothing of anybody: the recorder leaves them as they are.
pub const PUBLIC_WORDS: &[&str] = &[
    // States of users, jobs and matches, as the platform has them.
    "employee",
    "employer",
    "available",
    "busy",
    "inactive",
    "matching",
    "closed",
    "completed",
    "pending",
    "selected",
    "rejected",
    // States in rows of our own.
    "scoring",
    "scored",
    "settled",
    "failed",
    "chosen",
    "reserve",
    "telling",
    "told",
    "withdrawn",
    "removed",
    // Why somebody is in nobody's list.
    "incomplete",
    "gone",
    // Notifications.
    "candidate-matched",
    "response-received",
    "zh-Hant",
    "en",
    "String",
    "Number",
    // Attributes of keys.
    "userId",
    "jobId",
    "employeeId",
    "responseId",
    // Models, in profiles.
    "millrace-hashed-1",
];

/// What a place (AWS, a laptop, a test) brings along.
#[derive(Clone)]
pub struct Place {
    /// SDK clients.
    pub clients: Clients,
    /// The index of profiles, where the place has one of its own; else the settings name one.
    pub profiles: Option<Arc<dyn PointIndex>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Sets the product up. The index is asked once whether it fits the embedder.
///
/// # Errors
/// See [`SetupError`].
pub async fn jobs(settings: &Settings, place: Place) -> Result<Jobs, SetupError> {
    let embedder = embedder(settings, &place.clients)?;
    jobs_with(settings, place, embedder).await
}

/// As [`jobs`], with this embedder, whatever the settings say of it.
///
/// # Errors
/// See [`SetupError`].
pub async fn jobs_with(
    settings: &Settings,
    place: Place,
    embedder: Arc<dyn Embedder>,
) -> Result<Jobs, SetupError> {
    let names = Names::from_settings(settings)?;
    let rules = Rules::from_settings(settings)?;
    let embedder = GuardedEmbedder::new(embedder);
    let profiles = match place.profiles {
        Some(profiles) => profiles,
        None => points(settings, &place.clients)?,
    };
    profiles
        .check(embedder.model(), embedder.dimensions())
        .await?;
    let parts = Parts {
        clients: place.clients,
        embedder: Arc::new(embedder),
        profiles: Arc::new(GuardedIndex::new(profiles)),
        clock: place.clock,
    };
    Ok(Jobs::new(parts, names, rules))
}

/// The loop around the worker of that name; `None` when there is none.
pub fn delivery(
    name: &str,
    jobs: Jobs,
    ways: Ways,
    settings: DeliverySettings,
) -> Option<Delivery> {
    let clock = jobs.clock.clone();
    let Ways {
        parking,
        visibility,
    } = ways;
    Some(match name {
        EmbedProfile::NAME => {
            Delivery::new(EmbedProfile(jobs), settings, parking, visibility, clock)
        }
        ScoreCandidates::NAME => {
            Delivery::new(ScoreCandidates(jobs), settings, parking, visibility, clock)
        }
        NotifyCandidate::NAME => {
            Delivery::new(NotifyCandidate(jobs), settings, parking, visibility, clock)
        }
        RecordResponse::NAME => {
            Delivery::new(RecordResponse(jobs), settings, parking, visibility, clock)
        }
        CloseWindow::NAME => Delivery::new(CloseWindow(jobs), settings, parking, visibility, clock),
        SettleJob::NAME => Delivery::new(SettleJob(jobs), settings, parking, visibility, clock),
        _ => return None,
    })
}

/// The workers as Lambda functions: `_HANDLER` picks, and only what is picked is set up.
pub fn lambda() -> Registry {
    WORKERS.iter().fold(Registry::new(), |registry, name| {
        registry.with(name, move || async move {
            let settings = Settings::from_environment();
            let clients = Clients::from_environment().await;
            let place = Place {
                clients: clients.clone(),
                profiles: None,
                clock: Arc::new(SystemClock),
            };
            let ways = Ways::from_settings(&settings, &clients)?;
            let jobs = jobs(&settings, place).await?;
            let delivery = delivery(name, jobs, ways, DeliverySettings::default());
            let delivery =
                delivery.ok_or_else(|| format!("the worker {name} is listed but not made"))?;
            let delivery = delivery.aside(&settings, &clients);
            let delivery = delivery.recorded(&settings, &clients, PUBLIC_WORDS)?;
            Ok(delivery.with_metrics(Arc::new(EmfSink::stdout())))
        })
    })
}
