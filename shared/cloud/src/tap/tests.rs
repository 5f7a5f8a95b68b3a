#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use millrace_events::{Failure, reason};

use super::*;
use crate::{Addressing, Bucket, Clients, Condition, Put, PutOutcome, classify};

/// Answers everything with success, and counts what it did.
#[derive(Debug, Clone, Default)]
struct Service(Arc<AtomicUsize>);

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.0.fetch_add(1, Ordering::SeqCst);
        let body = if request.headers().get("x-amz-target").is_some() {
            "{}"
        } else if request.method() == "GET" {
            "ten bytes!"
        } else {
            ""
        };
        let status = StatusCode::try_from(200).unwrap();
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        response.headers_mut().insert("etag", "\"tag\"");
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Service {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

struct Scene {
    service: Service,
    tap: Tap,
    clients: Clients,
    bucket: Bucket,
}

fn scene() -> Scene {
    let service = Service::default();
    let tap = Tap::new(SharedHttpClient::new(service.clone()));
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url("http://127.0.0.1:1")
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .http_client(tap.client())
        .build();
    let clients = Clients::new(&config, Addressing::Path);
    let bucket = Bucket::new(clients.s3.clone(), "bucket");
    Scene {
        service,
        tap,
        clients,
        bucket,
    }
}

impl Scene {
    fn effects(&self) -> usize {
        self.service.0.load(Ordering::SeqCst)
    }

    async fn put_object(&self) -> Result<(), Failure> {
        let put = Put {
            bytes: "content".into(),
            content_type: "text/plain",
            metadata: std::collections::HashMap::new(),
        };
        let put = self.bucket.put("key", put, &Condition::Always).await?;
        assert_eq!(put, PutOutcome::Written);
        Ok(())
    }

    async fn list_tables(&self) -> Result<(), Failure> {
        let listed = self.clients.dynamodb.list_tables().send().await;
        listed
            .map(|_| ())
            .map_err(|error| classify("list the tables", error))
    }
}

/// What a worker makes of a fault, and whether the service did anything.
fn expected(fault: Fault) -> (millrace_events::Reason, usize) {
    match fault {
        Fault::ErrorBefore | Fault::TimeoutBefore => (reason::SERVICE_UNAVAILABLE, 0),
        Fault::Throttle => (reason::THROTTLED, 0),
        Fault::ErrorAfter | Fault::TimeoutAfter | Fault::ConnectionLost => {
            (reason::SERVICE_UNAVAILABLE, 1)
        }
        Fault::DieBefore | Fault::DieAfter => panic!("the dead say nothing"),
    }
}

fn faults_survived() -> impl Iterator<Item = Fault> {
    Fault::ALL.into_iter().filter(|fault| !fault.is_death())
}

#[tokio::test]
async fn each_fault_is_a_transient_failure_of_tables_and_of_objects() {
    for fault in faults_survived() {
        let (reason, effects) = expected(fault);
        let scene = scene();
        scene.tap.arm(Some((0, fault)));
        let failure = scene.list_tables().await.unwrap_err();
        assert!(failure.is_transient(), "{fault:?}: {failure}");
        assert_eq!(failure.reason(), reason, "{fault:?}: {}", failure.chain());
        assert_eq!(scene.effects(), effects, "{fault:?}");
        assert_eq!(scene.tap.calls(), ["DynamoDB_20120810.ListTables"]);

        scene.tap.arm(Some((0, fault)));
        let failure = scene.put_object().await.unwrap_err();
        assert!(failure.is_transient(), "{fault:?}: {failure}");
        assert_eq!(failure.reason(), reason, "{fault:?}: {}", failure.chain());
        assert_eq!(scene.effects(), 2 * effects, "{fault:?}");
    }
}

#[tokio::test]
async fn an_object_that_breaks_off_or_cannot_be_looked_at_is_not_one_that_is_missing() {
    for fault in faults_survived() {
        let scene = scene();
        scene.tap.arm(Some((0, fault)));
        assert!(scene.bucket.get("key").await.unwrap_err().is_transient());
        scene.tap.arm(Some((0, fault)));
        assert!(scene.bucket.head("key").await.unwrap_err().is_transient());
    }
    let scene = scene();
    scene.tap.arm(Some((0, Fault::ConnectionLost)));
    let broken = scene.bucket.get("key").await.unwrap_err();
    assert!(broken.chain().contains("to its end"), "{}", broken.chain());
}

#[tokio::test]
async fn only_the_call_of_that_number_is_met_and_every_call_is_named() {
    let scene = scene();
    scene.tap.arm(Some((1, Fault::Throttle)));
    assert!(scene.put_object().await.is_ok());
    assert!(scene.put_object().await.is_err());
    assert!(scene.put_object().await.is_ok());
    assert_eq!(scene.tap.calls().len(), 3);
    assert!(scene.tap.calls()[0].starts_with("S3 PUT /bucket/key"));
}

#[tokio::test]
async fn the_dead_neither_return_nor_call_and_the_next_process_does() {
    for (fault, effects) in [(Fault::DieBefore, 0), (Fault::DieAfter, 1)] {
        let scene = Arc::new(scene());
        scene.tap.arm(Some((0, fault)));
        let process = tokio::spawn({
            let scene = scene.clone();
            async move { scene.put_object().await }
        });
        scene.tap.died().await;
        assert_eq!(scene.effects(), effects, "{fault:?}");
        // A task of the dead process that was not dropped.
        let other = tokio::spawn({
            let scene = scene.clone();
            async move { scene.put_object().await }
        });
        tokio::task::yield_now().await;
        scene.tap.arm(None);
        assert!(scene.put_object().await.is_ok());
        assert!(!process.is_finished() && !other.is_finished());
        assert_eq!(scene.effects(), effects + 1);
        process.abort();
        other.abort();
    }
}

#[tokio::test]
async fn a_call_that_is_held_when_its_process_ends_never_takes_effect() {
    let scene = Arc::new(scene());
    scene.tap.hold_at(0);
    let sleeper = tokio::spawn({
        let scene = scene.clone();
        async move { scene.put_object().await }
    });
    scene.tap.held().await;
    scene.tap.kill();
    scene.tap.arm(None);
    assert!(scene.put_object().await.is_ok());
    assert!(!sleeper.is_finished());
    assert_eq!(scene.effects(), 1);
    sleeper.abort();
}

/// Lets the calls go on in the reverse of the order in which they came, once all are there.
#[derive(Default)]
struct Backwards {
    gates: Mutex<Vec<tokio::sync::oneshot::Sender<()>>>,
    of: usize,
}

#[async_trait]
impl Arbiter for Backwards {
    async fn before(&self, call: Call) -> Option<Fault> {
        let (open, opened) = tokio::sync::oneshot::channel();
        let waiting = {
            let mut gates = self.gates.lock().unwrap();
            gates.push(open);
            gates.len()
        };
        if waiting == self.of {
            let last = self.gates.lock().unwrap().pop();
            last.unwrap().send(()).unwrap();
        }
        opened.await.unwrap();
        if let Some(next) = self.gates.lock().unwrap().pop() {
            next.send(()).unwrap();
        }
        (call.name == "second").then_some(Fault::Throttle)
    }
}

#[tokio::test]
async fn an_arbiter_orders_calls_of_every_kind_and_gives_them_faults() {
    let scene = scene();
    scene.tap.obey(Arc::new(Backwards {
        of: 3,
        ..Backwards::default()
    }));
    let order = Mutex::new(Vec::new());
    let call = |name: &'static str| {
        let (tap, order) = (&scene.tap, &order);
        async move {
            let work = async {
                order.lock().unwrap().push(name);
                true
            };
            tap.pass(name, work, |_| false).await
        }
    };
    let put = async {
        scene.put_object().await.unwrap();
        true
    };
    let answers = tokio::join!(call("first"), call("second"), put);
    assert_eq!(answers, (true, false, true));
    assert_eq!(
        *order.lock().unwrap(),
        ["first"],
        "the second had no effect"
    );
    assert_eq!(scene.effects(), 1);
    assert_eq!(scene.tap.calls()[..2], ["first", "second"]);
}
