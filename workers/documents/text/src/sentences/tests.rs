#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use icu_segmenter::SentenceSegmenter;
use icu_segmenter::options::SentenceBreakInvariantOptions;
use proptest::prelude::*;

use super::*;

fn ends(text: &str, rules: Rules) -> Vec<usize> {
    of(text, rules).map(|sentence| sentence.end).collect()
}

/// The sentences of a text, without the white space around them.
fn sentences(text: &str) -> Vec<&str> {
    let mut start = 0;
    let mut found = Vec::new();
    for end in ends(text, Rules::Tailored) {
        found.push(text[start..end].trim());
        start = end;
    }
    found
}

/// Each text is written with `|` where a sentence ends.
fn check(marked: &[&str]) {
    for marked in marked {
        let expected: Vec<&str> = marked.split('|').map(str::trim).collect();
        let text = marked.replace('|', "");
        assert_eq!(sentences(&text), expected);
    }
}

#[test]
fn sentences_end_in_every_script() {
    check(&[
        "One. |Two! |Three? |“Four.” |Five",
        "Is it so?! |It is... |He left. |\"Why?\" |Nobody knows.",
        "他說：「好。」|我走了！|你呢？|再見",
        "第一句。|「第二句。」|『第三句！』|（第四句。）|第五句",
        "他說。|「好。」|她說。|“也好。”|“是。”",
        "前句；|後句。|他想：「也許……」|然後睡了……\n|天亮了",
        "データを読む。|「書く。」|終わり！？|次へ",
        "문서를 읽습니다. |색인에 씁니다! |끝났습니까? |네.",
        "هل قرأت الكتاب؟ |نعم. |انتهى",
        "یہ ایک جملہ ہے۔ |یہ دوسرا ہے۔",
        "यह एक वाक्य है। |यह दूसरा है।",
        "Он пришёл. |Она ушла… |Дождь шёл.",
        "全角．|次の文｡|終",
    ]);
}

#[test]
fn abbreviations_and_numbers_end_no_sentence() {
    check(&[
        "Dr. Lin and Mrs. Chen met Prof. Ito. |They spoke.",
        "See e.g. Figure 2, i.e. the second. |Next.",
        "Cf. No. 5, Fig. 3 and pp. 12 of Vol. 2. |No. |There are none.",
        "The U.S. Government and J. R. Smith agreed. |We did too.",
        "It was made in the U.S. |The rest was not.",
        "Pi is 3.14, and 1.5 is more than 0.5. |Good.",
        "Lin et al. (2019) and Ito et al. [3] found it. |Others did not.",
        "She has a Ph.D. |He has none.",
        "1. Sieve the flour. |Knead it.\n|2. Wait.\n|a. Bake.\n|IV. Eat.",
        "On 5 Jan. 2020 we met. |On 6 Jan. |We parted.",
        "Zahlen stehen in Nr. 5, z.B. Bücher. |Ende.",
        "Он живёт на ул. Ленина. |Дом стоит.",
        "وصل د. محمد إلى المدينة. |ثم عاد.",
        "Use v1.2.3 of Node.js on example.com. |Then go.",
        "It is so.[3] |And so.[12][13] |See f.(x) too. |End.",
        "etc. and so on. |End.",
    ]);
}

#[test]
fn a_wrapped_line_ends_no_sentence() {
    check(&[
        "A line that goes\non here. |Another.",
        "A heading\n|Text begins",
        "Ends here.\n|and begins small",
        "Apart\n|\n|small",
    ]);
}

#[test]
fn every_text_ends_once() {
    assert_eq!(ends("", Rules::Tailored), [0_usize; 0]);
    assert_eq!(ends("a", Rules::Tailored), [1]);
    assert_eq!(ends("a.", Rules::Tailored), [2]);
    assert_eq!(ends("a\n", Rules::Tailored), [2]);
}

fn any_text() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(
        ".!?。！？．｡؟۔।…；;:,-–、，()[]\"'“”‘’«»「」『』（） \u{a0}\u{3000}\n\r\t\u{85}\u{2028}\u{301}\u{ad}\u{200d}\u{200b}\u{feff}aZbéÉяЯ1٣２字あア가اא।ก_ªⓐ☂👩🇹"
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
    prop::collection::vec(character, 0..60).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_the_changes_it_is_what_unicode_says(text in any_text()) {
        let segmenter = SentenceSegmenter::new(SentenceBreakInvariantOptions::default());
        let expected: Vec<usize> =
            segmenter.segment_str(&text).filter(|&end| end > 0).collect();
        prop_assert_eq!(ends(&text, Rules::Unicode), expected);
    }

    #[test]
    fn ends_are_in_order_and_on_characters(text in any_text()) {
        let ends = ends(&text, Rules::Tailored);
        prop_assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(ends.iter().all(|&end| text.is_char_boundary(end)));
        prop_assert_eq!(ends.last().copied().unwrap_or(0), text.len());
        let mut start = 0;
        for sentence in of(&text, Rules::Tailored) {
            prop_assert_eq!(sentence.size, Size::of(&text[start..sentence.end]));
            start = sentence.end;
        }
    }
}
