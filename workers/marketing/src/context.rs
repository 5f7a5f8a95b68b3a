//! What every worker of this product stands on, made once from the settings.

use std::sync::Arc;

use millrace_cloud::{Clients, Clock, SettingError, Settings};
use millrace_effects::Table;

use crate::campaigns::Campaigns;

/// The names of this product's tables, topic and bucket.
#[derive(Debug, Clone)]
pub struct Names {
    /// The platform's stores.
    pub stores: String,
    /// The platform's creators.
    pub creators: String,
    /// The platform's matches.
    pub matches: String,
    /// The platform's campaigns.
    pub campaigns: String,
    /// What Millrace knows of each match.
    pub match_progress: String,
    /// What the matching engine has looked at.
    pub matching: String,
    /// Every pair that was ever matched.
    pub pairs: String,
    /// What each subject adds to the figures.
    pub analytics_contributions: String,
    /// The figures.
    pub analytics_totals: String,
    /// Which generation of the figures counts.
    pub analytics_control: String,
    /// What each match adds to its campaign.
    pub campaign_contributions: String,
    /// The figures of campaigns.
    pub campaign_totals: String,
    /// Which generation of campaigns' figures counts.
    pub campaign_control: String,
    /// The creators of each campaign.
    pub campaign_creators: String,
    /// The topic of matches' steps.
    pub match_topic: String,
    /// The bucket of reports.
    pub reports: String,
}

impl Names {
    /// From a function's settings.
    ///
    /// # Errors
    /// When one is missing.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingError> {
        let name = |key| settings.required(key).map(str::to_owned);
        Ok(Self {
            stores: name("MILLRACE_MARKETING_STORES_TABLE")?,
            creators: name("MILLRACE_MARKETING_CREATORS_TABLE")?,
            matches: name("MILLRACE_MARKETING_MATCHES_TABLE")?,
            campaigns: name("MILLRACE_MARKETING_CAMPAIGNS_TABLE")?,
            match_progress: name("MILLRACE_MARKETING_MATCH_PROGRESS_TABLE")?,
            matching: name("MILLRACE_MARKETING_MATCHING_TABLE")?,
            pairs: name("MILLRACE_MARKETING_PAIRS_TABLE")?,
            analytics_contributions: name("MILLRACE_MARKETING_ANALYTICS_CONTRIBUTIONS_TABLE")?,
            analytics_totals: name("MILLRACE_MARKETING_ANALYTICS_TOTALS_TABLE")?,
            analytics_control: name("MILLRACE_MARKETING_ANALYTICS_CONTROL_TABLE")?,
            campaign_contributions: name("MILLRACE_MARKETING_CAMPAIGN_CONTRIBUTIONS_TABLE")?,
            campaign_totals: name("MILLRACE_MARKETING_CAMPAIGN_TOTALS_TABLE")?,
            campaign_control: name("MILLRACE_MARKETING_CAMPAIGN_CONTROL_TABLE")?,
            campaign_creators: name("MILLRACE_MARKETING_CAMPAIGN_CREATORS_TABLE")?,
            match_topic: name("MILLRACE_MATCH_TOPIC_ARN")?,
            reports: name("MILLRACE_REPORTS_BUCKET")?,
        })
    }
}

/// What an operator may set.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// For how many days before it a time of the schedule makes the daily report, again or for the first time.
    pub report_days: usize,
    /// From this score on a pair becomes a match.
    pub match_threshold: u32,
    /// So many matches are made for a store in a month at most.
    pub matches_per_store: u64,
}

impl Rules {
    /// From a function's settings.
    ///
    /// # Errors
    /// When one is no number.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingError> {
        Ok(Self {
            report_days: settings.number("MILLRACE_REPORT_DAYS", 7)?,
            match_threshold: settings.number("MILLRACE_MATCH_THRESHOLD", 60)?,
            matches_per_store: settings.number("MILLRACE_MATCHES_PER_STORE", 10)?,
        })
    }
}

/// What a place (AWS, a laptop, a test) brings along.
#[derive(Clone)]
pub struct Place {
    /// SDK clients.
    pub clients: Clients,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What every worker of this product stands on.
#[derive(Clone)]
pub struct Marketing {
    /// Names of tables, topic and bucket.
    pub names: Arc<Names>,
    /// SDK clients.
    pub clients: Clients,
    /// The tables.
    pub table: Table,
    /// What an operator may set.
    pub rules: Rules,
    /// Campaigns and their totals.
    pub campaigns: Campaigns,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Marketing {
    /// Sets the product up.
    ///
    /// # Errors
    /// When a setting is missing.
    pub fn new(settings: &Settings, place: Place) -> Result<Self, SettingError> {
        let names = Names::from_settings(settings)?;
        let table = Table::new(place.clients.dynamodb.clone());
        Ok(Self {
            rules: Rules::from_settings(settings)?,
            campaigns: Campaigns::new(table.clone(), &names),
            names: Arc::new(names),
            table,
            clients: place.clients,
            clock: place.clock,
        })
    }
}
