//! Campaigns follow their matches.
//!
//! What a match adds to its campaign is a contribution to a ledger: totals that nobody else writes. The campaign's row is the
//! platform's, written whole and at any time; what Millrace puts into it is a projection of the totals, fenced by how many
//! changes it holds, and is put there again when the platform has overwritten it.

mod contribution;
mod entry;
mod figures;
mod row;
mod sources;

pub use contribution::contribution;
pub use entry::Creator;
pub use figures::{CampaignFigures, WHOLE, scope};
pub use row::{CampaignRow, PROJECTED};
pub use sources::Members;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_effects::{Ledger, LedgerTables, Row, Table, Total, Update, Updated};
use millrace_events::{Failure, Outcome, mutation, reason};

use crate::Names;

/// How many creators the campaign's row lists, the newest; the others are in the table of campaigns' creators.
pub const LISTED: i32 = 200;

/// The index of a campaign's creators by since when they are in their state.
const BY_SINCE: &str = "campaign-since-index";

/// How often a projection that lost a race looks again before it hands the record back.
const RACES: u32 = 8;

/// Campaigns, their totals and their creators.
#[derive(Debug, Clone)]
pub struct Campaigns {
    table: Table,
    rows: String,
    creators: String,
    /// The totals.
    pub ledger: Ledger,
}

impl Campaigns {
    /// In these tables.
    pub fn new(table: Table, names: &Names) -> Self {
        let tables = LedgerTables {
            contributions: names.campaign_contributions.clone(),
            totals: names.campaign_totals.clone(),
            control: names.campaign_control.clone(),
            entries: Some(names.campaign_creators.clone()),
        };
        Self {
            ledger: Ledger::new(table.clone(), tables),
            table,
            rows: names.campaigns.clone(),
            creators: names.campaign_creators.clone(),
        }
    }

    /// A campaign's row as it is now.
    ///
    /// # Errors
    /// `malformed-row`, besides those of the table.
    pub async fn find(&self, campaign: &str) -> Result<Option<CampaignRow>, Failure> {
        let row = self.row(campaign).await?;
        row.map(row::read).transpose()
    }

    /// The same, undecoded.
    ///
    /// # Errors
    /// The table's.
    pub async fn row(&self, campaign: &str) -> Result<Option<Row>, Failure> {
        let answer = self
            .table
            .client()
            .query()
            .table_name(&self.rows)
            .key_condition_expression("PK = :campaign AND begins_with(SK, :store)")
            .expression_attribute_values(
                ":campaign",
                AttributeValue::S(format!("CAMPAIGN#{campaign}")),
            )
            .expression_attribute_values(":store", AttributeValue::S("STORE#".to_owned()))
            .consistent_read(true)
            .limit(1)
            .send()
            .await
            .map_err(|error| classify("look for a campaign", error))?;
        Ok(answer.items.unwrap_or_default().into_iter().next())
    }

    /// The totals of a campaign.
    pub async fn figures(&self, campaign: &str) -> Result<CampaignFigures, Failure> {
        let total = Total::new(scope(campaign), WHOLE);
        let measures = self.ledger.total(&total).await?;
        Ok(CampaignFigures::of(&measures))
    }

    /// The creators of a campaign whose state is newest, at most [`LISTED`].
    pub async fn newest(&self, campaign: &str) -> Result<Vec<Creator>, Failure> {
        let answer = self
            .table
            .client()
            .query()
            .table_name(&self.creators)
            .index_name(BY_SINCE)
            .key_condition_expression("campaignId = :campaign")
            .expression_attribute_values(":campaign", AttributeValue::S(campaign.to_owned()))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(LISTED)
            .send()
            .await
            .map_err(|error| classify("list the newest creators of a campaign", error))?;
        Ok(creators(&answer.items.unwrap_or_default()))
    }

    /// All creators of a campaign.
    pub async fn creators(&self, campaign: &str) -> Result<Vec<Creator>, Failure> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .table
                .client()
                .query()
                .table_name(&self.creators)
                .key_condition_expression("campaignId = :campaign")
                .expression_attribute_values(":campaign", AttributeValue::S(campaign.to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| classify("list the creators of a campaign", error))?;
            all.extend(creators(answer.items()));
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// Lets the campaign's row follow the totals, at least as they are now.
    ///
    /// The totals are read before the creators, and entries come with their totals: so a projection with the newest count of
    /// changes has the newest creators too. Whoever finds a newer projection leaves it.
    ///
    /// # Errors
    /// `malformed-row` if the platform's row cannot be followed, besides those of the tables.
    pub async fn project(&self, campaign: &str) -> Result<Outcome, Failure> {
        for _ in 0..RACES {
            let figures = self.figures(campaign).await?;
            let Some(row) = self.find(campaign).await? else {
                return Ok(Outcome::Ignored("there is no such campaign"));
            };
            if row
                .projected
                .is_some_and(|projected| projected > figures.changes)
                && !mutation::on(mutation::CAMPAIGN_UNFENCED)
            {
                return Ok(Outcome::Superseded);
            }
            let creators = self.newest(campaign).await?;
            let Some(projection) = row.projection(&figures, &creators) else {
                return Ok(Outcome::Already);
            };
            let update = projection.sets.into_iter().fold(
                Update::of(&self.rows, keys(&row)),
                |update, (path, value)| update.set(path, value),
            );
            let update = { projection.removes }
                .into_iter()
                .fold(update, Update::remove);
            let update = update.when(projection.when);
            if let Updated::Done(_) = self
                .table
                .update("let a campaign follow its matches", update)
                .await?
            {
                return Ok(Outcome::Applied);
            }
        }
        Err(Failure::transient(
            reason::CONFLICT,
            format!(
                "could not let a campaign follow its matches: its row changed {RACES} times meanwhile"
            ),
        ))
    }
}

fn keys(row: &CampaignRow) -> Row {
    millrace_effects::key([
        ("PK", &format!("CAMPAIGN#{}", row.id)),
        ("SK", &format!("STORE#{}", row.store)),
    ])
}

fn creators(rows: &[Row]) -> Vec<Creator> {
    rows.iter().map(Creator::of).collect()
}
