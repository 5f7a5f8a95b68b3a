//! Headings by the size of their letters.

use std::collections::{BTreeMap, HashMap};

use pdf_oxide::layout::TextSpan;

/// Font sizes in tenths of a point, so that they can be counted.
type Size = u32;

/// A heading is at least this much larger than the body, in per cent.
const LARGER_PER_CENT: u32 = 115;
/// Text in heading size beyond this share of all text is not headings, but a large body.
const MOST_HEADING_PER_CENT: u64 = 25;
/// Levels that are told apart.
const MOST_LEVELS: usize = 4;

/// Text of one size that stands together, without its white space.
pub(super) struct LargeText {
    size: Size,
    compact: String,
}

/// Counts the characters of each size, page by page.
#[derive(Default)]
pub(super) struct HeadingSizes {
    characters: BTreeMap<Size, u64>,
}

impl HeadingSizes {
    /// Counts a page's text and keeps what is larger than most of the page.
    pub(super) fn take_page(&mut self, spans: &[TextSpan]) -> Vec<LargeText> {
        let mut of_page: BTreeMap<Size, u64> = BTreeMap::new();
        let mut runs: Vec<LargeText> = Vec::new();
        for span in spans {
            let size = size_of(span);
            let compact = compact(&span.text);
            if compact.is_empty() {
                continue;
            }
            *of_page.entry(size).or_default() += compact.chars().count() as u64;
            match runs.last_mut() {
                Some(run) if run.size == size => run.compact.push_str(&compact),
                _ => runs.push(LargeText { size, compact }),
            }
        }
        let smallest = of_page.keys().next().copied().unwrap_or_default();
        for (size, characters) in of_page {
            *self.characters.entry(size).or_default() += characters;
        }
        runs.retain(|run| run.size > smallest);
        runs
    }

    /// The sizes that are headings in this document, the largest first.
    pub(super) fn levels(&self) -> Levels {
        let total: u64 = self.characters.values().sum();
        let body = self
            .characters
            .iter()
            .max_by_key(|(_, characters)| **characters);
        let Some((&body, _)) = body else {
            return Levels::default();
        };
        let mut levels = HashMap::new();
        let mut level_size = None;
        let mut level = 0_usize;
        for (&size, &characters) in self.characters.iter().rev() {
            if size * 100 < body * LARGER_PER_CENT {
                break;
            }
            if characters * 100 > total * MOST_HEADING_PER_CENT {
                continue;
            }
            // Sizes within half a point are the same to the eye.
            if level_size.is_none_or(|larger: Size| larger - size > 5) {
                level += 1;
                level_size = Some(size);
            }
            levels.insert(size, level.min(MOST_LEVELS) as u8);
        }
        Levels { levels }
    }
}

fn size_of(span: &TextSpan) -> Size {
    let tenths = span.font_size * 10.0;
    if tenths.is_finite() && tenths > 0.0 {
        tenths.round().min(100_000.0) as Size
    } else {
        0
    }
}

/// Which sizes are headings, and of which level.
#[derive(Default)]
pub(super) struct Levels {
    levels: HashMap<Size, u8>,
}

impl Levels {
    /// The texts of a page that are headings by their size.
    pub(super) fn of_page<'a>(&self, large: &'a [LargeText]) -> PageHeadings<'a> {
        let headings = large
            .iter()
            .filter_map(|run| Some((*self.levels.get(&run.size)?, run.compact.as_str())))
            .collect();
        PageHeadings { headings }
    }
}

/// The headings of one page.
#[derive(Default)]
pub(super) struct PageHeadings<'a> {
    headings: Vec<(u8, &'a str)>,
}

impl PageHeadings<'_> {
    /// The level of the heading that this line is, or is a part of.
    pub(super) fn level_of(&self, line: &str) -> Option<u8> {
        if self.headings.is_empty() {
            return None;
        }
        let line = compact(line);
        if line
            .chars()
            .filter(|character| character.is_alphabetic())
            .count()
            < 2
        {
            return None;
        }
        let found = self.headings.iter().find(|(_, text)| text.contains(&line));
        found.map(|(level, _)| *level)
    }
}

fn compact(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_whitespace())
        .collect()
}
