//! What the loop does with messages of SQS queues.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{num::NonZeroUsize, sync::atomic::Ordering, time::Duration};

use millrace_delivery::{DeliverySettings, Said};
use millrace_events::{open, reason};
use serde_json::json;
use support::*;

#[tokio::test(start_paused = true)]
async fn every_outcome_has_its_word_and_only_retries_are_in_the_response() {
    let bench = bench(|record| match record.id.as_str() {
        "applied" => Step::Apply,
        "already" => Step::Already,
        "superseded" => Step::Supersede,
        "ignored" => Step::Ignore,
        "retry" => Step::Transient,
        _ => Step::Permanent,
    });
    let ids = [
        "applied",
        "already",
        "superseded",
        "ignored",
        "retry",
        "parked",
    ];
    let report = bench.deliver(&batch(ids.map(message))).await;
    for (id, said) in outcomes(&report) {
        assert_eq!(id, said.word());
        assert_eq!(bench.counts.count("scripted", said), 1, "{id}");
    }
    assert_eq!(report.records.len(), 6);
    assert_eq!(
        report.response,
        json!({"batchItemFailures": [{"itemIdentifier": "retry"}]})
    );
    assert!(report.failed.is_none());
    assert_eq!(reason_of(&report, "retry"), Some("conflict"));
    assert_eq!(reason_of(&report, "parked"), Some("encrypted"));
    assert_eq!(reason_of(&report, "applied"), None);
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_only_its_record_and_its_words_go_nowhere() {
    let bench = bench(|record| {
        if record.id == "b" {
            Step::Panic
        } else {
            Step::Apply
        }
    });
    let report = bench.deliver(&batch(["a", "b", "c"].map(message))).await;
    assert_eq!(
        outcomes(&report),
        [
            ("a", Said::Applied),
            ("b", Said::Parked),
            ("c", Said::Applied)
        ]
    );
    assert!(failed_ids(&report).is_empty());
    let parked = &bench.parked()[0];
    assert_eq!(parked.reason.code, reason::HANDLER_PANICKED.code());
    assert!(!parked.to_body().contains("SECRET"));
    assert_eq!(
        *bench.seen.given_up.lock().unwrap(),
        [("b".to_owned(), "handler-panicked")]
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_is_parked_whole_and_the_rest_flows() {
    let bench = bench(|_| Step::Apply);
    let broken = message_with("x", "no JSON".to_owned(), 1);
    let report = bench.deliver(&batch([broken.clone(), message("a")])).await;
    assert!(failed_ids(&report).is_empty());
    assert_eq!(bench.started(), ["a"]);
    assert_eq!(report.records[0].outcome, Said::Parked);
    assert!(report.records[0].id.starts_with("undecodable:"));
    let parked = bench.parked();
    assert_eq!(parked[0].event, broken);
    assert_eq!(parked[0].reason.code, "not-json");
    assert_eq!(parked[0].worker, "scripted");
}

#[tokio::test(start_paused = true)]
async fn a_parked_record_replays_as_itself() {
    let failing = bench(|_| Step::Permanent);
    failing
        .deliver(&batch([message_with(
            "a",
            batch([creation("k", "0A")]).to_string(),
            1,
        )]))
        .await;
    let parked = failing.parked().remove(0);

    let mended = bench(|_| Step::Apply);
    let report = mended
        .deliver(&batch([message_with("later", parked.to_body(), 1)]))
        .await;
    assert_eq!(
        outcomes(&report),
        [(parked.record_id.as_str(), Said::Applied)]
    );

    failing
        .deliver(&batch([message_with("again", parked.to_body(), 1)]))
        .await;
    assert_eq!(failing.parked()[1].id, parked.id);
    assert_eq!(failing.parked()[1].trace_id, parked.trace_id);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_parked_is_retried() {
    let bench = bench(|_| Step::Permanent);
    bench.parking.refuse.lock().unwrap().insert("a".to_owned());
    let report = bench.deliver(&batch(["a", "b"].map(message))).await;
    assert_eq!(failed_ids(&report), ["a"]);
    assert_eq!(outcomes(&report), [("a", Said::Retry), ("b", Said::Parked)]);
}

#[tokio::test(start_paused = true)]
async fn giving_up_that_fails_is_retried_if_that_can_help_and_else_parked() {
    let cases = [
        (Step::GiveUpTransient, Said::Retry),
        (Step::GiveUpPermanent, Said::Parked),
        (Step::GiveUpPanic, Said::Parked),
        (Step::GiveUpHang, Said::Parked),
    ];
    for (step, expected) in cases {
        let bench = bench(move |_| step);
        let report = bench.deliver(&batch([message("a")])).await;
        assert_eq!(outcomes(&report), [("a", expected)], "{step:?}");
        assert_eq!(
            bench.parked().len(),
            usize::from(expected == Said::Parked),
            "{step:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn retries_come_back_later_and_later() {
    let bench = bench(|record| {
        if record.id == "slow" {
            Step::Throttled(700)
        } else {
            Step::Transient
        }
    });
    let body = |id| json!({"id": id}).to_string();
    bench
        .deliver(&batch([
            message_with("first", body("first"), 1),
            message_with("fourth", body("fourth"), 4),
            message_with("slow", body("slow"), 1),
        ]))
        .await;
    let seconds = |id| {
        bench
            .visibility
            .of(&format!("receipt-{id}"))
            .unwrap()
            .as_secs_f64()
    };
    assert!((2.0..=4.0).contains(&seconds("first")));
    assert!((16.0..=32.0).contains(&seconds("fourth")));
    assert!(seconds("slow") >= 700.0);
}

#[tokio::test(start_paused = true)]
async fn transient_failures_end_when_the_attempts_do() {
    let bench = bench(|_| Step::Transient);
    let body = |id| json!({"id": id}).to_string();
    let event = batch([
        message_with("fourth", body("fourth"), 4),
        message_with("fifth", body("fifth"), 5),
    ]);
    let report = bench.deliver(&event).await;
    assert_eq!(failed_ids(&report), ["fourth"]);
    let parked = bench.parked();
    assert_eq!(parked[0].record_id, "fifth");
    assert_eq!(parked[0].reason.code, "retries-exhausted");
    assert_eq!(parked[0].attempts, 5);
    let said = &parked[0].reason.message;
    assert!(
        said.contains("conflict") && said.contains("another was faster"),
        "{said}"
    );
    assert_eq!(
        *bench.seen.given_up.lock().unwrap(),
        [("fifth".to_owned(), "retries-exhausted")]
    );
}

#[tokio::test(start_paused = true)]
async fn only_so_many_are_handled_at_once() {
    let settings = DeliverySettings {
        concurrency: NonZeroUsize::new(3).unwrap(),
        ..settings()
    };
    let bench = bench_with(settings, |_| Step::Take(1));
    let ids: Vec<String> = (0..10).map(|n| format!("m{n}")).collect();
    let report = bench
        .deliver(&batch(ids.iter().map(|id| message(id))))
        .await;
    assert_eq!(report.records.len(), 10);
    assert_eq!(bench.seen.most_at_once.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_finished_is_handed_back() {
    let settings = DeliverySettings {
        concurrency: NonZeroUsize::MIN,
        ..settings()
    };
    let bench = bench_with(settings, |record| match record.id.as_str() {
        "quick" => Step::Take(1),
        _ => Step::Hang,
    });
    let started = tokio::time::Instant::now();
    let report = bench
        .deliver_within(&batch(["quick", "hangs", "waits"].map(message)), 20)
        .await;
    // The margin of 20 s is 2 s.
    assert_eq!(started.elapsed().as_secs(), 18);
    assert_eq!(bench.started(), ["quick", "hangs"]);
    assert_eq!(failed_ids(&report), ["hangs", "waits"]);
    assert_eq!(reason_of(&report, "hangs"), Some("handler-timed-out"));
    assert_eq!(reason_of(&report, "waits"), Some("no-time-left"));
    // What was not tried comes back at once.
    assert_eq!(bench.visibility.of("receipt-waits"), Some(Duration::ZERO));
    assert!(bench.visibility.of("receipt-hangs").unwrap() >= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn what_was_never_started_is_never_given_up() {
    let bench = bench(|_| Step::Apply);
    let event = batch([message_with("a", json!({"id": "a"}).to_string(), 99)]);
    let report = bench.deliver_within(&event, 0).await;
    assert_eq!(failed_ids(&report), ["a"]);
    assert!(bench.parked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_has_a_time_limit_of_its_own() {
    let settings = DeliverySettings {
        record_time_limit: Duration::from_secs(5),
        ..settings()
    };
    let bench = bench_with(settings, |_| Step::Hang);
    let started = tokio::time::Instant::now();
    let report = bench.deliver_within(&batch([message("a")]), 600).await;
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(reason_of(&report, "a"), Some("handler-timed-out"));
}

#[tokio::test(start_paused = true)]
async fn records_of_one_message_wait_for_their_subject_only() {
    let bench = bench(|record| {
        if record.id.contains("one@0A") {
            Step::Transient
        } else {
            Step::Apply
        }
    });
    let body = batch([
        creation("one", "0A"),
        creation("two", "0A"),
        creation("one", "0B"),
    ]);
    let report = bench
        .deliver(&batch([message_with("m", body.to_string(), 1)]))
        .await;
    let said: Vec<_> = report.records.iter().map(|record| record.outcome).collect();
    assert_eq!(said, [Said::Retry, Said::Applied, Said::Retry]);
    assert_eq!(reason_of(&report, &report.records[2].id), Some("held-back"));
    assert_eq!(bench.started().len(), 2);
    assert_eq!(failed_ids(&report), ["m"]);
}

#[tokio::test(start_paused = true)]
async fn a_fifo_group_waits_for_its_failure_others_go_on() {
    let bench = bench(|record| match record.id.as_str() {
        "a2" => Step::Throttled(100),
        "b1" => Step::Permanent,
        _ => Step::Apply,
    });
    let messages = [
        ("a1", "a"),
        ("b1", "b"),
        ("a2", "a"),
        ("b2", "b"),
        ("a3", "a"),
        ("a4", "a"),
    ];
    let report = bench
        .deliver(&batch(messages.map(|(id, group)| fifo_message(id, group))))
        .await;
    assert_eq!(failed_ids(&report), ["a2", "a3", "a4"]);
    assert_eq!(reason_of(&report, "a3"), Some("held-back"));
    let started = bench.started();
    assert!(!started.iter().any(|id| id == "a3" || id == "a4"));
    assert!(
        started.iter().any(|id| id == "b2"),
        "a parked record holds nobody back"
    );
    // They return together with the one they wait for.
    assert_eq!(
        bench.visibility.of("receipt-a3"),
        bench.visibility.of("receipt-a2")
    );
}

#[tokio::test(start_paused = true)]
async fn fair_queues_share_but_do_not_order() {
    let bench = bench(|record| {
        if record.id == "a1" {
            Step::Transient
        } else {
            Step::Apply
        }
    });
    let mut messages = [message("a1"), message("a2")];
    for message in &mut messages {
        message["attributes"]["MessageGroupId"] = json!("tenant");
    }
    let report = bench.deliver(&batch(messages)).await;
    assert_eq!(failed_ids(&report), ["a1"]);
    assert_eq!(bench.started().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_trace_goes_from_the_envelope_to_the_handler_and_the_dead_letter() {
    let bench = bench(|_| Step::Permanent);
    let mut traced = message("traced");
    traced["attributes"]["AWSTraceHeader"] = json!("Root=1-a-b;Sampled=1");
    bench.deliver(&batch([traced, message("untraced")])).await;
    let parked = bench.parked();
    let trace_of = |id: &str| {
        let of_id = parked.iter().find(|parked| parked.record_id == id);
        of_id.unwrap().trace_id.clone().unwrap()
    };
    assert_eq!(trace_of("traced"), "1-a-b");
    assert!(
        bench
            .seen
            .traces
            .lock()
            .unwrap()
            .contains(&trace_of("untraced"))
    );
    bench.deliver(&batch([message("untraced")])).await;
    assert_eq!(
        bench.parked()[2].trace_id,
        Some(trace_of("untraced")),
        "the same at every delivery"
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_event_is_ignored_before_any_handler() {
    let bench = bench(|_| Step::Permanent);
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}).to_string();
    let report = bench.deliver(&batch([message_with("t", test, 1)])).await;
    assert_eq!(report.records[0].outcome, Said::Ignored);
    assert!(bench.started().is_empty() && failed_ids(&report).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_is_dropped_stops_its_handlers() {
    let bench = bench(|_| Step::Take(5));
    let event = batch([message("a")]);
    let delivering = bench.deliver(&event);
    assert!(
        tokio::time::timeout(Duration::from_secs(1), delivering)
            .await
            .is_err()
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.started(), ["a"]);
    assert!(bench.seen.ended.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_report_is_json_for_people_s_tools() {
    let bench = bench(|_| Step::Permanent);
    let report = bench.deliver(&batch([message("a")])).await;
    assert_eq!(
        serde_json::to_value(&report.records).unwrap(),
        json!([{
            "id": "a", "subject": "a", "outcome": "parked", "attempt": 1,
            "reason": {"code": "encrypted", "message": "the file needs a password"}
        }])
    );
    let parked = serde_json::to_value(&bench.parked()[0]).unwrap();
    assert!(open(&parked).unwrap().messages[0].records.is_ok());
}

mod blocking {
    use std::{sync::Arc, time::Duration};

    use millrace_cloud::SystemClock;
    use millrace_delivery::{
        Cx, Delivery, DeliverySettings, Invocation, MemoryParking, QueueDefault, Said, Worker,
    };
    use millrace_events::{Failure, Outcome, Record};

    use super::support::{batch, message};

    /// Blocks its thread, as a parser without an await does.
    struct Blocking;

    impl Worker for Blocking {
        const NAME: &'static str = "blocking";
        type Event = Record;

        async fn handle(&self, record: Record, _cx: &Cx) -> Result<Outcome, Failure> {
            if record.id == "blocks" {
                std::thread::sleep(Duration::from_secs(3));
            }
            Ok(Outcome::Applied)
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn a_handler_that_blocks_its_thread_holds_up_nobody() {
        let delivery = Delivery::new(
            Blocking,
            DeliverySettings::default(),
            Arc::new(MemoryParking::default()),
            Arc::new(QueueDefault),
            Arc::new(SystemClock),
        );
        let event = batch(["blocks", "other"].map(message));
        let started = std::time::Instant::now();
        let report = delivery
            .deliver(event, Invocation::lasting(Duration::from_secs(2)))
            .await;
        assert!(started.elapsed() < Duration::from_millis(2_500));
        let said: Vec<_> = report.records.iter().map(|record| record.outcome).collect();
        assert_eq!(said, [Said::Retry, Said::Applied]);
    }
}
