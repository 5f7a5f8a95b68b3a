//! What campaigns' totals and rows are made of: every match's progress.

use std::collections::{BTreeMap, BTreeSet};

use millrace_effects::{Computed, Row, Shares, Sources, Subjects, Update, Updated, When, key};
use millrace_events::{Failure, Outcome};

use super::{CampaignRow, Campaigns, PROJECTED, contribution, figures::CHANGES, keys};
use crate::{attributes::count, context::Marketing, progress::Progress};

/// How many are read at once.
const PAGE: i32 = 100;

/// Every match in the campaign that it belongs to.
#[derive(Clone)]
pub struct Members(pub Marketing);

/// Campaign and match of a contribution.
fn parts(subject: &str) -> Option<(&str, &str)> {
    subject.rsplit_once('/')
}

impl Sources for Members {
    async fn subjects(&self, from: Option<&str>) -> Result<Subjects, Failure> {
        let Self(marketing) = self;
        let table = &marketing.names.match_progress;
        let start = from.map(|id| key([("matchId", id)]));
        let (rows, next) = marketing.table.scan_page(table, start, Some(PAGE)).await?;
        let mut subjects = Vec::new();
        for row in rows {
            let progress = Progress::of(row)?;
            let campaign = progress.campaign_id();
            subjects.extend(campaign.map(|campaign| contribution(&progress, campaign).subject));
        }
        let next = next
            .as_ref()
            .and_then(|row| row.get("matchId")?.as_s().ok());
        Ok(Subjects {
            subjects,
            next: next.cloned(),
        })
    }

    async fn compute(&self, subjects: &[String]) -> Result<Vec<Option<Computed>>, Failure> {
        let Self(marketing) = self;
        let table = &marketing.names.match_progress;
        let ids = subjects.iter().filter_map(|subject| parts(subject));
        // A match may have been in several campaigns.
        let ids: BTreeSet<&str> = ids.map(|(_, id)| id).collect();
        let wanted = ids
            .into_iter()
            .map(|id| (table.clone(), key([("matchId", id)])));
        let mut found = marketing.table.read_many(wanted).await?;
        let mut matches = BTreeMap::new();
        for row in found.remove(table).unwrap_or_default() {
            let progress = Progress::of(row)?;
            matches.insert(progress.match_id.clone(), progress);
        }
        let computed = |subject: &String| {
            let (campaign, id) = parts(subject)?;
            let progress = matches.get(id)?;
            let contribution = contribution(progress, campaign);
            let belongs = progress.campaign_id() == Some(campaign);
            Some(Computed {
                version: belongs.then_some(contribution.version),
                shares: contribution.shares,
                entries: contribution.entries,
            })
        };
        Ok(subjects.iter().map(computed).collect())
    }

    /// How many changes a match had when it left a campaign, only its contribution knows: at most as many as it has now.
    fn agree(&self, mut computed: Computed, held: &Shares) -> Computed {
        if computed.version.is_some() {
            return computed;
        }
        for (total, measures) in &mut computed.shares {
            let then = held
                .get(total)
                .and_then(|held| held.get(CHANGES))
                .copied()
                .unwrap_or_default();
            if let Some(changes) = measures.get_mut(CHANGES)
                && (1..=*changes).contains(&then)
            {
                *changes = then;
            }
        }
        computed
    }

    fn owner_of(&self, entry: &Row) -> Option<(String, BTreeMap<String, String>)> {
        let text = |name: &str| entry.get(name)?.as_s().ok().cloned();
        let (campaign, id) = (text("campaignId")?, text("matchId")?);
        let subject = format!("{campaign}/{id}");
        let key = [("campaignId", campaign), ("matchId", id)];
        let key = key.map(|(name, value)| (name.to_owned(), value));
        Some((subject, key.into()))
    }
}

impl Campaigns {
    /// Campaigns whose rows are not what their totals say, with what is not. Rows that cannot be read are passed over: their own
    /// records say so.
    ///
    /// # Errors
    /// The tables'.
    pub async fn differing(&self) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let mut differing = Vec::new();
        let mut from = None;
        loop {
            let (rows, next) = self.page(from).await?;
            for row in rows {
                let figures = self.figures(&row.id).await?;
                let creators = self.newest(&row.id).await?;
                if let Some(projection) = row.projection(&figures, &creators) {
                    let paths = projection.sets.into_iter().map(|(path, _)| path);
                    differing.push((row.id, paths.collect()));
                }
            }
            from = next;
            if from.is_none() {
                return Ok(differing);
            }
        }
    }

    /// Lets every campaign's row follow its totals, and answers how many did not. A row that tells of more changes than there are
    /// tells of what never was: it loses its fence first, which makes its own worker look at it too.
    ///
    /// # Errors
    /// The tables'.
    pub async fn project_all(&self) -> Result<usize, Failure> {
        let mut changed = 0;
        let mut from = None;
        loop {
            let (rows, next) = self.page(from).await?;
            for row in rows {
                changed += usize::from(self.project_anew(&row).await?);
            }
            from = next;
            if from.is_none() {
                return Ok(changed);
            }
        }
    }

    async fn project_anew(&self, row: &CampaignRow) -> Result<bool, Failure> {
        let figures = self.figures(&row.id).await?;
        let mut changed = false;
        if let Some(projected) = row.projected.filter(|told| *told > figures.changes) {
            let told = count(u64::try_from(projected).unwrap_or_default());
            let update = Update::of(&self.rows, keys(row))
                .remove(PROJECTED)
                .when(When::Equal(PROJECTED, told));
            let written = self.table.update("take a campaign's fence away", update);
            changed = matches!(written.await?, Updated::Done(_));
        }
        Ok(self.project(&row.id).await? == Outcome::Applied || changed)
    }

    /// Some of the campaigns there are.
    async fn page(&self, from: Option<Row>) -> Result<(Vec<CampaignRow>, Option<Row>), Failure> {
        let (rows, next) = self.table.scan_page(&self.rows, from, Some(PAGE)).await?;
        let rows = rows.into_iter();
        let rows = rows.filter_map(|row| CampaignRow::of(row.into()).ok());
        Ok((rows.collect(), next))
    }
}
