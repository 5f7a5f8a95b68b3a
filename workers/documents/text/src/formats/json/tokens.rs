//! The tokens of JSON texts, without a tree and without recursion.

use std::borrow::Cow;

/// Deeper than this nobody nests what is meant to be read.
pub(super) const DEEPEST: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Key(Cow<'a, str>),
    Text(Cow<'a, str>),
    /// A number or a truth value, as it is written.
    Word(&'a str),
    Null,
}

/// Why there is no next token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// The text ends in the middle of a value.
    BreaksOff,
    /// This is not JSON.
    Malformed,
    TooDeep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// An object or an array, or the end: several may follow one another.
    Document,
    FirstValue,
    Value,
    FirstKey,
    Key,
    Comma,
}

/// What is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    open: Vec<Container>,
    expected: Expected,
}

type Next<'a> = Result<Token<'a>, Problem>;

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            expected: Expected::Document,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        // The record separator stands between the texts of a sequence (RFC 7464).
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | 0x1e)) {
            self.at += 1;
        }
    }

    fn begin(&mut self, container: Container) -> Next<'a> {
        if self.open.len() >= DEEPEST {
            return Err(Problem::TooDeep);
        }
        self.at += 1;
        self.open.push(container);
        match container {
            Container::Object => {
                self.expected = Expected::FirstKey;
                Ok(Token::ObjectStart)
            }
            Container::Array => {
                self.expected = Expected::FirstValue;
                Ok(Token::ArrayStart)
            }
        }
    }

    fn end(&mut self) -> Next<'a> {
        self.at += 1;
        let container = self.open.pop().ok_or(Problem::Malformed)?;
        self.expected = if self.open.is_empty() {
            Expected::Document
        } else {
            Expected::Comma
        };
        Ok(match container {
            Container::Object => Token::ObjectEnd,
            Container::Array => Token::ArrayEnd,
        })
    }

    fn value(&mut self, first: u8) -> Next<'a> {
        match first {
            b'{' => return self.begin(Container::Object),
            b'[' => return self.begin(Container::Array),
            _ => {}
        }
        self.expected = Expected::Comma;
        if first == b'"' {
            return self.string().map(Token::Text);
        }
        self.word()
    }

    fn key(&mut self, first: u8) -> Next<'a> {
        if first != b'"' {
            return Err(Problem::Malformed);
        }
        let key = self.string()?;
        self.skip_blanks();
        match self.peek() {
            Some(b':') => {
                self.at += 1;
                self.expected = Expected::Value;
                Ok(Token::Key(key))
            }
            None => Err(Problem::BreaksOff),
            Some(_) => Err(Problem::Malformed),
        }
    }

    fn word(&mut self) -> Next<'a> {
        let rest = &self.text[self.at..];
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let length = rest.bytes().take_while(|&byte| is_part(byte)).count();
        let word = &rest[..length];
        self.at += length;
        let is_number = || {
            word.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                && word.contains(|c: char| c.is_ascii_digit())
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        };
        match word {
            "null" | "NaN" | "Infinity" | "-Infinity" => Ok(Token::Null),
            "true" | "false" => Ok(Token::Word(word)),
            _ if is_number() => Ok(Token::Word(word)),
            _ if self.at == self.text.len() => Err(Problem::BreaksOff),
            _ => Err(Problem::Malformed),
        }
    }

    /// A string from its opening quote on.
    fn string(&mut self) -> Result<Cow<'a, str>, Problem> {
        self.at += 1;
        let rest = &self.text[self.at..];
        let mut end = 0;
        let mut escaped = false;
        loop {
            match rest.as_bytes().get(end) {
                None => return Err(Problem::BreaksOff),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
            }
        }
        self.at += end + 1;
        let content = &rest[..end];
        if escaped {
            unescape(content).map(Cow::Owned).ok_or(Problem::Malformed)
        } else {
            Ok(Cow::Borrowed(content))
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Next<'a>;

    fn next(&mut self) -> Option<Next<'a>> {
        self.skip_blanks();
        let Some(mut first) = self.peek() else {
            let whole = self.expected == Expected::Document;
            return if whole {
                None
            } else {
                Some(Err(Problem::BreaksOff))
            };
        };
        if self.expected == Expected::Comma && first == b',' {
            self.at += 1;
            self.skip_blanks();
            self.expected = match self.open.last() {
                Some(Container::Object) => Expected::Key,
                _ => Expected::Value,
            };
            first = match self.peek() {
                Some(next) => next,
                None => return Some(Err(Problem::BreaksOff)),
            };
        }
        let closing = match self.open.last() {
            Some(Container::Object) => b'}',
            _ => b']',
        };
        let may_close = matches!(
            self.expected,
            Expected::Comma | Expected::FirstKey | Expected::FirstValue
        );
        Some(match self.expected {
            _ if may_close && first == closing => self.end(),
            Expected::Document if matches!(first, b'{' | b'[') => self.value(first),
            Expected::FirstValue | Expected::Value => self.value(first),
            Expected::FirstKey | Expected::Key => self.key(first),
            Expected::Document | Expected::Comma => Err(Problem::Malformed),
        })
    }
}

/// Resolves escapes; half of a surrogate pair becomes a replacement character.
fn unescape(content: &str) -> Option<String> {
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(position) = rest.find('\\') {
        text.push_str(&rest[..position]);
        let escape = *rest.as_bytes().get(position + 1)?;
        rest = rest.get(position + 2..)?;
        text.push(match escape {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' | b'f' => ' ',
            b'"' | b'\\' | b'/' => char::from(escape),
            b'u' => {
                let (character, length) = unicode(rest)?;
                rest = &rest[length..];
                character
            }
            _ => return None,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The character behind `\u`, and how many bytes its digits have.
fn unicode(rest: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 4)?;
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    };
    let first = unit(0)?;
    if matches!(first, 0xd800..=0xdbff)
        && rest.get(4..6) == Some("\\u")
        && let Some(second) = unit(6)
        && let Some(Ok(character)) = char::decode_utf16([first, second]).next()
    {
        return Some((character, 10));
    }
    let character = char::from_u32(u32::from(first)).unwrap_or('\u{fffd}');
    Some((character, 4))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn problem(text: &str) -> Option<Problem> {
        Tokens::new(text).find_map(Result::err)
    }

    #[test]
    fn what_is_json_and_what_is_not() {
        for whole in [
            "{}",
            "[]",
            "[1,-2.5e+3,true,null]",
            "{\"a\":{\"b\":[{}]}}\n{\"c\":\"\\u0041\"}",
            " [NaN] ",
        ] {
            assert_eq!(problem(whole), None, "{whole}");
        }
        for half in ["{", "[1,", "{\"a", "{\"a\":", "{\"a\":1", "[tr", "[\"x\\"] {
            assert_eq!(problem(half), Some(Problem::BreaksOff), "{half}");
        }
        for other in [
            "[1] See there.",
            "[2026-01-01] started",
            "{a:1}",
            "[1,]",
            "{\"a\":1,}",
            "x",
            "[\"\\x\"]",
            "]",
            "[}",
            "{]",
            "[1 2]",
        ] {
            assert_eq!(problem(other), Some(Problem::Malformed), "{other}");
        }
        assert_eq!(problem(&"[".repeat(5000)), Some(Problem::TooDeep));
    }

    #[test]
    fn escapes() {
        assert_eq!(
            unescape(r#"a\n\"\\\/\u4e2d\ud83d\ude00\ud83dx\ude00"#).as_deref(),
            Some("a\n\"\\/中😀\u{fffd}x\u{fffd}")
        );
        assert_eq!(unescape(r"\u12"), None);
        assert_eq!(unescape(r"\u+123"), None);
    }
}
