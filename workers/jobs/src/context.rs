//! What every worker of this product stands on, made once from the settings.

use std::{sync::Arc, time::Duration};

use millrace_cloud::{Clients, Clock, SettingError, Settings};
use millrace_effects::Table;
use millrace_events::Failure;
use millrace_vectors::{CacheTable, Embedder, EmbeddingCache, Keeping, PointIndex};
use thiserror::Error;

use crate::{candidates::Candidates, profiles::Profiles, progress::ProgressStore};

/// How long a profile's embedding is kept.
pub const PROFILE_CACHED: Keeping = Keeping {
    kept: time::Duration::days(30),
    kind: Some("profile"),
};

/// How long a job's embedding is kept.
pub const JOB_CACHED: Keeping = Keeping {
    kept: time::Duration::days(7),
    kind: Some("job"),
};

/// The names of this product's tables, topic and queue.
#[derive(Debug, Clone)]
pub struct Names {
    /// The platform's users.
    pub users: String,
    /// The platform's jobs.
    pub jobs: String,
    /// The platform's matches: who answered to which job.
    pub matches: String,
    /// The embedding cache.
    pub embeddings: String,
    /// Who was scored for which job.
    pub candidates: String,
    /// What Millrace knows of each employee's profile: fence, vector, what filters look at.
    pub profiles: String,
    /// What Millrace knows of each job: fence, round of scoring, responses, decision.
    pub progress: String,
    /// What people are told about responses, kept before it is published.
    pub notices: String,
    /// The topic of notifications.
    pub topic: String,
    /// The queue of windows that are to be closed.
    pub close_window_queue: String,
}

impl Names {
    /// From a function's settings.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingError> {
        let name = |key| settings.required(key).map(str::to_owned);
        Ok(Self {
            users: name("MILLRACE_USERS_TABLE")?,
            jobs: name("MILLRACE_JOBS_TABLE")?,
            matches: name("MILLRACE_MATCHES_TABLE")?,
            embeddings: name("MILLRACE_JOB_EMBEDDINGS_TABLE")?,
            candidates: name("MILLRACE_CANDIDATES_TABLE")?,
            profiles: name("MILLRACE_PROFILES_TABLE")?,
            progress: name("MILLRACE_JOB_PROGRESS_TABLE")?,
            notices: name("MILLRACE_NOTICES_TABLE")?,
            topic: name("MILLRACE_NOTIFICATIONS_TOPIC_ARN")?,
            close_window_queue: name("MILLRACE_CLOSE_WINDOW_QUEUE_URL")?,
        })
    }
}

/// What an operator may set.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How many people are told of one job at most, best first.
    pub told_per_job: usize,
    /// How long a job's matching window stays open after the first response.
    pub window: Duration,
}

impl Rules {
    /// From a function's settings.
    ///
    /// # Errors
    /// When one is no number.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingError> {
        let seconds = settings.number("MILLRACE_MATCHING_WINDOW_SECONDS", 900)?;
        Ok(Self {
            told_per_job: settings.number("MILLRACE_TOLD_PER_JOB", 50)?,
            window: Duration::from_secs(seconds),
        })
    }
}

/// Why the product could not be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The embedder or the index is not usable.
    #[error(transparent)]
    Vectors(#[from] millrace_vectors::settings::SetupError),
    /// The index does not fit.
    #[error("could not set up the index of profiles: {0}")]
    Index(#[from] Failure),
}

/// The parts that differ by place: AWS, a laptop, a test.
#[derive(Clone)]
pub struct Parts {
    /// SDK clients.
    pub clients: Clients,
    /// Turns texts into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// The index of employees' profiles.
    pub profiles: Arc<dyn PointIndex>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What every worker of this product stands on.
#[derive(Clone)]
pub struct Jobs {
    /// Names of tables, topic and queue.
    pub names: Arc<Names>,
    /// What an operator may set.
    pub rules: Rules,
    /// SDK clients.
    pub clients: Clients,
    /// The tables.
    pub table: Table,
    /// Jobs' progress.
    pub progress: ProgressStore,
    /// Who was scored for which job.
    pub candidates: Candidates,
    /// Embeddings by text.
    pub cache: EmbeddingCache,
    /// Turns texts into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// The index of employees' profiles.
    pub profiles: Arc<dyn PointIndex>,
    /// What is known of each employee, and the index that follows it.
    pub people: Profiles,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Jobs {
    /// Puts the product together.
    pub fn new(parts: Parts, names: Names, rules: Rules) -> Self {
        let cache = CacheTable {
            name: names.embeddings.clone(),
            key: "textHash",
            expires: "ttl",
        };
        let table = Table::new(parts.clients.dynamodb.clone());
        let progress = ProgressStore::new(table.clone(), &names.progress);
        Self {
            candidates: Candidates::new(table.clone(), &names.candidates, progress.clone()),
            progress,
            people: Profiles::new(table.clone(), &names.profiles, parts.profiles.clone()),
            table,
            cache: EmbeddingCache::new(parts.clients.dynamodb.clone(), cache),
            names: Arc::new(names),
            rules,
            clients: parts.clients,
            embedder: parts.embedder,
            profiles: parts.profiles,
            clock: parts.clock,
        }
    }
}
