//! Any endpoint that speaks OpenAI's embeddings API.

use std::{sync::Arc, time::Duration};

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    middleware::{HttpRequestFactory, ReqwestService},
    traits::RequestOptionsBuilder as _,
    types::embeddings::{CreateEmbeddingRequest, EmbeddingInput},
};
use async_trait::async_trait;
use aws_config::SdkConfig;
use millrace_events::{Failure, Reason, reason};
use tower::Service as _;

use crate::{
    batching::batches,
    embedder::{Embedder, accept},
    embedding::{DIMENSIONS, Embedding, ModelId},
    secret::Secret,
};

/// How much of an error's text is kept.
const MAX_MESSAGE_CHARACTERS: usize = 300;

/// How much one request may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Texts in one request.
    pub texts: usize,
    /// Tokens in one request, estimated.
    pub tokens: usize,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Default for Limits {
    /// OpenAI takes 2,048 texts and 300,000 tokens; smaller requests fail smaller.
    fn default() -> Self {
        Self {
            texts: 256,
            tokens: 100_000,
            timeout: Duration::from_secs(30),
        }
    }
}

/// Embeds through an OpenAI-compatible endpoint.
///
/// One attempt a request: retries belong to the loop around the worker, which knows the deadline.
pub struct OpenAiEmbedder {
    client: Client<OpenAIConfig>,
    /// Where the key is kept, if the client does not have it.
    secret: Option<Secret>,
    model: ModelId,
    model_name: String,
    dimensions: usize,
    limits: Limits,
}

impl OpenAiEmbedder {
    /// `endpoint` up to and including the version (`https://api.openai.com/v1`); `model` as the endpoint calls it.
    pub fn new(endpoint: &str, key: &str, model: &str) -> Result<Self, Failure> {
        Self::with_limits(endpoint, key, model, DIMENSIONS, Limits::default())
    }

    /// With other dimensions or limits.
    pub fn with_limits(
        endpoint: &str,
        key: &str,
        model: &str,
        dimensions: usize,
        limits: Limits,
    ) -> Result<Self, Failure> {
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            let message =
                format!("the embedder's endpoint {endpoint:?} is not an http or https address");
            return Err(Failure::permanent(reason::EMBEDDER_REJECTED, message));
        }
        if model.is_empty() || limits.texts == 0 || limits.tokens == 0 {
            let message = "the embedder needs a model's name and limits above zero";
            return Err(Failure::permanent(reason::EMBEDDER_REJECTED, message));
        }
        let config = OpenAIConfig::new()
            .with_api_base(endpoint.trim_end_matches('/'))
            .with_api_key(key);
        // The library's own service retries on its own account; this one asks once, and keeps what an
        // error's headers say.
        let transport = ReqwestService::default();
        let service = tower::service_fn(move |request: HttpRequestFactory| {
            let mut transport = transport.clone();
            async move {
                let response = transport.call(request).await?;
                let status = response.status().as_u16();
                if response.status().is_success() {
                    return Ok(response);
                }
                let retry_after = response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok());
                let retry_after = retry_after
                    .and_then(|value| value.trim().parse().ok())
                    .map(Duration::from_secs);
                let body = response.text().await.unwrap_or_default();
                Err(OpenAIError::Boxed(Box::new(Refused {
                    status,
                    retry_after,
                    said: said(&body),
                })))
            }
        });
        Ok(Self {
            client: Client::with_config(config).with_http_service(service),
            secret: None,
            model: ModelId::new(format!("openai:{model}")),
            model_name: model.to_owned(),
            dimensions,
            limits,
        })
    }

    /// With a key that is kept in Secrets Manager, under this name or ARN. It is fetched when it is needed first, and again
    /// after the endpoint refused it.
    #[must_use]
    pub fn with_key_in_secret(mut self, config: &SdkConfig, id: &str) -> Self {
        self.secret = Some(Secret::new(config, id));
        self
    }

    /// Asks once; once more if a key that was known before is refused and there is another one by now.
    async fn request(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        let Some(secret) = &self.secret else {
            return self.request_with(None, texts).await;
        };
        let key = secret.text().await?;
        let first = self.request_with(Some(&key), texts).await;
        let is_refused = |failure: &Failure| failure.reason() == reason::ACCESS_DENIED;
        if !first.as_ref().is_err_and(is_refused) {
            return first;
        }
        secret.refused(&key).await;
        let newer = secret.text().await?;
        if newer == key {
            return first;
        }
        self.request_with(Some(&newer), texts).await
    }

    async fn request_with(
        &self,
        key: Option<&str>,
        texts: &[String],
    ) -> Result<Vec<Embedding>, Failure> {
        // Only these models can be asked for a number of dimensions; others refuse the field.
        let can_shorten = self.model_name.starts_with("text-embedding-3");
        let request = CreateEmbeddingRequest {
            model: self.model_name.clone(),
            input: EmbeddingInput::StringArray(texts.to_vec()),
            dimensions: can_shorten.then_some(self.dimensions as u32),
            ..CreateEmbeddingRequest::default()
        };
        let mut embeddings = self.client.embeddings();
        if let Some(key) = key {
            // In place of the header that the client has from its configuration.
            embeddings = embeddings
                .header("authorization", format!("Bearer {key}"))
                .map_err(|error| self.failure(error))?;
        }
        let answer = tokio::time::timeout(self.limits.timeout, embeddings.create(request)).await;
        let mut answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.failure(error)),
            Err(_) => {
                let message = format!(
                    "the embedder did not answer for {} within {:?}",
                    self.model, self.limits.timeout
                );
                return Err(Failure::transient(reason::EMBEDDER_UNAVAILABLE, message));
            }
        };
        answer.data.sort_by_key(|vector| vector.index);
        let is_numbered = answer
            .data
            .iter()
            .enumerate()
            .all(|(place, vector)| vector.index as usize == place);
        if !is_numbered {
            let message = format!(
                "the vectors that {} answered are not numbered one by one",
                self.model
            );
            return Err(Failure::permanent(reason::MODEL_MISMATCH, message));
        }
        let vectors = answer
            .data
            .into_iter()
            .map(|vector| vector.embedding)
            .collect();
        accept(&self.model, self.dimensions, texts.len(), vectors)
    }

    fn failure(&self, error: OpenAIError) -> Failure {
        let attempted = format!("could not embed with {}", self.model);
        match error {
            OpenAIError::Boxed(boxed) => match boxed.downcast::<Refused>() {
                Ok(refused) => refused.into_failure(attempted),
                Err(other) => {
                    Failure::transient(reason::EMBEDDER_UNAVAILABLE, attempted).caused_by(other)
                }
            },
            // An answer with status 200 that is not what the API promises, most likely from a proxy. The
            // library's error carries the whole answer: only its kind is kept.
            OpenAIError::JSONDeserialize(cause, _) => Failure::transient(
                reason::EMBEDDER_UNAVAILABLE,
                format!("{attempted}: the answer cannot be read"),
            )
            .caused_by(cause),
            OpenAIError::InvalidArgument(said) => {
                Failure::permanent(reason::EMBEDDER_REJECTED, format!("{attempted}: {said}"))
            }
            other => Failure::transient(reason::EMBEDDER_UNAVAILABLE, attempted).caused_by(other),
        }
    }
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn model(&self) -> &ModelId {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure> {
        let mut embeddings = Vec::with_capacity(texts.len());
        for range in batches(texts, self.limits.texts, self.limits.tokens) {
            embeddings.extend(self.request(&texts[range]).await?);
        }
        Ok(embeddings)
    }
}

/// An answer that is not a success.
#[derive(Debug, Clone, thiserror::Error)]
#[error("status {status}: {said}")]
struct Refused {
    status: u16,
    retry_after: Option<Duration>,
    said: Arc<str>,
}

impl Refused {
    fn into_failure(self, attempted: String) -> Failure {
        let retry_after = self.retry_after;
        let transient = |reason: Reason| Failure::transient(reason, attempted.clone());
        let failure = match self.status {
            429 => transient(reason::THROTTLED),
            408 | 409 | 425 | 500.. => transient(reason::EMBEDDER_UNAVAILABLE),
            // As with every service: an operator mends a key, and the record is none the worse for it.
            401 | 403 => transient(reason::ACCESS_DENIED),
            _ => Failure::permanent(reason::EMBEDDER_REJECTED, attempted.clone()),
        };
        let failure = match retry_after {
            Some(delay) => failure.retry_after(delay),
            None => failure,
        };
        failure.caused_by(self)
    }
}

/// The message in the body of an error, or the beginning of whatever it is.
fn said(body: &str) -> Arc<str> {
    let parsed: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let message = parsed
        .as_ref()
        .and_then(|value| value.pointer("/error/message"))
        .and_then(|value| value.as_str());
    message
        .unwrap_or(body)
        .chars()
        .take(MAX_MESSAGE_CHARACTERS)
        .collect::<String>()
        .into()
}
