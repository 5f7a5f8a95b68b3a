//! What a file is, decided by its content; the name only chooses between kinds of text.

mod container;
mod encoding;
mod text;

pub(crate) use encoding::{decode_declared, decode_text, east_asian_encoding, is_readable};

use crate::error::ExtractError;
use crate::extraction::Format;
use crate::formats::{eml, rtf};

/// A file of a known format, with the text where deciding took decoding it.
#[derive(Debug)]
pub(crate) enum Sniffed {
    Pdf,
    /// With the name of the main document part.
    Docx {
        main_part: String,
    },
    Xlsx {
        main_part: String,
    },
    Pptx {
        main_part: String,
    },
    /// One of its three kinds.
    OpenDocument(Format),
    Epub,
    Rtf,
    Email,
    Html(String),
    Xml(String),
    Json(String),
    Csv {
        text: String,
        delimiter: u8,
    },
    Markdown(String),
    PlainText(String),
}

impl Sniffed {
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Pdf => Format::Pdf,
            Self::Docx { .. } => Format::Docx,
            Self::Xlsx { .. } => Format::Xlsx,
            Self::Pptx { .. } => Format::Pptx,
            Self::OpenDocument(kind) => *kind,
            Self::Epub => Format::Epub,
            Self::Rtf => Format::Rtf,
            Self::Email => Format::Email,
            Self::Html(_) => Format::Html,
            Self::Xml(_) => Format::Xml,
            Self::Json(_) => Format::Json,
            Self::Csv { .. } => Format::Csv,
            Self::Markdown(_) => Format::Markdown,
            Self::PlainText(_) => Format::PlainText,
        }
    }
}

/// Decides what a file is, or says what it seems to be if it is nothing that can be read.
pub fn sniff(bytes: &[u8], file_name: &str) -> Result<Format, ExtractError> {
    look(bytes, file_name).map(|sniffed| sniffed.format())
}

/// Beginnings of formats that are recognised only to be refused by name.
const KNOWN_BEGINNINGS: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"II*\0", "a picture (TIFF)"),
    (b"MM\0*", "a picture (TIFF)"),
    (b"8BPS", "a Photoshop picture"),
    (b"%!PS", "a PostScript file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\0asm", "a WebAssembly program"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"ID3", "a sound file (MP3)"),
    (b"OggS", "a sound file (Ogg)"),
    (b"fLaC", "a sound file (FLAC)"),
    (b"\x1a\x45\xdf\xa3", "a video (Matroska)"),
    (b"PAR1", "a Parquet file"),
];

pub(crate) fn look(bytes: &[u8], file_name: &str) -> Result<Sniffed, ExtractError> {
    if bytes.is_empty() {
        return Err(ExtractError::EmptyFile);
    }
    if is_pdf(bytes) {
        return Ok(Sniffed::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return container::look_into_zip(bytes);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(container::name_compound_file(bytes));
    }
    if let Some(seems) = known_binary(bytes) {
        return Err(ExtractError::unsupported(seems));
    }
    if after_blanks(bytes).starts_with(rtf::BEGINNING) {
        return Ok(Sniffed::Rtf);
    }
    if eml::looks_like_mail(bytes) {
        return Ok(Sniffed::Email);
    }
    text::look_at_text(bytes, file_name)
}

/// What stands behind a byte order mark and blanks.
fn after_blanks(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start()
}

/// The header may stand behind up to a kilobyte of something else, at the beginning of a line,
/// but not in the middle of a text that talks about PDF.
fn is_pdf(bytes: &[u8]) -> bool {
    let beginning = &bytes[..bytes.len().min(1024)];
    let Some(position) = find(beginning, b"%PDF-") else {
        return false;
    };
    let before = &beginning[..position];
    let Some(last) = before.last().filter(|_| !before.trim_ascii().is_empty()) else {
        return true;
    };
    let begins_line = matches!(last, b'\n' | b'\r') || !(0x09..0x80).contains(last);
    let is_text = matches!(after_blanks(before).first(), Some(b'<' | b'{' | b'['));
    begins_line && !is_text && !eml::looks_like_mail(bytes)
}

fn known_binary(bytes: &[u8]) -> Option<&'static str> {
    let known = KNOWN_BEGINNINGS
        .iter()
        .find(|(beginning, _)| bytes.starts_with(beginning));
    if let Some((beginning, seems)) = known {
        // Short signatures of printable letters also begin sentences.
        let printable = beginning.iter().all(|byte| byte.is_ascii_alphanumeric());
        let binary = bytes.iter().take(4096).any(|&byte| byte == 0);
        return (!printable || binary).then_some(seems);
    }
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, kind @ ..] => Some(match kind.get(..4) {
            Some(b"WEBP") => "a picture (WebP)",
            Some(b"WAVE") => "a sound file (WAV)",
            _ => "a RIFF media file",
        }),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("a video or picture (MPEG-4, HEIF)"),
        _ => None,
    }
}

fn has_extension(file_name: &str, extensions: &[&str]) -> bool {
    let Some((_, extension)) = file_name.rsplit_once('.') else {
        return false;
    };
    extensions
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// The position of the first occurrence.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn seems(bytes: &[u8]) -> String {
        match sniff(bytes, "file") {
            Err(ExtractError::UnsupportedFormat { seems }) => seems,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn content_decides_not_the_name() {
        assert_eq!(sniff(b"%PDF-1.7\n", "a.txt"), Ok(Format::Pdf));
        assert_eq!(sniff(b"junk\n%PDF-1.7\n", "a.pdf"), Ok(Format::Pdf));
        assert_eq!(
            sniff(b"<!DOCTYPE html><p>%PDF-1.4</p>", "a.pdf"),
            Ok(Format::Html)
        );
        assert_eq!(sniff(b"\xef\xbb\xbf%PDF-1.7\n", "a.pdf"), Ok(Format::Pdf));
        for (text, format) in [
            (&b"A file begins with %PDF-1.7, and"[..], Format::PlainText),
            (b"{\\rtf1 \n%PDF-1.7}", Format::Rtf),
            (b"[\"\n\",\n\"%PDF-1.7\"]", Format::Json),
            (b"From: a\nDate: b\n\n%PDF-1.7\n", Format::Email),
        ] {
            assert_eq!(sniff(text, "a.pdf"), Ok(format));
        }
        assert_eq!(sniff(b" \n<HTML><body>x", "a.pdf"), Ok(Format::Html));
        assert_eq!(sniff(b"<p>only a part</p>", "a.htm"), Ok(Format::Html));
        assert_eq!(
            sniff(b"<?xml version='1.0'?><feed/>", "a.xml"),
            Ok(Format::Xml)
        );
        assert_eq!(sniff(b"\xef\xbb\xbf {\\rtf1 x}", "a.doc"), Ok(Format::Rtf));
        assert_eq!(sniff(b"# Title", "README.MD"), Ok(Format::Markdown));
        assert_eq!(sniff(b"# Title", "notes"), Ok(Format::PlainText));
        assert_eq!(
            sniff(b"MZ is how the text begins", "a.txt"),
            Ok(Format::PlainText)
        );
        assert_eq!(
            sniff(b"\xff\xfe<\0h\0t\0m\0l\0>\0x\0", "a"),
            Ok(Format::Html)
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(seems(b"\x89PNG\r\n\x1a\n...."), "a picture (PNG)");
        assert_eq!(seems(b"RIFF....WEBPVP8 "), "a picture (WebP)");
        assert_eq!(seems(b"MZ\x90\0\x03\0\0\0"), "a Windows program");
        assert_eq!(seems(&[0, 1, 2, 3, 0xff, 0xfe, 0, 9, 200]), "binary data");
    }
}
