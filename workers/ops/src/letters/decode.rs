//! From whatever lies in a dead-letter place to a letter. Total: there is no message that is not one.

use std::collections::BTreeMap;

use millrace_events::{ParkedRecord, Record, envelope, reason};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::letter::{Attributes, Kind, Letter, Place};

/// The namespace of the ids of letters that were not parked.
const LETTERS: Uuid = Uuid::from_u128(0x7a41_9c1e_04b7_4d5f_8f0b_3d2e_91c6_5ab8);
/// Times beyond this are milliseconds: as seconds they would lie in the year 5138.
const LARGEST_SECONDS: i64 = 100_000_000_000;
/// How deep notifications and results may lie in one another before a letter is taken as it is.
const MAX_WRAPPINGS: usize = 4;

/// One message as its place gave it.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// The body, byte for byte.
    pub body: String,
    /// The message attributes.
    pub attributes: Attributes,
    /// What the queue knows: `SentTimestamp`, `ApproximateReceiveCount`, `DeadLetterQueueSourceArn` …; for an object
    /// its `SentTimestamp` is when it was written.
    pub system: BTreeMap<String, String>,
}

/// Whose letters lie in a place, as far as its configuration says.
#[derive(Debug, Clone, Default)]
pub struct Workers {
    /// The worker of a letter that does not say.
    pub default: String,
    /// How often the source queue lets a message be received before it moves it.
    pub max_receives: Option<u32>,
    /// The names of all workers: a Lambda function's name ends in one.
    pub known: Vec<String>,
}

impl Workers {
    /// `millrace-dev-keep-progress` is the function of the worker `keep-progress`.
    fn of_function(&self, arn: &str) -> String {
        let mut parts = arn.split(':').skip_while(|part| *part != "function");
        let name = parts.nth(1).unwrap_or(arn);
        let ends_in = |worker: &&String| {
            name.strip_suffix(worker.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
        };
        let found = self.known.iter().filter(ends_in).max_by_key(|w| w.len());
        found.cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The queue that the message was moved from says more than what the place is used for.
    fn of_message(&self, received: &Received) -> String {
        let source = received.system.get("DeadLetterQueueSourceArn");
        let name = source.and_then(|arn| arn.rsplit(':').next());
        name.map_or_else(|| self.default.clone(), worker_of_queue)
    }
}

/// `millrace-extract-text` is the queue of the worker `extract-text`.
pub(crate) fn worker_of_queue(queue: &str) -> String {
    let name = queue.strip_suffix(".fifo").unwrap_or(queue);
    let name = name.strip_suffix("-dlq").unwrap_or(name);
    name.strip_prefix("millrace-").unwrap_or(name).to_owned()
}

/// Reads a message as a letter with one copy. `now` dates a message that no source dates.
pub fn decode(place: Place, received: &Received, workers: &Workers, now: OffsetDateTime) -> Letter {
    let sent = received
        .system
        .get("SentTimestamp")
        .and_then(|text| moment(text));
    let at = sent.unwrap_or(now);
    if let Some(parked) = ParkedRecord::from_body(&received.body) {
        return of_parked(place, received, parked);
    }
    let found = Found::of(received, workers);
    let at = found.at.unwrap_or(at);
    let opened = Opened::of(found.content.as_ref(), &received.body);
    let identity = found.identity.clone().unwrap_or(opened.identity);
    let name = format!("{}\n{}\n{identity}", found.kind.word(), found.worker);
    Letter {
        id: Uuid::new_v5(&LETTERS, name.as_bytes()),
        kind: found.kind,
        place,
        worker: found.worker,
        reason: found.reason,
        message: found.message,
        subject: found.subject.unwrap_or(opened.subject),
        record_ids: opened.record_ids,
        attempts: found.attempts,
        first: at,
        last: at,
        copies: 1,
        trace_id: opened
            .trace_id
            .or_else(|| trace_of(received).map(str::to_owned)),
        edited_from: None,
        body: received.body.clone(),
        attributes: received.attributes.clone(),
        group: received.system.get("MessageGroupId").cloned(),
    }
}

fn of_parked(place: Place, received: &Received, parked: ParkedRecord) -> Letter {
    Letter {
        id: parked.id,
        kind: Kind::Parked,
        place,
        worker: parked.worker,
        reason: parked.reason.code,
        message: parked.reason.message,
        subject: parked.subject,
        record_ids: vec![parked.record_id],
        attempts: parked.attempts,
        first: parked.parked_at,
        last: parked.parked_at,
        copies: 1,
        trace_id: parked
            .trace_id
            .or_else(|| trace_of(received).map(str::to_owned)),
        edited_from: parked.edited_from,
        body: received.body.clone(),
        attributes: received.attributes.clone(),
        group: received.system.get("MessageGroupId").cloned(),
    }
}

fn trace_of(received: &Received) -> Option<&str> {
    let header = received.system.get("AWSTraceHeader")?;
    millrace_events::trace_root(header)
}

/// What the wrapping of an event says about its failure.
struct Found {
    kind: Kind,
    worker: String,
    reason: String,
    message: String,
    attempts: u32,
    at: Option<OffsetDateTime>,
    /// The JSON to open for records, if there is any.
    content: Option<Value>,
    /// What it is known by, where that is not its records.
    identity: Option<String>,
    /// What it is about, where that is not its records.
    subject: Option<String>,
}

impl Found {
    fn of(received: &Received, workers: &Workers) -> Self {
        let content = serde_json::from_str::<Value>(&received.body)
            .ok()
            .map(unwrapped);
        if let Some(record) = content.as_ref().filter(|value| is_on_failure(value)) {
            return Self::of_on_failure(record, workers);
        }
        let attribute = |name: &str| {
            let found = received.attributes.get(name);
            found.and_then(|attribute| attribute.text.clone())
        };
        if let (Some(_), Some(code)) = (attribute("RequestID"), attribute("ErrorCode")) {
            let said = attribute("ErrorMessage").unwrap_or_default();
            return Self {
                kind: Kind::Async,
                worker: workers.of_message(received),
                reason: reason::INVOCATION_FAILED.code().to_owned(),
                message: format!(
                    "Lambda gave the asynchronous invocation up ({code}): {}",
                    said_by_function(&said)
                ),
                attempts: 0,
                at: None,
                content,
                identity: None,
                subject: None,
            };
        }
        if let Some(rule) = attribute("RULE_ARN") {
            let code = attribute("ERROR_CODE").unwrap_or_else(|| "no code".to_owned());
            let said = attribute("ERROR_MESSAGE").unwrap_or_default();
            let name = rule.rsplit('/').next().unwrap_or_default().to_owned();
            return Self {
                kind: Kind::Redriven,
                worker: workers.of_message(received),
                reason: reason::UNDELIVERED.code().to_owned(),
                message: format!(
                    "the rule {name} could not deliver it to its target ({code}): {said}"
                ),
                attempts: attribute("RETRY_ATTEMPTS")
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0),
                at: None,
                content,
                identity: None,
                subject: None,
            };
        }
        Self {
            kind: Kind::Redriven,
            worker: workers.of_message(received),
            reason: reason::REDRIVEN.code().to_owned(),
            message: "the queue gave up after its maximum of receives".to_owned(),
            // The count that the message carries goes on with every look at it.
            attempts: workers.max_receives.unwrap_or(0),
            at: None,
            content,
            identity: None,
            subject: None,
        }
    }

    /// What Lambda wrote: of a stream with or without the batch, or of an asynchronous invocation.
    fn of_on_failure(record: &Value, workers: &Workers) -> Self {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let function = text("/requestContext/functionArn").unwrap_or_default();
        let condition = text("/requestContext/condition").unwrap_or("no condition");
        let attempts = record
            .pointer("/requestContext/approximateInvokeCount")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let mut found = Self {
            kind: Kind::Async,
            worker: match function {
                "" => workers.default.clone(),
                arn => workers.of_function(arn),
            },
            reason: reason_of_condition(condition),
            message: format!("Lambda gave the event up ({condition})"),
            attempts: attempts.try_into().unwrap_or(u32::MAX),
            at: text("/timestamp").and_then(moment),
            content: Some(record.clone()),
            identity: None,
            subject: None,
        };
        if let Some(error) = record.pointer("/responsePayload/errorMessage") {
            let said = error
                .as_str()
                .map_or_else(|| error.to_string(), str::to_owned);
            found.message = format!("{}: {}", found.message, said_by_function(&said));
        } else if let Some(error) = text("/responseContext/functionError") {
            found.message = format!("{}: function error {error}", found.message);
        }
        let Some(batch) = batch_info(record) else {
            return found;
        };
        found.kind = if record.get("payload").is_some() {
            Kind::StreamBatch
        } else {
            Kind::StreamPlace
        };
        let said = |name: &str| batch.get(name).and_then(Value::as_str).unwrap_or("?");
        let (stream, shard) = (said("streamArn"), said("shardId"));
        let (start, end) = (said("startSequenceNumber"), said("endSequenceNumber"));
        found.identity = Some(format!("{stream}\n{shard}\n{start}\n{end}"));
        let count = batch.get("batchSize").and_then(Value::as_u64).unwrap_or(0);
        found.message = format!("{}; a batch of {count} records of a stream", found.message);
        if found.kind == Kind::StreamPlace {
            found.content = None;
            found.subject = Some(format!("{} {start}..{end}", stream_name(stream)));
        }
        found
    }
}

/// `ai-assistant-documents` of `arn:aws:dynamodb:…:table/ai-assistant-documents/stream/…`.
fn stream_name(arn: &str) -> &str {
    let table = arn
        .split_once(":table/")
        .and_then(|(_, rest)| rest.split('/').next());
    let stream = || arn.split_once(":stream/").map(|(_, name)| name);
    table.or_else(stream).unwrap_or(arn)
}

fn reason_of_condition(condition: &str) -> String {
    let reason = match condition {
        "EventAgeExceeded" | "RecordAgeExceeded" => reason::EVENT_EXPIRED,
        _ => reason::INVOCATION_FAILED,
    };
    reason.code().to_owned()
}

/// A function's own words may be long; they are kept in the body.
fn said_by_function(text: &str) -> String {
    crate::output::short(text, 300)
}

fn is_on_failure(value: &Value) -> bool {
    value.get("requestContext").is_some_and(Value::is_object)
        && (value.get("requestPayload").is_some() || batch_info(value).is_some())
}

fn batch_info(value: &Value) -> Option<&Value> {
    ["DDBStreamBatchInfo", "KinesisBatchInfo"]
        .iter()
        .find_map(|name| value.get(name))
}

/// What Lambda wrote of an event or a batch that it gave up, out of whatever it came through; `None` if the body is
/// none of that.
pub(crate) fn failed_event(body: &str) -> Option<Value> {
    let value = serde_json::from_str(body).ok().map(unwrapped);
    value.filter(is_on_failure)
}

/// Lambda's record may come through a topic (a notification) or through EventBridge (`detail`).
pub(super) fn unwrapped(mut value: Value) -> Value {
    for _ in 0..MAX_WRAPPINGS {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let inner = if text("Type") == Some("Notification") {
            text("Message").and_then(|message| serde_json::from_str(message).ok())
        } else if text("source") == Some("lambda") {
            value.get("detail").cloned()
        } else {
            None
        };
        // Only what tells of a failure is taken out of its wrapping: events are opened by the workers' own decoder.
        match inner {
            Some(inner) if is_on_failure(&inner) => return inner,
            Some(inner @ Value::Object(_)) if inner.get("Type").is_some() => value = inner,
            _ => return value,
        }
    }
    value
}

/// What the workers' own decoder makes of the event.
struct Opened {
    identity: String,
    subject: String,
    record_ids: Vec<String>,
    trace_id: Option<String>,
}

impl Opened {
    fn of(content: Option<&Value>, body: &str) -> Self {
        let batch = content.and_then(|value| envelope::open(value).ok());
        let mut records: Vec<&Record> = Vec::new();
        let mut whole = batch.is_some();
        for message in batch.iter().flat_map(|batch| &batch.messages) {
            whole &= message.rejected.is_empty() && message.records.is_ok();
            records.extend(message.records.iter().flatten());
        }
        let record_ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
        let mut subjects: Vec<&str> = records.iter().map(|r| r.subject.as_str()).collect();
        subjects.dedup();
        let subject = match subjects.as_slice() {
            [] => "-".to_owned(),
            [one] => (*one).to_owned(),
            [first, others @ ..] => format!("{first} and {} more", others.len()),
        };
        Self {
            // What cannot be read whole is known by its text.
            identity: if whole && !record_ids.is_empty() {
                record_ids.join("\n")
            } else {
                body.to_owned()
            },
            subject,
            record_ids,
            trace_id: batch
                .iter()
                .flat_map(|batch| &batch.messages)
                .find_map(|message| message.trace_id.clone()),
        }
    }
}

/// RFC 3339, or seconds or milliseconds since 1970.
pub(crate) fn moment(text: &str) -> Option<OffsetDateTime> {
    if let Ok(number) = text.parse::<i64>() {
        let millis = if number.abs() > LARGEST_SECONDS {
            i128::from(number)
        } else {
            i128::from(number) * 1000
        };
        return OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok();
    }
    OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
}
