//! What workers of this product do alike.

use millrace_events::{Failure, reason};

use crate::context::Jobs;

/// The time, as rows keep it.
pub(crate) fn now(jobs: &Jobs) -> String {
    millrace_cloud::clock::iso(jobs.clock.now())
}

/// Whether a failure says that the embedder or the index is down. Its record waits in the worker's own queue, and the stream goes on:
/// the guards make a later handling harmless.
pub(crate) fn waits(failure: &Failure) -> bool {
    let down = [reason::EMBEDDER_UNAVAILABLE, reason::INDEX_UNAVAILABLE];
    failure.is_transient() && down.contains(&failure.reason())
}

/// A refused write that would have made a row too large says so.
pub(crate) fn too_large_or(failure: Failure, what: &str) -> Failure {
    let refused = failure.reason() == reason::REQUEST_REJECTED;
    if refused && failure.chain().contains("maximum allowed size") {
        let message = format!("{what} has no room left for its embedding");
        return Failure::permanent(reason::ROW_TOO_LARGE, message).caused_by(failure);
    }
    failure
}
