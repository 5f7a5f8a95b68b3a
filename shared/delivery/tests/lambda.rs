//! The Lambda entry point as a process, against a small runtime API.
//!
//! The function is this very test binary, started again with the ignored test [`the_function`].

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod http;

use std::{
    io::Read,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_cloud::SystemClock;
use millrace_delivery::{
    Cx, Delivery, DeliverySettings, MemoryParking, QueueDefault, Registry, Worker, lambda,
};
use millrace_events::{Failure, Outcome, Record, reason};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// Does what the record's id says.
struct Obedient;

impl Worker for Obedient {
    const NAME: &'static str = "obedient";
    type Event = Record;

    async fn handle(&self, record: Record, _cx: &Cx) -> Result<Outcome, Failure> {
        match record.id.as_str() {
            "slow" => tokio::time::sleep(Duration::from_secs(1)).await,
            "busy" => return Err(Failure::transient(reason::THROTTLED, "slow down")),
            _ => {}
        }
        Ok(Outcome::Applied)
    }
}

#[test]
#[ignore = "not a test: the function's process, started by the tests"]
fn the_function() {
    // Nobody started it: `cargo test -- --include-ignored`.
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    let construct = || async {
        Ok(Delivery::new(
            Obedient,
            DeliverySettings::default(),
            Arc::new(MemoryParking::default()),
            Arc::new(QueueDefault),
            Arc::new(SystemClock),
        ))
    };
    let registry = Registry::new()
        .with(Obedient::NAME, construct)
        .with("broken", || async {
            Err("MILLRACE_DOCUMENTS_BUCKET is not set".into())
        });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // The process's exit code is the test's.
    runtime.block_on(lambda::run(registry)).unwrap();
}

/// What the function posted.
#[derive(Debug)]
struct Post {
    path: String,
    body: Value,
}

/// A runtime API that hands out events and keeps what is posted.
struct RuntimeApi {
    address: String,
    events: Sender<Value>,
    posts: Receiver<Post>,
    /// One message each time the function asks for an event.
    asked: Receiver<()>,
}

impl RuntimeApi {
    fn start() -> Self {
        let (events, next) = channel();
        let (post, posts) = channel();
        let (ask, asked) = channel();
        let next = Mutex::new(next);
        let address = http::serve(move |request| {
            if request.path.ends_with("/invocation/next") {
                ask.send(()).ok()?;
                let event: Value = next.lock().unwrap().recv().ok()?;
                return Some(http::response(
                    "200 OK",
                    &invocation_headers(),
                    &event.to_string(),
                ));
            }
            let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            post.send(Post {
                path: request.path,
                body,
            })
            .ok()?;
            Some(http::response("202 Accepted", "", ""))
        });
        Self {
            address,
            events,
            posts,
            asked,
        }
    }

    fn posted(&self) -> Post {
        self.posts
            .recv_timeout(PATIENCE)
            .expect("nothing was posted")
    }

    fn wait_until_asked(&self) {
        self.asked
            .recv_timeout(PATIENCE)
            .expect("the function never asked for an event");
    }
}

fn invocation_headers() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let deadline = now.as_millis() + 30_000;
    format!(
        "Lambda-Runtime-Aws-Request-Id: request-1\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n\
         Lambda-Runtime-Trace-Id: Root=1-a-b;Sampled=1\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:f\r\n"
    )
}

struct Function(Child);

impl Function {
    fn start(api: &RuntimeApi, handler: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "the_function",
                "--exact",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "f")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("_HANDLER", handler)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn terminate(&self) {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn wait(&mut self) -> (ExitStatus, String) {
        let mut out = String::new();
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        (self.0.wait().unwrap(), out)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn queue_event(ids: &[&str]) -> Value {
    let records = ids.iter().map(|id| {
        json!({
            "messageId": id, "receiptHandle": "r", "body": json!({"id": id}).to_string(),
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
            "attributes": {"ApproximateReceiveCount": "1"}
        })
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

#[test]
fn events_are_answered_as_their_sources_expect() {
    let api = RuntimeApi::start();
    let mut function = Function::start(&api, "obedient");
    api.events.send(queue_event(&["a", "busy"])).unwrap();
    let answer = api.posted();
    assert_eq!(
        answer.path,
        "/2018-06-01/runtime/invocation/request-1/response"
    );
    assert_eq!(
        answer.body,
        json!({"batchItemFailures": [{"itemIdentifier": "busy"}]})
    );

    api.events.send(json!({"id": "fine"})).unwrap();
    assert_eq!(api.posted().body, Value::Null);

    api.events.send(json!({"id": "busy"})).unwrap();
    let error = api.posted();
    assert_eq!(error.path, "/2018-06-01/runtime/invocation/request-1/error");
    assert_eq!(
        error.body,
        json!({"errorType": "throttled", "errorMessage": "slow down"})
    );

    function.terminate();
    let (status, out) = function.wait();
    assert!(status.success(), "{out}");
    let metrics = out
        .lines()
        .filter(|line| line.contains("\"CloudWatchMetrics\""));
    assert_eq!(metrics.count(), 4, "{out}");
}

#[test]
fn an_unknown_worker_fails_at_init_naming_the_ones_there_are() {
    let api = RuntimeApi::start();
    let mut function = Function::start(&api, "obedeint");
    let error = api.posted();
    assert_eq!(error.path, "/2018-06-01/runtime/init/error");
    assert_eq!(
        error.body,
        json!({
            "errorType": "Runtime.InitError",
            "errorMessage": "there is no worker `obedeint`; _HANDLER names one of broken, obedient"
        })
    );
    assert!(!function.wait().0.success());
}

#[test]
fn a_worker_that_cannot_be_set_up_says_why() {
    let api = RuntimeApi::start();
    let mut function = Function::start(&api, "broken");
    let said = api.posted().body["errorMessage"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        said,
        "the worker `broken` could not be set up: MILLRACE_DOCUMENTS_BUCKET is not set"
    );
    assert!(!function.wait().0.success());
}

#[test]
fn a_terminated_function_ends_the_invocation_it_is_in() {
    let api = RuntimeApi::start();
    let mut function = Function::start(&api, "obedient");
    api.wait_until_asked();
    api.events.send(queue_event(&["slow"])).unwrap();
    let early = api.posts.recv_timeout(Duration::from_millis(300));
    assert!(
        matches!(early, Err(RecvTimeoutError::Timeout)),
        "it was answered too early"
    );
    function.terminate();
    assert_eq!(api.posted().body, json!({"batchItemFailures": []}));
    assert!(function.wait().0.success());
}
