//! Fixtures: recorded events with what must come of them.
//!
//! The format is described in `events-fixtures/README.md`. The recorder writes it, `millrace feed` and the tests read it; here
//! it is a type, so that there is one format.

use std::{collections::BTreeMap, fmt};

use millrace_events::{Reason, redact::Redactor};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::Date;

use crate::{Report, Said};

/// A recorded event with what must come of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fixture {
    /// One or two sentences: what happened, and what is special about it.
    pub description: String,
    /// The day on which the event was put down, as `2026-11-09`.
    #[serde(serialize_with = "day")]
    pub recorded: Date,
    /// The worker it is delivered to.
    pub worker: String,
    /// What there is before the event.
    pub given: Given,
    /// What Lambda hands to the function.
    pub event: Value,
    /// What must come of it.
    pub expect: Expect,
}

/// What there is before the event.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Given {
    /// What lies in the product's bucket.
    pub objects: Vec<GivenObject>,
    /// What stands in tables.
    pub rows: Vec<GivenRow>,
}

/// An object that lies in the product's bucket before the event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GivenObject {
    /// Its key.
    pub key: String,
    /// Where its bytes come from.
    #[serde(flatten)]
    pub content: Content,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
}

/// The bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A file, relative to the product's folder.
    File(String),
    /// The text itself.
    Text(String),
}

/// A row that stands in a table before the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenRow {
    /// The table's name.
    pub table: String,
    /// The row in DynamoDB's JSON.
    pub item: serde_json::Map<String, Value>,
}

/// What must come of an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expect {
    /// One entry a record, in the report's order.
    pub records: Vec<ExpectedRecord>,
    /// What Lambda would have got.
    pub response: Value,
}

/// What must become of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpectedRecord {
    /// The word for it.
    pub outcome: Said,
    /// Why, if it fails: one of [`millrace_events::reason::ALL`].
    pub reason: Option<&'static str>,
}

/// Where and why a value is no fixture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct FormatError {
    /// The field, as a path: `given.objects[2].key`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl FormatError {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

fn day<S: serde::Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    // `Date` writes itself as `2026-11-09`.
    serializer.collect_str(date)
}

/// Reads a day.
///
/// # Errors
/// If it is not of the form `2026-11-09`, or no such day.
pub fn parse_day(text: &str) -> Result<Date, FormatError> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    Date::parse(text, &format)
        .map_err(|_| FormatError::new("recorded", format!("is {text:?}, not a day: 2026-11-09")))
}

/// Whether a value is meant as a fixture, and not as a bare event.
pub fn is_fixture(value: &Value) -> bool {
    value.get("event").is_some() && value.get("expect").is_some()
}

impl Fixture {
    /// Reads a fixture; placeholders must have been filled in before.
    ///
    /// # Errors
    /// [`FormatError`] for the first field that is missing, wrong or not known.
    pub fn from_value(value: Value) -> Result<Self, FormatError> {
        let mut fields = Fields::of("", value)?;
        let fixture = Self {
            description: fields.take("description")?,
            recorded: parse_day(&fields.take::<String>("recorded")?)?,
            worker: fields.take("worker")?,
            given: Given::from_value(fields.value("given")?)?,
            event: fields.value("event")?,
            expect: Expect::from_value(fields.value("expect")?)?,
        };
        fields.end()?;
        Ok(fixture)
    }

    /// The same without anybody's data: event, given and response together, so that they still match. The description is kept.
    pub fn redacted(&self, mut redactor: Redactor) -> Self {
        redactor.learn(&self.event);
        for row in &self.given.rows {
            redactor.learn(&serde_json::json!({"table": row.table, "item": row.item}));
        }
        for object in &self.given.objects {
            redactor.learn(&serde_json::json!(object.metadata));
            if let Content::Text(text) = &object.content {
                redactor.learn(&Value::from(text.as_str()));
            }
        }
        let objects = self.given.objects.iter().map(|object| GivenObject {
            key: redactor.text(&object.key),
            content: match &object.content {
                Content::File(file) => Content::File(file.clone()),
                Content::Text(text) => Content::Text(redactor.text(text)),
            },
            metadata: object
                .metadata
                .iter()
                .map(|(name, value)| (name.clone(), redactor.text(value)))
                .collect(),
        });
        let rows = self.given.rows.iter().map(|row| GivenRow {
            table: redactor.text(&row.table),
            item: match redactor.event(&Value::Object(row.item.clone())) {
                Value::Object(item) => item,
                // An object stays one.
                _ => serde_json::Map::new(),
            },
        });
        Self {
            description: self.description.clone(),
            recorded: self.recorded,
            worker: self.worker.clone(),
            given: Given {
                objects: objects.collect(),
                rows: rows.collect(),
            },
            event: redactor.event(&self.event),
            expect: Expect {
                records: self.expect.records.clone(),
                response: redactor.event(&self.expect.response),
            },
        }
    }

    /// As it is kept in a file: indented, with a newline at the end.
    pub fn to_text(&self) -> String {
        // Neither a map with keys that are not text nor a failing `Serialize` is in it.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Given {
    fn from_value(value: Value) -> Result<Self, FormatError> {
        let mut fields = Fields::of("given", value)?;
        let given = Self {
            objects: each(fields.list("objects")?, "given.objects", |path, value| {
                GivenObject::from_value(path, value)
            })?,
            rows: each(fields.list("rows")?, "given.rows", |path, value| {
                from_value(path, value)
            })?,
        };
        fields.end()?;
        Ok(given)
    }
}

impl GivenObject {
    fn from_value(path: &str, value: Value) -> Result<Self, FormatError> {
        let mut fields = Fields::of(path, value)?;
        let key = fields.take("key")?;
        let content = match (fields.optional("file")?, fields.optional("text")?) {
            (Some(file), None) => Content::File(file),
            (None, Some(text)) => Content::Text(text),
            _ => {
                return Err(FormatError::new(
                    path,
                    "needs either a `file` or a `text`, one of both",
                ));
            }
        };
        let metadata = fields.optional("metadata")?.unwrap_or_default();
        fields.end()?;
        Ok(Self {
            key,
            content,
            metadata,
        })
    }
}

impl Expect {
    fn from_value(value: Value) -> Result<Self, FormatError> {
        let mut fields = Fields::of("expect", value)?;
        let expect = Self {
            records: each(fields.list("records")?, "expect.records", |path, value| {
                ExpectedRecord::from_value(path, value)
            })?,
            response: fields.value("response")?,
        };
        fields.end()?;
        Ok(expect)
    }

    /// What a report tells of, as an expectation.
    pub fn of(report: &Report) -> Self {
        let records = report.records.iter().map(|record| ExpectedRecord {
            outcome: record.outcome,
            reason: record.reason.as_ref().map(|reason| reason.code),
        });
        Self {
            records: records.collect(),
            response: report.response.clone(),
        }
    }

    /// In what a report differs from this; `None` if it does not.
    pub fn difference(&self, report: &Report) -> Option<Difference> {
        let got = Self::of(report);
        let mut lines = Vec::new();
        if self.records.len() != got.records.len() {
            lines.push(format!(
                "expected {} records, got {}",
                self.records.len(),
                got.records.len()
            ));
        }
        for position in 0..self.records.len().max(got.records.len()) {
            let (expected, came) = (self.records.get(position), got.records.get(position));
            if expected == came {
                continue;
            }
            let words = |record: Option<&ExpectedRecord>| {
                record.map_or_else(|| "nothing".to_owned(), ExpectedRecord::to_string)
            };
            let why = report
                .records
                .get(position)
                .and_then(|record| record.reason.as_ref())
                .map(|reason| format!(": {}", reason.message))
                .unwrap_or_default();
            lines.push(format!(
                "record {}: expected {}, got {}{why}",
                position + 1,
                words(expected),
                words(came)
            ));
        }
        if self.response != got.response {
            lines.push(format!(
                "response: expected {}, got {}",
                self.response, got.response
            ));
        }
        (!lines.is_empty()).then_some(Difference { lines })
    }
}

impl ExpectedRecord {
    fn from_value(path: &str, value: Value) -> Result<Self, FormatError> {
        let mut fields = Fields::of(path, value)?;
        let outcome = fields.take("outcome")?;
        let reason = match fields.optional::<String>("reason")? {
            None => None,
            Some(code) => Some(Reason::from_code(&code).map(Reason::code).ok_or_else(|| {
                FormatError::new(
                    format!("{path}.reason"),
                    format!("is {code:?}, which is no reason code: see docs/reasons.md"),
                )
            })?),
        };
        fields.end()?;
        Ok(Self { outcome, reason })
    }
}

/// `parked (encrypted)`
impl fmt::Display for ExpectedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.outcome.word())?;
        match self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// In what a report differs from what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A sentence for each thing that is different.
    pub lines: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("; "))
    }
}

/// The fields of an object, taken one by one so that an error can name its place.
struct Fields {
    path: String,
    rest: serde_json::Map<String, Value>,
}

impl Fields {
    fn of(path: &str, value: Value) -> Result<Self, FormatError> {
        match value {
            Value::Object(rest) => Ok(Self {
                path: path.to_owned(),
                rest,
            }),
            _ => Err(FormatError::new(
                if path.is_empty() { "(all)" } else { path },
                "is not an object",
            )),
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn value(&mut self, name: &str) -> Result<Value, FormatError> {
        self.rest
            .remove(name)
            .ok_or_else(|| FormatError::new(self.path_of(name), "is missing"))
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, FormatError> {
        let value = self.value(name)?;
        from_value(&self.path_of(name), value)
    }

    /// Missing and null are the same.
    fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, FormatError> {
        match self.rest.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => from_value(&self.path_of(name), value).map(Some),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>, FormatError> {
        match self.value(name)? {
            Value::Array(entries) => Ok(entries),
            _ => Err(FormatError::new(self.path_of(name), "is not a list")),
        }
    }

    /// A field that nobody reads is a mistake that nobody would notice.
    fn end(self) -> Result<(), FormatError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(name) => Err(FormatError::new(
                self.path_of(name),
                "is no field of a fixture: see events-fixtures/README.md",
            )),
        }
    }
}

fn from_value<T: DeserializeOwned>(path: &str, value: Value) -> Result<T, FormatError> {
    serde_json::from_value(value).map_err(|error| FormatError::new(path, error.to_string()))
}

fn each<T>(
    values: Vec<Value>,
    path: &str,
    one: impl Fn(&str, Value) -> Result<T, FormatError>,
) -> Result<Vec<T>, FormatError> {
    let entries = values.into_iter().enumerate();
    entries
        .map(|(position, value)| one(&format!("{path}[{position}]"), value))
        .collect()
}

#[cfg(test)]
mod tests;
