//! What stands in the tables of a pair that becomes a match.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::clock::iso;
use millrace_effects::{Row, Update, When, Write, key};
use millrace_events::Failure;
use time::OffsetDateTime;

use crate::{
    attributes::{count, text},
    context::Marketing,
    creators::Channel,
    matches::{MatchKey, confidence},
    scoring::{Hundredths, Score},
    stores::Store,
    workflow::Status,
};

/// A store and a creator's channel, with the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The store.
    pub store: Store,
    /// The creator's channel.
    pub channel: Channel,
    /// How well they suit each other.
    pub score: Score,
}

impl Pair {
    /// Store and creator.
    pub fn ids(&self) -> (String, String) {
        (self.store.store_id.clone(), self.channel.creator_id.clone())
    }

    /// Both as one word, by which the pair is known.
    pub fn name(&self) -> String {
        format!("{}#{}", self.store.store_id, self.channel.creator_id)
    }
}

/// The key of a pair's row.
pub fn pair_key(pair: &Pair) -> Row {
    key([("pair", &*pair.name())])
}

fn points(points: Hundredths) -> AttributeValue {
    AttributeValue::N(Score::decimal(points))
}

/// The row of a new match.
pub fn match_row(pair: &Pair, match_id: &str, as_of: OffsetDateTime) -> Row {
    let Pair {
        store,
        channel,
        score,
    } = pair;
    let (store_id, creator_id) = pair.ids();
    let (partition, sort) = MatchKey {
        match_id: match_id.to_owned(),
        store_id: store_id.clone(),
        creator_id: creator_id.clone(),
    }
    .parts();
    let confidence = confidence(f64::from(score.total()) / 100.0);
    let components = score.components();
    let components: HashMap<_, _> = { components }
        .into_iter()
        .map(|(name, of)| (name.to_owned(), points(of)))
        .collect();
    let said = [
        ("PK", Some(text(partition))),
        ("SK", Some(text(sort))),
        ("matchId", Some(text(match_id))),
        ("storeId", Some(text(store_id))),
        ("creatorId", Some(text(creator_id))),
        ("matchScore", Some(points(score.total()))),
        ("scoreComponents", Some(AttributeValue::M(components))),
        ("confidence", Some(text(confidence))),
        ("priority", Some(text(confidence))),
        ("status", Some(text(Status::Pending.word()))),
        ("createdAt", Some(text(iso(as_of)))),
        ("storeCategory", store.category.as_ref().map(text)),
        ("storeLocation", store.location().map(text)),
        ("creatorTier", Some(text(channel.tier().word()))),
        ("platform", Some(text(channel.platform))),
    ];
    let said = said.into_iter();
    said.filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// The write that counts one more match of the store in the month of `as_of`, or in a later one that was counted before; `None`
/// when the store has its share of that month.
///
/// # Errors
/// The table's.
pub async fn quota(
    marketing: &Marketing,
    store: &str,
    as_of: OffsetDateTime,
) -> Result<Option<Write>, Failure> {
    let subject = format!("quota/{store}");
    let table = &marketing.names.matching;
    let row_key = key([("subject", &*subject)]);
    let row = marketing
        .table
        .read(table, row_key.clone())
        .await?
        .unwrap_or_default();
    let counted = row.get("month").and_then(|month| month.as_s().ok());
    let made = row
        .get("made")
        .and_then(|made| made.as_n().ok()?.parse::<u64>().ok());
    let asked: String = iso(as_of).chars().take(7).collect();
    let month = counted
        .filter(|counted| **counted > asked)
        .cloned()
        .unwrap_or(asked);
    let made = made.filter(|_| counted == Some(&month)).unwrap_or(0);
    if made >= marketing.rules.matches_per_store {
        return Ok(None);
    }
    let unchanged = |name: &'static str| match row.get(name) {
        Some(value) => When::Equal(name, value.clone()),
        None => When::Absent(name),
    };
    let update = Update::of(table, row_key)
        .set("month", text(month))
        .set("made", count(made + 1))
        .when(When::All(vec![unchanged("month"), unchanged("made")]));
    Ok(Some(update.into()))
}
