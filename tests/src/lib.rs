//! What crosses crates: a world in memory in which events are delivered one by one, by hand.

// A test that cannot go on ends; that is what these are for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod batches;
pub mod dead_letters;
pub mod every_call;
pub mod fixtures;
pub mod jobs;
pub mod marketing;
mod notifications;
pub mod permissions;
pub mod running;
pub mod sleepers;
mod state;
mod tapped_index;
mod tapped_points;
mod world;

pub use state::{DeadLetter, State, dead_letters};
pub use tapped_index::{Indexed, TappedIndex};
pub use tapped_points::{IndexedPoint, TappedPoints};
pub use world::{
    Listening, NOW, Pending, Seen, TEMPLATE, World, has_failed, listening, settings_of, workers,
};
