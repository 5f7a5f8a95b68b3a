//! What an SDK error means for the record being handled.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use millrace_events::{Failure, reason};

/// Codes with which services ask to slow down.
const THROTTLES: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
    "TransactionInProgressException",
    "SlowDown",
    "LimitExceededException",
    "BandwidthLimitExceeded",
];

const MISSING: &[&str] = &[
    "ResourceNotFoundException",
    "NoSuchBucket",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "NotFound",
    "NotFoundException",
];

/// Turns an SDK error into a failure. `attempted` completes "could not …": "read the document's row".
///
/// Refused permissions and missing resources are transient: an operator mends them, and the record is
/// none the worse for it. Only a request that the service calls wrong is permanent.
pub fn classify<E, R>(attempted: &str, error: SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let message = format!("could not {attempted}");
    let code = error
        .code()
        .unwrap_or_default()
        .rsplit('#')
        .next()
        .unwrap_or_default()
        .to_owned();
    let failure = match &error {
        SdkError::ServiceError(_) if THROTTLES.contains(&code.as_str()) => {
            Failure::transient(reason::THROTTLED, message)
        }
        SdkError::ServiceError(_) if MISSING.contains(&code.as_str()) => {
            Failure::transient(reason::RESOURCE_MISSING, message)
        }
        SdkError::ServiceError(_)
            if code.starts_with("AccessDenied") || code.contains("UnrecognizedClient") =>
        {
            Failure::transient(reason::ACCESS_DENIED, message)
        }
        SdkError::ServiceError(_) if code.contains("Conflict") => {
            Failure::transient(reason::CONFLICT, message)
        }
        SdkError::ServiceError(_) if is_rejection(&code) => {
            Failure::permanent(reason::REQUEST_REJECTED, message)
        }
        // Time-outs, lost connections, answers that do not parse, 5xx and codes that are not known.
        _ => Failure::transient(reason::SERVICE_UNAVAILABLE, message),
    };
    match error {
        SdkError::ServiceError(context) => failure.caused_by(context.into_err()),
        other => failure.caused_by(Described(format!("{}", DisplayChain(&other)))),
    }
}

fn is_rejection(code: &str) -> bool {
    code.starts_with("Validation")
        || code.starts_with("Invalid")
        || matches!(
            code,
            "ItemCollectionSizeLimitExceededException"
                | "EntityTooLarge"
                | "KeyTooLongError"
                | "MetadataTooLarge"
                | "SerializationException"
                | "MissingParameter"
                | "MessageTooLong"
                | "BatchRequestTooLong"
        )
}

/// An error of which only the words are kept, because its type is not `Sync` or not ours to carry.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Described(String);

struct DisplayChain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for DisplayChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
