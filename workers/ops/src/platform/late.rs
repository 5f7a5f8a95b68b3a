//! Vector indexes that are made when they are first needed: listing dead letters needs none, and an operator who only
//! lists them may have no right to them.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use millrace_cloud::{Clients, Settings};
use millrace_events::{Failure, reason};
use millrace_vectors::{
    Embedding, Entry, Filter, Found, Hit, ModelId, Point, PointIndex, VectorIndex,
    settings::{self as vectors, SetupError},
};
use tokio::sync::OnceCell;

/// How an index is made from a function's settings.
type Make<I> = fn(&Settings, &Clients) -> Result<Arc<I>, SetupError>;

/// An index of one kind or another.
pub(super) struct Late<I: ?Sized> {
    settings: Settings,
    clients: Clients,
    make: Make<I>,
    /// What it must fit.
    embedder: OnceCell<(ModelId, usize)>,
    made: OnceCell<Arc<I>>,
    checked: OnceCell<()>,
}

/// The index of chunks that the settings name.
pub(super) fn chunks(settings: &Settings, clients: &Clients) -> Arc<dyn VectorIndex> {
    Arc::new(Late::new(settings, clients, vectors::index))
}

/// The index of profiles that the settings name.
pub(super) fn profiles(settings: &Settings, clients: &Clients) -> Arc<dyn PointIndex> {
    Arc::new(Late::new(settings, clients, vectors::points))
}

impl<I: ?Sized> Late<I> {
    fn new(settings: &Settings, clients: &Clients, make: Make<I>) -> Self {
        Self {
            settings: settings.clone(),
            clients: clients.clone(),
            make,
            embedder: OnceCell::new(),
            made: OnceCell::new(),
            checked: OnceCell::new(),
        }
    }

    /// Kept until there is an index to ask.
    fn expect(&self, model: &ModelId, dimensions: usize) {
        let _ = self.embedder.set((model.clone(), dimensions));
    }

    /// The index, once `fits` said that it fits; it is not made if it is not there.
    async fn reading<F: Future<Output = Result<(), Failure>>>(
        &self,
        fits: impl FnOnce(Arc<I>, ModelId, usize) -> F,
    ) -> Result<&Arc<I>, Failure> {
        let make = || async {
            let index = (self.make)(&self.settings, &self.clients).map_err(|error| {
                Failure::transient(
                    reason::INDEX_UNAVAILABLE,
                    "the vector index is not set up here: name it with MILLRACE_OPENSEARCH_ENDPOINT, or replay with --via queue",
                )
                .caused_by(error)
            })?;
            if let Some((model, dimensions)) = self.embedder.get() {
                fits(index.clone(), model.clone(), *dimensions).await?;
            }
            Ok(index)
        };
        self.made.get_or_try_init(make).await
    }

    /// The index, once `check` made it or said that it fits.
    async fn writing<F: Future<Output = Result<(), Failure>>>(
        &self,
        index: &Arc<I>,
        check: impl FnOnce(Arc<I>, ModelId, usize) -> F,
    ) -> Result<(), Failure> {
        let check = || async {
            match self.embedder.get() {
                Some((model, dimensions)) => check(index.clone(), model.clone(), *dimensions).await,
                None => Ok(()),
            }
        };
        self.checked.get_or_try_init(check).await.copied()
    }
}

impl Late<dyn VectorIndex> {
    async fn to_read(&self) -> Result<&Arc<dyn VectorIndex>, Failure> {
        self.reading(|index, model, dimensions| async move { index.fits(&model, dimensions).await })
            .await
    }

    async fn to_write(&self) -> Result<&Arc<dyn VectorIndex>, Failure> {
        let index = self.to_read().await?;
        self.writing(index, |index, model, dimensions| async move {
            index.check(&model, dimensions).await
        })
        .await?;
        Ok(index)
    }
}

impl Late<dyn PointIndex> {
    async fn to_read(&self) -> Result<&Arc<dyn PointIndex>, Failure> {
        self.reading(|index, model, dimensions| async move { index.fits(&model, dimensions).await })
            .await
    }

    async fn to_write(&self) -> Result<&Arc<dyn PointIndex>, Failure> {
        let index = self.to_read().await?;
        self.writing(index, |index, model, dimensions| async move {
            index.check(&model, dimensions).await
        })
        .await?;
        Ok(index)
    }
}

#[async_trait]
impl VectorIndex for Late<dyn VectorIndex> {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.expect(model, dimensions);
        Ok(())
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.expect(model, dimensions);
        Ok(())
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        self.to_write().await?.put(entries).await
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        let index = self.to_write().await?;
        index.remove_older(user_id, document_id, generation).await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        let index = self.to_write().await?;
        index
            .remove_document(user_id, document_id, up_to_generation)
            .await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        self.to_read().await?.search(user_id, query, k).await
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let index = self.to_read().await?;
        index.document_chunks(user_id, document_id).await
    }
}

#[async_trait]
impl PointIndex for Late<dyn PointIndex> {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.expect(model, dimensions);
        Ok(())
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.expect(model, dimensions);
        Ok(())
    }

    async fn put(&self, points: &[Point]) -> Result<(), Failure> {
        self.to_write().await?.put(points).await
    }

    async fn remove(&self, id: &str, revision: u64) -> Result<(), Failure> {
        self.to_write().await?.remove(id, revision).await
    }

    async fn within(
        &self,
        query: &Embedding,
        filter: &Filter,
        at_least: f32,
    ) -> Result<Vec<Found>, Failure> {
        self.to_read().await?.within(query, filter, at_least).await
    }

    async fn get(&self, id: &str) -> Result<Option<Point>, Failure> {
        self.to_read().await?.get(id).await
    }
}
