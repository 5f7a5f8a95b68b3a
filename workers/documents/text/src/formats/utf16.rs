//! Parts in UTF-16, which few programs write and all must read: as UTF-8 to who reads them.

use std::io::{Cursor, Read};

use encoding_rs::{Decoder, Encoding, UTF_16BE, UTF_16LE};

/// How much is decoded at once, in bytes.
const PIECE: usize = 4096;

/// The same part in UTF-8, if it begins with a mark of UTF-16.
pub(super) fn as_utf8<'p>(mut part: Box<dyn Read + 'p>) -> std::io::Result<Box<dyn Read + 'p>> {
    let mut beginning = Vec::with_capacity(2);
    Read::by_ref(&mut part)
        .take(2)
        .read_to_end(&mut beginning)?;
    let encoding = Encoding::for_bom(&beginning).map(|(encoding, _)| encoding);
    let whole = Cursor::new(beginning).chain(part);
    match encoding {
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Ok(Box::new(Utf16 {
            part: whole,
            decoder: encoding.new_decoder_with_bom_removal(),
            text: String::new(),
            taken: 0,
            ended: false,
        })),
        _ => Ok(Box::new(whole)),
    }
}

struct Utf16<R> {
    part: R,
    decoder: Decoder,
    /// What was decoded, and how many bytes of it were taken.
    text: String,
    taken: usize,
    ended: bool,
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.taken == self.text.len() && !self.ended {
            let mut piece = [0; PIECE];
            let count = self.part.read(&mut piece)?;
            self.ended = count == 0;
            self.text.clear();
            self.taken = 0;
            let most = self.decoder.max_utf8_buffer_length(count);
            self.text.reserve(most.unwrap_or(4 * PIECE));
            // There is room for all of it: nothing is left over.
            let _ = self
                .decoder
                .decode_to_string(&piece[..count], &mut self.text, self.ended);
        }
        let rest = &self.text.as_bytes()[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(bytes: Vec<u8>) -> String {
        let mut text = String::new();
        let mut part = as_utf8(Box::new(Cursor::new(bytes))).unwrap();
        part.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn both_byte_orders() {
        let text = "<a>字한𝒳x</a>".repeat(2_000);
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            assert_eq!(read(units.flat_map(to_bytes).collect()), text);
        }
        assert_eq!(read(text.clone().into_bytes()), text);
        assert_eq!(read(b"<".to_vec()), "<");
        assert_eq!(read(Vec::new()), "");
    }

    #[test]
    fn half_a_character_at_the_end() {
        assert_eq!(read(b"\xff\xfea\0\0\xd8".to_vec()), "a\u{fffd}");
        assert_eq!(read(b"\xff\xfea\0b".to_vec()), "a\u{fffd}");
    }
}
