//! Text to chunks: whole sentences, within a page and a section, sized in tokens.
//!
//! The text is walked once from start to end and cut into *pieces*: sentences, or parts of
//! them where a sentence is longer than a chunk may be. Pieces of the same page and section are
//! a *region*; its pieces are packed into chunks of about equal size. Everything is a walk over
//! offsets that are already there: nothing looks up a character position twice.

mod pieces;

use serde::{Deserialize, Serialize};

use crate::extraction::{Page, Section};
use crate::tokens::{QUARTERS, Quarters};
use crate::words;
use pieces::Piece;

/// The smallest maximum: even one grapheme cluster, however decorated, should fit.
const SMALLEST_MAXIMUM: usize = 16;

/// How large chunks are, in estimated tokens (see [`crate::estimate_tokens`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedSettings", into = "UncheckedSettings")]
pub struct ChunkSettings {
    target_tokens: usize,
    max_tokens: usize,
    overlap_tokens: usize,
}

/// The three numbers do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChunkSettings {
    /// The target must lie between one token and the maximum.
    #[error("target of {target} tokens is not between 1 and the maximum of {maximum}")]
    Target {
        /// The target that was given.
        target: usize,
        /// The maximum that was given.
        maximum: usize,
    },
    /// The maximum must be at least 16 tokens.
    #[error("maximum of {0} tokens is less than {SMALLEST_MAXIMUM}")]
    Maximum(usize),
    /// The overlap must leave at least half of the target to new text.
    #[error("overlap of {overlap} tokens is more than half of the target of {target}")]
    Overlap {
        /// The overlap that was given.
        overlap: usize,
        /// The target that was given.
        target: usize,
    },
}

impl ChunkSettings {
    /// Checks that `1 ≤ target ≤ max`, `max ≥ 16` and `overlap ≤ target / 2`.
    pub fn try_new(
        target_tokens: usize,
        max_tokens: usize,
        overlap_tokens: usize,
    ) -> Result<Self, InvalidChunkSettings> {
        if max_tokens < SMALLEST_MAXIMUM {
            return Err(InvalidChunkSettings::Maximum(max_tokens));
        }
        if target_tokens == 0 || target_tokens > max_tokens {
            let (target, maximum) = (target_tokens, max_tokens);
            return Err(InvalidChunkSettings::Target { target, maximum });
        }
        if overlap_tokens > target_tokens / 2 {
            let (overlap, target) = (overlap_tokens, target_tokens);
            return Err(InvalidChunkSettings::Overlap { overlap, target });
        }
        Ok(Self {
            target_tokens,
            max_tokens,
            overlap_tokens,
        })
    }

    /// What a chunk should have.
    pub fn target_tokens(&self) -> usize {
        self.target_tokens
    }

    /// What no chunk exceeds.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// What a chunk at most repeats of the one before it.
    pub fn overlap_tokens(&self) -> usize {
        self.overlap_tokens
    }
}

impl Default for ChunkSettings {
    /// 400 tokens, at most 600, with up to 60 of overlap: a few paragraphs, small enough that
    /// a hit points at something.
    fn default() -> Self {
        Self {
            target_tokens: 400,
            max_tokens: 600,
            overlap_tokens: 60,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct UncheckedSettings {
    target_tokens: usize,
    max_tokens: usize,
    overlap_tokens: usize,
}

impl TryFrom<UncheckedSettings> for ChunkSettings {
    type Error = InvalidChunkSettings;

    fn try_from(unchecked: UncheckedSettings) -> Result<Self, Self::Error> {
        Self::try_new(
            unchecked.target_tokens,
            unchecked.max_tokens,
            unchecked.overlap_tokens,
        )
    }
}

impl From<ChunkSettings> for UncheckedSettings {
    fn from(settings: ChunkSettings) -> Self {
        let ChunkSettings {
            target_tokens,
            max_tokens,
            overlap_tokens,
        } = settings;
        Self {
            target_tokens,
            max_tokens,
            overlap_tokens,
        }
    }
}

/// A part of the text: exactly the characters from `start` to `end`. It borrows from the text and
/// the sections that it was cut from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chunk<'a> {
    /// Counted from 0.
    pub index: u32,
    /// The position of the first character.
    pub start: usize,
    /// The position behind the last character.
    pub end: usize,
    /// The page on which the chunk begins; none where there are no pages.
    pub page: Option<u32>,
    /// The page on which it ends: another one only if a sentence goes on there.
    pub page_end: Option<u32>,
    /// The heading above it.
    pub section: Option<&'a str>,
    /// Words in the content, counted as in [`crate::Extraction`].
    pub word_count: u32,
    /// Characters: `end - start`.
    pub char_count: u32,
    /// The text itself, without white space at its ends.
    pub content: &'a str,
}

/// Cuts a text into chunks.
///
/// `pages` and `sections` are those of the [`crate::Extraction`]; both are in order and may be
/// empty. The same input gives the same chunks. Every character that is not white space is in
/// at least one of them.
pub fn chunk<'a>(
    text: &'a str,
    pages: &[Page],
    sections: &'a [Section],
    settings: &ChunkSettings,
) -> Vec<Chunk<'a>> {
    let pieces = pieces::cut(text, pages, sections, settings.max_tokens * QUARTERS);
    let mut packed = Vec::new();
    let mut rest = pieces.as_slice();
    while let Some(first) = rest.first() {
        let length = rest
            .iter()
            .take_while(|piece| piece.region() == first.region())
            .count();
        let (region, others) = rest.split_at(length);
        pack_region(region, settings, &mut packed);
        rest = others;
    }
    let chunks = packed
        .into_iter()
        .zip(0..)
        .map(|(pieces, index)| finish(text, pieces, index, pages, sections));
    chunks.collect()
}

/// Packs the pieces of one region into chunks of about the same size.
fn pack_region<'p>(region: &'p [Piece], settings: &ChunkSettings, packed: &mut Vec<&'p [Piece]>) {
    let target = settings.target_tokens * QUARTERS;
    let maximum = settings.max_tokens * QUARTERS;
    let mut left = span_size(region);
    let mut previous_start = 0;
    let mut start = 0;
    while start < region.len() {
        let mut first = start_with_overlap(region, previous_start, start, settings);
        // What is repeated must not crowd out what is new.
        if span_size(&region[first..=start]) > maximum {
            first = start;
        }
        let mut size = span_size(&region[first..=start]);
        // A region of 410 tokens should become 205 and 205 rather than 400 and 10.
        let goal = left.div_ceil(left.div_ceil(target).max(1));
        let mut new = region[start].quarters();
        let mut end = start + 1;
        while let Some(next) = region.get(end) {
            let more = next.gap() + next.quarters();
            // Stop where that comes closer to the goal than going on would.
            if size + more > maximum || new + more / 2 > goal {
                break;
            }
            size += more;
            new += more;
            end += 1;
        }
        packed.push(&region[first..end]);
        left = left.saturating_sub(new + region.get(end).map_or(0, Piece::gap));
        previous_start = start;
        start = end;
    }
}

/// The size of pieces that follow each other, with the white space between them.
fn span_size(pieces: &[Piece]) -> Quarters {
    let all: Quarters = pieces
        .iter()
        .map(|piece| piece.gap() + piece.quarters())
        .sum();
    all - pieces.first().map_or(0, Piece::gap)
}

/// Where a chunk begins that repeats the last whole pieces of the one before it, of those that
/// were new in it.
fn start_with_overlap(
    region: &[Piece],
    previous_start: usize,
    start: usize,
    settings: &ChunkSettings,
) -> usize {
    let allowed = settings.overlap_tokens * QUARTERS;
    let mut first = start;
    let mut repeated = 0;
    // Repeating all of the former chunk would say nothing new.
    while first > previous_start + 1 {
        let before = &region[first - 1];
        repeated += before.quarters();
        if repeated > allowed {
            break;
        }
        repeated += before.gap();
        first -= 1;
    }
    first
}

fn finish<'a>(
    text: &'a str,
    pieces: &[Piece],
    index: u32,
    pages: &[Page],
    sections: &'a [Section],
) -> Chunk<'a> {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        // Never happens: packing pushes no empty slice.
        return Chunk {
            index,
            start: 0,
            end: 0,
            page: None,
            page_end: None,
            section: None,
            word_count: 0,
            char_count: 0,
            content: "",
        };
    };
    let content = &text[first.bytes().start..last.bytes().end];
    let (start, end) = (first.characters().start, last.characters().end);
    Chunk {
        index,
        start,
        end,
        page: page_at(pages, start),
        page_end: page_at(pages, end.saturating_sub(1)),
        section: first
            .section
            .and_then(|index| sections.get(index as usize))
            .map(|section| section.title.as_str()),
        word_count: u32::try_from(words::count(content)).unwrap_or(u32::MAX),
        char_count: u32::try_from(end - start).unwrap_or(u32::MAX),
        content,
    }
}

/// The number of the page on which a character stands.
fn page_at(pages: &[Page], position: usize) -> Option<u32> {
    let begun = pages.partition_point(|page| page.start <= position);
    // Empty pages begin where the page before them ends: not there.
    let with_text = pages[..begun].iter().rev().find(|page| page.end > position);
    with_text.or(pages[..begun].last()).map(|page| page.number)
}

#[cfg(test)]
mod tests;
