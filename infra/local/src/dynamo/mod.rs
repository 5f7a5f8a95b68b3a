//! DynamoDB with Streams, on `dynoxide`.
//!
//! The engine is used as it is, with what it lacks put around it here: an index
//! and a retention for its stream log ([`streams`]), transaction tokens that
//! survive a restart ([`tokens`]), ARNs and identities in AWS's form and no
//! records of writes that changed nothing ([`operations`]). It blocks and holds
//! one lock, so every call runs on a thread that may block.

mod expiry;
mod mended;
mod operations;
mod streams;
mod tokens;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynoxide::{Database, DynoxideError};
use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use operations::SHARD;
pub use streams::StreamDescription;

use crate::clock::Clock;
use crate::error::{OpenError, ServiceError};

/// The tables of the embedded cloud; clones share them.
#[derive(Clone)]
pub struct Dynamo {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    /// A second connection to the same database, for what the engine has no
    /// function for. In memory it also keeps the database alive.
    side: Mutex<Connection>,
    in_memory: bool,
    /// The newest record of the engine's stream log that carries the time of `clock`.
    stamped: AtomicI64,
    clock: Arc<dyn Clock>,
    changes: watch::Sender<u64>,
}

impl std::fmt::Debug for Dynamo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Dynamo")
    }
}

/// What housekeeping removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Items whose time to live had passed.
    pub expired_items: usize,
    /// Stream records older than 24 hours.
    pub stream_records: usize,
}

impl Dynamo {
    /// Opens the tables in `file`, or tables in memory.
    pub(crate) fn open(file: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = match file {
            Some(file) => file.display().to_string(),
            // Every opening is a database of its own.
            None => format!(
                "file:millrace-{}?mode=memory&cache=shared",
                Uuid::new_v4().simple()
            ),
        };
        let failed = |error: DynoxideError| OpenError::Tables {
            path: path.clone(),
            message: error.to_string(),
        };
        let database = Database::new(&path).map_err(failed)?;
        // The engine's name for `synchronous = NORMAL`. FULL, its default, waits
        // for the disk at each write: 280 a second instead of thousands.
        database.disable_bulk_loading().map_err(failed)?;
        let side = streams::prepare(&path).map_err(|source| OpenError::Database {
            path: path.clone(),
            source,
        })?;
        let (changes, _) = watch::channel(0);
        let dynamo = Self {
            shared: Arc::new(Shared {
                database,
                side: Mutex::new(side),
                in_memory: file.is_none(),
                stamped: AtomicI64::new(0),
                clock,
                changes,
            }),
        };
        tokens::create_table(&dynamo.shared.database).map_err(failed)?;
        Ok(dynamo)
    }

    /// Takes the side connection, which is also the right to use the engine:
    /// it runs one call at a time anyway, and in memory two connections would
    /// meet each other's locks.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        let lock = self.shared.side.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one operation of the DynamoDB or Streams API on a JSON request.
    /// The error is the body of the answer, with its status.
    pub async fn call(&self, operation: &str, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
        let dynamo = self.clone();
        let operation = operation.to_owned();
        let work = move || dynamo.call_blocking(&operation, &request);
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(
                        "the table engine panicked: its lock stays closed, so this process has to be started again"
                    );
                }
                Err(CallError::from(DynoxideError::InternalServerError(
                    format!("the request was not finished: {error}"),
                )))
            }
        }
    }

    fn call_blocking(&self, operation: &str, request: &[u8]) -> Result<Vec<u8>, CallError> {
        let side = self.lock();
        if operation == "GetShardIterator" {
            streams::check_position(&side, request, self.shared.clock.now_millis())?;
        }
        let result = operations::run(&self.shared, &side, operation, request);
        if self.shared.in_memory && operations::writes(operation) {
            self.stamp(&side)?;
        }
        drop(side);
        if result.is_ok() && operations::writes(operation) {
            self.shared.changes.send_modify(|version| *version += 1);
        }
        result.map_err(CallError::from)
    }

    /// The engine stamps its log by the machine's clock. Tables in memory are those of tests, whose clock is another;
    /// on a file the clocks are the same, and a second write would be in vain.
    fn stamp(&self, side: &Connection) -> Result<(), CallError> {
        let after = self.shared.stamped.load(Ordering::Relaxed);
        let now = self.shared.clock.now_millis();
        let last = streams::stamp(side, after, now).map_err(|error| {
            CallError::from(DynoxideError::InternalServerError(error.to_string()))
        })?;
        self.shared.stamped.store(last, Ordering::Relaxed);
        Ok(())
    }

    /// As [`Dynamo::call`] with JSON values, for use while setting up: makes
    /// tables and the like. Blocks for a moment.
    pub fn call_json(&self, operation: &str, request: &Value) -> Result<Value, CallError> {
        let answer = self.call_blocking(operation, request.to_string().as_bytes())?;
        serde_json::from_slice(&answer)
            .map_err(|error| CallError::from(DynoxideError::InternalServerError(error.to_string())))
    }

    /// Tells of every write to any table.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// The records of a table's stream after a sequence number, oldest first,
    /// in the form that they have in a Lambda event, `eventSourceARN` included.
    /// `None` starts with the oldest record that is kept. Sequence numbers
    /// never fall, not even over a restart.
    pub async fn stream_records(
        &self,
        table: &str,
        after_sequence_number: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Value>, ServiceError> {
        let dynamo = self.clone();
        let table = table.to_owned();
        let after = after_sequence_number.map(str::to_owned);
        let work = move || {
            let side = dynamo.lock();
            streams::records(
                &side,
                &table,
                after.as_deref(),
                limit,
                dynamo.shared.clock.now_millis(),
            )
        };
        tokio::task::spawn_blocking(work).await?
    }

    /// The sequence number of the newest record of a table's stream: where a
    /// reader begins that wants only what comes after now.
    pub async fn latest_sequence_number(
        &self,
        table: &str,
    ) -> Result<Option<String>, ServiceError> {
        let dynamo = self.clone();
        let table = table.to_owned();
        let work = move || streams::latest_sequence_number(&dynamo.lock(), &table);
        tokio::task::spawn_blocking(work).await?
    }

    /// The stream of a table: its ARN, its label, what its records carry.
    /// Blocks for a moment.
    pub fn stream(&self, table: &str) -> Result<StreamDescription, ServiceError> {
        streams::describe(&self.lock(), table)
    }

    /// Deletes items whose time to live has passed, on a file by the machine's clock, and
    /// stream records older than 24 hours. To be called every few seconds.
    pub async fn sweep(&self) -> Result<Swept, ServiceError> {
        let dynamo = self.clone();
        tokio::task::spawn_blocking(move || dynamo.sweep_blocking()).await?
    }

    fn sweep_blocking(&self) -> Result<Swept, ServiceError> {
        // On a file the engine lets requests in between the pages of a sweep,
        // so the lock must not be held; in memory it has to be.
        let expired_items = if self.shared.in_memory {
            let side = self.lock();
            let expired = expiry::sweep(&self.shared, &side)?;
            self.stamp(&side)
                .map_err(|error| ServiceError::internal(error.body))?;
            expired
        } else {
            let swept = self.shared.database.sweep_ttl();
            swept.map_err(|error| ServiceError::internal(format!("could not sweep: {error}")))?
        };
        let stream_records = streams::trim(&self.lock(), self.shared.clock.now_millis())?;
        if expired_items > 0 {
            self.shared.changes.send_modify(|version| *version += 1);
        }
        Ok(Swept {
            expired_items,
            stream_records,
        })
    }
}

/// An error as DynamoDB answers it.
#[derive(Debug, thiserror::Error)]
#[error("{body}")]
pub struct CallError {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON with `__type` and a message, and for transactions the
    /// reasons.
    pub body: String,
}

impl From<DynoxideError> for CallError {
    fn from(error: DynoxideError) -> Self {
        Self {
            status: error.status_code(),
            body: error.to_json(),
        }
    }
}

impl CallError {
    /// Whether the error is of this type, such as `ResourceInUseException`.
    pub fn is(&self, error_type: &str) -> bool {
        let parsed: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let full = parsed["__type"].as_str().unwrap_or_default();
        full.rsplit('#').next() == Some(error_type)
    }
}
