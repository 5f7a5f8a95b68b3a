//! What happens at each limit, and to a child that is none.

use std::time::{Duration, Instant};

use millrace_text::{Child, Extractor, Limits};

use crate::Test;
use crate::samples::{extract, zip_of};

pub(crate) const TESTS: &[Test] = &[
    ("a_program_that_is_no_child", a_program_that_is_no_child),
    ("too_much_text", too_much_text),
    ("too_large_when_unpacked", too_large_when_unpacked),
    ("too_little_memory", too_little_memory),
    ("too_little_time", too_little_time),
    ("nested_too_deeply", nested_too_deeply),
    ("children_side_by_side", children_side_by_side),
];

fn a_program_that_is_no_child() {
    for program in ["/bin/true", "/bin/cat", "/no/such/program"] {
        let extractor = Extractor::new(Child::program(program), Limits::default());
        let error = extractor.extract(b"some text", "a.txt").unwrap_err();
        assert!(error.is_transient(), "{program}: {error}");
    }
}

fn with_limits(limits: Limits, bytes: &[u8], name: &str) -> &'static str {
    let started = Instant::now();
    let extractor = Extractor::new(Child::this_program(), limits.clone());
    let reason = extractor
        .extract(bytes, name)
        .err()
        .map_or("none", |error| error.reason());
    let elapsed = started.elapsed();
    assert!(
        elapsed < limits.wall + Duration::from_secs(2),
        "{elapsed:?}"
    );
    reason
}

fn too_much_text() {
    let text = "many words ".repeat(200_000);
    let limits = Limits {
        output_bytes: 1 << 20,
        ..Limits::default()
    };
    assert_eq!(
        with_limits(limits, text.as_bytes(), "a.txt"),
        "output-limit"
    );
    let limits = Limits {
        input_bytes: 1 << 20,
        ..Limits::default()
    };
    assert_eq!(with_limits(limits, text.as_bytes(), "a.txt"), "too-large");
}

fn too_large_when_unpacked() {
    // Nothing but attributes: no text that the output limit would see.
    let body = format!(
        "<w:document xmlns:w='w'><w:body>{}</w:body></w:document>",
        "<w:p w:x='0000'/>".repeat(500_000)
    );
    let file = zip_of(&[("word/document.xml", &body)]);
    assert!(file.len() < 100_000, "{}", file.len());
    let limits = Limits {
        expanded_bytes: 1 << 20,
        ..Limits::default()
    };
    assert_eq!(with_limits(limits, &file, "a.docx"), "too-large");
}

fn too_little_memory() {
    let text = "one 字\n".repeat(6_000_000);
    let limits = Limits {
        output_bytes: 64 << 20,
        memory_bytes: 200 << 20,
        ..Limits::default()
    };
    assert_eq!(
        with_limits(limits, text.as_bytes(), "a.txt"),
        "memory-limit"
    );
}

/// By the clock. Of processor time a form that draws forms takes too much: see the hostile PDFs.
fn too_little_time() {
    let text = "這是一個句子。".repeat(400_000);
    let wall = Limits {
        wall: Duration::from_millis(20),
        ..Limits::default()
    };
    assert_eq!(with_limits(wall, text.as_bytes(), "a.txt"), "time-limit");
}

/// A dictionary in a dictionary, and so on: the parser of PDF recurses.
fn nested_too_deeply() {
    let depth = 200_000;
    let file = format!(
        "%PDF-1.4\n1 0 obj\n{}{}\nendobj\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n",
        "<</A ".repeat(depth),
        ">>".repeat(depth)
    );
    assert_eq!(
        with_limits(Limits::default(), file.as_bytes(), "a.pdf"),
        "extraction-crashed"
    );
}

fn children_side_by_side() {
    std::thread::scope(|scope| {
        for number in 0..8 {
            scope.spawn(move || {
                for round in 0..5 {
                    let text = format!("Text number {number} in round {round}.");
                    assert_eq!(extract(text.as_bytes(), "a.txt").unwrap().text, text);
                }
            });
        }
    });
}
