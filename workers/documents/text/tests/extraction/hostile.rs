//! Files that somebody made to do harm, each made here, and the end that each must come to: a
//! reason code, or the text where there is one. While they are read, an honest neighbour is
//! read over and over, and must not notice.

mod archives;
mod make;
mod markup;
mod outside;
mod pdfs;
mod texts;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millrace_text::{Child, Extraction, Extractor, Limits};

use crate::Test;
use crate::checks::end_holds;
use crate::samples::{pdf_of, zip_of};

pub(crate) const TESTS: &[Test] = &[
    ("hostile_archives", || {
        all_end_as_they_must(archives::cases())
    }),
    ("hostile_markup", || all_end_as_they_must(markup::cases())),
    ("hostile_pdfs", || all_end_as_they_must(pdfs::cases())),
    ("hostile_plain_files", || {
        all_end_as_they_must(texts::cases());
    }),
    ("hostile_names", texts::names_of_files),
    ("nothing_outside_is_followed", outside::nothing_is_followed),
];

/// How many hostile files are read at the same time.
const AT_ONCE: usize = 2;

/// How a file must end.
enum Expected {
    /// With this reason code.
    Reason(&'static str),
    /// With a limit, whichever comes first, or as a file without text.
    Stop,
    /// With exactly this text.
    Text(String),
    /// With a text, of which this holds.
    Reads(fn(&Extraction) -> bool),
}

/// A file, under which limits it is read, and how that must end.
struct Case {
    what: &'static str,
    file_name: &'static str,
    limits: Limits,
    expected: Expected,
    make: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
}

/// Half of the memory and a sixth of the time that are allowed by default: what ends here ends
/// there.
fn limits() -> Limits {
    Limits {
        memory_bytes: 512 << 20,
        cpu: Duration::from_secs(10),
        wall: Duration::from_secs(60),
        ..Limits::default()
    }
}

impl Case {
    fn new(
        what: &'static str,
        expected: Expected,
        make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self {
            what,
            file_name: "a",
            limits: limits(),
            expected,
            make: Box::new(make),
        }
    }

    fn ends(
        what: &'static str,
        reason: &'static str,
        make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::new(what, Expected::Reason(reason), make)
    }

    fn stops(what: &'static str, make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(what, Expected::Stop, make)
    }

    fn says(
        what: &'static str,
        text: &str,
        make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::new(what, Expected::Text(text.to_owned()), make)
    }

    fn reads(
        what: &'static str,
        holds: fn(&Extraction) -> bool,
        make: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::new(what, Expected::Reads(holds), make)
    }

    fn named(mut self, file_name: &'static str) -> Self {
        self.file_name = file_name;
        self
    }

    /// Under small limits: files that reach the usual ones take long to make, and to read in a
    /// build for tests.
    fn small(mut self) -> Self {
        self.limits.output_bytes = 1 << 20;
        self.limits.expanded_bytes = 8 << 20;
        self
    }

    /// For what only the limit of processor time ends.
    fn within_seconds(mut self, seconds: u64) -> Self {
        self.limits.cpu = Duration::from_secs(seconds);
        self
    }

    /// Reads the file and says what is wrong with how it ended.
    fn fault(&self) -> Option<String> {
        let file = (self.make)();
        let started = Instant::now();
        let extractor = Extractor::new(Child::this_program(), self.limits.clone());
        let result = extractor.extract(&file, self.file_name);
        let elapsed = started.elapsed();
        let reason = result.as_ref().err().map_or("none", |error| error.reason());
        println!("  {:52} {:6} ms  {reason}", self.what, elapsed.as_millis());
        if elapsed > self.limits.wall + Duration::from_secs(2) {
            return Some(format!("it took {elapsed:?}"));
        }
        let held = std::panic::catch_unwind(|| end_holds(&result));
        if held.is_err() {
            return Some("what must hold for every file does not".to_owned());
        }
        let is_expected = match &self.expected {
            Expected::Reason(expected) => reason == *expected,
            Expected::Stop => matches!(
                reason,
                "no-text" | "too-large" | "output-limit" | "memory-limit" | "time-limit"
            ),
            Expected::Text(_) | Expected::Reads(_) => false,
        };
        match (&result, &self.expected) {
            (Err(_), _) if is_expected => None,
            (Ok(extraction), expected) => {
                let wrong = |beginning: &str| {
                    let text: String = extraction.text.chars().take(300).collect();
                    Some(format!("{beginning}: {text:?}"))
                };
                match expected {
                    Expected::Text(text) if extraction.text == *text => None,
                    Expected::Reads(holds) if holds(extraction) => None,
                    Expected::Stop => wrong("no limit ended it"),
                    Expected::Reason(reason) => wrong(&format!("{reason} was expected, not")),
                    _ => wrong("it should not be read as"),
                }
            }
            (Err(error), _) => Some(format!("{reason}: {error}")),
        }
    }
}

/// Reads all of them, some at a time, beside a neighbour.
fn all_end_as_they_must(cases: Vec<Case>) {
    let next = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let faults = Mutex::new(Vec::new());
    let rounds = std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| read_until(&done));
        let readers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Some(fault) = case.fault() {
                            faults
                                .lock()
                                .unwrap()
                                .push(format!("{}: {fault}", case.what));
                        }
                    }
                })
            })
            .collect();
        let ended: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        done.store(true, Ordering::Relaxed);
        let rounds = neighbour.join().unwrap();
        assert!(ended.iter().all(Result::is_ok), "a reader panicked");
        rounds
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert!(rounds > 0, "the neighbour was never read");
    assert_eq!(children(), "", "children are left behind");
}

/// An honest reader's work, beside it all: right every time.
fn read_until(done: &AtomicBool) -> usize {
    let text = "Each worker reads a message.";
    let body = format!(
        "<w:document><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    );
    let files = [zip_of(&[("word/document.xml", &body)]), pdf_of(&[text])];
    let extractor = Extractor::new(Child::this_program(), limits());
    let mut rounds = 0;
    while !done.load(Ordering::Relaxed) {
        for file in &files {
            let result = extractor.extract(file, "letter");
            assert_eq!(result.unwrap().text, text, "round {rounds}");
        }
        rounds += 1;
        std::thread::sleep(Duration::from_millis(200));
    }
    rounds
}

/// The processes that this one has started and not seen the end of.
fn children() -> String {
    let threads = std::fs::read_dir(Path::new("/proc/self/task"));
    let children =
        threads.into_iter().flatten().flatten().map(|thread| {
            std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
        });
    children.collect::<Vec<_>>().concat()
}
