//! Which kind of text a text is.

use super::{Sniffed, after_blanks, decode_declared, decode_text, find, has_extension};
use crate::error::ExtractError;
use crate::formats::json::Verdict;
use crate::formats::{csv, json, xml};

pub(super) fn look_at_text(bytes: &[u8], file_name: &str) -> Result<Sniffed, ExtractError> {
    let binary = || ExtractError::unsupported("binary data");
    if looks_like_html(bytes, file_name) {
        let text = decode_declared(bytes);
        return text.map(Sniffed::Html).ok_or_else(binary);
    }
    if after_blanks(bytes).starts_with(b"<?xml") {
        let text = decode_declared(bytes);
        return text.map(Sniffed::Xml).ok_or_else(binary);
    }
    let text = decode_text(bytes).ok_or_else(binary)?;
    // UTF-16 hides the tags from the look at the bytes.
    if looks_like_html(text.as_bytes(), file_name) {
        return Ok(Sniffed::Html(text));
    }
    if looks_like_xml(&text, file_name) {
        return Ok(Sniffed::Xml(text));
    }
    match json::judge(&text) {
        Verdict::Json => return Ok(Sniffed::Json(text)),
        Verdict::BreaksOff if has_extension(file_name, &["json", "jsonl", "ndjson", "geojson"]) => {
            return Err(ExtractError::damaged(
                "its JSON ends in the middle of a value",
            ));
        }
        Verdict::BreaksOff | Verdict::Other => {}
    }
    if has_extension(file_name, &["md", "markdown", "mdown", "mkd"]) {
        return Ok(Sniffed::Markdown(text));
    }
    let named = has_extension(file_name, &["csv", "tsv", "tab"]);
    if let Some(delimiter) = csv::delimiter(&text, named) {
        return Ok(Sniffed::Csv { text, delimiter });
    }
    Ok(Sniffed::PlainText(text))
}

fn looks_like_html(bytes: &[u8], file_name: &str) -> bool {
    let bytes = after_blanks(bytes);
    if !bytes.starts_with(b"<") {
        return false;
    }
    let beginning = bytes[..bytes.len().min(2048)].to_ascii_lowercase();
    if beginning.starts_with(b"<!doctype html") || beginning.starts_with(b"<html") {
        return true;
    }
    let named = has_extension(file_name, &["html", "htm", "xhtml"]);
    if beginning.starts_with(b"<?xml") && find(&beginning, b"<html").is_none() && !named {
        return false;
    }
    let unmistakable: [&[u8]; 4] = [b"<html", b"<head>", b"<body", b"<!doctype html"];
    unmistakable
        .iter()
        .any(|tag| find(&beginning, tag).is_some())
        || has_extension(file_name, &["html", "htm", "xhtml"])
}

/// Without a declaration only what is XML from the first byte to the last one, or is called so.
fn looks_like_xml(text: &str, file_name: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_ascii_start();
    let Some(tag) = text.strip_prefix('<') else {
        return false;
    };
    if tag.starts_with("?xml") {
        return true;
    }
    if !tag.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '!')) {
        return false;
    }
    has_extension(
        file_name,
        &["xml", "rss", "atom", "opml", "svg", "kml", "gpx"],
    ) || xml::is_well_formed(text)
}

#[cfg(test)]
mod tests {
    use crate::{Format, sniff};

    #[test]
    fn kinds_of_text_by_their_content() {
        let utf16: Vec<u8> = "<?xml version='1.0'?><a>x</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let cases: &[(&[u8], &str, Format)] = &[
            (b"<note><to>A</to>text</note>", "a.txt", Format::Xml),
            (
                b"<!DOCTYPE note [<!ENTITY a 'b'>]>\n<note>&a;</note>",
                "a",
                Format::Xml,
            ),
            (b"<b>bold</b> and more", "a.txt", Format::PlainText),
            (b"<note>never closed", "a.txt", Format::PlainText),
            (b"<note>never closed", "a.xml", Format::Xml),
            (b"<- an arrow", "a.xml", Format::PlainText),
            (&utf16, "a", Format::Xml),
            (b"{\"a\": [1]}", "a.pdf", Format::Json),
            (b"[1] a list", "a.json", Format::PlainText),
            (b"a;b\n1;2\n", "a.csv", Format::Csv),
            (b"a;b\n1;2\n", "a.txt", Format::PlainText),
            (
                b"From: a@b.example\nTo: c\nSubject: x\n\nbody",
                "a.txt",
                Format::Email,
            ),
            (b"From: a\nand this is prose\n", "a.eml", Format::PlainText),
            (b"Note: one\nSubject: two\n", "a.txt", Format::PlainText),
        ];
        for (bytes, name, format) in cases {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(sniff(bytes, name), Ok(*format), "{name}: {shown}");
        }
    }

    #[test]
    fn the_encoding_that_xml_names() {
        let (bytes, _, _) =
            encoding_rs::BIG5.encode("<?xml version='1.0' encoding='big5'?><a>許功蓋</a>");
        let limits = crate::Limits::default();
        let text = crate::extract_here(&bytes, "a", &limits).map(|extraction| extraction.text);
        assert_eq!(text.as_deref(), Ok("許功蓋"));
    }
}
