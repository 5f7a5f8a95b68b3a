//! E-books: the chapters in the order of the spine, each a page.
//!
//! Chapters are XHTML and are read by the reader of HTML. Names of chapters come from the table
//! of contents. Nothing outside of the package is opened.

mod contents;

use std::collections::{HashMap, HashSet};

use quick_xml::events::Event;

use super::html;
use super::package::{Package, attribute, resolve, shown};
use crate::builder::Builder;
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::sniff::decode_declared;

const CONTAINER: &str = "META-INF/container.xml";
const ENCRYPTION: &str = "META-INF/encryption.xml";
/// A chapter is in memory as a whole, three times.
const LARGEST_CHAPTER: u64 = 64 * 1024 * 1024;
/// Chapters, pictures and fonts: no book has more.
const MOST_ITEMS: usize = 100_000;

#[derive(Debug, Default)]
struct Item {
    part: String,
    media_type: String,
    is_navigation: bool,
}

/// What the package document says.
#[derive(Debug, Default)]
struct Book {
    items: HashMap<String, Item>,
    /// Ids of items in reading order.
    spine: Vec<String>,
    /// The id of the table of contents of older books.
    older_contents: Option<String>,
}

pub(super) fn read(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut package = Package::open(bytes, limits)?;
    let package_document = package_document(&mut package)?;
    if let Some(title) = package.title_in(&package_document) {
        builder.title(&title);
    }
    let book = read_book(&mut package, &package_document, limits)?;
    let encrypted = encrypted_parts(&mut package);
    let names = contents::chapter_names(&mut package, book.contents());
    let mut number = 0;
    for item in book.spine.iter().filter_map(|id| book.items.get(id)) {
        let is_text = item.media_type.contains("html");
        if !is_text || item.is_navigation {
            continue;
        }
        if encrypted.contains(&item.part) {
            return Err(ExtractError::Encrypted);
        }
        number += 1;
        let name = names.get(&item.part).map(String::as_str);
        let chapter = package.read_bytes(&item.part, LARGEST_CHAPTER)?;
        let chapter = decode_declared(&chapter).ok_or_else(|| {
            ExtractError::damaged(format!("its part {} is no text", shown(&item.part)))
        })?;
        builder.named_page(number, name, false);
        html::read_xhtml(&chapter, builder)?;
    }
    Ok(())
}

impl Book {
    /// The table of contents: that of newer books, or else that of older ones.
    fn contents(&self) -> Option<&str> {
        let newer = self.items.values().find(|item| item.is_navigation);
        let older = || {
            let named = self.older_contents.as_ref();
            named.and_then(|id| self.items.get(id))
        };
        newer.or_else(older).map(|item| item.part.as_str())
    }
}

/// The name of the part that says what the book consists of.
fn package_document(package: &mut Package<'_>) -> Result<String, ExtractError> {
    let mut found = None;
    package.read_xml(CONTAINER, |event| {
        if let Event::Start(element) = &event
            && element.local_name().as_ref() == b"rootfile"
            && found.is_none()
        {
            // Counted from the top of the archive, not from where this part lies.
            found = attribute(element, b"full-path").map(|path| resolve("", &path));
        }
        Ok(())
    })?;
    found.ok_or_else(|| ExtractError::damaged("it is an e-book that does not name its contents"))
}

fn read_book(
    package: &mut Package<'_>,
    package_document: &str,
    limits: &Limits,
) -> Result<Book, ExtractError> {
    let mut book = Book::default();
    package.read_xml(package_document, |event| {
        let Event::Start(element) = &event else {
            return Ok(());
        };
        match element.local_name().as_ref() {
            b"item" => {
                let properties = attribute(element, b"properties").unwrap_or_default();
                let href = attribute(element, b"href").unwrap_or_default();
                let item = Item {
                    part: resolve(package_document, &href),
                    media_type: attribute(element, b"media-type").unwrap_or_default(),
                    is_navigation: properties
                        .split_ascii_whitespace()
                        .any(|word| word == "nav"),
                };
                let id = attribute(element, b"id").unwrap_or_default();
                book.items.insert(id, item);
                if book.items.len() > MOST_ITEMS {
                    return Err(ExtractError::TooLarge {
                        detail: format!("it lists more than {MOST_ITEMS} files of its own"),
                    });
                }
            }
            b"spine" => book.older_contents = attribute(element, b"toc"),
            b"itemref" => {
                limits.accept_pages(book.spine.len() + 1, "chapters")?;
                book.spine.extend(attribute(element, b"idref"));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(book)
}

/// Parts that only a reading program with the key can read. Fonts are often scrambled, which
/// is named there too, but it is no obstacle.
fn encrypted_parts(package: &mut Package<'_>) -> HashSet<String> {
    let mut parts = HashSet::new();
    if !package.has(ENCRYPTION) {
        return parts;
    }
    // What cannot be read of it shows when the chapters are.
    let _ = package.read_xml(ENCRYPTION, |event| {
        if let Event::Start(element) = &event
            && element.local_name().as_ref() == b"CipherReference"
        {
            parts.extend(attribute(element, b"URI").map(|uri| resolve("", &uri)));
        }
        Ok(())
    });
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::testing::{pages, read, reason};
    use crate::Format;

    const MIMETYPE: (&str, &str) = ("mimetype", "application/epub+zip");
    const CONTAINER: (&str, &str) = (
        "META-INF/container.xml",
        "<container><rootfiles><rootfile full-path='OEBPS/c.opf'/></rootfiles></container>",
    );
    const PACKAGE: (&str, &str) = (
        "OEBPS/c.opf",
        "<package><metadata><dc:title>The book</dc:title></metadata><manifest>\
         <item id='n' href='nav.xhtml' media-type='application/xhtml+xml' properties='nav'/>\
         <item id='a' href='text/a%20b.xhtml' media-type='application/xhtml+xml'/>\
         <item id='b' href='text/b.xhtml' media-type='application/xhtml+xml'/>\
         <item id='p' href='cover.svg' media-type='image/svg+xml'/></manifest>\
         <spine><itemref idref='p'/><itemref idref='n'/><itemref idref='b'/><itemref idref='a'/><itemref idref='gone'/></spine></package>",
    );
    const NAVIGATION: (&str, &str) = (
        "OEBPS/nav.xhtml",
        "<html><body><nav><ol><li><a href='text/b.xhtml'>The <b>beginning</b></a></li>\
         <li><a href='text/b.xhtml#later'>Later</a></li></ol></nav></body></html>",
    );
    const BEGINNING: (&str, &str) = (
        "OEBPS/text/b.xhtml",
        "<?xml version='1.0'?><html><head><title/><script src='x'/></head><body><h1>Beginning</h1><p><a id='x'/>It was&#160;so.</p></body></html>",
    );
    const END: (&str, &str) = (
        "OEBPS/text/a b.xhtml",
        "<html><head><title>c</title></head><body><p>終わり。</p></body></html>",
    );

    #[test]
    fn chapters_in_the_order_of_the_spine() {
        let parts = [MIMETYPE, CONTAINER, PACKAGE, NAVIGATION, BEGINNING, END];
        let extraction = read(&parts).unwrap();
        assert_eq!(extraction.format, Format::Epub);
        assert_eq!(extraction.title.as_deref(), Some("The book"));
        assert_eq!(
            pages(&extraction),
            [
                (
                    Some("The beginning"),
                    false,
                    "Beginning\n\nIt was so.".to_owned()
                ),
                (None, false, "終わり。".to_owned()),
            ]
        );
        assert_eq!(extraction.sections[0].title, "Beginning");
        // A chapter is missing.
        assert_eq!(reason(&parts[..5]), "damaged-file");
        // Nothing says what there is.
        assert_eq!(reason(&parts[..1]), "damaged-file");
    }

    #[test]
    fn older_tables_of_contents() {
        let package = PACKAGE
            .1
            .replace("properties='nav'", "")
            .replace("application/xhtml+xml' />", "application/x-dtbncx+xml'/>")
            .replace("<spine>", "<spine toc='n'>");
        let ncx = "<ncx><docTitle><text>x</text></docTitle><navMap><navPoint><navLabel><text>Zero</text></navLabel>\
            <content src='text/b.xhtml#top'/></navPoint></navMap></ncx>";
        let parts = [
            MIMETYPE,
            CONTAINER,
            (PACKAGE.0, package.as_str()),
            (NAVIGATION.0, ncx),
            BEGINNING,
            END,
        ];
        let extraction = read(&parts).unwrap();
        assert_eq!(extraction.pages[0].name.as_deref(), Some("Zero"));
        assert_eq!(extraction.pages.len(), 2);
    }

    #[test]
    fn chapters_that_are_encrypted() {
        let encryption = |uri: &str| {
            format!(
                "<encryption><EncryptedData><CipherData><CipherReference URI='{uri}'/></CipherData></EncryptedData></encryption>"
            )
        };
        let fonts = encryption("OEBPS/font.otf");
        let chapter = encryption("OEBPS/text/a%20b.xhtml");
        for (encryption, expected) in [(&fonts, "none"), (&chapter, "encrypted")] {
            let parts = [
                MIMETYPE,
                CONTAINER,
                PACKAGE,
                NAVIGATION,
                BEGINNING,
                END,
                ("META-INF/encryption.xml", encryption.as_str()),
            ];
            assert_eq!(reason(&parts), expected);
        }
    }
}
