//! A thousand points: their vectors, their fields, whose they are.

use std::sync::Arc;

use super::{Filter, Found, Point, columns::Columns};
use crate::{
    embedding::Embedding,
    kernel::{self, Line},
};

/// Points of a segment: 6 MB of vectors of 1,536 numbers, a fraction of a millisecond to scan.
pub(super) const ROWS: usize = 1024;

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
    /// `None` where a point was taken out.
    owners: Vec<Option<Owner>>,
    columns: Columns,
}

impl Segment {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            // Room for all rows from the start: they never move.
            matrix: Vec::with_capacity(ROWS * kernel::lines_for(dimensions)),
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
        let lines = kernel::lines_of(point.embedding.values());
        if row < self.owners.len() {
            self.owners[row] = owner;
            let width = kernel::lines_for(self.dimensions);
            let places = &mut self.matrix[row * width..][..width];
            places
                .iter_mut()
                .zip(lines)
                .for_each(|(place, line)| *place = line);
        } else {
            self.owners.push(owner);
            self.matrix.extend(lines);
        }
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
        let mut scores = vec![0.0; rows.len()];
        kernel::dots_at(&self.matrix, &rows, &wanted.query, &mut scores);
        let enough = f64::from(wanted.at_least) - kernel::rounding(self.dimensions);
        let near = rows.iter().zip(scores);
        let near: Vec<u32> = near
            .filter(|(_, score)| f64::from(*score) >= enough)
            .map(|(row, _)| *row)
            .collect();
        let (blocks, rest) = near.as_chunks::<8>();
        for rows in blocks {
            self.add(*rows, wanted, found);
        }
        for row in rest {
            self.add([*row], wanted, found);
        }
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
