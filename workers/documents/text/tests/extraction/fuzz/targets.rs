//! What is fuzzed: a reader each, with its seeds and the words of its format.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use millrace_text::{
    Child, ChunkSettings, Extractor, Limits, Page, Section, chunk, extract_here, sniff,
};

use super::mutate::{Chance, mutate};
use crate::checks;
use crate::samples::zip_of_bytes;

pub(super) struct Target {
    pub(super) name: &'static str,
    /// The folder of its seeds.
    seeds: &'static str,
    /// Its seeds are lists of parts, of which an archive is made.
    packed: bool,
    /// The list of words of its format.
    words: &'static str,
    pub(super) check: fn(&[u8]),
}

pub(super) const TARGETS: &[Target] = &[
    Target::of_parts("docx", "docx", "word"),
    Target::of_parts("xlsx", "xlsx", "sheet"),
    Target::of_parts("pptx", "pptx", "slide"),
    Target::of_parts("opendocument", "opendocument", "open"),
    Target::of_parts("epub", "epub", "book"),
    Target::of_parts("parts", "docx", "markup"),
    Target::new("html", "html", |file| named(file, "a.html")),
    Target::new("xml", "markup", |file| named(file, "a.xml")),
    Target::new("json", "json", |file| named(file, "a.json")),
    Target::new("csv", "csv", |file| named(file, "a.csv")),
    Target::new("markdown", "markdown", |file| named(file, "a.md")),
    Target::new("rtf", "rtf", any),
    Target::new("eml", "mail", any),
    Target::new("plain", "text", any),
    Target::new("chunk", "text", chunks),
    Target::new("pdf", "pdf", in_the_child),
];

impl Target {
    const fn new(name: &'static str, words: &'static str, check: fn(&[u8])) -> Self {
        Self {
            name,
            seeds: name,
            packed: false,
            words,
            check,
        }
    }

    const fn of_parts(name: &'static str, seeds: &'static str, words: &'static str) -> Self {
        Self {
            name,
            seeds,
            packed: true,
            words,
            check: any,
        }
    }

    /// The file of that number, which is the same every time.
    pub(super) fn file(&self, seed: u64, number: u64) -> Vec<u8> {
        let name = self.name.bytes().fold(seed, |sum, byte| {
            sum.wrapping_mul(257).wrapping_add(u64::from(byte))
        });
        let mut chance = Chance::new(name.rotate_left(32) ^ number);
        let seeds = seeds();
        let own: Vec<&Seed> = seeds
            .iter()
            .filter(|other| other.folder == self.seeds)
            .collect();
        let mut seed = chance.one_of(&own).bytes.clone();
        let other = match chance.below(3) {
            0 => &chance.one_of(seeds).bytes,
            _ => &chance.one_of(&own).bytes,
        };
        if self.packed {
            return packed(&mut chance, &seed, other, words(self.words));
        }
        mutate(&mut chance, &mut seed, other, words(self.words));
        // Some in another encoding.
        if chance.below(10) == 0 {
            let text = String::from_utf8_lossy(&seed).into_owned();
            let to_bytes = *chance.one_of(&[u16::to_le_bytes, u16::to_be_bytes]);
            seed = std::iter::once(0xfeff)
                .chain(text.encode_utf16())
                .flat_map(to_bytes)
                .collect();
        }
        seed
    }
}

/// Changes some parts, leaves out or doubles one, and sometimes changes the archive itself.
fn packed(chance: &mut Chance, seed: &[u8], other: &[u8], words: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = parts(seed);
    for _ in 0..=chance.below(2) {
        let changed = chance.below(parts.len());
        match chance.below(24) {
            0 => drop(parts.remove(changed)),
            1 => {
                let copy = parts[chance.below(parts.len())].1.clone();
                parts[changed].1 = copy;
            }
            2 => {
                let mut name = std::mem::take(&mut parts[changed].0).into_bytes();
                mutate(chance, &mut name, other, self::words("names"));
                // A byte that is no UTF-8 becomes three, and names have at most 65,535.
                name.truncate(20_000);
                parts[changed].0 = String::from_utf8_lossy(&name).into_owned();
            }
            3 => parts[changed].1.extend(other.iter().take(2000)),
            _ => mutate(chance, &mut parts[changed].1, other, words),
        }
        if parts.is_empty() {
            break;
        }
    }
    let mut named: Vec<(&str, &[u8])> = Vec::new();
    for (name, content) in &parts {
        if named.iter().all(|(other, _)| other != name) {
            named.push((name, content));
        }
    }
    let mut archive = zip_of_bytes(&named);
    if chance.below(8) == 0 {
        mutate(chance, &mut archive, other, self::words("marks"));
    }
    archive
}

/// `=== name`, and the lines of the part up to the next one.
fn parts(seed: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = String::from_utf8(seed.to_vec()).unwrap();
    let parts = text.split("=== ").skip(1).map(|part| {
        let (name, content) = part.split_once('\n').unwrap();
        (
            name.to_owned(),
            content.trim_end_matches('\n').as_bytes().to_vec(),
        )
    });
    parts.collect()
}

/// The words of a format, in the form in which libFuzzer reads them too.
fn words(list: &str) -> &'static [Vec<u8>] {
    static WORDS: OnceLock<HashMap<String, Vec<Vec<u8>>>> = OnceLock::new();
    let lists = WORDS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/words");
        let paths = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let lists = paths.map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            (name, text.lines().filter_map(word).collect())
        });
        lists.collect()
    });
    &lists[list]
}

/// `"abc"`, with `\\`, `\"` and `\xhh` in it.
fn word(line: &str) -> Option<Vec<u8>> {
    let quoted = line.strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    let mut rest = quoted.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'x', digits @ ..]) => {
                let number = std::str::from_utf8(&digits[..2]).unwrap();
                word.push(u8::from_str_radix(number, 16).unwrap());
                &digits[2..]
            }
            (b'\\', [escaped, after @ ..]) => {
                word.push(*escaped);
                after
            }
            _ => {
                word.push(first);
                after
            }
        };
    }
    Some(word)
}

struct Seed {
    folder: String,
    bytes: Vec<u8>,
}

/// All of them, in one order on every machine.
fn seeds() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let mut paths = Vec::new();
        for folder in std::fs::read_dir(corpus).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                paths.push(file.unwrap().path());
            }
        }
        paths.sort();
        let seeds = paths.iter().map(|path| {
            let folder = path.parent().unwrap().file_name().unwrap();
            Seed {
                folder: folder.to_string_lossy().into_owned(),
                bytes: std::fs::read(path).unwrap(),
            }
        });
        seeds.filter(|seed| seed.folder != "crashes").collect()
    })
}

fn any(file: &[u8]) {
    named(file, "a");
}

fn named(file: &[u8], name: &str) {
    let limits = checks::limits();
    let result = extract_here(file, name, &limits);
    checks::end_holds(&result);
    if let Ok(extraction) = &result {
        assert_eq!(sniff(file, name), Ok(extraction.format));
        // The same file gives the same extraction.
        if file.len().is_multiple_of(16) {
            assert_eq!(result, extract_here(file, name, &limits));
        }
    }
}

/// Any text, with pages and sections where the text itself says.
fn chunks(file: &[u8]) {
    let text = String::from_utf8_lossy(file);
    let characters: Vec<char> = text.chars().collect();
    let mut chance = Chance::new(
        file.iter()
            .fold(0, |sum, byte| sum * 31 % 65_521 + u64::from(*byte)),
    );
    let mut borders: Vec<usize> = (0..chance.below(6))
        .map(|_| chance.below(characters.len() + 1))
        .collect();
    borders.sort_unstable();
    let pages: Vec<Page> = (1..)
        .zip(borders.windows(2))
        .map(|(number, pair)| Page {
            number,
            start: pair[0],
            end: pair[1],
            ..Page::default()
        })
        .collect();
    let mut starts: Vec<usize> = (0..chance.below(6))
        .map(|_| chance.below(characters.len() + 1))
        .collect();
    starts.sort_unstable();
    let sections: Vec<Section> = starts
        .iter()
        .map(|&start| Section {
            title: "x".to_owned(),
            level: 1,
            start,
        })
        .collect();
    let found = chunk(&text, &pages, &sections, &ChunkSettings::default());
    checks::chunks_hold(&characters, &found);
}

/// PDF is read by a library that does crash; what must hold is that the child says so.
fn in_the_child(file: &[u8]) {
    let limits = Limits {
        cpu: Duration::from_secs(3),
        wall: Duration::from_secs(15),
        memory_bytes: 512 << 20,
        ..checks::limits()
    };
    let result = Extractor::new(Child::this_program(), limits).extract(file, "a.pdf");
    checks::end_holds(&result);
}
