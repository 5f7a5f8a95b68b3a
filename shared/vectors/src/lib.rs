//! From texts to vectors, and from a vector to its nearest neighbours.
//!
//! An [`Embedder`] turns texts into [`Embedding`]s; a [`VectorIndex`] keeps them with their chunks
//! and finds the nearest of one user. Each has an implementation that needs nothing but this
//! process ([`HashedEmbedder`], [`ScanIndex`]) and others that speak to a service.
//!
//! A [`PointIndex`] keeps one vector an id with fields, and finds every one that passes a filter and is near enough.
//!
//! Architecture invariant: the filter is part of the vector search itself, in every index. A search for
//! chunks names its user: nothing here can search for chunks across users.

mod batching;
mod bedrock;
mod cache;
mod disk;
mod embedder;
mod embedding;
mod encoder;
mod guarded;
mod hash;
mod hashed;
mod index;
mod kernel;
mod openai;
mod opensearch;
mod overlay;
mod points;
pub mod prepare;
mod scan;
mod secret;
pub mod settings;

pub use crate::{
    bedrock::BedrockEmbedder,
    cache::{CacheTable, EmbeddingCache, Keeping, content_hash},
    disk::Durability,
    embedder::Embedder,
    embedding::{DIMENSIONS, Embedding, EmbeddingError, ModelId},
    encoder::{Encoder, EncoderEmbedder, EncoderFolder},
    guarded::{GuardedEmbedder, GuardedIndex},
    hashed::HashedEmbedder,
    index::{Entry, Hit, VectorIndex},
    openai::{Limits, OpenAiEmbedder},
    opensearch::{Auth, Engine, OpenSearchIndex, OpenSearchPoints, Service},
    overlay::{IndexChange, OverlayIndex, Told},
    points::{
        Field, Fields, Filter, Found, Layout, OverlayPoints, Point, PointChange, PointIndex,
        PointTold, ScanPoints, ScanSettings,
    },
    scan::ScanIndex,
};
