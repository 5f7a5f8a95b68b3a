//! The embedded cloud: runs infra/template.yaml in one process.

mod error;
mod matching;
mod services;
mod store;
mod sts;
mod times;

pub mod clock;
pub mod cloud;
pub mod connector;
pub mod dynamo;
pub mod eventbridge;
pub mod mappings;
pub mod names;
pub mod rehearsal;
pub mod s3;
pub mod schedule;
pub mod server;
pub mod sns;
pub mod sqs;
pub mod storage;
pub mod template;

pub use cloud::{CloudError, LocalCloud, Running};
pub use connector::{http_client, sdk_config, sdk_config_with};
pub use error::{OpenError, ServiceError};
pub use mappings::{FunctionError, Functions};
pub use server::{Exposure, ServeError, Server, serve};
pub use services::Services;
pub use storage::Storage;
pub use template::{FunctionConfig, Template};
