//! A range of a table's stream, read by hand and put into the form in which Lambda hands it over.
//!
//! Lambda's on-failure record of a stream tells where the batch lies and not what is in it; this is how it is
//! fetched while the stream still has it: 24 hours.
//! Form: <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::{
    Client,
    types::{AttributeValue, Record, ShardIteratorType, StreamRecord},
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::{base64, error::metadata::ProvideErrorMetadata};
use millrace_events::{Failure, reason};
use serde_json::{Map, Value, json};

use crate::classify;

/// An open shard answers with empty pages now and then; so many in a row mean that the end will not come.
const EMPTY_PAGES: u32 = 100;

/// Where records lie in a stream; both ends belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRange {
    /// The stream.
    pub stream_arn: String,
    /// The shard within it.
    pub shard_id: String,
    /// The sequence number of the first record.
    pub first: String,
    /// The sequence number of the last record.
    pub last: String,
}

/// Reads a range page by page: between its ends lie records of other lanes too, any number of them.
#[derive(Debug)]
pub struct StreamReader {
    client: Client,
    range: StreamRange,
    next: Next,
    found: bool,
}

#[derive(Debug)]
enum Next {
    Begin,
    Page(String),
    Ended,
}

impl StreamReader {
    /// A reader at the range's beginning.
    pub fn new(client: Client, range: StreamRange) -> Self {
        Self {
            client,
            range,
            next: Next::Begin,
            found: false,
        }
    }

    /// The next records as an event of Lambda, `{"Records": […]}`; `None` behind the range's end. A page has at
    /// most 1,000 records and about 1 MB.
    ///
    /// # Errors
    /// `event-not-carried`, permanent, if the stream does not have the range any more. Else as [`classify`] says.
    pub async fn page(&mut self) -> Result<Option<Value>, Failure> {
        for _ in 0..EMPTY_PAGES {
            let iterator = match std::mem::replace(&mut self.next, Next::Ended) {
                Next::Ended if self.found => return Ok(None),
                // A range always held records when it was written down.
                Next::Ended => return Err(self.gone()),
                Next::Page(iterator) => iterator,
                Next::Begin => self.begin().await?,
            };
            let answer = self.client.get_records().shard_iterator(&iterator).send();
            let answer = match answer.await {
                Ok(answer) => answer,
                Err(error) => {
                    // A page that failed can be asked for again.
                    self.next = Next::Page(iterator);
                    return Err(self.refused("read the stream", error));
                }
            };
            let records = self.within(answer.records.unwrap_or_default());
            let reached = records
                .last()
                .is_some_and(|last| !is_before(sequence_number(last), &self.range.last));
            match answer.next_shard_iterator {
                Some(iterator) if !reached => self.next = Next::Page(iterator),
                _ => {}
            }
            let ours: Vec<Value> = records
                .iter()
                .filter(|record| !is_before(&self.range.last, sequence_number(record)))
                .map(|record| lambda_record(record, &self.range.stream_arn))
                .collect();
            if !ours.is_empty() {
                self.found = true;
                return Ok(Some(json!({ "Records": ours })));
            }
        }
        Err(Failure::transient(
            reason::SERVICE_UNAVAILABLE,
            format!(
                "the shard {} gave no record in {EMPTY_PAGES} answers, and its range ends at {} only",
                self.range.shard_id, self.range.last
            ),
        ))
    }

    /// Records from the range's beginning on: a stand-in may answer with earlier ones.
    fn within(&self, mut records: Vec<Record>) -> Vec<Record> {
        records.retain(|record| !is_before(sequence_number(record), &self.range.first));
        records
    }

    async fn begin(&mut self) -> Result<String, Failure> {
        let asked = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.range.stream_arn)
            .shard_id(&self.range.shard_id)
            .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
            .sequence_number(&self.range.first);
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.next = Next::Begin;
                return Err(self.refused("find the batch in the stream", error));
            }
        };
        answer.shard_iterator.ok_or_else(|| self.gone())
    }

    fn refused<E, R>(&self, attempted: &str, error: SdkError<E, R>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        // A stream or a shard that is gone took its records along: waiting brings nothing back.
        if matches!(
            code,
            "TrimmedDataAccessException" | "ResourceNotFoundException"
        ) {
            return self.gone().caused_by(classify(attempted, error));
        }
        classify(attempted, error)
    }

    fn gone(&self) -> Failure {
        let StreamRange {
            stream_arn,
            shard_id,
            first,
            last,
        } = &self.range;
        Failure::permanent(
            reason::EVENT_NOT_CARRIED,
            format!(
                "the stream {stream_arn} does not have the sequence numbers {first} to {last} of shard {shard_id} any more: \
                 it keeps records for 24 hours. Write the rows that changed then once more as they are now with one \
                 attribute altered, so that the stream tells of them again, and drop this letter"
            ),
        )
    }
}

fn sequence_number(record: &Record) -> &str {
    let change = record.dynamodb.as_ref();
    change
        .and_then(StreamRecord::sequence_number)
        .unwrap_or_default()
}

/// Sequence numbers are decimal numbers of varying length.
fn is_before(one: &str, other: &str) -> bool {
    let digits = |number: &str| number.trim_start_matches('0').len();
    (digits(one), one.trim_start_matches('0')) < (digits(other), other.trim_start_matches('0'))
}

/// A record of the Streams API as Lambda writes it.
fn lambda_record(record: &Record, stream_arn: &str) -> Value {
    let mut written = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            written.insert(name.to_owned(), value);
        }
    };
    put("eventID", record.event_id().map(Value::from));
    put(
        "eventName",
        record.event_name().map(|name| name.as_str().into()),
    );
    put("eventVersion", record.event_version().map(Value::from));
    put("eventSource", record.event_source().map(Value::from));
    put("awsRegion", record.aws_region().map(Value::from));
    put("dynamodb", record.dynamodb().map(change));
    put("eventSourceARN", Some(stream_arn.into()));
    put(
        "userIdentity",
        record
            .user_identity()
            .map(|who| json!({"type": who.r#type(), "principalId": who.principal_id()})),
    );
    Value::Object(written)
}

fn change(change: &StreamRecord) -> Value {
    let mut written = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            written.insert(name.to_owned(), value);
        }
    };
    put(
        "ApproximateCreationDateTime",
        change.approximate_creation_date_time().map(|time| {
            if time.subsec_nanos() == 0 {
                Value::from(time.secs())
            } else {
                Value::from(time.as_secs_f64())
            }
        }),
    );
    put("Keys", change.keys().map(item));
    put("NewImage", change.new_image().map(item));
    put("OldImage", change.old_image().map(item));
    put("SequenceNumber", change.sequence_number().map(Value::from));
    put("SizeBytes", change.size_bytes().map(Value::from));
    put(
        "StreamViewType",
        change.stream_view_type().map(|kind| kind.as_str().into()),
    );
    Value::Object(written)
}

fn item(item: &HashMap<String, AttributeValue>) -> Value {
    let written = item
        .iter()
        .map(|(name, value)| (name.clone(), attribute(value)));
    Value::Object(written.collect())
}

fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": base64::encode(bytes) }),
        AttributeValue::Bool(yes) => json!({ "BOOL": yes }),
        AttributeValue::Null(yes) => json!({ "NULL": yes }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(all) => {
            json!({ "BS": all.iter().map(base64::encode).collect::<Vec<_>>() })
        }
        AttributeValue::L(values) => {
            json!({ "L": values.iter().map(attribute).collect::<Vec<_>>() })
        }
        AttributeValue::M(values) => json!({ "M": item(values) }),
        // A type that DynamoDB may get one day: the decoder will say that it does not know it.
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use aws_sdk_dynamodbstreams::types::{Identity, OperationType, StreamViewType};
    use aws_smithy_types::{Blob, DateTime};

    use super::*;

    #[test]
    fn sequence_numbers_compare_as_numbers() {
        assert!(is_before("9", "10"));
        assert!(is_before("0009", "10"));
        assert!(!is_before("10", "10"));
        assert!(!is_before("010", "10"));
        assert!(is_before(
            "100000000000000000000",
            "4421584500000000017450439091"
        ));
    }

    #[test]
    fn a_record_has_the_form_that_lambda_hands_over() {
        let every_kind = [
            ("s", AttributeValue::S("text".to_owned())),
            ("n", AttributeValue::N("3.5".to_owned())),
            ("b", AttributeValue::B(Blob::new([1, 2, 255]))),
            ("bool", AttributeValue::Bool(true)),
            ("null", AttributeValue::Null(true)),
            ("ss", AttributeValue::Ss(vec!["a".to_owned()])),
            ("ns", AttributeValue::Ns(vec!["1".to_owned()])),
            ("bs", AttributeValue::Bs(vec![Blob::new([0])])),
            (
                "l",
                AttributeValue::L(vec![AttributeValue::N("1".to_owned())]),
            ),
            (
                "m",
                AttributeValue::M(HashMap::from([(
                    "in".to_owned(),
                    AttributeValue::S("x".to_owned()),
                )])),
            ),
        ];
        let image = every_kind.map(|(name, value)| (name.to_owned(), value));
        let change = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_795_233_600))
            .set_keys(Some(HashMap::from([(
                "id".to_owned(),
                AttributeValue::S("1".to_owned()),
            )])))
            .set_new_image(Some(HashMap::from(image)))
            .sequence_number("100000000000000000001")
            .size_bytes(26)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build();
        let record = Record::builder()
            .event_id("e-1")
            .event_name(OperationType::Remove)
            .event_version("1.1")
            .event_source("aws:dynamodb")
            .aws_region("us-east-1")
            .dynamodb(change)
            .user_identity(
                Identity::builder()
                    .r#type("Service")
                    .principal_id("dynamodb.amazonaws.com")
                    .build(),
            )
            .build();
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/1.5";
        let written = lambda_record(&record, arn);
        assert_eq!(
            written,
            json!({
                "eventID": "e-1",
                "eventName": "REMOVE",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_795_233_600,
                    "Keys": {"id": {"S": "1"}},
                    "NewImage": {
                        "s": {"S": "text"}, "n": {"N": "3.5"}, "b": {"B": "AQL/"}, "bool": {"BOOL": true},
                        "null": {"NULL": true}, "ss": {"SS": ["a"]}, "ns": {"NS": ["1"]}, "bs": {"BS": ["AA=="]},
                        "l": {"L": [{"N": "1"}]}, "m": {"M": {"in": {"S": "x"}}},
                    },
                    "SequenceNumber": "100000000000000000001",
                    "SizeBytes": 26,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": arn,
                "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
            })
        );
        // What is written is what the envelopes read.
        let opened = millrace_events::open(&json!({ "Records": [written] })).unwrap();
        let records = opened.messages[0].records.as_ref().unwrap();
        assert_eq!(records[0].subject, "t/id=1");
    }
}
