//! Bytes of a document to text, pages, sections and chunks; parsing in a limited child process.
//!
//! A file that somebody uploaded is parsed by large libraries that were not written for
//! hostile input. So the story of this crate is told in three parts:
//!
//! 1. [`Extractor`] starts this very program again as a child that has given up everything it
//!    does not need ([`run_child_if_asked`] is the child's door), hands it the file on its
//!    standard input, and takes the [`Extraction`] from its standard output.
//! 2. In the child, [`extract_here`] decides the format by the content ([`sniff`]) and calls
//!    that format's reader; what readers find goes through one builder, so that normalisation,
//!    positions and limits are the same for all of them.
//! 3. [`chunk`] cuts the text at section and sentence borders into pieces for the embedder.
//!
//! All positions are positions of *characters*, that is Unicode scalar values, in
//! [`Extraction::text`]: the first character is 0.

mod builder;
mod child;
mod chunk;
mod error;
mod extraction;
mod formats;
mod language;
mod limits;
mod sentences;
mod sniff;
mod tokens;
mod words;
mod wrap;

#[doc(hidden)]
pub use child::confine_for_tests;
pub use child::{Child, Extractor, run_child_if_asked};
pub use chunk::{Chunk, ChunkSettings, InvalidChunkSettings, chunk};
pub use error::ExtractError;
pub use extraction::{Extraction, Format, Page, Section, extract_here};
pub use limits::Limits;
pub use sniff::sniff;
pub use tokens::estimate_tokens;
