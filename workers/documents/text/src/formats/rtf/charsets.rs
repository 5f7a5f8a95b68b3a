//! The code pages that RTF names by number, and text in them.

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GB18030, GBK, IBM866, KOI8_R, MACINTOSH, SHIFT_JIS, UTF_8, WINDOWS_874,
    WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255,
    WINDOWS_1256, WINDOWS_1257, WINDOWS_1258, X_MAC_CYRILLIC,
};

/// How the bytes of a font are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// As the document says for all of it.
    Document,
    /// Western European, or what some writers take it for: the document's code page.
    Western,
    /// Pictures in the place of letters.
    Symbols,
    Encoding(&'static Encoding),
}

/// The number behind `\fcharset`.
pub(super) fn of_font(number: i32) -> Charset {
    Charset::Encoding(match number {
        0 => return Charset::Western,
        2 => return Charset::Symbols,
        77 => MACINTOSH,
        78 | 128 => SHIFT_JIS,
        79 | 129 => EUC_KR,
        80 | 134 => GBK,
        81 | 136 => BIG5,
        161 => WINDOWS_1253,
        162 => WINDOWS_1254,
        163 => WINDOWS_1258,
        177 => WINDOWS_1255,
        178 => WINDOWS_1256,
        186 => WINDOWS_1257,
        204 => WINDOWS_1251,
        222 => WINDOWS_874,
        238 => WINDOWS_1250,
        _ => return Charset::Document,
    })
}

/// The number behind `\ansicpg` and `\cpg`; Western European if it is not known.
pub(super) fn of_code_page(number: i32) -> &'static Encoding {
    match number {
        866 => IBM866,
        874 => WINDOWS_874,
        932 | 10_001 => SHIFT_JIS,
        936 | 10_008 => GBK,
        949 | 10_003 => EUC_KR,
        950 | 10_002 => BIG5,
        1250 => WINDOWS_1250,
        1251 => WINDOWS_1251,
        1253 => WINDOWS_1253,
        1254 => WINDOWS_1254,
        1255 => WINDOWS_1255,
        1256 => WINDOWS_1256,
        1257 => WINDOWS_1257,
        1258 => WINDOWS_1258,
        10_000 => MACINTOSH,
        10_007 => X_MAC_CYRILLIC,
        20_866 => KOI8_R,
        54_936 => GB18030,
        65_001 => UTF_8,
        _ => WINDOWS_1252,
    }
}

/// Whether a byte is the first of two.
pub(super) fn is_lead(encoding: &'static Encoding, byte: u8) -> bool {
    if encoding == SHIFT_JIS {
        matches!(byte, 0x81..=0x9f | 0xe0..=0xfc)
    } else {
        is_double_byte(encoding) && matches!(byte, 0x81..=0xfe)
    }
}

fn is_double_byte(encoding: &'static Encoding) -> bool {
    [SHIFT_JIS, GBK, GB18030, EUC_KR, BIG5].contains(&encoding)
}

/// The encoding of a run of bytes.
pub(super) fn resolve(
    charset: Charset,
    document: &'static Encoding,
    run: &[u8],
) -> &'static Encoding {
    match charset {
        Charset::Encoding(encoding) => encoding,
        Charset::Document => document,
        Charset::Symbols => WINDOWS_1252,
        // A font without a character set of its own in an East Asian document: pairs of
        // high bytes are its characters, single ones are accents.
        Charset::Western => {
            let pairs = run
                .windows(2)
                .any(|pair| pair[0] >= 0x81 && pair[1] >= 0x81);
            let fits = pairs && is_double_byte(document);
            if fits && !document.decode_without_bom_handling(run).1 {
                document
            } else {
                WINDOWS_1252
            }
        }
    }
}

/// What a character of a symbol font is for a reader: a bullet, or nothing that can be said.
pub(super) fn symbol(character: char) -> Option<char> {
    match character {
        '\u{f0b7}' | '\u{b7}' => Some('•'),
        '\u{f000}'..='\u{f0ff}' | '\u{80}'..='\u{ff}' => None,
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_font_without_a_character_set_of_its_own() {
        let (chinese, _, _) = GBK.encode("你好");
        assert_eq!(resolve(Charset::Western, GBK, &chinese), GBK);
        assert_eq!(
            resolve(Charset::Western, WINDOWS_1252, &chinese),
            WINDOWS_1252
        );
        assert_eq!(resolve(Charset::Western, GBK, b"caf\xe9 au"), WINDOWS_1252);
        assert_eq!(resolve(of_font(129), GBK, b""), EUC_KR);
        assert_eq!(resolve(of_font(1), BIG5, b""), BIG5);
    }
}
