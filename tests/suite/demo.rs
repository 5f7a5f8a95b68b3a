//! The demonstration, as a stranger runs it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::PROGRAM;

fn millrace(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_demo_shows_who_was_told_of_a_job_and_who_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let shown = millrace(&["demo", "--data", data]);
    let (out, err) = (text(&shown.stdout), text(&shown.stderr));
    assert!(shown.status.success(), "{err}");
    let has = |parts: &[&str]| {
        let found = out
            .lines()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line has {parts:?} in\n{out}");
    };
    has(&["told", "區美玲", "84.26", "district 30", "rate 20.00"]);
    has(&["told", "Emma Clarke", "similarity 0.856"]);
    for (person, filter) in [
        ("黃偉文", "unavailable"),
        ("何家樂", "bad-ratings"),
        ("張志強", "not-seen"),
        ("林浩然", "rate-below-minimum"),
        ("吳詠詩", "own-job"),
        ("周慧敏", "incomplete"),
        ("鄭安怡", "inactive"),
    ] {
        has(&["not told", person, filter]);
    }
    has(&["not told", "dissimilar", "梁穎心"]);
    has(&["invalid-rate", "score-candidates"]);
    has(&["the job is closed", "區美玲 is busy"]);
    has(&["rejected", "陳小明"]);
    let got = out.split("What a subscriber got").nth(1).unwrap();
    let told = got.matches("candidate-matched").count();
    assert_eq!(told, 6, "{got}");

    // The command that the demo says to go on with.
    let said = err
        .lines()
        .find(|line| line.contains("explain-match"))
        .unwrap();
    let words: Vec<&str> = said.split_whitespace().skip(1).collect();
    let explained = millrace(&[&words[..], &["--json"]].concat());
    let explained: Value = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!(explained["verdict"], "excluded");
    assert_eq!(explained["excludedBy"][0], "unavailable");

    let unknown = millrace(&[
        "explain-match",
        "--job",
        "none",
        "--user",
        "nobody",
        "--data",
        data,
    ]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stdout).contains("never seen"));
}
