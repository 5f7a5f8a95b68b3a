//! What holds for every extraction, of whatever file. Used by the tests and by the targets of
//! `cargo fuzz`. Each function panics where something does not hold.

use millrace_text::{Chunk, ChunkSettings, ExtractError, Extraction, Limits, chunk};

/// Small limits: a fuzzer is to find what is wrong, not to wait.
pub(crate) fn limits() -> Limits {
    Limits {
        output_bytes: 1 << 20,
        expanded_bytes: 8 << 20,
        pages: 200,
        ..Limits::default()
    }
}

/// The end of a file, be it a text or a reason.
pub(crate) fn end_holds(result: &Result<Extraction, ExtractError>) {
    match result {
        Ok(extraction) => extraction_holds(extraction),
        Err(error) => {
            // Who uploaded it reads this, and so do logs.
            let sentence = error.to_string();
            assert!(
                sentence.len() < 1000,
                "a sentence of {} bytes",
                sentence.len()
            );
            assert!(!sentence.chars().any(is_unfit), "{sentence:?}");
            assert_ne!(error.reason(), "worker-unavailable", "{sentence}");
        }
    }
}

/// Text, pages, sections, names and chunks.
pub(crate) fn extraction_holds(extraction: &Extraction) {
    let text = &extraction.text;
    let characters: Vec<char> = text.chars().collect();
    text_holds(text);
    assert!(extraction.preview.chars().count() <= 500);
    assert!(text.starts_with(&extraction.preview));
    assert!(extraction.keywords.len() <= 10);
    assert!(
        extraction
            .keywords
            .iter()
            .all(|word| text.contains(word.as_str()))
    );

    let mut end = 0;
    for (number, page) in (1..).zip(&extraction.pages) {
        assert_eq!(page.number, number);
        assert!(end <= page.start && page.start <= page.end, "page {number}");
        end = page.end;
    }
    assert!(end <= characters.len(), "pages end behind the text");
    let mut start = 0;
    for section in &extraction.sections {
        let title: Vec<char> = section.title.chars().collect();
        assert!(start <= section.start, "sections out of order");
        assert!(
            characters[section.start..].starts_with(&title),
            "{}",
            section.title
        );
        assert!(section.level > 0 && !section.title.contains('\n'));
        start = section.start;
    }
    let names = extraction
        .pages
        .iter()
        .filter_map(|page| page.name.as_ref());
    let titles = extraction.sections.iter().map(|section| &section.title);
    let short = names
        .chain(titles)
        .chain(&extraction.title)
        .chain(&extraction.keywords);
    for name in short {
        assert!(name.chars().count() <= 200 && !name.is_empty(), "{name}");
        assert!(
            !name.chars().any(|other| is_unfit(other) && other != '\t'),
            "{name:?}"
        );
    }
    let chunks = chunk(
        text,
        &extraction.pages,
        &extraction.sections,
        &ChunkSettings::default(),
    );
    assert!(!chunks.is_empty());
    chunks_hold(&characters, &chunks);
}

fn text_holds(text: &str) {
    let unfit = text
        .chars()
        .find(|&other| is_unfit(other) && !matches!(other, '\n' | '\t'));
    assert_eq!(unfit, None);
    assert!(
        text.lines().all(|line| line.trim_end() == line),
        "blanks at the end of a line"
    );
    assert!(!text.contains("\n\n\n"), "more than one empty line");
    assert!(
        !text.starts_with('\n') && !text.ends_with('\n'),
        "empty lines at an end"
    );
}

/// Exact, in order, and nothing but white space left out.
pub(crate) fn chunks_hold(characters: &[char], chunks: &[Chunk]) {
    let mut covered = 0;
    let mut start = 0;
    for chunk in chunks {
        assert!(
            start <= chunk.start && chunk.start < chunk.end,
            "chunks out of order"
        );
        let content: String = characters[chunk.start..chunk.end].iter().collect();
        assert_eq!(content, chunk.content);
        let skipped = characters.get(covered..chunk.start).unwrap_or_default();
        assert!(
            skipped.iter().all(|other| other.is_whitespace()),
            "text in no chunk"
        );
        covered = covered.max(chunk.end);
        start = chunk.start;
    }
    assert!(
        characters[covered..]
            .iter()
            .all(|other| other.is_whitespace()),
        "text behind the chunks"
    );
}

/// What nobody sees, but what changes how a line is shown or where it ends.
pub(crate) fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
