//! The services on a port, for any AWS client: `aws --endpoint-url`, boto3, or
//! another process of the platform.
//!
//! Requests must be signed with the access key `embedded` and the secret
//! `embedded`. S3 checks the whole signature; the other services look at the
//! access key alone. That keeps web pages out, who can reach a loopback port but
//! cannot sign; it is no protection on a network, so other addresses than those
//! of the loopback are refused unless the caller insists.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::Body;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::connector::Router;
use crate::services::Services;

/// How long requests may take to end once the server is to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the process has run out of
/// file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who may reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Processes of this machine: an address that is not of the loopback is an
    /// error.
    LoopbackOnly,
    /// Whoever can reach the address.
    AnyAddress,
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is open to others.
    #[error(
        "{address} is not a loopback address, and anyone who reaches it could read and change everything: listen on 127.0.0.1, or allow it explicitly"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// A server that is running.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// The address that it listens on, with the port that port 0 became.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients take as `--endpoint-url`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the server has stopped and its last requests have ended, or
    /// have had their time.
    pub async fn stopped(self) {
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the server did not stop as it should");
        }
    }
}

/// Serves `services` on `address` until `stop` completes.
pub async fn serve(
    services: &Services,
    address: SocketAddr,
    exposure: Exposure,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Server, ServeError> {
    if exposure == Exposure::LoopbackOnly && !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback { address });
    }
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let accepting = tokio::spawn(accept(listener, Router::new(services), stop));
    Ok(Server { address, accepting })
}

async fn accept(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send) {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let router = router.clone();
        let service = service_fn(move |request| respond(router.clone(), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

async fn respond(
    router: Router,
    request: Request<Incoming>,
) -> Result<Response<Body>, http::Error> {
    match router.handle(request.map(Body::from)).await {
        Ok(response) => Ok(response),
        Err(error) => {
            tracing::warn!(%error, "a request could not be answered");
            Response::builder()
                .status(StatusCode::INTERNAL_SERVER_ERROR)
                .body(Body::from(Bytes::from(error.to_string())))
        }
    }
}
