//! The embedded cloud: runs infra/template.yaml in one process.

mod error;
mod store;

pub mod clock;
pub mod dynamo;
pub mod names;
pub mod sqs;
pub mod storage;

pub use error::{OpenError, ServiceError};
