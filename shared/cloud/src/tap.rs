//! The tap: sits between the SDK clients and their connector.
//!
//! It counts and names every call, and on a test's wish lets one call fail before it is sent, fail after
//! it took effect, be throttled, hang, or end the process that made it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpClient, SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection fails; the service never saw the request.
    FailBefore,
    /// The request took effect; the answer is lost.
    FailAfter,
    /// The service answers that it has too much to do.
    Throttle,
    /// The process ends before the request is sent: this call and all later ones never return.
    DieBefore,
    /// The process ends after the request took effect.
    DieAfter,
}

impl Fault {
    /// Every fault, for tests that try them all.
    pub const ALL: [Fault; 5] = [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Throttle,
        Fault::DieBefore,
        Fault::DieAfter,
    ];
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<String>,
    fault: Option<(usize, Fault)>,
    dead: bool,
    hold: Option<usize>,
    holding: bool,
}

/// Counts calls and injects faults.
#[derive(Debug, Clone)]
pub struct Tap {
    inner: SharedHttpClient,
    state: Arc<Mutex<State>>,
    death: Arc<tokio::sync::Notify>,
    sleep: Arc<tokio::sync::Notify>,
}

impl Tap {
    /// A tap on this client.
    pub fn new(inner: SharedHttpClient) -> Self {
        Self {
            inner,
            state: Arc::default(),
            death: Arc::default(),
            sleep: Arc::default(),
        }
    }

    /// The client to give to the SDK.
    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Begins anew: no calls, nobody dead, and `fault` at the call of that number (from 0), if one is given.
    pub fn arm(&self, fault: Option<(usize, Fault)>) {
        *self.lock() = State {
            fault,
            ..State::default()
        };
    }

    /// Every call since [`Tap::arm`]: `S3 PUT /bucket/key`, `DynamoDB_20120810.PutItem`.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Returns once a call met [`Fault::DieBefore`] or [`Fault::DieAfter`].
    pub async fn died(&self) {
        loop {
            let told = self.death.notified();
            if self.lock().dead {
                return;
            }
            told.await;
        }
    }

    /// Begins anew, and holds the call of that number (from 0) before it is sent, until [`Tap::release`]: its owner
    /// sleeps. Calls of others pass meanwhile.
    pub fn hold_at(&self, number: usize) {
        *self.lock() = State {
            hold: Some(number),
            ..State::default()
        };
    }

    /// Returns once a call is held.
    pub async fn held(&self) {
        self.wait_until(|state| state.holding).await;
    }

    /// Lets the held call go on.
    pub fn release(&self) {
        let mut state = self.lock();
        state.hold = None;
        state.holding = false;
        drop(state);
        self.sleep.notify_waiters();
    }

    async fn wait_until(&self, there: impl Fn(&State) -> bool) {
        loop {
            let told = self.sleep.notified();
            if there(&self.lock()) {
                return;
            }
            told.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts this call and says what befalls it. `Err` when the process that makes it is dead.
    fn enter(&self, request: &HttpRequest) -> Result<Option<Befallen>, Dead> {
        let mut state = self.lock();
        if state.dead {
            return Err(Dead);
        }
        let number = state.calls.len();
        state.calls.push(name(request));
        if state.hold == Some(number) {
            state.holding = true;
            drop(state);
            self.sleep.notify_waiters();
            return Ok(Some(Befallen::Held));
        }
        Ok(state
            .fault
            .filter(|(at, _)| *at == number)
            .map(|(_, fault)| Befallen::Fault(fault)))
    }

    fn die(&self) {
        self.lock().dead = true;
        self.death.notify_waiters();
    }
}

struct Dead;

/// What befalls a call.
enum Befallen {
    Fault(Fault),
    Held,
}

fn name(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.to_owned();
    }
    let path = request
        .uri()
        .split_once("://")
        .map_or(request.uri(), |(_, rest)| rest);
    let path = path.find('/').map_or(path, |at| &path[at..]);
    format!("S3 {} {path}", request.method())
}

fn lost(what: &'static str) -> ConnectorError {
    ConnectorError::io(what.into())
}

fn throttled() -> Result<HttpResponse, ConnectorError> {
    let status =
        StatusCode::try_from(503).map_err(|error| ConnectorError::other(error.into(), None))?;
    // Understood by JSON and XML services alike: the code stands in a header, the body names it for both.
    let body = "<Error><Code>SlowDown</Code><Message>injected</Message></Error>";
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response
        .headers_mut()
        .insert("x-amzn-errortype", "ThrottlingException");
    Ok(response)
}

impl HttpClient for Tap {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Tapped {
            tap: self.clone(),
            inner: self.inner.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct Tapped {
    tap: Tap,
    inner: SharedHttpConnector,
}

impl HttpConnector for Tapped {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let tap = self.tap.clone();
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            let Ok(befallen) = tap.enter(&request) else {
                return std::future::pending().await;
            };
            match befallen {
                None => inner.call(request).await,
                Some(Befallen::Held) => {
                    tap.wait_until(|state| !state.holding).await;
                    inner.call(request).await
                }
                Some(Befallen::Fault(Fault::FailBefore)) => {
                    Err(lost("injected: the connection failed"))
                }
                Some(Befallen::Fault(Fault::Throttle)) => throttled(),
                Some(Befallen::Fault(Fault::FailAfter)) => {
                    inner.call(request).await?;
                    Err(lost("injected: the answer was lost"))
                }
                Some(Befallen::Fault(Fault::DieBefore)) => {
                    tap.die();
                    std::future::pending().await
                }
                Some(Befallen::Fault(Fault::DieAfter)) => {
                    let _ = inner.call(request).await;
                    tap.die();
                    std::future::pending().await
                }
            }
        })
    }
}
