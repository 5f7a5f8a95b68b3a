//! The pipeline from an upload to an answer, step by step, in a world that moves by hand.

use millrace_documents::{UserId, search::search};
use millrace_tests::{State, World};
use serde_json::{Value, json};

use crate::{FIRST, PROGRAM, SECOND, document};

fn row(state: &State, table: &str) -> Value {
    let found = state
        .rows
        .iter()
        .find(|(key, _)| key.starts_with(&format!("{table}/")));
    found.map(|(_, row)| row.clone()).unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_ready_with_everything_the_data_model_asks_for() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 20);
    world.upload(&document, "mill.txt", FIRST.as_bytes()).await;
    world.quiet().await;
    let state = State::of(&world).await;
    let row = row(&state, "ai-assistant-documents");
    assert_eq!(row["status"]["S"], "ready");
    let flags = &row["processingStatus"]["M"];
    for flag in [
        "textExtracted",
        "chunksCreated",
        "vectorsGenerated",
        "indexed",
    ] {
        assert_eq!(flags[flag]["BOOL"], true, "{flag}");
    }
    assert_eq!(row["metadata"]["M"]["language"]["S"], "en");
    assert!(
        row["searchableContent"]["M"]["preview"]["S"]
            .as_str()
            .unwrap()
            .starts_with("The mill stands")
    );
    let (text, _) = &state.objects[&document.text()];
    let (chunk, _) = &state.objects[&document.chunk(0)];
    let chunk: Value = serde_json::from_str(chunk).unwrap();
    let characters: Vec<char> = text.chars().collect();
    let (start, end) = (
        chunk["startPosition"].as_u64().unwrap(),
        chunk["endPosition"].as_u64().unwrap(),
    );
    let cut: String = characters[start as usize..end as usize].iter().collect();
    assert_eq!(chunk["content"], json!(cut));
    assert_eq!(chunk["chunkIndex"], 0);
    assert!(!state.entries.is_empty());
}

/// An original that is too large for memory goes to its reader through a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_original_becomes_ready_too() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 23);
    let page = format!("<!-- {} --><p>{FIRST}</p>", "padding ".repeat(1_200_000));
    assert!(page.len() > 9_000_000);
    world.upload(&document, "mill.html", page.as_bytes()).await;
    world.quiet().await;
    let state = State::of(&world).await;
    assert_eq!(
        row(&state, "ai-assistant-documents")["status"]["S"],
        "ready"
    );
    let text = FIRST.replace("\n\n", " ");
    assert_eq!(state.objects[&document.text()].0, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_finds_what_is_another_users() {
    let world = World::new(PROGRAM).await;
    world
        .upload(&document("ada", 21), "mill.txt", FIRST.as_bytes())
        .await;
    world
        .upload(&document("eve", 22), "mushrooms.txt", SECOND.as_bytes())
        .await;
    world.quiet().await;
    for question in ["the wheel of the mill", "mushrooms", FIRST, ""] {
        for hit in search(
            world.products.documents(),
            &UserId::parse("eve").unwrap(),
            question,
            50,
        )
        .await
        .unwrap()
        {
            assert_eq!(hit.user_id, "eve");
        }
    }
    let none = search(
        world.products.documents(),
        &UserId::parse("mallory").unwrap(),
        "mill",
        50,
    )
    .await
    .unwrap();
    assert!(none.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_event_was_faster_than_is_kept_and_becomes_ready() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 23);
    let put = world
        .clients
        .s3
        .put_object()
        .bucket(&world.names.documents.bucket)
        .key(document.original(Some("txt")));
    put.body(FIRST.as_bytes().to_vec().into())
        .send()
        .await
        .unwrap();
    world.quiet().await;
    let row_written_late = json!({
        "userId": {"S": "ada"}, "documentId": {"S": document.id.as_str()}, "fileName": {"S": "my own name.txt"},
        "fileType": {"S": "text/plain"}, "fileSize": {"N": "3"}, "uploadDate": {"S": "2026-11-21T04:00:00.000Z"},
        "status": {"S": "processing"},
        "metadata": {"M": {"tags": {"L": [{"S": "mills"}]}, "title": {"S": "My own title"}, "description": {"S": "mine"}}},
    });
    let request =
        json!({"TableName": world.names.documents.documents_table, "Item": row_written_late});
    world
        .services()
        .dynamo
        .call_json("PutItem", &request)
        .unwrap();
    world.quiet().await;
    let row = row(&State::of(&world).await, "ai-assistant-documents");
    assert_eq!(row["status"]["S"], "ready");
    assert_eq!(row["fileName"]["S"], "my own name.txt");
    assert_eq!(row["metadata"]["M"]["title"]["S"], "My own title");
    assert_eq!(row["metadata"]["M"]["tags"]["L"][0]["S"], "mills");
    assert_eq!(row["metadata"]["M"]["description"]["S"], "mine");
    assert_eq!(row["processingStatus"]["M"]["indexed"]["BOOL"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_document_leaves_nothing_and_its_events_bring_nothing_back() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 24);
    world.upload(&document, "mill.txt", FIRST.as_bytes()).await;
    let upload = world.receive("extract-text").await;
    world.put_back(&upload[0]).await;
    world.quiet().await;
    let key = document.original(Some("txt"));
    world
        .clients
        .s3
        .delete_object()
        .bucket(&world.names.documents.bucket)
        .key(key)
        .send()
        .await
        .unwrap();
    world.quiet().await;
    world.deliver("extract-text", &upload[0].event).await;
    world.quiet().await;
    let state = State::of(&world).await;
    assert!(state.objects.is_empty(), "{:?}", state.objects.keys());
    assert!(state.entries.is_empty());
    assert_eq!(row(&state, "ai-assistant-documents"), Value::Null);
    assert_eq!(
        row(&state, "ai-assistant-document-progress")["status"]["S"],
        "removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_row_takes_what_was_derived_with_it_even_if_the_upload_is_delivered_again() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 25);
    world.upload(&document, "mill.txt", FIRST.as_bytes()).await;
    let upload = world.receive("extract-text").await;
    world.put_back(&upload[0]).await;
    world.quiet().await;
    let key = json!({"userId": {"S": "ada"}, "documentId": {"S": document.id.as_str()}});
    let request = json!({"TableName": world.names.documents.documents_table, "Key": key});
    world
        .services()
        .dynamo
        .call_json("DeleteItem", &request)
        .unwrap();
    world.quiet().await;
    world.deliver("extract-text", &upload[0].event).await;
    world.quiet().await;
    let state = State::of(&world).await;
    let left: Vec<&String> = state.objects.keys().collect();
    assert_eq!(
        left,
        [&document.original(Some("txt"))],
        "the original is the user's; what was derived is gone"
    );
    assert!(state.entries.is_empty());
    assert_eq!(row(&state, "ai-assistant-documents"), Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_processed_says_why_and_a_new_upload_mends_it() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 26);
    world.upload(&document, "empty.txt", b"").await;
    world.quiet().await;
    let state = State::of(&world).await;
    let failed = row(&state, "ai-assistant-documents");
    assert_eq!(failed["status"]["S"], "error");
    assert!(
        !failed["processingStatus"]["M"]["errorMessage"]["S"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    let letters: usize = state.letters.values().sum();
    assert_eq!(letters, 1, "{:?}", state.letters);
    assert!(
        state
            .letters
            .keys()
            .all(|letter| letter.contains("empty-file"))
    );
    world.upload(&document, "empty.txt", FIRST.as_bytes()).await;
    world.quiet().await;
    let mended = row(&State::of(&world).await, "ai-assistant-documents");
    assert_eq!(mended["status"]["S"], "ready");
    assert!(
        mended["processingStatus"]["M"]
            .get("errorMessage")
            .is_none()
    );
    // The parked event of the first upload comes again: the second stays.
    let letter = world.receive("extract-text-dlq").await.remove(0);
    let body = letter.event["Records"][0]["body"].clone();
    let mut again = letter.event.clone();
    again["Records"][0]["body"] = body;
    let report = world.deliver("extract-text", &again).await;
    assert_eq!(report.records[0].outcome.word(), "superseded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_document_embeds_only_what_changed() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 27);
    let long: String = (0..120)
        .map(|n| format!("Paragraph {n} says something about wheel number {n}.\n\n"))
        .collect();
    world.upload(&document, "long.txt", long.as_bytes()).await;
    world.quiet().await;
    let cached = || {
        let scan = json!({"TableName": world.names.documents.cache_table, "Select": "COUNT"});
        world.services().dynamo.call_json("Scan", &scan).unwrap()["Count"]
            .as_u64()
            .unwrap()
    };
    let before = cached();
    assert!(before >= 4, "{before} chunks are too few for this test");
    let edited = format!("{long}One more paragraph at the end.");
    world.upload(&document, "long.txt", edited.as_bytes()).await;
    world.quiet().await;
    assert!(
        cached() <= before + 2,
        "{} new embeddings",
        cached() - before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_extraction_found_out_is_kept_when_the_next_workers_are_faster() {
    let world = World::new(PROGRAM).await;
    let document = document("ada", 28);
    world.upload(&document, "mill.txt", FIRST.as_bytes()).await;
    let event = world.receive("extract-text").await.remove(0).event;
    let calls = {
        let calm = World::new(PROGRAM).await;
        calm.upload(&document, "mill.txt", FIRST.as_bytes()).await;
        let event = calm.receive("extract-text").await.remove(0).event;
        calm.tap.arm(None);
        calm.deliver("extract-text", &event).await;
        calm.tap.calls()
    };
    // Held at its last call, the step's own end: the text is there, and the others run on it.
    world.tap.hold_at(calls.len() - 1);
    let delivery = world.deliveries["extract-text"].clone();
    let invocation = millrace_delivery::Invocation::lasting(std::time::Duration::from_secs(120));
    let slow = tokio::spawn(async move { delivery.deliver(event, invocation).await });
    world.tap.held().await;
    world.quiet().await;
    world.tap.release();
    slow.await.unwrap();
    world.quiet().await;
    let row = row(&State::of(&world).await, "ai-assistant-documents");
    assert_eq!(row["status"]["S"], "ready");
    assert_eq!(row["metadata"]["M"]["language"]["S"], "en");
    assert_eq!(row["metadata"]["M"]["wordCount"]["N"], "19");
}
