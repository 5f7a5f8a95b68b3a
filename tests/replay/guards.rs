//! The guards alone: fences, contributions and rows that are created once, under every schedule.
//!
//! Workers come and go; what they stand on is here, also what no worker uses yet. Versions of subjects are applied in any
//! order, several at once, again, under faults, while totals are built anew and processes end. In the end each row holds its
//! newest version, totals are the sum of the newest contributions, and a row that was created once never changed; at no time
//! does a reader see totals that are being built.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{Addressing, Clients, Tap, chance};
use millrace_effects::{
    Computed, Contribution, Fence, Ledger, LedgerTables, Measures, Shares, Sources, Subjects,
    Table, Total, Update, Write, key,
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

const SUBJECTS: u32 = 4;
const VERSIONS: u32 = 3;
const TOTALS: u32 = 2;
/// How often everything is delivered, failures apart.
const TIMES: usize = 2;
const AT_ONCE: usize = 4;
/// Processes, each with slots of its own.
const PROCESSES: usize = 2;
/// How many tell of a batch at most.
const TOGETHER: usize = 3;
/// Sources that a rebuild reads at once.
const PAGE: u32 = 3;
/// Rebuilds that are begun.
const REBUILDS: usize = 2;

/// One version of one subject, applied under all three guards.
#[derive(Debug, Clone, Copy)]
struct Told {
    subject: u32,
    version: u32,
    /// Which of the equal ones it is.
    copy: usize,
}

impl Told {
    fn subject(self) -> String {
        format!("subject-{}", self.subject)
    }

    fn contribution(self) -> Contribution {
        Contribution {
            subject: self.subject(),
            version: padded(self.version),
            shares: shares(self.subject, self.version),
            entries: Vec::new(),
        }
    }

    async fn apply(self, table: &Table) -> Result<(), Failure> {
        let subject = self.subject();
        let update = Update::of("rows", key([("id", subject.as_str())]));
        let update = update.set("value", text(&self.version.to_string()));
        Fence::new("version", padded(self.version))
            .commit(table, "apply", update)
            .await?;
        let cause = format!("{subject}@{}", self.version);
        let mut row = key([("id", cause.as_str())]);
        row.insert("maker".to_owned(), text(&self.copy.to_string()));
        let create = vec![Write::create_once("created", row, "id")];
        table.commit("create", create).await.map(|_| ())
    }
}

/// Every subject counts in the total of all; the rest goes from one total to another.
fn shares(subject: u32, version: u32) -> Shares {
    let amount = i64::from(version) + 1;
    let of = |measures: &[(&str, i64)]| -> Measures {
        let owned = |(name, n): &(&str, i64)| ((*name).to_owned(), *n);
        measures.iter().map(owned).collect()
    };
    let total = format!("total-{}", (subject + version) % TOTALS);
    Shares::from([
        (
            Total::new("day", total),
            of(&[("count", 1), ("amount", amount)]),
        ),
        (Total::new("day", ALL), of(&[("count", 1)])),
    ])
}

const ALL: &str = "all";

/// The rows behind the fence are what contributions are made of.
struct Rows(Table);

impl Sources for Rows {
    async fn subjects(&self, from: Option<&str>) -> Result<Subjects, Failure> {
        let first = from.map_or(0, |from| from.parse().unwrap_or(SUBJECTS));
        let behind = SUBJECTS.min(first + PAGE);
        let next = (behind < SUBJECTS).then(|| behind.to_string());
        let subjects = (first..behind).map(|n| format!("subject-{n}")).collect();
        Ok(Subjects { subjects, next })
    }

    async fn compute(&self, subjects: &[String]) -> Result<Vec<Option<Computed>>, Failure> {
        let mut computed = Vec::new();
        for name in subjects {
            let row = self.0.read("rows", key([("id", name)])).await?;
            let number = |text: &str| text.rsplit('-').next()?.parse::<u32>().ok();
            let value = row.and_then(|row| number(row.get("value")?.as_s().ok()?));
            let subject = number(name).unwrap_or_default();
            computed.push(value.map(|version| Computed {
                // Some sources do not say where their subject stands.
                version: (subject % 2 == 0).then(|| padded(version)),
                shares: shares(subject, version),
                entries: Vec::new(),
            }));
        }
        Ok(computed)
    }
}

fn padded(version: u32) -> Version {
    Version::from_padded(format!("{version:08}"))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn ledger(table: &Table) -> Ledger {
    let names = LedgerTables {
        contributions: "contributions".to_owned(),
        totals: "totals".to_owned(),
        control: "control".to_owned(),
        entries: None,
    };
    Ledger::new(table.clone(), names)
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

/// What runs at the same time.
enum Work {
    Batch(Vec<Told>),
    Rebuild,
    Read,
}

struct Play {
    services: Services,
    table: Table,
    processes: Vec<Ledger>,
    /// The most subjects that a reader has seen.
    most: Arc<Mutex<i64>>,
    chance: StdRng,
    running: Vec<(Work, JoinHandle<Result<(), Failure>>)>,
    waiting: Vec<Told>,
    rebuilds: usize,
    fewer: Arc<Mutex<Option<String>>>,
}

async fn play(seed: u64) -> Result<(), String> {
    let clock = Arc::new(ManualClock::new(0));
    let services = Services::open(&Storage::Memory, clock).unwrap();
    let tables = [
        ("rows", vec!["id"]),
        ("created", vec!["id"]),
        ("contributions", vec!["subject"]),
        ("totals", vec!["scope", "total"]),
        ("control", vec!["slot"]),
    ];
    for (table, attributes) in tables {
        let defined = attributes
            .iter()
            .map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
        let keyed = attributes
            .iter()
            .zip(["HASH", "RANGE"])
            .map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind}));
        let request = json!({
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": defined.collect::<Vec<_>>(),
            "KeySchema": keyed.collect::<Vec<_>>(),
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
    let mut play = Play {
        services,
        processes: (0..PROCESSES).map(|_| ledger(&table)).collect(),
        table,
        most: Arc::default(),
        chance,
        running: Vec::new(),
        waiting,
        rebuilds: 0,
        fewer: Arc::default(),
    };
    let mut created: BTreeMap<String, Value> = BTreeMap::new();
    while !play.waiting.is_empty() || !play.running.is_empty() {
        nothing_else_can_run().await;
        play.collect().await?;
        if play.begin() {
            continue;
        }
        let awake = gate.awake();
        if awake > 0 {
            let fails = play.chance.random_bool(0.05);
            let fault = fails.then(|| FAULTS[play.chance.random_range(0..FAULTS.len())]);
            gate.let_go(play.chance.random_range(0..awake), fault);
        }
        for (id, row) in rows(&play.services, "created", "id") {
            let first = created.entry(id.clone()).or_insert_with(|| row.clone());
            if *first != row {
                return Err(format!("created-once: {id} was {first} and is {row}"));
            }
        }
    }
    drop(gate);
    check(&play.services)
}

impl Play {
    /// Takes what is done; what failed comes again.
    async fn collect(&mut self) -> Result<(), String> {
        while let Some(at) = self.running.iter().position(|(_, task)| task.is_finished()) {
            let (work, task) = self.running.remove(at);
            match (task.await.unwrap(), work) {
                (Err(failure), _) if !failure.is_transient() => {
                    return Err(format!("a guard failed: {}", failure.chain()));
                }
                (Err(_), Work::Batch(told)) => self.waiting.extend(told),
                (Err(_), Work::Rebuild) => self.rebuilds -= 1,
                _ => {}
            }
        }
        let fewer = self.fewer.lock().unwrap().take();
        fewer.map_or(Ok(()), Err)
    }

    /// Begins something, or ends somebody; `false` when there is enough to do.
    fn begin(&mut self) -> bool {
        // A process ends: what it had begun is delivered again, and a rebuild is begun again by somebody.
        if !self.running.is_empty() && self.chance.random_bool(0.003) {
            let at = self.chance.random_range(0..self.running.len());
            let (work, task) = self.running.remove(at);
            task.abort();
            match work {
                Work::Batch(told) => self.waiting.extend(told),
                Work::Rebuild if self.chance.random_bool(0.5) => self.rebuilds -= 1,
                Work::Rebuild | Work::Read => {}
            }
            return true;
        }
        if self.running.len() >= AT_ONCE || self.waiting.is_empty() {
            return false;
        }
        let ledger = self.processes[self.chance.random_range(0..PROCESSES)].clone();
        let table = self.table.clone();
        let (work, task) = if self.rebuilds < REBUILDS && self.chance.random_bool(0.2) {
            self.rebuilds += 1;
            let rebuild = async move { ledger.rebuild(&Rows(table)).await.map(|_| ()) };
            (Work::Rebuild, tokio::spawn(rebuild))
        } else if self.chance.random_bool(0.3) {
            let (most, fewer) = (self.most.clone(), self.fewer.clone());
            (Work::Read, tokio::spawn(read(ledger, most, fewer)))
        } else {
            let count = self.chance.random_range(1..=TOGETHER);
            let from = self.waiting.len().saturating_sub(count);
            let told = self.waiting.split_off(from);
            let batch = told.clone();
            let apply = async move {
                for one in &batch {
                    one.apply(&table).await?;
                }
                let batch: Vec<_> = batch.iter().map(|one| one.contribution()).collect();
                ledger.commit(&batch).await.map(|_| ())
            };
            (Work::Batch(told), tokio::spawn(apply))
        };
        self.running.push((work, task));
        true
    }
}

/// Every version of a subject counts once, so a reader never sees fewer subjects than one before it.
async fn read(
    ledger: Ledger,
    most: Arc<Mutex<i64>>,
    fewer: Arc<Mutex<Option<String>>>,
) -> Result<(), Failure> {
    let before = *most.lock().unwrap();
    let totals = ledger.totals("day").await?;
    let count = totals.get(ALL).and_then(|measures| measures.get("count"));
    let count = count.copied().unwrap_or_default();
    if count < before {
        let what = format!("never-half-built: {count} subjects are counted, there were {before}");
        fewer.lock().unwrap().get_or_insert(what);
    }
    let mut most = most.lock().unwrap();
    *most = count.max(*most);
    Ok(())
}

fn rows(services: &Services, table: &str, key: &str) -> BTreeMap<String, Value> {
    let rows = scan(services, table).into_iter();
    rows.map(|row| (row[key]["S"].as_str().unwrap().to_owned(), row))
        .collect()
}

fn scan(services: &Services, table: &str) -> Vec<Value> {
    let request = json!({"TableName": table});
    let scan = services.dynamo.call_json("Scan", &request).unwrap();
    scan["Items"].as_array().unwrap().clone()
}

/// Reads the tables as they are, not through the ledger.
fn check(services: &Services) -> Result<(), String> {
    let newest = (VERSIONS - 1).to_string();
    for (id, row) in rows(services, "rows", "id") {
        if row["value"]["S"].as_str() != Some(newest.as_str()) {
            return Err(format!("newest-wins: {id} holds {row}"));
        }
    }
    let mut expected: BTreeMap<(String, String), i64> = BTreeMap::new();
    for subject in 0..SUBJECTS {
        for (total, measures) in shares(subject, VERSIONS - 1) {
            for (measure, amount) in measures {
                *expected.entry((total.name.clone(), measure)).or_default() += amount;
            }
        }
    }
    let control = rows(services, "control", "slot");
    let generation = control
        .get("main")
        .and_then(|row| row["reads"]["N"].as_str());
    let scope = format!("{}#day", generation.unwrap_or("1"));
    let mut totals: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in scan(services, "totals") {
        if row["scope"]["S"] != scope.as_str() {
            continue;
        }
        let (name, _) = row["total"]["S"]
            .as_str()
            .unwrap()
            .rsplit_once('#')
            .unwrap();
        for (measure, amount) in row.as_object().unwrap() {
            if let Some(amount) = amount["N"].as_str() {
                let amount: i64 = amount.parse().unwrap();
                *totals
                    .entry((name.to_owned(), measure.clone()))
                    .or_default() += amount;
            }
        }
    }
    totals.retain(|_, amount| *amount != 0);
    if totals != expected {
        return Err(format!("totals-add-up: {totals:?}, should be {expected:?}"));
    }
    Ok(())
}
