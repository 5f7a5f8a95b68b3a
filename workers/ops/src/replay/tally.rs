//! What is said of a replay while it runs and when it ended.

use std::{collections::BTreeMap, io::IsTerminal as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::outcome::{Became, Trouble};
use crate::{
    letters::{Letter, Waiting},
    output::{json, line, short},
};

/// The word for letters that somebody else holds.
const LEFT: &str = "left to somebody else";

/// One letter, as it is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    id: String,
    worker: &'a str,
    subject: &'a str,
    outcome: &'a str,
    reason: Option<&'a Trouble>,
}

/// Counts outcomes, moves the bar and prints a line a letter.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: BTreeMap<&'static str, u64>,
    bar: ProgressBar,
    as_json: bool,
}

impl Tally {
    pub(crate) fn new(letters: u64, as_json: bool) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(letters)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {pos}/{len}  {per_sec}  {eta} left  {msg}")
        {
            bar.set_style(style);
        }
        Self {
            counts: BTreeMap::new(),
            bar,
            as_json,
        }
    }

    pub(crate) fn letter(&mut self, waiting: &Waiting, became: &Became) {
        *self.counts.entry(became.word()).or_default() += 1;
        self.bar.inc(1);
        if self.failed() > 0 {
            self.bar.set_message(format!("{} failed", self.failed()));
        }
        let trouble = became.trouble();
        let as_json = self.as_json;
        self.bar.suspend(|| {
            if as_json {
                json(&Line {
                    id: waiting.letter.to_string(),
                    worker: &waiting.worker,
                    subject: &waiting.subject,
                    outcome: became.word(),
                    reason: trouble,
                });
                return;
            }
            let id: String = waiting.letter.to_string().chars().take(8).collect();
            let said = trouble.map_or_else(String::new, |trouble| {
                format!("  {}: {}", trouble.code, short(&trouble.message, 160))
            });
            line(&format!(
                "{:10} {id}  {}  {}{said}",
                became.word(),
                waiting.worker,
                waiting.subject
            ));
        });
    }

    /// Says that a letter which had been sent is a dead letter once more.
    pub(crate) fn came_back(&self, letter: &Letter, trouble: &Trouble) {
        if self.as_json {
            json(&Line {
                id: letter.id.to_string(),
                worker: &letter.worker,
                subject: &letter.subject,
                outcome: "failed",
                reason: Some(trouble),
            });
            return;
        }
        line(&format!(
            "{:10} {}  {}  {}  {}: {}",
            "failed",
            letter.short_id(),
            letter.worker,
            letter.subject,
            trouble.code,
            short(&trouble.message, 160)
        ));
    }

    /// A letter that had been sent came back, or did not.
    pub(crate) fn correct(&mut self, came_back: bool) {
        if let Some(sent) = self.counts.get_mut("sent") {
            *sent = sent.saturating_sub(1);
        }
        self.counts.retain(|_, count| *count > 0);
        let word = if came_back { "failed" } else { "handled" };
        *self.counts.entry(word).or_default() += 1;
    }

    /// A letter was left where it is, because somebody else holds it.
    pub(crate) fn left(&mut self) {
        *self.counts.entry(LEFT).or_default() += 1;
        self.bar.inc(1);
    }

    /// Whether every letter was tried, and none failed.
    pub(crate) fn is_whole(&self) -> bool {
        self.failed() == 0 && !self.counts.contains_key(LEFT)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.counts.get("failed").copied().unwrap_or(0)
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// `3 applied, 1 failed`.
    pub(crate) fn words(&self) -> String {
        if self.counts.is_empty() {
            return "nothing was replayed".to_owned();
        }
        let parts: Vec<String> = self
            .counts
            .iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        parts.join(", ")
    }
}
