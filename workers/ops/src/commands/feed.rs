//! `millrace feed`: a recorded event to one worker, or a folder of fixtures, each in a world of its own.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use millrace_delivery::{Expect, Invocation, RecordReport, Report};
use millrace_events::chain;
use millrace_text::Child;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cli::Feed,
    fixture::{self, Fixture, FixtureError, Given, Loaded},
    output::{self, Ended, Error, docs_link, line},
    platform::Platform,
    rehearsal::{self, Rehearsal},
};

/// The folder beside fixtures with the files that they name: no events.
const SAMPLES: &str = "samples";
/// A single event may take so long.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What came of an event.
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

/// How a file of a folder came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As the fixture says.
    Same,
    /// Otherwise.
    Different,
    /// An event that says nothing of what must come of it.
    Delivered,
    /// It could not be read or run.
    Broken,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Delivered => "delivered",
            Self::Broken => "broken",
        }
    }
}

/// One file of a folder, with what came of it.
#[derive(Debug, Serialize)]
struct Tried {
    file: String,
    worker: Option<String>,
    verdict: Verdict,
    /// In what it differs, or why it could not be run: a sentence each.
    problems: Vec<String>,
    records: Vec<FedRecord>,
    response: Value,
}

pub(crate) async fn run(asked: Feed) -> Result<Ended, Error> {
    if asked.path.is_dir() && asked.rehearse {
        return Err(Error::usage(
            "--rehearse takes one event: a folder's are run in worlds of their own",
        ));
    }
    if asked.path.is_dir() {
        return try_each(&asked, events_in(&asked.path)?).await;
    }
    match (fixture::load_any(&asked.path), &asked.to) {
        (Err(error), _) => Err(Error::usage(chain(&error))),
        (Ok(Loaded::Fixture(fixture)), None) if asked.rehearse => {
            let to = fixture.worker.clone();
            deliver(&asked, &to, fixture.event).await
        }
        (Ok(Loaded::Fixture(_)), None) => try_each(&asked, vec![asked.path.clone()]).await,
        (Ok(Loaded::Fixture(fixture)), Some(to)) => deliver(&asked, to, fixture.event).await,
        (Ok(Loaded::Event(event)), Some(to)) => deliver(&asked, to, event).await,
        (Ok(Loaded::Event(_)), None) => Err(Error::usage(format!(
            "{} is an event and names no worker: say which with --to",
            asked.path.display()
        ))),
    }
}

/// Delivers an event to a worker of the platform in `--data`.
async fn deliver(asked: &Feed, to: &str, event: Value) -> Result<Ended, Error> {
    let data = &asked.place.data;
    // A rehearsal looks at what is there, and makes nothing.
    let opened = if asked.rehearse {
        Platform::open_existing(data).await
    } else {
        Platform::open(data).await
    };
    let platform = opened?;
    if asked.rehearse {
        let rehearsal = platform.rehearse(to, event).await?;
        return Ok(print(&rehearsal, asked.place.json));
    }
    let Some(delivery) = platform.delivery(to) else {
        let names = platform.workers().join(", ");
        return Err(Error::usage(format!(
            "there is no worker {to:?}; there are {names}"
        )));
    };
    let report = delivery
        .deliver(event, Invocation::lasting(TIME_LIMIT))
        .await;
    let failed = report
        .records
        .iter()
        .any(|record| matches!(record.outcome.word(), "retry" | "parked"));
    let fed = Fed::of(to, report);
    if asked.place.json {
        output::json(&fed);
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
        output::json(rehearsal);
    } else {
        line(&format!("{}: {}", rehearsal.worker, rehearsal.verdict));
        if rehearsal.records.len() > 1 {
            for record in &rehearsal.records {
                line(&format!(
                    "  {}: {}",
                    record.subject,
                    rehearsal::Verdict::of(record)
                ));
            }
        }
        for effect in &rehearsal.effects {
            line(&format!("  would {effect}"));
        }
    }
    match rehearsal.verdict {
        rehearsal::Verdict::StillFailing { .. } | rehearsal::Verdict::WouldRetry { .. } => {
            Ended::SomeFailed
        }
        _ => Ended::Done,
    }
}

/// Every JSON file below a folder, in the order of the names.
fn events_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = super::ingest::collect(&[folder.to_owned()])?;
    files.retain(|file| {
        let below = file.strip_prefix(folder).unwrap_or(file);
        let is_sample = below.iter().any(|part| part == SAMPLES);
        !is_sample
            && file
                .extension()
                .is_some_and(|extension| extension == "json")
    });
    if files.is_empty() {
        return Err(Error::usage(format!(
            "there are no JSON files in {}",
            folder.display()
        )));
    }
    Ok(files)
}

/// Runs each file in a world of its own and says how it came out.
async fn try_each(asked: &Feed, files: Vec<PathBuf>) -> Result<Ended, Error> {
    let at_once = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
    let mut tried =
        stream::iter(files.iter().map(|file| try_one(file, asked.to.as_deref()))).buffered(at_once);
    let mut counts = [
        Verdict::Same,
        Verdict::Different,
        Verdict::Delivered,
        Verdict::Broken,
    ]
    .map(|verdict| (verdict, 0));
    while let Some(one) = tried.next().await {
        for (_, count) in counts
            .iter_mut()
            .filter(|(verdict, _)| *verdict == one.verdict)
        {
            *count += 1;
        }
        if asked.place.json {
            output::json(&one);
        } else {
            line(&one.sentence());
        }
    }
    let counted = counts.iter().filter(|(_, count)| *count > 0);
    let counted: Vec<String> = counted
        .map(|(verdict, count)| format!("{count} {}", verdict.word()))
        .collect();
    eprintln!("{} files: {}", files.len(), counted.join(", "));
    let went_wrong = |(verdict, count): &(Verdict, i32)| {
        *count > 0 && matches!(verdict, Verdict::Different | Verdict::Broken)
    };
    Ok(if counts.iter().any(went_wrong) {
        Ended::SomeFailed
    } else {
        Ended::Done
    })
}

async fn try_one(file: &Path, to: Option<&str>) -> Tried {
    let name = file.display().to_string();
    let (fixture, has_expectation) = match fixture::load_any(file) {
        Ok(Loaded::Fixture(fixture)) => (*fixture, true),
        Ok(Loaded::Event(event)) => match to {
            Some(to) => (bare(event, to), false),
            None => {
                let problem = "it is an event and names no worker: say which with --to".to_owned();
                return Tried::broken(name, None, problem);
            }
        },
        Err(error) => return Tried::broken(name, None, chain(&error)),
    };
    let folder = fixture::product_folder(file);
    match fixture::run(&fixture, &folder, Child::this_program()).await {
        Ok(report) => Tried::of(name, &fixture, has_expectation, report),
        Err(error @ FixtureError::NoWorker { .. }) => {
            Tried::broken(name, Some(fixture.worker), error.to_string())
        }
        Err(error) => Tried::broken(name, Some(fixture.worker), chain(&error)),
    }
}

/// An event as a fixture that nothing is compared with.
fn bare(event: Value, worker: &str) -> Fixture {
    Fixture {
        description: String::new(),
        recorded: time::Date::MIN,
        worker: worker.to_owned(),
        given: Given::default(),
        event,
        expect: Expect {
            records: Vec::new(),
            response: json!(null),
        },
    }
}

impl Tried {
    fn of(file: String, fixture: &Fixture, has_expectation: bool, report: Report) -> Self {
        let difference = fixture
            .expect
            .difference(&report)
            .filter(|_| has_expectation);
        let verdict = match (&difference, has_expectation) {
            (Some(_), _) => Verdict::Different,
            (None, true) => Verdict::Same,
            (None, false) => Verdict::Delivered,
        };
        Self {
            file,
            worker: Some(fixture.worker.clone()),
            verdict,
            problems: difference
                .map(|difference| difference.lines)
                .unwrap_or_default(),
            records: report.records.into_iter().map(fed_record).collect(),
            response: report.response,
        }
    }

    fn broken(file: String, worker: Option<String>, problem: String) -> Self {
        Self {
            file,
            worker,
            verdict: Verdict::Broken,
            problems: vec![problem],
            records: Vec::new(),
            response: Value::Null,
        }
    }

    /// `different  extract-text     recorded/a.json  record 1: expected …`, and what an event without an expectation came to.
    fn sentence(&self) -> String {
        let worker = self.worker.as_deref().unwrap_or("-");
        let mut sentence = format!("{:9}  {worker:15}  {}", self.verdict.word(), self.file);
        let records = self.records.iter();
        let mut said = self.problems.clone();
        if self.verdict == Verdict::Delivered {
            said.extend(records.clone().map(|record| record.outcome.clone()));
        }
        if self.verdict != Verdict::Same {
            let mut links: Vec<String> = records
                .filter_map(|record| record.reason.as_ref()?.docs.clone())
                .collect();
            links.dedup();
            said.extend(links);
        }
        for part in said {
            sentence.push_str("  ");
            sentence.push_str(&output::short(&part, 240));
        }
        sentence
    }
}

impl Fed {
    fn of(worker: &str, report: Report) -> Self {
        Self {
            worker: worker.to_owned(),
            records: report.records.into_iter().map(fed_record).collect(),
            response: report.response,
        }
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
