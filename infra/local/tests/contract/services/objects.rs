//! Objects.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use serde_json::{Value, json};

use super::{Cloud, Transcript, agree, code, story};

story!(objects_keep_what_was_said_of_them);
story!(conditions_hold_for_reads_and_writes);
story!(listings_come_in_pages);

async fn bucket(cloud: &Cloud) -> String {
    let name = cloud.name("objects");
    cloud.s3.create_bucket().bucket(&name).send().await.unwrap();
    name
}

async fn put(cloud: &Cloud, bucket: &str, key: &str, body: &str) -> Value {
    let body = ByteStream::from(body.as_bytes().to_vec());
    let put = cloud.s3.put_object().bucket(bucket).key(key).body(body);
    json!(put.send().await.unwrap().e_tag())
}

async fn text(cloud: &Cloud, bucket: &str, key: &str) -> String {
    let get = cloud.s3.get_object().bucket(bucket).key(key);
    let body = get.send().await.unwrap().body.collect().await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn objects_keep_what_was_said_of_them(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let s3 = &cloud.s3;
    let bucket = bucket(cloud).await;
    let put = s3.put_object().bucket(&bucket).key("a b/ü+c.txt");
    let put = put
        .body(ByteStream::from_static(b"hello world"))
        .content_type("text/plain")
        .metadata("owner", "somebody")
        .send()
        .await
        .unwrap();
    seen.saw("etag", put.e_tag());
    let head = s3.head_object().bucket(&bucket).key("a b/ü+c.txt");
    let head = head.send().await.unwrap();
    seen.saw(
        "head",
        json!([
            head.content_length(),
            head.content_type(),
            head.e_tag(),
            head.metadata().map(|it| it.get("owner"))
        ]),
    );
    let range = s3.get_object().bucket(&bucket).key("a b/ü+c.txt");
    let range = range.range("bytes=6-").send().await.unwrap();
    seen.saw("range", range.content_range());
    let part = range.body.collect().await.unwrap().to_vec();
    seen.saw("part", String::from_utf8(part).unwrap());
    let beyond = s3.get_object().bucket(&bucket).key("a b/ü+c.txt");
    seen.saw("beyond", code(beyond.range("bytes=50-").send().await));
    let copy = s3.copy_object().bucket(&bucket).key("copy");
    let copy = copy.copy_source(format!("{bucket}/a%20b/%C3%BC%2Bc.txt"));
    seen.saw("copied", code(copy.send().await));
    seen.saw("copy", text(cloud, &bucket, "copy").await);
    let head = s3
        .head_object()
        .bucket(&bucket)
        .key("copy")
        .send()
        .await
        .unwrap();
    seen.saw(
        "of the copy",
        json!([
            head.content_type(),
            head.metadata().map(|it| it.get("owner"))
        ]),
    );

    let started = s3.create_multipart_upload().bucket(&bucket).key("parts");
    let upload = started.send().await.unwrap().upload_id.unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, body) in [(1, vec![b'x'; 5 << 20]), (2, b"end".to_vec())] {
        let part = s3
            .upload_part()
            .bucket(&bucket)
            .key("parts")
            .upload_id(&upload);
        let part = part.part_number(number).body(ByteStream::from(body));
        let tag = part.send().await.unwrap().e_tag.unwrap();
        parts = parts.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(tag)
                .build(),
        );
    }
    let done = s3.complete_multipart_upload().bucket(&bucket).key("parts");
    let done = done.upload_id(&upload).multipart_upload(parts.build());
    seen.saw("of parts", done.send().await.unwrap().e_tag());
    let head = s3
        .head_object()
        .bucket(&bucket)
        .key("parts")
        .send()
        .await
        .unwrap();
    seen.saw("size of parts", head.content_length());

    let missing = s3.get_object().bucket(&bucket).key("none");
    seen.saw("get none", code(missing.send().await));
    let missing = s3.head_object().bucket(&bucket).key("none");
    seen.saw("head none", code(missing.send().await));
    let missing = s3.delete_object().bucket(&bucket).key("none");
    seen.saw("delete none", code(missing.send().await));
    let missing = s3.get_object().bucket("nowhere-at-all").key("none");
    seen.saw("no bucket", code(missing.send().await));
    let missing = s3.copy_object().bucket(&bucket).key("x");
    let missing = missing.copy_source(format!("{bucket}/none"));
    seen.saw("copy none", code(missing.send().await));
    let named = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder()
        .objects(named("copy"))
        .objects(named("none"));
    let delete = s3
        .delete_objects()
        .bucket(&bucket)
        .delete(delete.build().unwrap())
        .send()
        .await
        .unwrap();
    let mut keys: Vec<_> = delete.deleted().iter().filter_map(|it| it.key()).collect();
    keys.sort_unstable();
    seen.saw("deleted", json!(keys));
    let full = s3.delete_bucket().bucket(&bucket);
    seen.saw("a bucket with objects", code(full.send().await));
    seen
}

async fn conditions_hold_for_reads_and_writes(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let bucket = bucket(cloud).await;
    let write = |key: &str, body: &'static str| {
        let body = ByteStream::from_static(body.as_bytes());
        cloud.s3.put_object().bucket(&bucket).key(key).body(body)
    };
    seen.saw(
        "created",
        code(write("k", "one").if_none_match("*").send().await),
    );
    seen.saw(
        "created again",
        code(write("k", "two").if_none_match("*").send().await),
    );
    seen.saw("kept", text(cloud, &bucket, "k").await);
    let tag = put(cloud, &bucket, "k", "three").await;
    let tag = tag.as_str().unwrap();
    seen.saw(
        "replaced",
        code(write("k", "four").if_match(tag).send().await),
    );
    seen.saw(
        "replaced again",
        code(write("k", "five").if_match(tag).send().await),
    );
    seen.saw(
        "replaced none",
        code(write("none", "x").if_match(tag).send().await),
    );
    seen.saw("now", text(cloud, &bucket, "k").await);
    let read = || cloud.s3.get_object().bucket(&bucket).key("k");
    seen.saw("read the former", code(read().if_match(tag).send().await));
    let tag = put(cloud, &bucket, "k", "six").await;
    let tag = tag.as_str().unwrap();
    seen.saw("read this", code(read().if_match(tag).send().await));
    seen.saw(
        "read what is new",
        code(read().if_none_match(tag).send().await.map_err(|error| {
            // Without a body there is no code, only the status.
            let status = error.raw_response().map(|it| it.status().as_u16());
            aws_smithy_types::error::ErrorMetadata::builder()
                .code(format!("{status:?}"))
                .build()
        })),
    );
    seen
}

async fn listings_come_in_pages(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let bucket = bucket(cloud).await;
    for key in ["a/1", "a/2", "a/b/3", "c", "d/4", "ü", "a-1", "A"] {
        put(cloud, &bucket, key, key).await;
    }
    let list = || cloud.s3.list_objects_v2().bucket(&bucket);
    let told = |page: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| {
        let keys: Vec<_> = page.contents().iter().map(|it| it.key()).collect();
        let prefixes: Vec<_> = page
            .common_prefixes()
            .iter()
            .map(|it| it.prefix())
            .collect();
        json!([keys, prefixes, page.is_truncated(), page.key_count()])
    };
    seen.saw("all", told(&list().send().await.unwrap()));
    seen.saw("below", told(&list().prefix("a/").send().await.unwrap()));
    seen.saw("level", told(&list().delimiter("/").send().await.unwrap()));
    let level = list().prefix("a/").delimiter("/").send().await.unwrap();
    seen.saw("level below", told(&level));
    seen.saw(
        "after",
        told(&list().start_after("a/2").send().await.unwrap()),
    );
    seen.saw("none", told(&list().prefix("zzz").send().await.unwrap()));
    let (mut pages, mut token) = (Vec::new(), None);
    loop {
        let page = list().max_keys(3).set_continuation_token(token);
        let page = page.send().await.unwrap();
        pages.push(told(&page));
        token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    seen.saw("pages", pages);
    let first = &list().send().await.unwrap().contents.unwrap()[0];
    seen.saw(
        "an entry",
        json!([first.key(), first.size(), first.e_tag()]),
    );
    seen
}
