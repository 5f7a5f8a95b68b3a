//! The embedded index: every vector of the user is compared, exactly.
//!
//! With a selective filter a graph is slower than looking at all that the filter lets through, so
//! there is no graph. One user's vectors lie together, in memory as one matrix and on disk as one
//! append-only log; another user's are in another file, which a search never opens.
//!
//! On disk, in the index's folder:
//! - `about.json`: the model and the dimensions;
//! - `writer.lock`: held by the one process that writes;
//! - `users/{hash of the user's id}.log`: see `disk/log.rs`.
//!
//! Other processes may read at the same time: they take in what the log has gained before each search.

mod action;
mod shelf;

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use async_trait::async_trait;
use millrace_events::Failure;
use sha2::{Digest, Sha256};

use self::{action::Action, shelf::Shelf};
use crate::{
    disk::{Durability, Home, Log, blocking, unavailable},
    embedding::{Embedding, ModelId},
    index::{Entry, Hit, VectorIndex},
};

/// An exact, embedded vector index.
#[derive(Clone)]
pub struct ScanIndex {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    /// The users whose vectors are in memory.
    shelves: Mutex<HashMap<String, Arc<RwLock<Shelf>>>>,
}

impl ScanIndex {
    /// An index that ends with the process.
    pub fn in_memory() -> Self {
        Self::new(Home::memory())
    }

    /// The index in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// `index-unavailable` when another process writes to it.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        Self::open_with(folder, Durability::default())
    }

    /// As [`ScanIndex::open`], with another durability.
    pub fn open_with(folder: &Path, durability: Durability) -> Result<Self, Failure> {
        let users = folder.join("users");
        fs::create_dir_all(&users).map_err(|error| unavailable("make", &users, error))?;
        Ok(Self::new(Home::open(folder, durability)?))
    }

    /// The index in this folder, to search only: another process may write to it meanwhile, and
    /// each search sees what is committed when it begins. A folder that is not there is an empty index.
    pub fn open_read_only(folder: &Path) -> Result<Self, Failure> {
        Ok(Self::new(Home::open_read_only(folder)?))
    }

    fn new(home: Home) -> Self {
        let shelves = Mutex::default();
        Self {
            inner: Arc::new(Inner { home, shelves }),
        }
    }

    /// Runs work that blocks where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let inner = self.inner.clone();
        blocking(move || work(&inner)).await
    }
}

impl Inner {
    /// The user's vectors as they are now.
    fn shelf(&self, user_id: &str) -> Result<Arc<RwLock<Shelf>>, Failure> {
        let shelf = {
            let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
            let empty = || Arc::new(RwLock::new(Shelf::new(user_id, self.log(user_id))));
            shelves
                .entry(user_id.to_owned())
                .or_insert_with(empty)
                .clone()
        };
        // Whoever comes first takes the log in; the others wait for it here, not at the map of all users.
        let is_current = shelf
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_current();
        if !is_current {
            shelf
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .catch_up()?;
        }
        Ok(shelf)
    }

    fn log(&self, user_id: &str) -> Option<Log> {
        let name = format!("users/{}.log", file_stem(user_id));
        let when_damaged = "move it away and index the user's documents again";
        self.home.log(name, when_damaged)
    }

    /// Changes a user's vectors; answers how many entries left.
    fn apply(&self, user_id: &str, actions: Vec<Action>) -> Result<u64, Failure> {
        self.home.check_writable()?;
        let shelf = self.shelf(user_id)?;
        let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
        // A write that failed since may have left a torn record behind.
        shelf.catch_up()?;
        shelf.commit(actions)
    }
}

#[async_trait]
impl VectorIndex for ScanIndex {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let model = model.clone();
        self.blocking(move |inner| inner.home.check(&model, dimensions))
            .await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let model = model.clone();
        self.blocking(move |inner| inner.home.fits(&model, dimensions))
            .await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        let mut by_user: HashMap<String, Vec<Action>> = HashMap::new();
        for entry in entries {
            self.inner.home.check_dimensions(&entry.embedding)?;
            by_user
                .entry(entry.user_id.clone())
                .or_default()
                .push(Action::Put(Box::new(entry.clone())));
        }
        self.blocking(move |inner| {
            by_user
                .into_iter()
                .try_for_each(|(user_id, actions)| inner.apply(&user_id, actions).map(|_| ()))
        })
        .await
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        let action = Action::RemoveBefore {
            document_id: document_id.to_owned(),
            generation: generation.to_owned(),
        };
        let user_id = user_id.to_owned();
        self.blocking(move |inner| inner.apply(&user_id, vec![action]))
            .await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        let document_id = document_id.to_owned();
        let action = match up_to_generation {
            Some(generation) => Action::RemoveThrough {
                document_id,
                generation: generation.to_owned(),
            },
            None => Action::RemoveAll { document_id },
        };
        let user_id = user_id.to_owned();
        self.blocking(move |inner| inner.apply(&user_id, vec![action]))
            .await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        self.inner.home.check_dimensions(query)?;
        let (user_id, query) = (user_id.to_owned(), query.clone());
        self.blocking(move |inner| {
            let shelf = inner.shelf(&user_id)?;
            shelf
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .search(&query, k)
        })
        .await
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let (user_id, document_id) = (user_id.to_owned(), document_id.to_owned());
        self.blocking(move |inner| {
            let shelf = inner.shelf(&user_id)?;
            let shelf = shelf.read().unwrap_or_else(PoisonError::into_inner);
            Ok(shelf.document_chunks(&document_id))
        })
        .await
    }
}

/// The name of a user's file: an id is never trusted to be a path.
fn file_stem(user_id: &str) -> String {
    hex::encode(&Sha256::digest(user_id.as_bytes())[..16])
}
