//! Candidates of a job that has ended, and who have not been told, are not told any more.

use millrace_cloud::classify;
use millrace_effects::{Committed, Row, Update, When, Write, key};
use millrace_events::{Failure, reason};

use crate::{
    attributes::text,
    context::Jobs,
    progress::{Claim, Held, ProgressStore},
};

/// States of a candidate who has not been told.
const UNTOLD: [&str; 2] = ["chosen", "reserve"];

/// DynamoDB's limit for one transaction, less the check of the claim.
const ROWS_AT_ONCE: usize = 99;

/// How often a round that lost a race is made again before the record is handed back.
const RACES: u32 = 6;

/// Withdraws who has not been told, as long as the claim holds.
///
/// Who is being told at this moment (`telling`) is told: that was decided before the job ended.
///
/// # Errors
/// `conflict` when others were faster too often.
pub(crate) async fn withdraw(jobs: &Jobs, claim: &Claim) -> Result<Held, Failure> {
    for _ in 0..RACES {
        let mut lost = false;
        for rows in untold(jobs, &claim.job_id).await?.chunks(ROWS_AT_ONCE) {
            let mut writes = vec![jobs.progress.holds(claim)];
            writes.extend(rows.iter().map(|row| row.withdrawing(jobs, claim)));
            let attempted = "withdraw the candidates who have not been told";
            match jobs.table.commit(attempted, writes).await? {
                Committed::Done => {}
                Committed::Refused { index: 0, current } => {
                    return Ok(ProgressStore::refused(claim, current.as_ref()));
                }
                Committed::Refused { .. } => lost = true,
            }
        }
        if !lost {
            return Ok(Held::Yes);
        }
    }
    let message = "could not withdraw the candidates: others changed them at the same time";
    Err(Failure::transient(reason::CONFLICT, message))
}

/// A candidate who has not been told.
struct Untold {
    employee: String,
    state: String,
}

async fn untold(jobs: &Jobs, job: &str) -> Result<Vec<Untold>, Failure> {
    let mut found = Vec::new();
    let mut start: Option<Row> = None;
    loop {
        let query = jobs.clients.dynamodb.query();
        let answer = query
            .table_name(&jobs.names.candidates)
            .consistent_read(true)
            .key_condition_expression("jobId = :job")
            .expression_attribute_values(":job", text(job))
            .projection_expression("employeeId, #state")
            .expression_attribute_names("#state", "state")
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| classify("read the candidates of the job", error))?;
        let rows = answer.items.unwrap_or_default();
        found.extend(rows.iter().filter_map(Untold::of));
        start = answer.last_evaluated_key;
        if start.is_none() {
            return Ok(found);
        }
    }
}

impl Untold {
    fn of(row: &Row) -> Option<Self> {
        let word = |name| row.get(name).and_then(|value| value.as_s().ok()).cloned();
        let state = word("state").filter(|state| UNTOLD.contains(&state.as_str()))?;
        let employee = word("employeeId")?;
        Some(Self { employee, state })
    }

    fn withdrawing(&self, jobs: &Jobs, claim: &Claim) -> Write {
        let key = key([
            ("jobId", claim.job_id.as_str()),
            ("employeeId", self.employee.as_str()),
        ]);
        Update::of(&jobs.names.candidates, key)
            .set("state", text("withdrawn"))
            .when(When::Equal("state", text(self.state.as_str())))
            .into()
    }
}
