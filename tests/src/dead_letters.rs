//! Dead letters by the thousand, each with an effect that can be counted: a removal of a document that nobody
//! knows leaves a tombstone, whose revision says how often it was applied.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::Clients;
use millrace_events::{ParkedFormat, ParkedReason, ParkedRecord, open, parked_id};
use millrace_local::{Services, sqs::OutgoingMessage};
use millrace_ops::platform::Platform;
use serde_json::{Value, json};

/// The worker whose letters they are.
pub const REMOVER: &str = "remove-document";
/// Where they lie.
pub const REMOVER_LETTERS: &str = "millrace-remove-document-dlq";
/// A stream that the table had before: nobody reads it, so only a replay applies its records.
const FORMER_STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/ai-assistant-documents/stream/2026-11-01T08:00:00.000";
/// Reasons for which letters are parked, in turn.
const REASONS: [&str; 4] = [
    "conflict",
    "service-unavailable",
    "throttled",
    "retries-exhausted",
];
/// Rows whose removals lie together in a stream.
const A_PLACE: usize = 5;
/// The hour in which the letters were given up.
const HOUR: i64 = 1_795_233_600;

/// What was put into the queues.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// Letters, each counted once however many copies of it lie there.
    pub letters: usize,
    /// How many of them fail whenever they are tried.
    pub hopeless: usize,
    /// Tombstones that the others leave.
    pub effects: usize,
}

/// The row of a document was removed, says a stream record.
pub fn removal(user: &str, document: &str, number: u32) -> Value {
    json!({
        "eventID": format!("e-{number}"), "eventName": "REMOVE", "eventVersion": "1.1",
        "eventSource": "aws:dynamodb", "awsRegion": "us-east-1", "eventSourceARN": FORMER_STREAM,
        "dynamodb": {
            "ApproximateCreationDateTime": HOUR,
            "Keys": {"userId": {"S": user}, "documentId": {"S": document}},
            "SequenceNumber": (100_000_000_000_000_000_000_u128 + u128::from(number)).to_string(),
            "SizeBytes": 60, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    })
}

/// An id that a document may have.
pub fn document_id(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// The body under which a worker parks an event.
pub fn parked(event: &Value, code: &str, second: i64) -> String {
    let batch = open(event).unwrap();
    let record = batch.messages[0].records.as_ref().unwrap()[0].clone();
    let at = time_of(HOUR + second);
    let parked = json!({
        "millrace": ParkedFormat::V1,
        "id": parked_id(REMOVER, &record.id),
        "worker": REMOVER,
        "reason": ParkedReason { code: code.to_owned(), message: "made for a test".to_owned() },
        "attempts": 1,
        "parkedAt": at,
        "recordId": record.id,
        "subject": record.subject,
        "event": event,
    });
    let body = parked.to_string();
    assert!(ParkedRecord::from_body(&body).is_some());
    body
}

/// 2026-11-21 and some seconds.
fn time_of(seconds: i64) -> String {
    let of_day = seconds - HOUR;
    let (hours, minutes) = (of_day / 3_600, of_day / 60 % 60);
    format!("2026-11-21T{hours:02}:{minutes:02}:{:02}Z", of_day % 60)
}

/// What Lambda writes of an asynchronous invocation that failed.
pub fn invocation(event: &Value) -> String {
    let function =
        format!("arn:aws:lambda:us-east-1:000000000000:function:millrace-dev-{REMOVER}:$LATEST");
    json!({
        "version": "1.0", "timestamp": "2026-11-21T04:10:00.000Z",
        "requestContext": {
            "requestId": "r", "condition": "RetriesExhausted", "approximateInvokeCount": 3, "functionArn": function,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    })
    .to_string()
}

/// What Lambda writes of a stream's batch: only where it lies.
fn place(records: &[Value]) -> String {
    let number = |record: Option<&Value>| record.map(|r| r["dynamodb"]["SequenceNumber"].clone());
    let function = format!("arn:aws:lambda:us-east-1:000000000000:function:millrace-dev-{REMOVER}");
    json!({
        "version": "1.0", "timestamp": "2026-11-21T04:20:00.000Z",
        "requestContext": {
            "requestId": "r", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 11, "functionArn": function,
        },
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000000000000000001-00000001", "batchSize": records.len(),
            "streamArn": records[0]["eventSourceARN"],
            "startSequenceNumber": number(records.first()), "endSequenceNumber": number(records.last()),
        },
    })
    .to_string()
}

/// Puts a body into the dead-letter queue.
pub async fn put(services: &Services, body: String) {
    let sent = services
        .queues
        .send(REMOVER_LETTERS, OutgoingMessage::new(body));
    sent.await.unwrap();
}

/// Puts so many letters of mixed kinds and reasons into the queues of a new data folder.
pub async fn fill(data: &Path, count: u32) -> Filled {
    let platform = Platform::open_owned(data).await.unwrap();
    let services = platform.cloud().unwrap().services().clone();
    let places = usize::try_from(count / 100).unwrap();
    let mut filled = Filled {
        letters: 0,
        hopeless: 0,
        effects: 0,
    };
    for records in removed_rows(&platform, places * A_PLACE)
        .await
        .chunks(A_PLACE)
    {
        put(&services, place(records)).await;
        filled.letters += 1;
        filled.effects += records.len();
    }
    for number in 0..count - u32::try_from(places).unwrap() {
        let event = removal("ada", &document_id(number), number);
        let reason = REASONS[number as usize % REASONS.len()];
        let second = i64::from(number) % 80_000;
        filled.letters += 1;
        filled.effects += 1;
        let body = match number % 10 {
            5 | 6 => json!({"Records": [event]}).to_string(),
            7 => invocation(&event),
            9 if number % 50 == 49 => {
                let hopeless = removal("ada", &format!("no-id-{number}"), number);
                filled.hopeless += 1;
                filled.effects -= 1;
                parked(&hopeless, "invalid-id", second)
            }
            9 => {
                // One letter in two copies.
                put(&services, parked(&event, reason, second)).await;
                parked(&event, reason, second)
            }
            _ => parked(&event, reason, second),
        };
        put(&services, body).await;
    }
    filled
}

/// Rows that were there and are gone: what the stream says of their removal.
async fn removed_rows(platform: &Platform, count: usize) -> Vec<Value> {
    let table = &platform.names().documents.documents_table;
    let dynamodb = &platform.clients().dynamodb;
    let key = |number: usize| AttributeValue::S(document_id(u32::try_from(number).unwrap()));
    let user = || AttributeValue::S("bob".to_owned());
    for number in 0..count {
        let put = dynamodb.put_item().table_name(table).item("userId", user());
        put.item("documentId", key(number)).send().await.unwrap();
    }
    for number in 0..count {
        let gone = dynamodb.delete_item().table_name(table);
        let gone = gone.key("userId", user()).key("documentId", key(number));
        gone.send().await.unwrap();
    }
    let services = platform.cloud().unwrap().services();
    let mut removals = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = services
            .dynamo
            .stream_records(table, after.as_deref(), 1_000);
        let page = page.await.unwrap();
        let Some(last) = page.last() else {
            return removals;
        };
        after = last["dynamodb"]["SequenceNumber"]
            .as_str()
            .map(str::to_owned);
        removals.extend(
            page.into_iter()
                .filter(|record| record["eventName"] == "REMOVE"),
        );
    }
}

/// Tombstones by how often they were applied.
pub async fn applied(clients: &Clients, progress_table: &str) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    let mut from = None;
    loop {
        let scan = clients.dynamodb.scan().table_name(progress_table);
        let page = scan.set_exclusive_start_key(from).send().await.unwrap();
        for row in page.items() {
            let revision = row["revision"].as_n().unwrap().parse().unwrap();
            *counts.entry(revision).or_default() += 1;
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return counts;
        }
    }
}

/// Holds the platform in a data folder to what was put in: none lost, none applied twice, and only what must fail is
/// left.
pub async fn verify(data: &Path, filled: Filled) {
    let platform = Platform::open_owned(data).await.unwrap();
    let table = &platform.names().documents.progress_table;
    let counts = applied(platform.clients(), table).await;
    assert_eq!(
        counts,
        BTreeMap::from([(1, filled.effects)]),
        "times applied, and how many"
    );
    let services = platform.cloud().unwrap().services();
    let left = services.queues.counts(REMOVER_LETTERS).await.unwrap();
    assert_eq!(
        left.total(),
        filled.hopeless as u64,
        "letters that are left"
    );
    let catalogue = millrace_ops::letters::Catalogue::open(&data.join("letters.sqlite")).unwrap();
    let everything = millrace_ops::letters::Selection::everything();
    let listed = catalogue.counts(&everything).unwrap();
    let reasons: Vec<&str> = listed.iter().map(|count| count.reason.as_str()).collect();
    assert_eq!(reasons, ["invalid-id"]);
}

/// How a replay in a process of its own went.
#[derive(Debug)]
pub struct Replayed {
    /// Letters it told of.
    pub letters: usize,
    /// By outcome.
    pub outcomes: BTreeMap<String, usize>,
    /// From the first letter to the last.
    pub time: Duration,
    /// The most memory it had, in KiB.
    pub peak_kib: u64,
    /// `None` if it was killed.
    pub code: Option<i32>,
}

/// Runs a replay, and kills it (SIGKILL) once it has told of so many letters.
pub fn replay(mut command: Command, kill_after: Option<usize>) -> Replayed {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut replayed = Replayed {
        letters: 0,
        outcomes: BTreeMap::new(),
        time: Duration::ZERO,
        peak_kib: 0,
        code: None,
    };
    let mut first = None;
    for line in lines {
        let Ok(line) = line else {
            break;
        };
        // A line that the kill cut off is of no letter.
        let Ok(told) = serde_json::from_str::<Value>(&line) else {
            break;
        };
        replayed.letters += 1;
        let outcome = told["outcome"].as_str().unwrap_or_default().to_owned();
        *replayed.outcomes.entry(outcome).or_default() += 1;
        replayed.time = first.get_or_insert_with(Instant::now).elapsed();
        if replayed.letters % 50 == 1 {
            replayed.peak_kib = replayed.peak_kib.max(peak_kib(&status));
        }
        if kill_after == Some(replayed.letters) {
            child.kill().unwrap();
        }
    }
    let ended = child.wait().unwrap();
    replayed.code = ended.code();
    replayed
}

/// `VmHWM`: the most memory that a process ever had resident.
fn peak_kib(status: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
