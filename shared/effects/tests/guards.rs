//! The guards on the embedded tables: whatever is applied how often, the end is that of once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{Addressing, Bucket, Clients, Put};
use millrace_effects::{
    ArtefactWrite, Committed, Contribution, Fence, Ledger, Shares, Table, Update, Write,
    commit_contributions, key, rebuild_totals, write_artefact,
};
use millrace_events::{Outcome, Version};
use millrace_local::{Services, Storage, clock::SystemClock, sdk_config};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use serde_json::json;

struct World {
    services: Services,
    clients: Clients,
    table: Table,
}

fn world() -> World {
    let services = Services::open(&Storage::Memory, Arc::new(SystemClock)).unwrap();
    for (table, attribute) in [
        ("rows", "id"),
        ("contributions", "subject"),
        ("totals", "total"),
    ] {
        let request = json!({
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": attribute, "KeyType": "HASH"}],
        });
        services.dynamo.call_json("CreateTable", &request).unwrap();
    }
    let clients = Clients::new(&sdk_config(&services), Addressing::Path);
    let table = Table::new(clients.dynamodb.clone());
    World {
        services,
        clients,
        table,
    }
}

fn version(number: u32) -> Version {
    Version::from_padded(format!("{number:08}"))
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_lets_only_newer_versions_pass() {
    let world = world();
    let apply = |number: u32| {
        let table = world.table.clone();
        async move {
            let update =
                Update::of("rows", key([("id", "one")])).set("value", text(&number.to_string()));
            Fence::new("version", version(number))
                .commit(&table, "write", update)
                .await
                .unwrap()
        }
    };
    assert_eq!(apply(2).await, Outcome::Applied);
    assert_eq!(apply(2).await, Outcome::Already);
    assert_eq!(apply(1).await, Outcome::Superseded);
    assert_eq!(apply(10).await, Outcome::Applied);
    let row = world
        .table
        .read("rows", key([("id", "one")]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row["value"], text("10"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_created_once_keeps_its_first_content_and_a_refusal_shows_it() {
    let world = world();
    let create = |value: &str| {
        let mut row = key([("id", "cause-1")]);
        row.insert("value".to_owned(), text(value));
        world
            .table
            .commit("create", vec![Write::create_once("rows", row, "id")])
    };
    assert!(matches!(create("first").await.unwrap(), Committed::Done));
    let Committed::Refused {
        index: 0,
        current: Some(current),
    } = create("second").await.unwrap()
    else {
        panic!("the second must be refused");
    };
    assert_eq!(current["value"], text("first"));
}

fn ledger() -> Ledger {
    Ledger {
        contributions: "contributions".to_owned(),
        contribution_key: "subject",
        totals: "totals".to_owned(),
        total_key: "total",
    }
}

fn contribution(subject: u8, number: u32, total: u8, amount: i64) -> Contribution {
    let measures = BTreeMap::from([("count".to_owned(), 1), ("amount".to_owned(), amount)]);
    let shares = Shares::from([(format!("total-{total}"), measures)]);
    Contribution {
        subject: format!("subject-{subject}"),
        version: version(number),
        shares,
    }
}

async fn totals(world: &World) -> Shares {
    let scan = world
        .services
        .dynamo
        .call_json("Scan", &json!({"TableName": "totals"}))
        .unwrap();
    let mut totals = Shares::new();
    for row in scan["Items"].as_array().unwrap() {
        let measure = |(name, value): (&String, &serde_json::Value)| {
            let amount = value["N"].as_str()?.parse::<i64>().ok()?;
            (amount != 0).then(|| (name.clone(), amount))
        };
        let measures: BTreeMap<_, _> = row
            .as_object()
            .unwrap()
            .iter()
            .filter_map(measure)
            .collect();
        if !measures.is_empty() {
            totals.insert(row["total"]["S"].as_str().unwrap().to_owned(), measures);
        }
    }
    totals
}

#[test]
fn totals_are_the_sum_of_the_newest_contributions_however_they_are_delivered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Subject, version, total, amount; then how the whole is cut into batches and which batches come again.
    let step = (0..6_u8, 0..8_u32, 0..4_u8, -50..50_i64);
    let history = (
        vec(step, 1..40),
        1..9_usize,
        vec(any::<prop::sample::Index>(), 0..12),
    );
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 24,
        ..ProptestConfig::default()
    });
    let tested = runner.run(&history, |(steps, size, again)| {
        // What happened at one version of a subject is one thing, whoever tells it.
        let mut known: BTreeMap<(u8, u32), Contribution> = BTreeMap::new();
        let told: Vec<Contribution> = steps
            .iter()
            .map(|&(subject, number, total, amount)| {
                known
                    .entry((subject, number))
                    .or_insert_with(|| contribution(subject, number, total, amount))
                    .clone()
            })
            .collect();
        let mut newest: BTreeMap<u8, &Contribution> = BTreeMap::new();
        for ((subject, _), contribution) in &known {
            newest.insert(*subject, contribution);
        }
        let mut expected = Shares::new();
        for contribution in newest.values() {
            for (total, measures) in &contribution.shares {
                for (measure, amount) in measures {
                    *expected
                        .entry(total.clone())
                        .or_default()
                        .entry(measure.clone())
                        .or_default() += amount;
                }
            }
        }
        expected
            .values_mut()
            .for_each(|measures| measures.retain(|_, amount| *amount != 0));
        expected.retain(|_, measures| !measures.is_empty());
        let batches: Vec<&[Contribution]> = told.chunks(size).collect();
        let (got, rebuilt) = runtime.block_on(async {
            let world = world();
            for batch in batches
                .iter()
                .copied()
                .chain(again.iter().map(|index| *index.get(&batches)))
            {
                commit_contributions(&world.table, &ledger(), batch)
                    .await
                    .unwrap();
            }
            (
                totals(&world).await,
                rebuild_totals(&world.table, &ledger()).await.unwrap(),
            )
        });
        prop_assert_eq!(&got, &expected);
        prop_assert_eq!(&rebuilt, &expected);
        Ok(())
    });
    tested.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn contributions_to_one_total_at_once_all_count() {
    let world = Arc::new(world());
    let tasks: Vec<_> = (0..12_u8)
        .map(|subject| {
            let world = world.clone();
            tokio::spawn(async move {
                let one = [contribution(subject, 1, 0, 5)];
                // A conflict that lasts is handed back and delivered again.
                while commit_contributions(&world.table, &ledger(), &one)
                    .await
                    .is_err()
                {}
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(totals(&world).await["total-0"]["amount"], 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artefact_never_gives_way_to_an_older_generation() {
    let world = world();
    world.services.s3.ensure_bucket("bucket").unwrap();
    let bucket = Bucket::new(world.clients.s3.clone(), "bucket");
    let write = |generation: &'static str| {
        let put = Put {
            bytes: generation.as_bytes().into(),
            content_type: "text/plain",
            metadata: Default::default(),
        };
        ArtefactWrite {
            key: "artefact".to_owned(),
            generation: generation.to_owned(),
            put,
        }
    };
    for (generation, outcome, holds) in [
        ("0002", Outcome::Applied, "0002"),
        ("0001", Outcome::Superseded, "0002"),
        ("0002", Outcome::Applied, "0002"),
        ("0003", Outcome::Applied, "0003"),
    ] {
        assert_eq!(
            write_artefact(&bucket, &write(generation)).await.unwrap(),
            outcome,
            "{generation}"
        );
        assert_eq!(
            bucket.get("artefact").await.unwrap().unwrap().bytes,
            holds.as_bytes()
        );
    }
}
