//! Settings and SDK clients; buckets and queues in the platform's words.
//!
//! Handlers use the real AWS SDK clients everywhere. What differs between AWS, a laptop and a
//! test is the HTTP connector under them, and the [`tap`] is the one seam through which every call
//! passes.

pub mod chance;
pub mod clients;
pub mod clock;
pub mod errors;
pub mod objects;
pub mod retry;
pub mod settings;
pub mod streams;
pub mod tap;

pub use clients::{Addressing, Clients};
pub use clock::{Clock, ManualClock, SystemClock};
pub use errors::classify;
pub use objects::{Bucket, Condition, Listed, Object, Opened, Put, PutOutcome};
pub use settings::{SettingError, Settings};
pub use streams::{StreamRange, StreamReader};
pub use tap::{Arbiter, Call, Fault, Lost, Tap};
