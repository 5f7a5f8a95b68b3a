//! Files whose text is known, and files that were made to do harm.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace_text::{Child, Extractor, Limits};

use crate::Test;
use crate::checks::extraction_holds;
use crate::samples::extract;

pub(crate) const TESTS: &[Test] = &[
    ("known_files_give_their_text", known_files_give_their_text),
    ("files_without_text_say_why", files_without_text_say_why),
    (
        "hostile_files_end_with_a_reason",
        hostile_files_end_with_a_reason,
    ),
    ("foreign_files_never_crash", foreign_files_never_crash),
];

/// The share of words that must be right, and of right ones that must be there.
const LEAST_F1: f64 = 0.97;
/// Formats of the corpus that are read.
const EXTENSIONS: &[&str] = &[
    "pdf", "docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "rtf", "csv", "html", "md", "txt",
];

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus");
    let path = std::env::var_os("MILLRACE_CORPUS").map_or(beside, PathBuf::from);
    if path.join("made").is_dir() {
        return Some(path);
    }
    println!("skipped: no corpus at {}", path.display());
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|file| {
        file.extension()
            .is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
    });
    files
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

/// Words between spaces; each ideograph is a word of its own.
fn words(text: &str) -> HashMap<String, i64> {
    let mut words = HashMap::new();
    let mut word = String::new();
    let mut add = |word: &mut String| {
        if !word.is_empty() {
            *words.entry(std::mem::take(word)).or_insert(0) += 1;
        }
    };
    for character in text.chars() {
        let ideograph = ('\u{3400}'..='\u{9fff}').contains(&character);
        if ideograph || !character.is_alphanumeric() {
            add(&mut word);
        }
        if ideograph {
            add(&mut character.to_string());
        } else if character.is_alphanumeric() {
            word.push(character);
        }
    }
    add(&mut word);
    words
}

fn f1(found: &str, truth: &str) -> f64 {
    let (found, truth) = (words(found), words(truth));
    let common: i64 = found
        .iter()
        .map(|(w, n)| *n.min(truth.get(w).unwrap_or(&0)))
        .sum();
    let total = found.values().sum::<i64>() + truth.values().sum::<i64>();
    if total == 0 {
        1.0
    } else {
        2.0 * common as f64 / total as f64
    }
}

fn language_in_name(name: &str) -> Option<&'static str> {
    let marks = [("_en", "en"), ("_zh", "zh-TW"), ("_ko", "ko")];
    marks
        .iter()
        .find(|(mark, _)| name.contains(mark))
        .map(|(_, language)| *language)
}

fn known_files_give_their_text() {
    let Some(corpus) = corpus() else { return };
    let mut seen = 0;
    for file in files(&corpus.join("made")) {
        let name = name_of(&file);
        // The notes have no truth of their own.
        let Ok(truth) = std::fs::read(corpus.join(format!("truth/{name}.json"))) else {
            continue;
        };
        let truth: Vec<String> = serde_json::from_slice(&truth).unwrap();
        if truth.iter().all(String::is_empty) {
            continue;
        }
        let started = Instant::now();
        let extraction = extract(&std::fs::read(&file).unwrap(), &name)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let elapsed = started.elapsed();
        let whole = f1(&extraction.text, &truth.join("\n"));
        let characters: Vec<char> = extraction.text.chars().collect();
        let by_page = extraction.pages.iter().zip(&truth).map(|(page, truth)| {
            f1(
                &characters[page.start..page.end].iter().collect::<String>(),
                truth,
            )
        });
        let worst_page = by_page.fold(1.0, f64::min);
        println!(
            "  {name:28} F1 {whole:.3}  worst page {worst_page:.3}  {:4} ms  {:?}  {} words  {:?}",
            elapsed.as_millis(),
            extraction.language,
            extraction.word_count,
            extraction.keywords
        );
        assert!(whole >= LEAST_F1, "{name}: {whole}");
        if !extraction.pages.is_empty() {
            assert_eq!(extraction.pages.len(), truth.len(), "{name}");
            assert!(worst_page >= LEAST_F1, "{name}: {worst_page}");
        }
        if let Some(language) = language_in_name(&name) {
            assert_eq!(extraction.language.as_deref(), Some(language), "{name}");
        }
        extraction_holds(&extraction);
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} files have a truth");
}

fn files_without_text_say_why() {
    let Some(corpus) = corpus() else { return };
    let expected = [
        ("made/enc_userpw_zh.pdf", "encrypted"),
        ("made/enc_userpw_ko.pdf", "encrypted"),
        ("made/scanned_ko.pdf", "needs-ocr"),
        ("pdf/libreoffice-writer-password.pdf", "encrypted"),
        ("office/testWORD_protected_passtika.docx", "encrypted"),
        ("office/password_protected.xlsx", "encrypted"),
    ];
    for (file, reason) in expected {
        let bytes = std::fs::read(corpus.join(file)).unwrap();
        let error = extract(&bytes, file).err();
        assert_eq!(
            error.as_ref().map(|error| error.reason()),
            Some(reason),
            "{file}: {error:?}"
        );
    }
}

fn hostile_files_end_with_a_reason() {
    let Some(corpus) = corpus() else { return };
    let limits = Limits {
        cpu: Duration::from_secs(10),
        wall: Duration::from_secs(40),
        ..Limits::default()
    };
    let extractor = Extractor::new(Child::this_program(), limits.clone());
    // Where several ends are right, because it depends on the machine which limit comes first,
    // the reason is not fixed.
    let fixed = HashMap::from([
        ("empty.pdf", "empty-file"),
        ("notdocx.docx", "damaged-file"),
        ("notpdf.pdf", "unsupported-format"),
        ("nul_bytes.txt", "unsupported-format"),
        ("truncated_half.pdf", "damaged-file"),
        ("truncated_xml.docx", "damaged-file"),
        ("truncated_zip.docx", "damaged-file"),
        ("no_xref.pdf", "none"),
        ("deep_b_50k.html", "none"),
        ("deep_blockquote_20k.html", "none"),
        ("deep_tables_20k.docx", "none"),
        ("bomb.epub", "too-large"),
        ("billion_laughs.docx", "no-text"),
        ("ref_chain_loop.pdf", "no-text"),
        ("pages_cycle.pdf", "none"),
        ("count_lies_2e9.pdf", "none"),
        ("deep_array_1M.pdf", "none"),
        ("deep_array_obj_300k.pdf", "none"),
        ("huge_image_60k.pdf", "none"),
        ("cid_widths_2e9.pdf", "no-text"),
        ("flate_bomb_1GB_spaces.pdf", "no-text"),
        ("xobject_exp_10e12.pdf", "time-limit"),
    ]);
    let folder = corpus.join("hostile");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let name = name_of(&file);
        let bytes = std::fs::read(&file).unwrap();
        let started = Instant::now();
        let result = extractor.extract(&bytes, &name);
        let elapsed = started.elapsed();
        let reason = result.as_ref().err().map_or("none", |error| error.reason());
        let sentence = result
            .as_ref()
            .err()
            .map_or_else(String::new, ToString::to_string);
        println!(
            "  {name:32} {:6} ms  {reason}: {sentence}",
            elapsed.as_millis()
        );
        assert!(
            elapsed < limits.wall + Duration::from_secs(2),
            "{name}: {elapsed:?}"
        );
        assert_ne!(reason, "worker-unavailable", "{name}: {sentence}");
        if let Some(expected) = fixed.get(name.as_str()) {
            assert_eq!(reason, *expected, "{name}: {sentence}");
        }
        if let Ok(extraction) = &result {
            extraction_holds(extraction);
        }
    }
}

fn foreign_files_never_crash() {
    let Some(corpus) = corpus() else { return };
    for folder in ["pdf", "office", "web", "text"] {
        for file in files(&corpus.join(folder)) {
            let name = name_of(&file);
            let started = Instant::now();
            let result = extract(&std::fs::read(&file).unwrap(), &name);
            let elapsed = started.elapsed();
            match &result {
                Ok(extraction) => {
                    println!(
                        "  {name:40} {:5} ms {:4} pages {:6} words {:?} {} sections, title {:?}",
                        elapsed.as_millis(),
                        extraction.pages.len(),
                        extraction.word_count,
                        extraction.language,
                        extraction.sections.len(),
                        extraction.title
                    );
                    extraction_holds(extraction);
                }
                Err(error) => println!(
                    "  {name:40} {:5} ms {}: {error}",
                    elapsed.as_millis(),
                    error.reason()
                ),
            }
            let reason = result.err().map(|error| error.reason());
            assert!(
                !matches!(reason, Some("extraction-crashed" | "worker-unavailable")),
                "{name}"
            );
        }
    }
}
