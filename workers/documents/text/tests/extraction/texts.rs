//! Formats that are text, read through the child, whatever their names say.

use millrace_text::{Child, Extractor, Format, Limits};

use crate::Test;
use crate::samples::extract;

pub(crate) const TESTS: &[Test] = &[
    ("content_decides", content_decides),
    ("hostile_texts", hostile_texts),
    ("old_office_files_are_named", old_office_files_are_named),
    (
        "scratched_texts_end_with_a_reason",
        scratched_texts_end_with_a_reason,
    ),
];

const RTF: &str = r"{\rtf1\ansi\ansicpg949{\fonttbl{\f0\fcharset129 Batang;}}\pard\outlinelevel0 \'c1\'a6\'b8\'f1\par\pard \u47928?\'bc\'ad\par\trowd\cellx1\pard\intbl a\cell b\cell\row}";
const MAIL: &str = "From: a@example.com\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\nSubject: =?utf-8?B?5paH5Lu2?=\r\n\
    Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nThe text.\r\n--x\r\nContent-Type: image/png; name=a.png\r\n\r\n0\r\n--x--\r\n";
const XML: &str = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY m 'mill'>]><l><title>List</title><i><n>The &m;</n><p>서울</p></i></l>";
const JSON: &str =
    "{\"name\": \"The mill\", \"places\": [{\"no\": 1.50}, {\"no\": 2}]}\n{\"name\": \"Barn\"}\n";
const CSV: &str =
    "name;place;no\r\n\"The \"\"mill\"\"\";서울;1,5\r\nBarn;台北;2\r\nYard;Lima;3\r\n";

fn content_decides() {
    for (file, format, text) in [
        (RTF, Format::Rtf, "제목\n\n문서\n\na\tb"),
        (
            MAIL,
            Format::Email,
            "文件\n\nFrom: a@example.com\nDate: Mon, 2 Mar 2026 09:00:00 +0000\n\nThe text.\n\nAttachment: a.png",
        ),
        (XML, Format::Xml, "List\n\nThe mill\n서울"),
        (
            JSON,
            Format::Json,
            "name: The mill\n\nplaces:\nno: 1.50\n\nno: 2\n\nname: Barn",
        ),
        (
            CSV,
            Format::Csv,
            "name\tplace\tno\nThe \"mill\"\t서울\t1,5\nBarn\t台北\t2\nYard\tLima\t3",
        ),
        ("<!doctype html><p>Page</p>", Format::Html, "Page"),
    ] {
        for name in ["a.pdf", "a.docx", "a", "a.txt"] {
            let extraction = extract(file.as_bytes(), name).unwrap();
            assert_eq!(extraction.format, format, "{name}");
            assert_eq!(extraction.text, text, "{name}");
        }
    }
}

fn hostile_texts() {
    let mut bomb = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e0 'ha'>".to_owned();
    for n in 1..12 {
        let before = format!("&e{};", n - 1).repeat(10);
        bomb.push_str(&format!("<!ENTITY e{n} '{before}'>"));
    }
    bomb.push_str("]><a>&e11;</a>");
    let cases = [
        (bomb, "too-large"),
        ("<a>".repeat(500_000), "unsupported"),
        (
            format!("<?xml version='1.0'?>{}", "<a>".repeat(500_000)),
            "too-large",
        ),
        ("[".repeat(1_000_000), "too-large"),
        (
            format!("{{\\rtf1 {}", "{".repeat(1_000_000)),
            "damaged-file",
        ),
        (
            format!("{{\\rtf1 {}}}", "many words \\b ".repeat(2_000_000)),
            "output-limit",
        ),
        (
            format!(
                "{{\\rtf1{{\\fonttbl{}}}x}}",
                "{\\f1\\fcharset2 x;}".repeat(200_000)
            ),
            "none",
        ),
        (format!("a,\"{}", "\"\"\",\"".repeat(300_000)), "no-text"),
        (
            format!(
                "From: a\nDate: b\nSubject: {}\n\nx",
                "=?utf-8?B?".repeat(100_000)
            ),
            "none",
        ),
    ];
    let limits = Limits {
        wall: std::time::Duration::from_secs(30),
        ..Limits::default()
    };
    let extractor = Extractor::new(Child::this_program(), limits);
    for (file, expected) in cases {
        let result = extractor.extract(file.as_bytes(), "a.csv");
        let reason = result.as_ref().err().map_or("none", |error| error.reason());
        let beginning: String = file.chars().take(40).collect();
        // A text of nothing but tags is a text, whatever comes of it, or is refused.
        let any = matches!(expected, "unsupported" | "no-text");
        let ends = !matches!(
            reason,
            "extraction-crashed" | "worker-unavailable" | "time-limit"
        );
        assert!(ends && (any || reason == expected), "{beginning}: {reason}");
    }
}

fn old_office_files_are_named() {
    for (stream, name) in [
        ("WordDocument", ".doc"),
        ("Workbook", ".xls"),
        ("Book", ".xls"),
        ("PowerPoint Document", ".ppt"),
        ("__substg1.0_0037001F", ".msg"),
    ] {
        let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
        file.extend([0; 64]);
        file.extend(stream.encode_utf16().flat_map(u16::to_le_bytes));
        let error = extract(&file, "a.txt").unwrap_err();
        assert_eq!(error.reason(), "unsupported-format");
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// Bytes overwritten, cut out and doubled at places that are the same in every run.
fn scratched_texts_end_with_a_reason() {
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for file in [RTF, MAIL, XML, JSON, CSV] {
        for round in 0..40 {
            let mut scratched = file.as_bytes().to_vec();
            for _ in 0..=next(4) {
                let at = next(scratched.len());
                let end = (at + 1 + next(20)).min(scratched.len());
                match next(3) {
                    0 => scratched[at] = next(256) as u8,
                    1 => drop(scratched.drain(at..end)),
                    _ => {
                        let copy = scratched[at..end].to_vec();
                        scratched.splice(at..at, copy);
                    }
                }
            }
            let reason = extract(&scratched, "a").err().map(|error| error.reason());
            let known = !matches!(
                reason,
                Some("worker-unavailable" | "extraction-crashed" | "time-limit" | "memory-limit")
            );
            assert!(known, "round {round}: {reason:?}");
        }
    }
}
