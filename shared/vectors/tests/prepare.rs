//! Indexes made ahead, against a control plane and an index on loopback; and what is signed for whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod services;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use millrace_cloud::{Addressing, Clients, Settings};
use millrace_events::{Failure, Reason, reason};
use millrace_vectors::{
    Auth, HashedEmbedder, OpenSearchIndex, Service, VectorIndex,
    prepare::{Prepared, Searched, Waits, prepare},
    settings::SetupError,
};
use serde_json::{Value, json};
use services::{Asked, Said, Server};

fn config(control: &str) -> SdkConfig {
    let keys = Credentials::from_keys("embedded", "embedded", None);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(control)
        .build()
}

/// A control plane that knows one collection, whose status is the next of these at each look; the last one stays.
async fn control(statuses: &'static [&'static str], endpoint: String) -> Server {
    Server::start(move |number, asked| {
        assert!(
            asked
                .headers
                .contains("x-amz-target: opensearchserverless.batchgetcollection"),
            "{}",
            asked.headers
        );
        if asked.body["names"] != json!(["millrace-dev"]) {
            let unknown = json!({"name": asked.body["names"][0], "errorCode": "NOT_FOUND", "errorMessage": "no"});
            let answer = json!({"collectionDetails": [], "collectionErrorDetails": [unknown]});
            return Said(200, "", answer.to_string());
        }
        let status = statuses[number.min(statuses.len() - 1)];
        let mut details = json!({"name": "millrace-dev", "id": "07tjusf2h91cunochc", "status": status});
        match status {
            "ACTIVE" => details["collectionEndpoint"] = json!(endpoint),
            "FAILED" => details["failureMessage"] = json!("the key is not there"),
            _ => {}
        }
        Said(200, "", json!({"collectionDetails": [details], "collectionErrorDetails": []}).to_string())
    })
    .await
}

/// An index that keeps what it is told of its mappings, after it denied so many requests.
async fn index(denied: usize) -> Server {
    let made: Mutex<BTreeMap<String, Value>> = Mutex::default();
    Server::start(move |number, asked| {
        if number < denied {
            let error =
                json!({"status": 403, "error": {"type": "Forbidden", "reason": "Forbidden"}});
            return Said(403, "", error.to_string());
        }
        let mut made = made.lock().unwrap();
        let name = asked
            .path
            .trim_matches('/')
            .split(['/', '?'])
            .next()
            .unwrap();
        if asked.path.contains("_mapping") {
            return match made.get(name) {
                Some(definition) => {
                    let answer = json!({name: {"mappings": definition["mappings"]}});
                    Said(200, "", answer.to_string())
                }
                None => Said(404, "", json!({"status": 404}).to_string()),
            };
        }
        assert!(
            asked.path.trim_start_matches('/').starts_with(name),
            "{}",
            asked.path
        );
        assert!(!made.contains_key(name), "{name} is made twice");
        made.insert(name.to_owned(), asked.body.clone());
        Said(200, "", json!({"acknowledged": true}).to_string())
    })
    .await
}

/// As in production, but quick.
const WAITS: Waits = Waits {
    whole: Duration::from_secs(20),
    denied: Duration::from_secs(2),
    pause: Duration::from_millis(20),
};

async fn prepared(
    control: &str,
    searched: &Searched,
) -> (Result<Prepared, SetupError>, Vec<String>) {
    prepared_within(WAITS, control, searched).await
}

async fn prepared_within(
    waits: Waits,
    control: &str,
    searched: &Searched,
) -> (Result<Prepared, SetupError>, Vec<String>) {
    let clients = Clients::new(&config(control), Addressing::Path);
    let settings = Settings::from_map(BTreeMap::new());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let told = move |failure: &Failure| hears.lock().unwrap().push(failure.message().to_owned());
    let embedder = HashedEmbedder::new();
    let prepared = prepare(&settings, &clients, searched, &embedder, waits, &told).await;
    let heard = heard.lock().unwrap().clone();
    (prepared, heard)
}

fn refused(prepared: Result<Prepared, SetupError>) -> (Reason, String) {
    match prepared.unwrap_err() {
        SetupError::Vectors(failure) => (failure.reason(), failure.message().to_owned()),
        other => panic!("{other}"),
    }
}

fn collection() -> Searched {
    Searched::Collection("millrace-dev".to_owned())
}

fn posted(asked: &Asked) -> bool {
    !asked.body.is_null()
}

#[tokio::test]
async fn a_collection_on_its_way_is_waited_for_and_gets_both_indexes_once() {
    let index = index(0).await;
    let control = control(&["CREATING", "CREATING", "ACTIVE"], index.url.clone()).await;
    let (ready, heard) = prepared(&control.url, &collection()).await;
    let ready = ready.unwrap();
    assert_eq!(ready.endpoint, index.url);
    assert_eq!(ready.indexes, ["document-chunks", "employee-profiles"]);
    assert_eq!(
        heard,
        ["the collection millrace-dev is not ready: its status is CREATING"]
    );
    assert_eq!(control.asked().len(), 3);
    let asked = index.asked();
    let made: Vec<&Asked> = asked.iter().filter(|asked| posted(asked)).collect();
    assert_eq!(made.len(), 2);
    for asked in &made {
        let embedding = &asked.body["mappings"]["properties"]["embedding"];
        assert_eq!(embedding["dimension"], 1536);
        assert_eq!(embedding["method"]["engine"], "faiss");
        let model = &asked.body["mappings"]["_meta"]["model"];
        assert_eq!(model, "millrace-hashed-1");
    }
    for asked in &asked {
        assert_signed_for("aoss", asked);
    }

    // Once more: what is there stays.
    let (again, heard) = prepared(&control.url, &collection()).await;
    assert_eq!(again.unwrap(), ready);
    assert_eq!(heard, Vec::<String>::new());
    assert_eq!(
        index.asked().iter().filter(|asked| posted(asked)).count(),
        2
    );
}

#[tokio::test]
async fn a_policy_that_comes_into_force_is_waited_for_and_one_that_denies_is_told() {
    let late = index(3).await;
    let plane = control(&["ACTIVE"], late.url.clone()).await;
    let (ready, heard) = prepared(&plane.url, &collection()).await;
    ready.unwrap();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].contains("status 403"), "{heard:?}");

    let never = index(usize::MAX).await;
    let plane = control(&["ACTIVE"], never.url.clone()).await;
    let (denied, _) = prepared(&plane.url, &collection()).await;
    let (code, message) = refused(denied);
    assert_eq!(code, reason::ACCESS_DENIED);
    assert!(message.contains("document-chunks: status 403"), "{message}");
}

#[tokio::test]
async fn a_collection_that_failed_or_is_not_there_is_not_waited_for() {
    let plane = control(&["CREATING", "FAILED"], String::new()).await;
    let (failed, _) = prepared(&plane.url, &collection()).await;
    let (code, message) = refused(failed);
    assert_eq!(code, reason::INDEX_UNAVAILABLE);
    assert!(
        message.ends_with("FAILED (the key is not there)"),
        "{message}"
    );
    assert_eq!(plane.asked().len(), 2);

    let unknown = Searched::Collection("millrace-prod".to_owned());
    let (missing, heard) = prepared(&plane.url, &unknown).await;
    let (code, message) = refused(missing);
    assert_eq!(code, reason::RESOURCE_MISSING);
    assert!(
        message.starts_with("there is no collection millrace-prod"),
        "{message}"
    );
    assert_eq!(heard, Vec::<String>::new());
}

#[tokio::test]
async fn a_control_plane_that_denies_is_told() {
    let plane = Server::start(|_, _| {
        let error = json!({"__type": "AccessDeniedException", "message": "not authorized to perform aoss:BatchGetCollection"});
        Said(400, "", error.to_string())
    })
    .await;
    let (denied, _) = prepared(&plane.url, &collection()).await;
    assert_eq!(refused(denied).0, reason::ACCESS_DENIED);
}

#[tokio::test]
async fn a_domain_that_does_not_answer_yet_is_waited_for() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let nobody = Searched::Endpoint(format!("http://{address}"));
    let short = Waits {
        whole: Duration::from_secs(1),
        ..WAITS
    };
    let (unreachable, heard) = prepared_within(short, "http://127.0.0.1:9", &nobody).await;
    assert_eq!(refused(unreachable).0, reason::INDEX_UNAVAILABLE);
    assert_eq!(heard.len(), 1);

    let busy = Server::start(|number, asked| match number {
        0 | 1 => Said(503, "", json!({"error": "starting"}).to_string()),
        _ if asked.path.contains("employee") => Said(400, "", json!({"error": "no"}).to_string()),
        _ => {
            let mappings = json!({"properties": {"embedding": {"dimension": 7}}});
            Said(
                200,
                "",
                json!({"document-chunks": {"mappings": mappings}}).to_string(),
            )
        }
    })
    .await;
    let (mismatch, heard) =
        prepared("http://127.0.0.1:9", &Searched::Endpoint(busy.url.clone())).await;
    let (code, message) = refused(mismatch);
    assert_eq!(code, reason::MODEL_MISMATCH);
    assert!(message.contains("7 dimensions"), "{message}");
    assert_eq!(heard.len(), 1);
}

/// As AWS reads it: by whom, on what day, where, for which service; with the body's hash.
fn assert_signed_for(service: &str, asked: &Asked) {
    let header = |name: &str| {
        let lines = asked.headers.lines();
        let values: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .collect();
        assert_eq!(values.len(), 1, "{name} in {}", asked.headers);
        values[0]
    };
    let authorization = header("authorization");
    let scope = format!("/eu-west-1/{service}/aws4_request");
    assert!(
        authorization.starts_with("aws4-hmac-sha256 credential=embedded/"),
        "{authorization}"
    );
    assert!(authorization.contains(&scope), "{authorization}");
    let signed = authorization.split("signedheaders=").nth(1).unwrap();
    assert!(
        signed
            .split(',')
            .next()
            .unwrap()
            .contains("x-amz-content-sha256"),
        "{authorization}"
    );
    let hash = header("x-amz-content-sha256");
    assert_eq!(hash.len(), 64, "{hash}");
    assert!(hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
}

#[tokio::test]
async fn requests_are_signed_for_the_service_that_is_asked() {
    for (service, name) in [(Service::Serverless, "aoss"), (Service::Domain, "es")] {
        let server = Server::start(|_, _| Said(200, "", json!({"count": 0}).to_string())).await;
        let auth = Auth::SigV4 {
            config: Box::new(config("http://127.0.0.1:9")),
            service,
        };
        let index = OpenSearchIndex::new(&server.url, auth, "document-chunks").unwrap();
        index.document_chunks("ada", "a document").await.unwrap();
        let query = millrace_vectors::Embedding::try_new(vec![1.0], 1).unwrap();
        index.search("ada", &query, 3).await.unwrap();
        let asked = server.asked();
        assert_eq!(asked.len(), 2);
        for asked in &asked {
            assert_signed_for(name, asked);
        }
    }
}
