//! Buckets and tables.

use serde_json::{Map, Value, json};

use super::fields::{Fields, Shape};
use super::model::{Bucket, Holding, Notification, Table};
use super::resources::Resource;

const SCALAR: Shape = Shape::Scalar;

/// What a bucket may say that means nothing on one machine.
const IDLE_BUCKET: &[(&str, Shape)] = &[
    (
        "BucketEncryption",
        Shape::Map(&[(
            "ServerSideEncryptionConfiguration",
            Shape::List(&Shape::Map(&[
                (
                    "ServerSideEncryptionByDefault",
                    Shape::Map(&[("SSEAlgorithm", SCALAR), ("KMSMasterKeyID", SCALAR)]),
                ),
                ("BucketKeyEnabled", SCALAR),
            ])),
        )]),
    ),
    (
        "PublicAccessBlockConfiguration",
        Shape::Map(&[
            ("BlockPublicAcls", SCALAR),
            ("BlockPublicPolicy", SCALAR),
            ("IgnorePublicAcls", SCALAR),
            ("RestrictPublicBuckets", SCALAR),
        ]),
    ),
    (
        "OwnershipControls",
        Shape::Map(&[(
            "Rules",
            Shape::List(&Shape::Map(&[("ObjectOwnership", SCALAR)])),
        )]),
    ),
    // A bucket on one machine keeps the newest version only.
    ("VersioningConfiguration", Shape::Map(&[("Status", SCALAR)])),
    // Objects on one machine are kept until somebody deletes them.
    (
        "LifecycleConfiguration",
        Shape::Map(&[("Rules", Shape::List(&Shape::Map(LIFECYCLE_RULE)))]),
    ),
    (
        "Tags",
        Shape::List(&Shape::Map(&[("Key", SCALAR), ("Value", SCALAR)])),
    ),
];

const LIFECYCLE_RULE: &[(&str, Shape)] = &[
    ("Id", SCALAR),
    ("Status", SCALAR),
    ("Prefix", SCALAR),
    ("ObjectSizeGreaterThan", SCALAR),
    ("ObjectSizeLessThan", SCALAR),
    ("ExpirationInDays", SCALAR),
    ("ExpiredObjectDeleteMarker", SCALAR),
    (
        "AbortIncompleteMultipartUpload",
        Shape::Map(&[("DaysAfterInitiation", SCALAR)]),
    ),
    (
        "NoncurrentVersionExpiration",
        Shape::Map(&[
            ("NoncurrentDays", SCALAR),
            ("NewerNoncurrentVersions", SCALAR),
        ]),
    ),
    (
        "Transitions",
        Shape::List(&Shape::Map(&[
            ("TransitionInDays", SCALAR),
            ("StorageClass", SCALAR),
        ])),
    ),
];

pub(super) fn bucket(resource: Resource<'_>) -> Bucket {
    let fields = resource.properties;
    let mut sends_to_event_bridge = false;
    let mut notifications = Vec::new();
    if let Some(configuration) = fields.map("NotificationConfiguration") {
        if let Some(event_bridge) = configuration.map("EventBridgeConfiguration") {
            sends_to_event_bridge = event_bridge.flag("EventBridgeEnabled").unwrap_or(true);
            event_bridge.finish();
        }
        for item in configuration.maps("QueueConfigurations") {
            notifications.push(notification(item, &notifications));
        }
        configuration.finish();
    }
    fields.idle(IDLE_BUCKET);
    fields.finish();
    Bucket {
        logical_id: resource.logical_id.to_owned(),
        name: resource.name,
        sends_to_event_bridge,
        notifications,
    }
}

fn notification(fields: Fields<'_>, former: &[Notification]) -> Notification {
    let mut notification = Notification {
        queue_arn: fields.required_text("Queue"),
        event: fields.required_text("Event"),
        prefix: String::new(),
        suffix: String::new(),
    };
    let event = notification.event.as_str();
    if !event.starts_with("s3:ObjectCreated:") && !event.starts_with("s3:ObjectRemoved:") {
        let message =
            "this event is not sent here: known are s3:ObjectCreated:* and s3:ObjectRemoved:*";
        fields.problem("Event", message);
    }
    if let Some(filter) = fields.map("Filter") {
        if let Some(key) = filter.map("S3Key") {
            for rule in key.maps("Rules") {
                let name = rule.choice("Name", &["prefix", "suffix"]);
                let value = rule.required_text("Value");
                match name {
                    Some("prefix") => notification.prefix = value,
                    Some(_) => notification.suffix = value,
                    None => {}
                }
                rule.finish();
            }
            key.finish();
        }
        filter.finish();
    }
    if let Some(other) = former.iter().find(|other| overlap(&notification, other)) {
        let message = format!(
            "S3 refuses notifications that overlap: this one and that for prefix {:?} and suffix {:?} \
             could both match a key",
            other.prefix, other.suffix
        );
        fields.problem("Filter", message);
    }
    fields.finish();
    notification
}

/// Whether a key could match both: S3 compares events, prefixes and suffixes as text.
fn overlap(left: &Notification, right: &Notification) -> bool {
    let within = |left: &str, right: &str| {
        let stem = |event: &str| event.trim_end_matches('*').to_owned();
        left.starts_with(&stem(right)) || right.starts_with(&stem(left))
    };
    let prefixes = left.prefix.starts_with(&right.prefix) || right.prefix.starts_with(&left.prefix);
    let suffixes = left.suffix.ends_with(&right.suffix) || right.suffix.ends_with(&left.suffix);
    within(&left.event, &right.event) && prefixes && suffixes
}

const KEY_ATTRIBUTE: &[(&str, Shape)] = &[("AttributeName", SCALAR), ("KeyType", SCALAR)];

/// The parts of a table that go into `CreateTable` as they are.
const CREATED: &[(&str, Shape)] = &[
    (
        "AttributeDefinitions",
        Shape::List(&Shape::Map(&[
            ("AttributeName", SCALAR),
            ("AttributeType", SCALAR),
        ])),
    ),
    ("KeySchema", Shape::List(&Shape::Map(KEY_ATTRIBUTE))),
    ("GlobalSecondaryIndexes", Shape::List(&Shape::Map(INDEX))),
    ("LocalSecondaryIndexes", Shape::List(&Shape::Map(INDEX))),
];

const INDEX: &[(&str, Shape)] = &[
    ("IndexName", SCALAR),
    ("KeySchema", Shape::List(&Shape::Map(KEY_ATTRIBUTE))),
    (
        "Projection",
        Shape::Map(&[
            ("ProjectionType", SCALAR),
            ("NonKeyAttributes", Shape::List(&SCALAR)),
        ]),
    ),
];

/// What a table may say that means nothing on one machine.
const IDLE_TABLE: &[(&str, Shape)] = &[
    (
        "PointInTimeRecoverySpecification",
        Shape::Map(&[
            ("PointInTimeRecoveryEnabled", SCALAR),
            ("RecoveryPeriodInDays", SCALAR),
        ]),
    ),
    (
        "SSESpecification",
        Shape::Map(&[
            ("SSEEnabled", SCALAR),
            ("SSEType", SCALAR),
            ("KMSMasterKeyId", SCALAR),
        ]),
    ),
    ("DeletionProtectionEnabled", SCALAR),
    ("TableClass", SCALAR),
    (
        "Tags",
        Shape::List(&Shape::Map(&[("Key", SCALAR), ("Value", SCALAR)])),
    ),
];

pub(super) fn table(resource: Resource<'_>) -> Table {
    let fields = resource.properties;
    let mut create = Map::new();
    create.insert("TableName".to_owned(), json!(resource.name));
    create.insert("BillingMode".to_owned(), json!("PAY_PER_REQUEST"));
    if fields.choice("BillingMode", &["PAY_PER_REQUEST"]).is_none() {
        fields.problem(
            "BillingMode",
            "tables here are `BillingMode: PAY_PER_REQUEST`",
        );
    }
    fields.idle(CREATED);
    for (key, _) in CREATED {
        if let Some(node) = fields.node(key) {
            create.insert((*key).to_owned(), node.to_json());
        }
    }
    for required in ["AttributeDefinitions", "KeySchema"] {
        if !create.contains_key(required) {
            fields.problem(required, "a table must have this");
        }
    }
    check_attributes(&fields, &create);
    let view = fields.map("StreamSpecification").and_then(|stream| {
        stream.required_text("StreamViewType");
        let views = ["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"];
        let view = stream.choice("StreamViewType", &views);
        stream.finish();
        view
    });
    if let Some(view) = view {
        let stream = json!({"StreamEnabled": true, "StreamViewType": view});
        create.insert("StreamSpecification".to_owned(), stream);
    }
    let ttl_attribute = fields.map("TimeToLiveSpecification").and_then(|ttl| {
        let attribute = ttl.required_text("AttributeName");
        let enabled = ttl.flag("Enabled");
        ttl.finish();
        enabled.unwrap_or(false).then_some(attribute)
    });
    fields.idle(IDLE_TABLE);
    fields.finish();
    let holds = resource.metadata.and_then(|metadata| {
        metadata.required_text("Holds");
        let holds = metadata.choice("Holds", &["cache"]);
        metadata.finish();
        holds
    });
    Table {
        logical_id: resource.logical_id.to_owned(),
        name: resource.name,
        create: Value::Object(create),
        ttl_attribute,
        holds: match holds {
            Some(_) => Holding::Cache,
            None => Holding::Record,
        },
        has_stream: view.is_some(),
    }
}

/// Every key attribute must be defined and every definition used: DynamoDB refuses anything else.
fn check_attributes(fields: &Fields<'_>, create: &Map<String, Value>) {
    let names = |list: Option<&Value>| -> Vec<String> {
        let items = list.and_then(Value::as_array).into_iter().flatten();
        items
            .filter_map(|item| item["AttributeName"].as_str().map(str::to_owned))
            .collect()
    };
    let defined = names(create.get("AttributeDefinitions"));
    let mut used = names(create.get("KeySchema"));
    for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        for index in create
            .get(indexes)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            used.extend(names(index.get("KeySchema")));
        }
    }
    for name in &used {
        if !defined.contains(name) {
            let message = format!("the key attribute {name} is not defined: add it with its type");
            fields.problem("AttributeDefinitions", message);
        }
    }
    for name in &defined {
        if !used.contains(name) {
            let message = format!("no key uses the attribute {name}: remove its definition");
            fields.problem("AttributeDefinitions", message);
        }
    }
}
