//! Envelopes in, records out.
//!
//! Whatever carries an event to a worker (S3, EventBridge, SNS, SQS, a DynamoDB
//! stream, a Lambda on-failure record, a parked record) is opened here, once, and
//! what comes out is the same [`Record`] whichever way it came. Nothing in this crate
//! knows the AWS SDK.

pub mod envelope;
pub mod fields;
pub mod mutation;
pub mod outcome;
pub mod parked;
pub mod reason;
pub mod record;
pub mod redact;

pub use envelope::{
    Batch, DecodeError, Message, Receipt, Source, open, open_owned, open_slice, trace_root,
};
pub use outcome::{Class, Failure, Outcome, chain};
pub use parked::{ParkedFormat, ParkedReason, ParkedRecord, parked_id};
pub use reason::Reason;
pub use record::{
    Item, ObjectChange, ObjectChangeKind, Payload, Record, RowChange, RowChangeKind, ScheduledTime,
    Version,
};
