//! The product's binary as Lambda runs it: against a runtime API, with recorded events, on the embedded cloud.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use millrace_local::{Exposure, LocalCloud, Storage, Template, serve};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
};

const BINARY: &str = env!("CARGO_BIN_EXE_documents");
const TEMPLATE: &str = include_str!("../../../infra/template.yaml");
const DOCUMENT: &str = "documents/ada/0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a77/original.txt";

/// What the binary posted: the path behind the version, and the body.
type Posted = (String, Value);

/// One request: its first line and its body, whether that comes with a length or in pieces.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    stream
        .read_line(&mut first)
        .await
        .ok()
        .filter(|read| *read > 0)?;
    let (mut length, mut in_pieces) = (0, false);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        in_pieces |= header.starts_with("transfer-encoding:") && header.ends_with("chunked");
    }
    let mut body = Vec::new();
    if !in_pieces {
        body.resize(length, 0);
        stream.read_exact(&mut body).await.ok()?;
        return Some((first, body));
    }
    loop {
        let mut size = String::new();
        stream.read_line(&mut size).await.ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut piece = vec![0; size + 2];
        stream.read_exact(&mut piece).await.ok()?;
        if size == 0 {
            return Some((first, body));
        }
        body.extend_from_slice(&piece[..size]);
    }
}

/// A runtime API that hands out these events and then keeps the binary waiting.
async fn runtime_api(events: Vec<Value>) -> (String, mpsc::UnboundedReceiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (posted, received) = mpsc::unbounded_channel();
    let events = std::sync::Arc::new(tokio::sync::Mutex::new(events.into_iter()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (events, posted) = (events.clone(), posted.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some((first, body)) = read_request(&mut stream).await {
                    if first.starts_with("GET") {
                        let Some(event) = events.lock().await.next() else {
                            return std::future::pending().await;
                        };
                        let now = std::time::SystemTime::now()
                            .duration_since(std::time::UNIX_EPOCH)
                            .unwrap();
                        let deadline = now.as_millis() + 60_000;
                        let body = event.to_string();
                        let head = format!(
                            "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: one\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n\
                             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:f\r\n\
                             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                            body.len()
                        );
                        stream
                            .get_mut()
                            .write_all((head + &body).as_bytes())
                            .await
                            .unwrap();
                        continue;
                    }
                    let path = first
                        .split_whitespace()
                        .nth(1)
                        .unwrap()
                        .replace("/2018-06-01/runtime", "");
                    posted
                        .send((path, serde_json::from_slice(&body).unwrap_or(Value::Null)))
                        .unwrap();
                    let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
                    stream.get_mut().write_all(answer).await.unwrap();
                }
            });
        }
    });
    (address, received)
}

fn command(runtime: &str, handler: &str) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime)
        .env("AWS_LAMBDA_FUNCTION_NAME", "f")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("_HANDLER", handler)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_event_is_handled_and_answered_as_lambda_expects() {
    let template = Template::parse(TEMPLATE, "infra/template.yaml", &BTreeMap::new()).unwrap();
    let cloud = LocalCloud::open(&template, Storage::Memory).await.unwrap();
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = serve(
        cloud.services(),
        loopback,
        Exposure::LoopbackOnly,
        std::future::pending(),
    )
    .await
    .unwrap();
    let clients =
        millrace_cloud::Clients::new(&cloud.sdk_config(), millrace_cloud::Addressing::Path);
    let put = clients
        .s3
        .put_object()
        .bucket("ai-assistant-documents-dev")
        .key(DOCUMENT);
    put.body(b"The mill stands by the river.".to_vec().into())
        .send()
        .await
        .unwrap();
    let s3 = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2026-11-21T04:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "ai-assistant-documents-dev"}, "object": {"key": DOCUMENT, "sequencer": "0066FF00AA"}},
    }]});
    let message = |id: &str, body: String| {
        json!({
            "messageId": id, "receiptHandle": "none", "body": body, "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:millrace-extract-text",
        })
    };
    let event = json!({"Records": [message("good", s3.to_string()), message("bad", "{not json".to_owned())]});
    let (runtime, mut posted) = runtime_api(vec![event]).await;
    let function = cloud.function("extract-text").unwrap();
    let index = tempfile::tempdir().unwrap();
    let mut running = command(&runtime, "extract-text")
        .envs(&function.environment)
        .env(
            "MILLRACE_DEAD_LETTER_QUEUE_URL",
            format!(
                "{}/000000000000/millrace-extract-text-dlq",
                server.endpoint()
            ),
        )
        .env("MILLRACE_INDEX_DIRECTORY", index.path())
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "embedded")
        .env("AWS_SECRET_ACCESS_KEY", "embedded")
        .spawn()
        .unwrap();
    let (path, answer) = tokio::time::timeout(Duration::from_secs(60), posted.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(path, "/invocation/one/response", "{answer}");
    assert_eq!(answer, json!({"batchItemFailures": []}));
    running.kill().await.unwrap();
    let text = clients
        .s3
        .get_object()
        .bucket("ai-assistant-documents-dev")
        .key(DOCUMENT.replace("original", "extracted-text"));
    let text = text
        .send()
        .await
        .unwrap()
        .body
        .collect()
        .await
        .unwrap()
        .into_bytes();
    assert!(text.starts_with(b"The mill stands by the river."));
    let letters = cloud
        .services()
        .queues
        .counts("millrace-extract-text-dlq")
        .await
        .unwrap();
    assert_eq!(letters.total(), 1, "the message that is not JSON is parked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_worker_fails_at_init_and_names_those_there_are() {
    let (runtime, mut posted) = runtime_api(Vec::new()).await;
    let running = command(&runtime, "extract-txt").spawn().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), running.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(!ended.status.success());
    let (path, answer) = posted.recv().await.unwrap();
    assert_eq!(path, "/init/error");
    let answer = answer.to_string();
    for worker in millrace_documents::WORKERS {
        assert!(answer.contains(worker), "{answer} does not name {worker}");
    }
}
