//! The product's tables, read as they are and not through the workers.

use std::collections::{BTreeMap, BTreeSet};

use millrace_effects::{Row, Shares, Total};
use millrace_events::Item;
use millrace_marketing::{
    analytics::ledger,
    campaigns::{CampaignFigures, Creator, WHOLE, scope},
    invariants::{CampaignSnapshot, FiguresSnapshot, TotalsSnapshot},
    progress::Progress,
};
use serde_json::{Value, json};

use super::counted;
use crate::World;

fn scan(world: &World, table: &str) -> Vec<Value> {
    let request = json!({"TableName": table});
    let scan = world.services().dynamo.call_json("Scan", &request).unwrap();
    scan["Items"].as_array().unwrap().clone()
}

fn rows(world: &World, table: &str) -> Vec<Row> {
    let rows = scan(world, table).into_iter();
    rows.map(|row| Row::from(serde_json::from_value::<Item>(row).unwrap()))
        .collect()
}

fn matches(world: &World) -> Vec<Progress> {
    let rows = rows(world, &world.names.marketing.match_progress);
    { rows }
        .into_iter()
        .map(|row| Progress::of(row).unwrap())
        .collect()
}

fn add(sums: &mut Shares, total: &Total, measures: &Value) {
    let sum = sums.entry(total.clone()).or_default();
    for (measure, amount) in measures.as_object().unwrap() {
        if let Some(amount) = amount["N"].as_str() {
            *sum.entry(measure.clone()).or_default() += amount.parse::<i64>().unwrap();
        }
    }
}

fn without_zeros(mut sums: Shares) -> Shares {
    let measures = sums.values_mut();
    measures.for_each(|measures| measures.retain(|_, amount| *amount != 0));
    sums.retain(|_, measures| !measures.is_empty());
    sums
}

/// The totals that readers read: of one generation, all slots together.
fn totals(world: &World, [totals, _, control]: [&str; 3]) -> Shares {
    let main = scan(world, control).into_iter();
    let main = { main }.find(|row| row["slot"]["S"] == "main");
    let reads = main.and_then(|row| row["reads"]["N"].as_str().map(str::to_owned));
    let prefix = format!("{}#", reads.unwrap_or_else(|| "1".to_owned()));
    let mut sums = Shares::new();
    for row in scan(world, totals) {
        let word = |name: &str| row[name]["S"].as_str().unwrap();
        if let Some(scope) = word("scope").strip_prefix(&prefix) {
            let (name, _slot) = word("total").rsplit_once('#').unwrap();
            add(&mut sums, &Total::new(scope, name), &row);
        }
    }
    without_zeros(sums)
}

/// What all contributions add up to.
fn contributed(world: &World, [_, contributions, _]: [&str; 3]) -> Shares {
    let mut sums = Shares::new();
    for row in scan(world, contributions) {
        for group in row["shares"]["L"].as_array().unwrap() {
            let names = group["M"]["to"]["L"].as_array().unwrap();
            let names: Vec<&str> = names
                .iter()
                .map(|name| name["S"].as_str().unwrap())
                .collect();
            for pair in names.chunks_exact(2) {
                add(
                    &mut sums,
                    &Total::new(pair[0], pair[1]),
                    &group["M"]["add"]["M"],
                );
            }
        }
    }
    without_zeros(sums)
}

fn of_campaigns(world: &World) -> [&str; 3] {
    let names = &world.names.marketing;
    [
        &names.campaign_totals,
        &names.campaign_contributions,
        &names.campaign_control,
    ]
}

/// The totals of figures and of campaigns as they are at this moment.
pub fn all_totals(world: &World) -> [TotalsSnapshot; 2] {
    let names = &world.names.marketing;
    let of_figures: [&str; 3] = [
        &names.analytics_totals,
        &names.analytics_contributions,
        &names.analytics_control,
    ];
    [of_figures, of_campaigns(world)].map(|tables| TotalsSnapshot {
        totals: totals(world, tables),
        contributed: contributed(world, tables),
    })
}

/// The figures as a reader gets them, and as they are counted here.
pub async fn figures(world: &World) -> Result<FiguresSnapshot, String> {
    let totals = ledger(world.observer.marketing()).all_totals().await;
    let campaigns = rows(world, &world.names.marketing.campaigns);
    Ok(FiguresSnapshot {
        totals: totals.map_err(|failure| failure.chain())?,
        counted: counted::figures(&matches(world), &campaigns),
    })
}

/// Every campaign that there is, or that matches say there is. `before` says how many changes the rows held when they were last looked at.
/// Rows and totals alone if not `whole`: what holds at every moment needs no more.
pub fn campaigns(
    world: &World,
    before: &BTreeMap<String, i64>,
    whole: bool,
) -> Vec<CampaignSnapshot> {
    let names = &world.names.marketing;
    let id = |row: &Row| {
        let key = row["PK"].as_s().unwrap();
        key.strip_prefix("CAMPAIGN#").unwrap().to_owned()
    };
    let rows_of = rows(world, &names.campaigns).into_iter();
    let mut rows_of: BTreeMap<String, Row> = rows_of.map(|row| (id(&row), row)).collect();
    let mut creators: BTreeMap<String, Vec<Creator>> = BTreeMap::new();
    let mut counted = BTreeMap::new();
    if whole {
        counted = counted::campaigns(&matches(world));
    }
    let entries = whole.then(|| rows(world, &names.campaign_creators));
    for row in entries.into_iter().flatten() {
        let campaign = row["campaignId"].as_s().unwrap().clone();
        creators
            .entry(campaign)
            .or_default()
            .push(Creator::of(&row));
    }
    let totals = totals(world, of_campaigns(world));
    let of_totals = totals
        .keys()
        .filter_map(|total| total.scope.strip_prefix("campaign#"));
    let ids: BTreeSet<String> = { of_totals }
        .map(str::to_owned)
        .chain(rows_of.keys().cloned())
        .chain(creators.keys().cloned())
        .chain(counted.keys().cloned())
        .collect();
    let snapshot = |campaign: String| {
        let total = totals.get(&Total::new(scope(&campaign), WHOLE));
        let counted = counted.remove(&campaign).unwrap_or_default();
        let mut creators = creators.remove(&campaign).unwrap_or_default();
        creators.sort_by(|a, b| a.match_id.cmp(&b.match_id));
        CampaignSnapshot {
            row: rows_of.remove(&campaign),
            changes_before: before.get(&campaign).copied(),
            totals: total.map(CampaignFigures::of).unwrap_or_default(),
            creators,
            counted: counted.figures,
            matches: counted.matches.into_values().collect(),
            campaign,
        }
    };
    ids.into_iter().map(snapshot).collect()
}
