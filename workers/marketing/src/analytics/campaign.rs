//! What a campaign adds to the figures: a function of its row alone.

use millrace_effects::{Measures, Shares, Total};
use millrace_events::{Failure, Item, fields::Fields};

use super::{ALL, BUDGET, Dimension, EVER, campaigns, scope};
use crate::words::behind;

/// The longest status that is counted by its name.
const LONGEST_STATUS: usize = 64;

/// A campaign, as far as figures go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The campaign.
    pub campaign_id: String,
    /// Whose it is.
    pub store_id: String,
    /// The platform's word.
    pub status: String,
    /// What may be spent, in the smallest unit of the currency.
    pub budget: i64,
}

impl Campaign {
    /// The campaign and the store that a key names.
    ///
    /// # Errors
    /// `malformed-row`: it is none of a campaign.
    pub fn ids(keys: &Item) -> Result<(&str, &str), Failure> {
        let key = Fields::of("campaigns row's key", keys);
        let campaign = behind(key.text("PK")?.unwrap_or_default(), "CAMPAIGN#")?;
        let store = behind(key.text("SK")?.unwrap_or_default(), "STORE#")?;
        Ok((campaign, store))
    }

    /// Of a row in the campaigns table.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn of(keys: &Item, row: &Item) -> Result<Self, Failure> {
        let (campaign_id, store_id) = Self::ids(keys)?;
        let fields = Fields::of("campaigns row", row);
        let status = fields.text("status")?.map(str::trim);
        let status = status.filter(|status| !status.is_empty() && status.len() <= LONGEST_STATUS);
        let status = status.ok_or_else(|| fields.wrong("status", "a word"))?;
        let budget = fields.map("budget", "campaigns row's budget")?;
        let total = budget.count("total")?.unwrap_or_default();
        Ok(Self {
            campaign_id: campaign_id.to_owned(),
            store_id: store_id.to_owned(),
            status: status.to_owned(),
            budget: total.try_into().unwrap_or(i64::MAX),
        })
    }
}

/// One more of its status, and its budget, of all and of its store.
pub fn of_campaign(campaign: &Campaign) -> Shares {
    let measures = Measures::from([
        (campaigns(&campaign.status), 1),
        (BUDGET.to_owned(), campaign.budget),
    ]);
    Shares::from([
        (
            Total::new(scope(EVER, Dimension::All), ALL),
            measures.clone(),
        ),
        (
            Total::new(scope(EVER, Dimension::Store), &campaign.store_id),
            measures,
        ),
    ])
}
