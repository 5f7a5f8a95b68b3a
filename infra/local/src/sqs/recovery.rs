//! What was in flight when the process ended is delivered again at once.

use rusqlite::params;

use super::Queues;
use crate::error::ServiceError;

impl Queues {
    /// Makes every message of a queue that is in flight visible now. To be called at the start, when
    /// nobody can hold a receipt any more: the process that did is gone, and waiting out its
    /// visibility timeout would only lose time. The receive that it did not live to finish does not
    /// count towards the redrive, so that no number of restarts parks a message. Says how many.
    /// Blocks for a moment.
    pub fn release_in_flight(&self, queue: &str) -> Result<usize, ServiceError> {
        self.store.write(|write| {
            let released = write
                .transaction
                .prepare_cached(
                    "UPDATE message SET visible = ?1, receipt = NULL, receives = MAX(receives - 1, 0)
                     WHERE queue = ?2 AND receipt IS NOT NULL AND visible > ?1",
                )?
                .execute(params![write.now, queue])?;
            write.touch(queue);
            Ok(released)
        })
    }
}
