//! Rows that stand beside.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Contribution, Entry, Row, Shares};
use millrace_events::reason;
use serde_json::json;

use crate::world::*;

fn entry(group: &str, word: &str) -> Entry {
    Entry {
        key: BTreeMap::from([
            ("group".to_owned(), group.to_owned()),
            ("subject".to_owned(), "subject-1".to_owned()),
        ]),
        row: Row::from([("word".to_owned(), AttributeValue::S(word.to_owned()))]),
    }
}

fn with(version: u32, entries: Vec<Entry>) -> Contribution {
    Contribution {
        entries,
        ..contribution(1, version, Shares::new())
    }
}

fn there(world: &World) -> Vec<(String, String)> {
    let word = |row: &serde_json::Value, name: &str| row[name]["S"].as_str().unwrap().to_owned();
    let rows = world.rows("entries");
    let mut words: Vec<_> = rows
        .iter()
        .map(|row| (word(row, "group"), word(row, "word")))
        .collect();
    words.sort();
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_there_while_the_newest_contribution_has_them() {
    let world = world();
    let pair = |group: &str, word: &str| (group.to_owned(), word.to_owned());
    for (contribution, expected) in [
        (
            with(1, vec![entry("a", "one"), entry("b", "one")]),
            vec![pair("a", "one"), pair("b", "one")],
        ),
        (
            with(3, vec![entry("b", "two"), entry("c", "two")]),
            vec![pair("b", "two"), pair("c", "two")],
        ),
        (
            with(2, vec![entry("d", "late")]),
            vec![pair("b", "two"), pair("c", "two")],
        ),
        (with(4, vec![]), vec![]),
    ] {
        world.ledger.commit(&[contribution]).await.unwrap();
        assert_eq!(there(&world), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_puts_entries_right() {
    let world = world();
    let sources = Known::default();
    sources.set(&with(1, vec![entry("a", "right")]), true);
    world
        .ledger
        .commit(&[with(1, vec![entry("a", "wrong"), entry("b", "wrong")])])
        .await
        .unwrap();
    world.ledger.rebuild(&sources).await.unwrap();
    assert_eq!(there(&world), [("a".to_owned(), "right".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_wrong_are_named_and_a_rebuild_mends_them() {
    let world = world();
    let sources = Known::default();
    let right = with(
        1,
        vec![entry("a", "one"), entry("b", "one"), entry("c", "one")],
    );
    sources.set(&right, true);
    world.ledger.commit(&[right]).await.unwrap();
    let verify = || async {
        let found = world.ledger.verify(&sources).await.unwrap();
        let mut said: Vec<String> = found.iter().map(ToString::to_string).collect();
        said.sort();
        said
    };
    assert_eq!(verify().await, [""; 0]);
    let dynamo = &world.services.dynamo;
    let put = |group: &str, word: &str| {
        let row =
            json!({"group": {"S": group}, "subject": {"S": "subject-1"}, "word": {"S": word}});
        let request = json!({"TableName": "entries", "Item": row});
        dynamo.call_json("PutItem", &request).unwrap();
    };
    put("b", "other");
    put("z", "stray");
    let key = json!({"group": {"S": "c"}, "subject": {"S": "subject-1"}});
    let request = json!({"TableName": "entries", "Key": key});
    dynamo.call_json("DeleteItem", &request).unwrap();
    assert_eq!(
        verify().await,
        [
            "entry group=b, subject=subject-1: differs in word",
            "entry group=c, subject=subject-1: is missing",
            "entry group=z, subject=subject-1: should not be there",
        ]
    );
    let rebuilt = world.ledger.rebuild(&sources).await.unwrap();
    assert_eq!(rebuilt.strays, 1);
    assert_eq!(verify().await, [""; 0]);
    let pair = |group: &str| (group.to_owned(), "one".to_owned());
    assert_eq!(there(&world), [pair("a"), pair("b"), pair("c")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_entries_than_fit_into_a_transaction_are_refused() {
    let world = world();
    let many = (0..120).map(|n| entry(&n.to_string(), "one")).collect();
    let failure = world.ledger.commit(&[with(1, many)]).await.unwrap_err();
    assert_eq!(failure.reason(), reason::REQUEST_REJECTED);
    assert!(!failure.is_transient());
    assert_eq!(there(&world), []);
}
