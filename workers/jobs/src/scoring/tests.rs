use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const AS_OF: OffsetDateTime = datetime!(2026-11-21 04:00 UTC);

fn embedding(values: Vec<f32>) -> Embedding {
    let dimensions = values.len();
    Embedding::try_new(values, dimensions).unwrap()
}

fn wanted() -> Wanted {
    Wanted {
        employer_id: "employer".to_owned(),
        district: Some("Central".to_owned()),
        hourly_rate: 120.0,
        as_of: AS_OF,
        embedding: embedding(vec![1.0, 0.0]),
    }
}

fn profile() -> Profile {
    Profile {
        user_id: "u-1".to_owned(),
        present: true,
        embedding: Some(embedding(vec![1.0, 0.0])),
        available: true,
        last_seen: Some(millis(AS_OF)),
        rates: Some(RateRange {
            min: 80.0,
            max: 160.0,
        }),
        districts: vec!["Central".to_owned()],
        ..Profile::default()
    }
}

fn rated(good: u64, neutral: u64, bad: u64) -> Ratings {
    Ratings { good, neutral, bad }
}

#[test]
fn the_components_add_up() {
    let score = judge(&wanted(), &profile()).unwrap();
    assert_eq!(
        (score.semantic, score.district, score.rate),
        (50.0, 30.0, 10.0)
    );
    assert_eq!(score.total(), 90.0);
    let elsewhere = Profile {
        districts: vec!["central".to_owned()],
        ..profile()
    };
    assert_eq!(judge(&wanted(), &elsewhere).unwrap().district, 0.0);
}

#[test]
fn the_rate_counts_from_the_least_to_the_greatest() {
    let range = |min, max| Some(RateRange { min, max });
    for (rate, range, points) in [
        (80.0, range(80.0, 160.0), 0.0),
        (160.0, range(80.0, 160.0), 20.0),
        (161.0, range(80.0, 160.0), 20.0),
        (120.0, range(80.0, 160.0), 10.0),
        (100.0, range(100.0, 100.0), 20.0),
        (0.0, range(0.0, 0.0), 20.0),
        (45.0, range(0.0, 90.0), 10.0),
        (1.0, None, 20.0),
    ] {
        assert_eq!(rate_points(rate, range), points, "{rate} in {range:?}");
    }
}

#[test]
fn each_filter_excludes_by_itself_and_its_boundary_passes() {
    let first = |profile: Profile| judge(&wanted(), &profile).err().map(Excluded::word);
    let week = SEEN_WITHIN.whole_milliseconds() as i64;
    let seen = |ago: i64| Profile {
        last_seen: Some(millis(AS_OF) - ago),
        ..profile()
    };
    let ratings = |ratings| Profile {
        ratings,
        ..profile()
    };
    let minimum = |min| Profile {
        rates: Some(RateRange { min, max: 500.0 }),
        ..profile()
    };
    let turned = |x: f32, y: f32| Profile {
        embedding: Some(embedding(vec![x, y])),
        ..profile()
    };
    let absent = |why: &str| Profile {
        present: false,
        excluded: Some(why.to_owned()),
        ..Profile::default()
    };
    let own = Profile {
        user_id: "employer".to_owned(),
        ..profile()
    };
    let busy = Profile {
        available: false,
        ..profile()
    };
    let never = Profile {
        last_seen: None,
        ..profile()
    };
    for (profile, expected) in [
        (profile(), None),
        (absent("incomplete"), Some("incomplete")),
        (absent("gone"), Some("incomplete")),
        (absent("invalid-rate"), Some("incomplete")),
        (absent("inactive"), Some("inactive")),
        (busy, Some("unavailable")),
        (own, Some("own-job")),
        (never, Some("not-seen")),
        (seen(week), None),
        (seen(week + 1), Some("not-seen")),
        (seen(-5), None),
        (ratings(rated(7, 0, 3)), None),
        (ratings(rated(6, 1, 3)), None),
        (ratings(rated(69, 0, 30)), Some("bad-ratings")),
        (ratings(rated(0, 0, 1)), Some("bad-ratings")),
        (minimum(120.0), None),
        (minimum(120.01), Some("rate-below-minimum")),
        (turned(0.6, 0.8), None),
        (turned(0.59, 0.81), Some("dissimilar")),
        (turned(-1.0, 0.0), Some("dissimilar")),
    ] {
        assert_eq!(first(profile.clone()), expected, "{profile:?}");
    }
}

#[test]
fn everything_that_excludes_is_named_in_order() {
    let all = Profile {
        user_id: "employer".to_owned(),
        available: false,
        last_seen: None,
        ratings: rated(0, 0, 2),
        rates: Some(RateRange {
            min: 200.0,
            max: 300.0,
        }),
        embedding: Some(embedding(vec![0.0, 1.0])),
        ..profile()
    };
    let words: Vec<_> = excluded_by(&wanted(), &all)
        .iter()
        .map(|by| by.word())
        .collect();
    let expected = [
        "unavailable",
        "own-job",
        "not-seen",
        "bad-ratings",
        "rate-below-minimum",
        "dissimilar",
    ];
    assert_eq!(words, expected);
    let absent = Profile {
        present: false,
        excluded: Some("incomplete".to_owned()),
        ..Profile::default()
    };
    assert_eq!(excluded_by(&wanted(), &absent), [Excluded::Incomplete]);
}

#[test]
fn equal_scores_go_by_id() {
    let score = |semantic| Score {
        similarity: 0.6,
        semantic,
        district: 0.0,
        rate: 0.0,
    };
    let people = [("c", 40.0), ("b", 40.0), ("a", 30.0), ("d", 45.0)];
    let people = people.map(|(id, semantic)| (id.to_owned(), score(semantic)));
    let order: Vec<String> = ranked(people.to_vec())
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(order, ["d", "b", "c", "a"]);
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let week = SEEN_WITHIN.whole_milliseconds() as i64;
    let ago = prop_oneof![
        Just(None),
        (week - 2..week + 2).prop_map(Some),
        Just(Some(0))
    ];
    let rates = prop_oneof![
        Just(None),
        (118_u8..123, 0_u8..40).prop_map(|(min, more)| Some(RateRange {
            min: f64::from(min),
            max: f64::from(min) + f64::from(more),
        })),
    ];
    let vector = (-40_i16..=40, 1_i16..=40).prop_map(|(x, y)| vec![f32::from(x), f32::from(y)]);
    let ratings = (0_u64..8, 0_u64..3, 0_u64..5);
    (any::<bool>(), ago, ratings, rates, vector, any::<bool>()).prop_map(
        |(available, ago, (good, neutral, bad), rates, vector, own)| Profile {
            user_id: if own { "employer" } else { "u-1" }.to_owned(),
            available,
            last_seen: ago.map(|ago| millis(AS_OF) - ago),
            ratings: rated(good, neutral, bad),
            rates,
            embedding: Some(embedding(vector)),
            ..profile()
        },
    )
}

proptest! {
    #[test]
    fn the_index_proposes_everybody_who_qualifies(profile in any_profile()) {
        let wanted = wanted();
        let (filter, at_least) = proposed(&wanted);
        let judged = judge(&wanted, &profile);
        let point = profile.point().unwrap();
        let near = wanted.embedding.cosine(&point.embedding) >= at_least;
        if judged.is_ok() {
            prop_assert!(filter.passes(&point.fields) && near);
        }
        prop_assert_eq!(judged.err(), excluded_by(&wanted, &profile).first().copied());
    }

    #[test]
    fn a_score_is_between_0_and_100(profile in any_profile()) {
        if let Ok(score) = judge(&wanted(), &profile) {
            prop_assert!((30.0..=100.0).contains(&score.total()));
        }
    }
}
