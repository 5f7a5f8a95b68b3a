//! Where readers put what they find: normalised, counted and limited in one place.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::error::ExtractError;
use crate::extraction::{Page, Section};
use crate::limits::Limits;

/// Headings longer than this are paragraphs that somebody formatted as headings.
const LONGEST_HEADING: usize = 200;
/// A document with more headings than this has no headings that help.
const MOST_SECTIONS: usize = 20_000;

/// Text with its pages and sections, before anything is derived from it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) pages: Vec<Page>,
    pub(crate) sections: Vec<Section>,
    pub(crate) title: Option<String>,
}

/// How a block is set off from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// On the next line: lines of a table, of a list, of preformatted text.
    Line,
    /// Behind an empty line.
    Paragraph,
}

impl Gap {
    fn separator(self) -> &'static str {
        match self {
            Self::Line => "\n",
            Self::Paragraph => "\n\n",
        }
    }
}

/// Builds a [`Draft`] block by block.
///
/// Each block is normalised before its position is taken, so positions are exact. Blocks are
/// separated by line feeds, with which nothing composes: the whole is NFC because its blocks are.
pub(crate) struct Builder {
    draft: Draft,
    characters: usize,
    open_page: Option<Page>,
    output_bytes: u64,
}

impl Builder {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            draft: Draft::default(),
            characters: 0,
            open_page: None,
            output_bytes: limits.output_bytes,
        }
    }

    /// Adds a block; one without visible text is left out.
    pub(crate) fn block(&mut self, gap: Gap, text: &str) -> Result<(), ExtractError> {
        self.add(gap, text).map(|_| ())
    }

    /// Adds a heading as a paragraph of its own, and a section that begins with it.
    pub(crate) fn heading(&mut self, level: u8, text: &str) -> Result<(), ExtractError> {
        let title = one_line(text);
        let Some(start) = self.add(Gap::Paragraph, &title)? else {
            return Ok(());
        };
        let title_length = self.characters - start;
        if title_length <= LONGEST_HEADING && self.draft.sections.len() < MOST_SECTIONS {
            let title = clean(&title);
            self.draft.sections.push(Section {
                title,
                level: level.max(1),
                start,
            });
        }
        Ok(())
    }

    /// What follows stands on this page.
    pub(crate) fn page(&mut self, number: u32) {
        self.named_page(number, None, false);
    }

    /// What follows stands on this slide, sheet or chapter.
    pub(crate) fn named_page(&mut self, number: u32, name: Option<&str>, hidden: bool) {
        self.close_page();
        let name = name.map(|name| clean(&one_line(name)));
        self.open_page = Some(Page {
            number,
            // Until its first block is there: a page that ends before it begins.
            start: usize::MAX,
            end: 0,
            name: name
                .filter(|name| !name.is_empty())
                .map(|name| beginning_of(&name)),
            hidden,
        });
    }

    /// The number of the page that was begun last; 0 before the first one.
    pub(crate) fn last_page(&self) -> u32 {
        let open = self.open_page.as_ref().or(self.draft.pages.last());
        open.map_or(0, |page| page.number)
    }

    /// How long the text is by now.
    pub(crate) fn characters(&self) -> usize {
        self.characters
    }

    /// Whether that many more bytes would still be accepted: for readers that must gather a row
    /// or a slide before they can add it.
    pub(crate) fn has_room_for(&self, bytes: usize) -> Result<(), ExtractError> {
        let size = u64::try_from(self.draft.text.len().saturating_add(bytes)).unwrap_or(u64::MAX);
        if size > self.output_bytes {
            return Err(ExtractError::OutputLimit {
                megabytes: self.output_bytes >> 20,
            });
        }
        Ok(())
    }

    /// The title that the document gives itself; the first one wins.
    pub(crate) fn title(&mut self, title: &str) {
        let title = clean(&one_line(title));
        if self.draft.title.is_none() && !title.is_empty() {
            self.draft.title = Some(beginning_of(&title));
        }
    }

    pub(crate) fn finish(mut self) -> Draft {
        self.close_page();
        self.draft
    }

    fn close_page(&mut self) {
        let Some(mut page) = self.open_page.take() else {
            return;
        };
        // A page without text begins and ends where the text before it ended.
        page.start = page.start.min(self.characters);
        page.end = self.characters;
        self.draft.pages.push(page);
    }

    /// Adds the cleaned text and returns the position of its first character.
    fn add(&mut self, gap: Gap, text: &str) -> Result<Option<usize>, ExtractError> {
        let cleaned = clean(text);
        if cleaned.is_empty() {
            return Ok(None);
        }
        if !self.draft.text.is_empty() {
            self.draft.text.push_str(gap.separator());
            self.characters += gap.separator().len();
        }
        let start = self.characters;
        self.draft.text.push_str(&cleaned);
        self.characters += cleaned.chars().count();
        if let Some(page) = &mut self.open_page {
            page.start = page.start.min(start);
        }
        self.has_room_for(0)?;
        Ok(Some(start))
    }
}

fn beginning_of(name: &str) -> String {
    let beginning: String = name.chars().take(LONGEST_HEADING).collect();
    beginning.trim_end().to_owned()
}

/// Collapses all white space, line ends included, to single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// One form for every text: NFC, `\n` only, no control characters, no trailing spaces, no
/// empty lines at the ends and never more than one in a row.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut empty_lines = 0;
    let unified = text.replace("\r\n", "\n");
    for line in unified.split([
        '\n', '\r', '\u{2028}', '\u{2029}', '\u{0b}', '\u{0c}', '\u{85}',
    ]) {
        let line_start = cleaned.len();
        if line_start > 0 {
            cleaned.push_str(if empty_lines > 0 { "\n\n" } else { "\n" });
        }
        let content_start = cleaned.len();
        cleaned.extend(line.chars().filter_map(readable));
        cleaned.truncate(cleaned.trim_end().len().max(content_start));
        if cleaned.len() == content_start {
            cleaned.truncate(line_start);
            empty_lines += 1;
        } else {
            empty_lines = 0;
        }
    }
    // Not `is_nfc`: the quick check leaves the rare "maybe" to the full normalisation.
    if is_nfc_quick(cleaned.chars()) == IsNormalized::Yes && !cleaned.chars().any(is_variant) {
        return cleaned;
    }
    cleaned.chars().flat_map(fold_variant).nfc().collect()
}

/// Drops what nobody sees and gives every space one form.
fn readable(character: char) -> Option<char> {
    match character {
        '\t' => Some('\t'),
        // No-break and typographic spaces; the ideographic space keeps its width.
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => Some(' '),
        // Soft hyphen, zero-width space, word joiner, byte order mark, bidirectional marks.
        '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => None,
        '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => None,
        // Marks of annotations, and letters that only programs see.
        '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}' => None,
        other if other.is_control() => None,
        other => Some(other),
    }
}

/// Characters that only look different: Latin ligatures and Kangxi radicals, which PDF fonts
/// put in the place of letters and ideographs. Left alone, no search would find the words.
fn is_variant(character: char) -> bool {
    matches!(character, '\u{fb00}'..='\u{fb06}' | '\u{2f00}'..='\u{2fd5}')
}

fn fold_variant(character: char) -> impl Iterator<Item = char> {
    let folded: Vec<char> = if is_variant(character) {
        std::iter::once(character).nfkc().collect()
    } else {
        vec![character]
    };
    folded.into_iter()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn cleaning_keeps_what_people_read() {
        assert_eq!(clean("a\r\nb\rc  \n\n\n\nd\u{0}\u{7}"), "a\nb\nc\n\nd");
        assert_eq!(clean("\n\n  indented\u{a0}x \n\n"), "  indented x");
        assert_eq!(clean("e\u{301}ﬁ⼀"), "éfi一");
        assert_eq!(clean("\u{1112}\u{1161}\u{11ab}"), "한");
        assert_eq!(clean(" \n\t"), "");
    }

    #[test]
    fn positions_are_counted_after_normalisation() {
        let mut builder = Builder::new(&Limits::default());
        builder.page(1);
        builder.block(Gap::Paragraph, "e\u{301}e\u{301}").unwrap();
        builder.page(2);
        builder.page(3);
        builder.heading(0, "제\n목").unwrap();
        builder.block(Gap::Line, "字").unwrap();
        let draft = builder.finish();
        assert_eq!(draft.text, "éé\n\n제 목\n字");
        let pages: Vec<_> = draft
            .pages
            .iter()
            .map(|p| (p.number, p.start, p.end))
            .collect();
        assert_eq!(pages, [(1, 0, 2), (2, 2, 2), (3, 4, 9)]);
        assert_eq!(
            draft.sections,
            [Section {
                title: "제 목".into(),
                level: 1,
                start: 4
            }]
        );
    }

    #[test]
    fn too_much_text_is_refused() {
        let mut builder = Builder::new(&Limits {
            output_bytes: 10,
            ..Limits::default()
        });
        builder.block(Gap::Line, "123456").unwrap();
        assert_eq!(
            builder.block(Gap::Line, "123456").unwrap_err().reason(),
            "output-limit"
        );
    }
}
