//! The jobs product against the reference: random populations go through the real workers on the embedded cloud, and what stands in
//! the tables is what the contract says: the same candidates, the same order, the same scores, the same filters.

mod populations;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use millrace_jobs::explain::explain;
use millrace_tests::{
    World,
    jobs::{
        people::{Job, Person},
        prescribed::Prescribed,
        reference::{Candidate, candidates, filters},
    },
};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use populations::{Population, population};

/// Populations in an everyday run, for each cap; `MILLRACE_POPULATIONS` says another number.
const POPULATIONS: u32 = 40;
/// So many populations meet everything that they are made for, as good as certainly.
const MEETS_ALL: u32 = 200;
/// Scores differ by no more.
const TOLERANCE: f64 = 0.01;
/// Scores this close to each other are one: whoever adds up in another order gets another last digit.
const SAME: f64 = 1e-9;

/// A world that goes on from one population to the next: people change their rows, come and go; jobs are new.
struct Stage {
    world: World,
    cap: usize,
    there: BTreeMap<String, Value>,
    jobs: usize,
}

impl Stage {
    async fn new(cap: usize) -> Self {
        Self {
            world: World::with(
                Arc::<Prescribed>::default(),
                &[("MILLRACE_TOLD_PER_JOB", &cap.to_string())],
            )
            .await,
            cap,
            there: BTreeMap::new(),
            jobs: 0,
        }
    }

    fn call(&self, operation: &str, request: &Value) -> Value {
        let dynamo = &self.world.services().dynamo;
        dynamo.call_json(operation, request).unwrap()
    }

    /// The users table holds these people and nobody else.
    async fn populate(&mut self, people: &[Person]) {
        let table = &self.world.names.jobs.users;
        let rows: BTreeMap<String, Value> = people
            .iter()
            .map(|person| (person.id.clone(), person.row()))
            .collect();
        for gone in self.there.keys().filter(|id| !rows.contains_key(*id)) {
            self.call(
                "DeleteItem",
                &json!({"TableName": table, "Key": {"userId": {"S": gone}}}),
            );
        }
        for (id, row) in &rows {
            if self.there.get(id) != Some(row) {
                self.call("PutItem", &json!({"TableName": table, "Item": row}));
            }
        }
        self.there = rows;
        self.world.quiet().await;
    }

    async fn post(&mut self, job: &Job) -> Job {
        self.jobs += 1;
        let mut job = job.clone();
        job.id = format!("{:08x}-0000-4000-8000-0000000000aa", self.jobs);
        let table = &self.world.names.jobs.jobs;
        self.call("PutItem", &json!({"TableName": table, "Item": job.row()}));
        self.world.quiet().await;
        job
    }

    /// The rows of a job's candidates, best first.
    fn rows(&self, job: &Job) -> Vec<Row> {
        let table = &self.world.names.jobs.candidates;
        let request = json!({
            "TableName": table, "KeyConditionExpression": "jobId = :job",
            "ExpressionAttributeValues": {":job": {"S": job.id}},
        });
        let answer = self.call("Query", &request);
        assert_eq!(answer.get("LastEvaluatedKey"), None);
        let mut rows: Vec<Row> = answer["Items"]
            .as_array()
            .unwrap()
            .iter()
            .map(Row::of)
            .collect();
        rows.sort_by_key(|row| row.rank);
        rows
    }
}

/// What a row of a candidate says.
#[derive(Debug)]
struct Row {
    id: String,
    rank: usize,
    similarity: f64,
    semantic: f64,
    district: f64,
    rate: f64,
    score: f64,
    state: String,
}

impl Row {
    fn of(row: &Value) -> Self {
        let number = |name: &str| -> f64 { row[name]["N"].as_str().unwrap().parse().unwrap() };
        let text = |name: &str| row[name]["S"].as_str().unwrap().to_owned();
        Self {
            id: text("employeeId"),
            rank: number("rank") as usize,
            similarity: number("similarity"),
            semantic: number("semanticPoints"),
            district: number("districtPoints"),
            rate: number("ratePoints"),
            score: number("score"),
            state: text("state"),
        }
    }

    fn is_near(&self, expected: &Candidate) -> bool {
        let pairs = [
            (self.similarity * 50.0, expected.similarity * 50.0),
            (self.semantic, expected.semantic),
            (self.district, expected.district),
            (self.rate, expected.rate),
            (self.score, expected.score),
        ];
        pairs
            .iter()
            .all(|(is, should)| (is - should).abs() <= TOLERANCE)
    }
}

fn differs(what: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(what))
}

/// The same people, in the same order, with the same scores, of whom the same are told.
fn compare(rows: &[Row], expected: &[Candidate], cap: usize) -> Result<(), TestCaseError> {
    let by_id: BTreeMap<&str, &Candidate> =
        expected.iter().map(|one| (one.id.as_str(), one)).collect();
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let expected_ids: BTreeSet<&str> = by_id.keys().copied().collect();
    if ids != expected_ids {
        let more: Vec<_> = ids.difference(&expected_ids).collect();
        let missing: Vec<_> = expected_ids.difference(&ids).collect();
        return differs(format!(
            "told or kept who should not be: {more:?}; left out: {missing:?}"
        ));
    }
    for (place, row) in rows.iter().enumerate() {
        let expected = by_id[row.id.as_str()];
        if row.rank != place + 1 {
            return differs(format!("{row:?} is on place {}", place + 1));
        }
        if !row.is_near(expected) {
            return differs(format!("{row:?} should be {expected:?}"));
        }
        let state = if place < cap { "told" } else { "reserve" };
        if row.state != state {
            return differs(format!("{row:?} should be {state}"));
        }
    }
    for pair in rows.windows(2) {
        let (before, after) = (by_id[pair[0].id.as_str()], by_id[pair[1].id.as_str()]);
        let falls = before.score > after.score + SAME;
        // Equal components are equal numbers, whoever adds them up; then the id decides.
        let tied = before.score == after.score && before.id < after.id;
        let too_close = before.score != after.score && (before.score - after.score).abs() <= SAME;
        if !(falls || tied || too_close) {
            return differs(format!("{before:?} stands before {after:?}"));
        }
    }
    Ok(())
}

/// The filters that exclude somebody, as far as they are told: of who is in nobody's list only the first reason is known.
fn filters_told(person: &Person, job: &Job) -> Vec<&'static str> {
    let mut all = filters(person, job);
    if all
        .first()
        .is_some_and(|first| ["incomplete", "inactive"].contains(first))
    {
        all.truncate(1);
    }
    all
}

async fn check(stage: &mut Stage, population: &Population) -> Result<(), TestCaseError> {
    stage.populate(&population.people).await;
    for job in &population.jobs {
        let job = stage.post(job).await;
        let expected = candidates(&population.people, &job, stage.cap);
        compare(&stage.rows(&job), &expected, stage.cap)?;
        for person in &population.people {
            let explained = explain(stage.world.observer.jobs(), &job.id, &person.id).await;
            let explained = explained.map_err(|failure| TestCaseError::fail(failure.chain()))?;
            let expected = filters_told(person, &job);
            if explained.excluded_by != expected {
                let said = explained.excluded_by;
                return differs(format!(
                    "{person:?} is excluded by {said:?}, should be by {expected:?}"
                ));
            }
        }
    }
    Ok(())
}

/// What a run met, to show that it tried what it is meant to try.
#[derive(Debug, Default)]
struct Met {
    populations: usize,
    people: usize,
    jobs: usize,
    candidates: usize,
    /// Somebody was excluded by this filter and no other.
    alone: BTreeMap<&'static str, usize>,
    ties: usize,
    beyond_the_cap: usize,
}

impl Met {
    fn add(&mut self, population: &Population, cap: usize) {
        self.populations += 1;
        self.people += population.people.len();
        self.jobs += population.jobs.len();
        for job in &population.jobs {
            for person in &population.people {
                if let [only] = filters(person, job)[..] {
                    *self.alone.entry(only).or_default() += 1;
                }
            }
            let found = candidates(&population.people, job, cap);
            self.candidates += found.len();
            self.beyond_the_cap += found.len().saturating_sub(cap);
            let tied = found
                .windows(2)
                .filter(|pair| pair[0].score == pair[1].score);
            self.ties += tied.count();
        }
    }
}

const FILTERS: [&str; 8] = [
    "incomplete",
    "inactive",
    "unavailable",
    "own-job",
    "not-seen",
    "bad-ratings",
    "rate-below-minimum",
    "dissimilar",
];

fn run(cap: usize) {
    let asked = std::env::var("MILLRACE_POPULATIONS").ok();
    let populations = asked.map_or(POPULATIONS, |number| number.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let begun = std::time::Instant::now();
    let stage = RefCell::new(runtime.block_on(Stage::new(cap)));
    let met = RefCell::new(Met::default());
    let config = Config {
        cases: populations,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&population(), |population| {
        met.borrow_mut().add(&population, cap);
        runtime.block_on(check(&mut stage.borrow_mut(), &population))
    });
    let met = met.into_inner();
    println!("cap {cap}: {met:?}, {:.1} s", begun.elapsed().as_secs_f64());
    ran.unwrap_or_else(|error| panic!("{error}"));
    if populations < MEETS_ALL {
        return;
    }
    let never: Vec<&str> = FILTERS
        .into_iter()
        .filter(|name| !met.alone.contains_key(name))
        .collect();
    assert_eq!(
        never,
        Vec::<&str>::new(),
        "these filters never decided alone"
    );
    assert!(met.ties > 0 && met.candidates > 0);
}

#[test]
fn random_populations_end_as_the_reference_says_with_a_cap_that_is_met() {
    run(3);
}

#[test]
fn random_populations_end_as_the_reference_says_with_the_usual_cap() {
    run(50);
}
