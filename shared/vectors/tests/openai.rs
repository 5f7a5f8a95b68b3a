//! The OpenAI-compatible embedder against a server that answers what the tests say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod services;

use std::time::Duration;

use millrace_events::reason;
use millrace_vectors::{Embedder, Limits, OpenAiEmbedder};
use serde_json::{Value, json};
use services::{Asked, Said, Server};

const DIMENSIONS: usize = 4;

fn embedder(server: &Server, limits: Limits) -> OpenAiEmbedder {
    OpenAiEmbedder::with_limits(
        &format!("{}/v1/", server.url),
        "a-key",
        "a-model",
        DIMENSIONS,
        limits,
    )
    .unwrap()
}

/// A vector for each text, that points along the text's length, in reverse order to be put right by `index`.
fn vectors(asked: &Asked, dimensions: usize) -> String {
    let texts = asked.body["input"].as_array().unwrap();
    let mut data: Vec<Value> = (0..)
        .zip(texts)
        .map(|(index, text): (usize, _)| {
            let mut vector = vec![0.0; dimensions];
            vector[text.as_str().unwrap().len() % dimensions] = 2.0;
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    data.reverse();
    json!({"object": "list", "model": "a-model", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}).to_string()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn vectors_come_in_the_order_asked_batch_after_batch() {
    let server = Server::start(|_, asked| Said(200, "", vectors(asked, DIMENSIONS))).await;
    let limits = Limits {
        texts: 2,
        ..Limits::default()
    };
    let answered = embedder(&server, limits)
        .embed(&texts(&["a", "bb", "ccc", "dddd", "eeeee"]))
        .await
        .unwrap();
    let places: Vec<_> = answered
        .iter()
        .map(|one| one.values().iter().position(|value| *value == 1.0))
        .collect();
    assert_eq!(places, [Some(1), Some(2), Some(3), Some(0), Some(1)]);
    let asked = server.asked();
    let sizes: Vec<_> = asked
        .iter()
        .map(|asked| asked.body["input"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(asked[0].path, "/v1/embeddings");
    assert_eq!(asked[0].body["model"], "a-model");
    assert!(asked[0].body.get("dimensions").is_none());
    assert!(asked[0].headers.contains("authorization: bearer a-key"));
}

#[tokio::test]
async fn batches_are_cut_by_tokens_too() {
    let server = Server::start(|_, asked| Said(200, "", vectors(asked, DIMENSIONS))).await;
    let limits = Limits {
        tokens: 10,
        ..Limits::default()
    };
    let long = "x".repeat(24);
    embedder(&server, limits)
        .embed(&texts(&[&long, &long, "y", "z"]))
        .await
        .unwrap();
    let sizes: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.body["input"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [1, 3]);
}

#[tokio::test]
async fn a_throttle_is_reported_once_with_its_delay_and_the_next_call_succeeds() {
    let server = Server::start(|number, asked| match number {
        0 => Said(
            429,
            "retry-after: 7\r\n",
            json!({"error": {"message": "slow down", "type": "requests"}}).to_string(),
        ),
        _ => Said(200, "", vectors(asked, DIMENSIONS)),
    })
    .await;
    let embedder = embedder(&server, Limits::default());
    let failure = embedder.embed(&texts(&["a"])).await.unwrap_err();
    assert!(failure.is_transient());
    assert_eq!(failure.reason(), reason::THROTTLED);
    assert_eq!(failure.delay(), Some(Duration::from_secs(7)));
    assert!(failure.chain().contains("slow down"), "{}", failure.chain());
    assert_eq!(server.asked().len(), 1, "the library retried by itself");
    assert_eq!(embedder.embed(&texts(&["a"])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let expected = [
        (500, true, reason::EMBEDDER_UNAVAILABLE),
        (503, true, reason::EMBEDDER_UNAVAILABLE),
        (401, true, reason::ACCESS_DENIED),
        (400, false, reason::EMBEDDER_REJECTED),
        (404, false, reason::EMBEDDER_REJECTED),
    ];
    for (status, is_transient, reason) in expected {
        let server =
            Server::start(move |_, _| Said(status, "", "<html>no JSON</html>".to_owned())).await;
        let failure = embedder(&server, Limits::default())
            .embed(&texts(&["a"]))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.is_transient(), failure.reason()),
            (is_transient, reason),
            "{status}"
        );
        assert_eq!(server.asked().len(), 1, "the library retried by itself");
    }
}

#[tokio::test]
async fn other_dimensions_or_counts_are_a_mismatch() {
    let server = Server::start(|_, asked| Said(200, "", vectors(asked, DIMENSIONS + 1))).await;
    let failure = embedder(&server, Limits::default())
        .embed(&texts(&["a"]))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.is_transient(), failure.reason()),
        (false, reason::MODEL_MISMATCH)
    );
    assert!(
        failure.chain().contains("5 dimensions, expected 4"),
        "{}",
        failure.chain()
    );

    let server = Server::start(|_, asked| {
        let one = Asked {
            body: json!({"input": ["a"]}),
            ..asked.clone()
        };
        Said(200, "", vectors(&one, DIMENSIONS))
    })
    .await;
    let failure = embedder(&server, Limits::default())
        .embed(&texts(&["a", "b"]))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.is_transient(), failure.reason()),
        (false, reason::MODEL_MISMATCH)
    );
    assert!(
        failure.message().contains("1 vectors for 2 texts"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_server_that_hangs_or_is_not_there_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let limits = Limits {
        timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let embedder = OpenAiEmbedder::with_limits(&url, "k", "m", DIMENSIONS, limits).unwrap();
    for _ in 0..2 {
        let failure = embedder.embed(&texts(&["a"])).await.unwrap_err();
        assert_eq!(
            (failure.is_transient(), failure.reason()),
            (true, reason::EMBEDDER_UNAVAILABLE)
        );
    }
    drop(listener);
    let failure = embedder.embed(&texts(&["a"])).await.unwrap_err();
    assert_eq!(
        (failure.is_transient(), failure.reason()),
        (true, reason::EMBEDDER_UNAVAILABLE)
    );
}

#[test]
fn an_endpoint_is_checked_when_it_is_set() {
    let failure = OpenAiEmbedder::new("api.openai.com", "k", "m")
        .err()
        .unwrap();
    assert!(failure.message().contains("api.openai.com"), "{failure}");
}

/// Secrets Manager, whose secret is the key of this number at each call.
async fn secrets(keys: &'static [&'static str]) -> Server {
    Server::start(move |number, asked| {
        assert_eq!(asked.body["SecretId"], "the-secret");
        let key = keys[number.min(keys.len() - 1)];
        Said(200, "", json!({"SecretString": key}).to_string())
    })
    .await
}

fn with_secret(server: &Server, secrets: &Server) -> OpenAiEmbedder {
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .endpoint_url(&secrets.url)
        .credentials_provider(
            aws_credential_types::provider::SharedCredentialsProvider::new(
                aws_credential_types::Credentials::new("id", "secret", None, None, "test"),
            ),
        )
        .build();
    embedder(server, Limits::default()).with_key_in_secret(&config, "the-secret")
}

#[tokio::test]
async fn a_key_in_a_secret_is_fetched_once_and_again_when_it_is_refused() {
    let server = Server::start(|number, asked| {
        let expected = if number < 2 { "old" } else { "new" };
        let is_right = asked
            .headers
            .to_lowercase()
            .contains(&format!("authorization: bearer {expected}"));
        if is_right {
            Said(200, "", vectors(asked, DIMENSIONS))
        } else {
            Said(401, "", json!({"error": {"message": "no"}}).to_string())
        }
    })
    .await;
    let secrets = secrets(&["old", "new"]).await;
    let embedder = with_secret(&server, &secrets);
    for _ in 0..2 {
        embedder.embed(&texts(&["a"])).await.unwrap();
    }
    assert_eq!(secrets.asked().len(), 1, "a key is kept");
    // The third request meets a key that has been changed.
    embedder.embed(&texts(&["a"])).await.unwrap();
    assert_eq!((secrets.asked().len(), server.asked().len()), (2, 4));
}

#[tokio::test]
async fn a_key_that_is_refused_and_has_not_changed_is_a_refusal() {
    let server = Server::start(|_, _| Said(401, "", "{}".to_owned())).await;
    let secrets = secrets(&["old"]).await;
    let failure = with_secret(&server, &secrets)
        .embed(&texts(&["a"]))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.is_transient(), failure.reason()),
        (true, reason::ACCESS_DENIED)
    );
    assert_eq!((secrets.asked().len(), server.asked().len()), (2, 1));
    assert!(!failure.chain().contains("old"), "{}", failure.chain());
}
