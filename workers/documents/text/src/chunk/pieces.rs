//! The text as sentences, each with its size and its place.

use std::ops::Range;

use icu_segmenter::WordSegmenter;
use unicode_segmentation::UnicodeSegmentation;

use crate::extraction::{Page, Section};
use crate::sentences::{self, Rules};
use crate::tokens::{Quarters, Size};

/// What is packed whole: a sentence, or a part of one that is too long.
///
/// A book has a hundred thousand of them, so they are kept small: no piece has more than four
/// billion bytes, and there are no more pages and sections than that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The first byte, and how many there are, without white space at its ends.
    byte: usize,
    bytes: u32,
    /// The position of the first character, and how many there are.
    character: usize,
    characters: u32,
    quarters: u32,
    /// The size of the white space between the piece before and this one.
    gap: u32,
    /// The index of its page in the list of pages.
    page: u32,
    /// The index of its section in the list of sections.
    pub(super) section: Option<u32>,
    /// Counts up at each section that has text of its own.
    group: u32,
}

impl Piece {
    /// Chunks are packed within a region only.
    pub(super) fn region(&self) -> (u32, u32) {
        (self.page, self.group)
    }

    /// Its place in bytes.
    pub(super) fn bytes(&self) -> Range<usize> {
        self.byte..self.byte + self.bytes as usize
    }

    /// Its place in characters.
    pub(super) fn characters(&self) -> Range<usize> {
        self.character..self.character + self.characters as usize
    }

    pub(super) fn quarters(&self) -> Quarters {
        self.quarters as Quarters
    }

    pub(super) fn gap(&self) -> Quarters {
        self.gap as Quarters
    }
}

/// What is kept of a number that is smaller in any text that fits memory.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
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
    for sentence in sentences::of(text, Rules::Tailored) {
        cutter.take(sentence_start..sentence.end, sentence.size);
        sentence_start = sentence.end;
    }
    join_lonely_headings(&mut cutter.pieces);
    cutter.pieces
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
    fn take(&mut self, sentence: Range<usize>, size: Size) {
        let all = &self.text[sentence.clone()];
        let end = self.position + size.characters;
        self.place.advance(self.position + leading_spaces(all));
        let crosses = self.place.next_section().is_some_and(|start| start < end);
        if size.quarters <= self.maximum && !crosses {
            self.push(sentence, end, size.quarters);
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
        let behind = all.trim_start();
        if behind.is_empty() {
            self.gap += quarters;
        } else {
            let trimmed = behind.trim_end();
            let (before, after) = (all.len() - behind.len(), behind.len() - trimmed.len());
            let leading = Size::of(&all[..before]);
            let trailing = Size::of(&all[all.len() - after..]);
            let character = self.position + leading.characters;
            self.pieces.push(Piece {
                byte: bytes.start + before,
                bytes: narrow(trimmed.len()),
                character,
                characters: narrow(end - trailing.characters - character),
                quarters: narrow(quarters - leading.quarters - trailing.quarters),
                gap: narrow(self.gap + leading.quarters),
                page: narrow(self.place.page),
                section: self.place.section.map(narrow),
                group: narrow(self.place.group),
            });
            self.gap = trailing.quarters;
        }
        self.position = end;
    }
}

fn size_of(text: &str) -> Quarters {
    Size::of(text).quarters
}

fn leading_spaces(text: &str) -> usize {
    // Most sentences begin with what is no white space whatever follows it.
    if text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_graphic())
    {
        return 0;
    }
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
