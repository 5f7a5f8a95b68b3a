//! Every outcome is one log line and one metric.
//!
//! Neither carries document text: a log line has the failure's code and its sentence, not its causes.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::report::{RecordReport, Said};

/// One record's outcome, with what is known around it.
#[derive(Debug)]
pub struct OutcomeEvent<'a> {
    /// The worker's name.
    pub worker: &'static str,
    /// The record and what became of it.
    pub report: &'a RecordReport,
    /// How old the event was when it was done with.
    pub age: Option<Duration>,
    /// How long handling took, giving up and parking included.
    pub duration: Duration,
    /// The trace it belongs to.
    pub trace_id: &'a str,
    /// When, by the world's clock.
    pub at: OffsetDateTime,
}

/// Takes every outcome.
pub trait MetricSink: Send + Sync {
    /// Called once a record, from the loop: must not block for long.
    fn record(&self, event: &OutcomeEvent<'_>);
}

/// Any function is a sink.
impl<F: Fn(&OutcomeEvent<'_>) + Send + Sync> MetricSink for F {
    fn record(&self, event: &OutcomeEvent<'_>) {
        self(event);
    }
}

/// Writes CloudWatch's embedded metric format, one JSON object a line. On Lambda, standard output is where
/// CloudWatch reads it.
/// Format: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
#[derive(Debug)]
pub struct EmfSink<W = std::io::Stdout>(Mutex<W>);

impl EmfSink {
    /// To standard output.
    pub fn stdout() -> Self {
        Self(Mutex::new(std::io::stdout()))
    }
}

impl<W: Write> EmfSink<W> {
    /// To any writer.
    pub fn to(writer: W) -> Self {
        Self(Mutex::new(writer))
    }
}

impl<W: Write + Send> MetricSink for EmfSink<W> {
    fn record(&self, event: &OutcomeEvent<'_>) {
        let mut line = embedded_metric(event).to_string();
        line.push('\n');
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One write a line, so that lines of other threads do not cut in. A metric that cannot be written
        // must not fail the record.
        let _ = writer.write_all(line.as_bytes());
        let _ = writer.flush();
    }
}

fn embedded_metric(event: &OutcomeEvent<'_>) -> Value {
    let mut metrics = vec![
        json!({"Name": "Records", "Unit": "Count"}),
        json!({"Name": "Duration", "Unit": "Milliseconds"}),
    ];
    let mut dimensions = vec![json!(["worker", "outcome"])];
    let mut line = json!({
        "worker": event.worker,
        "outcome": event.report.outcome.word(),
        "attempt": event.report.attempt,
        "Records": 1,
        "Duration": millis(event.duration),
    });
    if let Some(reason) = &event.report.reason {
        line["reason"] = json!(reason.code);
        dimensions.push(json!(["worker", "outcome", "reason"]));
    }
    if let Some(age) = event.age {
        line["EventAge"] = json!(millis(age));
        metrics.push(json!({"Name": "EventAge", "Unit": "Milliseconds"}));
    }
    line["_aws"] = json!({
        "Timestamp": i64::try_from(event.at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
        "CloudWatchMetrics": [{"Namespace": "Millrace", "Dimensions": dimensions, "Metrics": metrics}]
    });
    line
}

/// Counts outcomes in memory.
#[derive(Debug, Default)]
pub struct CountingSink(Mutex<BTreeMap<(&'static str, Said), u64>>);

impl CountingSink {
    /// How many records of that worker ended so.
    pub fn count(&self, worker: &str, outcome: Said) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_worker = counts
            .iter()
            .find(|((name, said), _)| *name == worker && *said == outcome);
        of_worker.map_or(0, |(_, count)| *count)
    }
}

impl MetricSink for CountingSink {
    fn record(&self, event: &OutcomeEvent<'_>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts
            .entry((event.worker, event.report.outcome))
            .or_default() += 1;
    }
}

/// The log line of an outcome. `sentence` is the failure's message without its causes, which come from
/// parsers and services and may quote what they read.
pub(crate) fn log(event: &OutcomeEvent<'_>, sentence: Option<&str>) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                worker = event.worker,
                outcome = event.report.outcome.word(),
                reason = event.report.reason.as_ref().map(|reason| reason.code),
                sentence,
                attempt = event.report.attempt,
                age_ms = event.age.map(millis),
                duration_ms = millis(event.duration),
                record = event.report.id,
                trace = event.trace_id,
                "record"
            )
        };
    }
    match event.report.outcome {
        Said::Applied | Said::Already | Said::Superseded => line!(info),
        Said::Ignored => line!(debug),
        Said::Retry | Said::SetAside => line!(warn),
        Said::Parked => line!(error),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::report::ReasonReport;

    fn report(outcome: Said, reason: Option<ReasonReport>) -> RecordReport {
        RecordReport {
            id: "s3:b/k@0A:created".to_owned(),
            subject: "s3://b/k".to_owned(),
            outcome,
            reason,
            attempt: 2,
        }
    }

    fn written(report: &RecordReport) -> Value {
        let sink = EmfSink::to(Vec::new());
        sink.record(&OutcomeEvent {
            worker: "extract-text",
            report,
            age: Some(Duration::from_millis(1_500)),
            duration: Duration::from_millis(20),
            trace_id: "t",
            at: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(5),
        });
        let bytes = sink.0.into_inner().unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_embedded_metric_names_worker_outcome_and_reason_but_no_cause() {
        let reason = ReasonReport {
            code: "encrypted",
            message: "the file needs a password: SECRET".to_owned(),
        };
        let line = written(&report(Said::Parked, Some(reason)));
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 5000,
                    "CloudWatchMetrics": [{
                        "Namespace": "Millrace",
                        "Dimensions": [["worker", "outcome"], ["worker", "outcome", "reason"]],
                        "Metrics": [
                            {"Name": "Records", "Unit": "Count"},
                            {"Name": "Duration", "Unit": "Milliseconds"},
                            {"Name": "EventAge", "Unit": "Milliseconds"}
                        ]
                    }]
                },
                "worker": "extract-text",
                "outcome": "parked",
                "reason": "encrypted",
                "attempt": 2,
                "Records": 1,
                "Duration": 20,
                "EventAge": 1500
            })
        );
    }

    #[test]
    fn every_dimension_is_a_field_of_the_line() {
        let line = written(&report(Said::Applied, None));
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        for set in metrics["Dimensions"].as_array().unwrap() {
            for name in set.as_array().unwrap() {
                assert!(line.get(name.as_str().unwrap()).is_some(), "{name}");
            }
        }
    }
}
