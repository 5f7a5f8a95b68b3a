//! What a subject is now: what stands beside a dead letter when an operator looks at it.
//!
//! The desk knows no product. A product says of a subject that is its own what it is now, by an implementation of
//! [`Subjects`]; of any other subject nothing is known.

use async_trait::async_trait;
use millrace_events::Failure;
use serde::Serialize;
use serde_json::Value;

mod documents;
mod jobs;

pub(crate) use documents::document_state;
pub(crate) use jobs::{RowOf, rows_around};

/// What a subject is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectState {
    /// What it is, in the product's words.
    pub name: String,
    /// Its parts, by name: rows, objects, entries.
    pub parts: Vec<(String, Value)>,
}

/// Says what subjects are now.
#[async_trait]
pub trait Subjects: Send + Sync {
    /// What the subject of a record is now; `None` if it is not of this product.
    ///
    /// # Errors
    /// A [`Failure`] when it could not be read.
    async fn state(&self, subject: &str) -> Result<Option<SubjectState>, Failure>;
}

/// The value of a key in `table/documentId={id},userId={user}`.
fn key_in(subject: &str, name: &str) -> Option<String> {
    let (_, keys) = subject.split_once('/')?;
    let mut pairs = keys.split(',').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
    Some(value.into_owned())
}

/// A row as JSON without DynamoDB's types.
fn as_json(row: Option<millrace_effects::Row>) -> Value {
    row.and_then(|row| serde_dynamo::from_item(row).ok())
        .unwrap_or(Value::Null)
}
