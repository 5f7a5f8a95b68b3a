//! Archives: bombs, lies of the table of contents, what is encrypted, what is cut off.

use super::Case;
use super::make::{DOCUMENT_END, DOCUMENT_START, Entry, archive_of, archive_of_many, deflated};
use crate::office;
use crate::samples::zip_of;

const PARAGRAPH: &str = "<w:p><w:r><w:t>Plain text.</w:t></w:r></w:p>";
const GIGABYTE: u64 = 1 << 30;

fn document(inside: &str) -> String {
    format!("{DOCUMENT_START}{inside}{DOCUMENT_END}")
}

pub(super) fn word(inside: &str) -> Vec<u8> {
    zip_of(&[("word/document.xml", &document(inside))])
}

fn text_document(inside: &str) -> Vec<u8> {
    let content = format!(
        "<office:document-content><office:body><office:text>{inside}</office:text></office:body></office:document-content>"
    );
    zip_of(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("content.xml", &content),
    ])
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = bombs();
    cases.extend(lies());
    cases.extend(without_text());
    cases.extend(cut_off());
    cases
}

/// A gigabyte of what `piece` says, in a Word document.
fn gigabyte(piece: &'static str) -> Vec<u8> {
    let content = deflated(DOCUMENT_START, piece, GIGABYTE, DOCUMENT_END);
    let size = GIGABYTE as u32;
    archive_of(&[Entry::deflated("word/document.xml", content, size)])
}

fn bombs() -> Vec<Case> {
    vec![
        Case::ends(
            "a gigabyte of text in a Word document",
            "output-limit",
            || gigabyte("<w:p><w:r><w:t>A line of text in it</w:t></w:r></w:p>           "),
        )
        .small(),
        Case::ends("a gigabyte in one paragraph", "too-large", || {
            let start = format!("{DOCUMENT_START}<w:p><w:r><w:t>");
            let piece = "A word of a text that never ends and never begins a new line of ";
            let content = deflated(&start, piece, GIGABYTE, DOCUMENT_END);
            archive_of(&[Entry::deflated("word/document.xml", content, u32::MAX)])
        }),
        Case::ends(
            "a gigabyte of markup in a Word document",
            "too-large",
            || gigabyte("<w:p><w:pPr><w:jc w:val='both'/></w:pPr></w:p>                  "),
        )
        .small(),
        Case::ends("a gigabyte of blanks", "too-large", || {
            gigabyte("                                                                ")
        }),
        Case::ends("a gigabyte in one chapter", "too-large", || {
            let chapter = deflated("<html><body>", "<p> </p>".repeat(8).as_str(), GIGABYTE, "");
            archive_of(&[
                Entry::stored("mimetype", "application/epub+zip"),
                Entry::stored("META-INF/container.xml", office::CONTAINER),
                Entry::stored("c.opf", office::PACKAGE),
                Entry::deflated("a.xhtml", chapter, 1000),
            ])
        }),
        Case::ends("a gigabyte of relations", "too-large", || {
            let relations = deflated(
                "<Relationships>",
                &format!("{:64}", "<Other/>"),
                GIGABYTE,
                "",
            );
            archive_of(&[
                Entry::stored(
                    "xl/workbook.xml",
                    "<workbook><sheets><sheet name='a'/></sheets></workbook>",
                ),
                Entry::deflated("xl/_rels/workbook.xml.rels", relations, 0),
            ])
        })
        .small(),
        Case::says("styles without end", "Plain text.", || {
            let styles = deflated(
                "<w:styles>",
                "<w:style w:styleId='aaaa'></w:style>                            ",
                1 << 28,
                "",
            );
            archive_of(&[
                Entry::stored("word/document.xml", &document(PARAGRAPH)),
                Entry::deflated("word/styles.xml", styles, 0),
            ])
        })
        .small(),
        Case::ends("open paragraphs without end", "output-limit", || {
            word(&"<w:p>".repeat(100_000))
        })
        .small(),
        Case::ends("cells without end", "output-limit", || {
            word(&format!(
                "<w:tbl><w:tr>{}</w:tr></w:tbl>",
                "<w:tc></w:tc>".repeat(200_000)
            ))
        })
        .small(),
        Case::ends("boxes without end", "output-limit", || {
            word(&format!(
                "<w:p>{}</w:p>",
                "<w:p><w:r><w:t>x</w:t></w:r></w:p>".repeat(100_000)
            ))
        })
        .small(),
        Case::ends("notes without end", "output-limit", || {
            text_document(&format!(
                "<text:p>{}</text:p>",
                "<text:p>x</text:p>".repeat(100_000)
            ))
        })
        .small(),
        Case::ends("an e-book of too many items", "too-large", || {
            let items: String = (0..100_001)
                .map(|number| format!("<item id='{number}'/>"))
                .collect();
            zip_of(&[
                ("mimetype", "application/epub+zip"),
                ("META-INF/container.xml", office::CONTAINER),
                (
                    "c.opf",
                    &format!("<package><manifest>{items}</manifest></package>"),
                ),
            ])
        }),
        // The inner archive stays closed.
        Case::says("an archive in an archive", "Plain text.", || {
            let bomb = gigabyte("<w:p><w:r><w:t>A line of text in it</w:t></w:r></w:p>           ");
            let size = bomb.len() as u32;
            archive_of(&[
                Entry::stored("word/document.xml", &document(PARAGRAPH)),
                Entry {
                    content: bomb,
                    size,
                    ..Entry::stored("word/embeddings/inner.docx", "")
                },
            ])
        }),
        Case::ends("archives in archives", "unsupported-format", || {
            (0..20).fold(word(PARAGRAPH), |inner, _| {
                archive_of(&[Entry {
                    size: inner.len() as u32,
                    content: inner,
                    ..Entry::stored("inner.zip", "")
                }])
            })
        }),
        // Both parts are the same bytes, each is unpacked only when it is asked for, and counted.
        Case::ends("parts that lie over each other", "too-large", || {
            let styles = deflated("<a>", &" ".repeat(64), 5 << 20, "</a>");
            let mut entries = vec![Entry::deflated("word/footnotes.xml", styles, 0)];
            for name in ["word/endnotes.xml", "word/styles.xml", "docProps/core.xml"] {
                entries.push(Entry {
                    same_as: Some(0),
                    ..Entry::stored(name, "")
                });
            }
            entries.push(Entry::stored("word/document.xml", &document(PARAGRAPH)));
            archive_of(&entries)
        })
        .small(),
        Case::ends("a million parts", "too-large", || {
            archive_of_many(1_000_000)
        }),
        Case::ends(
            "a cell far out, and one long column",
            "output-limit",
            || {
                let rows = "<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>".repeat(150_000);
                let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
                let strings = format!("<sst><si><t>{}</t></si></sst>", "long ".repeat(100));
                office::workbook_of(&sheet.replace("<v>", "<v>12345678901"), &strings)
            },
        )
        .small(),
    ]
}

/// What the table of contents says is not so.
fn lies() -> Vec<Case> {
    vec![
        Case::says("one cell at the end of the sheet", "Prices\n\n7", || {
            let sheet = "<worksheet><dimension ref='A1:XFD1048576'/><sheetData><row r='1048576' spans='1:16384'><c r='XFD1048576'><v>7</v></c></row></sheetData></worksheet>";
            office::workbook_of(sheet, office::STRINGS)
        }),
        Case::says("names that climb and names that beep", "Plain text.", || {
            zip_of(&[
                ("../../../../etc/passwd", "root:x"),
                ("..\\..\\windows\\system.ini", "x"),
                ("/absolute", "x"),
                ("a\u{7}\u{1b}[2J\u{202e}\0name", "x"),
                ("word/document.xml", &document(PARAGRAPH)),
                (&"long/".repeat(10_000), "x"),
            ])
        }),
        Case::ends("a part that is missing and has a terrible name", "damaged-file", || {
            let name = format!("\u{1b}[2J\u{202e}gpj.{}\u{7}", "x".repeat(100_000));
            let escaped = name.replace('\u{1b}', "&#x1b;").replace('\u{7}', "&#7;");
            zip_of(&[
                ("ppt/presentation.xml", "<p:presentation><p:sldId r:id='r1'/></p:presentation>"),
                ("ppt/_rels/presentation.xml.rels", &office::relations(&[("slide", &escaped)])),
            ])
        }),
        Case::says("another name at the content", "Plain text.", || {
            let mut entry = Entry::stored("word/document.xml", &document(PARAGRAPH));
            entry.other_name = Some(b"../../etc/passwd".to_vec());
            archive_of(&[entry])
        }),
        Case::ends("a part that says it is encrypted", "encrypted", || {
            let mut entry = Entry::stored("word/document.xml", &document(PARAGRAPH));
            entry.flags = 1;
            archive_of(&[entry])
        }),
        Case::ends("a part packed in a way that nobody knows", "damaged-file", || {
            let mut entry = Entry::stored("word/document.xml", &document(PARAGRAPH));
            entry.method = 77;
            archive_of(&[entry])
        }),
        Case::ends("a checksum that is wrong", "damaged-file", || {
            let mut file = archive_of(&[Entry::stored("word/document.xml", &document(PARAGRAPH))]);
            let at = file.windows(5).position(|bytes| bytes == b"Plain").unwrap();
            file[at] = b'B';
            file
        }),
        Case::says("macros in a workbook", "Prices\n\nPrice of the boat\t1.5\n가격", || {
            let mut entries: Vec<Entry> = [
                ("xl/workbook.xml", "<workbook xmlns:r='r'><sheets><sheet name='Prices' r:id='r1'/></sheets></workbook>"),
                ("xl/sharedStrings.xml", office::STRINGS),
                ("xl/worksheets/sheet1.xml", office::SHEET),
                ("xl/vbaProject.bin", "\u{1}Attribut\0e VB_Name = Module1\r\nSub Auto_Open()\r\nShell \"calc\""),
                ("xl/macrosheets/sheet1.xml", "<xm:macrosheet><sheetData><row><c t='str'><f>EXEC(\"calc\")</f><v>macro</v></c></row></sheetData></xm:macrosheet>"),
            ]
            .iter()
            .map(|(name, content)| Entry::stored(name, content))
            .collect();
            let relations = office::relations(&[
                ("worksheet", "worksheets/sheet1.xml"),
                ("sharedStrings", "sharedStrings.xml"),
                ("vbaProject", "vbaProject.bin"),
                ("xlMacrosheet", "macrosheets/sheet1.xml"),
            ]);
            entries.push(Entry::stored("xl/_rels/workbook.xml.rels", &relations));
            archive_of(&entries)
        })
        .named("a.xlsm"),
        Case::reads("a title of a megabyte, with everything in it", has_a_short_title, || {
            let title = format!("&#x202e;The&#x2066; &#7;title{}", " and more".repeat(120_000));
            let core = format!("<cp:coreProperties><dc:title>{title}</dc:title></cp:coreProperties>");
            zip_of(&[("word/document.xml", &document(PARAGRAPH)), ("docProps/core.xml", &core)])
        }),
        Case::reads("names of sheets with controls in them", |extraction| {
            extraction.pages.len() == 1 && extraction.pages[0].name.as_deref().is_some_and(|name| name.starts_with("Evil name xx"))
        }, || {
            let name = format!("Evil&#x202e;&#7;\u{feff} name&#10;{}", "x".repeat(1 << 20));
            let workbook = format!("<workbook xmlns:r='r'><sheets><sheet name='{name}' r:id='r1'/></sheets></workbook>");
            zip_of(&[
                ("xl/workbook.xml", &workbook),
                ("xl/_rels/workbook.xml.rels", &office::relations(&[("worksheet", "a.xml")])),
                ("xl/a.xml", "<worksheet><sheetData><row><c><v>7</v></c></row></sheetData></worksheet>"),
            ])
        }),
    ]
}

fn has_a_short_title(extraction: &millrace_text::Extraction) -> bool {
    let title = extraction.title.as_deref().unwrap_or_default();
    extraction.text == "Plain text."
        && title.starts_with("The title and more")
        && title.chars().count() <= 200
}

fn without_text() -> Vec<Case> {
    vec![
        Case::ends("an encrypted Office file", "encrypted", || {
            compound_file(&["EncryptionInfo", "EncryptedPackage"])
        })
        .named("a.docx"),
        Case::ends("an old Word document", "unsupported-format", || {
            compound_file(&["1Table", "WordDocument"])
        })
        .named("a.docx"),
        Case::ends("an empty archive", "unsupported-format", || archive_of(&[])),
        Case::ends("a document of pictures", "no-text", || {
            word("<w:p><w:r><w:drawing/></w:r></w:p>")
        }),
        Case::ends("an encrypted OpenDocument file", "encrypted", || {
            let manifest = "<manifest:manifest><manifest:file-entry manifest:full-path='content.xml'><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
            zip_of(&[
                ("mimetype", "application/vnd.oasis.opendocument.text"),
                ("content.xml", "\u{1}\u{2}noise"),
                ("META-INF/manifest.xml", manifest),
            ])
        }),
    ]
}

/// The file system in a file that old Office documents are, and encrypted new ones: a header, a
/// table of sectors, a directory with these streams.
fn compound_file(streams: &[&str]) -> Vec<u8> {
    const END: u32 = 0xffff_fffe;
    const FREE: u32 = 0xffff_ffff;
    let mut header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    header.extend([0; 16]);
    for number in [0x3e_u16, 3, 0xfffe, 9, 6] {
        header.extend(number.to_le_bytes());
    }
    header.extend([0; 10]);
    for number in [1_u32, 1, 0, 4096, END, 0, END, 0, 0] {
        header.extend(number.to_le_bytes());
    }
    header.resize(512, 0xff);
    let mut table = Vec::new();
    for number in [0xffff_fffd, END] {
        table.extend(u32::to_le_bytes(number));
    }
    table.resize(512, 0xff);
    let mut directory = Vec::new();
    for (name, kind) in
        std::iter::once((&"Root Entry", 5)).chain(streams.iter().map(|name| (name, 2)))
    {
        let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = entry.len() as u16 + 2;
        entry.resize(64, 0);
        entry.extend(length.to_le_bytes());
        entry.extend([kind, 1]);
        entry.extend([FREE; 3].iter().flat_map(|number| number.to_le_bytes()));
        entry.resize(128, 0);
        directory.extend(entry);
    }
    directory.resize(512, 0);
    [header, table, directory].concat()
}

/// What it is, and an honest one.
type Kind = (&'static str, fn() -> Vec<u8>);

/// Each kind of archive, cut at several places.
fn cut_off() -> Vec<Case> {
    let kinds: [Kind; 6] = [
        ("a Word document, cut off", || word(PARAGRAPH)),
        ("a workbook, cut off", office::workbook),
        ("a presentation, cut off", office::presentation),
        ("a spreadsheet, cut off", office::spreadsheet),
        ("an OpenDocument text, cut off", || {
            text_document("<text:p>x</text:p>")
        }),
        ("an e-book, cut off", office::book),
    ];
    let mut cases = Vec::new();
    for (what, whole) in kinds {
        for keep in [5, 30, 60, 95] {
            cases.push(Case::ends(what, "damaged-file", move || {
                let file = whole();
                file[..file.len() * keep / 100].to_vec()
            }));
        }
    }
    cases
}
