//! The guards alone: fences, contributions and rows that are created once, under every schedule.
//!
//! Workers come and go; what they stand on is here, also what no worker uses yet. Versions of subjects are applied in any
//! order, several at once, again, under faults. In the end each row holds its newest version, totals are the sum
//! of the newest contributions, and a row that was created once never changed.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{Addressing, Clients, Tap, chance};
use millrace_effects::{
    Contribution, Fence, Ledger, Shares, Table, Update, Write, commit_contributions, key,
};
use millrace_events::{Failure, Version};
use millrace_local::{Services, Storage, clock::ManualClock, http_client, sdk_config_with};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    gate::Gate,
    simulation::{FAULTS, nothing_else_can_run},
};

const SUBJECTS: u32 = 3;
const VERSIONS: u32 = 3;
const TOTALS: u32 = 2;
/// How often everything is delivered, failures apart.
const TIMES: usize = 2;
const AT_ONCE: usize = 4;

/// One version of one subject, applied under all three guards.
#[derive(Debug, Clone, Copy)]
struct Told {
    subject: u32,
    version: u32,
    /// Which of the equal ones it is.
    copy: usize,
}

impl Told {
    fn contribution(self) -> Contribution {
        let total = (self.subject + self.version) % TOTALS;
        let measures = BTreeMap::from([
            ("count".to_owned(), 1),
            ("amount".to_owned(), i64::from(self.version) + 1),
        ]);
        Contribution {
            subject: format!("subject-{}", self.subject),
            version: padded(self.version),
            shares: Shares::from([(format!("total-{total}"), measures)]),
        }
    }

    async fn apply(self, table: Table) -> Result<(), Failure> {
        let subject = format!("subject-{}", self.subject);
        let update = Update::of("rows", key([("id", subject.as_str())]));
        let update = update.set("value", text(&self.version.to_string()));
        Fence::new("version", padded(self.version))
            .commit(&table, "apply", update)
            .await?;
        commit_contributions(&table, &ledger(), &[self.contribution()]).await?;
        let cause = format!("{subject}@{}", self.version);
        let mut row = key([("id", cause.as_str())]);
        row.insert("maker".to_owned(), text(&self.copy.to_string()));
        let create = vec![Write::create_once("created", row, "id")];
        table.commit("create", create).await.map(|_| ())
    }
}

fn padded(version: u32) -> Version {
    Version::from_padded(format!("{version:08}"))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn ledger() -> Ledger {
    Ledger {
        contributions: "contributions".to_owned(),
        contribution_key: "subject",
        totals: "totals".to_owned(),
        total_key: "total",
    }
}

/// One run; `Some` says what did not hold.
pub fn run(seed: u64) -> Option<String> {
    chance::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play(seed)).err()
}

async fn play(seed: u64) -> Result<(), String> {
    let clock = Arc::new(ManualClock::new(0));
    let services = Services::open(&Storage::Memory, clock).unwrap();
    let tables = [
        ("rows", "id"),
        ("created", "id"),
        ("contributions", "subject"),
        ("totals", "total"),
    ];
    for (table, attribute) in tables {
        let request = json!({
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": attribute, "KeyType": "HASH"}],
        });
        services.dynamo.call_json("CreateTable", &request).unwrap();
    }
    let gate = Arc::new(Gate::default());
    let tap = Tap::new(http_client(&services));
    tap.obey(gate.clone());
    let clients = Clients::new(&sdk_config_with(tap.client()), Addressing::Path);
    let table = Table::new(clients.dynamodb.clone());

    let mut chance = StdRng::seed_from_u64(seed);
    let mut waiting: Vec<Told> = (0..SUBJECTS)
        .flat_map(|subject| (0..VERSIONS).map(move |version| (subject, version)))
        .flat_map(|(subject, version)| {
            (0..TIMES).map(move |copy| Told {
                subject,
                version,
                copy,
            })
        })
        .collect();
    waiting.shuffle(&mut chance);
    let mut running: Vec<(Told, JoinHandle<Result<(), Failure>>)> = Vec::new();
    let mut created: BTreeMap<String, Value> = BTreeMap::new();
    while !waiting.is_empty() || !running.is_empty() {
        nothing_else_can_run().await;
        while let Some(at) = running.iter().position(|(_, task)| task.is_finished()) {
            let (told, task) = running.remove(at);
            match task.await.unwrap() {
                Ok(()) => {}
                Err(failure) if failure.is_transient() => waiting.push(told),
                Err(failure) => return Err(format!("{told:?} failed: {}", failure.chain())),
            }
        }
        if running.len() < AT_ONCE
            && let Some(told) = waiting.pop()
        {
            running.push((told, tokio::spawn(told.apply(table.clone()))));
            continue;
        }
        let awake = gate.awake();
        if awake > 0 {
            let fails = chance.random_bool(0.05);
            let fault = fails.then(|| FAULTS[chance.random_range(0..FAULTS.len())]);
            gate.let_go(chance.random_range(0..awake), fault);
        }
        for (id, row) in rows(&services, "created", "id") {
            let first = created.entry(id.clone()).or_insert_with(|| row.clone());
            if *first != row {
                return Err(format!("created-once: {id} was {first} and is {row}"));
            }
        }
    }
    check(&services)
}

fn rows(services: &Services, table: &str, key: &str) -> BTreeMap<String, Value> {
    let request = json!({"TableName": table});
    let scan = services.dynamo.call_json("Scan", &request).unwrap();
    let rows = scan["Items"].as_array().unwrap().iter();
    rows.map(|row| (row[key]["S"].as_str().unwrap().to_owned(), row.clone()))
        .collect()
}

fn check(services: &Services) -> Result<(), String> {
    let newest = (VERSIONS - 1).to_string();
    for (id, row) in rows(services, "rows", "id") {
        if row["value"]["S"].as_str() != Some(newest.as_str()) {
            return Err(format!("newest-wins: {id} holds {row}"));
        }
    }
    let mut expected: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for subject in 0..SUBJECTS {
        let told = Told {
            subject,
            version: VERSIONS - 1,
            copy: 0,
        };
        for (total, measures) in told.contribution().shares {
            let sum = expected.entry(total).or_default();
            sum.0 += measures["count"];
            sum.1 += measures["amount"];
        }
    }
    let mut totals = BTreeMap::new();
    for (total, row) in rows(services, "totals", "total") {
        let number = |name: &str| row[name]["N"].as_str().map_or(0, |n| n.parse().unwrap());
        let sums: (i64, i64) = (number("count"), number("amount"));
        if sums != (0, 0) {
            totals.insert(total, sums);
        }
    }
    if totals != expected {
        return Err(format!("totals-add-up: {totals:?}, should be {expected:?}"));
    }
    Ok(())
}
