//! Dead letters of mixed kinds by the hundred thousand: read, listed, replayed at a rate, killed twice, compared.
//!
//! `cargo run --release -p millrace-tests --bin dlq-bench -- [LETTERS] [RATE]`

// A benchmark that cannot go on ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use millrace_ops::letters::{Catalogue, Selection};
use millrace_tests::dead_letters::{Replayed, fill, replay, verify};

/// What a hundred times as many letters may cost in memory: pages of the databases, not letters.
const MORE_KIB: u64 = 96 * 1024;

fn main() -> ExitCode {
    millrace_text::run_child_if_asked();
    let mut words = std::env::args().skip(1);
    let first = words.next();
    // The same program is the command that is measured: only a process of its own can be killed.
    if first.as_deref() == Some("dlq") {
        return millrace_ops::main();
    }
    let letters: u32 = first.map_or(100_000, |word| word.parse().unwrap());
    let rate: u32 = words.next().map_or(1_000, |word| word.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let few = (letters / 10).max(100);
    let small = runtime.block_on(measure(few, rate));
    let large = runtime.block_on(measure(letters, rate));
    println!(
        "peak memory of the replaying process: {few} letters {} MiB, {letters} letters {} MiB",
        small / 1024,
        large / 1024
    );
    assert!(
        large < small + MORE_KIB,
        "memory grows with the letters: {small} KiB, then {large} KiB"
    );
    ExitCode::SUCCESS
}

fn millrace(words: &[&str], data: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(words).arg("--data").arg(data);
    command
}

fn timed(words: &[&str], data: &Path) -> Duration {
    let begun = Instant::now();
    let mut command = millrace(words, data);
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(ended.unwrap().success(), "{words:?} failed");
    begun.elapsed()
}

/// Gives the peak memory in KiB.
async fn measure(letters: u32, rate: u32) -> u64 {
    println!("{letters} letters");
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let begun = Instant::now();
    let filled = fill(&data, letters).await;
    println!("  filled the queues in {:.1?}: {filled:?}", begun.elapsed());
    let reading = timed(&["dlq", "list"], &data);
    println!("  read and listed in {reading:.2?}");
    let listing = timed(&["dlq", "list", "--cached"], &data);
    let begun = Instant::now();
    let catalogue = Catalogue::open(&data.join("letters.sqlite")).unwrap();
    let counts = catalogue.counts(&Selection::everything()).unwrap();
    let page = catalogue
        .select(&Selection::everything(), None, 20)
        .unwrap();
    let looking = begun.elapsed();
    assert!(counts.len() > 2 && page.letters.len() == 20);
    println!("  counts and first page in {looking:.2?}; as a process of its own {listing:.2?}");
    assert!(looking < Duration::from_secs(1), "listing is slow");
    drop(catalogue);

    let asked = format!("{rate}/s");
    let third = letters as usize / 3;
    let begin = ["dlq", "replay", "--json", "--all", "--rate", &asked];
    let go_on = ["dlq", "replay", "--json", "--continue", "--rate", &asked];
    let parts = [
        replay(millrace(&begin, &data), Some(third)),
        replay(millrace(&go_on, &data), Some(third)),
        replay(millrace(&go_on, &data), None),
    ];
    for (part, how) in parts.iter().zip(["killed", "killed", "to the end"]) {
        println!("  {how}: {}", said(part, rate));
    }
    assert!(
        parts[0].code.is_none() && parts[1].code.is_none(),
        "it was too fast to be killed"
    );
    verify(&data, filled).await;
    println!(
        "  none lost, none applied twice: {} effects, each once; {} letters are left, all of which must fail",
        filled.effects, filled.hopeless
    );
    parts.iter().map(|part| part.peak_kib).max().unwrap_or(0)
}

fn said(part: &Replayed, rate: u32) -> String {
    let reached = part.letters as f64 / part.time.as_secs_f64().max(0.001);
    format!(
        "{} letters in {:.1?}, {reached:.0}/s of {rate}/s asked for; {:?}; peak {} MiB",
        part.letters,
        part.time,
        part.outcomes,
        part.peak_kib / 1024
    )
}
