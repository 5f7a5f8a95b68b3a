//! What every worker of this product stands on, made once from the settings.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use millrace_cloud::{Bucket, Clients, Clock, SettingError, Settings};
use millrace_effects::Table;
use millrace_events::Failure;
use millrace_text::{ChunkSettings, Extractor};
use millrace_vectors::{CacheTable, Embedder, EmbeddingCache, Keeping, VectorIndex};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::{progress::ProgressStore, reconcile_index::Reconciling};

/// How long a chunk's embedding is kept.
pub(crate) const CACHED: Keeping = Keeping {
    kept: time::Duration::days(90),
    kind: None,
};

/// The names of this product's tables and bucket.
#[derive(Debug, Clone)]
pub struct Names {
    /// The bucket of originals and artefacts.
    pub bucket: String,
    /// The platform's table of documents.
    pub documents_table: String,
    /// Millrace's table of progress rows.
    pub progress_table: String,
    /// The embedding cache.
    pub cache_table: String,
}

impl Names {
    /// From a function's settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            bucket: settings.required("MILLRACE_DOCUMENTS_BUCKET")?.to_owned(),
            documents_table: settings.required("MILLRACE_DOCUMENTS_TABLE")?.to_owned(),
            progress_table: settings.required("MILLRACE_PROGRESS_TABLE")?.to_owned(),
            cache_table: settings
                .required("MILLRACE_EMBEDDING_CACHE_TABLE")?
                .to_owned(),
        })
    }
}

/// Why the product could not be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The chunk settings contradict each other.
    #[error("the chunk settings do not work: {0}")]
    Chunking(String),
    /// The embedder or the index is not usable.
    #[error("could not set up the embedder or the index: {0}")]
    Vectors(#[from] Failure),
}

impl From<millrace_vectors::settings::SetupError> for SetupError {
    fn from(error: millrace_vectors::settings::SetupError) -> Self {
        match error {
            millrace_vectors::settings::SetupError::Setting(error) => Self::Setting(error),
            millrace_vectors::settings::SetupError::Vectors(failure) => Self::Vectors(failure),
        }
    }
}

/// The parts that differ by place: AWS, a laptop, a test.
#[derive(Clone)]
pub struct Parts {
    /// SDK clients.
    pub clients: Clients,
    /// Turns texts into vectors.
    pub embedder: Arc<dyn Embedder>,
    /// Keeps vectors and finds the nearest.
    pub index: Arc<dyn VectorIndex>,
    /// Turns bytes into text, in a child process.
    pub extractor: Arc<Extractor>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What every worker of this product stands on.
#[derive(Clone)]
pub struct Documents {
    pub(crate) bucket: Bucket,
    pub(crate) progress: ProgressStore,
    pub(crate) cache: EmbeddingCache,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) index: Arc<dyn VectorIndex>,
    pub(crate) extractor: Arc<Extractor>,
    pub(crate) chunking: ChunkSettings,
    pub(crate) clock: Arc<dyn Clock>,
    /// When indexed documents are looked at again; `None`: never.
    pub(crate) reconciling: Option<Reconciling>,
    /// As many extractions at once as there are processors; each is a process of its own.
    pub(crate) extractions: Arc<Semaphore>,
}

impl Documents {
    /// Puts the product together.
    pub fn new(parts: Parts, names: &Names, chunking: ChunkSettings) -> Self {
        let table = Table::new(parts.clients.dynamodb.clone());
        let at_once = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        Self {
            bucket: Bucket::new(parts.clients.s3.clone(), &names.bucket),
            progress: ProgressStore::new(table, names.clone()),
            cache: EmbeddingCache::new(
                parts.clients.dynamodb.clone(),
                CacheTable {
                    name: names.cache_table.clone(),
                    key: "contentHash",
                    expires: "expiresAt",
                },
            ),
            embedder: parts.embedder,
            index: parts.index,
            extractor: parts.extractor,
            chunking,
            clock: parts.clock,
            reconciling: None,
            extractions: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// With indexed documents looked at again after a while.
    #[must_use]
    pub(crate) fn with_reconciling(mut self, reconciling: Option<Reconciling>) -> Self {
        self.reconciling = reconciling;
        self
    }

    /// The bucket of originals and artefacts.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// The progress rows.
    pub fn progress(&self) -> &ProgressStore {
        &self.progress
    }

    /// The vector index.
    pub fn index(&self) -> &Arc<dyn VectorIndex> {
        &self.index
    }

    /// Now, as rows write it.
    pub(crate) fn now(&self) -> String {
        millrace_cloud::clock::iso(self.clock.now())
    }
}

/// The last part of a key or path: a name to show when nobody gave one.
pub(crate) fn last_part(key: &str) -> String {
    Path::new(key).file_name().map_or_else(
        || key.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
