//! Which national character sets have an ideograph.
//!
//! Big5 was made for traditional characters, GB 2312 for simplified ones and JIS X 0208 for those of
//! Japan: a character that only one of them has tells them apart. The tables are made of
//! `encoding_rs`'s when they are first asked for.

use std::sync::LazyLock;

use encoding_rs::{BIG5, EUC_JP, Encoding, GBK};

/// The sets, one bit a character.
pub(super) static FORMS: LazyLock<Forms> = LazyLock::new(Forms::new);

const FIRST: usize = 0x4e00;
const WORDS: usize = (0xa000 - FIRST) / 64;

type Set = [u64; WORDS];

pub(super) struct Forms {
    big5: Set,
    gb2312: Set,
    jis: Set,
}

impl Forms {
    fn new() -> Self {
        // The rows that the standards had from the beginning, of two levels each.
        let trails = || (0x40..=0x7e).chain(0xa1..=0xfe);
        Self {
            big5: set(BIG5, (0xa4..=0xc6).chain(0xc9..=0xf9), trails),
            gb2312: set(GBK, 0xb0..=0xf7, || 0xa1..=0xfe),
            jis: set(EUC_JP, 0xb0..=0xf4, || 0xa1..=0xfe),
        }
    }

    /// Whether Big5, GB 2312 and JIS X 0208 have it.
    pub(super) fn of(&self, character: char) -> (bool, bool, bool) {
        let has = |set: &Set| {
            let place = (character as usize).wrapping_sub(FIRST);
            set.get(place / 64)
                .is_some_and(|word| word >> (place % 64) & 1 == 1)
        };
        (has(&self.big5), has(&self.gb2312), has(&self.jis))
    }
}

fn set<T: Iterator<Item = u8>>(
    encoding: &'static Encoding,
    leads: impl Iterator<Item = u8>,
    trails: impl Fn() -> T,
) -> Set {
    // A line end after each, so that what is not assigned does not run into the next.
    let bytes: Vec<u8> = leads
        .flat_map(|lead| trails().map(move |trail| [lead, trail, b'\n']))
        .flatten()
        .collect();
    let (text, _) = encoding.decode_without_bom_handling(&bytes);
    let mut set = [0; WORDS];
    for character in text.chars() {
        let place = (character as usize).wrapping_sub(FIRST);
        if let Some(word) = set.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }
    set
}
