//! The table of contents of an e-book: a page of links, or in older books an NCX.

use std::collections::HashMap;

use quick_xml::events::Event;

use super::super::package::{Package, attribute, resolve, text_of};
use crate::builder::one_line;

/// More chapters than these are not read.
const MOST_NAMES: usize = 100_000;
/// Names are cut far earlier, in bytes.
const LONGEST_NAME: usize = 4096;

/// Names by part. The first name of a part is the one of the whole chapter.
///
/// It is a gain: a book without a table of contents, or with a broken one, is readable.
pub(super) fn chapter_names(
    package: &mut Package<'_>,
    contents: Option<&str>,
) -> HashMap<String, String> {
    let mut names = HashMap::new();
    let Some(contents) = contents else {
        return names;
    };
    // Of a link of the page of links.
    let mut link: Option<String> = None;
    let mut collecting = false;
    let mut label = String::new();
    let mut name = |target: &str, label: &str| {
        let label = one_line(label);
        if !label.is_empty() && names.len() < MOST_NAMES {
            names.entry(resolve(contents, target)).or_insert(label);
        }
    };
    let _ = package.read_xml(contents, |event| {
        match &event {
            Event::Start(element) => match element.local_name().as_ref() {
                b"a" => {
                    link = attribute(element, b"href");
                    label.clear();
                    collecting = true;
                }
                b"navLabel" => {
                    label.clear();
                    collecting = true;
                }
                b"content" => {
                    if let Some(target) = attribute(element, b"src") {
                        name(&target, &label);
                    }
                }
                _ => {}
            },
            Event::End(element) => match element.local_name().as_ref() {
                b"a" => {
                    collecting = false;
                    if let Some(target) = link.take() {
                        name(&target, &label);
                    }
                }
                b"navLabel" => collecting = false,
                _ => {}
            },
            _ if collecting && label.len() < LONGEST_NAME => label.push_str(&text_of(&event)),
            _ => {}
        }
        Ok(())
    });
    names
}
