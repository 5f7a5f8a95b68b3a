//! Every reason code there is, in one place.
//!
//! A code is a contract: operators select dead letters by it and dashboards count it. It may
//! be added to, never renamed.

use std::fmt;

/// A stable reason code in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason(&'static str);

impl Reason {
    /// The code itself.
    pub fn code(self) -> &'static str {
        self.0
    }

    /// The code of that name, if there is one.
    pub fn from_code(code: &str) -> Option<Self> {
        ALL.iter()
            .map(|(reason, _)| *reason)
            .find(|reason| reason.0 == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: Reason = Reason($code);)+

        /// Every code with its meaning, in the order in which they are listed here.
        pub const ALL: &[(Reason, &str)] = &[$(($name, concat!($($doc),+))),+];
    };
}

reasons! {
    // Envelopes
    /// The body of the message is not one of the envelopes that are known.
    UNKNOWN_ENVELOPE = "unknown-envelope";
    /// The body of the message is not JSON.
    NOT_JSON = "not-json";
    /// The envelope is known, but a field of it is missing or of the wrong kind.
    MALFORMED_EVENT = "malformed-event";
    /// The envelope tells of an event without carrying it.
    EVENT_NOT_CARRIED = "event-not-carried";
    /// An object key that cannot be decoded, or that leaves its folder.
    INVALID_KEY = "invalid-key";
    /// An id in a key or a row that is not an id.
    INVALID_ID = "invalid-id";
    // The loop
    /// The handler panicked on this record.
    HANDLER_PANICKED = "handler-panicked";
    /// The handler did not finish before the deadline.
    HANDLER_TIMED_OUT = "handler-timed-out";
    /// Too little time was left to start this record.
    NO_TIME_LEFT = "no-time-left";
    /// An earlier record of the same subject or group failed; this one waits its turn.
    HELD_BACK = "held-back";
    /// Transient failures until the attempts ran out.
    RETRIES_EXHAUSTED = "retries-exhausted";
    /// A record that should be parked is larger than the dead-letter queue takes.
    PARKED_TOO_LARGE = "parked-too-large";
    /// A queue moved the message to its dead letters after its maximum of receives; nobody said why.
    REDRIVEN = "redriven";
    /// A rule or a topic could not deliver the event to its target.
    UNDELIVERED = "undelivered";
    /// Lambda gave up an event or a batch after the function had failed on it.
    INVOCATION_FAILED = "invocation-failed";
    /// An event grew too old before it could be handled.
    EVENT_EXPIRED = "event-expired";
    /// The worker is not there, or could not be set up.
    WORKER_UNAVAILABLE = "worker-unavailable";
    // AWS
    /// A service asked to slow down.
    THROTTLED = "throttled";
    /// A service did not answer in time or not at all.
    SERVICE_UNAVAILABLE = "service-unavailable";
    /// A service refused the credentials or the permission.
    ACCESS_DENIED = "access-denied";
    /// A service refused the request itself.
    REQUEST_REJECTED = "request-rejected";
    /// Another writer was faster, more often than is tried again at once.
    CONFLICT = "conflict";
    /// A table, bucket or queue that should be there is not.
    RESOURCE_MISSING = "resource-missing";
    // Documents
    /// The file needs a password.
    ENCRYPTED = "encrypted";
    /// The file has no bytes.
    EMPTY_FILE = "empty-file";
    /// The file ends too early or is damaged.
    DAMAGED_FILE = "damaged-file";
    /// The file has no text: a scan needs character recognition first.
    NEEDS_OCR = "needs-ocr";
    /// The file has no text at all.
    NO_TEXT = "no-text";
    /// Not a format from which text is extracted.
    UNSUPPORTED_FORMAT = "unsupported-format";
    /// The file is larger than what is accepted.
    TOO_LARGE = "too-large";
    /// Extraction used more memory than allowed.
    MEMORY_LIMIT = "memory-limit";
    /// Extraction used more processor or wall time than allowed.
    TIME_LIMIT = "time-limit";
    /// Extraction produced more text than allowed.
    OUTPUT_LIMIT = "output-limit";
    /// The parser failed on this file in a way that it should not.
    EXTRACTION_CRASHED = "extraction-crashed";
    /// An artefact that an earlier step wrote is not readable.
    MALFORMED_ARTEFACT = "malformed-artefact";
    /// An artefact is not there although the document's progress says so.
    ARTEFACT_MISSING = "artefact-missing";
    // Jobs
    /// A row is not as the data model says; the message names the attribute.
    MALFORMED_ROW = "malformed-row";
    /// An hourly rate that is missing, negative or no number, or whose least is above its greatest.
    INVALID_RATE = "invalid-rate";
    /// The job has neither a title nor a description.
    EMPTY_TEXT = "empty-text";
    /// The row would be larger than a table takes.
    ROW_TOO_LARGE = "row-too-large";
    /// The employee who was selected works for somebody else, or is gone.
    EMPLOYEE_NOT_AVAILABLE = "employee-not-available";
    /// Somebody else was selected for the job before.
    ALREADY_DECIDED = "already-decided";
    /// The response is to a job that has no row and was never scored.
    UNKNOWN_JOB = "unknown-job";
    // Marketing
    /// A match's status was changed by a step that the workflow does not have.
    INVALID_TRANSITION = "invalid-transition";
    /// Somebody asks for the report of a campaign that has no row.
    UNKNOWN_CAMPAIGN = "unknown-campaign";
    // Embedding and index
    /// The embedder refused the request.
    EMBEDDER_REJECTED = "embedder-rejected";
    /// The embedder cannot be reached or is overloaded.
    EMBEDDER_UNAVAILABLE = "embedder-unavailable";
    /// The embedder or the index has other dimensions or another model.
    MODEL_MISMATCH = "model-mismatch";
    /// The index refused the request.
    INDEX_REJECTED = "index-rejected";
    /// The index cannot be reached or is overloaded.
    INDEX_UNAVAILABLE = "index-unavailable";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        for (position, (reason, meaning)) in ALL.iter().enumerate() {
            assert!(
                reason
                    .code()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{reason}"
            );
            assert!(!meaning.trim().is_empty());
            assert!(
                ALL[position + 1..].iter().all(|(other, _)| other != reason),
                "{reason} stands twice"
            );
        }
    }
}
