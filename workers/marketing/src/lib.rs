//! The marketing product: stores are matched with creators, people move the matches along, and campaigns and figures follow.
//!
//! The platform writes stores, creators, matches and campaigns, whole rows at a time; the workers listen to those tables'
//! streams. What Millrace knows of a match beyond the platform's row is in a row of its own, where the fence is too: a
//! platform's write replaces a whole row and a match expires, and a fence in it would be gone.

pub mod aggregate_analytics;
pub mod analytics;
pub mod attributes;
pub mod campaigns;
pub mod classify_creator;
pub mod context;
pub mod creators;
mod derive;
pub mod invariants;
pub mod lookup;
pub mod match_creators;
pub mod matches;
pub mod matching;
pub mod profile_store;
pub mod progress;
pub mod projection;
pub mod publish;
pub mod publish_report;
pub mod publishing;
pub mod registry;
pub mod report;
pub mod scoring;
pub mod stores;
pub mod track_match;
pub mod update_campaign;
pub mod words;
pub mod workflow;

pub use context::{Marketing, Names};
pub use registry::WORKERS;
