//! The services of the embedded cloud, through the SDK clients as they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dynamo;
mod notifications;
mod rehearsal;
mod restart;
mod s3;
mod server;
mod sns;
mod sqs;

use std::sync::Arc;

use aws_config::SdkConfig;
use millrace_local::clock::{ManualClock, SystemClock};
use millrace_local::{Services, Storage, sdk_config};

/// Services in memory, and the configuration of clients that talk to them.
fn cloud() -> (Services, SdkConfig) {
    let services = Services::open(&Storage::Memory, Arc::new(SystemClock)).unwrap();
    let config = sdk_config(&services);
    (services, config)
}

/// The same, on a clock that the test moves.
fn cloud_on_manual_clock() -> (Services, SdkConfig, ManualClock) {
    let clock = ManualClock::new(1_790_000_000_000);
    let services = Services::open(&Storage::Memory, Arc::new(clock.clone())).unwrap();
    let config = sdk_config(&services);
    (services, config, clock)
}
