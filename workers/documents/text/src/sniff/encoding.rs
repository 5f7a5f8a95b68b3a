//! Bytes to text, when nobody says in which encoding.

use chardetng::EncodingDetector;
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};

use super::find;

/// Of a thousand characters this many may be broken before the encoding counts as wrong.
const TOLERATED_PER_MILLE: usize = 5;
/// And this many in any file that is not tiny: one broken character can leave three marks.
const TOLERATED_ALWAYS: usize = 3;
/// How much of a file the detector looks at.
const DETECTION_BYTES: usize = 256 * 1024;
/// Where HTML and XML must name their encoding.
const META_BYTES: usize = 4096;

/// Decodes a text file; `None` if it is no text.
pub(crate) fn decode_text(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return is_readable(&text).then(|| text.into_owned());
    }
    // Of the encodings without a byte order mark only UTF-16 has zero bytes.
    if bytes.contains(&0) {
        return decode_utf16_without_mark(bytes);
    }
    if let Some(text) = decode_iso_2022_jp(bytes) {
        return Some(text);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return is_readable(text).then(|| text.to_owned());
    }
    if let Some(text) = decode_nearly_utf8(bytes) {
        return Some(text);
    }
    let (text, _) = detect(bytes).decode_without_bom_handling(bytes);
    is_readable(&text).then(|| text.into_owned())
}

/// Decodes HTML or XML: the byte order mark, then what the file says, then detection.
pub(crate) fn decode_declared(bytes: &[u8]) -> Option<String> {
    let marked = Encoding::for_bom(bytes).is_some();
    if marked || bytes.contains(&0) {
        // A few stray zero bytes are an accident in a page, not an encoding.
        return decode_text(bytes).or_else(|| {
            let without: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
            let stray = bytes.len() - without.len();
            let few = stray > 0 && stray * 1000 <= bytes.len() * TOLERATED_PER_MILLE;
            if few { decode_declared(&without) } else { None }
        });
    }
    let Some(declared) = declared_in_meta(bytes) else {
        return decode_text(bytes);
    };
    let (text, _) = declared.decode_without_bom_handling(bytes);
    // A page that lies about its encoding shows it by what cannot be decoded.
    if is_readable(&text) {
        Some(text.into_owned())
    } else {
        decode_text(bytes)
    }
}

fn declared_in_meta(bytes: &[u8]) -> Option<&'static Encoding> {
    let beginning = bytes[..bytes.len().min(META_BYTES)].to_ascii_lowercase();
    let mut rest = beginning.as_slice();
    while let Some(position) = find(rest, b"charset=").or_else(|| find(rest, b"encoding=")) {
        let equals = rest[position..].iter().position(|&byte| byte == b'=')?;
        let value = &rest[position + equals + 1..];
        let value = value.trim_ascii_start();
        let value = value
            .strip_prefix(b"\"")
            .or(value.strip_prefix(b"'"))
            .unwrap_or(value);
        let end = value
            .iter()
            .position(|byte| b"\"'>;?/ \t\r\n".contains(byte));
        let label = &value[..end.unwrap_or(value.len())];
        if let Some(encoding) = Encoding::for_label(label) {
            // In a file of single bytes, a label of UTF-16 can only be a mistake for UTF-8.
            let wide = encoding == UTF_16LE || encoding == UTF_16BE;
            return Some(if wide { UTF_8 } else { encoding });
        }
        rest = value;
    }
    None
}

/// Japanese in seven bits, as mail is written: ASCII by its bytes, told by its escapes.
fn decode_iso_2022_jp(bytes: &[u8]) -> Option<String> {
    let beginning = &bytes[..bytes.len().min(DETECTION_BYTES)];
    let escapes: [&[u8]; 2] = [b"\x1b$B", b"\x1b$@"];
    if !bytes.is_ascii()
        || !escapes
            .iter()
            .any(|escape| find(beginning, escape).is_some())
    {
        return None;
    }
    let (text, broken) = ISO_2022_JP.decode_without_bom_handling(bytes);
    (!broken && is_readable(&text)).then(|| text.into_owned())
}

/// UTF-8 with a broken character here and there, or cut off in the middle of the last one.
fn decode_nearly_utf8(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let beyond_ascii = text
        .chars()
        .filter(|character| !character.is_ascii())
        .count();
    let broken = text
        .chars()
        .filter(|&character| character == '\u{fffd}')
        .count();
    let tolerated = (beyond_ascii * TOLERATED_PER_MILLE / 1000).max(TOLERATED_ALWAYS);
    let convincing = beyond_ascii >= 20 && broken <= tolerated;
    (convincing && is_readable(&text)).then(|| text.into_owned())
}

/// The encoding of East Asia that these bytes are in, if they are in one.
pub(crate) fn east_asian_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let encoding = detect(bytes);
    let known = [
        BIG5,
        EUC_KR,
        GBK,
        SHIFT_JIS,
        encoding_rs::GB18030,
        encoding_rs::EUC_JP,
    ];
    let (_, broken) = encoding.decode_without_bom_handling(bytes);
    (known.contains(&encoding) && !broken).then_some(encoding)
}

fn detect(bytes: &[u8]) -> &'static Encoding {
    let sample = &bytes[..bytes.len().min(DETECTION_BYTES)];
    let mut detector = EncodingDetector::new();
    detector.feed(sample, sample.len() == bytes.len());
    let (guess, convinced) = detector.guess_assess(None, false);
    if convinced {
        return guess;
    }
    // For a few characters the detector prefers Western Europe.
    EAST_ASIAN
        .iter()
        .map(|candidate| (candidate.likelihood(sample), candidate.encoding))
        .rev()
        .max_by_key(|(likelihood, _)| *likelihood)
        .filter(|(likelihood, _)| *likelihood >= LIKELY_PER_MILLE)
        .map_or(guess, |(_, encoding)| encoding)
}

/// Of a thousand characters beyond ASCII so many must be frequent ones.
const LIKELY_PER_MILLE: usize = 900;
/// Fewer characters prove nothing.
const FEWEST_CHARACTERS: usize = 4;

/// A double-byte encoding, and where its standard put the frequent characters.
struct EastAsian {
    encoding: &'static Encoding,
    frequent: &'static [std::ops::RangeInclusive<u8>],
    lowest_trail: u8,
    /// First bytes of punctuation, which proves nothing.
    punctuation: std::ops::RangeInclusive<u8>,
    /// Bytes that are characters by themselves.
    singles: Option<std::ops::RangeInclusive<u8>>,
}

/// Where two are equally likely, the first one is taken: its range is the narrower.
static EAST_ASIAN: [EastAsian; 4] = [
    EastAsian {
        encoding: EUC_KR,
        frequent: &[0xb0..=0xc8],
        lowest_trail: 0xa1,
        punctuation: 0xa1..=0xa3,
        singles: None,
    },
    EastAsian {
        encoding: BIG5,
        frequent: &[0xa4..=0xc6],
        lowest_trail: 0x40,
        punctuation: 0xa1..=0xa3,
        singles: None,
    },
    EastAsian {
        encoding: GBK,
        frequent: &[0xb0..=0xd7],
        lowest_trail: 0xa1,
        punctuation: 0xa1..=0xa3,
        singles: None,
    },
    // Kana, and the first level of ideographs. Narrow katakana are rare in real texts.
    EastAsian {
        encoding: SHIFT_JIS,
        frequent: &[0x82..=0x83, 0x88..=0x98],
        lowest_trail: 0x40,
        punctuation: 0x81..=0x81,
        singles: Some(0xa1..=0xdf),
    },
];

impl EastAsian {
    /// How many per mille of the characters are frequent ones; nothing if any is broken.
    fn likelihood(&self, bytes: &[u8]) -> usize {
        if self.encoding.decode_without_bom_handling(bytes).1 {
            return 0;
        }
        let mut total = 0;
        let mut frequent = 0;
        let mut rest = bytes.iter();
        while let Some(&lead) = rest.next() {
            if lead < 0x80 {
                continue;
            }
            if self
                .singles
                .as_ref()
                .is_some_and(|singles| singles.contains(&lead))
            {
                total += 1;
                continue;
            }
            let trail = rest.next().copied().unwrap_or_default();
            let punctuation = self.punctuation.contains(&lead);
            total += usize::from(!punctuation);
            let in_rows = self.frequent.iter().any(|leads| leads.contains(&lead))
                && trail >= self.lowest_trail;
            frequent += usize::from(in_rows && !punctuation);
        }
        if total < FEWEST_CHARACTERS {
            0
        } else {
            frequent * 1000 / total
        }
    }
}

/// Both byte orders are tried; the one that reads like text wins.
fn decode_utf16_without_mark(bytes: &[u8]) -> Option<String> {
    let even = &bytes[..bytes.len() & !1];
    let candidates = [UTF_16LE, UTF_16BE].map(|encoding| {
        let (text, broken) = encoding.decode_without_bom_handling(even);
        let likely = text
            .chars()
            .filter(|&character| is_common(character))
            .count();
        (broken, likely * 1000 / text.chars().count().max(1), text)
    });
    let (broken, likely, text) = candidates
        .into_iter()
        .max_by_key(|(_, likely, _)| *likely)?;
    (!broken && likely >= 900 && is_readable(&text)).then(|| text.into_owned())
}

/// Blocks in which most text of the world is written; swapped bytes rarely fall into them.
fn is_common(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{6ff}' | '\u{e00}'..='\u{e7f}' | '\u{2010}'..='\u{2027}'
        | '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff01}'..='\u{ff5e}')
}

/// Whether nearly everything is something that people write.
pub(crate) fn is_readable(text: &str) -> bool {
    let mut total = 0_usize;
    let mut broken = 0_usize;
    for character in text.chars() {
        total += 1;
        let fine = matches!(character, '\t' | '\n' | '\r' | '\u{0c}' | '\u{1b}');
        if character == '\u{fffd}' || (character.is_control() && !fine) {
            broken += 1;
        }
    }
    broken <= (total * TOLERATED_PER_MILLE / 1000).max(tolerated_of_few(total))
}

/// Three broken ones of eight are no text, however few they are.
fn tolerated_of_few(total: usize) -> usize {
    (total / 20).min(TOLERATED_ALWAYS)
}

#[cfg(test)]
mod tests;
