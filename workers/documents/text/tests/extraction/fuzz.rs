//! Files that are changed at random, but the same way every time, and what must hold whatever
//! comes of it: no panic, no endless loop, no more memory than allowed, and all that
//! `fuzz/checks.rs` asks of an extraction.
//!
//! A few thousand files every day. With `MILLRACE_FUZZ_SECONDS` each target goes on for so long
//! from the seed `MILLRACE_FUZZ_SEED`. A file that fails is kept in the folder of temporary
//! files and named; once mended it goes to `fuzz/corpus/crashes`, and is read every day.

mod mutate;
mod targets;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rlimit::Resource;

use crate::Test;
use targets::{TARGETS, Target};

pub(crate) const TESTS: &[Test] = &[
    ("fuzz_crashes_are_mended", crashes_are_mended),
    ("fuzz_targets", all_targets),
];

const FUZZ_ARGUMENT: &str = "__fuzz";
/// Files of each target in everyday runs.
const EVERY_DAY: u64 = 120;
/// No file of this size may take longer, on a busy machine and in a build for tests.
const LONGEST: Duration = Duration::from_secs(20);
/// What the process that reads them may use, all in all.
const MEMORY: u64 = 1 << 30;
/// Parsers recurse: as much as the child has.
const STACK: usize = 64 << 20;
const AT_ONCE: usize = 2;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn all_targets() {
    let seconds = setting("MILLRACE_FUZZ_SECONDS");
    let seed = setting("MILLRACE_FUZZ_SEED").unwrap_or(1);
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (count, failed) = run(target, seed, seconds);
                    println!("  {:14} {count:8} files", target.name);
                    failures.lock().unwrap().extend(failed);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

/// Runs a target in a process of its own, again behind each file that ended it.
fn run(target: &Target, seed: u64, seconds: Option<u64>) -> (u64, Vec<String>) {
    let started = Instant::now();
    let mut failures = Vec::new();
    let mut first = 0;
    loop {
        let left = seconds.map(|seconds| {
            Duration::from_secs(seconds)
                .saturating_sub(started.elapsed())
                .as_secs()
        });
        let count = EVERY_DAY.saturating_sub(first);
        if left == Some(0) || (left.is_none() && count == 0) || failures.len() > 20 {
            return (first, failures);
        }
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([FUZZ_ARGUMENT, target.name])
            .args([seed, first, count, left.unwrap_or(0)].map(|number| number.to_string()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut last = first;
        let mut said = None;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            match line.split_once(' ') {
                None => last = line.parse().unwrap(),
                Some((_, fault)) => said = Some(fault.to_owned()),
            }
        }
        let status = process.wait().unwrap();
        if status.success() {
            return (last, failures);
        }
        let signal = status.signal().map(|signal| format!("signal {signal}"));
        let fault = said.or(signal).unwrap_or_else(|| status.to_string());
        let place =
            std::env::temp_dir().join(format!("millrace-fuzz-{}-{seed}-{last}", target.name));
        std::fs::write(&place, target.file(seed, last)).unwrap();
        failures.push(format!(
            "{} {seed} {last}: {fault}: {}",
            target.name,
            place.display()
        ));
        first = last + 1;
    }
}

/// In the process of a target: reads file after file, says which one, and ends at the first one
/// that fails.
pub(crate) fn fuzz_if_asked() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) != Some(FUZZ_ARGUMENT) {
        return;
    }
    let target = TARGETS
        .iter()
        .find(|target| target.name == arguments[1])
        .unwrap();
    let numbers: Vec<u64> = arguments[2..]
        .iter()
        .map(|number| number.parse().unwrap())
        .collect();
    let [seed, first, count, seconds] = numbers[..] else {
        panic!("{arguments:?}");
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    Resource::AS.set(MEMORY, MEMORY).unwrap();
    Resource::CORE.set(0, 0).unwrap();
    let at = Arc::new(AtomicU64::new(first));
    watch(at.clone());
    let work = move || {
        let mut number = first;
        loop {
            let over = if seconds > 0 {
                Instant::now() >= end
            } else {
                number >= first + count
            };
            println!("{number}");
            if over {
                return;
            }
            at.store(number, Ordering::Relaxed);
            if let Err(fault) = read(target, seed, number) {
                println!("fault {fault}");
                std::process::exit(1);
            }
            number += 1;
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work);
    thread.unwrap().join().unwrap();
    std::process::exit(0);
}

/// Ends this process when a file takes too long.
fn watch(at: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        let mut seen = (u64::MAX, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let number = at.load(Ordering::Relaxed);
            if seen.0 != number {
                seen = (number, Instant::now());
            } else if seen.1.elapsed() > LONGEST {
                println!("fault it takes longer than {LONGEST:?}");
                let _ = std::io::stdout().flush();
                std::process::exit(1);
            }
        }
    });
}

fn read(target: &Target, seed: u64, number: u64) -> Result<(), String> {
    let file = target.file(seed, number);
    let checked = catch_unwind(AssertUnwindSafe(|| (target.check)(&file)));
    checked.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_default()
            .replace('\n', " ")
            .chars()
            .take(300)
            .collect()
    })
}

/// Each was found here once. Read as its target reads it, which its name begins with.
fn crashes_are_mended() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/crashes");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let target = TARGETS
            .iter()
            .find(|target| name.starts_with(target.name))
            .unwrap();
        let started = Instant::now();
        (target.check)(&std::fs::read(&path).unwrap());
        assert!(started.elapsed() < LONGEST, "{name}");
        seen += 1;
    }
    assert!(seen > 0);
}
