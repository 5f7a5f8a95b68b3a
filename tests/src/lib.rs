//! What crosses crates: a world in memory in which events are delivered one by one, by hand.

// A test that cannot go on ends; that is what these are for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod state;
mod world;

pub use state::State;
pub use world::{Pending, World};
