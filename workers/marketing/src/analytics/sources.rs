//! What the figures are made of: every match's progress and every campaign.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::classify;
use millrace_effects::{Computed, Row, Shares, Sources, Subjects, key};
use millrace_events::{Failure, Item};

use super::{Campaign, campaign_subject, match_subject, match_version, of_campaign, of_match};
use crate::{context::Marketing, progress::Progress};

/// How many are read at once.
const PAGE: i32 = 100;

const MATCH: &str = "match/";
const CAMPAIGN: &str = "campaign/";
/// Parts the two keys of a campaign in a cursor.
const AND: char = '\n';

/// Every match and every campaign there is.
#[derive(Clone)]
pub struct Everything(pub Marketing);

impl Sources for Everything {
    async fn subjects(&self, from: Option<&str>) -> Result<Subjects, Failure> {
        let Self(marketing) = self;
        let behind = |prefix| from.and_then(|from| from.strip_prefix(prefix));
        if let Some(cursor) = behind(CAMPAIGN) {
            let start = cursor.split_once(AND);
            let start = start.map(|(pk, sk)| key([("PK", pk), ("SK", sk)]));
            let table = &marketing.names.campaigns;
            let (rows, next) = marketing.table.scan_page(table, start, Some(PAGE)).await?;
            let subjects = rows.into_iter().filter_map(|row| {
                // What is no campaign contributes nothing.
                let ids = Item::from(row);
                let (id, _) = Campaign::ids(&ids).ok()?;
                Some(campaign_subject(id))
            });
            return Ok(Subjects {
                subjects: subjects.collect(),
                next: next
                    .map(|row| format!("{CAMPAIGN}{}{AND}{}", word(&row, "PK"), word(&row, "SK"))),
            });
        }
        let start = behind(MATCH).map(|id| key([("matchId", id)]));
        let table = &marketing.names.match_progress;
        let (rows, next) = marketing.table.scan_page(table, start, Some(PAGE)).await?;
        Ok(Subjects {
            subjects: rows
                .iter()
                .map(|row| match_subject(word(row, "matchId")))
                .collect(),
            next: Some(match next {
                Some(row) => match_subject(word(&row, "matchId")),
                None => CAMPAIGN.to_owned(),
            }),
        })
    }

    async fn compute(&self, subjects: &[String]) -> Result<Vec<Option<Computed>>, Failure> {
        let Self(marketing) = self;
        let table = &marketing.names.match_progress;
        let wanted = subjects.iter().filter_map(|subject| {
            let id = subject.strip_prefix(MATCH)?;
            Some((table.clone(), key([("matchId", id)])))
        });
        let mut found = marketing.table.read_many(wanted).await?;
        let mut matches = std::collections::HashMap::new();
        for row in found.remove(table).unwrap_or_default() {
            let progress = Progress::of(row)?;
            let computed = Computed {
                version: Some(match_version(progress.revision)),
                shares: of_match(&progress),
                entries: Vec::new(),
            };
            matches.insert(match_subject(&progress.match_id), computed);
        }
        let mut computed = Vec::with_capacity(subjects.len());
        for subject in subjects {
            computed.push(match subject.strip_prefix(CAMPAIGN) {
                Some(id) => self.campaign(id).await?,
                None => matches.remove(subject),
            });
        }
        Ok(computed)
    }
}

impl Everything {
    /// What a campaign's row says; one that cannot be read adds nothing, as when its record came.
    async fn campaign(&self, id: &str) -> Result<Option<Computed>, Failure> {
        let Self(marketing) = self;
        let answer = marketing
            .table
            .client()
            .query()
            .table_name(&marketing.names.campaigns)
            .consistent_read(true)
            .limit(1)
            .key_condition_expression("PK = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("CAMPAIGN#{id}")))
            .send()
            .await
            .map_err(|error| classify("read a campaign", error))?;
        let Some(row) = answer.items.and_then(|rows| rows.into_iter().next()) else {
            return Ok(None);
        };
        let row = Item::from(row);
        let shares =
            Campaign::of(&row, &row).map_or_else(|_| Shares::new(), |one| of_campaign(&one));
        Ok(Some(Computed {
            version: None,
            shares,
            entries: Vec::new(),
        }))
    }
}

fn word<'a>(row: &'a Row, name: &str) -> &'a str {
    let value = row.get(name).and_then(|value| value.as_s().ok());
    value.map(String::as_str).unwrap_or_default()
}
