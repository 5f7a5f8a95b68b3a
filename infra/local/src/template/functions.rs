//! Functions, their event source mappings, and what `Globals` says for all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fields::{Fields, Shape};
use super::identity::table_of_stream_arn;
use super::model::{
    Destination, FailureReports, Function, FunctionConfig, Mapping, OnError, QueueMapping,
    StartingPosition, StreamMapping,
};
use super::node::{Entry, Node, Value};
use super::resources::Resource;
use super::routing::DOCUMENT;
use super::scope::Scope;
use crate::matching::Pattern;
use crate::names;

const SCALAR: Shape = Shape::Scalar;

/// What a function may say that means nothing on one machine: the worker is in the same binary, and
/// nobody needs permission.
const IDLE: &[(&str, Shape)] = &[
    ("Architectures", Shape::List(&SCALAR)),
    ("CodeUri", SCALAR),
    ("Description", SCALAR),
    ("KmsKeyArn", SCALAR),
    ("EphemeralStorage", Shape::Map(&[("Size", SCALAR)])),
    (
        "LoggingConfig",
        Shape::Map(&[
            ("LogFormat", SCALAR),
            ("LogGroup", SCALAR),
            ("ApplicationLogLevel", SCALAR),
            ("SystemLogLevel", SCALAR),
        ]),
    ),
    ("Role", SCALAR),
    ("Tags", Shape::Any),
    ("Tracing", SCALAR),
];

/// The section `Globals`, if it is there. Its properties are checked where functions inherit them.
pub(super) fn globals(root: &Node, scope: &Scope<'_>) -> Option<Node> {
    let fields = Fields::new(scope.problems(), root.get("Globals")?, "Globals");
    let function = fields.node("Function").cloned();
    fields.finish();
    function
}

/// A function's properties over those of `Globals`: maps merge, lists are joined, the rest is
/// replaced, as SAM does it.
pub(super) fn with_globals(own: &Node, globals: Option<&Node>) -> Node {
    match globals {
        Some(globals) => merge(globals, own),
        None => own.clone(),
    }
}

fn merge(base: &Node, own: &Node) -> Node {
    let value = match (&base.value, &own.value) {
        (Value::Map(base), Value::Map(entries)) => {
            let mut merged: Vec<Entry> = Vec::new();
            for entry in base {
                let replaced = entries.iter().find(|own| own.key == entry.key);
                merged.push(match replaced {
                    Some(own) => Entry {
                        key: own.key.clone(),
                        line: own.line,
                        value: merge(&entry.value, &own.value),
                    },
                    None => entry.clone(),
                });
            }
            for entry in entries {
                if !base.iter().any(|base| base.key == entry.key) {
                    merged.push(entry.clone());
                }
            }
            Value::Map(merged)
        }
        (Value::List(base), Value::List(items)) => {
            Value::List(base.iter().chain(items).cloned().collect())
        }
        (_, own) => own.clone(),
    };
    Node {
        line: own.line,
        value,
    }
}

pub(super) fn function(resource: Resource<'_>) -> Function {
    let fields = resource.properties;
    let handler = fields.required_text("Handler");
    fields.required_text("Runtime");
    fields.choice("Runtime", &["provided.al2023"]);
    let timeout = fields.number("Timeout", 1..=900).unwrap_or(3);
    let memory = fields.number("MemorySize", 128..=10_240).unwrap_or(128);
    let mut environment = BTreeMap::new();
    if let Some(map) = fields.map("Environment") {
        for variable in map.node("Variables").map(Node::entries).unwrap_or_default() {
            match variable.value.as_text() {
                Some(text) => {
                    environment.insert(variable.key.clone(), text);
                }
                None if variable.value.value == Value::Broken => {}
                None => {
                    let message = format!(
                        "{} is {}: text was expected",
                        variable.key,
                        variable.value.kind()
                    );
                    map.problem("Variables", message);
                }
            }
        }
        map.finish();
    }
    policies(&fields);
    fields.idle(IDLE);

    let mut mappings = Vec::new();
    if let Some(events) = fields.node("Events") {
        for event in events.entries() {
            let path = format!("{}.{}", fields.path_of("Events"), event.key);
            let event_fields = fields.below(&event.value, path);
            let id = format!("{}/{}", resource.logical_id, event.key);
            mappings.extend(mapping(event_fields, id));
        }
    }
    fields.finish();
    Function {
        config: FunctionConfig {
            logical_id: resource.logical_id.to_owned(),
            name: resource.name,
            handler,
            timeout: Duration::from_secs(timeout.unsigned_abs()),
            memory_mb: u32::try_from(memory).unwrap_or(128),
            environment,
        },
        mappings,
    }
}

/// Policies are names of managed ones or documents with statements.
fn policies(fields: &Fields<'_>) {
    for (policy, path) in fields.list("Policies") {
        if policy.as_text().is_some() {
            continue;
        }
        let document = fields.below(policy, path);
        document.idle(DOCUMENT);
        document.finish();
    }
}

fn mapping(fields: Fields<'_>, id: String) -> Option<Mapping> {
    fields.required_text("Type");
    let kind = fields.choice("Type", &["SQS", "DynamoDB"]);
    let properties = fields.map("Properties");
    if properties.is_none() {
        fields.problem("Properties", "an event must say where it comes from");
    }
    fields.finish();
    let properties = properties?;
    // A mapping that is switched off is as if it were not there.
    let enabled = properties.flag("Enabled").unwrap_or(true);
    let mapping = match kind? {
        "SQS" => Mapping::Queue(queue_mapping(properties, id)),
        _ => Mapping::Stream(stream_mapping(properties, id)),
    };
    enabled.then_some(mapping)
}

fn queue_mapping(fields: Fields<'_>, id: String) -> QueueMapping {
    let arn = fields.required_text("Queue");
    let queue = names::queue_of_arn(&arn).map(str::to_owned);
    if queue.is_none() && !arn.is_empty() {
        fields.problem("Queue", format!("{arn:?} is not the ARN of a queue"));
    }
    let batch_size = fields.number("BatchSize", 1..=10_000).unwrap_or(10);
    let window = fields
        .number("MaximumBatchingWindowInSeconds", 0..=300)
        .unwrap_or(0);
    if batch_size > 10 && window == 0 {
        let message =
            "a batch of more than 10 messages needs a MaximumBatchingWindowInSeconds of at least 1";
        fields.problem("BatchSize", message);
    }
    let maximum_concurrency = fields.map("ScalingConfig").and_then(|scaling| {
        let maximum = scaling.number("MaximumConcurrency", 2..=1_000);
        scaling.finish();
        usize::try_from(maximum?).ok()
    });
    let mapping = QueueMapping {
        id,
        queue: queue.unwrap_or_default(),
        batch_size: usize::try_from(batch_size).unwrap_or(10),
        window: Duration::from_secs(window.unsigned_abs()),
        maximum_concurrency,
        failures: failure_reports(&fields),
        filters: filters(&fields, &["body"]),
    };
    fields.finish();
    mapping
}

fn stream_mapping(fields: Fields<'_>, id: String) -> StreamMapping {
    let arn = fields.required_text("Stream");
    let table = table_of_stream_arn(&arn).map(str::to_owned);
    if table.is_none() && !arn.is_empty() {
        fields.problem(
            "Stream",
            format!("{arn:?} is not the ARN of a table's stream"),
        );
    }
    fields.required_text("StartingPosition");
    let starting_position = match fields.choice("StartingPosition", &["TRIM_HORIZON", "LATEST"]) {
        Some("LATEST") => StartingPosition::Latest,
        _ => StartingPosition::TrimHorizon,
    };
    let age = fields
        .number("MaximumRecordAgeInSeconds", -1..=604_800)
        .unwrap_or(-1);
    if (0..60).contains(&age) {
        let message = "the least age is 60 seconds; -1 stands for any age";
        fields.problem("MaximumRecordAgeInSeconds", message);
    }
    let retries = fields
        .number("MaximumRetryAttempts", -1..=10_000)
        .unwrap_or(-1);
    let mapping = StreamMapping {
        id,
        table: table.unwrap_or_default(),
        batch_size: number(&fields, "BatchSize", 1..=10_000, 100),
        window: Duration::from_secs(
            fields
                .number("MaximumBatchingWindowInSeconds", 0..=300)
                .unwrap_or(0)
                .unsigned_abs(),
        ),
        lanes: number(&fields, "ParallelizationFactor", 1..=10, 1),
        starting_position,
        failures: failure_reports(&fields),
        on_error: match fields.flag("BisectBatchOnFunctionError") {
            Some(true) => OnError::Bisect,
            _ => OnError::Retry,
        },
        maximum_retries: u32::try_from(retries).ok(),
        maximum_age: u64::try_from(age).ok().map(Duration::from_secs),
        filters: filters(&fields, STREAM_RECORD_KEYS),
        on_failure: on_failure(&fields),
    };
    fields.finish();
    mapping
}

/// What a stream's record has at its top: a filter on anything else would never match.
const STREAM_RECORD_KEYS: &[&str] = &[
    "awsRegion",
    "dynamodb",
    "eventID",
    "eventName",
    "eventSource",
    "eventSourceARN",
    "eventVersion",
    "userIdentity",
];

fn number(
    fields: &Fields<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<i64>,
    default: usize,
) -> usize {
    let number = fields.number(key, range);
    number
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}

fn failure_reports(fields: &Fields<'_>) -> FailureReports {
    let mut reports = FailureReports::Unread;
    for word in fields.texts("FunctionResponseTypes") {
        if word == "ReportBatchItemFailures" {
            reports = FailureReports::Read;
        } else {
            let message =
                format!("{word:?} is not a response type: there is ReportBatchItemFailures");
            fields.problem("FunctionResponseTypes", message);
        }
    }
    reports
}

/// The patterns of `FilterCriteria`, each a JSON text, which may look at `known` keys only.
fn filters(fields: &Fields<'_>, known: &[&str]) -> Vec<Pattern> {
    let Some(criteria) = fields.map("FilterCriteria") else {
        return Vec::new();
    };
    let mut patterns = Vec::new();
    for filter in criteria.maps("Filters") {
        let text = filter.required_text("Pattern");
        let parsed = serde_json::from_str::<serde_json::Value>(&text)
            .map_err(|error| format!("this is not JSON: {error}"))
            .and_then(|json| {
                let keys = json.as_object().into_iter().flat_map(|map| map.keys());
                let foreign: Vec<&String> = keys
                    .filter(|key| *key != "$or" && !known.contains(&key.as_str()))
                    .collect();
                if let Some(key) = foreign.first() {
                    return Err(format!(
                        "a record has no key {key}; it has {}",
                        known.join(", ")
                    ));
                }
                Pattern::parse(&json).map_err(|error| error.to_string())
            });
        match parsed {
            Ok(pattern) => patterns.push(pattern),
            Err(message) if !text.is_empty() => filter.problem("Pattern", message),
            Err(_) => {}
        }
        filter.finish();
    }
    criteria.finish();
    patterns
}

fn on_failure(fields: &Fields<'_>) -> Option<Destination> {
    let configuration = fields.map("DestinationConfig")?;
    let destination = configuration.map("OnFailure").and_then(|target| {
        let kind = target.choice("Type", &["SQS", "SNS", "S3"]);
        let arn = target.required_text("Destination");
        let destination = if let Some(queue) = names::queue_of_arn(&arn) {
            Some(("SQS", Destination::Queue(queue.to_owned())))
        } else if names::topic_of_arn(&arn).is_some() {
            Some(("SNS", Destination::Topic(arn.clone())))
        } else {
            arn.strip_prefix("arn:aws:s3:::")
                .filter(|bucket| !bucket.is_empty())
                .map(|bucket| ("S3", Destination::Bucket(bucket.to_owned())))
        };
        match (&destination, kind) {
            (None, _) if !arn.is_empty() => {
                let message =
                    format!("{arn:?} is the ARN of neither a queue, a topic nor a bucket");
                target.problem("Destination", message);
            }
            (Some((is, _)), Some(said)) if *is != said => {
                let message = format!("this says {said}, the destination is {is}");
                target.problem("Type", message);
            }
            _ => {}
        }
        target.finish();
        destination.map(|(_, destination)| destination)
    });
    configuration.finish();
    destination
}
