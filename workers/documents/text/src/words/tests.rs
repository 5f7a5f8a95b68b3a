#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

#[test]
fn words_are_counted_in_every_script() {
    let counts = [
        ("It isn't 3.14 — or is it?", 6),
        ("문서를 색인에 기록합니다.", 3),
        ("每個工作程序會讀取訊息。", 11),
        ("データを検索する", 8),
        ("請以 PDF 檔案寄送", 7),
        ("кто это сделал?", 3),
        ("هذا كتابٌ جديد، 12,5", 4),
        ("שלום צה\"ל", 2),
        ("สวัสดีชาวโลก", 3),
        ("snake_case a.b 1a", 3),
        ("👩\u{200d}👧 ! ☂", 0),
        ("", 0),
    ];
    for (text, expected) in counts {
        assert_eq!(count(text), expected, "{text}");
    }
}

/// The definition, said with another implementation of UAX 29.
fn by_definition(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = 0;
    let borders = text
        .char_indices()
        .filter(|&(_, character)| is_ideograph(character))
        .map(|(at, character)| (at, character.len_utf8()))
        .chain([(text.len(), 0)]);
    for (at, length) in borders {
        let mut begun = start;
        let segments = dictionary().segment_str(&text[start..at]);
        for end in segments {
            if is_word(&text[begun..start + end]) {
                words.push((begun, &text[begun..start + end]));
            }
            begun = start + end;
        }
        if length > 0 {
            words.push((at, &text[at..at + length]));
        }
        start = at + length;
    }
    words
}

fn by_walk(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    walk(text, |at, run| match run {
        Run::Word(word) => words.push((at, word)),
        Run::Ideographs(run, _) => words.extend(
            run.char_indices()
                .map(|(offset, c)| (at + offset, &run[offset..offset + c.len_utf8()])),
        ),
    });
    words
}

fn any_text() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(
        "abé1٣２_‿.'’,;:·٬\"-–  \n\t\u{a0}\u{301}\u{ad}\u{200d}\u{200b}\u{feff}яهא״字〇あアー゛ｱ가กရក☂👩🏽🇹①ⓐ½²"
            .chars()
            .collect::<Vec<char>>(),
    );
    // Blocks that are full: what new versions of Unicode add, the two crates may not both know.
    let range = prop::char::range;
    let known = prop_oneof![
        range('\0', '\u{377}'),
        range('\u{400}', '\u{52f}'),
        range('\u{600}', '\u{6ff}'),
        range('\u{900}', '\u{97f}'),
        range('\u{1e00}', '\u{1eff}'),
        range('\u{2000}', '\u{206f}'),
        range('\u{2100}', '\u{23ff}'),
        range('\u{2500}', '\u{27bf}'),
        range('\u{3000}', '\u{30ff}'),
        range('\u{4e00}', '\u{d7a3}'),
        range('\u{fe10}', '\u{fe19}'),
        range('\u{fe30}', '\u{fe4f}'),
        range('\u{ff00}', '\u{ffef}'),
        range('\u{1f300}', '\u{1f64f}'),
    ];
    let character = prop_oneof![5 => telling, 1 => known];
    prop::collection::vec(character, 0..40).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_are_those_of_the_definition(text in any_text()) {
        prop_assert_eq!(by_walk(&text), by_definition(&text));
        prop_assert_eq!(count(&text), by_definition(&text).len() as u64);
    }
}
