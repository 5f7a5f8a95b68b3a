//! What Lambda sends to an on-failure destination.
//!
//! Asynchronous invocations carry the event as `requestPayload`. Those of a stream's event source
//! mapping tell only where in the stream the batch lies, except in an S3 destination, which holds the
//! whole batch as `payload`.
//! Shapes: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>.

use serde_json::Value;

use super::optional_text;
use crate::{Failure, reason};

const BATCH_INFO: [&str; 2] = ["DDBStreamBatchInfo", "KinesisBatchInfo"];

pub(super) fn is_on_failure(value: &Value) -> bool {
    value.get("requestContext").is_some()
        && (value.get("requestPayload").is_some() || batch_info(value).is_some())
}

fn batch_info(value: &Value) -> Option<&Value> {
    BATCH_INFO.iter().find_map(|name| value.get(name))
}

/// The event that failed: an object, or text with JSON in it.
pub(super) fn payload(value: &Value) -> Result<&Value, Failure> {
    let carried = value.get("requestPayload").or_else(|| value.get("payload"));
    if let Some(payload) = carried {
        return Ok(payload);
    }
    let info = batch_info(value).unwrap_or(&Value::Null);
    let said = |pointer| optional_text(info, pointer).unwrap_or("?");
    Err(Failure::permanent(
        reason::EVENT_NOT_CARRIED,
        format!(
            "the on-failure record tells where its batch lies but does not carry it: read stream {}, shard {}, \
             sequence numbers {} to {}, or use an S3 destination",
            said("/streamArn"),
            said("/shardId"),
            said("/startSequenceNumber"),
            said("/endSequenceNumber"),
        ),
    ))
}
