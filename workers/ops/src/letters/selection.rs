//! Which letters: what an operator asks for, as a condition on the catalogue.

use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::letter::Kind;

/// Which letters. Conditions hold together; several ids are alternatives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selection {
    /// Ids, or beginnings of ids, with or without hyphens.
    pub ids: Vec<String>,
    /// The worker's name.
    pub worker: Option<String>,
    /// The reason code.
    pub reason: Option<String>,
    /// The kind.
    pub kind: Option<Kind>,
    /// A part of the subject, or of a record's id.
    pub subject: Option<String>,
    /// Given up before this time (its first copy).
    #[serde(with = "time::serde::rfc3339::option")]
    pub older_than: Option<OffsetDateTime>,
    /// Given up after this time (its first copy).
    #[serde(with = "time::serde::rfc3339::option")]
    pub newer_than: Option<OffsetDateTime>,
    /// The dead-letter queue, or `s3://bucket/key`, in which a copy lies.
    pub place: Option<String>,
    /// Only letters of which several copies lie there.
    pub several_copies: bool,
    /// Everything, said in so many words: without it and without any condition nothing is selected for an act.
    pub all: bool,
}

impl Selection {
    /// Every letter.
    pub fn everything() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// The letter of that id, or of an id that begins so.
    pub fn id(id: impl Into<String>) -> Self {
        Self {
            ids: vec![id.into()],
            ..Self::default()
        }
    }

    /// Whether nothing was asked for: neither a condition nor everything.
    pub fn is_empty(&self) -> bool {
        !self.all && *self == Self::default()
    }

    /// The condition on the table `letter` with its parameters, in the order of their question marks.
    pub(super) fn condition(&self) -> (String, Vec<Value>) {
        let mut parts = Vec::new();
        let mut values = Vec::new();
        if !self.ids.is_empty() {
            let mut ids = Vec::new();
            for id in &self.ids {
                let plain: String = id.chars().filter(|c| *c != '-').collect();
                let plain = plain.to_ascii_lowercase();
                // A range instead of LIKE: it uses the primary key and knows no wildcards.
                ids.push("(letter.id >= ? AND letter.id < ?)");
                values.push(Value::Text(plain.clone()));
                values.push(Value::Text(format!("{plain}g")));
            }
            parts.push(format!("({})", ids.join(" OR ")));
        }
        let mut equal = |column: &str, value: Option<String>| {
            if let Some(value) = value {
                parts.push(format!("letter.{column} = ?"));
                values.push(Value::Text(value));
            }
        };
        equal("worker", self.worker.clone());
        equal("reason", self.reason.clone());
        equal("kind", self.kind.map(|kind| kind.word().to_owned()));
        if let Some(part) = &self.subject {
            parts.push(
                "(instr(letter.subject, ?) > 0 OR instr(letter.record_ids, ?) > 0)".to_owned(),
            );
            values.push(Value::Text(part.clone()));
            values.push(Value::Text(part.clone()));
        }
        if let Some(time) = self.older_than {
            parts.push("letter.first < ?".to_owned());
            values.push(Value::Integer(millis(time)));
        }
        if let Some(time) = self.newer_than {
            parts.push("letter.first > ?".to_owned());
            values.push(Value::Integer(millis(time)));
        }
        if self.several_copies {
            parts.push("letter.copies > 1".to_owned());
        }
        if let Some(place) = &self.place {
            parts.push("EXISTS (SELECT 1 FROM copy WHERE copy.letter = letter.id AND copy.state = 'here' AND copy.place = ?)".to_owned());
            values.push(Value::Text(place.clone()));
        }
        if parts.is_empty() {
            parts.push("1".to_owned());
        }
        (parts.join(" AND "), values)
    }
}

/// Milliseconds since 1970, as the catalogue keeps times.
pub(super) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The time of so many milliseconds since 1970.
pub(super) fn time_of(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
