//! Which items an operation touches.

use serde_json::Value;

/// An item that an operation reads or writes.
#[derive(Debug, PartialEq)]
pub(super) struct Touched {
    pub(super) table: String,
    /// The key, or an item that has it.
    pub(super) item: Value,
    pub(super) is_written: bool,
}

/// The items that the request names; `None` for an operation that is not known here. What is missing in the request is
/// left out: the operation itself says what is wrong with it.
pub(super) fn items(operation: &str, request: &Value) -> Option<Vec<Touched>> {
    let mut touched = Vec::new();
    let table = &request["TableName"];
    match operation {
        "GetItem" => add(&mut touched, table, &request["Key"], false),
        "UpdateItem" | "DeleteItem" => add(&mut touched, table, &request["Key"], true),
        "PutItem" => add(&mut touched, table, &request["Item"], true),
        "BatchGetItem" => {
            for (table, asked) in by_table(request) {
                for key in asked["Keys"].as_array().into_iter().flatten() {
                    add(&mut touched, &Value::from(table.as_str()), key, false);
                }
            }
        }
        "BatchWriteItem" => {
            for (table, writes) in by_table(request) {
                for write in writes.as_array().into_iter().flatten() {
                    let table = Value::from(table.as_str());
                    add(&mut touched, &table, &write["PutRequest"]["Item"], true);
                    add(&mut touched, &table, &write["DeleteRequest"]["Key"], true);
                }
            }
        }
        "TransactGetItems" | "TransactWriteItems" => {
            for action in request["TransactItems"].as_array().into_iter().flatten() {
                for (kind, field, is_written) in [
                    ("Get", "Key", false),
                    ("ConditionCheck", "Key", false),
                    ("Put", "Item", true),
                    ("Update", "Key", true),
                    ("Delete", "Key", true),
                ] {
                    let action = &action[kind];
                    add(
                        &mut touched,
                        &action["TableName"],
                        &action[field],
                        is_written,
                    );
                }
            }
        }
        _ => return None,
    }
    Some(touched)
}

fn by_table(request: &Value) -> impl Iterator<Item = (&String, &Value)> {
    request["RequestItems"].as_object().into_iter().flatten()
}

fn add(touched: &mut Vec<Touched>, table: &Value, item: &Value, is_written: bool) {
    if let (Some(table), true) = (table.as_str(), item.is_object()) {
        touched.push(Touched {
            table: table.to_owned(),
            item: item.clone(),
            is_written,
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn touch(table: &str, item: Value, is_written: bool) -> Touched {
        Touched {
            table: table.to_owned(),
            item,
            is_written,
        }
    }

    #[test]
    fn a_transaction_touches_what_its_actions_name() {
        let request = json!({"TransactItems": [
            {"Put": {"TableName": "a", "Item": {"id": {"S": "1"}, "x": {"S": "y"}}}},
            {"ConditionCheck": {"TableName": "a", "Key": {"id": {"S": "2"}}}},
            {"Delete": {"TableName": "b", "Key": {"id": {"S": "3"}}}},
        ]});
        let put = json!({"id": {"S": "1"}, "x": {"S": "y"}});
        assert_eq!(
            items("TransactWriteItems", &request).unwrap(),
            [
                touch("a", put, true),
                touch("a", json!({"id": {"S": "2"}}), false),
                touch("b", json!({"id": {"S": "3"}}), true),
            ]
        );
    }

    #[test]
    fn an_operation_that_is_not_listed_is_not_known() {
        for operation in [
            "ExecuteStatement",
            "DeleteTable",
            "UpdateTable",
            "RestoreTableFromBackup",
        ] {
            assert!(
                items(operation, &json!({"TableName": "a"})).is_none(),
                "{operation}"
            );
        }
    }
}
