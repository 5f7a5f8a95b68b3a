//! The transaction that decides a job, and the rejections that follow from it.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::clock::iso;
use millrace_effects::{Committed, Row, Update, When, Write, key};
use millrace_events::{Failure, mutation, reason};

use crate::{
    attributes::text,
    context::Jobs,
    decision::{JobSeen, Selection, Verdict, decide},
    progress::ProgressStore,
    responses::{JobState, ResponseSide},
};

/// How often a commit that lost a race looks again before the record is handed back.
const RACES: u32 = 6;

/// The places of the writes in the transaction. What makes it look again comes before what makes it fail.
const RESPONSE: usize = 1;
const EMPLOYEE: usize = 3;

/// What became of a selection.
#[derive(Debug)]
pub(crate) enum Chosen {
    /// It decides the job, from now on; with what is known now.
    Now(ResponseSide),
    /// It did before.
    Before(ResponseSide),
    /// The response does not say `selected` any more.
    TakenBack,
}

/// Decides the job by this selection; `side` is how its progress was read last.
///
/// # Errors
/// `already-decided` when another response was selected before, `employee-not-available` when the person is not free for this
/// job. Neither leaves anything behind.
pub(crate) async fn choose(
    jobs: &Jobs,
    job: &str,
    selection: &Selection,
    mut side: ResponseSide,
) -> Result<Chosen, Failure> {
    for _ in 0..RACES {
        let row = jobs
            .table
            .read(&jobs.names.jobs, ProgressStore::key(job))
            .await?;
        let seen = JobStatus::of(row.as_ref());
        let busy = match decide(selection, side.selected.as_ref(), side.over_at, seen.seen) {
            Verdict::Decided => return Ok(Chosen::Before(side)),
            Verdict::TooLate => return Err(already_decided()),
            Verdict::Decides { busy } => busy,
        };
        let mut writes = vec![
            decision(jobs, job, selection, &side),
            still_selected(jobs, selection),
            seen.closing(jobs, job),
        ];
        if busy {
            writes.push(making_busy(jobs, job, &selection.employee_id).into());
        }
        let committed = jobs.table.commit("decide the job", writes).await?;
        match committed {
            Committed::Done => return Ok(Chosen::Now(ResponseSide::read(jobs, job).await?)),
            Committed::Refused {
                index: RESPONSE, ..
            } => return Ok(Chosen::TakenBack),
            Committed::Refused {
                index: EMPLOYEE, ..
            } => return Err(not_available()),
            Committed::Refused { .. } => side = ResponseSide::read(jobs, job).await?,
        }
    }
    let message = "could not decide the job: others changed it at the same time";
    Err(Failure::transient(reason::CONFLICT, message))
}

/// Rejects a response that is still pending; answers whether it was.
pub(crate) async fn reject(jobs: &Jobs, response: &str) -> Result<bool, Failure> {
    let update = Update::of(&jobs.names.matches, response_key(response))
        .set("status", text("rejected"))
        .when(When::Equal("status", text("pending")));
    let attempted = "reject the other responses";
    let committed = jobs.table.commit(attempted, vec![update.into()]).await?;
    Ok(matches!(committed, Committed::Done))
}

pub(crate) fn already_decided() -> Failure {
    let message =
        "another response to this job was selected before, or this one was, and is rejected now";
    Failure::permanent(reason::ALREADY_DECIDED, message)
}

fn not_available() -> Failure {
    let message = "the employee who was selected is not available, or busy with another job";
    Failure::permanent(reason::EMPLOYEE_NOT_AVAILABLE, message)
}

/// The status that the job's row says, and that it must still say when the job is decided.
struct JobStatus {
    there: bool,
    held: Option<AttributeValue>,
    seen: JobSeen,
    ended: bool,
}

impl JobStatus {
    fn of(row: Option<&Row>) -> Self {
        let held = row.and_then(|row| row.get("status")).cloned();
        let word = held.as_ref().and_then(|value| value.as_s().ok());
        let standing = word.and_then(|word| JobState::of_row(word));
        Self {
            there: row.is_some(),
            seen: match standing {
                _ if row.is_none() => JobSeen::Gone,
                Some(standing) if standing.is_over() => JobSeen::Completed,
                _ => JobSeen::Ahead,
            },
            ended: standing.is_some_and(JobState::is_ended),
            held,
        }
    }

    /// Closes the job, or at least asks that it still is as it was seen.
    fn closing(&self, jobs: &Jobs, job: &str) -> Write {
        let table = &jobs.names.jobs;
        let as_seen = match &self.held {
            _ if !self.there => When::Absent("jobId"),
            Some(held) => When::Equal("status", held.clone()),
            None => When::All(vec![When::Present("jobId"), When::Absent("status")]),
        };
        if self.there && !self.ended {
            let update = Update::of(table, ProgressStore::key(job)).set("status", text("closed"));
            return update.when(as_seen).into();
        }
        Write::Check {
            table: table.clone(),
            key: ProgressStore::key(job),
            when: as_seen,
        }
    }
}

fn decision(jobs: &Jobs, job: &str, selection: &Selection, side: &ResponseSide) -> Write {
    let said = [
        ("responseId", &selection.response_id),
        ("employeeId", &selection.employee_id),
        ("at", &iso(selection.at)),
    ];
    let said = said.map(|(name, value)| (name.to_owned(), text(value)));
    ResponseSide::change(jobs, job)
        .set("selected", AttributeValue::M(said.into()))
        .when(side.unchanged())
        .into()
}

fn still_selected(jobs: &Jobs, selection: &Selection) -> Write {
    Write::Check {
        table: jobs.names.matches.clone(),
        key: response_key(&selection.response_id),
        when: When::Equal("status", text("selected")),
    }
}

fn making_busy(jobs: &Jobs, job: &str, employee: &str) -> Update {
    let available = When::Equal("employeeStatus", text("available"));
    let busy_with_this = When::All(vec![
        When::Equal("employeeStatus", text("busy")),
        When::Equal("currentJobId", text(job)),
    ]);
    Update::of(&jobs.names.users, key([("userId", employee)]))
        .set("employeeStatus", text("busy"))
        .set("currentJobId", text(job))
        .when(if mutation::on(mutation::BUSY_UNCONDITIONAL) {
            When::Present("userId")
        } else {
            When::Any(vec![available, busy_with_this])
        })
}

fn response_key(response: &str) -> Row {
    key([("responseId", response)])
}
