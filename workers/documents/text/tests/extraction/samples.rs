//! Small samples that are made here, read through the child.

use std::io::{Cursor, Write};

use millrace_text::{Child, ExtractError, Extraction, Extractor, Format, Limits};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "text_comes_back_from_the_child",
        text_comes_back_from_the_child,
    ),
    ("files_go_through_no_memory", files_go_through_no_memory),
    ("word_documents", word_documents),
    (
        "word_documents_that_break_off",
        word_documents_that_break_off,
    ),
    ("pdf_by_hand", pdf_by_hand),
    ("encrypted_office_files", encrypted_office_files),
    (
        "scratched_files_end_with_a_reason",
        scratched_files_end_with_a_reason,
    ),
    ("other_zip_files_are_named", other_zip_files_are_named),
];

pub(crate) fn extract(bytes: &[u8], file_name: &str) -> Result<Extraction, ExtractError> {
    Extractor::new(Child::this_program(), Limits::default()).extract(bytes, file_name)
}

fn text_comes_back_from_the_child() {
    let extraction = extract("# 標題\n\n第一句話。第二句話。\n".as_bytes(), "a.md").unwrap();
    assert_eq!(extraction.format, Format::Markdown);
    assert_eq!(extraction.text, "標題\n\n第一句話。第二句話。");
    assert_eq!(extraction.sections[0].title, "標題");
    assert_eq!(extraction.language.as_deref(), Some("zh-TW"));
    assert_eq!(extraction.preview, extraction.text);
    assert_eq!(extract(b"", "a.md").unwrap_err().reason(), "empty-file");
}

fn files_go_through_no_memory() {
    let extractor = Extractor::new(Child::this_program(), Limits::default());
    let file = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let large = "A sentence of a large file. ".repeat(200_000);
    for (bytes, name) in [
        (large.as_bytes(), "a.txt"),
        (b"<p>one</p>", "a.html"),
        (b"", "a.txt"),
    ] {
        assert_eq!(
            extractor.extract_file(file(bytes), name),
            extractor.extract(bytes, name)
        );
    }
    let small = Limits {
        input_bytes: 10,
        ..Limits::default()
    };
    let refused = extractor
        .with_limits(small)
        .extract_file(file(b"eleven bytes"), "a.txt");
    assert_eq!(refused.unwrap_err().reason(), "too-large");
}

pub(crate) fn zip_of(parts: &[(&str, &str)]) -> Vec<u8> {
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, content)| (*name, content.as_bytes()))
        .collect();
    zip_of_bytes(&parts)
}

pub(crate) fn zip_of_bytes(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        archive
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const STYLES: &str = r#"<w:styles xmlns:w="w">
<w:style w:styleId="1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="1"/></w:style>
<w:style w:styleId="Deep"><w:name w:val="Deep"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
<w:style w:styleId="LoopA"><w:basedOn w:val="LoopB"/></w:style>
<w:style w:styleId="LoopB"><w:basedOn w:val="LoopA"/></w:style>
</w:styles>"#;

const BODY: &str = r#"<?xml version="1.0"?>
<w:document xmlns:w="w" xmlns:mc="mc" xmlns:wps="wps"><w:body>
<w:p><w:pPr><w:pStyle w:val="1"/></w:pPr><w:r><w:t>First &amp; foremost</w:t></w:r></w:p>
<w:p><w:pPr><w:pStyle w:val="LoopA"/></w:pPr><w:r><w:t xml:space="preserve">One </w:t></w:r><w:r><w:t>run.&#x4E2D;</w:t><w:br/><w:t>Next line.</w:t></w:r>
<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>
<mc:AlternateContent><mc:Choice><wps:txbx><w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent></wps:txbx></mc:Choice><mc:Fallback><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>
<w:r><w:t>After.</w:t></w:r></w:p>
<w:p><w:pPr><w:pStyle w:val="Own"/></w:pPr><w:r><w:t>둘째</w:t></w:r></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr>
<w:tr><w:tc><w:tbl><w:tr><w:tc><w:p><w:r><w:t>inner</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:tc><w:tc><w:p><w:r><w:t>d</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
<w:p><w:pPr><w:pStyle w:val="Deep"/></w:pPr><w:r><w:t>Third</w:t></w:r></w:p>
<w:p><w:pPr><w:outlineLvl w:val="9"/></w:pPr><w:r><w:t>The end.</w:t></w:r></w:p>
</w:body></w:document>"#;

const NOTES: &str = r#"<w:footnotes xmlns:w="w"><w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:t>----</w:t></w:r></w:p></w:footnote>
<w:footnote w:id="1"><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>"#;

const CORE: &str = r#"<cp:coreProperties xmlns:cp="cp" xmlns:dc="dc"><dc:title>Q&amp;A</dc:title></cp:coreProperties>"#;

fn word_documents() {
    let file = zip_of(&[
        ("word/document.xml", BODY),
        ("word/styles.xml", STYLES),
        ("word/footnotes.xml", NOTES),
        ("docProps/core.xml", CORE),
    ]);
    // The name lies: the content decides.
    let extraction = extract(&file, "letter.pdf").unwrap();
    assert_eq!(extraction.format, Format::Docx);
    assert_eq!(
        extraction.text,
        "First & foremost\n\nOne run.中\nNext line.After.\n\nIn a box.\n\n둘째\n\na b\tc\ninner\td\n\nThird\n\nThe end.\n\nA note."
    );
    assert_eq!(extraction.title.as_deref(), Some("Q&A"));
    let sections: Vec<_> = extraction
        .sections
        .iter()
        .map(|s| (s.title.as_str(), s.level))
        .collect();
    assert_eq!(
        sections,
        [("First & foremost", 1), ("둘째", 1), ("Third", 3)]
    );
}

fn word_documents_that_break_off() {
    let half = &BODY[..BODY.find("둘째").unwrap()];
    let file = zip_of(&[("word/document.xml", half)]);
    assert_eq!(
        extract(&file, "a.docx").unwrap_err().reason(),
        "damaged-file"
    );
    let whole = zip_of(&[("word/document.xml", BODY)]);
    let cut = &whole[..whole.len() - 30];
    assert_eq!(extract(cut, "a.docx").unwrap_err().reason(), "damaged-file");
    let empty = zip_of(&[(
        "word/document.xml",
        "<w:document xmlns:w='w'><w:body/></w:document>",
    )]);
    assert_eq!(extract(&empty, "a.docx").unwrap_err().reason(), "no-text");
}

/// One page for each text, in Helvetica, with a cross-reference table that is right.
pub(crate) fn pdf_of(pages: &[&str]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len())
        .map(|page| format!("{} 0 R", 4 + page * 2))
        .collect();
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!(
            "<</Type/Pages/Kids[{}]/Count {}>>",
            kids.join(" "),
            pages.len()
        ),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned(),
    ];
    for (index, page) in pages.iter().enumerate() {
        let content = 5 + index * 2;
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {content} 0 R/Resources<</Font<</F1 3 0 R>>>>>>"
        ));
        let lines = page.lines().map(|line| format!("({line}) Tj T*"));
        let stream = format!(
            "BT /F1 11 Tf 14 TL 60 780 Td {} ET",
            lines.collect::<Vec<_>>().join(" ")
        );
        objects.push(format!(
            "<</Length {}>>stream\n{stream}\nendstream",
            stream.len()
        ));
    }
    let mut file = "%PDF-1.4\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(file.len());
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let table = file.len();
    file.push_str(&format!(
        "xref\n0 {}\n0000000000 65535 f \n",
        objects.len() + 1
    ));
    for offset in offsets {
        file.push_str(&format!("{offset:010} 00000 n \n"));
    }
    let size = objects.len() + 1;
    file.push_str(&format!(
        "trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n"
    ));
    file.into_bytes()
}

fn pdf_by_hand() {
    let file = pdf_of(&[
        "Each worker reads a message.",
        "",
        "It writes its chunks to the index.",
    ]);
    let extraction = extract(&file, "a.pdf").unwrap();
    assert_eq!(extraction.format, Format::Pdf);
    assert_eq!(
        extraction.text,
        "Each worker reads a message.\n\nIt writes its chunks to the index."
    );
    let pages: Vec<_> = extraction
        .pages
        .iter()
        .map(|p| (p.number, p.start, p.end))
        .collect();
    assert_eq!(pages, [(1, 0, 28), (2, 28, 28), (3, 30, 64)]);
    assert_eq!(extraction.word_count, 12);
    assert_eq!(
        extract(&pdf_of(&["", ""]), "a.pdf").unwrap_err().reason(),
        "no-text"
    );
    // Cut before the table of contents: all of the text is still there, but who knows.
    let long = pdf_of(&["A page of text."; 200]);
    assert_eq!(
        extract(&long[..long.len() / 2], "a.pdf")
            .unwrap_err()
            .reason(),
        "damaged-file"
    );
    // Cut in the middle of the first object.
    assert_eq!(
        extract(&file[..20], "a.pdf").unwrap_err().reason(),
        "damaged-file"
    );
    let limits = Limits {
        pages: 2,
        ..Limits::default()
    };
    let few_pages = Extractor::new(Child::this_program(), limits);
    assert_eq!(
        few_pages.extract(&file, "a.pdf").unwrap_err().reason(),
        "too-large"
    );
}

fn encrypted_office_files() {
    let mut file = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    file.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(extract(&file, "a.docx").unwrap_err().reason(), "encrypted");
}

fn other_zip_files_are_named() {
    let relationship = |target: &str| {
        format!(
            "<Relationships><Relationship Type='http://x/relationships/officeDocument' Target='{target}'/></Relationships>"
        )
    };
    let binary = zip_of(&[
        ("_rels/.rels", &relationship("xl/workbook.bin")),
        ("xl/workbook.bin", "x"),
    ]);
    let drawing = zip_of(&[("mimetype", "application/vnd.oasis.opendocument.graphics")]);
    // An archive in an archive is not looked into.
    let nested = zip_of(&[("a.docx", "PK\u{3}\u{4}")]);
    for (file, name) in [
        (binary, "Excel binary"),
        (drawing, "OpenDocument drawing"),
        (nested, "zip archive"),
        (zip_of(&[("a.txt", "x")]), "zip archive"),
    ] {
        let error = extract(&file, "a.docx").unwrap_err();
        assert_eq!(error.reason(), "unsupported-format");
        assert!(error.to_string().contains(name), "{error}");
    }
    // The main part may have any name.
    let renamed = zip_of(&[
        ("_rels/.rels", &relationship("/word/document2.xml")),
        ("word/document2.xml", BODY),
    ]);
    assert_eq!(extract(&renamed, "a").unwrap().format, Format::Docx);
}

/// Bytes overwritten, cut out and doubled at places that are the same in every run.
fn scratched_files_end_with_a_reason() {
    let files = [
        crate::office::workbook(),
        crate::office::presentation(),
        crate::office::spreadsheet(),
        crate::office::book(),
        zip_of(&[("word/document.xml", BODY), ("word/styles.xml", STYLES)]),
        pdf_of(&["Each worker reads a message.", "It writes its chunks."]),
        format!(
            "<html><title>t</title><p>{}",
            "<b>文件</b> &amp; <i>x</i>".repeat(50)
        )
        .into_bytes(),
    ];
    let limits = Limits {
        wall: std::time::Duration::from_secs(20),
        ..Limits::default()
    };
    let extractor = Extractor::new(Child::this_program(), limits);
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for file in &files {
        for round in 0..60 {
            let mut scratched = file.clone();
            for _ in 0..=next(4) {
                let at = next(scratched.len());
                let end = (at + 1 + next(40)).min(scratched.len());
                match next(3) {
                    0 => scratched[at] = next(256) as u8,
                    1 => drop(scratched.drain(at..end)),
                    _ => {
                        let copy = scratched[at..end].to_vec();
                        scratched.splice(at..at, copy);
                    }
                }
            }
            let reason = extractor
                .extract(&scratched, "a")
                .err()
                .map(|error| error.reason());
            let known = !matches!(
                reason,
                Some("worker-unavailable" | "time-limit" | "memory-limit")
            );
            assert!(known, "round {round}: {reason:?}");
        }
    }
}
