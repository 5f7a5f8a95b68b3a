//! Which language a text is written in.
//!
//! Better none than a wrong one: none is said of numbers, code, lists of names and single words of
//! Latin letters. Chinese and Japanese are told by their characters, Korean by Hangul, languages
//! with a script of their own by that, and the others by `whatlang`, which compares groups of
//! three letters, where that is sure enough.

mod common;
mod forms;

use whatlang::Lang;

use crate::wrap::is_unspaced;
pub(crate) use common::is_common;
use forms::FORMS;

/// So many characters tell the language as well as the whole text.
const SAMPLE_CHARACTERS: usize = 4_000;
/// One ideograph or syllable block says as much as this many letters of an alphabet.
const LETTERS_PER_IDEOGRAPH: usize = 3;
/// Letters of Latin and words below which nothing is said of them.
const FEWEST_LATIN: (usize, usize) = (24, 4);
/// The same of Cyrillic and Arabic, unless there are letters that tell.
const FEWEST_OTHERS: (usize, usize) = (8, 2);

/// What a sample consists of.
#[derive(Debug, Default)]
struct Scripts {
    hangul: usize,
    kana: usize,
    han: usize,
    /// Ideographs that only one of the sets has that Taiwan, China and Japan made.
    only_traditional: usize,
    only_simplified: usize,
    only_japanese: usize,
    /// Ideographs that each set lacks.
    not_traditional: usize,
    not_simplified: usize,
    not_japanese: usize,
    latin: usize,
    cyrillic: usize,
    arabic: usize,
    hebrew: usize,
    greek: usize,
    other: usize,
    words: usize,
}

impl Scripts {
    fn letters(&self) -> usize {
        self.latin + self.cyrillic + self.arabic + self.hebrew + self.greek + self.other
    }
}

/// The language as a BCP 47 tag, or none when it is not clear.
pub(crate) fn detect(text: &str) -> Option<String> {
    let sample_end = text
        .char_indices()
        .nth(SAMPLE_CHARACTERS)
        .map_or(text.len(), |(offset, _)| offset);
    let sample = &text[..sample_end];
    let scripts = count(sample);
    let east_asian = scripts.hangul + scripts.kana + scripts.han;
    let letters = scripts.letters();
    let tag = if east_asian > 0 && east_asian * LETTERS_PER_IDEOGRAPH >= letters {
        Some(east_asian_language(&scripts))
    } else {
        alphabet_language(sample, &scripts)
    };
    tag.map(str::to_owned)
}

fn count(sample: &str) -> Scripts {
    let mut scripts = Scripts::default();
    let mut in_word = false;
    for character in sample.chars() {
        let is_letter = character.is_alphabetic();
        if is_letter && !in_word {
            scripts.words += 1;
        }
        in_word =
            is_letter || (in_word && matches!(character, '\'' | '’' | '-' | '\u{300}'..='\u{36f}'));
        match character {
            'a'..='z' | 'A'..='Z' => scripts.latin += 1,
            '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}' => {
                scripts.hangul += 1;
            }
            '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{ff66}'..='\u{ff9d}' => {
                scripts.kana += 1;
            }
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}' => {
                scripts.count_ideograph(character);
            }
            _ if !is_letter || is_unspaced(character) => {}
            '\u{aa}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => scripts.latin += 1,
            '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => scripts.greek += 1,
            '\u{400}'..='\u{52f}' => scripts.cyrillic += 1,
            '\u{590}'..='\u{5ff}' => scripts.hebrew += 1,
            '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{fb50}'..='\u{fefc}' => {
                scripts.arabic += 1;
            }
            _ => scripts.other += 1,
        }
    }
    scripts
}

impl Scripts {
    fn count_ideograph(&mut self, character: char) {
        self.han += 1;
        let (traditional, simplified, japanese) = FORMS.of(character);
        self.not_traditional += usize::from(!traditional);
        self.not_simplified += usize::from(!simplified);
        self.not_japanese += usize::from(!japanese);
        match (traditional, simplified, japanese) {
            (true, false, _) => self.only_traditional += 1,
            (false, true, _) => self.only_simplified += 1,
            (false, false, true) => self.only_japanese += 1,
            _ => {}
        }
    }
}

fn east_asian_language(scripts: &Scripts) -> &'static str {
    // Korean may be written with many ideographs, Japanese nearly always has kana among them.
    if scripts.hangul * 6 >= scripts.han + scripts.kana {
        return "ko";
    }
    if scripts.kana * 12 >= scripts.han || is_japanese_without_kana(scripts) {
        return "ja";
    }
    match scripts.only_traditional.cmp(&scripts.only_simplified) {
        std::cmp::Ordering::Greater => "zh-TW",
        std::cmp::Ordering::Less => "zh-CN",
        std::cmp::Ordering::Equal => "zh",
    }
}

/// Names and headings: some of the characters were simplified in Japan alone, or some are in the
/// old form and some in one that Japan and China share, so that no Chinese set has them all.
fn is_japanese_without_kana(scripts: &Scripts) -> bool {
    if scripts.not_japanese > 0 {
        return false;
    }
    scripts.only_japanese > 0 || (scripts.only_traditional > 0 && scripts.only_simplified > 0)
}

/// Languages that are written with letters.
fn alphabet_language(sample: &str, scripts: &Scripts) -> Option<&'static str> {
    let letters = scripts.letters();
    // Nine in ten are of one script, or the text is mixed.
    let is_mostly = |script: usize| script * 10 >= letters * 9;
    if letters < 2 {
        return None;
    }
    if is_mostly(scripts.greek) {
        return Some("el");
    }
    if is_mostly(scripts.other) {
        return guess(sample, false);
    }
    let enough = |(fewest_letters, fewest_words): (usize, usize)| {
        letters >= fewest_letters && scripts.words >= fewest_words
    };
    if is_mostly(scripts.hebrew) {
        let is_long = letters >= 100;
        return if is_long {
            guess(sample, true).or(Some("he"))
        } else {
            Some("he")
        };
    }
    if scripts.arabic * 2 > letters {
        return arabic_script(sample, enough((40, 6)));
    }
    if scripts.cyrillic * 2 > letters {
        return cyrillic_script(sample, enough(FEWEST_OTHERS), enough((40, 6)));
    }
    // Code has as many signs as words.
    // A long text may begin with its contents.
    let is_short = letters < 400;
    if !enough(FEWEST_LATIN) || looks_like_code(sample) || is_short && looks_like_names(sample) {
        return None;
    }
    guess(sample, true).or_else(|| common::vote(sample))
}

/// What `whatlang` says when it is sure.
fn guess(sample: &str, must_be_reliable: bool) -> Option<&'static str> {
    let guess = whatlang::detect(sample)?;
    if must_be_reliable && !guess.is_reliable() && guess.confidence() < 0.5 {
        return None;
    }
    tag_of(guess.lang())
}

/// Letters that only Urdu or only Persian have, beside those of Arabic.
fn arabic_script(sample: &str, is_long: bool) -> Option<&'static str> {
    if is_long {
        return guess(sample, true);
    }
    let has = |letters: &str| sample.chars().any(|character| letters.contains(character));
    if has("ٹڈڑںےھہۓ") {
        return Some("ur");
    }
    if has("پچژگکی") {
        return Some("fa");
    }
    // Letters that Persian and Urdu write otherwise or not at all, and the Arabic article.
    let is_arabic = has("ةىكيأإؤئ") || sample.split_whitespace().any(|word| word.starts_with("ال"));
    is_arabic.then_some("ar")
}

fn cyrillic_script(sample: &str, is_enough: bool, is_long: bool) -> Option<&'static str> {
    if is_long {
        return guess(sample, true);
    }
    let has = |letters: &str| {
        let small = |character: char| character.to_lowercase().next().unwrap_or(character);
        sample
            .chars()
            .any(|character| letters.contains(small(character)))
    };
    if has("ў") {
        return Some("be");
    }
    if has("їєґ") {
        return Some("uk");
    }
    if has("ѓќѕ") {
        return Some("mk");
    }
    if has("ђћ") {
        return Some("sr");
    }
    // Kazakh, Mongolian and others: nothing is known of them here.
    if has("іјљњџәғқңөұүһ") || !is_enough {
        return None;
    }
    has("ыэё").then_some("ru").or_else(|| guess(sample, true))
}

/// Whether there is more than one sign of programs for every four words.
fn looks_like_code(sample: &str) -> bool {
    let signs = |character: &char| {
        matches!(
            character,
            '{' | '}'
                | ';'
                | '='
                | '<'
                | '>'
                | '_'
                | '\\'
                | '|'
                | '@'
                | '#'
                | '$'
                | '/'
                | '('
                | ')'
                | '['
                | ']'
                | '*'
                | '+'
                | '&'
        )
    };
    let count = sample.chars().filter(signs).count();
    count * 4 > sample.split_whitespace().count()
}

/// Whether nearly every word begins with a capital letter: names, titles, headings of tables.
fn looks_like_names(sample: &str) -> bool {
    let (mut words, mut capitals) = (0, 0);
    for word in sample.split_whitespace() {
        let Some(first) = word.chars().find(|character| character.is_alphabetic()) else {
            continue;
        };
        words += 1;
        capitals += usize::from(first.is_uppercase());
    }
    // German writes half of its words so.
    capitals * 5 >= words * 4
}

/// BCP 47 prefers two letters where there are two.
fn tag_of(language: Lang) -> Option<&'static str> {
    let tag = match language.code() {
        "eng" => "en",
        "deu" => "de",
        "fra" => "fr",
        "spa" => "es",
        "por" => "pt",
        "ita" => "it",
        "nld" => "nl",
        "swe" => "sv",
        "dan" => "da",
        "nob" => "no",
        "fin" => "fi",
        "pol" => "pl",
        "ces" => "cs",
        "slk" => "sk",
        "slv" => "sl",
        "hun" => "hu",
        "ron" => "ro",
        "bul" => "bg",
        "hrv" => "hr",
        "srp" => "sr",
        "mkd" => "mk",
        "ell" => "el",
        "rus" => "ru",
        "ukr" => "uk",
        "bel" => "be",
        "lit" => "lt",
        "lav" => "lv",
        "est" => "et",
        "cat" => "ca",
        "lat" => "la",
        "epo" => "eo",
        "tur" => "tr",
        "aze" => "az",
        "uzb" => "uz",
        "tuk" => "tk",
        "hye" => "hy",
        "kat" => "ka",
        "heb" => "he",
        "yid" => "yi",
        "ara" => "ar",
        "pes" => "fa",
        "urd" => "ur",
        "hin" => "hi",
        "mar" => "mr",
        "nep" => "ne",
        "ben" => "bn",
        "guj" => "gu",
        "pan" => "pa",
        "ori" => "or",
        "tam" => "ta",
        "tel" => "te",
        "kan" => "kn",
        "mal" => "ml",
        "sin" => "si",
        "tha" => "th",
        "mya" => "my",
        "khm" => "km",
        "vie" => "vi",
        "ind" => "id",
        "jav" => "jv",
        "tgl" => "tl",
        "amh" => "am",
        "afr" => "af",
        "zul" => "zu",
        "sna" => "sn",
        "aka" => "ak",
        "cym" => "cy",
        "cmn" => "zh",
        "jpn" => "ja",
        "kor" => "ko",
        _ => return None,
    };
    Some(tag)
}

#[cfg(test)]
mod tests;
