//! The marketing product at work: a day of matches, who moved where, what the campaigns come to, and the reports.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::clock::iso;
use millrace_marketing::{
    Marketing,
    campaigns::CampaignFigures,
    progress::Progress,
    publishing::{About, publish},
    workflow::Status,
};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::jobs::{padded, parsed, put, word};
use crate::{
    commands::report,
    output::{Error, line},
    platform::Platform,
};

/// Somebody moves a match to a state.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    minute: u32,
    store_id: String,
    creator_id: String,
    status: String,
    agreed_cost: Option<i64>,
}

/// The samples.
struct Day {
    stores: Vec<Value>,
    creators: Vec<Value>,
    campaigns: Vec<Value>,
    steps: Vec<Step>,
}

/// What was to be seen.
pub(super) struct Seen {
    pub(super) stores: usize,
    pub(super) creators: usize,
    pub(super) steps: usize,
    /// A campaign to make the report of.
    pub(super) campaign: Option<String>,
}

/// A store's match with a creator, by their ids.
type Pair = (String, String);

pub(super) async fn run(
    platform: &Platform,
    now: OffsetDateTime,
    data: &Path,
) -> Result<Seen, Error> {
    let day = samples()?;
    let marketing = platform.products().marketing();
    eprintln!(
        "Writing {} stores, {} creators and {} campaigns, then moving matches along, {} times.",
        day.stores.len(),
        day.creators.len(),
        day.campaigns.len(),
        day.steps.len()
    );
    write(platform, &day, now).await?;
    platform.wait_idle().await;
    let matches = matched(platform, &day, now).await?;
    platform.wait_idle().await;
    let mut hour = 0;
    for step in &day.steps {
        if step.minute / 60 > hour {
            platform.wait_idle().await;
            hour = step.minute / 60;
        }
        let pair = (step.store_id.clone(), step.creator_id.clone());
        if let Some(id) = matches.get(&pair) {
            take(marketing, id, step).await?;
        }
    }
    platform.wait_idle().await;
    for store in &day.stores {
        show(platform, &day, store, &matches).await?;
    }
    let today = now.to_offset(UtcOffset::UTC).date();
    let mut abouts = vec![About::Day(today)];
    let campaigns = day.campaigns.iter().map(|row| word(row, "campaignId"));
    abouts.extend(campaigns.map(|id| About::Campaign(id.to_owned())));
    line("");
    line("Reports (pages that need no network)");
    // Steps are dated by the stream; midnight may have come meanwhile.
    let after = (now + Duration::days(1)).date();
    for about in &abouts {
        publish(marketing, about, after).await?;
        for file in report::copy(marketing, about, data).await? {
            if file.extension().is_some_and(|ending| ending == "html") {
                line(&format!("  file://{}", file.display()));
            }
        }
    }
    Ok(Seen {
        stores: day.stores.len(),
        creators: day.creators.len(),
        steps: day.steps.len(),
        campaign: day
            .campaigns
            .first()
            .map(|row| word(row, "campaignId").to_owned()),
    })
}

fn samples() -> Result<Day, Error> {
    Ok(Day {
        stores: parsed(include_str!(
            "../../../../../events-fixtures/marketing/samples/stores.json"
        ))?,
        creators: parsed(include_str!(
            "../../../../../events-fixtures/marketing/samples/creators.json"
        ))?,
        campaigns: parsed(include_str!(
            "../../../../../events-fixtures/marketing/samples/campaigns.json"
        ))?,
        steps: parsed(include_str!(
            "../../../../../events-fixtures/marketing/samples/steps.json"
        ))?,
    })
}

/// The rows as the platform writes them.
async fn write(platform: &Platform, day: &Day, now: OffsetDateTime) -> Result<(), Error> {
    let (clients, names) = (platform.clients(), &platform.products().marketing().names);
    for campaign in &day.campaigns {
        let mut row = campaign.clone();
        row["PK"] = json!(format!("CAMPAIGN#{}", word(campaign, "campaignId")));
        row["SK"] = json!(format!("STORE#{}", word(campaign, "storeId")));
        row["GSI1PK"] = json!(format!("STATUS#{}", word(campaign, "status")));
        let start = format!("DATE#{}", word(&campaign["timeline"], "startDate"));
        row["GSI1SK"] = json!(start);
        row["GSI2PK"] = row["SK"].clone();
        row["GSI2SK"] = json!(start);
        put(clients, &names.campaigns, row).await?;
    }
    for store in &day.stores {
        let mut row = store.clone();
        row["PK"] = json!(format!("STORE#{}", word(store, "storeId")));
        row["SK"] = json!(format!("PROFILE#{}", iso(now)));
        put(clients, &names.stores, row).await?;
    }
    for creator in &day.creators {
        let mut row = creator.clone();
        let days = creator["lastActiveDaysAgo"].as_i64().unwrap_or_default();
        if let Some(row) = row.as_object_mut() {
            row.remove("lastActiveDaysAgo");
        }
        row["PK"] = json!(format!("CREATOR#{}", word(creator, "creatorId")));
        let channel = (word(creator, "platform"), word(creator, "channelId"));
        row["SK"] = json!(format!("PLATFORM#{}#{}", channel.0, channel.1));
        row["lastActiveAt"] = json!(iso(now - Duration::days(days)));
        put(clients, &names.creators, row).await?;
    }
    Ok(())
}

/// The matches that there are, by pair; those that people move along and that nobody proposed are written here.
async fn matched(
    platform: &Platform,
    day: &Day,
    now: OffsetDateTime,
) -> Result<BTreeMap<Pair, String>, Error> {
    let (clients, names) = (platform.clients(), &platform.products().marketing().names);
    let scan = clients.dynamodb.scan().table_name(&names.matches);
    let found = scan.consistent_read(true).send().await;
    let found = found.map_err(|error| millrace_cloud::classify("list matches", error))?;
    let mut matches = BTreeMap::new();
    for row in found.items() {
        let text = |name: &str| row.get(name).and_then(|value| value.as_s().ok());
        if let (Some(key), Some(pair)) = (text("PK"), text("SK"))
            && let Some(id) = key.strip_prefix("MATCH#")
            && let Some((store, creator)) = pair
                .strip_prefix("STORE#")
                .and_then(|pair| pair.split_once("#CREATOR#"))
        {
            matches.insert((store.to_owned(), creator.to_owned()), id.to_owned());
        }
    }
    for step in &day.steps {
        let pair = (step.store_id.clone(), step.creator_id.clone());
        if matches.contains_key(&pair) {
            continue;
        }
        let id = Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("{} {}", pair.0, pair.1).as_bytes(),
        );
        let row = json!({
            "PK": format!("MATCH#{id}"), "SK": format!("STORE#{}#CREATOR#{}", pair.0, pair.1),
            "matchId": id.to_string(), "storeId": pair.0, "creatorId": pair.1,
            "matchScore": 75, "status": "PENDING", "priority": "medium", "createdAt": iso(now),
        });
        put(clients, &names.matches, row).await?;
        matches.insert(pair, id.to_string());
    }
    Ok(matches)
}

async fn take(marketing: &Marketing, id: &str, step: &Step) -> Result<(), Error> {
    let keys = millrace_effects::key([
        ("PK", &format!("MATCH#{id}")),
        (
            "SK",
            &format!("STORE#{}#CREATOR#{}", step.store_id, step.creator_id),
        ),
    ]);
    let status = AttributeValue::S(step.status.clone());
    let mut update =
        millrace_effects::Update::of(&marketing.names.matches, keys).set("status", status);
    if let Some(cost) = step.agreed_cost {
        update = update.set("agreedCost", AttributeValue::N(cost.to_string()));
    }
    marketing.table.update("move a match along", update).await?;
    Ok(())
}

/// Where the matches of a store went, and what its campaign comes to.
async fn show(
    platform: &Platform,
    day: &Day,
    store: &Value,
    matches: &BTreeMap<Pair, String>,
) -> Result<(), Error> {
    let marketing = platform.products().marketing();
    let id = word(store, "storeId");
    line("");
    line(&format!(
        "Store: {} ({})",
        word(store, "storeName"),
        word(store, "primaryCategory")
    ));
    let moved: BTreeSet<&str> = day
        .steps
        .iter()
        .map(|step| step.creator_id.as_str())
        .collect();
    let mut waiting = Vec::new();
    for ((_, creator), match_id) in matches.iter().filter(|((of, _), _)| of == id) {
        let name = day
            .creators
            .iter()
            .find(|row| word(row, "creatorId") == creator);
        let name = name.map_or(creator.as_str(), |row| word(row, "channelName"));
        let (score, way) = history(marketing, match_id).await?;
        if way.len() < 2 && !moved.contains(creator.as_str()) {
            waiting.push(name);
            continue;
        }
        line(&format!(
            "  {} {score:>5.1}  {}",
            padded(name),
            way.join(" → ")
        ));
    }
    if !waiting.is_empty() {
        line(&format!(
            "  nobody was written to yet: {}",
            waiting.join(", ")
        ));
    }
    let campaigns = day.campaigns.iter();
    for campaign in campaigns.filter(|campaign| word(campaign, "storeId") == id) {
        let figures = marketing
            .campaigns
            .figures(word(campaign, "campaignId"))
            .await?;
        let total = campaign["budget"]["total"].as_i64().unwrap_or_default();
        line(&format!(
            "  campaign {}: {}; spent {}, committed {}, remaining {} of {total}",
            word(campaign, "name"),
            counts(&figures),
            figures.spent,
            figures.committed,
            total - figures.spent - figures.committed
        ));
    }
    Ok(())
}

/// `2 pending, 1 accepted`.
fn counts(figures: &CampaignFigures) -> String {
    let counts = Status::ALL.iter().zip(figures.in_it);
    let counts = counts.filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(status, count)| format!("{count} {}", status.word().to_lowercase()))
        .collect();
    counts.join(", ")
}

/// A match's score and the states that it went through.
async fn history(marketing: &Marketing, id: &str) -> Result<(f64, Vec<&'static str>), Error> {
    let table = &marketing.names.match_progress;
    let row = marketing
        .table
        .read(table, millrace_effects::key([("matchId", id)]));
    let Some(row) = row.await? else {
        return Ok((0.0, Vec::new()));
    };
    let progress = Progress::of(row)?;
    let way = progress.steps().map(|step| step.status().word()).collect();
    Ok((progress.facts.score, way))
}
