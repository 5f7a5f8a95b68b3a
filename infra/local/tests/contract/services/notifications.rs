//! What buckets tell: queues directly, and queues by rules of the bus.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    Event, EventBridgeConfiguration, FilterRule, FilterRuleName, NotificationConfiguration,
    NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};
use millrace_local::eventbridge::Target;
use millrace_local::s3::NotificationRule;
use serde_json::{Value, json};

use super::{Cloud, Transcript, agree, story, without};

story!(queues_hear_of_objects);
story!(rules_hear_of_objects);

const VOLATILE: [&str; 13] = [
    "awsRegion",
    "eventTime",
    "principalId",
    "sequencer",
    "sourceIPAddress",
    "source-ip-address",
    "x-amz-request-id",
    "x-amz-id-2",
    "request-id",
    "requester",
    "time",
    "id",
    "versionId",
];

async fn bucket(cloud: &Cloud) -> String {
    let name = cloud.name("telling");
    cloud.s3.create_bucket().bucket(&name).send().await.unwrap();
    name
}

/// Tells a queue of objects that are made, below `in/` and with the ending `.txt`; with `bus`, the bus of everything.
async fn tell(cloud: &Cloud, bucket: &str, queue: &str, bus: bool) {
    let created = "s3:ObjectCreated:*";
    if let Some(services) = cloud.endpoint.services() {
        let rule = NotificationRule {
            id: "texts".to_owned(),
            events: vec![created.to_owned()],
            prefix: "in/".to_owned(),
            suffix: ".txt".to_owned(),
            queue_arn: cloud.queue_arn(queue),
        };
        services.s3.set_notifications(bucket, &[rule], bus).unwrap();
        return;
    }
    let rule =
        |name: FilterRuleName, value: &str| FilterRule::builder().name(name).value(value).build();
    let key = S3KeyFilter::builder()
        .filter_rules(rule(FilterRuleName::Prefix, "in/"))
        .filter_rules(rule(FilterRuleName::Suffix, ".txt"));
    let filter = NotificationConfigurationFilter::builder().key(key.build());
    let to_queue = QueueConfiguration::builder()
        .id("texts")
        .queue_arn(cloud.queue_arn(queue))
        .events(Event::from(created))
        .filter(filter.build())
        .build()
        .unwrap();
    let mut configuration = NotificationConfiguration::builder().queue_configurations(to_queue);
    if bus {
        let bridge = EventBridgeConfiguration::builder().build();
        configuration = configuration.event_bridge_configuration(bridge);
    }
    cloud
        .s3
        .put_bucket_notification_configuration()
        .bucket(bucket)
        .notification_configuration(configuration.build())
        .send()
        .await
        .unwrap();
}

/// Objects that are wanted and others, made in every way and deleted.
async fn change(cloud: &Cloud, bucket: &str) {
    for key in ["in/a b+ü.txt", "in/a.pdf", "out/a.txt"] {
        let put = cloud.s3.put_object().bucket(bucket).key(key);
        let body = ByteStream::from_static(b"hello");
        put.body(body).send().await.unwrap();
    }
    let copy = cloud.s3.copy_object().bucket(bucket).key("in/copy.txt");
    let copy = copy.copy_source(format!("{bucket}/out/a.txt"));
    copy.send().await.unwrap();
    for key in ["in/copy.txt", "in/never.txt"] {
        let delete = cloud.s3.delete_object().bucket(bucket).key(key);
        delete.send().await.unwrap();
    }
}

async fn queues_hear_of_objects(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let bucket = bucket(cloud).await;
    let url = cloud.queue("created", &[]).await;
    tell(cloud, &bucket, "created", false).await;
    change(cloud, &bucket).await;
    let mut told = cloud.bodies(&url, 2).await;
    // S3 sends a test event when notifications are set; whoever reads them passes it over.
    told.retain(|body| body.get("Records").is_some());
    told.sort_by_key(|body| body["Records"][0]["eventName"].to_string());
    seen.saw("told", without(&json!(told), &VOLATILE));
    seen
}

async fn rules_hear_of_objects(cloud: &Cloud) -> Transcript {
    let mut seen = Transcript::default();
    let bucket = bucket(cloud).await;
    cloud.queue("unused", &[]).await;
    let url = cloud.queue("by-rule", &[]).await;
    tell(cloud, &bucket, "unused", true).await;
    let pattern = json!({
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": { "bucket": { "name": [bucket] }, "object": { "key": [{ "prefix": "in/" }] } },
    });
    let name = cloud.name("objects");
    if let Some(services) = cloud.endpoint.services() {
        let target = Target::queue(cloud.queue_arn("by-rule"));
        services.bus.put_rule(&name, &pattern, &[target]).unwrap();
    } else {
        let rule = json!({ "Name": name, "EventPattern": pattern.to_string() });
        events(cloud, "PutRule", &rule).await;
        let target = json!({ "Id": "queue", "Arn": cloud.queue_arn("by-rule") });
        let targets = json!({ "Rule": name, "Targets": [target] });
        events(cloud, "PutTargets", &targets).await;
    }
    change(cloud, &bucket).await;
    let mut told = cloud.bodies(&url, 3).await;
    told.sort_by_key(|event| {
        format!(
            "{} {}",
            event["detail"]["reason"], event["detail"]["object"]["key"]
        )
    });
    seen.saw("told", without(&json!(told), &VOLATILE));
    seen
}

/// The bus of ministack, which no client of this workspace speaks to.
async fn events(cloud: &Cloud, call: &str, with: &Value) {
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", &format!("AWSEvents.{call}")),
    ];
    let body = with.to_string().into_bytes();
    let answer = cloud
        .endpoint
        .send("events", "POST", "/", &headers, body)
        .await;
    assert_eq!(answer.status(), 200, "{call}: {:?}", answer.body());
}
