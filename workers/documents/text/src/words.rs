//! Words: where they are and how many.
//!
//! Words are those of UAX 29, but each Chinese or Japanese character counts as one, as in word
//! processors: where those languages divide their words is a matter of opinion and of
//! dictionaries. Thai and its neighbours, which have no spaces either, are divided by dictionary.
//! Numbers are words, punctuation is none.

mod ascii;
mod keywords;
mod stop_words;

use icu_properties::props::WordBreak;
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};

pub(crate) use keywords::rank;

const CLASSES: CodePointMapDataBorrowed<'static, WordBreak> = CodePointMapData::new();

/// What a walk over the words of a text comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run<'a> {
    /// A word.
    Word(&'a str),
    /// Chinese or Japanese characters in a row, each of which counts as a word, and how many.
    Ideographs(&'a str, u64),
}

/// How many words there are.
pub(crate) fn count(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut count = 0;
    let mut at = 0;
    while at < bytes.len() {
        let plain = ascii::count(&bytes[at..]);
        count += plain.words;
        at += plain.length;
        at = walk_from(text, at, is_plain_next, |_, run| {
            count += match run {
                Run::Word(_) => 1,
                Run::Ideographs(_, characters) => characters,
            };
        });
    }
    count
}

/// Whether white space that ends at the beginning of `bytes` is followed by ASCII.
fn is_plain_next(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii)
}

/// Calls `visit` with the byte offset and the text of each word, or run of ideographs.
pub(crate) fn walk<'a>(text: &'a str, visit: impl FnMut(usize, Run<'a>)) {
    walk_from(text, 0, |_| false, visit);
}

/// Walks on from `at`, where no word goes on, up to the end or to the first white space of ASCII
/// with `stop` behind it; answers where that is.
fn walk_from<'a>(
    text: &'a str,
    mut at: usize,
    stop: impl Fn(&[u8]) -> bool,
    visit: impl FnMut(usize, Run<'a>),
) -> usize {
    let bytes = text.as_bytes();
    let mut words = Words::new(text, visit);
    while let Some(&byte) = bytes.get(at) {
        if byte < 0x80 {
            let class = ASCII[usize::from(byte)];
            let mut end = at + 1;
            if class == Class::Letter {
                while bytes.get(end).is_some_and(u8::is_ascii_alphabetic) {
                    end += 1;
                }
            }
            words.take(class, at, end);
            at = end;
            if byte.is_ascii_whitespace() && stop(&bytes[at..]) {
                break;
            }
            continue;
        }
        match bytes[at..] {
            [0xe5..=0xe9, ..] => {
                at = words.ideographs(at);
                continue;
            }
            // `、`, `。`, `！`, `，` and `？` among ideographs.
            [0xe3, 0x80, 0x81 | 0x82, ..] | [0xef, 0xbc, 0x81 | 0x8c | 0x9f, ..]
                if words.last == Class::Other =>
            {
                at += 3;
                continue;
            }
            _ => {}
        }
        let Some(character) = text[at..].chars().next() else {
            break;
        };
        let end = at + character.len_utf8();
        at = if is_ideograph(character) {
            words.ideographs(at)
        } else {
            match class_of(character) {
                Class::Intricate => words.segment(at, token_end(text, end)),
                class => words.take(class, at, end),
            }
        };
    }
    words.close();
    at
}

/// What a character is to rules WB3 to WB13.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Number,
    /// `_` and the like.
    Connector,
    /// Joins two letters.
    MidLetter,
    /// Joins two digits.
    MidNumber,
    /// Joins two letters or two digits.
    MidBoth,
    /// Belongs to what stands before it.
    Extend,
    /// Belongs to no word.
    Other,
    /// Needs more rules than there are here, or a dictionary.
    Intricate,
}

const ASCII: [Class; 0x80] = {
    let mut classes = [Class::Other; 0x80];
    let mut byte = 0_u8;
    while byte < 0x80 {
        classes[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Number,
            b'_' => Class::Connector,
            b':' => Class::MidLetter,
            b',' | b';' => Class::MidNumber,
            b'.' | b'\'' => Class::MidBoth,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

fn class_of(character: char) -> Class {
    if has_dictionary(character) {
        return Class::Intricate;
    }
    match character {
        '、' | '。' | '「'..='】' | '！' | '（' | '）' | '？' => return Class::Other,
        '，' | '；' => return Class::MidNumber,
        '가'..='힣' => return Class::Letter,
        _ => {}
    }
    match CLASSES.get(character) {
        WordBreak::ALetter => Class::Letter,
        WordBreak::Numeric => Class::Number,
        WordBreak::ExtendNumLet => Class::Connector,
        WordBreak::MidLetter => Class::MidLetter,
        WordBreak::MidNum => Class::MidNumber,
        WordBreak::MidNumLet | WordBreak::SingleQuote => Class::MidBoth,
        WordBreak::Extend | WordBreak::Format => Class::Extend,
        WordBreak::HebrewLetter | WordBreak::Katakana | WordBreak::ZWJ => Class::Intricate,
        _ => Class::Other,
    }
}

/// Scripts without spaces that have a dictionary, by block: Thai, Lao, Burmese, Khmer and their
/// kin.
fn has_dictionary(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}' | '\u{a9e0}'..='\u{a9ff}'
        | '\u{aa60}'..='\u{aadf}' | '\u{11700}'..='\u{1174f}')
}

/// Whether what stands between two borders is a word.
fn is_word(segment: &str) -> bool {
    segment.chars().any(|character| {
        has_dictionary(character) && character.is_alphabetic()
            || matches!(
                CLASSES.get(character),
                WordBreak::ALetter
                    | WordBreak::HebrewLetter
                    | WordBreak::Katakana
                    | WordBreak::Numeric
            )
    })
}

/// A walk over the words of a text.
struct Words<'a, V> {
    text: &'a str,
    visit: V,
    start: usize,
    end: usize,
    /// What the open word ends with, without what extends it; `Other` if none is open.
    last: Class,
    /// What may join the open word with what follows.
    joint: Option<Class>,
    /// Whether there is more in the open word than connectors.
    is_word: bool,
}

impl<'a, V: FnMut(usize, Run<'a>)> Words<'a, V> {
    fn new(text: &'a str, visit: V) -> Self {
        Self {
            text,
            visit,
            start: 0,
            end: 0,
            last: Class::Other,
            joint: None,
            is_word: false,
        }
    }

    /// Takes what is of one class from `from` to `to`; answers `to`.
    fn take(&mut self, class: Class, from: usize, to: usize) -> usize {
        match class {
            Class::Letter | Class::Number | Class::Connector => {
                if !self.is_joined(class) {
                    self.close();
                    self.start = from;
                }
                self.is_word |= class != Class::Connector;
                self.last = class;
                self.joint = None;
                self.end = to;
            }
            Class::Extend if self.joint.is_none() => self.end = to,
            Class::Extend => {}
            Class::MidLetter | Class::MidNumber | Class::MidBoth
                if self.joint.is_none()
                    && (self.last == Class::Letter && class != Class::MidNumber
                        || self.last == Class::Number && class != Class::MidLetter) =>
            {
                self.joint = Some(class);
            }
            _ => self.close(),
        }
        to
    }

    fn is_joined(&self, next: Class) -> bool {
        match self.joint {
            None => self.last != Class::Other,
            // Only a joint that fits the last class is kept.
            Some(_) => self.last == next,
        }
    }

    fn close(&mut self) {
        if self.is_word {
            (self.visit)(self.start, Run::Word(&self.text[self.start..self.end]));
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.last = Class::Other;
        self.joint = None;
        self.is_word = false;
    }

    /// Takes the ideographs that begin at `from`; answers where they end.
    fn ideographs(&mut self, from: usize) -> usize {
        self.close();
        let bytes = self.text.as_bytes();
        let mut to = from;
        let mut characters = 0;
        loop {
            // U+4000 to U+9FFF are ideographs but for one row, four at a time and one by one.
            while let Some([a, i, _, b, j, _, c, k, _, d, l, _]) = bytes.get(to..to + 12)
                && is_row(*a, *i) & is_row(*b, *j) & is_row(*c, *k) & is_row(*d, *l)
            {
                to += 12;
                characters += 4;
            }
            while let Some([lead, second]) = bytes.get(to..to + 2)
                && is_row(*lead, *second)
            {
                to += 3;
                characters += 1;
            }
            // What follows them mostly; the others are asked for at length.
            if let [] | [0..0x80, ..] | [0xe3, 0x80, 0x81 | 0x82, ..] | [0xef, 0xbc, ..] =
                bytes[to..]
            {
                break;
            }
            match self.text[to..].chars().next() {
                Some(character) if is_ideograph(character) => {
                    to += character.len_utf8();
                    characters += 1;
                }
                _ => break,
            }
        }
        (self.visit)(from, Run::Ideographs(&self.text[from..to], characters));
        to
    }

    /// Leaves all from the last border that is certain up to `to` to the whole set of rules.
    fn segment(&mut self, from: usize, to: usize) -> usize {
        let from = match self.last {
            Class::Other => from,
            _ => self.start,
        };
        self.forget();
        let mut start = 0;
        let token = &self.text[from..to];
        for end in dictionary().segment_str(token) {
            if is_word(&token[start..end]) {
                (self.visit)(from + start, Run::Word(&token[start..end]));
            }
            start = end;
        }
        to
    }
}

fn dictionary() -> WordSegmenterBorrowed<'static> {
    WordSegmenter::new_dictionary(WordBreakInvariantOptions::default())
}

/// The next place behind `from` at which a word surely ends.
fn token_end(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    let border = rest.char_indices().find(|&(_, character)| {
        matches!(character, ' ' | '\n' | '\t' | '\r') || is_ideograph(character)
    });
    from + border.map_or(rest.len(), |(offset, _)| offset)
}

/// Whether a character that begins with these bytes is between U+4000 and U+9FFF, and not in the
/// row of symbols there (nor in the same row of the others).
fn is_row(lead: u8, second: u8) -> bool {
    (lead.wrapping_sub(0xe4) < 6) & (second != 0xb7)
}

/// Ideographs and kana: what counts as a word by itself.
pub(crate) fn is_ideograph(character: char) -> bool {
    matches!(character,
        '\u{4e00}'..='\u{9fff}' | '\u{3005}'..='\u{3007}' | '\u{303b}' | '\u{3041}'..='\u{3096}'
        | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9d}' | '\u{17000}'..='\u{18dff}' | '\u{1b000}'..='\u{1b2ff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests;
