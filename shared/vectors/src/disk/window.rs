//! Reads records out of a file without having all of it in memory.

use std::{
    fs::File,
    io::{self, Read},
};

use crate::hash::hash64;

/// A payload's length (u32) and its hash (u64).
pub(super) const FRAME_BYTES: usize = 12;

/// How much of a file is read at once.
const READ_BYTES: usize = 4 << 20;

/// The part of a file that is being looked at.
pub(super) struct Window {
    file: File,
    bytes: Vec<u8>,
    /// The first byte that was not skipped.
    start: usize,
}

impl Window {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// Whether the file has this many bytes from `from` on; then they are here.
    pub(super) fn has(&mut self, from: usize, count: usize) -> io::Result<bool> {
        let needed = self.start + from + count;
        if needed > self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
            let missing = from + count - self.bytes.len();
            let most = missing.max(READ_BYTES) as u64;
            (&mut self.file).take(most).read_to_end(&mut self.bytes)?;
        }
        Ok(self.bytes.len() >= self.start + from + count)
    }

    /// The payload of the whole record with the right hash at `from`.
    pub(super) fn payload_at(&mut self, from: usize) -> io::Result<Option<&[u8]>> {
        if !self.has(from, FRAME_BYTES)? {
            return Ok(None);
        }
        let count = FRAME_BYTES + self.length_at(from);
        if !self.has(from, count)? {
            return Ok(None);
        }
        let begin = self.start + from;
        let record = &self.bytes[begin..begin + count];
        let (frame, payload) = record.split_at(FRAME_BYTES);
        let hash = frame.last_chunk::<8>().copied().map(u64::from_le_bytes);
        let is_right = hash == Some(hash64(payload, payload.len() as u64));
        Ok(is_right.then_some(payload))
    }

    /// The length that the record at `from` says that its payload has; zero when it does not get to say it.
    fn length_at(&self, from: usize) -> usize {
        let said = self.bytes[self.start + from..].first_chunk::<4>();
        said.map_or(0, |length| u32::from_le_bytes(*length) as usize)
    }

    /// Whether the record that begins here and is not right is the last thing in the file: torn, not damaged.
    pub(super) fn is_torn(&mut self) -> io::Result<bool> {
        let next = FRAME_BYTES + self.length_at(0);
        Ok(!self.has(0, 4)? || self.payload_at(next)?.is_none())
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.start += count;
    }

    /// How many bytes there are behind what was skipped.
    pub(super) fn left(&mut self) -> io::Result<u64> {
        let here = (self.bytes.len() - self.start) as u64;
        Ok(here + io::copy(&mut self.file, &mut io::sink())?)
    }
}
