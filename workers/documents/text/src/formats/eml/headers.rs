//! The headers of a message: unfolded, with encoded words and parameters resolved.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, WINDOWS_1252};

use super::transfer;
use crate::sniff::{decode_text, is_readable};

/// The headers that are looked at.
const KEPT: &[&str] = &[
    "subject",
    "from",
    "to",
    "cc",
    "date",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
];
/// No header is longer, in bytes; the rest of it is not read.
const LONGEST_VALUE: usize = 64 * 1024;
/// No file has a longer name, in characters.
const LONGEST_FILE_NAME: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Headers {
    fields: Vec<(&'static str, String)>,
}

impl Headers {
    /// Reads the headers of an entity and returns its body with them.
    pub(super) fn split(entity: &[u8]) -> (Self, &[u8]) {
        let mut fields: Vec<(&'static str, Vec<u8>)> = Vec::new();
        let mut rest = entity;
        let mut keeping = false;
        while !rest.is_empty() {
            let line_end = rest.iter().position(|&byte| byte == b'\n');
            let (line, after) = rest.split_at(line_end.map_or(rest.len(), |end| end + 1));
            rest = after;
            // A line of blanks alone goes on with the one before it, as old mailers fold.
            let is_folded = matches!(line[0], b' ' | b'\t');
            let line = line.trim_ascii_end();
            if line.is_empty() && !is_folded {
                break;
            }
            if is_folded {
                let kept = fields.last_mut().filter(|_| keeping && !line.is_empty());
                if let Some((_, value)) = kept {
                    append(value, line);
                }
                continue;
            }
            let colon = line.iter().position(|&byte| byte == b':');
            let (name, value) = line.split_at(colon.unwrap_or(line.len()));
            let name = name.trim_ascii_end();
            let known = KEPT
                .iter()
                .find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
            // Of several the first one counts.
            let new = known.filter(|known| fields.iter().all(|(name, _)| name != *known));
            keeping = new.is_some();
            if let Some(name) = new {
                let mut field = Vec::new();
                append(&mut field, value.get(1..).unwrap_or_default());
                fields.push((*name, field));
            }
        }
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name, raw_text(&value)))
            .collect();
        (Self { fields }, rest)
    }

    /// A header as it is written, unfolded.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(known, _)| *known == name)?;
        Some(value.as_str())
    }

    /// A header for people.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = decode_words(self.raw(name)?);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The type of the content in lower case; text if none is given.
    pub(super) fn content_type(&self) -> String {
        let value = self.raw("content-type").unwrap_or_default();
        let kind = value.split(';').next().unwrap_or_default().trim();
        if kind.contains('/') {
            kind.to_ascii_lowercase()
        } else {
            "text/plain".to_owned()
        }
    }

    /// A parameter of a header, in whichever way it is written.
    pub(super) fn parameter(&self, header: &str, name: &str) -> Option<String> {
        parameter(self.raw(header)?, name)
    }

    pub(super) fn is_attachment(&self) -> bool {
        let disposition = self.raw("content-disposition").unwrap_or_default();
        let kind = disposition.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("attachment")
    }

    /// The name of the file that a part is.
    pub(super) fn file_name(&self) -> Option<String> {
        self.parameter("content-disposition", "filename")
            .or_else(|| self.parameter("content-type", "name"))
            .map(|name| name.trim().chars().take(LONGEST_FILE_NAME).collect())
            .filter(|name: &String| !name.is_empty())
    }
}

/// Lines of one header are joined by one blank.
fn append(value: &mut Vec<u8>, line: &[u8]) {
    let line = line.trim_ascii();
    let left = LONGEST_VALUE.saturating_sub(value.len());
    if !value.is_empty() && left > 0 {
        value.push(b' ');
    }
    value.extend_from_slice(&line[..line.len().min(left)]);
}

/// Some senders write their code page as it is.
fn raw_text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => decode_text(value).unwrap_or_else(|| String::from_utf8_lossy(value).into_owned()),
    }
}

/// Bytes in an encoding that somebody names, or in the one that they look like.
pub(super) fn decode_charset(label: Option<&str>, bytes: &[u8]) -> String {
    // Who says ASCII means nothing by it.
    let named = label
        .map(str::trim)
        .filter(|label| !label.eq_ignore_ascii_case("us-ascii"))
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .filter(|encoding| *encoding != REPLACEMENT);
    // UTF-8 that is called Western European is a mistake of many programs.
    let mistaken = named == Some(WINDOWS_1252) && std::str::from_utf8(bytes).is_ok();
    if let Some(encoding) = named.filter(|_| !mistaken) {
        let (text, _, _) = encoding.decode(bytes);
        if is_readable(&text) {
            return text.into_owned();
        }
    }
    decode_text(bytes).unwrap_or_else(|| {
        let encoding = named.unwrap_or(UTF_8);
        encoding.decode(bytes).0.into_owned()
    })
}

/// Resolves encoded words (RFC 2047). Those in a row are decoded as one: a character may be
/// spread over two of them.
pub(super) fn decode_words(value: &str) -> String {
    let mut text = String::new();
    let mut pending: Option<(&str, Vec<u8>)> = None;
    // Behind the last end of a word none begins: whoever looks for one each time never ends.
    let last_end = value.rfind("?=").unwrap_or_default();
    let mut rest = value;
    while let Some(start) = rest.find("=?")
        && value.len() - rest.len() + start < last_end
    {
        let Some(word) = encoded_word(&rest[start..]) else {
            flush(&mut pending, &mut text);
            text.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
            continue;
        };
        let between = &rest[..start];
        let joined = between.trim().is_empty()
            && pending
                .as_ref()
                .is_some_and(|(charset, _)| charset.eq_ignore_ascii_case(word.charset));
        if joined && let Some((_, bytes)) = &mut pending {
            bytes.extend(word.bytes);
        } else {
            let after_word = pending.is_some();
            flush(&mut pending, &mut text);
            // Blanks between two encoded words are there to part them only.
            if !(after_word && between.trim().is_empty()) {
                text.push_str(between);
            }
            pending = Some((word.charset, word.bytes));
        }
        rest = &rest[start + word.length..];
    }
    flush(&mut pending, &mut text);
    text.push_str(rest);
    text
}

fn flush(pending: &mut Option<(&str, Vec<u8>)>, text: &mut String) {
    if let Some((charset, bytes)) = pending.take() {
        text.push_str(&decode_charset(Some(charset), &bytes));
    }
}

struct EncodedWord<'a> {
    charset: &'a str,
    bytes: Vec<u8>,
    length: usize,
}

/// `=?charset?B?text?=` or `=?charset?Q?text?=`, at the beginning.
fn encoded_word(value: &str) -> Option<EncodedWord<'_>> {
    let inner = value.strip_prefix("=?")?;
    let (charset, inner) = inner.split_once('?')?;
    let (method, inner) = inner.split_once('?')?;
    let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    if charset.is_empty() || !is_token(charset) || !matches!(method, "B" | "b" | "Q" | "q") {
        return None;
    }
    let (encoded, _) = inner.split_once("?=")?;
    let bytes = match method {
        "B" | "b" => transfer::base64(encoded.as_bytes()),
        _ => {
            let mut bytes = Vec::new();
            transfer::decode_escapes(encoded.replace('_', " ").as_bytes(), b'=', &mut bytes);
            bytes
        }
    };
    let length = charset.len() + method.len() + encoded.len() + 6;
    // A language may stand behind the name of the encoding (RFC 2231).
    let charset = charset.split('*').next().unwrap_or(charset);
    Some(EncodedWord {
        charset,
        bytes,
        length,
    })
}

/// `name=value`, `name="value"`, `name*=charset'language'value`, and all of them in pieces
/// `name*0`, `name*1` (RFC 2231).
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut plain = None;
    let mut pieces: Vec<(u32, bool, Cow<'_, str>)> = Vec::new();
    for (key, value) in parameters(header) {
        let Some(suffix) = strip_prefix_ignoring_case(key, name) else {
            continue;
        };
        match suffix.strip_prefix('*') {
            None if suffix.is_empty() => plain = plain.or(Some(value)),
            None => {}
            Some("") => pieces.push((0, true, value)),
            Some(number) => {
                let extended = number.ends_with('*');
                if let Ok(number) = number.trim_end_matches('*').parse() {
                    pieces.push((number, extended, value));
                }
            }
        }
    }
    if pieces.is_empty() {
        return plain.map(|value| decode_words(&value));
    }
    pieces.sort_by_key(|(number, _, _)| *number);
    let mut charset = None;
    let mut bytes = Vec::new();
    for (number, extended, value) in &pieces {
        let mut value: &str = value;
        if *number == 0
            && *extended
            && let Some((named, after)) = value.split_once('\'')
        {
            charset = Some(named);
            value = after.split_once('\'').map_or(after, |(_, after)| after);
        }
        if *extended {
            transfer::decode_escapes(value.as_bytes(), b'%', &mut bytes);
        } else {
            bytes.extend_from_slice(value.as_bytes());
        }
    }
    Some(decode_charset(
        charset.filter(|charset| !charset.is_empty()),
        &bytes,
    ))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let beginning = text.get(..prefix.len())?;
    beginning
        .eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

/// All parameters behind the first `;`.
fn parameters(header: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let value = if let Some(quoted) = after.strip_prefix('"') {
            let (value, behind) = quoted_value(quoted);
            rest = behind.split_once(';').map_or("", |(_, behind)| behind);
            value
        } else {
            let (value, behind) = after.split_once(';').unwrap_or((after, ""));
            rest = behind;
            Cow::Borrowed(value.trim())
        };
        // What has no value is passed over.
        let key = key.rsplit(';').next().unwrap_or(key);
        Some((key.trim(), value))
    })
}

fn quoted_value(quoted: &str) -> (Cow<'_, str>, &str) {
    let mut escaped = false;
    let mut any_escape = false;
    let mut end = None;
    for (position, character) in quoted.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => {
                escaped = true;
                any_escape = true;
            }
            '"' => {
                end = Some(position);
                break;
            }
            _ => {}
        }
    }
    let value = &quoted[..end.unwrap_or(quoted.len())];
    let behind = end.map_or("", |end| &quoted[end + 1..]);
    if !any_escape {
        return (Cow::Borrowed(value), behind);
    }
    let mut unescaped = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let kept = if character == '\\' {
            characters.next()
        } else {
            Some(character)
        };
        unescaped.extend(kept);
    }
    (Cow::Owned(unescaped), behind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn encoded_words() {
        for (written, meant) in [
            ("=?UTF-8?B?5paH5Lu2?=", "文件"),
            ("Re: =?utf-8?q?caf=C3=A9_au?= lait", "Re: café au lait"),
            // One character over two words.
            ("=?UTF-8?B?5pY=?= =?UTF-8?B?h+S7tg==?=", "文件"),
            (
                "=?EUC-KR?B?tOTA5Q==?=\t=?utf-8*ko?Q?_=EA=B0=80?=",
                "답장 가",
            ),
            ("=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=", "日本語"),
            ("=?x?y?z?= and =? alone", "=?x?y?z?= and =? alone"),
            ("a =?us-ascii?Q?b?= c", "a b c"),
            ("=?utf-8?B?", "=?utf-8?B?"),
        ] {
            assert_eq!(decode_words(written), meant, "{written}");
        }
    }

    #[test]
    fn parameters_in_every_way() {
        let header = "attachment; x=1; FileName*=utf-8'en'%e6%96%87%20a.txt; filename=old.txt";
        assert_eq!(parameter(header, "filename").as_deref(), Some("文 a.txt"));
        let header = "a/b; name*1=\"c;d.pdf\"; name*0*=euc-kr''%b0%a1; size=7";
        assert_eq!(parameter(header, "name").as_deref(), Some("가c;d.pdf"));
        assert_eq!(parameter(header, "size").as_deref(), Some("7"));
        let header = r#"text/plain; charset = "x\"y" (comment); name="=?utf-8?B?5paH?=""#;
        assert_eq!(parameter(header, "charset").as_deref(), Some("x\"y"));
        assert_eq!(parameter(header, "name").as_deref(), Some("文"));
        assert_eq!(parameter("text/plain", "charset"), None);
    }

    #[test]
    fn a_line_of_blanks_is_no_end() {
        let (headers, body) = Headers::split(b"Subject: one\r\n \r\n two\r\nFrom: a\r\n\r\nbody");
        assert_eq!(headers.text("subject").as_deref(), Some("one two"));
        assert_eq!(body, b"body");
    }

    #[test]
    fn headers_are_unfolded_and_the_first_counts() {
        let (headers, body) = Headers::split(
            b"X-Other: a\r\n b\r\nSubject: one\r\n  two\r\nsubject: three\r\n four\r\nTo : me\r\n\r\nbody\r\n",
        );
        assert_eq!(headers.text("subject").as_deref(), Some("one two"));
        assert_eq!(headers.text("to").as_deref(), Some("me"));
        assert_eq!(body, b"body\r\n");
        assert_eq!(headers.content_type(), "text/plain");
    }
}
