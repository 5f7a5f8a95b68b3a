//! Time to live by the clock of tables in memory.
//!
//! The engine judges expiry by the machine's clock. Tables in memory are those of tests, whose clock is another: there nothing would
//! ever expire however long they waited.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::{Shared, operations, streams};
use crate::error::ServiceError;

/// A table whose items expire.
struct Expiring {
    name: String,
    attribute: String,
    keys: Vec<String>,
}

/// Deletes what has expired, as the service itself does it: the stream says so. Answers how many items that were.
pub(super) fn sweep(shared: &Shared, side: &Connection) -> Result<usize, ServiceError> {
    let now = shared.clock.now_millis() / 1_000;
    let mut deleted = 0;
    for table in expiring(side)? {
        let before = streams::newest(side)?;
        let mut from = None;
        loop {
            let page = scan(shared, &table.name, from)?;
            for item in page["Items"].as_array().into_iter().flatten() {
                let expires = item[&table.attribute]["N"].as_str();
                let expires = expires.and_then(|seconds| seconds.parse::<i64>().ok());
                if expires.is_some_and(|seconds| (0..now).contains(&seconds)) {
                    delete(shared, &table, item)?;
                    deleted += 1;
                }
            }
            from = page.get("LastEvaluatedKey").cloned();
            if from.is_none() {
                break;
            }
        }
        streams::say_it_was_the_service(side, before)?;
    }
    Ok(deleted)
}

fn expiring(side: &Connection) -> Result<Vec<Expiring>, ServiceError> {
    let mut statement = side.prepare_cached(
        "SELECT table_name, ttl_attribute, key_schema FROM _tables
         WHERE ttl_enabled = 1 AND ttl_attribute IS NOT NULL ORDER BY table_name",
    )?;
    let rows = statement.query_map(params![], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
    })?;
    let mut tables = Vec::new();
    for row in rows {
        let (name, attribute, schema) = row?;
        let schema: Value = serde_json::from_str(&schema)?;
        let keys = schema.as_array().into_iter().flatten();
        let keys = keys.filter_map(|key| key["AttributeName"].as_str().map(str::to_owned));
        tables.push(Expiring {
            name,
            attribute,
            keys: keys.collect(),
        });
    }
    Ok(tables)
}

fn scan(shared: &Shared, table: &str, from: Option<Value>) -> Result<Value, ServiceError> {
    let mut request = json!({"TableName": table});
    if let Some(from) = from {
        request["ExclusiveStartKey"] = from;
    }
    let request = request.to_string();
    let page = operations::call(request.as_bytes(), |request| shared.database.scan(request));
    Ok(serde_json::from_slice(&page.map_err(failed)?)?)
}

fn delete(shared: &Shared, table: &Expiring, item: &Value) -> Result<(), ServiceError> {
    let key = table
        .keys
        .iter()
        .map(|name| (name.clone(), item[name].clone()));
    let key: serde_json::Map<String, Value> = key.collect();
    let request = json!({"TableName": table.name, "Key": key}).to_string();
    let deleted = operations::call(request.as_bytes(), |request| {
        shared.database.delete_item(request)
    });
    deleted.map(|_| ()).map_err(failed)
}

fn failed(error: dynoxide::DynoxideError) -> ServiceError {
    ServiceError::internal(format!("could not sweep: {error}"))
}
