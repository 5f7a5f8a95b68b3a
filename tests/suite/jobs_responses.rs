//! Responses, a selection and the end of a job, heard of in every order: the end is always the same.

use std::time::Duration;

use millrace_tests::{State, World, has_failed};
use serde_json::{Value, json};

const RESPONDED: &str = "record-response";
const SETTLED: &str = "settle-job";

fn put(world: &World, table: &str, row: &Value) {
    let request = json!({"TableName": table, "Item": row});
    let dynamo = &world.services().dynamo;
    dynamo.call_json("PutItem", &request).unwrap();
}

fn put_job(world: &World, status: &str) {
    let row = json!({
        "jobId": {"S": "j"}, "employerId": {"S": "boss"}, "title": {"S": "急需侍應"}, "description": {"S": "繁忙餐廳"},
        "district": {"S": "Central"}, "hourlyRate": {"N": "120"}, "status": {"S": status},
    });
    put(world, &world.names.jobs.jobs, &row);
}

fn put_response(world: &World, id: &str, minute: u32, status: &str) {
    let row = json!({
        "responseId": {"S": id}, "jobId": {"S": "j"}, "employeeId": {"S": format!("of-{id}")},
        "respondedAt": {"S": format!("2026-11-21T04:{minute:02}:00.000Z")}, "status": {"S": status},
    });
    put(world, &world.names.jobs.matches, &row);
}

fn put_employee(world: &World, id: &str) {
    let row = json!({
        "userId": {"S": format!("of-{id}")}, "isActive": {"BOOL": true}, "employeeStatus": {"S": "available"},
        "currentJobId": {"NULL": true},
    });
    put(world, &world.names.jobs.users, &row);
}

fn row(state: &State, table: &str, key: &str) -> Value {
    state.rows[&format!("{table}/{{\"S\":\"{key}\"}}")].clone()
}

/// What happened, and nobody has heard of it yet: an event each.
async fn happened(world: &World, over: bool) -> Vec<(&'static str, Value)> {
    for id in ["r1", "r2", "r3"] {
        put_employee(world, id);
    }
    put_job(world, "matching");
    // The job is scored, and so known.
    world.quiet().await;
    world.wait(Duration::from_secs(600));
    put_response(world, "r1", 1, "pending");
    put_response(world, "r2", 2, "pending");
    // After the window.
    put_response(world, "r3", 17, "pending");
    put_response(world, "r2", 2, "selected");
    world.wait(Duration::from_secs(3_600));
    if over {
        put_job(world, "completed");
    }
    let mut events = Vec::new();
    for worker in [RESPONDED, SETTLED] {
        let Some((event, last)) = world.stream_event(worker).await else {
            continue;
        };
        for record in event["Records"].as_array().unwrap() {
            events.push((worker, json!({"Records": [record]})));
        }
        world.checkpoint(last);
    }
    events
}

async fn deliver(world: &World, (worker, event): &(&'static str, Value)) {
    let report = world.deliver(worker, event).await;
    assert!(!has_failed(&report), "{worker}: {report:?}");
}

/// Every order of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else {
        return vec![Vec::new()];
    };
    let shorter = orders(last).into_iter();
    shorter
        .flat_map(|order| {
            (0..=last).map(move |place| {
                let mut longer = order.clone();
                longer.insert(place, last);
                longer
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_of_responses_selection_and_end_it_ends_the_same() {
    for over in [false, true] {
        let mut first: Option<State> = None;
        let count = if over { 5 } else { 4 };
        for order in orders(count) {
            let world = World::in_process().await;
            let events = happened(&world, over).await;
            assert_eq!(events.len(), count);
            for index in &order {
                deliver(&world, &events[*index]).await;
            }
            world.quiet().await;
            // What was delayed comes, and everything comes once more.
            world.wait(Duration::from_secs(900));
            for event in &events {
                deliver(&world, event).await;
            }
            world.quiet().await;
            let state = State::of(&world).await;
            let Some(first) = &first else {
                says_what_it_should(&state, over);
                first = Some(state);
                continue;
            };
            assert_eq!(state.differences(first), Vec::<String>::new(), "{order:?}");
        }
    }
}

fn says_what_it_should(state: &State, over: bool) {
    let job = row(state, "jetbond-jobs", "j");
    let status = if over { "completed" } else { "closed" };
    assert_eq!(job["status"]["S"], status);
    let window = &job["matchingWindow"]["M"];
    assert_eq!(window["isOpen"]["BOOL"], false);
    assert_eq!(window["responses"]["L"].as_array().unwrap().len(), 2);
    assert_eq!(window["firstResponseAt"]["S"], "2026-11-21T04:01:00.000Z");
    let status = |id| row(state, "jetbond-matches", id)["status"]["S"].clone();
    assert_eq!(
        [status("r1"), status("r2"), status("r3")],
        ["rejected", "selected", "rejected"]
    );
    let chosen = row(state, "jetbond-users", "of-r2");
    let (word, bound) = if over {
        ("available", json!({"NULL": true}))
    } else {
        ("busy", json!({"S": "j"}))
    };
    assert_eq!(chosen["employeeStatus"]["S"], word);
    assert_eq!(chosen["currentJobId"], bound);
    let told = |kind: &str| {
        let word = format!("\"kind\":\"{kind}\"");
        let forms = state.notifications.values().flatten();
        forms.filter(|form| form.contains(&word)).count()
    };
    assert_eq!(
        [
            told("response-received"),
            told("selected"),
            told("rejected")
        ],
        [3, 2, 2]
    );
    assert!(state.letters.is_empty(), "{:?}", state.letters);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_busy_from_the_selection_to_the_end_and_not_again() {
    let world = World::in_process().await;
    put_employee(&world, "r1");
    put_job(&world, "matching");
    put_response(&world, "r1", 0, "pending");
    world.quiet().await;
    put_response(&world, "r1", 0, "selected");
    let (selection, _) = world.stream_event(RESPONDED).await.unwrap();
    world.quiet().await;
    let employee = |state: &State| row(state, "jetbond-users", "of-r1");
    let state = State::of(&world).await;
    assert_eq!(employee(&state)["employeeStatus"]["S"], "busy");
    // The platform writes its row as it had read it before: the job is not looked for again.
    put_job(&world, "matching");
    world.quiet().await;
    let state = State::of(&world).await;
    assert_eq!(row(&state, "jetbond-jobs", "j")["status"]["S"], "closed");
    assert_eq!(employee(&state)["currentJobId"]["S"], "j");

    world.wait(Duration::from_secs(60));
    put_job(&world, "completed");
    world.quiet().await;
    let state = State::of(&world).await;
    assert_eq!(employee(&state)["employeeStatus"]["S"], "available");
    let job = row(&state, "jetbond-jobs", "j");
    assert!(job["expiresAt"]["N"].is_string() && job["matchingWindow"]["M"].is_object());
    world.deliver(RESPONDED, &selection).await;
    world.quiet().await;
    assert_eq!(
        State::of(&world).await.differences(&state),
        Vec::<String>::new()
    );
}
