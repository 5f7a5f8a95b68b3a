//! What comes of a letter whose event is edited: a parked record that keeps the event before it.

use millrace_events::{Failure, ParkedFormat, ParkedReason, ParkedRecord, open, reason};
use serde_json::Value;
use uuid::Uuid;

use super::{
    decode::unwrapped,
    letter::{Kind, Letter},
};

/// The namespace of the ids of edited letters.
const EDITED: Uuid = Uuid::from_u128(0x2f5d_61b3_88c4_4e0a_b7a9_60e4_1d93_c27f);

/// The event in a letter, as a worker can be given it: of a parked record its event; what Lambda gave up, out of Lambda's
/// record; anything else as it lies there, text if it is not JSON.
///
/// # Errors
/// `event-not-carried` for a letter that tells only where in a stream its records are.
pub fn event_of(letter: &Letter) -> Result<Value, Failure> {
    let body = || match serde_json::from_str::<Value>(&letter.body) {
        Ok(value) => value,
        Err(_) => Value::String(letter.body.clone()),
    };
    match letter.kind {
        Kind::Parked => Ok(parked_of(letter).map_or_else(body, |parked| parked.event)),
        Kind::StreamPlace => Err(Failure::permanent(
            reason::EVENT_NOT_CARRIED,
            "the letter tells where in the stream its records are, and does not carry them",
        )),
        Kind::StreamBatch | Kind::Async => {
            // It may have come through a notification or EventBridge.
            let body = unwrapped(body());
            let carried = body.get("requestPayload").or_else(|| body.get("payload"));
            // A text is what Lambda writes of an event; it is opened where that is JSON.
            let carried = carried.map(|carried| {
                let inner = carried
                    .as_str()
                    .and_then(|text| serde_json::from_str(text).ok());
                inner.unwrap_or_else(|| carried.clone())
            });
            Ok(carried.unwrap_or(body))
        }
        Kind::Redriven => Ok(body()),
    }
}

fn parked_of(letter: &Letter) -> Option<ParkedRecord> {
    ParkedRecord::from_body(&letter.body)
}

/// The letter with another event, as a parked record. The same edit of the same letter has the same id; the event before
/// the first edit stays beside the new one.
///
/// # Errors
/// `event-not-carried` as [`event_of`].
pub fn edited(letter: &Letter, event: Value) -> Result<ParkedRecord, Failure> {
    let before = event_of(letter)?;
    let parked = parked_of(letter);
    let original = parked
        .as_ref()
        .and_then(|parked| parked.original.clone())
        .unwrap_or(before);
    let (record_id, subject) = identity(letter, &event);
    let name = format!("{}\n{event}", letter.id);
    Ok(ParkedRecord {
        millrace: ParkedFormat::V1,
        id: Uuid::new_v5(&EDITED, name.as_bytes()),
        worker: letter.worker.clone(),
        reason: ParkedReason {
            code: letter.reason.clone(),
            message: letter.message.clone(),
        },
        attempts: letter.attempts,
        parked_at: parked.map_or(letter.last, |parked| parked.parked_at),
        record_id,
        subject,
        trace_id: letter.trace_id.clone(),
        event,
        original: Some(original),
        edited_from: Some(letter.id),
    })
}

/// Which record of the edited event it is: the same as before if it is still there, else the only one.
fn identity(letter: &Letter, event: &Value) -> (String, String) {
    let records: Vec<_> = open(event)
        .map(|batch| batch.messages)
        .unwrap_or_default()
        .into_iter()
        .flat_map(|message| message.records.unwrap_or_default())
        .collect();
    let same = records
        .iter()
        .find(|record| letter.record_ids.contains(&record.id));
    let chosen = same.or(match records.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    match chosen {
        Some(record) => (record.id.clone(), record.subject.clone()),
        // Several records, or none that can be read: an empty id is no record's, so the event is taken whole.
        None => (String::new(), letter.subject.clone()),
    }
}
