//! The guard of objects: an artefact is written under a condition on what it replaces.

use millrace_cloud::{Bucket, Condition, Put, PutOutcome};
use millrace_events::{Failure, Outcome, mutation, reason};

/// The user metadata in which an artefact says of which generation it is.
pub const GENERATION: &str = "generation";

/// How often a write that lost a race looks again before it hands the record back.
const RACES: u32 = 8;

/// One artefact to write.
#[derive(Debug, Clone)]
pub struct ArtefactWrite {
    /// The object's key.
    pub key: String,
    /// The generation that it belongs to, padded so that it compares as text.
    pub generation: String,
    /// Its content; a function of its input, so that two writers of one generation write the same.
    pub put: Put,
}

/// Writes an artefact unless one of a newer generation is there.
///
/// One of the same generation is written again: an object's creation is the message to the next worker, and
/// who is here again has not seen that message answered.
pub async fn write_artefact(bucket: &Bucket, write: &ArtefactWrite) -> Result<Outcome, Failure> {
    let mut condition = if mutation::on(mutation::ARTEFACT_UNGUARDED) {
        Condition::Always
    } else {
        Condition::Absent
    };
    for _ in 0..RACES {
        let mut put = write.put.clone();
        put.metadata
            .insert(GENERATION.to_owned(), write.generation.clone());
        if bucket.put(&write.key, put, &condition).await? == PutOutcome::Written {
            return Ok(Outcome::Applied);
        }
        condition = match bucket.head(&write.key).await? {
            None => Condition::Absent,
            Some(there)
                if there
                    .metadata
                    .get(GENERATION)
                    .is_some_and(|held| *held > write.generation) =>
            {
                return Ok(Outcome::Superseded);
            }
            Some(there) => Condition::Is(there.e_tag),
        };
    }
    let message = format!(
        "could not write {}: other writers were faster {RACES} times",
        write.key
    );
    Err(Failure::transient(reason::CONFLICT, message))
}
