//! Jobs from posting to telling, on real workers: who is told, once, whatever happens side by side.

use std::collections::BTreeMap;

use millrace_cloud::Fault;
use millrace_effects::{Row, broken};
use millrace_jobs::{
    Jobs,
    candidates::State,
    explain::{Verdict, explain},
    invariants::{
        JobSnapshot, OF_A_JOB, OF_A_JOB_AT_REST, OF_A_PERSON, OF_A_PERSON_AT_REST, PersonSnapshot,
    },
    progress::Stage,
};
use millrace_tests::{State as Everything, World};
use serde_json::{Value, json};

const WAITER: &str = "有經驗茶餐廳侍應，負責落單、送餐和收枱。";
const JOB: &str = "job-1";
const EMPLOYER: &str = "employer";

async fn put(world: &World, table: &str, row: Value) {
    let item: millrace_events::Item = serde_json::from_value(row).unwrap();
    let row: Row = item.into();
    let put = world.clients.dynamodb.put_item().table_name(table);
    put.set_item(Some(row)).send().await.unwrap();
}

fn user(id: &str) -> Value {
    json!({
        "userId": {"S": id},
        "isActive": {"BOOL": true},
        "employeeStatus": {"S": "available"},
        "lastLoginAt": {"S": "2026-11-20T10:00:00.000Z"},
        "profiles": {"M": {"employee": {"M": {
            "jobDescription": {"S": WAITER},
            "preferredDistricts": {"L": [{"S": "Central"}]},
            "hourlyRateRange": {"M": {"min": {"N": "80"}, "max": {"N": "160"}}},
            "isComplete": {"BOOL": true},
        }}}},
    })
}

fn job(rate: &str) -> Value {
    json!({
        "jobId": {"S": JOB},
        "employerId": {"S": EMPLOYER},
        "title": {"S": "侍應"},
        "description": {"S": WAITER},
        "district": {"S": "Central"},
        "hourlyRate": {"N": rate},
        "status": {"S": "matching"},
    })
}

async fn put_user(world: &World, row: Value) {
    put(world, &world.names.jobs.users, row).await;
}

async fn put_job(world: &World, row: Value) {
    put(world, &world.names.jobs.jobs, row).await;
}

fn with(mut row: Value, name: &str, value: Value) -> Value {
    row[name] = value;
    row
}

async fn states(jobs: &Jobs) -> BTreeMap<String, State> {
    let rows = jobs.candidates.of_job(JOB).await.unwrap();
    rows.into_iter().map(|(id, row)| (id, row.state)).collect()
}

/// Everything that must hold of the job and of these people when all is quiet.
async fn all_holds(jobs: &Jobs, people: &[String]) {
    let job = JobSnapshot::read(jobs, JOB).await.unwrap();
    assert_eq!(broken(OF_A_JOB, &job), [""; 0]);
    assert_eq!(broken(OF_A_JOB_AT_REST, &job), [""; 0]);
    for person in people {
        let person = PersonSnapshot::read(jobs, person).await.unwrap();
        assert!(person.profile.is_some());
        assert_eq!(broken(OF_A_PERSON, &person), [""; 0]);
        assert_eq!(broken(OF_A_PERSON_AT_REST, &person), [""; 0]);
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("user-{number:03}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_are_told_up_to_the_cap_and_the_rest_are_in_reserve() {
    let world = World::in_process().await;
    let jobs = world.observer.jobs();
    let people = ids(130);
    for id in &people {
        put_user(&world, user(id)).await;
    }
    let busy = with(user("busy"), "employeeStatus", json!({"S": "busy"}));
    put_user(&world, busy).await;
    put_user(&world, user(EMPLOYER)).await;
    world.quiet().await;
    put_job(&world, job("120")).await;
    world.quiet().await;

    all_holds(jobs, &people).await;
    let states = states(jobs).await;
    assert_eq!(states.len(), people.len());
    let cap = jobs.rules.told_per_job;
    for (place, id) in people.iter().enumerate() {
        // Equal scores: by id.
        let expected = if place < cap {
            State::Told
        } else {
            State::Reserve
        };
        assert_eq!(states[id], expected, "{id}");
    }
    let told = explain(jobs, JOB, &people[0]).await.unwrap();
    assert_eq!((told.verdict, told.rank), (Verdict::Told, Some(1)));
    let components = told.components.unwrap();
    assert_eq!(
        (components.district_points, components.rate_points),
        (30.0, 10.0)
    );
    let beyond = explain(jobs, JOB, &people[cap]).await.unwrap();
    assert_eq!(beyond.verdict, Verdict::BeyondTheCap);
    for (id, filter) in [("busy", "unavailable"), (EMPLOYER, "own-job")] {
        let explained = explain(jobs, JOB, id).await.unwrap();
        assert_eq!(explained.excluded_by, [filter], "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_before_the_telling_withdraws_and_whoever_was_told_stays_told() {
    let world = World::in_process().await;
    let jobs = world.observer.jobs();
    let people = ids(3);
    for id in &people {
        put_user(&world, user(id)).await;
    }
    world.quiet().await;
    put_job(&world, job("120")).await;
    world.quiet_without(&["notify-candidate"]).await;
    let chosen = world.stream_event("notify-candidate").await.unwrap().0;

    // One is told; then the job pays less than anybody works for.
    let mut first = chosen.clone();
    first["Records"] = json!([chosen["Records"][0]]);
    world.deliver("notify-candidate", &first).await;
    put_job(&world, job("70")).await;
    world.quiet_without(&["notify-candidate"]).await;
    let report = world.deliver("notify-candidate", &chosen).await;
    let words = report.records.iter().map(|record| record.outcome.word());
    let words: Vec<_> = words.collect();
    assert_eq!(words, ["already", "superseded", "superseded"]);
    world.quiet().await;
    all_holds(jobs, &people).await;
    let of = |state| {
        let wanted = move |other: &&State| **other == state;
        move |states: &BTreeMap<String, State>| states.values().filter(wanted).count()
    };
    let now = states(jobs).await;
    assert_eq!((of(State::Told)(&now), of(State::Withdrawn)(&now)), (1, 2));

    // It pays again: the others are told, the first is not told again.
    put_job(&world, job("150")).await;
    world.quiet().await;
    all_holds(jobs, &people).await;
    assert_eq!(of(State::Told)(&states(jobs).await), 3);
    let told = jobs.candidates.of_job(JOB).await.unwrap();
    assert!(told.values().all(|row| row.still_matches != Some(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_side_by_side_end_as_one_after_the_other() {
    let mut ends = Vec::new();
    for at_once in [1, 4] {
        let world = World::in_process().await;
        let jobs = world.observer.jobs();
        let people = ids(120);
        for id in &people {
            put_user(&world, user(id)).await;
        }
        world.quiet().await;
        put_job(&world, job("100")).await;
        put_job(&world, job("140")).await;
        let (event, _) = world.stream_event("score-candidates").await.unwrap();
        // Each version by itself, and all copies at once: no order is promised between two deliveries.
        let records = event["Records"].as_array().unwrap();
        let copies = records.iter().flat_map(|record| {
            let one = json!({"Records": [record]});
            std::iter::repeat_n(one, at_once)
        });
        let copies: Vec<Value> = copies.collect();
        let deliveries = copies
            .iter()
            .map(|copy| world.deliver("score-candidates", copy));
        futures::future::join_all(deliveries).await;
        world.quiet().await;
        all_holds(jobs, &people).await;
        let progress = jobs.progress.read(JOB).await.unwrap().unwrap();
        assert_eq!(progress.status, Some(Stage::Scored));
        let end = Everything::of(&world).await;
        // Weeks later, and in the wrong order, it is all as it was.
        for record in records.iter().rev() {
            let late = json!({"Records": [record]});
            world.deliver("score-candidates", &late).await;
        }
        world.quiet().await;
        let after = Everything::of(&world).await;
        assert!(
            after == end,
            "{at_once} at once: a late delivery changed something"
        );
        ends.push(end);
    }
    assert!(ends[0] == ends[1], "side by side it ended otherwise");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_to_tell_is_carried_out_although_the_job_was_edited_since() {
    let world = World::in_process().await;
    let jobs = world.observer.jobs();
    let people = ids(1);
    put_user(&world, user(&people[0])).await;
    world.quiet().await;
    put_job(&world, job("120")).await;
    world.quiet_without(&["notify-candidate"]).await;
    let (event, _) = world.stream_event("notify-candidate").await.unwrap();
    // The worker ends after its decision, before it publishes.
    world.tap.arm(Some((2, Fault::DieBefore)));
    tokio::select! {
        _ = world.deliver("notify-candidate", &event) => panic!("it did not end"),
        () = world.tap.died() => {}
    }
    world.tap.arm(None);
    assert_eq!(states(jobs).await[&people[0]], State::Telling);
    put_job(&world, job("70")).await;
    world.quiet_without(&["notify-candidate"]).await;
    world.quiet().await;
    assert_eq!(states(jobs).await[&people[0]], State::Told);
    all_holds(jobs, &people).await;
}
