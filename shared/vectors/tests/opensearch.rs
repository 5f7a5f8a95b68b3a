//! The contract on a real OpenSearch. `MILLRACE_OPENSEARCH_URL` says where it is; `tests/real/opensearch.sh` in
//! the repository starts one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;

use std::env;

use contract::{ANN, entry};
use millrace_events::reason;
use millrace_vectors::{Auth, Engine, ModelId, OpenSearchIndex, Service, VectorIndex};

/// An index of its own; `None`, said so, where there is no server.
fn index() -> Option<OpenSearchIndex> {
    let Ok(url) = env::var("MILLRACE_OPENSEARCH_URL") else {
        let is_required = env::var("CI").is_ok()
            && env::var("MILLRACE_REQUIRE_REAL").is_ok_and(|value| value == "1");
        assert!(
            !is_required,
            "MILLRACE_REQUIRE_REAL is set, and MILLRACE_OPENSEARCH_URL is not"
        );
        eprintln!("skipped: MILLRACE_OPENSEARCH_URL is not set");
        return None;
    };
    let name = format!("test-{}", uuid::Uuid::new_v4());
    // The plugin as it comes from Maven Central has no native library, so no faiss.
    Some(
        OpenSearchIndex::new(&url, Auth::None, &name)
            .unwrap()
            .with_engine(Engine::Lucene),
    )
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let Some(index) = index() else { return };
    contract::holds(&index).await;
}

/// A domain stands in for a collection: it shows writes after a second, and chooses ids when it is given none.
#[tokio::test]
async fn it_keeps_the_contract_by_fields_alone() {
    let Some(index) = index() else { return };
    contract::holds(&index.with_service(Service::Serverless)).await;
}

#[tokio::test]
async fn two_attempts_at_once_leave_no_twins() {
    let Some(index) = index() else { return };
    let index = index.with_service(Service::Serverless);
    index
        .check(&ModelId::new("millrace-hashed-1"), 1536)
        .await
        .unwrap();
    let entries: Vec<_> = (0..5)
        .map(|number| entry(ANN, "twice", "1", number, &format!("page {number}")))
        .collect();
    let (first, second) = tokio::join!(index.put(&entries), index.put(&entries));
    first.unwrap();
    second.unwrap();
    index.put(&entries).await.unwrap();
    assert_eq!(index.document_chunks(ANN, "twice").await.unwrap().len(), 5);
}

#[tokio::test]
async fn many_chunks_take_several_requests() {
    let Some(index) = index() else { return };
    index
        .check(&ModelId::new("millrace-hashed-1"), 1536)
        .await
        .unwrap();
    let entries: Vec<_> = (0..400)
        .map(|number| entry(ANN, "long", "1", number, &format!("page {number} of it")))
        .collect();
    index.put(&entries).await.unwrap();
    assert_eq!(index.document_chunks(ANN, "long").await.unwrap().len(), 400);
    let hits = index.search(ANN, &entries[77].embedding, 3).await.unwrap();
    assert_eq!(hits[0].chunk_id, entries[77].chunk_id);
    assert_eq!(index.remove_older(ANN, "long", "2").await.unwrap(), 400);
}

#[tokio::test]
async fn what_the_index_refuses_is_said() {
    let Some(index) = index() else { return };
    let missing = index
        .search(ANN, &contract::embedding("x"), 1)
        .await
        .unwrap_err();
    assert_eq!(missing.reason(), reason::RESOURCE_MISSING);
    let missing = index
        .put(&[entry(ANN, "d", "1", 0, "x")])
        .await
        .unwrap_err();
    assert_eq!(missing.reason(), reason::RESOURCE_MISSING);
    index
        .check(&ModelId::new("millrace-hashed-1"), 1536)
        .await
        .unwrap();
    let mut wrong = entry(ANN, "d", "1", 0, "x");
    wrong.created_at = "yesterday".to_owned();
    let failure = index
        .put(&[entry(ANN, "d", "1", 1, "y"), wrong])
        .await
        .unwrap_err();
    assert_eq!(failure.reason(), reason::INDEX_REJECTED);
    assert!(failure.message().contains("createdAt"), "{failure}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_matter_of_time() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let index = OpenSearchIndex::new(
        &format!("http://127.0.0.1:{port}"),
        Auth::None,
        "document-chunks",
    )
    .unwrap();
    let failure = index
        .search(ANN, &contract::embedding("x"), 1)
        .await
        .unwrap_err();
    assert_eq!(failure.reason(), reason::INDEX_UNAVAILABLE);
    assert!(failure.is_transient());
}
