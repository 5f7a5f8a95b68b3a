//! Histories that nobody thought of: the same random requests to the embedded tables and to DynamoDB Local, answer by
//! answer, and in the end the same items and the same stream.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::dynamo::{TABLE, Tables};

const HISTORIES: u64 = 30;
const LENGTH: usize = 60;

fn one_of<T: Clone>(random: &mut StdRng, those: &[T]) -> T {
    those[random.random_range(0..those.len())].clone()
}

fn key(random: &mut StdRng) -> Value {
    let partition = one_of(random, &["a", "b"]);
    let sort = one_of(random, &["1", "2", "3"]);
    json!({ "PK": { "S": partition }, "SK": { "S": sort } })
}

fn value(random: &mut StdRng) -> Value {
    match random.random_range(0..7) {
        0 => json!({ "N": random.random_range(-3..4).to_string() }),
        1 => json!({ "S": "xy".get(..random.random_range(0..3)) }),
        2 => json!({ "SS": one_of(random, &[&["x"][..], &["x", "y"]]) }),
        3 => json!({ "L": one_of(random, &[json!([]), json!([{ "N": "1" }, { "S": "x" }])]) }),
        4 => json!({ "M": { "n": { "N": random.random_range(0..3).to_string() } } }),
        5 => json!({ "BOOL": random.random::<bool>() }),
        _ => json!({ "NULL": true }),
    }
}

fn condition(random: &mut StdRng) -> &'static str {
    const CONDITIONS: [&str; 16] = [
        "attribute_exists(PK)",
        "attribute_not_exists(PK)",
        "attribute_exists(#f.n)",
        "attribute_type(#f, :type)",
        "#f = :v",
        "#f <> :v",
        "#f < :low",
        "#f >= :low",
        "#f BETWEEN :low AND :high",
        "#f IN (:v, :w)",
        "contains(#f, :v)",
        "begins_with(#f, :prefix)",
        "size(#f) > :one",
        "NOT (#f = :v OR attribute_not_exists(#f))",
        "#f.n = :one AND NOT #f = :v",
        "#f[0] = :v",
    ];
    one_of(random, &CONDITIONS)
}

fn update(random: &mut StdRng) -> &'static str {
    const UPDATES: [&str; 13] = [
        "SET #f = :v",
        "SET #f = if_not_exists(#f, :v)",
        "SET #f = #f + :one",
        "SET #f = :one - #f",
        "SET #f = list_append(#f, :list)",
        "SET #f.n = :v",
        "SET #f[0] = :v",
        "ADD #f :one",
        "ADD #f :set",
        "DELETE #f :set",
        "REMOVE #f",
        "REMOVE #f.n",
        "REMOVE #f[0]",
    ];
    one_of(random, &UPDATES)
}

/// The fields of a request that its expressions speak of: none may be left unused.
fn with_expressions(mut request: Value, random: &mut StdRng) -> Value {
    let said: String = ["ConditionExpression", "UpdateExpression"]
        .iter()
        .filter_map(|name| request[*name].as_str())
        .collect::<Vec<_>>()
        .join(" ");
    if said.contains("#f") {
        request["ExpressionAttributeNames"] = json!({ "#f": one_of(random, &["f", "g"]) });
    }
    let values = [
        (":v", value(random)),
        (":w", value(random)),
        (":low", json!({ "N": "-1" })),
        (":high", json!({ "N": "2" })),
        (":one", json!({ "N": "1" })),
        (":list", json!({ "L": [value(random)] })),
        (":set", json!({ "SS": ["y", "z"] })),
        (":prefix", json!({ "S": "x" })),
        (":type", json!({ "S": "S" })),
    ];
    for (name, value) in values {
        let is_used = said
            .split(|letter: char| !letter.is_alphanumeric() && letter != ':')
            .any(|word| word == name);
        if is_used {
            request["ExpressionAttributeValues"][name] = value;
        }
    }
    request
}

fn write(random: &mut StdRng) -> (&'static str, Value) {
    let key = key(random);
    let mut request = json!({ "TableName": TABLE });
    let (call, kind) = match random.random_range(0..10) {
        0..3 => {
            let mut item = key;
            for name in ["f", "g"] {
                if random.random_range(0..3) > 0 {
                    item[name] = value(random);
                }
            }
            request["Item"] = item;
            ("PutItem", "Put")
        }
        3..5 => {
            request["Key"] = key;
            ("DeleteItem", "Delete")
        }
        _ => {
            request["Key"] = key;
            request["UpdateExpression"] = json!(update(random));
            ("UpdateItem", "Update")
        }
    };
    if random.random_range(0..2) == 0 {
        request["ConditionExpression"] = json!(condition(random));
        request["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
    }
    let mut request = with_expressions(request, random);
    if random.random_range(0..5) > 0 {
        request["ReturnValues"] = json!("ALL_OLD");
        if kind == "Update" {
            // Of a path DynamoDB Local gives the whole attribute, the embedded cloud and AWS the part: dynamo/updates.json.
            let has_path = request["UpdateExpression"]
                .as_str()
                .is_some_and(|said| said.contains("#f.") || said.contains("#f["));
            let kinds = ["ALL_NEW", "ALL_OLD", "UPDATED_NEW", "UPDATED_OLD"];
            let kinds = if has_path { &kinds[..2] } else { &kinds[..] };
            request["ReturnValues"] = json!(one_of(random, kinds));
        }
    }
    (call, request)
}

/// Up to four writes that happen together or not at all, of different items: with one item twice DynamoDB Local tells of a
/// failed condition before it refuses.
fn transaction(random: &mut StdRng) -> Value {
    let (mut items, mut keys) = (Vec::new(), HashSet::new());
    for _ in 0..random.random_range(1..5) {
        let (call, mut request) = write(random);
        request.as_object_mut().unwrap().remove("ReturnValues");
        let named = request.get("Key").or(request.get("Item")).unwrap();
        if keys.insert(format!("{} {}", named["PK"], named["SK"])) {
            items.push(json!({ call.trim_end_matches("Item"): request }));
        }
    }
    json!({ "TransactItems": items })
}

/// The words of an error are another matter; and an update that cannot be done refuses a transaction with one code here, with
/// another there: dynamo/transactions.json.
fn kind_of(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let is_impossible = answer
        .pointer("/refused/CancellationReasons")
        .and_then(Value::as_array)
        .is_some_and(|reasons| {
            reasons
                .iter()
                .any(|reason| reason["Code"] == "ValidationError")
        });
    if is_impossible {
        return json!({ "refused": { "code": "ValidationException", "status": 400 } });
    }
    if let Some(refused) = answer.get_mut("refused").and_then(Value::as_object_mut) {
        refused.remove("message");
        if let Some(reasons) = refused.get_mut("CancellationReasons") {
            for reason in reasons.as_array_mut().unwrap() {
                reason.as_object_mut().unwrap().remove("Message");
            }
        }
    }
    answer
}

#[tokio::test]
async fn random_histories_agree() {
    for seed in 0..HISTORIES {
        let Some(real) = Tables::real().await else {
            return;
        };
        let embedded = Tables::embedded().await;
        let random = &mut StdRng::seed_from_u64(seed);
        for number in 0..LENGTH {
            let (call, request) = if random.random_range(0..4) == 0 {
                ("TransactWriteItems", transaction(random))
            } else {
                write(random)
            };
            let expected = kind_of(&real.answer(call, &request).await);
            let found = kind_of(&embedded.answer(call, &request).await);
            assert_eq!(
                found, expected,
                "history {seed}, request {number}: {call} {request}"
            );
        }
        let all = json!({ "call": "Scan", "TableName": TABLE });
        for call in ["Pages", "Stream"] {
            let expected = list(&real.answer(call, &all).await);
            let found = list(&embedded.answer(call, &all).await);
            for (number, expected) in expected.iter().enumerate() {
                let found = found.get(number);
                assert_eq!(found, Some(expected), "history {seed}, {call} {number}");
            }
            assert_eq!(found.len(), expected.len(), "history {seed}, {call}");
        }
    }
}

/// Items or records as texts. In its streams DynamoDB Local writes a map that became empty as `{}`.
fn list(answer: &Value) -> Vec<String> {
    let gives = &answer["gives"];
    let values = gives.as_array().or(gives["Items"].as_array()).unwrap();
    let texts = values
        .iter()
        .map(|value| value.to_string().replace(r#"{"M":{}}"#, "{}"));
    texts.collect()
}
