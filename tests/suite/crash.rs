//! Each worker, each of its AWS calls, each fault: delivered again until quiet, the end state is the calm one's.

use millrace_cloud::Fault;
use millrace_documents::Document;
use millrace_tests::{State, World};
use serde_json::json;

use crate::{FIRST, PROGRAM, SECOND, document};

/// A world in which the worker has exactly one event to handle, in its queue or on the stream.
async fn prepare(worker: &'static str, document: &Document) -> World {
    let world = World::new(PROGRAM).await;
    world.upload(document, "first.txt", FIRST.as_bytes()).await;
    world.quiet().await;
    match worker {
        "remove-document" => {
            let key = document.original(Some("txt"));
            world
                .clients
                .s3
                .delete_object()
                .bucket(&world.names.bucket)
                .key(key)
                .send()
                .await
                .unwrap();
        }
        "keep-progress" => {
            // The upload's own write of the row comes late and takes away what the workers wrote.
            let row = json!({
                "userId": {"S": document.user.as_str()}, "documentId": {"S": document.id.as_str()},
                "fileName": {"S": "first.txt"}, "fileType": {"S": "text/plain"}, "uploadDate": {"S": "2026-11-21T03:59:59.000Z"},
                "status": {"S": "processing"}, "metadata": {"M": {"tags": {"L": []}, "description": {"S": "mine"}}},
            });
            let request = json!({"TableName": world.names.documents_table, "Item": row});
            world
                .services()
                .dynamo
                .call_json("PutItem", &request)
                .unwrap();
        }
        _ => {
            world
                .upload(document, "second.txt", SECOND.as_bytes())
                .await
        }
    }
    world.quiet_without(&[worker]).await;
    world
}

/// Delivers the worker's next event under a fault, which may end the worker; then everything until quiet.
async fn with_fault(
    worker: &'static str,
    document: &Document,
    fault: Option<(usize, Fault)>,
) -> (State, usize) {
    let world = prepare(worker, document).await;
    let queued = world.receive(worker).await;
    let streamed = world
        .stream_event(worker)
        .await
        .filter(|_| matches!(worker, "remove-document" | "keep-progress"));
    let event = match (queued.first(), &streamed) {
        (Some(pending), _) => pending.event.clone(),
        (None, Some((event, _))) => event.clone(),
        (None, None) => panic!("{worker} has nothing to do"),
    };
    world.tap.arm(fault);
    tokio::select! {
        _ = world.deliver(worker, &event) => {}
        () = world.tap.died() => {}
    }
    let calls = world.tap.calls().len();
    world.tap.arm(None);
    // Not acknowledged, whatever it said: everything is delivered again.
    for pending in &queued {
        world.put_back(pending).await;
    }
    world.quiet().await;
    (State::of(&world).await, calls)
}

async fn survives(worker: &'static str) {
    let document = document("ada", 9);
    let (calm, calls) = with_fault(worker, &document, None).await;
    assert!(calls >= 2, "{worker} makes {calls} calls");
    assert!(calm.letters.is_empty(), "{:?}", calm.letters);
    for call in 0..calls {
        for fault in Fault::ALL {
            let (state, _) = with_fault(worker, &document, Some((call, fault))).await;
            assert_eq!(state, calm, "{worker}: {fault:?} at call {call} of {calls}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extract_text_survives_every_fault_at_every_call() {
    survives("extract-text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunk_text_survives_every_fault_at_every_call() {
    survives("chunk-text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embed_chunks_survives_every_fault_at_every_call() {
    survives("embed-chunks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn index_chunks_survives_every_fault_at_every_call() {
    survives("index-chunks").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remove_document_survives_every_fault_at_every_call() {
    survives("remove-document").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_progress_survives_every_fault_at_every_call() {
    survives("keep-progress").await;
}
