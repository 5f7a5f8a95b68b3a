//! `record-response`: somebody answered to a job, or was chosen, or was not.
//!
//! A `pending` response is collected once, and the job's employer is told of it, whether it came in time, late or after the
//! decision: which of these it is depends on what else was heard of by then, and nobody may be told something else because
//! events came in another order. The first one opens the window. A response to a job that is decided is rejected.
//!
//! A `selected` one decides the job. One transaction asks that the response still says so, notes the decision, closes the job and
//! makes the person busy, unless the job is over already; then the other responses are rejected, and the stream's
//! records of those very writes make this worker tell the people who gave them.

use millrace_delivery::{Cx, Worker};
use millrace_effects::Updated;
use millrace_events::{Failure, Outcome, RowChange, RowChangeKind, reason};

use crate::{
    choosing::{Chosen, already_decided, choose, reject},
    close_window::look_at,
    context::Jobs,
    decision::Selection,
    fields::malformed,
    notice::{JobSaid, Notice, Recipient},
    outbox::tell,
    progress::ProgressStore,
    projection::project,
    responses::ResponseSide,
    rows::{Job, MatchStatus, Response, item_of},
    window,
};

/// How often a commit that lost a race looks again before the record is handed back.
const RACES: u32 = 6;

/// Listens to the table of matches: a row for each response.
#[derive(Clone)]
pub struct RecordResponse(pub Jobs);

impl Worker for RecordResponse {
    const NAME: &'static str = "record-response";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        if change.kind == RowChangeKind::Removed {
            return Ok(Outcome::Ignored("the response was removed"));
        }
        let new = change.new.as_ref();
        let new = new.ok_or_else(|| malformed("the matches row has no new image"))?;
        let response = Response::of(new)?;
        // It becomes the name of an attribute, in whose path a dot has a meaning.
        if response.response_id.contains('.') {
            let message = "`responseId` of the matches row has a dot";
            return Err(Failure::permanent(reason::INVALID_ID, message));
        }
        let turn = Turn::begin(jobs, &response, cx).await?;
        let changed = match response.status {
            MatchStatus::Pending => turn.pending().await?,
            MatchStatus::Selected => match turn.selected().await? {
                Some(changed) => changed,
                None => return Ok(Outcome::Superseded),
            },
            MatchStatus::Rejected => turn.rejected().await?,
        };
        Ok(if changed {
            Outcome::Applied
        } else {
            Outcome::Already
        })
    }
}

/// One response's turn.
struct Turn<'a> {
    jobs: &'a Jobs,
    response: &'a Response,
    cx: &'a Cx,
    /// The responses' side of the job's progress, as it was.
    side: ResponseSide,
    /// What people are told of the job.
    said: JobSaid,
}

impl<'a> Turn<'a> {
    async fn begin(jobs: &'a Jobs, response: &'a Response, cx: &'a Cx) -> Result<Self, Failure> {
        let side = ResponseSide::read(jobs, &response.job_id).await?;
        // The version that was scored is what people know; a job that never was has its row at least.
        let said = match &side.job {
            Some(said) => said.clone(),
            None => said_by_its_row(jobs, &response.job_id).await?,
        };
        Ok(Self {
            jobs,
            response,
            cx,
            side,
            said,
        })
    }

    async fn pending(self) -> Result<bool, Failure> {
        let (jobs, response) = (self.jobs, self.response);
        let (collected, side) = self.collect().await?;
        let projected = project(jobs, &response.job_id, side).await?;
        let mut changed = collected || projected.changed;
        let side = projected.side;
        let open = side.window().filter(|_| !side.window_closed);
        // Whoever is here again has not seen that the message was sent.
        if let Some(window) = open
            && side.is_first(&response.response_id)
        {
            look_at(jobs, &response.job_id, window.look(self.cx.now)).await?;
        }
        let chosen = side.selected.as_ref();
        if chosen.is_some_and(|chosen| chosen.response_id != response.response_id) {
            changed |= reject(jobs, &response.response_id).await?;
        }
        let notice = Notice::response_received(&self.said, &response.response_id)?;
        Ok(self.tell(&notice).await? || changed)
    }

    /// `None` when the response is not selected any more.
    async fn selected(self) -> Result<Option<bool>, Failure> {
        let (jobs, response) = (self.jobs, self.response);
        let (collected, side) = self.collect().await?;
        let selection = Selection {
            response_id: response.response_id.clone(),
            employee_id: response.employee_id.clone(),
            at: self.cx.record.occurred_at.unwrap_or(self.cx.now),
        };
        let (now, side) = match choose(jobs, &response.job_id, &selection, side).await? {
            Chosen::Now(side) => (true, side),
            Chosen::Before(side) => (false, side),
            Chosen::TakenBack => return Ok(None),
        };
        let projected = project(jobs, &response.job_id, side).await?;
        let mut changed = collected || now || projected.changed;
        let known = projected.side.responses.keys();
        for other in known.filter(|id| **id != response.response_id) {
            changed |= reject(jobs, other).await?;
        }
        let employee = Recipient::Employee(response.employee_id.clone());
        let employer = Recipient::Employer(self.said.employer_id.clone());
        for told in [employee, employer] {
            let notice = Notice::selected(&self.said, &response.response_id, &told)?;
            changed |= self.tell(&notice).await?;
        }
        Ok(Some(changed))
    }

    async fn rejected(self) -> Result<bool, Failure> {
        let Response {
            response_id,
            employee_id,
            ..
        } = self.response;
        let chosen = self.side.selected.as_ref();
        if chosen.is_some_and(|chosen| chosen.response_id == *response_id) {
            return Err(already_decided());
        }
        let notice = Notice::rejected(&self.said, response_id, employee_id)?;
        self.tell(&notice).await
    }

    /// Notes the response in the job's progress; answers whether it was new, and the progress with it.
    async fn collect(&self) -> Result<(bool, ResponseSide), Failure> {
        let Response {
            job_id,
            response_id,
            ..
        } = self.response;
        let given = window::Response::of(self.response);
        let mut side = self.side.clone();
        for _ in 0..RACES {
            let Some(update) = side.collecting(self.jobs, job_id, response_id, &given) else {
                return Ok((false, side));
            };
            match self
                .jobs
                .table
                .update("collect the response", update)
                .await?
            {
                Updated::Done(row) => return Ok((true, ResponseSide::of(Some(&row))?)),
                Updated::Refused(row) => side = ResponseSide::of(row.as_ref())?,
            }
        }
        let message = "could not collect the response: others were faster";
        Err(Failure::transient(reason::CONFLICT, message))
    }

    async fn tell(&self, notice: &Notice) -> Result<bool, Failure> {
        tell(self.jobs, &self.response.job_id, notice, self.cx).await
    }
}

async fn said_by_its_row(jobs: &Jobs, job: &str) -> Result<JobSaid, Failure> {
    let row = jobs
        .table
        .read(&jobs.names.jobs, ProgressStore::key(job))
        .await?;
    let row = row.ok_or_else(|| {
        let message = "the response is to a job that has no row and was never scored";
        Failure::permanent(reason::UNKNOWN_JOB, message)
    })?;
    Ok(JobSaid::of(&Job::of(&item_of(row))?))
}
