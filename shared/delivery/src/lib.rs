//! The Worker trait and the loop around it: isolate, order, retry, park, report.

mod attempt;
pub mod breaker;
mod delivery;
pub mod fixture;
mod handler;
pub mod lambda;
mod metrics;
mod panics;
mod parking;
pub mod recorder;
mod report;
mod settings;
mod together;
mod visibility;
mod ways;
pub mod worker;

pub use breaker::{Breaker, BreakerSettings};
pub use delivery::{Delivery, Invocation};
pub use fixture::{Expect, Fixture};
pub use lambda::Registry;
pub use metrics::{CountingSink, EmfSink, MetricSink, OutcomeEvent};
pub use panics::install_panic_hook;
pub use parking::{MemoryParking, Parking, SqsParking};
pub use recorder::Recorder;
pub use report::{ReasonReport, RecordReport, Report, Said};
pub use settings::DeliverySettings;
pub use visibility::{QueueDefault, SqsVisibility, Visibility};
pub use ways::Ways;
pub use worker::{Cx, FromRecord, Worker};
