//! Rows that stand beside.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Contribution, Entry, Row, Shares};
use millrace_events::reason;

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
async fn more_entries_than_fit_into_a_transaction_are_refused() {
    let world = world();
    let many = (0..120).map(|n| entry(&n.to_string(), "one")).collect();
    let failure = world.ledger.commit(&[with(1, many)]).await.unwrap_err();
    assert_eq!(failure.reason(), reason::REQUEST_REJECTED);
    assert!(!failure.is_transient());
    assert_eq!(there(&world), []);
}
