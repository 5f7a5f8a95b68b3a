//! The response side of a job's progress row: who answered, when the window ends, who was chosen, how the job ended.
//!
//! It holds facts only, and each of them is written once or only ever moves in one direction, so that the order in which
//! events are heard of leaves no trace: the set of responses grows, the first response moves back in time, the end
//! of the job forward, a window that is closed stays closed, the first decision stands. What the platform's rows
//! say (the job's window and status, whether the person is busy, who is rejected) follows from the facts, and every
//! worker that finds its own fact noted already brings those rows to what the facts say before it answers.
//!
//! `revision` counts the changes of this side. Who writes something that follows from the facts asks in the same
//! transaction that it is still the one that was read.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::clock::iso;
use millrace_effects::{Row, Update, When, Write};
use millrace_events::{Failure, Version, mutation};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    attributes::{self, count, text},
    context::Jobs,
    decision::{Selection, is_over},
    fields::malformed,
    notice::JobSaid,
    progress::ProgressStore,
    window::{Response, Responses, Window},
};

/// How long a job's row stays after the job has ended.
const KEPT_AFTER_THE_END: time::Duration = time::Duration::days(90);

/// What a job's status can be, as its stream told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// `matching`: people are looked for.
    Matching,
    /// `closed`: nobody is looked for any more.
    Closed,
    /// `completed`: the work is done.
    Completed,
    /// The row is gone.
    Removed,
}

impl JobState {
    /// By the platform's word; `None` for one that this product does not know.
    pub fn of_row(word: &str) -> Option<Self> {
        let all = [Self::Matching, Self::Closed, Self::Completed];
        all.into_iter().find(|state| state.word() == word)
    }

    /// By the word in the progress row.
    fn of_progress(word: &str) -> Option<Self> {
        let removed = (word == Self::Removed.word()).then_some(Self::Removed);
        removed.or_else(|| Self::of_row(word))
    }

    /// The word in the rows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Matching => "matching",
            Self::Closed => "closed",
            Self::Completed => "completed",
            Self::Removed => "removed",
        }
    }

    /// Whether nobody is looked for any more.
    pub fn is_ended(self) -> bool {
        self != Self::Matching
    }

    /// Whether there is no work left for whoever was chosen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Removed)
    }
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResponseSide {
    /// Who answered, by response id.
    pub responses: Responses,
    /// The window's length, as it was set when the first response was heard of.
    pub window_length: Option<Duration>,
    /// Whether it was closed.
    pub window_closed: bool,
    /// Who was chosen.
    pub selected: Option<Selection>,
    /// When the job was last completed or removed.
    pub over_at: Option<OffsetDateTime>,
    /// The newest status that was told of.
    pub standing: Option<JobState>,
    /// The version of the change that told it.
    pub standing_version: Option<Version>,
    /// When the job's row expires, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// How often this side has changed.
    pub revision: u64,
    /// What notifications say of the job, once it was scored.
    pub job: Option<JobSaid>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    responses: HashMap<String, StoredResponse>,
    window_seconds: Option<u64>,
    window_closed: bool,
    selected: Option<StoredSelection>,
    over_at: Option<String>,
    job_status: Option<String>,
    status_version: Option<String>,
    expires_at: Option<i64>,
    revision: u64,
    job: Option<JobSaid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredResponse {
    employee_id: String,
    responded_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredSelection {
    response_id: String,
    employee_id: String,
    at: String,
}

impl ResponseSide {
    /// As the progress row says; nothing is known when there is none.
    ///
    /// # Errors
    /// `malformed-row` when somebody else wrote into it.
    pub fn of(row: Option<&Row>) -> Result<Self, Failure> {
        let Some(row) = row else {
            return Ok(Self::default());
        };
        let row = AttributeValue::M(row.clone());
        let stored: Stored = attributes::read("a job's progress", row)?;
        let mut responses = Responses::new();
        for (id, response) in stored.responses {
            let responded_at = moment(&response.responded_at)?;
            let employee_id = response.employee_id;
            responses.insert(
                id,
                Response {
                    employee_id,
                    responded_at,
                },
            );
        }
        let selected = match stored.selected {
            Some(selected) => Some(Selection {
                at: moment(&selected.at)?,
                response_id: selected.response_id,
                employee_id: selected.employee_id,
            }),
            None => None,
        };
        Ok(Self {
            responses,
            window_length: stored.window_seconds.map(Duration::from_secs),
            window_closed: stored.window_closed,
            selected,
            over_at: stored.over_at.as_deref().map(moment).transpose()?,
            standing: stored.job_status.as_deref().and_then(JobState::of_progress),
            standing_version: stored.status_version.map(Version::from_padded),
            expires_at: stored.expires_at,
            revision: stored.revision,
            job: stored.job,
        })
    }

    /// As it is now.
    ///
    /// # Errors
    /// The table's, and as [`ResponseSide::of`].
    pub async fn read(jobs: &Jobs, job: &str) -> Result<Self, Failure> {
        Self::of(jobs.progress.row(job).await?.as_ref())
    }

    /// The window, once somebody has answered.
    pub fn window(&self) -> Option<Window> {
        Window::of(&self.responses, self.window_length.unwrap_or_default())
    }

    /// Whether nobody answered before this response was given.
    pub fn is_first(&self, response: &str) -> bool {
        let given = self.responses.get(response).map(|one| one.responded_at);
        given.is_some() && given == self.window().map(|window| window.first)
    }

    /// Whether responses are still waited for.
    pub fn is_open(&self) -> bool {
        let ended = self.standing.is_some_and(JobState::is_ended);
        !self.window_closed && self.selected.is_none() && !ended
    }

    /// Whoever was chosen, when the job is over for them.
    pub fn released(&self) -> Option<&Selection> {
        let selected = self.selected.as_ref();
        selected.filter(|selected| is_over(selected, self.over_at))
    }

    /// Holds while nobody has changed this side since it was read.
    pub fn unchanged(&self) -> When {
        match self.revision {
            0 => When::Absent("revision"),
            revision => When::Equal("revision", count(revision)),
        }
    }

    /// The same as a write of its own, beside others.
    pub fn still(&self, jobs: &Jobs, job: &str) -> Write {
        Write::Check {
            table: jobs.names.progress.clone(),
            key: ProgressStore::key(job),
            when: self.unchanged(),
        }
    }

    /// A change of this side, under no condition yet.
    pub fn change(jobs: &Jobs, job: &str) -> Update {
        jobs.progress.change(job).add("revision", 1)
    }

    /// The change that adds a response; `None` when it is known. Two that are added side by side do not get in each other's
    /// way, unless both say that theirs is the first.
    pub fn collecting(
        &self,
        jobs: &Jobs,
        job: &str,
        id: &str,
        response: &Response,
    ) -> Option<Update> {
        let mut id = id.to_owned();
        if self.responses.contains_key(&id) {
            if !mutation::on(mutation::RESPONSE_TWICE) {
                return None;
            }
            id.push_str("-again");
        }
        let given = text(iso(response.responded_at));
        let entry = AttributeValue::M(HashMap::from([
            ("employeeId".to_owned(), text(&*response.employee_id)),
            ("respondedAt".to_owned(), given.clone()),
        ]));
        let change = Self::change(jobs, job);
        let Some(window) = self.window() else {
            let only = AttributeValue::M(HashMap::from([(id.to_owned(), entry)]));
            let length = count(jobs.rules.window.as_secs());
            return Some(
                change
                    .set("responses", only)
                    .set("firstResponseAt", given)
                    .set("windowSeconds", length)
                    .when(When::Absent("responses")),
            );
        };
        let change = change
            .set_if_absent(format!("responses.{id}"), entry)
            .when(When::Present("responses"));
        Some(if response.responded_at >= window.first {
            change.when(When::AtMost("firstResponseAt", given))
        } else {
            let first = text(iso(window.first));
            change
                .set("firstResponseAt", given)
                .when(When::Equal("firstResponseAt", first))
        })
    }

    /// The change that notes how the job stands since this change of its row; `None` when nothing of it is new.
    pub fn standing_change(
        &self,
        jobs: &Jobs,
        job: &str,
        state: JobState,
        version: &Version,
        at: OffsetDateTime,
    ) -> Option<Update> {
        let newest = self.standing_version.as_ref() < Some(version);
        let later_end = state.is_over() && self.over_at < Some(at);
        if !newest && !later_end {
            return None;
        }
        let mut change = Self::change(jobs, job).when(self.unchanged());
        if later_end {
            change = change.set("overAt", text(iso(at)));
        }
        if newest {
            change = change
                .set("jobStatus", text(state.word()))
                .set("statusVersion", text(version.as_str()));
            change = match state {
                JobState::Closed | JobState::Completed => {
                    let expires = (at + KEPT_AFTER_THE_END).unix_timestamp();
                    change.set("expiresAt", AttributeValue::N(expires.to_string()))
                }
                JobState::Matching | JobState::Removed => change.remove("expiresAt"),
            };
        }
        Some(change)
    }
}

fn moment(said: &str) -> Result<OffsetDateTime, Failure> {
    let read = OffsetDateTime::parse(said, &Rfc3339);
    read.map_err(|error| malformed("a time in a job's progress is none").caused_by(error))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;

    fn side(row: Value) -> Result<ResponseSide, Failure> {
        let item: serde_dynamo::Item = serde_json::from_value(row).unwrap();
        ResponseSide::of(Some(&Row::from(item)))
    }

    #[test]
    fn a_row_that_only_scoring_wrote_says_nothing_of_responses() {
        let row = json!({"jobId": {"S": "j"}, "version": {"S": "v"}, "status": {"S": "scored"}});
        assert_eq!(side(row).unwrap(), ResponseSide::default());
        assert_eq!(ResponseSide::of(None).unwrap(), ResponseSide::default());
    }

    #[test]
    fn what_is_noted_is_read() {
        let row = json!({
            "jobId": {"S": "j"}, "revision": {"N": "7"}, "windowSeconds": {"N": "900"},
            "firstResponseAt": {"S": "2026-11-21T10:00:00.000Z"}, "windowClosed": {"BOOL": true},
            "responses": {"M": {
                "r1": {"M": {"employeeId": {"S": "e1"}, "respondedAt": {"S": "2026-11-21T10:00:00.000Z"}}},
                "r2": {"M": {"employeeId": {"S": "e2"}, "respondedAt": {"S": "2026-11-21T10:00:00.001Z"}}},
            }},
            "selected": {"M": {
                "responseId": {"S": "r2"}, "employeeId": {"S": "e2"}, "at": {"S": "2026-11-21T11:00:00.000Z"},
            }},
            "overAt": {"S": "2026-11-21T11:00:00.000Z"}, "jobStatus": {"S": "completed"},
            "statusVersion": {"S": "label/7"}, "expiresAt": {"N": "1800000000"},
        });
        let side = side(row).unwrap();
        assert!(side.is_first("r1") && !side.is_first("r2") && !side.is_first("r3"));
        let window = side.window().unwrap();
        assert_eq!(window.due, datetime!(2026-11-21 10:15 UTC));
        assert!(!side.is_open());
        assert_eq!(side.released(), side.selected.as_ref());
        assert_eq!(side.standing, Some(JobState::Completed));
        assert_eq!(side.revision, 7);
    }

    #[test]
    fn a_row_that_somebody_else_wrote_into_is_no_default() {
        let time = json!({"jobId": {"S": "j"}, "overAt": {"S": "yesterday"}});
        let kind = json!({"jobId": {"S": "j"}, "responses": {"S": "many"}});
        for row in [time, kind] {
            let failure = side(row).unwrap_err();
            assert_eq!(failure.reason(), millrace_events::reason::MALFORMED_ROW);
        }
    }
}
