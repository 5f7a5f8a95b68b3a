//! One outcome, for people and for scripts.

use std::fmt;

use millrace_delivery::OutcomeEvent;
use serde::Serialize;

/// One outcome, to print.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// The worker.
    pub worker: String,
    /// What became of the record.
    pub outcome: String,
    /// What it was about.
    pub subject: String,
    /// Why, when it failed.
    pub reason: Option<String>,
    /// What the failure says.
    pub message: Option<String>,
    /// How often it was delivered, as far as its source counts.
    pub attempt: u32,
    /// How long it took.
    pub milliseconds: u64,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:15} {:10} {} ({} ms)",
            self.worker, self.outcome, self.subject, self.milliseconds
        )?;
        if let (Some(reason), Some(message)) = (&self.reason, &self.message) {
            write!(f, "  {reason}: {}", crate::output::short(message, 160))?;
        }
        Ok(())
    }
}

impl From<&OutcomeEvent<'_>> for Said {
    fn from(event: &OutcomeEvent<'_>) -> Self {
        let reason = event.report.reason.as_ref();
        Self {
            worker: event.worker.to_owned(),
            outcome: event.report.outcome.word().to_owned(),
            subject: event.report.subject.clone(),
            reason: reason.map(|reason| reason.code.to_string()),
            message: reason.map(|reason| reason.message.clone()),
            attempt: event.report.attempt,
            milliseconds: u64::try_from(event.duration.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
