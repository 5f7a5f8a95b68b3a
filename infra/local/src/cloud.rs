//! The whole of it: a template's resources, running in one process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::{Clock, SystemClock};
use crate::error::{OpenError, ServiceError};
use crate::eventbridge;
use crate::mappings::{
    Activity, Checkpoints, Functions, QueueEngine, ServiceDestinations, ServiceQueue,
    ServiceStream, StreamEngine, StreamProgress,
};
use crate::s3::NotificationRule;
use crate::services::Services;
use crate::storage::Storage;
use crate::template::{self, FunctionConfig, Mapping, StreamMapping, Template, Trigger};

/// How often what has had its time is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How often `wait_idle` looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why the embedded cloud could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The services could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A resource of the template could not be made.
    #[error("could not make {kind} {name}")]
    Resource {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the service said.
        #[source]
        source: ServiceError,
    },
    /// A table of the template could not be made.
    #[error("could not make the table {name}: {message}")]
    Table {
        /// Its name.
        name: String,
        /// What DynamoDB said.
        message: String,
    },
    /// A table is there already, and is not the one that the template describes.
    #[error(
        "the table {name} has other {what} than the template says: tables cannot change here; move the \
         data directory away, or undo the change"
    )]
    TableDiffers {
        /// Its name.
        name: String,
        /// Such as `KeySchema`.
        what: &'static str,
    },
    /// The checkpoints of the stream mappings could not be read.
    #[error("could not open the checkpoints of the event source mappings")]
    Checkpoints(#[source] ServiceError),
}

/// A template's resources, running in one process.
pub struct LocalCloud {
    services: Services,
    template: Template,
    functions: Vec<FunctionConfig>,
    checkpoints: Arc<Checkpoints>,
    streams: Vec<Stream>,
    activity: Arc<Activity>,
}

/// A stream mapping that is open.
struct Stream {
    function: FunctionConfig,
    mapping: StreamMapping,
    source: Arc<ServiceStream>,
    progress: StreamProgress,
}

impl LocalCloud {
    /// Opens the services on what is stored and makes what the template describes and is not there
    /// yet. What was in flight when the last process ended is visible again.
    pub async fn open(template: &Template, storage: Storage) -> Result<Self, CloudError> {
        Self::open_with_clock(template, storage, Arc::new(SystemClock)).await
    }

    /// As [`LocalCloud::open`], on another clock.
    pub async fn open_with_clock(
        template: &Template,
        storage: Storage,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CloudError> {
        let services = Services::open(&storage, clock)?;
        make_resources(&services, template)?;
        let file = match &storage {
            Storage::Directory(directory) => Some(directory.join("checkpoints.sqlite")),
            Storage::Memory => None,
        };
        let checkpoints = open_checkpoints(file.as_deref())?;
        let mut streams = Vec::new();
        for function in &template.functions {
            for mapping in &function.mappings {
                let Mapping::Stream(mapping) = mapping else {
                    continue;
                };
                let source = ServiceStream::open(&services, &mapping.table).map_err(|source| {
                    CloudError::Resource {
                        kind: "the event source mapping of the table",
                        name: mapping.table.clone(),
                        source,
                    }
                })?;
                let positions = checkpoints.begin(mapping, &source).await;
                streams.push(Stream {
                    function: function.config.clone(),
                    mapping: mapping.clone(),
                    source: Arc::new(source),
                    progress: StreamProgress::new(positions.map_err(CloudError::Checkpoints)?),
                });
            }
        }
        let functions = template
            .functions
            .iter()
            .map(|function| function.config.clone())
            .collect();
        Ok(Self {
            services,
            template: template.clone(),
            functions,
            checkpoints,
            streams,
            activity: Arc::default(),
        })
    }

    /// The services, for what asks them directly.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// The template that it runs.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The configuration for SDK clients that talk to this cloud, in process.
    pub fn sdk_config(&self) -> aws_config::SdkConfig {
        crate::sdk_config(&self.services)
    }

    /// The functions of the template.
    pub fn functions(&self) -> &[FunctionConfig] {
        &self.functions
    }

    /// The function whose handler is this worker.
    pub fn function(&self, handler: &str) -> Option<&FunctionConfig> {
        self.functions
            .iter()
            .find(|function| function.handler == handler)
    }

    /// The ARN of a table's stream as it is now.
    pub fn stream_arn(&self, table: &str) -> Option<String> {
        self.services
            .dynamo
            .stream(table)
            .ok()
            .map(|stream| stream.arn)
    }

    /// Starts all event source mappings, the schedules and the housekeeping. Call it once; dropping what it returns
    /// ends everything at once, as a crash would.
    pub fn start(&self, functions: Arc<dyn Functions>) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for function in &self.template.functions {
            let invoker =
                crate::mappings::Invoker::new(Arc::clone(&functions), function.config.clone());
            for mapping in &function.mappings {
                let Mapping::Queue(mapping) = mapping else {
                    continue;
                };
                let engine = QueueEngine {
                    source: Arc::new(ServiceQueue::new(&self.services, &mapping.queue)),
                    is_fifo: mapping.queue.ends_with(".fifo"),
                    mapping: mapping.clone(),
                    invoker: invoker.clone(),
                    activity: Arc::clone(&self.activity),
                };
                tasks.spawn(engine.run(stopped.clone()));
            }
        }
        let destinations = Arc::new(ServiceDestinations::new(&self.services));
        for stream in &self.streams {
            let engine = StreamEngine {
                mapping: stream.mapping.clone(),
                source: Arc::clone(&stream.source) as Arc<_>,
                invoker: crate::mappings::Invoker::new(
                    Arc::clone(&functions),
                    stream.function.clone(),
                ),
                checkpoints: Arc::clone(&self.checkpoints),
                destinations: Arc::clone(&destinations) as Arc<_>,
                clock: Arc::clone(self.services.clock()),
                progress: stream.progress.clone(),
                activity: Arc::clone(&self.activity),
            };
            tasks.spawn(engine.run(stopped.clone()));
        }
        tasks.spawn(run_schedules(self.services.clone(), stopped.clone()));
        tasks.spawn(sweep(self.services.clone(), stopped));
        Running { stop, tasks }
    }

    /// Whether everything is at rest: no message waits or is in flight in any queue but dead-letter
    /// queues, every stream is read to its end, and no invocation runs. A message that was sent with a delay
    /// is for later, not work that waits.
    pub async fn idle(&self) -> Result<bool, ServiceError> {
        // Work moves from streams and queues through invocations to queues and streams. Looking at
        // each once could miss what moves behind one's back; if no invocation began or ended over two
        // looks, nothing moved.
        let Some(before) = self.activity.at_rest() else {
            return Ok(false);
        };
        for _ in 0..2 {
            if !self.queues_are_empty().await? || !self.streams_are_read().await? {
                return Ok(false);
            }
        }
        Ok(self.activity.at_rest() == Some(before))
    }

    async fn queues_are_empty(&self) -> Result<bool, ServiceError> {
        for queue in &self.template.queues {
            if self.template.is_dead_letter_queue(&queue.name) {
                continue;
            }
            let counts = self.services.queues.counts(&queue.name).await?;
            if counts.visible + counts.in_flight > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn streams_are_read(&self) -> Result<bool, ServiceError> {
        for stream in &self.streams {
            let latest = self
                .services
                .dynamo
                .latest_sequence_number(&stream.mapping.table)
                .await?;
            if !stream.progress.has_reached(latest.as_deref()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until everything is at rest. Messages that wait for their visibility timeout count as
    /// work, so this can take as long as they do.
    pub async fn wait_idle(&self) -> Result<(), ServiceError> {
        while !self.idle().await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// The mappings of a cloud, at work.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Takes on no new work, waits for the invocations that run, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a mapping died");
            }
        }
    }
}

async fn sweep(services: Services, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        if let Err(error) = services.sweep().await {
            tracing::error!(%error, "could not remove what has had its time");
        }
    }
}

/// Lets the rules with a schedule run when it is time.
async fn run_schedules(services: Services, mut stop: watch::Receiver<bool>) {
    loop {
        let now = services.clock().now_millis();
        let next = services.bus.run_schedules().await;
        let wake = match next {
            Ok(Some(next)) => services.clock().sleep_until(next),
            Ok(None) => std::future::pending().boxed(),
            Err(error) => {
                tracing::error!(%error, "could not run the schedules");
                let pause = i64::try_from(SWEEP_EVERY.as_millis()).unwrap_or_default();
                services.clock().sleep_until(now + pause)
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = wake => {}
        }
    }
}

fn open_checkpoints(file: Option<&Path>) -> Result<Arc<Checkpoints>, CloudError> {
    Checkpoints::open(file)
        .map(Arc::new)
        .map_err(CloudError::Checkpoints)
}

fn make_resources(services: &Services, template: &Template) -> Result<(), CloudError> {
    let failed = |kind: &'static str, name: &str| {
        let name = name.to_owned();
        move |source: ServiceError| CloudError::Resource { kind, name, source }
    };
    // Dead-letter queues first: the others point at them.
    let (last, first): (Vec<_>, Vec<_>) = template
        .queues
        .iter()
        .partition(|queue| queue.redrive.is_some());
    for queue in first.into_iter().chain(last) {
        let attributes = queue.attributes.clone().into_iter().collect();
        let made = services.queues.ensure(&queue.name, &attributes);
        made.map_err(failed("the queue", &queue.name))?;
        let released = services.queues.release_in_flight(&queue.name);
        released.map_err(failed("the queue", &queue.name))?;
    }
    for topic in &template.topics {
        services
            .topics
            .ensure(&topic.name)
            .map_err(failed("the topic", &topic.name))?;
    }
    for subscription in &template.subscriptions {
        let topic = crate::names::topic_of_arn(&subscription.topic_arn).unwrap_or_default();
        let attributes = subscription.attributes.clone();
        let made = services
            .topics
            .subscribe_queue(topic, &subscription.endpoint, &attributes);
        made.map_err(failed("the subscription", &subscription.logical_id))?;
    }
    make_rules(services, template)?;
    for bucket in &template.buckets {
        let rules: Vec<NotificationRule> = bucket
            .notifications
            .iter()
            .enumerate()
            .map(|(index, notification)| NotificationRule {
                id: format!("{}-{index}", bucket.logical_id),
                events: vec![notification.event.clone()],
                prefix: notification.prefix.clone(),
                suffix: notification.suffix.clone(),
                queue_arn: notification.queue_arn.clone(),
            })
            .collect();
        services
            .s3
            .ensure_bucket(&bucket.name)
            .map_err(failed("the bucket", &bucket.name))?;
        let set = services
            .s3
            .set_notifications(&bucket.name, &rules, bucket.sends_to_event_bridge);
        set.map_err(failed("the notifications of the bucket", &bucket.name))?;
    }
    for table in &template.tables {
        make_table(services, table)?;
    }
    Ok(())
}

/// Makes the rules of the template and removes those that it no longer has.
fn make_rules(services: &Services, template: &Template) -> Result<(), CloudError> {
    let failed = |name: &str, source| CloudError::Resource {
        kind: "the rule",
        name: name.to_owned(),
        source,
    };
    let bus = &services.bus;
    let wanted: Vec<_> = template.rules.iter().filter(|rule| rule.enabled).collect();
    let takes_events = |rule: &template::Rule| matches!(rule.trigger, Trigger::Pattern(_));
    for name in bus.rule_names() {
        if !wanted
            .iter()
            .any(|rule| rule.name == name && takes_events(rule))
        {
            bus.remove_rule(&name)
                .map_err(|source| failed(&name, source))?;
        }
    }
    let scheduled = bus.schedule_names();
    for name in scheduled.map_err(|source| failed("of a schedule", source))? {
        if !wanted
            .iter()
            .any(|rule| rule.name == name && !takes_events(rule))
        {
            bus.remove_schedule(&name)
                .map_err(|source| failed(&name, source))?;
        }
    }
    for rule in wanted {
        let targets: Vec<eventbridge::Target> = rule
            .targets
            .iter()
            .map(|target| eventbridge::Target {
                arn: target.arn.clone(),
                dead_letter_queue_arn: target.dead_letter_arn.clone(),
                message_group: target.message_group.clone(),
            })
            .collect();
        let made = match &rule.trigger {
            Trigger::Pattern(pattern) => bus.put_rule(&rule.name, pattern, &targets),
            Trigger::Schedule(schedule) => bus.put_schedule(&rule.name, schedule, &targets),
        };
        made.map_err(|source| failed(&rule.name, source))?;
    }
    Ok(())
}

fn make_table(services: &Services, table: &crate::template::Table) -> Result<(), CloudError> {
    let failed = |error: crate::dynamo::CallError| CloudError::Table {
        name: table.name.clone(),
        message: error.body,
    };
    let dynamo = &services.dynamo;
    let name = json!({ "TableName": table.name });
    match dynamo.call_json("DescribeTable", &name) {
        Ok(described) => check_table(table, &described["Table"])?,
        Err(error) if error.is("ResourceNotFoundException") => {
            dynamo
                .call_json("CreateTable", &table.create)
                .map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    let described = dynamo
        .call_json("DescribeTimeToLive", &name)
        .map_err(failed)?;
    let described = &described["TimeToLiveDescription"];
    let known = described["AttributeName"].as_str().filter(|_| {
        matches!(
            described["TimeToLiveStatus"].as_str(),
            Some("ENABLED" | "ENABLING")
        )
    });
    if known == table.ttl_attribute.as_deref() {
        return Ok(());
    }
    for (attribute, enabled) in [(known, false), (table.ttl_attribute.as_deref(), true)] {
        if let Some(attribute) = attribute {
            let request = json!({
                "TableName": table.name,
                "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled},
            });
            dynamo
                .call_json("UpdateTimeToLive", &request)
                .map_err(failed)?;
        }
    }
    Ok(())
}

/// A table that is there must be the template's: its keys, its indexes, its stream.
fn check_table(
    table: &crate::template::Table,
    described: &serde_json::Value,
) -> Result<(), CloudError> {
    let differs = |what| CloudError::TableDiffers {
        name: table.name.clone(),
        what,
    };
    if described["KeySchema"] != table.create["KeySchema"] {
        return Err(differs("KeySchema"));
    }
    for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
        if index_schemas(&described[indexes]) != index_schemas(&table.create[indexes]) {
            return Err(differs(indexes));
        }
    }
    let view = |table: &serde_json::Value| table["StreamSpecification"]["StreamViewType"].clone();
    if view(described) != view(&table.create) {
        return Err(differs("StreamSpecification"));
    }
    Ok(())
}

/// The indexes by name, with what makes them what they are.
fn index_schemas(indexes: &serde_json::Value) -> std::collections::BTreeMap<String, [String; 2]> {
    let indexes = indexes.as_array().into_iter().flatten();
    indexes
        .map(|index| {
            let name = index["IndexName"].as_str().unwrap_or_default().to_owned();
            let projection = index["Projection"]["ProjectionType"].to_string();
            (name, [index["KeySchema"].to_string(), projection])
        })
        .collect()
}

#[cfg(test)]
mod tests;
