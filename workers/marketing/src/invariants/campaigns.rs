//! What must hold of campaigns: of their totals, of their creators, and of what stands in their rows.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Invariant, Row};
use millrace_events::Item;

use crate::{
    campaigns::{CampaignFigures, CampaignRow, Creator, LISTED, PROJECTED},
    report::figures::{Counts, STATES, STEPS, conversion, success_rate},
};

/// Everything durable of one campaign, and what somebody else makes of its matches.
#[derive(Debug, Clone, Default)]
pub struct CampaignSnapshot {
    /// The campaign.
    pub campaign: String,
    /// The platform's row.
    pub row: Option<Row>,
    /// How many changes the row's projection held before, if nobody else wrote the row since.
    pub changes_before: Option<i64>,
    /// Its totals.
    pub totals: CampaignFigures,
    /// Its rows in the table of campaigns' creators, by match.
    pub creators: Vec<Creator>,
    /// What its matches come to, counted apart from the workers. How many changes there were is not counted.
    pub counted: CampaignFigures,
    /// Its matches, by id, likewise.
    pub matches: Vec<Creator>,
}

impl CampaignSnapshot {
    /// How many changes the row's projection holds.
    pub fn changes(&self) -> Option<i64> {
        number(self.row.as_ref()?.get(PROJECTED)?)
    }

    /// The row, unless nobody can follow it: then it is as it is.
    fn followed(&self) -> Option<&Row> {
        let row = self.row.as_ref()?;
        CampaignRow::of(Item::from(row.clone())).ok().map(|_| row)
    }

    fn row_says(&self, holds: impl Fn(&Row) -> Option<bool>) -> bool {
        let row = self.followed();
        row.is_none_or(|row| holds(row).unwrap_or_default())
    }
}

/// What holds of every campaign at every moment.
pub const OF_A_CAMPAIGN: &[Invariant<CampaignSnapshot>] = &[
    Invariant {
        name: "campaign-never-goes-back",
        says: "What is projected into a campaign's row never holds fewer changes than what it replaces.",
        holds: |one| {
            one.row.is_none() || one.changes_before.is_none() || one.changes_before <= one.changes()
        },
    },
    Invariant {
        name: "campaign-never-ahead",
        says: "A campaign's row tells of no more changes than there were.",
        holds: |one| {
            one.changes()
                .is_none_or(|changes| changes <= one.totals.changes)
        },
    },
];

/// What holds of every campaign besides, when nothing moves.
pub const OF_A_CAMPAIGN_AT_REST: &[Invariant<CampaignSnapshot>] = &[
    Invariant {
        name: "campaign-totals-add-up",
        says: "A campaign's totals are what its matches come to.",
        holds: |one| {
            let counted = CampaignFigures {
                changes: one.totals.changes,
                ..one.counted.clone()
            };
            one.totals == counted
        },
    },
    Invariant {
        name: "campaign-creators-are-its-matches",
        says: "Each match of a campaign has its row among the campaign's creators, and nothing else has.",
        holds: |one| one.creators == one.matches,
    },
    Invariant {
        name: "campaign-row-says-counts",
        says: "A campaign's row has the counts by state, the conversions and the success rate of its matches.",
        holds: |one| {
            one.row_says(|row| {
                let performance = row.get("performance")?.as_m().ok()?;
                let counts = |name: &str| -> Option<Counts> {
                    let counts = performance.get(name)?.as_m().ok()?;
                    let counts = STATES.map(|state| number(counts.get(state)?));
                    counts
                        .iter()
                        .all(Option::is_some)
                        .then(|| counts.map(Option::unwrap_or_default))
                };
                let entered = one.counted.entered;
                let conversions = performance.get("conversion")?.as_m().ok()?;
                let mut steps = STEPS.into_iter();
                let rates = steps.all(|step| {
                    let ratio = conversion(&entered, step);
                    conversions
                        .get(STATES[step.1])
                        .is_some_and(|said| is_percent(said, ratio.part, ratio.whole))
                });
                let success = success_rate(&entered);
                Some(
                    counts("byStatus")? == one.counted.in_it
                        && counts("entered")? == entered
                        && rates
                        && is_percent(performance.get("successRate")?, success.part, success.whole)
                        && number(row.get("creatorsTotal")?)? == one.counted.creators,
                )
            })
        },
    },
    Invariant {
        name: "campaign-row-says-budget",
        says: "A campaign's row has what its matches have cost, what they will cost, and what remains.",
        holds: |one| {
            one.row_says(|row| {
                let budget = row.get("budget")?.as_m().ok()?;
                let said = |name: &str| number(budget.get(name)?);
                let (spent, committed) = (one.counted.spent, one.counted.committed);
                let remaining = said("total").map(|total| total - spent - committed);
                Some(
                    said("spent")? == spent
                        && said("committed")? == committed
                        && said("remaining") == remaining,
                )
            })
        },
    },
    Invariant {
        name: "campaign-row-lists-creators",
        says: "A campaign's row lists its matches, those with the newest state first.",
        holds: |one| {
            one.row_says(|row| {
                let listed = row.get("creators")?.as_l().ok()?;
                let listed = listed
                    .iter()
                    .map(|creator| creator.as_m().map(Creator::of).ok());
                let listed: Vec<Creator> = listed.collect::<Option<_>>()?;
                let most = usize::try_from(LISTED).unwrap_or_default();
                let known = listed.iter().all(|creator| one.matches.contains(creator));
                let ids: BTreeSet<&String> =
                    listed.iter().map(|creator| &creator.match_id).collect();
                Some(
                    known
                        && ids.len() == listed.len()
                        && listed.len() == one.matches.len().min(most)
                        && listed.is_sorted_by(|a, b| a.since >= b.since),
                )
            })
        },
    },
];

fn number(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok()?.parse().ok()
}

/// Whether this is so many percent, with two decimals; null of nothing.
fn is_percent(said: &AttributeValue, part: i64, whole: i64) -> bool {
    if whole == 0 {
        return said.is_null();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    let said = said.as_n().ok().and_then(|said| said.parse::<f64>().ok());
    said.is_some_and(|said| (said - percent).abs() <= 0.005_000_1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use millrace_effects::broken;
    use serde_json::{Value, json};

    use super::*;

    fn row(row: &Value) -> Row {
        let item: Item = serde_dynamo::to_item(row).unwrap();
        item.into()
    }

    /// A campaign of two matches: one accepted for 300, one rejected.
    fn one() -> CampaignSnapshot {
        let creator = |id: &str, status: &str, since: &str| Creator {
            match_id: id.to_owned(),
            creator_id: format!("of-{id}"),
            status: status.to_owned(),
            since: since.to_owned(),
            score: "80".to_owned(),
            agreed_cost: None,
            expired: false,
        };
        let matches = vec![
            creator("a", "REJECTED", "2026-11-21T04:00:00Z"),
            creator("b", "ACCEPTED", "2026-11-21T05:00:00Z"),
        ];
        let counts = |counts: Counts| {
            let counts = STATES
                .iter()
                .zip(counts)
                .map(|(state, count)| ((*state).to_owned(), json!(count)));
            Value::Object(counts.collect())
        };
        let counted = CampaignFigures {
            changes: 0,
            creators: 2,
            in_it: [0, 0, 0, 0, 1, 1, 0],
            entered: [2, 2, 2, 2, 1, 1, 0],
            committed: 300,
            spent: 0,
        };
        let mut creators = Vec::new();
        for creator in matches.iter().rev() {
            creators.push(json!({
                "matchId": creator.match_id, "creatorId": creator.creator_id, "status": creator.status, "since": creator.since,
                "score": 80,
            }));
        }
        let said = json!({
            "PK": "CAMPAIGN#c", "SK": "STORE#s", "creators": creators, "creatorsTotal": 2, PROJECTED: 12,
            "budget": {"total": 1000, "committed": 300, "spent": 0, "remaining": 700},
            "performance": {
                "byStatus": counts(counted.in_it), "entered": counts(counted.entered), "successRate": 50,
                "conversion": {
                    "CONTACTED": 100, "RESPONDED": 100, "NEGOTIATING": 100, "ACCEPTED": 50, "REJECTED": 50, "COMPLETED": 0,
                },
            },
        });
        CampaignSnapshot {
            campaign: "c".to_owned(),
            row: Some(row(&said)),
            changes_before: Some(12),
            totals: CampaignFigures {
                changes: 12,
                ..counted.clone()
            },
            creators: matches.clone(),
            counted,
            matches,
        }
    }

    fn all(one: &CampaignSnapshot) -> Vec<&'static str> {
        [
            broken(OF_A_CAMPAIGN, one),
            broken(OF_A_CAMPAIGN_AT_REST, one),
        ]
        .concat()
    }

    #[test]
    fn each_fault_breaks_its_own_invariant() {
        assert_eq!(all(&one()), [""; 0]);
        let mut gone = one();
        gone.row = None;
        assert_eq!(all(&gone), [""; 0]);
        type Change = fn(&mut CampaignSnapshot);
        let set = |name: &'static str, value: Value| {
            move |one: &mut CampaignSnapshot| {
                let value = row(&json!({ "it": value })).remove("it").unwrap();
                one.row.as_mut().unwrap().insert(name.to_owned(), value);
            }
        };
        let of_totals: [(&str, Change); 5] = [
            ("campaign-never-goes-back", |one| {
                one.changes_before = Some(13)
            }),
            ("campaign-never-ahead", |one| one.totals.changes = 11),
            ("campaign-totals-add-up", |one| one.totals.spent = 1),
            ("campaign-creators-are-its-matches", |one| {
                drop(one.creators.pop())
            }),
            ("campaign-row-lists-creators", |one| {
                one.row.as_mut().unwrap().remove("creators");
            }),
        ];
        for (name, change) in of_totals {
            let mut one = one();
            change(&mut one);
            assert!(all(&one).contains(&name), "{name}: {:?}", all(&one));
        }
        let of_rows = [
            ("campaign-row-says-counts", set("creatorsTotal", json!(3))),
            ("campaign-row-says-counts", set("performance", json!({}))),
            (
                "campaign-row-says-budget",
                set(
                    "budget",
                    json!({"total": 1000, "committed": 300, "spent": 0, "remaining": 701}),
                ),
            ),
            ("campaign-row-says-budget", set("budget", json!({}))),
        ];
        for (name, change) in of_rows {
            let mut one = one();
            change(&mut one);
            assert_eq!(all(&one), [name]);
        }
        // Nobody can follow it, so nothing is asked of it.
        let mut wrong = one();
        set("budget", json!("much"))(&mut wrong);
        assert_eq!(all(&wrong), [""; 0]);
    }
}
