//! The guards on the embedded tables: whatever is applied how often, the end is that of once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::{Addressing, Bucket, Clients, Put};
use millrace_effects::{
    ArtefactWrite, Committed, Fence, Table, Update, Write, key, write_artefact,
};
use millrace_events::{Outcome, Version};
use millrace_local::{Services, Storage, clock::SystemClock, sdk_config};
use serde_json::json;

struct World {
    services: Services,
    clients: Clients,
    table: Table,
}

fn world() -> World {
    let services = Services::open(&Storage::Memory, Arc::new(SystemClock)).unwrap();
    let request = json!({
        "TableName": "rows", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    });
    services.dynamo.call_json("CreateTable", &request).unwrap();
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
