//! What must hold of jobs and of people: at every moment, and at rest.
//!
//! Written once: the simulation asks it after every step, the tests of the promise at their end.

use std::collections::{BTreeMap, BTreeSet};

use millrace_effects::Invariant;
use millrace_events::Failure;
use millrace_vectors::Point;

use crate::{
    candidates::{Candidate, State},
    context::Jobs,
    notice::notification_id,
    profiles::Profile,
    progress::{Progress, Stage},
};

/// Everything durable of one job that scoring and telling make.
#[derive(Debug, Clone, Default)]
pub struct JobSnapshot {
    /// The progress row.
    pub progress: Option<Progress>,
    /// Everybody who was ever a candidate.
    pub candidates: BTreeMap<String, Candidate>,
    /// How many may be told.
    pub cap: usize,
}

impl JobSnapshot {
    /// Reads it. Not one moment: nothing else may move meanwhile.
    ///
    /// # Errors
    /// The tables'.
    pub async fn read(jobs: &Jobs, job_id: &str) -> Result<Self, Failure> {
        Ok(Self {
            progress: jobs.progress.read(job_id).await?,
            candidates: jobs.candidates.of_job(job_id).await?,
            cap: jobs.rules.told_per_job,
        })
    }

    fn all(&self, holds: impl Fn(&Candidate) -> bool) -> bool {
        self.candidates.values().all(holds)
    }

    fn in_state(&self, state: State) -> impl Iterator<Item = &Candidate> {
        let all = self.candidates.values();
        all.filter(move |one| one.state == state)
    }

    fn told(&self) -> usize {
        let all = self.candidates.values();
        all.filter(|one| one.state.counts_as_told()).count()
    }

    /// The version whose round is over, while no newer one is claimed.
    fn scored(&self) -> Option<&str> {
        let progress = self.progress.as_ref()?;
        let is_over = progress.status == Some(Stage::Scored);
        progress.version.as_deref().filter(|_| is_over)
    }

    /// Whether the job's newest change says that nobody is wanted, and that was carried out.
    fn is_over(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| {
            progress.status == Some(Stage::Failed)
                || progress.status == Some(Stage::Settled)
                    && progress.done_version == progress.version
        })
    }
}

/// What holds of every job at every moment.
pub const OF_A_JOB: &[Invariant<JobSnapshot>] = &[
    Invariant {
        name: "no-more-told-than-cap",
        says: "Of one job no more people are told than the cap allows, over all its versions.",
        holds: |job| job.told() <= job.cap,
    },
    Invariant {
        name: "told-has-notification-id",
        says: "Exactly those who are told have a notification's id, and it is a function of job and employee.",
        holds: |job| {
            job.all(|one| {
                let cause = format!("candidate/{}/{}", one.job_id, one.employee_id);
                let expected = notification_id(&cause);
                let id = one.notification_id.as_deref();
                let kept = one
                    .notice
                    .as_ref()
                    .map(|notice| notice.notification_id.as_str());
                id == kept && id == one.state.counts_as_told().then_some(expected.as_str())
            })
        },
    },
    Invariant {
        name: "told-had-a-rank",
        says: "Whoever is told qualified for the version of which they were told.",
        holds: |job| job.all(|one| one.told.as_ref().is_none_or(|told| told.rank.is_some())),
    },
    Invariant {
        name: "score-is-sum-of-components",
        says: "A score is the sum of its components, each within its range.",
        holds: |job| {
            job.all(|one| {
                let sum = one.semantic_points + one.district_points + one.rate_points;
                (one.score - sum).abs() < 1e-9
                    && (one.semantic_points - 50.0 * one.similarity).abs() < 1e-9
                    && (0.6..=1.0).contains(&one.similarity)
                    && (one.district_points == 0.0 || one.district_points == 30.0)
                    && (0.0..=20.0).contains(&one.rate_points)
            })
        },
    },
    Invariant {
        name: "rows-of-newest-version-only-are-chosen",
        says: "Once a version's round is over, nobody waits to be told of an older one.",
        holds: |job| {
            let Some(version) = job.scored() else {
                return true;
            };
            let mut open = job
                .in_state(State::Chosen)
                .chain(job.in_state(State::Reserve));
            open.all(|one| one.job_version == version)
        },
    },
    Invariant {
        name: "ranks-are-in-order",
        says: "Once a version's round is over, ranks go from 1 without a gap, best first, equal scores by id.",
        holds: |job| {
            if job.scored().is_none() {
                return true;
            }
            let mut qualified: Vec<&Candidate> = job
                .candidates
                .values()
                .filter(|one| one.rank.is_some())
                .collect();
            qualified.sort_by(|left, right| {
                let by_score = right.score.total_cmp(&left.score);
                by_score.then_with(|| left.employee_id.cmp(&right.employee_id))
            });
            let ranks = qualified.iter().map(|one| one.rank);
            ranks.eq((1..=qualified.len() as u64).map(Some))
        },
    },
    Invariant {
        name: "nobody-waits-when-nobody-is-wanted",
        says: "Once a job is settled or failed, nobody waits to be told of it.",
        holds: |job| {
            let waits = job
                .in_state(State::Chosen)
                .chain(job.in_state(State::Reserve));
            !job.is_over() || waits.count() == 0
        },
    },
];

/// What holds of every job besides, when nothing moves.
pub const OF_A_JOB_AT_REST: &[Invariant<JobSnapshot>] = &[
    Invariant {
        name: "nobody-chosen-at-rest",
        says: "Whoever is to be told is told.",
        holds: |job| job.in_state(State::Chosen).count() == 0,
    },
    Invariant {
        name: "nobody-telling-at-rest",
        says: "Whoever is being told is marked as told, with the time.",
        holds: |job| {
            job.in_state(State::Telling).count() == 0
                && job
                    .in_state(State::Told)
                    .all(|one| one.notified_at.is_some())
        },
    },
    Invariant {
        name: "nobody-is-at-work-at-rest",
        says: "No claim is open.",
        holds: |job| {
            let progress = job.progress.as_ref();
            progress.is_none_or(|progress| {
                progress.attempt.is_none() && progress.status != Some(Stage::Scoring)
            })
        },
    },
    Invariant {
        name: "reserve-only-when-full",
        says: "Nobody who qualifies is left in reserve while the cap has room.",
        holds: |job| job.in_state(State::Reserve).count() == 0 || job.told() >= job.cap,
    },
];

/// Everything durable of one person that matching makes.
#[derive(Debug, Clone, Default)]
pub struct PersonSnapshot {
    /// The row.
    pub profile: Option<Profile>,
    /// The point in the index.
    pub point: Option<Point>,
}

impl PersonSnapshot {
    /// Reads it. Not one moment: nothing else may move meanwhile.
    ///
    /// # Errors
    /// The table's and the index's.
    pub async fn read(jobs: &Jobs, user_id: &str) -> Result<Self, Failure> {
        Ok(Self {
            profile: jobs.people.read(user_id).await?,
            point: jobs.profiles.get(user_id).await?,
        })
    }
}

/// What holds of every person at every moment.
pub const OF_A_PERSON: &[Invariant<PersonSnapshot>] = &[
    Invariant {
        name: "index-never-ahead",
        says: "The index knows no state of a profile that its row does not know.",
        holds: |person| {
            let row = person.profile.as_ref().map(|profile| profile.revision);
            person.point.as_ref().map(|point| point.revision) <= row
        },
    },
    Invariant {
        name: "absent-says-why",
        says: "Exactly those who are not in the index have a word that says why.",
        holds: |person| {
            let profile = person.profile.as_ref();
            profile.is_none_or(|profile| profile.present == profile.excluded.is_none())
        },
    },
];

/// What holds of every person besides, when nothing moves.
pub const OF_A_PERSON_AT_REST: &[Invariant<PersonSnapshot>] = &[Invariant {
    name: "index-follows-profiles",
    says: "The index has exactly what the row says, vector and fields.",
    holds: |person| {
        let wanted = person.profile.as_ref().and_then(Profile::point);
        wanted == person.point
    },
}];

/// The names of all invariants.
pub fn names() -> BTreeSet<&'static str> {
    let of_jobs = OF_A_JOB.iter().chain(OF_A_JOB_AT_REST).map(|one| one.name);
    let of_people = OF_A_PERSON.iter().chain(OF_A_PERSON_AT_REST);
    of_jobs.chain(of_people.map(|one| one.name)).collect()
}

#[cfg(test)]
mod tests {
    use millrace_effects::broken;

    use super::*;
    use crate::{
        candidates::{Round, plan},
        scoring::Score,
    };

    fn job() -> JobSnapshot {
        let score = |rate| Score {
            similarity: 0.8,
            semantic: 40.0,
            district: 30.0,
            rate,
        };
        let ranked = [("a".to_owned(), score(9.0)), ("b".to_owned(), score(8.0))];
        let round = Round {
            job_id: "j",
            version: "2",
            as_of: "then",
            ranked: &ranked,
            cap: 1,
            now: "now",
        };
        let rows = plan(&round, &BTreeMap::new()).into_iter();
        JobSnapshot {
            progress: Some(Progress {
                version: Some("2".to_owned()),
                done_version: Some("2".to_owned()),
                status: Some(Stage::Scored),
                ..Progress::default()
            }),
            candidates: rows.map(|row| (row.employee_id.clone(), row)).collect(),
            cap: 1,
        }
    }

    #[test]
    fn every_invariant_has_a_name_of_its_own() {
        let count = OF_A_JOB.len() + OF_A_JOB_AT_REST.len() + OF_A_PERSON.len();
        assert_eq!(names().len(), count + OF_A_PERSON_AT_REST.len());
    }

    #[test]
    fn each_fault_breaks_its_own_invariant() {
        assert_eq!(broken(OF_A_JOB, &job()), [""; 0]);
        let waiting = ["nobody-chosen-at-rest", "reserve-only-when-full"];
        assert_eq!(broken(OF_A_JOB_AT_REST, &job()), waiting);
        type Change = fn(&mut JobSnapshot);
        let faults: [(&str, Change); 6] = [
            ("no-more-told-than-cap", |job| {
                job.cap = 0;
                let a = job.candidates.get_mut("a").unwrap();
                a.state = State::Told;
            }),
            ("told-has-notification-id", |job| {
                job.candidates.get_mut("a").unwrap().state = State::Told;
            }),
            ("score-is-sum-of-components", |job| {
                job.candidates.get_mut("a").unwrap().score += 0.1;
            }),
            ("rows-of-newest-version-only-are-chosen", |job| {
                job.candidates.get_mut("a").unwrap().job_version = "1".to_owned();
            }),
            ("ranks-are-in-order", |job| {
                job.candidates.get_mut("a").unwrap().rank = Some(2);
            }),
            ("nobody-waits-when-nobody-is-wanted", |job| {
                job.progress.as_mut().unwrap().status = Some(Stage::Settled);
            }),
        ];
        for (name, change) in faults {
            let mut job = job();
            change(&mut job);
            assert!(broken(OF_A_JOB, &job).contains(&name), "{name}");
        }
    }
}
