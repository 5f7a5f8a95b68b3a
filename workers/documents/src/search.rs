//! Search, for proof and for operators.

use millrace_events::Failure;
use millrace_vectors::Hit;

use crate::{context::Documents, keys::UserId};

/// The user's chunks nearest to a question, best first. Only that user's: the filter is inside the vector search.
pub async fn search(
    documents: &Documents,
    user: &UserId,
    question: &str,
    limit: usize,
) -> Result<Vec<Hit>, Failure> {
    let vectors = documents.embedder.embed(&[question.to_owned()]).await?;
    let Some(vector) = vectors.first() else {
        return Ok(Vec::new());
    };
    documents.index.search(user.as_str(), vector, limit).await
}
