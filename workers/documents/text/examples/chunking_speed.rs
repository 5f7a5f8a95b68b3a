//! Seconds that chunking a text takes, the fastest of many rounds, and its tokens as they are
//! estimated: for `tests/bench/chunking`.
//!
//! `cargo run --release -p millrace-text --example chunking_speed -- FILE`

use std::time::{Duration, Instant};

use millrace_text::{ChunkSettings, chunk, estimate_tokens};

/// Rounds are repeated for this long.
const MEASURED: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name a file")?;
    let text = std::fs::read_to_string(path)?;
    let settings = ChunkSettings::default();
    let chunks = chunk(&text, &[], &[], &settings).len();
    let begun = Instant::now();
    let mut fastest = Duration::MAX;
    while begun.elapsed() < MEASURED {
        let started = Instant::now();
        std::hint::black_box(chunk(&text, &[], &[], &settings));
        fastest = fastest.min(started.elapsed());
    }
    let seconds = fastest.as_secs_f64();
    let tokens = estimate_tokens(&text);
    println!("{{\"seconds\": {seconds:.9}, \"chunks\": {chunks}, \"tokens\": {tokens}}}");
    Ok(())
}
