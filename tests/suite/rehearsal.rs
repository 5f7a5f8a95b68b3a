//! A rehearsal says what the delivery will do, and does none of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use millrace_cloud::{Clock as _, SystemClock};
use millrace_documents::upload::{NewFile, upload};
use millrace_local::sqs::ReceiveOptions;
use millrace_ops::{
    platform::Platform,
    rehearsal::{Rehearsal, Verdict, rehearse},
};
use millrace_tests::{
    IndexedPoint, State, TEMPLATE, World,
    fixtures::{Recorded, fixtures},
    running, settings_of,
};
use serde_json::{Value, json};

use crate::{FIRST, PROGRAM, SECOND, document};

/// Calls that change nothing. Everything else that reaches a world during a rehearsal is a leak.
const READS: [&str; 13] = [
    "DynamoDB_20120810.BatchGetItem",
    "DynamoDB_20120810.DescribeTable",
    "DynamoDB_20120810.GetItem",
    "DynamoDB_20120810.Query",
    "DynamoDB_20120810.Scan",
    "S3 GET",
    "S3 HEAD",
    "index.fits",
    "index.document_chunks",
    "index.search",
    "points.fits",
    "points.get",
    "points.within",
];

/// Everything durable in a world, byte for byte, with all that merely says that somebody wrote.
#[derive(Debug, PartialEq)]
struct Exactly {
    tables: BTreeMap<String, Value>,
    streams: BTreeMap<String, Option<String>>,
    objects: BTreeMap<String, String>,
    queues: BTreeMap<String, String>,
    state: State,
}

impl Exactly {
    async fn of(world: &World) -> Self {
        let services = world.services();
        let mut tables = BTreeMap::new();
        let mut streams = BTreeMap::new();
        for table in &TEMPLATE.tables {
            let name = table.name.clone();
            let scan = services
                .dynamo
                .call_json("Scan", &json!({"TableName": name}))
                .unwrap();
            tables.insert(name.clone(), scan);
            // A write that changes nothing would still move the stream on.
            let last = services.dynamo.latest_sequence_number(&name).await;
            streams.insert(name, last.unwrap());
        }
        let mut objects = BTreeMap::new();
        for bucket in &TEMPLATE.buckets {
            let s3 = &world.clients.s3;
            let listed = s3.list_objects_v2().bucket(&bucket.name).send().await;
            for object in listed.unwrap().contents() {
                let key = object.key().unwrap();
                let got = s3.get_object().bucket(&bucket.name).key(key).send().await;
                let got = got.unwrap();
                let mut metadata: Vec<_> = got.metadata().unwrap().clone().into_iter().collect();
                metadata.sort();
                let about = format!(
                    "{:?} {:?} {:?} {metadata:?}",
                    got.e_tag(),
                    got.last_modified(),
                    got.content_type()
                );
                let bytes = got.body.collect().await.unwrap().into_bytes();
                objects.insert(
                    format!("s3://{}/{key}", bucket.name),
                    format!("{about} {bytes:?}"),
                );
            }
        }
        let mut queues = BTreeMap::new();
        for queue in &TEMPLATE.queues {
            let counts = services.queues.counts(&queue.name).await.unwrap();
            queues.insert(queue.name.clone(), format!("{counts:?}"));
        }
        Self {
            tables,
            streams,
            objects,
            queues,
            state: State::of(world).await,
        }
    }

    /// Rows, objects and documents of the index that are not the same, as effects name them.
    fn changed(&self, after: &Self) -> BTreeSet<String> {
        let mut targets = BTreeSet::new();
        for (table, before) in &self.tables {
            let rows = |scan: &Value| -> BTreeMap<String, Value> {
                let rows = scan["Items"].as_array().unwrap().iter();
                rows.map(|row| (target(table, row), row.clone())).collect()
            };
            targets.extend(different(&rows(before), &rows(&after.tables[table])));
        }
        targets.extend(different(&self.objects, &after.objects));
        let entries = |state: &State| -> BTreeMap<String, Vec<String>> {
            let mut documents: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for entry in &state.entries {
                let document = documents.entry(format!("{}/{}", entry.user, entry.document));
                document.or_default().push(format!("{entry:?}"));
            }
            documents
        };
        targets.extend(different(&entries(&self.state), &entries(&after.state)));
        let points = |state: &State| -> BTreeMap<String, IndexedPoint> {
            let points = state.points.iter();
            points
                .map(|point| (point.id.clone(), point.clone()))
                .collect()
        };
        targets.extend(different(&points(&self.state), &points(&after.state)));
        targets
    }
}

/// `table/key/key`.
fn target(table: &str, row: &Value) -> String {
    let described = TEMPLATE.tables.iter().find(|known| known.name == table);
    let schema = described.unwrap().create["KeySchema"].as_array().unwrap();
    schema.iter().fold(table.to_owned(), |target, key| {
        let value = &row[key["AttributeName"].as_str().unwrap()]["S"];
        format!("{target}/{}", value.as_str().unwrap())
    })
}

fn different<T: PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .cloned()
        .collect()
}

/// Rehearses an event and holds that nothing came of it.
async fn rehearsed(world: &World, worker: &str, event: &Value) -> Result<Rehearsal, String> {
    let before = Exactly::of(world).await;
    world.tap.arm(None);
    let place = world.place.clone();
    let rehearsal = rehearse(place, &settings_of(worker), worker, event.clone()).await;
    let calls = world.tap.calls();
    if !calls.iter().any(|call| call.starts_with("index.fits")) {
        return Err(format!("the rehearsal passed by the tap: {calls:?}"));
    }
    let leaks: Vec<String> = calls
        .into_iter()
        .filter(|call| !READS.iter().any(|read| call.starts_with(read)))
        .collect();
    let rehearsal = rehearsal.map_err(|error| error.to_string())?;
    if !leaks.is_empty() {
        return Err(format!("the rehearsal made calls that write: {leaks:?}"));
    }
    if Exactly::of(world).await != before {
        return Err("the rehearsal changed the world".to_owned());
    }
    Ok(rehearsal)
}

/// Which of its rows a total is added to is drawn by chance, in a rehearsal as in a delivery.
fn without_slot(target: &str) -> &str {
    let total = target.contains("-totals/").then(|| target.rsplit_once('#'));
    total.flatten().map_or(target, |(total, _slot)| total)
}

/// Rehearses, delivers, and holds that the one said what came of the other.
async fn compare(world: &World, worker: &str, event: &Value) -> Result<Rehearsal, String> {
    let rehearsal = rehearsed(world, worker, event).await?;
    let before = Exactly::of(world).await;
    let report = world.deliver(worker, event).await;
    let said = serde_json::to_value(&rehearsal.records).unwrap();
    let came = serde_json::to_value(&report.records).unwrap();
    if said != came {
        return Err(format!("rehearsed {said}, delivered {came}"));
    }
    let untold: Vec<String> = before
        .changed(&Exactly::of(world).await)
        .into_iter()
        .filter(|target| {
            let told = |target: &str| without_slot(target).to_owned();
            !rehearsal
                .effects
                .iter()
                .any(|e| told(&e.target) == told(target))
        })
        .collect();
    if !untold.is_empty() {
        let told = &rehearsal.effects;
        return Err(format!(
            "the delivery changed {untold:?}, the rehearsal told of {told:?}"
        ));
    }
    Ok(rehearsal)
}

async fn run(recorded: &Recorded) -> Result<Rehearsal, String> {
    let world = World::in_process().await;
    recorded.set_up(&world).await;
    compare(&world, recorded.worker, &recorded.fixture.event).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_comes_out_as_its_rehearsal_says_and_the_rehearsal_changes_nothing() {
    let mut wrong = Vec::new();
    let mut verdicts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for recorded in fixtures() {
        match run(&recorded).await {
            Ok(rehearsal) => *verdicts.entry(rehearsal.verdict.word()).or_default() += 1,
            Err(message) => wrong.push(format!("{}: {message}", recorded.name)),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} fixtures are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    for verdict in ["would-apply", "ignored", "still-failing"] {
        assert!(verdicts.contains_key(verdict), "{verdict}: {verdicts:?}");
    }
}

/// The worker's next event, wherever it comes from.
async fn next_event(world: &World, worker: &'static str) -> Value {
    match world.receive_for(worker).await.first() {
        Some(pending) => pending.event.clone(),
        None => world.stream_event(worker).await.unwrap().0,
    }
}

/// Every worker in turn, on a document that is on its way: the second of two uploads, so that there is something old to
/// replace and to remove.
#[tokio::test(flavor = "multi_thread")]
async fn every_worker_on_a_real_document_is_rehearsed_as_it_is_delivered() {
    let order = ["extract-text", "chunk-text", "embed-chunks", "index-chunks"];
    let document = document("ada", 21);
    let world = World::in_process().await;
    world.upload(&document, "first.txt", FIRST.as_bytes()).await;
    world.quiet().await;
    world.later();
    world
        .upload(&document, "second.txt", SECOND.as_bytes())
        .await;
    for (position, worker) in order.into_iter().enumerate() {
        world.quiet_without(&order[position..]).await;
        let event = next_event(&world, worker).await;
        let rehearsal = compare(&world, worker, &event).await.unwrap();
        assert_eq!(rehearsal.verdict, Verdict::WouldApply, "{worker}");
        assert!(!rehearsal.effects.is_empty(), "{worker}");
        // Delivered now: what a replay would do is known, too.
        let again = compare(&world, worker, &event).await.unwrap();
        assert_eq!(again.verdict, Verdict::AlreadyApplied, "{worker}");
        if worker == "index-chunks" {
            let summaries: Vec<&str> = rehearsal.effects.iter().map(|e| &*e.summary).collect();
            let told = summaries.join("\n");
            assert!(told.contains("index 1 chunk of document"), "{told}");
            assert!(
                told.contains("remove 1 chunk of former generations"),
                "{told}"
            );
        }
    }
    world.quiet().await;
    let late = json!({"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete", "eventTime": "2026-11-21T04:05:00.000Z",
        "s3": {"bucket": {"name": world.names.documents.bucket},
            "object": {"key": document.original(Some("txt")), "sequencer": "FFFFFFFFFFFFFFFFFF"}},
    }]});
    let rehearsal = compare(&world, "remove-document", &late).await.unwrap();
    assert_eq!(rehearsal.verdict, Verdict::WouldApply);
    let told: Vec<&str> = rehearsal.effects.iter().map(|e| &*e.operation).collect();
    assert!(
        told.contains(&"DeleteObject") && told.contains(&"remove_document"),
        "{told:?}"
    );
}

/// An older upload's event, and one that fails: what an operator asks of a dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_event_is_superseded_and_a_broken_one_fails_still() {
    let document = document("ada", 22);
    let world = World::in_process().await;
    world.upload(&document, "first.txt", FIRST.as_bytes()).await;
    let late = next_event(&world, "extract-text").await;
    world.later();
    world
        .upload(&document, "second.txt", SECOND.as_bytes())
        .await;
    world.quiet().await;
    let rehearsal = compare(&world, "extract-text", &late).await.unwrap();
    assert_eq!(rehearsal.verdict, Verdict::Superseded);

    let broken = json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": "no event",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:millrace-extract-text"}]});
    let rehearsal = compare(&world, "extract-text", &broken).await.unwrap();
    let Verdict::StillFailing { reason, .. } = &rehearsal.verdict else {
        panic!("{:?}", rehearsal.verdict);
    };
    assert_eq!(reason, "not-json");
    assert!(rehearsal.effects.is_empty(), "{:?}", rehearsal.effects);
}

fn feed(data: &Path, event: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    command
        .arg("feed")
        .arg(event)
        .args(["--to", "extract-text", "--rehearse", "--data"]);
    let output = command.arg(data).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// On a folder that nobody works on, and on one that a running platform holds.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_rehearses_where_it_stands_and_where_another_process_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let document = document("ada", 23);
    {
        let platform = Platform::open(&data).await.unwrap();
        let file = NewFile {
            document: document.clone(),
            file_name: "first.txt".to_owned(),
            file_type: "text/plain".to_owned(),
            bytes: FIRST.as_bytes().into(),
        };
        let now = SystemClock.now();
        upload(platform.clients(), &platform.names().documents, file, now)
            .await
            .unwrap();
    }
    // The event that waits in the queue, as it will be delivered: its sequencer is the generation.
    let event = {
        let platform = Platform::open(&data).await.unwrap();
        let queues = &platform.cloud().unwrap().services().queues;
        let queue = "millrace-extract-text";
        let message = queues
            .receive(queue, ReceiveOptions::at_once(1))
            .await
            .unwrap();
        json!({"Records": [message[0].to_event_record(queue)]})
    };
    let file = folder.path().join("event.json");
    std::fs::write(&file, event.to_string()).unwrap();

    let said = feed(&data, &file, &[]);
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("extract-text: would apply"), "{said}");
    let text = document.text();
    let size = FIRST.len();
    assert!(
        said.contains(&format!("{text} ({size} bytes, new)")),
        "{said}"
    );
    assert_eq!(
        feed(&data, &file, &[]),
        said,
        "the first one changed something"
    );

    let mut platform = running::up(PROGRAM, &data);
    running::wait_for_endpoint(&data).await;
    // What was received above is visible again when the platform starts; it is done when this returns.
    Platform::open(&data).await.unwrap().wait_idle().await;
    let said: Value = serde_json::from_str(&feed(&data, &file, &["--json"])).unwrap();
    running::kill(&mut platform, &data);
    assert_eq!(said["verdict"]["verdict"], "already-applied", "{said}");
}
