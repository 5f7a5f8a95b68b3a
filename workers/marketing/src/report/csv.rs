//! Comma-separated values, as RFC 4180 has them, for people who open them in a spreadsheet.

/// Says that the text is UTF-8: without it, spreadsheets read Korean text as something else.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A table of values.
pub(super) struct Csv(String);

/// One value.
pub(super) enum Cell<'a> {
    /// Text of others: names, ids, words.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// A part of a hundred, in hundredths.
    Percent(Option<i64>),
    /// Nothing.
    Empty,
}

impl Csv {
    pub(super) fn new() -> Self {
        Self(BYTE_ORDER_MARK.to_string())
    }

    pub(super) fn row<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) {
        for (position, cell) in cells.into_iter().enumerate() {
            if position > 0 {
                self.0.push(',');
            }
            match cell {
                Cell::Text(text) => self.0.push_str(&quoted(text)),
                Cell::Number(number) => self.0.push_str(&number.to_string()),
                Cell::Percent(Some(hundredths)) => {
                    self.0.push_str(&super::words::decimal(hundredths))
                }
                Cell::Percent(None) | Cell::Empty => {}
            }
        }
        self.0.push_str("\r\n");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Text as a value. A spreadsheet takes text that begins with one of these characters for a formula and runs it; an
/// apostrophe before it makes it text (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn quoted(text: &str) -> String {
    let looks_like_a_formula = text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || text.starts_with(['\t', '\r', '\n']);
    let guarded = if looks_like_a_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    let needs_quotes =
        guarded.contains([',', '"', '\r', '\n', ';', '\t']) || guarded.trim() != guarded;
    if needs_quotes {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_quoted_where_it_must_be_and_never_a_formula() {
        assert_eq!(quoted("버들내 제과점"), "버들내 제과점");
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(quoted("two\nlines"), "\"two\nlines\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(
            quoted("  =HYPERLINK(\"x\")"),
            "\"'  =HYPERLINK(\"\"x\"\")\""
        );
        assert_eq!(quoted("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(quoted("\t=1"), "\"'\t=1\"");
        assert_eq!(quoted("-"), "'-");
    }

    /// Reads what RFC 4180 writes.
    fn read(text: &str) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut row = Vec::new();
        let mut value = String::new();
        let mut inside = false;
        let mut letters = text.trim_start_matches(BYTE_ORDER_MARK).chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' if inside && letters.peek() == Some(&'"') => {
                    letters.next();
                    value.push('"');
                }
                '"' => inside = !inside,
                ',' if !inside => row.push(std::mem::take(&mut value)),
                '\r' if !inside && letters.peek() == Some(&'\n') => {
                    letters.next();
                    row.push(std::mem::take(&mut value));
                    rows.push(std::mem::take(&mut row));
                }
                other => value.push(other),
            }
        }
        rows
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(texts in proptest::collection::vec("[a-z가-힣 ,;\"'=+@\\-\r\n\t]{0,8}", 1..5)) {
            let mut csv = Csv::new();
            csv.row(texts.iter().map(|text| Cell::Text(text)));
            csv.row([Cell::Number(-3), Cell::Percent(Some(6_667)), Cell::Percent(None), Cell::Empty]);
            let rows = read(&csv.finish());
            prop_assert_eq!(rows.len(), 2);
            for (read, text) in rows[0].iter().zip(&texts) {
                let guarded = format!("'{text}");
                prop_assert!(read == text || *read == guarded);
                let first = read.trim_start().chars().next();
                prop_assert!(!first.is_some_and(|first| "=+-@".contains(first)));
            }
            prop_assert_eq!(&rows[1], &["-3", "66.67", "", ""]);
        }
    }
}
