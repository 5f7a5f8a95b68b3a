//! The operations: each request goes to the engine, with what has to be
//! changed on its way in and out.

use dynoxide::{Database, DynoxideError};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Shared, mended, streams, tokens};
use crate::names;

/// The region that the engine writes into its ARNs.
const ENGINE_REGION: &str = "dynoxide";

/// The id of the one shard that a stream has: in this API, and in what is told of discarded batches.
pub(crate) const SHARD: &str = "shardId-00000000000000000001-00000001";

type Answer = Result<Vec<u8>, DynoxideError>;

/// Whether an operation that succeeded may have changed a table.
pub(super) fn writes(operation: &str) -> bool {
    matches!(
        operation,
        "PutItem"
            | "UpdateItem"
            | "DeleteItem"
            | "BatchWriteItem"
            | "TransactWriteItems"
            | "ExecuteStatement"
            | "ExecuteTransaction"
            | "BatchExecuteStatement"
            | "CreateTable"
            | "UpdateTable"
            | "DeleteTable"
    )
}

pub(super) fn run(shared: &Shared, side: &Connection, operation: &str, request: &[u8]) -> Answer {
    let database = &shared.database;
    match operation {
        "PutItem" => call(request, |request| database.put_item(request)),
        "GetItem" => call(request, |request| database.get_item(request)),
        "UpdateItem" => mended::update_item(database, request),
        "DeleteItem" => call(request, |request| database.delete_item(request)),
        "Query" => call(request, |request| database.query(request)),
        "Scan" => call(request, |request| database.scan(request)),
        "BatchGetItem" => call(request, |request| database.batch_get_item(request)),
        "BatchWriteItem" => call(request, |request| database.batch_write_item(request)),
        "TransactGetItems" => call(request, |request| database.transact_get_items(request)),
        "TransactWriteItems" => {
            tokens::transact_write_items(database, shared.clock.now_millis(), request)
        }
        "ExecuteStatement" => call(request, |request| database.execute_statement(request)),
        "BatchExecuteStatement" => {
            call(request, |request| database.batch_execute_statement(request))
        }
        "GetRecords" => get_records(database, request),
        "DescribeStream" => describe_stream(database, request),
        "GetShardIterator" => get_shard_iterator(database, request),
        "DeleteTable" => delete_table(database, side, request),
        "ListTables" => list_tables(database, request),
        _ => administer(database, operation, request),
    }
}

/// Runs one operation of the engine, from JSON to JSON.
pub(super) fn call<Request: DeserializeOwned, Response: Serialize>(
    request: &[u8],
    operation: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Answer {
    let request = serde_json::from_slice(request).map_err(not_a_request)?;
    serde_json::to_vec(&operation(request)?).map_err(not_an_answer)
}

/// The engine marks its own reading errors with the kind of error they are.
fn not_a_request(error: serde_json::Error) -> DynoxideError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match message.split_once(':') {
        Some((kind, rest)) if kind.starts_with("VALIDATION") => {
            DynoxideError::ValidationException(rest.to_owned())
        }
        Some((kind, rest)) if kind.starts_with("SERIALIZATION") => {
            DynoxideError::SerializationException(rest.to_owned())
        }
        _ => DynoxideError::ValidationException(message.to_owned()),
    }
}

pub(super) fn not_an_answer(error: serde_json::Error) -> DynoxideError {
    DynoxideError::InternalServerError(format!("could not write the answer: {error}"))
}

/// Operations on tables and streams, whose requests and answers name ARNs.
fn administer(database: &Database, operation: &str, request: &[u8]) -> Answer {
    let request = replace_region(request, names::REGION, ENGINE_REGION);
    let request = request.as_slice();
    let answer = match operation {
        "CreateTable" => call(request, |request| database.create_table(request)),
        "UpdateTable" => call(request, |request| database.update_table(request)),
        "DescribeTable" => call(request, |request| database.describe_table(request)),
        "UpdateTimeToLive" => mended::update_time_to_live(database, request),
        "DescribeTimeToLive" => call(request, |request| database.describe_time_to_live(request)),
        "TagResource" => call(request, |request| database.tag_resource(request)),
        "UntagResource" => call(request, |request| database.untag_resource(request)),
        "ListTagsOfResource" => call(request, |request| database.list_tags_of_resource(request)),
        "ListStreams" => call(request, |request| database.list_streams(request)),
        unknown => Err(DynoxideError::ValidationException(format!(
            "the embedded DynamoDB has no operation {unknown}"
        ))),
    };
    Ok(replace_region(&answer?, ENGINE_REGION, names::REGION))
}

fn replace_region(json: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(json);
    let prefix = |region: &str| format!("arn:aws:dynamodb:{region}:");
    text.replace(&prefix(from), &prefix(to)).into_bytes()
}

/// Names the one shard of a stream in a way that clients take: they want at least
/// 28 characters, which the engine's id has only for longer names of tables.
fn describe_stream(database: &Database, request: &[u8]) -> Answer {
    let request = replace_region(request, names::REGION, ENGINE_REGION);
    let answer = call(&request, |request| database.describe_stream(request))?;
    let answer = replace_region(&answer, ENGINE_REGION, names::REGION);
    let mut answer: Value = serde_json::from_slice(&answer).map_err(not_an_answer)?;
    if let Some(shards) = answer["StreamDescription"]["Shards"].as_array_mut() {
        for shard in shards {
            shard["ShardId"] = SHARD.into();
        }
    }
    serde_json::to_vec(&answer).map_err(not_an_answer)
}

fn get_shard_iterator(database: &Database, request: &[u8]) -> Answer {
    let request = replace_region(request, names::REGION, ENGINE_REGION);
    let mut request: Value = serde_json::from_slice(&request).map_err(not_a_request)?;
    let table = request["StreamArn"]
        .as_str()
        .and_then(|arn| arn.split('/').nth(1));
    let shard = dynoxide::streams::shard_id(table.unwrap_or_default());
    if request["ShardId"] != SHARD {
        return Err(DynoxideError::ResourceNotFoundException(format!(
            "Requested resource not found: the stream has no shard {}",
            request["ShardId"]
        )));
    }
    request["ShardId"] = shard.into();
    call(request.to_string().as_bytes(), |request| {
        database.get_shard_iterator(request)
    })
}

fn delete_table(database: &Database, side: &Connection, request: &[u8]) -> Answer {
    let answer = call(request, |request| database.delete_table(request))?;
    // The engine keeps the records; a new table of the same name would show them.
    let parsed: Value = serde_json::from_slice(request).map_err(not_a_request)?;
    let table = parsed["TableName"].as_str().unwrap_or_default();
    streams::forget(side, table)?;
    Ok(replace_region(&answer, ENGINE_REGION, names::REGION))
}

/// Lists tables without the one that keeps the transaction tokens.
fn list_tables(database: &Database, request: &[u8]) -> Answer {
    let answer = call(request, |request| database.list_tables(request))?;
    let mut answer: Value = serde_json::from_slice(&answer).map_err(not_an_answer)?;
    if let Some(tables) = answer["TableNames"].as_array_mut() {
        tables.retain(|table| table != tokens::TABLE);
    }
    serde_json::to_vec(&answer).map_err(not_an_answer)
}

/// Records as the Streams API shows them: their region, the identity behind
/// them in this API's capitals, and none that changed nothing.
fn get_records(database: &Database, request: &[u8]) -> Answer {
    let answer = call(request, |request| database.get_records(request))?;
    let mut answer: Value = serde_json::from_slice(&answer).map_err(not_an_answer)?;
    if let Some(records) = answer["Records"].as_array_mut() {
        records.retain(|record| {
            let images = &record["dynamodb"];
            record["eventName"] != "MODIFY"
                || !streams::same_item(&images["OldImage"], &images["NewImage"])
        });
        for record in records {
            record["awsRegion"] = names::REGION.into();
            if let Some(identity) = record.get_mut("userIdentity") {
                *identity = json!({
                    "Type": identity["type"],
                    "PrincipalId": identity["principalId"],
                });
            }
        }
    }
    serde_json::to_vec(&answer).map_err(not_an_answer)
}
