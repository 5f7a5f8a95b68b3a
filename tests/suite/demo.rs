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

    // A day of matches: who moved where, what the campaigns come to, and pages to open.
    has(&[
        "골목 카페 수첩",
        "PENDING → CONTACTED → RESPONDED → NEGOTIATING → ACCEPTED → COMPLETED",
    ]);
    has(&["국수로드", "NEGOTIATING → REJECTED"]);
    // The step that the workflow does not have is no part of the way.
    has(&["책과 바람", "PENDING → CONTACTED"]);
    has(&["invalid-transition", "track-match"]);
    has(&[
        "가을 신메뉴 알리기",
        "spent 150000, committed 420000, remaining 630000 of 1200000",
    ]);
    has(&[
        "겨울 방어 축제",
        "spent 0, committed 1800000, remaining 4200000 of 6000000",
    ]);
    let pages: Vec<&str> = out
        .lines()
        .filter_map(|line| line.trim().strip_prefix("file://"))
        .collect();
    assert_eq!(pages.len(), 4, "{out}");
    let page = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(page(pages[0]).contains("망원 물레방아"), "{}", pages[0]);
    assert!(pages.iter().any(|path| page(path).contains("₩630,000")));
    let figures: Value = serde_json::from_str(&page(&pages[0].replace(".html", ".json"))).unwrap();
    // Five accepted, two rejected.
    assert_eq!(figures["all"]["soFar"]["successRate"]["percent"], "71.43");

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
