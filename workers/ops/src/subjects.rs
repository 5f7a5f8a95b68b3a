//! What a subject is now: what stands beside a dead letter when an operator looks at it.
//!
//! The desk knows no product. A product says of a subject that is its own what it is now, by an implementation of
//! [`Subjects`]; of any other subject nothing is known.

use async_trait::async_trait;
use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use millrace_effects::Row;
use millrace_events::{Failure, Item, Record};
use serde::Serialize;
use serde_json::Value;

mod documents;
pub(crate) mod jobs;
pub(crate) mod marketing;

pub(crate) use documents::document_state;

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
    /// What a subject is now; `None` if it is not of this product. A message's subject is the message itself: of what it is,
    /// its record tells, where there is one.
    ///
    /// # Errors
    /// A [`Failure`] when it could not be read.
    async fn state(
        &self,
        subject: &str,
        record: Option<&Record>,
    ) -> Result<Option<SubjectState>, Failure>;
}

/// The value of a key in `table/documentId={id},userId={user}`.
fn key_in(subject: &str, name: &str) -> Option<String> {
    let (_, keys) = subject.split_once('/')?;
    let mut pairs = keys.split(',').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
    Some(value.into_owned())
}

/// A text in a row.
fn text_in(row: &Item, name: &str) -> Option<String> {
    match row.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => Some(text.clone()),
        _ => None,
    }
}

/// A row as JSON without DynamoDB's types. JSON knows no bytes: it is told how many there are.
fn as_json(row: Option<Row>) -> Value {
    let row = row.map(|row| {
        let values = row.into_iter();
        values
            .map(|(name, value)| (name, without_bytes(value)))
            .collect::<Row>()
    });
    row.and_then(|row| serde_dynamo::from_item(row).ok())
        .unwrap_or(Value::Null)
}

fn without_bytes(value: AttributeValue) -> AttributeValue {
    let told = |bytes: &Blob| format!("({} bytes)", bytes.as_ref().len());
    match value {
        AttributeValue::B(bytes) => AttributeValue::S(told(&bytes)),
        AttributeValue::Bs(some) => AttributeValue::Ss(some.iter().map(told).collect()),
        AttributeValue::L(values) => {
            AttributeValue::L(values.into_iter().map(without_bytes).collect())
        }
        AttributeValue::M(values) => {
            let values = values.into_iter();
            AttributeValue::M(
                values
                    .map(|(name, value)| (name, without_bytes(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_with_bytes_is_shown_with_their_number() {
        let bytes = || AttributeValue::B(Blob::new(vec![0; 8]));
        let inner = AttributeValue::M([("embedding".to_owned(), bytes())].into());
        let row = Row::from([
            ("userId".to_owned(), AttributeValue::S("ada".to_owned())),
            ("profiles".to_owned(), AttributeValue::L(vec![inner])),
            ("embedding".to_owned(), bytes()),
            (
                "set".to_owned(),
                AttributeValue::Bs(vec![Blob::new(vec![7])]),
            ),
        ]);
        let shown = json!({
            "userId": "ada", "profiles": [{"embedding": "(8 bytes)"}], "embedding": "(8 bytes)", "set": ["(1 bytes)"],
        });
        assert_eq!(as_json(Some(row)), shown);
        assert_eq!(as_json(None), Value::Null);
    }
}
