//! PowerPoint presentations: each slide a page, its title a heading, its notes behind it.

use quick_xml::events::Event;

use super::package::{Package, Relation, relation_id};
use super::{drawing, xlsx};
use crate::builder::Builder;
use crate::error::ExtractError;
use crate::limits::Limits;

/// What belongs to a slide and stands in parts of its own, in the order in which it is read.
const BESIDE_A_SLIDE: &[&str] = &["diagramData", "notesSlide"];
/// The beginning of what PowerPoint calls a presentation that nobody gave a title.
const TITLE_BY_DEFAULT: &str = "PowerPoint ";

pub(super) fn read(
    bytes: &[u8],
    main_part: &str,
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    let title = package.title_in("docProps/core.xml");
    if let Some(title) = title.filter(|title| !title.starts_with(TITLE_BY_DEFAULT)) {
        builder.title(&title);
    }
    let slides = slide_relations(&mut package, main_part, limits)?;
    let relations = package.relations(main_part)?;
    for (number, slide) in (1..).zip(&slides) {
        let relation = relations.iter().find(|relation| relation.id == *slide);
        let part = relation.ok_or_else(|| ExtractError::damaged("one of its slides is missing"))?;
        read_slide(&mut package, &part.target, number, builder)?;
    }
    Ok(())
}

/// By which relations the slides are found, in the order in which they are shown.
fn slide_relations(
    package: &mut Package<'_>,
    main_part: &str,
    limits: &Limits,
) -> Result<Vec<String>, ExtractError> {
    let mut slides = Vec::new();
    package.read_xml(main_part, |event| {
        let Event::Start(element) = &event else {
            return Ok(());
        };
        if element.local_name().as_ref() == b"sldId"
            && let Some(id) = relation_id(element)
        {
            limits.accept_pages(slides.len() + 1, "slides")?;
            slides.push(id);
        }
        Ok(())
    })?;
    Ok(slides)
}

fn read_slide(
    package: &mut Package<'_>,
    part: &str,
    number: u32,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let slide = drawing::read(package, part, builder)?;
    builder.named_page(number, slide.title().as_deref(), slide.hidden);
    slide.add_to(builder)?;
    let relations = package.relations(part)?;
    let of_kind = |kind: &'static str| {
        relations
            .iter()
            .filter(move |relation: &&Relation| relation.kind == kind)
    };
    for &kind in BESIDE_A_SLIDE {
        for relation in of_kind(kind) {
            drawing::read(package, &relation.target, builder)?.add_to(builder)?;
        }
    }
    for relation in of_kind("comments") {
        // Newer comments have paragraphs as shapes have them.
        xlsx::read_comments(package, &relation.target, builder)?;
        drawing::read(package, &relation.target, builder)?.add_to(builder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{pages, read, reason, relations};
    use crate::Format;

    const PRESENTATION: &str = "<p:presentation xmlns:p='p' xmlns:r='r'><p:sldIdLst><p:sldId id='256' r:id='r2'/>\
        <p:sldId id='257' r:id='r1'/></p:sldIdLst></p:presentation>";

    fn shape(kind: &str, paragraphs: &str) -> String {
        format!(
            "<p:sp><p:nvSpPr><p:nvPr><p:ph type='{kind}'/></p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"
        )
    }

    fn slide(attributes: &str, shapes: &str) -> String {
        format!(
            "<p:sld xmlns:p='p' xmlns:a='a' {attributes}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    }

    #[test]
    fn slides_are_pages_with_their_notes() {
        let table = "<p:graphicFrame><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>a</a:t></a:r></a:p><a:p><a:r><a:t>b</a:t></a:r></a:p></a:txBody></a:tc>\
            <a:tc><a:txBody><a:p><a:r><a:t>c</a:t></a:r></a:p></a:txBody></a:tc></a:tr>\
            <a:tr><a:tc><a:txBody><a:p/></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>d</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>";
        let first = slide(
            "",
            &[
                shape("body", "<a:p><a:r><a:t>One </a:t></a:r><a:r><a:t>run</a:t></a:r></a:p><a:p><a:r><a:t>둘째</a:t></a:r><a:br/><a:r><a:t>x</a:t></a:r></a:p>"),
                shape("title", "<a:p><a:r><a:t>The</a:t></a:r></a:p><a:p><a:r><a:t>title</a:t></a:r></a:p>"),
                shape("sldNum", "<a:p><a:fld type='slidenum'><a:t>1</a:t></a:fld></a:p>"),
                shape("ftr", "<a:p><a:r><a:t>Footer</a:t></a:r></a:p>"),
                "<mc:AlternateContent><mc:Choice><p:sp><a:p><a:r><a:t>Once</a:t></a:r></a:p></p:sp></mc:Choice>\
                 <mc:Fallback><p:sp><a:p><a:r><a:t>Once</a:t></a:r></a:p></p:sp></mc:Fallback></mc:AlternateContent>".to_owned(),
                table.to_owned(),
            ]
            .concat(),
        );
        let second = slide(
            "show='0'",
            &shape("body", "<a:p><a:r><a:t>Hidden</a:t></a:r></a:p>"),
        );
        let notes = slide(
            "",
            &(shape("sldImg", "") + &shape("body", "<a:p><a:r><a:t>Say this.</a:t></a:r></a:p>")),
        );
        let diagram = "<dgm:dataModel xmlns:dgm='d' xmlns:a='a'><dgm:pt><dgm:t> <a:p><a:r><a:t>Step</a:t></a:r></a:p> </dgm:t></dgm:pt></dgm:dataModel>";
        let comments = "<p:cmLst xmlns:p='p'><p:cm><p:text>Is it?</p:text></p:cm></p:cmLst>";
        let extraction = read(&[
            ("ppt/presentation.xml", PRESENTATION),
            (
                "ppt/_rels/presentation.xml.rels",
                &relations(&[
                    ("slide", "slides/slide2.xml"),
                    ("slide", "slides/slide1.xml"),
                ]),
            ),
            ("ppt/slides/slide1.xml", &first),
            (
                "ppt/slides/_rels/slide1.xml.rels",
                &relations(&[
                    ("notesSlide", "../notesSlides/n.xml"),
                    ("comments", "../comments/c.xml"),
                    ("diagramData", "../diagrams/d.xml"),
                ]),
            ),
            ("ppt/slides/slide2.xml", &second),
            ("ppt/notesSlides/n.xml", &notes),
            ("ppt/diagrams/d.xml", diagram),
            ("ppt/comments/c.xml", comments),
        ])
        .unwrap();
        assert_eq!(extraction.format, Format::Pptx);
        assert_eq!(extraction.title.as_deref(), Some("The title"));
        assert_eq!(
            pages(&extraction),
            [
                (
                    Some("The title"),
                    false,
                    "The title\n\nOne run\n둘째\nx\n\nOnce\n\na b\tc\nd\n\nStep\n\nSay this.\n\nIs it?"
                        .to_owned()
                ),
                (None, true, "Hidden".to_owned()),
            ]
        );
    }

    #[test]
    fn a_slide_that_is_missing() {
        let relations = relations(&[("slide", "slides/slide1.xml"), ("slide", "no.xml")]);
        let slide = slide("", "");
        let parts = [
            ("ppt/presentation.xml", PRESENTATION),
            ("ppt/_rels/presentation.xml.rels", relations.as_str()),
            ("ppt/slides/slide1.xml", slide.as_str()),
        ];
        assert_eq!(reason(&parts), "damaged-file");
        assert_eq!(reason(&parts[..1]), "damaged-file");
    }
}
