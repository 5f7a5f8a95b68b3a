//! Counts invocations, so that one can tell whether everything is at rest.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many invocations began and ended. Both only grow: if they are equal, and still the same after
/// everything else was looked at, then nothing happened meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Activity {
    /// Notes a piece of work, which lasts until the returned value is dropped.
    pub(crate) fn begin(self: &std::sync::Arc<Self>) -> Busy {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Busy(std::sync::Arc::clone(self))
    }

    /// The number of finished pieces of work, or `None` while some are under way.
    pub(crate) fn at_rest(&self) -> Option<u64> {
        // Read in this order, equal numbers mean that nothing is under way.
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        (begun == ended).then_some(ended)
    }
}

/// A piece of work that is under way.
#[derive(Debug)]
pub(crate) struct Busy(std::sync::Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}
