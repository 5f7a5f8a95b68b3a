//! The worker as a Lambda function: one binary, `_HANDLER` picks.

use std::{
    collections::BTreeMap,
    env,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use lambda_runtime_api_client::{Client, body::Body, build_request};
use millrace_cloud::{Clock, SystemClock};
use millrace_events::{chain, trace_root};
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use crate::{Delivery, EmfSink, Invocation, install_panic_hook};

/// After SIGTERM, an invocation that has ended gets this long to post its response.
const GRACE: Duration = Duration::from_millis(300);

/// Lambda allows 15 minutes; a header that says more is wrong.
const LONGEST_INVOCATION: Duration = Duration::from_secs(15 * 60);

/// What a function's set-up may fail with.
pub type SetUpError = Box<dyn std::error::Error + Send + Sync>;

type Constructor = Box<dyn FnOnce() -> BoxFuture<'static, Result<Delivery, SetUpError>> + Send>;

/// The workers of a binary, by name; only the one that is asked for is set up.
#[derive(Default)]
pub struct Registry {
    constructors: BTreeMap<&'static str, Constructor>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Why there is no worker to run.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// `_HANDLER` is not set.
    #[error("_HANDLER is not set; it names the worker, one of {names}")]
    NoHandler {
        /// The names there are.
        names: String,
    },
    /// No worker has that name.
    #[error("there is no worker `{name}`; _HANDLER names one of {names}")]
    UnknownWorker {
        /// What was asked for.
        name: String,
        /// The names there are.
        names: String,
    },
    /// The worker's settings or clients are wrong.
    #[error("the worker `{name}` could not be set up: {}", chain(source.as_ref()))]
    SetUp {
        /// The worker.
        name: String,
        /// Why.
        source: SetUpError,
    },
}

impl Registry {
    /// No workers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a worker.
    #[must_use]
    pub fn with<F, Fut>(mut self, name: &'static str, constructor: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Delivery, SetUpError>> + Send + 'static,
    {
        let constructor: Constructor = Box::new(move || Box::pin(constructor()));
        self.constructors.insert(name, constructor);
        self
    }

    /// The names of the workers, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.constructors.keys().copied()
    }

    /// Sets up the worker that `handler` (the value of `_HANDLER`) names.
    ///
    /// # Errors
    /// [`InitError`], which names the workers there are.
    pub async fn set_up(mut self, handler: Option<&str>) -> Result<Delivery, InitError> {
        let names = self.names().collect::<Vec<_>>().join(", ");
        let Some(name) = handler.filter(|name| !name.is_empty()) else {
            return Err(InitError::NoHandler { names });
        };
        let Some(constructor) = self.constructors.remove(name) else {
            return Err(InitError::UnknownWorker {
                name: name.to_owned(),
                names,
            });
        };
        constructor().await.map_err(|source| InitError::SetUp {
            name: name.to_owned(),
            source,
        })
    }
}

/// Runs the worker that `_HANDLER` names until the environment ends the process. Outcomes become metrics
/// on standard output, unless the worker's delivery has a sink of its own.
///
/// # Errors
/// If the worker could not be set up: the error is told to the runtime API first, and the process should
/// end with a code other than zero. If the runtime API cannot be reached.
pub async fn run(registry: Registry) -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    install_panic_hook();
    let handler = env::var("_HANDLER").ok();
    let delivery = match registry.set_up(handler.as_deref()).await {
        // Standard output is where CloudWatch reads metrics, and only on Lambda.
        Ok(delivery) => Arc::new(delivery.or_metrics(|| Arc::new(EmfSink::stdout()))),
        Err(error) => {
            tracing::error!(error = %error, "init failed");
            report_init_error(&error).await;
            return Err(error.into());
        }
    };
    serve(delivery).await
}

async fn serve(delivery: Arc<Delivery>) -> Result<(), lambda_runtime::Error> {
    let running = Arc::new(AtomicUsize::new(0));
    let in_service = Arc::clone(&running);
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let delivery = Arc::clone(&delivery);
        let running = Running::start(&in_service);
        async move {
            let ended = invoke(&delivery, event).await;
            drop(running);
            ended
        }
    });
    let mut runtime = std::pin::pin!(lambda_runtime::run(service));
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = &mut runtime => return ended,
        _ = terminated.recv() => tracing::info!("SIGTERM: ending after the current invocation"),
    }
    // The runtime goes on being polled, or the current invocation would stand still.
    let idle = async {
        while running.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(GRACE / 10).await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = &mut runtime => ended,
        () = idle => Ok(()),
    }
}

/// An invocation under way.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn start(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn invoke(delivery: &Delivery, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let (event, context) = event.into_parts();
    let invocation = Invocation {
        request_id: context.request_id.clone(),
        deadline: Instant::now() + time_left(context.deadline, &SystemClock),
        trace_id: context
            .xray_trace_id
            .as_deref()
            .and_then(trace_root)
            .map(str::to_owned),
    };
    let report = delivery.deliver(event, invocation).await;
    match report.failed {
        None => Ok(report.response),
        Some(failure) => Err(Diagnostic {
            error_type: failure.reason().code().to_owned(),
            error_message: failure.chain(),
        }),
    }
}

/// Until `deadline`, in milliseconds since 1970.
fn time_left(deadline: u64, clock: &dyn Clock) -> Duration {
    let now = u64::try_from(clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Duration::from_millis(deadline.saturating_sub(now)).min(LONGEST_INVOCATION)
}

/// Tells the runtime API that init failed, so that the invoker sees the reason instead of an exit code. The
/// runtime crate does this for snapshots only.
async fn report_init_error(error: &InitError) {
    // Without it we do not run on Lambda, and the client would panic.
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    if let Err(problem) = post_init_error(error).await {
        tracing::error!(problem = %problem, "could not tell the runtime API that init failed");
    }
}

async fn post_init_error(error: &InitError) -> Result<(), lambda_runtime::Error> {
    let diagnostic = Diagnostic {
        error_type: "Runtime.InitError".to_owned(),
        error_message: error.to_string(),
    };
    let request = build_request()
        .method(http::Method::POST)
        .uri("/2018-06-01/runtime/init/error")
        .header("lambda-runtime-function-error-type", "Runtime.InitError")
        .body(Body::from(serde_json::to_vec(&diagnostic)?))?;
    Client::builder().build()?.call(request).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use millrace_cloud::ManualClock;

    use super::*;

    fn registry() -> Registry {
        let refuse = |name: &'static str| {
            move || async move { Err::<Delivery, SetUpError>(format!("{name} has no bucket").into()) }
        };
        Registry::new()
            .with("extract-text", refuse("extract-text"))
            .with("chunk-text", refuse("chunk-text"))
    }

    #[tokio::test]
    async fn an_unknown_worker_s_error_names_the_ones_there_are() {
        let unknown = registry().set_up(Some("extract")).await.unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "there is no worker `extract`; _HANDLER names one of chunk-text, extract-text"
        );
        for missing in [None, Some("")] {
            let error = registry().set_up(missing).await.unwrap_err();
            assert!(matches!(error, InitError::NoHandler { .. }));
            assert!(error.to_string().contains("chunk-text, extract-text"));
        }
    }

    #[tokio::test]
    async fn only_the_worker_that_is_asked_for_is_set_up() {
        let error = registry().set_up(Some("chunk-text")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the worker `chunk-text` could not be set up: chunk-text has no bucket"
        );
    }

    #[test]
    fn the_deadline_is_a_time_of_day() {
        let clock = ManualClock::at(1_000_000);
        assert_eq!(time_left(1_030_500, &clock), Duration::from_millis(30_500));
        assert_eq!(time_left(999_000, &clock), Duration::ZERO);
        assert_eq!(time_left(u64::MAX, &clock), LONGEST_INVOCATION);
    }
}
