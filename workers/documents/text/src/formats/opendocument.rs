//! OpenDocument texts, spreadsheets and presentations. They differ in what is around their
//! paragraphs and tables, so one reader reads all three.

mod body;
mod table;

use quick_xml::events::Event;

use super::package::Package;
use crate::builder::Builder;
use crate::error::ExtractError;
use crate::limits::Limits;

const MANIFEST: &str = "META-INF/manifest.xml";
const CONTENT: &str = "content.xml";

pub(super) fn read(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    if is_encrypted(&mut package) {
        return Err(ExtractError::Encrypted);
    }
    if let Some(title) = package.title_in("meta.xml") {
        builder.title(&title);
    }
    let mut body = body::Body::new(builder, limits);
    package.read_xml(CONTENT, |event| body.take(&event))?;
    body.finish()
}

/// Whether the manifest says how parts are encrypted. Names and the manifest itself never are.
fn is_encrypted(package: &mut Package<'_>) -> bool {
    let mut encrypted = false;
    // A broken manifest is no obstacle: the text does not need it.
    let _ = package.read_xml(MANIFEST, |event| {
        if let Event::Start(element) = &event {
            encrypted |= element.local_name().as_ref() == b"encryption-data";
        }
        Ok(())
    });
    encrypted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{pages, read, reason};
    use crate::{Extraction, Format};

    const TEXT: &str = "application/vnd.oasis.opendocument.text";
    const SHEETS: &str = "application/vnd.oasis.opendocument.spreadsheet";
    const SLIDES: &str = "application/vnd.oasis.opendocument.presentation";

    fn document(styles: &str, body: &str) -> String {
        format!(
            "<office:document-content xmlns:office='o'><office:automatic-styles>{styles}</office:automatic-styles>\
             <office:body>{body}</office:body></office:document-content>"
        )
    }

    fn read_content(media_type: &str, content: &str) -> Extraction {
        let meta = "<office:document-meta><dc:title>Q&amp;A</dc:title></office:document-meta>";
        read(&[
            ("mimetype", media_type),
            ("content.xml", content),
            ("meta.xml", meta),
        ])
        .unwrap()
    }

    #[test]
    fn texts() {
        let body = "<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>\
            <text:h text:outline-level='2'>First &amp; foremost</text:h>\
            <text:p>Collapsed\n  white<text:s text:c='2000000000'/>space<text:tab/>x<text:line-break/>y\
            <text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>A note.</text:p></text:note-body></text:note>\
            <draw:frame><svg:title>alt</svg:title><draw:text-box><text:p>In a box.</text:p></draw:text-box></draw:frame>\
            <office:annotation><dc:creator>Me</dc:creator><text:p>A comment.</text:p></office:annotation> end</text:p>\
            <text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>two</text:p></text:list-item></text:list></text:list-item></text:list>\
            <table:table><table:table-row><table:table-cell><text:p>a</text:p><text:p>b</text:p></table:table-cell><table:covered-table-cell/>\
            <table:table-cell><table:table><table:table-row><table:table-cell><text:p>c</text:p></table:table-cell></table:table-row></table:table></table:table-cell></table:table-row></table:table>\
            <text:p>第一<text:title>二</text:title></text:p></office:text>";
        let extraction = read_content(TEXT, &document("", body));
        let spaces = " ".repeat(64);
        assert_eq!(extraction.format, Format::Odt);
        assert_eq!(
            extraction.text,
            format!(
                "First & foremost\n\nCollapsed white{spaces}space\tx\ny end\n\nA note.\n\nIn a box.\n\nA comment.\n\n\
                 one\ntwo\n\na b\t\tc\n\n第一二"
            )
        );
        assert_eq!(extraction.title.as_deref(), Some("Q&A"));
        assert_eq!(extraction.sections[0].level, 2);
        assert!(extraction.pages.is_empty());
    }

    #[test]
    fn spreadsheets() {
        let styles = "<style:style style:name='ta1'><style:table-properties table:display='true'/></style:style>\
            <style:style style:name='ta2'><style:table-properties table:display='false'/></style:style>";
        let body = "<office:spreadsheet><table:content-validations><table:help-message><text:p>no</text:p></table:help-message></table:content-validations>\
            <table:table table:name='One' table:style-name='ta1'><table:shapes><draw:frame><draw:text-box><text:p>Box</text:p></draw:text-box></draw:frame></table:shapes>\
            <table:table-row><table:table-cell office:value='7'><text:p>7 %</text:p></table:table-cell><table:table-cell table:number-columns-repeated='2'/>\
            <table:table-cell table:number-columns-repeated='2'><text:p>x</text:p></table:table-cell><table:table-cell table:number-columns-repeated='16000'/></table:table-row>\
            <table:table-row table:number-rows-repeated='2'><table:table-cell office:value='3'/></table:table-row>\
            <table:table-row table:number-rows-repeated='1048000'><table:table-cell/></table:table-row>\
            <table:table-row><table:table-cell><office:annotation><text:p>Why?</text:p></office:annotation><text:p>last</text:p></table:table-cell></table:table-row></table:table>\
            <table:table table:name='Two' table:style-name='ta2'><table:table-row><table:table-cell><text:p>숨김</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>";
        let extraction = read_content(SHEETS, &document(styles, body));
        assert_eq!(extraction.format, Format::Ods);
        assert_eq!(
            pages(&extraction),
            [
                (
                    Some("One"),
                    false,
                    "One\n\nBox\n\n7 %\t\t\tx\tx\n3\n3\n\nlast\n\nWhy?".to_owned()
                ),
                (Some("Two"), true, "Two\n\n숨김".to_owned()),
            ]
        );
    }

    #[test]
    fn presentations() {
        let styles = "<style:style style:name='dp2'><style:drawing-page-properties presentation:visibility='hidden'/></style:style>";
        let body = "<office:presentation><draw:page draw:name='page1'><draw:frame presentation:class='title'><draw:text-box><text:p>Title</text:p></draw:text-box></draw:frame>\
            <draw:frame presentation:class='outline'><draw:text-box><text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>\
            <text:list><text:list-item><text:p>two</text:p></text:list-item></text:list></draw:text-box></draw:frame>\
            <draw:frame presentation:class='footer'><draw:text-box><text:p>Footer</text:p></draw:text-box></draw:frame>\
            <presentation:notes><draw:frame presentation:class='notes'><draw:text-box><text:p>Say this.</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>\
            <draw:page draw:name='End' draw:style-name='dp2'><draw:custom-shape><text:p>Bye</text:p></draw:custom-shape></draw:page></office:presentation>";
        let extraction = read_content(SLIDES, &document(styles, body));
        assert_eq!(extraction.format, Format::Odp);
        assert_eq!(
            pages(&extraction),
            [
                (None, false, "Title\n\none\ntwo\n\nSay this.".to_owned()),
                (Some("End"), true, "Bye".to_owned()),
            ]
        );
    }

    #[test]
    fn encrypted_and_damaged() {
        let manifest = "<manifest:manifest><manifest:file-entry manifest:full-path='content.xml'><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
        assert_eq!(
            reason(&[
                ("mimetype", TEXT),
                ("content.xml", "\u{1}noise"),
                ("META-INF/manifest.xml", manifest)
            ]),
            "encrypted"
        );
        assert_eq!(reason(&[("mimetype", TEXT)]), "damaged-file");
        let whole = document("", "<office:text><text:p>text</text:p></office:text>");
        let cut = &whole[..whole.len() - 30];
        assert_eq!(
            reason(&[("mimetype", TEXT), ("content.xml", cut)]),
            "damaged-file"
        );
        // Without a media type, the manifest says what it is.
        let manifest = format!(
            "<manifest:manifest><manifest:file-entry manifest:full-path='/' manifest:media-type='{TEXT}-template'/></manifest:manifest>"
        );
        let parts = [
            ("META-INF/manifest.xml", manifest.as_str()),
            ("content.xml", whole.as_str()),
        ];
        assert_eq!(read(&parts).unwrap().text, "text");
    }

    #[test]
    fn a_spreadsheet_that_was_never_filled() {
        let body = "<office:spreadsheet><table:table table:name='Sheet1'><table:table-row><table:table-cell/></table:table-row></table:table></office:spreadsheet>";
        let content = document("", body);
        assert_eq!(
            reason(&[("mimetype", SHEETS), ("content.xml", &content)]),
            "no-text"
        );
    }

    #[test]
    fn cells_that_stand_for_a_thousand_million() {
        let row = "<table:table-row table:number-rows-repeated='1048576'><table:table-cell table:number-columns-repeated='16384'>\
            <text:p>bomb</text:p></table:table-cell></table:table-row>";
        let body = format!(
            "<office:spreadsheet><table:table table:name='x'>{row}</table:table></office:spreadsheet>"
        );
        let extraction = read_content(SHEETS, &document("", &body));
        assert_eq!(extraction.text.matches("bomb").count(), 64 * 64);
    }
}
