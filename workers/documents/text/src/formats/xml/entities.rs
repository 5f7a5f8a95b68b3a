//! Entities that a document declares for itself.
//!
//! Only their text is ever used. What a declaration refers to outside of the document is not
//! looked for, and all that entities expand to is counted.

use std::collections::HashMap;

use crate::error::ExtractError;

/// Entities in entities in entities: deeper than this they are left out.
const DEEPEST: u32 = 16;
/// More declarations than these are not remembered.
const MOST_ENTITIES: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Entities {
    texts: HashMap<String, String>,
    /// How many bytes all of them together may still expand to.
    left: u64,
    allowed: u64,
}

impl Entities {
    pub(super) fn new(allowed: u64) -> Self {
        Self {
            texts: HashMap::new(),
            left: allowed,
            allowed,
        }
    }

    /// Takes the declarations of a document type: `<!ENTITY name "text">`.
    pub(super) fn declare(&mut self, document_type: &str) {
        let mut rest = document_type;
        while let Some(position) = rest.find("<!") {
            rest = &rest[position + 2..];
            if let Some(comment) = rest.strip_prefix("--") {
                let end = comment.find("-->").map_or(comment.len(), |end| end + 3);
                rest = &comment[end..];
            } else if let Some(declaration) = rest.strip_prefix("ENTITY") {
                rest = declaration;
                if let Some((name, text, after)) = internal_entity(declaration) {
                    rest = after;
                    // The first declaration binds.
                    if self.texts.len() < MOST_ENTITIES && !self.texts.contains_key(name) {
                        self.texts.insert(name.to_owned(), text.to_owned());
                    }
                }
            }
        }
    }

    /// Appends what a reference stands for; one that is not known is left out.
    pub(super) fn expand(&mut self, name: &str, text: &mut String) -> Result<(), ExtractError> {
        let expanded = expand(&self.texts, &mut self.left, name, DEEPEST, text);
        expanded.ok_or_else(|| ExtractError::TooLarge {
            detail: format!("its entities unpack to more than {} MB", self.allowed >> 20),
        })
    }
}

/// Name, text, and what stands behind the declaration; none of those that are outside.
fn internal_entity(declaration: &str) -> Option<(&str, &str, &str)> {
    let declaration = declaration.strip_prefix(|c: char| c.is_ascii_whitespace())?;
    let declaration = declaration.trim_ascii_start();
    let end = declaration.find(|c: char| c.is_ascii_whitespace())?;
    let (name, rest) = declaration.split_at(end);
    let rest = rest.trim_ascii_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (text, after) = rest[1..].split_once(quote)?;
    (name != "%").then_some((name, text, after))
}

/// `None` when too much comes of it. Each reference costs at least one byte, so that those
/// that come to nothing end too.
fn expand(
    texts: &HashMap<String, String>,
    left: &mut u64,
    name: &str,
    depth: u32,
    expanded: &mut String,
) -> Option<()> {
    *left = left.checked_sub(1)?;
    if let Some(character) = predefined(name) {
        expanded.push(character);
        return Some(());
    }
    let (Some(text), Some(depth)) = (texts.get(name), depth.checked_sub(1)) else {
        return Some(());
    };
    let mut rest = text.as_str();
    loop {
        let literal = rest.find('&').unwrap_or(rest.len());
        *left = left.checked_sub(u64::try_from(literal).ok()?)?;
        expanded.push_str(&rest[..literal]);
        let Some(reference) = rest.get(literal + 1..) else {
            return Some(());
        };
        match reference.split_once(';') {
            Some((name, after)) => {
                expand(texts, left, name, depth, expanded)?;
                rest = after;
            }
            None => rest = reference,
        }
    }
}

/// The entities that XML has by itself, and characters by number.
pub(super) fn predefined(name: &str) -> Option<char> {
    match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const DECLARED: &str = "x [<!ENTITY a 'A&amp;'> <!-- <!ENTITY b 'no'> --> <!ENTITY b \"&a;&#66;\">
        <!ENTITY a 'later'><!ENTITY % p 'no'><!ENTITY out SYSTEM 'file:///etc/passwd'><!ENTITY loop '&loop;x'>]";

    fn expanded(name: &str) -> String {
        let mut entities = Entities::new(1000);
        entities.declare(DECLARED);
        let mut text = String::new();
        entities.expand(name, &mut text).unwrap();
        text
    }

    #[test]
    fn only_what_stands_in_the_document() {
        assert_eq!(expanded("a"), "A&");
        assert_eq!(expanded("b"), "A&B");
        assert_eq!(expanded("out"), "");
        assert_eq!(expanded("p"), "");
        assert_eq!(expanded("nobody"), "");
        assert_eq!(expanded("loop"), "x".repeat(16));
        assert_eq!(expanded("#x4e2d"), "中");
    }

    #[test]
    fn all_of_it_is_counted() {
        let mut entities = Entities::new(1000);
        entities.declare("<!ENTITY a '0123456789'><!ENTITY none ''><!ENTITY n '&none;&none;'><!ENTITY m '&n;&n;'>");
        let mut text = String::new();
        for _ in 0..90 {
            entities.expand("a", &mut text).unwrap();
        }
        let refused = (0..10).any(|_| entities.expand("a", &mut text).is_err());
        assert!(refused && text.len() <= 1000);
        let mut entities = Entities::new(20);
        entities.declare("<!ENTITY n '&n;&n;'>");
        let error = entities.expand("n", &mut text).unwrap_err();
        assert_eq!(error.reason(), "too-large");
    }
}
