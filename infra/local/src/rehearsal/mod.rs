//! Rehearsals: a worker runs on what is there, and its effects are withheld.
//!
//! An [`Overlay`] is an embedded cloud in memory that begins empty. Before a request touches an item or
//! an object, that is copied from reality, once; then the request runs in the overlay, where conditions,
//! transactions, ranges and listings mean what they always mean. So the worker reads what it wrote, and
//! reality never hears of it.
//!
//! Nothing can get through by mistake. The SDK clients of a rehearsal are given credentials that no service
//! accepts and are answered in this process. Reality is asked by [`Reality`]'s own methods, of which
//! none writes. What is not on a list of operations whose answer is known here is refused, and the
//! rehearsal says so instead of guessing ([`Problem`]).

mod attributes;
mod messages;
mod notes;
mod objects;
mod reality;
mod tables;

use std::fmt;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::FutureExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use s3s::Body;
use s3s::service::S3Service;

pub use notes::{Effect, Effects, Problem};
pub use reality::Reality;

use crate::clock::SystemClock;
use crate::connector::{self, RouteError, header};
use crate::error::{OpenError, ServiceError};
use crate::services::Services;
use crate::storage::Storage;
use notes::Notes;

/// An embedded cloud over reality, for one rehearsal; clones share it.
#[derive(Clone)]
pub struct Overlay {
    shared: Arc<Shared>,
}

struct Shared {
    services: Services,
    tables: tables::Tables,
    s3: S3Service,
    reality: Reality,
    notes: Notes,
}

impl fmt::Debug for Overlay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Overlay")
    }
}

impl Overlay {
    /// An overlay that tells `effects` what it withholds.
    pub fn over(reality: Reality, effects: Effects) -> Result<Self, OpenError> {
        let services = Services::open(&Storage::Memory, Arc::new(SystemClock))?;
        let notes = Notes::new(effects);
        let tables = tables::Tables::new(services.dynamo.clone(), reality.clone(), notes.clone());
        let s3 = objects::service(services.s3.clone(), reality.clone(), notes.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                services,
                tables,
                s3,
                reality,
                notes,
            }),
        })
    }

    /// The configuration of SDK clients that work on the overlay. Buckets are to be addressed by path.
    pub fn sdk_config(&self) -> SdkConfig {
        connector::sdk_config_with(self.http_client())
    }

    fn http_client(&self) -> SharedHttpClient {
        let overlay = self.clone();
        connector::client_of(Arc::new(move |request| {
            let overlay = overlay.clone();
            async move { overlay.handle(request).await }.boxed()
        }))
    }

    /// Why nothing can be said of what the worker did, if that is so.
    pub fn problem(&self) -> Option<Problem> {
        self.shared.notes.problem()
    }

    async fn handle(&self, request: Request<Body>) -> Result<Response<Body>, RouteError> {
        let target = header(&request, "x-amz-target").to_owned();
        if let Some((service, operation)) = target.split_once('.') {
            let (service, operation) = (service.to_owned(), operation.to_owned());
            return self.json(&service, &operation, request).await;
        }
        let service = signed_for(header(&request, AUTHORIZATION.as_str())).to_owned();
        let is_form = header(&request, CONTENT_TYPE.as_str())
            .starts_with("application/x-www-form-urlencoded");
        match service.as_str() {
            "sns" if is_form && request.method() == Method::POST => self.sns(request).await,
            "s3" => self.s3(request).await,
            other => {
                let operation = format!("{other} {} {}", request.method(), request.uri().path());
                let error = self
                    .shared
                    .notes
                    .refuse(&operation, "nobody knows what it does");
                connector::json_error(&error, error.code.to_owned())
            }
        }
    }

    async fn json(
        &self,
        service: &str,
        operation: &str,
        request: Request<Body>,
    ) -> Result<Response<Body>, RouteError> {
        let body = connector::collect(request.into_body()).await?;
        let shared = &self.shared;
        if service.starts_with("DynamoDB_") {
            return connector::dynamo_answer(shared.tables.call(operation, &body).await);
        }
        if service == "AmazonSQS" {
            let queues = &shared.services.queues;
            return connector::sqs_answer(
                messages::sqs(queues, &shared.notes, &shared.reality, operation, &body).await,
            );
        }
        if service == "AWSEvents" {
            return match messages::event_bridge(&shared.notes, operation, &body) {
                Ok(body) => connector::answer(200, connector::AWS_JSON, body.to_string()),
                Err(error) => connector::json_error(&error, error.code.to_owned()),
            };
        }
        let operation = format!("{service} {operation}");
        let error = shared.notes.refuse(&operation, "nobody knows what it does");
        connector::json_error(&error, error.code.to_owned())
    }

    async fn sns(&self, request: Request<Body>) -> Result<Response<Body>, RouteError> {
        let body = connector::collect(request.into_body()).await?;
        let answered = messages::sns(&self.shared.services.topics, &self.shared.notes, &body).await;
        let (status, xml) = match answered {
            Ok(xml) => (200, xml),
            Err(error) => (error.status, crate::sns::wire::error_body(&error)),
        };
        connector::answer(status, "text/xml", xml)
    }

    async fn s3(&self, request: Request<Body>) -> Result<Response<Body>, RouteError> {
        let is_head = request.method() == Method::HEAD;
        let asked = format!("S3 {} {}", request.method(), request.uri());
        let mut request = request;
        connector::add_host(&mut request)?;
        let answer = self
            .shared
            .s3
            .call(request)
            .await
            .map_err(RouteError::from)?;
        // Of a request that is no operation of S3 at all, the list of operations never hears.
        if matches!(
            answer.status(),
            StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED
        ) {
            self.shared
                .notes
                .refuse(&asked, "the overlay has no such operation");
        }
        Ok(if is_head {
            answer.map(|_| Body::empty())
        } else {
            answer
        })
    }
}

/// The service in the scope of a signature: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn signed_for(authorization: &str) -> &str {
    let scope = authorization.split("Credential=").nth(1);
    let scope = scope.and_then(|rest| rest.split([',', ' ']).next());
    scope
        .and_then(|scope| scope.split('/').nth(3))
        .unwrap_or("an unsigned request")
}

impl From<&Problem> for ServiceError {
    /// What the worker is answered. What it makes of that is of no account: the rehearsal says nothing of it.
    fn from(problem: &Problem) -> Self {
        Self {
            status: 400,
            code: "NotRehearsed",
            message: problem.to_string(),
        }
    }
}
