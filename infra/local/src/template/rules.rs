//! What the deployed template must keep to, whatever is added to it. A new worker fails here until everything of it is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::names;

/// The worst that can happen: every parameter that adds something is given.
const FULL: &[(&str, &str)] = &[
    ("Search", "serverless"),
    (
        "SearchReaderArn",
        "arn:aws:iam::000000000000:role/search-api",
    ),
    (
        "SearchPreparerArn",
        "arn:aws:iam::000000000000:role/deployer",
    ),
    ("Embedder", "bedrock:amazon.titan-embed-text-v2:0"),
    (
        "OpenAiKeySecretArn",
        "arn:aws:secretsmanager:us-east-1:000000000000:secret:key-AbCdEf",
    ),
    ("Record", "all"),
    ("RecordBucket", "recorded"),
    ("KmsKeyArn", "arn:aws:kms:us-east-1:000000000000:key/own"),
];

fn deployed(given: &[(&str, &str)]) -> Template {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let given = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<BTreeMap<_, _>>();
    match Template::load_with(&path, &given) {
        Ok(template) => template,
        Err(error) => panic!("{error}"),
    }
}

impl Template {
    fn of_type<'a>(&'a self, type_name: &'a str) -> impl Iterator<Item = &'a Described> {
        self.resources
            .iter()
            .filter(move |resource| resource.type_name == type_name)
    }

    /// The role of a function.
    fn role_of(&self, function: &str) -> &Described {
        let function = self
            .of_type("AWS::Serverless::Function")
            .find(|it| it.properties["FunctionName"] == function)
            .unwrap();
        let arn = text(&function.properties["Role"]);
        let name = arn.rsplit('/').next().unwrap();
        self.of_type("AWS::IAM::Role")
            .find(|role| format!("millrace-{}", role.logical_id) == name)
            .unwrap_or_else(|| panic!("{arn} is no role of the template"))
    }

    /// The statements of a role, and of the template's managed policies that it has.
    fn statements_of(&self, role: &Described) -> Vec<Value> {
        let inline = list(&role.properties["Policies"])
            .flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]));
        let managed = list(&role.properties["ManagedPolicyArns"]).flat_map(|arn| {
            let policy = self
                .of_type("AWS::IAM::ManagedPolicy")
                .find(|policy| {
                    text(arn).ends_with(&format!(":policy/millrace-{}", policy.logical_id))
                })
                .unwrap_or_else(|| {
                    panic!(
                        "{} has {arn}, which the template does not describe",
                        role.logical_id
                    )
                });
            list(&policy.properties["PolicyDocument"]["Statement"])
        });
        inline.chain(managed).cloned().collect()
    }

    /// The alarms on a metric of something: the properties of each.
    fn alarms(&self, metric: &str, dimension: &str) -> Vec<&Value> {
        self.of_type("AWS::CloudWatch::Alarm")
            .map(|alarm| &alarm.properties)
            .filter(|alarm| {
                alarm["MetricName"] == metric && alarm["Dimensions"][0]["Value"] == dimension
            })
            .collect()
    }
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
}

/// The items of a list; one for what is no list; none for nothing.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    let items: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    };
    items.into_iter()
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        _ => value.as_u64().unwrap(),
    }
}

fn has_stream(function: &Function) -> bool {
    let mut mappings = function.mappings.iter();
    mappings.any(|mapping| matches!(mapping, Mapping::Stream(_)))
}

#[test]
fn every_function_is_watched() {
    let template = deployed(&[]);
    for function in &template.functions {
        let (worker, name) = (&function.config.handler, &function.config.name);
        let watched = |metric: &str, dimension: &str| {
            let alarms = template.alarms(metric, dimension);
            assert_eq!(alarms.len(), 1, "alarms of {worker} on {metric}");
            alarms[0].clone()
        };
        let parked = watched(
            "ApproximateNumberOfMessagesVisible",
            &format!("millrace-{worker}-dlq"),
        );
        assert_eq!(number(&parked["Threshold"]), 0);
        watched(
            "ApproximateAgeOfOldestMessage",
            &format!("millrace-{worker}"),
        );
        watched("Errors", name);
        watched("Throttles", name);
        let slow = number(&watched("Duration", name)["Threshold"]);
        let timeout = u64::try_from(function.config.timeout.as_millis()).unwrap();
        assert!((timeout * 8 / 10..timeout).contains(&slow), "{worker}");
        assert_eq!(
            template.alarms("IteratorAge", name).len(),
            usize::from(has_stream(function)),
            "{worker}"
        );
    }
    let topic = names::topic_arn("millrace-dev-alarms");
    for alarm in template.of_type("AWS::CloudWatch::Alarm") {
        let actions: Vec<_> = list(&alarm.properties["AlarmActions"]).collect();
        assert_eq!(actions, [topic.as_str()], "{}", alarm.logical_id);
        assert_eq!(
            alarm.properties["TreatMissingData"], "notBreaching",
            "{}",
            alarm.logical_id
        );
    }
}

#[test]
fn every_function_stands_on_the_dashboard_of_its_product() {
    let template = deployed(&[]);
    let dashboards: BTreeMap<String, Value> = template
        .of_type("AWS::CloudWatch::Dashboard")
        .map(|dashboard| {
            let name = text(&dashboard.properties["DashboardName"]).to_owned();
            let body = serde_json::from_str(text(&dashboard.properties["DashboardBody"]));
            (name, body.unwrap_or_else(|error| panic!("{error}")))
        })
        .collect();
    for function in template.of_type("AWS::Serverless::Function") {
        let code = text(&function.properties["CodeUri"]).trim_end_matches('/');
        let product = code.rsplit('/').next().unwrap();
        let widgets = &dashboards[&format!("millrace-dev-{product}")]["widgets"];
        let shown: BTreeSet<&str> = list(widgets)
            .flat_map(|widget| list(&widget["properties"]["metrics"]))
            .map(|metric| text(&metric[3]))
            .collect();
        let worker = text(&function.properties["Handler"]);
        for expected in [
            format!("millrace-{worker}"),
            format!("millrace-{worker}-dlq"),
            format!("millrace-dev-{worker}"),
        ] {
            assert!(
                shown.contains(expected.as_str()),
                "{expected} on {product}'s"
            );
        }
    }
}

#[test]
fn every_function_keeps_its_logs_for_a_time_in_a_group_of_its_own() {
    let template = deployed(&[]);
    for function in template.of_type("AWS::Serverless::Function") {
        let name = format!("/aws/lambda/{}", text(&function.properties["FunctionName"]));
        assert_eq!(function.properties["LoggingConfig"]["LogGroup"], *name);
        assert_eq!(function.properties["LoggingConfig"]["LogFormat"], "JSON");
        let group = template
            .of_type("AWS::Logs::LogGroup")
            .find(|group| group.properties["LogGroupName"] == *name)
            .unwrap_or_else(|| panic!("{name} is not described"));
        assert_eq!(number(&group.properties["RetentionInDays"]), 30);
    }
}

#[test]
fn every_mapping_tells_which_records_failed_and_gives_up_into_a_dead_letter_queue() {
    let template = deployed(&[]);
    for function in &template.functions {
        let worker = &function.config.handler;
        for mapping in &function.mappings {
            match mapping {
                Mapping::Queue(mapping) => {
                    assert_eq!(mapping.queue, format!("millrace-{worker}"));
                    assert_eq!(mapping.failures, FailureReports::Read, "{}", mapping.id);
                    assert!(mapping.maximum_concurrency.is_some(), "{}", mapping.id);
                }
                Mapping::Stream(mapping) => {
                    assert_eq!(mapping.failures, FailureReports::Read, "{}", mapping.id);
                    assert_eq!(mapping.on_error, OnError::Bisect, "{}", mapping.id);
                    assert!(mapping.maximum_retries.is_some(), "{}", mapping.id);
                    assert!(mapping.maximum_age.is_some(), "{}", mapping.id);
                    let dead_letters = format!("millrace-{worker}-dlq");
                    assert_eq!(mapping.on_failure, Some(Destination::Queue(dead_letters)));
                    // Nobody misses what was written before the mapping was there.
                    assert_eq!(mapping.starting_position, StartingPosition::TrimHorizon);
                }
            }
        }
    }
}

#[test]
fn every_function_has_a_role_of_its_own_that_names_what_it_may_touch() {
    for search in ["none", "serverless", "domain", "existing"] {
        let mut given = FULL.to_vec();
        given[0] = ("Search", search);
        given.push(("OpenSearchEndpoint", "https://search.example"));
        let template = deployed(&given);
        let mut roles = BTreeSet::new();
        for function in &template.functions {
            let role = template.role_of(&function.config.name);
            let worker = &function.config.handler;
            assert!(roles.insert(&role.logical_id), "{worker} shares its role");
            let trust = &role.properties["AssumeRolePolicyDocument"]["Statement"];
            assert_eq!(trust[0]["Principal"]["Service"], "lambda.amazonaws.com");
            assert_eq!(list(trust).count(), 1);
            for statement in template.statements_of(role) {
                assert_eq!(statement["Effect"], "Allow");
                let actions: Vec<&str> = list(&statement["Action"]).map(text).collect();
                for action in &actions {
                    assert!(!action.contains('*'), "{worker}: {action}");
                }
                let traces = actions.iter().all(|action| action.starts_with("xray:"));
                for resource in list(&statement["Resource"]).map(text) {
                    // What follows the account is the name; below a name there may be a `*`.
                    let name = resource.splitn(6, ':').nth(5).unwrap_or("");
                    let begins = name.rsplit_once('/').map_or(name, |(_, last)| last);
                    let named = begins != "*" || name.contains('/');
                    assert!(
                        traces || (named && !name.starts_with('*')),
                        "{worker} may {actions:?} on {resource}"
                    );
                }
            }
        }
    }
}

#[test]
fn whoever_may_call_the_collection_is_named_in_its_data_access_policy() {
    let template = deployed(FULL);
    let policy = template
        .of_type("AWS::OpenSearchServerless::AccessPolicy")
        .next()
        .unwrap();
    let rules: Value = serde_json::from_str(text(&policy.properties["Policy"])).unwrap();
    let mut named: BTreeSet<String> = list(&rules)
        .flat_map(|rule| list(&rule["Principal"]))
        .map(|arn| text(arn).to_owned())
        .collect();
    assert!(named.remove("arn:aws:iam::000000000000:role/search-api"));
    assert!(named.remove("arn:aws:iam::000000000000:role/deployer"));
    let callers: BTreeSet<String> = template
        .functions
        .iter()
        .map(|function| template.role_of(&function.config.name))
        .filter(|role| {
            let statements = template.statements_of(role);
            let mut actions = statements
                .iter()
                .flat_map(|statement| list(&statement["Action"]));
            actions.any(|action| action == "aoss:APIAccessAll")
        })
        .map(|role| {
            format!(
                "arn:aws:iam::{}:role/millrace-{}",
                names::ACCOUNT,
                role.logical_id
            )
        })
        .collect();
    assert_eq!(named, callers);
    for policy in template.of_type("AWS::OpenSearchServerless::SecurityPolicy") {
        let policy = text(&policy.properties["Policy"]);
        assert!(
            serde_json::from_str::<Value>(policy)
                .is_ok_and(|policy| policy.to_string().contains("collection/millrace-dev")),
            "{policy}"
        );
    }
}

#[test]
fn functions_are_told_where_to_search() {
    let endpoint = |given: &[(&str, &str)]| {
        let template = deployed(given);
        template.functions[0].config.environment["MILLRACE_OPENSEARCH_ENDPOINT"].clone()
    };
    assert_eq!(endpoint(&[]), "");
    let collection = endpoint(&[("Search", "serverless")]);
    assert!(
        collection.contains(".aoss.amazonaws.com"),
        "the service is told by the host: {collection}"
    );
    let domain = endpoint(&[("Search", "domain")]);
    assert!(domain.starts_with("https://") && domain.contains(".es.amazonaws.com"));
    let there = [
        ("Search", "existing"),
        ("OpenSearchEndpoint", "https://search.example"),
    ];
    assert_eq!(endpoint(&there), "https://search.example");
}

#[test]
fn what_is_kept_is_encrypted_retained_recoverable_and_copied() {
    let template = deployed(&[]);
    let selection = template
        .of_type("AWS::Backup::BackupSelection")
        .next()
        .unwrap();
    let copied: BTreeSet<&str> = list(&selection.properties["BackupSelection"]["Resources"])
        .map(text)
        .collect();
    for table in &template.tables {
        let (id, described) = (
            &table.logical_id,
            template
                .of_type("AWS::DynamoDB::Table")
                .find(|it| it.logical_id == table.logical_id)
                .unwrap(),
        );
        assert_eq!(
            described.properties["SSESpecification"]["SSEEnabled"], true,
            "{id}"
        );
        let recoverable =
            &described.properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        let arn = names::table_arn(&table.name);
        match table.holds {
            Holding::Record => {
                assert_eq!(described.deletion, "Retain", "{id}");
                assert_eq!(recoverable, true, "{id}");
                assert!(copied.contains(arn.as_str()), "{id} is in no backup");
                assert!(
                    described
                        .properties
                        .get("DeletionProtectionEnabled")
                        .is_some(),
                    "{id}"
                );
            }
            Holding::Cache => {
                assert!(!copied.contains(arn.as_str()), "{id}");
                assert!(table.ttl_attribute.is_some(), "{id} grows for ever");
            }
        }
    }
}

#[test]
fn buckets_are_private_encrypted_versioned_and_tidied() {
    let template = deployed(&[]);
    for bucket in template.of_type("AWS::S3::Bucket") {
        let (id, properties) = (&bucket.logical_id, &bucket.properties);
        assert_eq!(bucket.deletion, "Retain", "{id}");
        assert_eq!(
            properties["VersioningConfiguration"]["Status"], "Enabled",
            "{id}"
        );
        assert!(properties["BucketEncryption"].is_object(), "{id}");
        let blocked = properties["PublicAccessBlockConfiguration"]
            .as_object()
            .unwrap();
        assert_eq!(
            blocked.values().filter(|it| **it == true).count(),
            4,
            "{id}"
        );
        let rules = &properties["LifecycleConfiguration"]["Rules"];
        let has = |what: &str| {
            list(rules).any(|rule| rule["Status"] == "Enabled" && !rule[what].is_null())
        };
        assert!(has("AbortIncompleteMultipartUpload"), "{id}");
        assert!(has("NoncurrentVersionExpiration"), "{id}");
        for transition in list(rules).flat_map(|rule| list(&rule["Transitions"])) {
            let class = text(&transition["StorageClass"]);
            let answers_at_once = ["STANDARD_IA", "GLACIER_IR"].contains(&class);
            assert!(answers_at_once, "{id}: a read of {class} fails");
        }
        let policy = template
            .of_type("AWS::S3::BucketPolicy")
            .find(|policy| policy.properties["Bucket"] == properties["BucketName"])
            .unwrap_or_else(|| panic!("{id} has no policy"));
        let statement = &policy.properties["PolicyDocument"]["Statement"][0];
        assert_eq!(statement["Effect"], "Deny", "{id}");
        assert_eq!(
            statement["Condition"]["Bool"]["aws:SecureTransport"], "false",
            "{id}"
        );
    }
}

#[test]
fn queues_and_topics_are_encrypted() {
    let template = deployed(&[]);
    for queue in template.of_type("AWS::SQS::Queue") {
        let (id, properties) = (&queue.logical_id, &queue.properties);
        assert_eq!(properties["SqsManagedSseEnabled"], true, "{id}");
        assert_eq!(
            number(&properties["MessageRetentionPeriod"]),
            1_209_600,
            "{id}"
        );
    }
    for topic in template.of_type("AWS::SNS::Topic") {
        assert!(
            topic.properties["KmsMasterKeyId"].is_string(),
            "{}",
            topic.logical_id
        );
    }
}

/// Lambda refuses more than 4 KB, names and values together. Addresses and ARNs are longer on AWS than here.
#[test]
fn settings_fit_into_an_environment() {
    for function in &deployed(FULL).functions {
        let variables = &function.config.environment;
        let size: usize = variables
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        assert!(size < 3_500, "{}: {size} bytes", function.config.handler);
    }
}

#[test]
fn no_secret_stands_in_a_setting() {
    for function in &deployed(FULL).functions {
        for (name, value) in &function.config.environment {
            let is_secret = ["KEY", "SECRET", "TOKEN", "PASSWORD"]
                .iter()
                .any(|word| name.split('_').any(|part| part == *word));
            assert!(
                !is_secret || value.starts_with("arn:aws:secretsmanager:"),
                "{name} of {}",
                function.config.handler
            );
        }
    }
}
