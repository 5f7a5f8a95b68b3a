//! Building totals anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use millrace_cloud::Fault;
use millrace_effects::{Ledger, Shares, Total};
use serde_json::json;

use crate::world::*;

/// Totals that are wrong: somebody has changed them by hand.
fn spoil(world: &World) {
    let spoiled = json!({
        "TableName": "totals",
        "Item": {"scope": {"S": "1#day#store"}, "total": {"S": "store-1#00"}, "amount": {"N": "999"}},
    });
    world
        .services
        .dynamo
        .call_json("PutItem", &spoiled)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_mends_contributions_and_totals_and_leaves_nothing_behind() {
    let world = world();
    let sources = Known::default();
    for n in 0..8 {
        sources.set(&contribution(n, 2, shares(n % 3, 1)), n % 2 == 0);
    }
    // One is right, some are wrong, one stands later than its source, one has no source, and some are not there.
    let batch = [
        contribution(0, 2, shares(0, 1)),
        contribution(1, 2, shares(2, 8)),
        contribution(2, 9, shares(1, 8)),
        contribution(3, 1, shares(0, 1)),
        contribution(9, 4, shares(0, 5)),
    ];
    world.ledger.commit(&batch).await.unwrap();
    spoil(&world);
    for generation in [2, 3] {
        let rebuilt = world.ledger.rebuild(&sources).await.unwrap();
        assert!(!rebuilt.went_on);
        assert_eq!(rebuilt.emptied, usize::from(generation == 2));
        assert_eq!(world.ledger.verify(&sources).await.unwrap(), []);
        assert_eq!(world.ledger.all_totals().await.unwrap(), sources.sum());
        let prefix = format!("{generation}#");
        for row in world.rows("totals") {
            assert!(
                row["scope"]["S"].as_str().unwrap().starts_with(&prefix),
                "{row}"
            );
        }
    }
    // The next event of the one that stood too late is not too old.
    let next = contribution(2, 3, shares(2, 4));
    sources.set(&next, true);
    world.ledger.commit(&[next]).await.unwrap();
    assert_eq!(world.ledger.verify(&sources).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_dies_anywhere_goes_on_where_it_was() {
    let mut number = 0;
    loop {
        let world = world();
        let sources = Known::default();
        let mut batch = Vec::new();
        for n in 0..7 {
            sources.set(&contribution(n, 2, shares(n % 3, 1)), true);
            batch.push(contribution(n, 1 + n % 2, shares(n % 2, 3)));
        }
        world.ledger.commit(&batch).await.unwrap();
        world.tap.arm(Some((number, Fault::DieAfter)));
        let died = tokio::select! {
            done = world.ledger.rebuild(&sources) => {
                done.unwrap();
                false
            }
            () = world.tap.died() => true,
        };
        world.tap.arm(None);
        // Meanwhile another process goes on adding.
        let elsewhere = ledger_through(world.tap.client());
        let next = contribution(1, 3, shares(1, 2));
        sources.set(&next, true);
        elsewhere.commit(&[next]).await.unwrap();
        if died {
            elsewhere.rebuild(&sources).await.unwrap();
        }
        assert_eq!(
            elsewhere.verify(&sources).await.unwrap(),
            [],
            "after the death at call {number}"
        );
        if !died {
            assert!(number > 30, "only {number} calls");
            return;
        }
        number += 7;
    }
}

/// How many subjects there are is read again and again: whatever is built, they never become fewer.
async fn read_until(ledger: Ledger, done: Arc<AtomicBool>) -> usize {
    let mut most = 0;
    let mut readings = 0;
    while !done.load(Ordering::SeqCst) {
        let all = ledger.total(&Total::new("day#all", "all")).await.unwrap();
        let count = all.get("count.all").copied().unwrap_or_default();
        assert!(
            count >= most,
            "there were {most} subjects, and now there are {count}"
        );
        most = count;
        readings += 1;
    }
    readings
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_right_and_never_half_built_while_contributions_go_on_arriving() {
    let world = world();
    let sources = Arc::new(Known::default());
    let done = Arc::new(AtomicBool::new(false));
    let reader = ledger_through(world.tap.client());
    let reader = tokio::spawn(read_until(reader, done.clone()));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let ledger = ledger_through(world.tap.client());
            let sources = sources.clone();
            tokio::spawn(async move {
                for version in 1..12 {
                    let batch: Vec<_> = (0..8)
                        .map(|n| {
                            contribution(
                                writer * 100 + n,
                                version,
                                shares((n + version) % 5, i64::from(version)),
                            )
                        })
                        .collect();
                    // The source changes first, then its event comes, perhaps late.
                    batch
                        .iter()
                        .for_each(|one| sources.set(one, n_is_even(&one.subject)));
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    while ledger.commit(&batch).await.is_err() {}
                }
            })
        })
        .collect();
    let mut rebuilds = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        // Two at once, and some are interrupted.
        let again = ledger_through(world.tap.client());
        let limit = Duration::from_millis(20 + 30 * rebuilds);
        let interrupted = tokio::time::timeout(limit, again.rebuild(&*sources));
        let (_, rebuilt) = tokio::join!(interrupted, world.ledger.rebuild(&*sources));
        rebuilt.unwrap();
        rebuilds += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    world.ledger.rebuild(&*sources).await.unwrap();
    assert_eq!(world.ledger.verify(&*sources).await.unwrap(), []);
    assert_eq!(world.ledger.all_totals().await.unwrap(), sources.sum());
    done.store(true, Ordering::SeqCst);
    assert!(reader.await.unwrap() > 0);
    assert!(rebuilds > 0);
    assert_eq!(
        sources.sum()[&Total::new("day#all", "all")]["count.all"],
        24
    );
}

fn n_is_even(subject: &str) -> bool {
    subject.bytes().last().is_some_and(|last| last % 2 == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wide_contribution_is_built_anew_step_by_step() {
    let world = world();
    let one = |n: u32| (Total::new("wide", n.to_string()), measures(&[("n", 1)]));
    let wide: Shares = (0..150).map(one).collect();
    let sources = Known::default();
    sources.set(&contribution(1, 1, wide.clone()), true);
    world
        .ledger
        .commit(&[contribution(1, 1, wide.clone())])
        .await
        .unwrap();
    world.ledger.rebuild(&sources).await.unwrap();
    assert_eq!(world.ledger.all_totals().await.unwrap(), wide);
}
