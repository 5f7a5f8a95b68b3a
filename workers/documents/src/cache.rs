//! Embeddings by content: an edited document embeds only what changed.
//!
//! The key is SHA-256 of model id and text: with a weaker hash one user could craft a text that takes the
//! vector of another's.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest},
};
use millrace_cloud::{classify, retry::Retry};
use millrace_events::{Failure, reason};
use millrace_vectors::{Embedding, ModelId};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// Limits of BatchGetItem and BatchWriteItem.
const KEYS_PER_READ: usize = 100;
const ROWS_PER_WRITE: usize = 25;

/// How long an entry is kept after it was written.
const KEPT: time::Duration = time::Duration::days(90);

/// The cache table.
#[derive(Debug, Clone)]
pub struct EmbeddingCache {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// The key of a text's embedding.
pub fn content_hash(model: &ModelId, text: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(model.as_str().as_bytes());
    hasher.update([0]);
    hasher.update(text.as_bytes());
    hex::encode(hasher.finalize())
}

impl EmbeddingCache {
    /// On this table.
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// The embeddings that are there, by hash. One that is damaged, or of other dimensions, counts as missing.
    pub async fn read(
        &self,
        hashes: &[String],
        dimensions: usize,
    ) -> Result<HashMap<String, Embedding>, Failure> {
        let mut found = HashMap::new();
        for some in hashes.chunks(KEYS_PER_READ) {
            let keys = some.iter().map(|hash| {
                HashMap::from([("contentHash".to_owned(), AttributeValue::S(hash.clone()))])
            });
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys.collect()))
                .build()
                .map_err(|error| {
                    Failure::permanent(
                        reason::REQUEST_REJECTED,
                        "could not ask for cached embeddings",
                    )
                    .caused_by(error)
                })?;
            let mut open = Some(HashMap::from([(self.table.clone(), wanted)]));
            while let Some(request) = open.take() {
                let answer = self
                    .client
                    .batch_get_item()
                    .set_request_items(Some(request))
                    .send()
                    .await
                    .map_err(|error| classify("read cached embeddings", error))?;
                let rows = answer
                    .responses
                    .unwrap_or_default()
                    .remove(&self.table)
                    .unwrap_or_default();
                found.extend(rows.iter().filter_map(|row| parse(row, dimensions)));
                open = answer.unprocessed_keys.filter(|left| !left.is_empty());
                if open.is_some() {
                    tokio::time::sleep(Retry::default().first_delay).await;
                }
            }
        }
        Ok(found)
    }

    /// Keeps embeddings by hash.
    pub async fn write(
        &self,
        entries: &BTreeMap<String, Embedding>,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let expires = AttributeValue::N((now + KEPT).unix_timestamp().to_string());
        let rows: Vec<_> = entries.iter().collect();
        for some in rows.chunks(ROWS_PER_WRITE) {
            let mut requests = Vec::with_capacity(some.len());
            for (hash, embedding) in some {
                let put = PutRequest::builder()
                    .item("contentHash", AttributeValue::S((*hash).clone()))
                    .item(
                        "embedding",
                        AttributeValue::B(Blob::new(embedding.to_le_bytes())),
                    )
                    .item("expiresAt", expires.clone())
                    .build()
                    .map_err(|error| {
                        Failure::permanent(
                            reason::REQUEST_REJECTED,
                            "could not write cached embeddings",
                        )
                        .caused_by(error)
                    })?;
                requests.push(WriteRequest::builder().put_request(put).build());
            }
            let mut open = Some(HashMap::from([(self.table.clone(), requests)]));
            while let Some(request) = open.take() {
                let answer = self
                    .client
                    .batch_write_item()
                    .set_request_items(Some(request))
                    .send()
                    .await
                    .map_err(|error| classify("write cached embeddings", error))?;
                open = answer.unprocessed_items.filter(|left| !left.is_empty());
                if open.is_some() {
                    tokio::time::sleep(Retry::default().first_delay).await;
                }
            }
        }
        Ok(())
    }
}

fn parse(row: &HashMap<String, AttributeValue>, dimensions: usize) -> Option<(String, Embedding)> {
    let hash = row.get("contentHash")?.as_s().ok()?.clone();
    let embedding = match row.get("embedding")? {
        AttributeValue::B(bytes) => Embedding::from_le_bytes(bytes.as_ref(), dimensions).ok()?,
        AttributeValue::L(numbers) => {
            let values = numbers
                .iter()
                .map(|n| n.as_n().ok()?.parse().ok())
                .collect::<Option<Vec<f32>>>()?;
            Embedding::try_new(values, dimensions).ok()?
        }
        _ => return None,
    };
    Some((hash, embedding))
}
