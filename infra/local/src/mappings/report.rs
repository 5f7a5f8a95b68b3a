//! Reads what a function says about the records of its batch (`ReportBatchItemFailures`).
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html> and
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html> have the same rules:
//! nothing, an empty object, an empty or a null list is success; an identifier that is null, empty,
//! misspelt or not of this batch fails the batch as a whole.

use std::collections::BTreeSet;

use serde_json::Value;

use super::invoke::FunctionError;
use crate::template::FailureReports;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// All records are done.
    AllDone,
    /// These positions failed, in the order of the batch; never empty.
    Failed(BTreeSet<usize>),
    /// The batch failed as a whole, because the function did.
    FunctionFailed,
    /// The batch counts as failed as a whole: the answer makes no sense.
    Malformed(String),
}

/// Reads an answer. `identifiers` are those of the batch, in order.
pub(super) fn read(
    answer: &Result<Value, FunctionError>,
    reports: FailureReports,
    identifiers: &[&str],
) -> Report {
    let answer = match (answer, reports) {
        (Err(_), _) => return Report::FunctionFailed,
        (Ok(_), FailureReports::Unread) => return Report::AllDone,
        (Ok(answer), FailureReports::Read) => answer,
    };
    let failures = match answer {
        Value::Null => return Report::AllDone,
        Value::Object(fields) => fields.get("batchItemFailures"),
        _ => return Report::Malformed("the answer is not an object".to_owned()),
    };
    let failures = match failures {
        None | Some(Value::Null) => return Report::AllDone,
        Some(Value::Array(failures)) if failures.is_empty() => return Report::AllDone,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Report::Malformed("batchItemFailures is not a list".to_owned()),
    };
    let mut failed = BTreeSet::new();
    for failure in failures {
        let identifier = match failure.get("itemIdentifier") {
            Some(Value::String(identifier)) if !identifier.is_empty() => identifier,
            _ => return Report::Malformed(format!("{failure} has no itemIdentifier")),
        };
        match identifiers.iter().position(|known| known == identifier) {
            Some(position) => failed.insert(position),
            None => return Report::Malformed(format!("{identifier} is not of this batch")),
        };
    }
    Report::Failed(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    fn answer(answer: Value) -> Report {
        read(&Ok(answer), FailureReports::Read, &["1", "2", "3"])
    }

    #[test]
    fn nothing_reported_is_success() {
        for nothing in [
            json!(null),
            json!({}),
            json!({"batchItemFailures": null}),
            json!({"batchItemFailures": []}),
        ] {
            assert_eq!(answer(nothing.clone()), Report::AllDone, "{nothing}");
        }
    }

    #[test]
    fn failures_are_positions_in_the_order_of_the_batch() {
        let reported = json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}, {"itemIdentifier": "3"}]});
        assert_eq!(answer(reported), Report::Failed(BTreeSet::from([1, 2])));
    }

    #[test]
    fn an_answer_that_makes_no_sense_fails_the_whole_batch() {
        for nonsense in [
            json!("done"),
            json!({"batchItemFailures": "1"}),
            json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
            json!({"batchItemFailures": [{"itemIdentifier": null}]}),
            json!({"batchItemFailures": [{"itemIdentifer": "1"}]}),
            json!({"batchItemFailures": [{"itemIdentifier": 1}]}),
            json!({"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "4"}]}),
        ] {
            assert!(
                matches!(answer(nonsense.clone()), Report::Malformed(_)),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn without_reports_only_an_error_is_a_failure() {
        let reported = Ok(json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
        assert_eq!(
            read(&reported, FailureReports::Unread, &["1"]),
            Report::AllDone
        );
        let failed = Err(FunctionError::new("boom"));
        assert_eq!(
            read(&failed, FailureReports::Unread, &["1"]),
            Report::FunctionFailed
        );
        assert_eq!(
            read(&failed, FailureReports::Read, &["1"]),
            Report::FunctionFailed
        );
    }
}
