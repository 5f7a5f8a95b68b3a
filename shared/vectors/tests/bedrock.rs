//! The Bedrock embedder: the SDK as it is, against a server that answers what the tests say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod services;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use millrace_events::reason;
use millrace_vectors::{BedrockEmbedder, Embedder};
use serde_json::json;
use services::{Said, Server};

fn config(server: &Server) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::from_keys(
            "embedded", "embedded", None,
        )))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&server.url)
        .build()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn vector(place: usize, dimensions: usize) -> Vec<f32> {
    (0..dimensions)
        .map(|other| if other == place { 3.0 } else { 0.0 })
        .collect()
}

#[tokio::test]
async fn titan_takes_one_text_a_request() {
    let server = Server::start(|_, asked| {
        let place = asked.body["inputText"].as_str().unwrap().len();
        Said(
            200,
            "",
            json!({"embedding": vector(place, 1536), "inputTextTokenCount": 1}).to_string(),
        )
    })
    .await;
    let embedder = BedrockEmbedder::new(&config(&server), "amazon.titan-embed-text-v1").unwrap();
    assert_eq!(embedder.dimensions(), 1536);
    let all: Vec<String> = (1..30).map(|length| "x".repeat(length)).collect();
    let answered = embedder.embed(&all).await.unwrap();
    for (text, embedding) in all.iter().zip(&answered) {
        assert_eq!(embedding.values()[text.len()], 1.0);
    }
    assert_eq!(server.asked().len(), 29);
    assert_eq!(
        server.asked()[0].path,
        "/model/amazon.titan-embed-text-v1/invoke"
    );
}

#[tokio::test]
async fn titan_v2_is_asked_for_unit_vectors() {
    let answer =
        json!({"embedding": vector(7, 1024), "embeddingsByType": {}, "inputTextTokenCount": 1})
            .to_string();
    let server = Server::start(move |_, _| Said(200, "", answer.clone())).await;
    let embedder = BedrockEmbedder::new(&config(&server), "amazon.titan-embed-text-v2:0").unwrap();
    assert_eq!(
        embedder.embed(&texts(&["a"])).await.unwrap()[0].dimensions(),
        1024
    );
    assert_eq!(
        server.asked()[0].body,
        json!({"inputText": "a", "dimensions": 1024, "normalize": true})
    );
}

#[tokio::test]
async fn cohere_takes_96_texts_a_request_in_both_shapes_of_answer() {
    for (model, dimensions, is_by_type) in [
        ("cohere.embed-multilingual-v3", 1024, false),
        ("us.cohere.embed-v4:0", 1536, true),
    ] {
        let server = Server::start(move |_, asked| {
            let count = asked.body["texts"].as_array().unwrap().len();
            let vectors = vec![vector(2, dimensions); count];
            let embeddings = if is_by_type {
                json!({"float": vectors})
            } else {
                json!(vectors)
            };
            Said(
                200,
                "",
                json!({"id": "x", "response_type": "x", "embeddings": embeddings}).to_string(),
            )
        })
        .await;
        let embedder = BedrockEmbedder::new(&config(&server), model).unwrap();
        let all: Vec<String> = (0..100).map(|number| format!("text {number}")).collect();
        assert_eq!(embedder.embed(&all).await.unwrap().len(), 100);
        let mut sizes: Vec<_> = server
            .asked()
            .iter()
            .map(|asked| asked.body["texts"].as_array().unwrap().len())
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [4, 96]);
    }
}

#[tokio::test]
async fn each_refusal_has_its_reason() {
    let expected = [
        (429, "ThrottlingException", true, reason::THROTTLED),
        (
            503,
            "ServiceUnavailableException",
            true,
            reason::EMBEDDER_UNAVAILABLE,
        ),
        (
            408,
            "ModelTimeoutException",
            true,
            reason::EMBEDDER_UNAVAILABLE,
        ),
        (403, "AccessDeniedException", true, reason::ACCESS_DENIED),
        (400, "ValidationException", false, reason::EMBEDDER_REJECTED),
    ];
    for (status, code, is_transient, reason) in expected {
        let body = json!({"__type": code, "message": "no"}).to_string();
        let server = Server::start(move |_, _| Said(status, "", body.clone())).await;
        let embedder =
            BedrockEmbedder::new(&config(&server), "amazon.titan-embed-text-v1").unwrap();
        let failure = embedder.embed(&texts(&["a"])).await.unwrap_err();
        assert_eq!(
            (failure.is_transient(), failure.reason()),
            (is_transient, reason),
            "{code}: {}",
            failure.chain()
        );
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_a_mismatch() {
    for answer in [json!({"results": []}), json!({"embedding": [1.0, 2.0]})] {
        let server = Server::start(move |_, _| Said(200, "", answer.to_string())).await;
        let embedder =
            BedrockEmbedder::new(&config(&server), "amazon.titan-embed-text-v1").unwrap();
        let failure = embedder.embed(&texts(&["a"])).await.unwrap_err();
        assert_eq!(
            (failure.is_transient(), failure.reason()),
            (false, reason::MODEL_MISMATCH)
        );
    }
}

#[tokio::test]
async fn a_model_that_does_not_embed_is_refused_at_once() {
    let server = Server::start(|_, _| Said(500, "", String::new())).await;
    let failure = BedrockEmbedder::new(&config(&server), "anthropic.claude-v2").unwrap_err();
    assert_eq!(failure.reason(), reason::EMBEDDER_REJECTED);
}
