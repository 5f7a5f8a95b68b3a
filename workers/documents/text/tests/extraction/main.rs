//! Files from end to end: through the child, on the corpus when it is there.
//!
//! This target has no test harness, so that its own binary can be started as the child. The
//! corpus is at `$MILLRACE_CORPUS`, or beside the workspace in `../shared/corpus`; without it
//! its part is skipped, and says so.

// A test fails by panicking: this is a test binary from top to bottom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/checks.rs"]
mod checks;
mod corpus;
mod fuzz;
mod hostile;
mod limits;
mod office;
mod rights;
mod samples;
mod texts;

use std::panic::catch_unwind;

fn main() {
    millrace_text::run_child_if_asked();
    rights::probe_if_asked();
    fuzz::fuzz_if_asked();

    // Cargo hands on what stands behind `--`: the usual filter, and options of the harness.
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let listing = std::env::args().any(|argument| argument == "--list");
    let mut failed = Vec::new();
    let tests = samples::TESTS
        .iter()
        .chain(office::TESTS)
        .chain(texts::TESTS)
        .chain(limits::TESTS)
        .chain(fuzz::TESTS)
        .chain(hostile::TESTS)
        .chain(rights::TESTS)
        .chain(corpus::TESTS);
    for (name, test) in tests {
        if listing {
            println!("{name}: test");
            continue;
        }
        if filter
            .as_ref()
            .is_some_and(|filter| !name.contains(filter.as_str()))
        {
            continue;
        }
        println!("test {name} ...");
        if catch_unwind(test).is_err() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        println!("failed: {failed:?}");
        std::process::exit(1);
    }
    println!("test result: ok");
}

/// A test and its name.
type Test = (&'static str, fn());
