//! What an event costs in requests: the figures that infra/deploy.md works out a month with.

use std::{collections::BTreeMap, time::Duration};

use millrace_tests::World;
use serde_json::{Value, json};

use crate::document;

/// A page of about 400 words.
const PAGE: &str = "The mill stands by the river and its wheel is five metres wide. The miller opens the sluice at dawn and \
closes it in the evening, and whoever brings grain waits under the lime trees. ";

/// Requests since the tap began anew, as AWS bills them.
#[derive(Debug, Default)]
struct Bill {
    /// Writes; a transaction counts as four.
    writes: usize,
    /// Rows or pages of rows read; a batch or a query counts once.
    reads: usize,
    puts: usize,
    gets: usize,
    sends: usize,
    publishes: usize,
    index: usize,
    by_name: BTreeMap<String, usize>,
}

fn bill(world: &World) -> Bill {
    let mut bill = Bill::default();
    for call in world.tap.calls() {
        let kind = call.split(" /").next().unwrap_or_default().to_owned();
        match kind.rsplit(['.', ' ']).next().unwrap_or_default() {
            // The smallest transaction here writes two rows, each of which costs twice.
            "TransactWriteItems" => bill.writes += 4,
            "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" => bill.writes += 1,
            "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems" => bill.reads += 1,
            "PUT" | "POST" => bill.puts += 1,
            "GET" | "HEAD" => bill.gets += 1,
            "SendMessage" | "SendMessageBatch" => bill.sends += 1,
            "Publish" | "PublishBatch" => bill.publishes += 1,
            "DELETE" => {}
            _ => bill.index += 1,
        }
        *bill.by_name.entry(kind).or_default() += 1;
    }
    bill
}

fn put(world: &World, table: &str, item: &Value) {
    let request = json!({"TableName": table, "Item": item});
    world
        .services()
        .dynamo
        .call_json("PutItem", &request)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_ten_pages_takes_as_many_requests_as_the_month_is_worked_out_with() {
    let world = World::in_process().await;
    let text = PAGE.repeat(110);
    world.tap.arm(None);
    world
        .upload(&document("ada", 7), "mill.txt", text.as_bytes())
        .await;
    world.quiet().await;
    // The index is looked at once more, as where it is a collection.
    world.wait(Duration::from_secs(180));
    world.quiet().await;
    let bill = bill(&world);
    println!("a document: {bill:?}");
    assert!(bill.writes <= 25, "{bill:?}");
    assert!(bill.reads <= 30, "{bill:?}");
    assert!(bill.puts <= 20, "{bill:?}");
    assert!(bill.gets <= 15, "{bill:?}");
    assert_eq!(bill.sends, 1, "{bill:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_match_takes_as_many_requests_as_the_month_is_worked_out_with() {
    let world = World::in_process().await;
    let id = |number: usize| format!("5c0e9b41-7d26-4a83-9f15-{number:012x}");
    let row = |number: usize, status: &str| {
        json!({
            "PK": {"S": format!("MATCH#{}", id(number))}, "SK": {"S": format!("STORE#mill#CREATOR#{}", id(number))},
            "matchId": {"S": id(number)}, "storeId": {"S": "mill"}, "creatorId": {"S": id(number)},
            "status": {"S": status}, "matchScore": {"N": "87.5"},
        })
    };
    let matches = &world.names.marketing.matches;
    for number in 0..100 {
        put(&world, matches, &row(number, "PENDING"));
    }
    world.quiet().await;
    world.tap.arm(None);
    for number in 0..100 {
        put(&world, matches, &row(number, "CONTACTED"));
    }
    world.quiet().await;
    let bill = bill(&world);
    println!("a hundred steps: {bill:?}");
    assert_eq!(bill.publishes, 100, "{bill:?}");
    assert!(bill.writes <= 400, "{bill:?}");
    assert!(bill.reads <= 500, "{bill:?}");
}
