#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use crate::{ExtractError, Extraction, Format, Limits, extract_here};

fn try_read(xml: &str) -> Result<Extraction, ExtractError> {
    extract_here(xml.as_bytes(), "a.xml", &Limits::default())
}

fn read(xml: &str) -> Extraction {
    try_read(xml).unwrap()
}

#[test]
fn records_and_prose() {
    let extraction = read(
        "<?xml version='1.0'?><!-- no --><list xmlns='x'>\n<one id='7'><name>Mill &amp; co</name> <place>서울</place></one>\n\
         <one><name>Barn</name><note>It is <b>very</b> <i>old</i>.\n It <![CDATA[stands]]>.</note><note><b>Ask</b> first</note></one>\n</list>",
    );
    assert_eq!(extraction.format, Format::Xml);
    assert_eq!(
        extraction.text,
        "Mill & co\n서울\n\nBarn\nIt is very old. It stands.\nAsk first"
    );
}

#[test]
fn titles_are_sections_and_feeds_have_html() {
    let extraction = read(
        "<rss><channel><title>News</title><item><title>One</title><description>&lt;p&gt;First&lt;/p&gt;&lt;p&gt;second&lt;/p&gt;</description></item></channel></rss>",
    );
    assert_eq!(extraction.text, "News\n\nOne\n\nFirst\n\nsecond");
    assert_eq!(extraction.title.as_deref(), Some("News"));
    let levels: Vec<_> = extraction.sections.iter().map(|s| s.level).collect();
    assert_eq!(levels, [2, 3]);
}

#[test]
fn a_document_of_attributes() {
    assert_eq!(
        read(
            "<?xml version='1.0'?><m xmlns:a='b'><node name='The mill' no='1'/><node name=''/></m>"
        )
        .text,
        "name: The mill, no: 1"
    );
}

#[test]
fn rows_are_lines() {
    let extraction = read(
        "<?xml version='1.0'?><Table><Head>Mills</Head><Row><Cell><Data>1</Data></Cell><Cell><Data>two <b>three</b></Data></Cell></Row>\
         <Row><Cell>4</Cell><Row>5</Row></Row><Row/><note>End</note></Table>",
    );
    assert_eq!(extraction.text, "Mills\n\n1\ttwo three\n4\t5\n\nEnd");
    let drawing = "<?xml version='1.0'?><svg><path d='M 0 0 L 1 1'/></svg>";
    assert_eq!(try_read(drawing).unwrap_err().reason(), "no-text");
}

#[test]
fn entities_are_those_of_the_document_and_bombs_are_refused() {
    assert_eq!(
        read("<!DOCTYPE a [<!ENTITY mill 'Mühle'><!ENTITY x SYSTEM 'file:///etc/hostname'>]><a>Die &mill;&x; &#x4e2d;</a>").text,
        "Die Mühle 中"
    );
    let mut bomb = "<!DOCTYPE a [<!ENTITY e0 'ha'>".to_owned();
    for n in 1..12 {
        let before = format!("&e{};", n - 1).repeat(10);
        bomb.push_str(&format!("<!ENTITY e{n} '{before}'>"));
    }
    bomb.push_str("]><a>&e11;</a>");
    assert_eq!(try_read(&bomb).unwrap_err().reason(), "too-large");
    let long = "x".repeat(100_000);
    let wide = format!(
        "<!DOCTYPE a [<!ENTITY e '{long}'>]><a>{}</a>",
        "&e; ".repeat(1000)
    );
    let reason = try_read(&wide).unwrap_err().reason();
    assert!(matches!(reason, "too-large" | "output-limit"), "{reason}");
}

#[test]
fn what_breaks_off_or_goes_too_deep() {
    for (xml, reason) in [
        (
            "<?xml version='1.0'?><a><b>text</b>".to_owned(),
            "damaged-file",
        ),
        (
            "<?xml version='1.0'?><a><b>text</a>".to_owned(),
            "damaged-file",
        ),
        ("<?xml version='1.0'?><a>text</a".to_owned(), "damaged-file"),
        (
            format!("<?xml version='1.0'?>{}", "<a>".repeat(20_000)),
            "too-large",
        ),
        ("<?xml version='1.0'?><a/>".to_owned(), "no-text"),
    ] {
        assert_eq!(try_read(&xml).unwrap_err().reason(), reason, "{xml:.60}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "<a>", "</a>", "<b x='1'>", "</b>", "<c/>", "text", " ", "&lt;", "&e;", "&", "<![CDATA[", "]]>",
        "<!DOCTYPE a [<!ENTITY e '&e;é'>]>", "<!-- ", "-->", "<title>", "</title>", "<row>", "</row>", "<?p ?>", "é", "<",
    ]), 0..40)) {
        let _ = try_read(&format!("<?xml version='1.0'?>{}", pieces.concat()));
        let _ = try_read(&pieces.concat());
    }
}
