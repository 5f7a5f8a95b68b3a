//! Where sentences end.
//!
//! The rules are those of UAX 29, walked over the bytes of the text: what cannot end a sentence
//! (letters of ASCII, ideographs) is passed without a look into a table. On top of them, with
//! [`Rules::Tailored`]:
//!
//! - an abbreviation does not end a sentence (`Dr. Lin`, `No. 5`, `e.g.`, `U.S. mail`), nor does
//!   the number of an item at the beginning of a line (`3. Sieve the flour.`);
//! - an opening bracket or quote belongs to the sentence behind it, as in `他說。「好。」`;
//! - `；` ends a sentence; so does `…` where quotes close behind it or a new sentence begins;
//! - the mark of a note (`[3]`) belongs to the sentence before it;
//! - a line end within a sentence that was wrapped ends none.

mod abbreviations;

use icu_properties::CodePointMapData;
use icu_properties::CodePointMapDataBorrowed;
use icu_properties::props::SentenceBreak;

use crate::tokens::{self, Size};
use crate::wrap;

const CLASSES: CodePointMapDataBorrowed<'static, SentenceBreak> = CodePointMapData::new();

/// Marks bytes with which something may begin that ends sentences. The others are passed: ASCII but
/// for a few, the later bytes of characters, and the first bytes of those of Latin, Greek,
/// Cyrillic, Hebrew, ideographs (U+4000 to U+9FFF) and Hangul (U+B000 to U+DFFF).
const MAY_END: u64 = 1 << 63;
/// Marks bytes with which those ideographs begin: they are passed whole.
const IDEOGRAPH: u64 = 1 << 62;

/// What a byte weighs, and the marks.
const BYTES: [u64; 256] = {
    let mut bytes = tokens::WEIGHTS;
    let mut byte = 0;
    while byte < 256 {
        if matches!(
            byte,
            0x0a..=0x0d | 0x21 | 0x2e | 0x3f
                | 0xc2 | 0xd6 | 0xd8 | 0xdb..=0xe3 | 0xea | 0xee | 0xef | 0xf0..=0xf7
        ) {
            bytes[byte] |= MAY_END;
        }
        if matches!(byte, 0xe4..=0xe9) {
            bytes[byte] |= IDEOGRAPH;
        }
        byte += 1;
    }
    bytes
};

/// Which rules say where a sentence ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// UAX 29 as it stands: what tests compare with another implementation.
    #[cfg(test)]
    Unicode,
    /// UAX 29 with the changes that the module names.
    Tailored,
}

/// The sentences of a text in order; nothing is between them, and the last one ends with it.
pub(crate) struct Sentences<'a> {
    text: &'a str,
    rules: Rules,
    at: usize,
}

/// The sentences of `text`.
pub(crate) fn of(text: &str, rules: Rules) -> Sentences<'_> {
    Sentences { text, rules, at: 0 }
}

/// What can end a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terminator {
    /// A full stop, which may also belong to an abbreviation or a number.
    Stop,
    /// An exclamation or question mark, an ideographic full stop and others.
    Full,
    /// `…`, which may also stand within a sentence.
    Ellipsis,
}

/// What a step of the walk has come to.
enum Step {
    /// Nothing ends before this offset.
    Go(usize),
    /// A sentence ends at this offset.
    End(usize),
}

/// A sentence with the white space behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sentence {
    /// The byte offset at which it ends.
    pub(crate) end: usize,
    /// How long it is.
    pub(crate) size: Size,
}

impl Iterator for Sentences<'_> {
    type Item = Sentence;

    fn next(&mut self) -> Option<Sentence> {
        let bytes = self.text.as_bytes();
        let begun = self.at;
        let mut weights = 0;
        loop {
            let mut at = self.at;
            while let Some(&byte) = bytes.get(at) {
                let weight = BYTES[usize::from(byte)];
                if weight < IDEOGRAPH {
                    weights += weight;
                    at += 1;
                } else if weight < MAY_END {
                    let (end, characters) = ideographs(bytes, at);
                    weights += characters * tokens::WEIGHTS[0xe5];
                    at = end;
                } else {
                    break;
                }
            }
            self.at = at;
            let (end, is_end) = match self.step(bytes.get(at..).unwrap_or_default()) {
                Step::Go(end) => (end, end >= bytes.len()),
                Step::End(end) => (end, true),
            };
            weights += tokens::weights_of(&bytes[at..end]);
            self.at = end;
            if is_end {
                let size = Size::of_weights(weights);
                return (end > begun).then_some(Sentence { end, size });
            }
        }
    }
}

impl Sentences<'_> {
    /// What the next character does to the sentence; `rest` begins with it.
    fn step(&self, rest: &[u8]) -> Step {
        match rest {
            [] => Step::Go(self.at),
            [b'.', ..] => self.terminated(1, Terminator::Stop),
            [b'!' | b'?', ..] => self.terminated(1, Terminator::Full),
            [b'\n' | b'\r', ..] => self.line_end(self.at),
            // Kana, `、`, `，`.
            [0xe3, 0x81..=0xbf, ..] | [0xe3, 0x80, 0x81, ..] | [0xef, 0xbc, 0x8c, ..] => {
                Step::Go(self.at + 3)
            }
            // `。`, `！`, `？`.
            [0xe3, 0x80, 0x82, ..] | [0xef, 0xbc, 0x81 | 0x9f, ..] => {
                self.terminated(3, Terminator::Full)
            }
            _ => self.unusual(),
        }
    }

    fn unusual(&self) -> Step {
        let Some(character) = self.character(self.at) else {
            return Step::Go(self.at + 1);
        };
        let length = character.len_utf8();
        match CLASSES.get(character) {
            SentenceBreak::ATerm => self.terminated(length, Terminator::Stop),
            SentenceBreak::STerm => self.terminated(length, Terminator::Full),
            SentenceBreak::Sep => self.line_end(self.at),
            _ if self.is_tailored() && character == '；' => {
                self.terminated(length, Terminator::Full)
            }
            _ if self.is_tailored() && character == '…' => {
                self.terminated(length, Terminator::Ellipsis)
            }
            _ => Step::Go(self.at + length),
        }
    }

    /// Looks at what follows a terminator of `length` bytes: rules SB6 to SB11.
    fn terminated(&self, length: usize, terminator: Terminator) -> Step {
        let dot = self.at;
        let behind = self.skip_ignored(dot + length);
        let follows = self.class(behind);
        if terminator == Terminator::Stop
            && (follows == Some(SentenceBreak::Numeric)
                || (follows == Some(SentenceBreak::Upper) && self.is_cased_before(dot)))
        {
            return Step::Go(behind);
        }
        let closed = self.skip_closing(behind);
        let spaced = self.skip(closed, SentenceBreak::Sp);
        let Some(next) = self.class(spaced) else {
            // The text ends here.
            return Step::Go(spaced);
        };
        let has_closed = closed > behind;
        match next {
            SentenceBreak::Sep | SentenceBreak::CR | SentenceBreak::LF => {
                return self.line_end(spaced);
            }
            SentenceBreak::SContinue | SentenceBreak::ATerm | SentenceBreak::STerm => {
                return Step::Go(spaced);
            }
            _ => {}
        }
        let goes_on = match terminator {
            Terminator::Full => false,
            Terminator::Stop => self.is_lower_next(spaced),
            Terminator::Ellipsis => !has_closed && (spaced == behind || self.is_lower_next(spaced)),
        };
        if goes_on || (terminator == Terminator::Stop && self.is_abbreviated(dot, closed, spaced)) {
            return Step::Go(spaced.max(dot + length));
        }
        Step::End(spaced)
    }

    /// A line ends at `at`, and with it a sentence, unless the line was wrapped.
    fn line_end(&self, at: usize) -> Step {
        let bytes = self.text.as_bytes();
        let length = match bytes.get(at) {
            Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => 2,
            Some(0..0x80) | None => 1,
            _ => self.character(at).map_or(1, char::len_utf8),
        };
        let end = at + length;
        if self.is_tailored() && goes_on(self.text, end) {
            return Step::Go(end);
        }
        Step::End(end)
    }

    /// Whether a stop belongs to an abbreviation, or stands where no sentence can end.
    fn is_abbreviated(&self, dot: usize, closed: usize, spaced: usize) -> bool {
        if !self.is_tailored() || closed > dot + 1 {
            return false;
        }
        let rest = &self.text[spaced..];
        // `Foo.(x)`: nothing stands between them.
        if spaced == closed && rest.starts_with(['(', '[', '{']) {
            return true;
        }
        abbreviations::is_one(&self.text[..dot], rest)
    }

    /// Rule SB8: whether the next letter is a small one, whatever stands before it.
    fn is_lower_next(&self, from: usize) -> bool {
        for character in self.text[from..].chars() {
            match class_of(character) {
                SentenceBreak::Lower => return true,
                // It asks the same question: together they would take the square of the time.
                SentenceBreak::Other if character == '…' && self.is_tailored() => return false,
                SentenceBreak::OLetter
                | SentenceBreak::Upper
                | SentenceBreak::Sep
                | SentenceBreak::CR
                | SentenceBreak::LF
                | SentenceBreak::ATerm
                | SentenceBreak::STerm => return false,
                _ => {}
            }
        }
        false
    }

    /// Whether a letter that is capital or small stands directly before `at`.
    fn is_cased_before(&self, at: usize) -> bool {
        let mut before = self.text[..at].chars().rev().map(class_of);
        let letter = before.find(|&class| !is_ignored(class));
        matches!(letter, Some(SentenceBreak::Upper | SentenceBreak::Lower))
    }

    /// Passes closing quotes and brackets; UAX 29 does not tell them from opening ones.
    fn skip_closing(&self, from: usize) -> usize {
        if !self.is_tailored() {
            return self.skip(from, SentenceBreak::Close);
        }
        let mut at = from;
        while let Some(character) = self.character(at) {
            if let Some(length) = note_mark(&self.text[at..]) {
                at += length;
                continue;
            }
            let class = class_of(character);
            let length = character.len_utf8();
            if class != SentenceBreak::Close && !is_ignored(class)
                || is_opening(character, self.character(at + length))
            {
                break;
            }
            at += length;
        }
        at
    }

    fn skip(&self, from: usize, wanted: SentenceBreak) -> usize {
        self.skip_while(from, |class| class == wanted || is_ignored(class))
    }

    /// Rule SB5: marks and format characters belong to what they follow.
    fn skip_ignored(&self, from: usize) -> usize {
        self.skip_while(from, is_ignored)
    }

    fn skip_while(&self, from: usize, wanted: impl Fn(SentenceBreak) -> bool) -> usize {
        let rest = &self.text[from..];
        let first_other = rest
            .char_indices()
            .find(|&(_, character)| !wanted(class_of(character)));
        from + first_other.map_or(rest.len(), |(offset, _)| offset)
    }

    fn character(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    fn class(&self, at: usize) -> Option<SentenceBreak> {
        self.character(at).map(class_of)
    }

    fn is_tailored(&self) -> bool {
        self.rules == Rules::Tailored
    }
}

/// Where the ideographs from U+4000 to U+9FFF end that begin at `at`, and how many they are.
fn ideographs(bytes: &[u8], mut at: usize) -> (usize, u64) {
    let begun = at;
    let is_one = |lead: u8| lead.wrapping_sub(0xe4) < 6;
    // Four at a time, then one by one.
    while let Some([a, _, _, b, _, _, c, _, _, d, _, _]) = bytes.get(at..at + 12)
        && is_one(*a) & is_one(*b) & is_one(*c) & is_one(*d)
    {
        at += 12;
    }
    while bytes.get(at).is_some_and(|&lead| is_one(lead)) {
        at += 3;
    }
    (at, (at - begun) as u64 / 3)
}

fn class_of(character: char) -> SentenceBreak {
    match character {
        'a'..='z' => SentenceBreak::Lower,
        'A'..='Z' => SentenceBreak::Upper,
        ' ' => SentenceBreak::Sp,
        'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='\u{9fff}' | '가'..='힣' => {
            SentenceBreak::OLetter
        }
        _ => CLASSES.get(character),
    }
}

fn is_ignored(class: SentenceBreak) -> bool {
    matches!(class, SentenceBreak::Extend | SentenceBreak::Format)
}

/// The length of a mark such as `[12]`, with which a text refers to a note, if it stands here.
fn note_mark(text: &str) -> Option<usize> {
    let number = text.strip_prefix('[')?;
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let is_one = (1..=3).contains(&digits) && number.as_bytes().get(digits) == Some(&b']');
    is_one.then_some(digits + 2)
}

/// Whether a bracket or quote opens what follows. Some quotes open in one language and close
/// in another (`“`): they open where no space follows.
fn is_opening(character: char, next: Option<char>) -> bool {
    match character {
        '(' | '[' | '{' | '「' | '『' | '（' | '［' | '｛' | '【' | '《' | '〈' | '〔' | '〖'
        | '〘' | '〚' | '｢' | '⟨' | '„' | '‚' => true,
        '“' | '‘' | '«' | '‹' => next.is_some_and(char::is_alphanumeric),
        _ => false,
    }
}

/// Whether a line end before `end` is in the middle of a sentence: the line before it does not
/// end as sentences do, and the next begins with a small letter.
fn goes_on(text: &str, end: usize) -> bool {
    let before = &text[..end];
    if !before.ends_with('\n') || before.ends_with("\n\n") {
        return false;
    }
    let begins_small = text[end..].starts_with(|c: char| c.is_lowercase());
    begins_small && !wrap::ends_sentence(before)
}

#[cfg(test)]
mod tests;
