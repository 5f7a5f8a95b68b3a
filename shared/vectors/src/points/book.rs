//! What a writer knows of every id, and the log that it writes.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use millrace_events::Failure;

use super::{Point, action::Action, matrix::Matrix, segment::Layout};
use crate::disk::{Log, News, Record, Rewrite, mismatch};

/// A log smaller than this is not worth compacting.
const MIN_COMPACTION_BYTES: u64 = 1 << 20;

/// Where searches find the points. Its lock is held only to look or to put another matrix in its place.
pub(super) type Shelf = RwLock<Option<Arc<Matrix>>>;

/// The newest that is known of an id.
struct Known {
    revision: u64,
    /// `None` when it was taken out.
    place: Option<usize>,
    /// The size of its record in the log.
    bytes: u64,
}

/// Every id, and the log.
pub(super) struct Book {
    log: Option<Log>,
    layout: Layout,
    pages: Pages,
}

/// What the log says.
#[derive(Default)]
struct Pages {
    known: HashMap<Arc<str>, Known>,
    /// Places of points that were taken out.
    free: Vec<usize>,
    /// None until the first point, which says how many dimensions there are.
    matrix: Option<Arc<Matrix>>,
    /// Bytes in the log of records that are still of use.
    live_bytes: u64,
}

impl Book {
    pub(super) fn new(log: Option<Log>, layout: Layout) -> Self {
        Self {
            log,
            layout,
            pages: Pages::default(),
        }
    }

    pub(super) fn is_current(&self) -> bool {
        self.log.as_ref().is_none_or(Log::is_current)
    }

    pub(super) fn matrix(&self) -> Option<Arc<Matrix>> {
        self.pages.matrix.clone()
    }

    /// Takes in what the log has gained. Searches that run meanwhile see what was there before, or more.
    pub(super) fn catch_up(&mut self) -> Result<(), Failure> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        let (pages, layout) = (&mut self.pages, self.layout);
        let read = log.read_news(|news| match news {
            News::Restart => {
                *pages = Pages::default();
                Ok(())
            }
            News::Record(action, bytes) => {
                pages.check(&action)?;
                pages.apply(action, bytes, layout);
                Ok(())
            }
        });
        if read.is_err() {
            *pages = Pages::default();
        }
        read
    }

    /// Writes down those of the actions that are not older than what is known, then applies them.
    pub(super) fn commit(&mut self, actions: Vec<Action>) -> Result<(), Failure> {
        let mut writes = Vec::new();
        let mut fresh = Vec::new();
        let mut dimensions = self.pages.matrix.as_ref().map(|matrix| matrix.dimensions());
        for action in actions {
            if let Action::Put(point) = &action {
                let found = point.embedding.dimensions();
                if *dimensions.get_or_insert(found) != found {
                    return Err(mismatch(dimensions.unwrap_or_default(), found));
                }
            }
            if !self.pages.is_news(&action) {
                continue;
            }
            let record = action.to_record()?;
            writes.extend_from_slice(&record);
            fresh.push((action, record.len() as u64));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        if let Some(log) = &mut self.log {
            log.append(&writes)?;
        }
        for (action, bytes) in fresh {
            self.pages.apply(action, bytes, self.layout);
        }
        Ok(())
    }

    /// The point of this id.
    pub(super) fn get(&self, id: &str) -> Option<Point> {
        let place = self.pages.known.get(id)?.place?;
        self.pages.matrix.as_ref()?.get(place)
    }

    /// Begins a compaction when more than half of the log is of no use any more. What is written by it is what is known now;
    /// what is written to the log while it runs is taken over at its end.
    pub(super) fn begin_compaction(&self) -> Result<Option<Compaction>, Failure> {
        let Some(log) = &self.log else {
            return Ok(None);
        };
        if log.end() < MIN_COMPACTION_BYTES || self.pages.live_bytes * 2 > log.end() {
            return Ok(None);
        }
        let removed = self
            .pages
            .known
            .iter()
            .filter(|(_, known)| known.place.is_none());
        Ok(Some(Compaction {
            rewrite: log.rewrite()?,
            matrix: self.pages.matrix.clone(),
            removed: removed
                .map(|(id, known)| (id.clone(), known.revision))
                .collect(),
        }))
    }

    /// How far the log goes now.
    pub(super) fn log_end(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::end)
    }

    /// Puts the new log in the old one's place.
    pub(super) fn end_compaction(&mut self, compaction: Compaction) -> Result<(), Failure> {
        match &mut self.log {
            Some(log) => log.replace(compaction.rewrite),
            None => Ok(()),
        }
    }
}

impl Pages {
    /// Whether it changes what is known: an older revision does not, nor does a removal of what was removed at that revision.
    fn is_news(&self, action: &Action) -> bool {
        let Some(known) = self.known.get(action.id()) else {
            return true;
        };
        match action {
            Action::Put(point) => point.revision >= known.revision,
            Action::Remove { revision, .. } => {
                *revision > known.revision || *revision == known.revision && known.place.is_some()
            }
        }
    }

    fn check(&self, action: &Action) -> Result<(), Failure> {
        match (action, &self.matrix) {
            (Action::Put(point), Some(matrix))
                if point.embedding.dimensions() != matrix.dimensions() =>
            {
                Err(mismatch(matrix.dimensions(), point.embedding.dimensions()))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, action: Action, bytes: u64, layout: Layout) {
        // Within one call or one log, a later action may be older than one before it.
        if !self.is_news(&action) {
            return;
        }
        let revision = action.revision();
        let (id, before) = match self.known.remove_entry(action.id()) {
            Some((id, known)) => {
                self.live_bytes -= known.bytes;
                (id, known.place)
            }
            None => (Arc::from(action.id()), None),
        };
        let place = match action {
            Action::Put(point) => {
                let dimensions = point.embedding.dimensions();
                let matrix = self
                    .matrix
                    .get_or_insert_with(|| Arc::new(Matrix::new(dimensions, layout)));
                let place = before
                    .or_else(|| self.free.pop())
                    .unwrap_or_else(|| matrix.places());
                matrix.set(place, id.clone(), &point);
                Some(place)
            }
            Action::Remove { .. } => {
                if let (Some(place), Some(matrix)) = (before, &self.matrix) {
                    matrix.clear(place);
                    self.free.push(place);
                }
                None
            }
        };
        self.live_bytes += bytes;
        self.known.insert(
            id,
            Known {
                revision,
                place,
                bytes,
            },
        );
    }
}

/// A log that is being written anew, beside the work.
pub(super) struct Compaction {
    rewrite: Rewrite,
    matrix: Option<Arc<Matrix>>,
    removed: Vec<(Arc<str>, u64)>,
}

impl Compaction {
    /// Writes what is of use. Points may change meanwhile: their newer states are in the old log behind where this one
    /// began, so the last word on each is the same.
    pub(super) fn write(&mut self) -> Result<(), Failure> {
        for (id, revision) in std::mem::take(&mut self.removed) {
            let id = id.to_string();
            self.rewrite
                .add(&Action::Remove { id, revision }.to_record()?)?;
        }
        let Some(matrix) = &self.matrix else {
            return Ok(());
        };
        for place in 0..matrix.places() {
            if let Some(point) = matrix.get(place) {
                self.rewrite
                    .add(&Action::Put(Box::new(point)).to_record()?)?;
            }
        }
        Ok(())
    }

    /// Takes over what was written to the log up to here, so that little is left for the end.
    pub(super) fn follow(&mut self, end: u64) -> Result<(), Failure> {
        self.rewrite.follow(end)
    }
}
