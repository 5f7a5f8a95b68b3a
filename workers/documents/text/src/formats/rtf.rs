//! RTF, read token by token with a stack of groups.
//!
//! Nothing recurses. A group costs a few bytes, and groups deeper than any writer makes them
//! share the state of the last one. Embedded objects and pictures are passed over unread.

mod charsets;
mod destinations;
mod paragraphs;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::HashMap;

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};

use crate::builder::Builder;
use crate::error::ExtractError;
use crate::sniff::find;
use charsets::Charset;
use paragraphs::Paragraphs;
use tokens::{Token, Tokens};

/// Word itself gives up far earlier.
const DEEPEST: usize = 1000;
/// More fonts and styles than these are not remembered.
const MOST_ENTRIES: usize = 10_000;

/// How an RTF file begins.
pub(crate) const BEGINNING: &[u8] = b"{\\rtf";

pub(super) fn read(bytes: &[u8], builder: &mut Builder) -> Result<(), ExtractError> {
    let start = find(bytes, BEGINNING).unwrap_or_default();
    let mut tokens = Tokens::new(&bytes[start..]);
    let mut reader = Reader::new(builder);
    while let Some(token) = tokens.next() {
        reader.take(token)?;
        if matches!(token, Token::Text(_))
            && reader.awaits_trail
            && let Some(trail) = tokens.raw_trail()
        {
            reader.byte(trail);
        }
        if reader.groups.is_empty() {
            return reader.finish();
        }
        reader.check_room()?;
    }
    Err(ExtractError::damaged(
        "it ends in the middle, as if a part of it were missing",
    ))
}

/// What the text of a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To be read.
    Text,
    /// Nothing; whatever stands in it.
    Skipped,
    /// Nothing, but there may be a group in it that is: a shape's text, an object's picture in words.
    Around,
    Fonts,
    Styles,
    Info,
    Title,
}

/// What is put behind the text that it is anchored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aside {
    Note,
    Box,
}

/// The state that a group inherits and that ends with it.
#[derive(Debug, Clone, Copy)]
struct Group {
    purpose: Purpose,
    font: i32,
    /// How many characters stand for one `\u` where `\u` is not known.
    fallback: u32,
    hidden: bool,
    in_table: bool,
    style: Option<i32>,
    outline: Option<u8>,
    /// Set only in the group that began it.
    aside: Option<Aside>,
    /// The next control word names a destination that may be left out.
    starred: bool,
    /// The next group in this one is there for old programs.
    old_form_next: bool,
}

struct Reader<'a> {
    builder: &'a mut Builder,
    groups: Vec<Group>,
    /// Groups beyond [`DEEPEST`].
    deeper: u64,
    document: &'static Encoding,
    default_font: i32,
    fonts: HashMap<i32, Charset>,
    /// The font that is being defined.
    defined_font: i32,
    /// Levels of the styles that are headings.
    styles: HashMap<i32, u8>,
    defined_style: (i32, Option<u8>),
    style_name: String,
    title: String,
    /// Bytes not decoded yet: a character may be spread over several tokens.
    bytes: Vec<u8>,
    awaits_trail: bool,
    high_surrogate: Option<u16>,
    /// Characters left to pass over behind a `\u`.
    to_pass: u32,
    paragraphs: Paragraphs,
}

impl<'a> Reader<'a> {
    fn new(builder: &'a mut Builder) -> Self {
        Self {
            builder,
            groups: Vec::new(),
            deeper: 0,
            document: WINDOWS_1252,
            default_font: 0,
            fonts: HashMap::new(),
            defined_font: 0,
            styles: HashMap::new(),
            defined_style: (0, None),
            style_name: String::new(),
            title: String::new(),
            bytes: Vec::new(),
            awaits_trail: false,
            high_surrogate: None,
            to_pass: 0,
            paragraphs: Paragraphs::default(),
        }
    }

    /// A paragraph may be longer than all the text that is allowed.
    fn check_room(&self) -> Result<(), ExtractError> {
        self.builder
            .has_room_for(self.bytes.len() + self.paragraphs.length())
    }

    fn take(&mut self, token: Token<'_>) -> Result<(), ExtractError> {
        match token {
            Token::Open => self.open(),
            Token::Close => return self.close(),
            Token::Text(text) => {
                let passed = usize::try_from(self.to_pass).unwrap_or(usize::MAX);
                let passed = passed.min(text.len());
                self.to_pass -= u32::try_from(passed).unwrap_or(self.to_pass);
                for &byte in &text[passed..] {
                    self.byte(byte);
                }
            }
            Token::Hex(byte) => {
                if self.to_pass > 0 {
                    self.to_pass -= 1;
                } else {
                    self.byte(byte);
                }
            }
            Token::Symbol(symbol) => return self.symbol(symbol),
            Token::Word(name, number) => {
                self.to_pass = 0;
                return self.word(name, number);
            }
        }
        Ok(())
    }

    fn group(&mut self) -> Option<&mut Group> {
        self.groups.last_mut()
    }

    fn purpose(&self) -> Purpose {
        self.groups
            .last()
            .map_or(Purpose::Skipped, |group| group.purpose)
    }

    /// Whether the text of this group is for anything.
    fn is_read(&self) -> bool {
        matches!(
            self.purpose(),
            Purpose::Text | Purpose::Title | Purpose::Styles
        )
    }

    fn open(&mut self) {
        self.flush();
        self.to_pass = 0;
        if self.groups.len() >= DEEPEST {
            self.deeper += 1;
            return;
        }
        let Some(parent) = self.groups.last_mut() else {
            self.groups.push(Group {
                purpose: Purpose::Text,
                font: self.default_font,
                fallback: 1,
                hidden: false,
                in_table: false,
                style: None,
                outline: None,
                aside: None,
                starred: false,
                old_form_next: false,
            });
            return;
        };
        let old_form = std::mem::take(&mut parent.old_form_next);
        let mut group = *parent;
        group.aside = None;
        group.starred = false;
        if old_form {
            group.purpose = Purpose::Skipped;
        }
        self.groups.push(group);
    }

    fn close(&mut self) -> Result<(), ExtractError> {
        self.flush();
        self.to_pass = 0;
        if self.deeper > 0 {
            self.deeper -= 1;
            return Ok(());
        }
        let Some(group) = self.groups.pop() else {
            return Ok(());
        };
        match group.purpose {
            Purpose::Styles => self.end_style(),
            Purpose::Title => {
                let title = std::mem::take(&mut self.title);
                self.builder.title(&title);
            }
            _ => {}
        }
        if let Some(aside) = group.aside {
            self.paragraphs.end_aside(aside);
        }
        Ok(())
    }

    fn symbol(&mut self, symbol: u8) -> Result<(), ExtractError> {
        self.to_pass = 0;
        match symbol {
            b'\\' | b'{' | b'}' => self.byte(symbol),
            b'\r' | b'\n' => return self.word("par", None),
            b'~' => self.text(" "),
            b'_' => self.text("-"),
            b'\t' => self.text("\t"),
            b'*' => {
                if let Some(group) = self.group() {
                    group.starred = true;
                }
            }
            // Where a word may be divided, and entries of indexes.
            _ => {}
        }
        Ok(())
    }

    /// A byte of text in the code page of the font.
    fn byte(&mut self, byte: u8) {
        if !self.is_read() {
            return;
        }
        self.awaits_trail =
            !self.awaits_trail && byte >= 0x80 && charsets::is_lead(self.encoding_of_next(), byte);
        self.bytes.push(byte);
    }

    fn charset(&self) -> Charset {
        let font = self.groups.last().map_or(0, |group| group.font);
        let charset = self.fonts.get(&font).copied();
        // Names and titles are in the document's code page, whatever their font is.
        match self.purpose() {
            Purpose::Text => charset.unwrap_or(Charset::Document),
            _ => Charset::Document,
        }
    }

    fn encoding_of_next(&self) -> &'static Encoding {
        match self.charset() {
            Charset::Encoding(encoding) => encoding,
            Charset::Document => self.document,
            Charset::Western | Charset::Symbols => WINDOWS_1252,
        }
    }

    /// Decodes the bytes that have been collected.
    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.awaits_trail = false;
        let charset = self.charset();
        let encoding = charsets::resolve(charset, self.document, &bytes);
        let (text, _) = encoding.decode_without_bom_handling(&bytes);
        if charset == Charset::Symbols {
            let text: String = text.chars().filter_map(charsets::symbol).collect();
            self.push(&text);
        } else {
            self.push(&text);
        }
        self.bytes = bytes;
        self.bytes.clear();
    }

    /// Text that is given as such, behind all bytes before it.
    fn text(&mut self, text: &str) {
        self.flush();
        self.push(text);
    }

    fn push(&mut self, text: &str) {
        if self.high_surrogate.take().is_some() {
            self.push_decoded("\u{fffd}");
        }
        self.push_decoded(text);
    }

    fn push_decoded(&mut self, text: &str) {
        let Some(group) = self.groups.last() else {
            return;
        };
        match group.purpose {
            Purpose::Text if !group.hidden => self.paragraphs.push(text),
            Purpose::Title => self.title.push_str(text),
            Purpose::Styles => self.style_name.push_str(text),
            _ => {}
        }
    }

    /// `\u`: a unit of UTF-16, often written as a negative number.
    fn unicode(&mut self, number: i32) {
        self.flush();
        self.to_pass = self.groups.last().map_or(1, |group| group.fallback);
        if !self.is_read() {
            return;
        }
        let code = if number < 0 {
            number + 0x1_0000
        } else {
            number
        };
        let unit = u16::try_from(code).ok();
        match (unit, self.high_surrogate) {
            (Some(high @ 0xd800..=0xdbff), _) => {
                self.push("");
                self.high_surrogate = Some(high);
            }
            (Some(low @ 0xdc00..=0xdfff), Some(high)) => {
                self.high_surrogate = None;
                let pair = char::decode_utf16([high, low]).next();
                let character = pair.and_then(Result::ok).unwrap_or('\u{fffd}');
                self.push(character.encode_utf8(&mut [0; 4]));
            }
            _ => {
                let character = u32::try_from(code).ok().and_then(char::from_u32);
                let character = character.unwrap_or('\u{fffd}');
                let shown = if self.charset() == Charset::Symbols {
                    charsets::symbol(character)
                } else {
                    Some(character)
                };
                if let Some(shown) = shown {
                    self.push(shown.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }

    fn set_document_encoding(&mut self, name: &str, number: Option<i32>) {
        self.document = match name {
            "mac" => MACINTOSH,
            "ansicpg" => charsets::of_code_page(number.unwrap_or(1252)),
            _ => WINDOWS_1252,
        };
    }

    fn finish(mut self) -> Result<(), ExtractError> {
        self.flush();
        self.paragraphs.finish(self.builder)
    }
}
