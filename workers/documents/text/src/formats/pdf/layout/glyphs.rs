//! Glyphs in the direction in which they are read.

use std::collections::BTreeMap;

use pdf_oxide::layout::TextChar;

use crate::wrap::is_unspaced;

/// A character on the page. Lengths are in points; `left` and `right` along its line, `baseline`
/// upwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) character: char,
    pub(super) left: f32,
    /// Where the glyph ends.
    pub(super) right: f32,
    /// Where the next one stands if nothing separates them, tracking included.
    pub(super) reach: f32,
    pub(super) baseline: f32,
    pub(super) size: f32,
    pub(super) bold: bool,
    /// The file has a blank before it, or the library thinks so.
    pub(super) blank_before: bool,
    /// The file has a blank behind it, at the end of its line.
    pub(super) blank_after: bool,
}

/// The glyphs of a page that are written in one direction.
pub(super) struct Frame {
    pub(super) glyphs: Vec<Glyph>,
}

/// Parts a page's characters by their direction, that of most of them first.
pub(super) fn frames(characters: &[TextChar]) -> Vec<Frame> {
    let mut by_angle: BTreeMap<i32, Vec<Glyph>> = BTreeMap::new();
    let mut blanks: BTreeMap<i32, Vec<Glyph>> = BTreeMap::new();
    for character in characters {
        let angle = angle_of(character);
        let Some(glyph) = placed(character, angle) else {
            continue;
        };
        let kind = if glyph.character.is_whitespace() {
            &mut blanks
        } else {
            &mut by_angle
        };
        kind.entry(angle).or_default().push(glyph);
    }
    let mut frames: Vec<(i32, Vec<Glyph>)> = by_angle.into_iter().collect();
    frames.sort_by_key(|(_, glyphs)| std::cmp::Reverse(glyphs.len()));
    let frames = frames.into_iter().map(|(angle, mut glyphs)| {
        let blanks = blanks.remove(&angle).unwrap_or_default();
        mark_blanks(&mut glyphs, blanks);
        Frame { glyphs }
    });
    frames.collect()
}

/// In whole degrees, so that what looks straight is straight.
fn angle_of(character: &TextChar) -> i32 {
    let degrees = character.rotation_degrees;
    if degrees.is_finite() {
        degrees.round() as i32
    } else {
        0
    }
}

fn placed(character: &TextChar, angle: i32) -> Option<Glyph> {
    let (x, y) = (character.origin_x, character.origin_y);
    let size = character.font_size;
    let sane = |value: f32| value.is_finite() && value.abs() < 1e6;
    if !sane(x) || !sane(y) || !sane(size) || size <= 0.0 {
        return None;
    }
    let (left, baseline) = match angle {
        0 => (x, y),
        90 => (y, -x),
        180 | -180 => (-x, -y),
        -90 | 270 => (-y, x),
        _ => {
            let (sine, cosine) = (angle as f32).to_radians().sin_cos();
            (x * cosine + y * sine, y * cosine - x * sine)
        }
    };
    // Widths are measured along the page, which says nothing of turned glyphs.
    let usual = if is_unspaced(character.char) {
        size
    } else {
        size * 0.5
    };
    let known = |width: f32| {
        let known = (angle == 0 || angle.abs() == 180) && sane(width) && width > 0.0;
        if known { width.min(size * 4.0) } else { usual }
    };
    let width = known(character.advance_width);
    Some(Glyph {
        character: character.char,
        left,
        right: left + width,
        reach: left + known(character.rendered_advance).max(width * 0.5),
        baseline,
        size,
        bold: character.font_weight.is_bold(),
        blank_before: false,
        blank_after: false,
    })
}

/// Marks each glyph that follows a blank of its line, and the last one where a blank follows it.
fn mark_blanks(glyphs: &mut [Glyph], mut blanks: Vec<Glyph>) {
    sort(glyphs);
    sort(&mut blanks);
    let mut index = 0;
    for blank in blanks {
        // The first glyph behind it on the same baseline.
        while glyphs
            .get(index)
            .is_some_and(|glyph| is_before(glyph, &blank))
        {
            index += 1;
        }
        if let Some(glyph) = glyphs.get_mut(index)
            && glyph.baseline == blank.baseline
        {
            glyph.blank_before = true;
        } else if let Some(glyph) = index.checked_sub(1).and_then(|last| glyphs.get_mut(last))
            && glyph.baseline == blank.baseline
        {
            glyph.blank_after = true;
        }
    }
}

fn is_before(glyph: &Glyph, blank: &Glyph) -> bool {
    glyph.baseline > blank.baseline || glyph.baseline == blank.baseline && glyph.left < blank.left
}

/// From the top, and along the line.
pub(super) fn sort(glyphs: &mut [Glyph]) {
    glyphs.sort_by(|one, other| {
        let down = other.baseline.total_cmp(&one.baseline);
        down.then(one.left.total_cmp(&other.left))
    });
}
