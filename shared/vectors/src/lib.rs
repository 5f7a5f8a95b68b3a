//! From texts to vectors, and from a vector to its nearest neighbours.
//!
//! An [`Embedder`] turns texts into [`Embedding`]s; a [`VectorIndex`] keeps them with their chunks
//! and finds the nearest of one user. Each has an implementation that needs nothing but this
//! process ([`HashedEmbedder`], [`ScanIndex`]) and others that speak to a service.
//!
//! Architecture invariant: a search names its user, and the filter is part of the vector search
//! itself, in every index. Nothing here can search across users.

mod batching;
mod bedrock;
mod embedder;
mod embedding;
mod hash;
mod hashed;
mod index;
mod kernel;
mod openai;
mod opensearch;
mod overlay;
mod scan;

pub use crate::{
    bedrock::BedrockEmbedder,
    embedder::Embedder,
    embedding::{DIMENSIONS, Embedding, EmbeddingError, ModelId},
    hashed::HashedEmbedder,
    index::{Entry, Hit, VectorIndex},
    openai::{Limits, OpenAiEmbedder},
    opensearch::{Auth, Engine, OpenSearchIndex, Service},
    overlay::{IndexChange, OverlayIndex, Told},
    scan::{Durability, ScanIndex},
};
