//! Values separated by commas, semicolons, tabs or bars: rows with a tab between their cells.

use crate::builder::{Builder, Gap};
use crate::error::ExtractError;

/// What may stand between cells, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// How much of a file decides whether it is a table, in bytes and in rows.
const SAMPLE_BYTES: usize = 64 * 1024;
const SAMPLE_ROWS: usize = 200;
/// Text in which so many lines have as many commas by chance is rare.
const FEWEST_ROWS: usize = 4;

/// No quoted cell is longer, in bytes.
const LONGEST_CELL: usize = 1024 * 1024;
/// Behind so many cells with a quote that is none, quotes are text.
const MOST_BROKEN_QUOTES: u32 = 1000;

/// What separates the cells, if the text is a table; `named` if its name says that it is.
pub(crate) fn delimiter(text: &str, named: bool) -> Option<u8> {
    let text = text.trim_start_matches('\u{feff}');
    if let Some((delimiter, _)) = declared(text) {
        return Some(delimiter);
    }
    let sample = sample_of(text);
    let mut best = None;
    for delimiter in DELIMITERS {
        let shape = Shape::of(sample, delimiter);
        let convincing = if named {
            shape.columns >= 2 && shape.alike * 2 > shape.rows
        } else {
            shape.is_unmistakable(delimiter)
        };
        let rank = (shape.alike * 1000 / shape.rows.max(1), shape.columns);
        if convincing && best.is_none_or(|(best_rank, _)| rank > best_rank) {
            best = Some((rank, delimiter));
        }
    }
    best.map(|(_, delimiter)| delimiter)
}

/// Spreadsheet programs may say it in a first line `sep=;`.
fn declared(text: &str) -> Option<(u8, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let value = first.trim_end_matches('\r').strip_prefix("sep=")?;
    match value.as_bytes() {
        [delimiter] if DELIMITERS.contains(delimiter) => Some((*delimiter, rest)),
        _ => None,
    }
}

/// Whole lines, as far as there are any.
fn sample_of(text: &str) -> &str {
    if text.len() <= SAMPLE_BYTES {
        return text;
    }
    let end = text.floor_char_boundary(SAMPLE_BYTES);
    let sample = &text[..end];
    sample
        .rfind('\n')
        .map_or(sample, |line_end| &sample[..line_end])
}

/// How regular the rows are.
struct Shape {
    rows: usize,
    /// How many rows have as many columns as the most frequent ones.
    alike: usize,
    columns: usize,
    empty_lines: bool,
}

impl Shape {
    fn of(sample: &str, delimiter: u8) -> Self {
        let mut rows = Rows::new(sample, delimiter);
        let mut line = String::new();
        let mut counts: Vec<usize> = Vec::new();
        let mut empty_lines = false;
        while counts.len() < SAMPLE_ROWS {
            let Some(columns) = rows.next_into(&mut line) else {
                break;
            };
            if line.trim().is_empty() && columns == 1 {
                empty_lines = true;
            } else {
                counts.push(columns);
            }
        }
        let rows = counts.len();
        counts.sort_unstable();
        let most = counts
            .chunk_by(|one, other| one == other)
            .max_by_key(|alike| alike.len());
        Self {
            rows,
            alike: most.map_or(0, <[usize]>::len),
            columns: most.map_or(0, |alike| alike[0]),
            empty_lines,
        }
    }

    /// Text that nobody calls a table must look like one in every line.
    fn is_unmistakable(&self, delimiter: u8) -> bool {
        let fewest_columns = if delimiter == b'\t' { 2 } else { 3 };
        delimiter != b'|'
            && !self.empty_lines
            && self.rows >= FEWEST_ROWS
            && self.alike == self.rows
            && self.columns >= fewest_columns
    }
}

pub(super) fn read(text: &str, delimiter: u8, builder: &mut Builder) -> Result<(), ExtractError> {
    let text = text.trim_start_matches('\u{feff}');
    let text = declared(text).map_or(text, |(_, rest)| rest);
    let mut rows = Rows::new(text, delimiter);
    let mut line = String::new();
    while rows.next_into(&mut line).is_some() {
        builder.has_room_for(line.len())?;
        builder.block(Gap::Line, line.trim_end_matches('\t'))?;
    }
    Ok(())
}

/// The rows of a table, each on one line.
struct Rows<'a> {
    text: &'a str,
    at: usize,
    delimiter: u8,
    /// How many cells began with a quote and did not end with one.
    broken_quotes: u32,
}

impl<'a> Rows<'a> {
    fn new(text: &'a str, delimiter: u8) -> Self {
        Self {
            text,
            at: 0,
            delimiter,
            broken_quotes: 0,
        }
    }

    /// Writes the next row with a tab between cells, and says how many cells it has.
    fn next_into(&mut self, line: &mut String) -> Option<usize> {
        line.clear();
        if self.at >= self.text.len() {
            return None;
        }
        let mut cells = 1;
        loop {
            self.cell(line);
            match self.text.as_bytes().get(self.at) {
                Some(&byte) if byte == self.delimiter => {
                    self.at += 1;
                    cells += 1;
                    line.push('\t');
                }
                Some(b'\r') => {
                    self.at += 1;
                    if self.text.as_bytes().get(self.at) == Some(&b'\n') {
                        self.at += 1;
                    }
                    return Some(cells);
                }
                _ => {
                    self.at += 1;
                    return Some(cells);
                }
            }
        }
    }

    /// A cell up to its delimiter or line end.
    fn cell(&mut self, line: &mut String) {
        let rest = &self.text[self.at..];
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        if self.broken_quotes < MOST_BROKEN_QUOTES && rest[blanks..].starts_with('"') {
            self.at += blanks;
            self.quoted(line);
        }
        let rest = &self.text[self.at..];
        let delimiter = self.delimiter;
        let end = rest
            .bytes()
            .position(|byte| byte == delimiter || byte == b'\n' || byte == b'\r')
            .unwrap_or(rest.len());
        push_on_one_line(line, &rest[..end]);
        self.at += end;
    }

    /// A quoted cell; `""` in it is a quote. One that does not end as cells end is left as it is.
    fn quoted(&mut self, line: &mut String) {
        let start = self.at + 1;
        let Some(end) = self.end_of_quoted(start) else {
            self.broken_quotes += 1;
            return;
        };
        let content = &self.text[start..end];
        if content.contains("\"\"") {
            push_on_one_line(line, &content.replace("\"\"", "\""));
        } else {
            push_on_one_line(line, content);
        }
        self.at = end + 1;
    }

    fn end_of_quoted(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut end = start;
        loop {
            let within = bytes.get(end..bytes.len().min(start + LONGEST_CELL))?;
            end += within.iter().position(|&byte| byte == b'"')?;
            if bytes.get(end + 1) != Some(&b'"') {
                break;
            }
            end += 2;
        }
        let after = bytes[end + 1..].iter().find(|&&byte| byte != b' ');
        let ends = match after {
            None | Some(b'\n' | b'\r') => true,
            Some(&byte) => byte == self.delimiter,
        };
        ends.then_some(end)
    }
}

/// Line ends and tabs in a cell would look like ends of rows and cells.
fn push_on_one_line(line: &mut String, cell: &str) {
    let mut words = cell.split_whitespace();
    if let Some(word) = words.next() {
        line.push_str(word);
    }
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use crate::{Extraction, Format, Limits, extract_here};

    fn read(text: &str, name: &str) -> Extraction {
        extract_here(text.as_bytes(), name, &Limits::default()).unwrap()
    }

    #[test]
    fn rows_and_quoted_cells() {
        let extraction = read(
            "name,\"what, where\",n\r\nMill,\"a \"\"big\"\" one\nby the river\",1\r\n\r\nBarn,,\r\n",
            "a.csv",
        );
        assert_eq!(extraction.format, Format::Csv);
        assert_eq!(
            extraction.text,
            "name\twhat, where\tn\nMill\ta \"big\" one by the river\t1\nBarn"
        );
    }

    #[test]
    fn the_delimiter_is_found() {
        for (text, delimiter) in [
            ("a;b;c\n1,5;2;3\n1,5;2;3\n", ";"),
            ("a\tb\tc\n1\t2,0\t3\n", "\t"),
            ("sep=|\na|b|c\n1|2|3\n", "|"),
            ("a,b,c\n\"1;2\",3,4\n", ","),
        ] {
            let rows = read(text, "a.csv").text;
            assert_eq!(rows.lines().next(), Some("a\tb\tc"), "{delimiter}");
        }
    }

    #[test]
    fn a_table_needs_no_name_and_prose_is_none() {
        let table = "이름,도시,나이\n김,서울,31\n이,부산,42\n박,\"대전, 유성\",27\n";
        let extraction = read(table, "export");
        assert_eq!(extraction.format, Format::Csv);
        assert!(extraction.text.ends_with("박\t대전, 유성\t27"));
        for prose in [
            "One, two, three.\nFour, five, six.\n\nSeven, eight, nine.\nTen, eleven, twelve.\n",
            "One, two and three.\nFour, five, six.\nSeven.\nEight, nine.\n",
            "a,b\nc,d\ne,f\ng,h\n",
        ] {
            assert_eq!(read(prose, "a.txt").format, Format::PlainText, "{prose}");
        }
        // The name promises a table, and there is none.
        let letter = "Dear all,\nthere is no table here.\nRegards\n";
        assert_eq!(read(letter, "a.csv").format, Format::PlainText);
    }

    #[test]
    fn a_quote_without_end_swallows_nothing() {
        assert_eq!(
            read("a,b\n1,\"open\n2,x\n3,\"y\" z\n", "a.csv").text,
            "a\tb\n1\t\"open\n2\tx\n3\t\"y\" z"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_written_comes_back(
            rows in prop::collection::vec(prop::collection::vec("[a-z\",;\n\t|]{0,6}", 3), 1..8)
        ) {
            let mut file = "sep=;\n".to_owned();
            let mut expected = Vec::new();
            for row in rows {
                let quoted: Vec<_> = row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
                file.push_str(&quoted.join(";"));
                file.push('\n');
                let cells: Vec<_> = row.iter().map(|cell| crate::builder::one_line(cell)).collect();
                let line = cells.join("\t");
                if !line.trim().is_empty() {
                    expected.push(line.trim_end().to_owned());
                }
            }
            let expected = expected.join("\n");
            let found = extract_here(file.as_bytes(), "a.csv", &Limits::default());
            let found = found.map(|extraction| extraction.text).unwrap_or_default();
            if expected.chars().any(char::is_alphanumeric) {
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in "[ab\",;\n\r\t|é ]{0,80}", named in any::<bool>()) {
            let name = if named { "a.csv" } else { "a" };
            let _ = extract_here(text.as_bytes(), name, &Limits::default());
        }
    }
}
