//! The ledger on embedded tables: totals are the sum of the newest contributions, whatever is delivered how often, at once, and
//! while they are built anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod conflicts;
mod entries;
mod folding;
mod rebuilding;
mod world;
