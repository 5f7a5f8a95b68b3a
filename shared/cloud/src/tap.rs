//! The tap: sits between the SDK clients and their connector.
//!
//! It counts and names every call, and on a test's wish lets one call fail before it is sent or after it
//! took effect, be throttled, time out, lose its connection, sleep, or end the process that made it. What
//! is to befall a call is said in advance ([`Tap::arm`], [`Tap::hold_at`]) or decided call by call by an
//! [`Arbiter`]. Calls that are no SDK calls (the vector index) go through [`Tap::pass`].

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use tokio::sync::Notify;

mod answers;

use answers::Wire;

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The service answers with an internal error (500) and has done nothing.
    ErrorBefore,
    /// The request took effect, and the service answers with an internal error (500).
    ErrorAfter,
    /// The service answers that it has too much to do, and has done nothing.
    Throttle,
    /// No answer comes in time; the service never saw the request. Nobody waits for real: the time-out
    /// is told at once.
    TimeoutBefore,
    /// The request took effect; no answer comes in time.
    TimeoutAfter,
    /// The request took effect; the connection breaks in the middle of the answer's body, or before the
    /// answer when it has none.
    ConnectionLost,
    /// The process ends before the request is sent: this call and all others under way never return.
    DieBefore,
    /// The process ends after the request took effect.
    DieAfter,
}

impl Fault {
    /// Every fault, for tests that try them all.
    pub const ALL: [Fault; 8] = [
        Fault::ErrorBefore,
        Fault::ErrorAfter,
        Fault::Throttle,
        Fault::TimeoutBefore,
        Fault::TimeoutAfter,
        Fault::ConnectionLost,
        Fault::DieBefore,
        Fault::DieAfter,
    ];

    /// Whether it ends the process.
    pub fn is_death(self) -> bool {
        matches!(self, Self::DieBefore | Self::DieAfter)
    }
}

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// How many calls came before it since the tap began anew.
    pub number: usize,
    /// `S3 PUT /bucket/key`, `DynamoDB_20120810.PutItem`, `AmazonSQS.SendMessage`, or the name given to
    /// [`Tap::pass`].
    pub name: String,
}

/// Decides what befalls each call, and when it goes on.
#[async_trait]
pub trait Arbiter: Send + Sync {
    /// Asked before each call. The call waits until this answers, so an arbiter can put calls in an order
    /// of its choice. `None`: nothing befalls it. May be dropped at any await, with the call.
    async fn before(&self, call: Call) -> Option<Fault>;
}

/// What a caller of [`Tap::pass`] gets to see instead of its answer.
#[derive(Debug)]
pub enum Lost<T> {
    /// The service failed inside.
    Error,
    /// It has too much to do.
    Throttled,
    /// No answer came in time.
    TimedOut,
    /// The connection broke while this was being answered.
    Disconnected(T),
}

/// What is to befall the calls to come.
#[derive(Clone, Default)]
enum Plan {
    #[default]
    Nothing,
    Fault(usize, Fault),
    Hold(usize),
    Arbiter(Arc<dyn Arbiter>),
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    plan: Plan,
    dead: bool,
    /// How many processes have ended. A call of an earlier one never returns.
    deaths: u64,
    holding: bool,
}

/// Counts calls and injects faults.
#[derive(Clone)]
pub struct Tap {
    inner: SharedHttpClient,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("calls", &self.lock().calls.len())
            .finish_non_exhaustive()
    }
}

impl Tap {
    /// A tap on this client.
    pub fn new(inner: SharedHttpClient) -> Self {
        Self {
            inner,
            state: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// The client to give to the SDK.
    pub fn client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Begins anew: no calls, nobody dead, and `fault` at the call of that number (from 0), if one is given.
    pub fn arm(&self, fault: Option<(usize, Fault)>) {
        self.begin(fault.map_or(Plan::Nothing, |(number, fault)| Plan::Fault(number, fault)));
    }

    /// Begins anew, and holds the call of that number (from 0) before it is sent, until [`Tap::release`]: its owner
    /// sleeps. Calls of others pass meanwhile.
    pub fn hold_at(&self, number: usize) {
        self.begin(Plan::Hold(number));
    }

    /// Begins anew, and asks this arbiter before each call.
    pub fn obey(&self, arbiter: Arc<dyn Arbiter>) {
        self.begin(Plan::Arbiter(arbiter));
    }

    fn begin(&self, plan: Plan) {
        let mut state = self.lock();
        *state = State {
            plan,
            deaths: state.deaths,
            ..State::default()
        };
        drop(state);
        self.changed.notify_waiters();
    }

    /// Every call since the tap began anew, by name, in the order in which they were made.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// The process ends: no call that is under way returns any more, nor does any that is made before the tap
    /// begins anew. Whoever calls this drops the tasks of that process.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.dead = true;
        state.deaths += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns once the process has ended, by a call that met [`Fault::DieBefore`] or [`Fault::DieAfter`], or by
    /// [`Tap::kill`].
    pub async fn died(&self) {
        self.wait_until(|state| state.dead).await;
    }

    /// Returns once a call is held.
    pub async fn held(&self) {
        self.wait_until(|state| state.holding).await;
    }

    /// Lets the held call go on.
    pub fn release(&self) {
        let mut state = self.lock();
        state.plan = Plan::Nothing;
        state.holding = false;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Makes a call that is no SDK call under the same rules: counted in the same sequence, under the same faults.
    /// `lost` says what the caller gets instead of the answer.
    pub async fn pass<T>(
        &self,
        name: impl Into<String>,
        call: impl Future<Output = T>,
        lost: impl FnOnce(Lost<T>) -> T,
    ) -> T {
        let (deaths, fault) = self.enter(name.into()).await;
        match fault {
            None => self.answer(deaths, call.await).await,
            Some(Fault::ErrorBefore) => lost(Lost::Error),
            Some(Fault::Throttle) => lost(Lost::Throttled),
            Some(Fault::TimeoutBefore) => lost(Lost::TimedOut),
            Some(Fault::ErrorAfter) => {
                self.answer(deaths, call.await).await;
                lost(Lost::Error)
            }
            Some(Fault::TimeoutAfter) => {
                self.answer(deaths, call.await).await;
                lost(Lost::TimedOut)
            }
            Some(Fault::ConnectionLost) => {
                let answer = self.answer(deaths, call.await).await;
                lost(Lost::Disconnected(answer))
            }
            Some(Fault::DieBefore) => self.end_process().await,
            Some(Fault::DieAfter) => {
                drop(call.await);
                self.end_process().await
            }
        }
    }

    /// Counts a call and says what befalls it, and in which process it is made.
    async fn enter(&self, name: String) -> (u64, Option<Fault>) {
        let (number, deaths, plan) = {
            let mut state = self.lock();
            let number = state.calls.len();
            if !state.dead {
                state.calls.push(name.clone());
            }
            let deaths = if state.dead { None } else { Some(state.deaths) };
            (number, deaths, state.plan.clone())
        };
        let Some(deaths) = deaths else {
            return std::future::pending().await;
        };
        let fault = match plan {
            Plan::Fault(at, fault) if at == number => Some(fault),
            Plan::Hold(at) if at == number => {
                self.hold().await;
                None
            }
            Plan::Nothing | Plan::Fault(..) | Plan::Hold(_) => None,
            Plan::Arbiter(arbiter) => arbiter.before(Call { number, name }).await,
        };
        self.answer(deaths, ()).await;
        (deaths, fault)
    }

    async fn hold(&self) {
        self.lock().holding = true;
        self.changed.notify_waiters();
        self.wait_until(|state| !state.holding).await;
    }

    /// Hands an answer over, unless its process has ended meanwhile.
    async fn answer<T>(&self, deaths: u64, answer: T) -> T {
        if self.lock().deaths != deaths {
            return std::future::pending().await;
        }
        answer
    }

    async fn end_process<T>(&self) -> T {
        self.kill();
        std::future::pending().await
    }

    async fn wait_until(&self, there: impl Fn(&State) -> bool) {
        loop {
            let told = self.changed.notified();
            if there(&self.lock()) {
                return;
            }
            told.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.to_owned();
    }
    // SNS alone asks by a form: `Action=Publish&…`.
    let form = request.body().bytes().and_then(|bytes| {
        let bytes = bytes.strip_prefix(b"Action=")?;
        let end = bytes.iter().position(|byte| *byte == b'&');
        std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok()
    });
    if let Some(action) = form {
        return format!("SNS {action}");
    }
    let path = request
        .uri()
        .split_once("://")
        .map_or(request.uri(), |(_, rest)| rest);
    let path = path.find('/').map_or(path, |at| &path[at..]);
    format!("S3 {} {path}", request.method())
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
            let (name, wire) = (name(&request), Wire::of(&request));
            tap.pass(name, serve(inner, request), |lost| wire.lost(lost))
                .await
        })
    }
}

/// A service finishes what it began, whatever becomes of the caller: dropping the caller does not drop this.
async fn serve(
    inner: SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let served = tokio::spawn(async move { inner.call(request).await });
    served
        .await
        .unwrap_or_else(|error| Err(ConnectorError::other(error.into(), None)))
}

#[cfg(test)]
mod tests;
