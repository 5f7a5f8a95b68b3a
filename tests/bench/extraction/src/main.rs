//! What `tests/bench/extraction` drives: reading files, and the pipeline from a file to the index on disk, timed.
//!
//! - `read FILE…`: a line of JSON for each file: its extraction or its reason, milliseconds, and this process's own peak of memory.
//! - `extract child|here ROUNDS LIST`: all files of the list, once to warm up, then that many rounds.
//! - `embed`: a JSON array of texts on standard input, their vectors as 32-bit floats on standard output.
//! - `pipeline WORKERS DOCUMENTS FOLDER LIST`: the files of the list, again and again under other names until there are that
//!   many documents, extracted, chunked, embedded and put into an index in FOLDER; once over the list before, to warm up.
//! - `stages ROUNDS FOLDER LIST`: the same, stage by stage: all files are extracted that many rounds, then all is chunked, and so on.
//!
//! A list has a path a line. Processor time is that of this process and its children, as the kernel counts it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use millrace_text::{
    Child, Chunk, ChunkSettings, Extraction, Extractor, Limits, chunk, extract_here,
    run_child_if_asked,
};
use millrace_vectors::{
    DIMENSIONS, Embedder as _, Embedding, Entry, HashedEmbedder, ScanIndex, VectorIndex,
};
use serde_json::json;
use tokio::runtime::Runtime;
use uuid::Uuid;

type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The kernel counts processor time of processes in hundredths of a second.
const TICKS: f64 = 100.0;

fn main() -> ExitCode {
    run_child_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["read", files @ ..] => read(files),
        ["extract", place, rounds, list] => extract(place, rounds, list),
        ["embed"] => embed(),
        ["pipeline", workers, documents, folder, list] => {
            pipeline(workers, documents, folder, list)
        }
        ["stages", rounds, folder, list] => stages(rounds, folder, list),
        _ => Err("read FILE… | extract child|here ROUNDS LIST | embed | pipeline WORKERS DOCUMENTS FOLDER LIST | stages ROUNDS FOLDER LIST".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(
        || path.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The paths of a list.
fn listed(list: &str) -> Answer<Vec<String>> {
    let text = std::fs::read_to_string(list).map_err(|error| format!("reading {list}: {error}"))?;
    let paths: Vec<String> = text.lines().map(str::to_owned).collect();
    if paths.is_empty() {
        return Err(format!("{list} names no file").into());
    }
    Ok(paths)
}

/// A number of kilobytes from this process's status.
fn status_kilobytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Seconds of processor time: this process's own, and its ended children's.
fn processor_seconds() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, which is in parentheses, may have spaces.
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = behind_name
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse().ok())
        .collect();
    match fields.as_slice() {
        [user, system, child_user, child_system] => {
            ((user + system) / TICKS, (child_user + child_system) / TICKS)
        }
        _ => (0.0, 0.0),
    }
}

fn extractor() -> Extractor {
    Extractor::new(Child::this_program(), Limits::default())
}

fn read(files: &[&str]) -> Answer<()> {
    let extractor = extractor();
    let mut output = std::io::stdout().lock();
    for path in files {
        let bytes = std::fs::read(path).map_err(|error| format!("reading {path}: {error}"))?;
        let begun = Instant::now();
        let result = extractor.extract(&bytes, &file_name(path));
        let mut line = json!({
            "file": path,
            "milliseconds": begun.elapsed().as_secs_f64() * 1000.0,
            "own_peak_kilobytes": status_kilobytes("VmHWM:"),
        });
        match result {
            Ok(extraction) => line["extraction"] = serde_json::to_value(extraction)?,
            Err(error) => {
                line["reason"] = json!(error.reason());
                line["message"] = json!(error.to_string());
            }
        }
        writeln!(output, "{line}")?;
    }
    Ok(())
}

fn extract(place: &str, rounds: &str, list: &str) -> Answer<()> {
    let rounds: usize = rounds.parse()?;
    let limits = Limits::default();
    let extractor = extractor();
    let mut files = Vec::new();
    for path in listed(list)? {
        files.push((std::fs::read(&path)?, file_name(&path)));
    }
    let all = || -> Answer<usize> {
        let mut pages = 0;
        for (bytes, name) in &files {
            let extraction = match place {
                "child" => extractor.extract(bytes, name),
                _ => extract_here(bytes, name, &limits),
            };
            pages += extraction
                .map_err(|error| format!("{name}: {error}"))?
                .pages
                .len();
        }
        Ok(pages)
    };
    all()?;
    let (begun, before) = (Instant::now(), processor_seconds());
    let mut pages = 0;
    for _ in 0..rounds {
        pages += all()?;
    }
    let after = processor_seconds();
    let said = json!({
        "pages": pages,
        "documents": rounds * files.len(),
        "seconds": begun.elapsed().as_secs_f64(),
        "cpu": after.0 - before.0 + after.1 - before.1,
    });
    println!("{said}");
    Ok(())
}

fn embed() -> Answer<()> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let texts: Vec<String> = serde_json::from_str(&input)?;
    let embedder = HashedEmbedder::new();
    let mut output = std::io::stdout().lock();
    for text in &texts {
        let embedding = embedder
            .embed_one(text)
            .map_err(|failure| failure.chain())?;
        for number in embedding.values() {
            output.write_all(&number.to_le_bytes())?;
        }
    }
    Ok(())
}

/// What the workers have done.
#[derive(Default)]
struct Done {
    next: AtomicUsize,
    documents: AtomicU64,
    refused: AtomicU64,
    pages: AtomicU64,
    chunks: AtomicU64,
    characters: AtomicU64,
}

fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(u64::try_from(amount).unwrap_or(0), Ordering::Relaxed);
}

fn pipeline(workers: &str, documents: &str, folder: &str, list: &str) -> Answer<()> {
    let (workers, documents): (usize, usize) = (workers.parse()?, documents.parse()?);
    let files = listed(list)?;
    let runtime = Runtime::new()?;
    let warm = Path::new(folder).join("warm");
    work(&runtime, workers, files.len(), &warm, &files)?;

    let (begun, before) = (Instant::now(), processor_seconds());
    let done = work(
        &runtime,
        workers,
        documents,
        &Path::new(folder).join("index"),
        &files,
    )?;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), processor_seconds());
    let said = json!({
        "workers": workers,
        "documents": done.documents,
        "refused": done.refused,
        "pages": done.pages,
        "chunks": done.chunks,
        "characters": done.characters,
        "seconds": seconds,
        "cpu": after.0 - before.0 + after.1 - before.1,
        "own_peak_kilobytes": status_kilobytes("VmHWM:"),
    });
    println!("{said}");
    Ok(())
}

/// Takes documents until there are no more, with as many threads as workers.
fn work(
    runtime: &Runtime,
    workers: usize,
    documents: usize,
    folder: &Path,
    files: &[String],
) -> Answer<Done> {
    let index = ScanIndex::open(folder).map_err(|failure| failure.chain())?;
    let embedder = HashedEmbedder::new();
    let check = index.check(embedder.model(), DIMENSIONS);
    runtime.block_on(check).map_err(|failure| failure.chain())?;
    let done = Done::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| scope.spawn(|| take_documents(runtime, &index, documents, files, &done)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a worker panicked")?)
    })?;
    Ok(done)
}

fn take_documents(
    runtime: &Runtime,
    index: &ScanIndex,
    documents: usize,
    files: &[String],
    done: &Done,
) -> Answer<()> {
    let (extractor, embedder) = (extractor(), HashedEmbedder::new());
    let settings = ChunkSettings::default();
    loop {
        let number = done.next.fetch_add(1, Ordering::Relaxed);
        if number >= documents {
            return Ok(());
        }
        let path = &files[number % files.len()];
        let bytes = std::fs::read(path)?;
        let Ok(extraction) = extractor.extract(&bytes, &file_name(path)) else {
            done.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let chunks = chunks_of(&extraction, &settings);
        let vectors = vectors_of(&chunks, &embedder)?;
        add(&done.chunks, chunks.len());
        add(&done.characters, extraction.text.chars().count());
        add(&done.pages, extraction.pages.len());
        let entries = entries(number, path, &extraction, chunks, vectors);
        runtime
            .block_on(index.put(&entries))
            .map_err(|failure| failure.chain())?;
        done.documents.fetch_add(1, Ordering::Relaxed);
    }
}

fn chunks_of<'a>(extraction: &'a Extraction, settings: &ChunkSettings) -> Vec<Chunk<'a>> {
    let (text, pages) = (&extraction.text, &extraction.pages);
    chunk(text, pages, &extraction.sections, settings)
}

fn vectors_of(chunks: &[Chunk<'_>], embedder: &HashedEmbedder) -> Answer<Vec<Embedding>> {
    let vectors = chunks.iter().map(|chunk| embedder.embed_one(chunk.content));
    Ok(vectors
        .collect::<Result<_, _>>()
        .map_err(|failure| failure.chain())?)
}

/// Processor seconds of a round of each stage, over all files of the list.
fn stages(rounds: &str, folder: &str, list: &str) -> Answer<()> {
    let rounds: usize = rounds.parse()?;
    let (extractor, embedder) = (extractor(), HashedEmbedder::new());
    let settings = ChunkSettings::default();
    let mut files = Vec::new();
    for path in listed(list)? {
        files.push((std::fs::read(&path)?, file_name(&path)));
    }
    let index = ScanIndex::open(Path::new(folder)).map_err(|failure| failure.chain())?;
    let runtime = Runtime::new()?;
    let check = index.check(embedder.model(), DIMENSIONS);
    runtime.block_on(check).map_err(|failure| failure.chain())?;

    let extract = || {
        let each = files.iter();
        let extractions = each.filter_map(|(bytes, name)| extractor.extract(bytes, name).ok());
        Ok(extractions.collect::<Vec<_>>())
    };
    let (extractions, extracting) = timed(rounds, extract)?;
    let (chunks, chunking) = timed(rounds * 10, || {
        let chunks = extractions.iter().map(|one| chunks_of(one, &settings));
        Ok(chunks.collect::<Vec<_>>())
    })?;
    let (vectors, embedding) = timed(rounds * 10, || {
        let vectors = chunks.iter().map(|one| vectors_of(one, &embedder));
        vectors.collect::<Answer<Vec<_>>>()
    })?;
    // What goes into the index is made before, for as many rounds.
    let mut waiting: Vec<Vec<Vec<Entry>>> = (0..=rounds)
        .map(|round| {
            let documents = extractions.iter().zip(&chunks).zip(&vectors).enumerate();
            let one =
                |(place, ((extraction, chunks), vectors)): (usize, ((_, &Vec<_>), &Vec<_>))| {
                    let number = round * extractions.len() + place;
                    entries(number, "", extraction, chunks.clone(), vectors.clone())
                };
            documents.map(one).collect()
        })
        .collect();
    let ((), indexing) = timed(rounds, || {
        for entries in waiting.pop().unwrap_or_default() {
            let put = runtime.block_on(index.put(&entries));
            put.map_err(|failure| failure.chain())?;
        }
        Ok(())
    })?;
    let said =
        json!({"extract": extracting, "chunk": chunking, "embed": embedding, "index": indexing});
    println!("{said}");
    Ok(())
}

/// What the work gives, and its mean processor time; once before, to warm up.
fn timed<T>(rounds: usize, mut work: impl FnMut() -> Answer<T>) -> Answer<(T, f64)> {
    let mut made = work()?;
    let before = processor_seconds();
    for _ in 0..rounds {
        made = work()?;
    }
    let after = processor_seconds();
    let seconds = after.0 - before.0 + after.1 - before.1;
    Ok((made, seconds / rounds as f64))
}

/// A hundred documents a user.
fn entries(
    number: usize,
    path: &str,
    extraction: &Extraction,
    chunks: Vec<Chunk<'_>>,
    vectors: Vec<Embedding>,
) -> Vec<Entry> {
    let document = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{number} {path}").as_bytes());
    let name = format!("{number} {}", file_name(path));
    let one = |(chunk, embedding): (Chunk<'_>, _)| Entry {
        chunk_id: Uuid::new_v5(&document, chunk.index.to_string().as_bytes()).to_string(),
        user_id: format!("user-{}", number / 100),
        document_id: document.to_string(),
        generation: "1".to_owned(),
        chunk_index: chunk.index,
        content: chunk.content.to_owned(),
        embedding,
        file_name: name.clone(),
        file_type: extraction.format.mime().to_owned(),
        page_number: chunk.page,
        page_end: chunk.page_end,
        section: chunk.section.map(str::to_owned),
        word_count: chunk.word_count,
        tags: Vec::new(),
        created_at: "2026-01-01T00:00:00Z".to_owned(),
    };
    chunks.into_iter().zip(vectors).map(one).collect()
}
