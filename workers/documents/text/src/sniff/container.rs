//! Zip archives and compound files: several formats each.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;

use super::{Sniffed, find};
use crate::error::ExtractError;

/// Relationship parts are small; a larger one is not read to its end.
const RELATIONSHIP_BYTES: u64 = 1024 * 1024;

pub(super) fn look_into_zip(bytes: &[u8]) -> Result<Sniffed, ExtractError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| {
        ExtractError::damaged("it is a zip archive (as Word documents are) without a readable table of contents, as if its end were missing")
    })?;
    if let Some(main_part) = main_document_part(&mut archive) {
        return name_office_part(&mut archive, main_part);
    }
    // Some writers leave the relationships out; Word itself accepts that.
    if archive.index_for_name("word/document.xml").is_some() {
        return Ok(Sniffed::Docx {
            main_part: "word/document.xml".to_owned(),
        });
    }
    let media_type = small_part(&mut archive, "mimetype").unwrap_or_default();
    let seems = match media_type.trim_ascii() {
        b"application/epub+zip" => "an e-book (EPUB)",
        b"application/vnd.oasis.opendocument.text" => "an OpenDocument text (.odt)",
        b"application/vnd.oasis.opendocument.spreadsheet" => "an OpenDocument spreadsheet (.ods)",
        b"application/vnd.oasis.opendocument.presentation" => "an OpenDocument presentation (.odp)",
        b"application/hwp+zip" => "a Hangul document (.hwpx)",
        _ if archive.index_for_name("xl/workbook.xml").is_some() => "an Excel workbook",
        _ if archive.index_for_name("ppt/presentation.xml").is_some() => {
            "a PowerPoint presentation"
        }
        _ if archive.index_for_name("Index/Document.iwa").is_some() => "an Apple iWork document",
        _ if archive.is_empty() => "an empty zip archive",
        _ => "a zip archive",
    };
    Err(ExtractError::unsupported(seems))
}

fn name_office_part(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    main_part: String,
) -> Result<Sniffed, ExtractError> {
    if main_part.starts_with("xl/") {
        return Err(ExtractError::unsupported("an Excel workbook"));
    }
    if main_part.starts_with("ppt/") {
        return Err(ExtractError::unsupported("a PowerPoint presentation"));
    }
    if main_part.starts_with("visio/") {
        return Err(ExtractError::unsupported("a Visio drawing"));
    }
    if archive.index_for_name(&main_part).is_none() {
        return Err(ExtractError::damaged(
            "it is an Office document without its main part",
        ));
    }
    Ok(Sniffed::Docx { main_part })
}

/// The target of the package relationship of type `officeDocument`.
fn main_document_part(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Option<String> {
    let relationships = small_part(archive, "_rels/.rels")?;
    let mut reader = Reader::from_reader(relationships.as_slice());
    let mut buffer = Vec::new();
    loop {
        let event = reader.read_event_into(&mut buffer).ok()?;
        let element = match &event {
            Event::Start(element) | Event::Empty(element) => element,
            Event::Eof => return None,
            _ => {
                buffer.clear();
                continue;
            }
        };
        let attribute = |name: &str| {
            let attribute = element.try_get_attribute(name).ok()??;
            String::from_utf8(attribute.value.into_owned()).ok()
        };
        let is_main = attribute("Type").is_some_and(|kind| kind.ends_with("/officeDocument"));
        if is_main && let Some(target) = attribute("Target") {
            return Some(target.trim_start_matches('/').to_owned());
        }
        buffer.clear();
    }
}

fn small_part(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Option<Vec<u8>> {
    let part = archive.by_name(name).ok()?;
    let mut content = Vec::new();
    part.take(RELATIONSHIP_BYTES)
        .read_to_end(&mut content)
        .ok()?;
    Some(content)
}

/// OLE compound files: old Office documents, and the wrapping of encrypted new ones.
pub(super) fn name_compound_file(bytes: &[u8]) -> ExtractError {
    let has_stream = |name: &str| {
        let utf16: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        find(bytes, &utf16).is_some()
    };
    if has_stream("EncryptedPackage") {
        return ExtractError::Encrypted;
    }
    ExtractError::unsupported(if has_stream("WordDocument") {
        "an old Word document (.doc)"
    } else if has_stream("Workbook") {
        "an old Excel workbook (.xls)"
    } else if has_stream("PowerPoint Document") {
        "an old PowerPoint presentation (.ppt)"
    } else if has_stream("Book") {
        "an old Excel workbook (.xls)"
    } else if has_stream("HwpSummaryInformation") {
        "a Hangul document (.hwp)"
    } else if has_stream("__substg1.0_") {
        "an Outlook message (.msg)"
    } else {
        "an old Microsoft Office file"
    })
}
