//! `update-campaign`: the campaign of a match follows it.
//!
//! Listens to the stream of matches' progress and to that of campaigns. A match's change becomes a contribution to its campaign's
//! totals, guarded as contributions are, and to those of a campaign that it left; then the campaign's row follows the totals. A
//! campaign's row that has lost what Millrace put into it, or whose budget was changed, gets it anew.

use std::collections::{BTreeMap, BTreeSet};

use millrace_delivery::{Cx, Worker};
use millrace_effects::Contribution;
use millrace_events::{Failure, Item, Outcome, RowChange, RowChangeKind, mutation, reason};

use crate::{
    campaigns::{CampaignRow, contribution},
    context::Marketing,
    progress::Progress,
};

/// The worker.
#[derive(Clone)]
pub struct UpdateCampaign(pub Marketing);

/// What a record asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// The campaigns' totals follow a match.
    Follow(Vec<(String, Contribution)>),
    /// The campaign's row follows its totals.
    Project(String),
}

impl Asked {
    /// What a change of a match's progress asks for.
    ///
    /// # Errors
    /// `malformed-row`: an image is not what `track-match` writes.
    pub fn of_match(old: Option<Item>, new: Option<Item>) -> Result<Self, Failure> {
        let Some(new) = new else {
            return Ok(Self::Nothing("what is known of a match is never removed"));
        };
        let new = Progress::of_item(new)?;
        let old = old.map(Progress::of_item).transpose()?;
        if old.as_ref().is_some_and(|old| old.revision == new.revision) {
            return Ok(Self::Nothing(
                "nothing that the campaign follows from has changed",
            ));
        }
        let campaigns: BTreeSet<&str> = old
            .iter()
            .filter(|_| !mutation::on(mutation::CAMPAIGN_LEFT_BEHIND))
            .chain([&new])
            .filter_map(Progress::campaign_id)
            .collect();
        if campaigns.is_empty() {
            return Ok(Self::Nothing("the match has no campaign"));
        }
        let follow = campaigns
            .into_iter()
            .map(|campaign| (campaign.to_owned(), contribution(&new, campaign)));
        Ok(Self::Follow(follow.collect()))
    }

    /// What a change of a campaign's row asks for.
    ///
    /// # Errors
    /// `malformed-row`: the row cannot be followed.
    pub fn of_campaign(old: Option<&Item>, new: Option<Item>) -> Result<Self, Failure> {
        let Some(new) = new else {
            return Ok(Self::Nothing("the campaign was removed"));
        };
        let concerns = CampaignRow::concerns(old, &new);
        let row = CampaignRow::of(new)?;
        if !concerns {
            return Ok(Self::Nothing(
                "nothing that the campaign's figures are in has changed",
            ));
        }
        Ok(Self::Project(row.id))
    }
}

impl UpdateCampaign {
    fn asked(&self, change: RowChange) -> Result<Asked, Failure> {
        let names = &self.0.names;
        if change.table == names.match_progress {
            return Asked::of_match(change.old, change.new);
        }
        if change.table == names.campaigns {
            let new = change.new.filter(|_| change.kind != RowChangeKind::Removed);
            return Asked::of_campaign(change.old.as_ref(), new);
        }
        Ok(Asked::Nothing("a row of another table"))
    }

    /// Carries out what a batch asks for: one commit to the totals, one projection for each campaign. An answer for each.
    ///
    /// # Errors
    /// When all of it is to be tried again: part of it may have taken place.
    async fn carry_out(
        &self,
        asked: Vec<Result<Asked, Failure>>,
    ) -> Result<Vec<Result<Outcome, Failure>>, Failure> {
        let campaigns = &self.0.campaigns;
        let mut contributions = Vec::new();
        let mut touched = BTreeSet::new();
        for asked in asked.iter().flatten() {
            match asked {
                Asked::Nothing(_) => {}
                // Also when its contributions are there already: who committed them may have died before the projection.
                Asked::Follow(follow) => {
                    for (campaign, contribution) in follow {
                        touched.insert(campaign.clone());
                        contributions.push(contribution.clone());
                    }
                }
                Asked::Project(campaign) => {
                    touched.insert(campaign.clone());
                }
            }
        }
        let mut committed = Vec::new();
        if !contributions.is_empty() {
            committed = campaigns.ledger.commit(&contributions).await?;
        }
        let mut projected = BTreeMap::new();
        for campaign in touched {
            match campaigns.project(&campaign).await {
                Ok(outcome) => drop(projected.insert(campaign, outcome)),
                // The row that cannot be followed is newer than what any of these records tells of: its own record is parked.
                Err(failure) if failure.reason() == reason::MALFORMED_ROW => {
                    projected.insert(campaign, Outcome::Superseded);
                }
                Err(failure) => return Err(failure),
            }
        }
        let mut committed = committed.into_iter();
        let answers = asked.into_iter().map(|asked| match asked? {
            Asked::Nothing(why) => Ok(Outcome::Ignored(why)),
            Asked::Follow(follow) => Ok(best(committed.by_ref().take(follow.len()))),
            Asked::Project(campaign) => Ok(projected.remove(&campaign).unwrap_or(Outcome::Already)),
        });
        Ok(answers.collect())
    }
}

/// What became of a record that changed several totals.
fn best(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes
        .reduce(|best, outcome| {
            if best == Outcome::Applied {
                best
            } else {
                outcome
            }
        })
        .unwrap_or(Outcome::Already)
}

impl Worker for UpdateCampaign {
    const NAME: &'static str = "update-campaign";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let answers = self.carry_out(vec![self.asked(change)]).await?;
        answers.into_iter().next().unwrap_or(Ok(Outcome::Already))
    }

    const TOGETHER: usize = 1_000;

    async fn handle_together(
        &self,
        events: Vec<(RowChange, Cx)>,
    ) -> Result<Vec<Result<Outcome, Failure>>, Failure> {
        let mut failed: BTreeSet<String> = BTreeSet::new();
        let asked = events.into_iter().map(|(change, cx)| {
            let subject = &cx.record.subject;
            if failed.contains(subject) {
                let message = "an earlier record of its subject must be handled first";
                return Err(Failure::transient(reason::HELD_BACK, message));
            }
            let asked = self.asked(change);
            if asked.is_err() {
                failed.insert(subject.clone());
            }
            asked
        });
        let asked = asked.collect();
        self.carry_out(asked).await
    }
}
