//! Transfer encodings: how bytes of any kind travel as lines of ASCII.

use std::borrow::Cow;

/// Undoes a transfer encoding; one that is not known leaves the bytes as they are.
pub(super) fn decode<'a>(encoding: &str, body: &'a [u8]) -> Cow<'a, [u8]> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "base64" => Cow::Owned(base64(body)),
        "quoted-printable" => Cow::Owned(quoted_printable(body)),
        _ => Cow::Borrowed(body),
    }
}

/// Whatever is no digit is passed over, as the standard says; what stands behind the padding
/// is a new beginning, as some senders join parts.
pub(super) fn base64(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len() / 4 * 3);
    let mut bits = 0_u32;
    let mut count = 0;
    for &byte in encoded {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                bits = 0;
                count = 0;
                continue;
            }
            _ => continue,
        };
        bits = (bits << 6) | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count).to_le_bytes()[0]);
        }
    }
    decoded
}

pub(super) fn quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    for line in encoded.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii_end();
        // Blanks at the end of a line were put there on the way.
        let (content, soft) = match content.split_last() {
            Some((b'=', before)) => (before, true),
            _ => (content, false),
        };
        decode_escapes(content, b'=', &mut decoded);
        if !soft && line.ends_with(b"\n") {
            decoded.push(b'\n');
        }
    }
    decoded
}

/// Bytes as an escape character and two digits; anything else stays.
pub(super) fn decode_escapes(encoded: &[u8], escape: u8, decoded: &mut Vec<u8>) {
    let mut rest = encoded;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == escape
            && let [high, low, behind @ ..] = after
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            decoded.push((high << 4) | low);
            rest = behind;
        } else {
            decoded.push(first);
        }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings() {
        assert_eq!(base64(b"5paH\r\n5Lu2 \xff!"), "文件".as_bytes());
        assert_eq!(base64(b"YQ==Yg=="), b"ab");
        assert_eq!(
            quoted_printable(b"caf=C3=A9 =\r\nau lait=3D  \r\n100=% =4\r\nend="),
            "café au lait=\n100=% =4\nend".as_bytes()
        );
    }
}
