//! What Millrace knows of a match: the row of `dot-marketing-match-progress`.
//!
//! It holds what was heard, and everything else is a function of that: the changes of the status are a *set* by the version of
//! their stream record, the facts are those of the newest record. So the order in which records are handled, and how often,
//! leaves no trace. `revision` counts the changes of the row and is the version of what follows from it: the platform's row,
//! the campaign, the figures. Only `published` moves without it.

use std::collections::BTreeSet;

use millrace_effects::Row;
use millrace_events::{Failure, Item, fields::malformed};
use serde::{Deserialize, Serialize};
use serde_dynamo::AttributeValue;
use time::{OffsetDateTime, serde::rfc3339};

use crate::workflow::Status;

mod change;
mod steps;
mod store;

pub use change::{MOST_HEARD, News, Told};
pub use steps::{Step, Verdict};

/// What is said where nobody said anything.
pub const UNKNOWN: &str = "unknown";

/// A change of the status, as a stream record told it. Never changed once it was heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// The record's version.
    pub version: String,
    /// What the row's status was before; `None` for a new row, or a word that the workflow does not know.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Status>,
    /// What it is now.
    pub status: Status,
    /// When, as the record says.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
    /// Whether the row is new with it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub inserted: bool,
    /// The score at that moment.
    pub score: f64,
    /// The campaign, as it was known when this was first heard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub campaign_id: Option<String>,
    /// The creator's influence tier, likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tier: Option<String>,
    /// The creator's platform, likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<String>,
}

/// By what figures are told apart besides store and campaign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Traits {
    /// The store's category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The store's place: city and district.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The creator's influence tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The creator's platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// What the newest record says of the match besides its steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// 0 to 100.
    pub score: f64,
    /// The platform's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// What the match's own row says of store and creator.
    pub traits: Traits,
    /// What the creator is paid, in the currency's smallest unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed_cost: Option<i64>,
    /// When the row was made, where it says.
    #[serde(skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
}

/// The campaign that the match's own row names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Which.
    pub campaign_id: String,
    /// By the record of this version, the newest that names one.
    pub version: String,
}

/// How a match's row went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Its time was up.
    Expired,
    /// Somebody deleted it.
    Deleted,
}

/// The match's row is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// How.
    pub how: How,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
}

/// What is known of a match.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// The match.
    pub match_id: String,
    /// Whose it is.
    pub store_id: String,
    /// With whom.
    pub creator_id: String,
    /// The version of the newest record that was applied: the fence of the facts. Empty for none.
    pub version: String,
    /// How often the row has changed.
    pub revision: u64,
    /// Every change of the status that was heard of, by version.
    #[serde(rename = "steps")]
    pub heard: Vec<Heard>,
    /// What the newest record says.
    pub facts: Facts,
    /// What stores and creators said when the match was first heard of.
    pub found: Traits,
    /// The campaign that the row names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<Named>,
    /// The campaign that the match was bound to since the row named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// The row is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
    /// The versions of the steps that were published.
    #[serde(skip)]
    pub published: BTreeSet<String>,
}

impl Progress {
    /// Of a row in the table.
    ///
    /// # Errors
    /// `malformed-row`: it is not what `track-match` writes.
    pub fn of(row: Row) -> Result<Self, Failure> {
        Self::of_item(Item::from(row))
    }

    /// Of an image of the table's stream.
    ///
    /// # Errors
    /// `malformed-row`: it is not what `track-match` writes.
    pub fn of_item(item: Item) -> Result<Self, Failure> {
        let published = match item.inner().get("published") {
            Some(AttributeValue::Ss(versions)) => versions.iter().cloned().collect(),
            _ => BTreeSet::new(),
        };
        let read: Result<Self, _> = serde_dynamo::from_item(item);
        let mut progress = read.map_err(|error| {
            malformed("a match's progress is not what a worker writes").caused_by(error)
        })?;
        progress.heard.sort_by(|a, b| a.version.cmp(&b.version));
        progress.published = published;
        Ok(progress)
    }

    /// Its campaign: the one that its row names, or else the one that it was bound to.
    pub fn campaign_id(&self) -> Option<&str> {
        let named = self.named.as_ref().map(|named| &*named.campaign_id);
        named.or(self.bound.as_deref())
    }

    /// The store's category, or `unknown`.
    pub fn category(&self) -> &str {
        self.a_trait(|traits| &traits.category)
    }

    /// The store's place, or `unknown`.
    pub fn location(&self) -> &str {
        self.a_trait(|traits| &traits.location)
    }

    /// The creator's influence tier, or `unknown`.
    pub fn tier(&self) -> &str {
        self.a_trait(|traits| &traits.tier)
    }

    /// The creator's platform, or `unknown`.
    pub fn platform(&self) -> &str {
        self.a_trait(|traits| &traits.platform)
    }

    /// What the match's row says, or else what was found.
    fn a_trait(&self, of: impl Fn(&Traits) -> &Option<String>) -> &str {
        let said = of(&self.facts.traits).as_deref();
        said.or(of(&self.found).as_deref()).unwrap_or(UNKNOWN)
    }

    /// Whether the row is there, as far as was heard.
    pub fn is_alive(&self) -> bool {
        self.gone.is_none()
    }

    /// When the match was made: as its row says, or else when it was first heard of.
    pub fn created_at(&self) -> Option<OffsetDateTime> {
        let first = self.heard.first().map(|heard| heard.at);
        self.facts.created_at.or(first)
    }
}
