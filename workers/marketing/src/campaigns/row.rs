//! A campaign's row as the platform writes it, and what Millrace puts into it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Row, When};
use millrace_events::{
    Failure, Item,
    fields::{Fields, malformed},
    mutation,
};

use super::{entry::Creator, figures::CampaignFigures};
use crate::{
    report::figures::{Ratio, STEPS, conversion, success_rate},
    workflow::Status,
};

const WHAT: &str = "campaigns row";

/// The attribute that says how many changes of matches the projection holds: its fence.
pub const PROJECTED: &str = "projectedChanges";

/// What of the row is ours, or what ours follows from.
const WATCHED: [&str; 5] = [
    "creators",
    "creatorsTotal",
    "performance",
    "budget",
    PROJECTED,
];

/// A campaign as its row says it.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub store: String,
    /// Its kind, in the platform's word.
    pub kind: Option<String>,
    /// Its state, in the platform's word.
    pub status: Option<String>,
    /// Its first day and its last.
    pub timeline: [Option<String>; 2],
    /// What it has to spend, in the smallest units of its currency.
    pub total: Option<i64>,
    /// Such as `KRW`.
    pub currency: Option<String>,
    /// How many changes the projection holds; `None` for a row without one.
    pub projected: Option<i64>,
    item: Item,
}

/// Attributes to set and to remove, by path, and what must be so of the row.
pub(super) struct Projection {
    pub(super) sets: Vec<(String, AttributeValue)>,
    pub(super) removes: Vec<String>,
    pub(super) when: When,
}

impl CampaignRow {
    /// Of a row or of an image of it.
    ///
    /// # Errors
    /// `malformed-row`: keys, budget or performance are not what the data model says.
    pub fn of(item: Item) -> Result<Self, Failure> {
        let fields = Fields::of(WHAT, &item);
        let part = |name: &str, prefix: &'static str| -> Result<String, Failure> {
            let key = fields.text(name)?.and_then(|key| key.strip_prefix(prefix));
            let part = key.filter(|part| !part.is_empty());
            let wrong = || fields.wrong(name, &format!("{prefix} and an id"));
            part.map(str::to_owned).ok_or_else(wrong)
        };
        let budget = fields.map("budget", "budget of the campaigns row")?;
        let timeline = fields.map("timeline", "timeline of the campaigns row")?;
        fields.map("performance", "performance of the campaigns row")?;
        let word = |text: Option<&str>| text.map(str::to_owned);
        let amount = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
        Ok(Self {
            id: part("PK", "CAMPAIGN#")?,
            store: part("SK", "STORE#")?,
            kind: word(fields.text("campaignType")?),
            status: word(fields.text("status")?),
            timeline: [
                word(timeline.text("startDate")?),
                word(timeline.text("endDate")?),
            ],
            total: amount(budget.count("total")?),
            currency: word(budget.text("currency")?),
            projected: amount(fields.count(PROJECTED)?),
            item,
        })
    }

    /// Whether something was changed that the projection is, or that it follows from; not by the projection itself.
    pub fn concerns(old: Option<&Item>, new: &Item) -> bool {
        let Some(old) = old else {
            return true;
        };
        let same = |name: &str| old.inner().get(name) == new.inner().get(name);
        if WATCHED.iter().all(|name| same(name)) || mutation::on(mutation::CAMPAIGN_OVERWRITTEN) {
            return false;
        }
        let changes = |item: &Item| Fields::of(WHAT, item).count(PROJECTED).ok().flatten();
        // Only the projection raises it.
        changes(new) <= changes(old)
    }

    /// What the row must have, if it does not have it.
    pub(super) fn projection(
        &self,
        figures: &CampaignFigures,
        creators: &[Creator],
    ) -> Option<Projection> {
        let fence = if mutation::on(mutation::CAMPAIGN_UNFENCED) {
            When::whatever(PROJECTED)
        } else {
            When::Any(vec![
                When::Absent(PROJECTED),
                When::AtMost(PROJECTED, number(figures.changes)),
            ])
        };
        let mut wanted = Wanted {
            row: self,
            sets: Vec::new(),
            removes: Vec::new(),
            when: vec![
                When::Present("PK"),
                fence,
                match self.total {
                    Some(total) => When::Equal("budget.total", number(total)),
                    None => When::Absent("budget.total"),
                },
            ],
        };
        let list = creators
            .iter()
            .map(|creator| AttributeValue::M(creator.to_row()));
        wanted.set("creators", AttributeValue::L(list.collect()));
        wanted.set("creatorsTotal", number(figures.creators));
        wanted.set(PROJECTED, number(figures.changes));
        let mut budget = vec![
            ("spent", number(figures.spent)),
            ("committed", number(figures.committed)),
        ];
        if let Some(total) = self.total {
            let remaining = total
                .saturating_sub(figures.spent)
                .saturating_sub(figures.committed);
            budget.push(("remaining", number(remaining)));
        } else if self.held(&["budget", "remaining"]).is_some() {
            // Of a budget that the platform has written without a total since.
            wanted.removes.push("budget.remaining".to_owned());
        }
        wanted.set_in(
            "budget",
            When::Absent("budget"),
            When::Present("budget"),
            budget,
        );
        let by_status = |counts: &[i64; 7]| {
            let counts = Status::ALL.iter().zip(counts);
            let counts = counts.map(|(status, count)| (status.word().to_owned(), number(*count)));
            AttributeValue::M(counts.collect())
        };
        let conversions = STEPS.iter().map(|step| {
            let into = Status::ALL[step.1].word().to_owned();
            (into, rate(conversion(&figures.entered, *step)))
        });
        let performance = vec![
            ("byStatus", by_status(&figures.in_it)),
            ("entered", by_status(&figures.entered)),
            ("conversion", AttributeValue::M(conversions.collect())),
            ("successRate", rate(success_rate(&figures.entered))),
        ];
        wanted.set_in(
            "performance",
            When::Absent("performance"),
            When::Present("performance"),
            performance,
        );
        let Wanted {
            sets,
            removes,
            when,
            ..
        } = wanted;
        let is_there = sets.is_empty() && removes.is_empty();
        (!is_there).then_some(Projection {
            sets,
            removes,
            when: When::All(when),
        })
    }

    fn held(&self, path: &[&str]) -> Option<AttributeValue> {
        let (first, rest) = path.split_first()?;
        let mut value = self.item.inner().get(*first)?;
        for name in rest {
            let serde_dynamo::AttributeValue::M(map) = value else {
                return None;
            };
            value = map.get(*name)?;
        }
        Some(value.clone().into())
    }
}

/// A projection that is being written.
struct Wanted<'a> {
    row: &'a CampaignRow,
    sets: Vec<(String, AttributeValue)>,
    removes: Vec<String>,
    when: Vec<When>,
}

impl Wanted<'_> {
    fn set(&mut self, name: &str, value: AttributeValue) {
        if self.row.held(&[name]).as_ref() != Some(&value) {
            self.sets.push((name.to_owned(), value));
        }
    }

    /// Sets keys of a map and keeps its others.
    fn set_in(
        &mut self,
        map: &str,
        absent: When,
        present: When,
        values: Vec<(&str, AttributeValue)>,
    ) {
        let is_there = matches!(self.row.held(&[map]), Some(AttributeValue::M(_)));
        if !is_there {
            let values: HashMap<String, AttributeValue> = values
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            self.sets.push((map.to_owned(), AttributeValue::M(values)));
            self.when.push(absent);
            return;
        }
        self.when.push(present);
        for (name, value) in values {
            if self.row.held(&[map, name]).as_ref() != Some(&value) {
                self.sets.push((format!("{map}.{name}"), value));
            }
        }
    }
}

fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// In percent with two decimals; null where there is nothing to divide by.
fn rate(ratio: Ratio) -> AttributeValue {
    match ratio.hundredths_of_percent() {
        None => AttributeValue::Null(true),
        Some(hundredths) => {
            // As DynamoDB writes numbers: without zeros at the end.
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let text = text.trim_end_matches('0').trim_end_matches('.');
            AttributeValue::N(if text.is_empty() { "0" } else { text }.to_owned())
        }
    }
}

/// Of a row that was read.
pub(super) fn read(row: Row) -> Result<CampaignRow, Failure> {
    CampaignRow::of(Item::from(row))
        .map_err(|failure| malformed("a campaign cannot be read").caused_by(failure))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::{Value, json};

    use super::*;

    fn item(row: &Value) -> Item {
        serde_dynamo::to_item(row).unwrap()
    }

    fn row(more: &[(&str, Value)]) -> Item {
        let mut row =
            json!({"PK": "CAMPAIGN#c", "SK": "STORE#s", "budget": {"total": 1000, "owner": "kim"}});
        for (name, value) in more {
            row[*name] = value.clone();
        }
        item(&row)
    }

    fn figures() -> CampaignFigures {
        CampaignFigures {
            changes: 9,
            creators: 3,
            in_it: [0, 0, 0, 0, 1, 1, 1],
            entered: [3, 3, 3, 3, 2, 1, 1],
            committed: 300,
            spent: 200,
        }
    }

    #[test]
    fn a_projection_keeps_what_else_is_in_the_maps_and_counts_what_remains() {
        let campaign = CampaignRow::of(row(&[])).unwrap();
        let sets = campaign.projection(&figures(), &[]).unwrap().sets;
        let found = |path: &str| {
            let set = sets.iter().find(|(name, _)| name == path);
            set.map(|(_, value)| value.clone())
        };
        assert_eq!(found("budget.remaining"), Some(number(500)));
        assert_eq!(found("budget"), None);
        let performance = found("performance").unwrap();
        let performance = performance.as_m().unwrap();
        assert_eq!(performance["successRate"].as_n().unwrap(), "66.67");
        let conversion = performance["conversion"].as_m().unwrap();
        assert_eq!(conversion["CONTACTED"].as_n().unwrap(), "100");
    }

    #[test]
    fn a_row_that_has_its_projection_needs_none() {
        let campaign = CampaignRow::of(row(&[])).unwrap();
        let mut there = Row::from(row(&[]));
        for (path, value) in campaign.projection(&figures(), &[]).unwrap().sets {
            match path.split_once('.') {
                None => drop(there.insert(path, value)),
                Some((map, name)) => {
                    let AttributeValue::M(map) = there.get_mut(map).unwrap() else {
                        panic!("no map");
                    };
                    map.insert(name.to_owned(), value);
                }
            }
        }
        let followed = CampaignRow::of(Item::from(there.clone())).unwrap();
        assert_eq!(followed.projected, Some(9));
        assert!(followed.projection(&figures(), &[]).is_none());
        let other = CampaignFigures {
            changes: 10,
            ..figures()
        };
        assert!(followed.projection(&other, &[]).is_some());

        // Our own write concerns nobody; the platform's that takes it away does, and so does one of the budget.
        let after = Item::from(there);
        assert!(!CampaignRow::concerns(Some(&row(&[])), &after));
        assert!(CampaignRow::concerns(Some(&after), &row(&[])));
        assert!(CampaignRow::concerns(None, &row(&[])));
        assert!(!CampaignRow::concerns(
            Some(&row(&[])),
            &row(&[("status", json!("paused"))])
        ));
        assert!(CampaignRow::concerns(
            Some(&row(&[])),
            &row(&[("budget", json!({"total": 2000}))])
        ));
    }

    #[test]
    fn nothing_remains_of_a_budget_without_a_total() {
        let stale = json!({"owner": "kim", "remaining": 500});
        let campaign = CampaignRow::of(row(&[("budget", stale)])).unwrap();
        let projection = campaign.projection(&figures(), &[]).unwrap();
        assert_eq!(projection.removes, ["budget.remaining"]);
        let mut sets = projection.sets.iter();
        assert!(sets.all(|(path, _)| path != "budget.remaining"));
    }

    #[test]
    fn what_cannot_be_followed_says_what_is_wrong() {
        for (name, value) in [
            ("PK", json!("MATCH#c")),
            ("SK", json!("STORE#")),
            ("budget", json!("much")),
            ("budget", json!({"total": -1})),
            ("performance", json!([])),
            ("timeline", json!("soon")),
            (PROJECTED, json!("many")),
        ] {
            let failure = CampaignRow::of(row(&[(name, value)])).unwrap_err();
            assert_eq!(
                failure.reason(),
                millrace_events::reason::MALFORMED_ROW,
                "{name}"
            );
        }
    }
}
