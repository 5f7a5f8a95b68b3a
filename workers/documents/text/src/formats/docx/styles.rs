//! Which styles are headings, and the title in the core properties.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};

use super::{Archive, with_part};

/// Style id to heading level (1 to 9).
pub(super) type OutlineLevels = HashMap<String, u8>;

/// Styles may be based on others; longer chains than this are loops.
const LONGEST_CHAIN: usize = 16;

#[derive(Debug, Default)]
struct Style {
    id: String,
    level: Option<u8>,
    based_on: Option<String>,
}

/// The value of an attribute, whatever its namespace prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let mut attributes = element.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)?;
    found.unescape_value().ok().map(|value| value.into_owned())
}

/// The outline level in an element's `val`, 1 for the highest; 9 in the file means body text.
pub(super) fn outline_level(element: &BytesStart<'_>) -> Option<u8> {
    let level: u8 = attribute(element, b"val")?.parse().ok()?;
    (level < 9).then_some(level + 1)
}

pub(super) fn outline_levels(
    archive: &mut Archive<'_>,
    part: &str,
    budget: &mut u64,
) -> OutlineLevels {
    let styles = with_part(archive, part, budget, |reader| {
        let mut styles = Vec::new();
        let mut style: Option<Style> = None;
        let mut buffer = Vec::new();
        while let Ok(event) = reader.read_event_into(&mut buffer) {
            match event {
                Event::Start(element) | Event::Empty(element) => {
                    take_element(&element, &mut style);
                }
                Event::End(element) if element.local_name().as_ref() == b"style" => {
                    styles.extend(style.take());
                }
                Event::Eof => break,
                _ => {}
            }
            buffer.clear();
        }
        styles
    });
    resolve(styles.unwrap_or_default())
}

fn take_element(element: &BytesStart<'_>, style: &mut Option<Style>) {
    let name = element.local_name();
    if name.as_ref() == b"style" {
        let id = attribute(element, b"styleId").unwrap_or_default();
        *style = Some(Style {
            id,
            ..Style::default()
        });
        return;
    }
    let Some(style) = style else {
        return;
    };
    match name.as_ref() {
        // The names of built-in styles are English in every language of Word.
        b"name" => {
            let name = attribute(element, b"val")
                .unwrap_or_default()
                .to_lowercase();
            if name == "title" {
                style.level = style.level.or(Some(1));
            } else if let Some(number) = name.strip_prefix("heading ") {
                let level = number
                    .trim()
                    .parse()
                    .ok()
                    .filter(|level| (1..=9).contains(level));
                style.level = style.level.or(level);
            }
        }
        b"outlineLvl" => style.level = outline_level(element),
        b"basedOn" => style.based_on = attribute(element, b"val"),
        _ => {}
    }
}

/// A style without a level of its own has that of the style it is based on.
fn resolve(styles: Vec<Style>) -> OutlineLevels {
    let by_id: HashMap<&str, &Style> = styles
        .iter()
        .map(|style| (style.id.as_str(), style))
        .collect();
    let mut levels = OutlineLevels::new();
    for style in &styles {
        let mut current = Some(style);
        for _ in 0..LONGEST_CHAIN {
            let Some(ancestor) = current else {
                break;
            };
            if let Some(level) = ancestor.level {
                levels.insert(style.id.clone(), level);
                break;
            }
            current = ancestor
                .based_on
                .as_deref()
                .and_then(|id| by_id.get(id).copied());
        }
    }
    levels
}

/// `dc:title` of the core properties.
pub(super) fn core_title(archive: &mut Archive<'_>, budget: &mut u64) -> Option<String> {
    let title = with_part(archive, "docProps/core.xml", budget, |reader| {
        let mut buffer = Vec::new();
        let mut inside = false;
        let mut title = String::new();
        while let Ok(event) = reader.read_event_into(&mut buffer) {
            match event {
                Event::Start(element) => inside = element.local_name().as_ref() == b"title",
                Event::Text(text) if inside => title.push_str(&text.decode().unwrap_or_default()),
                Event::GeneralRef(reference) if inside => {
                    title.extend(super::body::resolve_reference(&reference));
                }
                Event::End(element) if element.local_name().as_ref() == b"title" => break,
                Event::Eof => break,
                _ => {}
            }
            buffer.clear();
        }
        title
    });
    title.ok().filter(|title| !title.trim().is_empty())
}
