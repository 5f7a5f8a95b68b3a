//! Amazon Bedrock's embedding models: Titan and Cohere.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_bedrockruntime::{Client, primitives::Blob};
use futures::{StreamExt, TryStreamExt, stream};
use millrace_cloud::classify;
use millrace_events::{Failure, reason};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    batching::batches,
    embedder::{Embedder, accept},
    embedding::{DIMENSIONS, Embedding, ModelId},
};

/// Titan takes one text a request: as many at once.
const CONCURRENT_REQUESTS: usize = 8;

/// What the models take in one request (Cohere: 96 texts; the tokens keep a request small).
const COHERE_TEXTS: usize = 96;
const COHERE_TOKENS: usize = 40_000;

/// What a request to the model looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// One text; always 1,536 numbers.
    TitanV1,
    /// One text; 1,024, 512 or 256 numbers.
    TitanV2,
    /// Many texts; always 1,024 numbers.
    CohereV3,
    /// Many texts; 1,536 numbers unless asked for fewer.
    CohereV4,
}

impl Family {
    /// By the model's id, which may be that of an inference profile (`us.cohere.embed-v4:0`).
    fn of(model: &str) -> Option<Self> {
        let families = [
            ("amazon.titan-embed-text-v1", Self::TitanV1),
            ("amazon.titan-embed-g1-text", Self::TitanV1),
            ("amazon.titan-embed-text-v2", Self::TitanV2),
            ("cohere.embed-english-v3", Self::CohereV3),
            ("cohere.embed-multilingual-v3", Self::CohereV3),
            ("cohere.embed-v4", Self::CohereV4),
        ];
        families
            .into_iter()
            .find(|(name, _)| model.contains(name))
            .map(|(_, family)| family)
    }

    fn dimensions(self) -> usize {
        match self {
            Self::TitanV1 | Self::CohereV4 => DIMENSIONS,
            Self::TitanV2 | Self::CohereV3 => 1024,
        }
    }

    fn texts_a_request(self) -> usize {
        match self {
            Self::TitanV1 | Self::TitanV2 => 1,
            Self::CohereV3 | Self::CohereV4 => COHERE_TEXTS,
        }
    }

    fn body(self, texts: &[String]) -> Value {
        let first = texts.first().map(String::as_str).unwrap_or_default();
        match self {
            Self::TitanV1 => json!({"inputText": first}),
            Self::TitanV2 => {
                json!({"inputText": first, "dimensions": self.dimensions(), "normalize": true})
            }
            Self::CohereV3 => {
                json!({"texts": texts, "input_type": "search_document", "truncate": "NONE"})
            }
            Self::CohereV4 => json!({
                "texts": texts,
                "input_type": "search_document",
                "truncate": "NONE",
                "embedding_types": ["float"],
                "output_dimension": self.dimensions(),
            }),
        }
    }
}

/// What the models answer: Titan one vector, Cohere a list, or lists by type.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    One { embedding: Vec<f32> },
    Many { embeddings: Vec<Vec<f32>> },
    ByType { embeddings: Floats },
}

#[derive(Debug, Deserialize)]
struct Floats {
    float: Vec<Vec<f32>>,
}

impl Answer {
    fn into_vectors(self) -> Vec<Vec<f32>> {
        match self {
            Self::One { embedding } => vec![embedding],
            Self::Many { embeddings } => embeddings,
            Self::ByType { embeddings } => embeddings.float,
        }
    }
}

/// Embeds through Bedrock.
#[derive(Debug)]
pub struct BedrockEmbedder {
    client: Client,
    model: ModelId,
    model_name: String,
    family: Family,
}

impl BedrockEmbedder {
    /// `model` is the id of a Titan or Cohere embedding model, or of an inference profile for one.
    pub fn new(config: &SdkConfig, model: &str) -> Result<Self, Failure> {
        let Some(family) = Family::of(model) else {
            let message =
                format!("the model {model:?} is not an embedding model of Titan or Cohere");
            return Err(Failure::permanent(reason::EMBEDDER_REJECTED, message));
        };
        Ok(Self {
            client: Client::new(config),
            model: ModelId::new(format!("bedrock:{model}")),
            model_name: model.to_owned(),
            family,
        })
    }

    async fn request(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        let body = self.family.body(texts).to_string();
        let request = self
            .client
            .invoke_model()
            .model_id(&self.model_name)
            .body(Blob::new(body));
        let request = request
            .content_type("application/json")
            .accept("application/json");
        let answer = request.send().await.map_err(|error| {
            let failure = classify(&format!("embed with {}", self.model), error);
            self.as_embedder_failure(failure)
        })?;
        let answer: Answer = serde_json::from_slice(answer.body.as_ref()).map_err(|error| {
            let message = format!(
                "the answer of {} is not that of an embedding model",
                self.model
            );
            Failure::permanent(reason::MODEL_MISMATCH, message).caused_by(error)
        })?;
        accept(
            &self.model,
            self.family.dimensions(),
            texts.len(),
            answer.into_vectors(),
        )
    }

    /// The embedder's own reason codes in place of those for any service.
    fn as_embedder_failure(&self, failure: Failure) -> Failure {
        let renamed = match failure.reason() {
            reason::SERVICE_UNAVAILABLE => reason::EMBEDDER_UNAVAILABLE,
            reason::REQUEST_REJECTED => reason::EMBEDDER_REJECTED,
            _ => return failure,
        };
        let message = format!("the embedder {} failed", self.model);
        let again = if failure.is_transient() {
            Failure::transient(renamed, message)
        } else {
            Failure::permanent(renamed, message)
        };
        again.caused_by(failure)
    }
}

#[async_trait]
impl Embedder for BedrockEmbedder {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.family.dimensions()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        let ranges = batches(texts, self.family.texts_a_request(), COHERE_TOKENS);
        let requests = ranges.into_iter().map(|range| self.request(&texts[range]));
        let answers: Vec<Vec<Embedding>> = stream::iter(requests)
            .buffered(CONCURRENT_REQUESTS)
            .try_collect()
            .await?;
        Ok(answers.into_iter().flatten().collect())
    }
}
