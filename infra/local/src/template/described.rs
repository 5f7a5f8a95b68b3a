//! Resources that mean nothing on one machine: who may do what, what is watched, how long logs are kept, where copies go,
//! and where vectors are searched on AWS.
//!
//! Their properties are checked against shapes all the same, and everything resolved is kept for tests.

use super::fields::Shape;
use super::identity::Kind;
use super::resources::Resource;
use super::routing::{DOCUMENT, STATEMENT, TAGS};

const SCALAR: Shape = Shape::Scalar;
const SCALARS: Shape = Shape::List(&SCALAR);

const INLINE_POLICY: Shape = Shape::Map(&[
    ("PolicyName", SCALAR),
    ("PolicyDocument", Shape::Map(DOCUMENT)),
]);

const ROLE: &[(&str, Shape)] = &[
    ("AssumeRolePolicyDocument", Shape::Map(DOCUMENT)),
    ("Description", SCALAR),
    ("ManagedPolicyArns", SCALARS),
    ("MaxSessionDuration", SCALAR),
    ("Path", SCALAR),
    ("PermissionsBoundary", SCALAR),
    ("Policies", Shape::List(&INLINE_POLICY)),
    TAGS,
];

const KEY: &[(&str, Shape)] = &[
    ("Description", SCALAR),
    ("Enabled", SCALAR),
    ("EnableKeyRotation", SCALAR),
    (
        "KeyPolicy",
        Shape::Map(&[
            ("Version", SCALAR),
            ("Id", SCALAR),
            ("Statement", Shape::List(&Shape::Map(STATEMENT))),
        ]),
    ),
    ("PendingWindowInDays", SCALAR),
    TAGS,
];

const LOG_GROUP: &[(&str, Shape)] = &[
    ("KmsKeyId", SCALAR),
    ("LogGroupClass", SCALAR),
    ("RetentionInDays", SCALAR),
    TAGS,
];

const LOGS_POLICY: &[(&str, Shape)] = &[("PolicyDocument", SCALAR)];

const DASHBOARD: &[(&str, Shape)] = &[("DashboardBody", SCALAR)];

const VAULT: &[(&str, Shape)] = &[
    ("AccessPolicy", Shape::Map(DOCUMENT)),
    ("BackupVaultTags", Shape::Any),
    ("EncryptionKeyArn", SCALAR),
];

const PLAN_RULE: Shape = Shape::Map(&[
    ("RuleName", SCALAR),
    ("TargetBackupVault", SCALAR),
    ("ScheduleExpression", SCALAR),
    ("StartWindowMinutes", SCALAR),
    ("CompletionWindowMinutes", SCALAR),
    (
        "Lifecycle",
        Shape::Map(&[
            ("DeleteAfterDays", SCALAR),
            ("MoveToColdStorageAfterDays", SCALAR),
        ]),
    ),
]);

const PLAN: &[(&str, Shape)] = &[
    (
        "BackupPlan",
        Shape::Map(&[
            ("BackupPlanName", SCALAR),
            ("BackupPlanRule", Shape::List(&PLAN_RULE)),
        ]),
    ),
    ("BackupPlanTags", Shape::Any),
];

const SELECTION: &[(&str, Shape)] = &[
    ("BackupPlanId", SCALAR),
    (
        "BackupSelection",
        Shape::Map(&[
            ("SelectionName", SCALAR),
            ("IamRoleArn", SCALAR),
            ("Resources", SCALARS),
        ]),
    ),
];

const SEARCH_POLICY: &[(&str, Shape)] = &[
    ("Description", SCALAR),
    ("Policy", SCALAR),
    ("Type", SCALAR),
];

const COLLECTION: &[(&str, Shape)] = &[
    ("Description", SCALAR),
    ("StandbyReplicas", SCALAR),
    ("Type", SCALAR),
    TAGS,
];

const ENABLED: &[(&str, Shape)] = &[("Enabled", SCALAR)];

const DOMAIN: &[(&str, Shape)] = &[
    ("AccessPolicies", Shape::Map(DOCUMENT)),
    (
        "ClusterConfig",
        Shape::Map(&[
            ("DedicatedMasterCount", SCALAR),
            ("DedicatedMasterEnabled", SCALAR),
            ("DedicatedMasterType", SCALAR),
            ("InstanceCount", SCALAR),
            ("InstanceType", SCALAR),
            ("ZoneAwarenessEnabled", SCALAR),
            (
                "ZoneAwarenessConfig",
                Shape::Map(&[("AvailabilityZoneCount", SCALAR)]),
            ),
        ]),
    ),
    (
        "DomainEndpointOptions",
        Shape::Map(&[("EnforceHTTPS", SCALAR), ("TLSSecurityPolicy", SCALAR)]),
    ),
    (
        "EBSOptions",
        Shape::Map(&[
            ("EBSEnabled", SCALAR),
            ("Iops", SCALAR),
            ("Throughput", SCALAR),
            ("VolumeSize", SCALAR),
            ("VolumeType", SCALAR),
        ]),
    ),
    (
        "EncryptionAtRestOptions",
        Shape::Map(&[("Enabled", SCALAR), ("KmsKeyId", SCALAR)]),
    ),
    ("EngineVersion", SCALAR),
    ("LogPublishingOptions", Shape::Any),
    ("NodeToNodeEncryptionOptions", Shape::Map(ENABLED)),
    (
        "SoftwareUpdateOptions",
        Shape::Map(&[("AutoSoftwareUpdateEnabled", SCALAR)]),
    ),
    TAGS,
];

/// Checks the properties of a resource of these kinds.
pub(super) fn check(kind: Kind, resource: Resource<'_>) {
    let shapes = match kind {
        Kind::Role => ROLE,
        Kind::Key => KEY,
        Kind::LogGroup => LOG_GROUP,
        Kind::LogsPolicy => LOGS_POLICY,
        Kind::Dashboard => DASHBOARD,
        Kind::BackupVault => VAULT,
        Kind::BackupPlan => PLAN,
        Kind::BackupSelection => SELECTION,
        Kind::SearchSecurityPolicy | Kind::SearchAccessPolicy => SEARCH_POLICY,
        Kind::SearchCollection => COLLECTION,
        Kind::SearchDomain => DOMAIN,
        // The others mean something, and are read where that is known.
        _ => return,
    };
    resource.properties.idle(shapes);
    resource.properties.finish();
}
