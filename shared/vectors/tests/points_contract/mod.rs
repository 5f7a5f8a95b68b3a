//! What every index of points does, whichever it is.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use millrace_events::reason;
use millrace_vectors::{Embedding, Field, Fields, Filter, Found, ModelId, Point, PointIndex};

pub const DIMENSIONS: usize = 32;

/// How far a score may be from the cosine in double precision: indexes keep to 32 bits.
pub const CLOSE: f64 = 1e-5;

/// The model that [`holds`] checks.
pub fn model() -> ModelId {
    ModelId::new("test-model-1")
}

/// A direction at an angle to the first axis: its cosine with [`axis`] is `cosine`.
pub fn at(cosine: f32) -> Embedding {
    let mut values = vec![0.0; DIMENSIONS];
    values[0] = cosine;
    values[7] = (1.0 - cosine * cosine).max(0.0).sqrt();
    Embedding::try_new(values, DIMENSIONS).unwrap()
}

/// The first axis.
pub fn axis() -> Embedding {
    at(1.0)
}

/// A direction of its own for each number.
pub fn direction(number: u32) -> Embedding {
    let mut state = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values = (0..DIMENSIONS).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    });
    Embedding::try_new(values.collect(), DIMENSIONS).unwrap()
}

pub fn point(id: &str, revision: u64, embedding: Embedding) -> Point {
    let fields = Fields::from([
        ("available".to_owned(), Field::Flag(true)),
        ("lastSeen".to_owned(), Field::Number(1_795_000_000_123.0)),
        ("userId".to_owned(), Field::Word(id.to_owned())),
    ]);
    Point {
        id: id.to_owned(),
        revision,
        embedding,
        fields,
    }
}

pub fn with(mut point: Point, name: &str, field: Field) -> Point {
    point.fields.insert(name.to_owned(), field);
    point
}

/// Every point passes.
pub fn all() -> Filter {
    Filter::All(vec![])
}

/// The cosine in double precision.
pub fn cosine(left: &Embedding, right: &Embedding) -> f64 {
    let pairs = left.values().iter().zip(right.values());
    let dot: f64 = pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    dot.clamp(-1.0, 1.0)
}

/// Asserts that what was found is what the definition says.
pub fn assert_is_all(
    found: &[Found],
    points: &[Point],
    query: &Embedding,
    filter: &Filter,
    at_least: f32,
) {
    for pair in found.windows(2) {
        let is_ordered = pair[0].score > pair[1].score
            || pair[0].score == pair[1].score && pair[0].id < pair[1].id;
        assert!(is_ordered, "{pair:?}");
    }
    for point in points {
        let score = cosine(&point.embedding, query);
        let there = found.iter().find(|found| found.id == point.id);
        let is_wanted = point_passes(point, filter) && score >= f64::from(at_least);
        let is_close = (score - f64::from(at_least)).abs() < CLOSE;
        assert!(
            is_wanted == there.is_some() || is_close && point_passes(point, filter),
            "{} with {score}: {there:?}",
            point.id
        );
        if let Some(there) = there {
            assert_eq!(there.revision, point.revision, "{}", point.id);
            assert!(
                (f64::from(there.score) - score).abs() < CLOSE,
                "{there:?} is not {score}"
            );
        }
    }
    for found in found {
        assert!(
            points.iter().any(|point| point.id == found.id),
            "{found:?} is nobody's"
        );
    }
}

fn point_passes(point: &Point, filter: &Filter) -> bool {
    filter.passes(&point.fields)
}

pub async fn ids(index: &dyn PointIndex, filter: &Filter, at_least: f32) -> Vec<String> {
    let found = index.within(&axis(), filter, at_least).await.unwrap();
    found.into_iter().map(|found| found.id).collect()
}

async fn remove_all<'a>(index: &dyn PointIndex, ids: impl Iterator<Item = &'a str>) {
    let removals = futures::future::join_all(ids.map(|id| index.remove(id, 1)));
    removals.await.into_iter().for_each(Result::unwrap);
}

/// Runs every clause on an index that is empty and not checked yet.
pub async fn holds(index: &dyn PointIndex) {
    the_model_is_checked(index).await;
    what_is_put_is_there(index).await;
    every_one_near_enough_is_found(index).await;
    each_filter_is_as_defined(index).await;
    an_older_revision_never_replaces_a_newer(index).await;
    a_removal_is_remembered(index).await;
    what_is_put_again_is_found_by_its_new_state_alone(index).await;
    equal_scores_are_ordered_by_id(index).await;
    ids_are_any_text(index).await;
    what_does_not_fit_is_refused(index).await;
}

async fn the_model_is_checked(index: &dyn PointIndex) {
    let other = ModelId::new("another-model");
    for model in [&other, &model()] {
        index.fits(model, DIMENSIONS).await.unwrap();
    }
    for _ in 0..2 {
        index.check(&model(), DIMENSIONS).await.unwrap();
    }
    index.fits(&model(), DIMENSIONS).await.unwrap();
    for (model, dimensions) in [(&other, DIMENSIONS), (&model(), 8)] {
        for failure in [
            index.fits(model, dimensions).await.unwrap_err(),
            index.check(model, dimensions).await.unwrap_err(),
        ] {
            assert_eq!(failure.reason(), reason::MODEL_MISMATCH);
            assert!(!failure.is_transient());
        }
    }
}

async fn what_is_put_is_there(index: &dyn PointIndex) {
    assert_eq!(index.get("whole").await.unwrap(), None);
    assert!(ids(index, &all(), -1.0).await.is_empty());
    index.put(&[]).await.unwrap();
    let whole = with(
        point("whole", 7, direction(1)),
        "badShare",
        Field::Number(0.1 + 0.2),
    );
    for _ in 0..2 {
        index.put(std::slice::from_ref(&whole)).await.unwrap();
        assert_eq!(index.get("whole").await.unwrap(), Some(whole.clone()));
    }
    index.remove("whole", 7).await.unwrap();
    assert_eq!(index.get("whole").await.unwrap(), None);
}

async fn every_one_near_enough_is_found(index: &dyn PointIndex) {
    let points: Vec<Point> = (0..120)
        .map(|number| point(&format!("near-{number:03}"), 1, direction(number)))
        .chain([
            point("same", 1, axis()),
            point("opposite", 1, at(-1.0)),
            point("across", 1, at(0.0)),
            point("half", 1, at(0.5)),
        ])
        .collect();
    index.put(&points).await.unwrap();
    for at_least in [-1.0, -0.2, 0.0, 0.1, 0.45, 0.55, 0.999] {
        let found = index.within(&axis(), &all(), at_least).await.unwrap();
        assert_is_all(&found, &points, &axis(), &all(), at_least);
    }
    let found = index.within(&direction(5), &all(), 0.9).await.unwrap();
    assert_eq!(found[0].id, "near-005");
    remove_all(index, points.iter().map(|point| point.id.as_str())).await;
    assert!(ids(index, &all(), -1.0).await.is_empty());
}

async fn each_filter_is_as_defined(index: &dyn PointIndex) {
    let number = |value: f64| Field::Number(value);
    let word = |text: &str| Field::Word(text.to_owned());
    let plain = |id: &str| Point {
        fields: Fields::new(),
        ..point(id, 1, at(0.8))
    };
    let points = [
        plain("none"),
        with(plain("yes"), "x", Field::Flag(true)),
        with(plain("no"), "x", Field::Flag(false)),
        with(plain("low"), "x", number(-1.5)),
        with(plain("zero"), "x", number(0.0)),
        with(plain("third"), "x", number(0.3)),
        with(plain("high"), "x", number(1_795_000_000_123.0)),
        with(plain("true-word"), "x", word("true")),
        with(plain("number-word"), "x", word("0.3")),
        with(plain("other-word"), "x", word("Mong Kok 旺角 \"*\\")),
        with(plain("empty-word"), "x", word("")),
        with(
            with(plain("both"), "x", number(0.3)),
            "y",
            Field::Flag(true),
        ),
    ];
    index.put(&points).await.unwrap();
    let filters = [
        all(),
        Filter::Is("x", Field::Flag(true)),
        Filter::Is("x", Field::Flag(false)),
        Filter::Is("x", number(0.3)),
        Filter::Is("x", number(-0.0)),
        Filter::Is("x", word("0.3")),
        Filter::Is("x", word("true")),
        Filter::Is("x", word("Mong Kok 旺角 \"*\\")),
        Filter::Is("x", word("")),
        Filter::Is("x", word("*")),
        Filter::Is("unknown", word("x")),
        Filter::IsNot("x", Field::Flag(true)),
        Filter::IsNot("x", number(0.3)),
        Filter::IsNot("x", word("0.3")),
        Filter::IsNot("x", word("")),
        Filter::IsNot("unknown", Field::Flag(true)),
        Filter::AtLeast("x", 0.3),
        Filter::AtLeast("x", 0.300_000_000_000_000_04),
        Filter::AtLeast("x", -0.0),
        Filter::AtLeast("x", 1_795_000_000_123.0),
        Filter::AtLeast("x", 1_795_000_000_123.5),
        Filter::AtLeast("unknown", f64::MIN),
        Filter::AtMost("x", 0.3),
        Filter::AtMost("x", 0.0),
        Filter::AtMost("x", -1.6),
        Filter::AtMost("x", f64::INFINITY),
        Filter::AtLeast("x", f64::NEG_INFINITY),
        Filter::AtLeast("x", f64::INFINITY),
        Filter::AtMost("x", f64::NAN),
        Filter::All(vec![
            Filter::AtLeast("x", 0.0),
            Filter::IsNot("y", Field::Flag(true)),
            Filter::All(vec![Filter::AtMost("x", 1.0)]),
        ]),
    ];
    for filter in filters {
        let found = index.within(&axis(), &filter, 0.5).await.unwrap();
        let mut found: Vec<&str> = found.iter().map(|found| found.id.as_str()).collect();
        found.sort_unstable();
        let mut expected: Vec<&str> = points
            .iter()
            .filter(|point| filter.passes(&point.fields))
            .map(|point| point.id.as_str())
            .collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{filter:?}");
        let none = index.within(&axis(), &filter, 0.9).await.unwrap();
        assert!(none.is_empty(), "{filter:?}: {none:?}");
    }
    remove_all(index, points.iter().map(|point| point.id.as_str())).await;
}

async fn an_older_revision_never_replaces_a_newer(index: &dyn PointIndex) {
    let newer = point("late", 5, at(0.9));
    let older = point("late", 4, at(0.1));
    index
        .put(&[older.clone(), newer.clone(), older.clone()])
        .await
        .unwrap();
    index.put(std::slice::from_ref(&older)).await.unwrap();
    assert_eq!(index.get("late").await.unwrap(), Some(newer.clone()));
    index.remove("late", 4).await.unwrap();
    assert_eq!(index.get("late").await.unwrap(), Some(newer));
    index.remove("late", u64::from(u32::MAX) * 8).await.unwrap();
    assert_eq!(index.get("late").await.unwrap(), None);
}

async fn a_removal_is_remembered(index: &dyn PointIndex) {
    // Also of what was never there.
    for revision in [8, 8, 3] {
        index.remove("gone", revision).await.unwrap();
    }
    for revision in [1, 7] {
        index.put(&[point("gone", revision, axis())]).await.unwrap();
        assert_eq!(index.get("gone").await.unwrap(), None);
        assert!(ids(index, &all(), -1.0).await.is_empty());
    }
    let again = point("gone", 9, axis());
    index.put(std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(index.get("gone").await.unwrap(), Some(again));
    assert_eq!(ids(index, &all(), -1.0).await, ["gone"]);
    index.remove("gone", 9).await.unwrap();
    assert!(ids(index, &all(), -1.0).await.is_empty());
}

async fn what_is_put_again_is_found_by_its_new_state_alone(index: &dyn PointIndex) {
    let before = with(point("moved", 1, at(0.9)), "mark", Field::Flag(true));
    let after = point("moved", 2, at(0.2));
    index.put(&[before]).await.unwrap();
    let marked = Filter::Is("mark", Field::Flag(true));
    assert_eq!(ids(index, &marked, 0.5).await, ["moved"]);
    index.put(std::slice::from_ref(&after)).await.unwrap();
    assert!(ids(index, &all(), 0.5).await.is_empty());
    assert!(ids(index, &marked, -1.0).await.is_empty());
    let found = index.within(&axis(), &all(), 0.1).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].revision, 2);
    index.remove("moved", 2).await.unwrap();
}

async fn equal_scores_are_ordered_by_id(index: &dyn PointIndex) {
    let mut names: Vec<String> = ["b", "a", "d", "c", "A", "10", "9"]
        .map(|name| format!("tie-{name}"))
        .to_vec();
    let points: Vec<Point> = names.iter().map(|name| point(name, 1, at(0.7))).collect();
    index.put(&points).await.unwrap();
    names.sort_unstable();
    assert_eq!(ids(index, &all(), 0.6).await, names);
    remove_all(index, names.iter().map(String::as_str)).await;
}

async fn ids_are_any_text(index: &dyn PointIndex) {
    let strange = [
        "a/b?c=d&e#f",
        "王小明",
        "x y\"z\\",
        "*",
        "..",
        "_id",
        "A",
        "a",
    ];
    for id in strange {
        index.put(&[point(id, 1, at(0.7))]).await.unwrap();
        assert_eq!(index.get(id).await.unwrap().unwrap().id, id);
    }
    let mut expected = strange.to_vec();
    expected.sort_unstable();
    assert_eq!(ids(index, &all(), 0.0).await, expected);
    remove_all(index, strange.into_iter()).await;
    assert!(ids(index, &all(), -1.0).await.is_empty());
}

async fn what_does_not_fit_is_refused(index: &dyn PointIndex) {
    let short = Point {
        embedding: Embedding::try_new(vec![1.0; 8], 8).unwrap(),
        ..point("short", 1, axis())
    };
    let failure = index.put(&[short]).await.unwrap_err();
    assert!(!failure.is_transient(), "{failure}");
    let infinite = with(
        point("infinite", 1, axis()),
        "x",
        Field::Number(f64::INFINITY),
    );
    let failure = index.put(&[infinite]).await.unwrap_err();
    assert_eq!(failure.reason(), reason::INDEX_REJECTED);
    assert_eq!(index.get("short").await.unwrap(), None);
    assert_eq!(index.get("infinite").await.unwrap(), None);
}
