//! The words that a document is about.

use std::collections::HashMap;
use std::ops::Range;

use super::{Run, dictionary, stop_words, walk};
use crate::language::is_common;
use crate::wrap::is_unspaced;

/// How many keywords a document has at most.
const MOST_KEYWORDS: usize = 10;
/// So much of a long document is looked at, in this many places of the same size: enough to know
/// what it is about.
const RANKED_BYTES: usize = 48 * 1024;
const PLACES: usize = 24;
/// No further is looked for the end of a word or a clause.
const NEAR: usize = 200;
/// Forms of a word that are told apart, such as capitalised or not.
const MOST_FORMS: usize = 4;

struct Candidate<'a> {
    count: u32,
    first: usize,
    /// The forms in which the word occurs, each with its count, in order of appearance.
    forms: Vec<(&'a str, u32)>,
}

/// The words that occur most, without those that occur everywhere.
///
/// The order is that of frequency, longer words before shorter ones, then that of appearance: the
/// same for the same text.
pub(crate) fn rank(text: &str, language: Option<&str>) -> Vec<String> {
    // How often each word stands there as it is, and where first.
    let mut words: HashMap<&str, (u32, usize)> = HashMap::new();
    for place in places(text) {
        for_each_word(&text[place.clone()], |offset, word| {
            let (count, _) = words.entry(word).or_insert((0, place.start + offset));
            *count += 1;
        });
    }
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort_unstable_by_key(|(_, (_, first))| *first);

    let mut candidates: HashMap<String, Candidate<'_>> = HashMap::new();
    for (word, (count, first)) in words {
        let Some(word) = keyword_part(word) else {
            continue;
        };
        let small = word.to_lowercase();
        if language.is_some_and(|language| is_common(&small, language)) {
            continue;
        }
        let candidate = candidates.entry(small).or_insert_with(|| Candidate {
            count: 0,
            first,
            forms: Vec::new(),
        });
        candidate.count += count;
        if let Some((_, times)) = candidate.forms.iter_mut().find(|(form, _)| *form == word) {
            *times += count;
        } else if candidate.forms.len() < MOST_FORMS {
            candidate.forms.push((word, count));
        }
    }

    let mut ranked: Vec<Candidate<'_>> = candidates.into_values().collect();
    ranked.sort_unstable_by_key(|candidate| {
        let length = candidate.forms.first().map_or(0, |(form, _)| form.len());
        (
            std::cmp::Reverse(candidate.count),
            std::cmp::Reverse(length),
            candidate.first,
        )
    });
    let keywords = ranked.iter().take(MOST_KEYWORDS).filter_map(|candidate| {
        let usual = candidate
            .forms
            .iter()
            .rev()
            .max_by_key(|(_, times)| *times)?;
        Some(usual.0.to_owned())
    });
    keywords.collect()
}

/// The places of a text that are looked at: all of it, or parts at equal distances that begin and
/// end where no word does not.
fn places(text: &str) -> Vec<Range<usize>> {
    if text.len() <= RANKED_BYTES {
        return std::iter::once(0..text.len()).collect();
    }
    let ranges = (0..PLACES).map(|place| {
        let start = border(text, text.len() / PLACES * place);
        start..border(text, start + RANKED_BYTES / PLACES)
    });
    ranges.collect()
}

/// The first place from `near` on behind which a word begins, if there is one nearby.
fn border(text: &str, near: usize) -> usize {
    let near = text.floor_char_boundary(near);
    if near == 0 {
        return 0;
    }
    let until = text.floor_char_boundary(near + NEAR);
    let found = text[near..until]
        .char_indices()
        .find(|(_, character)| character.is_whitespace() || "，。、！？；：".contains(*character));
    found.map_or(until, |(offset, character)| {
        near + offset + character.len_utf8()
    })
}

/// Calls `visit` with the byte offset and the text of each word; Chinese and Japanese are divided
/// by dictionary, but for what is written in katakana: that is a word.
fn for_each_word<'a>(text: &'a str, mut visit: impl FnMut(usize, &'a str)) {
    walk(text, |at, run| match run {
        Run::Word(word) => visit(at, word),
        Run::Ideographs(run, _) => {
            let mut start = 0;
            while start < run.len() {
                let is_katakana = run[start..].starts_with(is_katakana);
                let part = match run[start..].find(|other| self::is_katakana(other) != is_katakana)
                {
                    Some(length) => &run[start..start + length],
                    None => &run[start..],
                };
                if is_katakana {
                    visit(at + start, part);
                } else {
                    divide(part, |offset, word| visit(at + start + offset, word));
                }
                start += part.len();
            }
        }
    });
}

fn divide<'a>(run: &'a str, mut visit: impl FnMut(usize, &'a str)) {
    let mut start = 0;
    for end in dictionary().segment_str(run).skip(1) {
        visit(start, &run[start..end]);
        start = end;
    }
}

fn is_katakana(character: char) -> bool {
    matches!(character, '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30fe}' | '\u{ff66}'..='\u{ff9d}')
}

fn is_hiragana(character: char) -> bool {
    matches!(character, '\u{3041}'..='\u{309f}')
}

/// The part of a word that can be a keyword: Korean particles go, words without meaning of
/// their own give none.
fn keyword_part(word: &str) -> Option<&str> {
    let is_sign = |character: char| {
        character.is_ascii() && !character.is_ascii_alphanumeric() && !"-_'.".contains(character)
    };
    let first = word.chars().next()?;
    if word.contains(is_sign) || word.chars().all(char::is_numeric) || first.is_numeric() {
        return None;
    }
    if is_hangul(first)
        && stop_words::KOREAN_VERB_ENDINGS
            .iter()
            .any(|end| word.ends_with(end))
    {
        return None;
    }
    let word = if is_hangul(first) {
        without_particle(word)
    } else {
        word
    };
    let letters = word.chars().count();
    // Verbs and what holds sentences together: "読む", "これから".
    let inflected = word
        .chars()
        .filter(|&character| is_hiragana(character))
        .count();
    if inflected > 0 && letters - inflected < 2 {
        return None;
    }
    let fewest = if first >= '\u{1100}' { 2 } else { 3 };
    if letters < fewest {
        return None;
    }
    let is_stopped = match first {
        '\u{600}'..='\u{6ff}' => stop_words::ARABIC.contains(&word),
        _ if is_unspaced(first) || is_hangul(first) => stop_words::EAST_ASIAN.contains(&word),
        _ => stop_words::ENGLISH.contains(&word.to_ascii_lowercase().as_str()),
    };
    (!is_stopped).then_some(word)
}

fn is_hangul(character: char) -> bool {
    matches!(character, '\u{ac00}'..='\u{d7a3}')
}

/// "문서를" and "문서는" are the word "문서" with a particle; at least two syllables stay.
fn without_particle(word: &str) -> &str {
    let found = stop_words::KOREAN_PARTICLES.iter().find_map(|particle| {
        let stem = word.strip_suffix(particle)?;
        (stem.chars().count() >= 2).then_some(stem)
    });
    found.unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_what_the_document_is_about() {
        let text = "The worker reads messages. A worker writes chunks. Workers park messages. The WORKER and the worker.";
        assert_eq!(rank(text, None)[..2], ["worker", "messages"]);
        let korean = "문서를 읽습니다. 문서는 길다. 문서의 제목과 색인을 봅니다.";
        assert_eq!(rank(korean, None)[0], "문서");
        let chinese = "資料管線處理資料，資料進入索引，索引提供檢索。";
        assert!(rank(chinese, None).contains(&"資料".to_owned()));
    }

    #[test]
    fn the_same_text_has_the_same_keywords_and_they_stand_in_it() {
        let text = "alpha beta gamma delta Epsilon zeta eta theta iota kappa lambda 應徵者須具備五年經驗 이력서는 파일로";
        let first = rank(text, None);
        assert_eq!(first.len(), MOST_KEYWORDS);
        assert!(first.iter().all(|keyword| text.contains(keyword.as_str())));
        assert_eq!(first, rank(text, None));
    }

    #[test]
    fn keywords_of_mixed_documents_are_whole_words_with_a_meaning() {
        let text = "水車小屋はこの町の歴史です。水車小屋のデータベースを検索する。これはデータベースです。\n\
            這個水磨坊的歷史可以在圖書館裡查到，圖書館的資料庫每天更新，我們的資料庫。\n\
            المكتبة في المدينة، وهذه المكتبة من أقدم ما في المدينة على النهر. المكتبة مفتوحة.\n\
            The library keeps the index, and the index of the library is kept by Kubernetes e.g. in pods.\n\
            도서관의 색인을 도서관에서 찾습니다.";
        let found = rank(text, None);
        for expected in [
            "データベース",
            "圖書館",
            "المكتبة",
            "library",
            "index",
            "도서관",
        ] {
            assert!(
                found.iter().any(|word| word == expected),
                "{expected}: {found:?}"
            );
        }
        for word in &found {
            assert!(
                text.contains(word.as_str()) && word.chars().count() > 1,
                "{word}"
            );
            for nothing in [
                "の", "は", "這個", "我們", "可以", "في", "من", "على", "and", "the", "です", "これ",
            ] {
                assert_ne!(word, nothing);
            }
        }
    }

    #[test]
    fn common_words_of_the_language_are_none() {
        let text =
            "Das Rad der Mühle und die Mühle. Das Rad ist für die Mühle, und nicht für den Bach.";
        assert_eq!(rank(text, Some("de"))[..2], ["Mühle", "Rad"]);
    }

    #[test]
    fn a_long_text_is_looked_at_in_places() {
        let text = "The turbine turns. ".repeat(20_000) + &"字典與詞彙。".repeat(20_000);
        let found = rank(&text, None);
        for expected in ["turbine", "turns", "字典"] {
            assert!(found.iter().any(|word| word == expected), "{found:?}");
        }
        let places = places(&text);
        let bytes: usize = places.iter().map(Range::len).sum();
        assert!(
            (RANKED_BYTES / 2..=RANKED_BYTES + PLACES * NEAR).contains(&bytes),
            "{bytes}"
        );
        assert!(places.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}
