//! The embedded index of points: every one that passes the filter is compared, exactly.
//!
//! On disk, in the index's folder:
//! - `about.json`: the model and the dimensions;
//! - `writer.lock`: held by the one process that writes;
//! - `points.log`: what was put and removed; see `disk/log.rs`.
//!
//! All points are in memory too, in segments of four thousand. A search holds one segment after the other, each for about
//! a millisecond, so writes go on while it runs; it sees each point as it is when it comes by. Scores are computed in
//! double precision, in the order of the numbers: the same bits on every processor and with any number of threads.
//!
//! Other processes may read at the same time: they take in what the log has gained before each search.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use async_trait::async_trait;
use millrace_events::Failure;

use super::{
    Filter, Found, Point, PointIndex,
    action::Action,
    book::{Book, Shelf},
    matrix::Matrix,
    segment::{Layout, Wanted},
};
use crate::{
    disk::{Durability, Home, blocking, mismatch},
    embedding::{Embedding, ModelId},
    kernel,
};

/// How an embedded index of points works.
#[derive(Debug, Clone, Copy)]
pub struct ScanSettings {
    /// What "durable" means when a write returns.
    pub durability: Durability,
    /// In which precision vectors are scanned.
    pub layout: Layout,
    /// How many threads one search takes at most. Small indexes take one.
    pub threads: NonZeroUsize,
}

impl Default for ScanSettings {
    /// Written, in half precision, and as many threads as there are processors.
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            layout: Layout::default(),
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// An exact, embedded index of points.
#[derive(Clone)]
pub struct ScanPoints {
    inner: Arc<Inner>,
    threads: NonZeroUsize,
}

struct Inner {
    home: Home,
    /// Whoever changes something holds it.
    book: Mutex<Book>,
    /// Whoever searches looks here.
    shelf: Shelf,
    /// Whether a writer has read its log once. From then on it knows all that is in it.
    is_read: AtomicBool,
    is_compacting: AtomicBool,
}

impl ScanPoints {
    /// An index that ends with the process.
    pub fn in_memory() -> Self {
        Self::in_memory_with(ScanSettings::default())
    }

    /// As [`ScanPoints::in_memory`], with other settings.
    pub fn in_memory_with(settings: ScanSettings) -> Self {
        Self::new(Home::memory(), settings)
    }

    /// The index in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// `index-unavailable` when another process writes to it.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        Self::open_with(folder, ScanSettings::default())
    }

    /// As [`ScanPoints::open`], with other settings.
    pub fn open_with(folder: &Path, settings: ScanSettings) -> Result<Self, Failure> {
        Ok(Self::new(
            Home::open(folder, settings.durability)?,
            settings,
        ))
    }

    /// The index in this folder, to search only: another process may write to it meanwhile, and
    /// each search sees what is committed when it begins. A folder that is not there is an empty index.
    pub fn open_read_only(folder: &Path) -> Result<Self, Failure> {
        Self::open_read_only_with(folder, ScanSettings::default())
    }

    /// As [`ScanPoints::open_read_only`], with other settings.
    pub fn open_read_only_with(folder: &Path, settings: ScanSettings) -> Result<Self, Failure> {
        Ok(Self::new(Home::open_read_only(folder)?, settings))
    }

    fn new(home: Home, settings: ScanSettings) -> Self {
        let log = home.log("points.log", "move it away and put all points in again");
        Self {
            inner: Arc::new(Inner {
                home,
                book: Mutex::new(Book::new(log, settings.layout)),
                shelf: RwLock::default(),
                is_read: AtomicBool::new(false),
                is_compacting: AtomicBool::new(false),
            }),
            threads: settings.threads,
        }
    }

    /// The same index, searched by at most so many threads.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }

    /// Reads all vectors in 32 bits, in several streams a thread, and does next to nothing with them: for measuring what a
    /// scan could be at best.
    #[doc(hidden)]
    pub async fn read(&self, streams: usize) -> Result<u32, Failure> {
        let threads = self.threads;
        self.blocking(move |inner| {
            let matrix = inner.matrix()?;
            Ok(matrix.map_or(0, |matrix| matrix.read(threads, streams)))
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let inner = self.inner.clone();
        blocking(move || work(&inner)).await
    }
}

impl Inner {
    /// The book, with all that the log says.
    fn book(&self) -> Result<MutexGuard<'_, Book>, Failure> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if !book.is_current() {
            let read = book.catch_up();
            self.show(&book);
            read?;
        }
        self.is_read.store(book.is_current(), Ordering::Release);
        Ok(book)
    }

    /// Lets searches see what the book says.
    fn show(&self, book: &Book) {
        let matrix = book.matrix();
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        *shelf = matrix;
    }

    /// The points to search in.
    fn matrix(&self) -> Result<Option<Arc<Matrix>>, Failure> {
        // A writer need not wait for the write that is under way.
        if !self.is_read.load(Ordering::Acquire) {
            drop(self.book()?);
        }
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        Ok(shelf.clone())
    }

    fn commit(&self, actions: Vec<Action>) -> Result<(), Failure> {
        self.home.check_writable()?;
        let mut book = self.book()?;
        let committed = book.commit(actions);
        self.show(&book);
        drop(book);
        committed?;
        if let Err(failure) = self.compact_if_worthwhile() {
            // No failure of the write before it: it is tried again after the next.
            tracing::warn!(error = %failure.chain(), "could not compact an index of points");
        }
        Ok(())
    }

    /// Whoever's write made it worthwhile does it; the others go on meanwhile.
    fn compact_if_worthwhile(&self) -> Result<(), Failure> {
        if self.is_compacting.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let compacted = self.compact();
        self.is_compacting.store(false, Ordering::Release);
        compacted
    }

    fn compact(&self) -> Result<(), Failure> {
        let Some(mut compaction) = self.book()?.begin_compaction()? else {
            return Ok(());
        };
        compaction.write()?;
        let end = self.book()?.log_end();
        compaction.follow(end)?;
        self.book()?.end_compaction(compaction)
    }

    fn within(
        &self,
        wanted: &Wanted,
        dimensions: usize,
        threads: NonZeroUsize,
    ) -> Result<Vec<Found>, Failure> {
        let Some(matrix) = self.matrix()? else {
            return Ok(Vec::new());
        };
        if matrix.dimensions() != dimensions {
            return Err(mismatch(matrix.dimensions(), dimensions));
        }
        Ok(matrix.search(wanted, threads))
    }
}

#[async_trait]
impl PointIndex for ScanPoints {
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

    async fn put(&self, points: &[Point]) -> Result<(), Failure> {
        for point in points {
            point.check()?;
            self.inner.home.check_dimensions(&point.embedding)?;
        }
        let points = points.iter().cloned();
        let actions = points.map(|point| Action::Put(Box::new(point))).collect();
        self.blocking(move |inner| inner.commit(actions)).await
    }

    async fn remove(&self, id: &str, revision: u64) -> Result<(), Failure> {
        let id = id.to_owned();
        self.blocking(move |inner| inner.commit(vec![Action::Remove { id, revision }]))
            .await
    }

    async fn within(
        &self,
        query: &Embedding,
        filter: &Filter,
        at_least: f32,
    ) -> Result<Vec<Found>, Failure> {
        self.inner.home.check_dimensions(query)?;
        let dimensions = query.dimensions();
        let wanted = Wanted {
            query: kernel::lines_of(query.values()).collect(),
            filter: filter.clone(),
            at_least,
        };
        let threads = self.threads;
        self.blocking(move |inner| inner.within(&wanted, dimensions, threads))
            .await
    }

    async fn get(&self, id: &str) -> Result<Option<Point>, Failure> {
        let id = id.to_owned();
        self.blocking(move |inner| Ok(inner.book()?.get(&id))).await
    }
}
