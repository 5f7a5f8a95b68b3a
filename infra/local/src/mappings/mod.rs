//! Event source mappings: what Lambda does between a queue or a stream and a function.
//!
//! The rules, each with its source in AWS's documentation and the test that holds it, are listed in
//! `infra/local/README.md`. Decisions are plain functions over values (`batch`, `report`, `lanes`);
//! what acts on them (`queue`, `stream`) knows its source through a small trait only.

mod activity;
mod batch;
mod checkpoints;
mod destination;
mod invoke;
mod lanes;
mod queue;
mod report;
mod sources;
mod stream;

pub(crate) use activity::Activity;
pub(crate) use checkpoints::Checkpoints;
pub(crate) use destination::ServiceDestinations;
pub(crate) use invoke::Invoker;
pub use invoke::{FunctionError, Functions};
pub(crate) use queue::QueueEngine;
pub(crate) use sources::{ServiceQueue, ServiceStream};
pub(crate) use stream::{StreamEngine, StreamProgress};

/// How large an invocation's event may be, in bytes, with room for what surrounds the records.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>: 6 MB.
const MAXIMUM_EVENT_BYTES: usize = 6 * 1024 * 1024 - 4 * 1024;
