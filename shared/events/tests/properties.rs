//! What must hold for any input: nothing panics, and a batch has as many messages as it has entries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use millrace_events::{ParkedReason, ParkedRecord, open};
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

/// One more envelope around an event.
#[derive(Debug, Clone, Copy)]
enum Wrap {
    Sqs,
    SqsTwiceEncoded,
    SnsForLambda,
    SnsNotification,
    Records,
    OnFailure,
    OnFailureText,
    Parked,
}

fn wrap(event: Value, wrap: Wrap) -> Value {
    let text = Value::from(event.to_string());
    match wrap {
        Wrap::Sqs => {
            json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text}]})
        }
        Wrap::SqsTwiceEncoded => {
            json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text.to_string()}]})
        }
        Wrap::SnsForLambda => {
            json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]})
        }
        Wrap::SnsNotification => {
            json!({"Type": "Notification", "TopicArn": "arn", "Message": text})
        }
        Wrap::Records => json!({"Records": [event]}),
        Wrap::OnFailure => json!({"requestContext": {}, "requestPayload": event}),
        Wrap::OnFailureText => {
            json!({"requestContext": {}, "DDBStreamBatchInfo": {}, "payload": text})
        }
        Wrap::Parked => {
            let message = open(&event).unwrap().messages.remove(0);
            let record = message.records.as_ref().unwrap()[0].clone();
            let reason = ParkedReason {
                code: "encrypted".to_owned(),
                message: String::new(),
            };
            let at = time::OffsetDateTime::UNIX_EPOCH;
            let parked = ParkedRecord::new("w", &message, &record.id, &record.subject, reason, at);
            serde_json::from_str(&parked.to_body()).unwrap()
        }
    }
}

fn wraps() -> impl Strategy<Value = Vec<Wrap>> {
    let one = prop::sample::select(vec![
        Wrap::Sqs,
        Wrap::SqsTwiceEncoded,
        Wrap::SnsForLambda,
        Wrap::SnsNotification,
        Wrap::Records,
        Wrap::OnFailure,
        Wrap::OnFailureText,
        Wrap::Parked,
    ]);
    // Ten envelopes lie within the depth that is opened.
    prop::collection::vec(one, 0..6)
}

fn any_record() -> impl Strategy<Value = (Value, &'static str)> {
    prop::sample::select(vec![
        (
            json!({
                "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b", "sequencer": "0A"}}
            }),
            "s3:b/a b@0A000000000000000000000000000000:created",
        ),
        (
            json!({
                "eventSource": "aws:dynamodb", "eventName": "REMOVE",
                "eventSourceARN": "arn:aws:dynamodb:us-east-1:0:table/t/stream/l",
                "dynamodb": {"Keys": {"k": {"S": "1"}}, "SequenceNumber": "7"}
            }),
            "l:t/k=1@0000000000000000000000000000000000000007",
        ),
        (
            json!({
                "source": "aws.s3", "detail-type": "Object Deleted",
                "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b", "sequencer": "0A"}}
            }),
            "s3:b/a+b@0A000000000000000000000000000000:removed",
        ),
        (json!({"id": "own"}), "own"),
    ])
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

    #[test]
    fn a_record_is_the_same_however_it_is_wrapped((record, id) in any_record(), wraps in wraps()) {
        let event = wraps.into_iter().fold(record, wrap);
        let batch = open(&event).unwrap();
        prop_assert_eq!(batch.messages.len(), 1);
        let records = batch.messages[0].records.as_ref().unwrap();
        prop_assert_eq!(records.len(), 1);
        prop_assert_eq!(records[0].id.as_str(), id);
    }
}
