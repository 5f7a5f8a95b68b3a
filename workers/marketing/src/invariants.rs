//! What must hold of matches, of campaigns and of figures: at every moment, and at rest.
//!
//! Written once: the simulation asks it after every step, the tests of the promise at their end.

mod campaigns;
mod figures;

pub use campaigns::{CampaignSnapshot, OF_A_CAMPAIGN, OF_A_CAMPAIGN_AT_REST};
pub use figures::{FiguresSnapshot, OF_FIGURES_AT_REST, OF_TOTALS, TotalsSnapshot};

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Invariant, Row, key};
use millrace_events::{Failure, Item};

use crate::{
    context::Marketing,
    matches::{MatchKey, MatchRow},
    progress::Progress,
    projection::projection,
};

/// Everything durable of one match.
#[derive(Debug, Clone, Default)]
pub struct MatchSnapshot {
    /// What Millrace knows of it.
    pub progress: Option<Progress>,
    /// The platform's row.
    pub row: Option<Row>,
}

impl MatchSnapshot {
    /// Reads it. Not one moment: nothing else may move meanwhile.
    ///
    /// # Errors
    /// The tables'.
    pub async fn read(marketing: &Marketing, of: &MatchKey) -> Result<Self, Failure> {
        let (partition, sort) = of.parts();
        let row = key([("PK", &*partition), ("SK", &*sort)]);
        Ok(Self {
            progress: Progress::read(marketing, &of.match_id).await?,
            row: marketing.table.read(&marketing.names.matches, row).await?,
        })
    }

    fn each(&self, holds: impl Fn(&Progress) -> bool) -> bool {
        self.progress.as_ref().is_none_or(holds)
    }

    fn revision_in_row(&self) -> Option<u64> {
        let AttributeValue::N(revision) = self.row.as_ref()?.get("projectedRevision")? else {
            return None;
        };
        revision.parse().ok()
    }
}

/// What holds of every match at every moment.
pub const OF_A_MATCH: &[Invariant<MatchSnapshot>] = &[
    Invariant {
        name: "heard-once",
        says: "Each change of the status is heard of once, and they stand in order.",
        holds: |one| {
            one.each(|progress| {
                let versions = progress.heard.iter().map(|heard| &heard.version);
                versions.clone().zip(versions.skip(1)).all(|(a, b)| a < b)
            })
        },
    },
    Invariant {
        name: "steps-follow-the-workflow",
        says: "Each step begins a match, or is one of the workflow from the state that the row said, or that counted.",
        holds: |one| {
            one.each(|progress| {
                progress.steps().all(|step| {
                    let to = step.status();
                    let from = [step.heard.from, step.from].into_iter().flatten();
                    step.heard.inserted || from.into_iter().any(|from| from.leads_to(to))
                })
            })
        },
    },
    Invariant {
        name: "published-was-heard",
        says: "Nothing is marked as published that was not heard of.",
        holds: |one| {
            one.each(|progress| {
                let known: BTreeSet<_> =
                    progress.heard.iter().map(|heard| &heard.version).collect();
                progress
                    .published
                    .iter()
                    .all(|version| known.contains(version))
            })
        },
    },
    Invariant {
        name: "row-never-ahead",
        says: "The match's row tells of no revision that its progress has not reached.",
        holds: |one| {
            let reached = one.progress.as_ref().map(|progress| progress.revision);
            one.revision_in_row() <= reached
        },
    },
    Invariant {
        name: "row-is-a-match",
        says: "A row that is there has what makes it a match: nothing derived was written where no row was.",
        holds: |one| {
            one.row
                .as_ref()
                .is_none_or(|row| row.contains_key("status"))
        },
    },
];

/// What holds of every match besides, when nothing moves.
pub const OF_A_MATCH_AT_REST: &[Invariant<MatchSnapshot>] = &[
    Invariant {
        name: "every-step-is-published",
        says: "Each step is marked as published.",
        holds: |one| {
            one.each(|progress| {
                let mut steps = progress.steps();
                steps.all(|step| progress.published.contains(&step.heard.version))
            })
        },
    },
    Invariant {
        name: "match-row-says-progress",
        says: "A row that is there has everything that follows from the progress.",
        holds: |one| {
            let (Some(progress), Some(row)) = (&one.progress, &one.row) else {
                return true;
            };
            let wanted = projection(progress);
            wanted
                .iter()
                .all(|(name, value)| row.get(*name) == Some(value))
        },
    },
    Invariant {
        name: "progress-knows-the-row",
        says: "A match counts as there exactly while its row is, with the facts that the row says.",
        holds: |one| {
            let alive = one.progress.as_ref().is_some_and(Progress::is_alive);
            let row = one
                .row
                .as_ref()
                .map(|row| MatchRow::of(&Item::from(row.clone())));
            match row {
                None => !alive,
                Some(Err(_)) => true,
                Some(Ok(row)) => alive && one.each(|progress| progress.facts == row.facts),
            }
        },
    },
    Invariant {
        name: "row-stands-where-it-was-heard-to",
        says: "The row's own status is what was heard of last.",
        holds: |one| {
            let row = one
                .row
                .as_ref()
                .map(|row| MatchRow::of(&Item::from(row.clone())));
            let Some(Ok(row)) = row else {
                return true;
            };
            let last =
                |progress: &Progress| progress.verdicts().last().map(|(heard, _)| heard.status);
            one.each(|progress| last(progress) == Some(row.status))
        },
    },
];

#[cfg(test)]
mod tests {
    use millrace_effects::broken;
    use time::macros::datetime;

    use super::*;
    use crate::{
        attributes::{count, text},
        progress::{Heard, UNKNOWN},
        workflow::Status,
    };

    fn heard(version: &str, from: Option<Status>, status: Status) -> Heard {
        Heard {
            version: version.to_owned(),
            from,
            status,
            at: datetime!(2026-11-21 04:00 UTC),
            inserted: from.is_none(),
            score: 80.0,
            campaign_id: None,
            tier: Some(UNKNOWN.to_owned()),
            platform: None,
        }
    }

    fn one() -> MatchSnapshot {
        let mut progress = Progress {
            match_id: "m".to_owned(),
            revision: 2,
            heard: vec![
                heard("1", None, Status::Pending),
                heard("2", Some(Status::Pending), Status::Contacted),
            ],
            published: ["1", "2"].map(str::to_owned).into(),
            ..Progress::default()
        };
        progress.facts.score = 80.0;
        let said = [
            ("status", text("CONTACTED")),
            ("matchScore", AttributeValue::N("80".to_owned())),
            ("projectedRevision", count(2)),
        ];
        let row = projection(&progress).into_iter().chain(said);
        MatchSnapshot {
            row: Some(row.map(|(name, value)| (name.to_owned(), value)).collect()),
            progress: Some(progress),
        }
    }

    #[test]
    fn each_fault_breaks_its_own_invariant() {
        assert_eq!(broken(OF_A_MATCH, &one()), [""; 0]);
        assert_eq!(broken(OF_A_MATCH_AT_REST, &one()), [""; 0]);
        assert_eq!(
            broken(OF_A_MATCH_AT_REST, &MatchSnapshot::default()),
            [""; 0]
        );
        type Change = fn(&mut MatchSnapshot);
        let faults: [(&str, Change); 8] = [
            ("heard-once", |one| {
                let progress = one.progress.as_mut().unwrap();
                let again = progress.heard[1].clone();
                progress.heard.push(again);
            }),
            ("published-was-heard", |one| {
                let progress = one.progress.as_mut().unwrap();
                progress.published.insert("3".to_owned());
            }),
            ("row-never-ahead", |one| {
                one.progress.as_mut().unwrap().revision = 1;
            }),
            ("row-is-a-match", |one| {
                one.row.as_mut().unwrap().remove("status");
            }),
            ("every-step-is-published", |one| {
                one.progress.as_mut().unwrap().published.remove("2");
            }),
            ("match-row-says-progress", |one| {
                one.row.as_mut().unwrap().remove("GSI2PK");
            }),
            ("progress-knows-the-row", |one| one.row = None),
            ("row-stands-where-it-was-heard-to", |one| {
                one.row
                    .as_mut()
                    .unwrap()
                    .insert("status".to_owned(), text("RESPONDED"));
            }),
        ];
        for (name, change) in faults {
            let mut one = one();
            change(&mut one);
            let found = [broken(OF_A_MATCH, &one), broken(OF_A_MATCH_AT_REST, &one)].concat();
            assert!(found.contains(&name), "{name}: {found:?}");
        }
    }
}
