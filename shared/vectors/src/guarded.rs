//! Circuit breakers before the embedder and the index: while one of them is down it is not asked for every record.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_delivery::{Breaker, BreakerSettings};
use millrace_events::{Failure, reason};

use crate::{
    embedder::Embedder,
    embedding::{Embedding, ModelId},
    index::{Entry, Hit, VectorIndex},
    points::{Filter, Found, Point, PointIndex},
};

/// An embedder behind a breaker.
pub struct GuardedEmbedder {
    inner: Arc<dyn Embedder>,
    breaker: Breaker,
}

impl GuardedEmbedder {
    /// Guards this one.
    pub fn new(inner: Arc<dyn Embedder>) -> Self {
        Self {
            inner,
            breaker: Breaker::new(
                "the embedder",
                reason::EMBEDDER_UNAVAILABLE,
                BreakerSettings::default(),
            ),
        }
    }
}

#[async_trait]
impl Embedder for GuardedEmbedder {
    fn model(&self) -> &ModelId {
        self.inner.model()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        self.breaker.call(|| self.inner.embed(texts)).await
    }
}

/// An index behind a breaker.
pub struct GuardedIndex<I: ?Sized> {
    inner: Arc<I>,
    breaker: Breaker,
}

impl<I: ?Sized> GuardedIndex<I> {
    /// Guards this one.
    pub fn new(inner: Arc<I>) -> Self {
        Self {
            inner,
            breaker: Breaker::new(
                "the index",
                reason::INDEX_UNAVAILABLE,
                BreakerSettings::default(),
            ),
        }
    }
}

#[async_trait]
impl VectorIndex for GuardedIndex<dyn VectorIndex> {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.breaker
            .call(|| self.inner.check(model, dimensions))
            .await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.breaker
            .call(|| self.inner.fits(model, dimensions))
            .await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        self.breaker.call(|| self.inner.put(entries)).await
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        self.breaker
            .call(|| self.inner.remove_older(user_id, document_id, generation))
            .await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        self.breaker
            .call(|| {
                self.inner
                    .remove_document(user_id, document_id, up_to_generation)
            })
            .await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        self.breaker
            .call(|| self.inner.search(user_id, query, k))
            .await
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        self.breaker
            .call(|| self.inner.document_chunks(user_id, document_id))
            .await
    }
}

#[async_trait]
impl PointIndex for GuardedIndex<dyn PointIndex> {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.breaker
            .call(|| self.inner.check(model, dimensions))
            .await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.breaker
            .call(|| self.inner.fits(model, dimensions))
            .await
    }

    async fn put(&self, points: &[Point]) -> Result<(), Failure> {
        self.breaker.call(|| self.inner.put(points)).await
    }

    async fn remove(&self, id: &str, revision: u64) -> Result<(), Failure> {
        self.breaker.call(|| self.inner.remove(id, revision)).await
    }

    async fn within(
        &self,
        query: &Embedding,
        filter: &Filter,
        at_least: f32,
    ) -> Result<Vec<Found>, Failure> {
        self.breaker
            .call(|| self.inner.within(query, filter, at_least))
            .await
    }

    async fn get(&self, id: &str) -> Result<Option<Point>, Failure> {
        self.breaker.call(|| self.inner.get(id)).await
    }
}
