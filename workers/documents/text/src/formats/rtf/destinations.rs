//! What control words do: choose what the text is for, and how it is read.

use super::{Aside, Charset, MOST_ENTRIES, Purpose, Reader, charsets};
use crate::error::ExtractError;

/// Groups that are not for reading: pictures, running headers, entries of indexes, numbers that
/// the program makes, the copy of nested tables and shapes for old programs.
const PASSED_OVER: &[&str] = &[
    "pict",
    "nonshppict",
    "shprslt",
    "colortbl",
    "filetbl",
    "revtbl",
    "header",
    "headerl",
    "headerr",
    "headerf",
    "footer",
    "footerl",
    "footerr",
    "footerf",
    "ftnsep",
    "ftnsepc",
    "ftncn",
    "aftnsep",
    "aftnsepc",
    "aftncn",
    "xe",
    "tc",
    "tcn",
    "rxe",
    "txe",
    "fldinst",
    "pntext",
    "listtext",
    "nonesttables",
    "template",
    "objdata",
    "objclass",
    "annotation",
    "private1",
];

impl Reader<'_> {
    pub(super) fn word(&mut self, name: &str, number: Option<i32>) -> Result<(), ExtractError> {
        if name == "u" {
            self.unicode(number.unwrap_or_default());
            return Ok(());
        }
        self.flush();
        let starred = self
            .group()
            .is_some_and(|group| std::mem::take(&mut group.starred));
        if self.purpose() == Purpose::Skipped {
            return Ok(());
        }
        if self.destination(name, starred) {
            return Ok(());
        }
        match self.purpose() {
            Purpose::Fonts => self.define_font(name, number),
            Purpose::Styles => self.define_style(name, number),
            _ => self.property(name, number)?,
        }
        Ok(())
    }

    /// Whether the word says what its group is for, and no more.
    fn destination(&mut self, name: &str, starred: bool) -> bool {
        let purpose = self.purpose();
        let begun = match name {
            "fonttbl" => Purpose::Fonts,
            "stylesheet" => Purpose::Styles,
            "info" => Purpose::Info,
            "title" if purpose == Purpose::Info => Purpose::Title,
            "object" | "shpinst" | "do" => Purpose::Around,
            "result" if purpose == Purpose::Around => Purpose::Text,
            "shptxt" | "dptxbxtext" if purpose == Purpose::Around => {
                return self.begin_aside(Aside::Box);
            }
            "footnote" if purpose == Purpose::Text => return self.begin_aside(Aside::Note),
            // The newer form of what stood before it.
            "ud" => return true,
            "upr" => {
                if let Some(group) = self.group() {
                    group.old_form_next = true;
                }
                return true;
            }
            // Styles of characters are starred, wherever they stand.
            "cs" | "ds" | "ts" => return false,
            _ if starred || PASSED_OVER.contains(&name) => Purpose::Skipped,
            _ => return false,
        };
        if let Some(group) = self.group() {
            group.purpose = begun;
        }
        true
    }

    fn begin_aside(&mut self, aside: Aside) -> bool {
        if let Some(group) = self.group()
            && group.aside.is_none()
        {
            group.purpose = Purpose::Text;
            group.aside = Some(aside);
            self.paragraphs.begin_aside();
        }
        true
    }

    fn define_font(&mut self, name: &str, number: Option<i32>) {
        let number = number.unwrap_or_default();
        let charset = match name {
            "f" => {
                self.defined_font = number;
                return;
            }
            "fcharset" => charsets::of_font(number),
            "cpg" => Charset::Encoding(charsets::of_code_page(number)),
            _ => return,
        };
        if self.fonts.len() < MOST_ENTRIES {
            self.fonts.insert(self.defined_font, charset);
        }
    }

    fn define_style(&mut self, name: &str, number: Option<i32>) {
        match name {
            "s" => self.defined_style.0 = number.unwrap_or_default(),
            "outlinelevel" => self.defined_style.1 = outline_of(number),
            _ => {}
        }
    }

    pub(super) fn end_style(&mut self) {
        let (number, outline) = std::mem::take(&mut self.defined_style);
        let name = std::mem::take(&mut self.style_name).to_lowercase();
        let name = name.trim().trim_end_matches(';').trim_end();
        let named = name
            .strip_prefix("heading ")
            .and_then(|level| level.parse().ok());
        let titled = (name == "title").then_some(1);
        let level = outline.or(named).or(titled);
        if let Some(level) = level.filter(|level| (1..=9).contains(level))
            && self.styles.len() < MOST_ENTRIES
        {
            self.styles.insert(number, level);
        }
    }

    fn property(&mut self, name: &str, number: Option<i32>) -> Result<(), ExtractError> {
        let on = number != Some(0);
        let default_font = self.default_font;
        let Some(group) = self.groups.last_mut() else {
            return Ok(());
        };
        match name {
            "f" => group.font = number.unwrap_or(default_font),
            "uc" => {
                let count = number.and_then(|number| u32::try_from(number).ok());
                group.fallback = count.unwrap_or(1).min(8);
            }
            "v" | "deleted" => group.hidden = on,
            "plain" => {
                group.font = default_font;
                group.hidden = false;
            }
            "pard" => {
                group.in_table = false;
                group.style = None;
                group.outline = None;
            }
            "intbl" => group.in_table = on,
            "s" => group.style = number,
            "outlinelevel" => group.outline = outline_of(number),
            "deff" => {
                self.default_font = number.unwrap_or_default();
                group.font = self.default_font;
            }
            "ansi" | "mac" | "pc" | "pca" | "ansicpg" => self.set_document_encoding(name, number),
            _ if self.purpose() != Purpose::Text => {}
            _ => return self.part(name),
        }
        Ok(())
    }

    /// Words that are text, or that end a part of it.
    fn part(&mut self, name: &str) -> Result<(), ExtractError> {
        let text = match name {
            "par" | "sect" | "page" | "column" => return self.end_paragraph(),
            "cell" => {
                self.paragraphs.end_cell();
                return Ok(());
            }
            "row" => return self.paragraphs.end_row(self.builder),
            "line" | "softline" | "lbr" => "\n",
            "tab" | "nestcell" => "\t",
            "nestrow" => "\n",
            "emdash" => "—",
            "endash" => "–",
            "bullet" => "•",
            "lquote" => "‘",
            "rquote" => "’",
            "ldblquote" => "“",
            "rdblquote" => "”",
            "emspace" | "enspace" | "qmspace" => " ",
            "zwnj" => "\u{200c}",
            "zwj" => "\u{200d}",
            _ => return Ok(()),
        };
        self.text(text);
        Ok(())
    }

    fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        self.push("");
        let Some(group) = self.groups.last() else {
            return Ok(());
        };
        let of_style = group
            .style
            .and_then(|style| self.styles.get(&style).copied());
        let level = group.outline.or(of_style);
        let in_table = group.in_table;
        self.paragraphs.end(self.builder, level, in_table)
    }
}

/// Written from 0; 9 is text.
fn outline_of(number: Option<i32>) -> Option<u8> {
    let level = u8::try_from(number?).ok()?;
    (level < 9).then(|| level + 1)
}
