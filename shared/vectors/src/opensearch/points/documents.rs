//! The index's JSON: mapping, documents, filters.

use std::collections::BTreeMap;

use millrace_events::{Failure, reason};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::{Engine, documents::hnsw};
use crate::{
    embedding::{Embedding, ModelId},
    points::{Field, Fields, Filter, Point},
};

/// The greatest version that OpenSearch knows.
const MAX_REVISION: u64 = i64::MAX as u64;

/// Settings and mapping of a new index.
pub(super) fn definition(model: &ModelId, dimensions: usize, engine: Engine) -> Value {
    let mut mappings = adoption(model, dimensions);
    mappings["properties"]["embedding"] = json!({
        "type": "knn_vector",
        "dimension": dimensions,
        "method": hnsw(engine),
    });
    json!({"settings": {"index": {"knn": true}}, "mappings": mappings})
}

/// What is added to an index that another part of the platform made and nothing is in yet.
pub(super) fn adoption(model: &ModelId, dimensions: usize) -> Value {
    let template = |name: &str, kind: &str| json!({name: {"path_match": format!("{name}.*"), "mapping": {"type": kind}}});
    json!({
        "_meta": {"model": model.as_str(), "dimensions": dimensions},
        "dynamic_templates": [
            template("flags", "boolean"),
            template("numbers", "double"),
            template("words", "keyword"),
        ],
        "properties": {
            "id": {"type": "keyword"},
            "revision": {"type": "long"},
            "present": {"type": "boolean"},
            "exact": {"type": "keyword", "index": false, "doc_values": false},
        },
    })
}

/// What is known of an id.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Present(Box<Point>),
    Removed { id: String, revision: u64 },
}

/// A document. Numbers are text, which OpenSearch reads as numbers, so that they come back as they were. Fields of different kinds
/// have different names: what is a number in one document can be a word in another.
#[derive(Serialize, Deserialize)]
struct Source {
    id: String,
    revision: u64,
    present: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    flags: BTreeMap<String, bool>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    numbers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    words: BTreeMap<String, String>,
    /// What is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
    /// The same, bit by bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact: Option<Embedding>,
}

impl State {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Present(point) => &point.id,
            Self::Removed { id, .. } => id,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Present(point) => point.revision,
            Self::Removed { revision, .. } => *revision,
        }
    }

    /// # Errors
    /// `index-rejected` when the revision is greater than OpenSearch's versions can be.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.revision() > MAX_REVISION {
            let message = format!(
                "the revision {} is too great for OpenSearch",
                self.revision()
            );
            return Err(Failure::permanent(reason::INDEX_REJECTED, message));
        }
        Ok(())
    }

    pub(super) fn to_document(&self) -> Result<String, Failure> {
        let mut source = Source {
            id: self.id().to_owned(),
            revision: self.revision(),
            present: false,
            flags: BTreeMap::new(),
            numbers: BTreeMap::new(),
            words: BTreeMap::new(),
            embedding: None,
            exact: None,
        };
        if let Self::Present(point) = self {
            source.present = true;
            source.embedding = Some(point.embedding.values().to_vec());
            source.exact = Some(point.embedding.clone());
            for (name, field) in &point.fields {
                let name = name.clone();
                match field {
                    Field::Flag(flag) => drop(source.flags.insert(name, *flag)),
                    Field::Number(number) => drop(source.numbers.insert(name, decimal(*number))),
                    Field::Word(word) => drop(source.words.insert(name, word.clone())),
                }
            }
        }
        serde_json::to_string(&source).map_err(|error| {
            let message = "a point cannot be written as JSON";
            Failure::permanent(reason::INDEX_REJECTED, message).caused_by(error)
        })
    }

    /// `None` when it is no document of ours.
    pub(super) fn from_source(source: Value) -> Option<Self> {
        let source: Source = serde_json::from_value(source).ok()?;
        let (id, revision) = (source.id, source.revision);
        if !source.present {
            return Some(Self::Removed { id, revision });
        }
        let mut fields = Fields::new();
        for (name, number) in source.numbers {
            fields.insert(name, Field::Number(number.parse().ok()?));
        }
        let flags = source.flags.into_iter();
        fields.extend(flags.map(|(name, flag)| (name, Field::Flag(flag))));
        let words = source.words.into_iter();
        fields.extend(words.map(|(name, word)| (name, Field::Word(word))));
        Some(Self::Present(Box::new(Point {
            id,
            revision,
            embedding: source.exact?,
            fields,
        })))
    }
}

/// A number as text. OpenSearch tells −0 from 0, the definition does not.
fn decimal(number: f64) -> String {
    (number + 0.0).to_string()
}

/// The documents that pass.
pub(super) fn passing(filter: &Filter) -> Value {
    json!({"bool": {"filter": [{"term": {"present": true}}, query(filter)]}})
}

fn query(filter: &Filter) -> Value {
    match filter {
        Filter::Is(name, value) => is(name, value),
        Filter::IsNot(name, value) => json!({"bool": {"must_not": [is(name, value)]}}),
        Filter::AtLeast(name, bound) => bounded(name, "gte", *bound, f64::NEG_INFINITY),
        Filter::AtMost(name, bound) => bounded(name, "lte", *bound, f64::INFINITY),
        Filter::All(filters) if filters.is_empty() => json!({"match_all": {}}),
        Filter::All(filters) => {
            json!({"bool": {"filter": filters.iter().map(query).collect::<Vec<_>>()}})
        }
    }
}

fn is(name: &str, value: &Field) -> Value {
    match value {
        Field::Flag(flag) => json!({"term": {format!("flags.{name}"): flag}}),
        Field::Number(number) if !number.is_finite() => json!({"match_none": {}}),
        Field::Number(number) => json!({"term": {format!("numbers.{name}"): decimal(*number)}}),
        Field::Word(word) => json!({"term": {format!("words.{name}"): word}}),
    }
}

/// A bound that every number keeps is that there is a number.
fn bounded(name: &str, relation: &str, bound: f64, kept_by_all: f64) -> Value {
    let name = format!("numbers.{name}");
    if bound == kept_by_all {
        json!({"exists": {"field": name}})
    } else if !bound.is_finite() {
        json!({"match_none": {}})
    } else {
        json!({"range": {name: {relation: decimal(bound)}}})
    }
}
