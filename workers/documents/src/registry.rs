//! The workers of this product by name, and how each is set up from its settings.

use std::{path::Path, sync::Arc};

use millrace_cloud::{Clients, Clock, SettingError, Settings, SystemClock};
use millrace_delivery::{
    Delivery, DeliverySettings, EmfSink, Parking, Recorder, Registry, SqsParking, SqsVisibility,
    Visibility, Worker,
};
use millrace_text::{Child, ChunkSettings, Extractor, Limits};
use millrace_vectors::{
    Auth, BedrockEmbedder, Embedder, HashedEmbedder, OpenAiEmbedder, OpenSearchIndex, ScanIndex,
    VectorIndex,
};

use crate::{
    chunk_text::ChunkText,
    context::{Documents, Names, Parts, SetupError},
    embed_chunks::EmbedChunks,
    extract_text::ExtractText,
    guarded::{GuardedEmbedder, GuardedIndex},
    index_chunks::IndexChunks,
    keep_progress::KeepProgress,
    keys::PUBLIC_WORDS,
    remove_document::RemoveDocument,
};

/// Every worker of this product.
pub const WORKERS: [&str; 6] = [
    ExtractText::NAME,
    ChunkText::NAME,
    EmbedChunks::NAME,
    IndexChunks::NAME,
    RemoveDocument::NAME,
    KeepProgress::NAME,
];

/// What a place (AWS, a laptop, a test) brings along.
#[derive(Clone)]
pub struct Place {
    /// SDK clients.
    pub clients: Clients,
    /// The vector index, where the place has one of its own; else the settings name one.
    pub index: Option<Arc<dyn VectorIndex>>,
    /// Turns bytes into text.
    pub extractor: Arc<Extractor>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Sets the product up. The index is asked once whether it fits the embedder.
pub async fn documents(settings: &Settings, place: Place) -> Result<Documents, SetupError> {
    let embedder = embedder(settings, &place.clients)?;
    documents_with(settings, place, embedder).await
}

/// As [`documents`], with this embedder, whatever the settings say of it.
pub async fn documents_with(
    settings: &Settings,
    place: Place,
    embedder: Arc<dyn Embedder>,
) -> Result<Documents, SetupError> {
    let names = Names::from_settings(settings)?;
    let defaults = ChunkSettings::default();
    let chunking = ChunkSettings::try_new(
        settings.number("MILLRACE_CHUNK_TOKENS", defaults.target_tokens())?,
        settings.number("MILLRACE_CHUNK_MAX_TOKENS", defaults.max_tokens())?,
        settings.number("MILLRACE_CHUNK_OVERLAP_TOKENS", defaults.overlap_tokens())?,
    )
    .map_err(|error| SetupError::Chunking(error.to_string()))?;
    let embedder = GuardedEmbedder::new(embedder);
    let index = match place.index {
        Some(index) => index,
        None => index(settings, &place.clients)?,
    };
    index.check(embedder.model(), embedder.dimensions()).await?;
    let parts = Parts {
        clients: place.clients,
        embedder: Arc::new(embedder),
        index: Arc::new(GuardedIndex::new(index)),
        extractor: place.extractor,
        clock: place.clock,
    };
    Ok(Documents::new(parts, &names, chunking))
}

/// The embedder that the settings name: `local`, `bedrock:MODEL` or `openai:MODEL`.
pub fn embedder(settings: &Settings, clients: &Clients) -> Result<Arc<dyn Embedder>, SetupError> {
    let name = settings.optional("MILLRACE_EMBEDDER").unwrap_or("local");
    match name.split_once(':') {
        None if name == "local" => Ok(Arc::new(HashedEmbedder::new())),
        Some(("bedrock", model)) => Ok(Arc::new(BedrockEmbedder::new(&clients.config, model)?)),
        Some(("openai", model)) => {
            let endpoint = settings
                .optional("MILLRACE_OPENAI_ENDPOINT")
                .unwrap_or("https://api.openai.com/v1");
            let key = settings.optional("MILLRACE_OPENAI_KEY").unwrap_or_default();
            Ok(Arc::new(OpenAiEmbedder::new(endpoint, key, model)?))
        }
        _ => Err(millrace_cloud::SettingError::Invalid {
            name: "MILLRACE_EMBEDDER",
            value: name.to_owned(),
            expected: "local, bedrock:MODEL or openai:MODEL",
        }
        .into()),
    }
}

/// The index that the settings name.
pub fn index(settings: &Settings, clients: &Clients) -> Result<Arc<dyn VectorIndex>, SetupError> {
    if let Some(folder) = settings.optional("MILLRACE_INDEX_DIRECTORY") {
        return Ok(Arc::new(ScanIndex::open(Path::new(folder))?));
    }
    let endpoint = settings.required("MILLRACE_OPENSEARCH_ENDPOINT")?;
    let name = settings
        .optional("MILLRACE_INDEX_NAME")
        .unwrap_or("document-chunks");
    let auth = Auth::for_endpoint(endpoint, &clients.config);
    Ok(Arc::new(OpenSearchIndex::new(endpoint, auth, name)?))
}

/// Where failed records go, by a function's settings.
pub struct Ways {
    /// The dead-letter queue.
    pub parking: Arc<dyn Parking>,
    /// How a message is hidden until its retry.
    pub visibility: Arc<dyn Visibility>,
}

impl Ways {
    /// The queue that the function's settings name.
    pub fn from_settings(settings: &Settings, clients: &Clients) -> Result<Self, SetupError> {
        let queue = settings.required("MILLRACE_DEAD_LETTER_QUEUE_URL")?;
        Ok(Self {
            parking: Arc::new(SqsParking::new(clients.sqs.clone(), queue)),
            visibility: Arc::new(SqsVisibility::beside(clients.sqs.clone(), queue)),
        })
    }
}

/// The loop around the worker of that name; `None` when there is none.
pub fn delivery(
    name: &str,
    documents: Documents,
    ways: Ways,
    settings: DeliverySettings,
) -> Option<Delivery> {
    let clock = documents.clock.clone();
    let Ways {
        parking,
        visibility,
    } = ways;
    Some(match name {
        ExtractText::NAME => {
            Delivery::new(ExtractText(documents), settings, parking, visibility, clock)
        }
        ChunkText::NAME => {
            Delivery::new(ChunkText(documents), settings, parking, visibility, clock)
        }
        EmbedChunks::NAME => {
            Delivery::new(EmbedChunks(documents), settings, parking, visibility, clock)
        }
        IndexChunks::NAME => {
            Delivery::new(IndexChunks(documents), settings, parking, visibility, clock)
        }
        RemoveDocument::NAME => Delivery::new(
            RemoveDocument(documents),
            settings,
            parking,
            visibility,
            clock,
        ),
        KeepProgress::NAME => Delivery::new(
            KeepProgress(documents),
            settings,
            parking,
            visibility,
            clock,
        ),
        _ => return None,
    })
}

/// The same delivery with the recorder that the settings ask for, if they do.
pub fn recorded(
    delivery: Delivery,
    settings: &Settings,
    clients: &Clients,
) -> Result<Delivery, SettingError> {
    Ok(match Recorder::from_settings(settings, clients)? {
        Some(recorder) => delivery.with_recorder(Arc::new(recorder.keep_words(PUBLIC_WORDS))),
        None => delivery,
    })
}

/// The workers as Lambda functions: `_HANDLER` picks, and only what is picked is set up.
pub fn lambda() -> Registry {
    WORKERS.iter().fold(Registry::new(), |registry, name| {
        registry.with(name, move || async move {
            let settings = Settings::from_environment();
            let clients = Clients::from_environment().await;
            let place = Place {
                clients: clients.clone(),
                index: None,
                extractor: Arc::new(Extractor::new(Child::this_program(), Limits::default())),
                clock: Arc::new(SystemClock),
            };
            let ways = Ways::from_settings(&settings, &clients)?;
            let documents = documents(&settings, place).await?;
            let delivery = delivery(name, documents, ways, DeliverySettings::default());
            let delivery =
                delivery.ok_or_else(|| format!("the worker {name} is listed but not made"))?;
            let delivery = recorded(delivery, &settings, &clients)?;
            Ok(delivery.with_metrics(Arc::new(EmfSink::stdout())))
        })
    })
}
