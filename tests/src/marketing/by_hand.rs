//! A campaign, its matches and figures of a day, put into their tables by hand.

use millrace_marketing::{progress::Progress, workflow::Status};
use serde_json::{Value, json};

use crate::{Listening, World, listening};

/// Who follows the matches.
pub const WORKER: &str = "update-campaign";
/// The campaign.
pub const CAMPAIGN: &str = "spring";
const WAY: [Status; 6] = [
    Status::Pending,
    Status::Contacted,
    Status::Responded,
    Status::Negotiating,
    Status::Accepted,
    Status::Completed,
];

fn put(world: &World, table: &str, item: Value) {
    let request = json!({"TableName": table, "Item": item});
    let dynamo = &world.services().dynamo;
    dynamo.call_json("PutItem", &request).unwrap();
}

/// The campaign as the platform writes it: the whole row.
pub fn put_campaign(world: &World, total: u32) {
    let row = json!({
        "PK": {"S": format!("CAMPAIGN#{CAMPAIGN}")}, "SK": {"S": "STORE#mill"}, "status": {"S": "active"},
        "budget": {"M": {"total": {"N": total.to_string()}, "currency": {"S": "KRW"}}},
    });
    put(world, &world.names.marketing.campaigns, row);
}

/// A match of the campaign that has taken so many steps of the way.
pub fn put_match(world: &World, id: &str, taken: usize, cost: Option<i64>) {
    let heard = (0..taken).map(|step| {
        let mut heard = json!({
            "version": format!("v{step}"), "status": WAY[step].word(), "at": "2026-11-21T04:00:00Z", "score": 80.0,
        });
        if step > 0 {
            heard["from"] = json!(WAY[step - 1].word());
        } else {
            heard["inserted"] = json!(true);
        }
        heard
    });
    let progress = json!({
        "matchId": id, "storeId": "mill", "creatorId": format!("of-{id}"), "version": "v", "revision": taken,
        "steps": heard.collect::<Vec<_>>(), "bound": CAMPAIGN, "facts": {"score": 80.0, "agreedCost": cost},
    });
    let progress: Progress = serde_json::from_value(progress).unwrap();
    let item: serde_dynamo::Item = serde_dynamo::to_item(progress).unwrap();
    let table = &world.names.marketing.match_progress;
    put(world, table, serde_json::to_value(item).unwrap());
}

fn stream(table: &str) -> Listening {
    let mut streams = listening();
    streams
        .find(|stream| stream.worker == WORKER && stream.table == table)
        .unwrap()
}

/// What the worker has not seen yet of matches, a hundred records an event.
pub async fn batches(world: &World) -> Vec<Value> {
    let stream = stream(&world.names.marketing.match_progress);
    let mut batches = Vec::new();
    while let Some((event, seen)) = world.event_of(stream).await {
        world.checkpoint(seen);
        batches.push(event);
    }
    batches
}

/// What is counted of all matches on a day: so many entered `PENDING`.
pub fn put_total(world: &World, scope: &str, entered: i64) {
    let row = json!({
        // Of the first generation.
        "scope": {"S": format!("1#{scope}")}, "total": {"S": "all#00"}, "entered.PENDING": {"N": entered.to_string()},
    });
    put(world, &world.names.marketing.analytics_totals, row);
}
