//! A page's glyphs to its text, in the order in which people read it.
//!
//! The library says which glyph stands where. From there on all is ours: glyphs become lines of a
//! direction ([`glyphs`]), lines are cut into segments where a gap is wide ([`lines`]), segments
//! are ordered column by column ([`columns`]), or row by row where they are a table ([`order`]),
//! and what is written from right to left is turned round ([`bidi`]).
//!
//! The library has a layout of its own. It costs six times what finding the glyphs does, glues
//! cells of tables together and leaves Arabic in the order of the page.

mod bidi;
mod columns;
mod glyphs;
mod legacy;
mod lines;
mod order;
#[cfg(test)]
mod tests;

use pdf_oxide::layout::TextChar;

use crate::wrap::is_unspaced;
use glyphs::{Frame, Glyph};
use lines::Segment;

/// Stands at the end of a line that was broken in the middle of a Korean word. A word joiner: it is
/// never part of what is read.
pub(super) const IN_WORD: char = '\u{2060}';

/// Text of one look, as it stands on the page: for those who look for headings.
pub(super) struct Run {
    pub(super) text: String,
    /// In points.
    pub(super) size: f32,
    pub(super) bold: bool,
}

/// A page as it is read.
#[derive(Default)]
pub(super) struct PageText {
    /// Lines; blocks are separated by an empty line, cells of a row by tabs.
    pub(super) text: String,
    pub(super) runs: Vec<Run>,
}

/// What stands on a page. `None` where glyphs stand below each other, as in Japanese books:
/// there the library's own order is better.
pub(super) fn read(characters: &[TextChar]) -> Option<PageText> {
    let frames = glyphs::frames(characters);
    let mut page = PageText::default();
    for Frame { glyphs } in frames {
        if is_vertical(&glyphs) {
            return None;
        }
        let mut segments = lines::segments(glyphs);
        legacy::decode(&mut segments);
        page.runs.extend(segments.iter().map(Segment::run));
        let text = order::text(segments);
        if !page.text.is_empty() && !text.is_empty() {
            page.text.push_str("\n\n");
        }
        page.text.push_str(&text);
    }
    Some(page)
}

/// Fewer glyphs of East Asia below each other may be a label.
const FEWEST_BELOW: usize = 6;
/// So many glyphs are looked at.
const SAMPLE: usize = 200;

/// Whether glyphs of East Asia stand below each other rather than beside each other.
fn is_vertical(glyphs: &[Glyph]) -> bool {
    let east_asian = |glyph: &&Glyph| is_unspaced(glyph.character);
    let sample: Vec<&Glyph> = glyphs.iter().filter(east_asian).take(SAMPLE).collect();
    // Where lines are horizontal the next glyph of most is the next one of the line.
    let is_beside = |pair: &&[&Glyph]| {
        let (one, next) = (pair[0], pair[1]);
        let step = (next.left - one.left) / one.size;
        one.baseline == next.baseline && (0.3..1.3).contains(&step)
    };
    let beside = sample.windows(2).filter(is_beside).count();
    if sample.len() < FEWEST_BELOW || beside * 3 > sample.len() {
        return false;
    }
    let is_above_another = |glyph: &&&Glyph| {
        glyphs.iter().any(|other| {
            let down = (glyph.baseline - other.baseline) / glyph.size;
            let aside = (glyph.left - other.left).abs() / glyph.size;
            (0.8..1.35).contains(&down) && aside < 0.12 && is_unspaced(other.character)
        })
    };
    let below = sample.iter().filter(is_above_another).count();
    below >= FEWEST_BELOW && below > 2 * beside
}
