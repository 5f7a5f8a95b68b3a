//! All points in memory, in segments: a search holds one of them at a time, so a write never waits for a search.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Found, Point,
    segment::{Layout, ROWS, Segment, Wanted},
    sort_found,
};

/// Segments that are worth a thread of their own.
const SEGMENTS_PER_THREAD: usize = 2;

type Shared = Arc<RwLock<Segment>>;

/// The points.
pub(super) struct Matrix {
    dimensions: usize,
    layout: Layout,
    segments: Mutex<Vec<Shared>>,
}

impl Matrix {
    pub(super) fn new(dimensions: usize, layout: Layout) -> Self {
        Self {
            dimensions,
            layout,
            segments: Mutex::default(),
        }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn segments(&self) -> MutexGuard<'_, Vec<Shared>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment of a place, which is made when the place is the next new one.
    fn segment(&self, place: usize) -> Shared {
        let mut segments = self.segments();
        if place / ROWS == segments.len() {
            segments.push(Arc::new(RwLock::new(Segment::new(
                self.dimensions,
                self.layout,
            ))));
        }
        segments[place / ROWS].clone()
    }

    /// Puts a point at a place that was taken before, or at the next one.
    pub(super) fn set(&self, place: usize, id: Arc<str>, point: &Point) {
        let segment = self.segment(place);
        let mut segment = segment.write().unwrap_or_else(PoisonError::into_inner);
        segment.set(place % ROWS, id, point);
    }

    /// Takes out what is at a place.
    pub(super) fn clear(&self, place: usize) {
        let segment = self.segment(place);
        let mut segment = segment.write().unwrap_or_else(PoisonError::into_inner);
        segment.clear(place % ROWS);
    }

    /// The point at a place.
    pub(super) fn get(&self, place: usize) -> Option<Point> {
        let segment = self.segments().get(place / ROWS)?.clone();
        let segment = segment.read().unwrap_or_else(PoisonError::into_inner);
        segment.get(place % ROWS)
    }

    /// Places up to here were taken before.
    pub(super) fn places(&self) -> usize {
        let segments = self.segments();
        let last = segments.last().map_or(0, |last| {
            last.read().unwrap_or_else(PoisonError::into_inner).rows()
        });
        segments.len().saturating_sub(1) * ROWS + last
    }

    /// Everything that is wanted, best first. Blocks for as long as it takes.
    pub(super) fn search(&self, wanted: &Wanted, threads: NonZeroUsize) -> Vec<Found> {
        let found = self.each_segment(threads, |segment, found: &mut Vec<Found>| {
            segment.search(wanted, found);
        });
        let mut found: Vec<Found> = found.into_iter().flatten().collect();
        // A point that was taken out and put in again meanwhile may have been seen in two places.
        sort_found(&mut found);
        found
    }

    /// Reads what a scan in 32 bits reads, in several streams a thread, and nothing else.
    pub(super) fn read(&self, threads: NonZeroUsize, streams: usize) -> u32 {
        let sums = self.each_segment(threads, |segment, sum: &mut u32| {
            *sum = sum.wrapping_add(segment.read(streams));
        });
        sums.into_iter().fold(0, u32::wrapping_add)
    }

    /// Does work on every segment, on several threads where it is worth it; each has a result of its own.
    fn each_segment<T: Default + Send>(
        &self,
        threads: NonZeroUsize,
        work: impl Fn(&Segment, &mut T) + Sync,
    ) -> Vec<T> {
        let segments = self.segments().clone();
        let useful = segments.len().div_ceil(SEGMENTS_PER_THREAD);
        let next = AtomicUsize::new(0);
        let on_this_thread = || {
            let mut result = T::default();
            while let Some(segment) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
                let segment = segment.read().unwrap_or_else(PoisonError::into_inner);
                work(&segment, &mut result);
            }
            result
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads.get().min(useful))
                .map(|_| scope.spawn(on_this_thread))
                .collect();
            let mut results = vec![on_this_thread()];
            for other in others {
                match other.join() {
                    Ok(result) => results.push(result),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            results
        })
    }
}
