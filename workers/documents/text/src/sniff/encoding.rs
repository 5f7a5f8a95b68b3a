//! Bytes to text, when nobody says in which encoding.

use chardetng::EncodingDetector;
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, UTF_8, UTF_16BE, UTF_16LE};

use super::find;

/// Of a thousand characters this many may be broken before the encoding counts as wrong.
const TOLERATED_PER_MILLE: usize = 5;
/// And this many in any file that is not tiny: one broken character can leave three marks.
const TOLERATED_ALWAYS: usize = 3;
/// How much of a file the detector looks at.
const DETECTION_BYTES: usize = 256 * 1024;
/// Where HTML must name its encoding.
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
    if let Ok(text) = std::str::from_utf8(bytes) {
        return is_readable(text).then(|| text.to_owned());
    }
    if let Some(text) = decode_nearly_utf8(bytes) {
        return Some(text);
    }
    let (text, _) = detect(bytes).decode_without_bom_handling(bytes);
    is_readable(&text).then(|| text.into_owned())
}

/// Decodes an HTML file: the byte order mark, then what the file says, then detection.
pub(crate) fn decode_html(bytes: &[u8]) -> Option<String> {
    let marked = Encoding::for_bom(bytes).is_some();
    if marked || bytes.contains(&0) {
        // A few stray zero bytes are an accident in a page, not an encoding.
        return decode_text(bytes).or_else(|| {
            let without: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != 0).collect();
            let few = (bytes.len() - without.len()) * 1000 <= bytes.len() * TOLERATED_PER_MILLE;
            if few { decode_html(&without) } else { None }
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
    leads: std::ops::RangeInclusive<u8>,
    lowest_trail: u8,
}

/// Where two are equally likely, the first one is taken: its range is the narrower.
static EAST_ASIAN: [EastAsian; 3] = [
    EastAsian {
        encoding: EUC_KR,
        leads: 0xb0..=0xc8,
        lowest_trail: 0xa1,
    },
    EastAsian {
        encoding: BIG5,
        leads: 0xa4..=0xc6,
        lowest_trail: 0x40,
    },
    EastAsian {
        encoding: GBK,
        leads: 0xb0..=0xd7,
        lowest_trail: 0xa1,
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
            let trail = rest.next().copied().unwrap_or_default();
            // Punctuation stands in the rows before, in all three.
            let punctuation = (0xa1..=0xa3).contains(&lead);
            total += usize::from(!punctuation);
            let in_rows = self.leads.contains(&lead) && trail >= self.lowest_trail;
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
        '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{5ff}' | '\u{2010}'..='\u{2027}'
        | '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff01}'..='\u{ff5e}')
}

/// Whether nearly everything is something that people write.
fn is_readable(text: &str) -> bool {
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use encoding_rs::{GB18030, WINDOWS_1252};

    const CHINESE: &str =
        "應徵者須具備五年以上分散式系統經驗，並能以英文清楚撰寫文件。\n福利包括健康保險。";
    const KOREAN: &str =
        "이력서는 PDF 파일로 보내 주십시오. 스캔한 이미지도 받지만 검토가 더 오래 걸립니다.\n";
    const SIMPLIFIED: &str =
        "每个工作程序会读取消息，从对象存储获取文档，然后将分段写入索引。\n合同自三月一日起生效。";

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
        let units = mark
            .then_some(0xfeff)
            .into_iter()
            .chain(text.encode_utf16());
        units.flat_map(to_bytes).collect()
    }

    #[test]
    fn utf16_with_and_without_mark_in_both_orders() {
        for text in [CHINESE, KOREAN, "Plain English, line one.\nLine two."] {
            for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                for mark in [true, false] {
                    let bytes = utf16(text, to_bytes, mark);
                    assert_eq!(decode_text(&bytes).as_deref(), Some(text), "mark: {mark}");
                }
            }
        }
    }

    #[test]
    fn east_asian_encodings() {
        for (text, encoding) in [(CHINESE, BIG5), (KOREAN, EUC_KR), (SIMPLIFIED, GB18030)] {
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(
                decode_text(&bytes).as_deref(),
                Some(text),
                "{}",
                encoding.name()
            );
        }
    }

    #[test]
    fn a_few_words_are_enough() {
        let samples = [
            ("문서 작성 방법", EUC_KR),
            ("회의록", EUC_KR),
            ("안녕하세요 여러분", EUC_KR),
            ("你好，世界。這是測試", BIG5),
            ("會議紀錄與待辦事項", BIG5),
            ("履歷表", BIG5),
            ("这是一个测试文件", GBK),
        ];
        for (text, encoding) in samples {
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(
                decode_text(&bytes).as_deref(),
                Some(text),
                "{}",
                encoding.name()
            );
        }
    }

    #[test]
    fn western_text_stays_western() {
        let text = "Der Käufer möchte natürlich größere Mengen für später bestellen – très cher.";
        let (bytes, _, _) = WINDOWS_1252.encode(text);
        assert_eq!(decode_text(&bytes).as_deref(), Some(text));
    }

    #[test]
    fn utf8_that_was_cut_or_scratched() {
        let mut bytes = CHINESE.as_bytes().to_vec();
        bytes.pop();
        assert!(decode_text(&bytes).unwrap().starts_with("應徵者須具備"));
        let mut long = CHINESE.repeat(10).into_bytes();
        long[3] = b'x';
        assert!(decode_text(&long).unwrap().contains("福利包括健康保險"));
    }

    #[test]
    fn binary_is_no_text() {
        assert_eq!(decode_text(b"abc\0\xff\xfe\x80abc\0\xff\xfe\x80"), None);
        let noise: Vec<u8> = (0..4000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        assert_eq!(decode_text(&noise), None);
    }

    #[test]
    fn html_names_its_encoding() {
        let page = format!("<html><head><meta charset='big5'></head><p>{CHINESE}");
        let (bytes, _, _) = BIG5.encode(&page);
        assert_eq!(decode_html(&bytes), Some(page));
        let lying = format!("<meta http-equiv=x content='text/html; charset=utf-8'><p>{KOREAN}");
        let (bytes, _, _) = EUC_KR.encode(&lying);
        assert_eq!(decode_html(&bytes), Some(lying));
    }
}
