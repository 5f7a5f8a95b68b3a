//! The Worker trait and the loop around it: isolate, order, retry, park, report.

pub mod worker;

pub use worker::{Cx, FromRecord, Worker};
