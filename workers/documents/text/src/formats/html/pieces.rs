//! What of a page is left out before it is read: what costs much and says nothing.

use std::ops::Range;

/// The tokenizer compares each attribute of a tag with all before it. Behind so many they are
/// left out; nothing in them is ever shown.
const MOST_ATTRIBUTES: usize = 500;
/// Where a document type must stand, in bytes.
const DOCUMENT_TYPE_WITHIN: usize = 4096;

/// The pieces of a page that are read.
pub(super) fn of(html: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    if let Some(declarations) = declarations(html) {
        pieces.push(&html[..declarations.start]);
        start = declarations.end;
    }
    let bytes = html.as_bytes();
    let mut at = start;
    while let Some(open) = next_tag(bytes, at) {
        let mut tag = Tag::default();
        at = open + 1;
        while let Some(&byte) = bytes.get(at) {
            let separates = tag.take(bytes, &mut at);
            if separates && tag.attributes > MOST_ATTRIBUTES && tag.left_out_from.is_none() {
                tag.left_out_from = Some(at);
            }
            // Where this is no tag but the text of a script or a comment, its end must stay.
            if matches!(byte, b'<' | b'>')
                && let Some(from) = tag.left_out_from.take()
            {
                pieces.push(&html[start..from]);
                start = html.floor_char_boundary(at.saturating_sub(2).max(from));
            }
            at += 1;
            if byte == b'>' {
                break;
            }
        }
        if let Some(from) = tag.left_out_from {
            pieces.push(&html[start..from]);
            start = html.len();
        }
    }
    pieces.push(&html[start.min(html.len())..]);
    pieces
}

/// Where the next tag begins, as far as one byte behind tells.
fn next_tag(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == b'<')?;
        if bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic) {
            return Some(at);
        }
        at += 1;
    }
}

#[derive(Default)]
struct Tag {
    attributes: usize,
    after_equals: bool,
    left_out_from: Option<usize>,
}

impl Tag {
    /// Takes a byte, or a quoted value up to its end; whether an attribute may begin behind it.
    fn take(&mut self, bytes: &[u8], at: &mut usize) -> bool {
        let byte = bytes[*at];
        let quoted = self.after_equals && matches!(byte, b'"' | b'\'');
        if quoted {
            let rest = &bytes[*at + 1..];
            let length = rest.iter().position(|&other| other == byte);
            *at += 1 + length.unwrap_or(rest.len());
        }
        let blank = byte.is_ascii_whitespace();
        self.after_equals = byte == b'=' || (blank && self.after_equals);
        // An end tag begins with a slash that separates nothing.
        let slash = byte == b'/' && bytes[..*at].last() != Some(&b'<');
        let separates = quoted || blank || slash;
        self.attributes += usize::from(separates);
        separates
    }
}

/// The declarations inside of a document type, as XHTML may have them: browsers, and so the
/// tokenizer, take them for text.
fn declarations(html: &str) -> Option<Range<usize>> {
    let within = html.floor_char_boundary(DOCUMENT_TYPE_WITHIN);
    let beginning = html[..within].to_ascii_lowercase();
    let document_type = beginning.find("<!doctype")?;
    let bracket = document_type + beginning[document_type..].find(['[', '>'])?;
    if !html[bracket..].starts_with('[') {
        return None;
    }
    let mut end = bracket;
    loop {
        end += html[end..].find(']')? + 1;
        if html[end..].trim_ascii_start().starts_with('>') {
            return Some(bracket..end);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::of;
    use crate::{Limits, extract_here};

    #[test]
    fn an_honest_page_is_one_piece() {
        for page in [
            "",
            "<",
            "<p",
            "text <3 and <p class='a > b'>more</p>",
            "<!doctype html><p>[x]>",
            "<!-- <p a b c --><script>if (a <b) '</p>'</script>",
        ] {
            assert_eq!(of(page), [page]);
        }
    }

    #[test]
    fn attributes_beyond_counting() {
        let many: String = (0..2000)
            .map(|number| format!(" a{number}=\"é > é\""))
            .collect();
        let page = format!("<p{many}>one</p><p title='x'>two</p><b{many}");
        let pieces = of(&page);
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert!(pieces.len() > 1 && length < page.len() / 2);
        assert!(pieces.concat().contains(">one</p><p title='x'>two</p>"));
    }

    #[test]
    fn prose_that_is_no_tag_keeps_its_end() {
        let words = "of the words ".repeat(300);
        for (page, text) in [
            (format!("<html><!-- a <b {words}--><p>text"), "text"),
            (
                format!("<html><script>a <b {words}</script><p>text"),
                "text",
            ),
            (format!("<html><p>text<p title='{words}'>"), "text"),
        ] {
            let extraction = extract_here(page.as_bytes(), "a.html", &Limits::default());
            assert_eq!(extraction.unwrap().text, text);
        }
    }

    #[test]
    fn declarations_are_no_text() {
        let page = "<!DOCTYPE html [<!ENTITY a 'b]'><!ENTITY c 'd'>\n] ><html><p>text";
        assert_eq!(of(page).concat(), "<!DOCTYPE html  ><html><p>text");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..proptest::test_runner::Config::default() })]

        #[test]
        fn any_page_can_be_cut(page in "(<p|<!doctype|[ =\"'/>\\[\\]é-]| a| b='c'){0,40}") {
            proptest::prop_assert!(of(&page).concat().len() <= page.len());
            let long = page.replace(' ', &" x".repeat(600));
            proptest::prop_assert!(of(&long).concat().len() <= long.len());
        }
    }
}
