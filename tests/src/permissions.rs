//! What workers ask of AWS, set against what their roles in the template allow: nothing more, nothing less.
//!
//! Every world writes down here what its workers ask, by the IAM action and the resource that AWS would check.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use millrace_local::{
    names,
    template::{Described, Template},
};
use serde_json::Value;

use crate::TEMPLATE;

/// An action and the ARN that it is asked on.
pub type Ask = (String, String);

/// What was asked in any world of this process, by worker.
static ASKED: Mutex<BTreeMap<&'static str, BTreeSet<Ask>>> = Mutex::new(BTreeMap::new());

/// What AWS does on a worker's behalf, or checks besides the action that is asked, or asks only where a real service is.
const NOT_ASKED_HERE: &[&str] = &[
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    // A message that is handed back early; no case waits for it.
    "sqs:ChangeMessageVisibility",
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    // Without it S3 answers 403 for what is not there.
    "s3:ListBucket",
];

/// Writes down what a world's workers ask, and passes it on.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    inner: SharedHttpClient,
    /// Whose deliveries are under way.
    delivering: Arc<Mutex<Vec<&'static str>>>,
}

/// A delivery that is under way.
pub(crate) struct Delivering<'a> {
    watch: &'a Watch,
    worker: &'static str,
}

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        let mut delivering = lock(&self.watch.delivering);
        if let Some(at) = delivering.iter().position(|it| *it == self.worker) {
            delivering.swap_remove(at);
        }
    }
}

impl Watch {
    pub(crate) fn new(inner: SharedHttpClient) -> Self {
        Self {
            inner,
            delivering: Arc::default(),
        }
    }

    /// What is asked from now on is asked by this worker, until the answer is dropped.
    pub(crate) fn delivering(&self, worker: &'static str) -> Delivering<'_> {
        lock(&self.delivering).push(worker);
        Delivering {
            watch: self,
            worker,
        }
    }

    /// Where several workers are at work, nobody knows which of them asks.
    fn note(&self, request: &HttpRequest) {
        let delivering = lock(&self.delivering).clone();
        let Some((worker, others)) = delivering.split_first() else {
            return;
        };
        if others.iter().any(|other| other != worker) {
            return;
        }
        lock(&ASKED)
            .entry(worker)
            .or_default()
            .extend(asks(request));
    }
}

impl HttpClient for Watch {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Watched {
            watch: self.clone(),
            inner: self.inner.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct Watched {
    watch: Watch,
    inner: SharedHttpConnector,
}

impl HttpConnector for Watched {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.watch.note(&request);
        self.inner.call(request)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What AWS would look up in the caller's policies for a request.
fn asks(request: &HttpRequest) -> Vec<Ask> {
    let body = request.body().bytes().unwrap_or_default();
    if let Some(target) = request.headers().get("x-amz-target") {
        let (service, operation) = target.split_once('.').unwrap();
        let body: Value = serde_json::from_slice(body).unwrap();
        return match service {
            "AmazonSQS" => vec![of_queue(operation, &body)],
            _ => of_table(operation, &body),
        };
    }
    if body.starts_with(b"Action=") {
        return vec![of_topic(&String::from_utf8_lossy(body))];
    }
    vec![of_object(request.method(), request.uri())]
}

fn of_queue(operation: &str, body: &Value) -> Ask {
    let queue = names::queue_of_url(body["QueueUrl"].as_str().unwrap_or_default());
    let action = operation.trim_end_matches("Batch");
    (format!("sqs:{action}"), names::queue_arn(queue))
}

fn of_table(operation: &str, body: &Value) -> Vec<Ask> {
    let ask = |operation: &str, table: &Value| {
        let table = table.as_str().unwrap_or_default();
        (format!("dynamodb:{operation}"), names::table_arn(table))
    };
    let batch = body["RequestItems"].as_object();
    let transaction = body["TransactItems"].as_array();
    if let Some(tables) = batch {
        let tables = tables.keys().map(|table| Value::from(table.as_str()));
        return tables.map(|table| ask(operation, &table)).collect();
    }
    if let Some(items) = transaction {
        let parts = items.iter().flat_map(|item| item.as_object().unwrap());
        return parts
            .map(|(part, item)| match part.as_str() {
                "ConditionCheck" => ask("ConditionCheckItem", &item["TableName"]),
                part => ask(&format!("{part}Item"), &item["TableName"]),
            })
            .collect();
    }
    let (action, table) = ask(operation, &body["TableName"]);
    let resource = match body["IndexName"].as_str() {
        Some(index) => format!("{table}/index/{index}"),
        None => table,
    };
    vec![(action, resource)]
}

fn of_topic(form: &str) -> Ask {
    let value = |name: &str| {
        let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.replace("%3A", ":"))
            .unwrap_or_default()
    };
    let action = value("Action");
    let action = action.trim_end_matches("Batch");
    (format!("sns:{action}"), value("TopicArn"))
}

fn of_object(method: &str, uri: &str) -> Ask {
    let path = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let path = path.split('?').next().unwrap_or_default();
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if key.is_empty() {
        return ("s3:ListBucket".to_owned(), names::bucket_arn(bucket));
    }
    let action = match method {
        "GET" | "HEAD" => "s3:GetObject",
        "DELETE" => "s3:DeleteObject",
        _ => "s3:PutObject",
    };
    let key = key.replace("%20", " ");
    (action.to_owned(), format!("arn:aws:s3:::{bucket}/{key}"))
}

/// What no case makes a worker ask, although its code does, and where it is asked.
const ASKED_ELSEWHERE: &[(&str, &str, &str)] = &[
    // The names of a campaign's creators: `tests/suite/marketing_campaigns.rs`.
    (
        "PublishReportRole",
        "dynamodb:Query",
        "dot-marketing-creators",
    ),
    // The entry of a match that was deleted: random histories of matches, `tests/replay`.
    (
        "UpdateCampaignRole",
        "dynamodb:DeleteItem",
        "dot-marketing-campaign-creators",
    ),
];

/// A statement of a policy, one action and one resource of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Allowed {
    /// The role or managed policy in which it stands.
    stands_in: String,
    action: String,
    resource: String,
}

impl Allowed {
    fn covers(&self, (action, resource): &Ask) -> bool {
        self.action == *action && matches(&self.resource, resource)
    }

    fn is_asked_elsewhere(&self) -> bool {
        // Where Lambda itself puts what a stream's mapping gives up.
        let is_dead_letter = self.action == "sqs:SendMessage" && self.resource.ends_with("-dlq");
        is_dead_letter
            || NOT_ASKED_HERE.contains(&self.action.as_str())
            || ASKED_ELSEWHERE.iter().any(|(stands_in, action, table)| {
                self.stands_in == *stands_in
                    && self.action == *action
                    && self.resource == names::table_arn(table)
            })
    }
}

/// Whether a pattern with `*` matches a text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            rest.is_empty()
                || (0..=text.len())
                    .filter(|at| text.is_char_boundary(*at))
                    .any(|at| matches(rest, &text[at..]))
        }),
    }
}

/// What the role of a worker allows.
fn allowed(template: &Template, worker: &str) -> Vec<Allowed> {
    let of = |type_name: &str, wanted: &dyn Fn(&Described) -> bool| {
        let mut found = { &template.resources }
            .iter()
            .filter(|it| it.type_name == type_name && wanted(it));
        found.next().unwrap()
    };
    let function = of("AWS::Serverless::Function", &|it| {
        it.properties["Handler"] == worker
    });
    let last = |arn: &Value| {
        let arn = arn.as_str().unwrap_or_default();
        arn.rsplit("/millrace-").next().unwrap().to_owned()
    };
    let role = last(&function.properties["Role"]);
    let role = of("AWS::IAM::Role", &|it| it.logical_id == role);
    let mut allowed = Vec::new();
    for policy in items(&role.properties["Policies"]) {
        allowed.extend(statements(&role.logical_id, &policy["PolicyDocument"]));
    }
    for arn in items(&role.properties["ManagedPolicyArns"]) {
        let id = last(arn);
        let policy = of("AWS::IAM::ManagedPolicy", &|it| it.logical_id == id);
        allowed.extend(statements(&id, &policy.properties["PolicyDocument"]));
    }
    allowed
}

fn statements(stands_in: &str, document: &Value) -> Vec<Allowed> {
    let mut allowed = Vec::new();
    for statement in items(&document["Statement"]) {
        for action in items(&statement["Action"]) {
            for resource in items(&statement["Resource"]) {
                allowed.push(Allowed {
                    stands_in: stands_in.to_owned(),
                    action: action.as_str().unwrap().to_owned(),
                    resource: resource.as_str().unwrap().to_owned(),
                });
            }
        }
    }
    allowed
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Where what was asked so far in this process and what the template's roles allow differ, a sentence each.
///
/// What stands in a policy that several roles share must be needed by one of them.
pub fn differences() -> Vec<String> {
    between(&TEMPLATE, &lock(&ASKED))
}

fn between(template: &Template, asked: &BTreeMap<&'static str, BTreeSet<Ask>>) -> Vec<String> {
    let mut differences = Vec::new();
    let mut needed: BTreeMap<Allowed, bool> = BTreeMap::new();
    for function in &template.functions {
        let worker = function.config.handler.as_str();
        let allowed = allowed(template, worker);
        let nothing = BTreeSet::new();
        let asked = asked.get(worker).unwrap_or(&nothing);
        for ask in asked {
            if !allowed.iter().any(|allowed| allowed.covers(ask)) {
                differences.push(format!(
                    "{worker} asked for {} on {}, which its role does not allow",
                    ask.0, ask.1
                ));
            }
        }
        for allowed in allowed {
            let used = asked.iter().any(|ask| allowed.covers(ask));
            *needed.entry(allowed).or_default() |= used;
        }
    }
    let idle = needed
        .into_iter()
        .filter(|(allowed, used)| !used && !allowed.is_asked_elsewhere());
    differences.extend(idle.map(|(allowed, _)| {
        format!(
            "{} allows {} on {}, which nobody asked for in any case",
            allowed.stands_in, allowed.action, allowed.resource
        )
    }));
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_it_stands_for() {
        assert!(matches("a/*/c", "a/b/x/c"));
        assert!(matches("a/*", "a/"));
        assert!(!matches("a/*/c", "a/b/d"));
        assert!(!matches("a", "ab"));
    }

    #[test]
    fn too_much_and_too_little_are_both_told() {
        let role = "TrackMatchRole";
        let all: BTreeSet<Ask> = allowed(&TEMPLATE, "track-match")
            .into_iter()
            .map(|it| (it.action, it.resource.replace('*', "x")))
            .collect();
        let about = |asked: BTreeSet<Ask>| {
            let found = between(&TEMPLATE, &BTreeMap::from([("track-match", asked)]));
            let about = |it: &String| it.contains(role) || it.starts_with("track-match");
            found.into_iter().filter(about).collect::<Vec<_>>()
        };
        assert_eq!(about(all.clone()), Vec::<String>::new());

        let publishes = (
            "sns:Publish".to_owned(),
            names::topic_arn("dot-marketing-match-steps"),
        );
        let mut less = all.clone();
        assert!(less.remove(&publishes));
        assert_eq!(about(less).len(), 1);

        let mut more = all;
        more.insert((
            "dynamodb:Scan".to_owned(),
            names::table_arn("jetbond-users"),
        ));
        assert_eq!(
            about(more),
            [
                "track-match asked for dynamodb:Scan on arn:aws:dynamodb:us-east-1:000000000000:table/jetbond-users, which its role does not allow"
            ]
        );
    }
}
