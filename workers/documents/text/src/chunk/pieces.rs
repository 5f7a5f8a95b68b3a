//! The text as sentences, each with its size and its place.

use std::ops::Range;

use icu_segmenter::options::SentenceBreakInvariantOptions;
use icu_segmenter::{SentenceSegmenter, WordSegmenter};
use unicode_segmentation::UnicodeSegmentation;

use crate::extraction::{Page, Section};
use crate::tokens::{Quarters, quarters_of};
use crate::wrap;

/// What is packed whole: a sentence, or a part of one that is too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Without white space at its ends.
    pub(super) bytes: Range<usize>,
    pub(super) characters: Range<usize>,
    pub(super) quarters: Quarters,
    /// The size of the white space between the piece before and this one.
    pub(super) gap: Quarters,
    /// The index of its page in the list of pages.
    pub(super) page: usize,
    /// The index of its section in the list of sections.
    pub(super) section: Option<usize>,
    /// Counts up at each section that has text of its own.
    group: usize,
}

impl Piece {
    /// Chunks are packed within a region only.
    pub(super) fn region(&self) -> (usize, usize) {
        (self.page, self.group)
    }
}

/// Cuts the text; no piece is larger than `maximum`.
pub(super) fn cut(
    text: &str,
    pages: &[Page],
    sections: &[Section],
    maximum: Quarters,
) -> Vec<Piece> {
    let mut cutter = Cutter {
        text,
        maximum,
        place: Place::new(pages, sections),
        position: 0,
        gap: 0,
        pieces: Vec::new(),
    };
    let mut sentence_start = 0;
    for end in sentence_ends(text) {
        cutter.take(sentence_start..end);
        sentence_start = end;
    }
    cutter.take(sentence_start..text.len());
    join_lonely_headings(&mut cutter.pieces);
    cutter.pieces
}

/// Byte offsets at which a sentence ends, in order.
///
/// UAX 29 ends a sentence at every line end. Lines of a paragraph that was wrapped end in the
/// middle of one: such an end is left out.
fn sentence_ends(text: &str) -> impl Iterator<Item = usize> {
    let segmenter = SentenceSegmenter::new(SentenceBreakInvariantOptions::default());
    segmenter
        .segment_str(text)
        .filter(move |&end| end > 0 && !goes_on(text, end))
}

/// Whether a line end in `text` before `end` is in the middle of a sentence: the line before it
/// does not end as sentences do, and the next begins with a small letter.
fn goes_on(text: &str, end: usize) -> bool {
    let before = &text[..end];
    if !before.ends_with('\n') || before.ends_with("\n\n") {
        return false;
    }
    let begins_small = text[end..].starts_with(|c: char| c.is_lowercase());
    begins_small && !wrap::ends_sentence(before)
}

/// Where in the document the walk has come to.
struct Place<'a> {
    pages: &'a [Page],
    sections: &'a [Section],
    page: usize,
    section: Option<usize>,
    group: usize,
}

impl<'a> Place<'a> {
    fn new(pages: &'a [Page], sections: &'a [Section]) -> Self {
        Self {
            pages,
            sections,
            page: 0,
            section: None,
            group: 0,
        }
    }

    /// Moves on to the character at `position`.
    fn advance(&mut self, position: usize) {
        while self
            .pages
            .get(self.page + 1)
            .is_some_and(|next| next.start <= position)
        {
            self.page += 1;
        }
        let mut next = self.section.map_or(0, |section| section + 1);
        while self
            .sections
            .get(next)
            .is_some_and(|section| section.start <= position)
        {
            self.section = Some(next);
            self.group += 1;
            next += 1;
        }
    }

    /// The nearest position behind `position` at which a section begins.
    fn next_section(&self) -> Option<usize> {
        let next = self.section.map_or(0, |section| section + 1);
        self.sections.get(next).map(|section| section.start)
    }
}

struct Cutter<'a> {
    text: &'a str,
    maximum: Quarters,
    place: Place<'a>,
    /// Up to this character the text was walked.
    position: usize,
    /// White space since the last piece.
    gap: Quarters,
    pieces: Vec<Piece>,
}

impl Cutter<'_> {
    /// Takes the next sentence, with the white space behind it.
    fn take(&mut self, sentence: Range<usize>) {
        if sentence.is_empty() {
            return;
        }
        let all = &self.text[sentence.clone()];
        let quarters = size_of(all);
        let characters = self.position..self.position + all.chars().count();
        self.place.advance(self.position + leading_spaces(all));
        let crosses = self
            .place
            .next_section()
            .is_some_and(|start| start < characters.end);
        if quarters <= self.maximum && !crosses {
            self.push(sentence, characters.end, quarters);
            return;
        }
        self.take_parts(sentence);
    }

    /// Cuts at the borders of words, or of graphemes, or of characters where it must be, and
    /// where a section begins in the middle of what looked like a sentence.
    fn take_parts(&mut self, sentence: Range<usize>) {
        let mut start = sentence.start;
        let mut quarters = 0;
        let mut position = self.position;
        for atom in atoms(&self.text[sentence.clone()], self.maximum) {
            let atom_text = &self.text[sentence.start + atom.start..sentence.start + atom.end];
            let atom_quarters = size_of(atom_text);
            let atom_start = sentence.start + atom.start;
            let new_section = self
                .place
                .next_section()
                .is_some_and(|next| next <= position);
            if quarters > 0 && (quarters + atom_quarters > self.maximum || new_section) {
                self.push(start..atom_start, position, quarters);
                start = atom_start;
                quarters = 0;
            }
            if quarters == 0 {
                self.place.advance(position);
            }
            quarters += atom_quarters;
            position += atom_text.chars().count();
        }
        self.push(start..sentence.end, position, quarters);
    }

    /// Adds a piece that begins where the walk is and ends before the character `end`.
    fn push(&mut self, bytes: Range<usize>, end: usize, quarters: Quarters) {
        let all = &self.text[bytes.clone()];
        let trimmed = all.trim();
        if trimmed.is_empty() {
            self.gap += quarters;
        } else {
            let (before, after) = (all.len() - all.trim_start().len(), all.trim_end().len());
            let start_byte = bytes.start + before;
            let (leading, trailing) = (&all[..before], &all[after..]);
            let start = self.position + leading.chars().count();
            self.pieces.push(Piece {
                bytes: start_byte..start_byte + trimmed.len(),
                characters: start..end - trailing.chars().count(),
                quarters: quarters - size_of(leading) - size_of(trailing),
                gap: self.gap + size_of(leading),
                page: self.place.page,
                section: self.place.section,
                group: self.place.group,
            });
            self.gap = size_of(trailing);
        }
        self.position = end;
    }
}

fn size_of(text: &str) -> Quarters {
    text.chars().map(quarters_of).sum()
}

fn leading_spaces(text: &str) -> usize {
    text.chars()
        .take_while(|character| character.is_whitespace())
        .count()
}

/// The smallest parts of a long sentence: words, or what they have to be cut into.
fn atoms(sentence: &str, maximum: Quarters) -> Vec<Range<usize>> {
    let segmenter = WordSegmenter::new_dictionary(Default::default());
    let mut atoms = Vec::new();
    let mut start = 0;
    for end in segmenter.segment_str(sentence).skip(1) {
        cut_word(sentence, start..end, maximum, &mut atoms);
        start = end;
    }
    atoms
}

fn cut_word(sentence: &str, word: Range<usize>, maximum: Quarters, atoms: &mut Vec<Range<usize>>) {
    if size_of(&sentence[word.clone()]) <= maximum {
        atoms.push(word);
        return;
    }
    for (offset, grapheme) in sentence[word.clone()].grapheme_indices(true) {
        let start = word.start + offset;
        if size_of(grapheme) <= maximum {
            atoms.push(start..start + grapheme.len());
            continue;
        }
        // Hundreds of marks on one letter: no reader sees what is cut here.
        let characters = grapheme.char_indices();
        atoms.extend(characters.map(|(at, c)| start + at..start + at + c.len_utf8()));
    }
}

/// A heading without text of its own goes with what follows it: a chunk of a chapter's title
/// alone would answer nothing.
fn join_lonely_headings(pieces: &mut [Piece]) {
    let mut index = pieces.len();
    while let Some(last) = index.checked_sub(1) {
        let (page, group) = pieces[last].region();
        let first = pieces[..last]
            .iter()
            .rposition(|piece| piece.region() != (page, group))
            .map_or(0, |before| before + 1);
        let is_heading_alone = first == last && pieces[last].section.is_some();
        if is_heading_alone && let Some(next) = pieces.get(last + 1).cloned() {
            let begins_section = next.section != pieces[last].section;
            if next.page == page && begins_section {
                pieces[last].group = next.group;
                pieces[last].section = next.section;
            }
        }
        index = first;
    }
}
