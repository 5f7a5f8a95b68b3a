//! E-mail: the headers that people read, and the parts that are text.
//!
//! Attachments are named and not opened. Parts are slices of the file: nothing is copied that
//! is not shown, and the depth of parts in parts is bounded.

mod headers;
#[cfg(test)]
mod tests;
mod transfer;

use crate::builder::{Builder, Gap};
use crate::error::ExtractError;
use crate::sniff::decode_declared;
use headers::{Headers, decode_charset};

use super::{html, plain};

/// Parts in parts, messages in messages: each level is looked through once more.
const DEEPEST: usize = 32;
/// More parts than these no program makes.
const MOST_PARTS: usize = 10_000;
/// In so many bytes the headers that everything has must have come.
const SNIFFED_BYTES: usize = 16 * 1024;

/// Whether a file begins with the headers of a message.
pub(crate) fn looks_like_mail(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let beginning = &bytes[..bytes.len().min(SNIFFED_BYTES)];
    let cut = beginning.len() < bytes.len();
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut lines = beginning.split_inclusive(|&byte| byte == b'\n').peekable();
    // The line that parts the messages of a mailbox.
    lines.next_if(|line| line.starts_with(b"From "));
    while let Some(line) = lines.next() {
        let last = lines.peek().is_none();
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        if !names.is_empty() && matches!(line[0], b' ' | b'\t') {
            continue;
        }
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        let is_name = name.len() < line.len()
            && !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_graphic());
        if !is_name && last && cut {
            break;
        }
        if !is_name {
            return false;
        }
        names.push(name.to_ascii_lowercase());
    }
    let has = |name: &str| names.iter().any(|known| known == name.as_bytes());
    let is_sent = ["date", "message-id", "received", "mime-version"]
        .iter()
        .any(|name| has(name));
    has("from") && (is_sent || (has("to") && has("subject")))
}

pub(super) fn read(bytes: &[u8], builder: &mut Builder) -> Result<(), ExtractError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut message = bytes;
    if bytes.starts_with(b"From ")
        && let Some(line_end) = bytes.iter().position(|&byte| byte == b'\n')
    {
        message = &bytes[line_end + 1..];
    }
    let mut mail = Mail {
        builder,
        attachments: Vec::new(),
        parts: 0,
    };
    mail.message(message, 0)?;
    mail.name_attachments()
}

struct Mail<'a> {
    builder: &'a mut Builder,
    attachments: Vec<String>,
    parts: usize,
}

impl Mail<'_> {
    /// A message; `depth` counts what it is in.
    fn message(&mut self, bytes: &[u8], depth: usize) -> Result<(), ExtractError> {
        let (headers, body) = Headers::split(bytes);
        if let Some(subject) = headers.text("subject") {
            self.builder.title(&subject);
            let level = if depth == 0 { 1 } else { 2 };
            self.builder.heading(level, &subject)?;
        }
        let mut gap = Gap::Paragraph;
        for (name, label) in [
            ("from", "From"),
            ("to", "To"),
            ("cc", "Cc"),
            ("date", "Date"),
        ] {
            if let Some(value) = headers.text(name) {
                self.builder.block(gap, &format!("{label}: {value}"))?;
                gap = Gap::Line;
            }
        }
        self.entity(&headers, body, depth)
    }

    fn entity(&mut self, headers: &Headers, body: &[u8], depth: usize) -> Result<(), ExtractError> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(ExtractError::TooLarge {
                detail: format!("it has more than {MOST_PARTS} parts"),
            });
        }
        let kind = headers.content_type();
        if is_encrypted(&kind, headers) && depth == 0 {
            return Err(ExtractError::Encrypted);
        }
        if depth >= DEEPEST {
            self.attach(headers);
            return Ok(());
        }
        if kind.starts_with("multipart/")
            && let Some(boundary) = headers.parameter("content-type", "boundary")
        {
            return self.multipart(&kind, split(body, &boundary), depth + 1);
        }
        let encoding = headers.raw("content-transfer-encoding").unwrap_or_default();
        if kind == "message/rfc822" {
            let inner = transfer::decode(encoding, body);
            return self.message(&inner, depth + 1);
        }
        let is_file = headers.is_attachment() || headers.file_name().is_some();
        if !is_text(&kind) || is_file {
            self.attach(headers);
            return Ok(());
        }
        let content = transfer::decode(encoding, body);
        let charset = headers.parameter("content-type", "charset");
        if kind == "text/html" {
            return self.html(charset.as_deref(), &content);
        }
        let mut text = decode_charset(charset.as_deref(), &content);
        if headers
            .parameter("content-type", "format")
            .is_some_and(|format| format.eq_ignore_ascii_case("flowed"))
        {
            text = unflow(&text, headers.parameter("content-type", "delsp").as_deref());
        }
        plain::read(&text, self.builder)
    }

    fn html(&mut self, charset: Option<&str>, content: &[u8]) -> Result<(), ExtractError> {
        let declared = match charset {
            Some(charset) => Some(decode_charset(Some(charset), content)),
            None => decode_declared(content),
        };
        match declared {
            Some(text) => html::read(&text, self.builder),
            None => Ok(()),
        }
    }

    fn multipart(
        &mut self,
        kind: &str,
        parts: Vec<&[u8]>,
        depth: usize,
    ) -> Result<(), ExtractError> {
        if self.parts + parts.len() > MOST_PARTS {
            return Err(ExtractError::TooLarge {
                detail: format!("it has more than {MOST_PARTS} parts"),
            });
        }
        let parts: Vec<_> = parts.into_iter().map(Headers::split).collect();
        if kind != "multipart/alternative" {
            for (headers, body) in &parts {
                self.entity(headers, body, depth)?;
            }
            return Ok(());
        }
        // All say the same, the last one best; the text says it in the fewest words.
        let chosen = parts
            .iter()
            .find(|(headers, body)| is_plain_with_text(headers, body))
            .or_else(|| {
                parts
                    .iter()
                    .rev()
                    .find(|(headers, _)| is_shown(&headers.content_type()))
            });
        match chosen {
            Some((headers, body)) => self.entity(headers, body, depth),
            None => Ok(()),
        }
    }

    fn attach(&mut self, headers: &Headers) {
        if let Some(name) = headers.file_name() {
            self.attachments.push(name);
        }
    }

    fn name_attachments(&mut self) -> Result<(), ExtractError> {
        let mut gap = Gap::Paragraph;
        for name in std::mem::take(&mut self.attachments) {
            self.builder.block(gap, &format!("Attachment: {name}"))?;
            gap = Gap::Line;
        }
        Ok(())
    }
}

fn is_encrypted(kind: &str, headers: &Headers) -> bool {
    if kind == "multipart/encrypted" {
        return true;
    }
    let is_smime = matches!(kind, "application/pkcs7-mime" | "application/x-pkcs7-mime");
    is_smime
        && headers
            .parameter("content-type", "smime-type")
            .is_some_and(|of| of.to_ascii_lowercase().contains("enveloped-data"))
}

fn is_text(kind: &str) -> bool {
    matches!(
        kind,
        "text/plain" | "text/html" | "text/markdown" | "text/enriched" | "text/x-markdown"
    )
}

fn is_shown(kind: &str) -> bool {
    is_text(kind) || kind.starts_with("multipart/")
}

fn is_plain_with_text(headers: &Headers, body: &[u8]) -> bool {
    if headers.content_type() != "text/plain" {
        return false;
    }
    let encoding = headers.raw("content-transfer-encoding").unwrap_or_default();
    let content = transfer::decode(encoding, body);
    content.iter().any(|byte| !byte.is_ascii_whitespace())
}

/// The parts between the boundaries. Without the last boundary the rest is a part: messages
/// are often kept like that.
fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut part_start = None;
    let mut at = 0;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let line_start = at;
        at += line.len();
        let Some(behind) = line.strip_prefix(delimiter.as_bytes()) else {
            continue;
        };
        let behind = behind.trim_ascii_end();
        if !matches!(behind, b"" | b"--") {
            continue;
        }
        if let Some(start) = part_start.replace(at) {
            parts.push(without_last_line_end(&body[start..line_start]));
        }
        if behind == b"--" {
            return parts;
        }
        // One more than allowed is enough to refuse them.
        if parts.len() > MOST_PARTS {
            return parts;
        }
    }
    if let Some(start) = part_start {
        parts.push(&body[start..]);
    }
    parts
}

/// The line end before a boundary belongs to the boundary.
fn without_last_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

/// Joins the lines of flowed text (RFC 3676): a line that ends with a blank goes on.
fn unflow(text: &str, delsp: Option<&str>) -> String {
    let remove_blank = delsp.is_some_and(|value| value.eq_ignore_ascii_case("yes"));
    let mut joined = String::with_capacity(text.len());
    let mut flows = false;
    let mut quotes_before = 0;
    for line in text.lines() {
        let unquoted = line.trim_start_matches('>');
        let quotes = line.len() - unquoted.len();
        let content = unquoted.strip_prefix(' ').unwrap_or(unquoted);
        if flows && quotes == quotes_before {
            joined.push_str(content);
        } else {
            if !joined.is_empty() {
                joined.push('\n');
            }
            joined.push_str(&line[..quotes]);
            if quotes > 0 {
                joined.push(' ');
            }
            joined.push_str(content);
        }
        quotes_before = quotes;
        // The mark of a signature ends with a blank as well.
        flows = content.ends_with(' ') && content != "-- ";
        if flows && remove_blank {
            joined.pop();
        }
    }
    joined
}
