//! RTF, e-mail, CSV, JSON and plain text.

use millrace_text::{Child, Extractor};

use super::{Case, limits};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = rtf();
    cases.extend(mail());
    cases.extend(tables_and_values());
    cases.extend(plain());
    cases
}

fn rtf() -> Vec<Case> {
    vec![
        Case::ends(
            "binary data of two thousand million bytes",
            "damaged-file",
            || br"{\rtf1 before \bin2147483647 after}".to_vec(),
        ),
        Case::says("binary data of less than nothing", "before after", || {
            br"{\rtf1 before \bin-2147483648 after}".to_vec()
        }),
        Case::says("binary data that hides a brace", "before after", || {
            br"{\rtf1 before {\pict\bin3 }}}}after}".to_vec()
        }),
        Case::says("groups in groups", "deep", || {
            format!(
                "{{\\rtf1 {}deep{}}}",
                "{".repeat(1_000_000),
                "}".repeat(1_000_000)
            )
            .into_bytes()
        }),
        Case::ends("a group that never ends", "damaged-file", || {
            format!("{{\\rtf1 {}", "{\\b bold}".repeat(100_000)).into_bytes()
        }),
        Case::ends("notes without end", "output-limit", || {
            format!("{{\\rtf1 x{}\\par}}", "{\\footnote x}".repeat(100_000)).into_bytes()
        })
        .small(),
        Case::ends("a paragraph without end", "output-limit", || {
            format!("{{\\rtf1 {}}}", "word ".repeat(400_000)).into_bytes()
        })
        .small(),
        Case::says("numbers beyond all numbers", "A\u{fffd}\u{fffd}B", || {
            br"{\rtf1\ansicpg99999999999 A\u99999999999999?\u-99999999999?\fs999999999999999999999\uc99999999 B}".to_vec()
        }),
        Case::says("halves of characters", "x \u{fffd}\u{fffd} y", || {
            br"{\rtf1 x \u-10179?\u-10179? y}".to_vec()
        }),
        Case::says("controls as characters", "before after", || {
            br"{\rtf1 before\u7? \u8238?\u0?\'00\'07after}".to_vec()
        }),
        Case::ends("cut off", "damaged-file", || {
            br"{\rtf1 The text is not".to_vec()
        }),
        Case::says("objects and fields", "shown", || {
            br#"{\rtf1{\object\objocx{\*\objdata 0105000002}}{\field{\*\fldinst INCLUDETEXT "/etc/passwd"}{\fldrslt shown}}{\*\template /etc/passwd}}"#.to_vec()
        }),
    ]
}

const HEADERS: &str =
    "From: a@example.com\nDate: Mon, 2 Mar 2026 09:00:00 +0000\nMIME-Version: 1.0\n";
const SHOWN: &str = "From: a@example.com\nDate: Mon, 2 Mar 2026 09:00:00 +0000";

fn mail() -> Vec<Case> {
    vec![
        Case::ends("a hundred thousand parts", "too-large", || {
            let part = "--b\nContent-Type: text/plain\n\nx\n";
            format!(
                "{HEADERS}Content-Type: multipart/mixed; boundary=b\n\n{}--b--\n",
                part.repeat(100_000)
            )
            .into_bytes()
        }),
        Case::reads(
            "messages in messages",
            |extraction| extraction.text.starts_with(SHOWN),
            || {
                let inner = format!("{HEADERS}Content-Type: message/rfc822\n\n");
                format!("{}{HEADERS}\nthe innermost", inner.repeat(100_000)).into_bytes()
            },
        ),
        Case::reads(
            "parts in parts",
            |extraction| extraction.text.starts_with(SHOWN),
            || {
                let mut message =
                    format!("{HEADERS}Content-Type: multipart/mixed; boundary=b0\n\n");
                for level in 0..10_000 {
                    message.push_str(&format!(
                        "--b{level}\nContent-Type: multipart/mixed; boundary=b{}\n\n",
                        level + 1
                    ));
                }
                (message + "deep").into_bytes()
            },
        ),
        Case::reads(
            "one boundary for all levels",
            |extraction| extraction.text.starts_with(SHOWN),
            || {
                let level = "--b\nContent-Type: multipart/mixed; boundary=b\n\n";
                format!(
                    "{HEADERS}Content-Type: multipart/mixed; boundary=b\n\n{}deep",
                    level.repeat(9_000)
                )
                .into_bytes()
            },
        ),
        Case::reads(
            "encoded words that never end",
            |extraction| {
                extraction.text.contains("body\n\nAttachment: ") && extraction.text.len() < 100_000
            },
            || {
                let words = "=?utf-8?B?".repeat(6_000);
                let mut message = format!("{HEADERS}Content-Type: multipart/mixed; boundary=b\n\n");
                for _ in 0..4 {
                    message.push_str(&format!(
                        "--b\nContent-Type: image/png; name=\"{words}\"\n\nx\n"
                    ));
                }
                let part = "--b\nContent-Type: text/html\n\nbody\n--b--\n";
                message.push_str(part);
                message.into_bytes()
            },
        ),
        Case::says(
            "a header of two megabytes",
            &format!("{SHOWN}\n\nbody"),
            || format!("{HEADERS}X-Spam: {}\n\nbody", "y ".repeat(1_000_000)).into_bytes(),
        ),
        Case::says(
            "names of files with everything in them",
            &format!("{SHOWN}\n\nbody\n\nAttachment: ../../etc/passwdgpj.exe"),
            || {
                format!("{HEADERS}Content-Type: multipart/mixed; boundary=b\n\n--b\n\nbody\n--b\nContent-Type: image/png\nContent-Disposition: attachment; filename*=utf-8''..%2F..%2Fetc%2Fpasswd%00%07%E2%80%AEgpj.exe\n\nx\n--b--\n").into_bytes()
            },
        ),
        Case::ends("an encrypted message", "encrypted", || {
            format!("{HEADERS}Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n--b\n\nx\n--b--\n").into_bytes()
        }),
        Case::says("a body that is elsewhere", SHOWN, || {
            format!("{HEADERS}Content-Type: message/external-body; access-type=URL; URL=\"file:///etc/passwd\"\n\nContent-Type: text/plain\n\n").into_bytes()
        }),
        Case::reads(
            "base64 that is none, cut off",
            |extraction| extraction.text.starts_with(SHOWN),
            || {
                format!(
                    "{HEADERS}Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n{}",
                    "VGhlIHRleHQu\n=!".repeat(10_000)
                )
                .into_bytes()
            },
        ),
    ]
}

fn tables_and_values() -> Vec<Case> {
    vec![
        Case::ends(
            "a quote that stays open for four megabytes",
            "output-limit",
            || format!("a,b,c\n1,\"{}", "2,3\n".repeat(1_000_000)).into_bytes(),
        )
        .named("a.csv")
        .small(),
        Case::reads(
            "quotes that never close, a hundred thousand",
            |extraction| extraction.text.starts_with("a\tb"),
            || format!("a,b\n{}", "1,\"open\n".repeat(100_000)).into_bytes(),
        )
        .named("a.csv"),
        Case::ends("a row of a million cells", "output-limit", || {
            ",".repeat(1_200_000).into_bytes()
        })
        .small()
        .named("a.csv"),
        Case::reads(
            "a number of a megabyte",
            |extraction| extraction.text.len() > 1 << 20,
            || format!("{{\"n\": {}}}", "9".repeat(1 << 20)).into_bytes(),
        ),
        Case::ends("values in values", "too-large", || {
            ("{\"a\":[".repeat(500_000) + "1" + &"]}".repeat(500_000)).into_bytes()
        }),
        Case::reads(
            "a key of a megabyte",
            |extraction| extraction.text.ends_with(": x"),
            || format!("{{\"{}\": \"x\"}}", "k".repeat(1 << 20)).into_bytes(),
        ),
        Case::says(
            "controls and halves of characters",
            "key: a b\u{fffd}c",
            || br#"{"k\u0007\u202eey": "a\u0000 b\ud800c\u2066"}"#.to_vec(),
        ),
        Case::ends("cut off", "damaged-file", || {
            b"{\"a\": [1, 2, {\"b\": \"tex".to_vec()
        })
        .named("a.json"),
        Case::ends("megabytes of small values", "output-limit", || {
            format!("[{}\"x\"]", "\"word\",\n".repeat(300_000)).into_bytes()
        })
        .small(),
    ]
}

fn plain() -> Vec<Case> {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    vec![
        Case::ends("no bytes", "empty-file", Vec::new),
        Case::ends("blanks", "no-text", || b" \t\r\n\x0c ".to_vec()),
        Case::ends("marks of direction and nothing else", "no-text", || {
            "\u{202e}\u{2066}\u{feff}\u{200b}".repeat(1000).into_bytes()
        }),
        Case::ends("zeros", "unsupported-format", || vec![0; 1_000_000]),
        Case::ends(
            "half a character of UTF-16 after the other",
            "unsupported-format",
            || {
                let mut file = b"\xff\xfe".to_vec();
                file.extend([0x00, 0xd8].repeat(10_000));
                file
            },
        ),
        Case::says(
            "one half of a character of UTF-16",
            &format!("{}\u{fffd}", "A line of text. ".repeat(10)),
            move || {
                let mut file = b"\xff\xfe".to_vec();
                file.extend(wide(&"A line of text. ".repeat(10)));
                file.extend([0x00, 0xd8]);
                file
            },
        ),
        // A page of HTML with a mark and a hundred bytes that are no UTF-8.
        Case::ends("a mark that lies", "unsupported-format", || {
            let mut file = b"\xef\xbb\xbf<!doctype html><p>".to_vec();
            file.extend([0xff, 0x80].repeat(100));
            file
        }),
        Case::says("marks of direction in a line", "user, admin", || {
            "user\u{202e}\u{2066}, \u{61c}ad\u{206a}min\u{2069}\u{202c}\u{fff9}"
                .as_bytes()
                .to_vec()
        }),
        Case::reads(
            "a word of a megabyte",
            |extraction| {
                extraction
                    .keywords
                    .iter()
                    .all(|word| word.chars().count() <= 100)
            },
            || "a".repeat(1 << 20).into_bytes(),
        ),
        Case::reads(
            "a letter with six hundred thousand accents",
            |extraction| {
                extraction.text.chars().count() >= 300_000
                    && extraction.preview.chars().count() <= 500
            },
            || format!("a{} and a word", "\u{301}\u{316}".repeat(300_000)).into_bytes(),
        ),
        Case::reads(
            "a line of a megabyte",
            |extraction| extraction.text.len() > 1_000_000,
            || "one word and the next ".repeat(50_000).into_bytes(),
        ),
        Case::reads(
            "two million empty lines",
            |extraction| extraction.text == "a\n\nb",
            || format!("a{}b", "\n".repeat(2_000_000)).into_bytes(),
        ),
        Case::ends("a hundred megabytes and one", "too-large", || {
            vec![b'a'; (100 << 20) + 1]
        }),
    ]
}

/// What a file is called is as foreign as what is in it.
pub(super) fn names_of_files() {
    let extractor = Extractor::new(Child::this_program(), limits());
    for name in [
        "",
        ".",
        "../../../etc/passwd",
        "a\0b.txt",
        "\u{202e}txt.exe\u{7}\u{1b}[2J",
        &"x".repeat(1 << 20),
        &"\u{1}".repeat(100_000),
        &format!("{}.md", "長".repeat(100_000)),
    ] {
        let result = extractor.extract(b"# Some text.", name);
        let shown: String = name.chars().take(20).collect();
        let text = if name.ends_with(".md") {
            "Some text."
        } else {
            "# Some text."
        };
        assert_eq!(
            result.map(|extraction| extraction.text).as_deref(),
            Ok(text),
            "{shown:?}"
        );
    }
}
