//! `millrace feed`: one recorded event to one worker.

use std::time::Duration;

use millrace_delivery::{Invocation, RecordReport};
use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::Feed,
    output::{Ended, Error, docs_link, json, line},
    platform::Platform,
    rehearsal::{Rehearsal, Verdict},
};

/// What came of the event.
#[derive(Debug, Serialize)]
struct Fed {
    worker: String,
    records: Vec<FedRecord>,
    response: Value,
}

#[derive(Debug, Serialize)]
struct FedRecord {
    id: String,
    subject: String,
    outcome: String,
    reason: Option<FedReason>,
}

#[derive(Debug, Serialize)]
struct FedReason {
    code: String,
    message: String,
    /// Where it is said what to do about it.
    docs: Option<String>,
}

pub(crate) async fn run(asked: Feed) -> Result<Ended, Error> {
    let text = std::fs::read_to_string(&asked.event).map_err(|error| {
        Error::usage(format!(
            "the event {} cannot be read: {error}",
            asked.event.display()
        ))
    })?;
    let event: Value = serde_json::from_str(&text).map_err(|error| {
        Error::usage(format!(
            "the event {} is not JSON: {error}",
            asked.event.display()
        ))
    })?;
    // A fixture of events-fixtures/ carries its event in a field.
    let event = match event.get("event") {
        Some(inner) if event.get("worker").is_some() && event.get("expect").is_some() => {
            inner.clone()
        }
        _ => event,
    };
    let platform = Platform::open(&asked.place.data).await?;
    if asked.rehearse {
        let rehearsal = platform.rehearse(&asked.to, event).await?;
        return Ok(print(&rehearsal, asked.place.json));
    }
    let Some(delivery) = platform.delivery(&asked.to) else {
        let names = platform.workers().join(", ");
        return Err(Error::usage(format!(
            "there is no worker {:?}; there are {names}",
            asked.to
        )));
    };
    let report = delivery
        .deliver(event, Invocation::lasting(Duration::from_secs(120)))
        .await;
    let failed = report
        .records
        .iter()
        .any(|record| matches!(record.outcome.word(), "retry" | "parked"));
    let fed = Fed {
        worker: asked.to,
        records: report.records.into_iter().map(fed_record).collect(),
        response: report.response,
    };
    if asked.place.json {
        json(&fed);
    } else {
        line(&serde_json::to_string_pretty(&fed).unwrap_or_default());
    }
    Ok(if failed {
        Ended::SomeFailed
    } else {
        Ended::Done
    })
}

/// Prints the verdict, and every effect that was withheld. An event that would fail is one that failed.
fn print(rehearsal: &Rehearsal, as_json: bool) -> Ended {
    if as_json {
        json(rehearsal);
    } else {
        line(&format!("{}: {}", rehearsal.worker, rehearsal.verdict));
        if rehearsal.records.len() > 1 {
            for record in &rehearsal.records {
                line(&format!("  {}: {}", record.subject, Verdict::of(record)));
            }
        }
        for effect in &rehearsal.effects {
            line(&format!("  would {effect}"));
        }
    }
    match rehearsal.verdict {
        Verdict::StillFailing { .. } | Verdict::WouldRetry { .. } => Ended::SomeFailed,
        _ => Ended::Done,
    }
}

fn fed_record(record: RecordReport) -> FedRecord {
    FedRecord {
        id: record.id,
        subject: record.subject,
        outcome: record.outcome.word().to_owned(),
        reason: record.reason.map(|reason| FedReason {
            docs: docs_link(reason.code),
            code: reason.code.to_owned(),
            message: reason.message,
        }),
    }
}
