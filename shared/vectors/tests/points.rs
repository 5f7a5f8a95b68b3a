//! The embedded index of points: the contract, and what the disk and several threads add to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod points_contract;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use millrace_events::reason;
use millrace_vectors::{
    Durability, Field, Filter, Layout, OverlayPoints, Point, PointChange, PointIndex, ScanPoints,
    ScanSettings,
};
use points_contract::{all, assert_is_all, at, axis, direction, model, point, with};
use proptest::prelude::*;

fn settings(layout: Layout, threads: usize, durability: Durability) -> ScanSettings {
    ScanSettings {
        durability,
        layout,
        threads: NonZeroUsize::new(threads).unwrap(),
    }
}

#[tokio::test]
async fn in_memory_it_keeps_the_contract() {
    points_contract::holds(&ScanPoints::in_memory()).await;
}

#[tokio::test]
async fn on_disk_it_keeps_the_contract() {
    for (layout, durability) in [
        (Layout::Half, Durability::Written),
        (Layout::Full, Durability::Synced),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(layout, 1, durability);
        let index = ScanPoints::open_with(folder.path(), settings).unwrap();
        points_contract::holds(&index).await;
    }
}

fn over(below: &ScanPoints) -> (OverlayPoints, Arc<Mutex<Vec<PointChange>>>) {
    let told: Arc<Mutex<Vec<PointChange>>> = Arc::default();
    let tell = told.clone();
    let overlay = OverlayPoints::new(
        Arc::new(below.clone()),
        Box::new(move |change| tell.lock().unwrap().push(change)),
    );
    (overlay, told)
}

#[tokio::test]
async fn an_overlay_keeps_the_contract_and_the_index_below_hears_nothing_of_it() {
    let below = ScanPoints::in_memory();
    let (overlay, _) = over(&below);
    points_contract::holds(&overlay).await;
    assert!(
        below
            .within(&axis(), &all(), -1.0)
            .await
            .unwrap()
            .is_empty()
    );
    // Not even the model.
    below
        .check(&millrace_vectors::ModelId::new("another"), 8)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_overlay_shows_what_is_below_with_its_own_changes_and_tells_them() {
    let below = ScanPoints::in_memory();
    let old = [
        point("a", 3, at(0.9)),
        point("b", 3, at(0.8)),
        point("c", 3, at(0.7)),
    ];
    below.put(&old).await.unwrap();
    let (overlay, told) = over(&below);
    assert_eq!(overlay.get("a").await.unwrap().as_ref(), Some(&old[0]));
    overlay
        .put(&[
            point("a", 2, at(0.1)),
            point("b", 4, at(0.1)),
            point("d", 1, at(0.6)),
        ])
        .await
        .unwrap();
    overlay.remove("c", 2).await.unwrap();
    overlay.remove("c", 3).await.unwrap();
    overlay.remove("c", 3).await.unwrap();
    overlay.remove("e", 1).await.unwrap();
    overlay.put(&[point("e", 0, axis())]).await.unwrap();
    let found = overlay.within(&axis(), &all(), 0.0).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|found| (found.id.as_str(), found.revision))
        .collect();
    assert_eq!(found, [("a", 3), ("d", 1), ("b", 4)]);
    assert_eq!(overlay.get("c").await.unwrap(), None);
    let put = |id: &str, revision| PointChange::Put {
        id: id.to_owned(),
        revision,
    };
    let removed = PointChange::Remove {
        id: "c".to_owned(),
        revision: 3,
    };
    assert_eq!(*told.lock().unwrap(), [put("b", 4), put("d", 1), removed]);
    let there = below.within(&axis(), &all(), -1.0).await.unwrap();
    assert_is_all(&there, &old, &axis(), &all(), -1.0);
    assert_eq!(there.len(), 3);
}

#[tokio::test]
async fn there_is_one_writer_and_any_number_of_readers() {
    let folder = tempfile::tempdir().unwrap();
    let reader = ScanPoints::open_read_only(&folder.path().join("not-there-yet")).unwrap();
    assert!(
        reader
            .within(&axis(), &all(), -1.0)
            .await
            .unwrap()
            .is_empty()
    );
    let writer = ScanPoints::open(folder.path()).unwrap();
    let second = ScanPoints::open(folder.path()).err().unwrap();
    assert_eq!(second.reason(), reason::INDEX_UNAVAILABLE);
    let reader = ScanPoints::open_read_only(folder.path()).unwrap();
    for number in 0..5 {
        let id = format!("p{number}");
        writer
            .put(&[point(&id, 1, direction(number))])
            .await
            .unwrap();
        let seen = reader.within(&axis(), &all(), -1.0).await.unwrap();
        assert_eq!(seen.len(), number as usize + 1);
    }
    writer.remove("p3", 2).await.unwrap();
    assert_eq!(reader.get("p3").await.unwrap(), None);
    let refused = reader.put(&[point("x", 1, axis())]).await.unwrap_err();
    assert_eq!(refused.reason(), reason::INDEX_REJECTED);
    let refused = reader.remove("p1", 9).await.unwrap_err();
    assert_eq!(refused.reason(), reason::INDEX_REJECTED);
    drop(writer);
    ScanPoints::open(folder.path()).unwrap();
}

#[tokio::test]
async fn damage_in_the_middle_is_said_and_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = ScanPoints::open(folder.path()).unwrap();
        for number in 0..3 {
            let id = format!("p{number}");
            index
                .put(&[point(&id, 1, direction(number))])
                .await
                .unwrap();
        }
    }
    let log = folder.path().join("points.log");
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let index = ScanPoints::open(folder.path()).unwrap();
    for _ in 0..2 {
        let failure = index.within(&axis(), &all(), 0.0).await.unwrap_err();
        assert_eq!(failure.reason(), reason::INDEX_REJECTED);
        assert!(
            failure.message().contains("is damaged at byte 24"),
            "{failure}"
        );
        assert!(index.put(&[point("x", 1, axis())]).await.is_err());
    }
    assert_eq!(fs::read(&log).unwrap(), bytes);
}

/// Writers, searches and compactions at once: nobody who is there all the time is ever missed, and nothing acknowledged is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn searches_and_compactions_run_while_points_change() {
    let folder = tempfile::tempdir().unwrap();
    let index = ScanPoints::open(folder.path()).unwrap();
    let steady: Vec<Point> = (0..3000)
        .map(|number| point(&format!("steady-{number}"), 1, at(0.9)))
        .collect();
    index.put(&steady).await.unwrap();
    let largest = Arc::new(Mutex::new(0));
    let is_done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3_u32)
        .map(|writer| {
            let (index, largest) = (index.clone(), largest.clone());
            let log = folder.path().join("points.log");
            tokio::spawn(async move {
                for revision in 1..400 {
                    let points: Vec<Point> = (0..20)
                        .map(|number| {
                            let id = format!("busy-{writer}-{number}");
                            point(&id, revision, direction(revision as u32))
                        })
                        .collect();
                    index.put(&points).await.unwrap();
                    index.remove(&points[0].id, revision).await.unwrap();
                    let size = fs::metadata(&log).unwrap().len();
                    let mut largest = largest.lock().unwrap();
                    *largest = size.max(*largest);
                }
            })
        })
        .collect();
    let searches = (0..2).map(|_| {
        let (index, is_done) = (index.clone(), is_done.clone());
        let reader = ScanPoints::open_read_only(folder.path()).unwrap();
        tokio::spawn(async move {
            let mut rounds = 0;
            while rounds < 3 || !is_done.load(Ordering::Relaxed) {
                for index in [&index, &reader] {
                    let found = index.within(&axis(), &all(), 0.85).await.unwrap();
                    let steady = found.iter().filter(|found| found.id.starts_with("steady"));
                    assert_eq!(steady.count(), 3000);
                }
                rounds += 1;
            }
        })
    });
    let searches: Vec<_> = searches.collect();
    for writer in writers {
        writer.await.unwrap();
    }
    is_done.store(true, Ordering::Relaxed);
    for search in searches {
        search.await.unwrap();
    }
    let size = fs::metadata(folder.path().join("points.log"))
        .unwrap()
        .len();
    let largest = *largest.lock().unwrap();
    assert!(largest < 6 << 20, "{largest} bytes: it was never compacted");
    drop(index);
    // The writers are done, but a compaction may hold the folder for a moment.
    let index = loop {
        match ScanPoints::open(folder.path()) {
            Ok(index) => break index,
            Err(failure) => assert!(failure.is_transient(), "{failure}"),
        }
    };
    let found = index.within(&axis(), &all(), -1.0).await.unwrap();
    assert_eq!(found.len(), 3000 + 3 * 19, "{size} bytes");
    for writer in 0..3 {
        for number in 1..20 {
            let there = index.get(&format!("busy-{writer}-{number}")).await.unwrap();
            assert_eq!(there.unwrap().revision, 399);
        }
        assert_eq!(index.get(&format!("busy-{writer}-0")).await.unwrap(), None);
        // The removal is remembered through every compaction.
        let late = point(&format!("busy-{writer}-0"), 398, axis());
        index.put(&[late]).await.unwrap();
        assert_eq!(index.get(&format!("busy-{writer}-0")).await.unwrap(), None);
    }
}

const IDS: u8 = 14;

#[derive(Debug, Clone)]
enum Step {
    /// Several at once, some of them older than what is known.
    Put(Vec<(u8, u64, u32)>),
    Remove(u8, u64),
    Reopen,
    /// Ends a write in the middle: bytes of a record that was never acknowledged.
    Tear(usize),
    Search {
        query: u32,
        at_least: f32,
        filter: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0..IDS, 0_u64..12, 0_u32..60);
    prop_oneof![
        5 => prop::collection::vec(put, 1..12).prop_map(Step::Put),
        2 => (0..IDS, 0_u64..12).prop_map(|(id, revision)| Step::Remove(id, revision)),
        1 => Just(Step::Reopen),
        1 => (1_usize..300).prop_map(Step::Tear),
        3 => (0_u32..60, -1.0_f32..1.0, 0_usize..5)
            .prop_map(|(query, at_least, filter)| Step::Search { query, at_least, filter }),
    ]
}

fn some_point(id: u8, revision: u64, number: u32) -> Point {
    let point = point(&format!("id-{id}"), revision, direction(number));
    let point = with(point, "rate", Field::Number(f64::from(number) / 4.0));
    match number % 3 {
        0 => with(point, "word", Field::Word(format!("w{}", number % 4))),
        1 => with(point, "word", Field::Flag(number.is_multiple_of(2))),
        _ => point,
    }
}

fn some_filter(number: usize) -> Filter {
    match number {
        0 => all(),
        1 => Filter::AtLeast("rate", 7.25),
        2 => Filter::Is("word", Field::Word("w3".to_owned())),
        3 => Filter::All(vec![
            Filter::AtMost("rate", 10.0),
            Filter::IsNot("word", Field::Flag(true)),
        ]),
        _ => Filter::Is("word", Field::Number(1.0)),
    }
}

/// Bytes of a record that was never acknowledged, at the end of the log.
fn tear(folder: &Path, bytes: usize) {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        let index = ScanPoints::open(scratch.path()).unwrap();
        index.put(&[some_point(3, 99, 1)]).await.unwrap();
    });
    let record = fs::read(scratch.path().join("points.log"))
        .unwrap()
        .split_off(24);
    if let Ok(mut log) = File::options().append(true).open(folder.join("points.log")) {
        log.write_all(&record[..bytes.min(record.len() - 1)])
            .unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

/// The newest that was said of an id: its revision, and the point unless it was taken out.
type Model = BTreeMap<String, (u64, Option<Point>)>;

fn tell(model: &mut Model, id: String, revision: u64, point: Option<Point>) {
    let known = model.get(&id).map(|(revision, _)| *revision);
    if known.is_none_or(|known| revision >= known) {
        model.insert(id, (revision, point));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever is put, removed, out of order and cut short, a search answers what the definition says, for the writer
    /// and for a reader that was open all the time.
    #[test]
    fn it_answers_as_brute_force_does(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = runtime();
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ScanPoints::open(folder.path()).unwrap();
        let reader = ScanPoints::open_read_only(folder.path()).unwrap();
        runtime.block_on(writer.check(&model(), points_contract::DIMENSIONS)).unwrap();
        let mut model = Model::new();
        let last = Step::Search { query: 0, at_least: -1.0, filter: 0 };
        for step in steps.into_iter().chain([Step::Reopen, last]) {
            match step {
                Step::Put(points) => {
                    let points: Vec<Point> = points
                        .into_iter()
                        .map(|(id, revision, number)| some_point(id, revision, number))
                        .collect();
                    runtime.block_on(writer.put(&points)).unwrap();
                    for point in points {
                        tell(&mut model, point.id.clone(), point.revision, Some(point));
                    }
                }
                Step::Remove(id, revision) => {
                    let id = format!("id-{id}");
                    runtime.block_on(writer.remove(&id, revision)).unwrap();
                    tell(&mut model, id, revision, None);
                }
                Step::Reopen => {
                    drop(writer);
                    writer = ScanPoints::open(folder.path()).unwrap();
                }
                Step::Tear(bytes) => {
                    drop(writer);
                    tear(folder.path(), bytes);
                    // A reader meets the torn record before any writer has cut it off.
                    runtime.block_on(reader.within(&axis(), &all(), 0.0)).unwrap();
                    writer = ScanPoints::open(folder.path()).unwrap();
                }
                Step::Search { query, at_least, filter } => {
                    let there: Vec<Point> = model.values().filter_map(|(_, point)| point.clone()).collect();
                    let (query, filter) = (direction(query), some_filter(filter));
                    for index in [&writer, &reader] {
                        let found = runtime.block_on(index.within(&query, &filter, at_least)).unwrap();
                        assert_is_all(&found, &there, &query, &filter, at_least);
                    }
                }
            }
        }
        for (id, (_, point)) in &model {
            prop_assert_eq!(&runtime.block_on(writer.get(id)).unwrap(), point);
        }
    }
}
