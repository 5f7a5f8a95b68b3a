//! What the recorder keeps, and that it is never in the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use millrace_cloud::{Clients, Settings};
use millrace_delivery::{
    Fixture, Recorder, Said,
    recorder::{FolderStore, RecordStore, Rule},
};
use millrace_events::{Failure, Record, open, reason};
use serde_json::{Value, json};
use support::*;

/// Keeps fixtures in memory, or does what it should not.
#[derive(Debug, Default)]
struct Kept {
    fixtures: Mutex<BTreeMap<String, Fixture>>,
    writes: Mutex<u32>,
    does: Does,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Does {
    #[default]
    Keep,
    Refuse,
    Hang,
    Panic,
}

#[async_trait]
impl RecordStore for Kept {
    async fn keep(&self, name: &str, fixture: Vec<u8>) -> Result<(), Failure> {
        *self.writes.lock().unwrap() += 1;
        match self.does {
            Does::Keep => {}
            Does::Refuse => return Err(Failure::permanent(reason::ACCESS_DENIED, "no")),
            Does::Hang => std::future::pending().await,
            Does::Panic => panic!("in the store"),
        }
        let fixture = Fixture::from_value(serde_json::from_slice(&fixture).unwrap()).unwrap();
        self.fixtures
            .lock()
            .unwrap()
            .entry(name.to_owned())
            .or_insert(fixture);
        Ok(())
    }

    fn subjects(&self) -> Option<&str> {
        Some("s3://b/fixtures/")
    }
}

fn recorded(rule: Rule, does: Does, script: fn(&Record) -> Step) -> (Bench, Arc<Kept>) {
    let kept = Arc::new(Kept {
        does,
        ..Kept::default()
    });
    let mut bench = bench(script);
    let recorder = Recorder::new(rule, kept.clone()).keep_words(&["documents"]);
    bench.delivery = bench.delivery.with_recorder(Arc::new(recorder));
    (bench, kept)
}

fn script(record: &Record) -> Step {
    match record.subject.as_str() {
        subject if subject.contains("locked") => Step::Permanent,
        subject if subject.contains("busy") => Step::Transient,
        _ => Step::Apply,
    }
}

fn fixtures(kept: &Kept) -> Vec<Fixture> {
    kept.fixtures.lock().unwrap().values().cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn each_message_becomes_a_fixture_in_its_envelope_with_what_came_of_it() {
    let (bench, kept) = recorded(Rule::All, Does::Keep, script);
    let locked = creation("documents/ada/locked.pdf", "0A");
    let message = message_with(
        "6a0e0b4c-8c5f-4f0e-9a1b-0b7a5f0c3d21",
        batch([locked]).to_string(),
        2,
    );
    let busy = message_with(
        "1f9d3c52-0a3b-4f4e-8d4e-2a6b7c8d9e0f",
        json!({"id": "busy-with-ada"}).to_string(),
        1,
    );
    bench.deliver(&batch([message.clone(), busy])).await;
    let kept = fixtures(&kept);
    assert_eq!(kept.len(), 2);
    let parked = kept
        .iter()
        .find(|fixture| fixture.expect.records[0].outcome == Said::Parked)
        .unwrap();
    assert_eq!(parked.worker, "scripted");
    assert_eq!(parked.expect.records[0].reason, Some("encrypted"));
    assert_eq!(parked.expect.response, json!({"batchItemFailures": []}));
    assert!(
        parked.description.contains("parked (encrypted)") && parked.description.contains("`given`")
    );
    assert_eq!(parked.event["Records"].as_array().unwrap().len(), 1);
    let opened = open(&parked.event).unwrap().messages.remove(0);
    assert_eq!(opened.attempt, 2);
    assert!(opened.records.unwrap()[0].subject.contains("/documents/"));
    let retried = kept
        .iter()
        .find(|fixture| fixture.expect.records[0].outcome == Said::Retry)
        .unwrap();
    // The id in the response is redacted as the message's own.
    assert_eq!(
        retried.expect.response["batchItemFailures"][0]["itemIdentifier"],
        retried.event["Records"][0]["messageId"]
    );
    for fixture in &kept {
        for secret in ["ada", "6a0e0b4c", "1f9d3c52", "000000000000", "receipt-"] {
            assert!(
                !fixture.to_text().contains(secret),
                "{secret} in {}",
                fixture.to_text()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_and_ends_the_same_way_is_one_file() {
    let (bench, kept) = recorded(Rule::All, Does::Keep, script);
    for receives in 1..=3 {
        let mut again = message_with("m-1", json!({"id": "x"}).to_string(), receives);
        again["receiptHandle"] = json!(format!("another-{receives}"));
        bench.deliver(&batch([again])).await;
    }
    assert_eq!(
        (fixtures(&kept).len(), *kept.writes.lock().unwrap()),
        (1, 3)
    );
    bench
        .deliver(&batch([message_with(
            "m-2",
            json!({"id": "x"}).to_string(),
            1,
        )]))
        .await;
    assert_eq!(fixtures(&kept).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn failures_are_those_that_were_tried() {
    let (bench, kept) = recorded(Rule::Failures, Does::Keep, |record| {
        match record.id.as_str() {
            "busy" => Step::Transient,
            "locked" => Step::Permanent,
            _ => Step::Apply,
        }
    });
    bench.deliver(&batch(["fine", "locked"].map(message))).await;
    assert_eq!(fixtures(&kept).len(), 1);
    // Behind a message of its group that comes back, nothing is tried.
    bench
        .deliver(&batch([
            fifo_message("busy", "g"),
            fifo_message("locked-behind", "g"),
        ]))
        .await;
    let outcomes: Vec<_> = fixtures(&kept)
        .iter()
        .map(|fixture| fixture.expect.records[0].to_string())
        .collect();
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert!(
        outcomes.contains(&"retry (conflict)".to_owned()),
        "{outcomes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_share_is_the_same_records_each_time() {
    let ids: Vec<String> = (0..400).map(|number| format!("record-{number}")).collect();
    let mut chosen = Vec::new();
    for _ in 0..2 {
        let (bench, kept) = recorded(Rule::Share(0.25), Does::Keep, |_| Step::Apply);
        for id in &ids {
            bench.deliver(&batch([message(id)])).await;
        }
        chosen.push(
            kept.fixtures
                .lock()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(chosen[0], chosen[1]);
    assert!(
        (60..140).contains(&chosen[0].len()),
        "{} of 400",
        chosen[0].len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_goes_wrong_changes_nothing_and_takes_no_time() {
    for does in [Does::Refuse, Does::Hang, Does::Panic] {
        let (bench, kept) = recorded(Rule::All, does, script);
        let started = tokio::time::Instant::now();
        let report = bench.deliver(&batch(["a", "b"].map(message))).await;
        assert_eq!(report.response, json!({"batchItemFailures": []}));
        assert_eq!(report.records.len(), 2);
        assert!(
            started.elapsed() <= Duration::from_secs(1),
            "{does:?} took {:?}",
            started.elapsed()
        );
        assert!(*kept.writes.lock().unwrap() > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_recorder_wrote_is_not_recorded() {
    let (bench, kept) = recorded(Rule::All, Does::Keep, script);
    bench
        .deliver(&batch([
            creation("fixtures/scripted/1.json", "0A"),
            creation("documents/x", "0B"),
        ]))
        .await;
    assert_eq!(fixtures(&kept).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_envelope_is_kept_as_it_was() {
    for (event, is_like) in [
        (
            batch([creation("documents/x", "0A")]),
            json!({"Records": [{}]}),
        ),
        (
            Value::Array(vec![creation("documents/x", "0A")]),
            json!([{}]),
        ),
        (
            creation("documents/x", "0A"),
            json!({"eventSource": "aws:s3"}),
        ),
        (json!("no event at all"), json!("")),
    ] {
        let (bench, kept) = recorded(Rule::All, Does::Keep, script);
        bench.deliver(&event).await;
        let fixture = fixtures(&kept).remove(0);
        assert_eq!(fixture.event.is_array(), is_like.is_array());
        assert_eq!(fixture.event.is_string(), is_like.is_string());
        assert_eq!(
            fixture.event.get("Records").is_some(),
            is_like.get("Records").is_some()
        );
    }
}

#[tokio::test]
async fn a_folder_holds_whole_fixtures_by_worker_and_keeps_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::new(folder.path().join("made/on/demand"));
    store.keep("w/1.json", b"first".to_vec()).await.unwrap();
    store.keep("w/1.json", b"second".to_vec()).await.unwrap();
    let files = std::fs::read_dir(folder.path().join("made/on/demand/w")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(std::fs::read(&files[0]).unwrap(), b"first");
}

#[tokio::test]
async fn settings_say_whether_what_and_where() {
    let clients = Clients::at_endpoint("http://127.0.0.1:1", "us-east-1", "none").await;
    let recorder = |values: &[(&str, &str)]| {
        let values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Recorder::from_settings(&Settings::from_map(values.collect()), &clients)
    };
    assert!(recorder(&[]).unwrap().is_none());
    assert!(
        recorder(&[("MILLRACE_RECORD", "off"), ("MILLRACE_RECORD_TO", "/x")])
            .unwrap()
            .is_none()
    );
    for rule in ["all", "failures", "share:0.01", "share:1"] {
        for to in ["s3://bucket", "s3://bucket/a/prefix/", "a/folder"] {
            let made = recorder(&[("MILLRACE_RECORD", rule), ("MILLRACE_RECORD_TO", to)]);
            assert!(made.unwrap().is_some(), "{rule} {to}");
        }
    }
    for (rule, to, names) in [
        ("all", "", "MILLRACE_RECORD_TO is missing"),
        ("all", "s3:///prefix", "MILLRACE_RECORD_TO"),
        ("some", "x", "MILLRACE_RECORD is"),
        ("share:0", "x", "MILLRACE_RECORD is"),
        ("share:1.5", "x", "MILLRACE_RECORD is"),
        ("share:NaN", "x", "MILLRACE_RECORD is"),
        ("share:", "x", "MILLRACE_RECORD is"),
    ] {
        let refused =
            recorder(&[("MILLRACE_RECORD", rule), ("MILLRACE_RECORD_TO", to)]).unwrap_err();
        assert!(
            refused.to_string().contains(names),
            "{rule} {to}: {refused}"
        );
    }
}
