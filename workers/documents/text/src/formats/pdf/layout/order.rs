//! Segments of lines to text, in the order of reading.
//!
//! A region is cut along a gutter where what stands on both sides is prose: then one column is read
//! after the other. What crosses the gutter (a title over both columns, a figure's caption) parts
//! the columns above it from those below. Where there is no such gutter, segments side by side are
//! cells of a row.

use super::IN_WORD;
use super::bidi;
use super::columns::{FEWEST_LINES, crosses, cut_along, gutter_of, middle};
use super::lines::Segment;
use crate::wrap;

/// Columns in columns in columns: no page has more.
const DEEPEST: usize = 6;
/// Baselines this near, in sizes, are one row.
const SAME_ROW: f32 = 0.4;
/// A gap this wide, in sizes, parts cells.
const CELL: f32 = 1.4;
/// A line this much further down than usual begins another block.
const WIDER: f32 = 1.28;
/// So do letters that are this much larger or smaller.
const OTHER_SIZE: f32 = 1.15;
/// Where nothing is known of a region's leading, in sizes.
const USUAL_LEADING: f32 = 1.25;

/// The text of a page's segments.
pub(super) fn text(segments: Vec<Segment>) -> String {
    let mut writer = Writer::default();
    let right_to_left = is_right_to_left(&segments);
    region(segments, right_to_left, DEEPEST, &mut writer);
    if right_to_left {
        bidi::brackets_as_read(writer.text)
    } else {
        writer.text
    }
}

fn is_right_to_left(segments: &[Segment]) -> bool {
    let sample: String = segments
        .iter()
        .take(200)
        .flat_map(|segment| segment.glyphs.iter().map(|glyph| glyph.character))
        .collect();
    bidi::reads_right_to_left(&sample)
}

fn region(segments: Vec<Segment>, right_to_left: bool, depth: usize, writer: &mut Writer) {
    let gutter = if depth == 0 {
        None
    } else {
        gutter_of(&segments)
    };
    let Some(gutter) = gutter else {
        writer.rows(segments, right_to_left);
        return;
    };
    let segments = cut_along(segments, gutter);
    // What crosses the gutter parts what stands beside it into bands.
    let mut band: Vec<Segment> = Vec::new();
    let mut across: Vec<Segment> = Vec::new();
    let mut from_top = segments;
    from_top.sort_by(|one, other| other.baseline.total_cmp(&one.baseline));
    for segment in from_top {
        if crosses(&segment, gutter) {
            columns(
                std::mem::take(&mut band),
                gutter,
                right_to_left,
                depth,
                writer,
            );
            across.push(segment);
        } else {
            writer.rows(std::mem::take(&mut across), right_to_left);
            band.push(segment);
        }
    }
    writer.rows(across, right_to_left);
    columns(band, gutter, right_to_left, depth, writer);
}

fn columns(
    band: Vec<Segment>,
    gutter: f32,
    right_to_left: bool,
    depth: usize,
    writer: &mut Writer,
) {
    let (left, right): (Vec<_>, Vec<_>) = band
        .into_iter()
        .partition(|segment| middle(segment) < gutter);
    if left.len() < FEWEST_LINES && right.len() < FEWEST_LINES {
        writer.rows(left.into_iter().chain(right).collect(), right_to_left);
        return;
    }
    let (first, second) = if right_to_left {
        (right, left)
    } else {
        (left, right)
    };
    region(first, right_to_left, depth - 1, writer);
    writer.next_column();
    region(second, right_to_left, depth - 1, writer);
    writer.end_block();
}

/// Lines that were written, and how the next one follows.
#[derive(Default)]
struct Writer {
    text: String,
    gap: Option<Gap>,
}

#[derive(Clone, Copy, PartialEq)]
enum Gap {
    /// The next line is of another block.
    Block,
    /// The next line is at the top of the next column: the sentence may go on.
    Column,
}

/// A line of a region, its cells joined.
struct Row {
    text: String,
    left: f32,
    baseline: f32,
    size: f32,
    /// The file has a blank before it, or behind it.
    blank_before: bool,
    blank_after: bool,
}

impl Row {
    /// Whether a Korean word may go on in the next line: there is no blank at the break.
    fn goes_on_in(&self, next: &Self) -> Break {
        let hangul = |c: char| ('\u{ac00}'..='\u{d7a3}').contains(&c);
        let closes = |c: char| matches!(c, '.' | ',' | ')' | '!' | '?' | ';' | ':');
        if !self.text.ends_with(hangul) || !next.text.starts_with(|c| hangul(c) || closes(c)) {
            Break::NotKorean
        } else if self.blank_after || next.blank_before {
            Break::BetweenWords
        } else {
            Break::PerhapsInWord
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Break {
    NotKorean,
    BetweenWords,
    PerhapsInWord,
}

/// Whether the file writes the blanks at which it breaks its lines: then a break without one is
/// in the middle of a word.
fn writes_blanks_at_breaks(rows: &[Row]) -> bool {
    let breaks = rows.windows(2).map(|pair| pair[0].goes_on_in(&pair[1]));
    let (mut between, mut all) = (0, 0);
    for kind in breaks {
        between += usize::from(kind == Break::BetweenWords);
        all += usize::from(kind != Break::NotKorean);
    }
    between >= 2 && between * 7 >= all
}

impl Writer {
    fn next_column(&mut self) {
        self.gap = Some(Gap::Column);
    }

    fn end_block(&mut self) {
        self.gap = Some(Gap::Block);
    }

    /// Writes segments row by row.
    fn rows(&mut self, segments: Vec<Segment>, right_to_left: bool) {
        let rows = rows(segments, right_to_left);
        let Some(leading) = leading(&rows) else {
            return;
        };
        let margin = rows.iter().map(|row| row.left).fold(f32::MAX, f32::min);
        let writes_blanks = writes_blanks_at_breaks(&rows);
        for (index, row) in rows.iter().enumerate() {
            if row.text.is_empty() {
                continue;
            }
            let before = index.checked_sub(1).map(|before| &rows[before]);
            if before.is_some_and(|before| {
                begins_block(before, row, leading)
                    || is_indented(before, row, rows.get(index + 1), margin)
            }) {
                self.gap = Some(Gap::Block);
            }
            self.line(&row.text);
            let next = rows.get(index + 1);
            if writes_blanks
                && next.is_some_and(|next| row.goes_on_in(next) == Break::PerhapsInWord)
            {
                self.text.push(IN_WORD);
            }
        }
        self.end_block();
    }

    fn line(&mut self, line: &str) {
        if !self.text.is_empty() {
            let separator = match self.gap {
                Some(Gap::Column) if goes_on(&self.text, line) => "\n",
                Some(_) => "\n\n",
                None => "\n",
            };
            self.text.push_str(separator);
        }
        self.gap = None;
        self.text.push_str(line);
    }
}

/// Whether a sentence that broke off at the bottom of a column goes on at the top of the next.
fn goes_on(before: &str, line: &str) -> bool {
    let small = line.starts_with(|c: char| c.is_lowercase() || wrap::is_unspaced(c));
    small && !wrap::ends_sentence(before)
}

fn rows(mut segments: Vec<Segment>, right_to_left: bool) -> Vec<Row> {
    segments.sort_by(|one, other| other.baseline.total_cmp(&one.baseline));
    let mut rows = Vec::new();
    let mut open: Vec<Segment> = Vec::new();
    for segment in segments {
        let apart = open.first().is_some_and(|first| {
            first.baseline - segment.baseline > first.size.min(segment.size) * SAME_ROW
        });
        if apart {
            rows.push(row(std::mem::take(&mut open), right_to_left));
        }
        open.push(segment);
    }
    if !open.is_empty() {
        rows.push(row(open, right_to_left));
    }
    rows
}

fn row(mut cells: Vec<Segment>, right_to_left: bool) -> Row {
    cells.sort_by(|one, other| one.left.total_cmp(&other.left));
    let mut texts: Vec<(String, &str)> = Vec::with_capacity(cells.len());
    let mut before: Option<&Segment> = None;
    for cell in &cells {
        let separator = before.map_or("", |before| {
            let gap = cell.left - before.right;
            let size = before.size.max(cell.size);
            if gap > size * CELL { "\t" } else { " " }
        });
        texts.push((cell.text(), separator));
        before = Some(cell);
    }
    let mut text = String::new();
    if right_to_left {
        // The separator of a cell stands between it and the one on its left.
        for (cell, separator) in texts.iter().rev() {
            text.push_str(cell);
            text.push_str(separator);
        }
    } else {
        for (cell, separator) in &texts {
            text.push_str(separator);
            text.push_str(cell);
        }
    }
    let widest = cells.iter().max_by_key(|cell| cell.glyphs.len());
    Row {
        text: text.trim().to_owned(),
        left: cells.first().map_or(0.0, |cell| cell.left),
        baseline: widest.map_or(0.0, |cell| cell.baseline),
        size: widest.map_or(0.0, |cell| cell.size),
        blank_before: cells.first().is_some_and(Segment::follows_blank),
        blank_after: cells.last().is_some_and(Segment::precedes_blank),
    }
}

/// The usual distance between lines; none without lines.
fn leading(rows: &[Row]) -> Option<f32> {
    let size = rows.iter().map(|row| row.size).fold(0.0, f32::max);
    let mut gaps: Vec<f32> = rows
        .windows(2)
        .map(|pair| pair[0].baseline - pair[1].baseline)
        .filter(|gap| *gap > 0.0 && *gap < size * 3.0)
        .collect();
    gaps.sort_by(f32::total_cmp);
    if rows.is_empty() {
        return None;
    }
    // The lower third: paragraphs of one line must not make their distance the usual one.
    Some(
        gaps.get(gaps.len() / 3)
            .copied()
            .unwrap_or(size * USUAL_LEADING),
    )
}

fn begins_block(before: &Row, row: &Row, leading: f32) -> bool {
    let gap = before.baseline - row.baseline;
    let ratio = row.size / before.size.max(f32::MIN_POSITIVE);
    let usual = leading.max(row.size.min(before.size) * 0.9);
    gap > usual * WIDER || !(1.0 / OTHER_SIZE..=OTHER_SIZE).contains(&ratio)
}

/// The first line of a paragraph that is set in: the lines before and behind it are not.
fn is_indented(before: &Row, row: &Row, next: Option<&Row>, margin: f32) -> bool {
    let step = row.size * 0.8;
    let indented = row.left - margin > step && row.left - margin < row.size * 4.0;
    let flush = |other: &Row| (other.left - margin).abs() < row.size * 0.3;
    indented && flush(before) && next.is_none_or(flush) && wrap::ends_sentence(&before.text)
}
