//! Requests over HTTP to a service, real or embedded: the same bytes to both.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use millrace_local::clock::SystemClock;
use millrace_local::{Exposure, Server, Services, Storage, serve};
use tokio::net::TcpStream;

/// Where services are, and what keeps them there.
pub(crate) struct Endpoint {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// The access key that is asked for.
    pub(crate) key: &'static str,
    /// Whether these are the embedded services.
    pub(crate) is_embedded: bool,
    embedded: Option<(Services, Server)>,
}

impl Endpoint {
    /// The embedded services, in memory, on a port of their own until the test ends.
    pub(crate) async fn embedded() -> Self {
        let services = Services::open(&Storage::Memory, Arc::new(SystemClock)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = serve(
            &services,
            address,
            Exposure::LoopbackOnly,
            std::future::pending(),
        );
        let server = server.await.unwrap();
        Self {
            address: server.address().to_string(),
            key: "embedded",
            is_embedded: true,
            embedded: Some((services, server)),
        }
    }

    /// A real part that `variable` names; `None`, said so, where there is none.
    pub(crate) fn real(variable: &str) -> Option<Self> {
        let Ok(url) = std::env::var(variable) else {
            let is_required = std::env::var("CI").is_ok()
                && std::env::var("MILLRACE_REQUIRE_REAL").is_ok_and(|value| value == "1");
            assert!(
                !is_required,
                "MILLRACE_REQUIRE_REAL is set, and {variable} is not"
            );
            eprintln!("skipped: {variable} is not set");
            return None;
        };
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        Some(Self {
            address: address.to_owned(),
            key: "test",
            is_embedded: false,
            embedded: None,
        })
    }

    /// The embedded services, for what is set by Rust calls there.
    pub(crate) fn services(&self) -> Option<&Services> {
        self.embedded.as_ref().map(|(services, _)| services)
    }

    /// Sends a request, signed as far as anybody looks, and reads the whole answer.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Response<Bytes> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("x-amz-date", "20260101T000000Z")
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/{service}/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={}",
                    self.key,
                    "0".repeat(64)
                ),
            );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        Response::from_parts(head, body)
    }
}
