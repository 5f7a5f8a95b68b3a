#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use encoding_rs::{BIG5, EUC_KR};
use proptest::prelude::*;

use super::unflow;
use crate::{ExtractError, Extraction, Format, Limits, extract_here};

fn try_read(mail: &[u8]) -> Result<Extraction, ExtractError> {
    extract_here(mail, "a.pdf", &Limits::default())
}

fn read(mail: &str) -> Extraction {
    try_read(mail.replace('\n', "\r\n").as_bytes()).unwrap()
}

#[test]
fn headers_and_text() {
    let extraction = read(
        "Received: by x\n\tfor y\nFrom: =?UTF-8?B?546L5bCP5piO?= <wang@example.com>\nTo: a@example.com,\n b@example.com\n\
         Subject: =?utf-8?Q?Caf=C3=A9?= today\nDate: Mon, 2 Mar 2026 09:00:00 +0800\nX-Other: not shown\n\n\
         Hello,\nsee you.\n\nWang\n",
    );
    assert_eq!(extraction.format, Format::Email);
    assert_eq!(
        extraction.text,
        "Café today\n\nFrom: 王小明 <wang@example.com>\nTo: a@example.com, b@example.com\nDate: Mon, 2 Mar 2026 09:00:00 +0800\n\n\
         Hello,\nsee you.\n\nWang"
    );
    assert_eq!(extraction.title.as_deref(), Some("Café today"));
    assert_eq!(extraction.sections[0].title, "Café today");
}

const PARTS: &str = "From: a@example.com\nDate: today\nSubject: Parts\nMIME-Version: 1.0\n\
Content-Type: multipart/mixed; boundary=\"out\"\n\nfor old programs\n--out\n\
Content-Type: multipart/alternative; boundary=in\n\n--in\nContent-Type: text/plain; charset=utf-8\n\
Content-Transfer-Encoding: quoted-printable\n\nThe caf=C3=A9 is =\nopen.\n--in\nContent-Type: text/html\n\n\
<p>Not <b>twice</b></p>\n--in--\n\n--out\nContent-Type: application/pdf; name=\"old.pdf\"\n\
Content-Disposition: attachment; filename*=utf-8''%E6%96%87.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0x\n\
--out\nContent-Type: text/html; charset=utf-8\n\n<h2>Head</h2><p>Only <i>here</i>&nbsp;&amp; there</p>\n\
--out\nContent-Type: text/plain; name=log.txt\n\nnot shown\n\
--out\nContent-Type: message/rfc822\nContent-Disposition: attachment\n\nFrom: b@example.com\nSubject: Inner\n\nThe first letter.\n\
--out\nContent-Type: image/png\nContent-ID: <x>\n\nnot named\n--out--\nepilogue\n";

#[test]
fn parts_are_read_or_named() {
    let extraction = read(PARTS);
    assert_eq!(
        extraction.text,
        "Parts\n\nFrom: a@example.com\nDate: today\n\nThe café is open.\n\nHead\n\nOnly here & there\n\n\
         Inner\n\nFrom: b@example.com\n\nThe first letter.\n\nAttachment: 文.pdf\nAttachment: log.txt"
    );
    let sections: Vec<_> = extraction
        .sections
        .iter()
        .map(|section| (section.title.as_str(), section.level))
        .collect();
    assert_eq!(sections, [("Parts", 1), ("Head", 2), ("Inner", 2)]);
}

#[test]
fn html_where_the_text_is_empty_and_a_last_boundary_that_is_missing() {
    let extraction = read(
        "From: a\nDate: b\nContent-Type: multipart/alternative; boundary=in\n\n--in\nContent-Type: text/plain\n\n \n\
         --in\nContent-Type: text/html\n\n<style>p{}</style><p>Shown</p>\n",
    );
    assert_eq!(extraction.text, "From: a\nDate: b\n\nShown");
}

#[test]
fn character_sets() {
    let korean = "안녕하세요, 회의는 세 시에 시작합니다. 자료를 보내 주십시오.";
    for (encoding, text) in [(EUC_KR, korean), (BIG5, "會議三點開始，請把資料寄給我。")]
    {
        let (body, _, _) = encoding.encode(text);
        for kind in [
            format!("text/plain; charset={}", encoding.name()),
            "text/plain".to_owned(),
            "text/plain; charset=us-ascii".to_owned(),
            "text/plain; charset=utf-8".to_owned(),
            "text/plain; charset=no-such".to_owned(),
        ] {
            let mut mail = format!("From: a\nDate: b\nContent-Type: {kind}\n\n").into_bytes();
            mail.extend_from_slice(&body);
            let found = try_read(&mail).unwrap().text;
            assert!(found.ends_with(text), "{kind}: {found}");
        }
    }
    // UTF-8 under the name of Latin 1, and headers in the bytes of a code page.
    let mail = "From: a\nDate: b\nContent-Type: text/plain; charset=iso-8859-1\n\ncafé";
    assert!(read(mail).text.ends_with("café"));
    let (mail, _, _) =
        EUC_KR.encode("From: 김철수\nSubject: 회의 자료를 보내 드립니다\nDate: b\n\nx");
    assert!(
        try_read(&mail)
            .unwrap()
            .text
            .starts_with("회의 자료를 보내 드립니다\n")
    );
}

#[test]
fn flowed_lines_are_joined() {
    assert_eq!(
        unflow("One \ntwo\n> three \n> four\nfive\n-- \nsix", None),
        "One two\n> three four\nfive\n-- \nsix"
    );
    assert_eq!(unflow("文 \n件", Some("yes")), "文件");
}

#[test]
fn encrypted_messages_say_so() {
    for kind in [
        "multipart/encrypted; boundary=x",
        "application/pkcs7-mime; smime-type=enveloped-data",
    ] {
        let mail = format!("From: a\nDate: b\nContent-Type: {kind}\n\n--x\n\nabc\n--x--\n");
        assert_eq!(
            try_read(mail.as_bytes()).unwrap_err(),
            ExtractError::Encrypted
        );
    }
}

#[test]
fn parts_in_parts_end_somewhere() {
    let mut mail = "From: a\nDate: b\n".to_owned();
    for depth in 0..2000 {
        mail.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{depth}x\n\n--b{depth}x\n"
        ));
    }
    mail.push_str("\ndeep\n");
    assert_eq!(read(&mail).text, "From: a\nDate: b");
    let many = format!(
        "From: a\nDate: b\nContent-Type: multipart/mixed; boundary=b\n\n{}",
        "--b\n\nx\n".repeat(20_000)
    );
    assert_eq!(try_read(many.as_bytes()).unwrap_err().reason(), "too-large");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scratched_messages_make_nothing_panic(
        changes in prop::collection::vec((0..PARTS.len(), any::<u8>(), 0..3_usize), 0..12)
    ) {
        let mut mail = PARTS.as_bytes().to_vec();
        for (at, byte, removed) in changes {
            let at = at.min(mail.len());
            let end = (at + removed).min(mail.len());
            mail.splice(at..end, [byte]);
        }
        let _ = try_read(&mail);
    }

    #[test]
    fn no_headers_make_it_panic(
        kind in "[a-z/;=\"*'?% \\\\B8é\n-]{0,60}",
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for name in ["Content-Type", "Subject", "Content-Disposition"] {
            let mut mail = format!("From: a\nDate: b\n{name}: {kind}\n\n").into_bytes();
            mail.extend_from_slice(&body);
            let _ = try_read(&mail);
        }
    }
}
