//! A match: a row of the matches table, decoded.
//!
//! Beyond the data model the row may have: `campaignId`; `storeCategory`, `storeLocation`, `creatorTier` and `platform`, which
//! the matching engine writes; `createdAt`; and `agreedCost`, also within `communication`, in the currency's smallest unit.

use millrace_events::{
    Failure, Item,
    fields::{Fields, malformed},
};

use crate::{
    progress::{Facts, Traits},
    words::{behind, word},
    workflow::Status,
};

/// The attributes that `track-match` derives and writes into the match's row.
pub const PROJECTED: [&str; 10] = [
    "GSI1PK",
    "GSI1SK",
    "GSI2PK",
    "GSI2SK",
    "GSI3PK",
    "GSI3SK",
    "confidence",
    "ttl",
    "statusHistory",
    "projectedRevision",
];

/// Which match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchKey {
    /// The match.
    pub match_id: String,
    /// Whose it is.
    pub store_id: String,
    /// With whom.
    pub creator_id: String,
}

impl MatchKey {
    /// Of a row's key: `MATCH#…`, `STORE#…#CREATOR#…`.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn of(keys: &Item) -> Result<Self, Failure> {
        let key = Fields::of("matches row's key", keys);
        let sort = key.text("SK")?.unwrap_or_default();
        let pair = behind(sort, "STORE#")?.split_once("#CREATOR#");
        let (store, creator) = pair
            .filter(|(store, creator)| !store.is_empty() && !creator.is_empty())
            .ok_or_else(|| malformed("a match's key is not `STORE#…#CREATOR#…`"))?;
        let match_id = behind(key.text("PK")?.unwrap_or_default(), "MATCH#")?;
        Ok(Self {
            match_id: match_id.to_owned(),
            store_id: store.to_owned(),
            creator_id: creator.to_owned(),
        })
    }

    /// `PK` and `SK`.
    pub fn parts(&self) -> (String, String) {
        let Self {
            match_id,
            store_id,
            creator_id,
        } = self;
        (
            format!("MATCH#{match_id}"),
            format!("STORE#{store_id}#CREATOR#{creator_id}"),
        )
    }
}

/// What a match's row says.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchRow {
    /// Its state.
    pub status: Status,
    /// What else is followed.
    pub facts: Facts,
    /// The campaign, where it names one.
    pub campaign_id: Option<String>,
}

impl MatchRow {
    /// Of a row in the matches table.
    ///
    /// # Errors
    /// `malformed-row`, which names the attribute.
    pub fn of(row: &Item) -> Result<Self, Failure> {
        let said = Fields::of("matches row", row);
        let status = said.text("status")?.and_then(Status::of_word);
        let status = status.ok_or_else(|| said.wrong("status", "a state of the workflow"))?;
        let score = said.number("matchScore")?;
        let score = score.filter(|score| (0.0..=100.0).contains(score));
        let communication = said.map("communication", "communication")?;
        let agreed = match said.count("agreedCost")? {
            None => communication.count("agreedCost")?,
            agreed => agreed,
        };
        Ok(Self {
            status,
            campaign_id: word(&said, "campaignId")?,
            facts: Facts {
                score: score.ok_or_else(|| said.wrong("matchScore", "a number of 0 to 100"))?,
                priority: word(&said, "priority")?,
                traits: Traits {
                    category: word(&said, "storeCategory")?,
                    location: word(&said, "storeLocation")?,
                    tier: word(&said, "creatorTier")?,
                    platform: word(&said, "platform")?,
                },
                agreed_cost: agreed.and_then(|cost| i64::try_from(cost).ok()),
                created_at: said.time("createdAt")?,
            },
        })
    }
}

/// How much a score is trusted.
pub fn confidence(score: f64) -> &'static str {
    match score {
        80.0.. => "high",
        60.0.. => "medium",
        _ => "low",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(value: Value) -> Result<MatchRow, &'static str> {
        let item: Item = serde_json::from_value(value).unwrap();
        MatchRow::of(&item).map_err(|failure| failure.reason().code())
    }

    #[test]
    fn a_key_names_match_store_and_creator() {
        let keys = |pk: &str, sk: &str| -> Item {
            serde_json::from_value(json!({"PK": {"S": pk}, "SK": {"S": sk}})).unwrap()
        };
        let key = MatchKey::of(&keys("MATCH#m", "STORE#s#CREATOR#c")).unwrap();
        assert_eq!(
            key.parts(),
            ("MATCH#m".to_owned(), "STORE#s#CREATOR#c".to_owned())
        );
        for (pk, sk) in [
            ("MATCH#", "STORE#s#CREATOR#c"),
            ("STORE#s", "STORE#s#CREATOR#c"),
            ("MATCH#m", "STORE##CREATOR#c"),
            ("MATCH#m", "STORE#s#CREATOR#"),
            ("MATCH#m", "STORE#s"),
        ] {
            assert!(MatchKey::of(&keys(pk, sk)).is_err(), "{pk} {sk}");
        }
    }

    #[test]
    fn a_cost_may_stand_in_either_place() {
        let base = json!({"status": {"S": "ACCEPTED"}, "matchScore": {"N": "87.5"}});
        let mut within = base.clone();
        within["communication"] = json!({"M": {"agreedCost": {"N": "150000"}}});
        assert_eq!(row(within).unwrap().facts.agreed_cost, Some(150_000));
        let mut beside = base.clone();
        beside["agreedCost"] = json!({"N": "150000"});
        assert_eq!(row(beside).unwrap().facts.agreed_cost, Some(150_000));
        for wrong in [
            json!({"N": "-1"}),
            json!({"N": "0.5"}),
            json!({"S": "150000"}),
        ] {
            let mut costs = base.clone();
            costs["agreedCost"] = wrong;
            assert_eq!(row(costs), Err("malformed-row"));
        }
    }

    #[test]
    fn scores_and_states_are_what_they_are() {
        for (status, score) in [
            (json!({"S": "PENDING"}), json!({"N": "100.1"})),
            (json!({"S": "PENDING"}), json!({"N": "-1"})),
            (json!({"S": "PENDING"}), json!({"S": "90"})),
            (json!({"S": "pending"}), json!({"N": "90"})),
            (json!({"N": "1"}), json!({"N": "90"})),
        ] {
            let row = row(json!({"status": status, "matchScore": score}));
            assert_eq!(row, Err("malformed-row"));
        }
        let said = [80.0, 79.9, 60.0, 59.9].map(confidence);
        assert_eq!(said, ["high", "medium", "medium", "low"]);
    }
}
