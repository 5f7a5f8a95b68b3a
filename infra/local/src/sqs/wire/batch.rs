//! Batches: up to ten requests in one, each with an answer of its own.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::ServiceError;
use crate::names;
use crate::sqs::queue;
use crate::store::Write;

/// The most entries that a batch may have.
pub(super) const LARGEST_BATCH: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    pub(super) queue_url: String,
    #[serde(default = "Vec::new")]
    pub(super) entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
pub(super) struct Entry<T> {
    #[serde(rename = "Id")]
    id: String,
    #[serde(flatten)]
    pub(super) fields: T,
}

/// Runs the entries of a batch one by one: one that fails does not hold up the
/// others. Every step below checks before it writes, so a failed entry leaves
/// nothing behind in the transaction.
pub(super) fn each_entry<T>(
    write: &mut Write<'_>,
    batch: Batch<T>,
    mut step: impl FnMut(&mut Write<'_>, &str, T) -> Result<Value, ServiceError>,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&batch.queue_url).to_owned();
    queue::attributes(&write.transaction, &queue)?;
    check_batch(&batch)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in batch.entries {
        match step(write, &queue, entry.fields) {
            Ok(mut answer) => {
                answer["Id"] = entry.id.into();
                successful.push(answer);
            }
            // The service failed, not the entry: nothing of the batch is kept.
            Err(error) if error.status >= 500 => return Err(error),
            Err(error) => failed.push(json!({
                "Id": entry.id,
                "Code": error.code,
                "Message": error.message,
                "SenderFault": true,
            })),
        }
    }
    let mut answer = Map::new();
    answer.insert("Successful".to_owned(), successful.into());
    if !failed.is_empty() {
        answer.insert("Failed".to_owned(), failed.into());
    }
    Ok(answer.into())
}

fn check_batch<T>(batch: &Batch<T>) -> Result<(), ServiceError> {
    if batch.entries.is_empty() {
        return Err(ServiceError::client(
            "EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ));
    }
    if batch.entries.len() > LARGEST_BATCH {
        return Err(ServiceError::client(
            "TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are {LARGEST_BATCH}. You have sent {}.",
                batch.entries.len()
            ),
        ));
    }
    for (position, entry) in batch.entries.iter().enumerate() {
        let earlier = &batch.entries[..position];
        if earlier.iter().any(|other| other.id == entry.id) {
            return Err(ServiceError::client(
                "BatchEntryIdsNotDistinct",
                format!("Id {} repeated.", entry.id),
            ));
        }
    }
    Ok(())
}
