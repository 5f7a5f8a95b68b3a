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
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::{
    embedder::Embedder,
    embedding::{Embedding, ModelId},
};

/// Limits of BatchGetItem and BatchWriteItem.
const KEYS_PER_READ: usize = 100;
const ROWS_PER_WRITE: usize = 25;

/// A table of embeddings: what its attributes are called.
#[derive(Debug, Clone)]
pub struct CacheTable {
    /// The table's name.
    pub name: String,
    /// The partition key.
    pub key: &'static str,
    /// The attribute that says when an entry may go.
    pub expires: &'static str,
}

/// What an entry is written with.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// How long it is kept after it was written.
    pub kept: time::Duration,
    /// The attribute `type`, for tables that have one.
    pub kind: Option<&'static str>,
}

/// The cache.
#[derive(Debug, Clone)]
pub struct EmbeddingCache {
    client: aws_sdk_dynamodb::Client,
    table: CacheTable,
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
    pub fn new(client: aws_sdk_dynamodb::Client, table: CacheTable) -> Self {
        Self { client, table }
    }

    /// The embeddings of these texts in their order: those that are kept, else the embedder's, each text once; they are
    /// kept then. An entry that could have gone is as good as ever: the same text has the same embedding.
    ///
    /// # Errors
    /// The embedder's, when a text is not known; the table's.
    pub async fn embed(
        &self,
        embedder: &dyn Embedder,
        texts: &[String],
        keeping: Keeping,
        now: OffsetDateTime,
    ) -> Result<Vec<Embedding>, Failure> {
        let model = embedder.model();
        let hashes: Vec<String> = texts.iter().map(|text| content_hash(model, text)).collect();
        let by_hash: BTreeMap<&String, &String> = hashes.iter().zip(texts).collect();
        let wanted: Vec<String> = by_hash.keys().map(|hash| (*hash).clone()).collect();
        let mut known = self.read(&wanted, embedder.dimensions()).await?;
        let missing: Vec<(&String, &String)> = by_hash
            .into_iter()
            .filter(|(hash, _)| !known.contains_key(*hash))
            .collect();
        if !missing.is_empty() {
            let asked: Vec<String> = missing.iter().map(|(_, text)| (*text).clone()).collect();
            let answered = embedder.embed(&asked).await?;
            if answered.len() != asked.len() {
                let message = format!(
                    "the embedder was given {} texts and answered {} vectors",
                    asked.len(),
                    answered.len()
                );
                return Err(Failure::permanent(reason::MODEL_MISMATCH, message));
            }
            let fresh: BTreeMap<String, Embedding> = missing
                .iter()
                .map(|(hash, _)| (*hash).clone())
                .zip(answered)
                .collect();
            self.write(&fresh, keeping, now).await?;
            known.extend(fresh);
        }
        let pick = |hash: &String| {
            known.get(hash).cloned().ok_or_else(|| {
                Failure::permanent(reason::MODEL_MISMATCH, "an embedding got lost on its way")
            })
        };
        hashes.iter().map(pick).collect()
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
                HashMap::from([(self.table.key.to_owned(), AttributeValue::S(hash.clone()))])
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
            let mut open = Some(HashMap::from([(self.table.name.clone(), wanted)]));
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
                    .remove(&self.table.name)
                    .unwrap_or_default();
                found.extend(
                    rows.iter()
                        .filter_map(|row| parse(row, self.table.key, dimensions)),
                );
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
        keeping: Keeping,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let expires = AttributeValue::N((now + keeping.kept).unix_timestamp().to_string());
        let kind = keeping.kind.map(|kind| AttributeValue::S(kind.to_owned()));
        let rows: Vec<_> = entries.iter().collect();
        for some in rows.chunks(ROWS_PER_WRITE) {
            let mut requests = Vec::with_capacity(some.len());
            for (hash, embedding) in some {
                let put = PutRequest::builder()
                    .item(self.table.key, AttributeValue::S((*hash).clone()))
                    .item(
                        "embedding",
                        AttributeValue::B(Blob::new(embedding.to_le_bytes())),
                    )
                    .item(self.table.expires, expires.clone());
                let put = match &kind {
                    Some(kind) => put.item("type", kind.clone()),
                    None => put,
                };
                let put = put.build().map_err(|error| {
                    Failure::permanent(
                        reason::REQUEST_REJECTED,
                        "could not write cached embeddings",
                    )
                    .caused_by(error)
                })?;
                requests.push(WriteRequest::builder().put_request(put).build());
            }
            let mut open = Some(HashMap::from([(self.table.name.clone(), requests)]));
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

fn parse(
    row: &HashMap<String, AttributeValue>,
    key: &str,
    dimensions: usize,
) -> Option<(String, Embedding)> {
    let hash = row.get(key)?.as_s().ok()?.clone();
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
