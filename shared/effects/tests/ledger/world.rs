//! Tables of a ledger, and contributions for them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use millrace_cloud::{Addressing, Clients, Tap};
use millrace_effects::{
    Computed, Contribution, Ledger, LedgerTables, Measures, Row, Shares, Sources, Subjects, Table,
    Total,
};
use millrace_events::{Failure, Version};
use millrace_local::{Services, Storage, clock::SystemClock, http_client, sdk_config_with};
use serde_json::{Value, json};

pub struct World {
    pub services: Services,
    pub tap: Tap,
    pub ledger: Ledger,
}

pub const TABLES: [(&str, &str, Option<&str>); 4] = [
    ("contributions", "subject", None),
    ("totals", "scope", Some("total")),
    ("control", "slot", None),
    ("entries", "group", Some("subject")),
];

pub fn names() -> LedgerTables {
    LedgerTables {
        contributions: "contributions".to_owned(),
        totals: "totals".to_owned(),
        control: "control".to_owned(),
        entries: Some("entries".to_owned()),
    }
}

pub fn services() -> Services {
    let services = Services::open(&Storage::Memory, Arc::new(SystemClock)).unwrap();
    for (table, hash, range) in TABLES {
        let attributes: Vec<&str> = [Some(hash), range].into_iter().flatten().collect();
        let definitions: Vec<Value> = attributes
            .iter()
            .map(|name| json!({"AttributeName": name, "AttributeType": "S"}))
            .collect();
        let keys: Vec<Value> = attributes
            .iter()
            .zip(["HASH", "RANGE"])
            .map(|(name, kind)| json!({"AttributeName": name, "KeyType": kind}))
            .collect();
        let request = json!({
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": definitions, "KeySchema": keys,
        });
        services.dynamo.call_json("CreateTable", &request).unwrap();
    }
    services
}

/// A process of its own: clients and slots that no other has.
pub fn ledger_through(client: SharedHttpClient) -> Ledger {
    let clients = Clients::new(&sdk_config_with(client), Addressing::Path);
    Ledger::new(Table::new(clients.dynamodb), names())
}

pub fn world() -> World {
    let services = services();
    let tap = Tap::new(http_client(&services));
    let ledger = ledger_through(tap.client());
    World {
        services,
        tap,
        ledger,
    }
}

impl World {
    pub fn rows(&self, table: &str) -> Vec<Value> {
        let scan = json!({"TableName": table});
        let answer = self.services.dynamo.call_json("Scan", &scan).unwrap();
        answer["Items"].as_array().unwrap().clone()
    }
}

pub fn version(number: u32) -> Version {
    Version::from_padded(format!("{number:08}"))
}

pub fn measures(of: &[(&str, i64)]) -> Measures {
    of.iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect()
}

/// What a subject adds at a version: to a total of its own and to one that all share.
pub fn shares(total: u32, amount: i64) -> Shares {
    let both = measures(&[("count.all", 1), ("amount", amount)]);
    Shares::from([
        (
            Total::new("day#store", format!("store-{total}")),
            both.clone(),
        ),
        (Total::new("day#all", "all"), both),
    ])
}

pub fn contribution(subject: u32, number: u32, shares: Shares) -> Contribution {
    Contribution {
        subject: format!("subject-{subject}"),
        version: version(number),
        shares,
        entries: Vec::new(),
    }
}

/// The sum of what these add.
pub fn sum<'a>(all: impl IntoIterator<Item = &'a Shares>) -> Shares {
    let mut sum = Shares::new();
    for shares in all {
        for (total, measures) in shares {
            for (measure, amount) in measures {
                let entry = sum.entry(total.clone()).or_default();
                *entry.entry(measure.clone()).or_insert(0) += amount;
            }
        }
    }
    for measures in sum.values_mut() {
        measures.retain(|_, amount| *amount != 0);
    }
    sum.retain(|_, measures| !measures.is_empty());
    sum
}

/// Sources in memory.
#[derive(Debug, Default)]
pub struct Known(pub Mutex<BTreeMap<String, Computed>>);

impl Known {
    pub fn set(&self, contribution: &Contribution, tells_version: bool) {
        let computed = Computed {
            version: tells_version.then(|| contribution.version.clone()),
            shares: contribution.shares.clone(),
            entries: contribution.entries.clone(),
        };
        let mut known = self.0.lock().unwrap();
        known.insert(contribution.subject.clone(), computed);
    }

    pub fn sum(&self) -> Shares {
        let known = self.0.lock().unwrap();
        sum(known.values().map(|computed| &computed.shares))
    }
}

impl Sources for Known {
    async fn subjects(&self, from: Option<&str>) -> Result<Subjects, Failure> {
        let known = self.0.lock().unwrap();
        let behind = known
            .keys()
            .filter(|name| from.is_none_or(|from| name.as_str() > from));
        let mut subjects: Vec<String> = behind.take(4).cloned().collect();
        let is_last = subjects.len() < 4;
        subjects.truncate(3);
        let next = subjects.last().filter(|_| !is_last).cloned();
        Ok(Subjects { subjects, next })
    }

    async fn compute(&self, subjects: &[String]) -> Result<Vec<Option<Computed>>, Failure> {
        let known = self.0.lock().unwrap();
        Ok(subjects
            .iter()
            .map(|name| known.get(name).cloned())
            .collect())
    }

    fn owner_of(&self, entry: &Row) -> Option<(String, BTreeMap<String, String>)> {
        let text = |name: &str| Some((name.to_owned(), entry.get(name)?.as_s().ok()?.clone()));
        let key = BTreeMap::from([text("group")?, text("subject")?]);
        Some((key["subject"].clone(), key))
    }
}
