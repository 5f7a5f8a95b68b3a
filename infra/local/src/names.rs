//! Names of things: ARNs and queue URLs, made and taken apart in one place.

/// The region that the embedded cloud stands in.
pub const REGION: &str = "us-east-1";

/// The account that owns everything in it.
pub const ACCOUNT: &str = "000000000000";

/// The access key id and the secret that it accepts: no others.
pub const CREDENTIAL: &str = "embedded";

/// The ARN of a queue.
pub fn queue_arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

/// The URL of a queue. It identifies the queue; requests go to the endpoint.
pub fn queue_url(queue: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{queue}")
}

/// The ARN of a topic.
pub fn topic_arn(topic: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{topic}")
}

/// The ARN of a bucket.
pub fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// The ARN of a table.
pub fn table_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}")
}

/// The ARN of a table's stream with the given label.
pub fn stream_arn(table: &str, label: &str) -> String {
    format!("{}/stream/{label}", table_arn(table))
}

/// The ARN of an EventBridge rule on the default bus.
pub fn rule_arn(rule: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}")
}

/// The queue that a queue URL names: its last path segment.
pub fn queue_of_url(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or(url)
}

/// The queue that an ARN names, or `None` if it is not the ARN of a queue.
pub fn queue_of_arn(arn: &str) -> Option<&str> {
    resource_of_arn(arn, "sqs")
}

/// The topic that an ARN names, or `None` if it is not the ARN of a topic.
/// The ARN of a subscription names its topic, too.
pub fn topic_of_arn(arn: &str) -> Option<&str> {
    let resource = resource_of_arn(arn, "sns")?;
    resource.split(':').next()
}

fn resource_of_arn<'a>(arn: &'a str, service: &str) -> Option<&'a str> {
    let mut fields = arn.splitn(6, ':');
    let is_arn = fields.next() == Some("arn");
    let _partition = fields.next()?;
    let is_service = fields.next() == Some(service);
    let _region = fields.next()?;
    let _account = fields.next()?;
    let resource = fields.next()?;
    (is_arn && is_service && !resource.is_empty()).then_some(resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_there_and_back() {
        assert_eq!(
            queue_of_arn(&queue_arn("a-queue.fifo")),
            Some("a-queue.fifo")
        );
        assert_eq!(queue_of_url(&queue_url("a-queue")), "a-queue");
        assert_eq!(topic_of_arn(&topic_arn("news")), Some("news"));
        assert_eq!(
            topic_of_arn(&format!("{}:1234", topic_arn("news"))),
            Some("news")
        );
    }

    #[test]
    fn an_arn_of_another_service_is_not_a_queue() {
        assert_eq!(queue_of_arn(&topic_arn("news")), None);
        assert_eq!(queue_of_arn("millrace"), None);
    }
}
