//! The products: the one place that knows them by name.
//!
//! The platform, rehearsals, the operators' desk and the tests stand on [`Products`]. A product that is added is added here: what it
//! is made from in [`Place`], its names in [`Names`], and a line in each function of [`Products`].

use std::sync::Arc;

use millrace_cloud::{Clients, Clock, SettingError, Settings};
use millrace_delivery::{Delivery, DeliverySettings, Ways};
use millrace_documents::Documents;
use millrace_jobs::Jobs;
use millrace_marketing::Marketing;
use millrace_text::Extractor;
use millrace_vectors::{Embedder, PointIndex, VectorIndex, settings as vectors};
use thiserror::Error;

use crate::subjects::Subjects;

/// What a place (AWS, a laptop, a rehearsal, a test) brings along.
#[derive(Clone)]
pub struct Place {
    /// SDK clients.
    pub clients: Clients,
    /// The index of documents' chunks, where the place has one of its own; else the settings name one.
    pub chunks: Option<Arc<dyn VectorIndex>>,
    /// The index of employees' profiles, where the place has one of its own; else the settings name one.
    pub profiles: Option<Arc<dyn PointIndex>>,
    /// Turns texts into vectors, where the place has a way of its own; else the settings name one.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Turns bytes into text.
    pub extractor: Arc<Extractor>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// The names of the products' tables, buckets, queues and topics.
#[derive(Debug, Clone)]
pub struct Names {
    /// Those of the documents product.
    pub documents: millrace_documents::Names,
    /// Those of the jobs product.
    pub jobs: millrace_jobs::Names,
    /// Those of the marketing product.
    pub marketing: millrace_marketing::Names,
}

impl Names {
    /// From a function's settings: each function has those of all products.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            documents: millrace_documents::Names::from_settings(settings)?,
            jobs: millrace_jobs::Names::from_settings(settings)?,
            marketing: millrace_marketing::Names::from_settings(settings)?,
        })
    }
}

/// Why a product could not be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The embedder or an index that the settings name is not usable.
    #[error(transparent)]
    Vectors(#[from] vectors::SetupError),
    /// The documents product.
    #[error("could not set up the documents product")]
    Documents(#[from] millrace_documents::SetupError),
    /// The jobs product.
    #[error("could not set up the jobs product")]
    Jobs(#[from] millrace_jobs::SetupError),
    /// The marketing product.
    #[error("could not set up the marketing product")]
    Marketing(#[from] SettingError),
}

/// Every product, set up in one place.
#[derive(Clone)]
pub struct Products {
    documents: Documents,
    jobs: Jobs,
    marketing: Marketing,
}

impl Products {
    /// Sets all products up. Each index is asked once whether it fits the embedder.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub async fn new(settings: &Settings, place: Place) -> Result<Self, SetupError> {
        let embedder = match place.embedder {
            Some(embedder) => embedder,
            None => vectors::embedder(settings, &place.clients)?,
        };
        let documents = millrace_documents::registry::Place {
            clients: place.clients.clone(),
            index: place.chunks,
            extractor: place.extractor,
            clock: place.clock.clone(),
        };
        let jobs = millrace_jobs::registry::Place {
            clients: place.clients.clone(),
            profiles: place.profiles,
            clock: place.clock.clone(),
        };
        let marketing = millrace_marketing::context::Place {
            clients: place.clients,
            clock: place.clock,
        };
        let documents =
            millrace_documents::registry::documents_with(settings, documents, embedder.clone());
        Ok(Self {
            documents: documents.await?,
            jobs: millrace_jobs::registry::jobs_with(settings, jobs, embedder).await?,
            marketing: Marketing::new(settings, marketing)?,
        })
    }

    /// The loop around the worker of that name; `None` when no product has one.
    pub fn delivery(
        &self,
        worker: &str,
        ways: Ways,
        settings: DeliverySettings,
    ) -> Option<Delivery> {
        use millrace_documents::registry as documents;
        use millrace_jobs::registry as jobs;
        use millrace_marketing::registry as marketing;

        let same = || (ways.clone(), settings.clone());
        let (first, second) = (same(), same());
        documents::delivery(worker, self.documents.clone(), first.0, first.1)
            .or_else(|| jobs::delivery(worker, self.jobs.clone(), second.0, second.1))
            .or_else(|| marketing::delivery(worker, self.marketing.clone(), ways, settings))
    }

    /// What subjects are now, by those who know.
    pub fn subjects(&self) -> [&dyn Subjects; 3] {
        [&self.documents, &self.jobs, &self.marketing]
    }

    /// The documents product.
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The jobs product.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The marketing product.
    pub fn marketing(&self) -> &Marketing {
        &self.marketing
    }
}

/// The workers of all products, by name.
pub fn workers() -> impl Iterator<Item = &'static str> {
    millrace_documents::WORKERS
        .into_iter()
        .chain(millrace_jobs::WORKERS)
        .chain(millrace_marketing::WORKERS)
}

/// Words in events that tell nothing of anybody, of all products: redaction leaves them as they are.
pub fn public_words() -> Vec<&'static str> {
    [
        millrace_documents::keys::PUBLIC_WORDS,
        millrace_jobs::registry::PUBLIC_WORDS,
        millrace_marketing::registry::PUBLIC_WORDS,
    ]
    .concat()
}
