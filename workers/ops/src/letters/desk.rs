//! The desk: the places in which dead letters lie, and the catalogue of them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use millrace_cloud::{Clients, Clock, classify};
use millrace_events::{Failure, reason};

use super::{
    catalogue::{Catalogue, CatalogueError},
    queues::{self, DeadLetterQueue},
};

/// Where dead letters lie, and the catalogue of them. Clones share everything.
#[derive(Debug, Clone)]
pub struct Desk {
    pub(super) clients: Clients,
    pub(super) catalogue: Catalogue,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) workers: Vec<String>,
    pub(super) queue: Option<String>,
    pub(super) failures_bucket: Option<String>,
    pub(super) patience: Duration,
    stop: Arc<AtomicBool>,
    urls: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Desk {
    /// A desk over every dead-letter queue that these clients reach.
    pub fn new(clients: Clients, catalogue: Catalogue, clock: Arc<dyn Clock>) -> Self {
        Self {
            clients,
            catalogue,
            clock,
            workers: Vec::new(),
            queue: None,
            failures_bucket: None,
            patience: Duration::ZERO,
            stop: Arc::default(),
            urls: Arc::default(),
        }
    }

    /// The names of the workers: by them a Lambda function's name is read.
    #[must_use]
    pub fn with_workers(mut self, workers: Vec<String>) -> Self {
        self.workers = workers;
        self
    }

    /// Only this dead-letter queue, or that of the worker of this name.
    #[must_use]
    pub fn only_queue(mut self, queue: Option<String>) -> Self {
        self.queue = queue;
        self
    }

    /// Also what Lambda writes into this bucket below `aws/lambda/`.
    #[must_use]
    pub fn with_failures_bucket(mut self, bucket: Option<String>) -> Self {
        self.failures_bucket = bucket;
        self
    }

    /// How long a receive waits for messages. On AWS a second at least: an answer at once comes from some of the
    /// servers only, and may be empty although there are messages.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The names of the workers.
    pub fn workers(&self) -> &[String] {
        &self.workers
    }

    /// The clients.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Asks everything that runs on this desk to come to an end: what is held is put back.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked to come to an end.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The dead-letter queues that this desk looks after.
    ///
    /// # Errors
    /// A [`Failure`] when the queues cannot be listed, or the one asked for is not there.
    pub async fn queues(&self) -> Result<Vec<DeadLetterQueue>, Failure> {
        queues::find(&self.clients.sqs, self.queue.as_deref(), &self.workers).await
    }

    /// A queue's URL.
    ///
    /// # Errors
    /// A [`Failure`] when there is no such queue.
    pub async fn queue_url(&self, queue: &str) -> Result<String, Failure> {
        let known = || self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(url) = known().get(queue) {
            return Ok(url.clone());
        }
        let answer = self.clients.sqs.get_queue_url().queue_name(queue).send();
        let answer = answer
            .await
            .map_err(|error| classify(&format!("find the queue {queue}"), error))?;
        let url = answer.queue_url().unwrap_or_default().to_owned();
        known().insert(queue.to_owned(), url.clone());
        Ok(url)
    }
}

impl From<CatalogueError> for Failure {
    fn from(error: CatalogueError) -> Self {
        Self::transient(reason::SERVICE_UNAVAILABLE, error.to_string())
    }
}
