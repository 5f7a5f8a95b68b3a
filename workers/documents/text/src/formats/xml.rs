//! XML of any kind: the text of its elements, as a stream.
//!
//! No schema is known, so lines and paragraphs are told by the shape alone: an element with
//! text beside elements is one piece of prose, short elements side by side are the fields of a
//! record, long ones are paragraphs. External entities are never looked for.

mod entities;
#[cfg(test)]
mod tests;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::html::{self, push_collapsed};
use crate::builder::{Builder, Gap};
use crate::error::ExtractError;
use crate::limits::Limits;
use entities::{Entities, predefined};

/// Deeper than this nobody nests what is meant to be read.
const DEEPEST: usize = 10_000;
/// A text longer than this, in bytes, is a paragraph and not a field.
const LONGEST_FIELD: usize = 160;

/// Whether all of a text is one element, with nothing but blanks beside it.
pub(crate) fn is_well_formed(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    let mut depth = 0_usize;
    let mut roots = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => {
                roots += usize::from(depth == 0);
                depth += 1;
            }
            Ok(Event::Empty(_)) => roots += usize::from(depth == 0),
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Text(text)) if depth == 0 && !text.trim_ascii().is_empty() => return false,
            Ok(Event::CData(_) | Event::GeneralRef(_)) if depth == 0 => return false,
            Ok(Event::Eof) => return depth == 0 && roots == 1,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

pub(super) fn read(text: &str, limits: &Limits, builder: &mut Builder) -> Result<(), ExtractError> {
    let elements = Walk::new(What::Text, limits, builder).through(text)?;
    // Some documents say all that they say in attributes.
    if !elements {
        Walk::new(What::Attributes, limits, builder).through(text)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Text,
    Attributes,
}

/// An element that is open.
#[derive(Debug, Clone, Copy)]
struct Element {
    /// Which one it is, counted through the document.
    number: u64,
    /// It has text of its own since its last paragraph.
    has_text: bool,
    is_title: bool,
    is_row: bool,
}

struct Walk<'a> {
    what: What,
    builder: &'a mut Builder,
    entities: Entities,
    open: Vec<Element>,
    started: u64,
    /// How many elements were open when one was found to be prose: up to its end all is in one
    /// piece.
    prose: Option<usize>,
    block: String,
    block_is_title: bool,
    /// An element ended; whether text follows tells if it stood in a line.
    ended: bool,
    /// The element around the last field.
    last_parent: Option<u64>,
    /// How many rows are open, and the fields of the outermost one.
    rows: u32,
    row: String,
    /// What was added last was a row.
    after_row: bool,
    /// A drawing's attributes are lines and colours, nothing to read.
    is_drawing: bool,
    found_text: bool,
}

impl<'a> Walk<'a> {
    fn new(what: What, limits: &Limits, builder: &'a mut Builder) -> Self {
        Self {
            what,
            builder,
            entities: Entities::new(limits.output_bytes),
            open: Vec::new(),
            started: 0,
            prose: None,
            block: String::new(),
            block_is_title: false,
            ended: false,
            last_parent: None,
            rows: 0,
            row: String::new(),
            after_row: false,
            is_drawing: false,
            found_text: false,
        }
    }

    /// Reads it all, and says whether there was anything.
    fn through(mut self, text: &str) -> Result<bool, ExtractError> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().allow_dangling_amp = true;
        loop {
            let event = reader.read_event().map_err(|_| {
                ExtractError::damaged(format!(
                    "it is not well-formed XML near byte {}",
                    reader.error_position()
                ))
            })?;
            match event {
                Event::Start(element) => self.start(&element)?,
                Event::Empty(element) => {
                    self.start(&element)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.text(&text.decode().unwrap_or_default())?,
                Event::CData(text) => self.text(&text.decode().unwrap_or_default())?,
                Event::GeneralRef(reference) => {
                    self.reference(&reference.decode().unwrap_or_default())?;
                }
                Event::DocType(declared) => {
                    self.entities
                        .declare(&declared.decode().unwrap_or_default());
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
        if !self.open.is_empty() {
            return Err(ExtractError::damaged(
                "its XML ends before its elements do, as if a part of it were missing",
            ));
        }
        self.flush()?;
        Ok(self.found_text)
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), ExtractError> {
        if self.open.len() >= DEEPEST {
            return Err(ExtractError::TooLarge {
                detail: format!("its elements are nested more than {DEEPEST} deep"),
            });
        }
        let name = element.local_name();
        if self.open.is_empty() {
            self.is_drawing = name.as_ref() == b"svg";
        }
        if self.what == What::Attributes {
            self.attributes(element)?;
        } else if self.prose.is_none() {
            match self.open.last() {
                Some(parent) if parent.has_text => self.prose = Some(self.open.len()),
                _ => self.flush()?,
            }
        }
        self.started += 1;
        let is_row = self.prose.is_none() && is_row(name.as_ref());
        self.rows += u32::from(is_row);
        self.open.push(Element {
            number: self.started,
            has_text: false,
            is_title: matches!(name.as_ref(), b"title" | b"head" | b"heading"),
            is_row,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), ExtractError> {
        if self.prose.is_some_and(|depth| depth < self.open.len()) {
            self.open.pop();
            return Ok(());
        }
        // What ended before stood alone: it is a field of this element.
        if self.ended || self.open.last().is_some_and(|element| element.is_row) {
            self.flush()?;
        }
        let Some(element) = self.open.pop() else {
            return Ok(());
        };
        let was_prose = self.prose.take().is_some();
        self.block_is_title = element.is_title;
        if was_prose {
            self.flush()?;
        }
        if element.is_row {
            return self.end_row();
        }
        self.ended = !self.block.trim().is_empty();
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), ExtractError> {
        if self.what == What::Attributes {
            return Ok(());
        }
        self.builder
            .has_room_for(self.row.len() + self.block.len() + text.len())?;
        push_collapsed(&mut self.block, text);
        if text.trim().is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.ended) {
            self.prose = Some(self.open.len());
        }
        if let Some(element) = self.open.last_mut() {
            element.has_text = true;
        }
        Ok(())
    }

    fn reference(&mut self, name: &str) -> Result<(), ExtractError> {
        if let Some(character) = predefined(name) {
            return self.text(character.encode_utf8(&mut [0; 4]));
        }
        let mut text = String::new();
        self.entities.expand(name, &mut text)?;
        self.text(&text)
    }

    fn attributes(&mut self, element: &BytesStart<'_>) -> Result<(), ExtractError> {
        let mut line = String::new();
        if self.is_drawing {
            return Ok(());
        }
        // That no two have the same name is asked in time quadratic in how many there are.
        for attribute in element.attributes().with_checks(false).flatten() {
            let key = String::from_utf8_lossy(attribute.key.as_ref());
            let Ok(value) = attribute.decode_and_unescape_value(element.decoder()) else {
                continue;
            };
            if key == "xmlns" || key.starts_with("xmlns:") || value.trim().is_empty() {
                continue;
            }
            if !line.is_empty() {
                line.push_str(", ");
            }
            line.push_str(&key);
            line.push_str(": ");
            line.push_str(value.trim());
            self.builder.has_room_for(line.len())?;
        }
        self.builder.block(Gap::Line, &line)
    }

    /// A row in a row is part of the outer one.
    fn end_row(&mut self) -> Result<(), ExtractError> {
        self.rows -= 1;
        if self.rows > 0 || self.row.is_empty() {
            return Ok(());
        }
        let gap = if std::mem::replace(&mut self.after_row, true) {
            Gap::Line
        } else {
            Gap::Paragraph
        };
        self.last_parent = None;
        let row = std::mem::take(&mut self.row);
        self.builder.block(gap, &row)
    }

    /// Ends a piece of text; what is open now is around it.
    fn flush(&mut self) -> Result<(), ExtractError> {
        self.ended = false;
        let is_title = std::mem::take(&mut self.block_is_title);
        if let Some(element) = self.open.last_mut() {
            element.has_text = false;
        }
        let block = std::mem::take(&mut self.block);
        let text = block.trim();
        if text.is_empty() {
            return Ok(());
        }
        self.found_text = true;
        if self.rows > 0 {
            if !self.row.is_empty() {
                self.row.push('\t');
            }
            self.row.push_str(text);
            return Ok(());
        }
        self.after_row = false;
        if is_markup(text) {
            self.last_parent = None;
            return html::read(text, self.builder);
        }
        let parent = self.open.last().map_or(0, |element| element.number);
        if is_title {
            self.builder.title(text);
            self.last_parent = None;
            let level = u8::try_from(self.open.len()).unwrap_or(u8::MAX);
            return self.builder.heading(level.clamp(1, 6), text);
        }
        let is_field = text.len() <= LONGEST_FIELD;
        let gap = if is_field && self.last_parent == Some(parent) {
            Gap::Line
        } else {
            Gap::Paragraph
        };
        self.last_parent = is_field.then_some(parent);
        self.builder.block(gap, text)
    }
}

/// The rows of tables, of spreadsheets and of databases are called one of these.
fn is_row(name: &[u8]) -> bool {
    let names: [&[u8]; 3] = [b"row", b"tr", b"table-row"];
    names.iter().any(|row| name.eq_ignore_ascii_case(row))
}

/// Whether the text of an element is HTML, as in feeds.
fn is_markup(text: &str) -> bool {
    text.contains('<') && (text.contains("</") || text.contains("/>") || text.contains("<br"))
}
