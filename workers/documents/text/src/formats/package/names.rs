//! Names of parts: how they are compared, what a reference to one means, how one is shown.

use crate::builder::{clean, one_line};

/// How much of a part's name is shown, in characters.
const LONGEST_NAME: usize = 80;

/// The name of a part as people and logs may see it: it is as foreign as the part.
pub(in crate::formats) fn shown(part: &str) -> String {
    let name = clean(&one_line(part));
    let mut characters = name.chars();
    let mut shown: String = characters.by_ref().take(LONGEST_NAME).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Some writers begin names with a slash, use the other slash, or other capital letters.
pub(super) fn compared(name: &str) -> String {
    let name = name.replace('\\', "/").to_lowercase();
    name.trim_start_matches('/').to_owned()
}

/// The name of the part that a reference in another part means, its fragment aside.
pub(in crate::formats) fn resolve(from: &str, target: &str) -> String {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let target = percent_decoded(target).replace('\\', "/");
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut segments: Vec<&str> = Vec::new();
    if !target.starts_with('/') {
        let inside = |segment: &&str| !matches!(*segment, "" | "." | "..");
        segments.extend(folder.split('/').filter(inside));
    }
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    segments.join("/")
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |position: usize| {
            let digit = others.get(position).copied().map(char::from)?;
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        match (digit(0), digit(1)) {
            (Some(high), Some(low)) => {
                bytes.push((high << 4) | low);
                rest = &others[2..];
            }
            _ => bytes.push(b'%'),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stay_inside() {
        assert_eq!(
            resolve("xl/workbook.xml", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml"
        );
        assert_eq!(
            resolve("ppt/slides/slide1.xml", "../notesSlides/n.xml"),
            "ppt/notesSlides/n.xml"
        );
        assert_eq!(resolve("xl/workbook.xml", "/xl/a.xml"), "xl/a.xml");
        assert_eq!(resolve("c.opf", "../../etc/passwd"), "etc/passwd");
        assert_eq!(
            resolve("OEBPS/c.opf", "Kapitel%201.xhtml#top"),
            "OEBPS/Kapitel 1.xhtml"
        );
        assert_eq!(resolve("c.opf", "100%.html%4"), "100%.html%4");
    }

    #[test]
    fn names_are_compared_as_office_does() {
        assert_eq!(compared("/XL\\SharedStrings.xml"), "xl/sharedstrings.xml");
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..proptest::test_runner::Config::default() })]

        #[test]
        fn no_reference_leads_outside(from: String, target: String) {
            let part = resolve(&from, &target);
            let segments = part.split('/');
            let inside = !segments.into_iter().any(|segment| segment == "..");
            proptest::prop_assert!(inside && !part.starts_with('/'));
        }
    }
}
