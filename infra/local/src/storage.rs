//! Where the embedded cloud keeps its data, and who may touch it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// Where the data lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In files below this directory. One process at a time.
    Directory(PathBuf),
    /// In memory: gone with the last handle. For tests.
    Memory,
}

/// Proof that this process owns a data directory, for as long as it is held.
/// The operating system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just being started by another
        // thread has it open too, until it becomes its own program.
        let _ = self.file.unlock();
    }
}

impl DirectoryLock {
    pub(crate) fn acquire(directory: &Path) -> Result<Self, OpenError> {
        std::fs::create_dir_all(directory).map_err(|source| OpenError::CreateDirectory {
            directory: directory.to_path_buf(),
            source,
        })?;
        let lock_failed = |source| OpenError::Lock {
            directory: directory.to_path_buf(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("lock"))
            .map_err(lock_failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                directory: directory.to_path_buf(),
            }),
            Err(TryLockError::Error(source)) => Err(lock_failed(source)),
        }
    }
}
