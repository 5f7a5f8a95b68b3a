//! `millrace analytics`: what differs is named, and a rebuild mends it.

use std::process::{Command, Output};

use millrace_local::Services;
use millrace_ops::platform::Platform;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_millrace-under-test");
const FIXTURES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../events-fixtures/marketing/aggregate-analytics"
);

fn millrace(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn figures_without_a_source_are_named_and_a_rebuild_mends_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    // The records of a match and a campaign whose rows are not there.
    for event in ["step", "new-campaign"] {
        let event = format!("{FIXTURES}/{event}.json");
        let fed = millrace(&[
            "feed",
            &event,
            "--to",
            "aggregate-analytics",
            "--data",
            data,
        ]);
        assert!(fed.status.success(), "{fed:?}");
    }
    let verify = || millrace(&["analytics", "verify", "--json", "--data", data]);
    let found = verify();
    assert_eq!(found.status.code(), Some(1));
    let differences = lines(&found);
    let says = |words: &str| {
        let said = differences
            .iter()
            .filter_map(|line| line["difference"].as_str());
        { said }.any(|line| line.contains(words))
    };
    assert!(says(
        "entered.CONTACTED of all in 2026-11-20#all is 1, should be 0"
    ));
    assert!(says("budget of all in ever#all is 500000, should be 0"));
    let rebuilt = millrace(&["analytics", "rebuild", "--json", "--data", data]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert_eq!(lines(&rebuilt)[0]["emptied"], 2);
    let right = verify();
    assert_eq!(right.status.code(), Some(0));
    assert_eq!(lines(&right), [json!({"differences": 0})]);
}

fn campaign(id: &str) -> Value {
    json!({
        "PK": {"S": format!("CAMPAIGN#{id}")}, "SK": {"S": "STORE#mill"}, "status": {"S": "active"},
        "budget": {"M": {"total": {"N": "5000"}}},
    })
}

fn one_match(id: &str, campaign: &str, status: &str) -> Value {
    json!({
        "PK": {"S": format!("MATCH#{id}")}, "SK": {"S": format!("STORE#mill#CREATOR#of-{id}")},
        "campaignId": {"S": campaign}, "status": {"S": status}, "matchScore": {"N": "72.5"},
    })
}

fn put(services: &Services, table: &str, row: Value) {
    let request = json!({"TableName": table, "Item": row});
    services.dynamo.call_json("PutItem", &request).unwrap();
}

/// Two matches of `spring`; one moves along, the other goes to `autumn`.
async fn matches_move(data: &std::path::Path) {
    let mut platform = Platform::open_owned(data).await.unwrap();
    platform.start();
    let names = platform.names().marketing.clone();
    let services = platform.cloud().unwrap().services().clone();
    for id in ["spring", "autumn"] {
        put(&services, &names.campaigns, campaign(id));
    }
    for (id, campaign, status) in [
        ("m-1", "spring", "PENDING"),
        ("m-2", "spring", "PENDING"),
        ("m-1", "spring", "CONTACTED"),
        ("m-2", "autumn", "PENDING"),
        ("m-2", "autumn", "CONTACTED"),
    ] {
        let row = one_match(id, campaign, status);
        put(&services, &names.matches, row);
        platform.wait_idle().await;
    }
    platform.stop().await;
}

/// Somebody writes into tables that are none of theirs.
async fn meddle(data: &std::path::Path) {
    let platform = Platform::open_owned(data).await.unwrap();
    let names = &platform.names().marketing;
    let services = platform.cloud().unwrap().services();
    let rows = |table: &str| {
        let scan = services
            .dynamo
            .call_json("Scan", &json!({"TableName": table}));
        scan.unwrap()["Items"].as_array().unwrap().clone()
    };
    let text = |row: &Value, name: &str| row[name]["S"].as_str().unwrap().to_owned();
    let mut total = rows(&names.campaign_totals);
    let mut total = total.remove(
        { &total }
            .iter()
            .position(|row| text(row, "scope").ends_with("campaign#spring"))
            .unwrap(),
    );
    total["in.ACCEPTED"] = json!({"N": "7"});
    put(services, &names.campaign_totals, total);
    let stray = json!({"campaignId": {"S": "spring"}, "matchId": {"S": "m-2"}, "since": {"S": "2026-11-21T04:00:00Z"}});
    put(services, &names.campaign_creators, stray);
    let key = json!({"campaignId": {"S": "autumn"}, "matchId": {"S": "m-2"}});
    let gone = json!({"TableName": names.campaign_creators, "Key": key});
    services.dynamo.call_json("DeleteItem", &gone).unwrap();
    let mut row = { rows(&names.campaigns) }
        .into_iter()
        .find(|row| text(row, "PK") == "CAMPAIGN#autumn")
        .unwrap();
    // Nobody who follows the totals writes over what tells of more than they have.
    row["projectedChanges"] = json!({"N": "1000"});
    row["creatorsTotal"] = json!({"N": "9"});
    put(services, &names.campaigns, row);
}

#[tokio::test(flavor = "multi_thread")]
async fn campaigns_and_their_rows_are_compared_and_mended_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    matches_move(folder.path()).await;
    let verify = || millrace(&["analytics", "verify", "--json", "--data", data]);
    let right = verify();
    assert_eq!(lines(&right), [json!({"differences": 0})]);

    meddle(folder.path()).await;
    let found = lines(&verify());
    let said: Vec<String> = { &found }
        .iter()
        .filter_map(|line| {
            Some(format!(
                "{}: {}",
                line["of"].as_str()?,
                line["difference"].as_str()?
            ))
        })
        .collect();
    for expected in [
        "campaigns: total: in.ACCEPTED of all in campaign#spring is 7, should be 0",
        "campaigns: entry campaignId=autumn, matchId=m-2: is missing",
        "campaigns: entry campaignId=spring, matchId=m-2: should not be there",
    ] {
        assert!(
            said.iter().any(|said| said == expected),
            "{expected}: {said:#?}"
        );
    }
    let of_row = said
        .iter()
        .find(|said| said.contains("row of campaign autumn"));
    let of_row = of_row.unwrap();
    for name in ["creators", "creatorsTotal", "projectedChanges"] {
        assert!(of_row.contains(name), "{of_row}");
    }
    assert!(
        !said.iter().any(|said| said.starts_with("figures")),
        "{said:#?}"
    );

    let rebuilt = millrace(&["analytics", "rebuild", "--json", "--data", data]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert_eq!(lines(&rebuilt)[1]["strays"], 1);
    let right = verify();
    assert_eq!(lines(&right), [json!({"differences": 0})]);
}
