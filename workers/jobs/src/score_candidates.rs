//! `score-candidates`: a job is posted or edited; who suits it stands in the candidates table, best first.

use millrace_cloud::clock::iso;
use millrace_delivery::{Cx, Worker};
use millrace_effects::{Update, Updated, When, key};
use millrace_events::{Failure, Outcome, RowChange, RowChangeKind, mutation, reason};
use millrace_vectors::Embedding;

use crate::{
    attributes::{bytes, map, text},
    candidates::Round,
    context::{JOB_CACHED, Jobs},
    fields::{Fields, JobFields as _, malformed},
    notice::JobSaid,
    profiles::KEYS_PER_READ,
    progress::{Claim, Claimed, Counts, Held, Stage},
    rows::{Job, JobStatus, embedding_of, key_id},
    scoring::{Score, Wanted, judge, proposed, ranked},
    stepping::{now, too_large_or, waits},
};

/// Listens to the jobs table. Guard: the claim in the job's progress, asked for by every transaction; its own write into the job's row ends as
/// `Ignored`.
#[derive(Clone)]
pub struct ScoreCandidates(pub Jobs);

/// What a change of a job's row means for its candidates.
enum Matter {
    /// It is to be scored.
    Score(Box<Job>),
    /// Nothing changed that scoring looks at, but the vector is not there, or not ours.
    Embedding(Box<Job>),
    /// Nothing.
    Nothing(&'static str),
}

impl Matter {
    fn of(jobs: &Jobs, change: &RowChange) -> Result<Self, Failure> {
        if change.kind == RowChangeKind::Removed {
            return Ok(Self::Nothing("the job was removed"));
        }
        let new = change.new.as_ref();
        let new = new.ok_or_else(|| malformed("the record has no new image"))?;
        if JobStatus::of(new)? != Some(JobStatus::Matching) {
            return Ok(Self::Nothing("the job wants nobody"));
        }
        let job = Job::of(new)?;
        let before = change.old.as_ref();
        let before =
            before.filter(|old| matches!(JobStatus::of(old), Ok(Some(JobStatus::Matching))));
        let before = before.and_then(|old| Job::of(old).ok());
        if !before.is_some_and(|before| before.is_scored_as(&job)) {
            return Ok(Self::Score(Box::new(job)));
        }
        let of = embedding_of(jobs.embedder.model(), &job.text);
        let row = Fields::of("jobs row", new);
        let is_own = row.text("embeddingOf").ok().flatten() == Some(of.as_str());
        let embedding = row.embedding("embedding", jobs.embedder.dimensions());
        if is_own && embedding.is_some() {
            return Ok(Self::Nothing("nothing that scoring looks at changed"));
        }
        Ok(Self::Embedding(Box::new(job)))
    }
}

impl Worker for ScoreCandidates {
    const NAME: &'static str = "score-candidates";
    type Event = RowChange;

    fn steps_aside(failure: &Failure) -> bool {
        waits(failure)
    }

    async fn handle(&self, change: RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        let job_id = key_id(&change.keys, "jobId")?;
        let failure = match self.follow(&job_id, &change, cx).await {
            Err(failure) if !failure.is_transient() => failure,
            ended => return ended,
        };
        // What is wrong with an old change does not matter once a newer one was claimed.
        match jobs.progress.read(&job_id).await? {
            Some(progress) if progress.is_past(&cx.record.version) => Ok(Outcome::Superseded),
            _ => Err(failure),
        }
    }

    /// A job that cannot be scored has no candidates: whoever was not told of an older version is not told any more.
    async fn give_up(&self, change: RowChange, failure: &Failure, cx: &Cx) -> Result<(), Failure> {
        let Self(jobs) = self;
        let Ok(job_id) = key_id(&change.keys, "jobId") else {
            return Ok(());
        };
        let matter = Matter::of(jobs, &change);
        if let Ok(Matter::Nothing(_) | Matter::Embedding(_)) = matter {
            return Ok(());
        }
        let version = &cx.record.version;
        let claimed = jobs
            .progress
            .claim(&job_id, version, Stage::Scoring, |row| row);
        let Claimed::Granted(claim, _) = claimed.await? else {
            return Ok(());
        };
        match jobs.candidates.withdraw(&claim, &now(jobs)).await? {
            Held::Yes => {}
            Held::Superseded => return Ok(()),
            Held::TakenOver => return Err(taken_over()),
        }
        let code = failure.reason().code();
        jobs.progress.fail(&claim, code).await.map(|_| ())
    }
}

impl ScoreCandidates {
    async fn follow(&self, job_id: &str, change: &RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        let job = match Matter::of(jobs, change)? {
            Matter::Nothing(why) => return Ok(Outcome::Ignored(why)),
            Matter::Embedding(job) => {
                let embedding = self.embed(&job).await?;
                self.write_back(change, &job, &embedding).await?;
                return Ok(Outcome::Applied);
            }
            Matter::Score(job) => *job,
        };
        let as_of = cx.record.occurred_at.ok_or_else(|| {
            Failure::permanent(
                reason::MALFORMED_EVENT,
                "the record does not say when the job was changed",
            )
        })?;
        let as_of = if mutation::on(mutation::SEEN_BY_WALL_CLOCK) {
            cx.now
        } else {
            as_of
        };
        let said = map(&JobSaid::of(&job))?;
        let more = |row: Update| row.set("asOf", text(iso(as_of))).set("job", said);
        let version = &cx.record.version;
        let claimed = jobs.progress.claim(job_id, version, Stage::Scoring, more);
        let claim = match claimed.await? {
            Claimed::Granted(claim, row) if row.contains_key("selected") => {
                return self.decided(&claim).await;
            }
            Claimed::Granted(claim, _) => claim,
            Claimed::Already(_) => return Ok(Outcome::Already),
            Claimed::Superseded(_) => return Ok(Outcome::Superseded),
        };
        let embedding = self.embed(&job).await?;
        self.write_back(change, &job, &embedding).await?;
        let wanted = Wanted::of(&job, as_of, embedding);
        let held = self.round(&claim, &job, &wanted).await?;
        match held {
            Held::Yes => Ok(Outcome::Applied),
            Held::Superseded => Ok(Outcome::Superseded),
            Held::TakenOver => Err(taken_over()),
        }
    }

    /// Somebody was chosen for the job, and a late write of the whole row says `matching` again: nobody else is told.
    async fn decided(&self, claim: &Claim) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        let mut held = jobs.candidates.withdraw(claim, &now(jobs)).await?;
        if held == Held::Yes {
            held = jobs
                .progress
                .finish(claim, Stage::Settled, |row| row)
                .await?;
        }
        match held {
            Held::Yes => Ok(Outcome::Applied),
            Held::Superseded => Ok(Outcome::Superseded),
            Held::TakenOver => Err(taken_over()),
        }
    }

    /// Searches, decides and writes, under the claim.
    async fn round(&self, claim: &Claim, job: &Job, wanted: &Wanted) -> Result<Held, Failure> {
        let Self(jobs) = self;
        let (found, qualified) = self.qualified(wanted).await?;
        let cap = jobs.rules.told_per_job;
        let people = ranked(qualified);
        let round = Round {
            job_id: &claim.job_id,
            version: claim.version.as_str(),
            as_of: &iso(wanted.as_of),
            ranked: &people,
            cap,
            now: &now(jobs),
        };
        match jobs.candidates.decide(claim, &round).await? {
            Held::Yes => {}
            lost => return Ok(lost),
        }
        let counts = map(&Counts {
            found: found as u64,
            qualified: people.len() as u64,
            cap: cap as u64,
        })?;
        let of = embedding_of(jobs.embedder.model(), &job.text);
        let more = |row: Update| {
            row.set("embedding", bytes(&wanted.embedding))
                .set("embeddingOf", text(of))
                .set("counts", counts)
        };
        jobs.progress.finish(claim, Stage::Scored, more).await
    }

    /// How many the index proposed, and who of them qualifies by their rows.
    async fn qualified(&self, wanted: &Wanted) -> Result<(usize, Vec<(String, Score)>), Failure> {
        let Self(jobs) = self;
        let (filter, at_least) = proposed(wanted);
        let found = jobs.profiles.within(&wanted.embedding, &filter, at_least);
        let found = found.await?;
        let model = jobs.embedder.model().as_str();
        let mut qualified = Vec::new();
        for some in found.chunks(KEYS_PER_READ) {
            let ids: Vec<String> = some.iter().map(|found| found.id.clone()).collect();
            for profile in jobs.people.read_many(&ids).await? {
                // Vectors of two models say nothing about each other.
                if profile.present && profile.model.as_deref() != Some(model) {
                    continue;
                }
                if let Ok(score) = judge(wanted, &profile) {
                    qualified.push((profile.user_id, score));
                }
            }
        }
        Ok((found.len(), qualified))
    }

    async fn embed(&self, job: &Job) -> Result<Embedding, Failure> {
        let Self(jobs) = self;
        let texts = [job.text.clone()];
        let asked = jobs
            .cache
            .embed(&*jobs.embedder, &texts, JOB_CACHED, jobs.clock.now());
        asked.await?.pop().ok_or_else(|| {
            Failure::permanent(reason::MODEL_MISMATCH, "the embedder answered no vector")
        })
    }

    /// Writes the vector into the job's row if its text is still this one and the vector is not there.
    async fn write_back(
        &self,
        change: &RowChange,
        job: &Job,
        embedding: &Embedding,
    ) -> Result<(), Failure> {
        let Self(jobs) = self;
        let of = embedding_of(jobs.embedder.model(), &job.text);
        let unchanged = |name: &'static str| {
            let value = change.new.as_ref().and_then(|row| row.get(name));
            match value {
                Some(value) => When::Equal(name, value.clone().into()),
                None => When::Absent(name),
            }
        };
        let update = Update::of(&jobs.names.jobs, key([("jobId", &*job.job_id)]))
            .set("embedding", bytes(embedding))
            .set("embeddingOf", text(&*of))
            .when(When::All(vec![
                When::Present("jobId"),
                unchanged("title"),
                unchanged("description"),
                When::Any(vec![
                    When::Absent("embeddingOf"),
                    When::NotEqual("embeddingOf", text(&*of)),
                    When::Absent("embedding"),
                    When::NotEqual("embedding", bytes(embedding)),
                ]),
            ]));
        match jobs.table.update("write the job's embedding", update).await {
            Ok(Updated::Done(_) | Updated::Refused(_)) => Ok(()),
            Err(failure) => Err(too_large_or(failure, "the jobs row")),
        }
    }
}

fn taken_over() -> Failure {
    Failure::transient(
        reason::CONFLICT,
        "another delivery of the same change took the job over",
    )
}
