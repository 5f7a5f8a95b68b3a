//! `millrace analytics`: what differs is named, and a rebuild mends it.

use std::process::{Command, Output};

use serde_json::Value;

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
    assert_eq!(lines(&right), [serde_json::json!({"differences": 0})]);
}
