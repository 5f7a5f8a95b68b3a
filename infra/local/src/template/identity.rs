//! What `Ref` and `Fn::GetAtt` give of a resource: names follow from the template alone, so nothing
//! needs to exist to resolve them.

use crate::names;

/// The stack's name: `AWS::StackName`, and the stem of names that the template leaves open.
pub(crate) const STACK: &str = "millrace";

/// The label of a stream whose table does not exist yet. Only event source mappings follow a stream's
/// ARN here, and they find the stream by its table.
pub(crate) const STREAM_LABEL: &str = "current";

/// The resource types that infra/local knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bucket,
    BucketPolicy,
    Table,
    Queue,
    QueuePolicy,
    Topic,
    TopicPolicy,
    Subscription,
    Rule,
    Function,
    Alarm,
    ManagedPolicy,
    Role,
    Key,
    LogGroup,
    LogsPolicy,
    Dashboard,
    BackupVault,
    BackupPlan,
    BackupSelection,
    SearchSecurityPolicy,
    SearchAccessPolicy,
    SearchCollection,
    SearchDomain,
}

/// Every known type with its CloudFormation name and the property that names the resource.
const KINDS: &[(Kind, &str, Option<&str>)] = &[
    (Kind::Bucket, "AWS::S3::Bucket", Some("BucketName")),
    (Kind::BucketPolicy, "AWS::S3::BucketPolicy", None),
    (Kind::Table, "AWS::DynamoDB::Table", Some("TableName")),
    (Kind::Queue, "AWS::SQS::Queue", Some("QueueName")),
    (Kind::QueuePolicy, "AWS::SQS::QueuePolicy", None),
    (Kind::Topic, "AWS::SNS::Topic", Some("TopicName")),
    (Kind::TopicPolicy, "AWS::SNS::TopicPolicy", None),
    (Kind::Subscription, "AWS::SNS::Subscription", None),
    (Kind::Rule, "AWS::Events::Rule", Some("Name")),
    (
        Kind::Function,
        "AWS::Serverless::Function",
        Some("FunctionName"),
    ),
    (Kind::Alarm, "AWS::CloudWatch::Alarm", Some("AlarmName")),
    (
        Kind::ManagedPolicy,
        "AWS::IAM::ManagedPolicy",
        Some("ManagedPolicyName"),
    ),
    (Kind::Role, "AWS::IAM::Role", Some("RoleName")),
    (Kind::Key, "AWS::KMS::Key", None),
    (Kind::LogGroup, "AWS::Logs::LogGroup", Some("LogGroupName")),
    (
        Kind::LogsPolicy,
        "AWS::Logs::ResourcePolicy",
        Some("PolicyName"),
    ),
    (
        Kind::Dashboard,
        "AWS::CloudWatch::Dashboard",
        Some("DashboardName"),
    ),
    (
        Kind::BackupVault,
        "AWS::Backup::BackupVault",
        Some("BackupVaultName"),
    ),
    (Kind::BackupPlan, "AWS::Backup::BackupPlan", None),
    (Kind::BackupSelection, "AWS::Backup::BackupSelection", None),
    (
        Kind::SearchSecurityPolicy,
        "AWS::OpenSearchServerless::SecurityPolicy",
        Some("Name"),
    ),
    (
        Kind::SearchAccessPolicy,
        "AWS::OpenSearchServerless::AccessPolicy",
        Some("Name"),
    ),
    (
        Kind::SearchCollection,
        "AWS::OpenSearchServerless::Collection",
        Some("Name"),
    ),
    (
        Kind::SearchDomain,
        "AWS::OpenSearchService::Domain",
        Some("DomainName"),
    ),
];

impl Kind {
    pub(crate) fn of(type_name: &str) -> Option<Self> {
        KINDS
            .iter()
            .find(|(_, name, _)| *name == type_name)
            .map(|(kind, _, _)| *kind)
    }

    /// The names of all known types, for messages.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(_, name, _)| *name)
    }

    pub(crate) fn name_property(self) -> Option<&'static str> {
        KINDS
            .iter()
            .find(|(kind, _, _)| *kind == self)
            .and_then(|(_, _, property)| *property)
    }
}

/// A resource with its name in the cloud.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

impl Identity {
    /// The name that a resource gets when the template leaves it open.
    pub(crate) fn default_name(kind: Kind, logical_id: &str) -> String {
        match kind {
            Kind::Bucket => format!("{STACK}-{}", logical_id.to_ascii_lowercase()),
            _ => format!("{STACK}-{logical_id}"),
        }
    }

    /// What `Ref` gives.
    pub(crate) fn reference(&self) -> String {
        match self.kind {
            Kind::Queue => names::queue_url(&self.name),
            Kind::Topic => names::topic_arn(&self.name),
            Kind::ManagedPolicy => format!("arn:aws:iam::{}:policy/{}", names::ACCOUNT, self.name),
            _ => self.name.clone(),
        }
    }

    /// The attributes that `Fn::GetAtt` gives, with their values.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, String)> {
        let name = &self.name;
        match self.kind {
            Kind::Bucket => vec![
                ("Arn", names::bucket_arn(name)),
                ("DomainName", format!("{name}.s3.amazonaws.com")),
            ],
            Kind::Table => vec![
                ("Arn", names::table_arn(name)),
                ("StreamArn", names::stream_arn(name, STREAM_LABEL)),
            ],
            Kind::Queue => vec![
                ("Arn", names::queue_arn(name)),
                ("QueueName", name.clone()),
                ("QueueUrl", names::queue_url(name)),
            ],
            Kind::Topic => vec![
                ("TopicArn", names::topic_arn(name)),
                ("TopicName", name.clone()),
            ],
            Kind::Rule => vec![("Arn", names::rule_arn(name))],
            Kind::Function => vec![("Arn", function_arn(name))],
            Kind::Alarm => vec![("Arn", arn("cloudwatch", &format!("alarm:{name}")))],
            Kind::Role => vec![(
                "Arn",
                format!("arn:aws:iam::{}:role/{name}", names::ACCOUNT),
            )],
            Kind::Key => vec![("Arn", arn("kms", &format!("key/{name}")))],
            Kind::LogGroup => vec![("Arn", arn("logs", &format!("log-group:{name}:*")))],
            Kind::BackupVault => vec![(
                "BackupVaultArn",
                arn("backup", &format!("backup-vault:{name}")),
            )],
            Kind::SearchCollection => vec![
                ("Arn", arn("aoss", &format!("collection/{name}"))),
                (
                    "CollectionEndpoint",
                    format!("https://{name}.{}.aoss.amazonaws.com", names::REGION),
                ),
            ],
            Kind::SearchDomain => vec![
                ("Arn", arn("es", &format!("domain/{name}"))),
                (
                    "DomainEndpoint",
                    format!("{name}.{}.es.amazonaws.com", names::REGION),
                ),
            ],
            Kind::BucketPolicy
            | Kind::QueuePolicy
            | Kind::TopicPolicy
            | Kind::ManagedPolicy
            | Kind::Subscription
            | Kind::LogsPolicy
            | Kind::Dashboard
            | Kind::BackupPlan
            | Kind::BackupSelection
            | Kind::SearchSecurityPolicy
            | Kind::SearchAccessPolicy => Vec::new(),
        }
    }
}

/// The ARN of something of a service in this account and region.
fn arn(service: &str, resource: &str) -> String {
    format!(
        "arn:aws:{service}:{}:{}:{resource}",
        names::REGION,
        names::ACCOUNT
    )
}

/// The ARN of a function.
pub(crate) fn function_arn(name: &str) -> String {
    arn("lambda", &format!("function:{name}"))
}

/// The table whose stream an ARN names.
pub(crate) fn table_of_stream_arn(arn: &str) -> Option<&str> {
    let (_, resource) = arn.split_once(":table/")?;
    let (table, stream) = resource.split_once("/stream/")?;
    (arn.starts_with("arn:aws:dynamodb:") && !table.is_empty() && !stream.is_empty())
        .then_some(table)
}
