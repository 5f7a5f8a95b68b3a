//! DynamoDB: files of requests with the answers that DynamoDB Local gave. The embedded cloud must give the same.
//!
//! A file is a list of steps. `call` is an operation with its request `with`; then it `gives` an answer or is `refused`. Where
//! the embedded cloud is known to differ, `embedded` has what it answers, and `why`. Two calls are made up: `Stream` reads
//! all records of a table's stream, `Pages` a query or scan to its end, counting the pages. `{"repeat": ["a", 5]}` stands for "aaaaa".
//!
//! Each file begins with an empty table `things` (`PK`, `SK`; an index `byGroup` on `group` and `rank` with everything, and
//! `byOwner` on `owner` with keys only), whose stream has both images. What differs from run to run is left out of answers: `VOLATILE`.
//!
//! With `MILLRACE_CONTRACT_WRITE=1` and an address, the answers are written into the files anew. The words of an error are
//! kept where both use the same ones.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::wire::Endpoint;

pub(crate) const TABLE: &str = "things";

/// What nobody can know beforehand, or what is about money and places.
const VOLATILE: [&str; 22] = [
    "ApproximateCreationDateTime",
    "BillingModeSummary",
    "ConsumedCapacity",
    "CreationDateTime",
    "DeletionProtectionEnabled",
    "IndexArn",
    "IndexSizeBytes",
    "ItemCount",
    "LatestStreamArn",
    "LatestStreamLabel",
    "ProvisionedThroughput",
    "SequenceNumber",
    "SizeBytes",
    "TableArn",
    "TableId",
    "TableSizeBytes",
    "TableThroughputModeSummary",
    "WarmThroughput",
    "awsRegion",
    "eventID",
    "eventVersion",
    "eventSource",
];

/// A DynamoDB, with tables that have names of their own in this run.
pub(crate) struct Tables {
    endpoint: Endpoint,
    suffix: String,
}

impl Tables {
    pub(crate) async fn new(endpoint: Endpoint) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let tables = Self {
            endpoint,
            suffix: format!("-{}", &random[..12]),
        };
        let made = tables.answer("CreateTable", &table()).await;
        assert!(made.get("gives").is_some(), "{made}");
        tables
    }

    pub(crate) async fn embedded() -> Self {
        Self::new(Endpoint::embedded().await).await
    }

    pub(crate) async fn real() -> Option<Self> {
        Some(Self::new(Endpoint::real("MILLRACE_DYNAMODB_URL")?).await)
    }

    /// What a call comes to: `{"gives": …}` or `{"refused": …}`, without what is volatile.
    pub(crate) async fn answer(&self, call: &str, with: &Value) -> Value {
        let mut answer = match call {
            "Stream" => json!({ "gives": self.stream().await }),
            "Pages" => self.pages(with).await,
            _ => self.call(call, with).await,
        };
        let is_ordered = matches!(call, "Query" | "Stream" | "TransactGetItems");
        normalise(&mut answer, is_ordered);
        answer
    }

    /// A call with the names of the table and of tokens in this run, and its answer as it came.
    async fn send(&self, target: &str, call: &str, with: &Value) -> (u16, String) {
        let named = with
            .to_string()
            .replace(
                &format!("\"{TABLE}\""),
                &format!("\"{TABLE}{}\"", self.suffix),
            )
            .replace("\"token-", &format!("\"token{}-", self.suffix));
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &format!("{target}.{call}")),
        ];
        let answered = self
            .endpoint
            .send("dynamodb", "POST", "/", &headers, named.into_bytes())
            .await;
        let text = String::from_utf8(answered.body().to_vec()).unwrap();
        (answered.status().as_u16(), text)
    }

    async fn call(&self, call: &str, with: &Value) -> Value {
        let (status, text) = self.send("DynamoDB_20120810", call, with).await;
        let text = text.replace(&self.suffix, "");
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
        if status == 200 {
            return json!({ "gives": answer });
        }
        let mut refused = Map::new();
        if let Some(fields) = answer.as_object_mut() {
            let code = fields.remove("__type").unwrap_or_default();
            let code = code.as_str().unwrap_or_default();
            let code = code.rsplit('#').next().unwrap_or_default();
            refused.insert("code".into(), json!(code));
            for name in ["message", "Message"] {
                if let Some(message) = fields.remove(name) {
                    refused.insert("message".into(), message);
                }
            }
            refused.append(fields);
        }
        refused.insert("status".into(), json!(status));
        json!({ "refused": refused })
    }

    /// A query or a scan to its end: how many items each page had, and all of them.
    async fn pages(&self, with: &Value) -> Value {
        let mut request = with.clone();
        let call = request.as_object_mut().unwrap().remove("call").unwrap();
        let (mut counts, mut items) = (Vec::new(), Vec::new());
        loop {
            let answer = self.call(call.as_str().unwrap(), &request).await;
            let Some(page) = answer.get("gives") else {
                return answer;
            };
            counts.push(page["ScannedCount"].clone());
            items.extend(page["Items"].as_array().unwrap().iter().cloned());
            match page.get("LastEvaluatedKey") {
                Some(key) => request["ExclusiveStartKey"] = key.clone(),
                None => return json!({ "gives": { "Pages": counts, "Items": items } }),
            }
        }
    }

    async fn streams(&self, call: &str, with: Value) -> Value {
        let (status, text) = self.send("DynamoDBStreams_20120810", call, &with).await;
        assert_eq!(status, 200, "{call} {with}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// All records of the table's stream, in order; their numbers rise.
    async fn stream(&self) -> Value {
        let listed = self
            .streams("ListStreams", json!({ "TableName": TABLE }))
            .await;
        let arn = &listed["Streams"][0]["StreamArn"];
        let described = self
            .streams("DescribeStream", json!({ "StreamArn": arn }))
            .await;
        let mut records: Vec<Value> = Vec::new();
        for shard in described["StreamDescription"]["Shards"].as_array().unwrap() {
            let asked = json!({ "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
            let asked = self.streams("GetShardIterator", asked).await;
            let mut iterator = asked["ShardIterator"].clone();
            while !iterator.is_null() {
                let asked = json!({ "ShardIterator": iterator, "Limit": 1000 });
                let answer = self.streams("GetRecords", asked).await;
                let read = answer["Records"].as_array().unwrap();
                if read.is_empty() {
                    break;
                }
                records.extend(read.iter().cloned());
                iterator = answer["NextShardIterator"].clone();
            }
        }
        let numbers: Vec<u128> = records
            .iter()
            .map(|record| {
                let number = record["dynamodb"]["SequenceNumber"].as_str().unwrap();
                number.parse().unwrap()
            })
            .collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "{numbers:?}"
        );
        Value::Array(records)
    }
}

fn table() -> Value {
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            { "AttributeName": "PK", "AttributeType": "S" },
            { "AttributeName": "SK", "AttributeType": "S" },
            { "AttributeName": "group", "AttributeType": "S" },
            { "AttributeName": "rank", "AttributeType": "N" },
            { "AttributeName": "owner", "AttributeType": "S" },
        ],
        "KeySchema": [
            { "AttributeName": "PK", "KeyType": "HASH" },
            { "AttributeName": "SK", "KeyType": "RANGE" },
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "byGroup",
                "KeySchema": [
                    { "AttributeName": "group", "KeyType": "HASH" },
                    { "AttributeName": "rank", "KeyType": "RANGE" },
                ],
                "Projection": { "ProjectionType": "ALL" },
            },
            {
                "IndexName": "byOwner",
                "KeySchema": [{ "AttributeName": "owner", "KeyType": "HASH" }],
                "Projection": { "ProjectionType": "KEYS_ONLY" },
            },
        ],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    })
}

/// Takes out what is volatile, and puts what has no order into one.
fn normalise(value: &mut Value, is_ordered: bool) {
    match value {
        Value::Object(fields) => {
            for name in VOLATILE {
                fields.remove(name);
            }
            // DynamoDB Local ends some sentences of reasons with a full stop, and others not.
            if let Some(Value::String(message)) = fields.get_mut("Message") {
                *message = message.trim_end_matches('.').to_owned();
            }
            for (name, field) in fields.iter_mut() {
                normalise(field, is_ordered);
                let is_set = matches!(name.as_str(), "SS" | "NS" | "BS");
                let is_of_tables = matches!(
                    name.as_str(),
                    "AttributeDefinitions" | "GlobalSecondaryIndexes"
                );
                let is_of_items = matches!(name.as_str(), "Items" | TABLE) && !is_ordered;
                if let Some(list) = field.as_array_mut()
                    && (is_set || is_of_tables || is_of_items)
                {
                    list.sort_by_key(Value::to_string);
                }
            }
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| normalise(value, is_ordered)),
        _ => {}
    }
}

/// Writes out `{"repeat": [TEXT, COUNT]}`.
fn expand(value: &Value) -> Value {
    match value {
        Value::Object(fields) => match fields.get("repeat") {
            Some(Value::Array(parts)) => {
                let count = usize::try_from(parts[1].as_u64().unwrap()).unwrap();
                match &parts[0] {
                    Value::String(text) => json!(text.repeat(count)),
                    other => (0..count)
                        .map(|number| {
                            let text = other.to_string().replace("NUMBER", &number.to_string());
                            serde_json::from_str::<Value>(&text).unwrap()
                        })
                        .collect(),
                }
            }
            _ => fields
                .iter()
                .map(|(name, value)| (name.clone(), expand(value)))
                .collect(),
        },
        Value::Array(values) => values.iter().map(expand).collect(),
        other => other.clone(),
    }
}

/// Only the words of the errors are compared that the file has.
fn without_unsaid_words(found: &Value, expected: &Value) -> Value {
    let mut found = found.clone();
    if expected.pointer("/refused").is_some()
        && expected.pointer("/refused/message").is_none()
        && let Some(refused) = found.get_mut("refused").and_then(Value::as_object_mut)
    {
        refused.remove("message");
    }
    found
}

fn expected(step: &Value, is_embedded: bool) -> Value {
    let said = match step.get("embedded") {
        Some(different) if is_embedded => different,
        _ => step,
    };
    match said.get("refused") {
        Some(refused) => json!({ "refused": refused }),
        None => json!({ "gives": said["gives"] }),
    }
}

fn cases() -> Vec<(PathBuf, Vec<Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/dynamo");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let steps = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file, steps)
        })
        .collect()
}

/// Every step that comes to something else than its file says.
async fn differences(tables: &Tables, file: &Path, steps: &[Value]) -> Vec<String> {
    let mut differences = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let call = step["call"].as_str().unwrap();
        let found = tables.answer(call, &expand(&step["with"])).await;
        let expected = expected(step, tables.endpoint.is_embedded);
        let found = without_unsaid_words(&found, &expected);
        if found != expected {
            let file = file.file_name().unwrap().to_string_lossy();
            let request: String = step["with"].to_string().chars().take(600).collect();
            differences.push(format!(
                "{file}, step {}: {call} {request}\n  found    {found}\n  expected {expected}",
                number + 1
            ));
        }
    }
    differences
}

#[tokio::test]
async fn the_embedded_tables_answer_as_the_files_say() {
    let mut all = Vec::new();
    for (file, steps) in cases() {
        all.extend(differences(&Tables::embedded().await, &file, &steps).await);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[tokio::test]
async fn dynamodb_local_answers_as_the_files_say() {
    let is_writing = std::env::var("MILLRACE_CONTRACT_WRITE").is_ok_and(|value| value == "1");
    let mut all = Vec::new();
    for (file, steps) in cases() {
        let Some(tables) = Tables::real().await else {
            return;
        };
        if is_writing {
            write(&tables, &file, steps).await;
        } else {
            all.extend(differences(&tables, &file, &steps).await);
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// A difference that nobody explained is a mistake.
#[test]
fn every_difference_says_why() {
    for (file, steps) in cases() {
        for (number, step) in steps.iter().enumerate() {
            let Some(different) = step.get("embedded") else {
                continue;
            };
            let why = different["why"].as_str().unwrap_or_default();
            assert!(
                why.len() > 20,
                "{}, step {}: {why:?}",
                file.display(),
                number + 1
            );
        }
    }
}

/// Writes a file anew, a step in a few lines.
async fn write(real: &Tables, file: &Path, steps: Vec<Value>) {
    let embedded = Tables::embedded().await;
    let mut lines = Vec::new();
    for step in steps {
        let call = step["call"].as_str().unwrap();
        let with = expand(&step["with"]);
        let mut answer = real.answer(call, &with).await;
        let mut other = embedded.answer(call, &with).await;
        if answer.pointer("/refused/message") != other.pointer("/refused/message") {
            for said in [&mut answer, &mut other] {
                if let Some(refused) = said.get_mut("refused").and_then(Value::as_object_mut) {
                    refused.remove("message");
                }
            }
        }
        let mut text = format!("  {{\"call\": {}", step["call"]);
        if let Some(about) = step.get("about") {
            text += &format!(", \"about\": {about}");
        }
        text += &format!(",\n   \"with\": {}", step["with"]);
        let (kind, value) = answer.as_object().unwrap().iter().next().unwrap();
        text += &format!(",\n   {kind:?}: {value}");
        if answer != other {
            let (kind, value) = other.as_object().unwrap().iter().next().unwrap();
            let why = step.pointer("/embedded/why").cloned().unwrap_or_default();
            text += &format!(",\n   \"embedded\": {{{kind:?}: {value}, \"why\": {why}}}");
        }
        lines.push(text + "}");
    }
    std::fs::write(file, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
}
