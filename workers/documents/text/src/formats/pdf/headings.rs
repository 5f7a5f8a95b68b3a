//! Headings by the look of their letters: larger than the body, or bolder.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::layout;
use crate::wrap;

/// A font size in tenths of a point, so that it can be counted.
type Size = u32;

/// A heading is at least this much larger than the body, in per cent.
const LARGER_PER_CENT: u32 = 115;
/// A bold heading is at most this much smaller than the body, in per cent.
const BOLD_PER_CENT: u32 = 95;
/// A look with more than this share of all text is not that of headings.
const MOST_HEADING_PER_CENT: u64 = 20;
/// Levels that are told apart.
const MOST_LEVELS: u8 = 4;
/// Longer lines are not headings, in characters.
const LONGEST_HEADING_LINE: usize = 120;

/// What letters look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Look {
    size: Size,
    bold: bool,
}

/// Text of one look that stands together, a line for each piece of the file.
pub(super) struct Run {
    look: Look,
    text: String,
}

/// Counts the characters of each look, page by page.
#[derive(Default)]
pub(super) struct Looks {
    characters: BTreeMap<Look, u64>,
}

impl Looks {
    /// Counts a page's text and returns what could be headings in it.
    pub(super) fn take_page(&mut self, spans: &[layout::Run]) -> Vec<Run> {
        let mut of_page: HashMap<Look, u64> = HashMap::new();
        let mut runs: Vec<Run> = Vec::new();
        for span in spans {
            let characters = span.text.chars().filter(|c| !c.is_whitespace()).count();
            let look = Look {
                size: size_of(span),
                bold: span.bold,
            };
            if characters == 0 {
                continue;
            }
            *of_page.entry(look).or_default() += characters as u64;
            match runs.last_mut() {
                Some(run) if run.look == look => {
                    run.text.push('\n');
                    run.text.push_str(&span.text);
                }
                _ => runs.push(Run {
                    look,
                    text: span.text.clone(),
                }),
            }
        }
        // What most of the page looks like is its body, and needs no second copy of its text.
        let body = of_page
            .iter()
            .max_by_key(|(look, characters)| (**characters, **look));
        let body = body.map(|(look, _)| *look);
        runs.retain(|run| Some(run.look) != body || of_page.len() == 1 && runs_are_few(run));
        for (look, characters) in of_page {
            *self.characters.entry(look).or_default() += characters;
        }
        runs
    }

    /// The looks that are headings in this document.
    pub(super) fn levels(&self) -> Levels {
        let total: u64 = self.characters.values().sum();
        let body = self
            .characters
            .iter()
            .max_by_key(|(_, characters)| **characters);
        let Some((&body, _)) = body else {
            return Levels::default();
        };
        let rare = |characters: u64| characters * 100 <= total * MOST_HEADING_PER_CENT;
        let mut levels = Levels::default();
        let mut level = 0;
        let mut level_size = None;
        for (&look, &characters) in self.characters.iter().rev() {
            if look.size * 100 < body.size * LARGER_PER_CENT || !rare(characters) {
                continue;
            }
            // Sizes within half a point are the same to the eye.
            if level_size.is_none_or(|larger: Size| larger - look.size > 5) {
                level = (level + 1).min(MOST_LEVELS);
                level_size = Some(look.size);
            }
            levels.by_size.insert(look, level);
        }
        for (&look, &characters) in &self.characters {
            let bolder = look.bold && !body.bold && look.size * 100 >= body.size * BOLD_PER_CENT;
            if bolder && rare(characters) && !levels.by_size.contains_key(&look) {
                levels.by_weight.insert(look, (level + 1).min(MOST_LEVELS));
            }
        }
        levels
    }
}

/// A page of one look, such as a title page, may be all heading: short runs are kept.
fn runs_are_few(run: &Run) -> bool {
    run.text.len() <= LONGEST_HEADING_LINE * 4
}

fn size_of(span: &layout::Run) -> Size {
    let tenths = span.size * 10.0;
    if tenths.is_finite() && tenths > 0.0 {
        tenths.round().min(100_000.0) as Size
    } else {
        0
    }
}

/// Which looks are headings, and of which level.
#[derive(Default)]
pub(super) struct Levels {
    by_size: HashMap<Look, u8>,
    by_weight: HashMap<Look, u8>,
}

/// What speaks for a line being a heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Larger letters: a heading wherever it stands.
    Size(u8),
    /// Bold letters of the body's size: a heading only if it stands by itself.
    Weight(u8),
}

impl Levels {
    /// The headings of a page.
    pub(super) fn of_page(&self, runs: &[Run]) -> PageHeadings {
        let mut headings = PageHeadings::default();
        for run in runs {
            if let Some(level) = self.by_size.get(&run.look) {
                headings.add(Evidence::Size(*level), &run.text);
            } else if let Some(level) = self.by_weight.get(&run.look) {
                headings.add(Evidence::Weight(*level), &run.text);
            }
        }
        headings
    }
}

/// The text on one page that looks like headings.
#[derive(Default)]
pub(super) struct PageHeadings {
    runs: Vec<(Evidence, String)>,
    large_words: HashMap<String, u8>,
}

impl PageHeadings {
    fn add(&mut self, evidence: Evidence, text: &str) {
        self.runs.push((evidence, compact(text)));
        if let Evidence::Size(level) = evidence {
            let words = text.split_whitespace().map(|word| (word.to_owned(), level));
            self.large_words.extend(words);
        }
    }

    /// What speaks for this line being a heading, or a part of one.
    pub(super) fn evidence_for(&self, line: &str) -> Option<Evidence> {
        if self.runs.is_empty() || line.chars().count() > LONGEST_HEADING_LINE {
            return None;
        }
        let letters = line
            .chars()
            .filter(|character| character.is_alphabetic())
            .count();
        // Sentences end with a full stop, headings rarely; a question may be one.
        let is_sentence = wrap::ends_sentence(line) && !line.ends_with(['?', '？', ':', '：']);
        if letters < 2 || is_sentence || line.ends_with([',', '，', '、']) {
            return None;
        }
        let compacted = compact(line);
        let found = self.runs.iter().find(|(_, text)| text.contains(&compacted));
        found
            .map(|(evidence, _)| *evidence)
            .or_else(|| self.all_words_large(line))
    }

    /// Spans come in the order of the file: the words of a line may be in several runs.
    fn all_words_large(&self, line: &str) -> Option<Evidence> {
        let mut seen = HashSet::new();
        let mut level = None;
        for word in line.split_whitespace() {
            let of_word = *self.large_words.get(word)?;
            if *level.get_or_insert(of_word) != of_word {
                return None;
            }
            seen.insert(word);
        }
        level.filter(|_| seen.len() >= 2).map(Evidence::Size)
    }
}

fn compact(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_whitespace() && *character != layout::IN_WORD)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOLD: bool = true;
    const NORMAL: bool = false;

    fn span(text: &str, size: f32, bold: bool) -> layout::Run {
        layout::Run {
            text: text.to_owned(),
            size,
            bold,
        }
    }

    #[test]
    fn larger_and_bolder_letters() {
        let body = "Many words of the body that stand below all of it. ".repeat(5);
        let spans = [
            span("The", 20.0, BOLD),
            span(" ", 20.0, NORMAL),
            span("of it", 20.0, BOLD),
            span("Title", 20.0, BOLD),
            span("Section one", 14.0, NORMAL),
            span(&body, 10.0, NORMAL),
            span("Remark", 10.0, BOLD),
        ];
        let mut looks = Looks::default();
        let runs = looks.take_page(&spans);
        let headings = looks.levels().of_page(&runs);
        assert_eq!(
            headings.evidence_for("The Title of it"),
            Some(Evidence::Size(1))
        );
        assert_eq!(
            headings.evidence_for("Section one"),
            Some(Evidence::Size(2))
        );
        assert_eq!(headings.evidence_for("Remark"), Some(Evidence::Weight(3)));
        assert_eq!(headings.evidence_for("Title Section"), None);
        assert_eq!(headings.evidence_for("Many words of the body"), None);
        assert_eq!(headings.evidence_for("Section one."), None);
    }

    #[test]
    fn a_document_in_one_look_has_no_headings() {
        let mut looks = Looks::default();
        let runs = looks.take_page(&[span("All the same text", 12.0, BOLD)]);
        assert_eq!(
            looks
                .levels()
                .of_page(&runs)
                .evidence_for("All the same text"),
            None
        );
    }
}
