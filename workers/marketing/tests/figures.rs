//! What a match adds to the figures, against a fold that was written apart from the worker: a table of what happened, line by line,
//! counted afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;

use millrace_effects::Shares;
use millrace_marketing::{
    analytics::{Campaign, of_campaign, of_match},
    progress::{Facts, Gone, Heard, How, Progress, Traits},
    workflow::Status,
};
use proptest::{collection::vec, prelude::*};
use time::{Duration, OffsetDateTime};

/// Scope, name, measure.
type Line = (String, String, String);

/// Which states the data model lets follow which.
const LEADS: [(&str, &str); 6] = [
    ("PENDING", "CONTACTED"),
    ("CONTACTED", "RESPONDED"),
    ("RESPONDED", "NEGOTIATING"),
    ("NEGOTIATING", "ACCEPTED"),
    ("NEGOTIATING", "REJECTED"),
    ("ACCEPTED", "COMPLETED"),
];

/// Adds up what happened to a match, from what was heard of it.
fn fold(progress: &Progress) -> BTreeMap<Line, i64> {
    let mut heard = progress.heard.clone();
    heard.sort_by_key(|one| one.version.clone());
    // When it was in which state: from, and until when, if it has left.
    let mut stays: Vec<(&str, OffsetDateTime, Option<OffsetDateTime>)> = Vec::new();
    for one in &heard {
        let to = one.status.word();
        let now = stays.last().map(|stay| stay.0);
        let told = one.from.map(Status::word);
        let follows = |from: Option<&str>| {
            LEADS
                .iter()
                .any(|lead| from == Some(lead.0) && to == lead.1)
        };
        let begins = one.inserted && to == "PENDING";
        if now == Some(to) || !(begins || follows(told) || follows(now)) {
            continue;
        }
        if let Some(stay) = stays.last_mut() {
            stay.2 = Some(one.at);
        }
        stays.push((to, one.at, None));
    }
    match &progress.gone {
        Some(gone) if gone.how == How::Deleted => stays.clear(),
        Some(gone) => stays.iter_mut().for_each(|stay| {
            stay.2.get_or_insert(gone.at);
        }),
        None => {}
    }
    let unknown = || "unknown".to_owned();
    let (said, found) = (&progress.facts.traits, &progress.found);
    let by = [
        ("all", "all".to_owned()),
        ("store", progress.store_id.clone()),
        (
            "category",
            said.category
                .clone()
                .or(found.category.clone())
                .unwrap_or_else(unknown),
        ),
        (
            "location",
            said.location
                .clone()
                .or(found.location.clone())
                .unwrap_or_else(unknown),
        ),
        (
            "tier",
            said.tier
                .clone()
                .or(found.tier.clone())
                .unwrap_or_else(unknown),
        ),
        (
            "platform",
            said.platform
                .clone()
                .or(found.platform.clone())
                .unwrap_or_else(unknown),
        ),
    ];
    let mut sums: BTreeMap<Line, i64> = BTreeMap::new();
    let mut count = |at: OffsetDateTime, measure: &str, status: &str, amount: i64| {
        for day in [at.date().to_string(), "ever".to_owned()] {
            for (dimension, name) in &by {
                let line = (
                    format!("{day}#{dimension}"),
                    name.clone(),
                    format!("{measure}.{status}"),
                );
                *sums.entry(line).or_default() += amount;
            }
        }
    };
    for (status, from, until) in stays {
        count(from, "entered", status, 1);
        if let Some(until) = until {
            count(until, "left", status, 1);
            count(
                until,
                "seconds",
                status,
                (until - from).whole_seconds().max(0),
            );
        }
    }
    sums.retain(|_, amount| *amount != 0);
    sums
}

fn lines(shares: &Shares) -> BTreeMap<Line, i64> {
    let mut lines = BTreeMap::new();
    for (total, measures) in shares {
        for (measure, amount) in measures {
            let line = (total.scope.clone(), total.name.clone(), measure.clone());
            lines.insert(line, *amount);
        }
    }
    lines.retain(|_, amount| *amount != 0);
    lines
}

fn at(hours: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_219_200).unwrap() + Duration::hours(hours)
}

fn any_status() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::ALL.to_vec())
}

/// Changes that mostly follow the workflow, some that do not, and times that mostly go on.
fn any_heard() -> impl Strategy<Value = Vec<Heard>> {
    let change = (
        any_status(),
        any_status(),
        0..5_u8,
        -3..60_i64,
        any::<bool>(),
    );
    vec(change, 0..10).prop_map(|changes| {
        let mut now: Option<Status> = None;
        let mut hours = 0;
        let mut heard = Vec::new();
        for (place, (from, to, strays, later, first)) in changes.into_iter().enumerate() {
            let next = now.map_or(Some(Status::Pending), |now| {
                let nexts = now.next();
                nexts
                    .get(usize::from(first).min(nexts.len().saturating_sub(1)))
                    .copied()
            });
            let (from, to) = match (strays, next) {
                (0, _) | (_, None) => (Some(from), to),
                (_, Some(next)) => (now, next),
            };
            hours += later;
            heard.push(Heard {
                version: format!("{place:05}"),
                from,
                status: to,
                at: at(hours),
                inserted: from.is_none(),
                score: 50.0,
                campaign_id: None,
                tier: None,
                platform: None,
            });
            now = Some(to);
        }
        heard
    })
}

fn any_traits() -> impl Strategy<Value = Traits> {
    let word = || {
        prop::option::of(prop::sample::select(vec![
            "카페", "강남", "nano", "youtube",
        ]))
    };
    (word(), word(), word(), word()).prop_map(|(category, location, tier, platform)| Traits {
        category: category.map(str::to_owned),
        location: location.map(str::to_owned),
        tier: tier.map(str::to_owned),
        platform: platform.map(str::to_owned),
    })
}

fn any_progress() -> impl Strategy<Value = Progress> {
    let gone = prop::option::weighted(0.3, (any::<bool>(), 0..900_i64));
    (any_heard(), any_traits(), any_traits(), gone).prop_map(|(heard, said, found, gone)| {
        Progress {
            match_id: "m-1".to_owned(),
            store_id: "s-1".to_owned(),
            creator_id: "c-1".to_owned(),
            heard,
            facts: Facts {
                traits: said,
                ..Facts::default()
            },
            found,
            gone: gone.map(|(expired, hours)| Gone {
                how: if expired { How::Expired } else { How::Deleted },
                at: at(hours),
            }),
            ..Progress::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_match_adds_what_happened_to_it(progress in any_progress()) {
        prop_assert_eq!(lines(&of_match(&progress)), fold(&progress));
    }
}

#[test]
fn the_story_of_one_match() {
    let step = |version: &str, from: Option<Status>, status, hours| Heard {
        version: version.to_owned(),
        from,
        status,
        at: at(hours),
        inserted: from.is_none(),
        score: 50.0,
        campaign_id: None,
        tier: None,
        platform: None,
    };
    let mut progress = Progress {
        store_id: "s-1".to_owned(),
        heard: vec![
            step("1", None, Status::Pending, 1),
            step("2", Some(Status::Pending), Status::Contacted, 3),
            step("3", Some(Status::Contacted), Status::Responded, 27),
        ],
        ..Progress::default()
    };
    let of = |progress: &Progress, scope: &str| -> Vec<(String, i64)> {
        let lines = lines(&of_match(progress)).into_iter();
        lines
            .filter(|(line, _)| line.0 == scope)
            .map(|(line, n)| (line.2, n))
            .collect()
    };
    let owned = |expected: &[(&str, i64)]| -> Vec<(String, i64)> {
        expected
            .iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect()
    };
    let first_day = owned(&[
        ("entered.CONTACTED", 1),
        ("entered.PENDING", 1),
        ("left.PENDING", 1),
        ("seconds.PENDING", 7_200),
    ]);
    assert_eq!(of(&progress, "2026-11-21#store"), first_day);
    assert_eq!(
        of(&progress, "2026-11-22#tier"),
        owned(&[
            ("entered.RESPONDED", 1),
            ("left.CONTACTED", 1),
            ("seconds.CONTACTED", 86_400)
        ])
    );
    let gone = |how| Some(Gone { how, at: at(100) });
    progress.gone = gone(How::Expired);
    assert_eq!(of(&progress, "2026-11-21#store"), first_day);
    assert_eq!(
        of(&progress, "2026-11-25#all"),
        owned(&[("left.RESPONDED", 1), ("seconds.RESPONDED", 73 * 3_600)])
    );
    progress.gone = gone(How::Deleted);
    assert_eq!(of_match(&progress), Shares::new());
}

#[test]
fn a_campaign_adds_itself_and_its_budget() {
    let campaign = Campaign {
        campaign_id: "k-1".to_owned(),
        store_id: "s-1".to_owned(),
        status: "active".to_owned(),
        budget: 500_000,
    };
    let lines: Vec<_> = lines(&of_campaign(&campaign)).into_iter().collect();
    let line = |scope: &str, name: &str, measure: &str, n| {
        ((scope.to_owned(), name.to_owned(), measure.to_owned()), n)
    };
    assert_eq!(
        lines,
        [
            line("ever#all", "all", "budget", 500_000),
            line("ever#all", "all", "campaigns.active", 1),
            line("ever#store", "s-1", "budget", 500_000),
            line("ever#store", "s-1", "campaigns.active", 1),
        ]
    );
}
