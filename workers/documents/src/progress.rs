//! A document's progress: the fence, the tombstone, and everything that workers found out.
//!
//! The platform's row of a document is not ours alone: the upload writes it whole, perhaps after the first
//! worker was done, and a deletion takes it away. The fence therefore lives in a row of its own that
//! only Millrace writes and that outlives the document. The platform's row is a projection of it: every
//! step writes both in one transaction, and `keep-progress` projects again when somebody overwrote it.

mod projection;
mod removal;
mod store;

use millrace_events::{Reason, reason};
use serde::{Deserialize, Serialize};

pub(crate) use projection::says;
pub use removal::{REMOVED_BY, RowRemoval};
pub use store::ProgressStore;

/// How far a generation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A worker knows of it.
    Claimed,
    /// Its text is there.
    TextExtracted,
    /// Its chunks are there.
    ChunksCreated,
    /// Its vectors are there.
    VectorsGenerated,
    /// Its chunks are in the index: it is ready.
    Indexed,
}

/// `status` of the data model, and the tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// On its way.
    Processing,
    /// Searchable.
    Ready,
    /// It cannot be processed, or not now.
    Error,
    /// It was removed; what is left is to be tidied.
    Removing,
    /// It was removed, and nothing of it is left.
    Removed,
}

impl Status {
    /// The word in the rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Ready => "ready",
            Self::Error => "error",
            Self::Removing => "removing",
            Self::Removed => "removed",
        }
    }
}

/// What extraction found out for the platform's row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Derived {
    /// The document's own title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// BCP 47.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub language: Option<String>,
    /// Pages, for formats that have them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_count: Option<u32>,
    /// Words.
    pub word_count: u64,
    /// The first 500 characters.
    pub preview: String,
    /// Words that stand out.
    pub keywords: Vec<String>,
}

/// Why a document ended as an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorSaid {
    /// The stable reason code.
    pub code: String,
    /// The sentence for people.
    pub message: String,
}

/// Codes that are the file's own fault: nothing can be derived from it, however often it is tried.
const OF_THE_FILE: [Reason; 11] = [
    reason::ENCRYPTED,
    reason::EMPTY_FILE,
    reason::DAMAGED_FILE,
    reason::NEEDS_OCR,
    reason::NO_TEXT,
    reason::UNSUPPORTED_FORMAT,
    reason::TOO_LARGE,
    reason::MEMORY_LIMIT,
    reason::TIME_LIMIT,
    reason::OUTPUT_LIMIT,
    reason::EXTRACTION_CRASHED,
];

impl ErrorSaid {
    /// Whether the file itself is at fault.
    pub fn is_of_the_file(&self) -> bool {
        OF_THE_FILE.iter().any(|reason| reason.code() == self.code)
    }
}

/// The progress row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The owner.
    pub user_id: String,
    /// The document.
    pub document_id: String,
    /// The sequencer of the original, padded: the fence. Not there when only a removal is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub generation: Option<String>,
    /// The original's key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub s3_key: Option<String>,
    /// The original's entity tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub e_tag: Option<String>,
    /// When it was uploaded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uploaded_at: Option<String>,
    /// How far it has come, as a number that compares.
    pub reached: u8,
    /// See [`Status`].
    pub status: Status,
    /// What extraction found out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub derived: Option<Derived>,
    /// The title that was last written into the platform's row by us, so that a user's own is told apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub written_title: Option<String>,
    /// Why it is an error.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorSaid>,
    /// No upload up to this sequencer is processed any more: the tombstone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed_through: Option<String>,
    /// The same by time, when the row was removed before any upload of it was known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed_at: Option<String>,
    /// When this row last changed.
    pub updated_at: String,
    /// How often it changed: whoever writes it whole asks that nobody did since it was read.
    #[serde(default)]
    pub revision: u64,
}

impl Progress {
    /// Whether this generation is the one that counts.
    pub fn is_current(&self, generation: &str) -> bool {
        !self.is_removed() && self.generation.as_deref() == Some(generation)
    }

    /// Whether the document was removed.
    pub fn is_removed(&self) -> bool {
        matches!(self.status, Status::Removing | Status::Removed)
    }

    /// Whether nothing can be derived from the current generation.
    pub fn is_unreadable(&self) -> bool {
        self.status == Status::Error && self.error.as_ref().is_some_and(ErrorSaid::is_of_the_file)
    }

    /// Whether the current generation has come this far.
    pub fn has_reached(&self, step: Step) -> bool {
        self.reached >= step as u8
    }
}

/// An upload that wants to be processed.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The sequencer, padded.
    pub generation: String,
    /// Bucket of the original.
    pub bucket: String,
    /// Key of the original.
    pub key: String,
    /// Its entity tag.
    pub e_tag: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was uploaded, ISO 8601.
    pub uploaded_at: String,
    /// The name that the user knows it by.
    pub file_name: String,
    /// Its MIME type.
    pub file_type: String,
}

/// How a claim ended.
#[derive(Debug)]
pub enum Claim {
    /// This generation is the current one: new, or delivered again.
    Current(Box<Progress>),
    /// A newer upload or a removal was there first.
    Superseded,
}
