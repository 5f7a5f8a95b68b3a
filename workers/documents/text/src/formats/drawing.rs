//! Text in drawings: slides, their notes and diagrams, text boxes on sheets.
//!
//! Shapes come in the order of the file, which is the order in which they were put there and in
//! which screen readers read them; the title comes first wherever it stands.

use quick_xml::events::{BytesStart, Event};

use super::package::{Package, attribute, text_of};
use crate::builder::{Builder, Gap, one_line};
use crate::error::ExtractError;

/// What a shape is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Role {
    #[default]
    Text,
    Title,
    /// Date, page number, header and footer: the same on every slide.
    Margin,
}

#[derive(Debug, Default)]
struct Shape {
    role: Role,
    blocks: Vec<(Gap, String)>,
}

impl Shape {
    fn push(&mut self, text: String) {
        let gap = if self.blocks.is_empty() {
            Gap::Paragraph
        } else {
            Gap::Line
        };
        self.blocks.push((gap, text));
    }
}

/// A drawing's shapes with text.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    shapes: Vec<Shape>,
    /// A slide that is not shown.
    pub(super) hidden: bool,
}

impl Drawing {
    pub(super) fn title(&self) -> Option<String> {
        let title = self.with_role(Role::Title).map(title_of).next()?;
        (!title.is_empty()).then_some(title)
    }

    pub(super) fn add_to(&self, builder: &mut Builder) -> Result<(), ExtractError> {
        for shape in self.with_role(Role::Title) {
            builder.heading(1, &title_of(shape))?;
        }
        for shape in self.with_role(Role::Text) {
            for (gap, text) in &shape.blocks {
                builder.block(*gap, text)?;
            }
        }
        Ok(())
    }

    fn with_role(&self, role: Role) -> impl Iterator<Item = &Shape> {
        self.shapes.iter().filter(move |shape| shape.role == role)
    }
}

fn title_of(shape: &Shape) -> String {
    let lines: Vec<&str> = shape.blocks.iter().map(|(_, text)| text.as_str()).collect();
    one_line(&lines.join(" "))
}

/// Reads a part that is a drawing, or has one in it.
pub(super) fn read(
    package: &mut Package<'_>,
    part: &str,
    builder: &Builder,
) -> Result<Drawing, ExtractError> {
    let mut reading = Reading {
        drawing: Drawing::default(),
        bytes: 0,
        paragraph: None,
        in_text: false,
        tables: 0,
        row: String::new(),
        cell: String::new(),
        skipped: 0,
    };
    reading.drawing.shapes.push(Shape::default());
    package.read_xml(part, |event| {
        reading.take(&event);
        builder.has_room_for(reading.bytes)
    })?;
    let mut drawing = reading.drawing;
    drawing.shapes.retain(|shape| !shape.blocks.is_empty());
    Ok(drawing)
}

struct Reading {
    drawing: Drawing,
    /// How much text there is.
    bytes: usize,
    paragraph: Option<String>,
    in_text: bool,
    /// How many tables are open.
    tables: u32,
    row: String,
    cell: String,
    /// How many elements are open inside of one that is left out, with it.
    skipped: u32,
}

impl Reading {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(_) if self.skipped > 0 => self.skipped += 1,
            Event::End(_) if self.skipped > 0 => self.skipped -= 1,
            Event::Start(element) => self.start(element),
            Event::End(element) => self.end(element.local_name().as_ref()),
            _ if self.skipped == 0 && self.in_text => {
                if let Some(paragraph) = &mut self.paragraph {
                    let text = text_of(event);
                    self.bytes = self.bytes.saturating_add(text.len());
                    paragraph.push_str(&text);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, element: &BytesStart<'_>) {
        match element.local_name().as_ref() {
            // The copy for old programs, and the number of the slide.
            b"Fallback" => self.skipped = 1,
            b"fld" if attribute(element, b"type").is_some_and(|kind| kind == "slidenum") => {
                self.skipped = 1;
            }
            b"sld" => {
                let shown = attribute(element, b"show");
                self.drawing.hidden = shown.is_some_and(|show| show == "0" || show == "false");
            }
            b"sp" | b"pic" | b"cxnSp" | b"graphicFrame" => self.begin_shape(),
            b"ph" => {
                let role = match attribute(element, b"type").as_deref() {
                    Some("title" | "ctrTitle") => Role::Title,
                    Some("dt" | "ftr" | "hdr" | "sldNum" | "sldImg") => Role::Margin,
                    _ => Role::Text,
                };
                if let Some(shape) = self.drawing.shapes.last_mut() {
                    shape.role = role;
                }
            }
            b"p" => self.paragraph = Some(String::new()),
            // Diagrams have another `t`, around their paragraphs.
            b"t" => self.in_text = self.paragraph.is_some(),
            b"br" => {
                if let Some(paragraph) = &mut self.paragraph {
                    paragraph.push('\n');
                }
            }
            b"tbl" => self.tables += 1,
            _ => {}
        }
    }

    /// One that stayed empty makes room for the next: there may be millions.
    fn begin_shape(&mut self) {
        let shapes = &mut self.drawing.shapes;
        match shapes.last_mut().filter(|shape| shape.blocks.is_empty()) {
            Some(shape) => shape.role = Role::default(),
            None => shapes.push(Shape::default()),
        }
    }

    fn end(&mut self, name: &[u8]) {
        match name {
            b"t" => self.in_text = false,
            b"p" => self.end_paragraph(),
            b"tc" if self.tables == 1 => {
                self.row.push_str(&one_line(&self.cell));
                self.row.push('\t');
                self.cell.clear();
            }
            b"tr" if self.tables == 1 => {
                let row = std::mem::take(&mut self.row);
                self.push(row.trim_matches('\t').to_owned());
            }
            b"tbl" => self.tables = self.tables.saturating_sub(1),
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraph.take() else {
            return;
        };
        if self.tables > 0 {
            self.cell.push_str(&paragraph);
            self.cell.push('\n');
        } else {
            self.push(paragraph);
        }
    }

    fn push(&mut self, text: String) {
        if text.trim().is_empty() {
            return;
        }
        if let Some(shape) = self.drawing.shapes.last_mut() {
            shape.push(text);
        }
    }
}
