//! The embedded index: every vector of the user is compared, exactly.
//!
//! With a selective filter a graph is slower than looking at all that the filter lets through, so
//! there is no graph. One user's vectors lie together, in memory as one matrix and on disk as one
//! append-only log; another user's are in another file, which a search never opens.
//!
//! On disk, in the index's folder:
//! - `about.json`: the model and the dimensions;
//! - `writer.lock`: held by the one process that writes;
//! - `users/{hash of the user's id}.log`: see [`log`].
//!
//! Other processes may read at the same time: they take in what the log has gained before each search.

mod about;
mod log;
mod shelf;

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use async_trait::async_trait;
use millrace_events::{Failure, reason};
use sha2::{Digest, Sha256};

use self::{
    about::About,
    log::{Action, Log},
    shelf::Shelf,
};
use crate::{
    embedding::{Embedding, ModelId},
    index::{Entry, Hit, VectorIndex},
};

/// What "durable" means when a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The operating system has it: it survives the end of the process, however it ends.
    #[default]
    Written,
    /// The disk has it: it survives a power cut. Each write waits for the disk.
    Synced,
}

/// An exact, embedded vector index.
#[derive(Clone)]
pub struct ScanIndex {
    inner: Arc<Inner>,
}

struct Inner {
    home: Home,
    about: Mutex<Option<About>>,
    /// The users whose vectors are in memory.
    shelves: Mutex<HashMap<String, Arc<RwLock<Shelf>>>>,
}

enum Home {
    Memory,
    Disk { folder: PathBuf, access: Access },
}

enum Access {
    Writer {
        _lock: WriterLock,
        durability: Durability,
    },
    Reader,
}

/// Says that this process is the one that writes, until it is dropped or the process ends.
struct WriterLock(File);

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just being started by another
        // thread has it open too, until it becomes its own program.
        let _ = self.0.unlock();
    }
}

impl ScanIndex {
    /// An index that ends with the process.
    pub fn in_memory() -> Self {
        Self::new(Home::Memory, None)
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
        let attempted = |error: io::Error| unavailable("open the index in", folder, error);
        fs::create_dir_all(folder.join("users")).map_err(attempted)?;
        let path = folder.join("writer.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(attempted)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another process writes to the index in {}: end it first, or only read",
                    folder.display()
                );
                return Err(Failure::transient(reason::INDEX_UNAVAILABLE, message));
            }
            Err(TryLockError::Error(error)) => return Err(attempted(error)),
        }
        let about = About::read(folder)?;
        let access = Access::Writer {
            _lock: WriterLock(lock),
            durability,
        };
        Ok(Self::new(
            Home::Disk {
                folder: folder.to_owned(),
                access,
            },
            about,
        ))
    }

    /// The index in this folder, to search only: another process may write to it meanwhile, and
    /// each search sees what is committed when it begins. A folder that is not there is an empty index.
    pub fn open_read_only(folder: &Path) -> Result<Self, Failure> {
        let about = About::read(folder)?;
        Ok(Self::new(
            Home::Disk {
                folder: folder.to_owned(),
                access: Access::Reader,
            },
            about,
        ))
    }

    fn new(home: Home, about: Option<About>) -> Self {
        Self {
            inner: Arc::new(Inner {
                home,
                about: Mutex::new(about),
                shelves: Mutex::default(),
            }),
        }
    }

    /// Runs work that blocks where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(done) => done,
            Err(error) => {
                let message = "the work on the index did not end";
                Err(Failure::transient(reason::INDEX_UNAVAILABLE, message).caused_by(error))
            }
        }
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
        let Home::Disk { folder, access } = &self.home else {
            return None;
        };
        let path = folder
            .join("users")
            .join(format!("{}.log", file_stem(user_id)));
        Some(match access {
            Access::Writer { durability, .. } => Log::for_writing(path, *durability),
            Access::Reader => Log::for_reading(path),
        })
    }

    /// Changes a user's vectors; answers how many entries left.
    fn apply(&self, user_id: &str, actions: Vec<Action>) -> Result<u64, Failure> {
        if let Home::Disk {
            folder,
            access: Access::Reader,
        } = &self.home
        {
            let message = format!("the index in {} is open for reading only", folder.display());
            return Err(Failure::permanent(reason::INDEX_REJECTED, message));
        }
        let shelf = self.shelf(user_id)?;
        let mut shelf = shelf.write().unwrap_or_else(PoisonError::into_inner);
        // A write that failed since may have left a torn record behind.
        shelf.catch_up()?;
        shelf.commit(actions)
    }

    fn check(&self, asked: About) -> Result<(), Failure> {
        let mut about = self.known_about()?;
        if let Some(known) = about.as_ref() {
            return known.fits(&asked);
        }
        match &self.home {
            Home::Disk {
                access: Access::Reader,
                ..
            } => return Ok(()),
            Home::Disk { folder, .. } => asked.write(folder)?,
            Home::Memory => {}
        }
        *about = Some(asked);
        Ok(())
    }

    fn fits(&self, asked: &About) -> Result<(), Failure> {
        match self.known_about()?.as_ref() {
            Some(known) => known.fits(asked),
            None => Ok(()),
        }
    }

    /// What the index says of itself; a reader looks again until its writer has said it.
    fn known_about(&self) -> Result<MutexGuard<'_, Option<About>>, Failure> {
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        if about.is_none()
            && let Home::Disk {
                folder,
                access: Access::Reader,
            } = &self.home
        {
            *about = About::read(folder)?;
        }
        Ok(about)
    }

    /// An index that was checked takes only vectors of its dimensions.
    fn check_dimensions(&self, embedding: &Embedding) -> Result<(), Failure> {
        match self
            .about
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            Some(about) => about.fits_dimensions(embedding.dimensions()),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl VectorIndex for ScanIndex {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let asked = About::new(model, dimensions);
        self.blocking(move |inner| inner.check(asked)).await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let asked = About::new(model, dimensions);
        self.blocking(move |inner| inner.fits(&asked)).await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        let mut by_user: HashMap<String, Vec<Action>> = HashMap::new();
        for entry in entries {
            self.inner.check_dimensions(&entry.embedding)?;
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
        self.inner.check_dimensions(query)?;
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

/// A failure of the file system.
fn unavailable(attempted: &str, path: &Path, error: io::Error) -> Failure {
    let message = format!("could not {attempted} {}", path.display());
    Failure::transient(reason::INDEX_UNAVAILABLE, message).caused_by(error)
}
