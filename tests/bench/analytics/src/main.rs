//! The figures at work, measured: `tests/bench/analytics/run.sh` has the whole comparison.
//!
//! `serve FILE` serves the embedded tables on a port that it writes into FILE, counts what arrives, and tells on `GET /counts`;
//! `events COUNT` prints batches of stream records, one a line; `fold ENDPOINT FILE` has `aggregate-analytics` handle them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use millrace_cloud::{Clients, Clock, ManualClock, Settings};
use millrace_delivery::{
    CountingSink, Delivery, DeliverySettings, Invocation, MemoryParking, QueueDefault,
};
use millrace_local::{Services, Storage, clock::SystemClock, template::Template};
use millrace_marketing::{
    Marketing,
    aggregate_analytics::AggregateAnalytics,
    context::Place,
    progress::{Heard, Progress, Traits},
    workflow::Status,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// As in the product's function.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records of a batch.
const BATCH: usize = 100;
/// How many stores, categories, places there are.
const STORES: usize = 40;
const CATEGORIES: usize = 8;
const PLACES: usize = 12;
const TABLE: &str = "dot-marketing-match-progress";

/// What the product's functions are told, as the template has it.
const SETTINGS: [(&str, &str); 16] = [
    ("MILLRACE_MARKETING_STORES_TABLE", "dot-marketing-stores"),
    (
        "MILLRACE_MARKETING_CREATORS_TABLE",
        "dot-marketing-creators",
    ),
    ("MILLRACE_MARKETING_MATCHES_TABLE", "dot-marketing-matches"),
    (
        "MILLRACE_MARKETING_CAMPAIGNS_TABLE",
        "dot-marketing-campaigns",
    ),
    (
        "MILLRACE_MARKETING_MATCH_PROGRESS_TABLE",
        "dot-marketing-match-progress",
    ),
    (
        "MILLRACE_MARKETING_MATCHING_TABLE",
        "dot-marketing-matching",
    ),
    ("MILLRACE_MARKETING_PAIRS_TABLE", "dot-marketing-pairs"),
    (
        "MILLRACE_MARKETING_ANALYTICS_CONTRIBUTIONS_TABLE",
        "dot-marketing-analytics-contributions",
    ),
    (
        "MILLRACE_MARKETING_ANALYTICS_TOTALS_TABLE",
        "dot-marketing-analytics-totals",
    ),
    (
        "MILLRACE_MARKETING_ANALYTICS_CONTROL_TABLE",
        "dot-marketing-analytics-control",
    ),
    (
        "MILLRACE_MARKETING_CAMPAIGN_CONTRIBUTIONS_TABLE",
        "dot-marketing-campaign-contributions",
    ),
    (
        "MILLRACE_MARKETING_CAMPAIGN_TOTALS_TABLE",
        "dot-marketing-campaign-totals",
    ),
    (
        "MILLRACE_MARKETING_CAMPAIGN_CONTROL_TABLE",
        "dot-marketing-campaign-control",
    ),
    (
        "MILLRACE_MARKETING_CAMPAIGN_CREATORS_TABLE",
        "dot-marketing-campaign-creators",
    ),
    (
        "MILLRACE_MATCH_TOPIC_ARN",
        "arn:aws:sns:us-east-1:000000000000:dot-marketing-match-steps",
    ),
    ("MILLRACE_REPORTS_BUCKET", "dot-marketing-reports"),
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", file] => serve(file).await,
        ["events", count] => events(count.parse().unwrap()),
        ["fold", endpoint, file] => fold(endpoint, file).await,
        _ => panic!("serve FILE | events COUNT | fold ENDPOINT FILE"),
    }
}

/// What arrived since somebody asked.
#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<String, u64>,
    read_units: f64,
    write_units: f64,
}

async fn serve(file: &str) {
    let services = Services::open(&Storage::Memory, Arc::new(SystemClock)).unwrap();
    let text = include_str!("../../../../infra/template.yaml");
    let template = Template::parse(text, "infra/template.yaml", &BTreeMap::new()).unwrap();
    for table in &template.tables {
        let create = services.dynamo.call_json("CreateTable", &table.create);
        create.unwrap();
    }
    // What the handler in Python has of its own.
    for (name, keys) in [
        ("totals", &["scope", "name"][..]),
        ("idempotency", &["id"][..]),
    ] {
        let defined = keys
            .iter()
            .map(|key| json!({"AttributeName": key, "AttributeType": "S"}));
        let keyed = keys.iter().zip(["HASH", "RANGE"]);
        let keyed = keyed.map(|(key, kind)| json!({"AttributeName": key, "KeyType": kind}));
        let create = json!({
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": defined.collect::<Vec<_>>(), "KeySchema": keyed.collect::<Vec<_>>(),
        });
        services.dynamo.call_json("CreateTable", &create).unwrap();
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    std::fs::write(file, format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let counts = Arc::new(Mutex::new(Counts::default()));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (services, counts) = (services.clone(), counts.clone());
        let service = service_fn(move |request| answer(services.clone(), counts.clone(), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}

async fn answer(
    services: Services,
    counts: Arc<Mutex<Counts>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target");
    let Some(target) = target
        .and_then(|target| target.to_str().ok())
        .map(str::to_owned)
    else {
        let counts = std::mem::take(&mut *counts.lock().unwrap());
        let told = json!({
            "requests": counts.requests, "all": counts.requests.values().sum::<u64>(),
            "readUnits": counts.read_units, "writeUnits": counts.write_units,
        });
        return Ok(Response::new(Full::new(told.to_string().into())));
    };
    let operation = target.rsplit('.').next().unwrap().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut asked: Value = serde_json::from_slice(&body).unwrap();
    asked["ReturnConsumedCapacity"] = json!("TOTAL");
    let called = services
        .dynamo
        .call(&operation, asked.to_string().into_bytes());
    let (status, body) = match called.await {
        Ok(body) => (200, body),
        Err(error) => (error.status, error.body.into_bytes()),
    };
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let consumed = &said["ConsumedCapacity"];
    let units: f64 = match consumed {
        Value::Array(tables) => tables
            .iter()
            .filter_map(|one| one["CapacityUnits"].as_f64())
            .sum(),
        one => one["CapacityUnits"].as_f64().unwrap_or_default(),
    };
    let mut counts = counts.lock().unwrap();
    let reads = operation.contains("Get") || operation == "Query" || operation == "Scan";
    *(if reads {
        &mut counts.read_units
    } else {
        &mut counts.write_units
    }) += units;
    *counts.requests.entry(operation).or_default() += 1;
    drop(counts);
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0");
    Ok(response.body(Full::new(body.into())).unwrap())
}

/// Matches that come and go on, as their progress rows' stream tells it: a hundred different matches in a batch.
fn events(count: usize) {
    let way = [
        Status::Pending,
        Status::Contacted,
        Status::Responded,
        Status::Negotiating,
        Status::Accepted,
        Status::Completed,
    ];
    let mut number = 0;
    let mut wave = 0;
    while number < count {
        // The matches of a wave go from step to step together, a batch a step.
        for step in 0..way.len() {
            if number >= count {
                break;
            }
            let records: Vec<Value> = (0..BATCH)
                .map(|place| {
                    number += 1;
                    let nth = wave * BATCH + place;
                    record(nth, &way[..=step], number)
                })
                .collect();
            println!("{}", json!({"Records": records}));
        }
        wave += 1;
    }
}

fn record(nth: usize, way: &[Status], number: usize) -> Value {
    let begun = OffsetDateTime::from_unix_timestamp(1_795_219_200).unwrap();
    let at = |step: usize| begun + Duration::from_secs(((nth % 20_000) + step * 9_000) as u64);
    let progress = |steps: usize| Progress {
        match_id: format!("5b0c1f6e-2f6a-4a0e-9a55-{nth:012}"),
        store_id: format!("8d3e5a10-77c4-4b8e-8f21-{:012}", nth % STORES),
        creator_id: format!("0f4c7a52-6b1d-4e93-8a20-{nth:012}"),
        revision: steps as u64,
        heard: (0..steps)
            .map(|step| Heard {
                version: format!("2026-11-01T08:00:00.000/{:040}", nth * 10 + step),
                from: step.checked_sub(1).map(|before| way[before]),
                status: way[step],
                at: at(step),
                inserted: step == 0,
                score: 82.0,
                campaign_id: None,
                tier: None,
                platform: None,
            })
            .collect(),
        found: Traits {
            category: Some(format!("category {}", nth % STORES % CATEGORIES)),
            location: Some(format!("place {}", nth % STORES % PLACES)),
            tier: Some(["nano", "micro", "mid", "macro"][nth % 4].to_owned()),
            platform: Some(["youtube", "instagram", "tiktok"][nth % 3].to_owned()),
        },
        ..Progress::default()
    };
    let image = |steps: usize| -> Value {
        let item: millrace_events::Item = serde_dynamo::to_item(progress(steps)).unwrap();
        serde_json::to_value(item).unwrap()
    };
    let mut change = json!({
        "ApproximateCreationDateTime": 1_795_219_200, "SizeBytes": 900, "StreamViewType": "NEW_AND_OLD_IMAGES",
        "Keys": {"matchId": {"S": progress(0).match_id}}, "SequenceNumber": (4_421_584_500_000_000_u64 + number as u64).to_string(),
        "NewImage": image(way.len()),
    });
    if way.len() > 1 {
        change["OldImage"] = image(way.len() - 1);
    }
    json!({
        "eventID": format!("{number:032x}"), "eventName": if way.len() > 1 { "MODIFY" } else { "INSERT" },
        "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1", "dynamodb": change,
        "eventSourceARN": format!("arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}/stream/2026-11-01T08:00:00.000"),
    })
}

async fn fold(endpoint: &str, file: &str) {
    let clients = Clients::at_endpoint(endpoint, "us-east-1", "embedded").await;
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(1_795_219_200_000));
    let named = |(setting, name): (&str, &str)| (setting.to_owned(), name.to_owned());
    let settings = Settings::from_map(SETTINGS.map(named).into());
    let place = Place {
        clients,
        clock: clock.clone(),
    };
    let marketing = Marketing::new(&settings, place).unwrap();
    let counts = Arc::new(CountingSink::default());
    let delivery = Delivery::new(
        AggregateAnalytics::new(marketing),
        DeliverySettings::default(),
        Arc::new(MemoryParking::default()),
        Arc::new(QueueDefault),
        clock,
    )
    .with_metrics(counts);
    // A function is handed its event as text.
    let batches = std::fs::read_to_string(file).unwrap();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let mut applied = 0;
    for batch in batches.lines() {
        let event: Value = serde_json::from_str(batch).unwrap();
        let report = delivery
            .deliver(event, Invocation::lasting(Duration::from_secs(60)))
            .await;
        let words = report
            .records
            .iter()
            .map(|record| format!("{:?}", record.outcome));
        applied += words.filter(|word| word == "Applied").count();
    }
    let expected = batches.lines().count() * BATCH;
    assert_eq!(applied, expected, "every event is applied, once");
    let told = json!({"events": applied, "seconds": begun.elapsed().as_secs_f64(), "cpuSeconds": cpu_seconds() - cpu});
    println!("{told}");
}

/// What this process has used, in the machine's ticks of a hundredth of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
