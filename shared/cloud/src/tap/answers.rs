//! What a service that fails answers, in the form that its SDK client understands.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use aws_smithy_runtime_api::{
    client::{
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Lost;

type Answer = Result<HttpResponse, ConnectorError>;

/// How a service writes its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// DynamoDB, SQS.
    Json,
    /// S3, SNS.
    Xml,
    /// S3 to a HEAD request, whose answer has no body, so that the status is all there is.
    Bare,
}

impl Wire {
    pub(super) fn of(request: &HttpRequest) -> Self {
        if request.headers().get("x-amz-target").is_some() {
            Self::Json
        } else if request.method() == "HEAD" {
            Self::Bare
        } else {
            Self::Xml
        }
    }

    /// What the client gets to see instead of its answer.
    pub(super) fn lost(self, lost: Lost<Answer>) -> Answer {
        match lost {
            Lost::Error => match self {
                Self::Json => self.error(500, "InternalServerError"),
                Self::Xml | Self::Bare => self.error(500, "InternalError"),
            },
            Lost::Throttled => match self {
                Self::Json => self.error(400, "ThrottlingException"),
                Self::Xml | Self::Bare => self.error(503, "SlowDown"),
            },
            Lost::TimedOut => Err(ConnectorError::timeout(
                "injected: no answer came in time".into(),
            )),
            Lost::Disconnected(answer) => broken(answer?),
        }
    }

    fn error(self, status: u16, code: &str) -> Answer {
        let body = match self {
            Self::Json => format!(r#"{{"__type":"{code}","message":"injected"}}"#),
            Self::Xml => {
                format!("<Error><Code>{code}</Code><Message>injected</Message></Error>")
            }
            Self::Bare => String::new(),
        };
        let status = StatusCode::try_from(status)
            .map_err(|error| ConnectorError::other(error.into(), None))?;
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        if self == Self::Json {
            response
                .headers_mut()
                .insert("x-amzn-errortype", code.to_owned());
        }
        Ok(response)
    }
}

fn connection_lost() -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::ConnectionReset,
        "injected: the connection was lost",
    )
}

/// The same answer, whose body breaks off in the middle. Where there is no body to break, nothing arrives.
fn broken(answer: HttpResponse) -> Answer {
    if answer.body().content_length() == Some(0) {
        return Err(ConnectorError::io(connection_lost().into()));
    }
    Ok(answer.map(|body| SdkBody::from_body_1_x(Broken { body, given: false })))
}

/// A body of which at most the first part arrives, and of that the first half.
struct Broken {
    body: SdkBody,
    given: bool,
}

impl Body for Broken {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.given {
            return Poll::Ready(Some(Err(connection_lost().into())));
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        self.given = true;
        let half = frame.map(|frame| {
            frame.map(|frame| frame.map_data(|data: Bytes| data.slice(..data.len() / 2)))
        });
        Poll::Ready(Some(half.unwrap_or_else(|| Err(connection_lost().into()))))
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
