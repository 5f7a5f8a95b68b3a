//! Made-up values of the shape of the original.

use serde_json::{Number, Value};
use sha2::{Digest as _, Sha256};

/// Numbers with fewer digits say too little of anybody, and workers decide by them: sizes, counts, steps.
const LONG_NUMBER: usize = 9;

/// Makes values up; the same original gives the same value.
#[derive(Debug, Clone)]
pub(super) struct Maker {
    salt: [u8; 32],
}

/// Bytes without end, a function of salt and original.
struct Stream<'a> {
    maker: &'a Maker,
    original: &'a str,
    block: u32,
    bytes: std::vec::IntoIter<u8>,
}

impl Stream<'_> {
    fn byte(&mut self) -> u8 {
        if let Some(byte) = self.bytes.next() {
            return byte;
        }
        let mut hash = Sha256::new();
        hash.update(self.maker.salt);
        hash.update(self.block.to_be_bytes());
        hash.update(self.original);
        self.block = self.block.wrapping_add(1);
        self.bytes = hash.finalize().to_vec().into_iter();
        self.bytes.next().unwrap_or_default()
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> u32 {
        let wide = u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
        wide % limit.max(1)
    }

    /// A character between two, both included.
    fn between(&mut self, first: char, last: char) -> char {
        let (first, last) = (u32::from(first), u32::from(last));
        char::from_u32(first + self.below(last - first + 1)).unwrap_or('x')
    }
}

impl Maker {
    pub(super) fn new(salt: [u8; 32]) -> Self {
        Self { salt }
    }

    fn stream<'a>(&'a self, original: &'a str) -> Stream<'a> {
        Stream {
            maker: self,
            original,
            block: 0,
            bytes: Vec::new().into_iter(),
        }
    }

    /// Goes on making values up until one differs from the original: a short one may come out as it was.
    fn other_than(&self, original: &str, make: impl Fn(&mut Stream<'_>) -> String) -> String {
        let mut stream = self.stream(original);
        for _ in 0..64 {
            let made = make(&mut stream);
            if made != original {
                return made;
            }
        }
        original.chars().map(|_| 'x').collect()
    }

    /// A word: letters stay letters of their script and case, digits digits, hexadecimal hexadecimal.
    pub(super) fn word(&self, word: &str) -> String {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.digits_of(word);
        }
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let upper = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        let long = word.len() >= 8 && word.bytes().any(|byte| byte.is_ascii_digit());
        if long && word.bytes().all(lower) {
            return self.other_than(word, |stream| {
                word.chars().map(|_| hexadecimal(stream)).collect()
            });
        }
        if long && word.bytes().all(upper) {
            return self.other_than(word, |stream| {
                let digits = word
                    .chars()
                    .map(|_| hexadecimal(stream).to_ascii_uppercase());
                digits.collect()
            });
        }
        self.other_than(word, |stream| {
            word.chars().map(|letter| like(letter, stream)).collect()
        })
    }

    /// Digits; the first is zero only if it was.
    fn digits_of(&self, digits: &str) -> String {
        self.other_than(digits, |stream| {
            let made =
                digits
                    .chars()
                    .enumerate()
                    .map(|(position, digit)| match (position, digit) {
                        (0, '0') => '0',
                        (0, _) => stream.between('1', '9'),
                        _ => stream.between('0', '9'),
                    });
            made.collect()
        })
    }

    /// A number: replaced if it is long enough to be somebody's, and no time.
    pub(super) fn number(&self, number: &Number) -> Value {
        let text = number.to_string();
        if !may_be_somebodys(&text) {
            return Value::Number(number.clone());
        }
        // So long a number may be one that does not fit; what cannot be told is not kept.
        let made = self.digits_of(&text).parse::<Number>();
        Value::Number(made.unwrap_or_else(|_| Number::from(0)))
    }

    /// Base64 of as many bytes.
    pub(super) fn base64(&self, text: &str) -> String {
        let made: String = self.other_than(text, |stream| {
            text.chars().map(|letter| like(letter, stream)).collect()
        });
        let mut letters: Vec<char> = made.chars().collect();
        // The bits behind the last byte must be zero.
        let padding = letters
            .iter()
            .rev()
            .take_while(|letter| **letter == '=')
            .count();
        if padding > 0 && letters.len() > padding {
            let last = letters.len() - padding - 1;
            if let Some(letter) = letters.get_mut(last) {
                *letter = 'A';
            }
        }
        letters.into_iter().collect()
    }

    /// A place in a list of so many, which tells nothing of the original.
    pub(super) fn place(&self, original: &str, of: usize) -> usize {
        let of = u32::try_from(of).unwrap_or(u32::MAX);
        self.stream(original).below(of) as usize
    }

    /// A UUID of the same version and case.
    pub(super) fn uuid(&self, original: &str) -> String {
        let upper = original.bytes().any(|byte| byte.is_ascii_uppercase());
        // However it is written, it is the same id.
        let canonical = original.to_ascii_lowercase();
        let made = self.other_than(&canonical, |stream| {
            let digits = canonical
                .char_indices()
                .map(|(position, digit)| match position {
                    8 | 13 | 18 | 23 | 14 => digit,
                    19 => stream.between('8', '9'),
                    _ => hexadecimal(stream),
                });
            digits.collect()
        });
        if upper {
            made.to_ascii_uppercase()
        } else {
            made
        }
    }

    /// An address of the ranges that are reserved for documentation (RFC 5737).
    pub(super) fn ipv4(&self, original: &str) -> String {
        const RANGES: [&str; 3] = ["192.0.2", "198.51.100", "203.0.113"];
        self.other_than(original, |stream| {
            let range = RANGES
                .get(stream.below(3) as usize)
                .copied()
                .unwrap_or(RANGES[0]);
            format!("{range}.{}", 1 + stream.below(254))
        })
    }

    /// An address of the range that is reserved for documentation (RFC 3849).
    pub(super) fn ipv6(&self, original: &str) -> String {
        self.other_than(original, |stream| {
            format!(
                "2001:db8::{:x}:{:x}",
                1 + stream.below(0xffff),
                1 + stream.below(0xffff)
            )
        })
    }

    /// A day without a time of day, most often somebody's birthday.
    pub(super) fn day(&self, original: &str) -> String {
        self.other_than(original, |stream| {
            let (year, month, day) = (
                1950 + stream.below(60),
                1 + stream.below(12),
                1 + stream.below(28),
            );
            format!("{year:04}-{month:02}-{day:02}")
        })
    }
}

/// Whether a number may be a telephone number, an account, a card: sizes and counts are shorter.
pub(super) fn may_be_somebodys(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    // Seconds or milliseconds since 1970, from 2014 to 2036.
    let is_time = matches!(digits.len(), 10 | 13)
        && ("14".."21").contains(&digits.get(..2).unwrap_or_default());
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_whole && digits.len() >= LONG_NUMBER && !is_time
}

fn hexadecimal(stream: &mut Stream<'_>) -> char {
    char::from_digit(stream.below(16), 16).unwrap_or('0')
}

/// A character of the same kind.
fn like(letter: char, stream: &mut Stream<'_>) -> char {
    match letter {
        '0'..='9' => stream.between('0', '9'),
        'a'..='z' => stream.between('a', 'z'),
        'A'..='Z' => stream.between('A', 'Z'),
        '\u{ac00}'..='\u{d7a3}' => stream.between('\u{ac00}', '\u{d7a3}'),
        '\u{4e00}'..='\u{9fff}' => stream.between('\u{4e00}', '\u{9fa5}'),
        '\u{3041}'..='\u{3096}' => stream.between('\u{3041}', '\u{3096}'),
        '\u{30a1}'..='\u{30fa}' => stream.between('\u{30a1}', '\u{30fa}'),
        '\u{0430}'..='\u{044f}' => stream.between('\u{0430}', '\u{044f}'),
        '\u{0410}'..='\u{042f}' => stream.between('\u{0410}', '\u{042f}'),
        other if other.is_uppercase() => stream.between('A', 'Z'),
        other if other.is_alphabetic() => stream.between('a', 'z'),
        other if other.is_numeric() => stream.between('0', '9'),
        other => other,
    }
}
