//! The bytes of objects: each blob is written once, whole, under a name of its
//! own, before the index names it. A blob that the index does not name is a
//! left-over of a write that did not happen, and is removed at the next opening.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use uuid::Uuid;

/// Where blobs are kept.
#[derive(Debug)]
pub(super) enum Blobs {
    Directory(PathBuf),
    Memory(Mutex<HashMap<String, Bytes>>),
}

/// A blob that is open for reading: it can be read to its end even if it is
/// removed meanwhile.
#[derive(Debug)]
pub(super) enum OpenBlob {
    File(File),
    Memory(Bytes),
}

impl Blobs {
    /// A name that no other blob has.
    pub(super) fn new_name() -> String {
        Uuid::new_v4().simple().to_string()
    }

    pub(super) fn in_memory() -> Self {
        Self::Memory(Mutex::default())
    }

    pub(super) fn in_directory(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        Ok(Self::Directory(directory))
    }

    /// Two levels, so that no folder gets too long.
    fn path(directory: &Path, name: &str) -> PathBuf {
        directory.join(name.get(..2).unwrap_or("__")).join(name)
    }

    /// Creates the file of a new blob, to be filled by the caller. In memory
    /// there are no files: such callers use [`Blobs::put`].
    pub(super) fn create_file(&self, name: &str) -> io::Result<Option<File>> {
        let Self::Directory(directory) = self else {
            return Ok(None);
        };
        let path = Self::path(directory, name);
        match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                File::create_new(&path).map(Some)
            }
            other => other.map(Some),
        }
    }

    /// Writes a blob whole.
    pub(super) fn put(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Directory(_) => {
                if let Some(mut file) = self.create_file(name)? {
                    file.write_all(&bytes)?;
                }
            }
            Self::Memory(blobs) => {
                let mut blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
                blobs.insert(name.to_owned(), bytes);
            }
        }
        Ok(())
    }

    /// Writes a blob that is others, one after the other.
    pub(super) fn concatenate(&self, name: &str, parts: &[String]) -> io::Result<()> {
        if let Some(mut file) = self.create_file(name)? {
            for part in parts {
                if let OpenBlob::File(mut part) = self.open(part)? {
                    io::copy(&mut part, &mut file)?;
                }
            }
            return Ok(());
        }
        let mut whole = Vec::new();
        for part in parts {
            if let OpenBlob::Memory(bytes) = self.open(part)? {
                whole.extend_from_slice(&bytes);
            }
        }
        self.put(name, whole.into())
    }

    /// Writes a blob with the bytes of another. Blobs never change, so both can
    /// be names of one file.
    pub(super) fn duplicate(&self, from: &str, name: &str) -> io::Result<()> {
        match self {
            Self::Directory(directory) => {
                let path = Self::path(directory, name);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::hard_link(Self::path(directory, from), path)
            }
            Self::Memory(_) => match self.open(from)? {
                OpenBlob::Memory(bytes) => self.put(name, bytes),
                OpenBlob::File(_) => Ok(()),
            },
        }
    }

    pub(super) fn open(&self, name: &str) -> io::Result<OpenBlob> {
        match self {
            Self::Directory(directory) => {
                File::open(Self::path(directory, name)).map(OpenBlob::File)
            }
            Self::Memory(blobs) => {
                let blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = blobs.get(name).cloned();
                bytes
                    .map(OpenBlob::Memory)
                    .ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    /// Removes a blob that nothing names any more. If that fails, the next
    /// opening removes it.
    pub(super) fn remove(&self, name: &str) {
        match self {
            Self::Directory(directory) => {
                let path = Self::path(directory, name);
                if let Err(error) = fs::remove_file(&path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(path = %path.display(), %error, "could not remove the bytes of an object");
                }
            }
            Self::Memory(blobs) => {
                blobs
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(name);
            }
        }
    }

    /// Removes every blob that is not among the `named`. Says how many.
    pub(super) fn remove_others(&self, named: &HashSet<String>) -> io::Result<usize> {
        let Self::Directory(directory) = self else {
            return Ok(0);
        };
        let mut removed = 0;
        for folder in fs::read_dir(directory)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for blob in fs::read_dir(folder.path())? {
                let blob = blob?;
                let is_named = blob
                    .file_name()
                    .to_str()
                    .is_some_and(|name| named.contains(name));
                if !is_named {
                    fs::remove_file(blob.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

impl OpenBlob {
    /// Reads a part of the blob into memory.
    pub(super) fn read(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => {
                let (start, end) = (range.start as usize, range.end as usize);
                if end > bytes.len() || start > end {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(bytes.slice(start..end))
            }
            Self::File(file) => {
                file.seek(SeekFrom::Start(range.start))?;
                let mut bytes = vec![0; (range.end - range.start) as usize];
                file.read_exact(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }
}
