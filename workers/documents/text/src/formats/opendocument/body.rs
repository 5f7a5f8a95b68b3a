//! Paragraphs, lists, tables, slides and sheets of `content.xml`.

use std::collections::HashSet;

use quick_xml::events::{BytesStart, Event};

use super::super::package::{attribute, text_of};
use super::table::Row;
use crate::builder::{Builder, Gap};
use crate::error::ExtractError;
use crate::limits::Limits;

/// Spaces that stand in a row on purpose are counted; nobody sees more than these.
const MOST_SPACES: usize = 64;
/// What a note or a box takes beside its text, in bytes.
const PIECE: usize = 24;

/// What the document is, by the element around its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Text,
    Spreadsheet,
    Presentation,
}

#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
}

pub(super) struct Body<'a> {
    builder: &'a mut Builder,
    limits: &'a Limits,
    kind: Kind,
    /// The style that is being defined.
    style: String,
    /// Styles of sheets and slides that are not shown.
    hidden_styles: HashSet<String>,
    /// Open paragraphs: one of a note is inside of the one it belongs to.
    open: Vec<Paragraph>,
    /// Finished paragraphs of notes, comments and text boxes, until what is around them is.
    aside: Vec<String>,
    /// How many bytes wait there.
    aside_length: usize,
    annotations: u32,
    lists: u32,
    /// The next paragraph is the first of its list or frame.
    first_of_group: bool,
    in_title: bool,
    /// How many tables are open. Only the outermost has rows; a table in a cell is its text.
    tables: u32,
    row: Row,
    /// The next row is set off from what stands before it.
    set_off_row: bool,
    /// How long the text was behind the name of the sheet.
    sheet_start: usize,
    /// Some sheet has more than its name.
    found_text: bool,
    /// How many elements are open inside of one that is left out, with it.
    skipped: u32,
}

impl<'a> Body<'a> {
    pub(super) fn new(builder: &'a mut Builder, limits: &'a Limits) -> Self {
        Self {
            builder,
            limits,
            kind: Kind::default(),
            style: String::new(),
            hidden_styles: HashSet::new(),
            open: Vec::new(),
            aside: Vec::new(),
            aside_length: 0,
            annotations: 0,
            lists: 0,
            first_of_group: false,
            in_title: false,
            tables: 0,
            row: Row::default(),
            set_off_row: true,
            sheet_start: 0,
            found_text: false,
            skipped: 0,
        }
    }

    pub(super) fn take(&mut self, event: &Event<'_>) -> Result<(), ExtractError> {
        match event {
            Event::Start(_) if self.skipped > 0 => self.skipped += 1,
            Event::End(_) if self.skipped > 0 => self.skipped -= 1,
            Event::Start(element) if is_left_out(element) => self.skipped = 1,
            Event::Start(element) => return self.start(element),
            Event::End(element) => return self.end(element.local_name().as_ref()),
            _ if self.skipped > 0 => {}
            _ => {
                if let Some(paragraph) = self.open.last_mut() {
                    let text = text_of(event);
                    self.builder
                        .has_room_for(paragraph.text.len().saturating_add(text.len()))?;
                    push_collapsed(&mut paragraph.text, &text);
                }
            }
        }
        Ok(())
    }

    /// What is left when nothing comes any more.
    pub(super) fn finish(mut self) -> Result<(), ExtractError> {
        self.write_aside()?;
        // The names that every new spreadsheet has are no text.
        if self.kind == Kind::Spreadsheet && !self.found_text {
            return Err(ExtractError::NoText);
        }
        Ok(())
    }

    fn start(&mut self, element: &BytesStart<'_>) -> Result<(), ExtractError> {
        match element.local_name().as_ref() {
            b"spreadsheet" => self.kind = Kind::Spreadsheet,
            b"presentation" => self.kind = Kind::Presentation,
            b"style" => self.style = attribute(element, b"name").unwrap_or_default(),
            b"table-properties" => self.note_hidden(attribute(element, b"display"), "false"),
            b"drawing-page-properties" => {
                self.note_hidden(attribute(element, b"visibility"), "hidden");
            }
            b"page" if self.kind == Kind::Presentation => {
                // The names that nobody gave.
                let name = attribute(element, b"name").filter(|name| !is_default_name(name));
                self.begin_page(element, name.as_deref(), "slides")?;
            }
            b"frame" | b"custom-shape" => {
                let class = attribute(element, b"class");
                self.in_title = class.is_some_and(|class| class == "title");
                self.first_of_group = true;
            }
            b"annotation" => self.annotations += 1,
            b"list" => {
                self.lists += 1;
                self.first_of_group |= self.lists == 1 && self.kind != Kind::Presentation;
            }
            b"p" => {
                self.open.push(Paragraph::default());
                self.builder
                    .has_room_for(self.open.len().saturating_mul(PIECE))?;
            }
            b"h" => {
                let level = attribute(element, b"outline-level");
                let level = level.and_then(|level| level.parse::<u8>().ok());
                self.open.push(Paragraph {
                    text: String::new(),
                    level: Some(level.unwrap_or(1)),
                });
            }
            b"s" => {
                let count = attribute(element, b"c").and_then(|count| count.parse::<usize>().ok());
                self.push(&" ".repeat(count.unwrap_or(1).min(MOST_SPACES)));
            }
            b"tab" => self.push("\t"),
            b"line-break" => self.push("\n"),
            _ => return self.start_in_table(element),
        }
        Ok(())
    }

    fn start_in_table(&mut self, element: &BytesStart<'_>) -> Result<(), ExtractError> {
        let count = |name: &[u8]| {
            let count = attribute(element, name).and_then(|count| count.parse::<u32>().ok());
            count.unwrap_or(1)
        };
        match element.local_name().as_ref() {
            b"table" => {
                self.tables += 1;
                if self.tables == 1 {
                    self.set_off_row = true;
                    self.row = Row::default();
                    if self.kind == Kind::Spreadsheet {
                        let name = attribute(element, b"name").unwrap_or_default();
                        self.begin_page(element, Some(&name), "sheets")?;
                        self.builder.heading(1, &name)?;
                        self.sheet_start = self.builder.characters();
                    }
                }
            }
            b"table-row" if self.tables == 1 => {
                self.row = Row::begin(count(b"number-rows-repeated"));
            }
            b"table-cell" | b"covered-table-cell" if self.tables == 1 => {
                let value = [
                    &b"string-value"[..],
                    b"date-value",
                    b"time-value",
                    b"boolean-value",
                    b"value",
                ]
                .iter()
                .find_map(|name| attribute(element, name));
                let repeats = count(b"number-columns-repeated");
                self.row.begin_cell(repeats, value.unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &[u8]) -> Result<(), ExtractError> {
        match name {
            b"p" | b"h" => return self.end_paragraph(),
            b"list" => self.lists = self.lists.saturating_sub(1),
            b"frame" | b"custom-shape" => self.in_title = false,
            b"annotation" => self.annotations = self.annotations.saturating_sub(1),
            b"page" | b"shapes" => return self.write_aside(),
            b"table" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.write_aside()?;
                    self.found_text |= self.builder.characters() > self.sheet_start;
                }
            }
            b"table-cell" | b"covered-table-cell" if self.tables == 1 => {
                return self.row.end_cell(self.builder);
            }
            b"table-row" if self.tables == 1 => return self.end_row(),
            _ => {}
        }
        Ok(())
    }

    fn begin_page(
        &mut self,
        element: &BytesStart<'_>,
        name: Option<&str>,
        what: &str,
    ) -> Result<(), ExtractError> {
        let number = self.builder.last_page().saturating_add(1);
        let count = usize::try_from(number).unwrap_or(usize::MAX);
        self.limits.accept_pages(count, what)?;
        let style = attribute(element, b"style-name");
        let hidden = style.is_some_and(|style| self.hidden_styles.contains(&style));
        self.builder.named_page(number, name, hidden);
        Ok(())
    }

    fn note_hidden(&mut self, value: Option<String>, hidden: &str) {
        if value.is_some_and(|value| value == hidden) {
            self.hidden_styles.insert(self.style.clone());
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(paragraph) = self.open.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        let Some(paragraph) = self.open.pop() else {
            return Ok(());
        };
        // Text boxes on a sheet are in its table, but in no cell.
        let beside_cells = self.tables > 0 && !self.row.in_cell;
        if !self.open.is_empty() || self.annotations > 0 || beside_cells {
            if !paragraph.text.trim().is_empty() {
                let length = paragraph.text.len().saturating_add(PIECE);
                self.aside_length = self.aside_length.saturating_add(length);
                self.aside.push(paragraph.text);
                self.builder.has_room_for(self.aside_length)?;
            }
            return Ok(());
        }
        if self.tables > 0 {
            self.row.push(&paragraph.text);
            return Ok(());
        }
        let level = paragraph.level.or(self.in_title.then_some(1));
        match level {
            Some(level) => self.builder.heading(level, &paragraph.text)?,
            None if paragraph.text.trim().is_empty() => {}
            None => {
                let gap = self.gap();
                self.builder.block(gap, &paragraph.text)?;
            }
        }
        self.write_aside()
    }

    /// Items of a list and lines of a frame follow each other.
    fn gap(&mut self) -> Gap {
        let grouped = self.lists > 0 || self.kind == Kind::Presentation;
        let first = std::mem::take(&mut self.first_of_group);
        if grouped && !first {
            Gap::Line
        } else {
            Gap::Paragraph
        }
    }

    fn end_row(&mut self) -> Result<(), ExtractError> {
        let row = std::mem::take(&mut self.row);
        if row.line().is_empty() {
            // An empty row sets off what comes after it.
            self.set_off_row |= self.kind == Kind::Spreadsheet;
            return self.write_aside();
        }
        for _ in 0..row.repeats {
            let first = std::mem::take(&mut self.set_off_row);
            let gap = if first { Gap::Paragraph } else { Gap::Line };
            self.builder.block(gap, row.line())?;
        }
        self.write_aside()
    }

    fn write_aside(&mut self) -> Result<(), ExtractError> {
        self.aside_length = 0;
        for text in std::mem::take(&mut self.aside) {
            self.builder.block(Gap::Paragraph, &text)?;
            self.set_off_row = true;
        }
        Ok(())
    }
}

/// Elements whose text is not the document's, or is there a second time.
fn is_left_out(element: &BytesStart<'_>) -> bool {
    // Fields have the same names as these, but other prefixes.
    let name = element.name();
    let described = matches!(
        name.as_ref(),
        b"svg:title"
            | b"svg:desc"
            | b"dc:creator"
            | b"dc:date"
            | b"meta:date-string"
            | b"meta:creator-initials"
            | b"loext:sender-initials"
    );
    let local = element.local_name();
    match local.as_ref() {
        b"tracked-changes"
        | b"forms"
        | b"scripts"
        | b"script"
        | b"note-citation"
        | b"ruby-text"
        | b"page-number"
        | b"content-validations"
        | b"dde-links"
        | b"table-of-content-source" => true,
        b"frame" | b"custom-shape" => {
            let class = attribute(element, b"class");
            matches!(
                class.as_deref(),
                Some("page-number" | "date-time" | "footer" | "header")
            )
        }
        other => described || other.ends_with(b"-index-source"),
    }
}

/// `page3`, which programs call the third slide.
fn is_default_name(name: &str) -> bool {
    name.strip_prefix("page")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// White space collapses: what is meant stands there as elements.
fn push_collapsed(paragraph: &mut String, text: &str) {
    for character in text.chars() {
        if !matches!(character, ' ' | '\t' | '\n' | '\r') {
            paragraph.push(character);
        } else if !paragraph.is_empty() && !paragraph.ends_with([' ', '\t', '\n']) {
            paragraph.push(' ');
        }
    }
}
