//! The mappings of localstack. A function there is `relay.py`, which brings every event to a port of this test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Answer, Function, GOOD_AND_BAD, RECEIVES, SCENARIOS, Scenario, check, counted};
use crate::services::Cloud;
use crate::wire::Endpoint;

/// How long the first invocation may take to come, and any other.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long nothing may come after the last.
const SILENCE: Duration = Duration::from_secs(3);

/// Answers events with the function until the test ends; where.
async fn listen(function: Arc<Function>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let function = Arc::clone(&function);
            let service = service_fn(move |request| answer(Arc::clone(&function), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn answer(
    function: Arc<Function>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let event = request.into_body().collect().await?.to_bytes();
    let event: Value = serde_json::from_slice(&event).unwrap();
    let (status, body) = match function.handle(&event) {
        Ok(answer) => (200, answer),
        Err(message) => (500, json!({ "errorType": "Told", "errorMessage": message })),
    };
    let body = Full::new(Bytes::from(body.to_string()));
    Ok(Response::builder().status(status).body(body).unwrap())
}

/// A zip with one program, not compressed.
fn packed(program: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"bootstrap";
    let mut sum = u32::MAX;
    for byte in program {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ 0xEDB8_8320
            } else {
                sum >> 1
            };
        }
    }
    let size = u32::try_from(program.len()).unwrap().to_le_bytes();
    let mut common = Vec::new();
    // Version, flags, method, time, date.
    common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
    common.extend((!sum).to_le_bytes());
    common.extend(size);
    common.extend(size);
    common.extend([u8::try_from(NAME.len()).unwrap(), 0, 0, 0]);
    let mut zip = [b"PK\x03\x04", common.as_slice(), NAME, program].concat();
    let start = u32::try_from(zip.len()).unwrap();
    // Made on Unix; the program may be run by everybody.
    let mut entry = [b"PK\x01\x02\x14\x03", common.as_slice()].concat();
    entry.extend([0; 6]);
    entry.extend((0o100_755_u32 << 16).to_le_bytes());
    entry.extend([0; 4]);
    entry.extend(NAME);
    let length = u32::try_from(entry.len()).unwrap();
    zip.extend(entry);
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(length.to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0, 0]);
    zip
}

/// A call of Lambda's API.
async fn lambda(cloud: &Cloud, method: &str, path: &str, with: &Value) -> Value {
    let headers = [("content-type", "application/json")];
    let path = format!("/2015-03-31/{path}");
    let body = with.to_string().into_bytes();
    let answer = cloud
        .endpoint
        .send("lambda", method, &path, &headers, body)
        .await;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(answer.status().is_success(), "{method} {path}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// A call of DynamoDB's API.
async fn dynamodb(cloud: &Cloud, call: &str, with: &Value) -> Value {
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", &format!("DynamoDB_20120810.{call}")),
    ];
    let body = with.to_string().into_bytes();
    let answer = cloud
        .endpoint
        .send("dynamodb", "POST", "/", &headers, body)
        .await;
    assert_eq!(answer.status(), 200, "{call}: {:?}", answer.body());
    serde_json::from_slice(answer.body()).unwrap()
}

/// Waits until what `path` describes is in a state.
async fn wait_for(cloud: &Cloud, path: &str, state: &str) {
    for _ in 0..200 {
        let described = lambda(cloud, "GET", path, &json!({})).await;
        if described["State"] == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{path} does not become {state}");
}

/// Makes the function behind a mapping; the mapping's id.
async fn deploy(cloud: &Cloud, name: &str, function: &Arc<Function>, mut mapping: Value) -> String {
    let address = listen(Arc::clone(function)).await;
    let code = base64::engine::general_purpose::STANDARD.encode(packed(include_bytes!("relay.py")));
    let name = cloud.name(name);
    let create = json!({
        "FunctionName": name,
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Role": "arn:aws:iam::000000000000:role/worker",
        "Timeout": 20,
        "Code": { "ZipFile": code },
        "Environment": { "Variables": { "TELL": format!("http://{address}/") } },
    });
    lambda(cloud, "POST", "functions", &create).await;
    wait_for(cloud, &format!("functions/{name}/configuration"), "Active").await;
    mapping["FunctionName"] = json!(name);
    let made = lambda(cloud, "POST", "event-source-mappings/", &mapping).await;
    made["UUID"].as_str().unwrap().to_owned()
}

/// Waits for a number of invocations, and that no other follows.
async fn invocations(function: &Function, count: usize) -> Vec<Vec<String>> {
    let (mut last, mut since) = (0, tokio::time::Instant::now());
    loop {
        let now = function.invocations().len();
        if now != last {
            (last, since) = (now, tokio::time::Instant::now());
        }
        let patience = if now >= count { SILENCE } else { PATIENCE };
        if since.elapsed() > patience {
            return function.invocations();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn stream_of(cloud: &Cloud, scenario: &Scenario) -> Value {
    let table = cloud.name(scenario.name);
    let create = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    });
    let made = dynamodb(cloud, "CreateTable", &create).await;
    for id in scenario.items {
        let put = json!({ "TableName": table, "Item": { "id": { "S": id } } });
        dynamodb(cloud, "PutItem", &put).await;
    }
    made["TableDescription"]["LatestStreamArn"].clone()
}

async fn play(cloud: &Cloud, scenario: &Scenario) {
    let stream = stream_of(cloud, scenario).await;
    let dead = format!("{}-dead", scenario.name);
    let dead_url = cloud.queue(&dead, &[]).await;
    let mut mapping = json!({
        "EventSourceArn": stream,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": scenario.batch_size,
        "MaximumRetryAttempts": scenario.retries,
        "DestinationConfig": { "OnFailure": { "Destination": cloud.queue_arn(&dead) } },
    });
    if scenario.reports {
        mapping["FunctionResponseTypes"] = json!(["ReportBatchItemFailures"]);
    }
    if let Some(filter) = scenario.filter {
        mapping["FilterCriteria"] = json!({ "Filters": [{ "Pattern": filter }] });
    }
    let function = Arc::new(Function::new(scenario.answer));
    let mapping = deploy(cloud, scenario.name, &function, mapping).await;
    let seen = invocations(&function, scenario.invocations.len()).await;
    let told = cloud.bodies(&dead_url, scenario.discarded.len()).await;
    let path = format!("event-source-mappings/{mapping}");
    lambda(cloud, "DELETE", &path, &json!({})).await;
    check(scenario, &seen, &told);
}

/// All scenarios side by side: localstack takes its time between attempts.
#[tokio::test]
async fn localstack_does_what_the_scenarios_of_streams_say() {
    let Some(endpoint) = Endpoint::real("MILLRACE_LOCALSTACK_URL") else {
        return;
    };
    let cloud = Cloud::new(endpoint);
    let plays = SCENARIOS.iter().map(|scenario| play(&cloud, scenario));
    futures::future::join_all(plays).await;
}

/// Whether the function has been mended. Only this test asks for it.
static MENDED: AtomicBool = AtomicBool::new(false);

#[tokio::test]
async fn localstack_has_messages_become_dead_letters_and_come_back() {
    let Some(endpoint) = Endpoint::real("MILLRACE_LOCALSTACK_URL") else {
        return;
    };
    let cloud = Cloud::new(endpoint);
    let dead = cloud.queue("dead", &[]).await;
    let policy = json!({
        "deadLetterTargetArn": cloud.queue_arn("dead"),
        "maxReceiveCount": RECEIVES,
    });
    let policy = policy.to_string();
    let attributes = [
        ("RedrivePolicy", policy.as_str()),
        ("VisibilityTimeout", "5"),
    ];
    let url = cloud.queue("work", &attributes).await;
    for body in GOOD_AND_BAD {
        let send = cloud.sqs.send_message().queue_url(&url).message_body(body);
        send.send().await.unwrap();
    }
    let function = Arc::new(Function::new(|_, _| {
        if MENDED.load(Ordering::Relaxed) {
            Answer::Success
        } else {
            Answer::Failed(&["bad"])
        }
    }));
    let mapping = json!({
        "EventSourceArn": cloud.queue_arn("work"),
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    let mapping = deploy(&cloud, "queue", &function, mapping).await;
    let count = |body| counted(&function.invocations(), body);
    let arrives = async |times: usize| {
        for _ in 0..600 {
            if count("bad") >= times && count("good") == 1 && count("better") == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{:?}", function.invocations());
    };
    arrives(RECEIVES as usize).await;
    // It becomes a dead letter when it would be received once more.
    let letter = async || {
        let look = cloud.sqs.receive_message().queue_url(&dead);
        let look = look.wait_time_seconds(20).visibility_timeout(0);
        look.send().await.unwrap().messages.unwrap_or_default()
    };
    assert_eq!(letter().await[0].body(), Some("bad"));
    MENDED.store(true, Ordering::Relaxed);
    let moved = cloud.sqs.start_message_move_task();
    let moved = moved.source_arn(cloud.queue_arn("dead"));
    moved.send().await.unwrap();
    arrives(RECEIVES as usize + 1).await;
    assert_eq!(cloud.bodies(&dead, 0).await, Vec::<Value>::new());
    let counts = GOOD_AND_BAD.map(count);
    assert_eq!(counts, [RECEIVES as usize + 1, 1, 1]);
    let path = format!("event-source-mappings/{mapping}");
    lambda(&cloud, "DELETE", &path, &json!({})).await;
}
