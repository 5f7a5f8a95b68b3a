//! PDF, page by page.

mod fields;
mod headings;
mod layout;
mod margins;
mod paragraphs;

use std::borrow::Cow;
use std::collections::HashSet;

use pdf_oxide::PdfDocument;
use pdf_oxide::layout::TextChar;

use crate::builder::{Builder, Gap};
use crate::error::ExtractError;
use crate::limits::Limits;
use headings::{Levels, Looks, Run};
use layout::PageText;
use margins::Margins;
use paragraphs::Paragraph;

/// How far from its end a complete file has its end mark, in bytes. Many writers and mailers
/// append something.
const END_MARK_DISTANCE: usize = 16 * 1024;
/// How many pages are searched for pictures before a file without text is called a scan.
const PAGES_SEARCHED_FOR_PICTURES: u32 = 20;

/// How far outside its page a glyph may begin, in points.
const EDGE: f32 = 4.0;

/// What a page gave before the document as a whole was seen.
struct RawPage {
    text: String,
    headings: Vec<Run>,
}

pub(super) fn read(
    file: Cow<'_, [u8]>,
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let has_end = has_end(&file);
    let document = PdfDocument::from_bytes(file.into_owned())
        .map_err(|_| ExtractError::damaged(what_is_wrong(has_end)))?;
    // The library tries the empty password itself; without the right one it returns no text.
    if document.is_encrypted() && !document.is_authenticated() {
        return Err(ExtractError::Encrypted);
    }
    let pages = document
        .page_count()
        .map_err(|_| ExtractError::damaged("its list of pages cannot be read"))?;
    let pages = u32::try_from(pages).unwrap_or(u32::MAX);
    if pages > limits.pages {
        return Err(ExtractError::TooLarge {
            detail: format!(
                "it has {pages} pages, and at most {} are accepted",
                limits.pages
            ),
        });
    }

    let mut looks = Looks::default();
    let raw_pages = read_pages(&document, pages, limits, &mut looks)?;
    if raw_pages.iter().all(|page| page.text.trim().is_empty()) {
        return Err(why_without_text(&document, has_end, pages));
    }
    // Some pages may be readable: half a document that looks like a whole one is worse than none.
    if !has_end {
        return Err(ExtractError::damaged(what_is_wrong(has_end)));
    }
    if let Some(title) = document_title(&document) {
        builder.title(&title);
    }
    lay_out(raw_pages, &looks.levels(), builder)
}

fn read_pages(
    document: &PdfDocument,
    pages: u32,
    limits: &Limits,
    looks: &mut Looks,
) -> Result<Vec<RawPage>, ExtractError> {
    let mut raw_pages = Vec::new();
    let mut bytes_of_text = 0_u64;
    for index in 0..pages as usize {
        // A page that cannot be read does not take the others with it.
        let PageText { text, runs } = read_page(document, index);
        bytes_of_text += u64::try_from(text.len()).unwrap_or(u64::MAX);
        if bytes_of_text > limits.output_bytes {
            return Err(ExtractError::OutputLimit {
                megabytes: limits.output_bytes >> 20,
            });
        }
        let headings = looks.take_page(&runs);
        raw_pages.push(RawPage { text, headings });
    }
    Ok(raw_pages)
}

/// The page by our own layout, or by the library's where that is better.
fn read_page(document: &PdfDocument, index: usize) -> PageText {
    // With nothing left out, this is the way that keeps no page in memory.
    let mut characters = document
        .extract_chars_filtered(index, HashSet::new(), HashSet::new())
        .unwrap_or_default();
    leave_out_unseen(document, index, &mut characters);
    let by_library = || PageText {
        text: document.extract_text(index).unwrap_or_default(),
        runs: Vec::new(),
    };
    match layout::read(&characters) {
        Some(mut page) if !page.text.is_empty() => {
            fields::add(document, index, &mut page.text);
            page
        }
        // It also looks in places where text seldom is.
        _ => by_library(),
    }
}

/// What stands outside the visible part of a page is for printers: marks, names of files, times.
fn leave_out_unseen(document: &PdfDocument, index: usize, characters: &mut Vec<TextChar>) {
    let Ok((left, bottom, right, top)) = document.get_page_visible_box(index) else {
        return;
    };
    let is_seen = |character: &TextChar| {
        let (x, y) = (character.origin_x, character.origin_y);
        (left - EDGE..right + EDGE).contains(&x) && (bottom - EDGE..top + EDGE).contains(&y)
    };
    let seen = characters.iter().filter(|character| is_seen(character));
    // A box that hides most of a page is wrong.
    if seen.count() * 2 > characters.len() {
        characters.retain(is_seen);
    }
}

fn lay_out(
    raw_pages: Vec<RawPage>,
    levels: &Levels,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let texts: Vec<&str> = raw_pages.iter().map(|page| page.text.as_str()).collect();
    let margins = Margins::of(&texts);
    let mut unfinished = false;
    for (number, raw_page) in (1..).zip(&raw_pages) {
        builder.page(number);
        let headings = levels.of_page(&raw_page.headings);
        let paragraphs = paragraphs::of_page(&raw_page.text, number, &margins, &headings);
        for (position, paragraph) in paragraphs.iter().enumerate() {
            // A sentence that goes on here from the page before is set off by a line end only.
            let continues = position == 0 && unfinished;
            let gap = if continues { Gap::Line } else { Gap::Paragraph };
            match paragraph {
                Paragraph::Heading { level, text } => builder.heading(*level, text)?,
                Paragraph::Text(text) => builder.block(gap, text)?,
            }
        }
        unfinished = match paragraphs.last() {
            Some(Paragraph::Text(text)) => {
                text.chars().count() > 40 && !crate::wrap::ends_sentence(text)
            }
            _ => false,
        };
    }
    Ok(())
}

fn what_is_wrong(has_end: bool) -> &'static str {
    if has_end {
        "its table of contents cannot be read"
    } else {
        "its end is missing, as if the upload had been interrupted"
    }
}

/// A whole file ends with where its cross-reference table begins, and a mark.
fn has_end(bytes: &[u8]) -> bool {
    let end = &bytes[bytes.len().saturating_sub(END_MARK_DISTANCE)..];
    crate::sniff::find(end, b"startxref").is_some() || crate::sniff::find(end, b"%%EOF").is_some()
}

fn why_without_text(document: &PdfDocument, has_end: bool, pages: u32) -> ExtractError {
    if !has_end {
        return ExtractError::damaged(what_is_wrong(has_end));
    }
    if pages == 0 {
        return ExtractError::damaged("it has no pages");
    }
    let has_pictures = (0..pages.min(PAGES_SEARCHED_FOR_PICTURES)).any(|index| {
        let pictures = document.page_image_handles(index as usize);
        pictures.is_ok_and(|pictures| !pictures.is_empty())
    });
    if has_pictures {
        ExtractError::NeedsOcr { pages }
    } else {
        ExtractError::NoText
    }
}

/// The title in the document information, unless it only repeats the name of a file.
fn document_title(document: &PdfDocument) -> Option<String> {
    let trailer = document.trailer().as_dict()?;
    let information = document.resolve_object(trailer.get("Info")?).ok()?;
    let title = document
        .resolve_object(information.as_dict()?.get("Title")?)
        .ok()?;
    let title = decode_text_string(title.as_string()?);
    let title = title.trim();
    let file_name = [
        ".doc", ".docx", ".pdf", ".dvi", ".tex", ".indd", ".qxd", ".ppt", ".xls",
    ];
    let is_file_name = file_name
        .iter()
        .any(|ending| title.to_lowercase().ends_with(ending));
    let is_empty = title.is_empty() || title.eq_ignore_ascii_case("untitled");
    let is_readable = title.is_ascii() || !is_mostly_symbols(title);
    (!is_file_name && !is_empty && is_readable && !title.contains('\u{fffd}'))
        .then(|| title.to_owned())
}

/// A text string is UTF-16BE or UTF-8 with a byte order mark, or else should be Latin.
fn decode_text_string(bytes: &[u8]) -> String {
    match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, mark)) => encoding
            .decode_without_bom_handling(&bytes[mark..])
            .0
            .into_owned(),
        None if bytes.is_ascii() => String::from_utf8_lossy(bytes).into_owned(),
        // Neither mark nor Latin: writers in East Asia used the encoding of their country.
        None => crate::sniff::decode_text(bytes).unwrap_or_default(),
    }
}

/// What is left of a title whose encoding nobody can tell.
fn is_mostly_symbols(title: &str) -> bool {
    let visible = title.chars().filter(|character| !character.is_whitespace());
    let letters = visible
        .clone()
        .filter(|character| character.is_alphanumeric())
        .count();
    letters * 4 < visible.count() * 3
}
