//! The section `Resources`: hands each resource to what knows its type, then checks how they fit.

use super::fields::{Fields, Shape};
use super::identity::{Identity, Kind};
use super::model::{Described, Mapping, Template};
use super::node::{Node, Value};
use super::problems::closest;
use super::scope::Scope;
use super::{described, functions, routing, storage};
use crate::names;

/// What a policy of queues or topics belongs to.
const LIST: Shape = Shape::List(&Shape::Scalar);

/// A resource that is being read.
pub(super) struct Resource<'a> {
    pub(super) logical_id: &'a str,
    pub(super) name: String,
    /// What its `Metadata` says to Millrace.
    pub(super) metadata: Option<Fields<'a>>,
    pub(super) properties: Fields<'a>,
}

pub(super) fn read(template: &mut Template, root: &Node, scope: &Scope<'_>) {
    let globals = functions::globals(root, scope);
    let entries = root.get("Resources").map(Node::entries).unwrap_or_default();
    for entry in entries {
        let path = format!("Resources.{}", entry.key);
        let outer = Fields::new(scope.problems(), &entry.value, &path);
        let type_name = outer.required_text("Type");
        outer.node("Properties");
        let metadata = outer
            .map("Metadata")
            .and_then(|metadata| metadata.map("Millrace"));
        outer.text("Condition");
        let deletion = outer.choice(
            "DeletionPolicy",
            &["Delete", "Retain", "RetainExceptOnCreate", "Snapshot"],
        );
        outer.choice("UpdateReplacePolicy", &["Delete", "Retain", "Snapshot"]);
        let needed = outer.texts("DependsOn");
        let Some(kind) = Kind::of(&type_name) else {
            if !type_name.is_empty() {
                outer.problem("Type", unknown_type(&type_name));
            }
            continue;
        };
        if !scope.is_wanted(&entry.value, &entry.key) {
            outer.finish();
            continue;
        }
        for needed in needed {
            let path = outer.path_of("DependsOn");
            scope.identity(&needed, outer.line_of("DependsOn"), &path);
        }
        outer.finish();

        let path = format!("{path}.Properties");
        let written = match (kind, entry.value.get("Properties")) {
            (Kind::Function, Some(properties)) => {
                functions::with_globals(properties, globals.as_ref())
            }
            (_, Some(properties)) => properties.clone(),
            (_, None) => Node {
                line: entry.line,
                value: Value::Map(Vec::new()),
            },
        };
        let Some(properties) = scope.resolve(&written, &path) else {
            continue;
        };
        let name = scope.identity(&entry.key, entry.line, &path).map_or_else(
            || Identity::default_name(kind, &entry.key),
            |identity| identity.name,
        );
        let resource = Resource {
            logical_id: &entry.key,
            name,
            metadata,
            properties: Fields::new(scope.problems(), &properties, path),
        };
        if let Some(property) = kind.name_property() {
            resource.properties.node(property);
        }
        template.resources.push(Described {
            logical_id: entry.key.clone(),
            type_name,
            deletion: deletion.unwrap_or("Delete"),
            properties: properties.to_json(),
        });
        read_one(template, kind, resource);
    }
    check_fit(template, root, scope);
}

fn read_one(template: &mut Template, kind: Kind, resource: Resource<'_>) {
    match kind {
        Kind::Bucket => template.buckets.push(storage::bucket(resource)),
        Kind::Table => template.tables.push(storage::table(resource)),
        Kind::Queue => template.queues.push(routing::queue(resource)),
        Kind::Topic => template.topics.push(routing::topic(resource)),
        Kind::Subscription => template.subscriptions.push(routing::subscription(resource)),
        Kind::Rule => template.rules.extend(routing::rule(resource)),
        Kind::Function => template.functions.push(functions::function(resource)),
        Kind::QueuePolicy => routing::policy(resource, ("Queues", LIST)),
        Kind::TopicPolicy => routing::policy(resource, ("Topics", LIST)),
        Kind::BucketPolicy => routing::policy(resource, ("Bucket", Shape::Scalar)),
        Kind::ManagedPolicy => routing::policy(resource, ("Description", Shape::Scalar)),
        Kind::Alarm => routing::alarm(resource),
        Kind::Role
        | Kind::Key
        | Kind::LogGroup
        | Kind::LogsPolicy
        | Kind::Dashboard
        | Kind::BackupVault
        | Kind::BackupPlan
        | Kind::BackupSelection
        | Kind::SearchSecurityPolicy
        | Kind::SearchAccessPolicy
        | Kind::SearchCollection
        | Kind::SearchDomain => described::check(kind, resource),
    }
}

fn unknown_type(type_name: &str) -> String {
    let hint = closest(type_name, Kind::names())
        .map(|known| format!(" (did you mean {known}?)"))
        .unwrap_or_default();
    format!(
        "the resource type {type_name} is not known here{hint}: remove the resource, or teach \
         infra/local what it means; known are {}",
        Kind::names().collect::<Vec<_>>().join(", ")
    )
}

/// Checks what AWS would refuse although every resource is right by itself.
fn check_fit(template: &Template, root: &Node, scope: &Scope<'_>) {
    let line_of = |logical_id: &str| {
        let entries = root.get("Resources").map(Node::entries).unwrap_or_default();
        let entry = entries.iter().find(|entry| entry.key == logical_id);
        entry.map_or(1, |entry| entry.line)
    };
    let note = |logical_id: &str, property: &str, message: String| {
        let path = format!("Resources.{logical_id}.Properties.{property}");
        scope.problems().add(line_of(logical_id), path, message);
    };
    let has_queue = |arn: &str| {
        template
            .queues
            .iter()
            .any(|queue| names::queue_arn(&queue.name) == arn)
    };
    let has_topic = |arn: &str| {
        template
            .topics
            .iter()
            .any(|topic| names::topic_arn(&topic.name) == arn)
    };

    for queue in &template.queues {
        if let Some(redrive) = &queue.redrive
            && !has_queue(&redrive.target_arn)
        {
            let message = format!("{} is not a queue of this template", redrive.target_arn);
            note(
                &queue.logical_id,
                "RedrivePolicy.deadLetterTargetArn",
                message,
            );
        }
    }
    for bucket in &template.buckets {
        for notification in &bucket.notifications {
            if !has_queue(&notification.queue_arn) {
                let message = format!("{} is not a queue of this template", notification.queue_arn);
                note(&bucket.logical_id, "NotificationConfiguration", message);
            }
        }
    }
    for rule in &template.rules {
        for target in &rule.targets {
            if !has_queue(&target.arn) && !has_topic(&target.arn) {
                let message = format!(
                    "{} is neither a queue nor a topic of this template",
                    target.arn
                );
                note(&rule.logical_id, "Targets", message);
            }
        }
    }
    for subscription in &template.subscriptions {
        if !has_topic(&subscription.topic_arn) {
            let message = format!("{} is not a topic of this template", subscription.topic_arn);
            note(&subscription.logical_id, "TopicArn", message);
        }
        if !has_queue(&subscription.endpoint) {
            let message = format!("{} is not a queue of this template", subscription.endpoint);
            note(&subscription.logical_id, "Endpoint", message);
        }
    }
    for function in &template.functions {
        for mapping in &function.mappings {
            check_mapping(template, &function.config, mapping, &note);
        }
    }
    check_names(template, &note);
}

fn check_mapping(
    template: &Template,
    function: &super::FunctionConfig,
    mapping: &Mapping,
    note: &impl Fn(&str, &str, String),
) {
    let id = &function.logical_id;
    match mapping {
        Mapping::Queue(mapping) => {
            let Some(queue) = template
                .queues
                .iter()
                .find(|queue| queue.name == mapping.queue)
            else {
                let message = format!("{} is not a queue of this template", mapping.queue);
                return note(id, "Events", message);
            };
            if queue.visibility_timeout < function.timeout {
                let message = format!(
                    "the queue {} has a visibility timeout of {} s, shorter than the function's {} s: \
                     Lambda refuses that and asks for six times the function's timeout",
                    queue.name,
                    queue.visibility_timeout.as_secs(),
                    function.timeout.as_secs()
                );
                note(id, "Events", message);
            }
            if queue.is_fifo && (mapping.batch_size > 10 || !mapping.window.is_zero()) {
                let message = format!(
                    "{} is a FIFO queue: its batches hold 10 messages at most and have no window",
                    queue.name
                );
                note(id, "Events", message);
            }
        }
        Mapping::Stream(mapping) => {
            let table = template
                .tables
                .iter()
                .find(|table| table.name == mapping.table);
            if !table.is_some_and(|table| table.has_stream) {
                let message = format!(
                    "{} is not a table of this template that has a stream: give it a StreamSpecification",
                    mapping.table
                );
                note(id, "Events", message);
            }
        }
    }
}

fn check_names(template: &Template, note: &impl Fn(&str, &str, String)) {
    let mut seen = std::collections::BTreeMap::new();
    let named = template
        .buckets
        .iter()
        .map(|it| (Kind::Bucket, &it.logical_id, &it.name))
        .chain(
            template
                .tables
                .iter()
                .map(|it| (Kind::Table, &it.logical_id, &it.name)),
        )
        .chain(
            template
                .queues
                .iter()
                .map(|it| (Kind::Queue, &it.logical_id, &it.name)),
        )
        .chain(
            template
                .topics
                .iter()
                .map(|it| (Kind::Topic, &it.logical_id, &it.name)),
        )
        .chain(
            template
                .rules
                .iter()
                .map(|it| (Kind::Rule, &it.logical_id, &it.name)),
        )
        .chain(
            template
                .functions
                .iter()
                .map(|it| (Kind::Function, &it.config.logical_id, &it.config.name)),
        );
    for (kind, logical_id, name) in named {
        if let Some(former) = seen.insert((kind as u8, name), logical_id) {
            let property = kind.name_property().unwrap_or_default();
            note(
                logical_id,
                property,
                format!("{former} has the name {name} already"),
            );
        }
    }
}
