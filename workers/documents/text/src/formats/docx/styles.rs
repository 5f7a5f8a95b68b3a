//! Which styles are headings.

use std::collections::HashMap;

use quick_xml::events::{BytesStart, Event};

use super::super::package::{Package, attribute, next_event};

/// Style id to heading level (1 to 9).
pub(super) type OutlineLevels = HashMap<String, u8>;

/// Styles may be based on others; longer chains than this are loops.
const LONGEST_CHAIN: usize = 16;
/// More styles than these are not remembered.
const MOST_STYLES: usize = 100_000;

#[derive(Debug, Default)]
struct Style {
    id: String,
    level: Option<u8>,
    based_on: Option<String>,
}

/// The outline level in an element's `val`, 1 for the highest; 9 in the file means body text.
pub(super) fn outline_level(element: &BytesStart<'_>) -> Option<u8> {
    let level: u8 = attribute(element, b"val")?.parse().ok()?;
    (level < 9).then(|| level + 1)
}

pub(super) fn outline_levels(package: &mut Package<'_>, part: &str) -> OutlineLevels {
    let styles = package.with_part(part, |reader| {
        let mut styles = Vec::new();
        let mut style: Option<Style> = None;
        let mut buffer = Vec::new();
        while let Ok(event) = next_event(reader, &mut buffer)
            && styles.len() < MOST_STYLES
        {
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
