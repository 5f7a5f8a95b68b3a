//! Why a file has no text.

use serde::{Deserialize, Serialize};

/// Why a file has no text: a reason code for machines, a sentence for the person who uploaded
/// the file.
///
/// All but [`ExtractError::ChildUnavailable`] are about the file and will be the same the next
/// time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ExtractError {
    /// The file needs a password.
    #[error("The file is protected by a password. Please upload it without one.")]
    Encrypted,
    /// The file has no bytes.
    #[error("The file is empty: it has no bytes.")]
    EmptyFile,
    /// The file ends too early or is damaged.
    #[error("The file is damaged: {detail}. Please upload it again.")]
    DamagedFile {
        /// What is wrong, as the middle of a sentence.
        detail: String,
    },
    /// Pages without text, but with pictures.
    #[error(
        "The file has {pages} page(s) but no text, only pictures: it looks like a scan. Please upload a version with recognised text (OCR)."
    )]
    NeedsOcr {
        /// How many pages were looked at.
        pages: u32,
    },
    /// The file can be read, and there is no text in it.
    #[error("The file has no text in it.")]
    NoText,
    /// Not a format from which text is extracted.
    #[error(
        "The file seems to be {seems}, from which text cannot be extracted. PDF, Word, Excel and PowerPoint (.docx, .xlsx, .pptx), OpenDocument, EPUB, RTF, HTML, Markdown, e-mail (.eml), CSV, JSON, XML and plain text can."
    )]
    UnsupportedFormat {
        /// What the file seems to be, with its article.
        seems: String,
    },
    /// The file, or what it unpacks to, or the number of its pages.
    #[error("The file is too large: {detail}.")]
    TooLarge {
        /// What is too large, and how much is accepted.
        detail: String,
    },
    /// The child ran into its memory limit.
    #[error("Reading the file takes more memory than the {megabytes} MB that are allowed.")]
    MemoryLimit {
        /// The limit.
        megabytes: u64,
    },
    /// The child ran into its limit of processor or wall time.
    #[error("Reading the file takes longer than the {seconds} seconds that are allowed.")]
    TimeLimit {
        /// The limit that was reached.
        seconds: u64,
    },
    /// The file has more text than allowed.
    #[error("The file has more text than the {megabytes} MB that are allowed.")]
    OutputLimit {
        /// The limit.
        megabytes: u64,
    },
    /// The parser failed in a way that it should not.
    #[error("The file could not be read: {detail}.")]
    Crashed {
        /// What happened, as the middle of a sentence; never content of the file.
        detail: String,
    },
    /// The child could not be started, or is not what it should be. Not the file's fault:
    /// worth another attempt.
    #[error("extraction could not be started: {detail}")]
    ChildUnavailable {
        /// What was attempted, and what happened.
        detail: String,
    },
}

impl ExtractError {
    /// The stable reason code, as in `millrace_events::reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::EmptyFile => "empty-file",
            Self::DamagedFile { .. } => "damaged-file",
            Self::NeedsOcr { .. } => "needs-ocr",
            Self::NoText => "no-text",
            Self::UnsupportedFormat { .. } => "unsupported-format",
            Self::TooLarge { .. } => "too-large",
            Self::MemoryLimit { .. } => "memory-limit",
            Self::TimeLimit { .. } => "time-limit",
            Self::OutputLimit { .. } => "output-limit",
            Self::Crashed { .. } => "extraction-crashed",
            Self::ChildUnavailable { .. } => "worker-unavailable",
        }
    }

    /// Whether another attempt could end differently.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::ChildUnavailable { .. })
    }

    pub(crate) fn damaged(detail: impl Into<String>) -> Self {
        Self::DamagedFile {
            detail: detail.into(),
        }
    }

    pub(crate) fn unsupported(seems: impl Into<String>) -> Self {
        Self::UnsupportedFormat {
            seems: seems.into(),
        }
    }
}
