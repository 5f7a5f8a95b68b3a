//! Text, redacted word by word.

use std::{collections::BTreeMap, net::Ipv6Addr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::shape::Maker;

/// What needs no percent-encoding.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// Digits of a padded sequencer, and how many zeros it ends with at least: S3's own have 16 to 18 digits.
const SEQUENCER_DIGITS: usize = 32;
const SEQUENCER_ZEROS: &str = "000000";
/// Digits of a padded sequence number; what is not padded is learned, because ids of people can be as long.
const SEQUENCE_NUMBER_DIGITS: usize = 40;
/// Digits of an account.
const ACCOUNT: usize = 12;
/// No address and no region is longer (RFC 5321 for the parts of an e-mail address): nothing is looked for beyond, so that a long text takes time in
/// proportion to its length.
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 255;
const LONGEST_ADDRESS: usize = 46;
const DIRECTIONS: [&str; 9] = [
    "east",
    "west",
    "north",
    "south",
    "central",
    "northeast",
    "northwest",
    "southeast",
    "southwest",
];

/// Words, or several joined by punctuation, with what stands in their place.
#[derive(Debug, Clone, Default)]
pub(super) struct Phrases {
    /// By the first character; the longest first.
    by_first: BTreeMap<char, Vec<Phrase>>,
}

#[derive(Debug, Clone)]
struct Phrase {
    original: String,
    /// `None`: it stays.
    by: Option<String>,
    /// A name that was learned may stay in sentences too; a word of a product only in keys and names.
    in_sentences: bool,
}

impl Phrases {
    /// A word that stays in keys and names; `#` stands for digits.
    pub(super) fn keep(&mut self, word: &str) {
        self.add(word, None, false);
    }

    /// A name that stays everywhere.
    pub(super) fn keep_name(&mut self, name: &str) {
        self.add(name, None, true);
    }

    pub(super) fn replace(&mut self, original: &str, by: &str) {
        self.add(original, Some(by.to_owned()), true);
    }

    fn add(&mut self, original: &str, by: Option<String>, in_sentences: bool) {
        let Some(first) = original.chars().next() else {
            return;
        };
        let same_first = self.by_first.entry(first).or_default();
        match same_first
            .iter_mut()
            .find(|known| known.original == original)
        {
            // What is replaced stays replaced, whatever is learned later.
            Some(known) if by.is_none() => known.in_sentences |= in_sentences,
            Some(known) => known.by = by,
            None => same_first.push(Phrase {
                original: original.to_owned(),
                by,
                in_sentences,
            }),
        }
        same_first.sort_by_key(|phrase| std::cmp::Reverse(phrase.original.len()));
    }

    /// What stands in the place of a whole text, in quotes or not.
    pub(super) fn replacement(&self, text: &str) -> Option<String> {
        let bare = text.trim_matches('"');
        let same_first = self.by_first.get(&bare.chars().next()?)?;
        let phrase = same_first.iter().find(|phrase| phrase.original == bare)?;
        Some(text.replacen(bare, phrase.by.as_deref()?, 1))
    }

    /// The phrase that begins here, and its length.
    fn at(&self, text: &str, start: usize, is_sentence: bool) -> Option<(usize, &Phrase)> {
        let rest = text.get(start..)?;
        let candidates = self.by_first.get(&rest.chars().next()?)?;
        candidates.iter().find_map(|phrase| {
            let length = length_of(&phrase.original, rest)?;
            let end = start + length;
            let before = text.get(..start)?.chars().next_back();
            let after = text.get(end..)?.chars().next();
            let is_whole = !after.is_some_and(char::is_alphanumeric);
            let is_part_of_a_name = matches!(before, Some('/' | '.')) || after == Some('/');
            let fits = is_whole && (!is_sentence || phrase.in_sentences || is_part_of_a_name);
            fits.then_some((length, phrase))
        })
    }
}

/// How much of `text` a phrase covers at its beginning.
fn length_of(phrase: &str, text: &str) -> Option<usize> {
    let mut length = 0;
    for letter in phrase.chars() {
        let rest = text.get(length..)?;
        if letter == '#' {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            length += (digits > 0).then_some(digits)?;
        } else {
            length += rest.starts_with(letter).then(|| letter.len_utf8())?;
        }
    }
    Some(length)
}

/// Replaces every word of a text that may not stay.
pub(super) fn redact(text: &str, phrases: &Phrases, maker: &Maker) -> String {
    let is_sentence = text.contains(char::is_whitespace);
    let Some(decoded) = Decoded::of(text) else {
        return redact_plain(text, is_sentence, phrases, maker, |_| None);
    };
    redact_plain(&decoded.text, is_sentence, phrases, maker, |span| {
        Some(decoded.raw(text, span))
    })
}

/// `raw` gives, where the text was percent-encoded, what stood there.
fn redact_plain<'a>(
    text: &str,
    is_sentence: bool,
    phrases: &Phrases,
    maker: &Maker,
    raw: impl Fn(std::ops::Range<usize>) -> Option<&'a str>,
) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut position = 0;
    let mut inside_a_word = false;
    while let Some(letter) = text.get(position..).and_then(|rest| rest.chars().next()) {
        let begins = letter.is_alphanumeric() && !inside_a_word;
        let piece = if begins {
            piece_at(text, position, is_sentence, phrases, maker)
        } else if let Some(escape) = broken_escape(text, position).filter(|_| raw(0..0).is_none()) {
            escape
        } else {
            (letter.len_utf8(), None)
        };
        let (length, made) = piece;
        let end = position + length;
        let stood = raw(position..end);
        match made {
            Some(made) if stood.is_some_and(|stood| stood.contains('%')) => {
                redacted.extend(percent_encode(made.as_bytes(), ENCODED));
            }
            Some(made) => redacted.push_str(&made),
            None => redacted.push_str(
                stood
                    .or_else(|| text.get(position..end))
                    .unwrap_or_default(),
            ),
        }
        inside_a_word = text
            .get(..end)
            .and_then(|before| before.chars().next_back())
            .is_some_and(char::is_alphanumeric);
        position = end;
    }
    redacted
}

/// An escape in a text that cannot be decoded: its bytes may be part of a name. Another byte that is no UTF-8 is as undecodable.
fn broken_escape(text: &str, position: usize) -> Option<(usize, Option<String>)> {
    let escape = text.get(position..position + 3)?;
    let digits = escape.strip_prefix('%')?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| (3, Some("%FF".to_owned())))
}

/// The piece that begins here: its length, and what stands in its place if it may not stay.
fn piece_at(
    text: &str,
    start: usize,
    is_sentence: bool,
    phrases: &Phrases,
    maker: &Maker,
) -> (usize, Option<String>) {
    if let Some((length, phrase)) = phrases.at(text, start, is_sentence) {
        return (length, phrase.by.clone());
    }
    let rest = text.get(start..).unwrap_or_default();
    if let Some(length) = uuid(rest) {
        return (length, Some(maker.uuid(&rest[..length])));
    }
    if let Some(length) = timestamp(rest).or_else(|| region(rest)) {
        return (length, None);
    }
    if let Some(length) = day(rest) {
        return (length, Some(maker.day(&rest[..length])));
    }
    if let Some(length) = ipv4(rest) {
        return (length, Some(maker.ipv4(&rest[..length])));
    }
    if let Some(length) = ipv6(rest) {
        return (length, Some(maker.ipv6(&rest[..length])));
    }
    if let Some(length) = e_mail(rest) {
        return (length, Some(made_e_mail(&rest[..length], maker)));
    }
    let length = word(rest);
    let word = &rest[..length];
    if is_padded_sequencer(word) || is_padded_number(word) {
        return (length, None);
    }
    (length, Some(maker.word(word)))
}

/// Whether a text that should be a field's name is rather somebody's.
pub(super) fn names_somebody(name: &str) -> bool {
    let mut rest = name;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        rest = &rest[start..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if uuid(rest).is_some() || e_mail(rest).is_some() || ipv4(rest).is_some() || digits >= 9 {
            return true;
        }
        rest = &rest[word(rest).max(1)..];
    }
    false
}

/// The words of a resource's name stay, an account's number in it does not.
pub(super) fn resource_name(name: &str, maker: &Maker) -> String {
    let parts = name.split_inclusive(|letter: char| !letter.is_alphanumeric());
    let redacted = parts.map(|part| {
        let digits = part.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        if digits.len() == ACCOUNT && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return part.replacen(digits, &maker.word(digits), 1);
        }
        part.to_owned()
    });
    redacted.collect()
}

/// How many bytes of the beginning are of these characters; more than `most` are not looked at.
fn run(text: &str, most: usize, is_one: impl Fn(char) -> bool) -> usize {
    let letters = text.char_indices().take(most + 1);
    let mut end = 0;
    for (position, letter) in letters {
        if !is_one(letter) {
            return position;
        }
        end = position + letter.len_utf8();
    }
    end
}

fn word(text: &str) -> usize {
    text.find(|letter: char| !letter.is_alphanumeric())
        .unwrap_or(text.len())
}

/// The length of what has this shape, if nothing of a word comes behind it: `0` stands for a digit, `f` for a hexadecimal one.
fn shaped(text: &str, shape: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let fits = shape.bytes().enumerate().all(|(position, kind)| {
        bytes.get(position).is_some_and(|byte| match kind {
            b'0' => byte.is_ascii_digit(),
            b'f' => byte.is_ascii_hexdigit(),
            other => *byte == other,
        })
    });
    fits.then_some(shape.len())
}

fn ends_here(text: &str, length: usize) -> Option<usize> {
    let after = text.get(length..)?.chars().next();
    (!after.is_some_and(char::is_alphanumeric)).then_some(length)
}

fn uuid(text: &str) -> Option<usize> {
    ends_here(text, shaped(text, "ffffffff-ffff-ffff-ffff-ffffffffffff")?)
}

/// `2026-11-09T09:12:04.118Z`, the zone and the fraction if they are there.
fn timestamp(text: &str) -> Option<usize> {
    let mut length = shaped(text, "0000-00-00T00:00:00")?;
    let rest = text.get(length..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        length += 1 + fraction.bytes().take_while(u8::is_ascii_digit).count();
    }
    let rest = text.get(length..)?;
    if rest.starts_with('Z') {
        length += 1;
    } else if let Some(zone) = rest.strip_prefix(['+', '-']) {
        length += shaped(zone, "00:00").map_or(0, |zone| zone + 1);
    }
    ends_here(text, length)
}

fn day(text: &str) -> Option<usize> {
    ends_here(text, shaped(text, "0000-00-00")?)
}

/// `us-east-1`, `us-gov-west-1`.
fn region(text: &str) -> Option<usize> {
    if text.as_bytes().get(2) != Some(&b'-') {
        return None;
    }
    let end = run(text, LONGEST_ADDRESS, |letter| {
        letter.is_ascii_alphanumeric() || letter == '-'
    });
    let mut length = 0;
    let parts = text.get(..end)?.split('-').take(4).map(|part| {
        length += part.len() + 1;
        (part, length - 1)
    });
    let parts: Vec<(&str, usize)> = parts.collect();
    let number = parts
        .iter()
        .position(|(part, _)| part.len() == 1 && part.bytes().all(|b| b.is_ascii_digit()))?;
    let (first, _) = parts.first()?;
    let (direction, _) = parts.get(number.checked_sub(1)?)?;
    let is_region = number >= 2 && first.len() == 2 && DIRECTIONS.contains(direction);
    let (_, length) = parts.get(number)?;
    is_region.then_some(*length)
}

fn ipv4(text: &str) -> Option<usize> {
    if !text.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let end = run(text, LONGEST_ADDRESS, |letter| {
        letter.is_ascii_digit() || letter == '.'
    });
    let address = text.get(..end)?.trim_end_matches('.');
    let is_address = address.parse::<std::net::Ipv4Addr>().is_ok();
    is_address.then(|| ends_here(text, address.len()))?
}

fn ipv6(text: &str) -> Option<usize> {
    // A group has four digits at most.
    if !text.bytes().take(5).any(|byte| byte == b':') {
        return None;
    }
    let end = run(text, LONGEST_ADDRESS, |letter| {
        letter.is_ascii_hexdigit() || letter == ':'
    });
    let address = text.get(..end)?;
    let is_address = address.parse::<Ipv6Addr>().is_ok();
    is_address.then(|| ends_here(text, end))?
}

/// `local@domain.tld`.
fn e_mail(text: &str) -> Option<usize> {
    let local = run(text, LONGEST_LOCAL, |letter| {
        letter.is_alphanumeric() || "._%+-".contains(letter)
    });
    let domain = text.get(local..)?.strip_prefix('@')?;
    let end = run(domain, LONGEST_DOMAIN, |letter| {
        letter.is_alphanumeric() || ".-".contains(letter)
    });
    let domain = domain.get(..end)?.trim_end_matches(['.', '-']);
    let (host, tld) = domain.rsplit_once('.')?;
    let is_domain = !host.is_empty() && tld.len() >= 2 && tld.chars().all(char::is_alphabetic);
    is_domain.then_some(local + 1 + domain.len())
}

/// Word by word, as everywhere; but under a domain that belongs to nobody.
fn made_e_mail(original: &str, maker: &Maker) -> String {
    let (names, _) = original.rsplit_once('.').unwrap_or((original, ""));
    let mut made = String::new();
    let mut rest = names;
    while !rest.is_empty() {
        let length = word(rest);
        if length > 0 {
            made.push_str(&maker.word(&rest[..length]));
        }
        rest = &rest[length..];
        let between = rest.find(char::is_alphanumeric).unwrap_or(rest.len());
        made.push_str(&rest[..between]);
        rest = &rest[between..];
    }
    made + ".example"
}

fn is_padded_sequencer(word: &str) -> bool {
    let upper = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    word.len() == SEQUENCER_DIGITS && word.ends_with(SEQUENCER_ZEROS) && word.bytes().all(upper)
}

fn is_padded_number(word: &str) -> bool {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    word.len() == SEQUENCE_NUMBER_DIGITS && word.starts_with("00") && is_number
}

/// A percent-encoded text, decoded, with where each byte stood.
struct Decoded {
    text: String,
    /// The position in the original of each byte, and of the end.
    positions: Vec<usize>,
}

impl Decoded {
    /// `None` if nothing is encoded, or if it cannot be decoded.
    fn of(raw: &str) -> Option<Self> {
        if !raw.contains('%') {
            return None;
        }
        let mut bytes = Vec::with_capacity(raw.len());
        let mut positions = Vec::with_capacity(raw.len() + 1);
        let mut at = 0;
        while let Some(byte) = raw.as_bytes().get(at) {
            positions.push(at);
            if *byte == b'%' {
                bytes.push(u8::from_str_radix(raw.get(at + 1..at + 3)?, 16).ok()?);
                at += 3;
            } else {
                bytes.push(*byte);
                at += 1;
            }
        }
        positions.push(raw.len());
        let text = String::from_utf8(bytes).ok()?;
        Some(Self { text, positions })
    }

    fn raw<'a>(&self, raw: &'a str, span: std::ops::Range<usize>) -> &'a str {
        let at = |position: usize| self.positions.get(position).copied().unwrap_or(raw.len());
        raw.get(at(span.start)..at(span.end)).unwrap_or_default()
    }
}
