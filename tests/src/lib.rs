//! What crosses crates: replay, crash, fixtures, end to end, benches.
