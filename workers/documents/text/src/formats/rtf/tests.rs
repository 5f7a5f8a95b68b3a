#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS};
use proptest::prelude::*;

use crate::{ExtractError, Extraction, Format, Limits, extract_here};

fn try_read(rtf: &[u8]) -> Result<Extraction, ExtractError> {
    extract_here(rtf, "a.doc", &Limits::default())
}

fn read(rtf: &str) -> Extraction {
    try_read(rtf.as_bytes()).unwrap()
}

fn hex(encoding: &'static Encoding, text: &str) -> String {
    let (bytes, _, _) = encoding.encode(text);
    bytes.iter().map(|byte| format!("\\'{byte:02x}")).collect()
}

#[test]
fn paragraphs_headings_and_title() {
    let extraction = read(
        r"{\rtf1\ansi{\fonttbl{\f0\fswiss Arial;}{\f3\fnil\fcharset2 Symbol;}}{\colortbl;\red0\green0\blue0;}
{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 Kapitel;}{\s7\b heading 2;}{\*\cs10 Default;}}
{\info{\title The \'abmill\'bb}{\author Nobody}}{\header Running head\par}{\*\generator X;}
\pard\plain\s1 First\par\pard One{\b  run}\line next\tab x\~y\emdash z\'97\ldblquote q\rdblquote\par
{\listtext\f3\'b7\tab}Item {\f3\'b7} {\v hidden}end\par
\pard\s7 Second\par\pard\outlinelevel8 Ninth\par\pard Caf\'e9{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}.{\pict 0123}\par}",
    );
    assert_eq!(extraction.format, Format::Rtf);
    assert_eq!(
        extraction.text,
        "First\n\nOne run\nnext\tx y—z—“q”\n\nItem • end\n\nSecond\n\nNinth\n\nCafélink."
    );
    assert_eq!(extraction.title.as_deref(), Some("The «mill»"));
    let sections: Vec<_> = extraction
        .sections
        .iter()
        .map(|section| (section.title.as_str(), section.level))
        .collect();
    assert_eq!(sections, [("First", 1), ("Second", 2), ("Ninth", 9)]);
}

#[test]
fn characters_by_number_and_what_stands_for_them() {
    assert_eq!(
        read(r"{\rtf1\uc1\u25991?\u20214 ?{\uc2\u-15636??}\uc0\u44032x\u-10179\u-8704.\uc1\u65?}")
            .text,
        "文件심가x😀.A"
    );
    // In a nested group the former number counts again behind it.
    assert_eq!(read(r"{\rtf1\uc1{\uc0\u65 x}\u66?y}").text, "AxBy");
    // Half of a pair is no character.
    assert_eq!(read(r"{\rtf1 a\u-10179?b}").text, "a\u{fffd}b");
    // The fallback may be bytes, and may be missing.
    assert_eq!(
        read(r"{\rtf1\uc2\u25991\'a4\'e5 x\par\uc1\u20214\par y}").text,
        "文 x\n\n件\n\ny"
    );
    // Some writers copy the text for old programs.
    assert_eq!(
        read(r"{\rtf1{\upr{old ?}{\*\ud{new \u25991?}}} end}").text,
        "new 文 end"
    );
}

#[test]
fn code_pages_of_fonts_and_of_the_document() {
    let fonts = r"{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset129 B;}{\f2\fcharset134 C;}{\f3\fcharset136 D;}{\f4\fcharset128 E;}{\f5\fcharset204 F;}}";
    let text = format!(
        r"{{\rtf1\ansi\ansicpg1252\deff0{fonts}{{\f1 {}}} {{\f2 {}}} {{\f3 {}}} {{\f4 {}}} {{\f5 {}}} caf\'e9}}",
        hex(EUC_KR, "문서 작성"),
        hex(GBK, "这是文件"),
        hex(BIG5, "許功蓋"),
        hex(SHIFT_JIS, "日本語のソート"),
        hex(encoding_rs::WINDOWS_1251, "Привет"),
    );
    assert_eq!(
        read(&text).text,
        "문서 작성 这是文件 許功蓋 日本語のソート Привет café"
    );
    // The document's code page counts where the font has none, also for escaped second bytes.
    assert_eq!(
        read(r"{\rtf1\ansi\ansicpg950\'b3\\\'a5\'5c\'bb\'5c}").text,
        "許功蓋"
    );
    // And where the second byte was not escaped at all.
    assert_eq!(
        try_read(b"{\\rtf1\\ansicpg950 \xb3\\ \xa5\\ x\\par}")
            .unwrap()
            .text,
        "許 功 x"
    );
}

#[test]
fn tables_are_rows() {
    let extraction = read(
        r"{\rtf1 Before\par\trowd\cellx1\cellx2\pard\intbl a\par b\cell c\cell\row
\trowd\pard\intbl\cell{d\cell}{\row}\pard Between\par\trowd\pard\intbl x\cell y\cell\row\pard After\par}",
    );
    assert_eq!(
        extraction.text,
        "Before\n\na b\tc\nd\n\nBetween\n\nx\ty\n\nAfter"
    );
}

#[test]
fn notes_go_to_the_end_and_boxes_behind_their_paragraph() {
    let extraction = read(
        r"{\rtf1 Text{\super 1{\footnote{\super 1} A note.\par}} goes on{\shp{\*\shpinst\shpleft1{\sp{\sn a}{\sv 1}}{\shptxt In a box.\par}}{\shprslt{\*\do x}}}.\par
{\object\objemb{\*\objclass W}{\*\objdata 00ff}{\result Shown}} too.\par}",
    );
    assert_eq!(
        extraction.text,
        "Text1 goes on.\n\nIn a box.\n\nShown too.\n\n1 A note."
    );
}

#[test]
fn files_that_break_off_and_files_that_go_deep() {
    assert_eq!(
        try_read(b"{\\rtf1 {\\b half of").unwrap_err().reason(),
        "damaged-file"
    );
    assert_eq!(try_read(b"{\\rtf1}").unwrap_err().reason(), "no-text");
    let deep = format!(
        "{{\\rtf1 {}deep{} end}}",
        "{".repeat(200_000),
        "}".repeat(200_000)
    );
    assert_eq!(read(&deep).text, "deep end");
    // What stands behind the document is not its text.
    assert_eq!(read("{\\rtf1 text}\0\0 behind").text, "text");
}

#[test]
fn a_paragraph_may_not_be_longer_than_all_text() {
    let limits = Limits {
        output_bytes: 1000,
        ..Limits::default()
    };
    let long = format!("{{\\rtf1 {}}}", "word \\b ".repeat(1000));
    assert_eq!(
        extract_here(long.as_bytes(), "a", &limits)
            .unwrap_err()
            .reason(),
        "output-limit"
    );
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "{",
        "}",
        "\\",
        "\\par",
        "\\cell ",
        "\\row",
        "\\intbl",
        "{\\*\\x ",
        "\\u-10179?",
        "\\u56832",
        "\\uc3",
        "\\'b3",
        "\\f1",
        "{\\fonttbl{\\f1\\fcharset136 x;}}",
        "{\\footnote ",
        "{\\shptxt ",
        "{\\*\\shpinst ",
        "{\\object ",
        "{\\result ",
        "{\\upr",
        "{\\*\\ud ",
        "\\bin5 ",
        "{\\info{\\title ",
        "{\\stylesheet{\\s1 heading 1;}}",
        "\\s1",
        "\\outlinelevel3 ",
        "\\pard",
        "\\plain",
        "\\v",
        "\\ansicpg950",
        "text",
        "\r\n",
    ];
    prop_oneof![
        8 => prop::sample::select(known.to_vec()).prop_map(|known| known.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic(pieces in prop::collection::vec(piece(), 0..60), closed in 0..20_usize) {
        let mut file = b"{\\rtf1 ".to_vec();
        file.extend(pieces.concat());
        file.extend("}".repeat(closed).bytes());
        let _ = try_read(&file);
    }

    #[test]
    fn any_text_comes_back(
        letters in prop::collection::vec(any::<char>().prop_filter("a letter", |c| c.is_alphanumeric()), 1..40)
    ) {
        let text: String = letters.into_iter().collect();
        let units: String = text
            .encode_utf16()
            .map(|unit| format!("\\u{}?", unit.cast_signed()))
            .collect();
        let written = format!("{{\\rtf1\\uc1 x{units}}}");
        let plain = format!("x{text}");
        let expected = extract_here(plain.as_bytes(), "a.txt", &Limits::default()).unwrap();
        prop_assert_eq!(read(&written).text, expected.text);
    }
}
