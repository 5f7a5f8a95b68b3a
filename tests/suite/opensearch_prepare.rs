//! `millrace prepare-index` as an operator runs it: a control plane on loopback that knows a collection on its way, and a real OpenSearch
//! (`MILLRACE_OPENSEARCH_URL`) that stands in for it.

use std::process::{Command, Output};

use millrace_vectors::{
    Auth, ModelId, OpenSearchIndex, OpenSearchPoints, PointIndex as _, VectorIndex as _,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    PROGRAM,
    opensearch::{SERVER, url},
};

/// Answers that the collection is being made, twice, then that it is active at `endpoint`.
async fn control_plane(endpoint: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                let mut some = [0; 4096];
                let count = stream.read(&mut some).await.unwrap();
                assert!(count > 0, "the request ended too early");
                asked.extend_from_slice(&some[..count]);
            }
            let asked = String::from_utf8(asked).unwrap();
            assert!(
                asked.contains("BatchGetCollection") && asked.contains(r#"["millrace-staging"]"#),
                "{asked}"
            );
            let mut details = json!({"name": "millrace-staging", "status": "CREATING"});
            if number >= 2 {
                details["status"] = json!("ACTIVE");
                details["collectionEndpoint"] = json!(endpoint);
            }
            let body = json!({"collectionDetails": [details]}).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    format!("http://{address}")
}

async fn prepare(plane: &str, names: &[String; 2], more: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["prepare-index", "--json", "--wait", "60"]);
    command.envs([
        ("AWS_ENDPOINT_URL_OPENSEARCHSERVERLESS", plane),
        ("AWS_ACCESS_KEY_ID", "embedded"),
        ("AWS_SECRET_ACCESS_KEY", "embedded"),
        ("AWS_REGION", "us-east-1"),
        ("MILLRACE_ENVIRONMENT", "staging"),
        ("MILLRACE_OPENSEARCH_ENGINE", "lucene"),
        ("MILLRACE_INDEX_NAME", &names[0]),
        ("MILLRACE_PROFILE_INDEX_NAME", &names[1]),
    ]);
    command.envs(more.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_on_its_way_gets_its_indexes() {
    let _shared = SERVER.read().await;
    let Some(server) = url() else { return };
    let plane = control_plane(server.clone()).await;
    let names =
        ["chunks", "profiles"].map(|name| format!("prepared-{name}-{}", std::process::id()));
    for round in 0..2 {
        let prepared = prepare(&plane, &names, &[]).await;
        assert!(prepared.status.success(), "{prepared:?}");
        let said = String::from_utf8_lossy(&prepared.stdout);
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ready: Vec<&Value> = lines.iter().map(|line| &line["index"]).collect();
        assert_eq!(ready, names.each_ref());
        assert_eq!(lines[0]["endpoint"], *server);
        let waited = String::from_utf8_lossy(&prepared.stderr);
        assert_eq!(
            waited.contains("its status is CREATING [index-unavailable]"),
            round == 0,
            "{waited}"
        );
    }

    // The workers find what they would have made.
    let model = ModelId::new("millrace-hashed-1");
    let index = OpenSearchIndex::new(&server, Auth::None, &names[0]).unwrap();
    index.fits(&model, 1536).await.unwrap();
    let nothing = index.document_chunks("ada", "a document").await;
    assert_eq!(nothing.unwrap(), []);
    let points = OpenSearchPoints::new(&server, Auth::None, &names[1]).unwrap();
    points.fits(&model, 1536).await.unwrap();
    assert_eq!(points.get("ada").await.unwrap(), None);

    let titan = [("MILLRACE_EMBEDDER", "bedrock:amazon.titan-embed-text-v1")];
    let other = prepare(&plane, &names, &titan).await;
    assert_eq!(other.status.code(), Some(1));
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(
        said.contains("millrace-hashed-1") && said.contains("[model-mismatch]"),
        "{said}"
    );
}
