//! From a letter to the event that its worker is to be handed.
//!
//! All kinds of letters but one carry their event, and the workers' own decoder opens them as they lie. A
//! [`Kind::StreamPlace`] tells where its records are: they are fetched from the stream.

use std::collections::VecDeque;

use millrace_cloud::{StreamRange, StreamReader};
use millrace_events::{Failure, reason};
use millrace_local::names::queue_arn;
use serde_json::{Value, json};

use crate::letters::{Kind, Letter, failed_event};

/// SQS takes 1 MiB a message, attributes included.
const LARGEST_BODY: usize = 1024 * 1024 - 16 * 1024;

/// A letter's event, in one piece or in several.
#[derive(Debug)]
pub enum Resolved {
    /// A message for the worker's queue, byte for byte.
    Message(Option<String>),
    /// Records as Lambda handed them over.
    Records(Option<Value>),
    /// The same, page by page from the stream.
    Stream(Box<StreamReader>),
}

/// Finds the event of a letter.
///
/// # Errors
/// `event-not-carried`, permanent, if a stream's batch is described in a way that leads nowhere.
pub fn resolve(
    letter: &Letter,
    streams: &aws_sdk_dynamodbstreams::Client,
) -> Result<Resolved, Failure> {
    match letter.kind {
        Kind::Parked | Kind::Redriven => Ok(Resolved::Message(Some(letter.body.clone()))),
        Kind::Async => {
            // What came through a notification or EventBridge is taken out of it: the worker wants the event.
            let event = failed_event(&letter.body).and_then(|record| carried(&record));
            let body = event.map_or_else(
                || letter.body.clone(),
                |event| match event {
                    Value::String(text) => text,
                    other => other.to_string(),
                },
            );
            Ok(Resolved::Message(Some(body)))
        }
        Kind::StreamBatch => {
            let record = failed_event(&letter.body);
            let payload = record.and_then(|record| record.get("payload").cloned());
            let payload = match payload {
                Some(Value::String(text)) => serde_json::from_str(&text).ok(),
                other => other,
            };
            let payload = payload.ok_or_else(|| nowhere("has no payload that is JSON"))?;
            Ok(Resolved::Records(Some(payload)))
        }
        Kind::StreamPlace => {
            let range = range_of(letter)?;
            let reader = StreamReader::new(streams.clone(), range);
            Ok(Resolved::Stream(Box::new(reader)))
        }
    }
}

fn carried(record: &Value) -> Option<Value> {
    record.get("requestPayload").cloned()
}

fn range_of(letter: &Letter) -> Result<StreamRange, Failure> {
    let record = failed_event(&letter.body).unwrap_or_default();
    let Some(info) = record.get("DDBStreamBatchInfo") else {
        return Err(nowhere(
            "is not of a DynamoDB stream; other streams are not read here",
        ));
    };
    let said = |name: &str| {
        let text = info.get(name).and_then(Value::as_str);
        text.map(str::to_owned)
            .ok_or_else(|| nowhere(&format!("has no `DDBStreamBatchInfo.{name}`")))
    };
    Ok(StreamRange {
        stream_arn: said("streamArn")?,
        shard_id: said("shardId")?,
        first: said("startSequenceNumber")?,
        last: said("endSequenceNumber")?,
    })
}

fn nowhere(what: &str) -> Failure {
    Failure::permanent(
        reason::EVENT_NOT_CARRIED,
        format!("the on-failure record {what}"),
    )
}

impl Resolved {
    /// The next event as Lambda would hand it to the letter's worker; `None` when there are no more.
    ///
    /// # Errors
    /// As [`StreamReader::page`].
    pub async fn next_event(&mut self, letter: &Letter) -> Result<Option<Value>, Failure> {
        match self {
            Self::Message(body) => Ok(body.take().map(|body| as_message(letter, &body))),
            Self::Records(event) => Ok(event.take()),
            Self::Stream(reader) => reader.page().await,
        }
    }

    /// The next bodies to send to the worker's queue; none when there are no more.
    ///
    /// # Errors
    /// As [`StreamReader::page`]; `parked-too-large`, permanent, for a record that no message can hold.
    pub async fn next_bodies(&mut self) -> Result<VecDeque<String>, Failure> {
        let event = match self {
            Self::Message(body) => return Ok(body.take().into_iter().collect()),
            Self::Records(event) => event.take(),
            Self::Stream(reader) => reader.page().await?,
        };
        event.map_or_else(|| Ok(VecDeque::new()), |event| in_messages(&event))
    }
}

/// A body as the message of the worker's queue that Lambda would hand over. It has no receipt: nobody is to change
/// the visibility of a message that is not there.
fn as_message(letter: &Letter, body: &str) -> Value {
    let mut attributes = json!({
        "ApproximateReceiveCount": "1",
        "SentTimestamp": (letter.last.unix_timestamp_nanos() / 1_000_000).to_string(),
    });
    if let Some(trace) = &letter.trace_id {
        attributes["AWSTraceHeader"] = format!("Root={trace}").into();
    }
    json!({"Records": [{
        "messageId": letter.id.to_string(),
        "body": body,
        "attributes": attributes,
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn(&format!("millrace-{}", letter.worker)),
    }]})
}

/// Records of a stream in as few messages as hold them.
fn in_messages(event: &Value) -> Result<VecDeque<String>, Failure> {
    let Some(records) = event.get("Records").and_then(Value::as_array) else {
        return Ok(VecDeque::from([fitting(event.to_string())?]));
    };
    let mut bodies = VecDeque::new();
    let mut texts: Vec<String> = Vec::new();
    let mut bytes = 0;
    let close = |texts: &mut Vec<String>| {
        let body = format!("{{\"Records\":[{}]}}", texts.join(","));
        texts.clear();
        fitting(body)
    };
    for record in records {
        let text = record.to_string();
        if !texts.is_empty() && bytes + text.len() + 32 > LARGEST_BODY {
            bodies.push_back(close(&mut texts)?);
            bytes = 0;
        }
        bytes += text.len() + 1;
        texts.push(text);
    }
    if !texts.is_empty() {
        bodies.push_back(close(&mut texts)?);
    }
    Ok(bodies)
}

fn fitting(body: String) -> Result<String, Failure> {
    if body.len() <= LARGEST_BODY {
        return Ok(body);
    }
    Err(Failure::permanent(
        reason::PARKED_TOO_LARGE,
        format!(
            "the record has {} bytes and a message takes {LARGEST_BODY}: replay it with --via handler",
            body.len()
        ),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_batch_is_cut_into_messages_that_a_queue_takes_and_nothing_is_lost() {
        let record = |number: usize| json!({"n": number, "fill": "x".repeat(300 * 1024)});
        let records: Vec<Value> = (0..7).map(record).collect();
        let bodies = in_messages(&json!({ "Records": records })).unwrap();
        assert_eq!(bodies.len(), 3);
        let mut found = Vec::new();
        for body in bodies {
            assert!(body.len() <= LARGEST_BODY);
            let event: Value = serde_json::from_str(&body).unwrap();
            found.extend(event["Records"].as_array().unwrap().clone());
        }
        assert_eq!(found, records);
    }

    #[test]
    fn a_record_that_no_message_holds_is_refused_with_what_to_do() {
        let wide = json!({"Records": [{"fill": "x".repeat(LARGEST_BODY)}]});
        let failure = in_messages(&wide).unwrap_err();
        assert!(!failure.is_transient());
        assert_eq!(failure.reason(), reason::PARKED_TOO_LARGE);
        assert!(failure.message().contains("--via handler"));
    }
}
