//! The vector index behind the same tap as the SDK's calls: counted in one sequence, under the same faults.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use millrace_cloud::{Lost, Tap};
use millrace_events::{Failure, reason};
use millrace_vectors::{Embedding, Entry, Hit, ModelId, VectorIndex};

/// An entry of the index, as far as the end state speaks of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Indexed {
    /// The user.
    pub user: String,
    /// The document.
    pub document: String,
    /// The chunk.
    pub chunk: String,
    /// The generation of the document that put it there.
    pub generation: String,
}

/// Any index, behind a tap.
pub struct TappedIndex {
    inner: Arc<dyn VectorIndex>,
    tap: Tap,
    /// User and document of everything that was ever put: an index can only be asked by document.
    seen: Mutex<BTreeSet<(String, String)>>,
}

impl TappedIndex {
    /// Puts `inner` behind `tap`.
    pub fn new(inner: Arc<dyn VectorIndex>, tap: Tap) -> Self {
        Self {
            inner,
            tap,
            seen: Mutex::default(),
        }
    }

    /// The index itself, past the tap.
    pub fn inner(&self) -> Arc<dyn VectorIndex> {
        self.inner.clone()
    }

    /// Everything in the index, asked past the tap.
    pub async fn entries(&self) -> Vec<Indexed> {
        let seen = self.seen.lock().unwrap().clone();
        let mut entries = Vec::new();
        for (user, document) in seen {
            let chunks = self.inner.document_chunks(&user, &document).await.unwrap();
            entries.extend(chunks.into_iter().map(|(chunk, generation)| Indexed {
                user: user.clone(),
                document: document.clone(),
                chunk,
                generation,
            }));
        }
        entries
    }

    async fn pass<T>(
        &self,
        name: impl Into<String>,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.tap.pass(name, call, |lost| Err(failure(lost))).await
    }
}

/// As the OpenSearch index tells it.
pub(crate) fn failure<T>(lost: Lost<T>) -> Failure {
    let message = match lost {
        Lost::Error => "injected: the index failed",
        Lost::Throttled => "injected: the index has too much to do",
        Lost::TimedOut => "injected: the index did not answer in time",
        Lost::Disconnected(_) => "injected: the connection to the index was lost",
    };
    Failure::transient(reason::INDEX_UNAVAILABLE, message)
}

#[async_trait]
impl VectorIndex for TappedIndex {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.pass("index.check", self.inner.check(model, dimensions))
            .await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.pass("index.fits", self.inner.fits(model, dimensions))
            .await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        let subjects = entries
            .iter()
            .map(|entry| (entry.user_id.clone(), entry.document_id.clone()));
        self.seen.lock().unwrap().extend(subjects);
        self.pass("index.put", self.inner.put(entries)).await
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        let call = self.inner.remove_older(user_id, document_id, generation);
        self.pass("index.remove_older", call).await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        let call = self
            .inner
            .remove_document(user_id, document_id, up_to_generation);
        self.pass("index.remove_document", call).await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        self.pass("index.search", self.inner.search(user_id, query, k))
            .await
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let call = self.inner.document_chunks(user_id, document_id);
        self.pass("index.document_chunks", call).await
    }
}
