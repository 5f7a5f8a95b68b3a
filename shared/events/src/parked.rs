//! Parked records: what lies in a dead-letter queue, and how it comes back.
//!
//! A parked record is JSON. Sent to its worker's queue again, as it is, it opens to the very record
//! that was parked: that is all there is to a replay.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Failure, Message, reason};

/// The namespace of parked records' ids.
const PARKED: Uuid = Uuid::from_u128(0x1d5c_07e4_62ab_4c39_9f10_c4b8_2a6e_75f1);

/// The version of the format; a reader refuses others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ParkedFormat {
    /// The first.
    #[default]
    #[serde(rename = "parked/1")]
    V1,
}

/// A record that could not be handled, whole, with its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParkedRecord {
    /// By what readers know the format.
    pub millrace: ParkedFormat,
    /// A function of worker and record: a record that is parked twice has the same id.
    pub id: Uuid,
    /// The worker that gave the record up.
    pub worker: String,
    /// Why.
    pub reason: ParkedReason,
    /// How often it was delivered in all, replays included.
    pub attempts: u32,
    /// When it was parked, by the world's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub parked_at: OffsetDateTime,
    /// The record's business identity.
    pub record_id: String,
    /// What the record happened to.
    pub subject: String,
    /// The trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The message as it first came; [`crate::open`] opens it.
    pub event: Value,
    /// The event before an operator edited it for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Value>,
    /// The letter that an operator edited to get this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_from: Option<Uuid>,
}

/// Why a record was parked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedReason {
    /// One of [`crate::reason::ALL`].
    pub code: String,
    /// The sentence for people, with all its causes.
    pub message: String,
}

impl From<&Failure> for ParkedReason {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.reason().code().to_owned(),
            message: failure.chain(),
        }
    }
}

impl ParkedRecord {
    /// The record `record_id` of a message, given up by a worker.
    pub fn new(
        worker: &str,
        message: &Message,
        record_id: &str,
        subject: &str,
        reason: ParkedReason,
        parked_at: OffsetDateTime,
    ) -> Self {
        let first = First::of(&message.raw);
        Self {
            millrace: ParkedFormat::V1,
            id: parked_id(worker, record_id),
            worker: worker.to_owned(),
            reason,
            attempts: message.attempt.saturating_add(first.attempts),
            parked_at,
            record_id: record_id.to_owned(),
            subject: subject.to_owned(),
            trace_id: message.trace_id.clone(),
            event: first.event,
            original: first.original,
            edited_from: first.edited_from,
        }
    }

    /// Reads the body of a message in a dead-letter queue; `None` if it is not a parked record, but a
    /// message that the queue's redrive policy moved.
    pub fn from_body(body: &str) -> Option<Self> {
        serde_json::from_str(body).ok()
    }

    /// The body under which it lies in a dead-letter queue.
    pub fn to_body(&self) -> String {
        // Through `Value`, whose text form cannot fail.
        serde_json::to_value(self).unwrap_or_default().to_string()
    }
}

/// The id under which a worker parks a record.
pub fn parked_id(worker: &str, record_id: &str) -> Uuid {
    Uuid::new_v5(&PARKED, format!("{worker}\n{record_id}").as_bytes())
}

pub(crate) fn is_parked(value: &Value) -> bool {
    let format = value.get("millrace").and_then(Value::as_str);
    format.is_some_and(|format| format.starts_with("parked/"))
}

/// The event, the id of the wanted record, and the trace.
pub(crate) fn content(value: &Value) -> Result<(&Value, &str, Option<&str>), Failure> {
    let text = |name| value.get(name).and_then(Value::as_str);
    if text("millrace") != Some("parked/1") {
        let format = text("millrace").unwrap_or_default();
        return Err(Failure::permanent(
            reason::UNKNOWN_ENVELOPE,
            format!("this version reads parked records of format `parked/1`, not `{format}`"),
        ));
    }
    let event = value.get("event").ok_or_else(|| {
        Failure::permanent(reason::MALFORMED_EVENT, "the parked record has no `event`")
    })?;
    Ok((event, text("recordId").unwrap_or_default(), text("traceId")))
}

/// What a message first was, and how often it was delivered before it was parked: a replayed record
/// that is parked again must not carry its former parked record around it, nor forget what an operator edited.
struct First {
    event: Value,
    attempts: u32,
    original: Option<Value>,
    edited_from: Option<Uuid>,
}

impl First {
    fn of(raw: &Value) -> Self {
        let body = raw.get("body").and_then(Value::as_str);
        let replayed = body
            .and_then(|text| serde_json::from_str::<Value>(text).ok())
            .filter(is_parked);
        let parked = replayed.as_ref().or_else(|| is_parked(raw).then_some(raw));
        let Some(parked) = parked else {
            return Self {
                event: raw.clone(),
                attempts: 0,
                original: None,
                edited_from: None,
            };
        };
        let attempts = parked.get("attempts").and_then(Value::as_u64).unwrap_or(0);
        let edited_from = parked.get("editedFrom").and_then(Value::as_str);
        Self {
            event: parked.get("event").cloned().unwrap_or_default(),
            attempts: attempts.try_into().unwrap_or(u32::MAX),
            original: parked.get("original").cloned(),
            edited_from: edited_from.and_then(|text| text.parse().ok()),
        }
    }
}
