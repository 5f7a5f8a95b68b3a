//! What a user, a job, a response or a candidate is now: its row, and the rows that Millrace keeps of it.

use async_trait::async_trait;
use millrace_effects::{Row, key};
use millrace_events::{Failure, Payload, Record};
use millrace_jobs::{Jobs, Names};
use serde_json::{Value, json};

use super::{SubjectState, Subjects, as_json, key_in, text_in};

/// Attributes that are vectors: nobody reads them, and they tell of the text that they were made from.
const VECTORS: [&str; 1] = ["embedding"];

/// A row of one of the product's tables, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowOf {
    /// A user, employee or employer.
    User(String),
    /// A job.
    Job(String),
    /// A response to a job.
    Response(String),
    /// Somebody who was scored for a job.
    Candidate {
        /// The job.
        job: String,
        /// The employee.
        employee: String,
    },
}

impl RowOf {
    /// The row whose table is called so and whose key has these parts; `None` if it is not one of this product.
    fn of(names: &Names, table: &str, part: impl Fn(&str) -> Option<String>) -> Option<Self> {
        if table == names.users || table == names.profiles {
            return Some(Self::User(part("userId")?));
        }
        if table == names.jobs || table == names.progress {
            return Some(Self::Job(part("jobId")?));
        }
        if table == names.matches {
            return Some(Self::Response(part("responseId")?));
        }
        (table == names.candidates).then_some(())?;
        Some(Self::Candidate {
            job: part("jobId")?,
            employee: part("employeeId")?,
        })
    }

    fn of_subject(names: &Names, subject: &str) -> Option<Self> {
        let (table, _) = subject.split_once('/')?;
        Self::of(names, table, |name| key_in(subject, name))
    }

    /// The row that a record is of. Messages of this product name a job.
    pub(crate) fn of_record(names: &Names, record: &Record) -> Option<Self> {
        match &record.payload {
            Payload::Row(change) => {
                Self::of(names, &change.table, |name| text_in(&change.keys, name))
            }
            Payload::Message(message) => message["jobId"]
                .as_str()
                .map(|job| Self::Job(job.to_owned())),
            Payload::Object(_) | Payload::Schedule(_) | Payload::Test => None,
        }
    }

    /// In words.
    fn name(&self) -> String {
        match self {
            Self::User(id) => format!("user {id}"),
            Self::Job(id) => format!("job {id}"),
            Self::Response(id) => format!("response {id}"),
            Self::Candidate { job, employee } => format!("candidate {employee} for job {job}"),
        }
    }
}

/// The rows that say what a row's subject is now: a name, the table, the key of each. A response's own row names its job, so
/// that row has to be read first: `response` is it, or nothing.
pub(crate) fn rows_around(
    names: &Names,
    row: &RowOf,
    response: Option<&Row>,
) -> Vec<(&'static str, String, Row)> {
    let user = |id: &str| {
        [
            ("row", names.users.clone(), key([("userId", id)])),
            ("profile", names.profiles.clone(), key([("userId", id)])),
        ]
    };
    let job = |name: &'static str, id: &str| {
        [
            (name, names.jobs.clone(), key([("jobId", id)])),
            ("progress", names.progress.clone(), key([("jobId", id)])),
        ]
    };
    let text = |name: &str| response.and_then(|row| row.get(name)?.as_s().ok());
    match row {
        RowOf::User(id) => user(id).to_vec(),
        RowOf::Job(id) => job("row", id).to_vec(),
        RowOf::Response(id) => {
            let own = ("row", names.matches.clone(), key([("responseId", id)]));
            let job = text("jobId").map(|id| job("job", id));
            std::iter::once(own)
                .chain(job.into_iter().flatten())
                .collect()
        }
        RowOf::Candidate { job: id, employee } => {
            let own = key([("jobId", id), ("employeeId", employee)]);
            let [_, profile] = user(employee);
            let [job, progress] = job("job", id);
            vec![
                ("row", names.candidates.clone(), own),
                job,
                progress,
                profile,
            ]
        }
    }
}

#[async_trait]
impl Subjects for Jobs {
    async fn state(
        &self,
        subject: &str,
        record: Option<&Record>,
    ) -> Result<Option<SubjectState>, Failure> {
        let row = RowOf::of_subject(&self.names, subject)
            .or_else(|| RowOf::of_record(&self.names, record?));
        let Some(row) = row else {
            return Ok(None);
        };
        let response = match &row {
            RowOf::Response(id) => {
                let key = key([("responseId", id)]);
                self.table.read(&self.names.matches, key).await?
            }
            _ => None,
        };
        let mut parts = Vec::new();
        for (name, table, key) in rows_around(&self.names, &row, response.as_ref()) {
            let found = self.table.read(&table, key).await?;
            parts.push((name.to_owned(), without_vectors(as_json(found))));
        }
        if let RowOf::User(id) = &row {
            let point = self.profiles.get(id).await?;
            let point = point.map(|point| json!({"revision": point.revision}));
            parts.push(("indexed".to_owned(), point.unwrap_or(Value::Null)));
        }
        Ok(Some(SubjectState {
            name: row.name(),
            parts,
        }))
    }
}

/// The same with a word in the place of each vector.
fn without_vectors(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let is_vector = VECTORS.contains(&name.as_str()) && field.is_array();
                *field = if is_vector {
                    let numbers = field.as_array().map_or(0, Vec::len);
                    Value::from(format!("({numbers} numbers or bytes)"))
                } else {
                    without_vectors(field.take())
                };
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                *entry = without_vectors(entry.take());
            }
        }
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::BTreeMap;

    use millrace_cloud::Settings;
    use millrace_local::Template;

    use super::*;

    fn names() -> Names {
        let text = include_str!("../../../../infra/template.yaml");
        let template = Template::parse(text, "infra/template.yaml", &BTreeMap::new()).unwrap();
        let environment = template.functions[0].config.environment.clone();
        Names::from_settings(&Settings::from_map(environment)).unwrap()
    }

    #[test]
    fn a_row_is_found_in_each_form_of_subject() {
        for (subject, expected) in [
            ("jetbond-users/userId=ada", RowOf::User("ada".to_owned())),
            ("jetbond-jobs/jobId=j%2C1", RowOf::Job("j,1".to_owned())),
            (
                "jetbond-matches/responseId=r",
                RowOf::Response("r".to_owned()),
            ),
            (
                "jetbond-candidates/employeeId=ada,jobId=j",
                RowOf::Candidate {
                    job: "j".to_owned(),
                    employee: "ada".to_owned(),
                },
            ),
        ] {
            assert_eq!(RowOf::of_subject(&names(), subject), Some(expected));
        }
        for subject in [
            "-",
            "",
            "jetbond-users",
            "jetbond-users/jobId=j",
            "jetbond-candidates/jobId=j",
            "ai-assistant-documents/documentId=d,userId=ada",
        ] {
            assert_eq!(RowOf::of_subject(&names(), subject), None, "{subject}");
        }
    }

    #[test]
    fn what_a_response_answers_to_is_read_from_its_row() {
        let row = RowOf::Response("r".to_owned());
        assert_eq!(rows_around(&names(), &row, None).len(), 1);
        let response = key([("responseId", "r"), ("jobId", "j")]);
        let around = rows_around(&names(), &row, Some(&response));
        let parts: Vec<&str> = around.iter().map(|(part, ..)| *part).collect();
        assert_eq!(parts, ["row", "job", "progress"]);
        assert_eq!(around[2].2, key([("jobId", "j")]));
    }

    #[test]
    fn vectors_are_not_shown() {
        let shown = without_vectors(json!({"profiles": {"employee": {
            "name": "Ada", "embedding": [0.1, 0.2], "preferredDistricts": ["Central"]}}}));
        let employee = &shown["profiles"]["employee"];
        assert_eq!(employee["embedding"], "(2 numbers or bytes)");
        assert_eq!(employee["preferredDistricts"], json!(["Central"]));
    }
}
