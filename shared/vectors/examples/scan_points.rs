//! The contestant of `tests/bench/scan` that is ours: reads vectors from a file, then a request a line, and answers a line.
//!
//! `scan_points VECTORS QUERIES DIMENSIONS` with files of 32-bit floats. Requests: `full|half THREADS QUERY AT_LEAST FILTER` (a
//! search; FILTER is `all` or the share of points in percent that pass) and `read THREADS STREAMS`. Answers: milliseconds, how many
//! were found, a hash of their ids and scores, and the ids.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, Write, stdin, stdout},
    num::NonZeroUsize,
    time::Instant,
};

use millrace_vectors::{
    Embedding, Field, Fields, Filter, Layout, Point, PointIndex, ScanPoints, ScanSettings,
};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, vectors, queries, dimensions] = &arguments[..] else {
        panic!("scan_points VECTORS QUERIES DIMENSIONS");
    };
    let dimensions: usize = dimensions.parse().unwrap();
    let index = |layout| {
        ScanPoints::in_memory_with(ScanSettings {
            layout,
            ..ScanSettings::default()
        })
    };
    let (full, half) = (index(Layout::Full), index(Layout::Half));
    for (first, embeddings) in (0..)
        .step_by(1000)
        .zip(embeddings(vectors, dimensions).chunks(1000))
    {
        let points: Vec<Point> = (first..)
            .zip(embeddings)
            .map(|(number, embedding)| point(number, embedding.clone()))
            .collect();
        full.put(&points).await.unwrap();
        half.put(&points).await.unwrap();
    }
    let queries = embeddings(queries, dimensions);
    println!("ready");
    stdout().flush().unwrap();
    for line in stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let threads = |text: &str| text.parse::<NonZeroUsize>().unwrap();
        match words[..] {
            ["read", count, streams] => {
                let index = full.clone().with_threads(threads(count));
                let begun = Instant::now();
                let sum = index.read(streams.parse().unwrap()).await.unwrap();
                println!("{} 0 {sum}", milliseconds(begun));
            }
            [layout, count, query, at_least, share] => {
                let index = if layout == "full" { &full } else { &half };
                let index = index.clone().with_threads(threads(count));
                let query = &queries[query.parse::<usize>().unwrap()];
                let filter = match share {
                    "all" => Filter::All(vec![]),
                    share => filter(share.parse().unwrap()),
                };
                let begun = Instant::now();
                let found = index
                    .within(query, &filter, at_least.parse().unwrap())
                    .await
                    .unwrap();
                let took = milliseconds(begun);
                let mut hasher = DefaultHasher::new();
                for found in &found {
                    (&found.id, found.score.to_bits()).hash(&mut hasher);
                }
                let ids: Vec<&str> = found.iter().map(|found| found.id.as_str()).collect();
                println!(
                    "{took} {} {:x} {}",
                    found.len(),
                    hasher.finish(),
                    ids.join(",")
                );
            }
            _ => panic!("{line:?} is no request"),
        }
        stdout().flush().unwrap();
    }
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

fn embeddings(path: &str, dimensions: usize) -> Vec<Embedding> {
    let bytes = fs::read(path).unwrap();
    let rows = bytes.chunks_exact(dimensions * 4);
    rows.map(|row| Embedding::from_le_bytes(row, dimensions).unwrap())
        .collect()
}

/// With the fields of an employee's profile.
fn point(number: u32, embedding: Embedding) -> Point {
    Point {
        id: number.to_string(),
        revision: 1,
        embedding,
        fields: Fields::from([
            ("available".to_owned(), Field::Flag(true)),
            ("lastSeen".to_owned(), Field::Number(f64::from(number))),
            ("badShare".to_owned(), Field::Number(0.1)),
            ("rateMin".to_owned(), Field::Number(f64::from(number % 100))),
            ("userId".to_owned(), Field::Word(format!("user-{number}"))),
        ]),
    }
}

/// The filters of a job, which this share of the points passes.
fn filter(percent: f64) -> Filter {
    Filter::All(vec![
        Filter::Is("available", Field::Flag(true)),
        Filter::AtLeast("lastSeen", 0.0),
        Filter::AtMost("badShare", 0.3),
        Filter::AtMost("rateMin", percent - 1.0),
        Filter::IsNot("userId", Field::Word("user-17".to_owned())),
    ])
}
