//! Every outcome is one structured line, without what documents say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use millrace_cloud::ManualClock;
use millrace_delivery::{
    Cx, Delivery, DeliverySettings, Invocation, MemoryParking, QueueDefault, Worker,
};
use millrace_events::{Failure, Outcome, Record, reason};
use serde_json::{Value, json};
use support::{batch, creation, message_with};

struct Quoting;

impl Worker for Quoting {
    const NAME: &'static str = "quoting";
    type Event = Record;

    async fn handle(&self, record: Record, _cx: &Cx) -> Result<Outcome, Failure> {
        tracing::info!("a worker's own line");
        if record.subject.ends_with("good") {
            return Ok(Outcome::Applied);
        }
        let cause = std::io::Error::other("unexpected `SECRET text` at byte 7");
        Err(Failure::permanent(reason::DAMAGED_FILE, "the file is damaged").caused_by(cause))
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_one_line_of_known_fields() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let delivery = Delivery::new(
        Quoting,
        DeliverySettings::default(),
        Arc::new(MemoryParking::default()),
        Arc::new(QueueDefault),
        // Ten seconds after the objects were created.
        Arc::new(ManualClock::at(1_795_169_730_000)),
    );
    let events = ["good", "bad"].map(|key| {
        let mut message = message_with(key, batch([creation(key, "0A")]).to_string(), 3);
        message["attributes"]["AWSTraceHeader"] = json!("Root=1-a-b");
        message
    });
    delivery
        .deliver(batch(events), Invocation::lasting(Duration::from_secs(60)))
        .await;
    drop(guard);

    let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!written.contains("SECRET"), "{written}");
    let all: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let own = all
        .iter()
        .find(|line| line["message"] == "a worker's own line")
        .unwrap();
    assert_eq!(
        own["span"],
        json!({
            "name": "worker", "step": "handle", "worker": "quoting", "attempt": 3, "trace": "1-a-b",
            "record": "s3:b/good@0A000000000000000000000000000000:created"
        })
    );
    let mut outcomes: Vec<Value> = all
        .into_iter()
        .filter(|line| line.get("outcome").is_some())
        .collect();
    outcomes.sort_by_key(|line| line["outcome"].to_string());
    assert_eq!(outcomes.len(), 2, "{written}");
    for line in &mut outcomes {
        line.as_object_mut().unwrap().remove("timestamp");
    }
    assert_eq!(
        outcomes,
        [
            json!({
                "level": "INFO", "target": "millrace_delivery::metrics", "message": "record",
                "worker": "quoting", "outcome": "applied", "attempt": 3, "age_ms": 10_000, "duration_ms": 0,
                "record": "s3:b/good@0A000000000000000000000000000000:created", "trace": "1-a-b"
            }),
            json!({
                "level": "ERROR", "target": "millrace_delivery::metrics", "message": "record",
                "worker": "quoting", "outcome": "parked", "reason": "damaged-file",
                "sentence": "the file is damaged", "attempt": 3, "age_ms": 10_000, "duration_ms": 0,
                "record": "s3:b/bad@0A000000000000000000000000000000:created", "trace": "1-a-b"
            })
        ]
    );
}
