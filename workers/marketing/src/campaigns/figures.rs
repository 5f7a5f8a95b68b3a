//! The totals of a campaign.

use millrace_effects::Measures;

use crate::{report::figures::Counts, workflow::Status};

/// The name of a campaign's one total.
pub const WHOLE: &str = "all";
/// How many changes of matches are in the totals. It only rises.
pub(super) const CHANGES: &str = "changes";
/// How many matches there are or were.
pub(super) const CREATORS: &str = "creators";
/// What accepted matches will cost.
pub(super) const COMMITTED: &str = "committed";
/// What completed matches have cost.
pub(super) const SPENT: &str = "spent";

/// The scope of a campaign's totals.
pub fn scope(campaign: &str) -> String {
    format!("campaign#{campaign}")
}

/// The measure of how many entered a state.
pub(super) fn entered(status: Status) -> String {
    format!("entered.{status}")
}

/// The measure of how many are in a state.
pub(super) fn in_it(status: Status) -> String {
    format!("in.{status}")
}

/// The totals of a campaign. The default is that of one without a match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CampaignFigures {
    /// How many changes of matches are in it.
    pub changes: i64,
    /// How many matches there are or were.
    pub creators: i64,
    /// How many are in each state.
    pub in_it: Counts,
    /// How many entered each state.
    pub entered: Counts,
    /// What accepted matches will cost.
    pub committed: i64,
    /// What completed matches have cost.
    pub spent: i64,
}

impl CampaignFigures {
    /// From the measures of its total.
    pub fn of(measures: &Measures) -> Self {
        let measure = |name: &str| measures.get(name).copied().unwrap_or_default();
        Self {
            changes: measure(CHANGES),
            creators: measure(CREATORS),
            in_it: Status::ALL.map(|status| measure(&in_it(status))),
            entered: Status::ALL.map(|status| measure(&entered(status))),
            committed: measure(COMMITTED),
            spent: measure(SPENT),
        }
    }
}
