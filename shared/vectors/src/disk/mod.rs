//! Where the embedded indexes keep what they know: a folder with one writer and any number of readers.

mod about;
mod log;
mod window;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use millrace_events::{Failure, reason};

pub(crate) use self::{
    about::About,
    log::{Log, News, Record, Rewrite, parts, payload},
};
use crate::embedding::{Embedding, ModelId};

/// What "durable" means when a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The operating system has it: it survives the end of the process, however it ends.
    #[default]
    Written,
    /// The disk has it: it survives a power cut. Each write waits for the disk.
    Synced,
}

/// An index's place, and what the index says of itself.
pub(crate) struct Home {
    place: Place,
    about: Mutex<Option<About>>,
}

enum Place {
    Memory,
    Disk { folder: PathBuf, access: Access },
}

enum Access {
    Writer {
        _lock: WriterLock,
        durability: Durability,
    },
    Reader,
}

/// Says that this process is the one that writes, until it is dropped or the process ends.
struct WriterLock(File);

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just being started by another
        // thread has it open too, until it becomes its own program.
        let _ = self.0.unlock();
    }
}

impl WriterLock {
    fn take(folder: &Path) -> Result<Self, Failure> {
        let attempted = |error: io::Error| unavailable("open the index in", folder, error);
        let path = folder.join("writer.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(attempted)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self(lock)),
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another process writes to the index in {}: end it first, or only read",
                    folder.display()
                );
                Err(Failure::transient(reason::INDEX_UNAVAILABLE, message))
            }
            Err(TryLockError::Error(error)) => Err(attempted(error)),
        }
    }
}

impl Home {
    /// Nowhere: gone with the process.
    pub(crate) fn memory() -> Self {
        Self {
            place: Place::Memory,
            about: Mutex::default(),
        }
    }

    /// This folder, which is made if it is not there, to write to.
    ///
    /// # Errors
    /// `index-unavailable` when another process writes to it.
    pub(crate) fn open(folder: &Path, durability: Durability) -> Result<Self, Failure> {
        fs::create_dir_all(folder)
            .map_err(|error| unavailable("open the index in", folder, error))?;
        let access = Access::Writer {
            _lock: WriterLock::take(folder)?,
            durability,
        };
        Self::on_disk(folder, access)
    }

    /// This folder, to read only. One that is not there is an empty index.
    pub(crate) fn open_read_only(folder: &Path) -> Result<Self, Failure> {
        Self::on_disk(folder, Access::Reader)
    }

    fn on_disk(folder: &Path, access: Access) -> Result<Self, Failure> {
        let about = Mutex::new(About::read(folder)?);
        let place = Place::Disk {
            folder: folder.to_owned(),
            access,
        };
        Ok(Self { place, about })
    }

    /// The log of that name in the folder, if there is a folder.
    pub(crate) fn log(&self, name: impl AsRef<Path>, when_damaged: &'static str) -> Option<Log> {
        let Place::Disk { folder, access } = &self.place else {
            return None;
        };
        let path = folder.join(name);
        Some(match access {
            Access::Writer { durability, .. } => Log::for_writing(path, *durability, when_damaged),
            Access::Reader => Log::for_reading(path, when_damaged),
        })
    }

    /// # Errors
    /// Permanent, where it is open for reading only.
    pub(crate) fn check_writable(&self) -> Result<(), Failure> {
        match &self.place {
            Place::Disk {
                folder,
                access: Access::Reader,
            } => {
                let message = format!("the index in {} is open for reading only", folder.display());
                Err(Failure::permanent(reason::INDEX_REJECTED, message))
            }
            _ => Ok(()),
        }
    }

    /// As `check` of the index: whether it is made for this model; one that is not there yet is made.
    pub(crate) fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let asked = About::new(model, dimensions);
        let mut about = self.known_about()?;
        if let Some(known) = about.as_ref() {
            return known.fits(&asked);
        }
        match &self.place {
            Place::Disk {
                access: Access::Reader,
                ..
            } => return Ok(()),
            Place::Disk { folder, .. } => asked.write(folder)?,
            Place::Memory => {}
        }
        *about = Some(asked);
        Ok(())
    }

    /// As `fits` of the index: as [`Home::check`], but changes nothing.
    pub(crate) fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        match self.known_about()?.as_ref() {
            Some(known) => known.fits(&About::new(model, dimensions)),
            None => Ok(()),
        }
    }

    /// What the index says of itself; a reader looks again until its writer has said it.
    fn known_about(&self) -> Result<MutexGuard<'_, Option<About>>, Failure> {
        let mut about = self.about();
        if about.is_none()
            && let Place::Disk {
                folder,
                access: Access::Reader,
            } = &self.place
        {
            *about = About::read(folder)?;
        }
        Ok(about)
    }

    fn about(&self) -> MutexGuard<'_, Option<About>> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An index that was checked takes only vectors of its dimensions.
    pub(crate) fn check_dimensions(&self, embedding: &Embedding) -> Result<(), Failure> {
        match self.about().as_ref() {
            Some(about) => about.fits_dimensions(embedding.dimensions()),
            None => Ok(()),
        }
    }
}

/// Runs work that blocks where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            let message = "the work on the index did not end";
            Err(Failure::transient(reason::INDEX_UNAVAILABLE, message).caused_by(error))
        }
    }
}

/// A failure of the file system.
pub(crate) fn unavailable(attempted: &str, path: &Path, error: io::Error) -> Failure {
    let message = format!("could not {attempted} {}", path.display());
    Failure::transient(reason::INDEX_UNAVAILABLE, message).caused_by(error)
}

/// A vector of other dimensions than those that are there.
pub(crate) fn mismatch(kept: usize, given: usize) -> Failure {
    let message =
        format!("the index keeps vectors of {kept} dimensions, and was given one of {given}");
    Failure::permanent(reason::MODEL_MISMATCH, message)
}
