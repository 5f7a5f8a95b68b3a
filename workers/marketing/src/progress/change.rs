//! What a record of the matches' stream makes of a match's progress: a plain function.

use millrace_events::{Version, mutation};
use time::OffsetDateTime;

use super::{Gone, Heard, How, Named, Progress};
use crate::{
    matches::{MatchKey, MatchRow},
    workflow::Status,
};

/// More changes of one match's status are not heard of.
pub const MOST_HEARD: usize = 500;

/// What a record tells of a match.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The row as it is now.
    Row {
        /// What it says.
        row: MatchRow,
        /// The state before, when the record is of another than now; outer `None`: the state is as before.
        from: Option<Option<Status>>,
        /// Whether the row is new.
        inserted: bool,
    },
    /// The row is gone.
    Gone(How),
}

/// A record, as far as it matters.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// Which match.
    pub key: MatchKey,
    /// Where the record stands in the row's history.
    pub version: Version,
    /// When it happened.
    pub at: OffsetDateTime,
    /// What it tells.
    pub told: Told,
}

impl Progress {
    /// What is known before anything was heard.
    pub fn new(key: &MatchKey) -> Self {
        Self {
            match_id: key.match_id.clone(),
            store_id: key.store_id.clone(),
            creator_id: key.creator_id.clone(),
            ..Self::default()
        }
    }

    /// Whether a change of the status of this version was heard of.
    pub fn has_heard(&self, version: &Version) -> bool {
        self.heard
            .iter()
            .any(|heard| heard.version == version.as_str())
    }

    /// What is known after this was heard too. The same news once more, or in another order, make no difference.
    #[must_use]
    pub fn after(mut self, news: &News) -> Self {
        let version = news.version.as_str().to_owned();
        let newest = version > self.version || mutation::on(mutation::FACTS_STALE);
        match &news.told {
            Told::Gone(how) => {
                if newest {
                    self.version = version;
                    self.gone = Some(Gone {
                        how: *how,
                        at: news.at,
                    });
                }
            }
            Told::Row {
                row,
                from,
                inserted,
            } => {
                self.hear_name(row, &version);
                if newest {
                    self.version.clone_from(&version);
                    self.gone = None;
                    self.facts = row.facts.clone();
                }
                if let Some(from) = from {
                    self.hear(news, row, *from, *inserted);
                }
            }
        }
        self
    }

    fn hear_name(&mut self, row: &MatchRow, version: &str) {
        let Some(campaign_id) = &row.campaign_id else {
            return;
        };
        let known = self.named.as_ref();
        if known.is_none_or(|known| *known.version < *version) {
            self.named = Some(Named {
                campaign_id: campaign_id.clone(),
                version: version.to_owned(),
            });
        }
    }

    fn hear(&mut self, news: &News, row: &MatchRow, from: Option<Status>, inserted: bool) {
        if self.has_heard(&news.version) && !mutation::on(mutation::STEP_TWICE) {
            return;
        }
        let own = |word: &Option<String>, found: &Option<String>| word.clone().or(found.clone());
        let traits = &row.facts.traits;
        let heard = Heard {
            version: news.version.as_str().to_owned(),
            from,
            status: row.status,
            at: news.at,
            inserted,
            score: row.facts.score,
            campaign_id: row
                .campaign_id
                .clone()
                .or(self.campaign_id().map(str::to_owned)),
            tier: own(&traits.tier, &self.found.tier),
            platform: own(&traits.platform, &self.found.platform),
        };
        let place = self
            .heard
            .partition_point(|known| known.version <= heard.version);
        self.heard.insert(place, heard);
    }
}
