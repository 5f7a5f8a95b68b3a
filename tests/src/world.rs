//! The embedded cloud with the workers on it, and nothing that moves by itself.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use millrace_cloud::{Addressing, Clients, ManualClock, Settings, Tap};
use millrace_delivery::{Delivery, DeliverySettings, Invocation, Report};
use millrace_documents::{
    Document, Documents, Names, WORKERS,
    registry::{Place, Ways, delivery, documents},
    upload::{NewFile, upload},
};
use millrace_local::{
    LocalCloud, Storage, clock::ManualClock as StillClock, http_client, sdk_config_with,
    sqs::ReceiveOptions, template::Template,
};
use millrace_text::{Child, Extractor, Limits};
use millrace_vectors::ScanIndex;
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("../../infra/template.yaml");

/// 2026-11-21T04:00:00Z: the world's clock stands still, so that two worlds write the same.
const NOW: i64 = 1_795_233_600_000;

/// Workers that listen to the stream of the documents table.
const ON_STREAM: [&str; 2] = ["remove-document", "keep-progress"];

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
    /// Counts the workers' calls and lets them fail. The test's own calls do not pass it.
    pub tap: Tap,
    /// The test's own clients.
    pub clients: Clients,
    /// Names of bucket and tables.
    pub names: Names,
    /// The product, behind the tap.
    pub documents: Documents,
    /// The loops, behind the tap.
    pub deliveries: BTreeMap<&'static str, Arc<Delivery>>,
    streams: Mutex<BTreeMap<&'static str, String>>,
}

impl World {
    /// A new world. `program` is the command that parses files as a child.
    pub async fn new(program: &str) -> Self {
        let template = Template::parse(TEMPLATE, "infra/template.yaml", &BTreeMap::new()).unwrap();
        let clock = Arc::new(StillClock::new(NOW));
        let cloud = LocalCloud::open_with_clock(&template, Storage::Memory, clock.clone())
            .await
            .unwrap();
        let tap = Tap::new(http_client(cloud.services()));
        let clients = Clients::new(&cloud.sdk_config(), Addressing::Path);
        let tapped = Clients::new(&sdk_config_with(tap.client()), Addressing::Path);
        let function = |name: &str| {
            cloud
                .functions()
                .iter()
                .find(|f| f.handler == name)
                .unwrap()
                .environment
                .clone()
        };
        let settings = Settings::from_map(function("extract-text"));
        let child = Child::program(Path::new(program));
        let place = Place {
            clients: tapped.clone(),
            index: Some(Arc::new(ScanIndex::in_memory())),
            extractor: Arc::new(Extractor::new(child, Limits::default())),
            clock: Arc::new(ManualClock::at(NOW)),
        };
        let names = Names::from_settings(&settings).unwrap();
        let documents = documents(&settings, place).await.unwrap();
        let mut deliveries = BTreeMap::new();
        for name in WORKERS {
            let ways = Ways::from_settings(&Settings::from_map(function(name)), &tapped).unwrap();
            let made =
                delivery(name, documents.clone(), ways, DeliverySettings::default()).unwrap();
            deliveries.insert(name, Arc::new(made));
        }
        Self {
            cloud,
            clock,
            tap,
            clients,
            names,
            documents,
            deliveries,
            streams: Mutex::default(),
        }
    }

    /// Lets a minute pass: what is uploaded afterwards has the same sequencer in every world, whatever was written
    /// before.
    pub fn later(&self) {
        self.clock.advance(Duration::from_secs(60));
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
        upload(&self.clients, &self.names, file, now).await.unwrap();
    }

    /// Delivers an event to a worker.
    pub async fn deliver(&self, worker: &str, event: &Value) -> Report {
        self.deliveries[worker]
            .deliver(event.clone(), Invocation::lasting(Duration::from_secs(120)))
            .await
    }

    /// What waits in a worker's queue, received.
    pub async fn receive(&self, worker: &str) -> Vec<Pending> {
        let queue = format!("millrace-{worker}");
        let messages = self
            .services()
            .queues
            .receive(&queue, ReceiveOptions::at_once(100))
            .await
            .unwrap();
        let pending = |message: millrace_local::sqs::Message| Pending {
            queue: queue.clone(),
            receipt: message.receipt_handle.clone(),
            event: json!({"Records": [message.to_event_record(&queue)]}),
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

    /// What a stream worker has not seen yet, as one event; `None` when there is nothing.
    pub async fn stream_event(&self, worker: &'static str) -> Option<(Value, String)> {
        let after = self.streams.lock().unwrap().get(worker).cloned();
        let table = &self.names.documents_table;
        let records = self
            .services()
            .dynamo
            .stream_records(table, after.as_deref(), 100)
            .await
            .unwrap();
        let last = records.last()?["dynamodb"]["SequenceNumber"]
            .as_str()
            .unwrap()
            .to_owned();
        Some((json!({"Records": records}), last))
    }

    /// Says that a stream worker has seen everything up to here.
    pub fn checkpoint(&self, worker: &'static str, sequence: String) {
        self.streams.lock().unwrap().insert(worker, sequence);
    }

    /// One pass over queues and streams, leaving out some workers; says whether anything moved.
    async fn pass(&self, without: &[&str]) -> bool {
        let mut moved = false;
        for worker in WORKERS
            .into_iter()
            .filter(|worker| !without.contains(worker))
        {
            for pending in self.receive(worker).await {
                moved = true;
                let report = self.deliver(worker, &pending.event).await;
                let failed = report.response["batchItemFailures"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty());
                if failed {
                    self.put_back(&pending).await
                } else {
                    self.delete(&pending).await
                }
            }
        }
        for worker in ON_STREAM
            .into_iter()
            .filter(|worker| !without.contains(worker))
        {
            let Some((event, last)) = self.stream_event(worker).await else {
                continue;
            };
            moved = true;
            let report = self.deliver(worker, &event).await;
            if report.response["batchItemFailures"]
                .as_array()
                .is_none_or(Vec::is_empty)
            {
                self.checkpoint(worker, last);
            }
        }
        moved
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
