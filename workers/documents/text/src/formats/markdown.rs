//! Markdown: what a person would read of it, with its headings.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::builder::{Builder, Gap};
use crate::error::ExtractError;
use crate::wrap;

pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), ExtractError> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut state = State {
        builder,
        block: String::new(),
        gap: Gap::Paragraph,
        groups: 0,
        first_of_group: false,
        line_ended: false,
        skipping: false,
    };
    for event in Parser::new_ext(text, options) {
        state.take(event)?;
    }
    state.flush()
}

struct State<'a> {
    builder: &'a mut Builder,
    block: String,
    gap: Gap,
    /// How many lists and tables are open.
    groups: u32,
    /// The next item or row is the first one: it is set off from what stands before.
    first_of_group: bool,
    /// The source's line ended, the paragraph goes on.
    line_ended: bool,
    /// Inside of what is not read: the metadata block at the top.
    skipping: bool,
}

impl State<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), ExtractError> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            _ if self.skipping => Ok(()),
            Event::Text(text) | Event::Code(text) => {
                if std::mem::take(&mut self.line_ended) {
                    wrap::join(&mut self.block, &text);
                } else {
                    self.block.push_str(&text);
                }
                Ok(())
            }
            Event::SoftBreak => {
                self.line_ended = true;
                Ok(())
            }
            Event::HardBreak => {
                self.block.push('\n');
                Ok(())
            }
            Event::InlineHtml(html) => {
                // Between words of a line only `<br>` means something to a reader.
                if html.to_ascii_lowercase().starts_with("<br") {
                    self.block.push('\n');
                }
                Ok(())
            }
            Event::Html(html) => {
                self.flush()?;
                super::html::read(&html, self.builder)
            }
            Event::Rule => self.flush(),
            Event::TaskListMarker(_)
            | Event::FootnoteReference(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => Ok(()),
        }
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<(), ExtractError> {
        match tag {
            Tag::Heading { .. } | Tag::Paragraph | Tag::BlockQuote(_) => self.flush(),
            Tag::Item | Tag::TableRow | Tag::TableHead => {
                self.flush()?;
                let first = std::mem::take(&mut self.first_of_group);
                self.gap = if first { Gap::Paragraph } else { Gap::Line };
                Ok(())
            }
            Tag::List(_) | Tag::Table(_) => {
                self.flush()?;
                // A list in a list goes on line by line.
                self.first_of_group = self.groups == 0;
                self.groups += 1;
                Ok(())
            }
            Tag::FootnoteDefinition(_) => {
                self.flush()?;
                self.gap = Gap::Paragraph;
                Ok(())
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                self.flush()?;
                self.gap = Gap::Paragraph;
                Ok(())
            }
            Tag::TableCell => {
                if !self.block.is_empty() {
                    self.block.push('\t');
                }
                Ok(())
            }
            Tag::MetadataBlock(_) => {
                self.skipping = true;
                self.flush()
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), ExtractError> {
        match tag {
            TagEnd::Heading(level) => {
                let heading = std::mem::take(&mut self.block);
                self.gap = Gap::Paragraph;
                self.builder.heading(number_of(level), &heading)
            }
            TagEnd::Paragraph
            | TagEnd::BlockQuote(_)
            | TagEnd::Item
            | TagEnd::TableRow
            | TagEnd::TableHead
            | TagEnd::CodeBlock => self.flush(),
            TagEnd::List(_) | TagEnd::Table => {
                self.flush()?;
                self.groups = self.groups.saturating_sub(1);
                self.gap = Gap::Paragraph;
                Ok(())
            }
            TagEnd::FootnoteDefinition => self.flush(),
            TagEnd::MetadataBlock(_) => {
                self.skipping = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), ExtractError> {
        if self.block.trim().is_empty() {
            self.block.clear();
            return Ok(());
        }
        self.line_ended = false;
        let gap = std::mem::replace(&mut self.gap, Gap::Paragraph);
        self.builder.block(gap, &self.block)?;
        self.block.clear();
        Ok(())
    }
}

fn number_of(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use crate::{Extraction, Limits, extract_here};

    fn read(markdown: &str) -> Extraction {
        extract_here(markdown.as_bytes(), "a.md", &Limits::default()).unwrap()
    }

    #[test]
    fn markup_goes_and_headings_stay() {
        let extraction = read(
            "---\nkey: value\n---\n# The *title*\n\nWrapped\nline with `code` and [a link](http://x).\n\n\
             Second\n------\n\n- one\n- two\n  - three\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nlet x;\nlet y;\n```\n",
        );
        assert_eq!(
            extraction.text,
            "The title\n\nWrapped line with code and a link.\n\nSecond\n\none\ntwo\nthree\n\na\tb\n1\t2\n\nlet x;\nlet y;"
        );
        let sections: Vec<_> = extraction
            .sections
            .iter()
            .map(|s| (s.title.as_str(), s.level, s.start))
            .collect();
        assert_eq!(sections, [("The title", 1, 0), ("Second", 2, 47)]);
        assert_eq!(extraction.title.as_deref(), Some("The title"));
    }

    #[test]
    fn chinese_lines_are_joined_without_a_space() {
        assert_eq!(read("第一行\n第二行\n").text, "第一行第二行");
        assert_eq!(read("한국어\n문장\n").text, "한국어 문장");
    }

    #[test]
    fn embedded_html_is_read_as_html() {
        assert_eq!(
            read("<div>\n<b>bold</b> &amp; plain\n</div>\n\nafter").text,
            "bold & plain\n\nafter"
        );
    }
}
