//! The states of a match and the steps between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Proposed by the matching engine.
    Pending,
    /// The creator was written to.
    Contacted,
    /// The creator answered.
    Responded,
    /// Terms are talked about.
    Negotiating,
    /// The creator takes part.
    Accepted,
    /// The creator does not take part.
    Rejected,
    /// The creator has done what was agreed.
    Completed,
}

impl Status {
    /// All of them, in the workflow's order.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Contacted,
        Self::Responded,
        Self::Negotiating,
        Self::Accepted,
        Self::Rejected,
        Self::Completed,
    ];

    /// The platform's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Contacted => "CONTACTED",
            Self::Responded => "RESPONDED",
            Self::Negotiating => "NEGOTIATING",
            Self::Accepted => "ACCEPTED",
            Self::Rejected => "REJECTED",
            Self::Completed => "COMPLETED",
        }
    }

    /// By the platform's word; `None` for one that the workflow does not know.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// The states that the workflow allows next.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Pending => &[Self::Contacted],
            Self::Contacted => &[Self::Responded],
            Self::Responded => &[Self::Negotiating],
            Self::Negotiating => &[Self::Accepted, Self::Rejected],
            Self::Accepted => &[Self::Completed],
            Self::Rejected | Self::Completed => &[],
        }
    }

    /// Whether the workflow has this step.
    pub fn leads_to(self, next: Self) -> bool {
        self.next().contains(&next)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workflow_has_six_steps_and_no_way_back() {
        let steps: Vec<(Status, Status)> = Status::ALL
            .into_iter()
            .flat_map(|from| from.next().iter().map(move |to| (from, *to)))
            .collect();
        assert_eq!(steps.len(), 6);
        assert!(
            steps
                .iter()
                .all(|(from, to)| from < to && from.leads_to(*to))
        );
        assert!(!Status::Pending.leads_to(Status::Responded));
    }

    #[test]
    fn words_are_the_platforms() {
        for status in Status::ALL {
            assert_eq!(Status::of_word(status.word()), Some(status));
            let written = serde_json::to_value(status).unwrap();
            assert_eq!(written, status.word());
        }
        assert_eq!(Status::of_word("pending"), None);
    }
}
