use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-21 04:00 UTC);

fn seeker() -> Seeker {
    Seeker {
        store: Store {
            store_id: "s".to_owned(),
            category: Some("카페".to_owned()),
            place: Some(("서울".to_owned(), "마포구".to_owned())),
            price: Some(PriceLevel::High),
        },
        budget: Some(500_000.0),
    }
}

fn candidate() -> Candidate {
    Candidate {
        channel: Channel {
            creator_id: "c".to_owned(),
            platform: "youtube",
            category: Some("카페".to_owned()),
            region: Some("서울 마포구".to_owned()),
            subscribers: 40_000,
            engagement_rate: 6.0,
        },
        average_views: 12_000.0,
        last_active: Some(NOW),
    }
}

#[test]
fn whoever_has_everything_has_a_hundred_points() {
    let score = score(&seeker(), &candidate(), NOW);
    assert_eq!(score.total(), 10_000);
    assert_eq!(Score::decimal(score.total()), "100");
    assert_eq!(Score::decimal(8_755), "87.55");
}

#[test]
fn each_component_has_its_own_cause() {
    type Change = fn(&mut Seeker, &mut Candidate);
    let cases: [(&str, Hundredths, Change); 15] = [
        ("another category", 7_000, |_, c| {
            c.channel.category = Some("식당".to_owned())
        }),
        ("no category on either side", 7_000, |s, c| {
            s.store.category = None;
            c.channel.category = None;
        }),
        ("another district", 9_200, |_, c| {
            c.channel.region = Some("서울 성동구".to_owned())
        }),
        ("the city alone", 9_200, |_, c| {
            c.channel.region = Some("서울".to_owned())
        }),
        ("a city that begins alike", 8_000, |_, c| {
            c.channel.region = Some("서울숲 마포구".to_owned())
        }),
        ("no place", 8_000, |_, c| c.channel.region = None),
        (
            "one tier too high, twice the budget and more",
            8_800,
            |_, c| {
                c.channel.subscribers = 100_000;
                c.average_views = 30_000.0;
            },
        ),
        ("one tier too low", 9_600, |_, c| {
            c.channel.subscribers = 9_999;
        }),
        ("no price level", 9_400, |s, _| s.store.price = None),
        ("no budget", 9_600, |s, _| s.budget = None),
        ("half the budget", 9_600, |s, _| s.budget = Some(250_000.0)),
        ("half the engagement", 9_250, |_, c| {
            c.channel.engagement_rate = 3.0
        }),
        ("half the reach", 9_500, |_, c| c.average_views = 6_000.0),
        ("long not active", 9_500, |_, c| {
            c.last_active = Some(NOW - Duration::days(91))
        }),
        ("nothing known of it", 9_500, |_, c| c.last_active = None),
    ];
    for (name, expected, change) in cases {
        let (mut seeker, mut candidate) = (seeker(), candidate());
        change(&mut seeker, &mut candidate);
        assert_eq!(score(&seeker, &candidate, NOW).total(), expected, "{name}");
    }
}

proptest! {
    /// Components stay within their range, whatever is said.
    #[test]
    fn no_component_leaves_its_range(
        subscribers in 0_u64..10_000_000_000,
        rate in 0.0_f64..1_000.0,
        views in prop_oneof![Just(0.0), 0.0_f64..1e12],
        ago in -1_000_000_i64..100_000_000,
        budget in prop::option::of(0.0_f64..1e9),
    ) {
        let (mut seeker, mut candidate) = (seeker(), candidate());
        seeker.budget = budget;
        candidate.channel.subscribers = subscribers;
        candidate.channel.engagement_rate = rate;
        candidate.average_views = views;
        candidate.last_active = Some(NOW - Duration::seconds(ago));
        let score = score(&seeker, &candidate, NOW);
        let most = [3_000, 2_000, 2_000, 1_500, 1_000, 500];
        for ((name, points), most) in score.components().into_iter().zip(most) {
            prop_assert!(points <= most, "{name} has {points}");
        }
        prop_assert!(score.total() <= 10_000);
    }

    /// More of what is good is never worse.
    #[test]
    fn more_engagement_reach_and_activity_are_never_worse(
        rates in (0.0_f64..10.0, 0.0_f64..10.0), views in (0.0_f64..50_000.0, 0.0_f64..50_000.0), days in (0_i64..120, 0_i64..120),
    ) {
        let with = |rate: f64, views: f64, days: i64| {
            let mut candidate = candidate();
            candidate.channel.engagement_rate = rate;
            candidate.average_views = views;
            candidate.last_active = Some(NOW - Duration::days(days));
            score(&seeker(), &candidate, NOW).total()
        };
        let less = with(rates.0.min(rates.1), views.0.min(views.1), days.0.max(days.1));
        let more = with(rates.0.max(rates.1), views.0.max(views.1), days.0.min(days.1));
        prop_assert!(less <= more);
    }
}
