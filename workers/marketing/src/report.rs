//! Reports as files: a pure function of figures.
//!
//! The same figures are the same bytes: no clock, no chance, no order of a hash table. The page needs nothing but itself:
//! its charts are SVG inside it, and its own policy forbids it to fetch or run anything.

mod chart;
mod csv;
mod page;
mod words;

pub mod campaign;
pub mod daily;
pub mod figures;

use serde_json::{Map, Value, json};

use figures::{Counts, Ratio, STATES};

/// A report in its three forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// For programs.
    pub json: String,
    /// For spreadsheets.
    pub csv: String,
    /// For people.
    pub html: String,
}

impl Files {
    /// Each with the ending of its name and its content type.
    pub fn each(&self) -> [(&'static str, &'static str, &str); 3] {
        [
            ("json", "application/json", &self.json),
            ("csv", "text/csv; charset=utf-8", &self.csv),
            ("html", "text/html; charset=utf-8", &self.html),
        ]
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn counts_json(counts: &Counts) -> Value {
    let counts = STATES.iter().zip(counts);
    let counts = counts.map(|(state, count)| ((*state).to_owned(), Value::from(*count)));
    Value::Object(counts.collect::<Map<_, _>>())
}

/// The parts, and the percentage with two decimals as text: a number would be rounded by whoever reads it.
fn ratio_json(ratio: Ratio) -> Value {
    let percent = ratio.hundredths_of_percent().map(words::decimal);
    json!({ "of": ratio.whole, "are": ratio.part, "percent": percent })
}

#[cfg(test)]
mod tests;
