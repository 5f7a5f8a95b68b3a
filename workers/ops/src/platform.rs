//! The whole platform in this process, or a running one that this process attaches to.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use aws_sdk_sqs::types::QueueAttributeName;
use millrace_cloud::{Addressing, Clients, Settings, SystemClock};
use millrace_delivery::{Delivery, DeliverySettings, Invocation, OutcomeEvent, Ways};
use millrace_events::chain;
use millrace_local::{
    CloudError, Exposure, FunctionConfig, FunctionError, Functions, LocalCloud, OpenError, Running,
    Server, Storage,
    names::{CREDENTIAL, REGION},
};
use millrace_text::{Child, Extractor, Limits};
use serde_json::Value;
use thiserror::Error;

use crate::products::{self, Names, Place, Products};

pub(crate) use aws::settings_on_aws;
pub use said::Said;

mod aws;
mod functions;
mod indexes;
mod late;
mod said;

use functions::{Recording, settings, template};
use indexes::Indexes;

/// Where a running platform leaves its address for other commands.
const ENDPOINT_FILE: &str = "endpoint";
/// How often the queues of a running platform are looked at.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// Why the platform could not be opened.
#[derive(Debug, Error)]
pub enum OpenFailed {
    /// There is nothing in the data folder.
    #[error("there is no data in {0}: ingest something first, or name another folder with --data")]
    NothingThere(PathBuf),
    /// A running platform holds the data folder and the command needs it for itself.
    #[error("{0} is in use by a running `millrace up`; stop it first, or use its endpoint")]
    InUse(PathBuf),
    /// Real services could not be reached, or their settings are not complete.
    #[error("could not use the platform on AWS: {0}")]
    Aws(String),
    /// Some part could not be set up.
    #[error("could not open the platform in {data}: {message}")]
    Part {
        /// The data folder.
        data: PathBuf,
        /// What went wrong.
        message: String,
    },
}

/// Where the data folder is kept.
#[derive(Debug, Clone)]
pub enum Home {
    /// A folder.
    Folder(PathBuf),
    /// Nowhere: gone with the process.
    Memory,
}

/// Whose platform it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The embedded cloud in this process: nobody else has the data folder.
    Owned,
    /// The embedded cloud of another process, through its endpoint. The vector index can only be read.
    Attached,
    /// Real services, with the usual AWS settings.
    Aws,
}

type Heard = Box<dyn Fn(&Said) + Send>;
type Listener = Arc<Mutex<Option<Heard>>>;

/// The embedded cloud with the workers on it, or clients of a platform that runs elsewhere.
pub struct Platform {
    data: PathBuf,
    standing: Standing,
    cloud: Option<LocalCloud>,
    functions: Vec<FunctionConfig>,
    place: Place,
    names: Names,
    products: Products,
    deliveries: BTreeMap<String, Arc<Delivery>>,
    running: Option<Running>,
    server: Option<(Server, tokio::sync::oneshot::Sender<()>)>,
    listener: Listener,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("data", &self.data)
            .field("embedded", &self.cloud.is_some())
            .finish()
    }
}

/// What invokes the workers in place of Lambda.
struct InProcess {
    deliveries: BTreeMap<String, Arc<Delivery>>,
}

#[async_trait]
impl Functions for InProcess {
    async fn invoke(
        &self,
        function: &FunctionConfig,
        event: Value,
        request_id: &str,
        deadline: tokio::time::Instant,
    ) -> Result<Value, FunctionError> {
        let Some(delivery) = self.deliveries.get(&function.handler) else {
            return Err(FunctionError::new(format!(
                "there is no worker {:?}",
                function.handler
            )));
        };
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            deadline,
            trace_id: None,
        };
        let report = delivery.deliver(event, invocation).await;
        match report.failed {
            Some(failure) => Err(FunctionError::new(failure.chain())),
            None => Ok(report.response),
        }
    }
}

impl Platform {
    /// The platform in this folder, which is made when it is not there; attaches to one that runs on it.
    pub async fn open(data: &Path) -> Result<Self, OpenFailed> {
        match Self::open_owned(data).await {
            Err(OpenFailed::InUse(_)) => Self::attach(data).await,
            opened => opened,
        }
    }

    /// The same, but a folder without data is an error.
    pub async fn open_existing(data: &Path) -> Result<Self, OpenFailed> {
        if !data.join("lock").exists() {
            return Err(OpenFailed::NothingThere(data.to_owned()));
        }
        Self::open(data).await
    }

    /// The platform in this folder, for this process alone.
    pub async fn open_owned(data: &Path) -> Result<Self, OpenFailed> {
        Self::embedded(
            Home::Folder(data.to_owned()),
            Limits::default(),
            Child::this_program(),
        )
        .await
    }

    /// The embedded platform.
    pub async fn embedded(home: Home, limits: Limits, child: Child) -> Result<Self, OpenFailed> {
        let data = match &home {
            Home::Folder(data) => data.clone(),
            Home::Memory => PathBuf::from("(memory)"),
        };
        let part = |message: String| OpenFailed::Part {
            data: data.clone(),
            message,
        };
        let template = template().map_err(part)?;
        let storage = match &home {
            Home::Folder(data) => Storage::Directory(data.clone()),
            Home::Memory => Storage::Memory,
        };
        let cloud = match LocalCloud::open(&template, storage).await {
            Ok(cloud) => cloud,
            Err(CloudError::Open(OpenError::InUse { .. })) => return Err(OpenFailed::InUse(data)),
            Err(error) => return Err(part(chain(&error))),
        };
        let indexes = match &home {
            Home::Folder(data) => Indexes::open(data, cloud.functions()).map_err(part)?,
            Home::Memory => Indexes::in_memory(),
        };
        let clients = Clients::new(&cloud.sdk_config(), Addressing::Path);
        let extractor = Extractor::new(child, limits);
        let recording = match &home {
            Home::Folder(_) => Recording::AsAsked,
            Home::Memory => Recording::Never,
        };
        let functions = recording.of(cloud.functions());
        let mut platform = Self::assemble(data, &functions, clients, indexes, extractor).await?;
        platform.cloud = Some(cloud);
        platform.standing = Standing::Owned;
        Ok(platform)
    }

    /// Clients of the platform that runs on this folder.
    async fn attach(data: &Path) -> Result<Self, OpenFailed> {
        let part = |message: String| OpenFailed::Part {
            data: data.to_owned(),
            message,
        };
        let Ok(endpoint) = std::fs::read_to_string(data.join(ENDPOINT_FILE)) else {
            return Err(OpenFailed::InUse(data.to_owned()));
        };
        let template = template().map_err(part)?;
        let functions: Vec<FunctionConfig> = template
            .functions
            .into_iter()
            .map(|function| function.config)
            .collect();
        let functions = Recording::AsAsked.of(&functions);
        let clients = Clients::at_endpoint(endpoint.trim(), REGION, CREDENTIAL).await;
        let indexes = Indexes::open_read_only(data, &functions).map_err(part)?;
        let extractor = Extractor::new(Child::this_program(), Limits::default());
        Self::assemble(data.to_owned(), &functions, clients, indexes, extractor).await
    }

    async fn assemble(
        data: PathBuf,
        functions: &[FunctionConfig],
        clients: Clients,
        indexes: Indexes,
        extractor: Extractor,
    ) -> Result<Self, OpenFailed> {
        let part = |message: String| OpenFailed::Part {
            data: data.clone(),
            message,
        };
        let Some(first) = functions.first() else {
            return Err(part("the template has no functions".to_owned()));
        };
        let names =
            Names::from_settings(&settings(first)).map_err(|error| part(error.to_string()))?;
        let place = Place {
            clients: clients.clone(),
            chunks: Some(indexes.chunks),
            profiles: Some(indexes.profiles),
            embedder: None,
            extractor: Arc::new(extractor),
            clock: Arc::new(SystemClock),
        };
        let products = Products::new(&settings(first), place.clone())
            .await
            .map_err(|error| part(chain(&error)))?;
        let listener: Listener = Arc::default();
        let mut deliveries = BTreeMap::new();
        for function in functions {
            let ways = Ways::from_settings(&settings(function), &clients)
                .map_err(|error| part(error.to_string()))?;
            let made = products.delivery(&function.handler, ways, DeliverySettings::default());
            let Some(made) = made else {
                return Err(part(format!(
                    "the template's function {} names no worker",
                    function.name
                )));
            };
            let made = made
                .recorded(&settings(function), &clients, &products::public_words())
                .map_err(|error| part(error.to_string()))?;
            let made = made.aside(&settings(function), &clients);
            let heard = listener.clone();
            let made = made.with_metrics(Arc::new(move |event: &OutcomeEvent<'_>| {
                if let Some(listener) = heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .as_ref()
                {
                    listener(&Said::from(event));
                }
            }));
            deliveries.insert(function.handler.clone(), Arc::new(made));
        }
        Ok(Self {
            data,
            standing: Standing::Attached,
            cloud: None,
            functions: functions.to_vec(),
            place,
            names,
            products,
            deliveries,
            running: None,
            server: None,
            listener,
        })
    }

    /// Calls this for every outcome from now on.
    pub fn on_outcome(&self, listener: impl Fn(&Said) + Send + 'static) {
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(listener));
    }

    /// Starts event source mappings and everything else that moves; nothing when attached.
    pub fn start(&mut self) {
        if let (Some(cloud), None) = (&self.cloud, &self.running) {
            self.running = Some(cloud.start(Arc::new(InProcess {
                deliveries: self.deliveries.clone(),
            })));
        }
    }

    /// Serves the AWS endpoint, and leaves its address for other commands.
    pub async fn serve(
        &mut self,
        address: SocketAddr,
        beyond_loopback: bool,
    ) -> Result<SocketAddr, OpenFailed> {
        let part = |message: String| OpenFailed::Part {
            data: self.data.clone(),
            message,
        };
        let Some(cloud) = &self.cloud else {
            return Err(OpenFailed::InUse(self.data.clone()));
        };
        let exposure = if beyond_loopback {
            Exposure::AnyAddress
        } else {
            Exposure::LoopbackOnly
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let until_stopped = async move {
            let _ = stopped.await;
        };
        let server =
            millrace_local::serve(cloud.services(), address, exposure, until_stopped).await;
        let server = server.map_err(|error| part(chain(&error)))?;
        let bound = server.address();
        let file = self.data.join(ENDPOINT_FILE);
        std::fs::write(&file, format!("http://{bound}\n"))
            .map_err(|error| part(error.to_string()))?;
        self.server = Some((server, stop));
        Ok(bound)
    }

    /// Returns once nothing moves any more. Attached to a running platform: once the workers' queues are empty.
    pub async fn wait_idle(&self) {
        match (&self.cloud, &self.running) {
            (Some(cloud), Some(_)) => {
                if let Err(error) = cloud.wait_idle().await {
                    tracing::error!(%error, "could not see whether the platform is at rest");
                }
            }
            (Some(_), None) => {}
            (None, _) => {
                // Between a worker's end and the next one's beginning a message is in neither queue: look twice.
                let mut quiet = 0;
                while quiet < 2 {
                    tokio::time::sleep(LOOK_EVERY).await;
                    quiet = if self.queues_are_empty().await {
                        quiet + 1
                    } else {
                        0
                    };
                }
            }
        }
    }

    async fn queues_are_empty(&self) -> bool {
        for queue in self.queues() {
            let Ok(url) = self
                .place
                .clients
                .sqs
                .get_queue_url()
                .queue_name(&queue)
                .send()
                .await
            else {
                return true;
            };
            let asked = self
                .place
                .clients
                .sqs
                .get_queue_attributes()
                .queue_url(url.queue_url().unwrap_or_default());
            let Ok(answer) = asked.attribute_names(QueueAttributeName::All).send().await else {
                return true;
            };
            let waiting = [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            ];
            let counts = |name| {
                answer
                    .attributes()
                    .and_then(|all| all.get(name))
                    .is_some_and(|count| count != "0")
            };
            if waiting.iter().any(counts) {
                return false;
            }
        }
        true
    }

    /// Drains: nothing new begins, what runs is waited for.
    pub async fn stop(&mut self) {
        if let Some((server, stop)) = self.server.take() {
            let _ = std::fs::remove_file(self.data.join(ENDPOINT_FILE));
            let _ = stop.send(());
            server.stopped().await;
        }
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// The products.
    pub fn products(&self) -> &Products {
        &self.products
    }

    /// SDK clients of the platform.
    pub fn clients(&self) -> &Clients {
        &self.place.clients
    }

    /// What the workers stand on.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The settings of the function that this worker is; `None` when there is none.
    pub fn settings(&self, worker: &str) -> Option<Settings> {
        self.functions
            .iter()
            .find(|function| function.handler == worker)
            .map(settings)
    }

    /// Names of tables, buckets, queues and topics, by product.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Whose platform it is.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The data folder; on AWS, the folder for what the command itself keeps.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The embedded cloud, unless this process is attached to another's.
    pub fn cloud(&self) -> Option<&LocalCloud> {
        self.cloud.as_ref()
    }

    /// The delivery loop of a worker.
    pub fn delivery(&self, worker: &str) -> Option<Arc<Delivery>> {
        self.deliveries.get(worker).cloned()
    }

    /// A loop of its own around a worker: what it gives up goes another way than into the dead-letter queue.
    pub fn delivery_with(&self, worker: &str, ways: Ways) -> Option<Delivery> {
        self.products
            .delivery(worker, ways, DeliverySettings::default())
    }

    /// The workers' names.
    pub fn workers(&self) -> Vec<String> {
        self.deliveries.keys().cloned().collect()
    }

    /// The names of the workers' queues.
    pub fn queues(&self) -> Vec<String> {
        self.workers()
            .into_iter()
            .map(|worker| format!("millrace-{worker}"))
            .collect()
    }
}
