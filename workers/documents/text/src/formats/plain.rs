//! Text without markup: the lines as they are.

use crate::builder::{Builder, Gap};
use crate::error::ExtractError;

/// Paragraphs go in one by one, so that the output limit is checked early.
pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), ExtractError> {
    let mut paragraph_start = 0;
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() && paragraph_start < position {
            builder.block(Gap::Paragraph, &text[paragraph_start..position])?;
        }
        position += line.len();
        if line.trim().is_empty() {
            paragraph_start = position;
        }
    }
    builder.block(Gap::Paragraph, &text[paragraph_start..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use crate::{Limits, extract_here};

    #[test]
    fn lines_and_paragraphs_survive() {
        let file = "First line\r\nsecond line\r\n\r\n\r\n\tSecond paragraph\r\n";
        let extraction = extract_here(file.as_bytes(), "a.txt", &Limits::default()).unwrap();
        assert_eq!(
            extraction.text,
            "First line\nsecond line\n\n\tSecond paragraph"
        );
        assert!(extraction.pages.is_empty() && extraction.sections.is_empty());
    }

    #[test]
    fn old_macintosh_line_ends() {
        let extraction = extract_here(b"one\rtwo", "a.txt", &Limits::default()).unwrap();
        assert_eq!(extraction.text, "one\ntwo");
    }
}
