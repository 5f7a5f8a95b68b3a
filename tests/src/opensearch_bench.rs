//! Chunks indexed by the real worker into a real OpenSearch, and found again: half of `tests/bench/opensearch/run.sh`.
//!
//! `opensearch-bench FOLDER [CHUNKS]`, by default 50000 or a few more; `MILLRACE_OPENSEARCH_URL` says where the server is. Documents are uploaded, and everybody but
//! `index-chunks` does what there is to do. It prints `begin`, has `index-chunks` handle what waits for it, so many events at once, and prints what that took.
//! Then it compares answers of the server with those of the exact scan, and writes what was indexed into FOLDER, for others to index.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufWriter, Write as _},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use millrace_documents::{UserId, upload::document_of};
use millrace_events::Failure;
use millrace_tests::{Pending, World};
use millrace_vectors::{
    Auth, Embedding, Engine, Entry, Hit, ModelId, OpenSearchIndex, ScanIndex, VectorIndex,
};
use serde_json::{Value, json};

/// Invocations side by side, and events in each; the template's mapping allows five. The loop handles eight of each at once.
const INVOCATIONS: usize = 2;
const BATCH: usize = 8;
/// Before what failed comes again.
const PAUSE: Duration = Duration::from_secs(2);
/// Sentences of a document, and the chunks that they come to.
const SENTENCES: usize = 2_600;
const CHUNKS: usize = 164;
/// Half of all documents are of the first user, a quarter of the second, and so on.
const USERS: usize = 8;
/// Searches that are compared.
const QUERIES: usize = 400;
/// Hits that are compared of each.
const NEAREST: usize = 10;

fn main() {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().expect("where to write what was indexed");
    let chunks = arguments.next().map_or(50_000, |n| n.parse().unwrap());
    let url = env::var("MILLRACE_OPENSEARCH_URL").expect("MILLRACE_OPENSEARCH_URL");
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(&url, Path::new(&folder), chunks));
}

/// An index that also remembers what it was given.
struct Remembering {
    index: OpenSearchIndex,
    entries: Mutex<Vec<Entry>>,
}

#[async_trait]
impl VectorIndex for Remembering {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.index.check(model, dimensions).await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.index.fits(model, dimensions).await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        self.entries.lock().unwrap().extend_from_slice(entries);
        self.index.put(entries).await
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        self.index
            .remove_older(user_id, document_id, generation)
            .await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        self.index
            .remove_document(user_id, document_id, up_to_generation)
            .await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        self.index.search(user_id, query, k).await
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        self.index.document_chunks(user_id, document_id).await
    }
}

async fn run(url: &str, folder: &Path, chunks: usize) {
    let name = format!("bench-{}", std::process::id());
    let index = OpenSearchIndex::new(url, Auth::None, &name).unwrap();
    let remembering = Arc::new(Remembering {
        // The plugin as it comes from Maven Central has no native library, so no faiss.
        index: index.with_engine(Engine::Lucene),
        entries: Mutex::default(),
    });
    let world = World::with_index(remembering.clone()).await;
    let mut pending = Vec::new();
    let mut document = 0;
    // What was put in is counted in the end, not what was thought here.
    while document * CHUNKS < chunks {
        for _ in 0..20 {
            if document * CHUNKS < chunks {
                upload(&world, document).await;
                document += 1;
            }
        }
        world.quiet_without(&["index-chunks"]).await;
        loop {
            let some = world.receive("index-chunks").await;
            if some.is_empty() {
                break;
            }
            pending.extend(some);
        }
    }
    say(&json!({"begin": name}));
    let began = Instant::now();
    let before = processor_seconds();
    let world = &world;
    let mut again = 0;
    while !pending.is_empty() {
        let failed: Vec<Vec<Pending>> = stream::iter(pending.chunks(BATCH))
            .map(|batch| delivered(world, batch))
            .buffer_unordered(INVOCATIONS)
            .collect()
            .await;
        pending = failed.concat();
        again += pending.len();
        if !pending.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = processor_seconds() - before;
    let entries = std::mem::take(&mut *remembering.entries.lock().unwrap());
    let entries = once_each(entries);
    say(&json!({
        "chunks": entries.len(), "documents": document, "seconds": seconds, "cpuSeconds": cpu, "again": again,
    }));
    say(&compared(&remembering.index, &entries).await);
    write_down(folder, &entries);
}

/// One invocation; answers what has to come again.
async fn delivered(world: &World, batch: &[Pending]) -> Vec<Pending> {
    let records: Vec<Value> = { batch.iter() }
        .flat_map(|pending| pending.event["Records"].as_array().cloned().unwrap())
        .collect();
    let event = json!({"Records": records});
    let report = world.deliver("index-chunks", &event).await;
    let failures = report.response["batchItemFailures"].as_array().cloned();
    let failures = failures.unwrap_or_default();
    let is_failed = |pending: &Pending| {
        let id = &pending.event["Records"][0]["messageId"];
        failures.iter().any(|one| &one["itemIdentifier"] == id)
    };
    { batch.iter() }
        .filter(|pending| is_failed(pending))
        .cloned()
        .collect()
}

/// What was put in again is there once.
fn once_each(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.chunk_id.clone()));
    entries
}

fn say(what: &Value) {
    println!("{what}");
    std::io::stdout().flush().unwrap();
}

/// Of how many of the nearest the server's answers have the same as the exact scan's.
async fn compared(index: &OpenSearchIndex, entries: &[Entry]) -> Value {
    let exact = ScanIndex::in_memory();
    let model = ModelId::new("bench");
    let dimensions = entries[0].embedding.values().len();
    exact.check(&model, dimensions).await.unwrap();
    exact.put(entries).await.unwrap();
    let (mut found, mut wanted, mut milliseconds) = (0, 0, Vec::new());
    for query in 0..QUERIES {
        let entry = &entries[query * entries.len() / QUERIES];
        let nearby = between(&entry.embedding, &entries[(query * 7919) % entries.len()]);
        let user = &entry.user_id;
        let right = exact.search(user, &nearby, NEAREST).await.unwrap();
        let began = Instant::now();
        let said = index.search(user, &nearby, NEAREST).await.unwrap();
        milliseconds.push(began.elapsed().as_secs_f64() * 1_000.0);
        let said: BTreeSet<&str> = said.iter().map(|hit| hit.chunk_id.as_str()).collect();
        wanted += right.len();
        found += right
            .iter()
            .filter(|hit| said.contains(hit.chunk_id.as_str()))
            .count();
    }
    milliseconds.sort_by(f64::total_cmp);
    json!({
        "queries": QUERIES, "recall": found as f64 / wanted as f64,
        "medianMilliseconds": milliseconds[QUERIES / 2], "p99Milliseconds": milliseconds[QUERIES * 99 / 100],
    })
}

/// What lies between two vectors, so that no query is one of the entries.
fn between(one: &Embedding, other: &Entry) -> Embedding {
    let pairs = one.values().iter().zip(other.embedding.values());
    let values: Vec<f32> = pairs.map(|(one, other)| one * 0.7 + other * 0.3).collect();
    let dimensions = values.len();
    Embedding::try_new(values, dimensions).unwrap()
}

/// The documents as JSON lines without their vectors, and these as 32-bit numbers in the same order.
fn write_down(folder: &Path, entries: &[Entry]) {
    let mut documents = BufWriter::new(fs::File::create(folder.join("documents.jsonl")).unwrap());
    let mut vectors = BufWriter::new(fs::File::create(folder.join("vectors.f32")).unwrap());
    for entry in entries {
        let document = json!({
            "chunkId": entry.chunk_id, "documentId": entry.document_id, "userId": entry.user_id,
            "generation": entry.generation, "content": entry.content, "createdAt": entry.created_at,
            "metadata": {
                "fileName": entry.file_name, "fileType": entry.file_type, "wordCount": entry.word_count,
                "tags": entry.tags, "chunkIndex": entry.chunk_index,
            },
        });
        writeln!(documents, "{document}").unwrap();
        for value in entry.embedding.values() {
            vectors.write_all(&value.to_le_bytes()).unwrap();
        }
    }
    documents.flush().unwrap();
    vectors.flush().unwrap();
}

async fn upload(world: &World, number: usize) {
    let user = (number.trailing_ones() as usize).min(USERS - 1);
    let user = UserId::parse(&format!("reader-{user}")).unwrap();
    let name = format!("report-{number}.txt");
    let document = document_of(&user, &name).unwrap();
    let text = text(number as u64);
    world.upload(&document, &name, text.as_bytes()).await;
}

/// Sentences of made-up words, of which each document prefers some.
fn text(document: u64) -> String {
    let mut text = String::new();
    let mut random = document.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for _ in 0..SENTENCES {
        for place in 0..12 {
            let word = match next(4) {
                0 => next(6_000),
                _ => document * 131 % 5_000 + next(90),
            };
            let word = word_of(word);
            if place == 0 {
                text.push(word.chars().next().unwrap().to_ascii_uppercase());
                text.push_str(&word[1..]);
            } else {
                text.push(' ');
                text.push_str(&word);
            }
        }
        text.push_str(". ");
    }
    text
}

fn word_of(mut number: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "ko", "ri", "ten", "mul", "sa", "dor", "fi", "lan", "ge", "pu", "vor", "ni", "tha",
        "wes", "jo",
    ];
    let mut word = String::new();
    loop {
        word.push_str(SYLLABLES[(number % 16) as usize]);
        number /= 16;
        if number == 0 {
            return word;
        }
    }
}

/// Of this process, so far.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
