//! What is known of a file once it was read.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::builder::Draft;
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::{formats, language, sniff, words};

/// How many characters a preview has at most.
const PREVIEW_CHARACTERS: usize = 500;

/// No word of any language is longer, in bytes.
const LONGEST_KEYWORD: usize = 100;
/// A heading further down, in characters, is that of a chapter, not of the document.
const TITLE_WITHIN: usize = 200;

/// A format from which text is extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Portable Document Format.
    Pdf,
    /// Office Open XML, word processing, with or without macros.
    Docx,
    /// Office Open XML, a workbook of sheets, with or without macros.
    Xlsx,
    /// Office Open XML, a presentation, with or without macros.
    Pptx,
    /// OpenDocument, text.
    Odt,
    /// OpenDocument, a spreadsheet.
    Ods,
    /// OpenDocument, a presentation.
    Odp,
    /// EPUB, an e-book.
    Epub,
    /// Rich Text Format.
    Rtf,
    /// A message of e-mail (RFC 5322, MIME), also a page saved as one.
    Email,
    /// HTML and XHTML.
    Html,
    /// XML of any kind that is none of the others.
    Xml,
    /// JSON, also several documents in a row (JSON lines).
    Json,
    /// Values separated by commas, semicolons, tabs or bars.
    Csv,
    /// Markdown (CommonMark with tables).
    Markdown,
    /// Text without markup, in any of the encodings that are recognised.
    PlainText,
}

impl Format {
    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Pptx => {
                "application/vnd.openxmlformats-officedocument.presentationml.presentation"
            }
            Self::Odt => "application/vnd.oasis.opendocument.text",
            Self::Ods => "application/vnd.oasis.opendocument.spreadsheet",
            Self::Odp => "application/vnd.oasis.opendocument.presentation",
            Self::Epub => "application/epub+zip",
            Self::Rtf => "application/rtf",
            Self::Email => "message/rfc822",
            Self::Html => "text/html",
            Self::Xml => "application/xml",
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Markdown => "text/markdown",
            Self::PlainText => "text/plain",
        }
    }
}

/// A page of a format that has pages: of a PDF; a slide, a sheet, a chapter of an e-book.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    /// Counted from 1.
    pub number: u32,
    /// The position of the page's first character.
    pub start: usize,
    /// The position behind the page's last character.
    pub end: usize,
    /// What the file calls it: the name of a sheet, the title of a slide or a chapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A sheet or a slide that its author has hidden. Its text is read all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// A heading, and with it all the text up to the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The heading, on one line.
    pub title: String,
    /// 1 for the highest.
    pub level: u8,
    /// The position of the heading's first character.
    pub start: usize,
}

/// The text of a file and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extraction {
    /// What the file is, decided by its content.
    pub format: Format,
    /// The text in reading order: NFC, lines end with `\n`, paragraphs are separated by an
    /// empty line, no control characters, no trailing spaces.
    pub text: String,
    /// The pages in order; empty for formats without pages.
    pub pages: Vec<Page>,
    /// The headings in order.
    pub sections: Vec<Section>,
    /// The title that the file gives itself, or else a heading of level 1 at its beginning.
    pub title: Option<String>,
    /// BCP 47: `en`, `zh-TW`, `zh-CN`, `ko` and others; `zh` where no character tells which;
    /// none when unknown.
    pub language: Option<String>,
    /// Words by Unicode's rules (UAX 29); of Chinese and Japanese each character, as word
    /// processors count.
    pub word_count: u64,
    /// Up to ten words of the document, the most characteristic first.
    pub keywords: Vec<String>,
    /// The first 500 characters at most, never cutting one that a person would see as one.
    pub preview: String,
}

/// Reads a file in this process, without any protection from what the parsers do with it.
///
/// This is what the child does; [`crate::Extractor`] is for everyone else.
pub fn extract_here(
    bytes: &[u8],
    file_name: &str,
    limits: &Limits,
) -> Result<Extraction, ExtractError> {
    read(Cow::Borrowed(bytes), file_name, limits)
}

/// As [`extract_here`]; readers that keep the bytes need no copy of them.
pub(crate) fn extract_owned(
    bytes: Vec<u8>,
    file_name: &str,
    limits: &Limits,
) -> Result<Extraction, ExtractError> {
    read(Cow::Owned(bytes), file_name, limits)
}

fn read(
    bytes: Cow<'_, [u8]>,
    file_name: &str,
    limits: &Limits,
) -> Result<Extraction, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::EmptyFile);
    }
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > limits.input_bytes {
        return Err(too_large(size, limits));
    }
    let sniffed = sniff::look(&bytes, file_name)?;
    let format = sniffed.format();
    let draft = formats::read(sniffed, bytes, limits)?;
    finish(format, draft)
}

pub(crate) fn too_large(size: u64, limits: &Limits) -> ExtractError {
    ExtractError::TooLarge {
        detail: format!(
            "it has {size} bytes, and at most {} are accepted",
            limits.input_bytes
        ),
    }
}

fn finish(format: Format, draft: Draft) -> Result<Extraction, ExtractError> {
    if !draft.text.chars().any(char::is_alphanumeric) {
        return Err(ExtractError::NoText);
    }
    let language = language::detect(&draft.text);
    let word_count = words::count(&draft.text);
    let mut keywords = words::rank(&draft.text, language.as_deref());
    // What is longer is a key, a picture in letters, or there to fill somebody's list.
    keywords.retain(|word| word.len() <= LONGEST_KEYWORD);
    let title = draft.title.or_else(|| {
        // The name of the first sheet is no title of the workbook.
        if matches!(format, Format::Xlsx | Format::Ods) {
            return None;
        }
        let first = draft
            .sections
            .first()
            .filter(|section| section.level == 1 && section.start <= TITLE_WITHIN)?;
        Some(first.title.clone())
    });
    Ok(Extraction {
        format,
        preview: preview_of(&draft.text),
        text: draft.text,
        pages: draft.pages,
        sections: draft.sections,
        title,
        language,
        word_count,
        keywords,
    })
}

/// The first characters, up to [`PREVIEW_CHARACTERS`], whole grapheme clusters only.
fn preview_of(text: &str) -> String {
    let mut preview = String::new();
    let mut characters = 0;
    for grapheme in text.graphemes(true) {
        characters += grapheme.chars().count();
        if characters > PREVIEW_CHARACTERS {
            break;
        }
        preview.push_str(grapheme);
    }
    preview
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn preview_is_all_of_a_short_text() {
        assert_eq!(preview_of("short"), "short");
    }

    #[test]
    fn preview_never_cuts_a_grapheme() {
        // A family of seven scalar values across the border.
        let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
        let text = format!("{}{family} and more", "字".repeat(498));
        assert_eq!(preview_of(&text), "字".repeat(498));
    }

    #[test]
    fn an_empty_file_and_a_file_that_is_too_large() {
        let limits = Limits {
            input_bytes: 3,
            ..Limits::default()
        };
        assert_eq!(
            extract_here(b"", "a.txt", &limits).unwrap_err().reason(),
            "empty-file"
        );
        assert_eq!(
            extract_here(b"1234", "a.txt", &limits)
                .unwrap_err()
                .reason(),
            "too-large"
        );
        assert_eq!(
            extract_here(b" \n\t ", "a.txt", &Limits::default())
                .unwrap_err()
                .reason(),
            "no-text"
        );
    }

    #[test]
    fn formats_are_kebab_case() {
        assert_eq!(
            serde_json::to_string(&Format::PlainText).unwrap(),
            "\"plain-text\""
        );
    }
}
