//! How long the encoder takes; `tests/bench/embedder/run.sh` compares it with its Python package.
//!
//!     encoder_speed FOLDER THREADS
//!
//! A list of texts in JSON on the first line of the input; each further line has all of them embedded once more. Answers each with one
//! line: first how long the weights took to read, then the seconds, the tokens and the most memory so far in KiB.
#![allow(clippy::unwrap_used)]

use std::{env, fs, hint::black_box, io::stdin, path::Path, time::Instant};

use millrace_vectors::Encoder;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let threads = arguments[1].parse().unwrap();
    let begun = Instant::now();
    let encoder = Encoder::open(Path::new(&arguments[0])).unwrap();
    let encoder = encoder.with_threads(threads);
    println!("{:.6}", begun.elapsed().as_secs_f64());
    let mut lines = stdin().lines();
    let texts: Vec<String> = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let tokens: usize = texts.iter().map(|text| encoder.tokens(text).len()).sum();
    for _ in lines {
        let begun = Instant::now();
        black_box(encoder.encode(&texts));
        let seconds = begun.elapsed().as_secs_f64();
        println!("{seconds:.6} {tokens} {}", most_memory());
    }
}

fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0)
}
