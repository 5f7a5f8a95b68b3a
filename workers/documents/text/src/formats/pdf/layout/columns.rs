//! Where a region is cut into columns.
//!
//! A gutter is a place that few lines cross and that has prose on both sides: lines of letters, wrapped
//! by a margin. Cells of a table and labels have gaps between them, too, and are no columns.

use super::lines::Segment;

/// A column of prose has at least this many lines.
pub(super) const FEWEST_LINES: usize = 3;
/// It is at least this wide, in sizes of its letters.
const NARROWEST: f32 = 7.0;
/// Its lines have so many letters on average, wide ones counted twice.
const FEWEST_COLUMNS: usize = 14;
/// Most of its lines fill so much of it.
const FULL: f32 = 0.55;
/// A gutter is nowhere narrower than this, in sizes.
const NARROWEST_GUTTER: f32 = 0.4;
/// Lines of a column that is surely one, whatever stands beside it.
const MANY_LINES: usize = 6;
/// Lines that cross a gutter may be this share of those beside it, in per cent.
const MOST_CROSSING_PER_CENT: usize = 60;
/// Places across a region that are tried as a gutter.
const PLACES: usize = 160;

pub(super) fn middle(segment: &Segment) -> f32 {
    (segment.left + segment.right) / 2.0
}

pub(super) fn crosses(segment: &Segment, gutter: f32) -> bool {
    segment.left < gutter && segment.right > gutter
}

/// Lines that only seem to cross the gutter: it is no wider there than a blank elsewhere.
pub(super) fn cut_along(segments: Vec<Segment>, gutter: f32) -> Vec<Segment> {
    let mut all = Vec::with_capacity(segments.len());
    for segment in segments {
        if !crosses(&segment, gutter) {
            all.push(segment);
            continue;
        }
        let blank = segment.size * NARROWEST_GUTTER;
        match segment.cut_at(gutter, blank) {
            Ok((left, right)) => all.extend([left, right]),
            Err(whole) => all.push(whole),
        }
    }
    all
}

/// Where a region is to be cut, if what stands on both sides is prose.
pub(super) fn gutter_of(segments: &[Segment]) -> Option<f32> {
    if segments.len() < 2 * FEWEST_LINES {
        return None;
    }
    let left = segments.iter().map(|s| s.left).fold(f32::MAX, f32::min);
    let right = segments.iter().map(|s| s.right).fold(f32::MIN, f32::max);
    let width = right - left;
    if !width.is_finite() || width <= 0.0 {
        return None;
    }
    let place = |index: usize| left + width * (index as f32 + 0.5) / PLACES as f32;
    let mut crossing = [0_usize; PLACES];
    for segment in segments {
        let index =
            |x: f32| ((x - left) / width * PLACES as f32).clamp(0.0, PLACES as f32) as usize;
        for count in crossing
            .iter_mut()
            .take(index(segment.right))
            .skip(index(segment.left))
        {
            *count += 1;
        }
    }
    // Candidates: the middles of runs of places that the fewest lines cross.
    let mut candidates: Vec<(usize, f32)> = Vec::new();
    let mut start = 0;
    while start < PLACES {
        let count = crossing[start];
        let run = crossing[start..]
            .iter()
            .take_while(|&&c| c == count)
            .count();
        let lower_before = start > 0 && crossing[start - 1] <= count;
        let lower_after = crossing.get(start + run).is_some_and(|&next| next <= count);
        let at_edge = start == 0 || start + run == PLACES;
        if !lower_before && !lower_after && !at_edge {
            candidates.push((count, (place(start) + place(start + run - 1)) / 2.0));
        }
        start += run;
    }
    candidates.sort_by_key(|(crossing, _)| *crossing);
    candidates
        .into_iter()
        .take(8)
        .find(|(_, gutter)| is_between_columns(segments, *gutter))
        .map(|(_, gutter)| gutter)
}

fn is_between_columns(segments: &[Segment], gutter: f32) -> bool {
    let mut left = Vec::new();
    let mut right = Vec::new();
    let mut crossing = 0;
    for segment in segments {
        if crosses(segment, gutter) {
            crossing += 1;
        } else if middle(segment) < gutter {
            left.push(segment);
        } else {
            right.push(segment);
        }
    }
    let fewest = left.len().min(right.len());
    fewest >= FEWEST_LINES
        && crossing * 100 <= fewest * MOST_CROSSING_PER_CENT
        && (is_prose(&left, Sure::No) && is_prose(&right, Sure::No)
            || is_prose(&left, Sure::Yes)
            || is_prose(&right, Sure::Yes))
        && stand_side_by_side(&left, &right)
}

/// Whether what stands beside a column matters.
#[derive(Clone, Copy, PartialEq)]
enum Sure {
    /// Lines wrapped by the margin, one below the other: listings and figures may stand beside it.
    Yes,
    No,
}

/// Whether these lines are those of one or more columns of text, and not cells or labels.
fn is_prose(lines: &[&Segment], sure: Sure) -> bool {
    let mut sizes: Vec<f32> = lines.iter().map(|line| line.size).collect();
    sizes.sort_by(f32::total_cmp);
    let size = sizes[sizes.len() / 2];
    let (mut letters, mut columns, mut glyphs) = (0, 0, 0);
    for line in lines {
        let (of_line, wide) = line.letters_and_columns();
        letters += of_line;
        columns += wide;
        glyphs += line.glyphs.len();
    }
    // Of lines side by side each fills its own column only.
    let mut widths: Vec<f32> = lines.iter().map(|line| line.right - line.left).collect();
    widths.sort_by(f32::total_cmp);
    let widest = widths[widths.len() - 1 - widths.len() / 20];
    if sure == Sure::Yes {
        let full = widths
            .iter()
            .filter(|&&width| width >= widest * 0.9)
            .count();
        return lines.len() >= MANY_LINES
            && widest >= size * NARROWEST * 2.0
            && letters * 10 >= glyphs * 7
            && columns >= lines.len() * FEWEST_COLUMNS * 2
            && full * 10 >= lines.len() * 7;
    }
    let full = widths
        .iter()
        .filter(|&&width| width >= widest * FULL)
        .count();
    widest >= size * NARROWEST
        && letters * 10 >= glyphs * 6
        && columns >= lines.len() * FEWEST_COLUMNS
        && full * 2 >= lines.len()
}

fn stand_side_by_side(left: &[&Segment], right: &[&Segment]) -> bool {
    let span = |lines: &[&Segment]| {
        let top = lines.iter().map(|l| l.baseline).fold(f32::MIN, f32::max);
        let bottom = lines.iter().map(|l| l.baseline).fold(f32::MAX, f32::min);
        (bottom, top)
    };
    let ((low, high), (other_low, other_high)) = (span(left), span(right));
    let shared = high.min(other_high) - low.max(other_low);
    shared > 0.3 * (high - low).min(other_high - other_low)
}
