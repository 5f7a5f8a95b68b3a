//! The index in OpenSearch: a domain of the service, a collection of Serverless, or a server of one's own.
//!
//! Settings follow the data model's index `document-chunks`, with two names as OpenSearch knows them: the space is
//! `cosinesimil`, and the engine `faiss` (or `lucene`), since `nmslib` takes no new indexes.

mod bulk;
mod documents;
mod listing;
mod points;
mod serverless;
mod wire;

use async_trait::async_trait;
use millrace_events::{Failure, reason};
use opensearch::http::Method;
use serde_json::{Value, json};

pub use self::points::OpenSearchPoints;
pub use self::wire::{Auth, Service};
pub(crate) use self::wire::{is_index_name, is_serverless};
use self::{
    documents::{Generations, Kept},
    wire::{Answer, Wire},
};
use crate::{
    embedding::{Embedding, ModelId},
    index::{Entry, Hit, VectorIndex, sort_hits},
};

/// The most neighbours that OpenSearch looks for.
const MAX_NEIGHBOURS: usize = 10_000;

/// How often a removal is asked for when other writes come between.
const REMOVE_ATTEMPTS: u32 = 4;

/// What builds and searches the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// Native; the one that Serverless has.
    #[default]
    Faiss,
    /// On the JVM; the one that needs no native library.
    Lucene,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Faiss => "faiss",
            Self::Lucene => "lucene",
        }
    }

    /// The engine of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Faiss, Self::Lucene]
            .into_iter()
            .find(|engine| engine.name() == name)
    }
}

/// A vector index in OpenSearch.
#[derive(Debug, Clone)]
pub struct OpenSearchIndex {
    wire: Wire,
    engine: Engine,
    service: Service,
}

impl OpenSearchIndex {
    /// The index of that name at an endpoint. Nothing is asked yet.
    pub fn new(endpoint: &str, auth: Auth, index: &str) -> Result<Self, Failure> {
        let service = match &auth {
            Auth::SigV4 { service, .. } => *service,
            Auth::None | Auth::Basic { .. } => Service::Domain,
        };
        Ok(Self {
            wire: Wire::new(endpoint, &auth, index)?,
            engine: Engine::default(),
            service,
        })
    }

    /// With another engine for an index that is yet to be made.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// As a domain or as a collection, where the endpoint's host does not tell: behind a proxy.
    #[must_use]
    pub fn with_service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// What the index keeps; `None` when it is not there.
    async fn kept(&self) -> Result<Option<Kept>, Failure> {
        match self
            .wire
            .ask("read the mapping", Method::Get, "/_mapping", &[], None)
            .await?
        {
            Answer::Found(answer) => Ok(Some(Kept::from_mapping(&answer))),
            Answer::NotFound => Ok(None),
        }
    }

    async fn create(&self, definition: &Value) -> Result<(), Failure> {
        let definition = Some(definition.to_string());
        match self
            .wire
            .ask("create the index", Method::Put, "", &[], definition)
            .await
        {
            Ok(_) => Ok(()),
            // Another process was faster; what it made is checked next.
            Err(failure)
                if failure
                    .message()
                    .contains("resource_already_exists_exception") =>
            {
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// An empty index that does not say whose vectors it is for becomes this model's.
    async fn adopt(&self, model: &ModelId, adoption: &Value) -> Result<(), Failure> {
        self.is_free_for(model).await?;
        let adoption = adoption.to_string();
        self.wire
            .ask_index(
                "name the model",
                Method::Put,
                "/_mapping",
                &[],
                Some(adoption),
            )
            .await
            .map(|_| ())
    }

    /// An index that does not say whose vectors it is for can become a model's only while it is empty.
    async fn is_free_for(&self, model: &ModelId) -> Result<(), Failure> {
        let count = self
            .wire
            .ask_index("count the chunks", Method::Get, "/_count", &[], None)
            .await?;
        if count["count"].as_u64() != Some(0) {
            let message = format!(
                "the index {} does not say which model its vectors are of, and is not empty; the embedder is {model}: index again into another index",
                self.wire.index()
            );
            return Err(Failure::permanent(reason::MODEL_MISMATCH, message));
        }
        Ok(())
    }

    /// Whether what the index says of itself is this model with these dimensions; `false` when it names no model.
    fn names(&self, kept: &Kept, model: &ModelId, dimensions: usize) -> Result<bool, Failure> {
        let index = self.wire.index();
        if kept.dimensions != Some(dimensions as u64) {
            let found = kept.dimensions.map_or("no vectors".to_owned(), |found| {
                format!("{found} dimensions")
            });
            let message = format!(
                "the index {index} has {found}, the embedder {model} has {dimensions} dimensions"
            );
            return Err(Failure::permanent(reason::MODEL_MISMATCH, message));
        }
        match &kept.model {
            None => Ok(false),
            Some(found) if found == model.as_str() => Ok(true),
            Some(found) => {
                let message =
                    format!("the index {index} keeps vectors of {found}, the embedder is {model}");
                Err(Failure::permanent(reason::MODEL_MISMATCH, message))
            }
        }
    }

    /// Whether the index is this model's. One that is not there is made as `definition` says; one that is empty and names no model
    /// becomes it as `adoption` says.
    async fn check_with(
        &self,
        model: &ModelId,
        dimensions: usize,
        definition: &Value,
        adoption: &Value,
    ) -> Result<(), Failure> {
        let kept = match self.kept().await? {
            Some(kept) => kept,
            None => {
                self.create(definition).await?;
                self.kept().await?.unwrap_or(Kept {
                    dimensions: None,
                    model: None,
                })
            }
        };
        if self.names(&kept, model, dimensions)? {
            return Ok(());
        }
        self.adopt(model, adoption).await
    }

    /// Whether the index is this model's, or could become it.
    async fn fits_model(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let Some(kept) = self.kept().await? else {
            return Ok(());
        };
        if self.names(&kept, model, dimensions)? {
            return Ok(());
        }
        self.is_free_for(model).await
    }

    /// # Errors
    /// `resource-missing` when there is no index.
    async fn must_be_there(&self, what: &str) -> Result<(), Failure> {
        if self.kept().await?.is_some() {
            return Ok(());
        }
        let message = format!(
            "could not put {what}: there is no index {}",
            self.wire.index()
        );
        Err(Failure::transient(reason::RESOURCE_MISSING, message))
    }

    /// How what is put in is made findable before a put ends.
    ///
    /// # Errors
    /// `resource-missing` when there is no index.
    async fn shows(&self) -> Result<bulk::Shown, Failure> {
        let asked = "read the index's settings";
        let answer = self.wire.ask_index(asked, Method::Get, "", &[], None);
        Ok(match documents::refreshes_soon(&answer.await?) {
            true => bulk::Shown::ByWaiting,
            false => bulk::Shown::ByRefresh,
        })
    }

    async fn remove(&self, query: Value) -> Result<u64, Failure> {
        if self.service == Service::Serverless {
            return serverless::remove(&self.wire, query).await;
        }
        let body = json!({"query": query}).to_string();
        let parameters = [("conflicts", "proceed"), ("refresh", "true")];
        let mut removed = 0;
        for _ in 0..REMOVE_ATTEMPTS {
            // Only what a refresh has shown is found.
            bulk::refresh(&self.wire).await?;
            let answer = self
                .wire
                .ask_index(
                    "remove chunks",
                    Method::Post,
                    "/_delete_by_query",
                    &parameters,
                    Some(body.clone()),
                )
                .await?;
            removed += answer["deleted"].as_u64().unwrap_or_default();
            let conflicts = answer["version_conflicts"].as_u64().unwrap_or_default();
            let has_failures = answer["failures"]
                .as_array()
                .is_some_and(|failures| !failures.is_empty());
            let timed_out = answer["timed_out"].as_bool().unwrap_or_default();
            if conflicts == 0 && !has_failures && !timed_out {
                return Ok(removed);
            }
        }
        let message = format!(
            "chunks in {} could not all be removed: other writes came between",
            self.wire.index()
        );
        Err(Failure::transient(reason::INDEX_UNAVAILABLE, message))
    }

    fn unreadable(&self, error: serde_json::Error) -> Failure {
        let message = format!(
            "the index {} answered chunks that cannot be read",
            self.wire.index()
        );
        Failure::permanent(reason::INDEX_REJECTED, message).caused_by(error)
    }
}

#[async_trait]
impl VectorIndex for OpenSearchIndex {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let definition = documents::definition(model, dimensions, self.engine);
        let adoption = documents::adoption(model, dimensions);
        self.check_with(model, dimensions, &definition, &adoption)
            .await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.fits_model(model, dimensions).await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        if entries.is_empty() {
            return Ok(());
        }
        match self.service {
            Service::Serverless => serverless::put(&self.wire, entries).await,
            Service::Domain => {
                // A bulk request to an index that is gone would make one without vectors.
                let shown = self.shows().await?;
                let entries: Vec<&Entry> = entries.iter().collect();
                bulk::put(&self.wire, &entries, bulk::Naming::ByChunk, shown).await
            }
        }
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        self.remove(documents::entries_of(
            user_id,
            document_id,
            Generations::Before(generation),
        ))
        .await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        let generations = up_to_generation.map_or(Generations::All, Generations::Through);
        self.remove(documents::entries_of(user_id, document_id, generations))
            .await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        let wanted = k.min(MAX_NEIGHBOURS);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        // Each shard answers its k nearest; `size` cuts the whole. Where twins may be, some more are asked for.
        let asked = match self.service {
            Service::Domain => wanted,
            Service::Serverless => (wanted * 2).min(MAX_NEIGHBOURS),
        };
        let looked_at = asked.max(documents::CANDIDATES);
        let body = documents::nearest(user_id, query.values(), looked_at, asked).to_string();
        let mut answer = self
            .wire
            .ask_index("search", Method::Post, "/_search", &[], Some(body))
            .await?;
        let mut hits = documents::hits(&mut answer).map_err(|error| self.unreadable(error))?;
        sort_hits(&mut hits);
        hits.dedup_by(|later, earlier| later.chunk_id == earlier.chunk_id);
        hits.truncate(wanted);
        Ok(hits)
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let query = documents::entries_of(user_id, document_id, Generations::All);
        let listed = listing::list(&self.wire, query).await?;
        Ok(listed
            .into_iter()
            .map(|listed| (listed.chunk_id, listed.generation))
            .collect())
    }
}
