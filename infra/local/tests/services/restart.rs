//! What a restart finds again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use millrace_local::clock::SystemClock;
use millrace_local::eventbridge::Target;
use millrace_local::s3::NotificationRule;
use millrace_local::sqs::ReceiveOptions;
use millrace_local::{OpenError, Services, Storage, names, sdk_config};
use serde_json::{Value, json};

fn open(directory: &Path) -> Services {
    let storage = Storage::Directory(directory.to_owned());
    Services::open(&storage, Arc::new(SystemClock)).unwrap()
}

fn set_up(services: &Services) {
    services.queues.ensure("created", &BTreeMap::new()).unwrap();
    services.queues.ensure("bus", &BTreeMap::new()).unwrap();
    services.s3.ensure_bucket("documents").unwrap();
    let rule = NotificationRule {
        id: "all".to_owned(),
        events: vec!["s3:ObjectCreated:*".to_owned()],
        prefix: String::new(),
        suffix: String::new(),
        queue_arn: names::queue_arn("created"),
    };
    services
        .s3
        .set_notifications("documents", &[rule], true)
        .unwrap();
    let pattern = json!({"source": ["aws.s3"]});
    let targets = [Target::queue(names::queue_arn("bus"))];
    services.bus.put_rule("all", &pattern, &targets).unwrap();
    let create = json!({
        "TableName": "rows",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    });
    services.dynamo.call_json("CreateTable", &create).unwrap();
}

async fn put_object(services: &Services, key: &str, body: &'static str) {
    let client = aws_sdk_s3::Client::new(&sdk_config(services));
    let body = ByteStream::from_static(body.as_bytes());
    client
        .put_object()
        .bucket("documents")
        .key(key)
        .body(body)
        .send()
        .await
        .unwrap();
}

fn put_row(services: &Services, id: &str) {
    let put = json!({"TableName": "rows", "Item": {"id": {"S": id}}});
    services.dynamo.call_json("PutItem", &put).unwrap();
}

async fn sequencers(services: &Services, queue: &str) -> Vec<String> {
    let messages = services
        .queues
        .receive(queue, ReceiveOptions::at_once(100))
        .await
        .unwrap();
    let sequencer = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        let record = body["Records"][0]["s3"]["object"]["sequencer"].as_str();
        let event = body["detail"]["object"]["sequencer"].as_str();
        record.or(event).unwrap().to_owned()
    };
    messages
        .iter()
        .map(|message| sequencer(&message.body))
        .collect()
}

#[tokio::test]
async fn everything_is_there_again_and_numbers_go_on_rising() {
    let directory = tempfile::tempdir().unwrap();
    let services = open(directory.path());
    set_up(&services);
    put_object(&services, "a", "first").await;
    put_row(&services, "1");
    let token = json!({
        "ClientRequestToken": "once",
        "TransactItems": [{"Update": {
            "TableName": "rows", "Key": {"id": {"S": "1"}},
            "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}},
        }}],
    });
    services
        .dynamo
        .call_json("TransactWriteItems", &token)
        .unwrap();
    let before = services
        .dynamo
        .stream_records("rows", None, 10)
        .await
        .unwrap();
    assert_eq!(before.len(), 2);
    drop(services);

    let services = open(directory.path());
    put_object(&services, "b", "second").await;
    for queue in ["created", "bus"] {
        let sequencers = sequencers(&services, queue).await;
        assert_eq!(sequencers.len(), 2, "{queue}");
        assert!(sequencers[0] < sequencers[1]);
    }
    let client = aws_sdk_s3::Client::new(&sdk_config(&services));
    let got = client
        .get_object()
        .bucket("documents")
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "first");

    services
        .dynamo
        .call_json("TransactWriteItems", &token)
        .unwrap();
    let get = json!({"TableName": "rows", "Key": {"id": {"S": "1"}}});
    let row = services.dynamo.call_json("GetItem", &get).unwrap();
    assert_eq!(row["Item"]["n"]["N"], "1", "the token is remembered");
    put_row(&services, "2");
    let last = before[1]["dynamodb"]["SequenceNumber"].as_str().unwrap();
    let after = services
        .dynamo
        .stream_records("rows", Some(last), 10)
        .await
        .unwrap();
    assert_eq!(after.len(), 1);
    assert!(after[0]["dynamodb"]["SequenceNumber"].as_str().unwrap() > last);
}

#[tokio::test]
async fn bytes_that_nothing_names_are_removed_and_the_others_kept() {
    let directory = tempfile::tempdir().unwrap();
    let services = open(directory.path());
    set_up(&services);
    put_object(&services, "a", "old").await;
    put_object(&services, "a", "new").await;
    drop(services);
    let folder = directory.path().join("objects/zz");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("left-over"), "x").unwrap();

    let services = open(directory.path());
    assert!(!folder.join("left-over").exists());
    let client = aws_sdk_s3::Client::new(&sdk_config(&services));
    let got = client
        .get_object()
        .bucket("documents")
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "new");
    let blobs = walk(&directory.path().join("objects"));
    assert_eq!(blobs, 1, "one object, one blob");
}

fn walk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { 1 }
        })
        .sum()
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let database = rusqlite::Connection::open(directory.path().join("cloud.sqlite")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let storage = Storage::Directory(directory.path().to_owned());
    let error = Services::open(&storage, Arc::new(SystemClock)).unwrap_err();
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let storage = Storage::Directory(directory.path().to_owned());
    let second = Services::open(&storage, Arc::new(SystemClock));
    let error = second.expect_err("the second opening should fail");
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(
        error
            .to_string()
            .contains(&directory.path().display().to_string())
    );
    drop(first);
    open(directory.path());
}
