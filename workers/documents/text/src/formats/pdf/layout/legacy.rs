//! Glyphs of East Asia whose fonts claim to be Western.
//!
//! Old writers print two bytes of GBK, Big5, EUC-KR or Shift_JIS as two letters of a font that says it
//! is WinAnsi: "Ä¿Â¼" for 目录. Where lines consist of such letters, they are bytes again.

use encoding_rs::{Encoding, WINDOWS_1252};

use super::glyphs::Glyph;
use super::lines::Segment;
use crate::sniff::east_asian_encoding;

/// Of a line's glyphs so many, in per cent, must be letters beyond ASCII: no Western language has that.
const BEYOND_ASCII_PER_CENT: usize = 60;
/// Fewer bytes prove nothing.
const FEWEST_BYTES: usize = 8;

/// Puts bytes that stand as letters together, where there are any.
pub(super) fn decode(segments: &mut [Segment]) {
    let mut sample = Vec::new();
    for segment in segments.iter() {
        if let Some(bytes) = bytes_of(segment) {
            sample.extend(bytes);
            sample.push(b'\n');
        }
    }
    if sample.len() < FEWEST_BYTES {
        return;
    }
    let Some(encoding) = east_asian_encoding(&sample) else {
        return;
    };
    for segment in segments {
        if let Some(bytes) = bytes_of(segment) {
            segment.glyphs = together(&segment.glyphs, &bytes, encoding);
        }
    }
}

/// The bytes that its letters were, if they look like bytes.
fn bytes_of(segment: &Segment) -> Option<Vec<u8>> {
    let high = |glyph: &&Glyph| !glyph.character.is_ascii();
    let beyond = segment.glyphs.iter().filter(high).count();
    if beyond < 2 || beyond * 100 < segment.glyphs.len() * BEYOND_ASCII_PER_CENT {
        return None;
    }
    segment.glyphs.iter().map(byte_of).collect()
}

fn byte_of(glyph: &Glyph) -> Option<u8> {
    if glyph.character.is_ascii() {
        return Some(glyph.character as u8);
    }
    let mut buffer = [0; 4];
    let letter = glyph.character.encode_utf8(&mut buffer);
    let (bytes, _, lost) = WINDOWS_1252.encode(letter);
    match (lost, bytes.as_ref()) {
        (false, [byte]) => Some(*byte),
        _ => None,
    }
}

fn together(glyphs: &[Glyph], bytes: &[u8], encoding: &'static Encoding) -> Vec<Glyph> {
    let mut decoded = Vec::with_capacity(glyphs.len());
    let mut index = 0;
    while let Some(first) = glyphs.get(index) {
        let pair = bytes.get(index..index + 2).filter(|pair| pair[0] >= 0x80);
        match (
            pair.and_then(|pair| one_character(pair, encoding)),
            glyphs.get(index + 1),
        ) {
            (Some(character), Some(second)) => {
                decoded.push(Glyph {
                    character,
                    right: second.right,
                    reach: second.reach,
                    ..*first
                });
                index += 2;
            }
            _ => {
                decoded.push(*first);
                index += 1;
            }
        }
    }
    decoded
}

fn one_character(pair: &[u8], encoding: &'static Encoding) -> Option<char> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(pair)?;
    let mut characters = text.chars();
    let character = characters.next()?;
    characters.next().is_none().then_some(character)
}
