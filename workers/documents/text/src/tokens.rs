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

/// The estimate for one character.
pub(crate) fn quarters_of(character: char) -> Quarters {
    match u32::from(character) {
        0..0x80 => 1,
        0x80..0x1100 => 2,
        _ => 4,
    }
}

/// How many tokens `text` has, estimated, rounded up.
pub fn estimate_tokens(text: &str) -> usize {
    text.chars()
        .map(quarters_of)
        .sum::<Quarters>()
        .div_ceil(QUARTERS)
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
