//! What stands on top of a page: fields of forms, remarks, signatures.
//!
//! The quick way to a page's glyphs leaves these out, the library's slow way to its text has them. So of a page
//! that has some, the words that only the slow way has are added below the others.

use std::collections::HashMap;

use pdf_oxide::PdfDocument;
use pdf_oxide::object::Object;

/// So many annotations of a page are looked at for one that is no link.
const MOST_ANNOTATIONS: usize = 1000;

/// Adds to a page's text what stands on top of it.
pub(super) fn add(document: &PdfDocument, index: usize, text: &mut String) {
    if !has_some(document, index) {
        return;
    }
    let whole = document.extract_text(index).unwrap_or_default();
    let added = only_in(&whole, text);
    if !added.is_empty() {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&added);
    }
}

/// Whether something other than links stands on top of a page.
fn has_some(document: &PdfDocument, index: usize) -> bool {
    let annotations = || {
        let page = document.get_page(index).ok()?;
        let annotations = page.as_dict()?.get("Annots")?.to_owned();
        let annotations = document.resolve_object(&annotations).ok()?;
        let mut looked_at = annotations.as_array()?.iter().take(MOST_ANNOTATIONS);
        let is_field = |annotation: &Object| {
            let annotation = document.resolve_object(annotation).ok()?;
            let kind = annotation.as_dict()?.get("Subtype")?.as_name()?.to_owned();
            Some(!matches!(kind.as_str(), "Link" | "Popup"))
        };
        Some(looked_at.any(|annotation| is_field(annotation).unwrap_or_default()))
    };
    annotations().unwrap_or_default()
}

/// The words of `whole` that `part` does not have as often, line by line.
fn only_in(whole: &str, part: &str) -> String {
    let mut known: HashMap<String, usize> = HashMap::new();
    for word in words(part) {
        *known.entry(word).or_default() += 1;
    }
    // Where the two ways part words differently, a word is known if its letters stand there.
    let compact: String = part.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut added = String::new();
    for line in whole.lines() {
        let mut only = Vec::new();
        for word in line.split_whitespace() {
            let bare: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
            match known.get_mut(&bare) {
                Some(times) if *times > 0 => *times -= 1,
                Some(_) => only.push(word),
                None if compact.contains(&bare) => {}
                None => only.push(word),
            }
        }
        if !only.is_empty() {
            if !added.is_empty() {
                added.push('\n');
            }
            added.push_str(&only.join(" "));
        }
    }
    added
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(|word| {
        let bare = word.chars().filter(|character| character.is_alphanumeric());
        bare.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::only_in;

    #[test]
    fn only_what_is_not_there_is_added() {
        let whole = "Name: Ada Lovelace\nTown: London\nA remark on top";
        assert_eq!(
            only_in(whole, "Name:\nTown:"),
            "Ada Lovelace\nLondon\nA remark on top"
        );
        assert_eq!(only_in("one two one", "one two"), "one");
        assert_eq!(only_in("glu ed words", "glued words"), "");
        assert_eq!(only_in("", "words"), "");
    }
}
