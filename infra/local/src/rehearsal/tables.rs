//! DynamoDB over reality: items are copied before an operation touches them, and the operation runs on the copies.

mod changes;
mod touched;

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::scan::ScanInput;
use aws_sdk_dynamodb::types::{AttributeValue, KeySchemaElement, Projection, TableDescription};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::attributes::{Item, item_of, json_of};
use super::notes::{Notes, Problem};
use super::reality::Reality;
use crate::dynamo::{CallError, Dynamo};
use crate::error::ServiceError;
use touched::Touched;

/// A query or scan may copy so many items; more would be a copy of the table.
const MOST_ITEMS: usize = 10_000;

/// The tables of an overlay.
pub(super) struct Tables {
    dynamo: Dynamo,
    reality: Reality,
    notes: Notes,
    /// Held while an operation runs: its copies, its effect and what is said of it belong together.
    copied: Mutex<Copied>,
}

/// What was copied from reality.
#[derive(Default)]
struct Copied {
    /// The key attributes of each table; `None` for one that is not there.
    tables: HashMap<String, Option<Vec<String>>>,
    /// Table and key of each item that was looked for, whether it was there or not.
    items: HashSet<String>,
}

/// Why an operation was not run.
enum Stopped {
    /// Nothing can be said of it.
    Problem(Problem),
    /// The overlay did not take a copy.
    Overlay(CallError),
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<CallError> for Stopped {
    fn from(error: CallError) -> Self {
        Self::Overlay(error)
    }
}

impl Tables {
    pub(super) fn new(dynamo: Dynamo, reality: Reality, notes: Notes) -> Self {
        Self {
            dynamo,
            reality,
            notes,
            copied: Mutex::default(),
        }
    }

    /// Answers one request.
    pub(super) async fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, CallError> {
        match self.run(operation, body).await {
            Ok(answer) => Ok(answer),
            Err(Stopped::Overlay(error)) => Err(error),
            Err(Stopped::Problem(problem)) => Err(error_of(&self.notes.keep(problem))),
        }
    }

    async fn run(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, Stopped> {
        let Ok(request) = serde_json::from_slice::<Value>(body) else {
            return Err(cannot(operation, "the request is not JSON").into());
        };
        let mut copied = self.copied.lock().await;
        let touched = match operation {
            "Query" => {
                self.copy_query(&mut copied, &request).await?;
                Vec::new()
            }
            "Scan" => {
                self.copy_scan(&mut copied, &request).await?;
                Vec::new()
            }
            _ => touched::items(operation, &request)
                .ok_or_else(|| cannot(operation, "nobody knows which items it touches"))?,
        };
        let mut writes = Vec::new();
        for Touched {
            table,
            item,
            is_written,
        } in touched
        {
            let Some(names) = self.copy_table(&mut copied, &table).await? else {
                // The operation finds out by itself that the table is not there.
                continue;
            };
            let Some(key) = key_of(&names, &item) else {
                continue;
            };
            self.copy_item(&mut copied, &table, &names, &key).await?;
            if is_written {
                let before = self.item(&table, &key).await?;
                writes.push((table, names, key, before));
            }
        }
        let answer = self.dynamo.call(operation, body.to_vec()).await?;
        for (table, names, key, before) in writes {
            let after = self.item(&table, &key).await?;
            let target = changes::target(&table, &names, &key);
            let summary = changes::summary(&target, before.as_ref(), after.as_ref());
            self.notes.withheld("DynamoDB", operation, target, summary);
        }
        Ok(answer)
    }

    /// The item as it is in the overlay.
    async fn item(&self, table: &str, key: &Value) -> Result<Option<Value>, CallError> {
        let request = json!({"TableName": table, "Key": key, "ConsistentRead": true});
        let answer = self.ask("GetItem", &request).await?;
        Ok(answer.get("Item").cloned())
    }

    async fn ask(&self, operation: &str, request: &Value) -> Result<Value, CallError> {
        let answer = self
            .dynamo
            .call(operation, request.to_string().into_bytes())
            .await?;
        serde_json::from_slice(&answer)
            .map_err(|error| error_of(&ServiceError::internal(error.to_string())))
    }

    /// Makes the table as it is in reality, without its items. Answers the names of its key attributes.
    async fn copy_table(
        &self,
        copied: &mut Copied,
        table: &str,
    ) -> Result<Option<Vec<String>>, Stopped> {
        if let Some(names) = copied.tables.get(table) {
            return Ok(names.clone());
        }
        let names = match self.reality.table(table).await? {
            None => None,
            Some(description) => {
                self.ask("CreateTable", &creation(table, &description))
                    .await?;
                let schema = description.key_schema().iter();
                Some(schema.map(|key| key.attribute_name.clone()).collect())
            }
        };
        copied.tables.insert(table.to_owned(), names.clone());
        Ok(names)
    }

    async fn copy_item(
        &self,
        copied: &mut Copied,
        table: &str,
        names: &[String],
        key: &Value,
    ) -> Result<(), Stopped> {
        let name = name_of(table, names, key);
        if copied.items.contains(&name) {
            return Ok(());
        }
        let Some(key) = item_of(key) else {
            // No key at all: the operation finds that out by itself.
            return Ok(());
        };
        if let Some(item) = self.reality.item(table, key).await? {
            self.adopt(table, &item).await?;
        }
        copied.items.insert(name);
        Ok(())
    }

    async fn adopt(&self, table: &str, item: &Item) -> Result<(), Stopped> {
        let Some(item) = json_of(item) else {
            return Err(cannot("GetItem", "an attribute has a type that is not known").into());
        };
        self.ask("PutItem", &json!({"TableName": table, "Item": item}))
            .await?;
        Ok(())
    }

    /// Copies what a page of reality has and the overlay does not know. Of an index the items are read whole.
    async fn copy_page(
        &self,
        copied: &mut Copied,
        table: &str,
        is_index: bool,
        page: Vec<Item>,
    ) -> Result<(), Stopped> {
        let Some(names) = self.copy_table(copied, table).await? else {
            return Ok(());
        };
        for item in page {
            let key: Item = item
                .iter()
                .filter(|(name, _)| names.contains(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let Some(key) = json_of(&key) else {
                return Err(cannot("Query", "a key has a type that is not known").into());
            };
            if is_index {
                self.copy_item(copied, table, &names, &key).await?;
            } else if copied.items.insert(name_of(table, &names, &key)) {
                self.adopt(table, &item).await?;
            }
        }
        Ok(())
    }

    async fn copy_query(&self, copied: &mut Copied, request: &Value) -> Result<(), Stopped> {
        let table = text(request, "TableName").unwrap_or_default();
        if self.copy_table(copied, &table).await?.is_none() {
            return Ok(());
        }
        if text(request, "KeyConditionExpression").is_none() {
            return Err(cannot("Query", "it has no KeyConditionExpression").into());
        }
        let index = text(request, "IndexName");
        let parts = Expressions::of(request, &["KeyConditionExpression", "FilterExpression"])?;
        let mut input = QueryInput::builder()
            .table_name(&table)
            .set_index_name(index.clone())
            .set_consistent_read(index.is_none().then_some(true))
            .set_key_condition_expression(text(request, "KeyConditionExpression"))
            .set_filter_expression(text(request, "FilterExpression"))
            .set_expression_attribute_names(parts.names)
            .set_expression_attribute_values(parts.values)
            .build()
            .map_err(|error| cannot("Query", &error.to_string()))?;
        let mut count = 0;
        loop {
            let (page, next) = self.reality.query(input.clone()).await?;
            count += page.len();
            self.copy_page(copied, &table, index.is_some(), page)
                .await?;
            if next.is_none() {
                return Ok(());
            }
            bounded("Query", count, &table)?;
            input.exclusive_start_key = next;
        }
    }

    async fn copy_scan(&self, copied: &mut Copied, request: &Value) -> Result<(), Stopped> {
        let table = text(request, "TableName").unwrap_or_default();
        if self.copy_table(copied, &table).await?.is_none() {
            return Ok(());
        }
        if request.get("TotalSegments").is_some() {
            return Err(cannot("Scan", "it reads a segment").into());
        }
        let index = text(request, "IndexName");
        let parts = Expressions::of(request, &["FilterExpression"])?;
        let mut input = ScanInput::builder()
            .table_name(&table)
            .set_index_name(index.clone())
            .set_consistent_read(index.is_none().then_some(true))
            .set_filter_expression(text(request, "FilterExpression"))
            .set_expression_attribute_names(parts.names)
            .set_expression_attribute_values(parts.values)
            .build()
            .map_err(|error| cannot("Scan", &error.to_string()))?;
        let mut count = 0;
        loop {
            let (page, next) = self.reality.scan(input.clone()).await?;
            count += page.len();
            self.copy_page(copied, &table, index.is_some(), page)
                .await?;
            if next.is_none() {
                return Ok(());
            }
            bounded("Scan", count, &table)?;
            input.exclusive_start_key = next;
        }
    }
}

/// The placeholders that some of a request's expressions use. Others are left out: reality would refuse them.
struct Expressions {
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
}

impl Expressions {
    fn of(request: &Value, fields: &[&str]) -> Result<Self, Problem> {
        let expressions: Vec<String> = fields
            .iter()
            .filter_map(|field| text(request, field))
            .collect();
        let is_part = |letter: char| letter.is_alphanumeric() || "_#:".contains(letter);
        let used: HashSet<&str> = expressions
            .iter()
            .flat_map(|expression| expression.split(move |letter| !is_part(letter)))
            .collect();
        let mut names = HashMap::new();
        let mut values = HashMap::new();
        for (placeholder, name) in fields_of(request, "ExpressionAttributeNames") {
            if used.contains(placeholder.as_str()) {
                let name = name.as_str().unwrap_or_default();
                names.insert(placeholder.clone(), name.to_owned());
            }
        }
        let given = fields_of(request, "ExpressionAttributeValues");
        let given: Map<String, Value> = given
            .filter(|(placeholder, _)| used.contains(placeholder.as_str()))
            .map(|(placeholder, value)| (placeholder.clone(), value.clone()))
            .collect();
        let Some(known) = item_of(&Value::Object(given)) else {
            return Err(cannot(
                "an expression",
                "a value has a type that is not known",
            ));
        };
        values.extend(known);
        Ok(Self {
            names: (!names.is_empty()).then_some(names),
            values: (!values.is_empty()).then_some(values),
        })
    }
}

fn fields_of<'a>(request: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    request
        .get(name)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn text(request: &Value, field: &str) -> Option<String> {
    request.get(field)?.as_str().map(str::to_owned)
}

fn cannot(operation: &str, why: &str) -> Problem {
    Problem::Operation {
        operation: format!("DynamoDB {operation}"),
        why: why.to_owned(),
    }
}

fn bounded(operation: &str, count: usize, table: &str) -> Result<(), Problem> {
    if count < MOST_ITEMS {
        return Ok(());
    }
    let why = format!("it reads more than {MOST_ITEMS} items of {table}");
    Err(cannot(operation, &why))
}

fn error_of(error: &ServiceError) -> CallError {
    let error_type = format!("com.amazonaws.dynamodb.v20120810#{}", error.code);
    CallError {
        status: error.status,
        body: json!({"__type": error_type, "message": error.message}).to_string(),
    }
}

/// The key in an item; `None` if a part of it is missing.
fn key_of(names: &[String], item: &Value) -> Option<Value> {
    let key: Option<Map<String, Value>> = names
        .iter()
        .map(|name| Some((name.clone(), item.get(name)?.clone())))
        .collect();
    key.map(Value::Object)
}

/// By what an item is known here. Whole numbers are the same however they are written.
fn name_of(table: &str, names: &[String], key: &Value) -> String {
    let parts = names.iter().map(|name| {
        let value = &key[name];
        let number = value["N"]
            .as_str()
            .and_then(|text| text.parse::<i128>().ok());
        match number {
            Some(number) => json!({ "N": number.to_string() }),
            None => value.clone(),
        }
    });
    json!([table, parts.collect::<Vec<_>>()]).to_string()
}

/// The request that makes a table like this one. Its stream and its capacity are left out: nobody reads the first,
/// nothing here runs out of the second.
fn creation(table: &str, description: &TableDescription) -> Value {
    let schema = |keys: &[KeySchemaElement]| -> Vec<Value> {
        let key = |key: &KeySchemaElement| json!({"AttributeName": key.attribute_name, "KeyType": key.key_type.as_str()});
        keys.iter().map(key).collect()
    };
    let projection = |projection: Option<&Projection>| {
        let kind = projection.and_then(Projection::projection_type);
        let mut value = json!({"ProjectionType": kind.map_or("ALL", |kind| kind.as_str())});
        let attributes = projection
            .map(Projection::non_key_attributes)
            .unwrap_or_default();
        if !attributes.is_empty() {
            value["NonKeyAttributes"] = json!(attributes);
        }
        value
    };
    let attributes: Vec<Value> = description
        .attribute_definitions()
        .iter()
        .map(|attribute| {
            json!({
                "AttributeName": attribute.attribute_name,
                "AttributeType": attribute.attribute_type.as_str(),
            })
        })
        .collect();
    let mut request = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": schema(description.key_schema()),
    });
    let global: Vec<Value> = description
        .global_secondary_indexes()
        .iter()
        .map(|index| {
            json!({
                "IndexName": index.index_name(),
                "KeySchema": schema(index.key_schema()),
                "Projection": projection(index.projection()),
            })
        })
        .collect();
    let local: Vec<Value> = description
        .local_secondary_indexes()
        .iter()
        .map(|index| {
            json!({
                "IndexName": index.index_name(),
                "KeySchema": schema(index.key_schema()),
                "Projection": projection(index.projection()),
            })
        })
        .collect();
    if !global.is_empty() {
        request["GlobalSecondaryIndexes"] = json!(global);
    }
    if !local.is_empty() {
        request["LocalSecondaryIndexes"] = json!(local);
    }
    request
}
