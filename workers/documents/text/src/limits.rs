//! What the extraction of one file may cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ExtractError;

const MEBIBYTE: u64 = 1024 * 1024;

/// What the extraction of one file may cost.
///
/// The default fits a Lambda function of 2 GB that extracts one file at a time: the child's
/// 1 GB, the file twice, the result twice, and the rest for the function itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest file, in bytes: 100 MB.
    pub input_bytes: u64,
    /// The longest text, in bytes of UTF-8: 16 MB, about 5,000 pages of print.
    pub output_bytes: u64,
    /// How much a compressed file may unpack to while it is read, in bytes: 256 MB. It is
    /// never all in memory at once.
    pub expanded_bytes: u64,
    /// The child's address space in bytes: 1 GB.
    pub memory_bytes: u64,
    /// The child's processor time: 60 seconds, enough for some 5,000 pages of PDF.
    pub cpu: Duration,
    /// From the child's start to its end: 90 seconds, less than the function's own time.
    pub wall: Duration,
    /// The most pages, slides, sheets or chapters: 10,000.
    pub pages: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes: 100 * MEBIBYTE,
            output_bytes: 16 * MEBIBYTE,
            expanded_bytes: 256 * MEBIBYTE,
            memory_bytes: 1024 * MEBIBYTE,
            cpu: Duration::from_secs(60),
            wall: Duration::from_secs(90),
            pages: 10_000,
        }
    }
}

impl Limits {
    /// Whether a file may have that many pages, which it calls `what`.
    pub(crate) fn accept_pages(&self, count: usize, what: &str) -> Result<(), ExtractError> {
        if u32::try_from(count).is_ok_and(|count| count <= self.pages) {
            return Ok(());
        }
        Err(ExtractError::TooLarge {
            detail: format!(
                "it has {count} {what}, and at most {} are accepted",
                self.pages
            ),
        })
    }
}
