//! Four thousand points: their vectors, their fields, whose they are.

use std::sync::Arc;

use super::{Filter, Found, Point, columns::Columns};
use crate::{
    embedding::Embedding,
    kernel::{self, HalfLine, Line},
};

/// Points of a segment: 24 MB of vectors of 1,536 numbers, about a millisecond to scan.
pub(super) const ROWS: usize = 4096;

/// Rows that are scanned at once: their scores stay in the processor's nearest memory.
const BATCH: usize = 1024;

/// In which precision vectors are scanned. What is found, and every score, are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// A second copy in 16 bits is scanned, and what it cannot rule out is compared in 32 bits. Half the memory is read for a
    /// search, half as much again is taken: 9 KB for a point of 1,536 numbers.
    #[default]
    Half,
    /// What is kept in 32 bits is scanned itself: 6 KB for a point of 1,536 numbers.
    Full,
}

/// What is looked for.
pub(super) struct Wanted {
    /// The query's numbers.
    pub(super) query: Vec<Line>,
    pub(super) filter: Filter,
    pub(super) at_least: f32,
}

struct Owner {
    id: Arc<str>,
    revision: u64,
}

/// Some points.
pub(super) struct Segment {
    dimensions: usize,
    /// Row after row, each of whole lines.
    matrix: Vec<Line>,
    /// The same in half precision, when that is scanned.
    halves: Option<Vec<HalfLine>>,
    /// `None` where a point was taken out.
    owners: Vec<Option<Owner>>,
    columns: Columns,
}

impl Segment {
    pub(super) fn new(dimensions: usize, layout: Layout) -> Self {
        let width = kernel::lines_for(dimensions);
        Self {
            dimensions,
            matrix: room(ROWS * width),
            halves: (layout == Layout::Half).then(|| room(ROWS * width / 2)),
            owners: Vec::with_capacity(ROWS),
            columns: Columns::default(),
        }
    }

    /// Puts a point into a row, which is one of those that are there or the next one.
    pub(super) fn set(&mut self, row: usize, id: Arc<str>, point: &Point) {
        let owner = Some(Owner {
            id,
            revision: point.revision,
        });
        let lines: Vec<Line> = kernel::lines_of(point.embedding.values()).collect();
        if row < self.owners.len() {
            self.owners[row] = owner;
        } else {
            self.owners.push(owner);
        }
        if let Some(halves) = &mut self.halves {
            write(halves, row, &kernel::halves_of(&lines).collect::<Vec<_>>());
        }
        write(&mut self.matrix, row, &lines);
        self.columns.set(row, &point.fields);
    }

    /// Takes out what is in a row.
    pub(super) fn clear(&mut self, row: usize) {
        self.owners[row] = None;
        self.columns.set(row, &super::Fields::new());
    }

    /// The point in a row.
    pub(super) fn get(&self, row: usize) -> Option<Point> {
        let owner = self.owners.get(row)?.as_ref()?;
        let numbers = self.row(row).iter().flat_map(|Line(numbers)| numbers);
        let values = numbers.copied().take(self.dimensions).collect();
        Some(Point {
            id: owner.id.to_string(),
            revision: owner.revision,
            embedding: Embedding::from_unit(values),
            fields: self.columns.get(row),
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.owners.len()
    }

    fn row(&self, row: usize) -> &[Line] {
        let width = kernel::lines_for(self.dimensions);
        &self.matrix[row * width..][..width]
    }

    /// Adds the points that are wanted.
    pub(super) fn search(&self, wanted: &Wanted, found: &mut Vec<Found>) {
        let mut rows: Vec<u32> = (0..self.owners.len() as u32)
            .filter(|row| self.owners[*row as usize].is_some())
            .collect();
        self.columns.retain(&wanted.filter, &mut rows);
        let mut near = Vec::new();
        let mut scores = [0.0; BATCH];
        for rows in rows.chunks(BATCH) {
            let scores = &mut scores[..rows.len()];
            let off = self.score(rows, &wanted.query, scores);
            let enough = f64::from(wanted.at_least) - off;
            let scored = rows.iter().zip(scores);
            let enough = scored.filter(|(_, score)| f64::from(**score) >= enough);
            near.extend(enough.map(|(row, _)| *row));
        }
        let (blocks, rest) = near.as_chunks::<8>();
        for rows in blocks {
            self.add(*rows, wanted, found);
        }
        for row in rest {
            self.add([*row], wanted, found);
        }
    }

    /// Scores rows in the precision of the layout; answers how far off that may be.
    fn score(&self, rows: &[u32], query: &[Line], scores: &mut [f32]) -> f64 {
        match &self.halves {
            Some(halves) => {
                kernel::half_dots_at(halves, rows, query, scores);
                kernel::half_rounding(self.dimensions)
            }
            None => {
                kernel::dots_at(&self.matrix, rows, query, scores);
                kernel::rounding(self.dimensions)
            }
        }
    }

    /// Reads what a scan in 32 bits reads, and nothing else.
    pub(super) fn read(&self, streams: usize) -> u32 {
        kernel::read(&self.matrix, streams)
    }

    /// Adds those of some rows whose exact score is high enough.
    fn add<const ROWS: usize>(&self, rows: [u32; ROWS], wanted: &Wanted, found: &mut Vec<Found>) {
        let scores = kernel::exact(rows.map(|row| self.row(row as usize)), &wanted.query);
        for (row, score) in rows.into_iter().zip(scores) {
            let score = score.clamp(-1.0, 1.0);
            if score >= f64::from(wanted.at_least)
                && let Some(owner) = &self.owners[row as usize]
            {
                found.push(Found {
                    id: owner.id.to_string(),
                    revision: owner.revision,
                    score: score as f32,
                });
            }
        }
    }
}

/// Room for this many lines from the start: they never move.
fn room<T>(lines: usize) -> Vec<T> {
    let mut room = Vec::with_capacity(lines);
    kernel::prefer_large_pages(room.spare_capacity_mut());
    room
}

/// Writes a row that is there or the next one.
fn write<T: Copy>(matrix: &mut Vec<T>, row: usize, lines: &[T]) {
    match matrix.get_mut(row * lines.len()..(row + 1) * lines.len()) {
        Some(place) => place.copy_from_slice(lines),
        None => matrix.extend_from_slice(lines),
    }
}
