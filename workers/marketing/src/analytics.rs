//! The figures: how many matches entered each state, how many left it and after how long; campaigns and their budgets.
//!
//! Every match and every campaign contributes to totals of a ledger ([`shares`] says what), by its own row. A total is a name in a
//! scope: [`scope`] of a day, or of [`EVER`], and of a dimension.

mod campaign;
mod shares;
mod sources;

use millrace_effects::{Ledger, LedgerTables, Measures};
use millrace_events::Version;
use time::{Date, OffsetDateTime, UtcOffset};

pub use self::{
    campaign::{Campaign, of_campaign},
    shares::of_match,
    sources::Everything,
};
use crate::{context::Marketing, workflow::Status};

/// In place of a day: all days together.
pub const EVER: &str = "ever";

/// The one name of the dimension [`Dimension::All`].
pub const ALL: &str = "all";

/// By what figures are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Not at all.
    All,
    /// By store.
    Store,
    /// By the store's category.
    Category,
    /// By the store's place.
    Location,
    /// By the creator's influence tier.
    Tier,
    /// By the creator's platform.
    Platform,
}

impl Dimension {
    /// All of them.
    pub const EACH: [Self; 6] = [
        Self::All,
        Self::Store,
        Self::Category,
        Self::Location,
        Self::Tier,
        Self::Platform,
    ];

    /// As scopes have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => ALL,
            Self::Store => "store",
            Self::Category => "category",
            Self::Location => "location",
            Self::Tier => "tier",
            Self::Platform => "platform",
        }
    }
}

/// What totals are read by: `2026-11-21#store`, `ever#all`.
pub fn scope(day: &str, dimension: Dimension) -> String {
    format!("{day}#{}", dimension.word())
}

/// The day of a moment, in UTC, as scopes have it.
pub fn day(at: OffsetDateTime) -> String {
    day_of(at.to_offset(UtcOffset::UTC).date())
}

/// A day as scopes have it.
pub fn day_of(date: Date) -> String {
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}")
}

/// How many came into this state.
pub fn entered(status: Status) -> String {
    format!("entered.{status}")
}

/// How many left it, by a step or because their time was up.
pub fn left(status: Status) -> String {
    format!("left.{status}")
}

/// How many seconds those who left it had been in it.
pub fn seconds(status: Status) -> String {
    format!("seconds.{status}")
}

/// How many campaigns have this status.
pub fn campaigns(status: &str) -> String {
    format!("campaigns.{status}")
}

/// The budgets of campaigns, in the smallest unit of the currency.
pub const BUDGET: &str = "budget";

/// What the measures of one total come to.
#[derive(Debug, Clone, Copy)]
pub struct Figures<'a>(pub &'a Measures);

impl Figures<'_> {
    fn of(&self, measure: &str) -> i64 {
        self.0.get(measure).copied().unwrap_or_default()
    }

    /// How many came into this state.
    pub fn entered(&self, status: Status) -> i64 {
        self.of(&entered(status))
    }

    /// How many are in it.
    pub fn inside(&self, status: Status) -> i64 {
        self.entered(status) - self.of(&left(status))
    }

    /// Of those who came into one state, how many came into the other, 0 to 1; `None` while nobody did.
    pub fn conversion(&self, from: Status, to: Status) -> Option<f64> {
        share(self.entered(to), self.entered(from))
    }

    /// How long those who left it had been in it on average, in seconds.
    pub fn average_seconds(&self, status: Status) -> Option<f64> {
        share(self.of(&seconds(status)), self.of(&left(status)))
    }

    /// Accepted of decided, 0 to 1. Who has completed was accepted before.
    pub fn success_rate(&self) -> Option<f64> {
        let accepted = self.entered(Status::Accepted);
        share(accepted, accepted + self.entered(Status::Rejected))
    }
}

fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The ledger of the figures.
pub fn ledger(marketing: &Marketing) -> Ledger {
    let names = LedgerTables {
        contributions: marketing.names.analytics_contributions.clone(),
        totals: marketing.names.analytics_totals.clone(),
        control: marketing.names.analytics_control.clone(),
        entries: None,
    };
    Ledger::new(marketing.table.clone(), names)
}

/// A match as the ledger knows it.
pub fn match_subject(match_id: &str) -> String {
    format!("match/{match_id}")
}

/// A campaign as the ledger knows it.
pub fn campaign_subject(campaign_id: &str) -> String {
    format!("campaign/{campaign_id}")
}

/// Where a match stands: the revision of its progress.
pub fn match_version(revision: u64) -> Version {
    Version::from_padded(format!("{revision:020}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn figures_come_from_measures() {
        let measures = [
            ("entered.PENDING", 10),
            ("left.PENDING", 8),
            ("seconds.PENDING", 80),
            ("entered.CONTACTED", 5),
            ("entered.ACCEPTED", 3),
            ("left.ACCEPTED", 1),
            ("entered.COMPLETED", 1),
            ("entered.REJECTED", 1),
        ];
        let measures: Measures = measures.map(|(name, n)| (name.to_owned(), n)).into();
        let figures = Figures(&measures);
        assert_eq!(figures.inside(Status::Pending), 2);
        assert_eq!(figures.inside(Status::Accepted), 2);
        assert_eq!(figures.average_seconds(Status::Pending), Some(10.0));
        assert_eq!(figures.average_seconds(Status::Contacted), None);
        assert_eq!(
            figures.conversion(Status::Pending, Status::Contacted),
            Some(0.5)
        );
        assert_eq!(figures.success_rate(), Some(0.75));
        assert_eq!(Figures(&Measures::new()).success_rate(), None);
    }

    #[test]
    fn a_day_is_that_of_utc() {
        let seoul = UtcOffset::from_hms(9, 0, 0).unwrap();
        let at = OffsetDateTime::from_unix_timestamp(1_795_219_200).unwrap();
        assert_eq!(day(at), day(at.to_offset(seoul)));
        assert_eq!(scope(&day(at), Dimension::Tier), "2026-11-21#tier");
    }
}
