//! The frame of a page: everything that it needs is in it, and nothing in it may be fetched or run.

use std::fmt::Write;

use super::words::escaped;

const STYLE: &str = include_str!("page.css");

/// Forbids the page everything but its own styles.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A page that is being written. What it is given is escaped unless it says that it is markup.
pub(super) struct Page(String);

/// A figure at the top of a page.
pub(super) struct Key<'a> {
    /// What it is, in Korean and in English.
    pub(super) words: (&'a str, &'a str),
    /// Its value.
    pub(super) value: String,
    /// What is said below it.
    pub(super) note: String,
}

/// A table: each row begins with what it is about.
pub(super) struct Table<'a> {
    /// What it says.
    pub(super) caption: &'a str,
    /// The heads of the columns, the first one's too: `Korean|English`.
    pub(super) heads: &'a [&'a str],
    /// Markup of each row's head, and the texts of its cells.
    pub(super) rows: Vec<(String, Vec<String>)>,
    /// How many columns after the head hold text, not numbers.
    pub(super) texts: usize,
}

impl Page {
    pub(super) fn new(title: &str, heading: (&str, &str), about: &str) -> Self {
        let (korean, english) = (escaped(heading.0), escaped(heading.1));
        Self(format!(
            "<!DOCTYPE html>\n<html lang=\"ko\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header>\n<h1><bdi>{korean}</bdi>{}</h1>\n<p class=\"about\">{}</p>\n</header>\n",
            escaped(title),
            in_english(&english),
            escaped(about),
        ))
    }

    pub(super) fn keys(&mut self, keys: &[Key<'_>]) {
        self.0.push_str("<dl class=\"key\">\n");
        for key in keys {
            let _ = writeln!(
                self.0,
                "<div><dt>{}{}</dt><dd>{}<small>{}</small></dd></div>",
                key.words.0,
                in_english(key.words.1),
                escaped(&key.value),
                escaped(&key.note)
            );
        }
        self.0.push_str("</dl>\n");
    }

    /// A section with a chart (markup) and the table that says the same.
    pub(super) fn section(
        &mut self,
        words: (&str, &str),
        chart: &str,
        table: &Table<'_>,
        note: &str,
    ) {
        let shape = if chart.is_empty() || table.heads.len() > 6 {
            " class=\"tall\""
        } else {
            ""
        };
        let chart = if chart.is_empty() {
            String::new()
        } else {
            format!("<div>{chart}</div>\n")
        };
        let _ = writeln!(
            self.0,
            "<section>\n<h2>{}{}</h2>\n<figure{shape}>\n{chart}{}</figure>",
            words.0,
            in_english(words.1),
            markup(table)
        );
        if !note.is_empty() {
            let _ = writeln!(self.0, "<p class=\"note\">{}</p>", escaped(note));
        }
        self.0.push_str("</section>\n");
    }

    pub(super) fn finish(mut self, foot: &str) -> String {
        let _ = write!(
            self.0,
            "<footer>{}</footer>\n</main>\n</body>\n</html>\n",
            escaped(foot)
        );
        self.0
    }
}

/// A name of somebody's, as the head of a row.
pub(super) fn name(text: &str) -> String {
    format!("<bdi>{}</bdi>", escaped(text))
}

/// A state as the head of a row, with its colour.
pub(super) fn state(position: usize) -> String {
    let word = super::words::STATE_WORDS.get(position).unwrap_or(&"–");
    let state = super::figures::STATES.get(position).unwrap_or(&"–");
    format!(
        "<svg class=\"dot\" viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"s{position}\" width=\"10\" height=\"10\" rx=\"2\"/></svg>{word}{}",
        in_english(state)
    )
}

/// The same words in English, smaller.
pub(super) fn in_english(words: &str) -> String {
    if words.is_empty() {
        return String::new();
    }
    format!(" <span class=\"en\" lang=\"en\">{words}</span>")
}

fn markup(table: &Table<'_>) -> String {
    let mut text = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><table>\n<caption>{0}</caption>\n<thead><tr>",
        escaped(table.caption)
    );
    for (position, head) in table.heads.iter().enumerate() {
        let class = if (1..=table.texts).contains(&position) {
            " style=\"text-align:left\""
        } else {
            ""
        };
        // Korean above English: a column is as narrow as its numbers.
        let words = match head.split_once('|') {
            Some((korean, english)) => format!(
                "{}<br><span lang=\"en\">{}</span>",
                escaped(korean),
                escaped(english)
            ),
            None => escaped(head),
        };
        let _ = write!(text, "<th scope=\"col\"{class}>{words}</th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for (head, cells) in &table.rows {
        let _ = write!(text, "<tr><th scope=\"row\">{head}</th>");
        for (position, cell) in cells.iter().enumerate() {
            let class = if position < table.texts {
                " class=\"text\""
            } else {
                ""
            };
            let _ = write!(text, "<td{class}>{}</td>", escaped(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table></div>\n");
    text
}
