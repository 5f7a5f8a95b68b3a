//! Cutting a list of texts into requests that a service accepts.

use std::ops::Range;

/// How many tokens a text has, by its characters: from U+1100 on one each, other non-ASCII half a
/// token, ASCII a quarter. Within a fifth of the usual tokenizers, which are a thousand times slower.
pub(crate) fn estimated_tokens(text: &str) -> usize {
    let quarters: usize = text
        .chars()
        .map(|character| match character as u32 {
            0..0x80 => 1,
            0x80..0x1100 => 2,
            _ => 4,
        })
        .sum();
    quarters.div_ceil(4)
}

/// Consecutive ranges of `texts`, each within both limits. A text that is over the limit by itself
/// gets a request of its own: whether it is too long is for the service to say.
pub(crate) fn batches(texts: &[String], max_texts: usize, max_tokens: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut tokens = 0;
    for (position, text) in texts.iter().enumerate() {
        let more = estimated_tokens(text);
        let is_full = position - start >= max_texts || tokens + more > max_tokens;
        if is_full && position > start {
            ranges.push(start..position);
            start = position;
            tokens = 0;
        }
        tokens += more;
    }
    if start < texts.len() {
        ranges.push(start..texts.len());
    }
    ranges
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn estimates_by_script() {
        assert_eq!(estimated_tokens(""), 0);
        assert_eq!(estimated_tokens("mill"), 1);
        assert_eq!(estimated_tokens("水車"), 2);
        assert_eq!(estimated_tokens("물레방아"), 4);
        assert_eq!(estimated_tokens("éé"), 1);
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_within_the_limits(
            lengths in prop::collection::vec(0_usize..200, 0..40),
            max_texts in 1_usize..8,
            max_tokens in 1_usize..60,
        ) {
            let texts: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
            let ranges = batches(&texts, max_texts, max_tokens);
            let seen: Vec<usize> = ranges.iter().cloned().flatten().collect();
            prop_assert_eq!(seen, (0..texts.len()).collect::<Vec<_>>());
            for range in ranges {
                let tokens: usize = texts[range.clone()].iter().map(|text| estimated_tokens(text)).sum();
                prop_assert!(!range.is_empty() && range.len() <= max_texts);
                prop_assert!(tokens <= max_tokens || range.len() == 1);
            }
        }
    }
}
