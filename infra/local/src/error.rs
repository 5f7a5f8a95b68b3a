//! What a service answers when it cannot do what was asked, and what can go
//! wrong while the embedded cloud opens its data.

use std::path::PathBuf;

/// An error that a service answers a request with, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// The HTTP status: 4xx is the caller's fault, 5xx the service's.
    pub status: u16,
    /// The error code that AWS uses, such as `QueueDoesNotExist`.
    pub code: &'static str,
    /// What was wrong.
    pub message: String,
}

impl ServiceError {
    /// The request was wrong.
    pub fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code,
            message: message.into(),
        }
    }

    /// What the request names is not there.
    pub fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 404,
            code,
            message: message.into(),
        }
    }

    /// The service failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            code: "InternalFailure",
            message: message.into(),
        }
    }
}

impl From<rusqlite::Error> for ServiceError {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(format!("the store failed: {error}"))
    }
}

impl From<serde_json::Error> for ServiceError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(format!(
            "a stored value is not the JSON it should be: {error}"
        ))
    }
}

impl From<tokio::task::JoinError> for ServiceError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(format!("the request was not finished: {error}"))
    }
}

/// Why the embedded cloud could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("could not create the data directory {directory}")]
    CreateDirectory {
        /// The directory.
        directory: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process works on the same data.
    #[error(
        "the data directory {directory} is in use by another process: stop that one, or choose another directory"
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The lock file cannot be opened or locked.
    #[error("could not lock the data directory {directory}")]
    Lock {
        /// The directory.
        directory: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// The database of queues, topics and objects cannot be opened.
    #[error("could not open the database {path}")]
    Database {
        /// The file, or the name of the in-memory database.
        path: String,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A later version of this program has written the database.
    #[error(
        "the database {path} has version {found} of its tables, this program knows versions up to {known}: use the newer program"
    )]
    TooNew {
        /// The file.
        path: String,
        /// The version that it has.
        found: i64,
        /// The version that this program writes.
        known: i64,
    },
    /// The database of tables cannot be opened.
    #[error("could not open the tables in {path}: {message}")]
    Tables {
        /// The file, or the name of the in-memory database.
        path: String,
        /// What the table engine said.
        message: String,
    },
    /// The folder of object bytes cannot be read.
    #[error("could not read the objects in {directory}")]
    Objects {
        /// The folder.
        directory: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// What is stored makes no sense to this version.
    #[error("could not read what is stored: {0}")]
    Stored(#[from] ServiceError),
}
