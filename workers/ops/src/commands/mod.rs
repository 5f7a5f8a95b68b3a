//! One module a command.

pub(crate) mod analytics;
pub(crate) mod demo;
pub(crate) mod dlq;
pub(crate) mod explain_match;
pub(crate) mod feed;
pub(crate) mod ingest;
pub(crate) mod prepare_index;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod show;
pub(crate) mod up;
