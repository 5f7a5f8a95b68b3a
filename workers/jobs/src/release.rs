//! People are available again when the job that kept them busy is over.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_effects::{Committed, Row, Update, When, key};
use millrace_events::{Failure, mutation, reason};

use crate::{attributes::text, context::Jobs};

/// Frees a person from this job; answers whether they were still bound to it. Who has another job by now, or none, is left as
/// they are, and who is neither busy nor available (`inactive`) stays so.
pub(crate) async fn release(jobs: &Jobs, job: &str, employee: &str) -> Result<bool, Failure> {
    let attempted = "make the employee available again";
    let bound = if mutation::on(mutation::FREED_FROM_ANOTHER_JOB) {
        When::Present("userId")
    } else {
        When::Equal("currentJobId", text(job))
    };
    let busy = When::Equal("employeeStatus", text("busy"));
    let free = unbound(jobs, employee)
        .set("employeeStatus", text("available"))
        .when(bound.clone())
        .when(busy);
    let row = match jobs.table.commit(attempted, vec![free.into()]).await? {
        Committed::Done => return Ok(true),
        Committed::Refused { current, .. } => current,
    };
    let Some(row) = row.filter(|row| is_bound_to(row, job)) else {
        return Ok(false);
    };
    let as_it_was = match row.get("employeeStatus") {
        Some(status) => When::Equal("employeeStatus", status.clone()),
        None => When::Absent("employeeStatus"),
    };
    let update = unbound(jobs, employee).when(bound).when(as_it_was);
    match jobs.table.commit(attempted, vec![update.into()]).await? {
        Committed::Done => Ok(true),
        Committed::Refused { .. } => Err(Failure::transient(
            reason::CONFLICT,
            format!("could not {attempted}: the row was changed at the same time"),
        )),
    }
}

fn unbound(jobs: &Jobs, employee: &str) -> Update {
    Update::of(&jobs.names.users, key([("userId", employee)]))
        .set("currentJobId", AttributeValue::Null(true))
}

fn is_bound_to(row: &Row, job: &str) -> bool {
    let current = row.get("currentJobId").and_then(|value| value.as_s().ok());
    current.is_some_and(|current| current == job)
}
