//! Every recorded event comes out as its fixture says.

use std::path::{Path, PathBuf};

use aws_sdk_s3::primitives::ByteStream;
use md5::{Digest as _, Md5};
use millrace_tests::World;
use serde_json::{Value, json};

use crate::PROGRAM;

fn product_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events-fixtures/documents")
}

fn fixtures() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for worker in millrace_documents::WORKERS {
        let folder = product_folder().join(worker);
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|_| panic!("{worker} has no fixtures"));
        found.extend(
            entries
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|e| e == "json")),
        );
    }
    found.sort();
    found
}

/// Puts the entity tags of sample files in their places.
fn fill_in(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${etag:") {
        let (before, behind) = rest.split_at(at);
        let (name, after) = behind["${etag:".len()..].split_once('}').unwrap();
        filled.push_str(before);
        filled.push_str(&hex::encode(Md5::digest(
            std::fs::read(product_folder().join(name)).unwrap(),
        )));
        rest = after;
    }
    filled + rest
}

async fn set_up(world: &World, given: &Value) {
    for object in given["objects"].as_array().into_iter().flatten() {
        let bytes = match object["file"].as_str() {
            Some(file) => std::fs::read(product_folder().join(file)).unwrap(),
            None => object["text"].as_str().unwrap().as_bytes().to_vec(),
        };
        let mut put = world
            .clients
            .s3
            .put_object()
            .bucket(&world.names.bucket)
            .key(object["key"].as_str().unwrap())
            .body(ByteStream::from(bytes));
        for (name, value) in object["metadata"].as_object().into_iter().flatten() {
            put = put.metadata(name, value.as_str().unwrap());
        }
        put.send().await.unwrap();
    }
    for row in given["rows"].as_array().into_iter().flatten() {
        let request = json!({"TableName": row["table"], "Item": row["item"]});
        world
            .services()
            .dynamo
            .call_json("PutItem", &request)
            .unwrap();
    }
}

async fn run(path: &Path) -> Result<(), String> {
    let fixture: Value = serde_json::from_str(&fill_in(&std::fs::read_to_string(path).unwrap()))
        .map_err(|e| e.to_string())?;
    let world = World::new(PROGRAM).await;
    set_up(&world, &fixture["given"]).await;
    let report = world
        .deliver(fixture["worker"].as_str().unwrap(), &fixture["event"])
        .await;
    let got: Vec<Value> = report
        .records
        .iter()
        .map(|record| {
            let reason = record.reason.as_ref().map(|reason| reason.code.to_string());
            json!({"outcome": record.outcome.word(), "reason": reason})
        })
        .collect();
    let expected = &fixture["expect"];
    if expected["records"] != Value::Array(got.clone()) {
        let reasons: Vec<_> = report
            .records
            .iter()
            .filter_map(|record| record.reason.as_ref())
            .map(|r| &r.message)
            .collect();
        return Err(format!(
            "records: expected {}, got {} {reasons:?}",
            expected["records"],
            json!(got)
        ));
    }
    if expected["response"] != report.response {
        return Err(format!(
            "response: expected {}, got {}",
            expected["response"], report.response
        ));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_comes_out_as_it_says() {
    let paths = fixtures();
    assert!(
        paths.len() >= 60,
        "only {} fixtures were found",
        paths.len()
    );
    let mut wrong = Vec::new();
    for path in paths {
        if let Err(message) = run(&path).await {
            wrong.push(format!(
                "{}: {message}",
                path.strip_prefix(product_folder()).unwrap().display()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} fixtures are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
