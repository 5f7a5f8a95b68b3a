//! Paragraphs, tables and text boxes of one part.

use quick_xml::events::{BytesStart, Event};

use super::super::package::{Package, attribute, breaks_off, next_event, resolve_reference};
use super::styles::{OutlineLevels, outline_level};
use crate::builder::{Builder, Gap};
use crate::error::ExtractError;

/// Reads a part's text into the builder.
pub(super) fn read_part(
    package: &mut Package<'_>,
    part: &str,
    levels: &OutlineLevels,
    builder: &mut Builder,
) -> Result<(), ExtractError> {
    let mut body = Body::new(levels, builder);
    let ended = package.with_part(part, |reader| {
        let mut buffer = Vec::new();
        loop {
            match next_event(reader, &mut buffer) {
                Ok(Event::Eof) => return Ok(()),
                Ok(event) => body.take(event)?,
                Err(_) => return Err(breaks_off(part)),
            }
        }
    })?;
    package.unless_used_up(ended)?;
    // The parser does not mind a document that stops between two elements.
    if !body.saw_end {
        return Err(breaks_off(part));
    }
    body.finish()
}

/// What a paragraph or a cell takes beside its text, in bytes.
const PIECE: usize = 24;

/// A paragraph that is not finished yet.
#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
}

struct Body<'a> {
    levels: &'a OutlineLevels,
    builder: &'a mut Builder,
    /// Open paragraphs: one in a text box is inside of the one it is anchored in.
    open: Vec<Paragraph>,
    /// Finished paragraphs of text boxes, until the paragraph around them is finished.
    boxed: Vec<Paragraph>,
    /// How many tables are open. Only the outermost has rows; a table in a cell is its text.
    tables: u32,
    row: Vec<String>,
    cell: String,
    first_row: bool,
    /// How many elements are open inside of one that is left out, with it.
    skipped: u32,
    in_text: bool,
    root: Option<Vec<u8>>,
    saw_end: bool,
    /// The bytes of paragraphs, cells and rows that are not in the builder yet.
    gathered: usize,
}

impl<'a> Body<'a> {
    fn new(levels: &'a OutlineLevels, builder: &'a mut Builder) -> Self {
        Self {
            levels,
            builder,
            open: Vec::new(),
            boxed: Vec::new(),
            tables: 0,
            row: Vec::new(),
            cell: String::new(),
            first_row: true,
            skipped: 0,
            in_text: false,
            root: None,
            saw_end: false,
            gathered: 0,
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), ExtractError> {
        match event {
            Event::Start(element) => return self.start(&element),
            Event::Empty(element) => self.empty(&element),
            Event::End(element) => return self.end(element.local_name().as_ref()),
            Event::Text(text) if self.in_text => {
                return self.add_text(&text.decode().unwrap_or_default());
            }
            Event::CData(text) if self.in_text => {
                return self.add_text(&text.decode().unwrap_or_default());
            }
            Event::GeneralRef(reference) if self.in_text => {
                if let Some(character) = resolve_reference(&reference) {
                    self.push_text(character.encode_utf8(&mut [0; 4]));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), ExtractError> {
        if self.skipped > 0 {
            self.skipped += 1;
            return Ok(());
        }
        let local = element.local_name();
        let name = local.as_ref();
        if self.root.is_none() {
            self.root = Some(name.to_vec());
        }
        match name {
            // Moved and deleted text, the copy for old programs, readings above ideographs,
            // the definitions of tab stops, and the lines that separate notes.
            b"moveFrom" | b"del" | b"Fallback" | b"rt" | b"tabs" => self.skipped = 1,
            b"footnote" | b"endnote" if attribute(element, b"type").is_some() => self.skipped = 1,
            b"p" => {
                self.open.push(Paragraph::default());
                return self.keep(PIECE);
            }
            b"tbl" => {
                self.tables += 1;
                if self.tables == 1 {
                    self.first_row = true;
                }
            }
            b"t" => self.in_text = true,
            _ => self.property(name, element),
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) -> Result<(), ExtractError> {
        self.keep(text.len())?;
        self.push_text(text);
        Ok(())
    }

    /// Counts what is gathered before it can be added: boxes in boxes and cells without end
    /// fill the memory as text does.
    fn keep(&mut self, bytes: usize) -> Result<(), ExtractError> {
        self.gathered = self.gathered.saturating_add(bytes);
        self.builder.has_room_for(self.gathered)
    }

    fn empty(&mut self, element: &BytesStart<'_>) {
        if self.skipped > 0 {
            return;
        }
        let local = element.local_name();
        self.property(local.as_ref(), element);
    }

    fn property(&mut self, name: &[u8], element: &BytesStart<'_>) {
        match name {
            b"tab" | b"ptab" => self.push_text("\t"),
            b"br" | b"cr" => self.push_text("\n"),
            b"noBreakHyphen" => self.push_text("-"),
            b"pStyle" => {
                let level = attribute(element, b"val").and_then(|id| self.levels.get(&id).copied());
                if let Some(paragraph) = self.open.last_mut() {
                    paragraph.level = paragraph.level.or(level);
                }
            }
            // Written after the style, and stronger.
            b"outlineLvl" => {
                if let Some(paragraph) = self.open.last_mut() {
                    paragraph.level = outline_level(element);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) -> Result<(), ExtractError> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        match name {
            b"t" => self.in_text = false,
            b"p" => return self.end_paragraph(),
            b"tc" if self.tables == 1 => {
                let cell = std::mem::take(&mut self.cell);
                self.row.push(crate::builder::one_line(&cell));
                return self.keep(PIECE);
            }
            b"tr" if self.tables == 1 => return self.end_row(),
            b"tbl" => self.tables = self.tables.saturating_sub(1),
            _ if self.root.as_deref() == Some(name) => self.saw_end = true,
            _ => {}
        }
        Ok(())
    }

    fn push_text(&mut self, text: &str) {
        if let Some(paragraph) = self.open.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        let Some(paragraph) = self.open.pop() else {
            return Ok(());
        };
        if !self.open.is_empty() {
            self.boxed.push(paragraph);
            return Ok(());
        }
        if self.tables == 0 {
            self.gathered = 0;
        }
        self.emit(&paragraph)?;
        for paragraph in std::mem::take(&mut self.boxed) {
            self.emit(&paragraph)?;
        }
        Ok(())
    }

    fn emit(&mut self, paragraph: &Paragraph) -> Result<(), ExtractError> {
        if self.tables > 0 {
            self.cell.push_str(&paragraph.text);
            self.cell.push('\n');
            return Ok(());
        }
        match paragraph.level {
            Some(level) => self.builder.heading(level, &paragraph.text),
            None => self.builder.block(Gap::Paragraph, &paragraph.text),
        }
    }

    fn end_row(&mut self) -> Result<(), ExtractError> {
        self.gathered = 0;
        let gap = if std::mem::take(&mut self.first_row) {
            Gap::Paragraph
        } else {
            Gap::Line
        };
        let row = std::mem::take(&mut self.row).join("\t");
        self.builder.block(gap, row.trim_matches('\t'))
    }

    /// What is left when tables were not closed.
    fn finish(mut self) -> Result<(), ExtractError> {
        let cell = std::mem::take(&mut self.cell);
        self.builder.block(Gap::Paragraph, &cell)
    }
}
