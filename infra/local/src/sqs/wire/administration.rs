//! Operations on queues: creating, describing, tagging, emptying, deleting; and
//! moving their dead letters.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::QueueRequest;
use crate::error::ServiceError;
use crate::names;
use crate::sqs::attributes::{self, AttributeMap, QueueSettings};
use crate::sqs::{moves, queue};
use crate::store::Write;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: AttributeMap,
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

pub(super) fn create_queue(
    write: &mut Write<'_>,
    request: CreateQueue,
) -> Result<Value, ServiceError> {
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

pub(super) fn delete_queue(
    write: &mut Write<'_>,
    request: QueueRequest,
) -> Result<Value, ServiceError> {
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
pub(super) struct GetQueueUrl {
    queue_name: String,
}

pub(super) fn get_queue_url(
    write: &mut Write<'_>,
    request: GetQueueUrl,
) -> Result<Value, ServiceError> {
    queue::attributes(&write.transaction, &request.queue_name)?;
    Ok(json!({ "QueueUrl": names::queue_url(&request.queue_name) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn list_queues(
    write: &mut Write<'_>,
    request: ListQueues,
) -> Result<Value, ServiceError> {
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
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

pub(super) fn get_queue_attributes(
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
pub(super) struct SetQueueAttributes {
    queue_url: String,
    attributes: AttributeMap,
}

pub(super) fn set_queue_attributes(
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

pub(super) fn purge_queue(
    write: &mut Write<'_>,
    request: QueueRequest,
) -> Result<Value, ServiceError> {
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
pub(super) struct TagQueue {
    queue_url: String,
    tags: BTreeMap<String, String>,
}

pub(super) fn tag_queue(write: &mut Write<'_>, request: TagQueue) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    let mut tags = tags(write, queue)?;
    tags.extend(request.tags);
    store_tags(write, queue, &tags)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagQueue {
    queue_url: String,
    tag_keys: Vec<String>,
}

pub(super) fn untag_queue(
    write: &mut Write<'_>,
    request: UntagQueue,
) -> Result<Value, ServiceError> {
    let queue = names::queue_of_url(&request.queue_url);
    let mut tags = tags(write, queue)?;
    tags.retain(|key, _| !request.tag_keys.contains(key));
    store_tags(write, queue, &tags)
}

pub(super) fn list_queue_tags(
    write: &mut Write<'_>,
    request: QueueRequest,
) -> Result<Value, ServiceError> {
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
}

pub(super) fn start_message_move_task(
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
pub(super) struct ListMessageMoveTasks {
    source_arn: String,
    max_results: Option<i64>,
}

pub(super) fn list_message_move_tasks(
    write: &mut Write<'_>,
    request: ListMessageMoveTasks,
) -> Result<Value, ServiceError> {
    let source = queue_of(&request.source_arn)?;
    queue::attributes(&write.transaction, source)?;
    let limit = request.max_results.unwrap_or(1).clamp(1, 10);
    let tasks = moves::list(&write.transaction, source, limit)?;
    Ok(json!({ "Results": tasks }))
}

pub(super) fn list_dead_letter_source_queues(
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
