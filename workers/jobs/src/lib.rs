//! The jobs product: a job is posted, suitable people are told, one of them is chosen.
//!
//! The platform writes users, jobs and matches (an employee's response to a job); the workers listen to those tables'
//! streams. What the workers know of a person or a job beyond the platform's rows is in tables of their own, where
//! the fences are too: a platform's write replaces a whole row, and a fence in it would be gone.

pub mod attributes;
pub mod candidates;
mod choosing;
pub mod close_window;
pub mod context;
pub mod decision;
pub mod embed_profile;
pub mod explain;
pub mod fields;
pub mod invariants;
pub mod language;
pub mod notice;
pub mod notify_candidate;
mod outbox;
pub mod profiles;
pub mod progress;
pub mod projection;
pub mod record_response;
pub mod registry;
mod release;
pub mod responses;
pub mod rows;
pub mod score_candidates;
pub mod scoring;
pub mod settle_job;
mod stepping;
pub mod window;

pub use context::{Jobs, Names, SetupError};
pub use registry::WORKERS;
