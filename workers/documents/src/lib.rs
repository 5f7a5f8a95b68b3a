//! The documents product: from an uploaded file to searchable chunks.
//!
//! An original arrives under `documents/{userId}/{documentId}/original…`. Each worker writes an artefact whose
//! creation is the message to the next one, and then moves the document's progress on, under a fence. The
//! [`progress`] row is the one place that decides what is newer; everything else follows it.

pub mod artefacts;
pub mod context;
pub mod invariants;
pub mod keys;
pub mod progress;
pub mod registry;
pub mod search;
pub mod tidy;
pub mod upload;

pub mod chunk_text;
pub mod embed_chunks;
pub mod extract_text;
mod extraction_limits;
pub mod index_chunks;
pub mod keep_progress;
pub mod reconcile_index;
pub mod remove_document;

pub use context::{Documents, Names, SetupError};
pub use keys::{Document, DocumentId, UserId};
pub use registry::WORKERS;
