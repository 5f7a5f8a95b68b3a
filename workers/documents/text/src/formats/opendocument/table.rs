//! A row of a table, in which one cell may stand for many.

use crate::builder::{Builder, one_line};
use crate::error::ExtractError;

/// Empty cells between two others are so many tabs, but no more than these.
const MOST_TABS: u32 = 8;
/// Equal cells beside each other, and equal rows below each other, are written once and counted;
/// so many of them are read, as more say nothing new.
pub(super) const MOST_REPEATS: u32 = 64;

/// A row as it comes.
#[derive(Debug, Default)]
pub(super) struct Row {
    line: String,
    /// Empty cells since the last one with text.
    empty: u32,
    pub(super) repeats: u32,
    pub(super) in_cell: bool,
    cell: String,
    /// What the file computes with, for a cell that shows nothing.
    value: String,
    cell_repeats: u32,
}

impl Row {
    pub(super) fn begin(repeats: u32) -> Self {
        Self {
            repeats: repeats.clamp(1, MOST_REPEATS),
            ..Self::default()
        }
    }

    pub(super) fn begin_cell(&mut self, repeats: u32, value: String) {
        self.in_cell = true;
        self.cell.clear();
        self.value = value;
        self.cell_repeats = repeats.max(1);
    }

    /// A paragraph in the cell.
    pub(super) fn push(&mut self, text: &str) {
        self.cell.push_str(text);
        self.cell.push('\n');
    }

    pub(super) fn end_cell(&mut self, builder: &Builder) -> Result<(), ExtractError> {
        self.in_cell = false;
        let mut text = one_line(&self.cell);
        if text.is_empty() {
            text = one_line(&self.value);
        }
        self.cell.clear();
        self.value.clear();
        if text.is_empty() {
            self.empty = self.empty.saturating_add(self.cell_repeats);
            return Ok(());
        }
        for _ in 0..self.cell_repeats.min(MOST_REPEATS) {
            builder.has_room_for(self.line.len().saturating_add(text.len()))?;
            if !self.line.is_empty() {
                let tabs = self.empty.saturating_add(1).min(MOST_TABS);
                self.line.extend((0..tabs).map(|_| '\t'));
            }
            self.empty = 0;
            self.line.push_str(&text);
        }
        Ok(())
    }

    pub(super) fn line(&self) -> &str {
        &self.line
    }
}
