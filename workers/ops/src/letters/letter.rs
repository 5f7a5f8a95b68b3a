//! The one model of everything that failed.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// What kind of failure left the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A worker gave the record up and parked it, with its reason.
    Parked,
    /// A queue's redrive policy, or a rule that could not deliver to its target, moved the bare message.
    Redriven,
    /// Lambda gave up a batch of a stream and said where it lies: the records must be fetched from the stream.
    StreamPlace,
    /// The same with the batch itself, as Lambda writes it to S3.
    StreamBatch,
    /// Lambda gave up an asynchronous invocation.
    Async,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Parked,
        Self::Redriven,
        Self::StreamPlace,
        Self::StreamBatch,
        Self::Async,
    ];

    /// The word for the command line and the catalogue.
    pub fn word(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Redriven => "redriven",
            Self::StreamPlace => "stream-place",
            Self::StreamBatch => "stream-batch",
            Self::Async => "async",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == text);
        found.ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            format!("there is no kind {text:?} of dead letter; there are {words}")
        })
    }
}

/// Where a copy lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// In the dead-letter queue of that name.
    Queue(String),
    /// An object that Lambda wrote.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
}

impl Place {
    /// The text by which the catalogue knows it: the queue's name, or `s3://bucket/key`.
    pub fn parse(text: &str) -> Self {
        let object = text
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'));
        match object {
            Some((bucket, key)) => Self::Object {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            },
            None => Self::Queue(text.to_owned()),
        }
    }

    /// The queue's name, if it is one.
    pub fn queue(&self) -> Option<&str> {
        match self {
            Self::Queue(name) => Some(name),
            Self::Object { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => f.write_str(name),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

/// A message attribute as SQS writes it in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, with an optional `.label` after it.
    #[serde(rename = "DataType")]
    pub data_type: String,
    /// The value of a `String` or `Number`.
    #[serde(
        rename = "StringValue",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub text: Option<String>,
    /// The value of a `Binary`, in base64.
    #[serde(
        rename = "BinaryValue",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub binary: Option<String>,
}

/// Message attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// One dead letter. Where it lies in several copies, body and place are those of the copy that tells of the most
/// attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// A function of what failed: the parked record's own id, else a UUIDv5 of kind, worker and business content.
    pub id: Uuid,
    /// What kind of failure left it.
    pub kind: Kind,
    /// Where it lies.
    pub place: Place,
    /// The worker that should have handled it.
    pub worker: String,
    /// The stable reason code: one of [`millrace_events::reason::ALL`], unless another program parked it.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
    /// What happened to whom, `-` where nobody can say.
    pub subject: String,
    /// The business identities of its records, as far as they can be read.
    pub record_ids: Vec<String>,
    /// How often it was delivered before it was given up, as far as its source counts; 0 if it does not.
    pub attempts: u32,
    /// When the first of its copies was given up.
    #[serde(with = "time::serde::rfc3339")]
    pub first: OffsetDateTime,
    /// When the last of its copies was given up.
    #[serde(with = "time::serde::rfc3339")]
    pub last: OffsetDateTime,
    /// How many copies of it lie there.
    pub copies: u32,
    /// The trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The letter that an operator edited to get this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_from: Option<Uuid>,
    /// The body, byte for byte.
    pub body: String,
    /// The message attributes beside it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: Attributes,
    /// The message group, in FIFO and fair queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Letter {
    /// The beginning of the id that lists show.
    pub fn short_id(&self) -> String {
        self.id.simple().to_string().chars().take(8).collect()
    }

    /// The section of `docs/reasons.md` that says what its reason means and what to do; `None` for a code that is not
    /// ours.
    pub fn reason_link(&self) -> Option<String> {
        crate::output::docs_link(&self.reason)
    }
}
