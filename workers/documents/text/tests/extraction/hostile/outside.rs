//! What a file refers to outside of itself is not followed: nobody connects, no file is read.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use crate::office;
use crate::samples::{extract, zip_of};

/// Where nobody listens, for cases that only must not wait for an answer.
pub(super) const CANARY_NOWHERE: &str = "http://127.0.0.1:9/canary";
const CANARY: &str = "the canary sings";

/// A file's name, and what refers from it to `at`.
fn files(at: &str) -> Vec<(&'static str, Vec<u8>)> {
    let external = |kind: &str| {
        format!(
            "<Relationship Id='x{kind}' Type='http://x/relationships/{kind}' Target='{at}' TargetMode='External'/>"
        )
    };
    let inside = |kind: &str| {
        format!("<Relationship Id='i{kind}' Type='http://x/relationships/{kind}' Target='{at}'/>")
    };
    let kinds = [
        "attachedTemplate",
        "aFChunk",
        "image",
        "hyperlink",
        "oleObject",
        "frame",
        "subDocument",
        "externalLink",
        "video",
        "footnotes",
        "comments",
    ];
    let relations: String = kinds
        .iter()
        .map(|kind| external(kind) + &inside(kind))
        .collect();
    let relations = |own: &str| format!("<Relationships>{own}{relations}</Relationships>");
    let entity = format!(
        "<!DOCTYPE x PUBLIC '-//x' '{at}' [<!ENTITY % p SYSTEM '{at}'> %p; <!ENTITY e SYSTEM '{at}'>]>"
    );
    let body = format!(
        "<w:document xmlns:r='r'><w:body><w:p><w:r><w:t>Honest &e;text.</w:t></w:r><w:r><w:instrText>INCLUDETEXT \"{at}\"</w:instrText></w:r></w:p>\
         <w:altChunk r:id='xaFChunk'/><w:subDoc r:id='xsubDocument'/></w:body></w:document>"
    );
    let slide = "<p:sld xmlns:r='r'><p:pic><a:blip r:link='ximage'/></p:pic><p:sp><a:p><a:r><a:t>Honest text.</a:t></a:r></a:p></p:sp></p:sld>";
    let sheet = format!(
        "<worksheet><sheetData><row><c t='str'><f>WEBSERVICE(\"{at}\")</f><v>Honest text.</v></c></row></sheetData></worksheet>"
    );
    let slide_relation = office::relations(&[("slide", "slides/slide1.xml")]);
    let sheet_relation = office::relations(&[("worksheet", "a.xml")]);
    let strip = |xml: &str| {
        xml.replace("<Relationships>", "")
            .replace("</Relationships>", "")
    };
    let text = format!(
        "{entity}<office:document-content><office:body><office:text><text:p>Honest &e;text.</text:p><draw:frame><draw:image xlink:href='{at}' xlink:actuate='onLoad'/></draw:frame>\
         <text:section><text:section-source xlink:href='{at}'/></text:section></office:text></office:body></office:document-content>"
    );
    let html = format!(
        "<base href='{at}'><link rel=stylesheet href='{at}'><meta http-equiv=refresh content='0;url={at}'><script src='{at}'></script>\
         <iframe src='{at}'></iframe><object data='{at}'></object><img src='{at}'><p>Honest text."
    );
    let svg = format!("<image href='{at}'/><use href='{at}#a'/><text>Honest &e;text.</text>");
    vec![
        ("a.docx", zip_of(&[
            ("word/document.xml", &format!("{entity}{body}")),
            ("word/_rels/document.xml.rels", &relations("")),
            ("word/_rels/settings.xml.rels", &relations("")),
        ])),
        ("a.pptx", zip_of(&[
            ("ppt/presentation.xml", "<p:presentation xmlns:r='r'><p:sldId r:id='r1'/></p:presentation>"),
            ("ppt/_rels/presentation.xml.rels", &relations(&strip(&slide_relation))),
            ("ppt/slides/slide1.xml", &format!("{entity}{slide}")),
            ("ppt/slides/_rels/slide1.xml.rels", &format!("<Relationships>{}{}</Relationships>", external("image"), external("notesSlide"))),
        ])),
        ("a.xlsx", zip_of(&[
            ("xl/workbook.xml", "<workbook xmlns:r='r'><sheets><sheet name='1' r:id='r1'/></sheets><externalReferences/></workbook>"),
            ("xl/_rels/workbook.xml.rels", &relations(&strip(&sheet_relation))),
            ("xl/a.xml", &sheet),
        ])),
        ("a.odt", zip_of(&[("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", &text)])),
        ("a.epub", office::book_of(&format!("<?xml version='1.0'?>{entity}<html><body>{html}</body></html>"))),
        ("a.html", format!("<!doctype html>{html}").into_bytes()),
        ("a.md", format!("Honest text. ![]({at}) [x]: {at}\n\n<img src='{at}'>").into_bytes()),
        ("a.xml", format!("<?xml version='1.0'?><?xml-stylesheet href='{at}'?>{entity}<a><xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{at}'/>Honest &e;text.</a>").into_bytes()),
        ("a.svg", format!("<?xml version='1.0'?>{entity}<svg xmlns='http://www.w3.org/2000/svg'>{svg}</svg>").into_bytes()),
        ("a.rtf", format!("{{\\rtf1{{\\*\\template {at}}}{{\\field{{\\*\\fldinst INCLUDEPICTURE \"{at}\"}}{{\\fldrslt Honest text.}}}}}}").into_bytes()),
        ("a.eml", format!("From: a\nDate: b\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n<html>{html}\n--b\nContent-Type: message/external-body; access-type=URL; URL=\"{at}\"\n\n--b--\n").into_bytes()),
        ("a.pdf", pdf(at)),
    ]
}

fn pdf(at: &str) -> Vec<u8> {
    use super::make::{pdf_of_objects, stream};
    let action = format!("<</S/URI/URI({at})/Next<</S/GoToR/F({at})/D[0/Fit]>>>>");
    let page = format!(
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents[5 0 R 6 0 R]/Resources<</Font<</F1 4 0 R>>>>/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A{action}>>]/AA<</O{action}>>>>"
    );
    let objects = [
        format!("<</Type/Catalog/Pages 2 0 R/OpenAction{action}>>").into_bytes(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        page.into_bytes(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_vec(),
        stream("", b"BT /F1 11 Tf 60 780 Td (Honest text.) Tj ET"),
        // The stream's content is said to be in another file.
        stream(&format!("/F({at})"), b""),
    ];
    pdf_of_objects(&objects)
}

/// Accepts what has come; how many that were.
fn connections(listener: &TcpListener) -> usize {
    let mut count = 0;
    loop {
        match listener.accept() {
            Ok(_) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(super) fn nothing_is_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    // That it would be seen.
    drop(TcpStream::connect(address).unwrap());
    let seen = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        connections(&listener) == 1
    });
    assert!(seen);

    let folder = tempfile();
    let canary = folder.join("canary.xml");
    std::fs::write(&canary, format!("<a>{CANARY}</a>")).unwrap();
    let path = canary.display().to_string();
    for at in [
        format!("http://{address}/canary"),
        format!("ftp://{address}/canary"),
        format!("\\\\{address}\\canary"),
        format!("file://{path}"),
        path,
    ] {
        for (name, file) in files(&at) {
            let extraction = extract(&file, name);
            // Parts that refer to what is not in the archive may make it a damaged one.
            let extraction = extraction.unwrap_or_else(|error| panic!("{name} {at}: {error}"));
            assert!(
                extraction.text.contains("Honest text."),
                "{name} {at}: {}",
                extraction.text
            );
            assert!(!extraction.text.contains(CANARY), "{name} {at}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(connections(&listener), 0);
}

fn tempfile() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("millrace-canary-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
