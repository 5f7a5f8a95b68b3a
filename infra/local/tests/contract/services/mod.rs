//! Objects, queues, topics and what buckets tell: stories through the SDK's clients. What a story saw is a transcript; the one
//! that ministack gave is in `transcripts`, and the embedded cloud must give the same.
//!
//! A transcript's file may have `different`: where (`at`, a JSON pointer) the embedded cloud gives something else, and `why`. With
//! `MILLRACE_CONTRACT_WRITE=1` and an address, transcripts are written anew.

mod messages;
mod notifications;
mod objects;
mod topics;

use std::path::Path;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::{Map, Value, json};

use crate::wire::Endpoint;

/// Services, real or embedded, and names that nobody else uses in this run.
pub(crate) struct Cloud {
    pub(crate) endpoint: Endpoint,
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) sns: aws_sdk_sns::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    suffix: String,
}

impl Cloud {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let credentials = Credentials::from_keys(endpoint.key, endpoint.key, None);
        let config = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(format!("http://{}", endpoint.address))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
        let random = uuid::Uuid::new_v4().simple().to_string();
        Self {
            sqs: aws_sdk_sqs::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            suffix: format!("-{}", &random[..12]),
            endpoint,
        }
    }

    /// A name in this run.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    /// Makes a queue; its URL.
    pub(crate) async fn queue(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let mut request = self.sqs.create_queue().queue_name(self.name(name));
        for (name, value) in attributes {
            request = request.attributes((*name).into(), *value);
        }
        request.send().await.unwrap().queue_url.unwrap()
    }

    pub(crate) fn queue_arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:us-east-1:000000000000:{}", self.name(name))
    }

    /// The bodies of `count` messages of a queue as JSON, once they came; and no more come.
    pub(crate) async fn bodies(&self, url: &str, count: usize) -> Vec<Value> {
        let mut bodies = Vec::new();
        for _ in 0..50 {
            let received = self
                .sqs
                .receive_message()
                .queue_url(url)
                .max_number_of_messages(10);
            let wait = if bodies.len() < count { 1 } else { 0 };
            let received = received.wait_time_seconds(wait).send().await.unwrap();
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() && bodies.len() >= count {
                break;
            }
            for message in messages {
                let body = message.body().unwrap();
                bodies.push(serde_json::from_str(body).unwrap_or_else(|_| json!(body)));
            }
        }
        bodies
    }

    /// A transcript without this run's names.
    fn plain(&self, transcript: &[(String, Value)]) -> Value {
        let fields: Map<String, Value> = transcript.iter().cloned().collect();
        let text = Value::Object(fields).to_string().replace(&self.suffix, "");
        serde_json::from_str(&text).unwrap()
    }
}

/// What a story saw, under names.
#[derive(Default)]
pub(crate) struct Transcript(Vec<(String, Value)>);

impl Transcript {
    pub(crate) fn saw(&mut self, what: &str, value: impl Into<Value>) {
        self.0.push((what.to_owned(), value.into()));
    }
}

/// `"done"`, or the code with which something was refused.
pub(crate) fn code<T, E: ProvideErrorMetadata>(result: Result<T, E>) -> Value {
    match result {
        Ok(_) => json!("done"),
        Err(error) => json!(error.code().unwrap_or("no code")),
    }
}

/// Takes fields out that differ every time, and says that they were there.
pub(crate) fn without(value: &Value, volatile: &[&str]) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = if volatile.contains(&name.as_str()) && !value.is_null() {
                    json!("…")
                } else {
                    without(value, volatile)
                };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(values) => values
            .iter()
            .map(|value| without(value, volatile))
            .collect(),
        other => other.clone(),
    }
}

/// Compares what a story saw with what stands in its file.
pub(crate) fn agree(name: &str, cloud: &Cloud, transcript: Transcript) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/contract/transcripts")
        .join(format!("{name}.json"));
    let found = cloud.plain(&transcript.0);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| "{}".to_owned());
    let mut expected: Value = serde_json::from_str(&text).unwrap();
    let is_writing = std::env::var("MILLRACE_CONTRACT_WRITE").is_ok_and(|value| value == "1");
    if is_writing && !cloud.endpoint.is_embedded {
        expected["seen"] = found;
        std::fs::write(
            file,
            serde_json::to_string_pretty(&expected).unwrap() + "\n",
        )
        .unwrap();
        return;
    }
    let mut seen = expected["seen"].clone();
    if cloud.endpoint.is_embedded {
        for different in expected["different"].as_array().into_iter().flatten() {
            let why = different["why"].as_str().unwrap_or_default();
            assert!(why.len() > 20, "{name}: {different} says no reason");
            let at = different["at"].as_str().unwrap();
            let place = seen
                .pointer_mut(at)
                .unwrap_or_else(|| panic!("{name}: nothing at {at}"));
            *place = different["embedded"].clone();
        }
    }
    let mut differences = Vec::new();
    compare(&found, &seen, "", &mut differences);
    assert!(
        differences.is_empty(),
        "{name}:\n{}",
        differences.join("\n")
    );
}

fn compare(found: &Value, expected: &Value, at: &str, differences: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(left), Value::Object(right)) => {
            let names: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
            for name in names {
                let (left, right) = (&found[name.as_str()], &expected[name.as_str()]);
                compare(left, right, &format!("{at}/{name}"), differences);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (number, (left, right)) in left.iter().zip(right).enumerate() {
                compare(left, right, &format!("{at}/{number}"), differences);
            }
        }
        _ if found == expected => {}
        _ => differences.push(format!("{at}: found {found}, expected {expected}")),
    }
}

/// A story as two tests: on the embedded cloud, and on ministack.
macro_rules! story {
    ($name:ident) => {
        mod $name {
            #[tokio::test]
            async fn embedded() {
                let cloud = super::Cloud::new(crate::wire::Endpoint::embedded().await);
                let seen = super::$name(&cloud).await;
                super::agree(stringify!($name), &cloud, seen);
            }

            #[tokio::test]
            async fn ministack() {
                let Some(endpoint) = crate::wire::Endpoint::real("MILLRACE_MINISTACK_URL") else {
                    return;
                };
                let cloud = super::Cloud::new(endpoint);
                let seen = super::$name(&cloud).await;
                super::agree(stringify!($name), &cloud, seen);
            }
        }
    };
}
pub(crate) use story;
