//! Workbooks, presentations, OpenDocument files and e-books, read through the child: honest
//! ones, and those that were made to do harm.

use std::time::Duration;

use millrace_text::{Child, Extractor, Format, Limits};

use crate::Test;
use crate::samples::{extract, zip_of};

pub(crate) const TESTS: &[Test] = &[
    ("office_files_are_read", office_files_are_read),
    ("macros_are_left_alone", macros_are_left_alone),
    ("encrypted_archives", encrypted_archives),
    (
        "declared_sizes_are_not_believed",
        declared_sizes_are_not_believed,
    ),
    ("office_bombs", office_bombs),
    ("entities_are_not_expanded", entities_are_not_expanded),
    ("office_files_nested_deeply", office_files_nested_deeply),
    ("references_that_lead_outside", references_that_lead_outside),
];

pub(crate) const SHEET: &str = "<worksheet><sheetData><row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1'><v>1.5</v></c></row>\
    <row r='2'><c r='A2' t='s'><v>1</v></c></row></sheetData></worksheet>";
pub(crate) const STRINGS: &str = "<sst><si><t>Price of the boat</t></si><si><t>가격</t></si></sst>";
pub(crate) const PACKAGE: &str = "<package><metadata><dc:title>The book</dc:title></metadata><manifest>\
    <item id='a' href='a.xhtml' media-type='application/xhtml+xml'/></manifest><spine><itemref idref='a'/></spine></package>";
pub(crate) const CONTAINER: &str =
    "<container><rootfiles><rootfile full-path='c.opf'/></rootfiles></container>";
pub(crate) const CHAPTER: &str =
    "<html><head><title/></head><body><h1>One</h1><p>It was so.</p></body></html>";

pub(crate) fn relations(targets: &[(&str, &str)]) -> String {
    let mut xml = "<Relationships>".to_owned();
    for (number, (kind, target)) in (1..).zip(targets) {
        xml.push_str(&format!(
            "<Relationship Id='r{number}' Type='http://x/relationships/{kind}' Target='{target}'/>"
        ));
    }
    xml + "</Relationships>"
}

pub(crate) fn workbook_of(sheet: &str, strings: &str) -> Vec<u8> {
    zip_of(&[
        (
            "_rels/.rels",
            &relations(&[("officeDocument", "/xl/workbook.xml")]),
        ),
        (
            "xl/workbook.xml",
            "<workbook xmlns:r='r'><sheets><sheet name='Prices' r:id='r1'/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &relations(&[
                ("worksheet", "worksheets/sheet1.xml"),
                ("sharedStrings", "sharedStrings.xml"),
            ]),
        ),
        ("xl/sharedStrings.xml", strings),
        ("xl/worksheets/sheet1.xml", sheet),
    ])
}

pub(crate) fn presentation_of(slide: &str) -> Vec<u8> {
    zip_of(&[
        (
            "_rels/.rels",
            &relations(&[("officeDocument", "ppt/presentation.xml")]),
        ),
        (
            "ppt/presentation.xml",
            "<p:presentation xmlns:r='r'><p:sldIdLst><p:sldId id='256' r:id='r1'/></p:sldIdLst></p:presentation>",
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            &relations(&[("slide", "slides/slide1.xml")]),
        ),
        ("ppt/slides/slide1.xml", slide),
    ])
}

pub(crate) fn spreadsheet_of(rows: &str) -> Vec<u8> {
    let content = format!(
        "<office:document-content><office:body><office:spreadsheet><table:table table:name='Prices'>{rows}</table:table>\
         </office:spreadsheet></office:body></office:document-content>"
    );
    zip_of(&[
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", &content),
    ])
}

pub(crate) fn book_of(chapter: &str) -> Vec<u8> {
    zip_of(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", CONTAINER),
        ("c.opf", PACKAGE),
        ("a.xhtml", chapter),
    ])
}

pub(crate) fn workbook() -> Vec<u8> {
    workbook_of(SHEET, STRINGS)
}

pub(crate) fn presentation() -> Vec<u8> {
    presentation_of(
        "<p:sld><p:sp><p:nvPr><p:ph type='title'/></p:nvPr><a:p><a:r><a:t>Prices</a:t></a:r></a:p></p:sp>\
         <p:sp><a:p><a:r><a:t>The boat is dear.</a:t></a:r></a:p></p:sp></p:sld>",
    )
}

pub(crate) fn spreadsheet() -> Vec<u8> {
    spreadsheet_of(
        "<table:table-row><table:table-cell><text:p>boat</text:p></table:table-cell>\
         <table:table-cell table:number-columns-repeated='2'><text:p>2</text:p></table:table-cell></table:table-row>",
    )
}

pub(crate) fn book() -> Vec<u8> {
    book_of(CHAPTER)
}

fn office_files_are_read() {
    // The names lie: the content decides.
    let cases = [
        (
            workbook(),
            Format::Xlsx,
            "Prices\n\nPrice of the boat\t1.5\n가격",
        ),
        (presentation(), Format::Pptx, "Prices\n\nThe boat is dear."),
        (spreadsheet(), Format::Ods, "Prices\n\nboat\t2\t2"),
        (book(), Format::Epub, "One\n\nIt was so."),
    ];
    for (file, format, text) in cases {
        let extraction = extract(&file, "a.txt").unwrap();
        assert_eq!(extraction.format, format);
        assert_eq!(extraction.text, text);
        assert_eq!(extraction.pages.len(), 1);
        let end = text.chars().count();
        assert_eq!(
            (extraction.pages[0].start, extraction.pages[0].end),
            (0, end)
        );
    }
    let sheets = extract(&workbook(), "a").unwrap().pages;
    assert_eq!(sheets[0].name.as_deref(), Some("Prices"));
}

/// The main part of a document with macros has the same root element; the macros themselves are
/// a part that nobody opens.
fn macros_are_left_alone() {
    let body =
        "<w:document><w:body><w:p><w:r><w:t>Harmless.</w:t></w:r></w:p></w:body></w:document>";
    let file = zip_of(&[
        (
            "_rels/.rels",
            &relations(&[("officeDocument", "word/document.xml")]),
        ),
        (
            "[Content_Types].xml",
            "<Types><Override PartName='/word/document.xml' ContentType='application/vnd.ms-word.document.macroEnabled.main+xml'/></Types>",
        ),
        ("word/document.xml", body),
        ("word/vbaProject.bin", "Sub AutoOpen()"),
    ]);
    let extraction = extract(&file, "a.docm").unwrap();
    assert_eq!(extraction.format, Format::Docx);
    assert_eq!(extraction.text, "Harmless.");
}

fn encrypted_archives() {
    let manifest = "<manifest:manifest><manifest:file-entry manifest:full-path='content.xml'><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let text = zip_of(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("content.xml", "noise"),
        ("META-INF/manifest.xml", manifest),
    ]);
    assert_eq!(extract(&text, "a.odt").unwrap_err().reason(), "encrypted");
    let encryption = "<encryption><CipherReference URI='a.xhtml'/></encryption>";
    let book = zip_of(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", CONTAINER),
        ("META-INF/encryption.xml", encryption),
        ("c.opf", PACKAGE),
        ("a.xhtml", "noise"),
    ]);
    assert_eq!(extract(&book, "a.epub").unwrap_err().reason(), "encrypted");
}

/// Writes another unpacked size into every entry of the table of contents.
fn with_declared_size(mut file: Vec<u8>, size: u32) -> Vec<u8> {
    let entries: Vec<usize> = (0..file.len() - 4)
        .filter(|&at| file[at..].starts_with(b"PK\x01\x02"))
        .collect();
    assert!(!entries.is_empty());
    for entry in entries {
        file[entry + 24..entry + 28].copy_from_slice(&size.to_le_bytes());
    }
    file
}

fn declared_sizes_are_not_believed() {
    for size in [0, 1, 0x7fff_ffff, 0xffff_fffe] {
        let result = extract(&with_declared_size(workbook(), size), "a.xlsx");
        let reason = result.as_ref().err().map(|error| error.reason());
        assert!(
            matches!(reason, None | Some("damaged-file")),
            "{size}: {result:?}"
        );
        if let Ok(extraction) = result {
            assert!(extraction.text.ends_with("가격"), "{size}");
        }
    }
    // A gigabyte that says it is nothing.
    let limits = Limits {
        expanded_bytes: 1 << 20,
        ..Limits::default()
    };
    let large = workbook_of(
        &(SHEET.replace("</row>", &"<c/>".repeat(1_000_000)) + "</row>"),
        STRINGS,
    );
    let error = Extractor::new(Child::this_program(), limits)
        .extract(&with_declared_size(large, 0), "a.xlsx")
        .unwrap_err();
    assert!(
        matches!(error.reason(), "too-large" | "damaged-file"),
        "{error}"
    );
}

fn office_bombs() {
    let limits = Limits {
        cpu: Duration::from_secs(20),
        expanded_bytes: 8 << 20,
        ..Limits::default()
    };
    let extractor = Extractor::new(Child::this_program(), limits);
    let reason = |file: &[u8]| {
        extractor
            .extract(file, "a")
            .err()
            .map_or("none", |error| error.reason())
    };

    let empty_cells = "<row><c r='A1'/></row>".repeat(1_000_000);
    let sheet = format!("<worksheet><sheetData>{empty_cells}</sheetData></worksheet>");
    assert_eq!(reason(&workbook_of(&sheet, STRINGS)), "too-large");
    let strings = format!("<sst>{}</sst>", "<si><t/></si>".repeat(1_000_000));
    assert_eq!(reason(&workbook_of(SHEET, &strings)), "too-large");
    let shapes = format!("<p:sld>{}</p:sld>", "<p:sp/>".repeat(2_000_000));
    assert_eq!(reason(&presentation_of(&shapes)), "too-large");
    let rows = "<table:table-row/>".repeat(1_000_000);
    assert_eq!(reason(&spreadsheet_of(&rows)), "too-large");
    let chapter = format!("<html>{}</html>", "<p></p>".repeat(2_000_000));
    assert_eq!(reason(&book_of(&chapter)), "too-large");

    // What is small in the file and large on the page.
    let strings = format!("<sst><si><t>{}</t></si></sst>", "long ".repeat(200_000));
    let cells = "<c t='s'><v>0</v></c>".repeat(100_000);
    let sheet = format!("<worksheet><sheetData><row>{cells}</row></sheetData></worksheet>");
    assert_eq!(reason(&workbook_of(&sheet, &strings)), "output-limit");
    let cell = format!(
        "<table:table-cell table:number-columns-repeated='16384'><text:p>{}</text:p></table:table-cell>",
        "long ".repeat(100_000)
    );
    let rows =
        format!("<table:table-row table:number-rows-repeated='1048576'>{cell}</table:table-row>");
    assert_eq!(reason(&spreadsheet_of(&rows)), "output-limit");

    // More parts than any document has.
    let names: Vec<String> = (0..100_001).map(|number| number.to_string()).collect();
    let mut parts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    parts.push(("xl/workbook.xml", "<workbook/>"));
    assert_eq!(reason(&zip_of(&parts)), "too-large");
}

fn entities_are_not_expanded() {
    let mut entities = "<!ENTITY a0 'lol'>".to_owned();
    for level in 1..10 {
        let before = format!("&a{};", level - 1).repeat(10);
        entities.push_str(&format!("<!ENTITY a{level} '{before}'>"));
    }
    let outside = "<!ENTITY f SYSTEM 'file:///etc/passwd'>";
    let strings = format!(
        "<!DOCTYPE sst [{entities}{outside}]><sst><si><t>plain &a9; &f; &amp;</t></si><si><t>b</t></si></sst>"
    );
    let extraction = extract(&workbook_of(SHEET, &strings), "a").unwrap();
    assert_eq!(extraction.text, "Prices\n\nplain &\t1.5\nb");
}

fn office_files_nested_deeply() {
    let depth = 200_000;
    let nested =
        |open: &str, inside: &str, close: &str| open.repeat(depth) + inside + &close.repeat(depth);
    let table = "<table:table><table:table-row><table:table-cell>";
    let end = "</table:table-cell></table:table-row></table:table>";
    let files = [
        presentation_of(&format!(
            "<p:sld>{}</p:sld>",
            nested(
                "<p:grpSp>",
                "<p:sp><a:p><a:r><a:t>deep</a:t></a:r></a:p></p:sp>",
                "</p:grpSp>"
            )
        )),
        spreadsheet_of(&format!(
            "<table:table-row><table:table-cell>{}</table:table-cell></table:table-row>",
            nested(table, "<text:p>deep</text:p>", end)
        )),
        spreadsheet_of(&format!(
            "<table:table-row><table:table-cell>{}</table:table-cell></table:table-row>",
            nested("<text:p>", "deep", "</text:p>")
        )),
        book_of(&nested("<div>", "deep", "</div>")),
    ];
    for (number, file) in files.iter().enumerate() {
        let extraction = extract(file, "a").unwrap();
        assert!(
            extraction.text.ends_with("deep"),
            "{number}: {}",
            extraction.text
        );
    }
}

/// Paths that climb out of the archive name nothing, and links to elsewhere are not followed.
fn references_that_lead_outside() {
    for target in [
        "../../../../etc/passwd",
        "file:///etc/passwd",
        "/etc/passwd",
    ] {
        let file = zip_of(&[
            (
                "ppt/presentation.xml",
                "<p:presentation><p:sldId r:id='r1'/></p:presentation>",
            ),
            (
                "ppt/_rels/presentation.xml.rels",
                &relations(&[("slide", target)]),
            ),
        ]);
        assert_eq!(extract(&file, "a").unwrap_err().reason(), "damaged-file");
    }
    let external = "<Relationships><Relationship Id='r1' Type='x/hyperlink' Target='http://example.com' TargetMode='External'/></Relationships>";
    let file = zip_of(&[
        (
            "ppt/presentation.xml",
            "<p:presentation><p:sldId r:id='r1'/></p:presentation>",
        ),
        ("ppt/_rels/presentation.xml.rels", external),
    ]);
    assert_eq!(extract(&file, "a").unwrap_err().reason(), "damaged-file");
}
