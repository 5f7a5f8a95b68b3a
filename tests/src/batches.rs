//! Batches of streams whose records all fail at first: Lambda goes on from the record that the answer names, so naming a later
//! one than the first that failed loses what lies between.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_cloud::{Arbiter, Call, Fault};
use millrace_documents::Document;
use serde_json::{Value, json};

use crate::{Listening, State, World, listening};

/// So many documents' rows are overwritten, and as many others' removed: batches of several subjects for either listener.
const DOCUMENTS: u8 = 3;

/// So many jobs are posted and completed, and as many users, responses and candidates written.
const JOBS: u8 = 3;

/// So many creators and stores are synced, and matches made of them.
const CREATORS: u8 = 3;

/// So many matches have gone on, and as many campaigns are new.
const MATCHES: u8 = 3;

/// Every service has too much to do.
struct Overloaded;

#[async_trait]
impl Arbiter for Overloaded {
    async fn before(&self, _call: Call) -> Option<Fault> {
        Some(Fault::Throttle)
    }
}

/// Runs each worker that listens to a stream. Answers what differs from the calm end state; empty if nothing.
pub async fn run() -> Vec<String> {
    let mut found = Vec::new();
    let calm = world_with_batches().await;
    calm.quiet().await;
    let calm = State::of(&calm).await;
    for stream in listening() {
        let worker = stream.worker;
        let world = world_with_batches().await;
        match first_overloaded(&world, stream).await {
            Ok(()) => {
                world.quiet().await;
                let differences = State::of(&world).await.differences(&calm);
                found.extend(
                    differences
                        .iter()
                        .map(|difference| format!("same-end-state: {worker}: {difference}")),
                );
            }
            Err(wrong) => found.push(format!("partial-batch: {worker}: {wrong}")),
        }
    }
    found
}

/// Delivers a worker's batch while everything is overloaded, and then, as Lambda does, from the record that it named on.
async fn first_overloaded(world: &World, stream: Listening) -> Result<(), String> {
    let worker = stream.worker;
    let Some((event, last)) = world.event_of(stream).await else {
        return Err(format!("there is no batch of {}", stream.table));
    };
    world.tap.obey(Arc::new(Overloaded));
    let report = world.deliver(worker, &event).await;
    world.tap.arm(None);
    let named = &report.response["batchItemFailures"][0]["itemIdentifier"];
    let records = event["Records"].as_array().unwrap();
    let is_named = |record: &Value| record["dynamodb"]["SequenceNumber"] == *named;
    let Some(from) = records.iter().position(is_named) else {
        return Err(format!("it names {named}, which is not of the batch"));
    };
    let report = world
        .deliver(worker, &json!({"Records": records[from..]}))
        .await;
    if report.response["batchItemFailures"] != json!([]) {
        return Err(format!("it fails calmly: {}", report.response));
    }
    world.checkpoint(last);
    Ok(())
}

async fn world_with_batches() -> World {
    let world = World::in_process().await;
    let document = |number| {
        let id = format!("7d1c0b3a-51e4-4f0a-8a6b-0d1e2f3a4b{number:02x}");
        Document::parse("ada", &id).unwrap()
    };
    for number in 0..2 * DOCUMENTS {
        let text = format!("Wheel {number} turns by the river.");
        world
            .upload(&document(number), "wheel.txt", text.as_bytes())
            .await;
        world.later();
    }
    for number in 0..JOBS {
        put_job(&world, number, "matching");
    }
    world.quiet().await;
    for number in 0..JOBS {
        put_job(&world, number, "completed");
        let row = json!({
            "responseId": {"S": format!("r-{number}")}, "jobId": {"S": format!("j-{number}")},
            "employeeId": {"S": "ada"}, "respondedAt": {"S": "2026-11-21T03:30:00.000Z"}, "status": {"S": "pending"},
        });
        put(&world, &world.names.jobs.matches, &row);
        put_job(&world, JOBS + number, "matching");
        let profile = json!({"isComplete": {"BOOL": true}, "jobDescription": {"S": "餐廳服務員"}});
        let row = json!({
            "userId": {"S": format!("u-{number}")}, "isActive": {"BOOL": true}, "employeeStatus": {"S": "busy"},
            "profiles": {"M": {"employee": {"M": profile}}},
        });
        put(&world, &world.names.jobs.users, &row);
        put_candidate(&world, number);
    }
    for number in 0..CREATORS {
        put_creator(&world, number);
        put_store(&world, number);
        put_classified(&world, number);
        put_match(&world, number);
    }
    for number in 0..MATCHES {
        put_progress(&world, number);
        put_campaign(&world, number);
    }
    for number in 0..DOCUMENTS {
        // The upload's own write of the row comes late and takes away what the workers wrote.
        let key = document(number);
        let row = json!({
            "userId": {"S": key.user.as_str()}, "documentId": {"S": key.id.as_str()},
            "fileName": {"S": "wheel.txt"}, "fileType": {"S": "text/plain"},
            "uploadDate": {"S": "2026-11-21T03:59:59.000Z"}, "status": {"S": "processing"},
        });
        put(&world, &world.names.documents.documents_table, &row);
        let key = document(DOCUMENTS + number);
        let key = json!({"userId": {"S": key.user.as_str()}, "documentId": {"S": key.id.as_str()}});
        let request = json!({"TableName": world.names.documents.documents_table, "Key": key});
        let dynamo = &world.services().dynamo;
        dynamo.call_json("DeleteItem", &request).unwrap();
    }
    world
}

fn put_job(world: &World, number: u8, status: &str) {
    let row = json!({
        "jobId": {"S": format!("j-{number}")}, "employerId": {"S": "grace"}, "title": {"S": "急需侍應"},
        "district": {"S": "Central"}, "hourlyRate": {"N": "120"}, "status": {"S": status},
    });
    put(world, &world.names.jobs.jobs, &row);
}

/// Somebody who was chosen for a version of the job that is not the newest.
fn put_candidate(world: &World, number: u8) {
    let zero = json!({"N": "0"});
    let row = json!({
        "jobId": {"S": format!("j-{number}")}, "employeeId": {"S": "eve"}, "jobVersion": {"S": "an older one"},
        "asOf": {"S": "2026-11-21T03:00:00.000Z"}, "similarity": zero, "semanticPoints": zero, "districtPoints": zero,
        "ratePoints": zero, "score": zero, "rank": {"N": "1"}, "state": {"S": "chosen"},
        "scoredAt": {"S": "2026-11-21T03:00:00.000Z"},
    });
    put(world, &world.names.jobs.candidates, &row);
}

fn put_creator(world: &World, number: u8) {
    let statistics = json!({"M": {"subscribers": {"N": "48200"}, "engagementRate": {"N": "4.2"}}});
    let row = json!({
        "PK": {"S": format!("CREATOR#c-{number}")}, "SK": {"S": "PLATFORM#youtube#UC1"}, "category": {"S": "카페"},
        "region": {"S": "서울 마포구"}, "statistics": statistics, "status": {"S": "inactive"}, "lastActiveAt": {"S": "2026-11-21T03:00:00.000Z"},
    });
    put(world, &world.names.marketing.creators, &row);
}

/// A store and a creator with the keys that follow from what they say: they are about to be matched.
fn put_classified(world: &World, number: u8) {
    let id = format!("k-{number}");
    let (store, creator) = (
        json!({"S": format!("STORE#{id}")}),
        json!({"S": format!("CREATOR#{id}")}),
    );
    let row = json!({
        "PK": store, "SK": {"S": "PROFILE#2026-11-21T03:00:00.000Z"}, "primaryCategory": {"S": id},
        "status": {"S": "active"}, "GSI1PK": {"S": format!("CATEGORY#{id}")}, "GSI1SK": store,
    });
    put(world, &world.names.marketing.stores, &row);
    let statistics = json!({"M": {"subscribers": {"N": "48200"}, "avgViews": {"N": "48200"}, "engagementRate": {"N": "9"}}});
    let row = json!({
        "PK": creator, "SK": {"S": "PLATFORM#youtube#UC1"}, "category": {"S": id}, "statistics": statistics,
        "lastActiveAt": {"S": "2026-11-21T03:00:00.000Z"}, "status": {"S": "active"}, "influenceTier": {"S": "mid"},
        "GSI1PK": {"S": format!("CATEGORY#{id}")}, "GSI1SK": creator, "GSI3PK": {"S": "PLATFORM#youtube"},
        "GSI3SK": {"S": "INFLUENCE#000000048200"}, "GSI4PK": {"S": "INFLUENCE_TIER#mid"}, "GSI4SK": {"S": "ENGAGEMENT#009.00"},
    });
    put(world, &world.names.marketing.creators, &row);
}

fn put_store(world: &World, number: u8) {
    let row = json!({
        "PK": {"S": format!("STORE#s-{number}")}, "SK": {"S": "PROFILE#2026-11-21T03:00:00.000Z"},
        "primaryCategory": {"S": "카페"}, "priceAnalysis": {"M": {"averagePrice": {"N": "9000"}}}, "status": {"S": "inactive"},
    });
    put(world, &world.names.marketing.stores, &row);
}

fn put_match(world: &World, number: u8) {
    let row = json!({
        "PK": {"S": format!("MATCH#m-{number}")}, "SK": {"S": format!("STORE#s-{number}#CREATOR#c-{number}")},
        "status": {"S": "PENDING"}, "matchScore": {"N": "87.5"},
    });
    put(world, &world.names.marketing.matches, &row);
}

/// What Millrace knows of a match that has just begun.
fn put_progress(world: &World, number: u8) {
    let heard = json!({"M": {
        "version": {"S": "1"}, "status": {"S": "PENDING"}, "at": {"S": "2026-11-21T03:00:00Z"},
        "inserted": {"BOOL": true}, "score": {"N": "82"},
    }});
    let row = json!({
        "matchId": {"S": format!("begun-{number}")}, "storeId": {"S": "s-1"}, "creatorId": {"S": format!("c-{number}")},
        "version": {"S": "1"}, "revision": {"N": "1"}, "steps": {"L": [heard]}, "bound": {"S": "k-0"},
    });
    put(world, &world.names.marketing.match_progress, &row);
}

fn put_campaign(world: &World, number: u8) {
    let row = json!({
        "PK": {"S": format!("CAMPAIGN#k-{number}")}, "SK": {"S": "STORE#s-1"}, "status": {"S": "active"},
        "budget": {"M": {"total": {"N": "500000"}}},
    });
    put(world, &world.names.marketing.campaigns, &row);
}

fn put(world: &World, table: &str, row: &Value) {
    let request = json!({"TableName": table, "Item": row});
    let dynamo = &world.services().dynamo;
    dynamo.call_json("PutItem", &request).unwrap();
}
