//! A creator's match in its campaign: a row beside the totals.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::Row;

/// A match in its campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct Creator {
    /// The match.
    pub match_id: String,
    /// The creator.
    pub creator_id: String,
    /// The state, in the platform's word.
    pub status: String,
    /// Since when, in whole seconds and UTC.
    pub since: String,
    /// 0 to 100, as a number of DynamoDB.
    pub score: String,
    /// What was agreed on, in the smallest units of the campaign's currency.
    pub agreed_cost: Option<i64>,
    /// Whether its time was up.
    pub expired: bool,
}

impl Creator {
    /// Of a row of the table.
    pub fn of(row: &Row) -> Self {
        let text = |name: &str| {
            let text = row.get(name).and_then(|value| value.as_s().ok());
            text.cloned().unwrap_or_default()
        };
        let number = |name: &str| row.get(name).and_then(|value| value.as_n().ok());
        Self {
            match_id: text("matchId"),
            creator_id: text("creatorId"),
            status: text("status"),
            since: text("since"),
            score: number("score").cloned().unwrap_or_else(|| "0".to_owned()),
            agreed_cost: number("agreedCost").and_then(|cost| cost.parse().ok()),
            expired: row
                .get("expired")
                .is_some_and(|flag| flag.as_bool() == Ok(&true)),
        }
    }

    /// As an element of the campaign's list.
    pub(super) fn to_row(&self) -> HashMap<String, AttributeValue> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut row = HashMap::from([
            ("matchId".to_owned(), text(&self.match_id)),
            ("creatorId".to_owned(), text(&self.creator_id)),
            ("status".to_owned(), text(&self.status)),
            ("since".to_owned(), text(&self.since)),
            ("score".to_owned(), AttributeValue::N(self.score.clone())),
        ]);
        if let Some(cost) = self.agreed_cost {
            row.insert("agreedCost".to_owned(), AttributeValue::N(cost.to_string()));
        }
        if self.expired {
            row.insert("expired".to_owned(), AttributeValue::Bool(true));
        }
        row
    }
}
