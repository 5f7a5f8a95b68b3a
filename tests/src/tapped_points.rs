//! The index of points behind the same tap as the SDK's calls: counted in one sequence, under the same faults.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use millrace_cloud::Tap;
use millrace_events::Failure;
use millrace_vectors::{
    Embedding, Fields, Filter, Found, ModelId, Point, PointIndex, content_hash,
};

use crate::tapped_index::failure;

/// A point of the index, as far as the end state speaks of it: how often it was written is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedPoint {
    /// Whose it is.
    pub id: String,
    /// What filters look at.
    pub fields: Fields,
    /// A hash of the vector.
    pub embedding: String,
}

/// Any index of points, behind a tap.
pub struct TappedPoints {
    inner: Arc<dyn PointIndex>,
    tap: Tap,
    /// The id of everything that was ever put: an index can only be asked by id.
    seen: Mutex<BTreeSet<String>>,
}

impl TappedPoints {
    /// Puts `inner` behind `tap`.
    pub fn new(inner: Arc<dyn PointIndex>, tap: Tap) -> Self {
        Self {
            inner,
            tap,
            seen: Mutex::default(),
        }
    }

    /// The index itself, past the tap.
    pub fn inner(&self) -> Arc<dyn PointIndex> {
        self.inner.clone()
    }

    /// Everything in the index, asked past the tap; by id.
    pub async fn entries(&self) -> Vec<IndexedPoint> {
        let seen = self.seen.lock().unwrap().clone();
        let mut entries = Vec::new();
        for id in seen {
            if let Some(point) = self.inner.get(&id).await.unwrap() {
                entries.push(IndexedPoint {
                    id,
                    fields: point.fields,
                    embedding: hash_of(&point.embedding),
                });
            }
        }
        entries
    }

    async fn pass<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.tap.pass(name, call, |lost| Err(failure(lost))).await
    }
}

fn hash_of(embedding: &Embedding) -> String {
    let bytes = embedding.to_le_bytes();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    content_hash(&ModelId::new("test"), &text)
}

#[async_trait]
impl PointIndex for TappedPoints {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.pass("points.check", self.inner.check(model, dimensions))
            .await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.pass("points.fits", self.inner.fits(model, dimensions))
            .await
    }

    async fn put(&self, points: &[Point]) -> Result<(), Failure> {
        let ids = points.iter().map(|point| point.id.clone());
        self.seen.lock().unwrap().extend(ids);
        self.pass("points.put", self.inner.put(points)).await
    }

    async fn remove(&self, id: &str, revision: u64) -> Result<(), Failure> {
        self.pass("points.remove", self.inner.remove(id, revision))
            .await
    }

    async fn within(
        &self,
        query: &Embedding,
        filter: &Filter,
        at_least: f32,
    ) -> Result<Vec<Found>, Failure> {
        let call = self.inner.within(query, filter, at_least);
        self.pass("points.within", call).await
    }

    async fn get(&self, id: &str) -> Result<Option<Point>, Failure> {
        self.pass("points.get", self.inner.get(id)).await
    }
}
