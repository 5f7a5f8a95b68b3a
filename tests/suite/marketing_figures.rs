//! What a match adds to the figures, against a fold that was written apart from the worker: a table of what happened, line by line,
//! counted afterwards.

use millrace_effects::{Shares, Total};
use millrace_marketing::{
    analytics::{Campaign, of_campaign, of_match},
    progress::{Facts, Gone, Heard, How, Progress, Traits},
    workflow::Status,
};
use millrace_tests::marketing::counted::figures_of_a_match;
use proptest::{collection::vec, prelude::*};
use time::{Duration, OffsetDateTime};

fn without_zeros(mut shares: Shares) -> Shares {
    let measures = shares.values_mut();
    measures.for_each(|measures| measures.retain(|_, amount| *amount != 0));
    shares.retain(|_, measures| !measures.is_empty());
    shares
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
        prop_assert_eq!(without_zeros(of_match(&progress)), figures_of_a_match(&progress));
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
        let shares = without_zeros(of_match(progress)).into_iter();
        shares
            .filter(|(total, _)| total.scope == scope)
            .flat_map(|(_, measures)| measures)
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
    let adds = [("budget", 500_000), ("campaigns.active", 1)];
    let adds = adds.map(|(name, n)| (name.to_owned(), n));
    let expected = Shares::from([
        (Total::new("ever#all", "all"), adds.clone().into()),
        (Total::new("ever#store", "s-1"), adds.into()),
    ]);
    assert_eq!(of_campaign(&campaign), expected);
}
