//! Requests to OpenSearch, and what their errors mean.

use std::{error::Error, time::Duration};

use aws_config::SdkConfig;
use millrace_events::{Failure, reason};
use opensearch::{
    OpenSearch,
    auth::Credentials,
    http::{
        Method, Url,
        headers::{CONTENT_TYPE, HeaderMap, HeaderValue},
        transport::{SingleNodeConnectionPool, TransportBuilder},
    },
};
use serde_json::Value;

/// How long one request may take. Deleting by query over a large document is the longest.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much of an error's text is kept.
const MAX_SAID_CHARACTERS: usize = 400;

/// Which of the two AWS services signs, and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// An OpenSearch Service domain (`es`).
    Domain,
    /// An OpenSearch Serverless collection (`aoss`).
    Serverless,
}

/// How requests say who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all: a server on this machine.
    None,
    /// By name and password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Signed with AWS credentials.
    SigV4 {
        /// Where credentials and region are from.
        config: Box<SdkConfig>,
        /// What is asked.
        service: Service,
    },
}

/// Whether an endpoint is that of a collection of Serverless, by its host.
pub(crate) fn is_serverless(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        is_aws(host) && host.contains(".aoss.")
    })
}

fn is_aws(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

impl Auth {
    /// What an endpoint needs, by its host: AWS's are signed for; a name and password may stand in the address.
    pub fn for_endpoint(endpoint: &str, config: &SdkConfig) -> Self {
        let Ok(url) = Url::parse(endpoint) else {
            return Self::None;
        };
        let host = url.host_str().unwrap_or_default();
        let signed = |service| Self::SigV4 {
            config: Box::new(config.clone()),
            service,
        };
        if is_serverless(endpoint) {
            return signed(Service::Serverless);
        }
        if is_aws(host) && host.contains(".es.") {
            return signed(Service::Domain);
        }
        match url.password() {
            Some(password) => Self::Basic {
                user: url.username().to_owned(),
                password: password.to_owned(),
            },
            None => Self::None,
        }
    }

    fn credentials(&self) -> Result<Option<(Credentials, Service)>, Failure> {
        match self {
            Self::None => Ok(None),
            Self::Basic { user, password } => Ok(Some((
                Credentials::Basic(user.clone(), password.clone()),
                Service::Domain,
            ))),
            Self::SigV4 { config, service } => {
                let credentials = Credentials::try_from(config.as_ref()).map_err(|error| {
                    let message = "the index's requests cannot be signed without AWS credentials and a region";
                    Failure::transient(reason::ACCESS_DENIED, message).caused_by(error)
                })?;
                Ok(Some((credentials, *service)))
            }
        }
    }
}

/// A connection to one index.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    client: OpenSearch,
    index: String,
}

/// A successful answer, or the one kind of refusal that callers decide on themselves.
pub(super) enum Answer {
    Found(Value),
    NotFound,
}

impl Wire {
    pub(super) fn new(endpoint: &str, auth: &Auth, index: &str) -> Result<Self, Failure> {
        if !is_index_name(index) {
            let message = format!(
                "{index:?} cannot be the name of an index: lower-case letters, digits, '-' and '_'"
            );
            return Err(Failure::permanent(reason::INDEX_REJECTED, message));
        }
        let rejected = |error: Box<dyn Error + Send + Sync>| {
            Failure::permanent(
                reason::INDEX_REJECTED,
                "the index's endpoint cannot be used",
            )
            .caused_by(error)
        };
        let mut url = Url::parse(endpoint).map_err(|error| rejected(error.into()))?;
        // The address is joined with a path, and may be logged.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let mut transport =
            TransportBuilder::new(SingleNodeConnectionPool::new(url)).timeout(TIMEOUT);
        if let Some((credentials, service)) = auth.credentials()? {
            transport = transport.auth(credentials).service_name(match service {
                Service::Domain => "es",
                Service::Serverless => "aoss",
            });
        }
        let transport = transport.build().map_err(|error| rejected(error.into()))?;
        Ok(Self {
            client: OpenSearch::new(transport),
            index: index.to_owned(),
        })
    }

    pub(super) fn index(&self) -> &str {
        &self.index
    }

    /// Sends a request to `/{index}{path}`. `attempted` completes "could not …".
    pub(super) async fn ask(
        &self,
        attempted: &str,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let path = format!("/{}{path}", self.index);
        let mut headers = HeaderMap::new();
        if path.ends_with("/_bulk") {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-ndjson"),
            );
        }
        let sent = self
            .client
            .send(method, &path, headers, Some(query), body, None)
            .await;
        let response = sent.map_err(|error| self.unreachable(attempted, error))?;
        let status = response.status_code().as_u16();
        let text = response
            .text()
            .await
            .map_err(|error| self.unreachable(attempted, error))?;
        match status {
            200..300 => serde_json::from_str(&text)
                .map(Answer::Found)
                .map_err(|error| {
                    let message = format!(
                        "could not {attempted} in {}: the answer is not JSON",
                        self.index
                    );
                    Failure::transient(reason::INDEX_UNAVAILABLE, message).caused_by(error)
                }),
            404 => Ok(Answer::NotFound),
            _ => Err(refused(
                &format!("could not {attempted} in {}", self.index),
                status,
                &text,
            )),
        }
    }

    /// As [`Wire::ask`], where the index has to be there.
    pub(super) async fn ask_index(
        &self,
        attempted: &str,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Value, Failure> {
        match self.ask(attempted, method, path, query, body).await? {
            Answer::Found(value) => Ok(value),
            Answer::NotFound => {
                let message = format!("could not {attempted}: there is no index {}", self.index);
                Err(Failure::transient(reason::RESOURCE_MISSING, message))
            }
        }
    }

    fn unreachable(&self, attempted: &str, error: opensearch::Error) -> Failure {
        let message = format!("could not {attempted} in {}", self.index);
        Failure::transient(reason::INDEX_UNAVAILABLE, message).caused_by(error)
    }
}

/// What a status that is no success means; also that of one item of a bulk request.
pub(super) fn refused(attempted: &str, status: u16, body: &str) -> Failure {
    let said: String = said(body).chars().take(MAX_SAID_CHARACTERS).collect();
    let message = format!("{attempted}: status {status}: {said}");
    match status {
        408 | 409 | 429 | 500.. => Failure::transient(reason::INDEX_UNAVAILABLE, message),
        401 | 403 => Failure::transient(reason::ACCESS_DENIED, message),
        404 => Failure::transient(reason::RESOURCE_MISSING, message),
        _ => Failure::permanent(reason::INDEX_REJECTED, message),
    }
}

/// The reasons in the body of an error. Never the values of fields: `caused_by` may quote them.
fn said(body: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        return body.to_owned();
    };
    let error = value.get("error").unwrap_or(&value);
    match (
        error.get("type").and_then(Value::as_str),
        error.get("reason").and_then(Value::as_str),
    ) {
        (Some(kind), Some(reason)) => format!("{kind}: {reason}"),
        _ => error.to_string(),
    }
}

/// Whether an index may have this name. It is no path either.
pub(crate) fn is_index_name(name: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    name.len() <= 255
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use aws_config::SdkConfig;

    use super::*;

    #[test]
    fn knows_how_to_ask_by_the_host() {
        let config = SdkConfig::builder().build();
        let serverless = "https://abc123.us-east-1.aoss.amazonaws.com";
        let domain = "https://search-chunks-abc.us-east-1.es.amazonaws.com";
        let foreign = "https://x.aoss.example.com";
        assert!(matches!(
            Auth::for_endpoint(serverless, &config),
            Auth::SigV4 {
                service: Service::Serverless,
                ..
            }
        ));
        assert!(matches!(
            Auth::for_endpoint(domain, &config),
            Auth::SigV4 {
                service: Service::Domain,
                ..
            }
        ));
        assert!(matches!(Auth::for_endpoint(foreign, &config), Auth::None));
        assert!(matches!(
            Auth::for_endpoint("https://a:b@localhost:9200", &config),
            Auth::Basic { .. }
        ));
    }

    #[test]
    fn an_index_name_is_no_path() {
        for wrong in ["", "a/b", "../x", "A", "_all", "a,b", "*", "-a"] {
            assert!(!is_index_name(wrong), "{wrong}");
        }
        assert!(is_index_name("document-chunks"));
    }

    #[test]
    fn a_refusal_is_transient_where_waiting_helps() {
        let codes = [
            (429, true),
            (503, true),
            (409, true),
            (403, true),
            (400, false),
            (413, false),
        ];
        for (status, is_transient) in codes {
            assert_eq!(
                refused("could not", status, "{}").is_transient(),
                is_transient,
                "{status}"
            );
        }
        let body = r#"{"error":{"type":"mapper_parsing_exception","reason":"failed to parse"},"status":400}"#;
        let failure = refused("could not put", 400, body);
        assert_eq!(
            failure.message(),
            "could not put: status 400: mapper_parsing_exception: failed to parse"
        );
        assert_eq!(failure.reason(), reason::INDEX_REJECTED);
    }
}
