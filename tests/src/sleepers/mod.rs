//! Sleepers: somebody asleep before each of its calls, while somebody newer does the same work to its end.
//!
//! The slow first owner is what no lease and no idempotency key helps against: it looked before the newer one came, and writes
//! after it.

mod campaigns;
mod documents;
mod reports;

use std::fmt;

/// Who sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleepers {
    /// Each stage of the documents' pipeline, while a newer upload is processed.
    Documents,
    /// `update-campaign`, while the next batch is handled and the platform writes over the campaign.
    Campaigns,
    /// Who makes a report, while its figures go on and others make it.
    Reports,
}

impl Sleepers {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Documents, Self::Campaigns, Self::Reports];

    /// Runs them. Answers what differs from a calm end state, a sentence each; empty if nothing.
    pub async fn run(self) -> Vec<String> {
        match self {
            Self::Documents => documents::run().await,
            Self::Campaigns => campaigns::run().await,
            Self::Reports => reports::run().await,
        }
    }
}

impl fmt::Display for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documents => "documents",
            Self::Campaigns => "campaigns",
            Self::Reports => "reports",
        })
    }
}
