//! `settle-job`: a job has ended, or is looked for again, or somebody wrote over what was in its row.
//!
//! `completed`, and the removal of the row: whoever was chosen is available again. `closed`, `completed` and the removal: candidates
//! who have not been told are withdrawn, and the row expires 90 days later. Choosing somebody closes the job too, so
//! `closed` frees nobody: it would undo in the same moment that they are busy. Back to `matching` takes the expiry away.
//!
//! How the job stands is noted under the version of its row's change, and the fence of scoring is taken with it. When the job was over
//! is noted beside, as the latest time that was told, so that whoever was chosen is freed although a newer change was
//! heard of first. Then everything outside is brought to what is noted, also when it was noted before: the event
//! may be one whose handler died in between.

use millrace_cloud::clock::iso;
use millrace_delivery::{Cx, Worker};
use millrace_effects::Updated;
use millrace_events::{Failure, Item, Outcome, RowChange, RowChangeKind, reason};
use serde_dynamo::AttributeValue as Attribute;

use crate::{
    context::Jobs,
    progress::{Claimed, Held, Stage},
    projection::{PROJECTED, project},
    release::release,
    responses::{JobState, ResponseSide},
    rows::key_id,
};

/// How often a commit that lost a race looks again before the record is handed back.
const RACES: u32 = 6;

/// Listens to the table of jobs; its own writes end as `Already`.
#[derive(Clone)]
pub struct SettleJob(pub Jobs);

/// What a change of the job's row asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The job stands otherwise than before.
    Stands(JobState),
    /// A new row whose job is looked for.
    Begins,
    /// Somebody wrote what is projected there.
    Project,
    /// Nothing of that.
    Nothing(&'static str),
}

impl Worker for SettleJob {
    const NAME: &'static str = "settle-job";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        let job = &*key_id(&change.keys, "jobId")?;
        let step = match Step::of(&change)? {
            Step::Nothing(why) => return Ok(Outcome::Ignored(why)),
            step => step,
        };
        let side = ResponseSide::read(jobs, job).await?;
        let state = match step {
            Step::Stands(state) => state,
            // Only a row that was there before and is put again has something to be noted.
            Step::Begins if side.standing.is_none() => return Ok(Outcome::Ignored("a new job")),
            Step::Begins => JobState::Matching,
            Step::Project | Step::Nothing(_) => {
                let projected = project(jobs, job, side).await?;
                return Ok(if projected.changed {
                    Outcome::Applied
                } else {
                    Outcome::Already
                });
            }
        };
        let (noted, side) = note(jobs, job, state, side, cx).await?;
        let settled = settle(jobs, job, state, side, cx).await?;
        Ok(match noted {
            Noted::Now => Outcome::Applied,
            _ if settled => Outcome::Applied,
            Noted::Before => Outcome::Already,
            Noted::Newer => Outcome::Superseded,
        })
    }
}

impl Step {
    fn of(change: &RowChange) -> Result<Self, Failure> {
        if change.kind == RowChangeKind::Removed {
            return Ok(Self::Stands(JobState::Removed));
        }
        let Some(new) = &change.new else {
            let message = "the record of a job that was written has no new image";
            return Err(Failure::permanent(reason::MALFORMED_EVENT, message));
        };
        let (new_status, old_status) = (status(Some(new)), status(change.old.as_ref()));
        let Some(standing) = new_status.and_then(JobState::of_row) else {
            return Ok(Self::Nothing("a status that this worker does not know"));
        };
        if change.kind == RowChangeKind::Inserted && standing == JobState::Matching {
            return Ok(Self::Begins);
        }
        if new_status != old_status {
            return Ok(Self::Stands(standing));
        }
        let old = change.old.as_ref();
        let written = |name: &&str| old.and_then(|old| old.get(*name)) != new.get(*name);
        Ok(if PROJECTED.iter().any(written) {
            Self::Project
        } else {
            Self::Nothing("nothing that this worker looks at has changed")
        })
    }
}

fn status(row: Option<&Item>) -> Option<&str> {
    match row?.get("status") {
        Some(Attribute::S(word)) => Some(word),
        _ => None,
    }
}

/// How noting a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    /// It is noted now.
    Now,
    /// It was noted before.
    Before,
    /// A newer one was.
    Newer,
}

/// Notes how the job stands since the change of this record; answers what is known then.
async fn note(
    jobs: &Jobs,
    job: &str,
    state: JobState,
    mut side: ResponseSide,
    cx: &Cx,
) -> Result<(Noted, ResponseSide), Failure> {
    let version = &cx.record.version;
    let at = cx.record.occurred_at.unwrap_or(cx.now);
    for _ in 0..RACES {
        let newer = side.standing_version.as_ref() > Some(version);
        let Some(change) = side.standing_change(jobs, job, state, version, at) else {
            return Ok((if newer { Noted::Newer } else { Noted::Before }, side));
        };
        match jobs.table.update("note how the job stands", change).await? {
            Updated::Done(row) => {
                let side = ResponseSide::of(Some(&row))?;
                return Ok((if newer { Noted::Newer } else { Noted::Now }, side));
            }
            Updated::Refused(row) => side = ResponseSide::of(row.as_ref())?,
        }
    }
    let message = "could not note how the job stands: others were faster";
    Err(Failure::transient(reason::CONFLICT, message))
}

/// Brings everything outside to what is noted; answers whether something was otherwise.
async fn settle(
    jobs: &Jobs,
    job: &str,
    state: JobState,
    side: ResponseSide,
    cx: &Cx,
) -> Result<bool, Failure> {
    let mut changed = state.is_ended() && end_scoring(jobs, job, cx).await?;
    if let Some(chosen) = side.released() {
        changed |= release(jobs, job, &chosen.employee_id).await?;
    }
    Ok(project(jobs, job, side).await?.changed || changed)
}

/// Takes the fence from scoring and withdraws who has not been told; answers whether that was still to be done.
async fn end_scoring(jobs: &Jobs, job: &str, cx: &Cx) -> Result<bool, Failure> {
    let version = &cx.record.version;
    let claimed = jobs
        .progress
        .claim(job, version, Stage::Settled, |update| update);
    let Claimed::Granted(claim, _) = claimed.await? else {
        return Ok(false);
    };
    let now = iso(cx.now);
    let mut held = jobs.candidates.withdraw(&claim, &now).await?;
    if held == Held::Yes {
        held = jobs
            .progress
            .finish(&claim, Stage::Settled, |update| update)
            .await?;
    }
    match held {
        Held::Yes => Ok(true),
        Held::Superseded => Ok(false),
        Held::TakenOver => Err(Failure::transient(
            reason::CONFLICT,
            "the same change of the job is being settled elsewhere",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn step(kind: RowChangeKind, old: Option<Value>, new: Option<Value>) -> Step {
        let row = |value: Value| serde_json::from_value(value).unwrap();
        let change = RowChange {
            kind,
            table: "jetbond-jobs".to_owned(),
            keys: row(json!({"jobId": {"S": "j"}})),
            new: new.map(row),
            old: old.map(row),
            by_ttl: false,
        };
        Step::of(&change).unwrap()
    }

    fn modified(old: Value, new: Value) -> Step {
        step(RowChangeKind::Modified, Some(old), Some(new))
    }

    fn job(status: &str) -> Value {
        json!({"jobId": {"S": "j"}, "status": {"S": status}, "title": {"S": "t"}})
    }

    #[test]
    fn a_change_of_the_status_says_how_the_job_stands() {
        for (word, state) in [
            ("closed", JobState::Closed),
            ("completed", JobState::Completed),
        ] {
            let expected = Step::Stands(state);
            assert_eq!(modified(job("matching"), job(word)), expected);
            assert_eq!(
                step(RowChangeKind::Inserted, None, Some(job(word))),
                expected
            );
        }
        let back = modified(job("closed"), job("matching"));
        assert_eq!(back, Step::Stands(JobState::Matching));
        let removed = step(RowChangeKind::Removed, Some(job("matching")), None);
        assert_eq!(removed, Step::Stands(JobState::Removed));
        let new = step(RowChangeKind::Inserted, None, Some(job("matching")));
        assert_eq!(new, Step::Begins);
    }

    #[test]
    fn what_is_written_over_is_projected_again_and_nothing_else() {
        for attribute in ["matchingWindow", "expiresAt"] {
            let mut with = job("closed");
            with[attribute] = json!({"M": {}});
            assert_eq!(modified(with, job("closed")), Step::Project, "{attribute}");
        }
        let mut title = job("matching");
        title["title"] = json!({"S": "another"});
        assert!(matches!(modified(job("matching"), title), Step::Nothing(_)));
    }

    #[test]
    fn a_status_that_nobody_knows_is_nobodys_business() {
        let draft = modified(job("matching"), job("draft"));
        assert!(matches!(draft, Step::Nothing(_)));
        // The row's own word for a removed one is none of the platform's.
        let removed = modified(job("matching"), job("removed"));
        assert!(matches!(removed, Step::Nothing(_)));
    }
}
