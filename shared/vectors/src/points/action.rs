//! One change to the points, as the log keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Field, Fields, Point};
use crate::{
    disk::{Record, parts, payload},
    embedding::Embedding,
};

const PUT: u8 = 5;
const REMOVE: u8 = 6;

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Put in, or replace.
    Put(Box<Point>),
    /// Take out, and remember it.
    Remove { id: String, revision: u64 },
}

impl Action {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Put(point) => &point.id,
            Self::Remove { id, .. } => id,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Put(point) => point.revision,
            Self::Remove { revision, .. } => *revision,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    revision: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, FieldLine>,
}

/// A number is written as text: the shortest that reads back as the same bits.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FieldLine {
    Flag(bool),
    Number(String),
    Word(String),
}

fn to_line(field: &Field) -> FieldLine {
    match field {
        Field::Flag(flag) => FieldLine::Flag(*flag),
        Field::Number(number) => FieldLine::Number(number.to_string()),
        Field::Word(word) => FieldLine::Word(word.clone()),
    }
}

fn from_line(line: FieldLine) -> Option<Field> {
    Some(match line {
        FieldLine::Flag(flag) => Field::Flag(flag),
        FieldLine::Number(number) => Field::Number(number.parse().ok()?),
        FieldLine::Word(word) => Field::Word(word),
    })
}

impl Record for Action {
    fn to_payload(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Put(point) => {
                let fields = point.fields.iter();
                let line = Line {
                    id: point.id.clone(),
                    revision: point.revision,
                    fields: fields
                        .map(|(name, field)| (name.clone(), to_line(field)))
                        .collect(),
                };
                payload(PUT, &line, point.embedding.values())
            }
            Self::Remove { id, revision } => {
                let line = Line {
                    id: id.clone(),
                    revision: *revision,
                    fields: BTreeMap::new(),
                };
                payload(REMOVE, &line, &[])
            }
        }
    }

    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (kind, line, vector) = parts(payload)?;
        let Line {
            id,
            revision,
            fields,
        } = serde_json::from_slice(line).ok()?;
        match kind {
            PUT => {
                let fields = fields
                    .into_iter()
                    .map(|(name, field)| Some((name, from_line(field)?)));
                Some(Self::Put(Box::new(Point {
                    id,
                    revision,
                    embedding: Embedding::from_le_bytes(vector, vector.len() / 4).ok()?,
                    fields: fields.collect::<Option<Fields>>()?,
                })))
            }
            REMOVE if vector.is_empty() => Some(Self::Remove { id, revision }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_point_reads_back_bit_by_bit(
            number in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
            word in ".{0,12}",
            revision in any::<u64>(),
        ) {
            let fields = Fields::from([
                ("a".to_owned(), Field::Number(number)),
                // Never one of the other names.
                (format!("word {word}"), Field::Word(word.clone())),
                ("flag".to_owned(), Field::Flag(true)),
            ]);
            let embedding = Embedding::try_new(vec![0.3, 0.4, -1e-9], 3).unwrap();
            let point = Point { id: word, revision, embedding, fields };
            let payload = Action::Put(Box::new(point.clone())).to_payload().unwrap();
            let Some(Action::Put(read)) = Action::from_payload(&payload) else { panic!("no put") };
            prop_assert_eq!(&*read, &point);
            let Some(Field::Number(found)) = read.fields.get("a") else { panic!("no number") };
            prop_assert_eq!(found.to_bits(), number.to_bits());
        }
    }
}
