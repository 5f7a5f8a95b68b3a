//! A log: what was put and removed, in order.
//!
//! A file begins with a head of 24 bytes: `MRVECTOR`, the format (u32), zero (u32) and the epoch (u64), a
//! number that compaction raises, all little-endian. Then records follow: the payload's length (u32), a
//! hash of the payload (u64), the payload. A payload is one change: its kind (u8), the length of its JSON
//! (u32), the JSON, and for a put the vector's numbers.
//!
//! A process that ends in the middle of a write leaves a torn record at the end. It was never
//! acknowledged; the next writer cuts it off. A record that is broken with good ones behind it is
//! damage, and is said so instead of being cut off with all that follows.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use millrace_events::{Failure, reason};
use serde::Serialize;

use super::{
    Durability, unavailable,
    window::{FRAME_BYTES, Window},
};
use crate::hash::hash64;

const MAGIC: &[u8; 8] = b"MRVECTOR";
const FORMAT: u32 = 1;
const HEAD_BYTES: u64 = 24;

/// A change that a log keeps.
pub(crate) trait Record: Sized {
    /// Its kind, its words and its vector, with [`payload`].
    ///
    /// # Errors
    /// When it cannot be written.
    fn to_payload(&self) -> serde_json::Result<Vec<u8>>;

    /// `None` when a payload with the right hash is not one that this version writes.
    fn from_payload(payload: &[u8]) -> Option<Self>;

    /// The whole record, frame and all.
    fn to_record(&self) -> Result<Vec<u8>, Failure> {
        let rejected = "an entry cannot be written as a record";
        let rejected = || Failure::permanent(reason::INDEX_REJECTED, rejected);
        let payload = self
            .to_payload()
            .map_err(|error| rejected().caused_by(error))?;
        let length = u32::try_from(payload.len()).map_err(|error| rejected().caused_by(error))?;
        let mut record = Vec::with_capacity(FRAME_BYTES + payload.len());
        record.extend(length.to_le_bytes());
        record.extend(hash64(&payload, u64::from(length)).to_le_bytes());
        record.extend(payload);
        Ok(record)
    }
}

/// A payload of its parts.
pub(crate) fn payload(
    kind: u8,
    line: &impl Serialize,
    vector: &[f32],
) -> serde_json::Result<Vec<u8>> {
    let mut payload = vec![kind, 0, 0, 0, 0];
    serde_json::to_writer(&mut payload, line)?;
    let length = u32::try_from(payload.len() - 5).map_err(serde::ser::Error::custom)?;
    payload[1..5].copy_from_slice(&length.to_le_bytes());
    payload.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
    Ok(payload)
}

/// The parts of a payload: kind, JSON, vector.
pub(crate) fn parts(payload: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = payload.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (line, vector) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((*kind, line, vector))
}

/// What reading the log brings.
pub(crate) enum News<R> {
    /// The file is another one than before: what was read so far does not count.
    Restart,
    /// The next record, and its size.
    Record(R, u64),
}

/// A log file, and how far it was read.
pub(crate) struct Log {
    path: PathBuf,
    /// `None` for readers.
    durability: Option<Durability>,
    /// The epoch of the file that was read; zero before the first.
    epoch: u64,
    /// Up to here every record was read, or written.
    end: u64,
    /// Whether a writer has to look at the file: at the start, and after a write that failed.
    is_stale: bool,
    /// What an operator is told to do about a damaged file.
    when_damaged: &'static str,
}

impl Log {
    pub(super) fn for_writing(
        path: PathBuf,
        durability: Durability,
        when_damaged: &'static str,
    ) -> Self {
        Self::new(path, Some(durability), when_damaged)
    }

    pub(super) fn for_reading(path: PathBuf, when_damaged: &'static str) -> Self {
        Self::new(path, None, when_damaged)
    }

    fn new(path: PathBuf, durability: Option<Durability>, when_damaged: &'static str) -> Self {
        Self {
            path,
            durability,
            epoch: 0,
            end: 0,
            is_stale: true,
            when_damaged,
        }
    }

    /// Whether the file cannot have changed since it was read: only its one writer knows that.
    pub(crate) fn is_current(&self) -> bool {
        self.durability.is_some() && !self.is_stale
    }

    /// Where the next record goes.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Reads what is new, record by record. A writer also cuts off a torn record at the end. When it fails, nothing of
    /// what was read so far counts any more.
    pub(crate) fn read_news<R: Record>(
        &mut self,
        mut take: impl FnMut(News<R>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.is_current() {
            return Ok(());
        }
        let read = self.read(&mut take).map_err(|error| match error {
            ReadError::Io(error) => unavailable("read", &self.path, error),
            ReadError::Refused(failure) => failure,
            ReadError::Damaged(offset) => {
                let message = format!(
                    "{} is damaged at byte {offset}: {}",
                    self.path.display(),
                    self.when_damaged
                );
                Failure::permanent(reason::INDEX_REJECTED, message)
            }
        });
        match &read {
            Ok(()) => self.is_stale = false,
            // Half a log is not to be searched: the next call begins anew, and fails as this one.
            Err(_) => (self.epoch, self.end, self.is_stale) = (0, 0, true),
        }
        read
    }

    fn read<R: Record>(
        &mut self,
        take: &mut impl FnMut(News<R>) -> Result<(), Failure>,
    ) -> Result<(), ReadError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.restart(take),
            Err(error) => return Err(error.into()),
        };
        let length = file.metadata()?.len();
        if length < HEAD_BYTES {
            // The head itself is torn: nothing was acknowledged yet.
            self.cut(0, length)?;
            return self.restart(take);
        }
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact(&mut head)?;
        let epoch = epoch_of(&head).ok_or(ReadError::Damaged(0))?;
        if epoch != self.epoch || length < self.end {
            take(News::Restart).map_err(ReadError::Refused)?;
            (self.epoch, self.end) = (epoch, HEAD_BYTES);
        }
        file.seek(SeekFrom::Start(self.end))?;
        let mut window = Window::new(file);
        while window.has(0, 1)? {
            let Some(payload) = window.payload_at(0)? else {
                if window.is_torn()? {
                    break;
                }
                return Err(ReadError::Damaged(self.end));
            };
            let record = R::from_payload(payload).ok_or(ReadError::Damaged(self.end))?;
            let size = FRAME_BYTES + payload.len();
            take(News::Record(record, size as u64)).map_err(ReadError::Refused)?;
            window.skip(size);
            self.end += size as u64;
        }
        let length = self.end + window.left()?;
        Ok(self.cut(self.end, length)?)
    }

    fn restart<R: Record>(
        &mut self,
        take: &mut impl FnMut(News<R>) -> Result<(), Failure>,
    ) -> Result<(), ReadError> {
        if self.end != 0 {
            take(News::Restart).map_err(ReadError::Refused)?;
        }
        (self.epoch, self.end) = (0, 0);
        Ok(())
    }

    /// A writer cuts off what is torn; a reader leaves it, since it may be a write in progress.
    fn cut(&self, end: u64, length: u64) -> io::Result<()> {
        if self.durability.is_none() || end == length {
            return Ok(());
        }
        tracing::warn!(file = %self.path.display(), bytes = length - end, "cut off a write that never finished");
        File::options().write(true).open(&self.path)?.set_len(end)
    }

    /// Appends records in one write. When it fails, nothing of it counts.
    pub(crate) fn append(&mut self, records: &[u8]) -> Result<(), Failure> {
        // Until the write has succeeded, the file is to be looked at again.
        self.is_stale = true;
        self.try_append(records)
            .map_err(|error| unavailable("append to", &self.path, error))?;
        self.is_stale = false;
        Ok(())
    }

    fn try_append(&mut self, records: &[u8]) -> io::Result<()> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        let mut bytes = Vec::new();
        if self.end == 0 {
            self.epoch = 1;
            bytes.extend(head(self.epoch));
        }
        bytes.extend(records);
        file.seek(SeekFrom::Start(self.end))?;
        if let Err(error) = file.write_all(&bytes) {
            // A full disk: take back what was written of it, for readers' sake. Should this fail too,
            // the next look at the file does it.
            let _ = file.set_len(self.end);
            return Err(error);
        }
        if self.durability == Some(Durability::Synced) {
            file.sync_data()?;
            if self.end == 0 {
                self.sync_folder()?;
            }
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// A new name is on disk when its folder is.
    fn sync_folder(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Begins a file that is to take this one's place. It knows what was appended up to now; records are to be added to
    /// it that say the same with fewer words.
    pub(crate) fn rewrite(&self) -> Result<Rewrite, Failure> {
        let beside = self.path.with_extension("log.new");
        let epoch = self.epoch + 1;
        let begin = || -> io::Result<Rewrite> {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&beside)?);
            file.write_all(&head(epoch))?;
            Ok(Rewrite {
                old: self.path.clone(),
                new: file,
                epoch,
                known: self.end,
                size: HEAD_BYTES,
            })
        };
        begin().map_err(|error| unavailable("compact", &self.path, error))
    }

    /// Puts a rewritten file in the log's place, with what was appended since it was begun. It is whole and on disk
    /// before the old one goes.
    pub(crate) fn replace(&mut self, mut rewrite: Rewrite) -> Result<(), Failure> {
        if self.is_stale || rewrite.epoch != self.epoch + 1 {
            let message = format!("{} changed while it was compacted", self.path.display());
            return Err(Failure::transient(reason::INDEX_UNAVAILABLE, message));
        }
        rewrite.follow(self.end)?;
        // Should it fail after the rename, the next look finds the new file.
        self.is_stale = true;
        let finish = || -> io::Result<()> {
            fs::rename(self.path.with_extension("log.new"), &self.path)?;
            // Else a power cut could bring the old file back, without what is appended from now on.
            self.sync_folder()
        };
        finish().map_err(|error| unavailable("compact", &self.path, error))?;
        self.epoch = rewrite.epoch;
        self.end = rewrite.size;
        self.is_stale = false;
        Ok(())
    }
}

/// A file that is to take a log's place.
pub(crate) struct Rewrite {
    old: PathBuf,
    new: BufWriter<File>,
    epoch: u64,
    /// What the old file has up to here is in the new one too.
    known: u64,
    size: u64,
}

impl Rewrite {
    /// Adds a record.
    pub(crate) fn add(&mut self, record: &[u8]) -> Result<(), Failure> {
        self.size += record.len() as u64;
        self.new
            .write_all(record)
            .map_err(|error| unavailable("compact", &self.old, error))
    }

    /// Takes over what was appended to the old file up to `end`, and brings all of it to the disk.
    pub(crate) fn follow(&mut self, end: u64) -> Result<(), Failure> {
        let mut copy = || -> io::Result<()> {
            let mut old = File::open(&self.old)?;
            old.seek(SeekFrom::Start(self.known))?;
            let wanted = end - self.known;
            if io::copy(&mut old.take(wanted), &mut self.new)? != wanted {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.new.flush()?;
            self.new.get_ref().sync_all()
        };
        copy().map_err(|error| unavailable("compact", &self.old, error))?;
        self.size += end - self.known;
        self.known = end;
        Ok(())
    }
}

enum ReadError {
    Io(io::Error),
    /// By whoever takes the records.
    Refused(Failure),
    /// At this byte.
    Damaged(u64),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn head(epoch: u64) -> [u8; HEAD_BYTES as usize] {
    let mut head = [0; HEAD_BYTES as usize];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    head[16..].copy_from_slice(&epoch.to_le_bytes());
    head
}

fn epoch_of(bytes: &[u8; HEAD_BYTES as usize]) -> Option<u64> {
    let epoch = u64::from_le_bytes(*bytes.last_chunk::<8>()?);
    (*bytes == head(epoch)).then_some(epoch)
}
