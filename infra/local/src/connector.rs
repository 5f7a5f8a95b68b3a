//! One HTTP connector for all services, under the unmodified SDK clients.
//!
//! A request is told by what it carries: `x-amz-target` names DynamoDB, its
//! streams and SQS; a form is SNS (or asks STS who is there); everything else is S3.

use std::fmt;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use s3s::Body;
use s3s::service::S3Service;

use crate::dynamo::CallError;
use crate::error::ServiceError;
use crate::services::Services;
use crate::{names, sns, sqs, sts};

/// The endpoint that clients in this process are given. Nothing listens there:
/// the connector answers. Being an address, it makes S3 clients use paths.
const ENDPOINT: &str = "http://127.0.0.1:4566";

/// The largest request that is not S3's: SQS takes 1 MiB, DynamoDB 16 MiB.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

pub(crate) const AWS_JSON: &str = "application/x-amz-json-1.0";

/// An error that ends a connection instead of being answered.
pub(crate) type RouteError = Box<dyn std::error::Error + Send + Sync>;

/// Sends requests to the service that they are for.
#[derive(Clone)]
pub(crate) struct Router {
    services: Services,
    s3: S3Service,
}

impl fmt::Debug for Router {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Router")
    }
}

impl Router {
    pub(crate) fn new(services: &Services) -> Self {
        Self {
            services: services.clone(),
            s3: services.s3.service(),
        }
    }

    /// Answers one request.
    pub(crate) async fn handle(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Body>, RouteError> {
        let target = header(&request, "x-amz-target").to_owned();
        let is_form = header(&request, CONTENT_TYPE.as_str())
            .starts_with("application/x-www-form-urlencoded");
        let Some((service, operation)) = target.split_once('.') else {
            if is_form && request.method() == Method::POST && request.uri().path() == "/" {
                return self.sns(request).await;
            }
            return self.s3(request).await;
        };
        if let Err(error) = check_access_key(&request) {
            return json_error(&error, format!("com.amazon.coral.service#{}", error.code));
        }
        let body = collect(request.into_body()).await?;
        if service.starts_with("DynamoDB_") || service.starts_with("DynamoDBStreams_") {
            return dynamo_answer(self.services.dynamo.call(operation, body.into()).await);
        }
        if service == "AmazonSQS" {
            return sqs_answer(sqs::wire::handle(&self.services.queues, operation, &body).await);
        }
        let unknown = ServiceError::client(
            "UnknownOperationException",
            format!("the embedded cloud has no service {service}"),
        );
        json_error(
            &unknown,
            format!("com.amazon.coral.service#{}", unknown.code),
        )
    }

    async fn s3(&self, request: Request<Body>) -> Result<Response<Body>, RouteError> {
        let is_head = request.method() == Method::HEAD;
        let mut request = request;
        add_host(&mut request)?;
        let answer = self.s3.call(request).await.map_err(RouteError::from)?;
        Ok(if is_head {
            answer.map(|_| Body::empty())
        } else {
            answer
        })
    }

    async fn sns(&self, request: Request<Body>) -> Result<Response<Body>, RouteError> {
        if let Err(error) = check_access_key(&request) {
            return answer(403, "text/xml", sns::wire::error_body(&error));
        }
        let body = collect(request.into_body()).await?;
        if sts::is_asked(&body) {
            return answer(200, "text/xml", sts::answer());
        }
        let (status, xml) = match sns::wire::handle(&self.services.topics, &body).await {
            Ok(xml) => (200, xml),
            Err(error) => (error.status, sns::wire::error_body(&error)),
        };
        answer(status, "text/xml", xml)
    }
}

pub(crate) fn header<'a>(request: &'a Request<Body>, name: &str) -> &'a str {
    let value = request.headers().get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Requests are signed with the one access key that there is. S3 checks more:
/// the signature itself.
fn check_access_key(request: &Request<Body>) -> Result<(), ServiceError> {
    let authorization = header(request, AUTHORIZATION.as_str());
    let credential = authorization
        .split_once("Credential=")
        .map(|(_, rest)| rest);
    let access_key = credential.and_then(|credential| credential.split('/').next());
    if access_key == Some(names::CREDENTIAL) {
        return Ok(());
    }
    Err(ServiceError::client(
        "UnrecognizedClientException",
        format!(
            "The security token included in the request is invalid: sign with the access key and the secret \"{}\"",
            names::CREDENTIAL
        ),
    ))
}

/// The signature covers the host, which in a request that never went over a
/// wire stands in the URI alone.
pub(crate) fn add_host(request: &mut Request<Body>) -> Result<(), RouteError> {
    if request.headers().contains_key(HOST) {
        return Ok(());
    }
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

pub(crate) async fn collect(body: Body) -> Result<Bytes, RouteError> {
    let limited = http_body_util::Limited::new(body, LARGEST_BODY);
    Ok(limited.collect().await?.to_bytes())
}

pub(crate) fn answer(
    status: u16,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Result<Response<Body>, RouteError> {
    Ok(Response::builder()
        .status(StatusCode::from_u16(status)?)
        .header(CONTENT_TYPE, content_type)
        .body(Body::from(body.into()))?)
}

pub(crate) fn dynamo_answer(
    result: Result<Vec<u8>, CallError>,
) -> Result<Response<Body>, RouteError> {
    match result {
        Ok(body) => answer(200, AWS_JSON, body),
        Err(error) => answer(error.status, AWS_JSON, error.body),
    }
}

pub(crate) fn sqs_answer(
    result: Result<serde_json::Value, ServiceError>,
) -> Result<Response<Body>, RouteError> {
    let error = match result {
        Ok(body) => return answer(200, AWS_JSON, body.to_string()),
        Err(error) => error,
    };
    let mut response = json_error(&error, format!("com.amazonaws.sqs#{}", error.code))?;
    let fault = if error.status < 500 {
        "Sender"
    } else {
        "Receiver"
    };
    let query_error = format!("{};{fault}", sqs::wire::query_code(error.code));
    response
        .headers_mut()
        .insert("x-amzn-query-error", HeaderValue::from_str(&query_error)?);
    Ok(response)
}

pub(crate) fn json_error(
    error: &ServiceError,
    error_type: String,
) -> Result<Response<Body>, RouteError> {
    let body = serde_json::json!({ "__type": error_type, "message": error.message });
    answer(error.status, AWS_JSON, body.to_string())
}

/// What answers the requests of an SDK client.
pub(crate) type Answering =
    dyn Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, RouteError>> + Send + Sync;

/// Something in this process, under an SDK client.
#[derive(Clone)]
struct InProcess(Arc<Answering>);

impl fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answering = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let request = request.map(Body::http_body_unsync);
            let response = answering(request)
                .await
                .map_err(|error| ConnectorError::other(error, None))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// An HTTP client whose every request is answered by `services`, in this
/// process. It can be wrapped, to count requests or to inject faults.
pub fn http_client(services: &Services) -> SharedHttpClient {
    let router = Router::new(services);
    client_of(Arc::new(move |request| {
        let router = router.clone();
        async move { router.handle(request).await }.boxed()
    }))
}

/// An HTTP client whose every request `answering` answers.
pub(crate) fn client_of(answering: Arc<Answering>) -> SharedHttpClient {
    SharedHttpClient::new(InProcess(answering))
}

/// The configuration of SDK clients that talk to `services`. A failed request is
/// not sent again: nothing here fails for a moment.
pub fn sdk_config(services: &Services) -> SdkConfig {
    sdk_config_with(http_client(services))
}

/// As [`sdk_config`], over an HTTP client that may be wrapped around that of
/// [`http_client`].
pub fn sdk_config_with(client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::from_keys(names::CREDENTIAL, names::CREDENTIAL, None);
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::from_static(names::REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(ENDPOINT)
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .timeout_config(aws_config::timeout::TimeoutConfig::disabled())
        .stalled_stream_protection(
            aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled(),
        )
        .http_client(client)
        .build()
}
