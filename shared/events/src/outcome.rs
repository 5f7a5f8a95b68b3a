//! What a worker says about one record.

use std::{error::Error, fmt, time::Duration};

use crate::reason::Reason;

/// How the handling of one record ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The effect took place now.
    Applied,
    /// A duplicate: the effect was there.
    Already,
    /// A newer version of the subject was applied before.
    Superseded,
    /// Not this worker's; says why.
    Ignored(&'static str),
}

impl Outcome {
    /// The word for logs, metrics and the command's output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Already => "already",
            Self::Superseded => "superseded",
            Self::Ignored(_) => "ignored",
        }
    }
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A throttle, a time-out, a conflict: retry, later.
    Transient,
    /// The record itself cannot be handled: park it.
    Permanent,
}

/// Why a record could not be handled: a class, a stable reason code, a sentence for people and the cause.
#[derive(Debug)]
pub struct Failure {
    class: Class,
    reason: Reason,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure that a later attempt may not meet.
    pub fn transient(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Class::Transient, reason, message.into())
    }

    /// A failure that every attempt would meet.
    pub fn permanent(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, reason, message.into())
    }

    fn new(class: Class, reason: Reason, message: String) -> Self {
        Self {
            class,
            reason,
            message,
            retry_after: None,
            source: None,
        }
    }

    /// Keeps the cause; the message does not repeat it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The earliest time at which a retry makes sense, as a delay from now (a `Retry-After`).
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Whether trying again can help.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Whether this is [`Class::Transient`].
    pub fn is_transient(&self) -> bool {
        self.class == Class::Transient
    }

    /// The stable code.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The sentence for people, without its causes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// See [`Failure::retry_after`].
    pub fn delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message followed by every cause, parted by `: `.
    pub fn chain(&self) -> String {
        with_causes(self.message.clone(), self)
    }
}

/// An error followed by every cause, parted by `: `. A cause that the text ends with is not said again.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    with_causes(error.to_string(), error)
}

fn with_causes(mut text: String, error: &(dyn Error + 'static)) -> String {
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.reason)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|error| error as &(dyn Error + 'static))
    }
}
