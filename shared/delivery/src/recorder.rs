//! The recorder: keeps what a worker receives as fixtures, redacted.
//!
//! A fixture is the event of one message with what came of it, in the envelope in which it came. What lay in buckets and
//! tables before is not known here, so `given` is empty and the description says so.
//!
//! Recording is an aid and never in the way: it happens after a delivery is decided, on a task of its own, within
//! [`PATIENCE`]; whatever goes wrong there is logged, the first time as a warning, and changes nothing of the report.

mod store;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use millrace_cloud::{Clients, SettingError, Settings};
use millrace_events::{
    Failure, Message, Source, reason,
    redact::{Redactor, salt_of},
};
use serde_json::{Value, json};
use time::Date;
use tokio::time::Instant;
use uuid::Uuid;

pub use self::store::{BucketStore, FolderStore, RecordStore};
use crate::{
    RecordReport, Report, Said,
    fixture::{Expect, Fixture, Given},
};

/// What is recorded: `off`, `all`, `failures` or `share:0.01`.
pub const RULE: &str = "MILLRACE_RECORD";
/// Where to: `s3://bucket/prefix/` or a folder.
pub const TO: &str = "MILLRACE_RECORD_TO";

/// A delivery waits so long for its recordings, at most.
const PATIENCE: Duration = Duration::from_secs(1);
/// Fixtures that are written at once.
const AT_ONCE: usize = 8;
/// The namespace of fixtures' names.
const RECORDED: Uuid = Uuid::from_u128(0x7be1_90c4_5d2f_4a83_8c1b_f6a0_3e9d_2754);
/// The bits of a UUIDv5 that are nothing but hash: the first 48.
const HASH_BITS: u32 = 48;

/// Which messages are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Every one.
    All,
    /// Those of which a record was parked or handed back.
    Failures,
    /// This share of the records, chosen by a hash of their identity: a record is always in or always out, at whatever worker, however
    /// often it is delivered.
    Share(f64),
}

impl Rule {
    /// Reads a rule; `None` is `off`.
    fn parse(text: &str) -> Result<Option<Self>, SettingError> {
        match text {
            "off" => return Ok(None),
            "all" => return Ok(Some(Self::All)),
            "failures" => return Ok(Some(Self::Failures)),
            _ => {}
        }
        let share = text.strip_prefix("share:");
        let share = share.and_then(|share| share.parse::<f64>().ok());
        match share.filter(|share| *share > 0.0 && *share <= 1.0) {
            Some(share) => Ok(Some(Self::Share(share))),
            None => Err(SettingError::Invalid {
                name: RULE,
                value: text.to_owned(),
                expected: "off, all, failures, or share: with a number above 0 and up to 1, as in share:0.01",
            }),
        }
    }

    fn takes(self, records: &[RecordReport]) -> bool {
        // What was not tried comes back, and is recorded then.
        let tried = |record: &RecordReport| {
            let code = record.reason.as_ref().map(|reason| reason.code);
            code != Some(reason::NO_TIME_LEFT.code()) && code != Some(reason::HELD_BACK.code())
        };
        if !records.iter().any(tried) {
            return false;
        }
        match self {
            Self::All => true,
            Self::Failures => records.iter().any(|record| {
                matches!(record.outcome, Said::Retry | Said::SetAside | Said::Parked)
            }),
            Self::Share(share) => records.iter().any(|record| place_of(&record.id) < share),
        }
    }
}

/// Where a record stands between 0 and 1: a function of its identity.
fn place_of(record_id: &str) -> f64 {
    let hash = Uuid::new_v5(&RECORDED, record_id.as_bytes()).as_u128() >> (128 - HASH_BITS);
    // 48 bits fit a double exactly.
    hash as f64 / (1_u64 << HASH_BITS) as f64
}

/// In what a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// As an entry of `Records`.
    Records,
    /// As an entry of an array.
    Array,
    /// As the event itself.
    Bare,
}

impl Wrapping {
    pub(crate) fn of(event: &Value) -> Self {
        match event {
            Value::Array(_) => Self::Array,
            _ if event.get("Records").is_some_and(Value::is_array) => Self::Records,
            _ => Self::Bare,
        }
    }

    fn around(self, message: Value) -> Value {
        match self {
            Self::Records => json!({"Records": [message]}),
            Self::Array => Value::Array(vec![message]),
            Self::Bare => message,
        }
    }
}

/// One message with what came of it.
#[derive(Debug)]
pub(crate) struct Heard {
    source: Source,
    wrapping: Wrapping,
    message: Value,
    expect: Expect,
}

impl Heard {
    pub(crate) fn new(
        source: Source,
        wrapping: Wrapping,
        message: &Message,
        report: &Report,
    ) -> Self {
        Self {
            source,
            wrapping,
            message: message.raw.clone(),
            expect: Expect::of(report),
        }
    }

    /// The message without what is new with each delivery of it.
    fn content(&self) -> Value {
        match self.source {
            Source::Sqs { .. } => json!([self.message.get("messageId"), self.message.get("body")]),
            Source::Stream | Source::Direct => self.message.clone(),
        }
    }
}

/// Keeps what a worker receives.
pub struct Recorder {
    rule: Rule,
    store: Arc<dyn RecordStore>,
    words: Vec<&'static str>,
    patience: Duration,
    complained: AtomicBool,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder that follows this rule and keeps fixtures there.
    pub fn new(rule: Rule, store: Arc<dyn RecordStore>) -> Self {
        let codes = reason::ALL.iter().map(|(reason, _)| reason.code());
        Self {
            rule,
            store,
            words: codes.collect(),
            patience: PATIENCE,
            complained: AtomicBool::new(false),
        }
    }

    /// The recorder that the settings ask for: [`RULE`] and [`TO`]. `None` if none is asked for.
    ///
    /// # Errors
    /// [`SettingError`] if a value is wrong, or if there is a rule and no place.
    pub fn from_settings(
        settings: &Settings,
        clients: &Clients,
    ) -> Result<Option<Self>, SettingError> {
        let Some(rule) = Rule::parse(settings.optional(RULE).unwrap_or("off"))? else {
            return Ok(None);
        };
        let place = settings.required(TO)?;
        let store: Arc<dyn RecordStore> = match place.strip_prefix("s3://") {
            None => Arc::new(FolderStore::new(place)),
            Some(address) => {
                let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
                if bucket.is_empty() {
                    return Err(SettingError::Invalid {
                        name: TO,
                        value: place.to_owned(),
                        expected: "s3://bucket/prefix/ or a folder",
                    });
                }
                Arc::new(BucketStore::new(clients.s3.clone(), bucket, prefix))
            }
        };
        Ok(Some(Self::new(rule, store)))
    }

    /// Lets a product's own words stay: see [`Redactor::keep_words`].
    #[must_use]
    pub fn keep_words(mut self, words: &[&'static str]) -> Self {
        self.words.extend(words);
        self
    }

    /// Waits no longer than this for what is written.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Whether the rule takes a message of which this came. What the recorder itself has written is never recorded.
    pub(crate) fn takes(&self, records: &[RecordReport]) -> bool {
        let own = |record: &RecordReport| {
            let subjects = self.store.subjects();
            subjects.is_some_and(|subjects| record.subject.starts_with(subjects))
        };
        self.rule.takes(records) && !records.iter().any(own)
    }

    /// Writes fixtures, until `deadline` at the latest.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        worker: &'static str,
        day: Date,
        heard: Vec<Heard>,
        deadline: Instant,
    ) {
        if heard.is_empty() {
            return;
        }
        let count = heard.len();
        let recorder = Arc::clone(self);
        // On a task of its own, so that not even a panic reaches the delivery.
        let mut writing = tokio::spawn(async move { recorder.write(worker, day, heard).await });
        let until = deadline.min(Instant::now() + self.patience);
        match tokio::time::timeout_at(until, &mut writing).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.complain(worker, "recording panicked"),
            Err(_) => {
                writing.abort();
                self.complain(
                    worker,
                    &format!("there was no time to write {count} fixtures"),
                );
            }
        }
    }

    async fn write(&self, worker: &'static str, day: Date, heard: Vec<Heard>) {
        let writes = heard.into_iter().map(|heard| async move {
            let name = name_of(worker, &heard);
            let fixture = self.fixture(worker, day, heard);
            self.store.keep(&name, fixture.to_text().into_bytes()).await
        });
        let writes: Vec<Result<(), Failure>> = futures::stream::iter(writes)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for failure in writes.into_iter().filter_map(Result::err) {
            self.complain(worker, &failure.chain());
        }
    }

    fn fixture(&self, worker: &str, day: Date, heard: Heard) -> Fixture {
        let redactor = Redactor::new(salt_of(&heard.content())).keep_words(&self.words);
        let fixture = Fixture {
            description: description(&heard.expect),
            recorded: day,
            worker: worker.to_owned(),
            given: Given::default(),
            event: heard.wrapping.around(heard.message),
            expect: heard.expect,
        };
        fixture.redacted(redactor)
    }

    /// A place that cannot be written to would fail with every message: one warning is enough.
    fn complain(&self, worker: &str, problem: &str) {
        if self.complained.swap(true, Ordering::Relaxed) {
            tracing::debug!(worker, problem, "not recorded");
        } else {
            tracing::warn!(
                worker,
                problem,
                "what the worker received could not be recorded; further failures are not logged"
            );
        }
    }
}

/// `worker/hash.json`: the same for every delivery of a message that ends the same way.
fn name_of(worker: &str, heard: &Heard) -> String {
    let mut content = salt_of(&heard.content()).to_vec();
    for record in &heard.expect.records {
        content.extend_from_slice(record.to_string().as_bytes());
        content.push(b'\n');
    }
    let hash = Uuid::new_v5(&RECORDED, &content).simple();
    format!("{worker}/{hash}.json")
}

fn description(expect: &Expect) -> String {
    let outcomes: Vec<String> = expect.records.iter().map(ToString::to_string).collect();
    let outcomes = if outcomes.is_empty() {
        "no record".to_owned()
    } else {
        outcomes.join(", ")
    };
    format!(
        "Recorded and redacted: {outcomes}. What lay in buckets and tables before is not known to the recorder: the fixture needs a `given` to \
         come out the same."
    )
}
