//! What turns texts into vectors.

use async_trait::async_trait;
use millrace_events::{Failure, reason};

use crate::embedding::{Embedding, ModelId};

/// Turns texts into vectors.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The model. The same model gives the same text the same direction.
    fn model(&self) -> &ModelId;

    /// Numbers in each vector.
    fn dimensions(&self) -> usize;

    /// The vectors of these texts, in their order: as many as there are texts, or a failure.
    /// Any number of texts may be given; the embedder cuts them into the requests its service allows.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Failure>;
}

/// What a service answered, as embeddings: as many as were asked for, each of the right length.
pub(crate) fn accept(
    model: &ModelId,
    dimensions: usize,
    asked: usize,
    answered: Vec<Vec<f32>>,
) -> Result<Vec<Embedding>, Failure> {
    if answered.len() != asked {
        let message = format!(
            "the model {model} answered {} vectors for {asked} texts",
            answered.len()
        );
        return Err(Failure::permanent(reason::MODEL_MISMATCH, message));
    }
    let embeddings = answered
        .into_iter()
        .map(|values| Embedding::try_new(values, dimensions));
    embeddings.collect::<Result<_, _>>().map_err(|error| {
        let message = format!("the model {model} answered a vector that cannot be used");
        Failure::permanent(reason::MODEL_MISMATCH, message).caused_by(error)
    })
}
