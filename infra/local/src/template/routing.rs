//! Queues, topics, rules, and what watches and protects them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fields::{Fields, Shape};
use super::model::{Queue, Redrive, Rule, Subscription, Target, Topic, Trigger};
use super::resources::Resource;
use crate::matching::Pattern;
use crate::names;
use crate::schedule::Schedule;

const SCALAR: Shape = Shape::Scalar;
pub(super) const TAGS: (&str, Shape) = (
    "Tags",
    Shape::List(&Shape::Map(&[("Key", SCALAR), ("Value", SCALAR)])),
);

/// What a queue may say in numbers, each with its range.
const QUEUE_NUMBERS: &[(&str, i64, i64)] = &[
    ("DelaySeconds", 0, 900),
    ("MaximumMessageSize", 1_024, 1_048_576),
    ("MessageRetentionPeriod", 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 20),
    ("VisibilityTimeout", 0, 43_200),
];

/// What a queue may say that means nothing on one machine.
const IDLE_QUEUE: &[(&str, Shape)] = &[
    ("SqsManagedSseEnabled", SCALAR),
    ("KmsMasterKeyId", SCALAR),
    ("KmsDataKeyReusePeriodSeconds", SCALAR),
    (
        "RedriveAllowPolicy",
        Shape::Map(&[
            ("redrivePermission", SCALAR),
            ("sourceQueueArns", Shape::List(&SCALAR)),
        ]),
    ),
    TAGS,
];

pub(super) fn queue(resource: Resource<'_>) -> Queue {
    let fields = resource.properties;
    let mut attributes = BTreeMap::new();
    for (key, least, most) in QUEUE_NUMBERS {
        if let Some(number) = fields.number(key, *least..=*most) {
            attributes.insert((*key).to_owned(), number.to_string());
        }
    }
    let is_fifo = fields.flag("FifoQueue").unwrap_or(false);
    if is_fifo != resource.name.ends_with(".fifo") {
        let message = "a queue's name ends in .fifo exactly when `FifoQueue` is true";
        fields.problem("FifoQueue", message);
    }
    if is_fifo {
        attributes.insert("FifoQueue".to_owned(), "true".to_owned());
    }
    if let Some(flag) = fields.flag("ContentBasedDeduplication") {
        attributes.insert("ContentBasedDeduplication".to_owned(), flag.to_string());
    }
    for key in ["DeduplicationScope", "FifoThroughputLimit"] {
        if let Some(text) = fields.text(key) {
            attributes.insert(key.to_owned(), text);
        }
    }
    let redrive = fields.map("RedrivePolicy").and_then(|policy| {
        let target_arn = policy.required_text("deadLetterTargetArn");
        policy.required_text("maxReceiveCount");
        let maximum_receives = policy.number("maxReceiveCount", 1..=1_000);
        policy.finish();
        Some(Redrive {
            target_arn,
            maximum_receives: u32::try_from(maximum_receives?).ok()?,
        })
    });
    if let Some(redrive) = &redrive {
        let policy = serde_json::json!({
            "deadLetterTargetArn": redrive.target_arn,
            "maxReceiveCount": redrive.maximum_receives,
        });
        attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
    }
    fields.idle(IDLE_QUEUE);
    let visibility = attributes.get("VisibilityTimeout");
    let visibility = visibility
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(30);
    fields.finish();
    Queue {
        logical_id: resource.logical_id.to_owned(),
        name: resource.name,
        attributes,
        visibility_timeout: Duration::from_secs(visibility),
        redrive,
        is_fifo,
    }
}

pub(super) fn topic(resource: Resource<'_>) -> Topic {
    let fields = resource.properties;
    let mut attributes = BTreeMap::new();
    for key in ["DisplayName", "FifoTopic", "ContentBasedDeduplication"] {
        if let Some(text) = fields.text(key) {
            attributes.insert(key.to_owned(), text);
        }
    }
    fields.idle(&[("KmsMasterKeyId", SCALAR), ("TracingConfig", SCALAR), TAGS]);
    fields.finish();
    Topic {
        logical_id: resource.logical_id.to_owned(),
        name: resource.name,
        attributes,
    }
}

pub(super) fn subscription(resource: Resource<'_>) -> Subscription {
    let fields = resource.properties;
    fields.required_text("Protocol");
    fields.choice("Protocol", &["sqs"]);
    let mut attributes = BTreeMap::new();
    for key in ["FilterPolicy", "RedrivePolicy"] {
        if let Some(node) = fields.node(key) {
            attributes.insert(key.to_owned(), node.to_json().to_string());
        }
    }
    for key in ["FilterPolicyScope", "RawMessageDelivery"] {
        if let Some(text) = fields.text(key) {
            attributes.insert(key.to_owned(), text);
        }
    }
    let subscription = Subscription {
        logical_id: resource.logical_id.to_owned(),
        topic_arn: fields.required_text("TopicArn"),
        endpoint: fields.required_text("Endpoint"),
        attributes,
    };
    fields.finish();
    subscription
}

pub(super) fn rule(resource: Resource<'_>) -> Option<Rule> {
    let fields = resource.properties;
    fields.text("Description");
    let enabled = fields.choice("State", &["ENABLED", "DISABLED"]) != Some("DISABLED");
    if let Some(bus) = fields.text("EventBusName")
        && bus != "default"
    {
        fields.problem("EventBusName", "there is only the default bus here");
    }
    let trigger = trigger(&fields);
    let targets: Vec<Target> = fields.maps("Targets").into_iter().map(target).collect();
    if targets.is_empty() {
        fields.problem("Targets", "a rule without targets does nothing: name one");
    }
    fields.finish();
    Some(Rule {
        logical_id: resource.logical_id.to_owned(),
        name: resource.name,
        trigger: trigger?,
        enabled,
        targets,
    })
}

/// A pattern or a schedule. EventBridge allows both in one rule; here they are two rules.
fn trigger(fields: &Fields<'_>) -> Option<Trigger> {
    let schedule = fields.text("ScheduleExpression");
    let pattern = fields.node("EventPattern").map(super::node::Node::to_json);
    match (pattern, schedule) {
        (Some(pattern), None) => {
            if let Err(error) = Pattern::parse(&pattern) {
                fields.problem("EventPattern", error.to_string());
            }
            Some(Trigger::Pattern(pattern))
        }
        (None, Some(expression)) => match Schedule::parse(&expression) {
            Ok(schedule) => Some(Trigger::Schedule(schedule)),
            Err(message) => {
                fields.problem("ScheduleExpression", message);
                None
            }
        },
        (pattern, _) => {
            if pattern.is_some()
                || !(fields.has("EventPattern") || fields.has("ScheduleExpression"))
            {
                let message = "a rule must have either this or a ScheduleExpression";
                fields.problem("EventPattern", message);
            }
            None
        }
    }
}

fn target(fields: Fields<'_>) -> Target {
    let group = fields.map("SqsParameters").map(|parameters| {
        let group = parameters.required_text("MessageGroupId");
        parameters.finish();
        group
    });
    let dead_letter_arn = fields.map("DeadLetterConfig").map(|configuration| {
        let arn = configuration.required_text("Arn");
        configuration.finish();
        arn
    });
    // Delivery is one transaction with the event here: there is nothing to try again.
    fields.idle(&[(
        "RetryPolicy",
        Shape::Map(&[
            ("MaximumRetryAttempts", SCALAR),
            ("MaximumEventAgeInSeconds", SCALAR),
        ]),
    )]);
    let arn = fields.required_text("Arn");
    if !arn.is_empty() && names::queue_of_arn(&arn).is_none() && names::topic_of_arn(&arn).is_none()
    {
        fields.problem("Arn", "targets here are queues and topics");
    }
    let target = Target {
        id: fields.required_text("Id"),
        arn,
        message_group: group,
        dead_letter_arn,
    };
    fields.finish();
    target
}

/// Who may do what: nothing on one machine, where everything belongs to one person. `own` is what this
/// kind of policy has besides its document.
pub(super) fn policy(resource: Resource<'_>, own: (&'static str, Shape)) {
    let fields = resource.properties;
    fields.idle(&[own, ("PolicyDocument", Shape::Map(DOCUMENT))]);
    fields.finish();
}

/// A policy document.
pub(super) const DOCUMENT: &[(&str, Shape)] = &[
    ("Version", SCALAR),
    ("Id", SCALAR),
    ("Statement", Shape::List(&Shape::Map(STATEMENT))),
];

/// A statement of a policy.
pub(super) const STATEMENT: &[(&str, Shape)] = &[
    ("Sid", SCALAR),
    ("Effect", SCALAR),
    ("Principal", Shape::Any),
    ("Action", Shape::Any),
    ("Resource", Shape::Any),
    ("Condition", Shape::Any),
];

/// Alarms watch what is deployed.
pub(super) fn alarm(resource: Resource<'_>) {
    let fields = resource.properties;
    fields.idle(&[
        ("ActionsEnabled", SCALAR),
        ("AlarmActions", Shape::List(&SCALAR)),
        ("AlarmDescription", SCALAR),
        ("ComparisonOperator", SCALAR),
        ("DatapointsToAlarm", SCALAR),
        (
            "Dimensions",
            Shape::List(&Shape::Map(&[("Name", SCALAR), ("Value", SCALAR)])),
        ),
        ("EvaluationPeriods", SCALAR),
        ("ExtendedStatistic", SCALAR),
        ("InsufficientDataActions", Shape::List(&SCALAR)),
        ("MetricName", SCALAR),
        ("Namespace", SCALAR),
        ("OKActions", Shape::List(&SCALAR)),
        ("Period", SCALAR),
        ("Statistic", SCALAR),
        ("Threshold", SCALAR),
        ("TreatMissingData", SCALAR),
        ("Unit", SCALAR),
        TAGS,
    ]);
    fields.finish();
}
