//! What workers write for each other and for the platform, as JSON.

use millrace_cloud::Object;
use millrace_effects::GENERATION;
use millrace_events::{Failure, reason};
use millrace_text::{Page, Section};
use millrace_vectors::Embedding;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// `processed/…/layout.json`: what the chunker needs to know of pages and sections. Written before the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// The generation of the document.
    pub generation: String,
    /// SHA-256 of the extracted text, in hexadecimal.
    pub text_sha256: String,
    /// Character positions of the pages.
    pub pages: Vec<Page>,
    /// Headings and where they stand.
    pub sections: Vec<Section>,
    /// When the original was uploaded: the `createdAt` of every artefact, so that a replay writes the same bytes.
    pub created_at: String,
}

/// `documents/…/chunks/chunk-001.json`, in the data model's format plus `generation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkFile {
    /// UUID, a function of document, generation and index.
    pub chunk_id: String,
    /// The document.
    pub document_id: String,
    /// Its owner.
    pub user_id: String,
    /// From 0.
    pub chunk_index: u32,
    /// The chunk's text.
    pub content: String,
    /// Position of its first character in the extracted text.
    pub start_position: usize,
    /// Position behind its last character.
    pub end_position: usize,
    /// What is known of it.
    pub metadata: ChunkMetadata,
    /// When the original was uploaded.
    pub created_at: String,
    /// The generation of the document.
    pub generation: String,
}

/// The `metadata` of a chunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkMetadata {
    /// The page on which it begins, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_number: Option<u32>,
    /// The page on which it ends, if that is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_end: Option<u32>,
    /// The heading under which it stands.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub section: Option<String>,
    /// Words in it.
    pub word_count: u32,
    /// Characters in it.
    pub char_count: u32,
}

/// `processed/…/metadata.json`: the list of chunks. Its creation says that all chunks are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessedMetadata {
    /// The document.
    pub document_id: String,
    /// Its owner.
    pub user_id: String,
    /// The generation of the document.
    pub generation: String,
    /// SHA-256 of the extracted text, in hexadecimal.
    pub text_sha256: String,
    /// When the original was uploaded.
    pub created_at: String,
    /// How many chunks there are.
    pub chunk_count: u32,
    /// The chunks, without their text: that stands in the extracted text between the positions.
    pub chunks: Vec<ChunkEntry>,
}

/// One line of the list of chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkEntry {
    /// See [`ChunkFile::chunk_id`].
    pub chunk_id: String,
    /// From 0.
    pub chunk_index: u32,
    /// Position of its first character in the extracted text.
    pub start_position: usize,
    /// Position behind its last character.
    pub end_position: usize,
    /// What is known of it.
    pub metadata: ChunkMetadata,
}

/// `processed/…/embeddings.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Embeddings {
    /// The document.
    pub document_id: String,
    /// Its owner.
    pub user_id: String,
    /// The generation of the document.
    pub generation: String,
    /// The model that made the vectors.
    pub model: String,
    /// Numbers in each vector.
    pub dimensions: usize,
    /// The vectors, in the order of the chunks.
    pub chunks: Vec<EmbeddedChunk>,
}

/// One vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedChunk {
    /// The chunk.
    pub chunk_id: String,
    /// Its vector: base64 of 32-bit floats, little-endian; a list of numbers is read too.
    pub embedding: Embedding,
}

/// The generation that an artefact says it belongs to.
pub fn generation_of(object: &Object) -> Option<&str> {
    object.metadata.get(GENERATION).map(String::as_str)
}

/// Reads a JSON artefact.
pub fn parse<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::permanent(
            reason::MALFORMED_ARTEFACT,
            format!("{key} is not what a worker writes there"),
        )
        .caused_by(error)
    })
}

/// Writes a JSON artefact's bytes: the same for the same value.
pub fn to_bytes<T: Serialize>(value: &T) -> Result<bytes::Bytes, Failure> {
    serde_json::to_vec(value)
        .map(bytes::Bytes::from)
        .map_err(|error| {
            Failure::permanent(
                reason::MALFORMED_ARTEFACT,
                "could not write an artefact as JSON",
            )
            .caused_by(error)
        })
}
