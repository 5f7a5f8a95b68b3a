//! What became of a letter.

use millrace_delivery::Said;
use millrace_events::Failure;
use serde::Serialize;

/// What became of a letter that was replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Became {
    /// Its worker handled it.
    Handled(Said),
    /// Its worker's queue has it. With the identities of its records where the letter itself does not tell them: by
    /// these it is known if it comes back.
    Sent(Vec<String>),
    /// It stays where it is.
    Failed(Trouble),
}

/// Why a letter stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    /// The stable reason code.
    pub(crate) code: String,
    /// The sentence for people, with its causes.
    pub(crate) message: String,
    /// Whether trying again soon can help.
    #[serde(skip)]
    pub(crate) is_transient: bool,
}

impl Trouble {
    pub(crate) fn of(failure: &Failure) -> Self {
        Self {
            code: failure.reason().code().to_owned(),
            message: failure.chain(),
            is_transient: failure.is_transient(),
        }
    }
}

impl Trouble {
    /// What went wrong on this side: the worker knows nothing of it.
    pub(crate) fn ours(error: &dyn std::error::Error) -> Self {
        Self {
            code: millrace_events::reason::SERVICE_UNAVAILABLE
                .code()
                .to_owned(),
            message: error.to_string(),
            is_transient: true,
        }
    }
}

impl Trouble {
    /// The worker has it, and the message could not be deleted.
    pub(crate) fn still_there(word: &str, why: &str) -> Self {
        Self {
            code: millrace_events::reason::SERVICE_UNAVAILABLE
                .code()
                .to_owned(),
            message: format!(
                "its worker has it ({word}), but it lies where it lay: {why}; replay it once more, which is safe"
            ),
            is_transient: true,
        }
    }
}

impl Became {
    /// The word for output, audit and the catalogue.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Handled(said) => said.word(),
            Self::Sent(_) => "sent",
            Self::Failed(_) => "failed",
        }
    }

    pub(crate) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Failed(trouble) => Some(trouble),
            Self::Handled(_) | Self::Sent(_) => None,
        }
    }

    /// The whole of two parts: a failure of one is a failure of both, and what will not help by waiting comes first;
    /// of two outcomes the one that says more.
    pub(crate) fn and(self, other: Self) -> Self {
        fn weight(became: &Became) -> u8 {
            match became {
                Became::Failed(trouble) if !trouble.is_transient => 6,
                Became::Failed(_) => 5,
                Became::Sent(_) => 4,
                Became::Handled(Said::Applied) => 3,
                Became::Handled(Said::Superseded) => 2,
                Became::Handled(Said::Already) => 1,
                Became::Handled(_) => 0,
            }
        }
        if weight(&other) > weight(&self) {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(is_transient: bool) -> Became {
        Became::Failed(Trouble {
            code: "conflict".to_owned(),
            message: String::new(),
            is_transient,
        })
    }

    #[test]
    fn a_letter_of_several_records_is_handled_when_all_are() {
        let handled = Became::Handled;
        let all = |parts: Vec<Became>| parts.into_iter().reduce(Became::and);
        assert_eq!(
            all(vec![
                handled(Said::Already),
                handled(Said::Applied),
                handled(Said::Ignored)
            ]),
            Some(handled(Said::Applied))
        );
        assert_eq!(
            all(vec![handled(Said::Ignored), handled(Said::Already)]),
            Some(handled(Said::Already))
        );
        assert_eq!(
            all(vec![
                handled(Said::Applied),
                failed(true),
                handled(Said::Applied)
            ]),
            Some(failed(true))
        );
        assert_eq!(all(vec![failed(true), failed(false)]), Some(failed(false)));
    }
}
