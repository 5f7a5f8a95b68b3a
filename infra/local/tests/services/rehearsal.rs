//! An overlay over the embedded cloud: it reads reality, and reality never hears of it.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, Put, ScalarAttributeType, TransactWriteItem, Update,
};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use millrace_local::rehearsal::{Effects, Overlay, Problem, Reality};
use serde_json::json;

use crate::cloud;

const BUCKET: &str = "documents";
const TABLE: &str = "rows";

/// Reality, and an overlay on it.
struct Stage {
    services: millrace_local::Services,
    real: SdkConfig,
    overlay: Overlay,
    effects: Effects,
}

impl Stage {
    async fn new() -> Self {
        let (services, real) = cloud();
        let s3 = aws_sdk_s3::Client::new(&real);
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        create_table(&aws_sdk_dynamodb::Client::new(&real)).await;
        let reality = Reality::new(
            aws_sdk_dynamodb::Client::new(&real),
            s3,
            aws_sdk_sqs::Client::new(&real),
        );
        let effects = Effects::default();
        let overlay = Overlay::over(reality, effects.clone()).unwrap();
        Self {
            services,
            real,
            overlay,
            effects,
        }
    }

    fn s3(&self) -> (aws_sdk_s3::Client, aws_sdk_s3::Client) {
        (
            aws_sdk_s3::Client::new(&self.real),
            aws_sdk_s3::Client::new(&self.overlay.sdk_config()),
        )
    }

    fn dynamodb(&self) -> (aws_sdk_dynamodb::Client, aws_sdk_dynamodb::Client) {
        (
            aws_sdk_dynamodb::Client::new(&self.real),
            aws_sdk_dynamodb::Client::new(&self.overlay.sdk_config()),
        )
    }

    fn told(&self) -> Vec<String> {
        let effects = self.effects.all().into_iter();
        effects.map(|effect| effect.summary).collect()
    }

    /// The operation that could not be rehearsed.
    fn refused(&self) -> String {
        match self.overlay.problem() {
            Some(Problem::Operation { operation, .. }) => operation,
            other => panic!("{other:?}"),
        }
    }
}

async fn create_table(client: &aws_sdk_dynamodb::Client) {
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .unwrap()
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .unwrap()
    };
    let by_status = GlobalSecondaryIndex::builder()
        .index_name("by-status")
        .key_schema(key("status", KeyType::Hash))
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()
        .unwrap();
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("user"))
        .attribute_definitions(attribute("id"))
        .attribute_definitions(attribute("status"))
        .key_schema(key("user", KeyType::Hash))
        .key_schema(key("id", KeyType::Range))
        .global_secondary_indexes(by_status)
        .send()
        .await
        .unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn key(id: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("user".to_owned(), text("ada")),
        ("id".to_owned(), text(id)),
    ])
}

fn row(id: &str, status: &str) -> HashMap<String, AttributeValue> {
    let mut row = key(id);
    row.insert("status".to_owned(), text(status));
    row
}

async fn put_row(client: &aws_sdk_dynamodb::Client, id: &str, status: &str) {
    client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(row(id, status)))
        .send()
        .await
        .unwrap();
}

async fn status(client: &aws_sdk_dynamodb::Client, id: &str) -> Option<String> {
    let answer = client
        .get_item()
        .table_name(TABLE)
        .set_key(Some(key(id)))
        .send()
        .await
        .unwrap();
    Some(answer.item?.get("status")?.as_s().unwrap().clone())
}

async fn put(client: &aws_sdk_s3::Client, key: &str, body: &str) -> String {
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .metadata("generation", "7")
        .content_type("text/plain")
        .body(ByteStream::from(body.as_bytes().to_vec()))
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap()
}

async fn read(client: &aws_sdk_s3::Client, key: &str) -> Option<String> {
    let answer = client.get_object().bucket(BUCKET).key(key).send().await;
    let bytes = answer.ok()?.body.collect().await.unwrap().into_bytes();
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn keys(client: &aws_sdk_s3::Client, prefix: &str) -> Vec<String> {
    let request = client.list_objects_v2().bucket(BUCKET).prefix(prefix);
    let page = request.send().await.unwrap();
    let keys = page.contents().iter();
    keys.map(|object| object.key().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn conditions_see_what_is_there_and_what_was_written_and_reality_stays() {
    let stage = Stage::new().await;
    let (real, rehearsed) = stage.dynamodb();
    put_row(&real, "1", "processing").await;
    let move_on = |from: &'static str, to: &'static str| {
        let rehearsed = rehearsed.clone();
        async move {
            rehearsed
                .update_item()
                .table_name(TABLE)
                .set_key(Some(key("1")))
                .update_expression("SET #status = :to")
                .condition_expression("#status = :from")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":from", text(from))
                .expression_attribute_values(":to", text(to))
                .send()
                .await
                .is_ok()
        }
    };
    assert!(!move_on("ready", "removed").await);
    assert!(move_on("processing", "ready").await);
    assert!(!move_on("processing", "ready").await);
    assert_eq!(status(&rehearsed, "1").await.as_deref(), Some("ready"));
    assert_eq!(status(&rehearsed, "2").await, None);
    assert_eq!(status(&real, "1").await.as_deref(), Some("processing"));
    assert_eq!(stage.told(), ["update the row rows/ada/1: status"]);

    // What reality does now comes too late: this rehearsal has looked.
    put_row(&real, "1", "error").await;
    assert_eq!(status(&rehearsed, "1").await.as_deref(), Some("ready"));
    assert_eq!(stage.overlay.problem(), None);
}

#[tokio::test]
async fn a_deleted_item_is_gone_for_every_way_of_reading() {
    let stage = Stage::new().await;
    let (real, rehearsed) = stage.dynamodb();
    for (id, status) in [("1", "ready"), ("2", "ready"), ("3", "error")] {
        put_row(&real, id, status).await;
    }
    rehearsed
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(key("1")))
        .send()
        .await
        .unwrap();
    put_row(&rehearsed, "4", "ready").await;
    assert_eq!(status(&rehearsed, "1").await, None);

    let ids = |items: &[HashMap<String, AttributeValue>]| -> Vec<String> {
        let mut ids: Vec<String> = items
            .iter()
            .map(|i| i["id"].as_s().unwrap().clone())
            .collect();
        ids.sort();
        ids
    };
    // A filter whose placeholders stand beside those of a projection, which reality is not asked for.
    let query = rehearsed
        .query()
        .table_name(TABLE)
        .key_condition_expression("#user = :user")
        .filter_expression("#status <> :error")
        .projection_expression("#id, #status")
        .expression_attribute_names("#user", "user")
        .expression_attribute_names("#id", "id")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":user", text("ada"))
        .expression_attribute_values(":error", text("error"))
        .send()
        .await
        .unwrap();
    assert_eq!(ids(query.items()), ["2", "4"]);
    // An index that has keys only: the overlay still has the whole row afterwards.
    let by_status = rehearsed
        .query()
        .table_name(TABLE)
        .index_name("by-status")
        .key_condition_expression("#status = :status")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":status", text("error"))
        .send()
        .await
        .unwrap();
    assert_eq!(ids(by_status.items()), ["3"]);
    assert_eq!(status(&rehearsed, "3").await.as_deref(), Some("error"));
    let scan = rehearsed.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!(ids(scan.items()), ["2", "3", "4"]);
    assert_eq!(status(&real, "1").await.as_deref(), Some("ready"));
    assert_eq!(status(&real, "4").await, None);
    assert_eq!(
        stage.told(),
        [
            "delete the row rows/ada/1",
            "create the row rows/ada/4 with id, status, user"
        ]
    );
}

#[tokio::test]
async fn a_transaction_takes_place_whole_or_not_at_all() {
    let stage = Stage::new().await;
    let (real, rehearsed) = stage.dynamodb();
    put_row(&real, "1", "processing").await;
    put_row(&real, "2", "taken").await;
    let transact = |second: &'static str| {
        let update = Update::builder()
            .table_name(TABLE)
            .set_key(Some(key("1")))
            .update_expression("SET #status = :to")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":to", text("ready"))
            .build()
            .unwrap();
        let put = Put::builder()
            .table_name(TABLE)
            .set_item(Some(row(second, "new")))
            .condition_expression("attribute_not_exists(id)")
            .build()
            .unwrap();
        rehearsed
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build())
            .transact_items(TransactWriteItem::builder().put(put).build())
            .send()
    };
    let error = transact("2").await.unwrap_err().into_service_error();
    assert!(error.is_transaction_canceled_exception(), "{error:?}");
    assert!(stage.told().is_empty());
    assert_eq!(status(&rehearsed, "1").await.as_deref(), Some("processing"));
    transact("3").await.unwrap();
    assert_eq!(status(&rehearsed, "1").await.as_deref(), Some("ready"));
    assert_eq!(
        stage.told(),
        [
            "update the row rows/ada/1: status",
            "create the row rows/ada/3 with id, status, user"
        ]
    );
    assert_eq!(status(&real, "1").await.as_deref(), Some("processing"));
    assert_eq!(status(&real, "3").await, None);
}

#[tokio::test]
async fn a_table_that_is_not_there_is_not_there() {
    let stage = Stage::new().await;
    let (_, rehearsed) = stage.dynamodb();
    let request = rehearsed.get_item().table_name("nowhere");
    let error = request.set_key(Some(key("1"))).send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    assert_eq!(stage.overlay.problem(), None);
}

#[tokio::test]
async fn objects_keep_their_tags_and_times_and_conditions_mean_what_they_mean() {
    let stage = Stage::new().await;
    let (real, rehearsed) = stage.s3();
    let tag = put(&real, "a/one.txt", "hello, mill").await;
    let is_there = real
        .head_object()
        .bucket(BUCKET)
        .key("a/one.txt")
        .send()
        .await
        .unwrap();
    let seen = rehearsed
        .head_object()
        .bucket(BUCKET)
        .key("a/one.txt")
        .send()
        .await
        .unwrap();
    assert_eq!(seen.e_tag, is_there.e_tag);
    assert_eq!(seen.last_modified, is_there.last_modified);
    assert_eq!(seen.metadata, is_there.metadata);
    assert_eq!(seen.content_type, is_there.content_type);
    let range = rehearsed
        .get_object()
        .bucket(BUCKET)
        .key("a/one.txt")
        .range("bytes=7-");
    let range = range.send().await.unwrap();
    assert_eq!(range.content_range(), Some("bytes 7-10/11"));
    assert_eq!(
        &range.body.collect().await.unwrap().into_bytes()[..],
        b"mill"
    );

    let put_if = |condition: Option<&str>, body: &'static str| {
        let request = rehearsed.put_object().bucket(BUCKET).key("a/one.txt");
        let request = request.body(ByteStream::from_static(body.as_bytes()));
        match condition {
            Some(tag) => request.if_match(tag).send(),
            None => request.if_none_match("*").send(),
        }
    };
    let refused = put_if(None, "x").await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 412);
    assert!(stage.told().is_empty());
    put_if(Some(&tag), "hello").await.unwrap();
    assert!(put_if(Some(&tag), "again").await.is_err());
    assert_eq!(
        read(&rehearsed, "a/one.txt").await.as_deref(),
        Some("hello")
    );
    assert_eq!(
        read(&real, "a/one.txt").await.as_deref(),
        Some("hello, mill")
    );
    assert_eq!(
        stage.told(),
        ["write s3://documents/a/one.txt (5 bytes, in place of 11 bytes)"]
    );
}

#[tokio::test]
async fn the_tag_of_a_multipart_upload_is_no_digest_and_stays() {
    let stage = Stage::new().await;
    let (real, rehearsed) = stage.s3();
    let begun = real
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .send()
        .await
        .unwrap();
    let id = begun.upload_id.unwrap();
    let part = real
        .upload_part()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&id)
        .part_number(1);
    let part = part
        .body(ByteStream::from_static(b"parts"))
        .send()
        .await
        .unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(part.e_tag)
        .build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = real
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .upload_id(id);
    let tag = complete
        .multipart_upload(parts)
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    assert!(tag.ends_with("-1\""), "{tag}");

    let got = rehearsed
        .get_object()
        .bucket(BUCKET)
        .key("big")
        .if_match(&tag);
    let got = got.send().await.unwrap();
    assert_eq!(got.e_tag(), Some(tag.as_str()));
    let delete = rehearsed.delete_object().bucket(BUCKET).key("big");
    delete.if_match(&tag).send().await.unwrap();
    assert_eq!(read(&rehearsed, "big").await, None);
    assert_eq!(read(&real, "big").await.as_deref(), Some("parts"));
    assert_eq!(stage.told(), ["delete s3://documents/big (5 bytes)"]);
}

#[tokio::test]
async fn listings_merge_what_is_there_with_what_was_written_and_deleted() {
    let stage = Stage::new().await;
    let (real, rehearsed) = stage.s3();
    for name in ["a/1", "a/2", "a/3", "b/1"] {
        put(&real, name, name).await;
    }
    rehearsed
        .delete_object()
        .bucket(BUCKET)
        .key("a/2")
        .send()
        .await
        .unwrap();
    put(&rehearsed, "a/4", "new").await;
    assert_eq!(keys(&rehearsed, "a/").await, ["a/1", "a/3", "a/4"]);
    assert_eq!(keys(&real, "a/").await, ["a/1", "a/2", "a/3"]);
    // Known from the listing alone: the bytes and headers are still to be had.
    assert_eq!(read(&rehearsed, "a/3").await.as_deref(), Some("a/3"));
    let seen = rehearsed
        .head_object()
        .bucket(BUCKET)
        .key("a/1")
        .send()
        .await
        .unwrap();
    assert_eq!(seen.metadata().unwrap()["generation"], "7");
    // A delimiter, and pages.
    let folders = rehearsed
        .list_objects_v2()
        .bucket(BUCKET)
        .delimiter("/")
        .max_keys(1);
    let folders = folders.send().await.unwrap();
    assert_eq!(folders.common_prefixes()[0].prefix(), Some("a/"));
    assert!(folders.next_continuation_token().is_some());
    assert_eq!(read(&rehearsed, "a/2").await, None);
}

#[tokio::test]
async fn copies_and_uploads_in_parts_stay_in_the_overlay() {
    let stage = Stage::new().await;
    let (real, rehearsed) = stage.s3();
    put(&real, "from", "the mill").await;
    let copy = rehearsed.copy_object().bucket(BUCKET).key("to");
    copy.copy_source(format!("{BUCKET}/from"))
        .send()
        .await
        .unwrap();
    assert_eq!(read(&rehearsed, "to").await.as_deref(), Some("the mill"));
    let begun = rehearsed
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .send()
        .await
        .unwrap();
    let id = begun.upload_id.unwrap();
    let part = rehearsed
        .upload_part()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&id)
        .part_number(1);
    let part = part
        .body(ByteStream::from_static(b"parts"))
        .send()
        .await
        .unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(part.e_tag)
        .build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = rehearsed
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("big")
        .upload_id(id);
    complete.multipart_upload(parts).send().await.unwrap();
    assert_eq!(read(&rehearsed, "big").await.as_deref(), Some("parts"));
    assert_eq!(keys(&real, "").await, ["from"]);
    assert_eq!(
        stage.told(),
        [
            "write s3://documents/to (8 bytes, new)",
            "write s3://documents/big (5 bytes, new)"
        ]
    );
    assert_eq!(stage.overlay.problem(), None);
}

#[tokio::test]
async fn messages_go_nowhere_and_their_sender_is_content() {
    let stage = Stage::new().await;
    stage
        .services
        .queues
        .ensure("work", &Default::default())
        .unwrap();
    stage.services.topics.ensure("news").unwrap();
    let config = stage.overlay.sdk_config();
    let sqs = aws_sdk_sqs::Client::new(&config);
    let url = sqs.get_queue_url().queue_name("work").send().await.unwrap();
    let url = url.queue_url().unwrap();
    let sent = sqs
        .send_message()
        .queue_url(url)
        .message_body("hello")
        .send()
        .await
        .unwrap();
    assert!(sent.message_id().is_some());
    let hide = sqs
        .change_message_visibility()
        .queue_url(url)
        .receipt_handle("r");
    hide.visibility_timeout(9).send().await.unwrap();
    sqs.delete_message()
        .queue_url(url)
        .receipt_handle("r")
        .send()
        .await
        .unwrap();
    let sns = aws_sdk_sns::Client::new(&config);
    let topic = millrace_local::names::topic_arn("news");
    let published = sns
        .publish()
        .topic_arn(topic)
        .message("hello")
        .send()
        .await
        .unwrap();
    assert!(published.message_id().is_some());
    assert_eq!(
        stage.services.queues.counts("work").await.unwrap().total(),
        0
    );
    assert_eq!(
        stage.told(),
        [
            "send a message of 5 bytes to work",
            "hide or show a message of work",
            "delete a message of work",
            "publish a notification to news"
        ]
    );
    assert!(
        sqs.get_queue_url()
            .queue_name("nowhere")
            .send()
            .await
            .is_err()
    );
    assert_eq!(stage.overlay.problem(), None);
}

#[tokio::test]
async fn what_is_not_known_to_be_harmless_is_refused_and_reaches_nobody() {
    let stage = Stage::new().await;
    let (_, dynamodb) = stage.dynamodb();
    assert!(
        dynamodb
            .delete_table()
            .table_name(TABLE)
            .send()
            .await
            .is_err()
    );
    assert_eq!(stage.refused(), "DynamoDB DeleteTable");
    let tables = stage
        .services
        .dynamo
        .call_json("ListTables", &json!({}))
        .unwrap();
    assert_eq!(tables["TableNames"], json!([TABLE]));

    let stage = Stage::new().await;
    let (real, s3) = stage.s3();
    let error = s3.delete_bucket().bucket(BUCKET).send().await.unwrap_err();
    assert!(error.code().is_some());
    assert_eq!(stage.refused(), "S3 DeleteBucket");
    real.head_bucket().bucket(BUCKET).send().await.unwrap();

    let stage = Stage::new().await;
    let (_, s3) = stage.s3();
    let versioned = s3.get_object().bucket(BUCKET).key("a").version_id("1");
    assert!(versioned.send().await.is_err());
    assert_eq!(stage.refused(), "S3 GetObject");

    let stage = Stage::new().await;
    let tagging = stage.s3().1.get_object_tagging().bucket(BUCKET).key("a");
    assert!(tagging.send().await.is_err());
    assert_eq!(stage.refused(), "S3 GetObjectTagging");

    let stage = Stage::new().await;
    stage
        .services
        .queues
        .ensure("work", &Default::default())
        .unwrap();
    let sqs = aws_sdk_sqs::Client::new(&stage.overlay.sdk_config());
    let url = millrace_local::names::queue_url("work");
    assert!(sqs.receive_message().queue_url(&url).send().await.is_err());
    assert_eq!(stage.refused(), "SQS ReceiveMessage");

    let stage = Stage::new().await;
    let streams = aws_sdk_dynamodbstreams::Client::new(&stage.overlay.sdk_config());
    assert!(streams.list_streams().send().await.is_err());
    assert_eq!(stage.refused(), "DynamoDBStreams_20120810 ListStreams");
    assert!(stage.told().is_empty());
}

#[tokio::test]
async fn a_reality_that_cannot_be_read_is_a_problem_and_no_verdict() {
    let (_, real) = cloud();
    let wrong = aws_sdk_dynamodb::config::Credentials::new("wrong", "wrong", None, None, "test");
    let provider = aws_sdk_dynamodb::config::SharedCredentialsProvider::new(wrong);
    let wrong = real.to_builder().credentials_provider(provider).build();
    let reality = Reality::new(
        aws_sdk_dynamodb::Client::new(&wrong),
        aws_sdk_s3::Client::new(&wrong),
        aws_sdk_sqs::Client::new(&wrong),
    );
    let overlay = Overlay::over(reality, Effects::default()).unwrap();
    let rehearsed = aws_sdk_dynamodb::Client::new(&overlay.sdk_config());
    let request = rehearsed.get_item().table_name(TABLE);
    assert!(request.set_key(Some(key("1"))).send().await.is_err());
    let said = overlay.problem().unwrap().to_string();
    assert!(
        said.starts_with(
            "could not describe the table rows for a rehearsal: UnrecognizedClientException"
        ),
        "{said}"
    );
}
