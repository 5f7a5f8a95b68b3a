//! The commands on letters of the jobs product's workers: they come about by the platform's own rows, as they do in life.

use millrace_jobs::Names;
use millrace_local::Services;
use millrace_tests::jobs::people::{Job, Person, Range};
use serde_json::{Value, json};

use super::commands::Bench;
use crate::PROGRAM;

/// 2026-11-21T04:00:00Z.
const NOW: i64 = 1_795_233_600_000;

async fn write(bench: &Bench, row: impl FnOnce(&Names, &Services) -> (String, Value)) {
    bench
        .write(|names, services| row(&names.jobs, services))
        .await;
}

async fn look<T>(bench: &Bench, at: impl FnOnce(&Names, &Services) -> T) -> T {
    bench
        .look(|names, services| at(&names.jobs, services))
        .await
}

fn row(services: &Services, table: &str, key: Value) -> Value {
    let request = json!({"TableName": table, "Key": key});
    let answer = services.dynamo.call_json("GetItem", &request).unwrap();
    answer["Item"].clone()
}

fn person(id: &str, range: Range) -> Person {
    let description = "Waitress with two years behind the bar of a coffee shop";
    Person {
        range,
        ..Person::suitable(id, description, 0.0, NOW)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_user_is_shown_explained_kept_as_a_fixture_edited_and_replayed() {
    let bench = Bench::with(&[]).await;
    let grace = person("grace", Range::Both(60.0, 150.0));
    write(&bench, |names, _| (names.users.clone(), grace.row())).await;
    // As the platform changes one value of a row, which has our vector by now.
    write(&bench, |names, services| {
        let key = json!({"userId": {"S": "grace"}});
        let mut user = row(services, &names.users, key);
        user["profiles"]["M"]["employee"]["M"]["hourlyRateRange"]["M"]["min"] = json!({"N": "-5"});
        (names.users.clone(), user)
    })
    .await;
    let id = bench.id_of("embed-profile");

    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["letter"]["reason"], "invalid-rate");
    assert_eq!(shown["subject"]["name"], "user grace");
    let said = bench.ok(&["show", &id]);
    assert!(said.contains("user grace now:"), "{said}");
    assert!(said.contains("\"excluded\": \"invalid-rate\""), "{said}");
    assert!(said.contains("\"currentMode\": \"employee\""), "{said}");
    assert!(said.contains("indexed: null"), "{said}");

    let failing = bench.verdict(&id);
    assert_eq!(failing["verdict"], "still-failing", "{failing}");
    assert_eq!(failing["reason"], "invalid-rate", "{failing}");

    let folder = bench.folder().join("fixtures");
    let into = folder.to_str().unwrap();
    bench.ok(&["fixture", &id, "--into", into, "--name", "below-nothing"]);
    let file = folder.join("below-nothing.json");
    let text = std::fs::read_to_string(&file).unwrap();
    for told in ["grace", "Someone", "coffee"] {
        assert!(!text.contains(told), "{told}: {text}");
    }
    let fixture = millrace_ops::fixture::load(&file).unwrap();
    let tables = fixture.given.rows.iter().map(|row| row.table.as_str());
    let tables: Vec<&str> = tables.collect();
    assert_eq!(tables, ["jetbond-users", "jetbond-profiles"]);
    let child = millrace_text::Child::program(std::path::Path::new(PROGRAM));
    let report = millrace_ops::fixture::run(&fixture, bench.folder(), child);
    let difference = fixture.expect.difference(&report.await.unwrap());
    assert!(difference.is_none(), "{difference:?}");
    let expected = serde_json::to_value(&fixture.expect.records).unwrap();
    let parked = json!([{"outcome": "parked", "reason": "invalid-rate"}]);
    assert_eq!(expected, parked);

    // DynamoDB's numbers are texts, so the value is given as one.
    let place = "/dynamodb/NewImage/profiles/M/employee/M/hourlyRateRange/M/min/N";
    let edited = bench.json(&["edit", &id, "--set", &format!("{place}=\"80\"")]);
    let edited = edited[0]["id"].as_str().unwrap();
    let before = look(&bench, profile_of("grace")).await;
    assert_eq!(before["excluded"], json!({"S": "invalid-rate"}));
    assert_eq!(bench.verdict(edited)["verdict"], "would-apply");
    assert_eq!(look(&bench, profile_of("grace")).await, before);

    assert_eq!(bench.replayed(edited), "applied");
    assert!(bench.json(&["list"]).is_empty());
    let after = look(&bench, profile_of("grace")).await;
    assert_eq!(after["rateMin"], json!({"N": "80"}));
    assert_eq!(after["present"], json!({"BOOL": true}));
}

fn profile_of(user: &str) -> impl FnOnce(&Names, &Services) -> Value {
    let key = json!({"userId": {"S": user}});
    move |names, services| row(services, &names.profiles, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_came_before_its_job_is_replayed_once_the_job_is_there() {
    let bench = Bench::with(&[]).await;
    let response = json!({
        "responseId": {"S": "r-1"}, "jobId": {"S": "j-1"}, "employeeId": {"S": "grace"},
        "status": {"S": "pending"}, "respondedAt": {"S": "2026-11-21T04:05:00.000Z"},
    });
    write(&bench, |names, _| (names.matches.clone(), response)).await;
    let id = bench.id_of("record-response");
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["letter"]["reason"], "unknown-job");
    assert_eq!(shown["subject"]["name"], "response r-1");
    let failing = bench.verdict(&id);
    assert_eq!(failing["reason"], "unknown-job", "{failing}");

    let job = Job {
        id: "j-1".to_owned(),
        employer: "hopper".to_owned(),
        title: "Waitress".to_owned(),
        description: "Serve coffee".to_owned(),
        changed_millis: NOW,
        district: Some("Central"),
        rate: 90.0,
        vector: [0.0; 8],
    };
    write(&bench, |names, _| (names.jobs.clone(), job.row())).await;
    let noted = |names: &Names, services: &Services| {
        let key = json!({"jobId": {"S": "j-1"}});
        row(services, &names.progress, key)["responses"].clone()
    };
    assert_eq!(bench.verdict(&id)["verdict"], "would-apply");
    assert_eq!(look(&bench, noted).await, Value::Null);
    let shown = bench.ok(&["show", &id]);
    assert!(shown.contains("progress: {"), "{shown}");
    assert_eq!(bench.replayed(&id), "applied");
    let noted = look(&bench, noted).await;
    assert_eq!(noted["M"]["r-1"]["M"]["employeeId"], json!({"S": "grace"}));
    assert!(bench.json(&["list"]).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_job_is_shown_with_its_progress_edited_and_replayed() {
    let bench = Bench::with(&[]).await;
    let job = json!({
        "jobId": {"S": "j-2"}, "employerId": {"S": "hopper"}, "title": {"S": "Waitress"},
        "description": {"S": "Serve coffee"}, "hourlyRate": {"N": "85"}, "status": {"S": "matching"},
    });
    write(&bench, |names, _| (names.jobs.clone(), job)).await;
    write(&bench, |names, services| {
        let key = json!({"jobId": {"S": "j-2"}});
        let mut job = row(services, &names.jobs, key);
        job["hourlyRate"] = json!({"S": "ninety"});
        (names.jobs.clone(), job)
    })
    .await;
    let id = bench.id_of("score-candidates");
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["subject"]["name"], "job j-2");
    let said = bench.ok(&["show", &id]);
    assert!(said.contains("\"failed\": \"invalid-rate\""), "{said}");
    assert_eq!(bench.verdict(&id)["verdict"], "still-failing");
    let place = "/dynamodb/NewImage/hourlyRate={\"N\":\"90\"}";
    let edited = bench.json(&["edit", &id, "--set", place]);
    let edited = edited[0]["id"].as_str().unwrap();
    assert_eq!(bench.replayed(edited), "applied");
    let scored = look(&bench, |names, services| {
        let key = json!({"jobId": {"S": "j-2"}});
        row(services, &names.progress, key)
    });
    let scored = scored.await;
    assert_eq!(scored["status"], json!({"S": "scored"}));
    assert_eq!(scored["job"]["M"]["hourlyRate"], json!({"N": "90"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_row_that_was_mended_since_is_superseded() {
    let bench = Bench::with(&[]).await;
    let wrong = person("grace", Range::Both(-5.0, 150.0));
    write(&bench, |names, _| (names.users.clone(), wrong.row())).await;
    let id = bench.id_of("embed-profile");
    let right = person("grace", Range::Both(80.0, 150.0));
    write(&bench, |names, _| (names.users.clone(), right.row())).await;
    assert_eq!(bench.verdict(&id)["verdict"], "superseded");
    assert_eq!(bench.replayed(&id), "superseded");
    assert!(bench.json(&["list"]).is_empty());
    let profile = look(&bench, profile_of("grace")).await;
    assert_eq!(profile["rateMin"], json!({"N": "80"}));
    assert_eq!(profile["present"], json!({"BOOL": true}));
}
