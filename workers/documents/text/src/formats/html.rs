//! HTML, read as a stream of tokens.
//!
//! No tree is built: html5ever's tree builder takes time quadratic in the depth of the
//! document, and text needs no tree. Its tokenizer is linear and knows entities, comments,
//! attributes and raw text as browsers do.

mod pieces;

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::builder::{Builder, Gap, one_line};
use crate::error::ExtractError;
use crate::wrap;

pub(super) fn read(html: &str, builder: &mut Builder) -> Result<(), ExtractError> {
    read_as(Markup::Html, html, builder)
}

/// Reads XHTML: an element that closes itself is closed, which in HTML only few elements are.
pub(super) fn read_xhtml(xhtml: &str, builder: &mut Builder) -> Result<(), ExtractError> {
    read_as(Markup::Xhtml, xhtml, builder)
}

fn read_as(markup: Markup, html: &str, builder: &mut Builder) -> Result<(), ExtractError> {
    let state = tokenize(markup, html, builder, Navigation::Skipped)?;
    // A page with an unclosed <nav> would be empty: then the navigation is all there is.
    if !state.found_text && state.skipped_navigation {
        tokenize(markup, html, builder, Navigation::Read)?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Markup {
    Html,
    Xhtml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Navigation {
    Skipped,
    Read,
}

struct Outcome {
    found_text: bool,
    skipped_navigation: bool,
}

fn tokenize(
    markup: Markup,
    html: &str,
    builder: &mut Builder,
    navigation: Navigation,
) -> Result<Outcome, ExtractError> {
    let input = BufferQueue::default();
    for piece in pieces::of(html) {
        input.push_back(StrTendril::from(piece));
    }
    let sink = Sink {
        markup,
        state: RefCell::new(State::new(builder, navigation)),
    };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    // The tokenizer never waits for scripts: this sink runs none.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let mut state = tokenizer.sink.state.into_inner();
    state.flush();
    match state.failure {
        Some(failure) => Err(failure),
        None => Ok(Outcome {
            found_text: state.found_text,
            skipped_navigation: state.skipped_navigation,
        }),
    }
}

struct Sink<'a> {
    markup: Markup,
    state: RefCell<State<'a>>,
}

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::CharacterTokens(text) => state.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                if tag.self_closing && self.markup == Markup::Xhtml {
                    state.enter(&tag.name, true, false);
                    state.leave_at_once(&tag.name);
                } else {
                    return state.open(&tag);
                }
            }
            Token::TagToken(tag) => state.close(&tag.name),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

struct State<'a> {
    builder: &'a mut Builder,
    navigation: Navigation,
    block: String,
    gap: Gap,
    /// How many lists and tables are open.
    groups: u32,
    /// The next item or row is the first one: it is set off from what stands before.
    first_of_group: bool,
    /// The level, while inside of a heading.
    heading: Option<u8>,
    in_title: bool,
    title: String,
    /// How many `pre` are open: inside of them white space is text.
    preformatted: u32,
    /// The element that is left out, and how many of its name are open.
    skipped: Option<(String, u32)>,
    skipped_navigation: bool,
    found_text: bool,
    failure: Option<ExtractError>,
}

impl<'a> State<'a> {
    fn new(builder: &'a mut Builder, navigation: Navigation) -> Self {
        Self {
            builder,
            navigation,
            block: String::new(),
            gap: Gap::Paragraph,
            groups: 0,
            first_of_group: false,
            heading: None,
            in_title: false,
            title: String::new(),
            preformatted: 0,
            skipped: None,
            skipped_navigation: false,
            found_text: false,
            failure: None,
        }
    }

    fn text(&mut self, text: &str) {
        if self.skipped.is_some() || self.failure.is_some() {
            return;
        }
        if self.in_title {
            self.title.push_str(text);
        } else if self.preformatted > 0 {
            self.block.push_str(text);
        } else {
            push_collapsed(&mut self.block, text);
        }
    }

    fn open(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        // Raw text must be announced even where it is left out: tags in a script are none.
        let raw = match name {
            "script" => Some(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
            "title" | "textarea" => Some(RawKind::Rcdata),
            _ => None,
        };
        self.enter(name, tag.self_closing, raw.is_some());
        match raw {
            Some(kind) => TokenSinkResult::RawData(kind),
            None => TokenSinkResult::Continue,
        }
    }

    fn enter(&mut self, name: &str, self_closing: bool, raw: bool) {
        if let Some((skipped, open)) = &mut self.skipped {
            if skipped == name && !self_closing {
                *open += 1;
            }
            return;
        }
        if self.is_left_out(name) && (raw || !self_closing) {
            self.skipped_navigation |= name == "nav";
            self.flush();
            self.skipped = Some((name.to_owned(), 1));
            return;
        }
        match name {
            "title" => self.in_title = true,
            "br" => self.block.push('\n'),
            "td" | "th" => {
                // Cells of a row share a line.
                trim_end(&mut self.block);
                if !self.block.is_empty() {
                    self.block.push('\t');
                }
            }
            "img" | "input" | "wbr" => {}
            _ => {
                if let Some(gap) = gap_before(name) {
                    self.flush();
                    self.set_off(name, gap);
                }
            }
        }
        self.heading = heading_level(name).or(self.heading);
        if name == "pre" {
            self.preformatted += 1;
        }
    }

    fn set_off(&mut self, name: &str, gap: Gap) {
        match gap {
            Gap::Line => {
                let first = std::mem::take(&mut self.first_of_group);
                self.gap = if first { Gap::Paragraph } else { Gap::Line };
            }
            // The first paragraph in an item stands on the item's line, as `gap` has it.
            Gap::Paragraph if is_group(name) => {
                // A list in a list goes on line by line.
                self.first_of_group = self.groups == 0;
                self.groups += 1;
            }
            Gap::Paragraph => {}
        }
    }

    /// Closes an element that was left open by nobody: one that is skipped goes on.
    fn leave_at_once(&mut self, name: &str) {
        if self.skipped.is_none() {
            self.close(name);
        }
    }

    fn close(&mut self, name: &str) {
        if let Some((skipped, open)) = &mut self.skipped {
            if skipped == name {
                *open -= 1;
            }
            if *open == 0 {
                self.skipped = None;
            }
            return;
        }
        match name {
            "title" => {
                self.in_title = false;
                let title = std::mem::take(&mut self.title);
                self.builder.title(&title);
            }
            "pre" => {
                self.flush();
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            _ if heading_level(name).is_some() => {
                self.flush();
                self.heading = None;
            }
            _ if gap_before(name).is_some() => {
                self.flush();
                if is_group(name) {
                    self.gap = Gap::Paragraph;
                    self.groups = self.groups.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn is_left_out(&self, name: &str) -> bool {
        match name {
            "script" | "style" | "noscript" | "template" | "svg" | "iframe" | "noembed"
            | "noframes" | "object" | "select" | "textarea" => true,
            "nav" => self.navigation == Navigation::Skipped,
            _ => false,
        }
    }

    fn flush(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let block = std::mem::take(&mut self.block);
        if block.trim().is_empty() {
            return;
        }
        self.found_text = true;
        let gap = std::mem::replace(&mut self.gap, Gap::Paragraph);
        let added = match self.heading {
            Some(level) => self.builder.heading(level, &one_line(&block)),
            None if self.preformatted > 0 => self.builder.block(gap, &block),
            None => self.builder.block(gap, block.trim()),
        };
        self.failure = added.err();
    }
}

fn heading_level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}

/// Elements whose items stand on a line each.
fn is_group(name: &str) -> bool {
    matches!(name, "ul" | "ol" | "dl" | "table" | "menu")
}

/// For elements that begin a block of their own: how it is set off.
fn gap_before(name: &str) -> Option<Gap> {
    match name {
        "li" | "tr" | "dt" | "dd" | "option" | "figcaption" | "caption" => Some(Gap::Line),
        "p" | "div" | "section" | "article" | "main" | "header" | "footer" | "aside"
        | "blockquote" | "pre" | "ul" | "ol" | "dl" | "table" | "form" | "fieldset" | "address"
        | "figure" | "hr" | "body" | "details" | "summary" | "center" | "h1" | "h2" | "h3"
        | "h4" | "h5" | "h6" | "legend" | "dialog" | "nav" | "search" | "hgroup" | "menu" => {
            Some(Gap::Paragraph)
        }
        _ => None,
    }
}

/// White space collapses as browsers do it, except that a line end between ideographs is none.
pub(super) fn push_collapsed(block: &mut String, text: &str) {
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek().is_none() {
        if !text.is_empty() && !block.is_empty() && !ends_with_space(block) {
            block.push(' ');
        }
        return;
    }
    let mut first = true;
    for word in words {
        let spaced = if first {
            text.starts_with(|c: char| c.is_ascii_whitespace())
        } else {
            true
        };
        if spaced && !block.is_empty() && !ends_with_space(block) {
            let (Some(before), Some(after)) = (block.chars().next_back(), word.chars().next())
            else {
                continue;
            };
            block.push_str(wrap::separator(before, after));
        }
        block.push_str(word);
        first = false;
    }
    if text.ends_with(|c: char| c.is_ascii_whitespace()) {
        block.push(' ');
    }
}

fn ends_with_space(block: &str) -> bool {
    block.ends_with([' ', '\n', '\t'])
}

fn trim_end(block: &mut String) {
    let kept = block.trim_end_matches(' ').len();
    block.truncate(kept);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::{Duration, Instant};

    use crate::{Extraction, Limits, extract_here};

    fn read(html: &str) -> Extraction {
        extract_here(html.as_bytes(), "a.html", &Limits::default()).unwrap()
    }

    #[test]
    fn what_a_reader_sees() {
        let extraction = read(
            "<!doctype html><html><head><title>The  page</title><style>p{}</style>\
             <script>if (a<b) document.write('<p>no</p>')</script></head><body>\
             <nav><ul><li>Home</li></ul></nav><h1>One <em>and</em>\n only</h1>\
             <p>First   para&shy;graph&nbsp;&amp; more<br>second line</p><!-- no -->\
             <ul><li>A<li>B &lt; C</ul><h2>Two</h2>\
             <table><tr><th>x</th> <th>y</th></tr><tr><td>1<td>2</table>\
             <pre>a\n  b</pre>tail</body></html>",
        );
        assert_eq!(
            extraction.text,
            "One and only\n\nFirst paragraph & more\nsecond line\n\nA\nB < C\n\nTwo\n\nx\ty\n1\t2\n\na\n  b\n\ntail"
        );
        assert_eq!(extraction.title.as_deref(), Some("The page"));
        let sections: Vec<_> = extraction
            .sections
            .iter()
            .map(|s| (s.title.as_str(), s.level))
            .collect();
        assert_eq!(sections, [("One and only", 1), ("Two", 2)]);
    }

    #[test]
    fn a_page_that_is_all_navigation() {
        assert_eq!(
            read("<html><nav>Home <p>All the text").text,
            "Home\n\nAll the text"
        );
    }

    #[test]
    fn depth_costs_nothing() {
        let started = Instant::now();
        let html = format!("<html>{}deep", "<div><b><blockquote>".repeat(100_000));
        assert_eq!(read(&html).text, "deep");
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
    }

    #[test]
    fn lines_of_chinese_are_joined() {
        assert_eq!(
            read("<html><p>第一行\n第二行 <b>粗</b>體").text,
            "第一行第二行 粗體"
        );
    }
}
