//! What people and employers do: profiles, jobs, responses, selections; how it is done to a world, and what must hold of it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_effects::{Invariant, broken};
use millrace_jobs::invariants::{
    JobSnapshot, OF_A_JOB, OF_A_JOB_AT_REST, OF_A_PERSON, OF_A_PERSON_AT_REST, PersonSnapshot,
};
use millrace_jobs::responses::ResponseSide;
use millrace_tests::{
    State, World,
    jobs::{
        people::{DIMENSIONS, Job, Person, text_of},
        platform::{End, Platform},
        prescribed::Prescribed,
    },
};
use rand::{Rng, rngs::StdRng};
use serde_json::Value;

use super::{Scene, When};

/// Few people and jobs, so that what is done to one meets what was done to it before.
const PEOPLE: u8 = 5;
const JOBS: u8 = 2;

/// No queue delays a message longer.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// One thing that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Writes a person's whole row, with one of a few profiles. What the platform keeps beside the profile stays.
    Profile { person: u8, text: u8, rate: u8 },
    /// A person logs in: nothing else in the row changes.
    LogIn { person: u8 },
    /// A person's row is removed.
    Leave { person: u8 },
    /// Posts a job, or gives the same another text and rate and opens it again if it was closed; its row is written whole,
    /// or only in what changes.
    Post {
        job: u8,
        text: u8,
        rate: u8,
        whole: bool,
    },
    /// A person answers to a job.
    Respond { job: u8, person: u8 },
    /// The employer selects a person who has answered.
    Select { job: u8, person: u8 },
    /// The employer rejects a person who has answered.
    Reject { job: u8, person: u8 },
    /// The employer closes a job, or says that it is completed.
    End { job: u8, end: End },
    /// The row of a job is removed.
    Remove { job: u8 },
    /// Ten minutes pass.
    Wait,
    /// The embedder is down for a while.
    Outage,
}

impl Step {
    fn job(self) -> Option<u8> {
        match self {
            Self::Post { job, .. }
            | Self::Respond { job, .. }
            | Self::Select { job, .. }
            | Self::Reject { job, .. }
            | Self::End { job, .. }
            | Self::Remove { job } => Some(job),
            _ => None,
        }
    }

    fn is_of_people(self) -> bool {
        matches!(
            self,
            Self::Profile { .. } | Self::LogIn { .. } | Self::Leave { .. }
        )
    }

    /// Whether it makes somebody busy, or free.
    fn moves_people(self) -> bool {
        matches!(
            self,
            Self::Select { .. } | Self::End { .. } | Self::Remove { .. }
        )
    }

    /// Whether two things may end one way or the other, depending on which is handled first, and both are right.
    /// See README.md, "Two things that race".
    pub fn races(self, other: Self) -> bool {
        let scoring = |step: Self| matches!(step, Self::Post { .. });
        let either = |a: fn(Self) -> bool, b: fn(Self) -> bool| {
            (a(self) && b(other)) || (a(other) && b(self))
        };
        either(Self::is_of_people, scoring)
            || either(Self::is_of_people, Self::moves_people)
            || either(Self::moves_people, scoring)
            || (self.moves_people() && other.moves_people())
            || (self.job().is_some() && self.job() == other.job())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile { person, text, rate } => {
                write!(f, "person {person} has profile {text} at rate {rate}")
            }
            Self::LogIn { person } => write!(f, "person {person} logs in"),
            Self::Leave { person } => write!(f, "person {person} leaves"),
            Self::Post {
                job,
                text,
                rate,
                whole,
            } => {
                let how = if *whole {
                    "anew"
                } else {
                    "as far as it changes"
                };
                write!(
                    f,
                    "job {job} is posted {how} with text {text} at rate {rate}"
                )
            }
            Self::Respond { job, person } => write!(f, "person {person} responds to job {job}"),
            Self::Select { job, person } => write!(f, "person {person} is selected for job {job}"),
            Self::Reject { job, person } => write!(f, "person {person} is rejected for job {job}"),
            Self::End { job, end } => write!(f, "job {job} is {end:?}"),
            Self::Remove { job } => write!(f, "job {job} is removed"),
            Self::Wait => f.write_str("ten minutes pass"),
            Self::Outage => f.write_str("the embedder is down for a while"),
        }
    }
}

/// A history of twice so many steps, after everybody has a profile and the first job is posted: one that is decided is long.
pub fn random(chance: &mut StdRng, steps: usize) -> Vec<Step> {
    let mut history: Vec<Step> = (0..PEOPLE).map(|person| profile(chance, person)).collect();
    history.push(posting(chance, 0));
    let mut responded = Vec::new();
    for _ in 0..2 * steps {
        let step = one(chance, &responded);
        if let Step::Respond { job, person } = step {
            responded.push((job, person));
        }
        history.push(step);
    }
    history
}

fn profile(chance: &mut StdRng, person: u8) -> Step {
    Step::Profile {
        person,
        text: chance.random_range(0..4),
        rate: chance.random_range(0..3),
    }
}

fn posting(chance: &mut StdRng, job: u8) -> Step {
    Step::Post {
        job,
        text: chance.random_range(0..2),
        rate: chance.random_range(0..3),
        whole: chance.random_bool(0.3),
    }
}

fn one(chance: &mut StdRng, responded: &[(u8, u8)]) -> Step {
    let person = chance.random_range(0..PEOPLE);
    let job = chance.random_range(0..JOBS);
    let (of_job, who) = match responded {
        [] => (job, person),
        some => some[chance.random_range(0..some.len())],
    };
    match chance.random_range(0..100) {
        0..8 => profile(chance, person),
        8..12 => Step::LogIn { person },
        12..15 => Step::Leave { person },
        15..38 => posting(chance, job),
        38..60 => Step::Respond { job, person },
        60..74 => Step::Select {
            job: of_job,
            person: who,
        },
        74..78 => Step::Reject {
            job: of_job,
            person: who,
        },
        78..86 => Step::End {
            job,
            end: if chance.random_bool(0.5) {
                End::Closed
            } else {
                End::Completed
            },
        },
        86..88 => Step::Remove { job },
        88..96 => Step::Wait,
        _ => Step::Outage,
    }
}

/// What a profile means, and what it has to do with the two texts of jobs.
const PROFILES: [[f32; DIMENSIONS]; 4] = [
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    // Near the first job's text, far from the second's.
    [0.8, 0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0],
    // Near the second's, far from the first's.
    [0.28, 0.96, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
];
const TEXTS: [[f32; DIMENSIONS]; 2] = [
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.7, 0.714, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
];
const RATES: [f64; 3] = [80.0, 100.0, 120.0];

fn person_id(person: u8) -> String {
    format!("{person:08x}-0000-4000-8000-00000000aaaa")
}

fn job_id(job: u8) -> String {
    format!("{job:08x}-0000-4000-8000-00000000bbbb")
}

fn response_id(job: u8, person: u8) -> String {
    format!("{job:04x}{person:04x}-0000-4000-8000-00000000cccc")
}

/// The person who posts every job, and is one of the people.
const EMPLOYER: u8 = 0;

/// The people and the jobs, and what was last seen of them.
pub struct Jobs {
    embedder: Arc<Prescribed>,
    /// Whether steps that race wait for each other, so that there is one right end.
    waits: bool,
    /// What was done since everything was last handled.
    under_way: Vec<Step>,
    jobs: Vec<JobSnapshot>,
    people: Vec<PersonSnapshot>,
    /// People who were chosen for a job that was never over, and do not work for it.
    idle: Vec<String>,
}

impl Jobs {
    pub fn new(waits: bool) -> Self {
        Self {
            embedder: Arc::default(),
            waits,
            under_way: Vec::new(),
            jobs: Vec::new(),
            people: Vec::new(),
            idle: Vec::new(),
        }
    }
}

#[async_trait(?Send)]
impl Scene for Jobs {
    async fn world(&self) -> World {
        World::with(self.embedder.clone(), &[("MILLRACE_TOLD_PER_JOB", "2")]).await
    }

    fn workers(&self) -> &'static [&'static str] {
        &millrace_jobs::WORKERS
    }

    fn waits(&self, next: super::Step) -> bool {
        let super::Step::Jobs(next) = next else {
            return false;
        };
        self.waits && self.under_way.iter().any(|step| step.races(next))
    }

    async fn take(&mut self, step: super::Step, world: &World) {
        let super::Step::Jobs(step) = step else {
            return;
        };
        if self.under_way.iter().any(|before| before.races(step)) {
            self.under_way.clear();
        }
        self.under_way.push(step);
        self.do_step(step, world);
    }

    fn is_done(&self) -> bool {
        !self.embedder.is_down()
    }

    async fn finish(&mut self, _world: &World) {
        self.embedder.set_down(false);
    }

    async fn let_time_pass(&mut self, world: &World) -> bool {
        let queue = world
            .names
            .jobs
            .close_window_queue
            .rsplit('/')
            .next()
            .unwrap();
        let waiting = world.services().queues.counts(queue).await.unwrap();
        if waiting.total() > 0 {
            world.wait(LONGEST_DELAY);
        }
        waiting.total() > 0
    }

    async fn look(&mut self, world: &World, whole: bool) -> Result<(), String> {
        let observer = world.observer.jobs();
        self.jobs.clear();
        for job in 0..JOBS {
            let seen = JobSnapshot::read(observer, &job_id(job)).await;
            self.jobs.push(seen.map_err(|failure| failure.chain())?);
        }
        if !whole {
            return Ok(());
        }
        if self.waits {
            self.idle = idle(world).await?;
        }
        self.people.clear();
        for person in 0..PEOPLE {
            let seen = PersonSnapshot::read(observer, &person_id(person)).await;
            self.people.push(seen.map_err(|failure| failure.chain())?);
        }
        Ok(())
    }

    fn has_letter(&mut self, _subject: &str) {}

    fn broken(&self, when: When) -> Option<String> {
        let (of_jobs, of_people) = match when {
            When::Always => (OF_A_JOB, OF_A_PERSON),
            When::AtRest => (OF_A_JOB_AT_REST, OF_A_PERSON_AT_REST),
        };
        if when == When::AtRest && !self.idle.is_empty() {
            return Some(format!("chosen-is-busy: {:?}", self.idle));
        }
        first_broken(of_jobs, &self.jobs).or_else(|| first_broken(of_people, &self.people))
    }

    fn has_one_end(&self) -> bool {
        self.waits
    }

    fn seen_from_outside(&self, _world: &World, mut state: State) -> State {
        state.rows.values_mut().for_each(without_the_run);
        state
    }
}

/// Times at which a worker came to something: they differ from run to run.
const OF_THE_RUN: [&str; 2] = ["scoredAt", "notifiedAt"];

/// A decided job that was opened again is closed by a worker, whenever it comes to that; 90 days later the row expires. That it does is
/// compared, not when.
const COUNTED_FROM_THE_RUN: [&str; 1] = ["expiresAt"];

/// Whoever is chosen works for the job, which was never over.
async fn idle(world: &World) -> Result<Vec<String>, String> {
    let jobs = world.observer.jobs();
    let mut idle = Vec::new();
    for job in 0..JOBS {
        let side = ResponseSide::read(jobs, &job_id(job)).await;
        let side = side.map_err(|failure| failure.chain())?;
        // Who is selected for a job that was completed before works no more for it.
        let Some(selected) = side.selected.as_ref().filter(|_| side.over_at.is_none()) else {
            continue;
        };
        let now = Platform(world).works_for(&selected.employee_id);
        // Who left works for nobody.
        if now.is_some_and(|now| now.as_deref() != Some(&job_id(job))) {
            idle.push(format!("{} of job {job}", selected.employee_id));
        }
    }
    Ok(idle)
}

fn without_the_run(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !OF_THE_RUN.contains(&name.as_str()));
        for (name, value) in fields {
            if COUNTED_FROM_THE_RUN.contains(&name.as_str()) {
                *value = Value::Bool(true);
            }
            without_the_run(value);
        }
    }
}

fn first_broken<T: std::fmt::Debug>(invariants: &[Invariant<T>], seen: &[T]) -> Option<String> {
    seen.iter().find_map(|one| {
        let broken = broken(invariants, one);
        let what = format!("{one:#?}");
        (!broken.is_empty()).then(|| format!("{}:\n{what:.4000}", broken.join(", ")))
    })
}

impl Jobs {
    fn do_step(&mut self, step: Step, world: &World) {
        let platform = Platform(world);
        platform.wait(60);
        let now = platform.now_millis();
        match step {
            Step::Profile { person, text, rate } => {
                let text = text_of(&PROFILES[usize::from(text)]);
                let rate = RATES[usize::from(rate)];
                let person = Person::suitable(&person_id(person), &text, rate, now);
                platform.write_person(&person);
            }
            Step::LogIn { person } => platform.log_in(&person_id(person)),
            Step::Leave { person } => platform.remove_person(&person_id(person)),
            Step::Post {
                job,
                text,
                rate,
                whole,
            } => {
                let decided = |person| platform.is_selected(&response_id(job, person));
                if self.waits && (0..PEOPLE).any(decided) {
                    // The workers close it again, and whether somebody is told of it first is a race within one step.
                    return;
                }
                let vector = TEXTS[usize::from(text)];
                let posted = Job {
                    id: job_id(job),
                    employer: person_id(EMPLOYER),
                    title: "急需侍應".to_owned(),
                    description: text_of(&vector),
                    changed_millis: now,
                    district: Some("Central"),
                    rate: RATES[usize::from(rate)],
                    vector,
                };
                if whole {
                    platform.write_job(&posted);
                } else {
                    platform.edit_job(&posted);
                }
            }
            Step::Respond { job, person } => {
                platform.respond(&response_id(job, person), &job_id(job), &person_id(person));
            }
            Step::Select { job, person } => platform.decide(&response_id(job, person), "selected"),
            Step::Reject { job, person } => platform.decide(&response_id(job, person), "rejected"),
            Step::End { job, end } => platform.end_job(&job_id(job), end),
            Step::Remove { job } => platform.remove_job(&job_id(job)),
            Step::Wait => platform.wait(600),
            Step::Outage => self.embedder.set_down(true),
        }
    }
}
