//! Glyphs to segments of lines: a line is cut where a gap is wide, by a gutter or between cells.

use unicode_normalization::UnicodeNormalization;

use super::Run;
use super::bidi;
use super::glyphs::Glyph;
use crate::wrap::is_unspaced;

/// Baselines this near, in sizes, are one line.
const SAME_LINE: f32 = 0.22;
/// A gap this wide, in sizes, cuts a line.
const GUTTER: f32 = 0.7;
/// A gap this wide, in sizes, is a blank between words where the file has none.
const BLANK: f32 = 0.15;
/// The same where the file has a blank, which may be one of the library's guesses.
const SAID_BLANK: f32 = 0.07;
/// Between characters of scripts without blanks.
const UNSPACED_BLANK: f32 = 0.6;
/// A smaller glyph than this, in sizes of its neighbour, may be raised or lowered.
const RAISED: f32 = 0.86;
/// By so much, in sizes of its neighbour.
const RAISED_BY: f32 = 0.65;
/// And stands so near to it.
const BESIDE: f32 = 0.35;
/// A gutter is so many times as wide as blanks in its lines.
const WIDER: f32 = 1.25;
/// A question mark is at least this wide, in sizes.
const QUESTION_MARK: f32 = 0.34;
/// Runs of this many glyphs at most are taken for raised or lowered ones.
const RAISED_GLYPHS: usize = 12;

/// A part of a line without wide gaps.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// From left to right.
    pub(super) glyphs: Vec<Glyph>,
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) baseline: f32,
    pub(super) size: f32,
}

impl Segment {
    fn of(glyphs: Vec<Glyph>) -> Self {
        let left = glyphs
            .iter()
            .map(|glyph| glyph.left)
            .fold(f32::MAX, f32::min);
        let right = glyphs
            .iter()
            .map(|glyph| glyph.right)
            .fold(f32::MIN, f32::max);
        let main = usual(&glyphs);
        Self {
            left,
            right,
            baseline: main.baseline,
            size: main.size,
            glyphs,
        }
    }

    /// Cut in two where a gap of at least `width` lies over `place`, wider than any other in it.
    pub(super) fn cut_at(self, place: f32, width: f32) -> Result<(Self, Self), Self> {
        let behind = self.glyphs.iter().position(|glyph| glyph.right > place);
        let Some(index) = behind.filter(|&index| index > 0) else {
            return Err(self);
        };
        let gap_before = |index: usize| self.glyphs[index].left - self.glyphs[index - 1].right;
        let gap = gap_before(index);
        let others = (1..self.glyphs.len()).filter(|&other| other != index);
        let widest = others.map(gap_before).fold(0.0, f32::max);
        if gap < width || gap < widest * WIDER || self.glyphs[index].left < place {
            return Err(self);
        }
        let mut left = self.glyphs;
        let right = left.split_off(index);
        Ok((Self::of(left), Self::of(right)))
    }

    pub(super) fn follows_blank(&self) -> bool {
        self.glyphs.first().is_some_and(|glyph| glyph.blank_before)
    }

    pub(super) fn precedes_blank(&self) -> bool {
        self.glyphs.last().is_some_and(|glyph| glyph.blank_after)
    }

    /// In the order of reading.
    pub(super) fn text(&self) -> String {
        text_of(&self.glyphs)
    }

    pub(super) fn run(&self) -> Run {
        let bold = self.glyphs.iter().filter(|glyph| glyph.bold).count();
        Run {
            text: self.text(),
            size: self.size,
            bold: bold * 2 > self.glyphs.len(),
        }
    }

    /// How much of it is letters, and how wide it is in columns.
    pub(super) fn letters_and_columns(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        for glyph in &self.glyphs {
            counts.0 += usize::from(glyph.character.is_alphabetic());
            counts.1 += if glyph.character >= '\u{1100}' { 2 } else { 1 };
        }
        counts
    }
}

/// The glyph whose size is the most frequent one.
fn usual(glyphs: &[Glyph]) -> Glyph {
    let mut sizes: Vec<f32> = glyphs.iter().map(|glyph| glyph.size).collect();
    sizes.sort_by(f32::total_cmp);
    let middle = sizes[sizes.len() / 2];
    let found = glyphs.iter().find(|glyph| glyph.size == middle);
    *found.unwrap_or(&glyphs[0])
}

/// All segments of the glyphs, which are sorted from the top.
pub(super) fn segments(glyphs: Vec<Glyph>) -> Vec<Segment> {
    let mut segments = Vec::new();
    for mut row in rows(glyphs) {
        row.sort_by(|one, other| one.left.total_cmp(&other.left));
        drop_overprinted(&mut row);
        take_unknown_for_blanks(&mut row);
        cut(row, &mut segments);
    }
    if attach_raised(&mut segments) {
        segments = joined(segments);
    }
    segments
}

/// Segments whose gap was filled by what was raised or lowered in it.
fn joined(segments: Vec<Segment>) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::with_capacity(segments.len());
    for segment in segments {
        match joined.last_mut() {
            Some(before) if is_one_line(before, &segment) => {
                let (baseline, size) = (before.baseline, before.size);
                let mut glyphs = std::mem::take(&mut before.glyphs);
                glyphs.extend(segment.glyphs);
                *before = Segment::of(glyphs);
                (before.baseline, before.size) = (baseline, size);
            }
            _ => joined.push(segment),
        }
    }
    joined
}

fn is_one_line(before: &Segment, segment: &Segment) -> bool {
    let gap = (segment.left - before.right) / before.size.max(segment.size);
    let level = (before.baseline - segment.baseline).abs() < before.size * SAME_LINE;
    level && (-0.5..GUTTER).contains(&gap)
}

fn rows(glyphs: Vec<Glyph>) -> Vec<Vec<Glyph>> {
    let mut rows: Vec<Vec<Glyph>> = Vec::new();
    for glyph in glyphs {
        match rows.last_mut() {
            Some(row) if is_same_line(&row[row.len() - 1], &row[0], &glyph) => row.push(glyph),
            _ => rows.push(vec![glyph]),
        }
    }
    rows
}

fn is_same_line(last: &Glyph, first: &Glyph, glyph: &Glyph) -> bool {
    let small = first.size.min(last.size).min(glyph.size);
    first.baseline - glyph.baseline <= small * SAME_LINE
}

/// Bold letters and shadows that are made by printing a letter twice.
fn drop_overprinted(row: &mut Vec<Glyph>) {
    let mut kept: Vec<Glyph> = Vec::with_capacity(row.len());
    for glyph in row.drain(..) {
        let near = (glyph.right - glyph.left).min(glyph.size) * 0.3;
        let twice = kept.iter_mut().rev().take(4).find(|before| {
            before.character == glyph.character && (glyph.left - before.left).abs() < near
        });
        match twice {
            Some(before) => before.blank_before |= glyph.blank_before,
            None => kept.push(glyph),
        }
    }
    *row = kept;
}

/// Where a font does not say what a glyph means, the library says that it is a question mark. Most
/// often it is the blank: the next glyph stands nearer than it would behind a question mark.
fn take_unknown_for_blanks(row: &mut Vec<Glyph>) {
    let is_blank = |index: usize, row: &[Glyph]| {
        let (glyph, next) = (&row[index], row.get(index + 1));
        let near = |next: &Glyph| next.left - glyph.left < glyph.size * QUESTION_MARK;
        glyph.character == '?' && next.is_some_and(near)
    };
    let blanks = (0..row.len()).filter(|&index| is_blank(index, row)).count();
    if blanks == 0 {
        return;
    }
    let mut kept: Vec<Glyph> = Vec::with_capacity(row.len());
    let mut blank_before = false;
    for index in 0..row.len() {
        let at_end = blanks > 1 && index + 1 == row.len() && row[index].character == '?';
        if at_end || is_blank(index, row) {
            blank_before = true;
            continue;
        }
        let mut glyph = row[index];
        glyph.blank_before |= std::mem::take(&mut blank_before);
        kept.push(glyph);
    }
    *row = kept;
}

fn cut(row: Vec<Glyph>, segments: &mut Vec<Segment>) {
    let mut open: Vec<Glyph> = Vec::new();
    let mut reach = f32::MIN;
    for glyph in row {
        let wide = open
            .last()
            .is_some_and(|last| glyph.left - reach > last.size.max(glyph.size) * GUTTER);
        if wide {
            segments.push(Segment::of(std::mem::take(&mut open)));
            reach = f32::MIN;
        }
        reach = reach.max(glyph.reach);
        open.push(glyph);
    }
    if !open.is_empty() {
        segments.push(Segment::of(open));
    }
}

/// Puts raised and lowered glyphs (notes, exponents) into the line that they belong to; says
/// whether there were any.
fn attach_raised(segments: &mut Vec<Segment>) -> bool {
    let before = segments.len();
    let mut index = 0;
    while index < segments.len() {
        match host_of(segments, index) {
            Some(host) => {
                let raised = segments.remove(index);
                let host = if host > index { host - 1 } else { host };
                let mut glyphs = std::mem::take(&mut segments[host].glyphs);
                let (baseline, size) = (segments[host].baseline, segments[host].size);
                glyphs.extend(raised.glyphs);
                glyphs.sort_by(|one, other| one.left.total_cmp(&other.left));
                let mut whole = Segment::of(glyphs);
                (whole.baseline, whole.size) = (baseline, size);
                segments[host] = whole;
            }
            None => index += 1,
        }
    }
    segments.len() < before
}

/// How many segments before and behind are looked at: those are the lines around.
const NEIGHBOURS: usize = 12;

fn host_of(segments: &[Segment], index: usize) -> Option<usize> {
    let small = &segments[index];
    if small.glyphs.len() > RAISED_GLYPHS {
        return None;
    }
    let from = index.saturating_sub(NEIGHBOURS);
    let to = (index + NEIGHBOURS + 1).min(segments.len());
    (from..to).find(|&other| {
        let host = &segments[other];
        other != index
            && small.size < host.size * RAISED
            && (small.baseline - host.baseline).abs() < host.size * RAISED_BY
            && small.right > host.left - host.size * BESIDE
            && small.left < host.right + host.size * BESIDE
    })
}

/// The text of glyphs that stand from left to right.
fn text_of(glyphs: &[Glyph]) -> String {
    let mut visual: Vec<char> = Vec::with_capacity(glyphs.len() + glyphs.len() / 4);
    let mut before: Option<&Glyph> = None;
    let mut glyphs = glyphs.iter().peekable();
    while let Some(glyph) = glyphs.next() {
        if before.is_some_and(|before| is_apart(before, glyph)) {
            visual.push(' ');
        }
        before = Some(glyph);
        // An accent that is printed over its letter comes before it, or behind.
        let accented = glyphs.peek().and_then(|next| {
            let over = (glyph.left + glyph.right) / 2.0 > next.left && glyph.left < next.right;
            over.then(|| accented(glyph.character, next.character))
                .flatten()
        });
        if let Some((letter, accent)) = accented {
            visual.extend([letter, accent]);
            before = glyphs.next();
            continue;
        }
        push_plain(&mut visual, glyph.character);
    }
    bidi::in_order_of_reading(visual)
}

/// Whether a blank stands between two glyphs of a line.
fn is_apart(before: &Glyph, glyph: &Glyph) -> bool {
    let size = before.size.max(glyph.size);
    let gap = (glyph.left - before.reach) / size;
    if is_unspaced(before.character) || is_unspaced(glyph.character) {
        // Between Latin and Chinese typesetters leave a quarter: no blank was written there.
        let both = is_unspaced(before.character) && is_unspaced(glyph.character);
        return gap > UNSPACED_BLANK || !both && glyph.blank_before && gap > SAID_BLANK;
    }
    gap > BLANK || glyph.blank_before && (glyph.left - before.right) / size > SAID_BLANK
}

/// A letter and an accent that stand one over the other, whichever is first, as a letter and the
/// accent that combines with it.
fn accented(first: char, second: char) -> Option<(char, char)> {
    let combining = |accent: char| {
        Some(match accent {
            '`' => '\u{300}',
            '´' => '\u{301}',
            'ˆ' => '\u{302}',
            '˜' => '\u{303}',
            '¯' => '\u{304}',
            '˘' => '\u{306}',
            '˙' => '\u{307}',
            '¨' => '\u{308}',
            '˚' => '\u{30a}',
            '˝' => '\u{30b}',
            'ˇ' => '\u{30c}',
            '¸' => '\u{327}',
            '˛' => '\u{328}',
            _ => return None,
        })
    };
    let (letter, accent) = match (combining(first), combining(second)) {
        (Some(accent), None) => (second, accent),
        (None, Some(accent)) => (first, accent),
        _ => return None,
    };
    // The letters without dots are there for accents only.
    let letter = match letter {
        'ı' => 'i',
        'ȷ' => 'j',
        letter => letter,
    };
    letter.is_alphabetic().then_some((letter, accent))
}

/// Ligatures and the forms that Arabic letters take in a word are typography.
fn push_plain(text: &mut Vec<char>, character: char) {
    match character {
        '\u{fb00}'..='\u{fb4f}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => {
            // Of right-to-left ligatures the parts are put the way the line is: they will be turned.
            let plain: Vec<char> = std::iter::once(character).nfkc().collect();
            if character >= '\u{fb1d}' {
                text.extend(plain.into_iter().rev());
            } else {
                text.extend(plain);
            }
        }
        _ => text.push(character),
    }
}
