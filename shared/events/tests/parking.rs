//! What is parked comes back as the very record it was, from wherever it lay.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use millrace_events::{Failure, Message, ParkedReason, ParkedRecord, Record, open, reason};
use serde_json::{Value, json};
use time::macros::datetime;

fn object_record(key: &str) -> Value {
    json!({
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-20T10:15:30.123Z",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "sequencer": "0A"}}
    })
}

fn in_queue(body: &str, receives: u32) -> Value {
    json!({"Records": [{
        "messageId": "m-1", "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
        "attributes": {"ApproximateReceiveCount": receives.to_string()}
    }]})
}

fn only_message(event: &Value) -> Message {
    open(event).unwrap().messages.remove(0)
}

fn ids(message: &Message) -> Vec<&str> {
    let records = message.records.as_ref().unwrap();
    records
        .iter()
        .map(|record: &Record| record.id.as_str())
        .collect()
}

fn park(message: &Message, record_id: &str) -> ParkedRecord {
    let failure = Failure::permanent(reason::ENCRYPTED, "the file needs a password");
    ParkedRecord::new(
        "extract-text",
        message,
        record_id,
        "s3://b/one",
        ParkedReason::from(&failure),
        datetime!(2026-11-20 10:20 UTC),
    )
}

#[test]
fn a_parked_record_looks_like_this() {
    let message = only_message(&json!({"Records": [object_record("one")]}));
    let parked = park(&message, ids(&message)[0]);
    let written: Value = serde_json::from_str(&parked.to_body()).unwrap();
    assert_eq!(
        written,
        json!({
            "millrace": "parked/1",
            "id": parked.id.to_string(),
            "worker": "extract-text",
            "reason": {"code": "encrypted", "message": "the file needs a password"},
            "attempts": 1,
            "parkedAt": "2026-11-20T10:20:00Z",
            "recordId": "s3:b/one@0A000000000000000000000000000000:created",
            "subject": "s3://b/one",
            "event": object_record("one")
        })
    );
    assert_eq!(ParkedRecord::from_body(&parked.to_body()), Some(parked));
    assert_eq!(ParkedRecord::from_body("{\"Records\": []}"), None);
}

#[test]
fn a_replay_is_the_very_record() {
    let notification = json!({"Records": [object_record("one"), object_record("two")]});
    let sources = [notification.clone(), in_queue(&notification.to_string(), 2)];
    for source in sources {
        for message in open(&source).unwrap().messages {
            for wanted in ids(&message) {
                let parked = park(&message, wanted);
                let replayed = only_message(&in_queue(&parked.to_body(), 1));
                assert_eq!(ids(&replayed), [wanted]);
                let direct = only_message(&serde_json::to_value(&parked).unwrap());
                assert_eq!(ids(&direct), [wanted]);
            }
        }
    }
}

#[test]
fn a_record_parked_twice_has_one_id_and_one_wrapping() {
    let message = only_message(&in_queue(
        &json!({"Records": [object_record("one")]}).to_string(),
        2,
    ));
    let id = ids(&message)[0].to_owned();
    let first = park(&message, &id);
    let again = only_message(&in_queue(&first.to_body(), 3));
    let second = park(&again, &id);
    assert_eq!(second.id, first.id);
    assert_eq!(second.event, first.event);
    assert_eq!(second.attempts, 5);
    assert_ne!(millrace_events::parked_id("chunk-text", &id), first.id);
}

#[test]
fn what_could_not_be_decoded_comes_back_whole() {
    let message = only_message(&in_queue("no JSON", 1));
    assert!(message.records.is_err());
    let record_id = format!("undecodable:{}", message.fingerprint());
    let parked = park(&message, &record_id);
    let replayed = only_message(&in_queue(&parked.to_body(), 1));
    assert_eq!(replayed.records.unwrap_err().reason(), reason::NOT_JSON);
    // Another delivery of the same body is the same dead letter.
    let later = only_message(&in_queue("no JSON", 7));
    assert_eq!(later.fingerprint(), message.fingerprint());
}

#[test]
fn a_parked_trace_goes_on() {
    let mut message = only_message(&json!({"Records": [object_record("one")]}));
    message.trace_id = Some("1-a-b".to_owned());
    let parked = park(&message, ids(&message)[0]);
    let replayed = only_message(&in_queue(&parked.to_body(), 1));
    assert_eq!(replayed.trace_id.as_deref(), Some("1-a-b"));
}
