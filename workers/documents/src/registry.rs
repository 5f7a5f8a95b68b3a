//! The workers of this product by name, and how each is set up from its settings.

use std::sync::Arc;

use millrace_cloud::{Clients, Clock, Settings, SystemClock};
use millrace_delivery::{Delivery, DeliverySettings, EmfSink, Registry, Ways, Worker};
use millrace_text::{Child, ChunkSettings, Extractor, Limits};
use millrace_vectors::{
    Embedder, GuardedEmbedder, GuardedIndex, VectorIndex,
    settings::{embedder, index},
};

use crate::{
    chunk_text::ChunkText,
    context::{Documents, Names, Parts, SetupError},
    embed_chunks::EmbedChunks,
    extract_text::ExtractText,
    extraction_limits::extraction_limits,
    index_chunks::IndexChunks,
    keep_progress::KeepProgress,
    keys::PUBLIC_WORDS,
    reconcile_index::{ReconcileIndex, Reconciling},
    remove_document::RemoveDocument,
};

/// Every worker of this product.
pub const WORKERS: [&str; 7] = [
    ExtractText::NAME,
    ChunkText::NAME,
    EmbedChunks::NAME,
    IndexChunks::NAME,
    ReconcileIndex::NAME,
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
    /// Turns bytes into text, within these limits where the settings name no other.
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
    let limits = extraction_limits(settings, place.extractor.limits())?;
    let embedder = GuardedEmbedder::new(embedder);
    let index = match place.index {
        Some(index) => index,
        None => index(settings, &place.clients)?,
    };
    index.check(embedder.model(), embedder.dimensions()).await?;
    let reconciling = Reconciling::from_settings(settings, &place.clients)?;
    let parts = Parts {
        clients: place.clients,
        embedder: Arc::new(embedder),
        index: Arc::new(GuardedIndex::new(index)),
        extractor: Arc::new(place.extractor.with_limits(limits)),
        clock: place.clock,
    };
    Ok(Documents::new(parts, &names, chunking).with_reconciling(reconciling))
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
        ReconcileIndex::NAME => Delivery::new(
            ReconcileIndex(documents),
            settings,
            parking,
            visibility,
            clock,
        ),
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
            let delivery = delivery.aside(&settings, &clients);
            let delivery = delivery.recorded(&settings, &clients, PUBLIC_WORDS)?;
            Ok(delivery.with_metrics(Arc::new(EmfSink::stdout())))
        })
    })
}
