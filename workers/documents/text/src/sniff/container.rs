//! Zip archives and compound files: several formats each.

use std::io::{BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;
use zip::result::ZipError;

use super::{Sniffed, find};
use crate::error::ExtractError;
use crate::extraction::Format;

/// Relationship parts are small; a larger one is not read to its end.
const RELATIONSHIP_BYTES: u64 = 1024 * 1024;
/// Before the root element there is a declaration, and perhaps a comment.
const ROOT_WITHIN: u64 = 64 * 1024;

/// No document has more parts; a list of more is there to fill the memory.
const MOST_PARTS: u64 = 100_000;
/// The end of an archive, with the longest comment that there may be behind it.
const END_WITHIN: usize = 22 + 65_535;

/// Refuses an archive that says it has more parts than any document. To open it costs memory
/// for each of them; one that says less than it has is read no further than it says.
fn accept_parts(bytes: &[u8]) -> Result<(), ExtractError> {
    let end = &bytes[bytes.len().saturating_sub(END_WITHIN)..];
    let number = |mark: &[u8], at: usize, length: usize| {
        let start = end.windows(4).rposition(|window| window == mark)?;
        let digits = end.get(start + at..start + at + length)?;
        let number = digits.iter().rev();
        Some(number.fold(0, |number, &byte| (number << 8) | u64::from(byte)))
    };
    // The form for large archives stands before the other one.
    let large = number(b"PK\x06\x06", 32, 8);
    let small = number(b"PK\x05\x06", 10, 2).filter(|&parts| parts != 0xffff);
    let parts = large.max(small).unwrap_or_default();
    if parts > MOST_PARTS {
        return Err(ExtractError::TooLarge {
            detail: format!("it consists of {parts} parts, and at most {MOST_PARTS} are accepted"),
        });
    }
    Ok(())
}

pub(super) fn look_into_zip(bytes: &[u8]) -> Result<Sniffed, ExtractError> {
    accept_parts(bytes)?;
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| {
        ExtractError::damaged("it is a zip archive (as Office documents are) without a readable table of contents, as if its end were missing")
    })?;
    if let Some(main_part) = main_document_part(&mut archive) {
        return name_office_part(&mut archive, main_part);
    }
    // Some writers leave the relationships out; Office itself accepts that.
    for main_part in [
        "word/document.xml",
        "xl/workbook.xml",
        "ppt/presentation.xml",
    ] {
        if archive.index_for_name(main_part).is_some() {
            return name_office_part(&mut archive, main_part.to_owned());
        }
    }
    let media_type = small_part(&mut archive, "mimetype").unwrap_or_default();
    if let Some(named) = name_media_type(media_type.trim_ascii()) {
        return named;
    }
    // Writers that leave the media type out still say what they wrote.
    let media_type = media_type_in_manifest(&mut archive).unwrap_or_default();
    if let Some(named) = name_media_type(&media_type) {
        return named;
    }
    if archive.index_for_name("META-INF/container.xml").is_some() {
        return Ok(Sniffed::Epub);
    }
    Err(ExtractError::unsupported(
        if archive.index_for_name("Index/Document.iwa").is_some() {
            "an Apple iWork document"
        } else if archive.is_empty() {
            "an empty zip archive"
        } else {
            "a zip archive"
        },
    ))
}

/// What the media type says, which OpenDocument and EPUB files begin with.
fn name_media_type(media_type: &[u8]) -> Option<Result<Sniffed, ExtractError>> {
    const OPEN_DOCUMENT: &[u8] = b"application/vnd.oasis.opendocument.";
    if let Some(kind) = media_type.strip_prefix(OPEN_DOCUMENT) {
        // Templates and the master of several texts have longer names.
        let is = |name: &[u8]| {
            kind.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"-"))
        };
        return Some(if is(b"text") {
            Ok(Sniffed::OpenDocument(Format::Odt))
        } else if is(b"spreadsheet") {
            Ok(Sniffed::OpenDocument(Format::Ods))
        } else if is(b"presentation") {
            Ok(Sniffed::OpenDocument(Format::Odp))
        } else if is(b"graphics") {
            Err(ExtractError::unsupported("an OpenDocument drawing (.odg)"))
        } else {
            Err(ExtractError::unsupported(
                "an OpenDocument file without text",
            ))
        });
    }
    match media_type {
        b"application/epub+zip" => Some(Ok(Sniffed::Epub)),
        b"application/hwp+zip" => Some(Err(ExtractError::unsupported("a Hangul document (.hwpx)"))),
        _ => None,
    }
}

/// The media type of the whole, in the manifest of an OpenDocument file.
fn media_type_in_manifest(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Option<Vec<u8>> {
    let manifest = small_part(archive, "META-INF/manifest.xml")?;
    let mut reader = Reader::from_reader(manifest.as_slice());
    let mut buffer = Vec::new();
    loop {
        let event = reader.read_event_into(&mut buffer).ok()?;
        if let Event::Start(element) | Event::Empty(element) = &event {
            let attribute = |name: &str| {
                let attribute = element.try_get_attribute(name).ok()??;
                Some(attribute.value.into_owned())
            };
            if attribute("manifest:full-path").is_some_and(|path| path == b"/") {
                return attribute("manifest:media-type");
            }
        }
        if matches!(event, Event::Eof) {
            return None;
        }
        buffer.clear();
    }
}

/// What an Office document is, by the root element of its main part: types and names of parts
/// differ between versions, templates, and documents with macros.
fn name_office_part(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    main_part: String,
) -> Result<Sniffed, ExtractError> {
    if main_part.to_ascii_lowercase().ends_with(".bin") {
        return Err(ExtractError::unsupported(
            "an Excel binary workbook (.xlsb)",
        ));
    }
    let root = root_of_part(archive, &main_part)?;
    match root.as_deref() {
        Some(b"document") => Ok(Sniffed::Docx { main_part }),
        Some(b"workbook") => Ok(Sniffed::Xlsx { main_part }),
        Some(b"presentation") => Ok(Sniffed::Pptx { main_part }),
        Some(b"VisioDocument") => Err(ExtractError::unsupported("a Visio drawing")),
        // Broken before its first element: its reader will say how.
        _ if main_part.starts_with("visio/") => Err(ExtractError::unsupported("a Visio drawing")),
        _ if main_part.starts_with("xl/") => Ok(Sniffed::Xlsx { main_part }),
        _ if main_part.starts_with("ppt/") => Ok(Sniffed::Pptx { main_part }),
        _ => Ok(Sniffed::Docx { main_part }),
    }
}

/// The name of the first element of a part, if there is one.
fn root_of_part(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
) -> Result<Option<Vec<u8>>, ExtractError> {
    let part = archive.by_name(name).map_err(|error| match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ExtractError::Encrypted,
        _ => ExtractError::damaged("it is an Office document without its main part"),
    })?;
    let mut reader = Reader::from_reader(BufReader::new(part.take(ROOT_WITHIN)));
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(element) | Event::Empty(element)) => {
                return Ok(Some(element.local_name().as_ref().to_vec()));
            }
            Ok(Event::Eof) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
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
