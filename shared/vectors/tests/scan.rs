//! The embedded index: the contract, and what the disk adds to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use contract::{ANN, BEN, entry, ids};
use millrace_events::reason;
use millrace_vectors::{Durability, Embedding, Entry, ModelId, ScanIndex, VectorIndex};
use proptest::prelude::*;

#[tokio::test]
async fn in_memory_it_keeps_the_contract() {
    contract::holds(&ScanIndex::in_memory()).await;
}

#[tokio::test]
async fn on_disk_it_keeps_the_contract() {
    for durability in [Durability::Written, Durability::Synced] {
        let folder = tempfile::tempdir().unwrap();
        contract::holds(&ScanIndex::open_with(folder.path(), durability).unwrap()).await;
    }
}

#[tokio::test]
async fn what_was_put_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = ModelId::new("m");
    let kept = entry(ANN, "d", "2", 0, "kept");
    {
        let index = ScanIndex::open(folder.path()).unwrap();
        index.check(&model, 1536).await.unwrap();
        index
            .put(&[
                entry(ANN, "d", "1", 0, "old"),
                kept.clone(),
                entry(BEN, "d", "1", 0, "Ben's"),
            ])
            .await
            .unwrap();
        index.remove_older(ANN, "d", "2").await.unwrap();
    }
    let index = ScanIndex::open(folder.path()).unwrap();
    let hits = index.search(ANN, &kept.embedding, 10).await.unwrap();
    assert_eq!(ids(&hits), [kept.chunk_id.as_str()]);
    assert_eq!(index.document_chunks(BEN, "d").await.unwrap().len(), 1);
    assert_eq!(
        index.check(&model, 8).await.unwrap_err().reason(),
        reason::MODEL_MISMATCH
    );
}

const CHILD_FOLDER: &str = "MILLRACE_TEST_CHILD_FOLDER";

/// Not a test of its own: what [`what_was_acknowledged_survives_a_kill`] starts and kills.
#[tokio::test]
async fn child_that_puts_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else {
        return;
    };
    let index = ScanIndex::open(Path::new(&folder)).unwrap();
    let first = index.document_chunks(ANN, "d").await.unwrap().len() as u32;
    for number in first.. {
        index
            .put(&[entry(ANN, "d", "1", number, &format!("text {number}"))])
            .await
            .unwrap();
        // The harness catches `println!` in tests.
        let _ =
            std::io::Write::write_all(&mut std::io::stderr(), format!("put {number}\n").as_bytes());
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    use std::io::BufRead;
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = None;
    for round in 0..4_u32 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_that_puts_until_it_is_killed",
                "--nocapture",
            ])
            .env(CHILD_FOLDER, folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        for _ in 0..20 + round * 7 {
            let line = lines.next().unwrap().unwrap();
            acknowledged = line
                .strip_prefix("put ")
                .map(|number| number.parse::<usize>().unwrap())
                .or(acknowledged);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let index = ScanIndex::open(folder.path()).unwrap();
    let there = index.document_chunks(ANN, "d").await.unwrap().len();
    assert!(
        there > acknowledged.unwrap(),
        "{there} chunks are there, {acknowledged:?} was the last acknowledged"
    );
}

#[tokio::test]
async fn there_is_one_writer_and_any_number_of_readers() {
    let folder = tempfile::tempdir().unwrap();
    let reader = ScanIndex::open_read_only(&folder.path().join("not-there-yet")).unwrap();
    let query = contract::embedding("the wheel");
    assert_eq!(reader.search(ANN, &query, 3).await.unwrap(), []);

    let writer = ScanIndex::open(folder.path()).unwrap();
    let second = ScanIndex::open(folder.path()).err().unwrap();
    assert_eq!(second.reason(), reason::INDEX_UNAVAILABLE);
    assert!(
        second.message().contains("another process writes"),
        "{second}"
    );

    let reader = ScanIndex::open_read_only(folder.path()).unwrap();
    assert_eq!(reader.search(ANN, &query, 3).await.unwrap(), []);
    for number in 0..3 {
        writer
            .put(&[entry(ANN, "d", "1", number, "the wheel")])
            .await
            .unwrap();
        assert_eq!(
            reader.search(ANN, &query, 9).await.unwrap().len(),
            number as usize + 1
        );
    }
    writer.remove_document(ANN, "d", None).await.unwrap();
    assert_eq!(reader.search(ANN, &query, 3).await.unwrap(), []);

    let refused = reader
        .put(&[entry(ANN, "d", "1", 0, "x")])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), reason::INDEX_REJECTED);
    drop(writer);
    ScanIndex::open(folder.path()).unwrap();
}

/// A child that another thread is just starting has every open file too, until it becomes its own program.
#[test]
fn a_dropped_writer_makes_way_at_once_although_children_are_being_started() {
    let folder = tempfile::tempdir().unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let is_done = || done.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done() {
                    let program = std::env::current_exe().unwrap();
                    let mut child = std::process::Command::new(program);
                    // A working directory of its own makes it a fork and an exec, with time between them.
                    let child = child
                        .arg("--list")
                        .current_dir("/")
                        .stdout(std::process::Stdio::null());
                    child.spawn().unwrap().wait().unwrap();
                }
            });
        }
        let opened = (0..2_000).all(|_| ScanIndex::open(folder.path()).is_ok());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(opened, "the lock outlived its writer");
    });
}

#[tokio::test]
async fn compaction_gives_back_the_space_and_readers_follow() {
    let folder = tempfile::tempdir().unwrap();
    let writer = ScanIndex::open(folder.path()).unwrap();
    let reader = ScanIndex::open_read_only(folder.path()).unwrap();
    let entries: Vec<Entry> = (0..10)
        .map(|number| entry(ANN, "d", "1", number, &format!("text {number}")))
        .collect();
    let mut largest = 0;
    for _ in 0..30 {
        writer.put(&entries).await.unwrap();
        largest = largest.max(fs::metadata(only_log(folder.path())).unwrap().len());
        assert_eq!(
            reader.search(ANN, &entries[3].embedding, 1).await.unwrap()[0].chunk_id,
            entries[3].chunk_id
        );
    }
    assert!(largest < 512 * 1024, "{largest} bytes for ten chunks");
    drop(writer);
    let again = ScanIndex::open(folder.path()).unwrap();
    assert_eq!(again.document_chunks(ANN, "d").await.unwrap().len(), 10);
}

#[tokio::test]
async fn damage_in_the_middle_is_said_and_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = ScanIndex::open(folder.path()).unwrap();
        for number in 0..3 {
            index
                .put(&[entry(ANN, "d", "1", number, "text")])
                .await
                .unwrap();
        }
    }
    let log = only_log(folder.path());
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let index = ScanIndex::open(folder.path()).unwrap();
    for _ in 0..2 {
        let failure = index
            .search(ANN, &contract::embedding("text"), 3)
            .await
            .unwrap_err();
        assert_eq!(failure.reason(), reason::INDEX_REJECTED);
        assert!(
            failure.message().contains("is damaged at byte 24"),
            "{failure}"
        );
    }
    assert_eq!(fs::read(&log).unwrap(), bytes);
}

#[tokio::test]
async fn a_log_under_another_users_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = ScanIndex::open(folder.path()).unwrap();
        index
            .put(&[entry(BEN, "d", "1", 0, "Ben's")])
            .await
            .unwrap();
    }
    let of_ben = only_log(folder.path());
    {
        let index = ScanIndex::open(folder.path()).unwrap();
        index
            .put(&[entry(ANN, "d", "1", 0, "Ann's")])
            .await
            .unwrap();
    }
    let of_ann = logs(folder.path())
        .into_iter()
        .find(|log| *log != of_ben)
        .unwrap();
    fs::copy(&of_ben, &of_ann).unwrap();
    let index = ScanIndex::open(folder.path()).unwrap();
    for _ in 0..2 {
        let failure = index
            .search(ANN, &contract::embedding("Ben's"), 3)
            .await
            .unwrap_err();
        assert_eq!(failure.reason(), reason::INDEX_REJECTED);
    }
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("users"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect()
}

fn only_log(folder: &Path) -> PathBuf {
    let mut logs = logs(folder);
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.remove(0)
}

const USERS: [&str; 3] = ["ann", "ben", "../cem"];
const DOCUMENTS: [&str; 2] = ["one", "two"];
const DIMENSIONS: usize = 12;

#[derive(Debug, Clone)]
enum Step {
    Put {
        user: usize,
        document: usize,
        generation: u8,
        chunks: Vec<(u8, i8)>,
    },
    RemoveOlder {
        user: usize,
        document: usize,
        generation: u8,
    },
    Remove {
        user: usize,
        document: usize,
        generation: Option<u8>,
    },
    Reopen,
    /// Ends a write in the middle: bytes of a record that was never acknowledged.
    Crash {
        user: usize,
        bytes: usize,
    },
    Search {
        user: usize,
        direction: i8,
        k: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..USERS.len(), 0..DOCUMENTS.len());
    let chunks = prop::collection::vec((0_u8..6, any::<i8>()), 1..20);
    prop_oneof![
        4 => (place.clone(), 0_u8..4, chunks).prop_map(|((user, document), generation, chunks)| Step::Put { user, document, generation, chunks }),
        1 => (place.clone(), 0_u8..5).prop_map(|((user, document), generation)| Step::RemoveOlder { user, document, generation }),
        1 => (place, prop::option::of(0_u8..4)).prop_map(|((user, document), generation)| Step::Remove { user, document, generation }),
        1 => Just(Step::Reopen),
        1 => (0..USERS.len(), 1_usize..200).prop_map(|(user, bytes)| Step::Crash { user, bytes }),
        3 => (0..USERS.len(), any::<i8>(), 1_usize..12).prop_map(|(user, direction, k)| Step::Search { user, direction, k }),
    ]
}

fn direction(number: i8) -> Embedding {
    let values = (0..DIMENSIONS as i32)
        .map(|place| ((i32::from(number) * 31 + place * 17) % 23 - 11) as f32 + 0.5);
    Embedding::try_new(values.collect(), DIMENSIONS).unwrap()
}

fn model_entry(user: usize, document: usize, generation: u8, chunk: u8, number: i8) -> Entry {
    let long = "x".repeat(2000);
    Entry {
        embedding: direction(number),
        ..entry(
            USERS[user],
            DOCUMENTS[document],
            &generation.to_string(),
            u32::from(chunk),
            &long,
        )
    }
}

/// What a search must answer, by the definition.
fn brute_force(
    model: &HashMap<String, Entry>,
    user: &str,
    query: &Embedding,
    k: usize,
) -> Vec<(String, f64)> {
    let mut all: Vec<(String, f64)> = model
        .values()
        .filter(|entry| entry.user_id == user)
        .map(|entry| {
            let pairs = entry.embedding.values().iter().zip(query.values());
            (
                entry.chunk_id.clone(),
                pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum(),
            )
        })
        .collect();
    all.sort_by(|left, right| {
        right
            .1
            .total_cmp(&left.1)
            .then_with(|| left.0.cmp(&right.0))
    });
    all.truncate(k);
    all
}

/// A record's beginning at the end of every log, as a write that was cut short leaves it.
fn tear(folder: &Path, user: usize, bytes: usize) {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let entry = model_entry(user, 0, 3, 0, 1);
    runtime.block_on(async {
        ScanIndex::open(scratch.path())
            .unwrap()
            .put(&[entry])
            .await
            .unwrap()
    });
    let whole = only_log(scratch.path());
    let record = fs::read(&whole).unwrap().split_off(24);
    let target = folder.join("users").join(whole.file_name().unwrap());
    if let Ok(mut log) = File::options().append(true).open(target) {
        use std::io::Write;
        log.write_all(&record[..bytes.min(record.len() - 1)])
            .unwrap();
    }
}

fn check_search(
    index: &ScanIndex,
    model: &HashMap<String, Entry>,
    user: usize,
    query: &Embedding,
    k: usize,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let hits = runtime
        .block_on(index.search(USERS[user], query, k))
        .unwrap();
    assert!(
        hits.iter().all(|hit| hit.user_id == USERS[user]),
        "a chunk of another user"
    );
    let expected = brute_force(model, USERS[user], query, k);
    assert_eq!(hits.len(), expected.len());
    for (hit, (chunk_id, score)) in hits.iter().zip(&expected) {
        assert!(
            (f64::from(hit.score) - score).abs() < 1e-5,
            "{} is not {score}",
            hit.score
        );
        // Two scores that differ in the last bit only may change places.
        let is_tie = expected
            .iter()
            .filter(|(_, other)| (other - score).abs() < 1e-5)
            .count()
            > 1;
        assert!(
            hit.chunk_id == *chunk_id || is_tie || expected.len() == k,
            "{} is not {chunk_id}",
            hit.chunk_id
        );
        assert!(
            model.contains_key(&hit.chunk_id),
            "a chunk that was removed"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever is put, removed and cut short, a search answers what the definition says, for the writer
    /// and for a reader that was open all the time.
    #[test]
    fn it_answers_as_brute_force_does(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut index = Some(ScanIndex::open(folder.path()).unwrap());
        let reader = ScanIndex::open_read_only(folder.path()).unwrap();
        let mut model: HashMap<String, Entry> = HashMap::new();
        for step in steps {
            let writer = index.as_ref().unwrap();
            match step {
                Step::Put { user, document, generation, chunks } => {
                    let entries: Vec<Entry> = chunks
                        .iter()
                        .map(|(chunk, number)| model_entry(user, document, generation, *chunk, *number))
                        .collect();
                    runtime.block_on(writer.put(&entries)).unwrap();
                    model.extend(entries.into_iter().map(|entry| (entry.chunk_id.clone(), entry)));
                }
                Step::RemoveOlder { user, document, generation } => {
                    let generation = generation.to_string();
                    let before = model.len();
                    model.retain(|_, entry| entry.user_id != USERS[user] || entry.document_id != DOCUMENTS[document] || entry.generation >= generation);
                    let removed = runtime.block_on(writer.remove_older(USERS[user], DOCUMENTS[document], &generation)).unwrap();
                    prop_assert_eq!(removed as usize, before - model.len());
                }
                Step::Remove { user, document, generation } => {
                    let through = generation.map(|generation| generation.to_string());
                    let before = model.len();
                    model.retain(|_, entry| {
                        let is_kept = through.as_ref().is_some_and(|through| entry.generation > *through);
                        entry.user_id != USERS[user] || entry.document_id != DOCUMENTS[document] || is_kept
                    });
                    let removed = runtime
                        .block_on(writer.remove_document(USERS[user], DOCUMENTS[document], through.as_deref()))
                        .unwrap();
                    prop_assert_eq!(removed as usize, before - model.len());
                }
                Step::Reopen => {
                    drop(index.take());
                    index = Some(ScanIndex::open(folder.path()).unwrap());
                }
                Step::Crash { user, bytes } => {
                    drop(index.take());
                    tear(folder.path(), user, bytes);
                    // A reader meets the torn record before any writer has cut it off.
                    check_search(&reader, &model, user, &direction(5), 50);
                    index = Some(ScanIndex::open(folder.path()).unwrap());
                }
                Step::Search { user, direction: number, k } => {
                    check_search(writer, &model, user, &direction(number), k);
                    check_search(&reader, &model, user, &direction(number), k);
                }
            }
            prop_assert!(index.is_some());
        }
        for user in 0..USERS.len() {
            check_search(index.as_ref().unwrap(), &model, user, &direction(1), 100);
            check_search(&reader, &model, user, &direction(1), 100);
        }
    }
}
