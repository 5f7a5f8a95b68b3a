//! Every envelope a record can come in, in the shapes in which AWS sends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod samples;

use millrace_events::{
    ObjectChangeKind, Payload, Record, RowChangeKind, ScheduledTime, Source, open, open_slice,
    reason,
};
use samples::*;
use serde_json::{Value, json};
use time::macros::datetime;

fn only_record(event: &Value) -> Record {
    let mut batch = open(event).unwrap();
    assert_eq!(batch.messages.len(), 1, "{event}");
    let message = batch.messages.remove(0);
    assert!(message.rejected.is_empty());
    let mut records = message.records.unwrap();
    assert_eq!(records.len(), 1, "{event}");
    records.remove(0)
}

#[test]
fn an_object_s_event_is_the_same_record_in_every_envelope() {
    let ways = [
        ("direct", s3_event()),
        ("one record without its list", s3_record()),
        ("EventBridge", event_bridge_object("Object Created")),
        ("SNS", in_sns(s3_event())),
        (
            "SNS, EventBridge in it",
            in_sns(event_bridge_object("Object Created")),
        ),
        ("SQS", in_sqs(s3_event())),
        (
            "SQS, encoded twice",
            in_sqs(Value::from(s3_event().to_string())),
        ),
        (
            "EventBridge in SQS",
            in_sqs(event_bridge_object("Object Created")),
        ),
        (
            "SNS notification in SQS",
            in_sqs(sns_notification(s3_event())),
        ),
        ("on-failure", on_failure(s3_event())),
        ("on-failure in SQS", in_sqs(on_failure(s3_event()))),
        (
            "on-failure of an SQS batch, in SNS",
            in_sns(on_failure(in_sqs(s3_event()))),
        ),
    ];
    for (way, event) in ways {
        let record = only_record(&event);
        assert_eq!(record.id, S3_ID, "{way}");
        assert_eq!(
            record.subject, "s3://ai-assistant-documents-dev/documents/u-1/d-1/my file 文.pdf",
            "{way}"
        );
        assert_eq!(
            record.version.as_str(),
            "0055AED6DCD90281E500000000000000",
            "{way}"
        );
        let occurred_at = record.occurred_at.unwrap().replace_nanosecond(0).unwrap();
        assert_eq!(occurred_at, datetime!(2026-11-20 10:15:30 UTC), "{way}");
        let Payload::Object(change) = record.payload else {
            panic!("{way}: no object");
        };
        assert_eq!(change.kind, ObjectChangeKind::Created, "{way}");
        assert_eq!(change.size, Some(1024), "{way}");
        assert_eq!(
            change.e_tag.as_deref(),
            Some("d41d8cd98f00b204e9800998ecf8427e"),
            "{way}"
        );
        assert!(change.version_id.is_some(), "{way}");
    }
}

#[test]
fn removals_are_told_apart() {
    let mut by_notification = s3_record();
    for name in [
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "LifecycleExpiration:Delete",
    ] {
        by_notification["eventName"] = json!(name);
        by_notification["s3"]["object"]
            .as_object_mut()
            .unwrap()
            .remove("size");
        let record = only_record(&by_notification);
        assert!(record.id.ends_with(":removed"), "{name}");
    }
    let record = only_record(&event_bridge_object("Object Deleted"));
    assert_eq!(record.id, S3_ID.replace(":created", ":removed"));
}

#[test]
fn other_events_of_objects_are_messages() {
    let mut tagging = s3_record();
    tagging["eventName"] = json!("ObjectTagging:Put");
    assert!(matches!(only_record(&tagging).payload, Payload::Message(_)));
    let restored = event_bridge_object("Object Restore Completed");
    assert!(matches!(
        only_record(&restored).payload,
        Payload::Message(_)
    ));
}

#[test]
fn a_test_event_is_a_test() {
    let event = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-20T10:15:30.123Z",
        "Bucket": "ai-assistant-documents-dev", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4"
    });
    for way in [
        event.clone(),
        in_sqs(&event),
        in_sqs(sns_notification(&event)),
    ] {
        assert!(matches!(only_record(&way).payload, Payload::Test));
    }
}

#[test]
fn a_row_s_change_is_the_same_record_in_every_envelope() {
    let record = stream_record("MODIFY", "4421584500000000017450439091");
    let mut with_payload = stream_on_failure();
    with_payload["payload"] = Value::from(json!({"Records": [record]}).to_string());
    let ways = [
        ("direct", json!({"Records": [record]})),
        ("from Pipes, an array", json!([record])),
        ("from Pipes, in SQS", in_sqs(&record)),
        ("batched in SQS", in_sqs(json!({"Records": [record]}))),
        ("SNS", in_sns(&record)),
        ("on-failure with its payload", with_payload),
    ];
    for (way, event) in ways {
        let record = only_record(&event);
        assert_eq!(
            record.id,
            "2026-11-20T08:15:00.000:ai-assistant-documents/documentId=d-1,userId=u-1@\
             0000000000004421584500000000017450439091",
            "{way}"
        );
        assert_eq!(
            record.subject, "ai-assistant-documents/documentId=d-1,userId=u-1",
            "{way}"
        );
        assert_eq!(
            record.version.as_str(),
            "2026-11-20T08:15:00.000/0000000000004421584500000000017450439091",
            "{way}"
        );
        assert_eq!(
            record.occurred_at.unwrap(),
            datetime!(2026-11-20 10:15:30 UTC),
            "{way}"
        );
        let Payload::Row(change) = record.payload else {
            panic!("{way}: no row");
        };
        assert_eq!(change.kind, RowChangeKind::Modified, "{way}");
        assert_eq!(change.table, "ai-assistant-documents", "{way}");
        assert_eq!(change.new.unwrap().len(), 3, "{way}");
        assert_eq!(change.old.unwrap().len(), 2, "{way}");
        assert!(!change.by_ttl, "{way}");
    }
}

#[test]
fn a_row_removed_by_its_time_to_live_says_so() {
    let cases = [
        (
            json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"}),
            true,
        ),
        (
            json!({"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}),
            true,
        ),
        (
            json!({"type": "Service", "principalId": "replication.dynamodb.amazonaws.com"}),
            false,
        ),
        (Value::Null, false),
    ];
    for (identity, expected) in cases {
        let mut record = stream_record("REMOVE", "1");
        record["userIdentity"] = identity.clone();
        let Payload::Row(change) = only_record(&record).payload else {
            panic!("no row");
        };
        assert_eq!(change.by_ttl, expected, "{identity}");
    }
}

#[test]
fn keys_of_a_row_are_unambiguous() {
    let subject_of = |keys: Value| {
        let mut record = stream_record("INSERT", "1");
        record["dynamodb"]["Keys"] = keys;
        only_record(&record).subject
    };
    assert_ne!(
        subject_of(json!({"a": {"S": "1,b=2"}})),
        subject_of(json!({"a": {"S": "1"}, "b": {"S": "2"}}))
    );
    assert_eq!(
        subject_of(json!({"a": {"S": "1,b=2/@%"}})),
        "ai-assistant-documents/a=1%2Cb%3D2%2F%40%25"
    );
    assert_eq!(
        subject_of(json!({"n": {"N": "-1.5"}})),
        "ai-assistant-documents/n=-1.5"
    );
    assert_eq!(
        subject_of(json!({"b": {"B": "AAEqQQ=="}})),
        "ai-assistant-documents/b=00012a41"
    );
}

#[test]
fn a_stream_s_batch_keeps_what_its_view_leaves_out() {
    let mut keys_only = stream_record("INSERT", "7");
    let change = keys_only["dynamodb"].as_object_mut().unwrap();
    for name in [
        "NewImage",
        "OldImage",
        "ApproximateCreationDateTime",
        "SizeBytes",
    ] {
        change.remove(name);
    }
    let record = only_record(&json!({"Records": [keys_only]}));
    let Payload::Row(change) = record.payload else {
        panic!("no row");
    };
    assert!(change.new.is_none() && change.old.is_none());
    assert!(record.occurred_at.is_none());
}

fn scheduled_event(id: &str, time: &str) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "000000000000", "time": time, "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/my-schedule"], "detail": {}
    })
}

#[test]
fn a_time_of_a_schedule_is_known_by_its_rule_and_its_time() {
    let event = scheduled_event(
        "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "2026-11-20T10:00:00Z",
    );
    let expected = ScheduledTime {
        rule: "my-schedule".to_owned(),
        at: datetime!(2026-11-20 10:00 UTC),
    };
    // The rule ran twice for one time: another event, the same record.
    let again = scheduled_event(
        "e37b1d3f-1b56-4b94-9d3c-1d4a8a6b0c0f",
        "2026-11-20T10:00:00Z",
    );
    for way in [event.clone(), in_sqs(&event), in_sns(&event), again] {
        let record = only_record(&way);
        assert_eq!(record.id, "schedule/my-schedule@2026-11-20T10:00:00Z");
        assert_eq!(record.subject, "schedule/my-schedule");
        let Payload::Schedule(time) = record.payload else {
            panic!("no time of a schedule");
        };
        assert_eq!(time, expected);
    }
    let later = only_record(&scheduled_event("x", "2026-11-21T09:00:00Z"));
    assert!(later.version > only_record(&event).version);
}

#[test]
fn a_scheduled_event_without_its_rule_or_time_is_malformed() {
    let mut no_rule = scheduled_event("x", "2026-11-20T10:00:00Z");
    no_rule["resources"] = json!(["arn:aws:s3:::bucket"]);
    let mut no_resource = no_rule.clone();
    no_resource["resources"] = json!([]);
    for event in [no_rule, no_resource, scheduled_event("x", "at ten")] {
        let batch = open(&event).unwrap();
        let failure = batch.messages[0].records.as_ref().unwrap_err();
        assert_eq!(failure.reason(), reason::MALFORMED_EVENT);
    }
}

#[test]
fn other_events_are_messages_known_by_their_own_id() {
    let event = json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Settlement",
        "source": "platform", "account": "000000000000", "time": "2026-11-20T10:00:00Z", "region": "us-east-1",
        "resources": [], "detail": {"a": 1}
    });
    for way in [event.clone(), in_sqs(&event), in_sns(&event)] {
        let record = only_record(&way);
        assert_eq!(record.id, "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa");
        let Payload::Message(detail) = record.payload else {
            panic!("no message");
        };
        assert_eq!(detail, json!({"a": 1}));
    }
}

#[test]
fn a_message_without_an_id_is_known_by_its_content() {
    let one = only_record(&json!({"profile": "p-1", "score": 3}));
    let by_sqs = only_record(&in_sqs(json!({"score": 3, "profile": "p-1"})));
    assert_eq!(one.id, by_sqs.id);
    assert!(one.id.starts_with("content:"));
    assert_ne!(
        one.id,
        only_record(&json!({"profile": "p-1", "score": 4})).id
    );
}

#[test]
fn sources_decide_how_failures_are_reported() {
    let mut fifo = sqs_message("{}");
    fifo["eventSourceARN"] = json!("arn:aws:sqs:us-east-1:000000000000:orders.fifo");
    let cases = [
        (in_sqs("{}"), Source::Sqs { fifo: false }),
        (json!({"Records": [fifo]}), Source::Sqs { fifo: true }),
        (
            json!({"Records": [stream_record("INSERT", "1")]}),
            Source::Stream,
        ),
        (s3_event(), Source::Direct),
        (in_sns("{}"), Source::Direct),
        (event_bridge_object("Object Created"), Source::Direct),
        (on_failure(in_sqs("{}")), Source::Direct),
        (json!({}), Source::Direct),
        (json!({"Records": []}), Source::Direct),
    ];
    for (event, expected) in cases {
        assert_eq!(open(&event).unwrap().source, expected, "{event}");
    }
}

#[test]
fn what_the_source_knows_of_a_message_is_kept() {
    let mut message = sqs_message(s3_event());
    message["attributes"]["MessageGroupId"] = json!("u-1");
    let batch = open(&json!({"Records": [message]})).unwrap();
    let opened = &batch.messages[0];
    assert_eq!(opened.id, "059f36b4-87a3-44ab-83d2-661975830a7d");
    assert_eq!(opened.group.as_deref(), Some("u-1"));
    assert_eq!(opened.attempt, 3);
    assert_eq!(
        opened.trace_id.as_deref(),
        Some("1-5759e988-bd862e3fe1be46a994272793")
    );
    let receipt = opened.receipt.as_ref().unwrap();
    assert_eq!(receipt.queue_arn, QUEUE);
    assert_eq!(receipt.handle, "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a");
    assert_eq!(opened.raw, message);

    let stream = open(&json!({"Records": [stream_record("INSERT", "42")]})).unwrap();
    assert_eq!(stream.messages[0].id, "42");
    assert_eq!(stream.messages[0].attempt, 1);

    // Only queues count; a message of the platform may have fields of any name.
    let look_alike =
        json!({"id": "x", "attributes": {"ApproximateReceiveCount": "9", "MessageGroupId": "g"}});
    let opened = open(&look_alike).unwrap().messages.remove(0);
    assert_eq!((opened.attempt, opened.group), (1, None));
}

#[test]
fn one_bad_message_never_fails_its_batch() {
    let mut no_attributes = sqs_message(s3_event());
    no_attributes.as_object_mut().unwrap().remove("attributes");
    let mut no_body = sqs_message("");
    no_body.as_object_mut().unwrap().remove("body");
    let mut bad_key = s3_record();
    bad_key["s3"]["object"]["key"] = json!("documents/%FF");
    let batch = open(&json!({"Records": [
        sqs_message("this is not JSON"),
        no_attributes,
        no_body,
        sqs_message(json!({"Records": [bad_key]})),
        sqs_message("17"),
        sqs_message(s3_event()),
    ]}))
    .unwrap();
    let reasons: Vec<_> = batch
        .messages
        .iter()
        .map(|message| {
            message
                .records
                .as_ref()
                .err()
                .map(|failure| failure.reason())
        })
        .collect();
    assert_eq!(
        reasons,
        [
            Some(reason::NOT_JSON),
            None,
            Some(reason::MALFORMED_EVENT),
            Some(reason::INVALID_KEY),
            Some(reason::UNKNOWN_ENVELOPE),
            None
        ]
    );
    assert!(batch.messages.iter().all(|message| {
        message
            .records
            .as_ref()
            .err()
            .is_none_or(|f| !f.is_transient())
    }));
    assert_eq!(batch.messages[1].attempt, 1);
}

#[test]
fn a_bad_record_beside_good_ones_of_its_message_is_rejected_alone() {
    let mut bad = s3_record();
    bad["s3"]["object"]["sequencer"] = json!("Happy Sequencer");
    let batch = open(&in_sqs(json!({"Records": [s3_record(), bad]}))).unwrap();
    let message = &batch.messages[0];
    assert_eq!(message.records.as_ref().unwrap().len(), 1);
    assert_eq!(message.rejected[0].reason(), reason::MALFORMED_EVENT);
}

#[test]
fn what_cannot_be_read_says_where() {
    let with = |change: fn(&mut Value)| {
        let mut record = stream_record("INSERT", "1");
        change(&mut record);
        json!({"Records": [record]})
    };
    let cases = [
        (
            with(|r| r["eventSourceARN"] = json!("arn:aws:dynamodb:x")),
            "not a stream's ARN",
        ),
        (
            with(|r| r["eventName"] = json!("EXPIRE")),
            "`eventName` of the stream record is `EXPIRE`",
        ),
        (
            with(|r| r["dynamodb"]["Keys"] = Value::Null),
            "has no `dynamodb.Keys`",
        ),
        (
            with(|r| r["dynamodb"]["SequenceNumber"] = json!(5)),
            "`dynamodb.SequenceNumber` of the stream record is a number",
        ),
        (
            with(|r| r["dynamodb"]["NewImage"] = json!({"a": "b"})),
            "`dynamodb.NewImage` of the stream record is not an item",
        ),
        (
            json!({"Records": [{"eventSource": "aws:kinesis", "kinesis": {}}]}),
            "`aws:kinesis`",
        ),
        (
            json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]}),
            "has no `s3.object.key`",
        ),
        (
            stream_on_failure(),
            "shard shardId-00000001573689847184-864758bb, sequence numbers 800000000003126276362",
        ),
        (
            json!({"millrace": "parked/2", "event": {}}),
            "`parked/1`, not `parked/2`",
        ),
    ];
    for (event, said) in cases {
        let batch = open(&event).unwrap();
        let failure = batch.messages[0].records.as_ref().unwrap_err();
        assert!(failure.message().contains(said), "{}", failure.message());
        assert!(!failure.is_transient());
    }
}

#[test]
fn envelopes_do_not_nest_for_ever() {
    let mut event = s3_event();
    for _ in 0..40 {
        event = on_failure(event);
    }
    let batch = open(&event).unwrap();
    let failure = batch.messages[0].records.as_ref().unwrap_err();
    assert_eq!(failure.reason(), reason::UNKNOWN_ENVELOPE);
}

#[test]
fn what_is_no_event_is_an_error() {
    for bytes in ["null", "17", "\"text\"", "{\"Records\": 3}", "{", ""] {
        assert!(open_slice(bytes.as_bytes()).is_err(), "{bytes}");
    }
    assert_eq!(open_slice(b"{").unwrap_err().reason(), reason::NOT_JSON);
}

#[test]
fn the_shapes_of_the_lambda_event_types_are_read() {
    use aws_lambda_events::event::{dynamodb, s3::S3Event, sns::SnsEvent, sqs::SqsEvent};

    // The crate's types are a second description of the same shapes: what they write must be opened.
    let s3: S3Event = serde_json::from_value(s3_event()).unwrap();
    let s3 = serde_json::to_value(s3).unwrap();
    assert_eq!(only_record(&s3).id, S3_ID);
    let sqs: SqsEvent = serde_json::from_value(in_sqs(s3)).unwrap();
    let sqs = serde_json::to_value(sqs).unwrap();
    assert_eq!(only_record(&sqs).id, S3_ID);
    assert_eq!(open(&sqs).unwrap().messages[0].attempt, 3);
    let sns: SnsEvent = serde_json::from_value(in_sns(s3_event())).unwrap();
    assert_eq!(only_record(&serde_json::to_value(sns).unwrap()).id, S3_ID);
    let event = json!({"Records": [stream_record("INSERT", "12")]});
    let rows: dynamodb::Event = serde_json::from_value(event.clone()).unwrap();
    let rows = serde_json::to_value(rows).unwrap();
    assert_eq!(only_record(&rows).id, only_record(&event).id);
}
