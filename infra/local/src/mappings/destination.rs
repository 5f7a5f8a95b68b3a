//! What an on-failure destination is told about a discarded batch.
//!
//! The form is that of <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>.
//! Queues and topics get the place of the batch in the stream; a bucket gets the event itself as well.

use async_trait::async_trait;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::batch::{Condition, Entry};
use crate::dynamo::SHARD;
use crate::services::Services;
use crate::sns::Publication;
use crate::sqs::OutgoingMessage;
use crate::template::Destination;

/// Where discarded batches are described.
#[async_trait]
pub(crate) trait Destinations: Send + Sync {
    /// Delivers a description. An error leaves the batch where it is: it is tried again.
    async fn deliver(&self, destination: &Destination, discarded: &Discarded)
    -> Result<(), String>;
}

/// A batch that was given up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Discarded {
    /// The record for queues and topics.
    pub(crate) record: Value,
    /// The event that the function was, or would have been, invoked with.
    pub(crate) payload: Value,
    /// When it was given up.
    pub(crate) at: OffsetDateTime,
    /// The mapping, as part of an object's key.
    pub(crate) mapping: String,
}

/// How the last invocation of a discarded batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastInvocation {
    /// There was none: the records were too old already.
    Never,
    /// The function failed.
    FunctionError,
    /// The function answered, and named records that failed.
    ReportedFailures,
}

/// What a description is made of.
pub(super) struct Facts<'a> {
    pub(super) mapping: &'a str,
    pub(super) function_arn: &'a str,
    pub(super) stream_arn: &'a str,
    pub(super) request_id: &'a str,
    pub(super) condition: Condition,
    pub(super) invocations: u32,
    pub(super) last: LastInvocation,
    pub(super) entries: &'a [Entry],
    pub(super) now_millis: i64,
}

pub(super) fn describe(facts: &Facts<'_>) -> Discarded {
    let at = moment(facts.now_millis);
    let (first, last) = (facts.entries.first(), facts.entries.last());
    let sequence = |entry: Option<&Entry>| entry.map(|entry| entry.sequence.clone());
    let arrival = |entry: Option<&Entry>| entry.map(|entry| seconds(moment(entry.written_millis)));
    let mut record = json!({
        "requestContext": {
            "requestId": facts.request_id,
            "functionArn": facts.function_arn,
            "condition": facts.condition.word(),
            "approximateInvokeCount": facts.invocations,
        },
        "version": "1.0",
        "timestamp": milliseconds(at),
        "DDBStreamBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": sequence(first),
            "endSequenceNumber": sequence(last),
            "approximateArrivalOfFirstRecord": arrival(first),
            "approximateArrivalOfLastRecord": arrival(last),
            "batchSize": facts.entries.len(),
            "streamArn": facts.stream_arn,
        },
    });
    let function_error = match facts.last {
        LastInvocation::Never => None,
        LastInvocation::FunctionError => Some(json!("Unhandled")),
        LastInvocation::ReportedFailures => Some(Value::Null),
    };
    if let Some(function_error) = function_error {
        record["responseContext"] = json!({
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": function_error,
        });
    }
    let records: Vec<&Value> = facts.entries.iter().map(|entry| &entry.record).collect();
    Discarded {
        record,
        payload: json!({ "Records": records }),
        at,
        mapping: facts.mapping.to_owned(),
    }
}

fn moment(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn milliseconds(at: OffsetDateTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.format(form).unwrap_or_default()
}

fn seconds(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    at.format(form).unwrap_or_default()
}

/// The key under which a bucket gets a discarded batch, as Lambda names it.
fn object_key(discarded: &Discarded) -> String {
    let form =
        format_description!("[year]/[month]/[day]/[year]-[month]-[day]T[hour].[minute].[second]");
    let time = discarded.at.format(form).unwrap_or_default();
    // The mapping's name takes the place of the mapping's UUID; it must not add a folder.
    let mapping = discarded.mapping.replace('/', "-");
    format!(
        "aws/lambda/{mapping}/{SHARD}/{time}-{}",
        uuid::Uuid::new_v4()
    )
}

/// The destinations of the embedded cloud.
pub(crate) struct ServiceDestinations {
    services: Services,
    objects: aws_sdk_s3::Client,
}

impl ServiceDestinations {
    pub(crate) fn new(services: &Services) -> Self {
        let configuration = aws_sdk_s3::config::Builder::from(&crate::sdk_config(services))
            .force_path_style(true)
            .build();
        Self {
            services: services.clone(),
            objects: aws_sdk_s3::Client::from_conf(configuration),
        }
    }
}

#[async_trait]
impl Destinations for ServiceDestinations {
    async fn deliver(
        &self,
        destination: &Destination,
        discarded: &Discarded,
    ) -> Result<(), String> {
        match destination {
            Destination::Queue(queue) => {
                let message = OutgoingMessage::new(discarded.record.to_string());
                let sent = self.services.queues.send(queue, message).await;
                sent.map(drop).map_err(|error| error.to_string())
            }
            Destination::Topic(arn) => {
                let topic = crate::names::topic_of_arn(arn).unwrap_or(arn);
                let publication = Publication::new(discarded.record.to_string());
                let published = self.services.topics.publish(topic, publication).await;
                published.map(drop).map_err(|error| error.to_string())
            }
            Destination::Bucket(bucket) => {
                let mut body = discarded.record.clone();
                body["payload"] = discarded.payload.to_string().into();
                let put = self
                    .objects
                    .put_object()
                    .bucket(bucket)
                    .key(object_key(discarded));
                let put = put.body(body.to_string().into_bytes().into()).send().await;
                put.map(drop).map_err(|error| format!("{error:?}"))
            }
        }
    }
}
