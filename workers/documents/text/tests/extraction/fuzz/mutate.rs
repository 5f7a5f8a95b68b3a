//! Changes a file in the ways in which files go wrong, and in those that hurt readers.

/// A row of numbers that is the same for the same seed (SplitMix64).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(super) fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// A stretch of at most so many bytes.
    fn range(&mut self, length: usize, most: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        let end = (start + 1 + self.below(most)).min(length);
        start..end.max(start)
    }
}

/// Numbers at which something ends.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "9",
    "255",
    "256",
    "1000",
    "16384",
    "16385",
    "32768",
    "65535",
    "65536",
    "1048577",
    "2147483647",
    "-2147483648",
    "4294967295",
    "9223372036854775807",
    "99999999999999999999",
    "1e308",
    "-1e999",
    "0.1",
    "NaN",
    "0x7fffffff",
    "1114112",
    "55296",
];

/// Bytes that are something else in some encoding, or nothing in any.
const BYTES: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x80",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x1b$B",
    b"\x1b(B",
    b"\xa4",
    b"\x81",
    b"\r",
    b"\n\n",
    b"\x0c",
    b"\x85",
    "\u{301}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{200d}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{fffd}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{1100}\u{1161}".as_bytes(),
    "\u{fb03}".as_bytes(),
    "\u{2f00}".as_bytes(),
    "\u{10ffff}".as_bytes(),
    "\u{e0041}".as_bytes(),
    "\u{1d15e}".as_bytes(),
    "字".as_bytes(),
    "한".as_bytes(),
    "ｱﾞ".as_bytes(),
    "\u{633}\u{644}".as_bytes(),
];

/// A few changes, of which each may be a different one.
pub(super) fn mutate(chance: &mut Chance, bytes: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>]) {
    for _ in 0..=chance.below(5) {
        change(chance, bytes, other, words);
    }
    bytes.truncate(LONGEST);
}

/// Longer files are slow and find nothing more.
const LONGEST: usize = 200_000;

fn change(chance: &mut Chance, bytes: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>]) {
    let length = bytes.len();
    if length == 0 {
        bytes.extend_from_slice(other);
        return;
    }
    match chance.below(16) {
        0 => {
            let at = chance.below(length);
            bytes[at] = chance.below(256) as u8;
        }
        1 => {
            let at = chance.below(length);
            bytes[at] ^= 1 << chance.below(8);
        }
        2 => {
            let most = *chance.one_of(&[1, 4, 40, 400]);
            let range = chance.range(length, most);
            bytes.drain(range);
        }
        3 => {
            let most = *chance.one_of(&[4, 40, 400]);
            let range = chance.range(length, most);
            let times = *chance.one_of(&[1, 2, 10, 300]);
            let copy = bytes[range.clone()].repeat(times);
            bytes.splice(range.end..range.end, copy);
        }
        4 => {
            let range = chance.range(length, 100);
            let to = chance.below(length);
            let copy = bytes[range].to_vec();
            bytes.splice(to..to, copy);
        }
        5 => {
            let range = chance.range(other.len(), 300);
            let at = chance.below(length);
            bytes.splice(at..at, other.get(range).unwrap_or_default().to_vec());
        }
        6 => bytes.truncate(chance.below(length)),
        7 => drop(bytes.drain(..chance.below(length.min(200)))),
        8 | 9 => {
            let at = chance.below(length);
            let inserted = *chance.one_of(BYTES);
            let times = *chance.one_of(&[1, 1, 1, 2, 50]);
            bytes.splice(at..at, inserted.repeat(times));
        }
        10 | 11 => {
            let at = chance.below(length);
            let times = *chance.one_of(&[1, 1, 1, 3, 1500]);
            let word = chance.one_of(words);
            bytes.splice(at..at, word.repeat(times));
        }
        12 => number(chance, bytes),
        _ => tag(chance, bytes),
    }
}

/// Another number in the place of one.
fn number(chance: &mut Chance, bytes: &mut Vec<u8>) {
    let from = chance.below(bytes.len());
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let start = from + start;
    let length = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.splice(start..start + length, chance.one_of(NUMBERS).bytes());
}

/// Something between brackets of some kind is left out, doubled, or changes its place.
fn tag(chance: &mut Chance, bytes: &mut Vec<u8>) {
    let brackets: [(u8, u8); 5] = [
        (b'<', b'>'),
        (b'<', b'>'),
        (b'{', b'}'),
        (b'"', b'"'),
        (b'\\', b' '),
    ];
    let (open, close) = *chance.one_of(&brackets);
    let find = |from: usize| {
        let start = from + bytes[from..].iter().position(|&byte| byte == open)?;
        let end = start + 1 + bytes[start + 1..].iter().position(|&byte| byte == close)?;
        Some(start..end + 1)
    };
    let Some(range) = find(chance.below(bytes.len())) else {
        return;
    };
    let copy = bytes[range.clone()].to_vec();
    match chance.below(4) {
        0 => drop(bytes.drain(range)),
        1 => {
            let times = *chance.one_of(&[1, 2, 1000]);
            bytes.splice(range.end..range.end, copy.repeat(times));
        }
        2 => {
            let to = find(chance.below(bytes.len())).map_or(0, |other| other.start);
            bytes.splice(to..to, copy);
        }
        _ => {
            bytes.drain(range);
            let to = chance.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
    }
}
