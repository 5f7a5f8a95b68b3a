//! Excel workbooks: each sheet a page, each row a line, cells separated by tabs.
//!
//! What stands in the cells is what the file says was shown last: formulas are not computed,
//! macros are not looked at, links to other workbooks are not followed.

mod cells;
mod numbers;
mod strings;
mod styles;

use quick_xml::events::Event;

use super::package::{Package, Relation, attribute, relation_id, text_of};
use crate::builder::{Builder, Gap, one_line};
use crate::error::ExtractError;
use crate::limits::Limits;
use cells::Book;
use strings::SharedStrings;

/// The text that Excel leaves in old comments for programs that do not know the new ones.
const COMMENT_FOR_OLD_PROGRAMS: &str = "[Threaded comment]";

#[derive(Debug)]
struct Sheet {
    name: String,
    hidden: bool,
    relation: String,
}

#[derive(Debug, Default)]
struct Workbook {
    sheets: Vec<Sheet>,
    since_1904: bool,
}

pub(super) fn read(
    bytes: &[u8],
    main_part: &str,
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    if let Some(title) = package.title_in("docProps/core.xml") {
        builder.title(&title);
    }
    let workbook = read_workbook(&mut package, main_part, limits)?;
    let relations = package.relations(main_part)?;
    let of_kind = |kind: &str| relations.iter().find(|relation| relation.kind == kind);
    let mut book = Book {
        since_1904: workbook.since_1904,
        ..Book::default()
    };
    if let Some(relation) = of_kind("sharedStrings") {
        book.strings = SharedStrings::read(&mut package, &relation.target)?;
    }
    if let Some(relation) = of_kind("styles") {
        // Without them dates are numbers; that is worth less, but not nothing.
        book.formats = styles::number_formats(&mut package, &relation.target).unwrap_or_default();
    }
    let mut found_text = false;
    for (number, sheet) in (1..).zip(&workbook.sheets) {
        builder.named_page(number, Some(&sheet.name), sheet.hidden);
        let relation = relations
            .iter()
            .find(|relation| relation.id == sheet.relation)
            .ok_or_else(|| ExtractError::damaged("one of its sheets is missing"))?;
        builder.heading(1, &sheet.name)?;
        // Charts and dialogues have no cells.
        if relation.kind == "worksheet" {
            let before = builder.characters();
            read_sheet(&mut package, &relation.target, &book, builder)?;
            found_text |= builder.characters() > before;
        }
    }
    // The names that every new workbook has are no text.
    if found_text {
        Ok(())
    } else {
        Err(ExtractError::NoText)
    }
}

fn read_workbook(
    package: &mut Package<'_>,
    main_part: &str,
    limits: &Limits,
) -> Result<Workbook, ExtractError> {
    let mut workbook = Workbook::default();
    package.read_xml(main_part, |event| {
        let Event::Start(element) = &event else {
            return Ok(());
        };
        match element.local_name().as_ref() {
            b"workbookPr" => {
                let value = attribute(element, b"date1904");
                workbook.since_1904 = value.is_some_and(|value| value == "1" || value == "true");
            }
            b"sheet" => {
                limits.accept_pages(workbook.sheets.len() + 1, "sheets")?;
                let state = attribute(element, b"state");
                workbook.sheets.push(Sheet {
                    name: attribute(element, b"name").unwrap_or_default(),
                    hidden: state.is_some_and(|state| state != "visible"),
                    relation: relation_id(element).unwrap_or_default(),
                });
            }
            _ => {}
        }
        Ok(())
    })?;
    if workbook.sheets.is_empty() {
        return Err(ExtractError::damaged("it is a workbook without sheets"));
    }
    Ok(workbook)
}

/// The cells, then the text boxes, then the comments.
fn read_sheet(
    package: &mut Package<'_>,
    part: &str,
    book: &Book,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    cells::read(package, part, book, builder)?;
    let relations = package.relations(part)?;
    let of_kind = |kind: &'static str| {
        relations.iter().filter(move |relation: &&Relation| {
            relation.kind == kind && !relation.target.is_empty()
        })
    };
    for relation in of_kind("drawing") {
        let drawing = super::drawing::read(package, &relation.target, builder)?;
        drawing.add_to(builder)?;
    }
    for relation in of_kind("threadedComment").chain(of_kind("comments")) {
        read_comments(package, &relation.target, builder)?;
    }
    Ok(())
}

/// Comments of sheets and of slides: each a paragraph.
pub(super) fn read_comments(
    package: &mut Package<'_>,
    part: &str,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut inside = false;
    let mut comment = String::new();
    package.read_xml(part, |event| {
        match &event {
            Event::Start(element) if element.local_name().as_ref() == b"text" => {
                inside = true;
                comment.clear();
            }
            Event::End(element) if element.local_name().as_ref() == b"text" => {
                inside = false;
                let comment = one_line(&comment);
                if !comment.starts_with(COMMENT_FOR_OLD_PROGRAMS) {
                    return builder.block(Gap::Paragraph, &comment);
                }
            }
            _ if inside => comment.push_str(&text_of(&event)),
            _ => {}
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{pages, read, reason, relations, zip_of};
    use crate::{Format, Limits, extract_here};

    const WORKBOOK: &str = "<workbook xmlns:r='r'><sheets><sheet name='Plan &amp; cost' sheetId='7' r:id='r1'/>\
        <sheet name='Old' state='hidden' sheetId='8' r:id='r2'/></sheets></workbook>";
    const STRINGS: &str = "<sst><si><t>Item</t></si><si><r><t>in </t></r><r><t>two runs</t></r><rPh sb='0'><t>reading</t></rPh></si>\
        <si><t>a_x000D_\nb</t></si></sst>";
    const STYLES: &str = "<styleSheet><numFmts><numFmt numFmtId='164' formatCode='d.m.yyyy'/></numFmts>\
        <cellStyleXfs><xf numFmtId='14'/></cellStyleXfs>\
        <cellXfs><xf numFmtId='0'/><xf numFmtId='164'/><xf numFmtId='10'/></cellXfs></styleSheet>";
    const SHEET: &str = "<worksheet><sheetData>\
        <row r='1'><c r='A1' t='s'><v>0</v></c><c r='C1' t='s'><v>1</v></c></row>\
        <row r='2'><c r='A2'><v>0.30000000000000004</v></c><c r='B2' s='1'><v>46082</v></c><c r='C2' s='2'><v>0.07</v></c></row>\
        <row r='5'><c r='A5' t='b'><v>1</v></c><c t='e'><v>#DIV/0!</v></c><c t='str'><f>A1&amp;\"x\"</f><v>computed</v></c>\
        <c t='inlineStr'><is><t>inline</t><rPh><t>no</t></rPh></is></c><c r='XFD5' t='s'><v>2</v></c></row>\
        <row><c t='d'><v>2026-03-01T00:00:00</v></c></row><row r='9'/></sheetData></worksheet>";

    fn parts<'a>(relations: &'a str, sheet: &'a str) -> [(&'a str, &'a str); 7] {
        [
            ("xl/workbook.xml", WORKBOOK),
            ("xl/_rels/workbook.xml.rels", relations),
            ("xl/SharedStrings.xml", STRINGS),
            ("xl/styles.xml", STYLES),
            ("xl/worksheets/sheet1.xml", sheet),
            (
                "xl/worksheets/sheet2.xml",
                "<worksheet><sheetData><row><c t='inlineStr'><is><t>舊</t></is></c></row></sheetData></worksheet>",
            ),
            (
                "xl/comments1.xml",
                "<comments><comment><text><r><t>Who </t></r><r><t>says?</t></r></text></comment>\
                 <comment><text><t>[Threaded comment] old</t></text></comment></comments>",
            ),
        ]
    }

    fn workbook_relations() -> String {
        relations(&[
            ("worksheet", "worksheets/sheet1.xml"),
            ("worksheet", "/xl/worksheets/sheet2.xml"),
            ("sharedStrings", "sharedStrings.xml"),
            ("styles", "styles.xml"),
        ])
    }

    #[test]
    fn sheets_are_pages_and_rows_are_lines() {
        let workbook = workbook_relations();
        let sheet = relations(&[("comments", "../comments1.xml")]);
        let mut all = parts(&workbook, SHEET).to_vec();
        all.push(("xl/worksheets/_rels/sheet1.xml.rels", &sheet));
        let extraction = read(&all).unwrap();
        assert_eq!(extraction.format, Format::Xlsx);
        assert_eq!(extraction.title, None);
        assert_eq!(
            pages(&extraction),
            [
                (
                    Some("Plan & cost"),
                    false,
                    "Plan & cost\n\nItem\t\tin two runs\n0.3\t2026-03-01\t7%\n\n\
                     TRUE\t#DIV/0!\tcomputed\tinline\t\t\t\t\t\t\t\ta b\n2026-03-01T00:00:00\n\nWho says?"
                        .to_owned()
                ),
                (Some("Old"), true, "Old\n\n舊".to_owned()),
            ]
        );
        assert_eq!(extraction.sections[0].title, "Plan & cost");
    }

    #[test]
    fn what_refers_to_nothing_is_damage() {
        let workbook = workbook_relations();
        for value in ["3", "-1", "99999999999999999999", "x"] {
            let sheet = format!(
                "<worksheet><sheetData><row><c t='s'><v>{value}</v></c></row></sheetData></worksheet>"
            );
            assert_eq!(reason(&parts(&workbook, &sheet)), "damaged-file", "{value}");
        }
        let missing = relations(&[("worksheet", "worksheets/sheet1.xml")]);
        assert_eq!(reason(&parts(&missing, SHEET)), "damaged-file");
        let elsewhere = relations(&[("worksheet", "a.xml"), ("worksheet", "b.xml")]);
        assert_eq!(reason(&parts(&elsewhere, SHEET)), "damaged-file");
        let cut = &SHEET[..SHEET.len() / 2];
        assert_eq!(reason(&parts(&workbook, cut)), "damaged-file");
    }

    #[test]
    fn a_long_text_that_every_cell_names() {
        let strings = format!("<sst><si><t>{}</t></si></sst>", "long ".repeat(20_000));
        let cells = "<c t='s'><v>0</v></c>".repeat(10_000);
        let sheet = format!("<worksheet><sheetData><row>{cells}</row></sheetData></worksheet>");
        let workbook = workbook_relations();
        let mut all = parts(&workbook, &sheet);
        all[2].1 = &strings;
        assert_eq!(reason(&all), "output-limit");
    }

    #[test]
    fn a_workbook_that_was_never_filled() {
        let empty = "<worksheet><sheetData/></worksheet>";
        let workbook = workbook_relations();
        let mut all = parts(&workbook, empty);
        all[5].1 = empty;
        assert_eq!(reason(&all), "no-text");
    }

    #[test]
    fn more_sheets_than_pages_are_accepted() {
        let workbook = workbook_relations();
        let limits = Limits {
            pages: 1,
            ..Limits::default()
        };
        let error = extract_here(&zip_of(&parts(&workbook, SHEET)), "a", &limits).unwrap_err();
        assert_eq!(error.reason(), "too-large");
    }
}
