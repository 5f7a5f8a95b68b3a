//! Running headers, running footers and page numbers.
//!
//! They stand in the middle of sentences that go on from page to page, and they would make
//! every page a hit for the title of the book. They go only where it is safe.

use std::collections::HashMap;

/// So many lines at the top and at the bottom of a page may be margins.
const MARGIN_LINES: usize = 2;
/// A line must stand at the edge of this many pages to count as repeated.
const FEWEST_REPETITIONS: usize = 3;
/// And of this share of all pages, in per cent: left and right pages may have their own.
const REPEATED_PER_CENT: usize = 40;
/// Longer lines are text.
const LONGEST_MARGIN: usize = 120;

/// How often each line stands at the edge of a page, digits aside.
#[derive(Debug, Default)]
pub(super) struct Margins {
    repeated: HashMap<String, usize>,
    pages: usize,
}

impl Margins {
    /// Counts the lines at the edges of all pages.
    pub(super) fn of(pages: &[&str]) -> Self {
        let mut margins = Self::default();
        for page in pages {
            let lines: Vec<&str> = page
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect();
            if lines.is_empty() {
                continue;
            }
            margins.pages += 1;
            let bottom = lines.len().saturating_sub(MARGIN_LINES).max(MARGIN_LINES);
            let top = lines.iter().take(MARGIN_LINES);
            let mut keys: Vec<String> = top
                .chain(lines.iter().skip(bottom))
                .map(|line| without_digits(line))
                .collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                *margins.repeated.entry(key).or_default() += 1;
            }
        }
        margins
    }

    /// Cuts a page's margins off, and empty lines with them.
    pub(super) fn cut<'a, 'b>(&self, lines: &'a [&'b str], number: u32) -> &'a [&'b str] {
        let is_margin = |line: &str| is_page_number(line, number) || self.is_repeated(line);
        let mut body = trim(lines);
        for _ in 0..MARGIN_LINES {
            // A page with a single line is all there is: never dropped.
            if let [first, rest @ ..] = body
                && !trim(rest).is_empty()
                && is_margin(first)
            {
                body = trim(rest);
            }
            if let [rest @ .., last] = body
                && !trim(rest).is_empty()
                && is_margin(last)
            {
                body = trim(rest);
            }
        }
        body
    }

    fn is_repeated(&self, line: &str) -> bool {
        if line.chars().count() > LONGEST_MARGIN {
            return false;
        }
        let times = self
            .repeated
            .get(&without_digits(line))
            .copied()
            .unwrap_or_default();
        times >= FEWEST_REPETITIONS && times * 100 >= self.pages * REPEATED_PER_CENT
    }
}

/// So that "Page 7 of 9" and "Page 8 of 9" are the same.
fn without_digits(line: &str) -> String {
    line.chars()
        .filter(|character| !character.is_numeric())
        .collect()
}

fn trim<'a, 'b>(mut lines: &'a [&'b str]) -> &'a [&'b str] {
    while let [first, rest @ ..] = lines
        && first.is_empty()
    {
        lines = rest;
    }
    while let [rest @ .., last] = lines
        && last.is_empty()
    {
        lines = rest;
    }
    lines
}

/// "7", "- 7 -", "Page 7", "第 7 頁", "7 / 12" on the seventh page.
fn is_page_number(line: &str, number: u32) -> bool {
    if line.chars().count() > 20 {
        return false;
    }
    let mut numbers = line.split(|character: char| !character.is_ascii_digit());
    let first = numbers.find(|digits| !digits.is_empty());
    if first.and_then(|digits| digits.parse::<u32>().ok()) != Some(number) {
        return false;
    }
    let words: String = line
        .chars()
        .filter(|character| character.is_alphabetic())
        .collect();
    matches!(
        words.to_lowercase().as_str(),
        "" | "page" | "pageof" | "of" | "p" | "第頁" | "第页" | "頁" | "页" | "쪽" | "페이지"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pages: &[&str], index: usize) -> Vec<String> {
        let lines: Vec<&str> = pages[index].lines().collect();
        let number = index as u32 + 1;
        Margins::of(pages)
            .cut(&lines, number)
            .iter()
            .map(|line| (*line).to_owned())
            .collect()
    }

    #[test]
    fn page_numbers_go_only_from_their_own_page() {
        for number in ["1", "Page 1 of 9", "- 1 -", "第 1 頁"] {
            assert_eq!(
                cut(&[&format!("Text of the page.\n\n{number}\n")], 0),
                ["Text of the page."]
            );
        }
        assert_eq!(cut(&["Text.\n\n8"], 0), ["Text.", "", "8"]);
        assert_eq!(cut(&["1"], 0), ["1"]);
    }

    #[test]
    fn what_most_pages_repeat_goes() {
        let pages = [
            "Report 2026\n- 12 -\n\nAlpha.",
            "Report 2026\n- 13 -\nBeta.\nMore.",
            "Report 2026\n- 14 -\nGamma.",
            "Delta.",
        ];
        assert_eq!(cut(&pages, 0), ["Alpha."]);
        assert_eq!(cut(&pages, 1), ["Beta.", "More."]);
        assert_eq!(cut(&pages, 3), ["Delta."]);
        // Twice may be chance.
        assert_eq!(cut(&pages[..2], 0), ["Report 2026", "- 12 -", "", "Alpha."]);
    }
}
