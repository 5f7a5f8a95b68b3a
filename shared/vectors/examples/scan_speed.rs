//! How long a search takes in the embedded index: `cargo run -p millrace-vectors --example scan_speed`.
//!
//! 50,000 chunks of 1,536 numbers: one user has 1 % of them, another all the rest. Takes 700 MB of memory.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use millrace_vectors::{DIMENSIONS, Embedding, Entry, HashedEmbedder, ScanIndex, VectorIndex};

const CHUNKS: usize = 50_000;
const SHARE_OF_SMALL: usize = 100;
const SEARCHES: usize = 200;

#[tokio::main]
async fn main() {
    let index = ScanIndex::in_memory();
    let mut state = 88_172_645_463_325_252;
    for first in (0..CHUNKS).step_by(1000) {
        let entries: Vec<Entry> = (first..first + 1000)
            .map(|number| entry(number, random(&mut state)))
            .collect();
        index.put(&entries).await.unwrap();
    }
    for (user, searches) in [("small", SEARCHES), ("large", SEARCHES / 10)] {
        let mut times = Vec::with_capacity(searches);
        for _ in 0..searches {
            let query = random(&mut state);
            let begun = Instant::now();
            let hits = index.search(user, &query, 10).await.unwrap();
            times.push(begun.elapsed());
            assert_eq!(hits.len(), 10);
        }
        report(&format!("search, user {user}"), times);
    }

    let embedder = HashedEmbedder::new();
    let words = [
        "The",
        "stream",
        "drives",
        "the",
        "wheel",
        "whose",
        "axle",
        "turns",
        "a",
        "millstone",
    ];
    let texts = [
        ("English", words.join(" ").repeat(32)),
        ("Chinese", "水車在溪流中轉動石磨把穀物磨成麵粉".repeat(32)),
    ];
    for (language, text) in texts {
        let times = (0..SEARCHES).map(|_| {
            let begun = Instant::now();
            embedder.embed_one(&text).unwrap();
            begun.elapsed()
        });
        report(
            &format!("embed {} characters, {language}", text.chars().count()),
            times.collect(),
        );
    }
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!(
        "{name:36} best {:>10.3?}  median {:>10.3?}",
        times[0],
        times[times.len() / 2]
    );
}

fn random(state: &mut u64) -> Embedding {
    let values = (0..DIMENSIONS).map(|_| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 40) as f32 / (1 << 24) as f32 - 0.5
    });
    Embedding::try_new(values.collect(), DIMENSIONS).unwrap()
}

fn entry(number: usize, embedding: Embedding) -> Entry {
    Entry {
        chunk_id: format!("chunk-{number}"),
        user_id: if number.is_multiple_of(SHARE_OF_SMALL) {
            "small"
        } else {
            "large"
        }
        .to_owned(),
        document_id: format!("document-{}", number / 50),
        generation: "1".to_owned(),
        chunk_index: 0,
        content: "text".repeat(100),
        embedding,
        file_name: String::new(),
        file_type: String::new(),
        page_number: None,
        page_end: None,
        section: None,
        word_count: 100,
        tags: Vec::new(),
        created_at: String::new(),
    }
}
