//! What keeps vectors and finds the nearest.

use async_trait::async_trait;
use millrace_events::Failure;

use crate::embedding::{Embedding, ModelId};

/// A chunk with its vector, as it is put into an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The chunk's id, a UUID; putting the same id again replaces the entry.
    pub chunk_id: String,
    /// Who may find it.
    pub user_id: String,
    /// The document that it is cut from.
    pub document_id: String,
    /// The document's generation; compares as text.
    pub generation: String,
    /// Its place in the document, from zero or one as the data model counts.
    pub chunk_index: u32,
    /// The text.
    pub content: String,
    /// The text's vector.
    pub embedding: Embedding,
    /// The document's file name.
    pub file_name: String,
    /// The document's media type.
    pub file_type: String,
    /// The page on which the chunk begins.
    pub page_number: Option<u32>,
    /// The page on which it ends, if that is another one.
    pub page_end: Option<u32>,
    /// The heading under which it stands.
    pub section: Option<String>,
    /// Words in the text.
    pub word_count: u32,
    /// The document's tags.
    pub tags: Vec<String>,
    /// When the chunk was made, RFC 3339.
    pub created_at: String,
}

/// A chunk that was found; its fields are those of [`Entry`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Hit {
    /// The cosine of the angle to the query, −1 to 1, in every index.
    pub score: f32,
    pub chunk_id: String,
    pub user_id: String,
    pub document_id: String,
    pub generation: String,
    pub chunk_index: u32,
    pub content: String,
    pub file_name: String,
    pub file_type: String,
    pub page_number: Option<u32>,
    pub page_end: Option<u32>,
    pub section: Option<String>,
    pub word_count: u32,
    pub tags: Vec<String>,
    pub created_at: String,
}

/// Best first; equal scores by chunk id, so that an answer is always the same.
pub(crate) fn sort_hits(hits: &mut [Hit]) {
    hits.sort_by(|left, right| {
        right
            .score
            .total_cmp(&left.score)
            .then_with(|| left.chunk_id.cmp(&right.chunk_id))
    });
}

/// Keeps chunks with their vectors, and finds those of one user that are nearest to a vector.
///
/// Each call may be repeated: the second time it changes nothing.
#[async_trait]
pub trait VectorIndex: Send + Sync {
    /// Whether the index is made for this model; one that is not there yet is made.
    ///
    /// # Errors
    /// `model-mismatch`, naming both, when it keeps vectors of another model or other dimensions.
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure>;

    /// As [`VectorIndex::check`], but changes nothing: an index that is not there yet fits.
    ///
    /// # Errors
    /// `model-mismatch`, naming both.
    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure>;

    /// Puts entries in, or replaces those of the same chunk id. They are durable and can be found
    /// when this returns.
    async fn put(&self, entries: &[Entry]) -> Result<(), Failure>;

    /// Removes a document's entries of every generation before `generation`; answers how many there were.
    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure>;

    /// Removes a document's entries up to and including a generation, or all of them; answers how many.
    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure>;

    /// The user's `k` chunks nearest to `query`, best first, equal ones by chunk id.
    async fn search(&self, user_id: &str, query: &Embedding, k: usize)
    -> Result<Vec<Hit>, Failure>;

    /// Chunk id and generation of every entry of a document, by chunk id: for verification.
    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure>;
}
