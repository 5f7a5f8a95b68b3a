use std::collections::BTreeMap;

use millrace_vectors::Embedding;
use time::macros::datetime;

use super::*;
use crate::{
    candidates::{Round, plan},
    progress::Counts,
    rows::RateRange,
    scoring::judge,
};

fn vector(x: f32, y: f32) -> Embedding {
    Embedding::try_new(vec![x, y], 2).unwrap()
}

fn rows() -> Rows {
    let wanted = Wanted {
        employer_id: "employer".to_owned(),
        district: Some("Central".to_owned()),
        hourly_rate: 120.0,
        as_of: datetime!(2026-11-21 04:00 UTC),
        embedding: vector(1.0, 0.0),
    };
    Rows {
        progress: Some(Progress {
            version: Some("1".to_owned()),
            status: Some(Stage::Scored),
            counts: Some(Counts {
                found: 9,
                qualified: 4,
                cap: 1,
            }),
            ..Progress::default()
        }),
        profile: Some(Profile {
            user_id: "u-1".to_owned(),
            present: true,
            available: true,
            last_seen: Some(1_795_233_600_000),
            embedding: Some(vector(0.8, 0.6)),
            rates: Some(RateRange {
                min: 100.0,
                max: 140.0,
            }),
            ..Profile::default()
        }),
        wanted: Some(wanted),
        candidate: None,
    }
}

fn with_candidate(state: State) -> Rows {
    let mut rows = rows();
    let score = judge(
        rows.wanted.as_ref().unwrap(),
        rows.profile.as_ref().unwrap(),
    );
    let ranked = [("u-1".to_owned(), score.unwrap())];
    let round = Round {
        job_id: "j-1",
        version: "1",
        as_of: "then",
        ranked: &ranked,
        cap: 1,
        now: "now",
    };
    let mut row = plan(&round, &BTreeMap::new()).remove(0);
    row.state = state;
    rows.candidate = Some(row);
    rows
}

fn said(rows: &Rows) -> (Verdict, String) {
    let explained = of_rows("j-1", "u-1", rows);
    (explained.verdict, explained.because)
}

#[test]
fn whoever_was_told_is_told_with_which_points() {
    let mut rows = with_candidate(State::Told);
    rows.candidate.as_mut().unwrap().notified_at = Some("2026-11-21T04:00:01.000Z".to_owned());
    let (verdict, because) = said(&rows);
    assert_eq!(verdict, Verdict::Told);
    assert_eq!(
        because,
        "told at 2026-11-21T04:00:01.000Z, with 50.00 points"
    );
    let text = of_rows("j-1", "u-1", &rows).to_string();
    assert!(
        text.contains("  text      40.00 of 50 (similarity 0.8000)"),
        "{text}"
    );
    assert!(text.contains("  rate      10.00 of 20"), "{text}");
}

#[test]
fn whoever_qualifies_beyond_the_cap_is_told_so() {
    let (verdict, because) = said(&with_candidate(State::Reserve));
    assert_eq!(verdict, Verdict::BeyondTheCap);
    assert_eq!(
        because,
        "qualified with 50.00 points and rank 1, but only 1 of 4 who qualify are told"
    );
}

#[test]
fn every_filter_that_excludes_is_named() {
    let mut rows = rows();
    let profile = rows.profile.as_mut().unwrap();
    profile.available = false;
    profile.last_seen = None;
    let explained = of_rows("j-1", "u-1", &rows);
    assert_eq!(explained.verdict, Verdict::Excluded);
    assert_eq!(explained.excluded_by, ["unavailable", "not-seen"]);
    assert_eq!(explained.because, "excluded by unavailable, not-seen");
    assert_eq!(explained.filters.len(), Excluded::ALL.len());
    assert_eq!(
        explained
            .filters
            .iter()
            .filter(|check| !check.passed)
            .count(),
        2
    );
}

#[test]
fn a_profile_that_is_not_in_the_index_says_why() {
    for (word, filter, part) in [
        ("incomplete", "incomplete", "not complete"),
        ("inactive", "inactive", "inactive"),
        ("gone", "incomplete", "gone"),
        (
            "invalid-rate",
            "incomplete",
            "invalid-rate; see its dead letter",
        ),
    ] {
        let mut rows = rows();
        rows.profile = Some(Profile {
            user_id: "u-1".to_owned(),
            excluded: Some(word.to_owned()),
            ..Profile::default()
        });
        let explained = of_rows("j-1", "u-1", &rows);
        assert_eq!(explained.excluded_by, [filter], "{word}");
        assert!(explained.because.contains(part), "{}", explained.because);
        assert!(explained.components.is_none());
    }
}

#[test]
fn what_is_not_known_is_said() {
    assert_eq!(said(&rows()).0, Verdict::ChangedSince);
    assert_eq!(said(&Rows::default()).0, Verdict::UnknownJob);
    let stage = |stage| {
        let mut rows = rows();
        rows.progress.as_mut().unwrap().status = Some(stage);
        said(&rows).0
    };
    assert_eq!(stage(Stage::Scoring), Verdict::NotScoredYet);
    assert_eq!(stage(Stage::Failed), Verdict::JobFailed);
    let mut nobody = rows();
    nobody.profile = None;
    assert_eq!(said(&nobody).0, Verdict::UnknownPerson);
}
