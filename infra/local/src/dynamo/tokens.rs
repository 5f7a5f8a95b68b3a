//! Client request tokens of `TransactWriteItems`.
//!
//! The SDK puts a token into every transaction, so that its own retries apply
//! it once. The engine keeps tokens in a list that it searches from end to end,
//! and forgets them when the process ends. Here a token is an item of a table,
//! written by the transaction that it belongs to: both are there, or neither.

use dynoxide::{Database, DynoxideError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::mended;
use super::operations::{call, not_an_answer};

/// The table of tokens. `ListTables` does not show it.
pub(super) const TABLE: &str = "millrace.transaction-tokens";

/// How long DynamoDB remembers a token, in seconds.
const WINDOW_SECONDS: i64 = 600;

/// The most actions that a transaction may have.
const MOST_ACTIONS: usize = 100;

/// Makes sure that the table of tokens is there.
pub(super) fn create_table(database: &Database) -> Result<(), DynoxideError> {
    let create = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "token", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "token", "AttributeType": "S"}],
    });
    match run(&create, |request| database.create_table(request)) {
        Ok(_) => {}
        Err(DynoxideError::ResourceInUseException(_)) => return Ok(()),
        Err(other) => return Err(other),
    }
    let time_to_live = json!({
        "TableName": TABLE,
        "TimeToLiveSpecification": {"AttributeName": "expiresAt", "Enabled": true},
    });
    run(&time_to_live, |request| {
        database.update_time_to_live(request)
    })?;
    Ok(())
}

fn run<Request: serde::de::DeserializeOwned, Response: serde::Serialize>(
    request: &Value,
    operation: impl FnOnce(Request) -> Result<Response, DynoxideError>,
) -> Result<Value, DynoxideError> {
    let answer = call(request.to_string().as_bytes(), operation)?;
    serde_json::from_slice(&answer).map_err(not_an_answer)
}

/// Applies a transaction, once for each token.
pub(super) fn transact_write_items(
    database: &Database,
    now_millis: i64,
    request: &[u8],
) -> Result<Vec<u8>, DynoxideError> {
    let parsed: Result<Value, _> = serde_json::from_slice(request);
    if let Ok(parsed) = &parsed {
        mended::check_updates(parsed)?;
    }
    let token = parsed.as_ref().ok().and_then(|parsed| {
        let token = parsed["ClientRequestToken"].as_str()?;
        Some(token.to_owned())
    });
    let (Ok(mut parsed), Some(token)) = (parsed, token) else {
        // No token, or nothing that the engine can read: it says what is wrong.
        return call(request, |request| database.transact_write_items(request));
    };
    if token.is_empty() || token.len() > 36 {
        return Err(DynoxideError::ValidationException(format!(
            "1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint: Member must have length between 1 and 36"
        )));
    }
    if let Some(fields) = parsed.as_object_mut() {
        fields.remove("ClientRequestToken");
    }
    let now_seconds = now_millis / 1_000;
    let digest = hex::encode(Sha256::digest(
        parsed["TransactItems"].to_string().as_bytes(),
    ));
    if let Some(known) = digest_of(database, &token, now_seconds)? {
        if known == digest {
            return Ok(b"{}".to_vec());
        }
        return Err(DynoxideError::IdempotentParameterMismatchException(
            "The provided client token is already in use by another request with different parameters".to_owned(),
        ));
    }
    let mark = json!({
        "TableName": TABLE,
        "Item": {
            "token": {"S": token},
            "digest": {"S": digest},
            "expiresAt": {"N": (now_seconds + WINDOW_SECONDS).to_string()},
        },
    });
    apply(database, parsed, mark)
}

/// The digest of the request that used this token before, if it is remembered.
fn digest_of(
    database: &Database,
    token: &str,
    now_seconds: i64,
) -> Result<Option<String>, DynoxideError> {
    let get = json!({"TableName": TABLE, "Key": {"token": {"S": token}}});
    let answer = run(&get, |request| database.get_item(request))?;
    let item = &answer["Item"];
    let expires = item["expiresAt"]["N"]
        .as_str()
        .and_then(|text| text.parse::<i64>().ok());
    if expires.is_none_or(|expires| expires <= now_seconds) {
        return Ok(None);
    }
    Ok(item["digest"]["S"].as_str().map(str::to_owned))
}

fn apply(database: &Database, mut request: Value, mark: Value) -> Result<Vec<u8>, DynoxideError> {
    let actions = request["TransactItems"].as_array_mut();
    let has_room = actions
        .as_ref()
        .is_some_and(|actions| !actions.is_empty() && actions.len() < MOST_ACTIONS);
    if let (Some(actions), true) = (actions, has_room) {
        actions.push(json!({ "Put": mark }));
        let answer = run(&request, |request| database.transact_write_items(request));
        return match answer {
            Ok(answer) => without_mark(answer),
            Err(error) => Err(error_without_mark(error)),
        };
    }
    // A full transaction has no room for the mark, which then follows it: only
    // a crash right between the two could apply this one again.
    let answer = run(&request, |request| database.transact_write_items(request))?;
    run(&mark, |request| database.put_item(request))?;
    serde_json::to_vec(&answer).map_err(not_an_answer)
}

/// The answer without what the mark consumed.
fn without_mark(mut answer: Value) -> Result<Vec<u8>, DynoxideError> {
    if let Some(Value::Array(consumed)) = answer.get_mut("ConsumedCapacity") {
        consumed.retain(|capacity| capacity["TableName"] != TABLE);
    }
    serde_json::to_vec(&answer).map_err(not_an_answer)
}

/// The error without the reason of the mark, which is always the last one.
fn error_without_mark(error: DynoxideError) -> DynoxideError {
    let DynoxideError::TransactionCanceledException(_, mut reasons) = error else {
        return error;
    };
    reasons.pop();
    mended::cancelled(reasons)
}
