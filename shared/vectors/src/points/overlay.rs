//! An index of points over another one, of which it only reads: what is put and removed stays here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use millrace_events::Failure;

use super::{Filter, Found, Point, PointIndex, ScanPoints, sort_found};
use crate::embedding::{Embedding, ModelId};

/// A change that was kept from the index below. One that changes nothing is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PointChange {
    /// A point was put in.
    Put { id: String, revision: u64 },
    /// A point that was there was taken out.
    Remove { id: String, revision: u64 },
}

/// Is told of every change, in their order.
pub type PointTold = Box<dyn Fn(PointChange) + Send + Sync>;

/// Keeps changes for itself and reads what is below.
pub struct OverlayPoints {
    below: Arc<dyn PointIndex>,
    above: ScanPoints,
    /// The newest revision that was put or removed here. Those ids are no longer seen below.
    known: Mutex<HashMap<String, u64>>,
    told: PointTold,
}

impl OverlayPoints {
    /// An overlay on this index.
    pub fn new(below: Arc<dyn PointIndex>, told: PointTold) -> Self {
        Self {
            below,
            above: ScanPoints::in_memory(),
            known: Mutex::default(),
            told,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something newer than this revision is known of the id, here or below.
    async fn is_old(&self, id: &str, revision: u64) -> Result<bool, Failure> {
        if let Some(known) = self.known().get(id) {
            return Ok(*known > revision);
        }
        let below = self.below.get(id).await?;
        Ok(below.is_some_and(|point| point.revision > revision))
    }
}

#[async_trait]
impl PointIndex for OverlayPoints {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.below.fits(model, dimensions).await?;
        self.above.check(model, dimensions).await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.below.fits(model, dimensions).await?;
        self.above.fits(model, dimensions).await
    }

    /// A removal that only the index below remembers is not seen: it answers no question about removed points. So a point older
    /// than such a removal counts as put in here.
    async fn put(&self, points: &[Point]) -> Result<(), Failure> {
        for point in points {
            point.check()?;
        }
        for point in points {
            if self.is_old(&point.id, point.revision).await? {
                continue;
            }
            self.above.put(std::slice::from_ref(point)).await?;
            self.known().insert(point.id.clone(), point.revision);
            (self.told)(PointChange::Put {
                id: point.id.clone(),
                revision: point.revision,
            });
        }
        Ok(())
    }

    async fn remove(&self, id: &str, revision: u64) -> Result<(), Failure> {
        if self.is_old(id, revision).await? {
            return Ok(());
        }
        let is_there = self.get(id).await?.is_some();
        self.above.remove(id, revision).await?;
        self.known().insert(id.to_owned(), revision);
        if is_there {
            (self.told)(PointChange::Remove {
                id: id.to_owned(),
                revision,
            });
        }
        Ok(())
    }

    async fn within(
        &self,
        query: &Embedding,
        filter: &Filter,
        at_least: f32,
    ) -> Result<Vec<Found>, Failure> {
        let mut found = self.below.within(query, filter, at_least).await?;
        {
            let known = self.known();
            found.retain(|found| !known.contains_key(&found.id));
        }
        found.extend(self.above.within(query, filter, at_least).await?);
        sort_found(&mut found);
        Ok(found)
    }

    async fn get(&self, id: &str) -> Result<Option<Point>, Failure> {
        if self.known().contains_key(id) {
            return self.above.get(id).await;
        }
        self.below.get(id).await
    }
}
