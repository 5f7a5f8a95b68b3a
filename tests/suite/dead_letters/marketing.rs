//! The commands on letters of the marketing product's workers: they come about by the platform's own rows, as they do in life.

use millrace_marketing::Names;
use millrace_ops::platform::Platform;
use serde_json::{Value, json};

use super::commands::Bench;
use crate::PROGRAM;

const STORE: &str = "b2e85d17-94c3-4f60-a7d8-1c5f3e9b6042";
const CREATOR: &str = "0f4c7a52-6b1d-4e93-8a20-5d7e91c3b6f4";
const MATCH: &str = "5c0e9b41-7d26-4a83-9f15-e3b8a2d6c470";
const CAMPAIGN: &str = "3d9a6f08-2c74-4b1e-8e5d-96f0a1b7c352";

async fn write(bench: &Bench, row: impl FnOnce(&Names) -> (String, Value)) {
    bench.write(|names, _| row(&names.marketing)).await;
}

fn campaign(budget: Value) -> Value {
    json!({
        "PK": {"S": format!("CAMPAIGN#{CAMPAIGN}")}, "SK": {"S": format!("STORE#{STORE}")},
        "GSI2PK": {"S": format!("STORE#{STORE}")}, "GSI2SK": {"S": "DATE#2026-11-20"},
        "status": {"S": "active"}, "budget": {"M": {"total": budget}},
    })
}

fn one_match(status: &str) -> Value {
    json!({
        "PK": {"S": format!("MATCH#{MATCH}")}, "SK": {"S": format!("STORE#{STORE}#CREATOR#{CREATOR}")},
        "matchScore": {"N": "87.5"}, "status": {"S": status}, "notes": {"S": "asked by Sujin"},
    })
}

fn channel(subscribers: Value) -> Value {
    json!({
        "PK": {"S": format!("CREATOR#{CREATOR}")}, "SK": {"S": "PLATFORM#youtube"},
        "channelName": {"S": "Sujin eats"}, "status": {"S": "active"}, "category": {"S": "cafe"},
        "statistics": {"M": {"subscribers": subscribers}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_match_is_shown_with_its_rows_and_kept_as_a_fixture() {
    let bench = Bench::with(&[]).await;
    write(&bench, |names| {
        (names.campaigns.clone(), campaign(json!({"N": "900000"})))
    })
    .await;
    for status in ["PENDING", "NEGOTIATING"] {
        write(&bench, |names| (names.matches.clone(), one_match(status))).await;
    }
    let id = bench.id_of("track-match");
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["letter"]["reason"], "invalid-transition");
    let subject = &shown["subject"];
    assert_eq!(subject["name"], format!("match {MATCH}"));
    let part = |name: &str| {
        let parts = subject["parts"].as_array().unwrap();
        let part = parts.iter().find(|part| part[0] == name);
        part.unwrap_or_else(|| panic!("no {name}: {subject}"))[1].clone()
    };
    // The platform's row says one thing, what counts is another.
    assert_eq!(part("row")["status"], "NEGOTIATING");
    assert_eq!(part("row")["GSI2PK"], "STATUS#PENDING");
    assert_eq!(part("progress")["status"], "PENDING");
    assert_eq!(part("progress")["campaignId"], CAMPAIGN);
    assert_eq!(part("campaign")["PK"], format!("CAMPAIGN#{CAMPAIGN}"));
    assert_eq!(part("campaign")["creatorsTotal"], 1);
    assert_eq!(bench.verdict(&id)["verdict"], "still-failing");

    let folder = bench.folder().join("fixtures");
    let into = folder.to_str().unwrap();
    bench.ok(&["fixture", &id, "--into", into, "--name", "leapt"]);
    let file = folder.join("leapt.json");
    let text = std::fs::read_to_string(&file).unwrap();
    for told in ["Sujin", STORE, CREATOR, MATCH, CAMPAIGN] {
        assert!(!text.contains(told), "{told}: {text}");
    }
    let fixture = millrace_ops::fixture::load(&file).unwrap();
    let tables = fixture.given.rows.iter().map(|row| row.table.as_str());
    let tables: Vec<&str> = tables.collect();
    assert_eq!(
        tables,
        [
            "dot-marketing-matches",
            "dot-marketing-match-progress",
            "dot-marketing-campaigns"
        ]
    );
    let child = millrace_text::Child::program(std::path::Path::new(PROGRAM));
    let report = millrace_ops::fixture::run(&fixture, bench.folder(), child);
    let difference = fixture.expect.difference(&report.await.unwrap());
    assert!(difference.is_none(), "{difference:?}");
    let expected = serde_json::to_value(&fixture.expect.records).unwrap();
    let parked = json!([{"outcome": "parked", "reason": "invalid-transition"}]);
    assert_eq!(expected, parked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_creator_is_shown_with_the_row_as_it_was_mended_since() {
    let bench = Bench::with(&[]).await;
    write(&bench, |names| {
        (names.creators.clone(), channel(json!({"S": "many"})))
    })
    .await;
    let id = bench.id_of("classify-creator");
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["letter"]["reason"], "malformed-row");
    let name = format!("creator {CREATOR}, PLATFORM#youtube");
    assert_eq!(shown["subject"]["name"], name);
    assert_eq!(bench.verdict(&id)["verdict"], "still-failing");
    let mended = channel(json!({"N": "54000"}));
    write(&bench, |names| (names.creators.clone(), mended)).await;
    let said = bench.ok(&["show", &id]);
    assert!(said.contains(&format!("{name} now:")), "{said}");
    assert!(said.contains("INFLUENCE_TIER#mid"), "{said}");
    assert!(said.contains("matched: {"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_a_campaign_is_shown_with_its_figures() {
    let bench = Bench::with(&[]).await;
    write(&bench, |names| {
        (names.campaigns.clone(), campaign(json!({"N": "900000"})))
    })
    .await;
    write(&bench, |names| {
        (names.matches.clone(), one_match("PENDING"))
    })
    .await;
    write(&bench, |names| {
        (names.campaigns.clone(), campaign(json!({"S": "much"})))
    })
    .await;
    for worker in ["update-campaign", "aggregate-analytics"] {
        let id = bench.id_of(worker);
        let shown = bench.json(&["show", &id]).remove(0);
        assert_eq!(shown["letter"]["reason"], "malformed-row");
        assert_eq!(shown["subject"]["name"], format!("campaign {CAMPAIGN}"));
        let parts = shown["subject"]["parts"].as_array().unwrap();
        let names: Vec<&Value> = parts.iter().map(|part| &part[0]).collect();
        assert_eq!(names, ["row", "counted", "figures"]);
        assert_eq!(parts[2][1]["in"]["PENDING"], 1);
        assert_eq!(bench.verdict(&id)["verdict"], "still-failing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_could_not_be_made_is_shown_and_made_once_its_campaign_is_there() {
    let asked = json!({"campaignId": CAMPAIGN}).to_string();
    let bench = Bench::with(&[("millrace-publish-report", asked)]).await;
    let any = channel(json!({"N": "54000"}));
    write(&bench, |names| (names.creators.clone(), any)).await;

    let id = bench.id_of("publish-report");
    let shown = bench.json(&["show", &id]).remove(0);
    assert_eq!(shown["letter"]["reason"], "unknown-campaign");
    let subject = &shown["subject"];
    assert_eq!(subject["name"], format!("report of campaign {CAMPAIGN}"));
    let file = format!("reports/campaigns/{CAMPAIGN}.html");
    assert_eq!(subject["parts"][2], json!([file, null]));
    assert_eq!(bench.verdict(&id)["verdict"], "still-failing");

    write(&bench, |names| {
        (names.campaigns.clone(), campaign(json!({"N": "900000"})))
    })
    .await;
    assert_eq!(bench.verdict(&id)["verdict"], "would-apply");
    assert_eq!(bench.replayed(&id), "applied");
    assert!(bench.json(&["list"]).is_empty());
    let lies = bench.look(|names, _| names.marketing.reports.clone()).await;
    let platform = Platform::open_owned(&bench.data()).await.unwrap();
    let head = platform.clients().s3.head_object().bucket(lies).key(&file);
    head.send().await.unwrap();
}
