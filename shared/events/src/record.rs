//! A record: one thing that happened, out of its envelope.

use time::OffsetDateTime;

/// A DynamoDB item as stream records and rows carry it.
pub type Item = serde_dynamo::Item;

/// One thing that happened to one subject.
#[derive(Debug, Clone)]
pub struct Record {
    /// The record's business identity: the same for every delivery of it, by whatever way.
    pub id: String,
    /// What it happened to: `s3://bucket/key`, `table/primary key`, or the message's own id.
    pub subject: String,
    /// Where it stands in the subject's history.
    pub version: Version,
    /// When it happened, as its source says.
    pub occurred_at: Option<OffsetDateTime>,
    /// What happened.
    pub payload: Payload,
}

/// A place within one subject's history; compares as the source orders it.
///
/// The text is padded so that it compares as text: an S3 sequencer is right-padded with zeros to 32
/// upper-case hexadecimal digits; a stream's sequence number is left-padded to 40 digits behind the
/// stream's label and `/`. Versions of different sources do not compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(String);

impl Version {
    /// A version from text that is padded already (read back from a row).
    pub fn from_padded(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text that compares.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the source gave no version.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Payload {
    /// An object was created or removed.
    Object(ObjectChange),
    /// A row was inserted, modified or removed.
    Row(RowChange),
    /// Anything else that is JSON: a message of the platform, a schedule.
    Message(serde_json::Value),
    /// `s3:TestEvent`, which S3 sends when a notification is configured.
    Test,
}

/// Whether an object came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectChangeKind {
    /// `ObjectCreated:*`, `Object Created`.
    Created,
    /// `ObjectRemoved:*`, `Object Deleted`, delete markers included.
    Removed,
}

/// An object was created or removed.
#[derive(Debug, Clone)]
pub struct ObjectChange {
    /// Whether it came or went.
    pub kind: ObjectChangeKind,
    /// The bucket's name.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// In bytes; not known for removals.
    pub size: Option<u64>,
    /// Without quotes.
    pub e_tag: Option<String>,
    /// On versioned buckets.
    pub version_id: Option<String>,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChangeKind {
    /// `INSERT`.
    Inserted,
    /// `MODIFY`.
    Modified,
    /// `REMOVE`.
    Removed,
}

/// A change of a row, with what the stream's view type gives of its images.
#[derive(Debug, Clone)]
pub struct RowChange<T = Item> {
    /// What happened.
    pub kind: RowChangeKind,
    /// The table's name, from the stream's ARN.
    pub table: String,
    /// The primary key.
    pub keys: Item,
    /// The row afterwards.
    pub new: Option<T>,
    /// The row before.
    pub old: Option<T>,
    /// Whether the table's time-to-live removed it (the stream's `userIdentity` says so).
    pub by_ttl: bool,
}
