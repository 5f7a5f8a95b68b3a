//! A letter as a line of JSON: what `export` writes and `import` reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    decode::{Received, Workers, decode},
    letter::{Attributes, Kind, Letter, Place},
};

/// The version of the format; a reader refuses others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineFormat {
    /// The first.
    #[serde(rename = "letter/1")]
    V1,
}

/// One line. Body and attributes are what goes back into the queue; the rest is for people, and to check the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    /// By what readers know the format.
    pub millrace: LineFormat,
    /// The letter's id: a function of what follows.
    pub id: Uuid,
    /// Where it lay: a queue's name, or `s3://bucket/key`.
    pub place: String,
    /// What kind of failure left it.
    pub kind: Kind,
    /// The worker.
    pub worker: String,
    /// The reason code.
    pub reason: String,
    /// What it is about.
    pub subject: String,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339")]
    pub last: OffsetDateTime,
    /// The message group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The message attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: Attributes,
    /// The body, byte for byte.
    pub body: String,
}

impl Line {
    /// The line of a letter.
    pub fn of(letter: &Letter) -> Self {
        Self {
            millrace: LineFormat::V1,
            id: letter.id,
            place: letter.place.to_string(),
            kind: letter.kind,
            worker: letter.worker.clone(),
            reason: letter.reason.clone(),
            subject: letter.subject.clone(),
            last: letter.last,
            group: letter.group.clone(),
            attributes: letter.attributes.clone(),
            body: letter.body.clone(),
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it: not JSON, not of this format, or a body that is not the one of its id.
    pub fn parse(text: &str, known: &[String]) -> Result<Self, String> {
        let line: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let received = Received {
            body: line.body.clone(),
            attributes: line.attributes.clone(),
            system: BTreeMap::new(),
        };
        let workers = Workers {
            default: line.worker.clone(),
            max_receives: None,
            known: known.to_vec(),
        };
        let read = decode(line.place(), &received, &workers, line.last);
        if read.id != line.id {
            return Err(format!(
                "the id is {} and the body is that of {}: the line was altered; `dlq edit` changes letters and keeps \
                 what they were",
                line.id, read.id
            ));
        }
        Ok(line)
    }

    /// Where it lay.
    pub fn place(&self) -> Place {
        Place::parse(&self.place)
    }
}
