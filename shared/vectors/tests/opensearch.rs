//! The contract on a real OpenSearch. `MILLRACE_OPENSEARCH_URL` says where it is; `tests/real/opensearch.sh` in
//! the repository starts one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;
mod points_contract;

use std::env;

use contract::{ANN, entry};
use millrace_events::reason;
use millrace_vectors::{
    Auth, Engine, Field, Filter, ModelId, OpenSearchIndex, OpenSearchPoints, Point, PointIndex,
    Service, VectorIndex,
};
use points_contract::{all, assert_is_all, axis, direction, point, with};

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

fn points() -> Option<OpenSearchPoints> {
    let _ = index()?;
    let url = env::var("MILLRACE_OPENSEARCH_URL").unwrap();
    let name = format!("test-points-{}", uuid::Uuid::new_v4());
    Some(
        OpenSearchPoints::new(&url, Auth::None, &name)
            .unwrap()
            .with_engine(Engine::Lucene),
    )
}

#[tokio::test]
async fn points_keep_the_contract() {
    let Some(index) = points() else { return };
    points_contract::holds(&index).await;
}

/// As above: a domain stands in for a collection.
#[tokio::test]
async fn points_keep_the_contract_by_fields_alone() {
    let Some(index) = points() else { return };
    points_contract::holds(&index.with_service(Service::Serverless)).await;
}

/// More than a page of them, while others are written.
#[tokio::test]
async fn more_points_than_a_page_are_all_found() {
    let Some(index) = points() else { return };
    index
        .check(&points_contract::model(), points_contract::DIMENSIONS)
        .await
        .unwrap();
    let points: Vec<Point> = (0..10_250)
        .map(|number| {
            let point = point(&format!("p{number}"), 1, direction(number));
            with(point, "odd", Field::Flag(number % 2 == 1))
        })
        .collect();
    index.put(&points).await.unwrap();
    let odd = Filter::Is("odd", Field::Flag(true));
    for (filter, at_least) in [(all(), -1.0), (all(), 0.05), (odd, -0.1)] {
        let query = axis();
        let searched = index.within(&query, &filter, at_least);
        let (found, put) = tokio::join!(searched, index.put(&points[..50]));
        put.unwrap();
        assert_is_all(&found.unwrap(), &points, &query, &filter, at_least);
    }
}

#[tokio::test]
async fn two_attempts_at_one_point_leave_the_newer_one_once() {
    let Some(index) = points() else { return };
    for index in [
        index.clone(),
        points().unwrap().with_service(Service::Serverless),
    ] {
        index
            .check(&points_contract::model(), points_contract::DIMENSIONS)
            .await
            .unwrap();
        let states: Vec<Point> = (1..4_u32)
            .map(|revision| point("one", u64::from(revision), direction(revision)))
            .collect();
        let attempts = states.iter().rev().map(std::slice::from_ref);
        let done = futures_of(attempts.map(|states| index.put(states))).await;
        assert!(done.iter().any(Result::is_ok), "{done:?}");
        // Whoever was not acknowledged is delivered again.
        for state in &states {
            index.put(std::slice::from_ref(state)).await.unwrap();
        }
        let found = index.within(&axis(), &all(), -1.0).await.unwrap();
        assert_is_all(&found, &states[2..], &axis(), &all(), -1.0);
        assert_eq!(found.len(), 1);
        assert_eq!(index.get("one").await.unwrap().as_ref(), Some(&states[2]));
    }
}

async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    futures::future::join_all(futures).await
}

#[tokio::test]
async fn points_without_an_index_wait_for_one() {
    let Some(index) = points() else { return };
    let missing = index.put(&[point("a", 1, axis())]).await.unwrap_err();
    assert_eq!(missing.reason(), reason::RESOURCE_MISSING);
    let missing = index.within(&axis(), &all(), 0.0).await.unwrap_err();
    assert_eq!(missing.reason(), reason::RESOURCE_MISSING);
}
