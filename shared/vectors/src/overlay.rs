//! An index over another one, of which it only reads: what is put and removed stays here.
//!
//! With it a worker can be run to see what it would do. It finds what it put and no longer finds what it
//! removed; the index below never hears of it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use millrace_events::Failure;

use crate::{
    embedding::{Embedding, ModelId},
    index::{Entry, Hit, VectorIndex, sort_hits},
    scan::ScanIndex,
};

/// A change that was kept from the index below. A removal that removes nothing is none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IndexChange {
    /// Chunks of a document were put in.
    Put {
        user_id: String,
        document_id: String,
        chunks: u64,
    },
    /// Chunks of a document's former generations were removed.
    RemoveOlder {
        user_id: String,
        document_id: String,
        chunks: u64,
    },
    /// Chunks of a document that was removed were removed.
    RemoveDocument {
        user_id: String,
        document_id: String,
        chunks: u64,
    },
}

/// Is told of every change, in their order.
pub type Told = Box<dyn Fn(IndexChange) + Send + Sync>;

/// Keeps changes for itself and reads what is below.
pub struct OverlayIndex {
    below: Arc<dyn VectorIndex>,
    above: ScanIndex,
    hidden: Mutex<Hidden>,
    told: Told,
}

/// What of the index below is no longer to be seen.
#[derive(Default)]
struct Hidden {
    /// User and chunk id of what was put in its place.
    replaced: HashSet<(String, String)>,
    removed: Vec<Removal>,
}

struct Removal {
    user_id: String,
    document_id: String,
    what: Generations,
}

enum Generations {
    Before(String),
    Through(String),
    All,
}

impl Generations {
    fn contains(&self, generation: &str) -> bool {
        match self {
            Self::Before(limit) => generation < limit.as_str(),
            Self::Through(limit) => generation <= limit.as_str(),
            Self::All => true,
        }
    }
}

impl Hidden {
    fn hides(&self, user_id: &str, document_id: &str, generation: &str, chunk_id: &str) -> bool {
        self.replaced
            .contains(&(user_id.to_owned(), chunk_id.to_owned()))
            || self.removed.iter().any(|removal| {
                removal.user_id == user_id
                    && removal.document_id == document_id
                    && removal.what.contains(generation)
            })
    }
}

impl OverlayIndex {
    /// An overlay on this index.
    pub fn new(below: Arc<dyn VectorIndex>, told: Told) -> Self {
        Self {
            below,
            above: ScanIndex::in_memory(),
            hidden: Mutex::default(),
            told,
        }
    }

    fn hidden(&self) -> MutexGuard<'_, Hidden> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hides those generations of a document; answers how many chunks were to be seen of them.
    async fn hide(
        &self,
        user_id: &str,
        document_id: &str,
        what: Generations,
    ) -> Result<u64, Failure> {
        let there = self.document_chunks(user_id, document_id).await?;
        let count = there
            .iter()
            .filter(|(_, generation)| what.contains(generation))
            .count();
        self.hidden().removed.push(Removal {
            user_id: user_id.to_owned(),
            document_id: document_id.to_owned(),
            what,
        });
        Ok(count as u64)
    }
}

#[async_trait]
impl VectorIndex for OverlayIndex {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.below.fits(model, dimensions).await?;
        self.above.check(model, dimensions).await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.below.fits(model, dimensions).await?;
        self.above.fits(model, dimensions).await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        self.above.put(entries).await?;
        let mut documents: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        {
            let mut hidden = self.hidden();
            for entry in entries {
                hidden
                    .replaced
                    .insert((entry.user_id.clone(), entry.chunk_id.clone()));
                *documents
                    .entry((&entry.user_id, &entry.document_id))
                    .or_default() += 1;
            }
        }
        for ((user_id, document_id), chunks) in documents {
            (self.told)(IndexChange::Put {
                user_id: user_id.to_owned(),
                document_id: document_id.to_owned(),
                chunks,
            });
        }
        Ok(())
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        let what = Generations::Before(generation.to_owned());
        let chunks = self.hide(user_id, document_id, what).await?;
        self.above
            .remove_older(user_id, document_id, generation)
            .await?;
        if chunks > 0 {
            (self.told)(IndexChange::RemoveOlder {
                user_id: user_id.to_owned(),
                document_id: document_id.to_owned(),
                chunks,
            });
        }
        Ok(chunks)
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        let what = up_to_generation.map_or(Generations::All, |generation| {
            Generations::Through(generation.to_owned())
        });
        let chunks = self.hide(user_id, document_id, what).await?;
        self.above
            .remove_document(user_id, document_id, up_to_generation)
            .await?;
        if chunks > 0 {
            (self.told)(IndexChange::RemoveDocument {
                user_id: user_id.to_owned(),
                document_id: document_id.to_owned(),
                chunks,
            });
        }
        Ok(chunks)
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        let mut asked = k;
        let mut found = loop {
            let hits = self.below.search(user_id, query, asked).await?;
            let is_all = hits.len() < asked;
            let hidden = self.hidden();
            let seen: Vec<Hit> = hits
                .into_iter()
                .filter(|hit| {
                    !hidden.hides(user_id, &hit.document_id, &hit.generation, &hit.chunk_id)
                })
                .collect();
            // What is hidden took the places of others: then more are asked for.
            if is_all || seen.len() >= k {
                break seen;
            }
            asked = asked.saturating_mul(2);
        };
        found.extend(self.above.search(user_id, query, k).await?);
        sort_hits(&mut found);
        found.truncate(k);
        Ok(found)
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let mut chunks = self.below.document_chunks(user_id, document_id).await?;
        {
            let hidden = self.hidden();
            chunks.retain(|(chunk_id, generation)| {
                !hidden.hides(user_id, document_id, generation, chunk_id)
            });
        }
        chunks.extend(self.above.document_chunks(user_id, document_id).await?);
        chunks.sort();
        Ok(chunks)
    }
}
