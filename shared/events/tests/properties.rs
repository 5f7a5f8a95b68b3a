//! What must hold for any input: nothing panics, and a batch has as many messages as it has entries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use millrace_events::open;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The words at which the opener looks, so that random JSON comes near to envelopes.
const WORDS: &[&str] = &[
    "Records",
    "eventSource",
    "EventSource",
    "eventSourceARN",
    "aws:sqs",
    "aws:s3",
    "aws:dynamodb",
    "aws:sns",
    "body",
    "Sns",
    "Message",
    "Type",
    "Notification",
    "TopicArn",
    "s3",
    "object",
    "bucket",
    "key",
    "name",
    "sequencer",
    "eventName",
    "ObjectCreated:Put",
    "dynamodb",
    "Keys",
    "NewImage",
    "SequenceNumber",
    "INSERT",
    "detail",
    "detail-type",
    "source",
    "aws.s3",
    "Object Created",
    "requestContext",
    "requestPayload",
    "payload",
    "DDBStreamBatchInfo",
    "millrace",
    "parked/1",
    "event",
    "recordId",
    "attributes",
    "ApproximateReceiveCount",
    "userIdentity",
    "id",
    "S",
    "N",
    "arn:aws:dynamodb:r:a:table/t/stream/l",
    "{}",
    "[]",
    "0A",
    "%FF",
    "messageId",
    "ApproximateCreationDateTime",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(WORDS).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word(), inner.clone()), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            // Text with JSON in it, as queues carry it.
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_json_panics(value in json_value()) {
        let _ = open(&value);
    }

    #[test]
    fn every_entry_is_one_message(entries in prop::collection::vec(json_value(), 0..6)) {
        let batch = open(&json!({"Records": entries})).unwrap();
        prop_assert_eq!(batch.messages.len(), entries.len());
        for (message, entry) in batch.messages.iter().zip(&entries) {
            prop_assert_eq!(&message.raw, entry);
            if let Err(failure) = &message.records {
                prop_assert!(!failure.is_transient());
                prop_assert!(!failure.message().is_empty());
            }
        }
    }

    #[test]
    fn a_known_record_with_any_field_replaced_never_panics(
        field in prop::sample::select(vec![
            "/eventSourceARN", "/eventName", "/dynamodb", "/dynamodb/Keys", "/dynamodb/NewImage",
            "/dynamodb/SequenceNumber", "/dynamodb/ApproximateCreationDateTime", "/userIdentity",
        ]),
        value in json_value(),
    ) {
        let mut record = json!({
            "eventName": "INSERT", "eventSource": "aws:dynamodb", "userIdentity": null,
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:0:table/t/stream/l",
            "dynamodb": {
                "Keys": {"k": {"S": "1"}}, "NewImage": {"k": {"S": "1"}}, "SequenceNumber": "1",
                "ApproximateCreationDateTime": 1.5
            }
        });
        *record.pointer_mut(field).unwrap() = value;
        let _ = open(&json!({"Records": [record]}));
    }
}
