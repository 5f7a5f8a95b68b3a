//! Buckets and objects.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective, ObjectIdentifier,
};

use crate::cloud;

const BUCKET: &str = "documents";

async fn client_with_bucket() -> Client {
    let (_services, config) = cloud();
    let client = Client::new(&config);
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    client
}

async fn put(client: &Client, key: &str, body: impl Into<Vec<u8>>) -> String {
    let body = ByteStream::from(body.into());
    let answer = client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body)
        .send()
        .await
        .unwrap();
    answer.e_tag.unwrap()
}

async fn text(client: &Client, key: &str) -> String {
    let answer = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .send()
        .await
        .unwrap();
    let bytes = answer.body.collect().await.unwrap().into_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The code of the error that a request must end in.
macro_rules! code {
    ($request:expr) => {{
        let error = $request.send().await.expect_err("the request should fail");
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        let error = error.into_service_error();
        (
            status.unwrap_or_default(),
            error.code().unwrap_or_default().to_owned(),
        )
    }};
}

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_of_it() {
    let client = client_with_bucket().await;
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("a/文 書+1.txt")
        .body(ByteStream::from_static(b"hello"))
        .content_type("text/plain")
        .cache_control("no-cache")
        .metadata("generation", "7")
        .send()
        .await
        .unwrap();
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));

    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("a/文 書+1.txt")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.cache_control(), Some("no-cache"));
    assert_eq!(got.metadata().unwrap()["generation"], "7");
    assert_eq!(got.e_tag(), put.e_tag());
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello");

    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("a/文 書+1.txt")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.metadata().unwrap()["generation"], "7");
}

#[tokio::test]
async fn keys_are_not_paths() {
    let client = client_with_bucket().await;
    let keys = [
        "a",
        "a/b",
        "a/b/",
        "../../etc/passwd",
        "a/../b",
        ".",
        "with space",
        "%2e%2e",
    ];
    for key in keys {
        put(&client, key, key).await;
    }
    for key in keys {
        assert_eq!(text(&client, key).await, key);
    }
    let listed = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let listed: BTreeSet<&str> = listed
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    assert_eq!(listed, BTreeSet::from(keys));
}

#[tokio::test]
async fn what_is_missing_is_a_typed_error() {
    let client = client_with_bucket().await;
    let error = client
        .get_object()
        .bucket(BUCKET)
        .key("none")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_no_such_key());
    let error = client
        .head_object()
        .bucket(BUCKET)
        .key("none")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_not_found());
    let error = client
        .head_bucket()
        .bucket("other")
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_not_found());
    let put = client.put_object().bucket("other").key("k");
    assert_eq!(code!(put), (404, "NoSuchBucket".to_owned()));
    client
        .delete_object()
        .bucket(BUCKET)
        .key("none")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn ranges_are_cut_and_checked() {
    let client = client_with_bucket().await;
    put(&client, "k", "0123456789").await;
    let get = |range: &str| client.get_object().bucket(BUCKET).key("k").range(range);
    for (range, expected, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let got = get(range).send().await.unwrap();
        assert_eq!(got.content_range(), Some(content_range));
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), expected);
    }
    assert_eq!(code!(get("bytes=10-")), (416, "InvalidRange".to_owned()));
}

#[tokio::test]
async fn writes_keep_to_their_conditions() {
    let client = client_with_bucket().await;
    let write = |body: &'static str| {
        client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(ByteStream::from_static(body.as_bytes()))
    };
    let (missing, failed) = (
        (404, "NoSuchKey".to_owned()),
        (412, "PreconditionFailed".to_owned()),
    );
    assert_eq!(
        code!(write("0").if_match("\"00000000000000000000000000000000\"")),
        missing
    );
    let first = write("1")
        .if_none_match("*")
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    assert_eq!(code!(write("2").if_none_match("*")), failed);
    let second = write("2")
        .if_match(&first)
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    assert_eq!(code!(write("3").if_match(&first)), failed);
    assert_eq!(text(&client, "k").await, "2");

    let remove = || client.delete_object().bucket(BUCKET).key("k");
    assert_eq!(code!(remove().if_match(&first)), failed);
    remove().if_match(&second).send().await.unwrap();
    assert_eq!(code!(remove().if_match(&second)), missing);
}

#[tokio::test]
async fn reads_keep_to_their_conditions() {
    let client = client_with_bucket().await;
    let etag = put(&client, "k", "1").await;
    let get = || client.get_object().bucket(BUCKET).key("k");
    get().if_match(&etag).send().await.unwrap();
    get().if_none_match("\"0\"").send().await.unwrap();
    assert_eq!(code!(get().if_match("\"0\"")).0, 412);
    assert_eq!(code!(get().if_none_match(&etag)).0, 304);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_create_one_wins() {
    let client = client_with_bucket().await;
    for round in 0..10 {
        let key = format!("key-{round}");
        let writers = (0..16).map(|writer| {
            let body = ByteStream::from(format!("{writer}").into_bytes());
            let request = client
                .put_object()
                .bucket(BUCKET)
                .key(&key)
                .if_none_match("*")
                .body(body);
            tokio::spawn(async move { request.send().await.is_ok().then_some(writer) })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            winners.extend(writer.await.unwrap());
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(text(&client, &key).await, winners[0].to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_one_version_whole_while_it_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let storage = millrace_local::Storage::Directory(directory.path().to_owned());
    let clock = std::sync::Arc::new(millrace_local::clock::SystemClock);
    let services = millrace_local::Services::open(&storage, clock).unwrap();
    let client = Client::new(&millrace_local::sdk_config(&services));
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    put(&client, "k", vec![0; 20_000]).await;
    let writer = tokio::spawn({
        let client = client.clone();
        async move {
            for version in 1..100_u8 {
                put(&client, "k", vec![version; 20_000]).await;
            }
        }
    });
    while !writer.is_finished() {
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap();
        let bytes = got.body.collect().await.unwrap().into_bytes();
        assert_eq!(bytes.len(), 20_000);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn listings_come_in_pages_with_common_prefixes() {
    let client = client_with_bucket().await;
    for key in ["a/1", "a/2", "a/b/3", "b", "c/1", "c/2", "d", "é"] {
        put(&client, key, "x").await;
    }
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let request = client
            .list_objects_v2()
            .bucket(BUCKET)
            .delimiter("/")
            .max_keys(2);
        let page = request.set_continuation_token(token).send().await.unwrap();
        let keys = page.contents().iter().filter_map(|object| object.key());
        let prefixes = page
            .common_prefixes()
            .iter()
            .filter_map(|prefix| prefix.prefix());
        let mut names: Vec<String> = keys.chain(prefixes).map(str::to_owned).collect();
        names.sort();
        assert_eq!(page.key_count(), Some(names.len() as i32));
        pages.push(names);
        token = page.next_continuation_token;
        assert_eq!(page.is_truncated, Some(token.is_some()));
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["a/", "b"], vec!["c/", "d"], vec!["é"]]);

    let below = client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("a/")
        .send()
        .await
        .unwrap();
    let keys: Vec<_> = below
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    assert_eq!(keys, ["a/1", "a/2", "a/b/3"]);
    let after = client
        .list_objects_v2()
        .bucket(BUCKET)
        .start_after("c/1")
        .send()
        .await
        .unwrap();
    let keys: Vec<_> = after
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    assert_eq!(keys, ["c/2", "d", "é"]);
}

#[tokio::test]
async fn several_objects_are_deleted_in_one_request() {
    let client = client_with_bucket().await;
    for key in ["a", "b", "c"] {
        put(&client, key, "x").await;
    }
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder()
        .objects(object("a"))
        .objects(object("c"))
        .objects(object("none"));
    let answer = client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete.build().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.deleted().len(), 3);
    let left = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_eq!(left.contents()[0].key(), Some("b"));
    assert_eq!(left.key_count(), Some(1));
}

#[tokio::test]
async fn copies_keep_or_replace_the_metadata() {
    let client = client_with_bucket().await;
    let body = ByteStream::from_static(b"x");
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("from")
        .body(body)
        .metadata("a", "1");
    put.send().await.unwrap();
    let copy = |to: &str| {
        client
            .copy_object()
            .bucket(BUCKET)
            .key(to)
            .copy_source(format!("{BUCKET}/from"))
    };
    copy("kept").send().await.unwrap();
    let replace = copy("replaced").metadata_directive(MetadataDirective::Replace);
    replace.metadata("b", "2").send().await.unwrap();
    client
        .delete_object()
        .bucket(BUCKET)
        .key("from")
        .send()
        .await
        .unwrap();
    for (key, name) in [("kept", "a"), ("replaced", "b")] {
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        let metadata = head.metadata().unwrap();
        assert_eq!(metadata.keys().collect::<Vec<_>>(), [name]);
        assert_eq!(text(&client, key).await, "x");
    }
}

#[tokio::test]
async fn large_objects_go_up_in_parts_and_come_down_streamed() {
    let client = client_with_bucket().await;
    let upload = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .content_type("video/mp4");
    let upload = upload.send().await.unwrap().upload_id.unwrap();
    let bodies = [vec![1_u8; 9 * 1024 * 1024], vec![2_u8; 100]];
    let mut parts = CompletedMultipartUpload::builder();
    for (number, body) in (1..).zip(bodies.clone()) {
        let request = client
            .upload_part()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&upload);
        let request = request.part_number(number).body(ByteStream::from(body));
        let etag = request.send().await.unwrap().e_tag.unwrap();
        parts = parts.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }
    assert_eq!(code!(client.head_object().bucket(BUCKET).key("k")).0, 404);
    let parts = parts.build();
    let complete = || {
        let request = client.complete_multipart_upload().bucket(BUCKET).key("k");
        request.upload_id(&upload).multipart_upload(parts.clone())
    };
    let completed = complete().send().await.unwrap();
    assert!(completed.e_tag().unwrap().ends_with("-2\""));

    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_type(), Some("video/mp4"));
    let bytes = got.body.collect().await.unwrap().into_bytes();
    assert_eq!(bytes, bodies.concat());
    assert_eq!(code!(complete()).1, "NoSuchUpload");
}

#[tokio::test]
async fn parts_that_are_too_small_or_unknown_are_refused() {
    let client = client_with_bucket().await;
    let upload = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    let upload = upload.upload_id.unwrap();
    let mut etags = Vec::new();
    for number in [1, 2] {
        let request = client
            .upload_part()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&upload);
        let body = ByteStream::from_static(b"small");
        etags.push(
            request
                .part_number(number)
                .body(body)
                .send()
                .await
                .unwrap()
                .e_tag
                .unwrap(),
        );
    }
    let complete = |parts: &[(i32, &str)]| {
        let mut completed = CompletedMultipartUpload::builder();
        for (number, etag) in parts {
            let part = CompletedPart::builder()
                .part_number(*number)
                .e_tag(*etag)
                .build();
            completed = completed.parts(part);
        }
        let request = client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key("k")
            .upload_id(&upload);
        request.multipart_upload(completed.build())
    };
    assert_eq!(
        code!(complete(&[(1, &etags[0]), (2, &etags[1])])).1,
        "EntityTooSmall"
    );
    assert_eq!(
        code!(complete(&[(2, &etags[1]), (1, &etags[0])])).1,
        "InvalidPartOrder"
    );
    assert_eq!(code!(complete(&[(3, &etags[0])])).1, "InvalidPart");
    client
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&upload)
        .send()
        .await
        .unwrap();
    assert_eq!(code!(complete(&[(1, &etags[0])])).1, "NoSuchUpload");
}

#[tokio::test]
async fn a_body_from_a_file_is_streamed() {
    let client = client_with_bucket().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..10_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    std::fs::write(file.path(), &content).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    client
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(body)
        .send()
        .await
        .unwrap();
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), content);
}

#[tokio::test]
async fn a_body_must_match_what_its_sender_says_of_it() {
    let client = client_with_bucket().await;
    let write = || {
        let body = ByteStream::from_static(b"hello");
        client.put_object().bucket(BUCKET).key("k").body(body)
    };
    let wrong_crc = write().checksum_crc32("AAAAAA==");
    assert_eq!(code!(wrong_crc), (400, "BadDigest".to_owned()));
    let wrong_md5 = write().content_md5("AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(code!(wrong_md5), (400, "BadDigest".to_owned()));
    write()
        .content_md5("XUFAKrxLKna5cZ2REBfFkg==")
        .send()
        .await
        .unwrap();
    write()
        .checksum_sha256("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
        .send()
        .await
        .unwrap();
    assert_eq!(text(&client, "k").await, "hello");
}
