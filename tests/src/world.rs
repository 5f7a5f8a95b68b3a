//! The embedded cloud with the workers on it, and nothing that moves by itself.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use millrace_cloud::{Addressing, Clients, ManualClock, Settings, Tap};
use millrace_delivery::{Delivery, DeliverySettings, Invocation, Report, Ways};
use millrace_documents::{
    Document,
    upload::{NewFile, upload},
};
use millrace_local::{
    LocalCloud, Storage,
    clock::ManualClock as StillClock,
    http_client, sdk_config_with,
    sqs::ReceiveOptions,
    template::{Function, Mapping, Template},
};
use millrace_ops::products::{Names, Place, Products};
use millrace_text::{Child, Extractor, Limits};
use millrace_vectors::{Embedder, ScanIndex, ScanPoints, VectorIndex};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    TappedIndex, TappedPoints,
    notifications::{Heard, subscribe},
    permissions::Watch,
};

/// The repository's template: what workers there are, and what each of them listens to.
pub static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    let text = include_str!("../../infra/template.yaml");
    Template::parse(text, "infra/template.yaml", &BTreeMap::new()).unwrap()
});

/// 2026-11-21T04:00:00Z: the world's clock stands still, so that two worlds write the same.
pub const NOW: i64 = 1_795_233_600_000;

static EXTRACTOR: LazyLock<Arc<Extractor>> =
    LazyLock::new(|| Arc::new(Extractor::in_this_process(Limits::default())));

/// How long an invocation may take, by tokio's clock.
const INVOCATION: Duration = Duration::from_secs(120);

/// The functions that are workers, in the template's order.
fn functions() -> &'static [Function] {
    &TEMPLATE.functions
}

/// The workers' names, in the template's order.
pub fn workers() -> impl Iterator<Item = &'static str> {
    functions()
        .iter()
        .map(|function| function.config.handler.as_str())
}

fn mappings(worker: &str) -> impl Iterator<Item = &'static Mapping> {
    let own = move |function: &&Function| function.config.handler == worker;
    functions()
        .iter()
        .filter(own)
        .flat_map(|function| &function.mappings)
}

fn settings(function: &Function) -> Settings {
    Settings::from_map(function.config.environment.clone())
}

/// The settings of the function that this worker is.
pub fn settings_of(worker: &str) -> Settings {
    let own = functions()
        .iter()
        .find(|function| function.config.handler == worker);
    settings(own.unwrap())
}

/// The queues that a worker listens to.
fn queues(worker: &str) -> impl Iterator<Item = &'static str> {
    mappings(worker).filter_map(|mapping| match mapping {
        Mapping::Queue(mapping) => Some(mapping.queue.as_str()),
        Mapping::Stream(_) => None,
    })
}

/// A stream of a table that a worker listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// Who listens.
    pub worker: &'static str,
    /// Whose stream.
    pub table: &'static str,
}

/// Every stream that a worker listens to, in the template's order.
pub fn listening() -> impl Iterator<Item = Listening> {
    workers().flat_map(streams)
}

/// The streams that a worker listens to.
fn streams(worker: &'static str) -> impl Iterator<Item = Listening> {
    mappings(worker).filter_map(move |mapping| match mapping {
        Mapping::Stream(mapping) => Some(Listening {
            worker,
            table: &mapping.table,
        }),
        Mapping::Queue(_) => None,
    })
}

/// How far a worker has seen a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    stream: Listening,
    sequence: String,
}

/// Whether something of what was delivered must be delivered again.
pub fn has_failed(report: &Report) -> bool {
    let names_some = report.response["batchItemFailures"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    report.failed.is_some() || names_some
}

/// A message that waits in a worker's queue, received and not deleted.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The queue.
    pub queue: String,
    /// To delete it or to put it back.
    pub receipt: String,
    /// The event as Lambda hands it over.
    pub event: Value,
}

/// One world.
pub struct World {
    cloud: LocalCloud,
    clock: Arc<StillClock>,
    workers_clock: Arc<ManualClock>,
    /// Counts the workers' calls, those to the index among them, and lets them fail. The test's own calls do not
    /// pass it.
    pub tap: Tap,
    watch: Watch,
    /// The index of documents' chunks, behind the same tap.
    pub index: Arc<TappedIndex>,
    /// The index of employees' profiles, behind the same tap.
    pub points: Arc<TappedPoints>,
    /// The test's own clients.
    pub clients: Clients,
    /// Names of tables, buckets, queues and topics, by product.
    pub names: Names,
    /// What the products stand on, behind the tap.
    pub place: Place,
    /// The products, behind the tap.
    pub products: Products,
    /// The products past the tap: to look at without being counted.
    pub observer: Products,
    /// The loops, behind the tap.
    pub deliveries: BTreeMap<&'static str, Arc<Delivery>>,
    streams: Mutex<BTreeMap<Listening, String>>,
    /// What a subscriber of all topics has heard so far.
    pub(crate) heard: Mutex<Heard>,
}

impl World {
    /// A new world. `program` is the command that parses files as a child.
    pub async fn new(program: &str) -> Self {
        let child = Child::program(Path::new(program));
        Self::with_extractor(Arc::new(Extractor::new(child, Limits::default()))).await
    }

    /// A new world in which files are parsed without a child, each only once whatever worlds there are: much faster,
    /// and for sample files alone.
    pub async fn in_process() -> Self {
        Self::with_extractor(EXTRACTOR.clone()).await
    }

    /// As [`World::in_process`], with an embedder of the test's own.
    pub async fn with_embedder(embedder: Arc<dyn Embedder>) -> Self {
        Self::with(embedder, &[]).await
    }

    /// The same, with some settings of the functions set otherwise than in the template.
    pub async fn with(embedder: Arc<dyn Embedder>, changed: &[(&str, &str)]) -> Self {
        Self::made(EXTRACTOR.clone(), Some(embedder), None, changed).await
    }

    /// As [`World::in_process`], with an index of the test's own.
    pub async fn with_index(index: Arc<dyn VectorIndex>) -> Self {
        Self::made(EXTRACTOR.clone(), None, Some(index), &[]).await
    }

    /// A new world.
    pub async fn with_extractor(extractor: Arc<Extractor>) -> Self {
        Self::made(extractor, None, None, &[]).await
    }

    async fn made(
        extractor: Arc<Extractor>,
        embedder: Option<Arc<dyn Embedder>>,
        index: Option<Arc<dyn VectorIndex>>,
        changed: &[(&str, &str)],
    ) -> Self {
        let clock = Arc::new(StillClock::new(NOW));
        let cloud = LocalCloud::open_with_clock(&TEMPLATE, Storage::Memory, clock.clone())
            .await
            .unwrap();
        let tap = Tap::new(http_client(cloud.services()));
        let index = index.unwrap_or_else(|| Arc::new(ScanIndex::in_memory()));
        let index = Arc::new(TappedIndex::new(index, tap.clone()));
        let points = Arc::new(TappedPoints::new(
            Arc::new(ScanPoints::in_memory()),
            tap.clone(),
        ));
        subscribe(cloud.services());
        let clients = Clients::new(&cloud.sdk_config(), Addressing::Path);
        let watch = Watch::new(tap.client());
        let watched = SharedHttpClient::new(watch.clone());
        let tapped = Clients::new(&sdk_config_with(watched), Addressing::Path);
        let mut first = functions()[0].config.environment.clone();
        // As where the index is a collection that shows writes late.
        first.insert("MILLRACE_RECONCILE_SECONDS".to_owned(), "180".to_owned());
        // Seven days of reports are the same calls seven times.
        first.insert("MILLRACE_REPORT_DAYS".to_owned(), "2".to_owned());
        first.extend(
            { changed }
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let first = Settings::from_map(first);
        let workers_clock = Arc::new(ManualClock::at(NOW));
        let place = Place {
            clients: tapped.clone(),
            chunks: Some(index.clone()),
            profiles: Some(points.clone()),
            embedder,
            extractor,
            clock: workers_clock.clone(),
        };
        let past_the_tap = Place {
            clients: clients.clone(),
            chunks: Some(index.inner()),
            profiles: Some(points.inner()),
            ..place.clone()
        };
        let observer = Products::new(&first, past_the_tap).await.unwrap();
        let names = Names::from_settings(&first).unwrap();
        let products = Products::new(&first, place.clone()).await.unwrap();
        let mut deliveries = BTreeMap::new();
        for function in functions() {
            let name = function.config.handler.as_str();
            let ways = Ways::from_settings(&settings(function), &tapped).unwrap();
            let made = products.delivery(name, ways, DeliverySettings::default());
            let made =
                made.unwrap_or_else(|| panic!("{name} is in the template, not in a registry"));
            let made = made.aside(&settings(function), &tapped);
            deliveries.insert(name, Arc::new(made));
        }
        Self {
            cloud,
            clock,
            workers_clock,
            tap,
            watch,
            index,
            points,
            clients,
            names,
            place,
            products,
            observer,
            deliveries,
            streams: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// Lets a minute pass: what is uploaded afterwards has the same sequencer in every world, whatever was written
    /// before.
    pub fn later(&self) {
        self.clock.advance(Duration::from_secs(60));
    }

    /// Lets time pass for the cloud and for the workers: what was delayed comes.
    pub fn wait(&self, time: Duration) {
        self.clock.advance(time);
        self.workers_clock.advance(time);
    }

    /// The time by the world's clock, which is the cloud's.
    pub fn now(&self) -> OffsetDateTime {
        let millis = millrace_local::clock::Clock::now_millis(&*self.clock);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap()
    }

    /// Puts a message into a worker's queue.
    pub async fn send(&self, worker: &str, body: &str) {
        let queue = queues(worker).next().unwrap();
        let sqs = &self.clients.sqs;
        let url = sqs.get_queue_url().queue_name(queue).send().await.unwrap();
        let request = sqs.send_message().set_queue_url(url.queue_url);
        request.message_body(body).send().await.unwrap();
    }

    /// The services behind it.
    pub fn services(&self) -> &millrace_local::Services {
        self.cloud.services()
    }

    /// Uploads a text as the platform does: the object, then the row.
    pub async fn upload(&self, document: &Document, file_name: &str, bytes: &[u8]) {
        let file = NewFile {
            document: document.clone(),
            file_name: file_name.to_owned(),
            file_type: "text/plain".to_owned(),
            bytes: bytes.to_vec().into(),
        };
        let now = millrace_cloud::Clock::now(&ManualClock::at(NOW));
        let names = &self.names.documents;
        upload(&self.clients, names, file, now).await.unwrap();
    }

    /// Delivers an event to a worker.
    pub async fn deliver(&self, worker: &str, event: &Value) -> Report {
        let (worker, delivery) = self.deliveries.get_key_value(worker).unwrap();
        let _delivering = self.watch.delivering(worker);
        delivery
            .deliver(event.clone(), Invocation::lasting(INVOCATION))
            .await
    }

    /// What waits in a worker's queue, received. `worker-dlq` names its dead-letter queue.
    pub async fn receive(&self, worker: &str) -> Vec<Pending> {
        self.receive_from(&format!("millrace-{worker}")).await
    }

    /// What waits in all queues that a worker listens to, received.
    pub async fn receive_for(&self, worker: &str) -> Vec<Pending> {
        let mut received = Vec::new();
        for queue in queues(worker) {
            received.extend(self.receive_from(queue).await);
        }
        received
    }

    /// What waits in a queue, received.
    pub async fn receive_from(&self, queue: &str) -> Vec<Pending> {
        let messages = self
            .services()
            .queues
            .receive(queue, ReceiveOptions::at_once(100))
            .await
            .unwrap();
        let pending = |message: millrace_local::sqs::Message| Pending {
            queue: queue.to_owned(),
            receipt: message.receipt_handle.clone(),
            event: json!({"Records": [message.to_event_record(queue)]}),
        };
        messages.into_iter().map(pending).collect()
    }

    /// Acknowledges a message.
    pub async fn delete(&self, pending: &Pending) {
        self.services()
            .queues
            .delete(&pending.queue, vec![pending.receipt.clone()])
            .await
            .unwrap();
    }

    /// Makes a message visible again at once.
    pub async fn put_back(&self, pending: &Pending) {
        let _ = self
            .services()
            .queues
            .change_visibility(&pending.queue, vec![(pending.receipt.clone(), 0)])
            .await;
    }

    /// What a worker has not seen yet of the first of its streams that has anything, as one event; `None` when there is nothing.
    pub async fn stream_event(&self, worker: &'static str) -> Option<(Value, Seen)> {
        for stream in streams(worker) {
            if let Some(event) = self.event_of(stream).await {
                return Some(event);
            }
        }
        None
    }

    /// The same of each of its streams: an event each.
    pub async fn stream_events(&self, worker: &'static str) -> Vec<(Value, Seen)> {
        let mut events = Vec::new();
        for stream in streams(worker) {
            events.extend(self.event_of(stream).await);
        }
        events
    }

    /// The same of one stream.
    pub async fn event_of(&self, stream: Listening) -> Option<(Value, Seen)> {
        let after = self.streams.lock().unwrap().get(&stream).cloned();
        let records = self
            .services()
            .dynamo
            .stream_records(stream.table, after.as_deref(), 100)
            .await
            .unwrap();
        let sequence = records.last()?["dynamodb"]["SequenceNumber"]
            .as_str()
            .unwrap()
            .to_owned();
        Some((json!({"Records": records}), Seen { stream, sequence }))
    }

    /// Says that a worker has seen everything of a stream up to here.
    pub fn checkpoint(&self, seen: Seen) {
        let mut streams = self.streams.lock().unwrap();
        streams.insert(seen.stream, seen.sequence);
    }

    /// Does with a message what Lambda does after its delivery: deletes it, or lets it come again.
    pub async fn settle(&self, pending: &Pending, report: &Report) {
        if has_failed(report) {
            self.put_back(pending).await;
        } else {
            self.delete(pending).await;
        }
    }

    /// One pass over queues and streams, leaving out some workers; says whether anything moved.
    async fn pass(&self, without: &[&str]) -> bool {
        let mut moved = false;
        let awake = || workers().filter(|worker| !without.contains(worker));
        for worker in awake() {
            for pending in self.receive_for(worker).await {
                moved = true;
                let report = self.deliver(worker, &pending.event).await;
                self.settle(&pending, &report).await;
            }
        }
        for worker in awake() {
            for (event, seen) in self.stream_events(worker).await {
                moved = true;
                if !has_failed(&self.deliver(worker, &event).await) {
                    self.checkpoint(seen);
                }
            }
        }
        moved
    }

    /// What has happened so far is the past: nothing waits for anybody any more.
    pub async fn forget_events(&self) {
        for queue in &TEMPLATE.queues {
            for pending in self.receive_from(&queue.name).await {
                self.delete(&pending).await;
            }
        }
        for worker in workers() {
            while let Some((_, seen)) = self.stream_event(worker).await {
                self.checkpoint(seen);
            }
        }
    }

    /// Delivers whatever waits until nothing does.
    pub async fn quiet(&self) {
        self.quiet_without(&[]).await;
    }

    /// The same, but what these workers should get stays where it is.
    pub async fn quiet_without(&self, without: &[&str]) {
        for _ in 0..500 {
            if !self.pass(without).await {
                return;
            }
        }
        panic!("events go round in circles");
    }
}
