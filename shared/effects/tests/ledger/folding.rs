//! Batches of contributions.

use std::collections::BTreeMap;

use millrace_effects::{Contribution, Measures, Shares, Total};
use millrace_events::Outcome;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use crate::world::*;

#[test]
fn totals_are_the_sum_of_the_newest_contributions_however_they_are_delivered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Subject, version, total, amount; then how the whole is cut into batches and which batches come again.
    let step = (0..6_u32, 0..8_u32, 0..4_u32, -50..50_i64);
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
        let mut known: BTreeMap<(u32, u32), Contribution> = BTreeMap::new();
        let told: Vec<Contribution> = steps
            .iter()
            .map(|&(subject, number, total, amount)| {
                let one = || contribution(subject, number, shares(total, amount));
                known.entry((subject, number)).or_insert_with(one).clone()
            })
            .collect();
        let newest: BTreeMap<u32, &Contribution> = known
            .iter()
            .map(|((subject, _), contribution)| (*subject, contribution))
            .collect();
        let expected = sum(newest.values().map(|newest| &newest.shares));
        let sources = Known::default();
        newest.values().for_each(|newest| sources.set(newest, true));
        let batches: Vec<&[Contribution]> = told.chunks(size).collect();
        let (got, differences) = runtime.block_on(async {
            let world = world();
            let again = again.iter().map(|index| *index.get(&batches));
            for batch in batches.iter().copied().chain(again) {
                world.ledger.commit(batch).await.unwrap();
            }
            let differences = world.ledger.verify(&sources).await.unwrap();
            (world.ledger.all_totals().await.unwrap(), differences)
        });
        prop_assert_eq!(&got, &expected);
        prop_assert_eq!(differences, vec![]);
        Ok(())
    });
    tested.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_contribution_has_its_outcome_in_order() {
    let world = world();
    let first = contribution(1, 5, shares(0, 1));
    assert_eq!(
        world
            .ledger
            .commit(std::slice::from_ref(&first))
            .await
            .unwrap(),
        [Outcome::Applied]
    );
    let batch = [
        first,
        contribution(1, 4, shares(1, 1)),
        contribution(2, 1, shares(1, 1)),
        contribution(2, 2, shares(2, 1)),
        contribution(2, 2, shares(2, 1)),
        contribution(3, 1, Shares::new()),
    ];
    // Of several of one subject the newest counts, and of equal ones the first.
    let outcomes = world.ledger.commit(&batch).await.unwrap();
    assert_eq!(
        outcomes,
        [
            Outcome::Already,
            Outcome::Superseded,
            Outcome::Superseded,
            Outcome::Applied,
            Outcome::Already,
            Outcome::Applied,
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_and_a_single_total_are_read_by_name_whatever_is_in_it() {
    let world = world();
    let one = |name: &str, amount| (Total::new("day#place", name), measures(&[("n", amount)]));
    let shares = Shares::from([one("강남", 1), one("강남#1", 2), one("강", 4)]);
    world
        .ledger
        .commit(&[contribution(1, 1, shares)])
        .await
        .unwrap();
    let scope = world.ledger.totals("day#place").await.unwrap();
    assert_eq!(scope.len(), 3);
    assert_eq!(scope["강남"], measures(&[("n", 1)]));
    for (scope, name, expected) in [
        ("day#place", "강남", measures(&[("n", 1)])),
        ("day", "place", Measures::new()),
    ] {
        let single = world.ledger.total(&Total::new(scope, name)).await.unwrap();
        assert_eq!(single, expected);
    }
    let several = world
        .ledger
        .totals_of(&["none", "day#place"])
        .await
        .unwrap();
    assert_eq!(several, [BTreeMap::new(), scope]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_subjects_cost_a_tenth_of_a_request_each_at_most() {
    let world = world();
    let batch = |version: u32| -> Vec<Contribution> {
        let one = |n: u32| contribution(n, version, shares(n % 49, i64::from(version)));
        (0..100).map(one).collect()
    };
    world.ledger.commit(&batch(1)).await.unwrap();
    world.tap.arm(None);
    world.ledger.commit(&batch(2)).await.unwrap();
    let calls = world.tap.calls();
    // One read, two transactions.
    assert_eq!(calls.len(), 3, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_to_more_totals_than_fit_into_a_transaction_goes_step_by_step() {
    let world = world();
    let wide = |from: u32, amount| -> Shares {
        let one = |n: u32| {
            (
                Total::new("wide", n.to_string()),
                measures(&[("n", amount)]),
            )
        };
        (from..from + 250).map(one).collect()
    };
    for (version, shares) in [(1, wide(0, 1)), (2, wide(130, 7)), (3, Shares::new())] {
        let batch = [
            contribution(1, version, shares.clone()),
            contribution(2, version, self::shares(1, 1)),
        ];
        let outcomes = world.ledger.commit(&batch).await.unwrap();
        assert_eq!(outcomes, [Outcome::Applied, Outcome::Applied]);
        let expected = sum([&shares, &self::shares(1, 1)]);
        assert_eq!(world.ledger.all_totals().await.unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_names_what_is_not_so() {
    let world = world();
    let sources = Known::default();
    let right = contribution(1, 3, shares(1, 10));
    sources.set(&right, true);
    sources.set(&contribution(2, 2, shares(2, 5)), true);
    sources.set(&contribution(4, 4, shares(1, 1)), true);
    let batch = [
        right,
        contribution(2, 2, shares(2, 7)),
        contribution(3, 1, shares(1, 2)),
        contribution(4, 3, shares(1, 1)),
    ];
    world.ledger.commit(&batch).await.unwrap();
    let named = world.ledger.verify(&sources).await.unwrap();
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    for says in [
        "contribution of subject-2: amount of store-2 in day#store is 7, should be 5",
        "contribution of subject-3: count.all of store-1 in day#store is 1, should be 0",
        "contribution of subject-4: stands at 00000003, should stand at 00000004",
        "total: amount of store-2 in day#store is 7, should be 5",
        "total: amount of all in day#all is 20, should be 16",
    ] {
        assert!(
            named.iter().any(|line| line == says),
            "{says} is not in {named:#?}"
        );
    }
    assert!(
        !named.iter().any(|line| line.contains("subject-1:")),
        "{named:#?}"
    );
}
