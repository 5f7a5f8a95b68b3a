//! Points: vectors with fields, of which those near enough to a query that pass a filter are found, all of them.
//!
//! Where a [`crate::VectorIndex`] keeps many chunks of many users and finds a few of one, a [`PointIndex`] keeps one point
//! an id, and finds every one that qualifies. What is found does not depend on the order in which points were put:
//! each carries a revision, and an older one never replaces a newer.

mod action;
mod book;
mod columns;
mod matrix;
mod overlay;
mod scan;
mod segment;

use std::collections::BTreeMap;

use async_trait::async_trait;
use millrace_events::{Failure, reason};

pub use self::{
    overlay::{OverlayPoints, PointChange, PointTold},
    scan::{ScanPoints, ScanSettings},
    segment::Layout,
};

use crate::embedding::{Embedding, ModelId};

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// Yes or no.
    Flag(bool),
    /// A finite number. −0 is 0.
    Number(f64),
    /// A word that is compared as a whole.
    Word(String),
}

/// Fields by name, which is of letters, digits, '_' and '-'.
pub type Fields = BTreeMap<String, Field>;

/// A vector with its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Whose point it is; there is one an id.
    pub id: String,
    /// Which state of it: a greater one is newer.
    pub revision: u64,
    /// The vector.
    pub embedding: Embedding,
    /// What filters look at.
    pub fields: Fields,
}

impl Point {
    /// # Errors
    /// `index-rejected`, naming the field, when a number is not finite or the field's name is not of letters, digits, '_' and '-'.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for (name, field) in &self.fields {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if name.is_empty() || !name.bytes().all(is_plain) {
                let message = format!("a point's field cannot be named {name:?}");
                return Err(Failure::permanent(reason::INDEX_REJECTED, message));
            }
            if let Field::Number(number) = field
                && !number.is_finite()
            {
                let message = format!("the field {name} of a point is not a finite number");
                return Err(Failure::permanent(reason::INDEX_REJECTED, message));
            }
        }
        Ok(())
    }
}

/// What a point must be to be found. A field that is not there, or of another kind, is neither equal to anything nor
/// greater or less.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// The field has this value.
    Is(&'static str, Field),
    /// The field does not have this value; a field that is not there does not.
    IsNot(&'static str, Field),
    /// The number is this or more.
    AtLeast(&'static str, f64),
    /// The number is this or less.
    AtMost(&'static str, f64),
    /// All of these; every point passes none at all.
    All(Vec<Filter>),
}

impl Filter {
    /// Whether these fields pass: the definition that every index keeps to.
    pub fn passes(&self, fields: &Fields) -> bool {
        let number = |name: &str| match fields.get(name) {
            Some(Field::Number(number)) => Some(*number),
            _ => None,
        };
        match self {
            Self::Is(name, value) => fields.get(*name) == Some(value),
            Self::IsNot(name, value) => fields.get(*name) != Some(value),
            Self::AtLeast(name, bound) => number(name).is_some_and(|number| number >= *bound),
            Self::AtMost(name, bound) => number(name).is_some_and(|number| number <= *bound),
            Self::All(filters) => filters.iter().all(|filter| filter.passes(fields)),
        }
    }
}

/// A point that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Which state of it was compared.
    pub revision: u64,
    /// The cosine of the angle to the query, −1 to 1.
    pub score: f32,
}

/// Best first, equal ones by id; of one id the newest state only.
pub(crate) fn sort_found(found: &mut Vec<Found>) {
    found.sort_unstable_by(|left, right| {
        let by_id = left.id.cmp(&right.id);
        by_id.then_with(|| right.revision.cmp(&left.revision))
    });
    found.dedup_by(|later, earlier| later.id == earlier.id);
    found.sort_by(|left, right| right.score.total_cmp(&left.score));
}

/// Keeps points, and finds every one that passes a filter and is near enough to a vector.
///
/// Each call may be repeated, and calls of one id may come in any order: what the greatest revision says holds.
#[async_trait]
pub trait PointIndex: Send + Sync {
    /// Whether the index is made for this model; one that is not there yet is made.
    ///
    /// # Errors
    /// `model-mismatch`, naming both, when it keeps vectors of another model or other dimensions.
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure>;

    /// As [`PointIndex::check`], but changes nothing: an index that is not there yet fits.
    ///
    /// # Errors
    /// `model-mismatch`, naming both.
    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure>;

    /// Puts points in, each unless the index knows a newer revision of its id. They are durable and can be found when
    /// this returns.
    async fn put(&self, points: &[Point]) -> Result<(), Failure>;

    /// Takes a point out as of a revision, unless the index knows a newer one. It is remembered, so that an older point
    /// does not come back.
    async fn remove(&self, id: &str, revision: u64) -> Result<(), Failure>;

    /// Every point that passes the filter and whose cosine with `query` is `at_least` or more; best first, equal
    /// ones by id. None is left out.
    async fn within(
        &self,
        query: &Embedding,
        filter: &Filter,
        at_least: f32,
    ) -> Result<Vec<Found>, Failure>;

    /// The point of this id; `None` when there is none, or it was taken out.
    async fn get(&self, id: &str) -> Result<Option<Point>, Failure>;
}
