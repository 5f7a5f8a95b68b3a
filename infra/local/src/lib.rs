//! The embedded cloud: runs infra/template.yaml in one process.

mod error;
mod matching;
mod services;
mod store;
mod times;

pub mod clock;
pub mod connector;
pub mod dynamo;
pub mod eventbridge;
pub mod mappings;
pub mod names;
pub mod s3;
pub mod sns;
pub mod sqs;
pub mod storage;
pub mod template;

pub use connector::{http_client, sdk_config, sdk_config_with};
pub use error::{OpenError, ServiceError};
pub use services::Services;
pub use storage::Storage;
