//! How many tokens an embedder will see, estimated.
//!
//! A real tokenizer handles less than a megabyte per second. Counting by code point is within
//! a fifth of `cl100k` on English, Chinese and Korean prose, which is enough to size chunks:
//! from U+1100 (Hangul, kana, Han, emoji) one token a character, other characters outside
//! ASCII half a token, ASCII a quarter.

/// A quarter of a token: the unit in which lengths are added up exactly.
pub(crate) type Quarters = usize;

/// Quarters in a token.
pub(crate) const QUARTERS: Quarters = 4;

/// How long a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    /// Unicode scalar values.
    pub(crate) characters: usize,
    /// Tokens, estimated.
    pub(crate) quarters: Quarters,
}

impl Size {
    /// The size of `text`.
    pub(crate) fn of(text: &str) -> Self {
        Self::of_weights(weights_of(text.as_bytes()))
    }

    /// The size of a text whose bytes have these [`WEIGHTS`] together; it may have up to two
    /// billion characters.
    pub(crate) fn of_weights(weights: u64) -> Self {
        Self {
            characters: (weights >> 32) as usize,
            quarters: (weights & 0xffff_ffff) as Quarters,
        }
    }
}

/// The [`WEIGHTS`] of bytes together.
pub(crate) fn weights_of(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| WEIGHTS[usize::from(byte)]).sum()
}

/// What a byte adds to a text: the first one of a character one character, in the upper half, and
/// the character's quarters, in the lower half; the others nothing.
pub(crate) const WEIGHTS: [u64; 256] = {
    let mut weights = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        weights[byte] = match byte {
            0..0x80 => 1 << 32 | 1,
            0x80..0xc0 => 0,
            0xc0..0xe1 => 1 << 32 | 2,
            _ => 1 << 32 | 4,
        };
        byte += 1;
    }
    weights
};

/// How many tokens `text` has, estimated, rounded up.
pub fn estimate_tokens(text: &str) -> usize {
    Size::of(text).quarters.div_ceil(QUARTERS)
}

#[cfg(test)]
mod tests {
    use super::estimate_tokens;

    #[test]
    fn scripts_are_weighed() {
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("a"), 1);
        assert_eq!(estimate_tokens("four"), 1);
        assert_eq!(estimate_tokens("fours"), 2);
        assert_eq!(estimate_tokens("éé"), 1);
        assert_eq!(estimate_tokens("資料"), 2);
        assert_eq!(estimate_tokens("문서"), 2);
    }
}
