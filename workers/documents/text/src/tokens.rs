//! How many tokens an embedder will see, estimated.
//!
//! A real tokenizer handles less than a megabyte per second; one number for each script is enough
//! to size chunks. The numbers are those of `cl100k`, the tokenizer of the embedders that most
//! people use; the crate's README says how far off they are, by language.

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
            0x30..0x3a => 1 << 32 | 2,
            0..0x80 => 1 << 32 | 1,
            0x80..0xc0 => 0,
            // Cyrillic.
            0xd0..0xd4 => 1 << 32 | 2,
            // Arabic; what only Persian and Urdu have is rarer.
            0xd8 | 0xd9 => 1 << 32 | 3,
            // Burmese, Georgian, Ethiopic, Khmer, Vietnamese; emoji and rare ideographs.
            0xe1 | 0xf0.. => 1 << 32 | 8,
            // Letters with marks, Greek, Hebrew, Indic, Thai, Han, kana, Hangul.
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
        let estimates = [
            ("", 0),
            ("a", 1),
            ("four", 1),
            ("fours", 2),
            ("2026", 2),
            ("éé", 2),
            ("слово", 3),
            ("كلمة", 3),
            ("λόγος", 5),
            ("資料", 2),
            ("문서", 2),
            ("ქა", 4),
            ("😀", 2),
        ];
        for (text, tokens) in estimates {
            assert_eq!(estimate_tokens(text), tokens, "{text}");
        }
    }
}
