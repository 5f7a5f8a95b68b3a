//! `notify-candidate`: somebody is chosen for a job; they are told, once.

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_delivery::{Cx, Worker};
use millrace_effects::{Row, Updated, When};
use millrace_events::{Failure, Outcome, RowChange, RowChangeKind, mutation, reason};

use crate::{
    attributes::{map, number, text},
    candidates::{Candidate, State, Told},
    context::Jobs,
    fields::malformed,
    notice::Notice,
    progress::{Progress, Stage},
    rows::key_id,
    stepping::now,
};

/// How often a decision is looked at again when scoring rewrote the row in between.
const LOOKS: usize = 5;

/// Listens to rows of the candidates table that become `chosen`. Guard: the row's `state`, which goes from `chosen` to `telling` once, with the
/// message; that is the decision. Publishing and marking follow from the row and may be done again.
#[derive(Clone)]
pub struct NotifyCandidate(pub Jobs);

impl Worker for NotifyCandidate {
    const NAME: &'static str = "notify-candidate";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let job_id = key_id(&change.keys, "jobId")?;
        let employee = key_id(&change.keys, "employeeId")?;
        if change.kind == RowChangeKind::Removed {
            return Ok(Outcome::Ignored("the candidate was removed"));
        }
        let image = change
            .new
            .ok_or_else(|| malformed("the record has no new image"))?;
        let candidate = Candidate::of(Row::from(image))?;
        if candidate.state != State::Chosen {
            return Ok(Outcome::Ignored("not somebody to be told"));
        }
        match self.decide(&job_id, &employee, candidate).await? {
            Decision::Tell(notice) => self.tell(&job_id, &employee, &notice).await,
            Decision::Not(outcome) => Ok(outcome),
        }
    }
}

enum Decision {
    Tell(Box<Notice>),
    Not(Outcome),
}

const GONE: Decision = Decision::Not(Outcome::Ignored("the candidate is gone"));

/// The decision that stands in a row; `None` when none was taken.
fn taken(row: Candidate) -> Result<Option<Decision>, Failure> {
    match row.state {
        State::Told => Ok(Some(Decision::Not(Outcome::Already))),
        State::Telling => {
            let notice = row.notice.ok_or_else(|| {
                malformed("a candidate is being told, and their row has no message")
            })?;
            Ok(Some(Decision::Tell(Box::new(notice))))
        }
        State::Chosen | State::Reserve | State::Withdrawn => Ok(None),
    }
}

impl NotifyCandidate {
    /// Takes the decision to tell, and keeps the message in the row. A decision taken before is as good.
    async fn decide(
        &self,
        job_id: &str,
        employee: &str,
        mut seen: Candidate,
    ) -> Result<Decision, Failure> {
        let Self(jobs) = self;
        for _ in 0..LOOKS {
            let progress = jobs.progress.read(job_id).await?;
            let Some(job) = progress.as_ref().and_then(|now| open_for(now, &seen)) else {
                // A newer version was claimed: whoever did so decides on this row, or withdraws it. But a decision that was taken
                // before, by a worker that ended before it published, is still to be carried out.
                let current = jobs.candidates.read(job_id, employee).await?;
                let Some(current) = current else {
                    return Ok(GONE);
                };
                let superseded = Decision::Not(Outcome::Superseded);
                return Ok(taken(current)?.unwrap_or(superseded));
            };
            let notice = Notice::candidate_matched(job, employee, seen.score)?;
            let told = Told {
                job_version: seen.job_version.clone(),
                score: seen.score,
                rank: seen.rank,
            };
            let update = jobs
                .candidates
                .change(job_id, employee)
                .set("state", text(State::Telling.word()))
                .set("notificationId", text(&*notice.notification_id))
                .set("notice", notice.to_attribute()?)
                .set("told", map(&told)?)
                // As a round that is gone through once more after this says it.
                .set("stillMatches", AttributeValue::Bool(true))
                .when(When::All(if mutation::on(mutation::TOLD_UNGUARDED) {
                    vec![When::Present("jobId")]
                } else {
                    vec![
                        When::Equal("state", text(State::Chosen.word())),
                        When::Equal("jobVersion", text(&*seen.job_version)),
                        When::Equal("score", number(seen.score)),
                    ]
                }));
            let current = match jobs.table.update("decide to tell", update).await? {
                Updated::Done(_) => return Ok(Decision::Tell(Box::new(notice))),
                Updated::Refused(None) => return Ok(GONE),
                Updated::Refused(Some(row)) => Candidate::of(row)?,
            };
            if current.state == State::Chosen {
                seen = current;
            } else {
                let superseded = Decision::Not(Outcome::Superseded);
                return Ok(taken(current)?.unwrap_or(superseded));
            }
        }
        Err(Failure::transient(
            reason::CONFLICT,
            "the candidate's row was rewritten again and again",
        ))
    }

    /// Publishes what the row says, and marks it.
    async fn tell(
        &self,
        job_id: &str,
        employee: &str,
        notice: &Notice,
    ) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        let publish = || notice.publish(&jobs.clients.sns, &jobs.names.topic);
        let is_late = mutation::on(mutation::MARKED_BEFORE_PUBLISHED);
        if !is_late {
            publish().await?;
        }
        let mark = jobs
            .candidates
            .change(job_id, employee)
            .set("state", text(State::Told.word()))
            .set("notifiedAt", text(now(jobs)))
            .when(When::Equal("state", text(State::Telling.word())));
        // Refused: another delivery of the same record has marked it.
        jobs.table
            .update("mark the candidate as told", mark)
            .await?;
        if is_late {
            publish().await?;
        }
        Ok(Outcome::Applied)
    }
}

/// What is said of the job, if the candidate is one of its newest version's.
fn open_for<'a>(
    progress: &'a Progress,
    candidate: &Candidate,
) -> Option<&'a crate::notice::JobSaid> {
    let is_open = matches!(progress.status, Some(Stage::Scoring | Stage::Scored));
    let is_of_it = progress.version.as_deref() == Some(candidate.job_version.as_str());
    progress.job.as_ref().filter(|_| is_open && is_of_it)
}
