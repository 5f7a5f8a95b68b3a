//! JSON: what it says, with the keys under which it is said.
//!
//! A line for each value of an object, the values of a list on one line, a paragraph for each
//! object of a list. Several documents may follow one another, as in JSON lines. Numbers stay
//! as they are written.

mod tokens;

use crate::builder::{Builder, Gap};
use crate::error::ExtractError;
use tokens::{DEEPEST, Problem, Token, Tokens};

/// A value longer than this, in bytes, is a paragraph of its own.
const LONG_VALUE: usize = 200;
/// A line of a list is ended behind so many bytes.
const LONGEST_LINE: usize = 1000;

/// Whether a text is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Json,
    /// It would be if it did not end too early.
    BreaksOff,
    Other,
}

/// Looks through all of a text that begins as JSON does: so do many that are not.
pub(crate) fn judge(text: &str) -> Verdict {
    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_ascii_start().starts_with(['{', '[', '\u{1e}']) {
        return Verdict::Other;
    }
    match Tokens::new(text).find_map(Result::err) {
        // What goes too deep is refused by the reader, which says so.
        None | Some(Problem::TooDeep) => Verdict::Json,
        Some(Problem::BreaksOff) => Verdict::BreaksOff,
        Some(Problem::Malformed) => Verdict::Other,
    }
}

pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), ExtractError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = Lines {
        builder,
        open: Vec::new(),
        key: String::new(),
        list: String::new(),
        gap: Gap::Paragraph,
    };
    for token in Tokens::new(text) {
        let token = token.map_err(|problem| match problem {
            Problem::TooDeep => ExtractError::TooLarge {
                detail: format!("its values are nested more than {DEEPEST} deep"),
            },
            Problem::BreaksOff => ExtractError::damaged("its JSON ends in the middle of a value"),
            Problem::Malformed => ExtractError::damaged("it is not well-formed JSON"),
        })?;
        lines.take(token)?;
    }
    lines.end_list()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    List,
}

struct Lines<'a> {
    builder: &'a mut Builder,
    open: Vec<Container>,
    /// The key of what comes next; it is written before the first thing that there is under it.
    key: String,
    /// Values of a list that go on one line.
    list: String,
    gap: Gap,
}

impl Lines<'_> {
    fn take(&mut self, token: Token<'_>) -> Result<(), ExtractError> {
        match token {
            Token::ObjectStart => {
                self.end_list()?;
                self.begin_object()?;
                self.open.push(Container::Object);
            }
            Token::ArrayStart => {
                self.end_list()?;
                self.open.push(Container::List);
            }
            Token::ObjectEnd => {
                self.end_list()?;
                self.open.pop();
                self.key.clear();
                self.gap = Gap::Paragraph;
            }
            Token::ArrayEnd => {
                self.end_list()?;
                self.open.pop();
                self.key.clear();
            }
            Token::Key(key) => {
                self.end_list()?;
                self.key.clear();
                self.key.push_str(key.trim());
            }
            Token::Text(text) => self.value(&text)?,
            Token::Word(word) => self.value(word)?,
            Token::Null => {}
        }
        Ok(())
    }

    /// The key of an object stands on a line before what is in it.
    fn begin_object(&mut self) -> Result<(), ExtractError> {
        let key = std::mem::take(&mut self.key);
        if self.open.last() == Some(&Container::List) || self.open.is_empty() {
            self.gap = Gap::Paragraph;
        }
        if key.is_empty() {
            return Ok(());
        }
        let line = format!("{key}:");
        let gap = std::mem::replace(&mut self.gap, Gap::Line);
        self.builder.block(gap, &line)
    }

    fn value(&mut self, value: &str) -> Result<(), ExtractError> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(());
        }
        let long = value.len() > LONG_VALUE || value.contains('\n');
        if self.open.last() != Some(&Container::List) {
            return self.line(value, long);
        }
        if long {
            self.end_list()?;
            return self.line(value, true);
        }
        if self.list.len() + value.len() > LONGEST_LINE {
            self.end_list()?;
        }
        if !self.list.is_empty() {
            self.list.push_str(", ");
        }
        self.list.push_str(value);
        Ok(())
    }

    fn end_list(&mut self) -> Result<(), ExtractError> {
        if self.list.is_empty() {
            return Ok(());
        }
        let list = std::mem::take(&mut self.list);
        self.line(&list, false)
    }

    fn line(&mut self, value: &str, long: bool) -> Result<(), ExtractError> {
        self.builder.has_room_for(value.len())?;
        let key = std::mem::take(&mut self.key);
        let after = if long { Gap::Paragraph } else { Gap::Line };
        let gap = std::mem::replace(&mut self.gap, after);
        let gap = if long { Gap::Paragraph } else { gap };
        if key.is_empty() {
            self.builder.block(gap, value)
        } else {
            self.builder.block(gap, &format!("{key}: {value}"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use crate::{ExtractError, Extraction, Format, Limits, extract_here};

    fn try_read(text: &str, name: &str) -> Result<Extraction, ExtractError> {
        extract_here(text.as_bytes(), name, &Limits::default())
    }

    #[test]
    fn values_with_their_keys() {
        let extraction = try_read(
            r#"{"title": "The mill", "open": true, "none": null, "empty": "", "price": 1.50,
                "tags": ["río", "水車", 7], "address": {"city": "서울", "no": 12345678901234567890},
                "people": [{"name": "A", "age": 1}, {"name": "B\nC"}], "end": "x"}"#,
            "a",
        )
        .unwrap();
        assert_eq!(extraction.format, Format::Json);
        assert_eq!(
            extraction.text,
            "title: The mill\nopen: true\nprice: 1.50\ntags: río, 水車, 7\naddress:\ncity: 서울\nno: 12345678901234567890\n\n\
             people:\nname: A\nage: 1\n\nname: B\nC\n\nend: x"
        );
    }

    #[test]
    fn json_lines() {
        let extraction = try_read("{\"a\":\"one\"}\n{\"a\":\"two\"}\n", "a.log").unwrap();
        assert_eq!(extraction.format, Format::Json);
        assert_eq!(extraction.text, "a: one\n\na: two");
    }

    #[test]
    fn what_only_looks_like_json() {
        for text in [
            "[1] See page two.",
            "{name} is a placeholder",
            "[INFO] started",
        ] {
            assert_eq!(try_read(text, "a.json").unwrap().format, Format::PlainText);
        }
        // Cut off, and somebody calls it JSON.
        let half = "{\"a\": \"one\", \"b\": \"tw";
        assert_eq!(
            try_read(half, "a.json").unwrap_err().reason(),
            "damaged-file"
        );
        assert_eq!(try_read(half, "a.txt").unwrap().format, Format::PlainText);
        let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(try_read(&deep, "a").unwrap_err().reason(), "too-large");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_string_comes_back(text in any::<String>()) {
            prop_assume!(!text.contains('\u{fffd}'));
            let written = serde_json::to_string(&serde_json::json!([{"k": format!("x{text}")}])).unwrap();
            let expected = crate::builder::clean(format!("k: x{text}").trim());
            prop_assert_eq!(try_read(&written, "a").unwrap().text, expected);
        }

        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{},:\"\\\\u0deaé1 \n-]{0,60}") {
            let _ = try_read(&text, "a.json");
            let _ = try_read(&format!("[{text}"), "a");
        }
    }
}
