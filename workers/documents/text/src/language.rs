//! Which language a text is written in.

use encoding_rs::{BIG5, EncoderResult, Encoding, GBK};
use whatlang::Lang;

use crate::wrap::is_unspaced;

/// So many characters tell the language as well as the whole text.
const SAMPLE_CHARACTERS: usize = 20_000;
/// One ideograph or syllable block says as much as this many letters of an alphabet.
const LETTERS_PER_IDEOGRAPH: usize = 3;
/// Letters below which an alphabet's language is a guess.
const FEWEST_LETTERS: usize = 12;

#[derive(Debug, Default)]
struct Scripts {
    hangul: usize,
    kana: usize,
    han: usize,
    letters: usize,
    traditional: usize,
    simplified: usize,
}

/// The language as a BCP 47 tag, or none when it is not clear.
pub(crate) fn detect(text: &str) -> Option<String> {
    let sample_end = text
        .char_indices()
        .nth(SAMPLE_CHARACTERS)
        .map_or(text.len(), |(offset, _)| offset);
    let sample = &text[..sample_end];
    let scripts = count(sample);
    let east_asian = scripts.hangul + scripts.kana + scripts.han;
    if east_asian > 0 && east_asian * LETTERS_PER_IDEOGRAPH >= scripts.letters {
        return Some(east_asian_language(&scripts).to_owned());
    }
    if scripts.letters < FEWEST_LETTERS {
        return None;
    }
    let guess = whatlang::detect(sample)?;
    if !guess.is_reliable() && guess.confidence() < 0.5 {
        return None;
    }
    tag_of(guess.lang()).map(str::to_owned)
}

fn count(sample: &str) -> Scripts {
    let mut scripts = Scripts::default();
    for character in sample.chars() {
        match character {
            '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}' => {
                scripts.hangul += 1;
            }
            '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' => scripts.kana += 1,
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}' => {
                scripts.han += 1;
                match form_of(character) {
                    Form::Traditional => scripts.traditional += 1,
                    Form::Simplified => scripts.simplified += 1,
                    Form::Either => {}
                }
            }
            other if other.is_alphabetic() && !is_unspaced(other) => scripts.letters += 1,
            _ => {}
        }
    }
    scripts
}

fn east_asian_language(scripts: &Scripts) -> &'static str {
    // Korean may be written with many ideographs, Japanese always has kana among them.
    if scripts.hangul * 2 >= scripts.han + scripts.kana {
        return "ko";
    }
    if scripts.kana * 10 >= scripts.han {
        return "ja";
    }
    match scripts.traditional.cmp(&scripts.simplified) {
        std::cmp::Ordering::Greater => "zh-TW",
        std::cmp::Ordering::Less => "zh-CN",
        std::cmp::Ordering::Equal => "zh",
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Form {
    Traditional,
    Simplified,
    Either,
}

/// The national character sets are the table: Big5 was made for traditional characters and
/// GB 2312 for simplified ones, so a character that only one of them has tells them apart.
fn form_of(character: char) -> Form {
    let big5 = double_byte(BIG5, character).is_some();
    let gb2312 = double_byte(GBK, character)
        .is_some_and(|[lead, trail]| (0xb0..=0xf7).contains(&lead) && trail >= 0xa1);
    match (big5, gb2312) {
        (true, false) => Form::Traditional,
        (false, true) => Form::Simplified,
        _ => Form::Either,
    }
}

fn double_byte(encoding: &'static Encoding, character: char) -> Option<[u8; 2]> {
    let mut utf8 = [0; 4];
    let mut bytes = [0; 8];
    let mut encoder = encoding.new_encoder();
    let text = character.encode_utf8(&mut utf8);
    let (result, _, written) = encoder.encode_from_utf8_without_replacement(text, &mut bytes, true);
    (result == EncoderResult::InputEmpty && written == 2).then(|| [bytes[0], bytes[1]])
}

/// BCP 47 prefers two letters where there are two.
fn tag_of(language: Lang) -> Option<&'static str> {
    let tag = match language.code() {
        "eng" => "en",
        "deu" => "de",
        "fra" => "fr",
        "spa" => "es",
        "por" => "pt",
        "ita" => "it",
        "nld" => "nl",
        "swe" => "sv",
        "dan" => "da",
        "nob" => "no",
        "fin" => "fi",
        "pol" => "pl",
        "ces" => "cs",
        "slk" => "sk",
        "slv" => "sl",
        "hun" => "hu",
        "ron" => "ro",
        "bul" => "bg",
        "hrv" => "hr",
        "srp" => "sr",
        "mkd" => "mk",
        "ell" => "el",
        "rus" => "ru",
        "ukr" => "uk",
        "bel" => "be",
        "lit" => "lt",
        "lav" => "lv",
        "est" => "et",
        "cat" => "ca",
        "lat" => "la",
        "epo" => "eo",
        "tur" => "tr",
        "aze" => "az",
        "uzb" => "uz",
        "tuk" => "tk",
        "hye" => "hy",
        "kat" => "ka",
        "heb" => "he",
        "yid" => "yi",
        "ara" => "ar",
        "pes" => "fa",
        "urd" => "ur",
        "hin" => "hi",
        "mar" => "mr",
        "nep" => "ne",
        "ben" => "bn",
        "guj" => "gu",
        "pan" => "pa",
        "ori" => "or",
        "tam" => "ta",
        "tel" => "te",
        "kan" => "kn",
        "mal" => "ml",
        "sin" => "si",
        "tha" => "th",
        "mya" => "my",
        "khm" => "km",
        "vie" => "vi",
        "ind" => "id",
        "jav" => "jv",
        "tgl" => "tl",
        "amh" => "am",
        "afr" => "af",
        "zul" => "zu",
        "sna" => "sn",
        "aka" => "ak",
        "cym" => "cy",
        "cmn" => "zh",
        "jpn" => "ja",
        "kor" => "ko",
        _ => return None,
    };
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_in_east_asian_scripts() {
        let of = |text: &str| detect(text).unwrap_or_default();
        assert_eq!(of("資料管線與檢索系統"), "zh-TW");
        assert_eq!(of("数据管线与检索系统"), "zh-CN");
        assert_eq!(of("中文"), "zh");
        assert_eq!(of("문서 작성"), "ko");
        assert_eq!(of("データを検索する"), "ja");
        assert_eq!(of("請以 PDF 檔案寄送履歷表"), "zh-TW");
        assert_eq!(of("大韓民國의 主權은 國民에게 있고"), "ko");
    }

    #[test]
    fn alphabets() {
        let english = "Each worker reads a message, fetches the document from object storage, and writes its chunks to the index.";
        assert_eq!(detect(english).as_deref(), Some("en"));
        let german = "Jeder Arbeiter liest eine Nachricht, holt das Dokument aus dem Speicher und schreibt seine Abschnitte in den Index.";
        assert_eq!(detect(german).as_deref(), Some("de"));
        assert_eq!(detect("12 345 – 67"), None);
        assert_eq!(detect("xqz"), None);
        assert_eq!(detect(&format!("{english} (中文)")).as_deref(), Some("en"));
    }

    #[test]
    fn forms_of_characters() {
        assert_eq!(form_of('國'), Form::Traditional);
        assert_eq!(form_of('国'), Form::Simplified);
        assert_eq!(form_of('人'), Form::Either);
    }
}
