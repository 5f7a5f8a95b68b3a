//! Why somebody was told of a job, or was not: from the rows, component by component.
//!
//! What was decided stands in the candidate's row. For somebody who never was a candidate the filters are asked again, with the job as
//! it was scored and the profile as it is now; when the profile passes them all now, it has changed since.

use std::fmt;

use millrace_effects::Row;
use millrace_events::Failure;
use serde::Serialize;
use serde_dynamo::AttributeValue;
use time::OffsetDateTime;

use crate::{
    candidates::{Candidate, State},
    context::Jobs,
    fields::{Fields, JobFields as _},
    profiles::Profile,
    progress::{Progress, Stage},
    rows::item_of,
    scoring::{
        DISTRICT_POINTS, Excluded, RATE_POINTS, SEMANTIC_POINTS, Wanted, bad_share, excluded_by,
        score,
    },
};

/// The rows of one job and one person.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The job's progress.
    pub progress: Option<Progress>,
    /// The job as it was scored; `None` while it was not.
    pub wanted: Option<Wanted>,
    /// The person's profile.
    pub profile: Option<Profile>,
    /// The person's row as a candidate for the job.
    pub candidate: Option<Candidate>,
}

impl Rows {
    /// Reads them.
    ///
    /// # Errors
    /// The tables'.
    pub async fn read(jobs: &Jobs, job_id: &str, user_id: &str) -> Result<Self, Failure> {
        let progress = jobs.progress.row(job_id).await?;
        Ok(Self {
            wanted: progress.clone().and_then(wanted),
            progress: progress.map(Progress::of).transpose()?,
            profile: jobs.people.read(user_id).await?,
            candidate: jobs.candidates.read(job_id, user_id).await?,
        })
    }
}

/// The job as its progress row keeps it.
fn wanted(row: Row) -> Option<Wanted> {
    let progress = Progress::of(row.clone()).ok()?;
    let item = item_of(row);
    let fields = Fields::of("progress row", &item);
    let dimensions = match fields.get("embedding") {
        Some(AttributeValue::B(bytes)) => bytes.len() / size_of::<f32>(),
        _ => 0,
    };
    let job = progress.job?;
    Some(Wanted {
        employer_id: job.employer_id,
        district: job.district,
        hourly_rate: job.hourly_rate,
        as_of: fields.time("asOf").ok()??,
        embedding: fields.embedding("embedding", dimensions)?,
    })
}

/// In one word what became of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They were told.
    Told,
    /// They are about to be told.
    ToBeTold,
    /// They qualify, and enough others are better.
    BeyondTheCap,
    /// They were a candidate and are not any more, or the job ended first.
    Withdrawn,
    /// A filter excludes them.
    Excluded,
    /// They pass every filter now, and did not when the job was scored.
    ChangedSince,
    /// Nobody knows a profile of theirs.
    UnknownPerson,
    /// The job was never scored.
    UnknownJob,
    /// The job is being scored, or waits for it.
    NotScoredYet,
    /// The job cannot be scored.
    JobFailed,
}

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable word.
    pub filter: &'static str,
    /// Whether the person passes.
    pub passed: bool,
    /// What was compared with what.
    pub says: String,
}

/// The components of a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Components {
    /// The cosine.
    pub similarity: f64,
    /// 0 to 50.
    pub semantic_points: f64,
    /// 0 or 30.
    pub district_points: f64,
    /// 0 to 20.
    pub rate_points: f64,
    /// Their sum.
    pub score: f64,
}

/// Why somebody was told of a job, or was not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The job.
    pub job_id: String,
    /// The person.
    pub user_id: String,
    /// In one word.
    pub verdict: Verdict,
    /// In a sentence.
    pub because: String,
    /// The candidate's state, when there is a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Their place among those who qualify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    /// The notification's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification_id: Option<String>,
    /// The score, when it can be computed: as it was decided by, else as it would be now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub components: Option<Components>,
    /// The words of the filters that exclude them now, in order.
    pub excluded_by: Vec<&'static str>,
    /// Every filter, with the profile as it is now.
    pub filters: Vec<Check>,
}

/// Explains from the rows.
///
/// # Errors
/// The tables'.
pub async fn explain(jobs: &Jobs, job_id: &str, user_id: &str) -> Result<Explanation, Failure> {
    let rows = Rows::read(jobs, job_id, user_id).await?;
    Ok(of_rows(job_id, user_id, &rows))
}

/// As [`explain`], from rows that were read.
pub fn of_rows(job_id: &str, user_id: &str, rows: &Rows) -> Explanation {
    let known = rows.wanted.as_ref().zip(rows.profile.as_ref());
    let excluded = known.map(|(wanted, profile)| excluded_by(wanted, profile));
    let excluded = excluded.unwrap_or_default();
    let candidate = rows.candidate.as_ref();
    let now = known.filter(|(_, profile)| profile.present);
    let components = candidate.map(decided).or_else(|| {
        now.map(|(wanted, profile)| {
            let score = score(wanted, profile);
            Components {
                similarity: score.similarity,
                semantic_points: score.semantic,
                district_points: score.district,
                rate_points: score.rate,
                score: score.total(),
            }
        })
    });
    let filters = known.map(|(wanted, profile)| checks(wanted, profile, &excluded));
    let (verdict, because) = verdict(rows, &excluded);
    Explanation {
        job_id: job_id.to_owned(),
        user_id: user_id.to_owned(),
        verdict,
        because,
        state: candidate.map(|row| row.state),
        rank: candidate.and_then(|row| row.rank),
        notification_id: candidate.and_then(|row| row.notification_id.clone()),
        components,
        excluded_by: excluded.iter().map(|by| by.word()).collect(),
        filters: filters.unwrap_or_default(),
    }
}

fn decided(row: &Candidate) -> Components {
    Components {
        similarity: row.similarity,
        semantic_points: row.semantic_points,
        district_points: row.district_points,
        rate_points: row.rate_points,
        score: row.score,
    }
}

fn verdict(rows: &Rows, excluded: &[Excluded]) -> (Verdict, String) {
    if let Some(row) = &rows.candidate {
        return of_candidate(row, rows, excluded);
    }
    let Some(progress) = &rows.progress else {
        return (
            Verdict::UnknownJob,
            "the job was never seen while it wanted somebody".to_owned(),
        );
    };
    match progress.status {
        Some(Stage::Scoring) => {
            return (
                Verdict::NotScoredYet,
                "the job is being scored, or waits for the embedder or the index".to_owned(),
            );
        }
        Some(Stage::Failed) => {
            let code = progress.failed.as_deref().unwrap_or("an unknown reason");
            return (
                Verdict::JobFailed,
                format!("the job cannot be scored: {code}; see its dead letter"),
            );
        }
        Some(Stage::Scored | Stage::Settled) | None => {}
    }
    if rows.wanted.is_none() {
        return (
            Verdict::UnknownJob,
            "the job ended before it was ever scored".to_owned(),
        );
    }
    let Some(profile) = &rows.profile else {
        return (
            Verdict::UnknownPerson,
            "nobody knows a profile of that person".to_owned(),
        );
    };
    match excluded.first() {
        Some(Excluded::Incomplete) => {
            let why = profile.excluded.as_deref().unwrap_or_default();
            let said = match why {
                "incomplete" => "their profile is not complete".to_owned(),
                "gone" => "their account is gone".to_owned(),
                code => format!("their row cannot be used: {code}; see its dead letter"),
            };
            (Verdict::Excluded, format!("incomplete: {said}"))
        }
        Some(_) => {
            let words: Vec<&str> = excluded.iter().map(|by| by.word()).collect();
            (
                Verdict::Excluded,
                format!("excluded by {}", words.join(", ")),
            )
        }
        None => (
            Verdict::ChangedSince,
            "they pass every filter now, but did not, or were not known, when the job was scored"
                .to_owned(),
        ),
    }
}

fn of_candidate(row: &Candidate, rows: &Rows, excluded: &[Excluded]) -> (Verdict, String) {
    let rank = row.rank.map(|rank| format!("rank {rank}"));
    let rank = rank.unwrap_or_else(|| "no rank".to_owned());
    match row.state {
        State::Told | State::Telling => {
            let told = row.told.as_ref();
            let score = told.map_or(row.score, |told| told.score);
            let then = told.and_then(|told| told.rank);
            let then = then.map_or(String::new(), |rank| format!(" and rank {rank}"));
            let still = match row.still_matches {
                Some(false) => "; the job or they changed since, and they do not qualify any more",
                _ => "",
            };
            let when = match &row.notified_at {
                Some(at) => format!("told at {at}"),
                None => "the decision to tell is taken, the publish is on its way".to_owned(),
            };
            (
                Verdict::Told,
                format!("{when}, with {score:.2} points{then}{still}"),
            )
        }
        State::Chosen => (
            Verdict::ToBeTold,
            format!(
                "chosen with {:.2} points, {rank}; about to be told",
                row.score
            ),
        ),
        State::Reserve => {
            let cap = rows.progress.as_ref().and_then(|progress| progress.counts);
            let cap = cap.map_or(String::new(), |counts| {
                format!(" {} of {} who qualify", counts.cap, counts.qualified)
            });
            (
                Verdict::BeyondTheCap,
                format!(
                    "qualified with {:.2} points and {rank}, but only{cap} are told",
                    row.score
                ),
            )
        }
        State::Withdrawn => {
            let why = if excluded.is_empty() {
                "the job was changed, or ended, before they were told".to_owned()
            } else {
                let words: Vec<&str> = excluded.iter().map(|by| by.word()).collect();
                format!("they do not qualify any more: {}", words.join(", "))
            };
            (Verdict::Withdrawn, format!("was a candidate; {why}"))
        }
    }
}

fn checks(wanted: &Wanted, profile: &Profile, excluded: &[Excluded]) -> Vec<Check> {
    let looked_at = Excluded::ALL
        .into_iter()
        .filter(|by| profile.present || excluded.contains(by));
    looked_at
        .map(|by| Check {
            filter: by.word(),
            passed: !excluded.contains(&by),
            says: compared(by, wanted, profile),
        })
        .collect()
}

/// What a filter compares with what.
fn compared(by: Excluded, wanted: &Wanted, profile: &Profile) -> String {
    let because = profile.excluded.as_deref().unwrap_or("complete");
    match by {
        Excluded::Incomplete => format!("the profile is {because}"),
        Excluded::Inactive => match profile.excluded.as_deref() {
            Some(_) => "the account is not active".to_owned(),
            None => "the account is active".to_owned(),
        },
        Excluded::Unavailable if profile.available => "available".to_owned(),
        Excluded::Unavailable => "not available".to_owned(),
        Excluded::OwnJob => format!("the job is {}'s", wanted.employer_id),
        Excluded::NotSeen => {
            let seen = profile.last_seen.and_then(|millis| {
                OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
            });
            let seen = seen.map_or("never".to_owned(), millrace_cloud::clock::iso);
            let as_of = millrace_cloud::clock::iso(wanted.as_of);
            format!("last seen {seen}, the job changed {as_of}: 7 days at most")
        }
        Excluded::BadRatings => {
            let ratings = profile.ratings;
            let all =
                u128::from(ratings.good) + u128::from(ratings.neutral) + u128::from(ratings.bad);
            let share = 100.0 * bad_share(&ratings);
            format!(
                "{} of {all} ratings bad, {share:.1} %: 30 % at most",
                ratings.bad
            )
        }
        Excluded::RateBelowMinimum => {
            let minimum = profile.rates.map(|range| range.min);
            let minimum = minimum.map_or("none".to_owned(), |min| min.to_string());
            format!(
                "the job pays {}, their minimum is {minimum}",
                wanted.hourly_rate
            )
        }
        Excluded::Dissimilar => {
            let similarity = score(wanted, profile).similarity;
            format!("similarity {similarity:.4}: 0.6 at least")
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "job {}, person {}: {}",
            self.job_id, self.user_id, self.because
        )?;
        for check in &self.filters {
            let mark = if check.passed { "passes" } else { "FAILS " };
            writeln!(f, "  {mark}  {:<20} {}", check.filter, check.says)?;
        }
        if let Some(score) = &self.components {
            writeln!(
                f,
                "  text     {:6.2} of {SEMANTIC_POINTS} (similarity {:.4})",
                score.semantic_points, score.similarity
            )?;
            writeln!(
                f,
                "  district {:6.2} of {DISTRICT_POINTS}",
                score.district_points
            )?;
            writeln!(f, "  rate     {:6.2} of {RATE_POINTS}", score.rate_points)?;
            writeln!(f, "  score    {:6.2} of 100", score.score)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
