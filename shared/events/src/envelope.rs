//! Envelopes: whatever carries an event to a worker, opened down to its records.
//!
//! Two levels are told apart. The *batch* is what Lambda hands over: it decides how failures are
//! reported ([`Source`]). The *content* of each of its messages may be wrapped any number of times
//! (S3 in SNS in SQS, a parked record of an SQS message of a stream record …) and is opened by one
//! recursive function, so that every worker accepts every way a record can come.
//!
//! Messages are decoded one by one: what cannot be read is a failure of its own message, never of
//! its batch.

mod event_bridge;
mod message;
mod on_failure;
mod s3;
mod sns;
mod sqs;
mod stream;
mod trace;

use serde_json::Value;
use uuid::Uuid;

use crate::{Failure, Reason, Record, parked, reason};

pub use trace::trace_root;

/// How deep envelopes may lie in one another; real ones need four.
const MAX_DEPTH: usize = 12;

/// One invocation, opened.
#[derive(Debug)]
pub struct Batch {
    /// Where it comes from, and so how failures are reported.
    pub source: Source,
    /// The messages in the order in which they came.
    pub messages: Vec<Message>,
}

/// Where a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An SQS queue: failed messages are named by their `messageId`.
    Sqs {
        /// Whether groups must be kept in order.
        fifo: bool,
    },
    /// A DynamoDB stream: the lowest failed sequence number is named.
    Stream,
    /// S3, SNS, EventBridge, a Lambda on-failure record, a parked record, bare JSON: there is no
    /// partial batch response; the invocation succeeds or fails as a whole.
    Direct,
}

/// One message of a batch: what succeeds or fails as one for the source.
#[derive(Debug)]
pub struct Message {
    /// What the batch response calls it: `messageId`, the stream's `SequenceNumber`, or its position.
    pub id: String,
    /// SQS: the message group.
    pub group: Option<String>,
    /// 1 for the first delivery; more only where the source counts (SQS).
    pub attempt: u32,
    /// SQS: by what its visibility is changed.
    pub receipt: Option<Receipt>,
    /// The whole message as it came: [`open`] opens it again.
    pub raw: Value,
    /// The trace it belongs to, if the envelope says so.
    pub trace_id: Option<String>,
    /// The records in it, or why there are none.
    pub records: Result<Vec<Record>, Failure>,
    /// Records that could not be decoded, beside others of the same message that could.
    pub rejected: Vec<Failure>,
}

/// By what SQS knows one delivery of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The queue's ARN.
    pub queue_arn: String,
    /// The receipt handle.
    pub handle: String,
}

/// Why an event is no batch at all.
#[derive(Debug, thiserror::Error)]
#[error("{message} [{reason}]")]
pub struct DecodeError {
    reason: Reason,
    message: String,
    #[source]
    source: Option<serde_json::Error>,
}

impl DecodeError {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            source: None,
        }
    }

    /// The stable code.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        let failure = Failure::permanent(error.reason, error.message);
        match error.source {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}

impl Message {
    /// By what something of this message that could not be decoded is known: its content, not its transport. `position`
    /// tells apart several of one message.
    pub fn undecodable_id(&self, position: usize) -> String {
        match position {
            0 => format!("undecodable:{}", self.fingerprint()),
            more => format!("undecodable:{}/{more}", self.fingerprint()),
        }
    }

    /// An id of the content without its transport: equal for every delivery of the same content.
    pub fn fingerprint(&self) -> Uuid {
        let body = self.raw.get("body").and_then(Value::as_str);
        match body {
            Some(text) => message::content_id(&Value::from(text)),
            None => message::content_id(&self.raw),
        }
    }
}

/// Opens an invocation's bytes.
///
/// # Errors
/// [`DecodeError`] with `not-json`, or as [`open`].
pub fn open_slice(bytes: &[u8]) -> Result<Batch, DecodeError> {
    let event: Value = serde_json::from_slice(bytes).map_err(|error| DecodeError {
        reason: reason::NOT_JSON,
        message: "the event is not JSON".to_owned(),
        source: Some(error),
    })?;
    open(&event)
}

/// Opens an invocation's event.
///
/// # Errors
/// [`DecodeError`] if the event is neither an object nor an array of objects, or if its `Records`
/// are no array. Anything else that is wrong is a failure of one message.
pub fn open(event: &Value) -> Result<Batch, DecodeError> {
    entries_of(event)?;
    Ok(open_whole(event.clone()))
}

/// The same of an event that is not needed any more; one that cannot be opened is given back.
///
/// # Errors
/// As [`open`].
pub fn open_owned(event: Value) -> Result<Batch, (Value, DecodeError)> {
    match entries_of(&event) {
        Ok(_) => Ok(open_whole(event)),
        Err(error) => Err((event, error)),
    }
}

fn open_whole(mut event: Value) -> Batch {
    let Some(entries) = take_entries(&mut event) else {
        return Batch {
            source: source_of(&event),
            messages: vec![open_message(event, 0)],
        };
    };
    let source = entries.first().map_or(Source::Direct, source_of);
    let messages = entries
        .into_iter()
        .enumerate()
        .map(|(position, entry)| open_message(entry, position))
        .collect();
    Batch { source, messages }
}

/// The entries of `Records` or of an array (EventBridge Pipes hands arrays over); `None`: the event
/// is its own only message.
fn take_entries(event: &mut Value) -> Option<Vec<Value>> {
    let entries = match event {
        Value::Object(fields) => fields.get_mut("Records")?,
        other => other,
    };
    entries.as_array_mut().map(std::mem::take)
}

/// The same, without taking them.
fn entries_of(event: &Value) -> Result<Option<&[Value]>, DecodeError> {
    match event {
        Value::Array(entries) => Ok(Some(entries)),
        Value::Object(fields) => match fields.get("Records") {
            None => Ok(None),
            Some(Value::Array(entries)) => Ok(Some(entries)),
            Some(other) => Err(DecodeError::new(
                reason::MALFORMED_EVENT,
                format!("the event's `Records` are {}, not an array", kind_of(other)),
            )),
        },
        other => Err(DecodeError::new(
            reason::UNKNOWN_ENVELOPE,
            format!(
                "an event is a JSON object or an array of objects, this is {}",
                kind_of(other)
            ),
        )),
    }
}

fn source_of(entry: &Value) -> Source {
    if sqs::is_message(entry) {
        return Source::Sqs {
            fifo: sqs::is_fifo(entry),
        };
    }
    if stream::is_record(entry) {
        return Source::Stream;
    }
    Source::Direct
}

fn open_message(entry: Value, position: usize) -> Message {
    let mut opening = Opening::default();
    let mut records = Vec::new();
    let mut rejected = Vec::new();
    let records = match opening.open(&entry) {
        Err(failure) => Err(failure),
        Ok(decoded) => {
            for one in decoded {
                match one {
                    Ok(record) => records.push(record),
                    Err(failure) => rejected.push(failure),
                }
            }
            if records.is_empty() && !rejected.is_empty() {
                Err(rejected.remove(0))
            } else {
                Ok(records)
            }
        }
    };
    let id = sqs::message_id(&entry)
        .or_else(|| stream::sequence_number(&entry))
        .map_or_else(|| position.to_string(), str::to_owned);
    Message {
        id,
        group: sqs::group(&entry),
        attempt: sqs::receive_count(&entry),
        receipt: sqs::receipt(&entry),
        raw: entry,
        trace_id: opening.trace_id,
        records,
        rejected,
    }
}

/// The records that came out of one value; each by itself may have failed.
type Decoded = Vec<Result<Record, Failure>>;

/// The state of opening one message: how deep it is, and what was learned on the way in.
#[derive(Debug, Default)]
struct Opening {
    depth: usize,
    trace_id: Option<String>,
}

impl Opening {
    /// Opens a value, whatever envelope it is.
    fn open(&mut self, value: &Value) -> Result<Decoded, Failure> {
        if self.depth >= MAX_DEPTH {
            return Err(Failure::permanent(
                reason::UNKNOWN_ENVELOPE,
                format!("more than {MAX_DEPTH} envelopes lie in one another"),
            ));
        }
        self.depth += 1;
        let decoded = self.open_known(value);
        self.depth -= 1;
        decoded
    }

    fn open_known(&mut self, value: &Value) -> Result<Decoded, Failure> {
        if let Some(entries) = entries_of(value)? {
            return Ok(self.open_each(entries));
        }
        if parked::is_parked(value) {
            return self.open_parked(value);
        }
        if sqs::is_message(value) {
            self.learn_trace(sqs::trace_header(value));
            return self.open_text(sqs::body(value)?);
        }
        if sns::is_record(value) {
            return self.open_text(sns::record_message(value)?);
        }
        if sns::is_notification(value) {
            return self.open_text(sns::notification_message(value)?);
        }
        if stream::is_record(value) {
            return Ok(vec![stream::decode(value)]);
        }
        if s3::is_record(value) {
            return Ok(vec![s3::decode(value)]);
        }
        if s3::is_test_event(value) {
            return Ok(vec![Ok(s3::decode_test_event(value))]);
        }
        if on_failure::is_on_failure(value) {
            return match on_failure::payload(value)? {
                Value::String(text) => self.open_text(text),
                payload => self.open(payload),
            };
        }
        if event_bridge::is_event(value) {
            return self.open_event_bridge(value);
        }
        if let Some(source) = foreign_source(value) {
            return Err(Failure::permanent(
                reason::UNKNOWN_ENVELOPE,
                format!("records of `{source}` are not known here"),
            ));
        }
        Ok(vec![Ok(message::decode(value))])
    }

    fn open_each(&mut self, entries: &[Value]) -> Decoded {
        let mut decoded = Vec::with_capacity(entries.len());
        for entry in entries {
            match self.open(entry) {
                Ok(records) => decoded.extend(records),
                Err(failure) => decoded.push(Err(failure)),
            }
        }
        decoded
    }

    /// Opens text that should be JSON; text within text (encoded twice) is opened too.
    fn open_text(&mut self, text: &str) -> Result<Decoded, Failure> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Failure::permanent(reason::NOT_JSON, "the message's body is not JSON").caused_by(error)
        })?;
        let Value::String(inner) = value else {
            return self.open(&value);
        };
        let value: Value = serde_json::from_str(&inner).map_err(|error| {
            Failure::permanent(
                reason::NOT_JSON,
                "the message's body is a JSON text without JSON in it",
            )
            .caused_by(error)
        })?;
        self.open(&value)
    }

    fn open_event_bridge(&mut self, value: &Value) -> Result<Decoded, Failure> {
        if event_bridge::is_object_event(value) {
            return Ok(vec![event_bridge::decode_object_event(value)]);
        }
        if event_bridge::is_scheduled_event(value) {
            return Ok(vec![event_bridge::decode_scheduled_event(value)]);
        }
        let detail = event_bridge::detail(value);
        if stream::is_record(detail) || parked::is_parked(detail) {
            return self.open(detail);
        }
        Ok(vec![event_bridge::decode_message(value)])
    }

    /// A parked record is the one record it was parked for, although its event may hold more.
    fn open_parked(&mut self, value: &Value) -> Result<Decoded, Failure> {
        let (event, record_id, trace_id) = parked::content(value)?;
        // What the event itself says comes later and would be older news: the parked trace wins.
        let decoded = match event {
            Value::String(text) => self.open_text(text),
            other => self.open(other),
        }?;
        if let Some(trace_id) = trace_id {
            self.trace_id = Some(trace_id.to_owned());
        }
        let is_wanted =
            |one: &Result<Record, Failure>| one.as_ref().is_ok_and(|record| record.id == record_id);
        if !decoded.iter().any(is_wanted) {
            return Ok(decoded);
        }
        Ok(decoded.into_iter().filter(is_wanted).collect())
    }

    fn learn_trace(&mut self, header: Option<&str>) {
        if let Some(root) = header.and_then(trace_root) {
            self.trace_id = Some(root.to_owned());
        }
    }
}

/// The AWS service that a record names as its source.
fn foreign_source(value: &Value) -> Option<&str> {
    let source = value
        .get("eventSource")
        .or_else(|| value.get("EventSource"))?;
    source.as_str().filter(|name| name.starts_with("aws:"))
}

/// The text at a JSON pointer, or a failure that names the place.
fn required_text<'a>(value: &'a Value, pointer: &str, what: &str) -> Result<&'a str, Failure> {
    match value.pointer(pointer) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(malformed(format!(
            "`{}` of the {what} is {}, not text",
            dotted(pointer),
            kind_of(other)
        ))),
        None => Err(malformed(format!(
            "the {what} has no `{}`",
            dotted(pointer)
        ))),
    }
}

fn optional_text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn malformed(message: String) -> Failure {
    Failure::permanent(reason::MALFORMED_EVENT, message)
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A point in time as AWS writes it; what cannot be read is not needed for anything but reports.
fn parse_time(text: &str) -> Option<time::OffsetDateTime> {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
}
