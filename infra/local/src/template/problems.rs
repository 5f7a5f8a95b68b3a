//! What is wrong with a template: all of it, each with its place and what to do.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The property, as `Resources.ExtractTextQueue.Properties.QueueName`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// A template that cannot be run as it stands: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The template's file.
    pub file: String,
    /// In the order of their lines; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{count} {noun} in the template {}", self.file)?;
        for problem in &self.problems {
            write!(f, "\n  {}:{}: ", self.file, problem.line)?;
            if !problem.path.is_empty() {
                write!(f, "{}: ", problem.path)?;
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for TemplateError {}

/// Gathers problems while the template is read, so that one run shows them all.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Notes a problem.
    pub(crate) fn add(&self, line: usize, path: impl Into<String>, message: impl Into<String>) {
        let problem = Problem {
            line,
            path: path.into(),
            message: message.into(),
        };
        let mut known = self.0.borrow_mut();
        // A default from `Globals` is read once for each function: one mention is enough.
        if !known.contains(&problem) {
            known.push(problem);
        }
    }

    /// All that was found, or `Ok` if nothing was.
    pub(crate) fn into_result(self, file: &str) -> Result<(), TemplateError> {
        let mut problems = self.0.into_inner();
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.line);
        Err(TemplateError {
            file: file.to_owned(),
            problems,
        })
    }
}

/// The word in `known` that `word` was probably meant to be.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of insertions, deletions and replacements between two words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, left_char) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right_char) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left_char != *right_char);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_the_one_that_was_meant() {
        let known = ["BatchSize", "StartingPosition"];
        assert_eq!(closest("BatchSzie", known), Some("BatchSize"));
        assert_eq!(closest("batchsize", known), Some("BatchSize"));
        assert_eq!(closest("Enabled", known), None);
    }
}
