//! One user's log: what was put and removed, in order.
//!
//! A file begins with a head of 24 bytes: `MRVECTOR`, the format (u32), zero (u32) and the epoch (u64), a
//! number that compaction raises, all little-endian. Then records follow: the payload's length (u32), a
//! hash of the payload (u64), the payload. A payload is one [`Action`]: its kind (u8), the length of its JSON
//! (u32), the JSON, and for a put the vector's numbers.
//!
//! A process that ends in the middle of a write leaves a torn record at the end. It was never
//! acknowledged; the next writer cuts it off. A record that is broken with good ones behind it is
//! damage, and is said so instead of being cut off with all that follows.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use millrace_events::{Failure, reason};
use serde::{Deserialize, Serialize};

use super::{Durability, unavailable};
use crate::{embedding::Embedding, hash::hash64, index::Entry};

const MAGIC: &[u8; 8] = b"MRVECTOR";
const FORMAT: u32 = 1;
const HEAD_BYTES: u64 = 24;
const FRAME_BYTES: usize = 12;

/// One change, as the log keeps it.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Put in, or replace.
    Put(Box<Entry>),
    /// Remove a document's entries of generations before this one.
    RemoveBefore {
        document_id: String,
        generation: String,
    },
    /// Remove a document's entries up to and including this generation.
    RemoveThrough {
        document_id: String,
        generation: String,
    },
    /// Remove a document's entries.
    RemoveAll { document_id: String },
}

#[derive(Serialize, Deserialize)]
struct PutLine {
    chunk_id: String,
    user_id: String,
    document_id: String,
    generation: String,
    chunk_index: u32,
    content: String,
    file_name: String,
    file_type: String,
    page_number: Option<u32>,
    section: Option<String>,
    word_count: u32,
    tags: Vec<String>,
    created_at: String,
}

#[derive(Serialize, Deserialize)]
struct RemoveLine {
    document_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
}

impl Action {
    /// The whole record, frame and all.
    pub(super) fn to_record(&self) -> Result<Vec<u8>, Failure> {
        let (kind, line, vector) = match self {
            Self::Put(entry) => (
                1_u8,
                serde_json::to_vec(&put_line(entry)),
                entry.embedding.to_le_bytes(),
            ),
            Self::RemoveBefore {
                document_id,
                generation,
            } => (2, remove_line(document_id, Some(generation)), vec![]),
            Self::RemoveThrough {
                document_id,
                generation,
            } => (3, remove_line(document_id, Some(generation)), vec![]),
            Self::RemoveAll { document_id } => (4, remove_line(document_id, None), vec![]),
        };
        let rejected = || {
            Failure::permanent(
                reason::INDEX_REJECTED,
                "an entry cannot be written as a record",
            )
        };
        let line = line.map_err(|error| rejected().caused_by(error))?;
        let line_length = u32::try_from(line.len()).map_err(|error| rejected().caused_by(error))?;
        let payload_length = 1 + 4 + line.len() + vector.len();
        let length = u32::try_from(payload_length).map_err(|error| rejected().caused_by(error))?;
        let mut record = Vec::with_capacity(FRAME_BYTES + payload_length);
        record.extend(length.to_le_bytes());
        record.extend([0; 8]);
        record.push(kind);
        record.extend(line_length.to_le_bytes());
        record.extend(line);
        record.extend(vector);
        let hash = hash64(&record[FRAME_BYTES..], u64::from(length));
        record[4..FRAME_BYTES].copy_from_slice(&hash.to_le_bytes());
        Ok(record)
    }

    /// `None` when a payload with the right hash is not one that this version writes.
    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (kind, rest) = payload.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (line, vector) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        if *kind == 1 {
            let line: PutLine = serde_json::from_slice(line).ok()?;
            let embedding = Embedding::from_le_bytes(vector, vector.len() / 4).ok()?;
            return Some(Self::Put(Box::new(line.into_entry(embedding))));
        }
        let RemoveLine {
            document_id,
            generation,
        } = serde_json::from_slice(line).ok()?;
        match (kind, generation) {
            (2, Some(generation)) => Some(Self::RemoveBefore {
                document_id,
                generation,
            }),
            (3, Some(generation)) => Some(Self::RemoveThrough {
                document_id,
                generation,
            }),
            (4, None) => Some(Self::RemoveAll { document_id }),
            _ => None,
        }
    }
}

fn remove_line(document_id: &str, generation: Option<&String>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&RemoveLine {
        document_id: document_id.to_owned(),
        generation: generation.cloned(),
    })
}

fn put_line(entry: &Entry) -> PutLine {
    PutLine {
        chunk_id: entry.chunk_id.clone(),
        user_id: entry.user_id.clone(),
        document_id: entry.document_id.clone(),
        generation: entry.generation.clone(),
        chunk_index: entry.chunk_index,
        content: entry.content.clone(),
        file_name: entry.file_name.clone(),
        file_type: entry.file_type.clone(),
        page_number: entry.page_number,
        section: entry.section.clone(),
        word_count: entry.word_count,
        tags: entry.tags.clone(),
        created_at: entry.created_at.clone(),
    }
}

impl PutLine {
    fn into_entry(self, embedding: Embedding) -> Entry {
        Entry {
            chunk_id: self.chunk_id,
            user_id: self.user_id,
            document_id: self.document_id,
            generation: self.generation,
            chunk_index: self.chunk_index,
            content: self.content,
            embedding,
            file_name: self.file_name,
            file_type: self.file_type,
            page_number: self.page_number,
            section: self.section,
            word_count: self.word_count,
            tags: self.tags,
            created_at: self.created_at,
        }
    }
}

/// What reading the log brought.
pub(super) enum News {
    /// Nothing since the last time.
    Nothing,
    /// These records, behind what was read before.
    More(Vec<(Action, u64)>),
    /// The file is another one: these are all its records.
    Everything(Vec<(Action, u64)>),
}

/// One user's log file, and how far it was read.
pub(super) struct Log {
    path: PathBuf,
    /// `None` for readers.
    durability: Option<Durability>,
    /// The epoch of the file that was read; zero before the first.
    epoch: u64,
    /// Up to here every record was read, or written.
    end: u64,
    /// Whether a writer has to look at the file: at the start, and after a write that failed.
    is_stale: bool,
}

impl Log {
    pub(super) fn for_writing(path: PathBuf, durability: Durability) -> Self {
        Self {
            path,
            durability: Some(durability),
            epoch: 0,
            end: 0,
            is_stale: true,
        }
    }

    pub(super) fn for_reading(path: PathBuf) -> Self {
        Self {
            path,
            durability: None,
            epoch: 0,
            end: 0,
            is_stale: true,
        }
    }

    /// Whether the file cannot have changed since it was read: only its one writer knows that.
    pub(super) fn is_current(&self) -> bool {
        self.durability.is_some() && !self.is_stale
    }

    /// As if nothing had been read yet.
    pub(super) fn forget(&mut self) {
        (self.epoch, self.end, self.is_stale) = (0, 0, true);
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Reads what is new. A writer also cuts off a torn record at the end.
    pub(super) fn read_news(&mut self) -> Result<News, Failure> {
        if self.is_current() {
            return Ok(News::Nothing);
        }
        let news = self.read().map_err(|error| match error {
            ReadError::Io(error) => unavailable("read", &self.path, error),
            ReadError::Damaged(offset) => {
                let message = format!(
                    "{} is damaged at byte {offset}: move it away and index the user's documents again",
                    self.path.display()
                );
                Failure::permanent(reason::INDEX_REJECTED, message)
            }
        })?;
        self.is_stale = false;
        Ok(news)
    }

    fn read(&mut self) -> Result<News, ReadError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.restart(0)),
            Err(error) => return Err(error.into()),
        };
        let length = file.metadata()?.len();
        if length < HEAD_BYTES {
            // The head itself is torn: nothing was acknowledged yet.
            self.cut(0, length)?;
            return Ok(self.restart(0));
        }
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact(&mut head)?;
        let epoch = epoch_of(&head).ok_or(ReadError::Damaged(0))?;
        let is_same = epoch == self.epoch && length >= self.end;
        let start = if is_same { self.end } else { HEAD_BYTES };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut bytes)?;
        let (records, used) = records_in(&bytes, start)?;
        let end = start + used;
        self.cut(end, start + bytes.len() as u64)?;
        self.end = end;
        self.epoch = epoch;
        Ok(match (is_same, records.is_empty()) {
            (true, true) => News::Nothing,
            (true, false) => News::More(records),
            (false, _) => News::Everything(records),
        })
    }

    fn restart(&mut self, end: u64) -> News {
        let was_empty = self.end == 0;
        self.end = end;
        self.epoch = 0;
        if was_empty {
            News::Nothing
        } else {
            News::Everything(Vec::new())
        }
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
    pub(super) fn append(&mut self, records: &[u8]) -> Result<(), Failure> {
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

    /// Puts a file with only these records in the log's place. The new one is whole and on disk
    /// before the old one goes.
    pub(super) fn replace(&mut self, records: &[u8]) -> Result<(), Failure> {
        let beside = self.path.with_extension("log.new");
        let epoch = self.epoch + 1;
        // Should it fail after the rename, the next look finds the new file.
        self.is_stale = true;
        let write = || -> io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(&head(epoch))?;
            file.write_all(records)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            // Else a power cut could bring the old file back, without what is appended from now on.
            self.sync_folder()
        };
        write().map_err(|error| unavailable("compact", &self.path, error))?;
        self.epoch = epoch;
        self.end = HEAD_BYTES + records.len() as u64;
        self.is_stale = false;
        Ok(())
    }
}

enum ReadError {
    Io(io::Error),
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

type Records = Vec<(Action, u64)>;

/// The records at the beginning of `bytes` with their sizes, and how many bytes they take.
fn records_in(bytes: &[u8], offset: u64) -> Result<(Records, u64), ReadError> {
    let mut records = Vec::new();
    let mut used = 0;
    while used < bytes.len() {
        let here = offset + used as u64;
        match payload_at(bytes, used) {
            Some((payload, next)) => {
                let action = Action::from_payload(payload).ok_or(ReadError::Damaged(here))?;
                records.push((action, (next - used) as u64));
                used = next;
            }
            None if is_torn(bytes, used) => break,
            None => return Err(ReadError::Damaged(here)),
        }
    }
    Ok((records, used as u64))
}

/// A whole record with the right hash, and where the next begins.
fn payload_at(bytes: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(start..)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (hash, rest) = rest.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(*length);
    let payload = rest.get(..length as usize)?;
    let is_right = hash64(payload, u64::from(length)) == u64::from_le_bytes(*hash);
    is_right.then_some((payload, start + FRAME_BYTES + payload.len()))
}

/// Whether a record that is not right is the last thing in the file: torn, not damaged.
fn is_torn(bytes: &[u8], start: usize) -> bool {
    let Some(length) = bytes[start..].first_chunk::<4>() else {
        return true;
    };
    let next = start + FRAME_BYTES + u32::from_le_bytes(*length) as usize;
    payload_at(bytes, next).is_none()
}
