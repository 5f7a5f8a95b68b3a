//! The JSON protocol of SQS: `x-amz-target: AmazonSQS.<operation>`.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::attributes::{self, AttributeMap, QueueSettings};
use super::message::{self, Message, MessageAttributes, OutgoingMessage, Sent};
use super::{Queues, ReceiveOptions, moves, queue};
use crate::error::ServiceError;
use crate::names;
use crate::store::Write;

/// The most entries that a batch may have.
const LARGEST_BATCH: usize = 10;

/// The most that the bodies of a batch may have together: 1 MiB.
const LARGEST_BATCH_BYTES: usize = 1_048_576;

/// The name that the older protocol has for an error code. Clients read it
/// from the header `x-amzn-query-error`, and some look at nothing else.
pub(crate) fn query_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "EmptyBatchRequest"
        | "TooManyEntriesInBatchRequest"
        | "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "InvalidBatchEntryId"
        | "MessageNotInflight"
        | "PurgeQueueInProgress"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{code}"),
        other => other.to_owned(),
    }
}

/// Answers one request.
pub(crate) async fn handle(
    queues: &Queues,
    operation: &str,
    body: &[u8],
) -> Result<Value, ServiceError> {
    if operation == "ReceiveMessage" {
        return receive_message(queues, parse(body)?).await;
    }
    let operation = operation.to_owned();
    let request: Value = parse(body)?;
    let work = move |write: &mut Write<'_>| dispatch(write, &operation, request);
    queues.store.write_blocking(work).await
}

fn dispatch(write: &mut Write<'_>, operation: &str, request: Value) -> Result<Value, ServiceError> {
    match operation {
        "CreateQueue" => create_queue(write, from(request)?),
        "DeleteQueue" => delete_queue(write, from(request)?),
        "GetQueueUrl" => get_queue_url(write, from(request)?),
        "ListQueues" => list_queues(write, from(request)?),
        "GetQueueAttributes" => get_queue_attributes(write, from(request)?),
        "SetQueueAttributes" => set_queue_attributes(write, from(request)?),
        "PurgeQueue" => purge_queue(write, from(request)?),
        "TagQueue" => tag_queue(write, from(request)?),
        "UntagQueue" => untag_queue(write, from(request)?),
        "ListQueueTags" => list_queue_tags(write, from(request)?),
        "SendMessage" => send_message(write, from(request)?),
        "SendMessageBatch" => send_message_batch(write, from(request)?),
        "DeleteMessage" => delete_message(write, from(request)?),
        "DeleteMessageBatch" => delete_message_batch(write, from(request)?),
        "ChangeMessageVisibility" => change_message_visibility(write, from(request)?),
        "ChangeMessageVisibilityBatch" => change_message_visibility_batch(write, from(request)?),
        "StartMessageMoveTask" => start_message_move_task(write, from(request)?),
        "ListMessageMoveTasks" => list_message_move_tasks(write, from(request)?),
        "ListDeadLetterSourceQueues" => list_dead_letter_source_queues(write, from(request)?),
        unknown => Err(ServiceError::client(
            "UnsupportedOperation",
            format!("the embedded SQS has no operation {unknown}"),
        )),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(not_a_request)
}

fn from<T: DeserializeOwned>(request: Value) -> Result<T, ServiceError> {
    serde_json::from_value(request).map_err(not_a_request)
}

fn not_a_request(error: serde_json::Error) -> ServiceError {
    let message = error.to_string();
    if message.starts_with("missing field") {
        return ServiceError::client(
            "MissingParameter",
            format!("The request must contain all of its parameters: {message}"),
        );
    }
    ServiceError::client(
        "InvalidParameterValue",
        format!("could not read the request: {message}"),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct QueueRequest {
    queue_url: String,
}

impl QueueRequest {
    fn queue(&self) -> &str {
        names::queue_of_url(&self.queue_url)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: AttributeMap,
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

fn create_queue(write: &mut Write<'_>, request: CreateQueue) -> Result<Value, ServiceError> {
    let name = &request.queue_name;
    attributes::check_name(name)?;
    QueueSettings::parse(name, &request.attributes)?;
    if queue::exists(&write.transaction, name)? {
        let present =
            attributes::with_defaults(name, &queue::attributes(&write.transaction, name)?);
        let differs =
            |(attribute, value): (&String, &String)| present.get(attribute) != Some(value);
        if request.attributes.iter().any(differs) {
            return Err(ServiceError::client(
                "QueueNameExists",
                "A queue already exists with the same name and a different value for attributes",
            ));
        }
    } else {
        write.transaction.execute(
            "INSERT INTO queue (name, attributes, tags, created, modified) VALUES (?1, ?2, ?3, ?4, ?4)",
            params![
                name,
                serde_json::to_string(&request.attributes)?,
                serde_json::to_string(&request.tags)?,
                write.now
            ],
        )?;
        write.touch(name);
    }
    Ok(json!({ "QueueUrl": names::queue_url(name) }))
}

fn delete_queue(write: &mut Write<'_>, request: QueueRequest) -> Result<Value, ServiceError> {
    let queue = request.queue();
    queue::attributes(&write.transaction, queue)?;
    for statement in [
        "DELETE FROM message WHERE queue = ?",
        "DELETE FROM deduplication WHERE queue = ?",
        "DELETE FROM queue WHERE name = ?",
    ] {
        write.transaction.execute(statement, [queue])?;
    }
    write.touch(queue);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: String,
}

fn get_queue_url(write: &mut Write<'_>, request: GetQueueUrl) -> Result<Value, ServiceError> {
    queue::attributes(&write.transaction, &request.queue_name)?;
    Ok(json!({ "QueueUrl": names::queue_url(&request.queue_name) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn list_queues(write: &mut Write<'_>, request: ListQueues) -> Result<Value, ServiceError> {
    let after = request.next_token.unwrap_or_default();
    let limit = request.max_results.unwrap_or(1_000).clamp(1, 1_000);
    let mut names = queue_names(&write.transaction)?;
    names.retain(|name| name.starts_with(&request.queue_name_prefix) && *name > after);
    let is_truncated = names.len() > limit;
    names.truncate(limit);
    let urls: Vec<String> = names.iter().map(|name| names::queue_url(name)).collect();
    let mut answer = json!({ "QueueUrls": urls });
    // A token only for those who asked for pages, as SQS does.
    if is_truncated && request.max_results.is_some() {
        answer["NextToken"] = names.pop().into();
    }
    Ok(answer)
}

/// The names of all queues, sorted.
pub(crate) fn queue_names(connection: &Connection) -> Result<Vec<String>, ServiceError> {
    let mut statement = connection.prepare_cached("SELECT name FROM queue ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

fn get_queue_attributes(
    write: &mut Write<'_>,
    request: GetQueueAttributes,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    let mut shown =
        attributes::with_defaults(queue, &queue::attributes(&write.transaction, queue)?);
    let counts = queue::counts(&write.transaction, queue, write.now)?;
    let (created, modified): (i64, i64) = write.transaction.query_row(
        "SELECT created, modified FROM queue WHERE name = ?",
        [queue],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (name, value) in [
        ("QueueArn", names::queue_arn(queue)),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        (
            "ApproximateNumberOfMessagesNotVisible",
            counts.in_flight.to_string(),
        ),
        (
            "ApproximateNumberOfMessagesDelayed",
            counts.delayed.to_string(),
        ),
        ("CreatedTimestamp", (created / 1_000).to_string()),
        ("LastModifiedTimestamp", (modified / 1_000).to_string()),
    ] {
        shown.insert(name.to_owned(), value);
    }
    let wanted = &request.attribute_names;
    if !wanted.iter().any(|name| name == "All") {
        shown.retain(|name, _| wanted.contains(name));
    }
    Ok(json!({ "Attributes": shown }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetQueueAttributes {
    queue_url: String,
    attributes: AttributeMap,
}

fn set_queue_attributes(
    write: &mut Write<'_>,
    request: SetQueueAttributes,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    let mut present = queue::attributes(&write.transaction, queue)?;
    present.extend(request.attributes);
    // An empty policy takes the policy away.
    present.retain(|name, value| !(value.is_empty() && name.ends_with("Policy")));
    QueueSettings::parse(queue, &present)?;
    write.transaction.execute(
        "UPDATE queue SET attributes = ?, modified = ? WHERE name = ?",
        params![serde_json::to_string(&present)?, write.now, queue],
    )?;
    write.touch(queue);
    Ok(json!({}))
}

fn purge_queue(write: &mut Write<'_>, request: QueueRequest) -> Result<Value, ServiceError> {
    let queue = request.queue();
    queue::attributes(&write.transaction, queue)?;
    write
        .transaction
        .execute("DELETE FROM message WHERE queue = ?", [queue])?;
    write.touch(queue);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagQueue {
    queue_url: String,
    tags: BTreeMap<String, String>,
}

fn tag_queue(write: &mut Write<'_>, request: TagQueue) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    let mut tags = tags(write, queue)?;
    tags.extend(request.tags);
    store_tags(write, queue, &tags)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UntagQueue {
    queue_url: String,
    tag_keys: Vec<String>,
}

fn untag_queue(write: &mut Write<'_>, request: UntagQueue) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    let mut tags = tags(write, queue)?;
    tags.retain(|key, _| !request.tag_keys.contains(key));
    store_tags(write, queue, &tags)
}

fn list_queue_tags(write: &mut Write<'_>, request: QueueRequest) -> Result<Value, ServiceError> {
    Ok(json!({ "Tags": tags(write, request.queue())? }))
}

fn tags(write: &Write<'_>, queue: &str) -> Result<BTreeMap<String, String>, ServiceError> {
    queue::attributes(&write.transaction, queue)?;
    let stored: String =
        write
            .transaction
            .query_row("SELECT tags FROM queue WHERE name = ?", [queue], |row| {
                row.get(0)
            })?;
    Ok(serde_json::from_str(&stored)?)
}

fn store_tags(
    write: &Write<'_>,
    queue: &str,
    tags: &BTreeMap<String, String>,
) -> Result<Value, ServiceError> {
    write.transaction.execute(
        "UPDATE queue SET tags = ? WHERE name = ?",
        params![serde_json::to_string(tags)?, queue],
    )?;
    Ok(json!({}))
}

/// The message of a request or of a batch's entry.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MessageFields {
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: MessageAttributes,
    #[serde(default)]
    message_system_attributes: MessageAttributes,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

impl From<MessageFields> for OutgoingMessage {
    fn from(fields: MessageFields) -> Self {
        Self {
            body: fields.message_body,
            attributes: fields.message_attributes,
            system_attributes: fields.message_system_attributes,
            // Clients send a delay of zero to FIFO queues, where it means none.
            delay_seconds: fields.delay_seconds,
            group: fields.message_group_id,
            deduplication: fields.message_deduplication_id,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: MessageFields,
}

fn send_message(write: &mut Write<'_>, request: SendMessage) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    send_one(write, queue, &request.message.into())
}

fn send_one(
    write: &mut Write<'_>,
    queue: &str,
    outgoing: &OutgoingMessage,
) -> Result<Value, ServiceError> {
    let Sent {
        message_id,
        sequence_number,
    } = queue::send(write, queue, outgoing)?;
    let mut answer = json!({
        "MessageId": message_id,
        "MD5OfMessageBody": message::body_digest(&outgoing.body),
    });
    if let Some(digest) = message::attributes_digest(&outgoing.attributes) {
        answer["MD5OfMessageAttributes"] = digest.into();
    }
    if let Some(digest) = message::attributes_digest(&outgoing.system_attributes) {
        answer["MD5OfMessageSystemAttributes"] = digest.into();
    }
    if let Some(sequence_number) = sequence_number {
        answer["SequenceNumber"] = sequence_number.into();
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<T> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
struct Entry<T> {
    #[serde(rename = "Id")]
    id: String,
    #[serde(flatten)]
    fields: T,
}

/// Runs the entries of a batch one by one: one that fails does not hold up the
/// others. Every step below checks before it writes, so a failed entry leaves
/// nothing behind in the transaction.
fn each_entry<T>(
    write: &mut Write<'_>,
    batch: Batch<T>,
    mut step: impl FnMut(&mut Write<'_>, &str, T) -> Result<Value, ServiceError>,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&batch.queue_url).to_owned();
    queue::attributes(&write.transaction, &queue)?;
    check_batch(&batch)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in batch.entries {
        match step(write, &queue, entry.fields) {
            Ok(mut answer) => {
                answer["Id"] = entry.id.into();
                successful.push(answer);
            }
            Err(error) => failed.push(json!({
                "Id": entry.id,
                "Code": error.code,
                "Message": error.message,
                "SenderFault": error.status < 500,
            })),
        }
    }
    let mut answer = Map::new();
    answer.insert("Successful".to_owned(), successful.into());
    if !failed.is_empty() {
        answer.insert("Failed".to_owned(), failed.into());
    }
    Ok(answer.into())
}

fn check_batch<T>(batch: &Batch<T>) -> Result<(), ServiceError> {
    if batch.entries.is_empty() {
        return Err(ServiceError::client(
            "EmptyBatchRequest",
            "There should be at least one entry in the request.",
        ));
    }
    if batch.entries.len() > LARGEST_BATCH {
        return Err(ServiceError::client(
            "TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are {LARGEST_BATCH}. You have sent {}.",
                batch.entries.len()
            ),
        ));
    }
    for (position, entry) in batch.entries.iter().enumerate() {
        let earlier = &batch.entries[..position];
        if earlier.iter().any(|other| other.id == entry.id) {
            return Err(ServiceError::client(
                "BatchEntryIdsNotDistinct",
                format!("Id {} repeated.", entry.id),
            ));
        }
    }
    Ok(())
}

fn send_message_batch(
    write: &mut Write<'_>,
    batch: Batch<MessageFields>,
) -> Result<Value, ServiceError> {
    let bytes: usize = batch
        .entries
        .iter()
        .map(|entry| entry.fields.message_body.len())
        .sum();
    if bytes > LARGEST_BATCH_BYTES {
        return Err(ServiceError::client(
            "BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {LARGEST_BATCH_BYTES} bytes. You have sent {bytes} bytes."
            ),
        ));
    }
    each_entry(write, batch, |write, queue, fields| {
        send_one(write, queue, &fields.into())
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receipt {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

fn delete_message(write: &mut Write<'_>, request: DeleteMessage) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    queue::attributes(&write.transaction, queue)?;
    queue::delete(write, queue, &request.receipt_handle)?;
    Ok(json!({}))
}

fn delete_message_batch(
    write: &mut Write<'_>,
    batch: Batch<Receipt>,
) -> Result<Value, ServiceError> {
    each_entry(write, batch, |write, queue, fields| {
        queue::delete(write, queue, &fields.receipt_handle)?;
        Ok(json!({}))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Visibility {
    receipt_handle: String,
    #[serde(default)]
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

fn change_message_visibility(
    write: &mut Write<'_>,
    request: ChangeMessageVisibility,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    queue::attributes(&write.transaction, queue)?;
    queue::change_visibility(
        write,
        queue,
        &request.receipt_handle,
        request.visibility_timeout,
    )?;
    Ok(json!({}))
}

fn change_message_visibility_batch(
    write: &mut Write<'_>,
    batch: Batch<Visibility>,
) -> Result<Value, ServiceError> {
    each_entry(write, batch, |write, queue, fields| {
        queue::change_visibility(
            write,
            queue,
            &fields.receipt_handle,
            fields.visibility_timeout,
        )?;
        Ok(json!({}))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
}

fn start_message_move_task(
    write: &mut Write<'_>,
    request: StartMessageMoveTask,
) -> Result<Value, ServiceError> {
    let source = queue_of(&request.source_arn)?;
    let destination = request
        .destination_arn
        .as_deref()
        .map(queue_of)
        .transpose()?;
    let handle = moves::start(write, source, destination)?;
    Ok(json!({ "TaskHandle": handle }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMessageMoveTasks {
    source_arn: String,
    max_results: Option<i64>,
}

fn list_message_move_tasks(
    write: &mut Write<'_>,
    request: ListMessageMoveTasks,
) -> Result<Value, ServiceError> {
    let source = queue_of(&request.source_arn)?;
    queue::attributes(&write.transaction, source)?;
    let limit = request.max_results.unwrap_or(1).clamp(1, 10);
    let tasks = moves::list(&write.transaction, source, limit)?;
    Ok(json!({ "Results": tasks }))
}

fn list_dead_letter_source_queues(
    write: &mut Write<'_>,
    request: QueueRequest,
) -> Result<Value, ServiceError> {
    let dead_letter_queue = request.queue();
    queue::attributes(&write.transaction, dead_letter_queue)?;
    let mut urls = Vec::new();
    for name in queue_names(&write.transaction)? {
        let settings = queue::settings(&write.transaction, &name)?;
        let target = settings.redrive.map(|policy| policy.dead_letter_queue);
        if target.as_deref() == Some(dead_letter_queue) {
            urls.push(names::queue_url(&name));
        }
    }
    Ok(json!({ "queueUrls": urls }))
}

fn queue_of(arn: &str) -> Result<&str, ServiceError> {
    names::queue_of_arn(arn).ok_or_else(|| {
        ServiceError::client(
            "InvalidParameterValue",
            format!("{arn} is not the ARN of a queue."),
        )
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<u64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

async fn receive_message(queues: &Queues, request: ReceiveMessage) -> Result<Value, ServiceError> {
    let out_of_range = |name: &str| {
        ServiceError::client(
            "InvalidParameterValue",
            format!("The value for parameter {name} is out of its range."),
        )
    };
    let maximum = request.max_number_of_messages.unwrap_or(1);
    if !(1..=LARGEST_BATCH).contains(&maximum) {
        return Err(out_of_range("MaxNumberOfMessages"));
    }
    if request
        .wait_time_seconds
        .is_some_and(|seconds| seconds > 20)
    {
        return Err(out_of_range("WaitTimeSeconds"));
    }
    let visibility = request.visibility_timeout;
    if visibility.is_some_and(|seconds| !(0..=43_200).contains(&seconds)) {
        return Err(out_of_range("VisibilityTimeout"));
    }
    let options = ReceiveOptions {
        maximum,
        visibility_seconds: visibility,
        wait: request.wait_time_seconds.map(Duration::from_secs),
    };
    let queue = names::queue_of_url(&request.queue_url);
    let messages = queues.receive(queue, options).await?;
    if messages.is_empty() {
        return Ok(json!({}));
    }
    let shown: Vec<Value> = messages
        .into_iter()
        .map(|message| shown(message, &request))
        .collect();
    Ok(json!({ "Messages": shown }))
}

/// A message with the attributes that the receiver asked for.
fn shown(mut received: Message, request: &ReceiveMessage) -> Value {
    let system_names = || {
        let names = request.attribute_names.iter();
        names.chain(&request.message_system_attribute_names)
    };
    received
        .system_attributes
        .retain(|name, _| system_names().any(|wanted| wanted == "All" || wanted == name));
    received.attributes.retain(|name, _| {
        let wanted = &request.message_attribute_names;
        wanted.iter().any(|wanted| is_wanted(wanted, name))
    });
    let mut shown = json!({
        "MessageId": received.message_id,
        "ReceiptHandle": received.receipt_handle,
        "MD5OfBody": message::body_digest(&received.body),
        "Body": received.body,
    });
    if !received.system_attributes.is_empty() {
        shown["Attributes"] = json!(received.system_attributes);
    }
    if let Some(digest) = message::attributes_digest(&received.attributes) {
        shown["MD5OfMessageAttributes"] = digest.into();
        shown["MessageAttributes"] = json!(received.attributes);
    }
    shown
}

fn is_wanted(wanted: &str, name: &str) -> bool {
    if wanted == "All" || wanted == ".*" {
        return true;
    }
    match wanted.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == name,
    }
}
