//! How a command ends, and how it prints.

use std::{fmt, io::Write as _};

use millrace_events::{Failure, Reason};
use serde::Serialize;

/// A command that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every item.
    Done,
    /// Some items failed; what failed was said.
    SomeFailed,
}

/// A command that could not do what it was asked.
#[derive(Debug)]
pub(crate) enum Error {
    /// It was asked in the wrong way.
    Usage(String),
    /// It met a failure.
    Failed(String),
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(format!("{} [{}]", failure.chain(), failure.reason()))
    }
}

impl From<crate::platform::OpenFailed> for Error {
    fn from(error: crate::platform::OpenFailed) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Writes a line of data. A reader that went away (`millrace … | head`) ends the program quietly.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("millrace: the output could not be written: {error}");
            std::process::exit(1);
        }
    }
}

/// Writes a value as one line of JSON.
pub(crate) fn json<T: Serialize>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => line(&text),
        Err(error) => eprintln!("millrace: could not write JSON: {error}"),
    }
}

/// Where the repository says what a reason code means and what to do; `None` for words that are no reason code.
pub(crate) fn docs_link(code: &str) -> Option<String> {
    let reason = Reason::from_code(code)?;
    Some(format!("docs/reasons.md#{reason}"))
}

/// A text on one line, cut to so many characters.
pub(crate) fn short(text: &str, characters: usize) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= characters {
        return flat;
    }
    let cut: String = flat.chars().take(characters.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}
