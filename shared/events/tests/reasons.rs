//! `docs/reasons.md` has a section for every code, and no other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, path::Path};

use millrace_events::reason::ALL;

/// Sections by heading, with their text on one line.
fn sections() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut sections = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let (heading, text) = section.split_once('\n').unwrap();
        // The next chapter's heading and introduction are no part of it.
        let text = text.split("\n# ").next().unwrap();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let twice = sections.insert(heading.trim().to_owned(), text);
        assert!(twice.is_none(), "{heading} has two sections");
    }
    sections
}

#[test]
fn every_code_has_a_section_and_every_section_a_code() {
    let sections = sections();
    let codes: Vec<&str> = ALL.iter().map(|(reason, _)| reason.code()).collect();
    let without: Vec<&&str> = codes
        .iter()
        .filter(|code| !sections.contains_key(**code))
        .collect();
    assert!(
        without.is_empty(),
        "docs/reasons.md has no section for {without:?}"
    );
    let unknown: Vec<&String> = sections
        .keys()
        .filter(|heading| !codes.contains(&heading.as_str()))
        .collect();
    assert!(unknown.is_empty(), "no code is called {unknown:?}");
}

#[test]
fn every_section_says_its_class_what_it_means_and_what_to_do() {
    for (code, text) in sections() {
        let class = ["Permanent", "Transient"]
            .iter()
            .any(|class| text.starts_with(class));
        assert!(class, "the section of {code} begins with no class");
        // The class, what it means, what to do.
        let sentences = text.split(['.', ';', ':']).filter(|s| s.trim().len() > 3);
        assert!(
            sentences.count() >= 3,
            "the section of {code} is too short: {text}"
        );
    }
}
