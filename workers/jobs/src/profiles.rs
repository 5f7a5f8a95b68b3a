//! What Millrace knows of each employee: one row a user, and the point in the index that follows it.
//!
//! The row is fenced by the place of the user's change in the stream, and counts every change that was applied: its *revision*. The
//! point carries the revision, and the index keeps the greatest. So whoever has seen a row may put its point at any time, in any
//! order: the index ends at what the row says. A worker that ends between row and point is delivered its record again, finds the row
//! written, and puts the point.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use millrace_cloud::{classify, retry::Retry};
use millrace_effects::{Fence, Row, Table, Update, Updated, When, key};
use millrace_events::{Failure, Item, Outcome, Version, mutation, reason};
use millrace_vectors::{Embedding, Field, Fields as PointFields, ModelId, Point, PointIndex};

use crate::{
    attributes::{bytes, count, millis, number, text},
    fields::{Fields, JobFields as _, malformed},
    rows::{Employee, RateRange, Ratings, item_of},
    scoring::{bad_share, field},
};

/// The most keys of one BatchGetItem.
pub const KEYS_PER_READ: usize = 100;

/// Attributes that only somebody who is present has.
const OF_THE_PRESENT: [&str; 11] = [
    "embedding",
    "embeddingOf",
    "model",
    "available",
    "lastSeen",
    "good",
    "neutral",
    "bad",
    "rateMin",
    "rateMax",
    "districts",
];

/// A row of the profiles table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// The user.
    pub user_id: String,
    /// The fence: the newest change of the user's row that was applied.
    pub version: Option<String>,
    /// How many changes were applied.
    pub revision: u64,
    /// Whether they are in the index.
    pub present: bool,
    /// Why they are not: a word of [`crate::rows::Absent`], or a reason code.
    pub excluded: Option<String>,
    /// What kept this version from being applied as a whole, as a reason code: it may be applied again.
    pub pending: Option<String>,
    /// What their text means.
    pub embedding: Option<Embedding>,
    /// Of which text and model the embedding is.
    pub embedding_of: Option<String>,
    /// The model that made it.
    pub model: Option<String>,
    /// They may be told of jobs.
    pub available: bool,
    /// When they were last seen, in milliseconds since 1970.
    pub last_seen: Option<i64>,
    /// How they were rated.
    pub ratings: Ratings,
    /// At which rates they work.
    pub rates: Option<RateRange>,
    /// Where they like to work.
    pub districts: Vec<String>,
}

impl Profile {
    /// Of a row.
    ///
    /// # Errors
    /// `malformed-row`: it is not what a worker writes.
    pub fn of(row: Row) -> Result<Self, Failure> {
        let item = item_of(row);
        let fields = Fields::of("profiles row", &item);
        let owned = |name| Ok::<_, Failure>(fields.text(name)?.map(str::to_owned));
        let count = |name| Ok::<_, Failure>(fields.count(name)?.unwrap_or(0));
        let rates = match (fields.rate("rateMin")?, fields.rate("rateMax")?) {
            (Some(min), Some(max)) => Some(RateRange { min, max }),
            _ => None,
        };
        let dimensions = match fields.get("embedding") {
            Some(serde_dynamo::AttributeValue::B(bytes)) => bytes.len() / size_of::<f32>(),
            _ => 0,
        };
        let profile = Self {
            user_id: fields.id("userId")?,
            version: owned("version")?,
            revision: count("revision")?,
            present: fields.flag("present")?,
            excluded: owned("excluded")?,
            pending: owned("pending")?,
            embedding: fields.embedding("embedding", dimensions),
            embedding_of: owned("embeddingOf")?,
            model: owned("model")?,
            available: fields.flag("available")?,
            last_seen: fields.number("lastSeen")?.map(|millis| millis as i64),
            ratings: Ratings {
                good: count("good")?,
                neutral: count("neutral")?,
                bad: count("bad")?,
            },
            rates,
            districts: fields.words("districts")?,
        };
        if profile.present && profile.embedding.is_none() {
            return Err(malformed(
                "a profiles row is present and has no usable embedding",
            ));
        }
        Ok(profile)
    }

    /// Their point in the index; `None` when they are not in it.
    pub fn point(&self) -> Option<Point> {
        if !self.present {
            return None;
        }
        let minimum = self.rates.map_or(0.0, |range| range.min);
        let given = [
            (field::AVAILABLE, Some(Field::Flag(self.available))),
            (
                field::LAST_SEEN,
                self.last_seen.map(|seen| Field::Number(seen as f64)),
            ),
            (
                field::BAD_SHARE,
                Some(Field::Number(bad_share(&self.ratings))),
            ),
            (field::RATE_MIN, Some(Field::Number(minimum))),
            (field::USER_ID, Some(Field::Word(self.user_id.clone()))),
        ];
        let fields: PointFields = given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        Some(Point {
            id: self.user_id.clone(),
            revision: if mutation::on(mutation::INDEX_WITHOUT_REVISION) {
                1
            } else {
                self.revision
            },
            embedding: self.embedding.clone()?,
            fields,
        })
    }

    /// Whether a change after this one was applied.
    pub fn is_past(&self, version: &Version) -> bool {
        self.version.as_deref() > Some(version.as_str())
    }
}

/// What a change of a user's row makes of their profile.
#[derive(Debug, Clone)]
pub enum Change<'a> {
    /// They are in the index.
    Present {
        /// What filters and score look at.
        employee: &'a Employee,
        /// What their text means.
        embedding: &'a Embedding,
        /// Of which text and model.
        embedding_of: &'a str,
        /// By which model.
        model: &'a ModelId,
    },
    /// What filters look at is known, but not yet what the text means: the vector stays what it was. Only for somebody who is present.
    Facts {
        /// What filters and score look at.
        employee: &'a Employee,
        /// The reason code of what kept the vector from being made.
        pending: &'static str,
    },
    /// They are not, for a reason of their row's.
    Absent(&'static str),
    /// They are not, since the change could not be applied: its reason code.
    Failed(&'static str),
}

/// The profiles: rows and index.
#[derive(Clone)]
pub struct Profiles {
    table: Table,
    name: String,
    index: Arc<dyn PointIndex>,
}

impl Profiles {
    /// On this table and index.
    pub fn new(table: Table, name: &str, index: Arc<dyn PointIndex>) -> Self {
        let name = name.to_owned();
        Self { table, name, index }
    }

    fn key(user_id: &str) -> Row {
        key([("userId", user_id)])
    }

    /// A user's profile.
    ///
    /// # Errors
    /// The table's.
    pub async fn read(&self, user_id: &str) -> Result<Option<Profile>, Failure> {
        let row = self.table.read(&self.name, Self::key(user_id)).await?;
        row.map(Profile::of).transpose()
    }

    /// The profiles of up to 100 users, as they are now. Who has none is left out.
    ///
    /// # Errors
    /// The table's.
    pub async fn read_many(&self, user_ids: &[String]) -> Result<Vec<Profile>, Failure> {
        let keys = user_ids.iter().map(|user| Self::key(user)).collect();
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(|error| {
                Failure::permanent(reason::REQUEST_REJECTED, "could not ask for profiles")
                    .caused_by(error)
            })?;
        let mut open = Some(HashMap::from([(self.name.clone(), wanted)]));
        let mut profiles = Vec::with_capacity(user_ids.len());
        while let Some(request) = open.take() {
            let sent = self
                .table
                .client()
                .batch_get_item()
                .set_request_items(Some(request))
                .send()
                .await;
            let answer = sent.map_err(|error| classify("read profiles", error))?;
            let rows = answer.responses.unwrap_or_default().remove(&self.name);
            for row in rows.unwrap_or_default() {
                profiles.push(Profile::of(row)?);
            }
            open = answer.unprocessed_keys.filter(|left| !left.is_empty());
            if open.is_some() {
                tokio::time::sleep(Retry::default().first_delay).await;
            }
        }
        Ok(profiles)
    }

    /// Applies a change of a user's row under the fence, then brings the index to what the row says, whatever the fence said.
    ///
    /// # Errors
    /// The table's and the index's. A change that was applied although the answer was lost ends as `Already` the next time.
    pub async fn apply(
        &self,
        user_id: &str,
        version: &Version,
        change: Change<'_>,
        now: &str,
    ) -> Result<Outcome, Failure> {
        let fence = Fence::new("version", version.clone());
        let update = Update::of(&self.name, Self::key(user_id))
            .set("version", text(version.as_str()))
            .set("updatedAt", text(now))
            .add("revision", 1);
        let update = changed(update, &change);
        let free = match change {
            Change::Failed(_) => fence.newer(),
            Change::Facts { .. } => When::All(vec![fence.newer(), When::Present("embedding")]),
            // What could not be applied as a whole may be applied again.
            Change::Present { .. } | Change::Absent(_) => When::Any(vec![
                fence.newer(),
                When::All(vec![
                    When::Equal("version", text(version.as_str())),
                    When::Present("pending"),
                ]),
            ]),
        };
        let attempted = "write the profile";
        let (outcome, row) = match self.table.update(attempted, update.when(free)).await? {
            Updated::Done(row) => (Outcome::Applied, Some(row)),
            Updated::Refused(row) => (fence.verdict(row.as_ref()), row),
        };
        if let Some(row) = row {
            self.settle(&Profile::of(row)?).await?;
        }
        Ok(outcome)
    }

    /// Brings the index to what the row says. It need not be the newest row: the index keeps the greatest revision, and who wrote a newer
    /// one puts that.
    ///
    /// # Errors
    /// The index's.
    pub async fn settle(&self, profile: &Profile) -> Result<(), Failure> {
        match profile.point() {
            Some(point) => self.index.put(&[point]).await,
            None => self.index.remove(&profile.user_id, profile.revision).await,
        }
    }
}

fn changed(update: Update, change: &Change<'_>) -> Update {
    match change {
        Change::Present {
            employee,
            embedding,
            embedding_of,
            model,
        } => with_facts(update, employee)
            .set("present", AttributeValue::Bool(true))
            .set("embedding", bytes(embedding))
            .set("embeddingOf", text(*embedding_of))
            .set("model", text(model.as_str()))
            .remove("excluded")
            .remove("pending"),
        Change::Facts { employee, pending } => {
            with_facts(update, employee).set("pending", text(*pending))
        }
        Change::Absent(why) => absent(update, why).remove("pending"),
        Change::Failed(code) => absent(update, code).set("pending", text(*code)),
    }
}

fn with_facts(update: Update, employee: &Employee) -> Update {
    let Ratings { good, neutral, bad } = employee.ratings;
    let districts = employee.districts.iter().map(text).collect();
    let update = update
        .set("available", AttributeValue::Bool(employee.available))
        .set("good", count(good))
        .set("neutral", count(neutral))
        .set("bad", count(bad))
        .set("districts", AttributeValue::L(districts));
    let update = match employee.last_seen {
        Some(seen) => update.set("lastSeen", AttributeValue::N(millis(seen).to_string())),
        None => update.remove("lastSeen"),
    };
    match employee.rates {
        Some(RateRange { min, max }) => update
            .set("rateMin", number(min))
            .set("rateMax", number(max)),
        None => update.remove("rateMin").remove("rateMax"),
    }
}

fn absent(update: Update, why: &str) -> Update {
    let update = update
        .set("present", AttributeValue::Bool(false))
        .set("excluded", text(why));
    OF_THE_PRESENT.into_iter().fold(update, Update::remove)
}

/// Attributes of a user's row that only a worker writes, as a stream's image has them.
pub fn own_embedding(
    image: &Item,
    embedding_of: &str,
    dimensions: usize,
) -> Result<Option<Embedding>, Failure> {
    let profile = crate::rows::employee_fields(&Fields::of("users row", image))?;
    let is_own = matches!(
        profile.get("embeddingOf"),
        Some(serde_dynamo::AttributeValue::S(of)) if of == embedding_of
    );
    Ok(is_own
        .then(|| profile.embedding("embedding", dimensions))
        .flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(present: bool) -> Profile {
        let embedding = Embedding::try_new(vec![0.6, 0.8], 2).unwrap();
        Profile {
            user_id: "u-1".to_owned(),
            revision: 7,
            present,
            embedding: Some(embedding),
            available: true,
            last_seen: Some(1_795_233_600_000),
            ratings: Ratings {
                good: 3,
                neutral: 0,
                bad: 1,
            },
            ..Profile::default()
        }
    }

    #[test]
    fn a_point_has_what_filters_look_at() {
        let point = profile(true).point().unwrap();
        assert_eq!((point.id.as_str(), point.revision), ("u-1", 7));
        assert_eq!(point.fields[field::BAD_SHARE], Field::Number(0.25));
        assert_eq!(point.fields[field::RATE_MIN], Field::Number(0.0));
        assert_eq!(point.fields[field::LAST_SEEN], Field::Number(1.7952336e12));
        assert!(profile(false).point().is_none());
        let never_seen = Profile {
            last_seen: None,
            ..profile(true)
        };
        let point = never_seen.point().unwrap();
        assert!(!point.fields.contains_key(field::LAST_SEEN));
    }

    #[test]
    fn a_row_without_a_usable_embedding_is_not_taken_for_present() {
        let row = |bytes: Vec<u8>| {
            Row::from([
                ("userId".to_owned(), text("u-1")),
                ("present".to_owned(), AttributeValue::Bool(true)),
                (
                    "embedding".to_owned(),
                    AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(bytes)),
                ),
            ])
        };
        assert!(Profile::of(row(vec![0, 0, 128, 63])).is_ok());
        assert!(Profile::of(row(vec![0, 0, 128])).is_err());
        assert!(Profile::of(row(Vec::new())).is_err());
    }
}
