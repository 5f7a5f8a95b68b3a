//! Each worker, each of its calls, each fault: delivered again until quiet, the end state is the calm one's.

use std::collections::BTreeSet;

use millrace_local::sqs::OutgoingMessage;
use millrace_tests::{
    State, World,
    every_call::{EveryCall, run, uncovered},
    permissions, workers,
};
use serde_json::json;

use crate::{FIRST, document};

#[tokio::test(flavor = "multi_thread")]
async fn every_worker_survives_every_fault_at_every_call() {
    let summary = run(&EveryCall::default()).await;
    println!("{summary}");
    assert!(
        summary.differences.is_empty(),
        "{summary}\n{}",
        summary.differences.join("\n")
    );
    // All that workers do is seen here, so this is where it shows that their roles fit.
    let differences = permissions::differences();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_worker_that_no_case_makes_write_is_named() {
    let all: BTreeSet<&str> = workers().collect();
    assert_eq!(uncovered(&all), Vec::<String>::new());
    for worker in workers() {
        let others = all.iter().copied().filter(|other| *other != worker);
        let missing = uncovered(&others.collect());
        assert_eq!(missing.len(), 1);
        assert!(missing[0].starts_with(worker), "{missing:?}");
    }
}

#[tokio::test]
async fn a_state_that_differs_in_anything_says_in_what() {
    let world = World::in_process().await;
    let document = document("ada", 9);
    world.upload(&document, "first.txt", FIRST.as_bytes()).await;
    world.quiet().await;
    let before = State::of(&world).await;
    assert_eq!(before.differences(&before), Vec::<String>::new());

    let key = document.layout();
    let removal = world
        .clients
        .s3
        .delete_object()
        .bucket(&world.names.documents.bucket);
    removal.key(&key).send().await.unwrap();
    let row = json!({"userId": {"S": "ada"}, "documentId": {"S": "another"}});
    let request = json!({"TableName": world.names.documents.documents_table, "Item": row});
    let dynamo = &world.services().dynamo;
    dynamo.call_json("PutItem", &request).unwrap();
    let index = world.products.documents().index();
    index
        .remove_document(document.user.as_str(), document.id.as_str(), None)
        .await
        .unwrap();
    let letter = json!({"id": "an-id", "worker": "index-chunks", "reason": {"code": "throttled"}});
    let queue = "millrace-index-chunks-dlq";
    let message = OutgoingMessage::new(letter.to_string());
    world.services().queues.send(queue, message).await.unwrap();

    let said = State::of(&world).await.differences(&before).join("\n");
    for expected in [
        &format!("object {key} is missing"),
        "another\"} should not be there",
        "index entry",
        "dead letter an-id index-chunks throttled",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
}
