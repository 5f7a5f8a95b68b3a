//! Tables and their streams.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, ConditionCheck, KeySchemaElement, KeyType,
    KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification, TransactWriteItem, Update,
};
use aws_sdk_dynamodbstreams::{error::ProvideErrorMetadata as _, types::ShardIteratorType};
use millrace_local::clock::{Clock, ManualClock, SystemClock};
use millrace_local::{Services, Storage, sdk_config};
use serde_json::Value;

use crate::cloud;

const TABLE: &str = "documents";

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

async fn create_table(client: &Client) {
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .unwrap();
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap();
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash)
        .build()
        .unwrap();
    client
        .create_table()
        .table_name(TABLE)
        .attribute_definitions(attribute)
        .key_schema(key)
        .billing_mode(BillingMode::PayPerRequest)
        .stream_specification(stream)
        .send()
        .await
        .unwrap();
}

async fn cloud_with_table() -> (Services, SdkConfig, Client) {
    let (services, config) = cloud();
    let client = Client::new(&config);
    create_table(&client).await;
    (services, config, client)
}

async fn put(client: &Client, id: &str, value: i64) {
    let put = client
        .put_item()
        .table_name(TABLE)
        .item("id", s(id))
        .item("value", n(value));
    put.send().await.unwrap();
}

async fn value(client: &Client, id: &str) -> Option<i64> {
    let get = client
        .get_item()
        .table_name(TABLE)
        .key("id", s(id))
        .consistent_read(true);
    let item = get.send().await.unwrap().item?;
    item["value"].as_n().unwrap().parse().ok()
}

async fn records(services: &Services) -> Vec<Value> {
    services
        .dynamo
        .stream_records(TABLE, None, 1_000)
        .await
        .unwrap()
}

fn transact_put(id: &str, value: i64) -> TransactWriteItem {
    let put = Put::builder()
        .table_name(TABLE)
        .item("id", s(id))
        .item("value", n(value))
        .condition_expression("attribute_not_exists(id)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    TransactWriteItem::builder()
        .put(put.build().unwrap())
        .build()
}

#[tokio::test]
async fn items_are_written_read_and_conditional() {
    let (_services, _config, client) = cloud_with_table().await;
    put(&client, "a", 1).await;
    put(&client, "b", 2).await;
    assert_eq!(value(&client, "a").await, Some(1));
    assert_eq!(value(&client, "none").await, None);

    let keys = KeysAndAttributes::builder()
        .keys(HashMap::from([("id".to_owned(), s("a"))]))
        .keys(HashMap::from([("id".to_owned(), s("b"))]))
        .keys(HashMap::from([("id".to_owned(), s("c"))]))
        .consistent_read(true)
        .build()
        .unwrap();
    let batch = client
        .batch_get_item()
        .request_items(TABLE, keys)
        .send()
        .await
        .unwrap();
    assert_eq!(batch.responses.unwrap()[TABLE].len(), 2);
}

#[tokio::test]
async fn a_failed_condition_gives_the_item_that_was_in_its_way() {
    let (_services, _config, client) = cloud_with_table().await;
    put(&client, "a", 1).await;
    let update = client
        .update_item()
        .table_name(TABLE)
        .key("id", s("a"))
        .update_expression("SET #v = :new")
        .condition_expression("#v > :new")
        .expression_attribute_names("#v", "value")
        .expression_attribute_values(":new", n(5))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = update.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
        failed,
    ) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item().unwrap()["value"], n(1));

    let put = client
        .put_item()
        .table_name(TABLE)
        .item("id", s("a"))
        .condition_expression("attribute_not_exists(id)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = put.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
        failed,
    ) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item().unwrap()["value"], n(1));

    let delete = client
        .delete_item()
        .table_name(TABLE)
        .key("id", s("a"))
        .condition_expression("attribute_not_exists(id)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = delete.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::delete_item::DeleteItemError::ConditionalCheckFailedException(
        failed,
    ) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item().unwrap()["value"], n(1));
}

#[tokio::test]
async fn a_cancelled_transaction_gives_a_reason_for_each_of_its_actions() {
    let (_services, _config, client) = cloud_with_table().await;
    put(&client, "b", 7).await;
    let check = ConditionCheck::builder()
        .table_name(TABLE)
        .key("id", s("c"))
        .condition_expression("attribute_exists(id)")
        .build()
        .unwrap();
    let error = client
        .transact_write_items()
        .transact_items(transact_put("a", 1))
        .transact_items(transact_put("b", 2))
        .transact_items(TransactWriteItem::builder().condition_check(check).build())
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}");
    };
    let reasons = cancelled.cancellation_reasons();
    let codes: Vec<_> = reasons.iter().filter_map(|reason| reason.code()).collect();
    assert_eq!(
        codes,
        ["None", "ConditionalCheckFailed", "ConditionalCheckFailed"]
    );
    assert_eq!(reasons[1].item().unwrap()["value"], n(7));
    let message = cancelled.message().unwrap();
    assert!(
        message.ends_with("[None, ConditionalCheckFailed, ConditionalCheckFailed]"),
        "{message}"
    );
    assert_eq!(value(&client, "a").await, None);
}

#[tokio::test]
async fn a_token_applies_its_transaction_once() {
    let (_services, _config, client) = cloud_with_table().await;
    put(&client, "a", 0).await;
    let add = |by: i64| {
        let update = Update::builder()
            .table_name(TABLE)
            .key("id", s("a"))
            .update_expression("ADD #v :by")
            .expression_attribute_names("#v", "value")
            .expression_attribute_values(":by", n(by))
            .build()
            .unwrap();
        let request = client
            .transact_write_items()
            .client_request_token("token-1");
        request.transact_items(TransactWriteItem::builder().update(update).build())
    };
    add(1).send().await.unwrap();
    add(1).send().await.unwrap();
    assert_eq!(value(&client, "a").await, Some(1));
    let error = add(2).send().await.unwrap_err().into_service_error();
    assert!(error.is_idempotent_parameter_mismatch_exception());
    let tables = client.list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), [TABLE]);
}

#[tokio::test]
async fn a_transaction_of_a_hundred_actions_keeps_its_token_too() {
    let (_services, _config, client) = cloud_with_table().await;
    let full = |count: i64| {
        let request = client.transact_write_items().client_request_token("full");
        let items = (0..count).map(|number| transact_put(&format!("item-{number}"), number));
        request.set_transact_items(Some(items.collect()))
    };
    full(100).send().await.unwrap();
    full(100).send().await.unwrap();
    assert_eq!(value(&client, "item-99").await, Some(99));
    let error = client
        .transact_write_items()
        .set_transact_items(Some(
            (0..101)
                .map(|number| transact_put(&number.to_string(), 0))
                .collect(),
        ))
        .send()
        .await;
    assert!(error.is_err());
}

#[tokio::test]
async fn the_stream_tells_of_every_change_in_the_form_of_a_lambda_event() {
    let (services, _config, client) = cloud_with_table().await;
    let mut changes = services.dynamo.changes();
    changes.mark_unchanged();
    put(&client, "a", 1).await;
    assert!(changes.has_changed().unwrap());
    put(&client, "a", 2).await;
    client
        .delete_item()
        .table_name(TABLE)
        .key("id", s("a"))
        .send()
        .await
        .unwrap();

    let records = records(&services).await;
    let names: Vec<_> = records
        .iter()
        .map(|record| record["eventName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"]);
    let modified = &records[1];
    let stream = services.dynamo.stream(TABLE).unwrap();
    assert_eq!(modified["eventSourceARN"], stream.arn);
    assert!(
        stream
            .arn
            .starts_with("arn:aws:dynamodb:us-east-1:000000000000:table/documents/stream/")
    );
    assert_eq!(modified["eventSource"], "aws:dynamodb");
    assert_eq!(modified["awsRegion"], "us-east-1");
    assert_eq!(modified["dynamodb"]["Keys"]["id"]["S"], "a");
    assert_eq!(modified["dynamodb"]["OldImage"]["value"]["N"], "1");
    assert_eq!(modified["dynamodb"]["NewImage"]["value"]["N"], "2");
    assert_eq!(modified["dynamodb"]["StreamViewType"], "NEW_AND_OLD_IMAGES");

    let first = records[0]["dynamodb"]["SequenceNumber"].as_str().unwrap();
    let rest = services
        .dynamo
        .stream_records(TABLE, Some(first), 1)
        .await
        .unwrap();
    assert_eq!(rest, records[1..2]);
    let latest = services.dynamo.latest_sequence_number(TABLE).await.unwrap();
    assert_eq!(
        latest.as_deref(),
        records[2]["dynamodb"]["SequenceNumber"].as_str()
    );
}

#[tokio::test]
async fn a_put_that_changes_nothing_has_no_record() {
    let (services, config, client) = cloud_with_table().await;
    for value in [1, 1, 1, 2, 2] {
        put(&client, "a", value).await;
    }
    let through_the_api = api_records(&config).await;
    let names: Vec<_> = through_the_api
        .iter()
        .filter_map(|record| record.event_name())
        .collect();
    assert_eq!(names.len(), 2);
    let seen = records(&services).await;
    assert_eq!(seen.len(), 2);
    // The newest write said nothing, and its record waits for nobody.
    let latest = services.dynamo.latest_sequence_number(TABLE).await.unwrap();
    assert_eq!(
        latest.as_deref(),
        seen[1]["dynamodb"]["SequenceNumber"].as_str()
    );
    // Read again after what was nothing has been forgotten, and go on.
    put(&client, "a", 3).await;
    let again = records(&services).await;
    assert_eq!(again.len(), 3);
    assert_eq!(again[..2], seen[..]);
}

/// Clients check the length of a shard's id before they send it: at least 28.
#[tokio::test]
async fn the_shard_has_an_id_that_clients_take() {
    let (services, config) = cloud();
    let create = serde_json::json!({
        "TableName": "tbl",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"},
    });
    services.dynamo.call_json("CreateTable", &create).unwrap();
    let streams = aws_sdk_dynamodbstreams::Client::new(&config);
    let arn = services.dynamo.stream("tbl").unwrap().arn;
    let described = streams
        .describe_stream()
        .stream_arn(&arn)
        .send()
        .await
        .unwrap();
    let shards = described.stream_description.unwrap().shards.unwrap();
    assert!((28..=65).contains(&shards[0].shard_id().unwrap().len()));
    let unknown = streams
        .get_shard_iterator()
        .stream_arn(&arn)
        .shard_id("shardId-00000000000000000002-00000002")
        .shard_iterator_type(ShardIteratorType::Latest);
    let error = unknown.send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
}

async fn api_records(config: &SdkConfig) -> Vec<aws_sdk_dynamodbstreams::types::Record> {
    let streams = aws_sdk_dynamodbstreams::Client::new(config);
    let listed = streams
        .list_streams()
        .table_name(TABLE)
        .send()
        .await
        .unwrap();
    let arn = listed.streams()[0].stream_arn().unwrap().to_owned();
    let described = streams
        .describe_stream()
        .stream_arn(&arn)
        .send()
        .await
        .unwrap();
    let shard = described.stream_description().unwrap().shards()[0]
        .shard_id()
        .unwrap()
        .to_owned();
    let iterator = streams
        .get_shard_iterator()
        .stream_arn(&arn)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await
        .unwrap();
    let iterator = iterator.shard_iterator.unwrap();
    let answer = streams
        .get_records()
        .shard_iterator(iterator)
        .send()
        .await
        .unwrap();
    answer.records.unwrap_or_default()
}

#[tokio::test]
async fn expired_items_go_and_the_stream_says_who_took_them() {
    let (services, config, client) = cloud_with_table().await;
    let specification = TimeToLiveSpecification::builder()
        .attribute_name("expiresAt")
        .enabled(true)
        .build()
        .unwrap();
    let update = client.update_time_to_live().table_name(TABLE);
    update
        .time_to_live_specification(specification)
        .send()
        .await
        .unwrap();
    let put = client
        .put_item()
        .table_name(TABLE)
        .item("id", s("a"))
        .item("expiresAt", n(1_700_000_000));
    put.send().await.unwrap();
    let swept = services.dynamo.sweep().await.unwrap();
    assert_eq!(swept.expired_items, 1);

    let records = records(&services).await;
    assert_eq!(records[1]["eventName"], "REMOVE");
    assert_eq!(records[1]["userIdentity"]["type"], "Service");
    assert_eq!(
        records[1]["userIdentity"]["principalId"],
        "dynamodb.amazonaws.com"
    );
    let shown = api_records(&config).await;
    let identity = shown[1].user_identity().unwrap();
    assert_eq!(identity.r#type(), Some("Service"));
    assert_eq!(identity.principal_id(), Some("dynamodb.amazonaws.com"));
}

#[tokio::test]
async fn in_memory_items_expire_by_the_clock_of_the_tables() {
    let clock = ManualClock::new(1_790_000_000_000);
    let services = Services::open(&Storage::Memory, Arc::new(clock.clone())).unwrap();
    let client = Client::new(&sdk_config(&services));
    create_table(&client).await;
    let specification = TimeToLiveSpecification::builder()
        .attribute_name("expiresAt")
        .enabled(true)
        .build()
        .unwrap();
    let update = client.update_time_to_live().table_name(TABLE);
    let update = update.time_to_live_specification(specification);
    update.send().await.unwrap();
    // By the machine's clock all of this is long ago, or all to come.
    let now = clock.now_millis() / 1_000;
    for (id, expires) in [("a", now + 3_600), ("b", now + 7_200)] {
        let put = client.put_item().table_name(TABLE);
        let put = put.item("id", s(id)).item("expiresAt", n(expires));
        put.send().await.unwrap();
    }
    assert_eq!(services.dynamo.sweep().await.unwrap().expired_items, 0);
    clock.advance(Duration::from_secs(3_601));
    assert_eq!(services.dynamo.sweep().await.unwrap().expired_items, 1);
    let records = records(&services).await;
    let removed = records.last().unwrap();
    assert_eq!(removed["dynamodb"]["Keys"]["id"]["S"], "a");
    assert_eq!(removed["userIdentity"]["type"], "Service");
    assert_eq!(
        removed["dynamodb"]["ApproximateCreationDateTime"],
        now + 3_601
    );
    // What was written before is nobody's but who wrote it.
    assert!(
        records[..2]
            .iter()
            .all(|record| record.get("userIdentity").is_none())
    );
}

#[tokio::test]
async fn a_new_table_of_an_old_name_has_a_new_stream() {
    let (services, _config, client) = cloud_with_table().await;
    put(&client, "a", 1).await;
    client
        .delete_table()
        .table_name(TABLE)
        .send()
        .await
        .unwrap();
    assert!(services.dynamo.stream(TABLE).is_err());
    create_table(&client).await;
    assert!(records(&services).await.is_empty());
    assert_eq!(value(&client, "a").await, None);
}

/// The engine never shortens its log, and stamps it by the machine's clock, which says something else here.
#[tokio::test]
async fn a_stream_forgets_after_a_day_but_counts_on() {
    let clock = ManualClock::new(1_790_000_000_000);
    let services = Services::open(&Storage::Memory, Arc::new(clock.clone())).unwrap();
    let client = Client::new(&sdk_config(&services));
    create_table(&client).await;
    for value in 1..=3 {
        put(&client, "a", value).await;
    }
    assert_eq!(services.dynamo.sweep().await.unwrap().stream_records, 0);
    for record in records(&services).await {
        let created = &record["dynamodb"]["ApproximateCreationDateTime"];
        assert_eq!(created.as_f64(), Some(1_790_000_000.0), "{record}");
    }
    let last = services.dynamo.latest_sequence_number(TABLE).await.unwrap();
    clock.advance(Duration::from_secs(25 * 60 * 60));
    assert!(records(&services).await.is_empty());
    assert_eq!(services.dynamo.sweep().await.unwrap().stream_records, 2);
    put(&client, "a", 4).await;
    let next = services.dynamo.latest_sequence_number(TABLE).await.unwrap();
    assert!(next > last, "{next:?} after {last:?}");
}

/// Where the Streams API is asked to begin, and the code with which it refuses.
async fn refusal(config: &SdkConfig, arn: &str, at: &str) -> Option<String> {
    let streams = aws_sdk_dynamodbstreams::Client::new(config);
    let asked = streams
        .get_shard_iterator()
        .stream_arn(arn)
        .shard_id("shardId-00000000000000000001-00000001")
        .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
        .sequence_number(at);
    let error = asked.send().await.err()?;
    error.into_service_error().code().map(str::to_owned)
}

#[tokio::test]
async fn a_record_that_was_trimmed_and_a_stream_that_was_replaced_are_refused() {
    let clock = ManualClock::new(SystemClock.now_millis());
    let services = Services::open(&Storage::Memory, Arc::new(clock.clone())).unwrap();
    let config = sdk_config(&services);
    let client = Client::new(&config);
    create_table(&client).await;
    put(&client, "a", 1).await;
    let arn = services.dynamo.stream(TABLE).unwrap().arn;
    let first = services.dynamo.latest_sequence_number(TABLE).await.unwrap();
    let first = first.unwrap();
    assert_eq!(refusal(&config, &arn, &first).await, None);
    let former = format!("{arn}0");
    let code = refusal(&config, &former, &first).await;
    assert_eq!(code.as_deref(), Some("ResourceNotFoundException"));

    clock.advance(Duration::from_secs(25 * 60 * 60));
    let code = refusal(&config, &arn, &first).await;
    assert_eq!(code.as_deref(), Some("TrimmedDataAccessException"));
}

/// With the engine's own log, unindexed, the last writes would take several
/// times as long as the first.
#[tokio::test]
async fn writes_do_not_slow_down_with_those_before_them() {
    let (_services, _config, client) = cloud_with_table().await;
    let mut times = Vec::new();
    for round in 0..4 {
        let started = Instant::now();
        for number in 0..1_500 {
            put(
                &client,
                &format!("item-{}", number % 50),
                round * 10_000 + number,
            )
            .await;
        }
        times.push(started.elapsed());
    }
    let (first, last) = (times[0], times[3]);
    assert!(last < first * 3 + Duration::from_millis(500), "{times:?}");
}
