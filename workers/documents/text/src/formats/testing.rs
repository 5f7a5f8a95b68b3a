//! Archives that tests write themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{ExtractError, Extraction, Limits, extract_here};

pub(super) fn zip_of(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        archive
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

pub(super) fn read(parts: &[(&str, &str)]) -> Result<Extraction, ExtractError> {
    extract_here(&zip_of(parts), "a", &Limits::default())
}

pub(super) fn reason(parts: &[(&str, &str)]) -> &'static str {
    read(parts).err().map_or("none", |error| error.reason())
}

/// Relations, each of a kind and to a part; the first has the id `r1`.
pub(super) fn relations(targets: &[(&str, &str)]) -> String {
    let mut xml = "<Relationships>".to_owned();
    for (number, (kind, target)) in (1..).zip(targets) {
        xml.push_str(&format!(
            "<Relationship Id='r{number}' Type='http://x/relationships/{kind}' Target='{target}'/>"
        ));
    }
    xml + "</Relationships>"
}

/// Each page with its name, whether it is hidden, and its text.
pub(super) fn pages(extraction: &Extraction) -> Vec<(Option<&str>, bool, String)> {
    let characters: Vec<char> = extraction.text.chars().collect();
    let text = |start: usize, end: usize| characters[start..end].iter().collect();
    extraction
        .pages
        .iter()
        .map(|page| {
            (
                page.name.as_deref(),
                page.hidden,
                text(page.start, page.end),
            )
        })
        .collect()
}
