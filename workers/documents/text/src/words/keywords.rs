//! The words that a document is about.

use std::collections::HashMap;

use super::{Run, dictionary, stop_words, walk};
use crate::wrap::is_unspaced;

/// How many keywords a document has at most.
const MOST_KEYWORDS: usize = 10;
/// The first part of a long document is enough to know what it is about.
const RANKED_BYTES: usize = 256 * 1024;

fn ranked_part(text: &str) -> &str {
    &text[..text.floor_char_boundary(RANKED_BYTES)]
}

/// Calls `visit` with the byte offset and the text of each word; Chinese and Japanese are divided
/// by dictionary.
fn for_each_word<'a>(text: &'a str, mut visit: impl FnMut(usize, &'a str)) {
    walk(text, |at, run| match run {
        Run::Word(word) => visit(at, word),
        Run::Ideographs(run, _) => {
            let mut start = 0;
            for end in dictionary().segment_str(run).skip(1) {
                visit(at + start, &run[start..end]);
                start = end;
            }
        }
    });
}

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
/// The order is that of frequency, longer words before shorter ones,
/// then that of appearance: the same for the same text.
pub(crate) fn rank(text: &str) -> Vec<String> {
    let mut candidates: HashMap<String, Candidate<'_>> = HashMap::new();
    for_each_word(ranked_part(text), |offset, word| {
        let Some(word) = keyword_part(word) else {
            return;
        };
        let candidate = candidates
            .entry(word.to_lowercase())
            .or_insert_with(|| Candidate {
                count: 0,
                first: offset,
                forms: Vec::new(),
            });
        candidate.count += 1;
        if let Some((_, times)) = candidate.forms.iter_mut().find(|(form, _)| *form == word) {
            *times += 1;
        } else if candidate.forms.len() < MOST_FORMS {
            candidate.forms.push((word, 1));
        }
    });

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

/// The part of a word that can be a keyword: Korean particles go, words without meaning of
/// their own give none.
fn keyword_part(word: &str) -> Option<&str> {
    if !word
        .chars()
        .all(|character| character.is_alphanumeric() || "-_'’.".contains(character))
    {
        return None;
    }
    let first = word.chars().next()?;
    if word.chars().all(char::is_numeric) || first.is_numeric() {
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
    let fewest = if first >= '\u{1100}' { 2 } else { 3 };
    if word.chars().count() < fewest {
        return None;
    }
    let stopped = if is_unspaced(first) || is_hangul(first) {
        stop_words::EAST_ASIAN.contains(&word)
    } else {
        stop_words::ENGLISH.contains(&word.to_ascii_lowercase().as_str())
    };
    (!stopped).then_some(word)
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
        assert_eq!(rank(text)[..2], ["worker", "messages"]);
        let korean = "문서를 읽습니다. 문서는 길다. 문서의 제목과 색인을 봅니다.";
        assert_eq!(rank(korean)[0], "문서");
        let chinese = "資料管線處理資料，資料進入索引，索引提供檢索。";
        assert!(rank(chinese).contains(&"資料".to_owned()));
    }

    #[test]
    fn the_same_text_has_the_same_keywords_and_they_stand_in_it() {
        let text = "alpha beta gamma delta Epsilon zeta eta theta iota kappa lambda 應徵者須具備五年經驗 이력서는 파일로";
        let first = rank(text);
        assert_eq!(first.len(), MOST_KEYWORDS);
        assert!(first.iter().all(|keyword| text.contains(keyword.as_str())));
        assert_eq!(first, rank(text));
    }
}
