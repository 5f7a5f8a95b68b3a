//! Joining lines that were one before somebody wrapped them.

/// Scripts that are written without spaces between words, and their punctuation. Hangul is
/// none of them: Korean separates words by spaces.
pub(crate) fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{2e80}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff01}'..='\u{ff60}'
        | '\u{20000}'..='\u{3ffff}')
}

/// What stands between the last character of a line and the first of the next one.
pub(crate) fn separator(before: char, after: char) -> &'static str {
    if is_unspaced(before) && is_unspaced(after) {
        ""
    } else {
        " "
    }
}

/// Appends the next line of a paragraph.
pub(crate) fn join(paragraph: &mut String, line: &str) {
    let kept = paragraph.trim_end().len();
    paragraph.truncate(kept);
    let line = line.trim_start();
    if let (Some(before), Some(after)) = (paragraph.chars().next_back(), line.chars().next()) {
        paragraph.push_str(separator(before, after));
    }
    paragraph.push_str(line);
}

/// Whether a line ends as sentences end, closing quotes and brackets aside.
pub(crate) fn ends_sentence(line: &str) -> bool {
    let closing = |character| "\"'”’»)]}」』）】》〉".contains(character);
    let line = line.trim_end().trim_end_matches(closing);
    line.ends_with(|character| ".!?…。！？．｡؟।:：;；".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_by_script() {
        let joined = |first: &str, second: &str| {
            let mut paragraph = first.to_owned();
            join(&mut paragraph, second);
            paragraph
        };
        assert_eq!(joined("wrapped ", " line"), "wrapped line");
        assert_eq!(joined("資料，", "管線"), "資料，管線");
        assert_eq!(joined("資料", "PDF"), "資料 PDF");
        assert_eq!(joined("문서", "작성"), "문서 작성");
        assert_eq!(joined("", "x"), "x");
    }

    #[test]
    fn ends_of_sentences() {
        assert!(
            ends_sentence("Done.") && ends_sentence("他說：「好。」") && ends_sentence("(yes!) ")
        );
        assert!(!ends_sentence("and so") && !ends_sentence("，") && !ends_sentence(""));
    }
}
