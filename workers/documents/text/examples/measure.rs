//! What extraction costs, in this process and in the child, and what chunking costs.
//!
//! `cargo run --release -p millrace-text --example measure -- FILE…`
//! With `--chunks` the chunks of each file are printed instead.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use millrace_text::{Child, ChunkSettings, Extraction, Extractor, Limits, chunk, extract_here};

/// Each step is repeated for at least this long; the fastest round counts.
const MEASURED: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    millrace_text::run_child_if_asked();

    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    let with_chunks = paths.first().is_some_and(|first| first == "--chunks");
    if with_chunks {
        paths.remove(0);
    }
    if paths.is_empty() {
        eprintln!("name at least one file");
        return ExitCode::from(2);
    }
    let mut code = ExitCode::SUCCESS;
    for path in paths {
        let done = if with_chunks {
            print_chunks(&path)
        } else {
            measure(&path)
        };
        if let Err(error) = done {
            eprintln!("{path}: {error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn fastest<T>(mut step: impl FnMut() -> T) -> Duration {
    let begun = Instant::now();
    let mut fastest = Duration::MAX;
    while begun.elapsed() < MEASURED || fastest == Duration::MAX {
        let started = Instant::now();
        std::hint::black_box(step());
        fastest = fastest.min(started.elapsed());
    }
    fastest
}

fn per_second(amount: f64, time: Duration) -> f64 {
    amount / time.as_secs_f64()
}

fn measure(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let limits = Limits::default();
    let extractor = Extractor::new(Child::this_program(), limits.clone());
    let extraction = extractor.extract(&bytes, path)?;
    let here = fastest(|| extract_here(&bytes, path, &limits));
    let child = fastest(|| extractor.extract(&bytes, path));
    let settings = ChunkSettings::default();
    let chunks = chunk_all(&extraction, &settings).len();
    let chunking = fastest(|| chunk_all(&extraction, &settings));

    let pages = extraction.pages.len().max(1) as f64;
    let megabytes = extraction.text.len() as f64 / 1e6;
    println!(
        "{path}: {pages} page(s), {megabytes:.3} MB of text, {chunks} chunks\n  \
         in this process {:8.1} pages/s ({here:.1?})\n  \
         in the child    {:8.1} pages/s ({child:.1?})\n  \
         chunking        {:8.1} MB/s    ({chunking:.1?})",
        per_second(pages, here),
        per_second(pages, child),
        per_second(megabytes, chunking),
    );
    Ok(())
}

fn chunk_all<'a>(
    extraction: &'a Extraction,
    settings: &ChunkSettings,
) -> Vec<millrace_text::Chunk<'a>> {
    chunk(
        &extraction.text,
        &extraction.pages,
        &extraction.sections,
        settings,
    )
}

fn print_chunks(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let extraction = extract_here(&bytes, path, &Limits::default())?;
    println!(
        "{path}: title {:?}, language {:?}",
        extraction.title, extraction.language
    );
    for chunk in chunk_all(&extraction, &ChunkSettings::default()) {
        println!(
            "--- {} · page {:?}–{:?} · {:?} · {} words, {} characters\n{}",
            chunk.index,
            chunk.page,
            chunk.page_end,
            chunk.section,
            chunk.word_count,
            chunk.char_count,
            chunk.content
        );
    }
    Ok(())
}
