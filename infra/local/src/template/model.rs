//! The resources of a template, resolved and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::matching::Pattern;
use crate::schedule::Schedule;

/// What a template describes. Everything in it is resolved: names are names, ARNs are ARNs.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// The file that it was read from, for messages.
    pub file_name: String,
    /// Buckets, with the notifications that they send.
    pub buckets: Vec<Bucket>,
    /// Tables, with their streams.
    pub tables: Vec<Table>,
    /// Queues, dead-letter queues among them.
    pub queues: Vec<Queue>,
    /// Topics.
    pub topics: Vec<Topic>,
    /// Subscriptions to topics.
    pub subscriptions: Vec<Subscription>,
    /// EventBridge rules on the default bus.
    pub rules: Vec<Rule>,
    /// Functions, with their event source mappings.
    pub functions: Vec<Function>,
    /// Every resource with its properties, those included that mean nothing on one machine.
    pub resources: Vec<Described>,
    /// The section `Outputs`.
    pub outputs: BTreeMap<String, String>,
}

impl Template {
    /// Whether a queue is where another one, a mapping or a rule puts what failed.
    pub fn is_dead_letter_queue(&self, name: &str) -> bool {
        let arn = crate::names::queue_arn(name);
        let by_queue = self.queues.iter().any(|queue| {
            queue
                .redrive
                .as_ref()
                .is_some_and(|redrive| redrive.target_arn == arn)
        });
        let by_mapping = self.functions.iter().flat_map(|function| &function.mappings).any(
            |mapping| matches!(mapping, Mapping::Stream(stream) if stream.on_failure == Some(Destination::Queue(name.to_owned()))),
        );
        let by_rule = self
            .rules
            .iter()
            .flat_map(|rule| &rule.targets)
            .any(|target| target.dead_letter_arn.as_deref() == Some(arn.as_str()));
        by_queue || by_mapping || by_rule
    }
}

/// A resource as the template describes it, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Such as `AWS::IAM::Role`.
    pub type_name: String,
    /// What becomes of it with its stack: `Delete` if the template does not say.
    pub deletion: &'static str,
    /// Its properties; those of functions with what `Globals` says.
    pub properties: Value,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its name.
    pub name: String,
    /// Whether it sends all its events to EventBridge.
    pub sends_to_event_bridge: bool,
    /// The notifications to queues.
    pub notifications: Vec<Notification>,
}

/// A notification of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// The ARN of the queue.
    pub queue_arn: String,
    /// Such as `s3:ObjectCreated:*`.
    pub event: String,
    /// What a key begins with; empty for any.
    pub prefix: String,
    /// What a key ends with; empty for any.
    pub suffix: String,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its name.
    pub name: String,
    /// The body of the `CreateTable` request that makes it.
    pub create: Value,
    /// The attribute that says when a row expires.
    pub ttl_attribute: Option<String>,
    /// What becomes of the world if it is emptied.
    pub holds: Holding,
    /// Whether it has a stream.
    pub has_stream: bool,
}

/// What a table's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// What must not be lost.
    Record,
    /// What is computed again when it is not there: `Metadata: {Millrace: {Holds: cache}}`.
    Cache,
}

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its name.
    pub name: String,
    /// The attributes of the `CreateQueue` request that makes it, `RedrivePolicy` included.
    pub attributes: BTreeMap<String, String>,
    /// How long a received message stays hidden.
    pub visibility_timeout: Duration,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
    /// Whether it is a FIFO queue.
    pub is_fifo: bool,
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq)]
pub struct Redrive {
    /// The ARN of the dead-letter queue.
    pub target_arn: String,
    /// How many times a message is received before.
    pub maximum_receives: u32,
}

/// A topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its name.
    pub name: String,
    /// The attributes of the `CreateTopic` request that makes it.
    pub attributes: BTreeMap<String, String>,
}

/// A subscription of a queue to a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// The ARN of the topic.
    pub topic_arn: String,
    /// The ARN of the queue.
    pub endpoint: String,
    /// The attributes of the `Subscribe` request: `FilterPolicy`, `FilterPolicyScope`,
    /// `RawMessageDelivery`, `RedrivePolicy`.
    pub attributes: BTreeMap<String, String>,
}

/// An EventBridge rule on the default bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its name.
    pub name: String,
    /// What makes it run.
    pub trigger: Trigger,
    /// Whether it is on.
    pub enabled: bool,
    /// Where matching events go.
    pub targets: Vec<Target>,
}

/// What makes a rule run.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// The events that it takes, as EventBridge writes them; checked.
    Pattern(Value),
    /// The times at which it makes an event of its own.
    Schedule(Schedule),
}

/// Where a rule sends events.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name within the rule.
    pub id: String,
    /// The ARN of a queue or topic.
    pub arn: String,
    /// The message group, for a FIFO queue.
    pub message_group: Option<String>,
    /// The ARN of the queue for events that could not be delivered.
    pub dead_letter_arn: Option<String>,
}

/// A function with what it listens to.
#[derive(Debug, Clone)]
pub struct Function {
    /// What an invocation needs to know.
    pub config: FunctionConfig,
    /// What invokes it.
    pub mappings: Vec<Mapping>,
}

/// What an invocation of a function needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionConfig {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its name.
    pub name: String,
    /// Which worker it is: what Lambda passes as `_HANDLER`.
    pub handler: String,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How much memory it has, in megabytes.
    pub memory_mb: u32,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
}

impl FunctionConfig {
    /// The function's ARN.
    pub fn arn(&self) -> String {
        super::identity::function_arn(&self.name)
    }
}

/// An event source mapping.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapping {
    /// Messages of a queue.
    Queue(QueueMapping),
    /// Records of a table's stream.
    Stream(StreamMapping),
}

/// How a function listens to a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueMapping {
    /// The function's logical id and the event's name: `ExtractTextFunction/Messages`.
    pub id: String,
    /// The queue's name.
    pub queue: String,
    /// How many messages an invocation gets at most.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub window: Duration,
    /// How many invocations may run at once; `None` leaves it to the service.
    pub maximum_concurrency: Option<usize>,
    /// Whether the function's answer names the messages that failed (`ReportBatchItemFailures`).
    pub failures: FailureReports,
    /// The patterns of which a message must match one; none lets all through.
    pub(crate) filters: Vec<Pattern>,
}

/// How a function listens to a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamMapping {
    /// The function's logical id and the event's name: `KeepProgressFunction/Rows`.
    pub id: String,
    /// The table whose stream it is.
    pub table: String,
    /// How many records an invocation gets at most.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub window: Duration,
    /// How many batches of the shard are worked on at once (`ParallelizationFactor`).
    pub lanes: usize,
    /// Where a mapping begins that has no checkpoint yet.
    pub starting_position: StartingPosition,
    /// Whether the function's answer names the records that failed (`ReportBatchItemFailures`).
    pub failures: FailureReports,
    /// What happens to a batch that failed as a whole (`BisectBatchOnFunctionError`).
    pub on_error: OnError,
    /// How many times a batch is tried again; `None` for ever.
    pub maximum_retries: Option<u32>,
    /// How old a record may be; `None` for any age.
    pub maximum_age: Option<Duration>,
    /// The patterns of which a record must match one; none lets all through.
    pub(crate) filters: Vec<Pattern>,
    /// Where discarded batches are described.
    pub on_failure: Option<Destination>,
}

/// Whether a function's answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReports {
    /// `ReportBatchItemFailures`: the answer names what failed.
    Read,
    /// An answer that is no error is success.
    Unread,
}

/// What happens to a batch that failed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It is tried again as it is.
    Retry,
    /// It is split in two, and both halves are tried again, the first one first.
    Bisect,
}

/// Where a stream mapping without a checkpoint begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// With the oldest record that the stream still holds.
    TrimHorizon,
    /// With the records written after the mapping was made.
    Latest,
}

/// Where a stream mapping describes the batches that it gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The name of a queue.
    Queue(String),
    /// The ARN of a topic.
    Topic(String),
    /// The name of a bucket; it gets the records, too.
    Bucket(String),
}
