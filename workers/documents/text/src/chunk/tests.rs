#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::estimate_tokens;
use crate::sentences::{self, Rules};

fn settings(target: usize, maximum: usize, overlap: usize) -> ChunkSettings {
    ChunkSettings::try_new(target, maximum, overlap).unwrap()
}

fn section(title: &str, start: usize) -> Section {
    Section {
        title: title.to_owned(),
        level: 1,
        start,
    }
}

fn contents<'a>(chunks: &[Chunk<'a>]) -> Vec<&'a str> {
    chunks.iter().map(|chunk| chunk.content).collect()
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    assert_eq!(
        ChunkSettings::try_new(10, 15, 0),
        Err(InvalidChunkSettings::Maximum(15))
    );
    let too_high = InvalidChunkSettings::Target {
        target: 20,
        maximum: 16,
    };
    assert_eq!(ChunkSettings::try_new(20, 16, 0), Err(too_high));
    let too_wide = InvalidChunkSettings::Overlap {
        overlap: 9,
        target: 16,
    };
    assert_eq!(ChunkSettings::try_new(16, 16, 9), Err(too_wide));
    let json = r#"{"target_tokens":0,"max_tokens":100,"overlap_tokens":0}"#;
    assert!(serde_json::from_str::<ChunkSettings>(json).is_err());
    let json = serde_json::to_string(&ChunkSettings::default()).unwrap();
    assert_eq!(
        serde_json::from_str::<ChunkSettings>(&json).unwrap(),
        ChunkSettings::default()
    );
}

#[test]
fn a_short_text_is_one_chunk() {
    let chunks = chunk(
        " One sentence. Another one.\n",
        &[],
        &[],
        &ChunkSettings::default(),
    );
    assert_eq!(
        chunks,
        [Chunk {
            index: 0,
            start: 1,
            end: 27,
            page: None,
            page_end: None,
            section: None,
            word_count: 4,
            char_count: 26,
            content: "One sentence. Another one.",
        }]
    );
    assert!(chunk(" \n\t", &[], &[], &ChunkSettings::default()).is_empty());
}

#[test]
fn sentences_are_kept_whole_and_sizes_even() {
    let text = "資料管線處理訊息。".repeat(10);
    // Nine tokens a sentence, ninety in all: three chunks of thirty.
    let chunks = chunk(&text, &[], &[], &settings(36, 40, 0));
    assert_eq!(chunks.len(), 3);
    for chunk in &chunks {
        assert!(chunk.content.ends_with('。'), "{}", chunk.content);
        assert!(
            (18..=36).contains(&chunk.char_count),
            "{}",
            chunk.char_count
        );
    }
}

#[test]
fn overlap_is_whole_sentences() {
    let sentences: Vec<String> = (10..30)
        .map(|n| format!("Sentence number {n} is here."))
        .collect();
    let text = sentences.join(" ");
    let chunks = chunk(&text, &[], &[], &settings(30, 40, 10));
    assert!(chunks.len() > 2);
    for pair in chunks.windows(2) {
        assert!(
            pair[1].start < pair[0].end,
            "no overlap before {}",
            pair[1].content
        );
        assert!(pair[1].content.starts_with("Sentence number"));
        let repeated = pair[0].end - pair[1].start;
        assert!(repeated <= 40, "{repeated}");
    }
}

#[test]
fn chunks_end_at_sections_and_lonely_headings_move_on() {
    let text = "Book\n\nFirst\n\nText of one.\n\nSecond\n\nText of two.";
    let sections = [
        section("Book", 0),
        section("First", 6),
        section("Second", 27),
    ];
    let chunks = chunk(text, &[], &sections, &ChunkSettings::default());
    assert_eq!(
        contents(&chunks),
        ["Book\n\nFirst\n\nText of one.", "Second\n\nText of two."]
    );
    assert_eq!(chunks[0].section, Some("First"));
    assert_eq!(chunks[1].section, Some("Second"));
}

#[test]
fn chunks_end_at_pages_unless_a_sentence_goes_on() {
    let text = "First page.\n\nIts second sentence goes\non here. The end.";
    let pages = [
        Page {
            number: 1,
            start: 0,
            end: 37,
            ..Page::default()
        },
        Page {
            number: 2,
            start: 38,
            end: 55,
            ..Page::default()
        },
    ];
    let chunks = chunk(text, &pages, &[], &ChunkSettings::default());
    assert_eq!(
        contents(&chunks),
        [
            "First page.\n\nIts second sentence goes\non here.",
            "The end."
        ]
    );
    assert_eq!((chunks[0].page, chunks[0].page_end), (Some(1), Some(2)));
    assert_eq!((chunks[1].page, chunks[1].page_end), (Some(2), Some(2)));
}

#[test]
fn an_empty_page_is_never_named() {
    let pages = [
        Page {
            number: 1,
            start: 0,
            end: 4,
            ..Page::default()
        },
        Page {
            number: 2,
            start: 4,
            end: 4,
            ..Page::default()
        },
        Page {
            number: 3,
            start: 6,
            end: 10,
            ..Page::default()
        },
    ];
    let chunks = chunk("One.\n\nTwo.", &pages, &[], &ChunkSettings::default());
    assert_eq!(
        chunks.iter().map(|c| c.page).collect::<Vec<_>>(),
        [Some(1), Some(3)]
    );
}

#[test]
fn an_overlong_sentence_is_cut_between_words() {
    let text = "word ".repeat(100);
    let chunks = chunk(&text, &[], &[], &settings(16, 16, 0));
    assert!(chunks.len() > 5);
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.content.split(' ').all(|word| word == "word"))
    );
    let marks = format!("e{}", "\u{301}".repeat(300));
    assert!(chunk(&marks, &[], &[], &settings(16, 16, 0)).len() > 5);
}

#[test]
fn no_text_takes_more_than_linear_time() {
    let units = [
        ")",
        "a.",
        "1.",
        ". ",
        "a\n",
        "\n",
        ")\n",
        "가",
        "字",
        "。",
        "e\u{301}",
        "\u{301}",
        "ก",
        "👩\u{200d}",
        "\u{1f1f9}",
        "a ",
        "\u{200d}",
        "\u{ad}",
        "가a",
        "\"",
        ".)",
    ];
    for unit in units {
        let time = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            let rounds = (0..3).map(|_| {
                let started = std::time::Instant::now();
                std::hint::black_box(chunk(&text, &[], &[], &ChunkSettings::default()));
                started.elapsed()
            });
            rounds.min().unwrap()
        };
        // Eight times as much; twenty-four leaves room for a busy machine, sixty-four would be the
        // square. What is the square is so every time, what the machine does beside it is not.
        let is_linear = || {
            let short = time(50_000).max(std::time::Duration::from_millis(10));
            time(400_000) < short * 24
        };
        assert!(
            (0..4).any(|_| is_linear()),
            "{unit:?} takes more than linear time"
        );
    }
}

/// What must hold for every text and every settings.
fn check(text: &str, pages: &[Page], sections: &[Section], settings: &ChunkSettings) {
    let chunks = chunk(text, pages, sections, settings);
    assert_eq!(
        chunks,
        chunk(text, pages, sections, settings),
        "not deterministic"
    );
    let characters: Vec<char> = text.chars().collect();
    let mut covered = vec![false; characters.len()];
    for (index, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.index as usize, index);
        let slice: String = characters[chunk.start..chunk.end].iter().collect();
        assert_eq!(slice, chunk.content);
        assert_eq!(chunk.char_count as usize, chunk.end - chunk.start);
        assert!(!chunk.content.is_empty() && chunk.content.trim() == chunk.content);
        assert!(
            estimate_tokens(chunk.content) <= settings.max_tokens(),
            "{:?}",
            chunk.content
        );
        assert_eq!(u64::from(chunk.word_count), words::count(chunk.content));
        let holds = |number: Option<u32>, position: usize| {
            let page = pages.iter().find(|page| Some(page.number) == number);
            page.is_some_and(|page| page.start <= position && position < page.end)
        };
        assert!(
            pages.is_empty()
                || holds(chunk.page, chunk.start) && holds(chunk.page_end, chunk.end - 1)
        );
        covered[chunk.start..chunk.end].fill(true);
    }
    for pair in chunks.windows(2) {
        assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
        let shared: String = characters[pair[1].start.min(pair[0].end)..pair[0].end]
            .iter()
            .collect();
        assert!(
            estimate_tokens(&shared) <= settings.overlap_tokens(),
            "{shared:?}"
        );
    }
    check_sentences(text, sections, settings, &chunks);
    for (position, character) in characters.iter().enumerate() {
        assert!(
            covered[position] || character.is_whitespace(),
            "lost {character:?} at {position}"
        );
    }
}

/// No chunk begins or ends within a sentence that fits a chunk and has no heading in it.
fn check_sentences(
    text: &str,
    sections: &[Section],
    settings: &ChunkSettings,
    chunks: &[Chunk<'_>],
) {
    let (mut byte, mut position) = (0, 0);
    for sentence in sentences::of(text, Rules::Tailored) {
        let all = &text[byte..sentence.end];
        let start = position + (all.chars().count() - all.trim_start().chars().count());
        byte = sentence.end;
        position += all.chars().count();
        let end = start + all.trim().chars().count();
        let fits = estimate_tokens(all) <= settings.max_tokens();
        let is_whole = !sections
            .iter()
            .any(|section| start < section.start && section.start < position);
        if !fits || !is_whole {
            continue;
        }
        for chunk in chunks {
            let within = |place: usize| start < place && place < end;
            assert!(
                !within(chunk.start) && !within(chunk.end),
                "{all:?} is cut: {:?}",
                chunk.content
            );
        }
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z ,.!?\n]{0,60}",
        "[一-龥。，！？\n ]{0,60}",
        "[가-힣 .\n]{0,60}",
        "\\PC{0,30}",
        any::<Vec<char>>().prop_map(|characters| characters.into_iter().take(40).collect()),
        "[ \n\t\u{3000}]{0,80}",
        "[e\u{301}\u{200d}👩👧🇹🇼]{0,60}",
        "[ا-ي ؟۔.،]{0,60}",
        "[ぁ-んァ-ン漢字「」。…！]{0,60}",
        "[a-z]{0,200}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_text_is_covered_by_chunks_that_fit(
        text in any_text(),
        cuts in prop::collection::vec(0..600_usize, 0..8),
        headings in prop::collection::vec(0..600_usize, 0..8),
        target in 1..80_usize,
        beyond in 0..40_usize,
        overlap in 0..40_usize,
    ) {
        let maximum = (target + beyond).max(16);
        let settings = settings(target, maximum, overlap.min(target / 2));
        let length = text.chars().count();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= length).collect();
        cuts.extend([0, length]);
        cuts.sort_unstable();
        let pages: Vec<Page> = cuts
            .windows(2)
            .zip(1..)
            .map(|(pair, number)| Page { number, start: pair[0], end: pair[1], ..Page::default() })
            .collect();
        let mut headings: Vec<usize> = headings.into_iter().filter(|at| *at <= length).collect();
        headings.sort_unstable();
        let sections: Vec<Section> =
            headings.iter().map(|start| section(&start.to_string(), *start)).collect();
        check(&text, &[], &[], &settings);
        check(&text, &pages, &sections, &settings);
    }
}
