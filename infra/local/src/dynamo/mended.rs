//! What DynamoDB does and the engine does not, found by asking both the same (`tests/contract`).

use dynoxide::errors::CancellationReason;
use dynoxide::{Database, DynoxideError};
use serde_json::Value;

use super::operations::{call, not_an_answer};

/// Refuses a transaction of which an update changes a key: the engine would do it, and the item would be found under one
/// key and have another.
pub(super) fn check_updates(request: &Value) -> Result<(), DynoxideError> {
    let Some(actions) = request["TransactItems"].as_array() else {
        return Ok(());
    };
    let faults: Vec<Option<String>> = actions
        .iter()
        .map(|action| changed_key(&action["Update"]))
        .collect();
    if faults.iter().all(Option::is_none) {
        return Ok(());
    }
    let reasons: Vec<CancellationReason> = faults
        .into_iter()
        .map(|fault| match fault {
            Some(name) => CancellationReason {
                code: "ValidationError".to_owned(),
                message: Some(format!(
                    "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
                )),
                item: None,
            },
            None => CancellationReason {
                code: "None".to_owned(),
                message: None,
                item: None,
            },
        })
        .collect();
    Err(cancelled(reasons))
}

/// A cancelled transaction with the message that names its reasons.
pub(super) fn cancelled(reasons: Vec<CancellationReason>) -> DynoxideError {
    let codes: Vec<&str> = reasons.iter().map(|reason| reason.code.as_str()).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    DynoxideError::TransactionCanceledException(message, reasons)
}

/// The attribute of the key that an update would change. The names of the key are those of `Key`.
fn changed_key(update: &Value) -> Option<String> {
    let keys = update["Key"].as_object()?;
    let names = &update["ExpressionAttributeNames"];
    let expression = update["UpdateExpression"].as_str()?;
    let spaced = expression.replace('=', " = ").replace(',', " , ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut clause = String::new();
    for (place, word) in words.iter().enumerate() {
        let upper = word.to_ascii_uppercase();
        if matches!(upper.as_str(), "SET" | "REMOVE" | "ADD" | "DELETE") {
            clause = upper;
            continue;
        }
        let name = names[*word].as_str().unwrap_or(word);
        // On the right of `=` a key is only read.
        let is_target = clause != "SET" || words.get(place + 1) == Some(&"=");
        if is_target && keys.contains_key(name) {
            return Some(name.to_owned());
        }
    }
    None
}

/// Updates an item. Of one that was not there, the engine's `ALL_OLD` is the key; DynamoDB's is nothing.
pub(super) fn update_item(database: &Database, request: &[u8]) -> Result<Vec<u8>, DynoxideError> {
    let update = |request: &[u8]| call(request, |request| database.update_item(request));
    let parsed: Option<Value> = serde_json::from_slice(request).ok();
    let Some(parsed) = parsed.filter(|parsed| parsed["ReturnValues"] == "ALL_OLD") else {
        return update(request);
    };
    let get = serde_json::json!({ "TableName": parsed["TableName"], "Key": parsed["Key"], "ConsistentRead": true });
    let before = call(get.to_string().as_bytes(), |request| {
        database.get_item(request)
    });
    let answer = update(request)?;
    // What cannot be read could not be updated either, and the engine said so.
    let before: Value = serde_json::from_slice(&before?).map_err(not_an_answer)?;
    if before.get("Item").is_some() {
        return Ok(answer);
    }
    let mut answer: Value = serde_json::from_slice(&answer).map_err(not_an_answer)?;
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("Attributes");
    }
    serde_json::to_vec(&answer).map_err(not_an_answer)
}

/// Time to live is not switched on twice.
pub(super) fn update_time_to_live(
    database: &Database,
    request: &[u8],
) -> Result<Vec<u8>, DynoxideError> {
    let parsed: Option<Value> = serde_json::from_slice(request).ok();
    if let Some(parsed) = parsed.filter(|it| it["TimeToLiveSpecification"]["Enabled"] == true) {
        let table = serde_json::json!({ "TableName": parsed["TableName"] });
        let described = call(table.to_string().as_bytes(), |request| {
            database.describe_time_to_live(request)
        })?;
        let described: Value = serde_json::from_slice(&described).map_err(not_an_answer)?;
        let described = &described["TimeToLiveDescription"];
        let is_on = described["TimeToLiveStatus"] == "ENABLED"
            && described["AttributeName"] == parsed["TimeToLiveSpecification"]["AttributeName"];
        if is_on {
            return Err(DynoxideError::ValidationException(
                "TimeToLive is already enabled".to_owned(),
            ));
        }
    }
    call(request, |request| database.update_time_to_live(request))
}
