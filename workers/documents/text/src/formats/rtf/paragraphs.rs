//! Paragraphs, rows and what is anchored in them, on their way to the builder.

use super::Aside;
use crate::builder::{Builder, Gap, one_line};
use crate::error::ExtractError;

/// What a note or a box takes beside its text, in bytes.
const PIECE: usize = 24;

#[derive(Debug, Default)]
pub(super) struct Paragraphs {
    /// The paragraph that is being read.
    text: String,
    /// Paragraphs that wait for the end of a note or a text box in them.
    waiting: Vec<String>,
    /// Text boxes of the paragraph, which go behind it.
    boxes: Vec<String>,
    /// Notes, which go to the end.
    notes: Vec<String>,
    /// How many bytes wait in notes and in boxes.
    notes_length: usize,
    boxes_length: usize,
    cell: String,
    row: String,
    cells: usize,
    /// The row before was of the same table.
    in_rows: bool,
}

impl Paragraphs {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// How long the paragraph is already, in bytes.
    pub(super) fn length(&self) -> usize {
        let waits = self.notes_length.saturating_add(self.boxes_length);
        waits.saturating_add(self.text.len() + self.cell.len() + self.row.len())
    }

    pub(super) fn begin_aside(&mut self) {
        self.waiting.push(std::mem::take(&mut self.text));
    }

    pub(super) fn end_aside(&mut self, aside: Aside) {
        let Some(around) = self.waiting.pop() else {
            return;
        };
        let text = std::mem::replace(&mut self.text, around);
        let length = text.len().saturating_add(PIECE);
        match aside {
            Aside::Note => {
                self.notes_length = self.notes_length.saturating_add(length);
                self.notes.push(text);
            }
            Aside::Box => {
                self.boxes_length = self.boxes_length.saturating_add(length);
                self.boxes.push(text);
            }
        }
    }

    pub(super) fn end(
        &mut self,
        builder: &mut Builder,
        level: Option<u8>,
        in_table: bool,
    ) -> Result<(), ExtractError> {
        if !self.waiting.is_empty() {
            self.text.push('\n');
            return Ok(());
        }
        if in_table {
            self.cell.push_str(&self.text);
            self.cell.push('\n');
            self.text.clear();
            return Ok(());
        }
        self.end_rows(builder)?;
        let text = std::mem::take(&mut self.text);
        match level {
            Some(level) => builder.heading(level, &text)?,
            None => builder.block(Gap::Paragraph, &text)?,
        }
        self.end_boxes(builder)
    }

    pub(super) fn end_cell(&mut self) {
        if !self.waiting.is_empty() {
            self.text.push('\t');
            return;
        }
        self.cell.push_str(&self.text);
        self.text.clear();
        if self.cells > 0 {
            self.row.push('\t');
        }
        self.cells += 1;
        self.row.push_str(&one_line(&self.cell));
        self.cell.clear();
    }

    pub(super) fn end_row(&mut self, builder: &mut Builder) -> Result<(), ExtractError> {
        if !self.waiting.is_empty() {
            self.text.push('\n');
            return Ok(());
        }
        // The row's definition may stand once more behind its cells.
        if self.cells == 0 {
            return Ok(());
        }
        let gap = if std::mem::replace(&mut self.in_rows, true) {
            Gap::Line
        } else {
            Gap::Paragraph
        };
        self.cells = 0;
        let row = std::mem::take(&mut self.row);
        builder.block(gap, row.trim_matches('\t'))?;
        self.end_boxes(builder)
    }

    /// A table has ended; what was not closed of it is a row.
    fn end_rows(&mut self, builder: &mut Builder) -> Result<(), ExtractError> {
        if !self.cell.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.end_cell();
            self.text = text;
        }
        self.end_row(builder)?;
        self.in_rows = false;
        Ok(())
    }

    fn end_boxes(&mut self, builder: &mut Builder) -> Result<(), ExtractError> {
        self.boxes_length = 0;
        for text in std::mem::take(&mut self.boxes) {
            builder.block(Gap::Paragraph, &text)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, builder: &mut Builder) -> Result<(), ExtractError> {
        while !self.waiting.is_empty() {
            self.end_aside(Aside::Note);
        }
        self.end(builder, None, false)?;
        for note in std::mem::take(&mut self.notes) {
            builder.block(Gap::Paragraph, note.trim())?;
        }
        Ok(())
    }
}
