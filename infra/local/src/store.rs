//! The one SQLite database behind queues, topics, rules and the index of objects.
//!
//! They share a database so that one transaction covers an effect and all that
//! follows from it: an object that is put and the messages that announce it are
//! there together or not at all. WAL with `synchronous = NORMAL`: what was
//! acknowledged survives the end of the process, however it ends.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{OpenError, ServiceError};

/// The version of the tables. To be raised with any change that older code could
/// not work with.
const SCHEMA_VERSION: i64 = 1;

/// A handle on the database; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    connection: Mutex<Connection>,
    clock: Arc<dyn Clock>,
    changes: Mutex<HashMap<String, watch::Sender<u64>>>,
}

/// One write transaction, and the queues whose waiters it has news for.
pub(crate) struct Write<'connection> {
    pub(crate) transaction: Transaction<'connection>,
    /// The time of the transaction, in milliseconds.
    pub(crate) now: i64,
    touched_queues: BTreeSet<String>,
}

impl Write<'_> {
    /// Wakes those who wait for messages of `queue`, once this is committed.
    pub(crate) fn touch(&mut self, queue: &str) {
        if !self.touched_queues.contains(queue) {
            self.touched_queues.insert(queue.to_owned());
        }
    }
}

impl Store {
    /// Opens the database file, or a database in memory for `None`, and makes
    /// sure that the tables of `schemas` are there.
    pub(crate) fn open(
        file: Option<&Path>,
        schemas: &[&str],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let path = file.map_or_else(|| "in memory".to_owned(), |path| path.display().to_string());
        let failed = |source| OpenError::Database {
            path: path.clone(),
            source,
        };
        let connection = Self::connect(file).map_err(failed)?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        if found > SCHEMA_VERSION {
            return Err(OpenError::TooNew {
                path,
                found,
                known: SCHEMA_VERSION,
            });
        }
        Self::create_tables(&connection, schemas).map_err(failed)?;
        Ok(Self {
            shared: Arc::new(Shared {
                connection: Mutex::new(connection),
                clock,
                changes: Mutex::default(),
            }),
        })
    }

    fn create_tables(connection: &Connection, schemas: &[&str]) -> rusqlite::Result<()> {
        for schema in schemas {
            connection.execute_batch(schema)?;
        }
        connection.pragma_update(None, "user_version", SCHEMA_VERSION)
    }

    fn connect(file: Option<&Path>) -> rusqlite::Result<Connection> {
        let connection = match file {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// A panic inside a transaction rolls it back, so the connection behind a
    /// poisoned lock is as good as before.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        let lock = self.shared.connection.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in a write transaction: all of it is committed, or, when it
    /// fails, none. Waiters are woken after the commit. Blocks.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let (result, touched_queues) = self.transact(&mut self.connection(), work)?;
        self.announce(&touched_queues);
        Ok(result)
    }

    fn transact<T>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, ServiceError>,
    ) -> Result<(T, BTreeSet<String>), ServiceError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut write = Write {
            transaction,
            now: self.shared.clock.now_millis(),
            touched_queues: BTreeSet::new(),
        };
        let result = work(&mut write)?;
        write.transaction.commit()?;
        Ok((result, write.touched_queues))
    }

    /// As [`Store::write`], on a thread that may block.
    pub(crate) async fn write_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.write(work)).await?
    }

    /// Runs `work`, which only reads. Blocks.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        work(&self.connection())
    }

    /// As [`Store::read`], on a thread that may block.
    pub(crate) async fn read_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.read(work)).await?
    }

    fn announce(&self, queues: &BTreeSet<String>) {
        if queues.is_empty() {
            return;
        }
        let changes = self.shared.changes.lock();
        let changes = changes.unwrap_or_else(PoisonError::into_inner);
        for queue in queues {
            if let Some(sender) = changes.get(queue) {
                sender.send_modify(|version| *version += 1);
            }
        }
    }

    /// Tells of every committed change to `queue` after this call.
    pub(crate) fn changes(&self, queue: &str) -> watch::Receiver<u64> {
        let changes = self.shared.changes.lock();
        let mut changes = changes.unwrap_or_else(PoisonError::into_inner);
        let sender = changes
            .entry(queue.to_owned())
            .or_insert_with(|| watch::channel(0).0);
        sender.subscribe()
    }
}
