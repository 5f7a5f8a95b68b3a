//! The rows of one sheet.

use quick_xml::events::{BytesStart, Event};

use super::super::package::{Package, attribute, text_of};
use super::numbers::NumberFormat;
use super::strings::SharedStrings;
use crate::builder::{Builder, Gap, one_line};
use crate::error::ExtractError;

/// Empty cells between two others are so many tabs, but no more than these: a cell far to the
/// right stands alone anyway.
const MOST_TABS: u32 = 8;

/// What the cells of all sheets refer to.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) strings: SharedStrings,
    pub(super) formats: Vec<NumberFormat>,
    pub(super) since_1904: bool,
}

/// Reads a sheet's rows into the builder.
pub(super) fn read(
    package: &mut Package<'_>,
    part: &str,
    book: &Book,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut rows = Rows {
        book,
        builder,
        line: String::new(),
        row: 0,
        written_row: None,
        column: 0,
        written_column: 0,
        cell: None,
        collecting: false,
        in_reading: false,
    };
    package.read_xml(part, |event| rows.take(&event))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A number, whatever it is shown as.
    Number,
    /// The number of a shared text.
    Shared,
    Boolean,
    /// As it stands there: texts, errors, ISO dates.
    Text,
}

#[derive(Debug)]
struct Cell {
    kind: Kind,
    style: usize,
    value: String,
}

struct Rows<'a> {
    book: &'a Book,
    builder: &'a mut Builder,
    line: String,
    /// The present row, counted from 1; none before the first.
    row: u32,
    /// The row that was written last.
    written_row: Option<u32>,
    /// The present cell's column, counted from 1.
    column: u32,
    /// The column of the last cell in the line.
    written_column: u32,
    cell: Option<Cell>,
    /// Inside of what holds the value.
    collecting: bool,
    /// Inside of a reading above ideographs.
    in_reading: bool,
}

impl Rows<'_> {
    fn take(&mut self, event: &Event<'_>) -> Result<(), ExtractError> {
        match event {
            Event::Start(element) => self.start(element),
            Event::End(element) => return self.end(element.local_name().as_ref()),
            _ if self.collecting && !self.in_reading => {
                if let Some(cell) = &mut self.cell {
                    cell.value.push_str(&text_of(event));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, element: &BytesStart<'_>) {
        match element.local_name().as_ref() {
            b"row" => {
                let number = attribute(element, b"r").and_then(|row| row.parse().ok());
                self.row = number.unwrap_or_else(|| self.row.saturating_add(1));
                self.column = 0;
                self.written_column = 0;
                self.line.clear();
            }
            b"c" => self.start_cell(element),
            b"v" | b"t" => self.collecting = self.cell.is_some(),
            b"rPh" => self.in_reading = true,
            _ => {}
        }
    }

    /// There are millions of cells: their attributes are looked at once, and nothing is copied.
    fn start_cell(&mut self, element: &BytesStart<'_>) {
        let mut cell = Cell {
            kind: Kind::Number,
            style: 0,
            value: String::new(),
        };
        let mut column = None;
        let mut attributes = element.attributes();
        for attribute in attributes.with_checks(false).flatten() {
            let value: &[u8] = &attribute.value;
            match attribute.key.as_ref() {
                b"r" => column = column_of(value),
                b"s" => {
                    let style = std::str::from_utf8(value).ok();
                    cell.style = style
                        .and_then(|style| style.parse().ok())
                        .unwrap_or_default();
                }
                b"t" => {
                    cell.kind = match value {
                        b"n" => Kind::Number,
                        b"s" => Kind::Shared,
                        b"b" => Kind::Boolean,
                        _ => Kind::Text,
                    }
                }
                _ => {}
            }
        }
        self.column = column.unwrap_or_else(|| self.column.saturating_add(1));
        self.cell = Some(cell);
    }

    fn end(&mut self, name: &[u8]) -> Result<(), ExtractError> {
        match name {
            b"v" | b"t" => self.collecting = false,
            b"rPh" => self.in_reading = false,
            b"c" => {
                self.collecting = false;
                if let Some(cell) = self.cell.take() {
                    return self.end_cell(&cell);
                }
            }
            b"row" => return self.end_row(),
            _ => {}
        }
        Ok(())
    }

    fn end_cell(&mut self, cell: &Cell) -> Result<(), ExtractError> {
        let value = cell.value.as_str();
        if value.trim().is_empty() {
            return Ok(());
        }
        match cell.kind {
            Kind::Text => self.push(value),
            Kind::Boolean => self.push(if value.trim() == "0" { "FALSE" } else { "TRUE" }),
            Kind::Number => {
                let format = self.book.formats.get(cell.style).copied();
                let shown = format.unwrap_or_default();
                self.push(&shown.show(value, self.book.since_1904))
            }
            Kind::Shared => {
                let index = value.trim().parse::<usize>().ok();
                let book = self.book;
                let text = index.and_then(|index| book.strings.get(index));
                let text = text.ok_or_else(|| {
                    ExtractError::damaged("a cell names a text that is not in its list of texts")
                })?;
                self.push(text)
            }
        }
    }

    fn push(&mut self, text: &str) -> Result<(), ExtractError> {
        // A text of a megabyte may be named by every cell: checked before it is copied.
        self.builder
            .has_room_for(self.line.len().saturating_add(text.len()))?;
        let text = one_line(&text.replace("_x000D_", " "));
        if text.is_empty() {
            return Ok(());
        }
        if !self.line.is_empty() {
            let distance = self.column.saturating_sub(self.written_column);
            let tabs = distance.clamp(1, MOST_TABS);
            self.line.extend((0..tabs).map(|_| '\t'));
        }
        self.line.push_str(&text);
        self.written_column = self.column;
        Ok(())
    }

    /// Rows that follow each other are lines; an empty row sets off what comes after it.
    fn end_row(&mut self) -> Result<(), ExtractError> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Ok(());
        }
        let follows = self
            .written_row
            .is_some_and(|written| self.row <= written.saturating_add(1));
        self.written_row = Some(self.row);
        let gap = if follows { Gap::Line } else { Gap::Paragraph };
        self.builder.block(gap, &line)
    }
}

/// The column in a place like `BC12`, counted from 1.
fn column_of(place: &[u8]) -> Option<u32> {
    let mut column = 0_u32;
    for letter in place.iter().take_while(|byte| byte.is_ascii_alphabetic()) {
        let digit = u32::from(letter.to_ascii_uppercase() - b'A') + 1;
        column = column.checked_mul(26)?.checked_add(digit)?;
    }
    (column > 0).then_some(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        assert_eq!(column_of(b"A1"), Some(1));
        assert_eq!(column_of(b"Z9"), Some(26));
        assert_eq!(column_of(b"AA10"), Some(27));
        assert_eq!(column_of(b"XFD1048576"), Some(16_384));
        assert_eq!(column_of(b"12"), None);
        assert_eq!(column_of(b"ZZZZZZZZZZ1"), None);
    }
}
