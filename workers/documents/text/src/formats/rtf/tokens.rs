//! The tokens of RTF: groups, control words, bytes of text.

/// A piece of an RTF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// A control word, with its number if it has one.
    Word(&'a str, Option<i32>),
    /// A backslash and one character that is no letter.
    Symbol(u8),
    /// `\'hh`: a byte in the code page of the font.
    Hex(u8),
    /// Text up to the next token or line end.
    Text(&'a [u8]),
}

/// The longest control word that the specification allows; longer ones are cut.
const LONGEST_WORD: usize = 32;

pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The second byte of a character whose first one has just been read as text: in some
    /// files it stands there as it is, although it looks like a backslash or a brace.
    pub(super) fn raw_trail(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        let next = self.bytes.get(self.at + 1).copied().unwrap_or_default();
        let is_trail = match byte {
            b'{' | b'}' => true,
            b'\\' => !matches!(next, b'\'' | b'\\' | b'{' | b'}'),
            _ => false,
        };
        if is_trail {
            self.at += 1;
        }
        is_trail.then_some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn after_backslash(&mut self) -> Option<Token<'a>> {
        let first = self.peek()?;
        if first.is_ascii_alphabetic() {
            return Some(self.word());
        }
        self.at += 1;
        if first == b'\'' {
            return Some(self.hex());
        }
        Some(Token::Symbol(first))
    }

    fn word(&mut self) -> Token<'a> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let end = self.at.min(start + LONGEST_WORD);
        // Only letters of ASCII are in it.
        let name = std::str::from_utf8(&self.bytes[start..end]).unwrap_or_default();
        let number = self.number();
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        if name == "bin" {
            let length = number.and_then(|number| usize::try_from(number).ok());
            self.at = self
                .at
                .saturating_add(length.unwrap_or_default())
                .min(self.bytes.len());
        }
        Token::Word(name, number)
    }

    fn number(&mut self) -> Option<i32> {
        let negative = self.peek() == Some(b'-');
        let first_digit = self.at + usize::from(negative);
        if !self.bytes.get(first_digit).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        self.at = first_digit;
        let mut number = 0_i32;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            number = number
                .saturating_mul(10)
                .saturating_add(i32::from(digit - b'0'));
            self.at += 1;
        }
        Some(if negative { -number } else { number })
    }

    fn hex(&mut self) -> Token<'a> {
        let mut value = 0_u8;
        for _ in 0..2 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { break };
            value = (value << 4) | u8::try_from(digit).unwrap_or_default();
            self.at += 1;
        }
        Token::Hex(value)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        while matches!(self.peek(), Some(b'\r' | b'\n' | 0)) {
            self.at += 1;
        }
        let start = self.at;
        self.at += 1;
        match *self.bytes.get(start)? {
            b'{' => Some(Token::Open),
            b'}' => Some(Token::Close),
            b'\\' => self.after_backslash(),
            _ => {
                let is_text = |byte: &u8| !matches!(*byte, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0);
                while self.bytes.get(self.at).is_some_and(is_text) {
                    self.at += 1;
                }
                Some(Token::Text(&self.bytes[start..self.at]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_token() {
        let tokens: Vec<_> =
            Tokens::new(b"{\\b0 x\\'e9\\~\\u-3 ?\r\n\\bin3 }}}y\\par}\\li-720z").collect();
        assert_eq!(
            tokens,
            [
                Token::Open,
                Token::Word("b", Some(0)),
                Token::Text(b"x"),
                Token::Hex(0xe9),
                Token::Symbol(b'~'),
                Token::Word("u", Some(-3)),
                Token::Text(b"?"),
                Token::Word("bin", Some(3)),
                Token::Text(b"y"),
                Token::Word("par", None),
                Token::Close,
                Token::Word("li", Some(-720)),
                Token::Text(b"z"),
            ]
        );
    }

    #[test]
    fn what_breaks_off() {
        assert_eq!(Tokens::new(b"\\").next(), None);
        assert_eq!(Tokens::new(b"\\'").next(), Some(Token::Hex(0)));
        assert_eq!(
            Tokens::new(b"\\bin99999999999 x").next(),
            Some(Token::Word("bin", Some(i32::MAX)))
        );
    }
}
