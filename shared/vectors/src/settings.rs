//! Which embedder and which index a function's settings name.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use millrace_cloud::{Clients, SettingError, Settings};
use millrace_events::Failure;
use thiserror::Error;

use crate::{
    bedrock::BedrockEmbedder,
    embedder::Embedder,
    encoder::{EncoderEmbedder, EncoderFolder},
    hashed::HashedEmbedder,
    index::VectorIndex,
    openai::OpenAiEmbedder,
    opensearch::{Auth, Engine, OpenSearchIndex, OpenSearchPoints, is_index_name, is_serverless},
    points::{PointIndex, ScanPoints},
    scan::ScanIndex,
};

/// Why an embedder or an index could not be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// It is not usable.
    #[error("could not set up the embedder or the index: {0}")]
    Vectors(#[from] Failure),
}

/// The embedder that the settings name: `local`, `encoder:FOLDER`, `encoder-alone:FOLDER`, `bedrock:MODEL` or `openai:MODEL`.
pub fn embedder(settings: &Settings, clients: &Clients) -> Result<Arc<dyn Embedder>, SetupError> {
    let name = settings.optional("MILLRACE_EMBEDDER").unwrap_or("local");
    match name.split_once(':') {
        None if name == "local" => Ok(Arc::new(HashedEmbedder::new())),
        Some(("encoder", folder)) => {
            let folder = encoder_folder(Path::new(folder))?;
            Ok(Arc::new(EncoderEmbedder::combined(folder)))
        }
        Some(("encoder-alone", folder)) => {
            let folder = encoder_folder(Path::new(folder))?;
            Ok(Arc::new(EncoderEmbedder::alone(folder)))
        }
        Some(("bedrock", model)) => Ok(Arc::new(BedrockEmbedder::new(&clients.config, model)?)),
        Some(("openai", model)) => {
            let endpoint = settings
                .optional("MILLRACE_OPENAI_ENDPOINT")
                .unwrap_or("https://api.openai.com/v1");
            let key = settings.optional("MILLRACE_OPENAI_KEY").unwrap_or_default();
            let embedder = OpenAiEmbedder::new(endpoint, key, model)?;
            Ok(Arc::new(
                match settings.optional("MILLRACE_OPENAI_KEY_SECRET") {
                    Some(id) if key.is_empty() => embedder.with_key_in_secret(&clients.config, id),
                    _ => embedder,
                },
            ))
        }
        _ => Err(SettingError::Invalid {
            name: "MILLRACE_EMBEDDER",
            value: name.to_owned(),
            expected: "local, encoder:FOLDER, encoder-alone:FOLDER, bedrock:MODEL or openai:MODEL",
        }
        .into()),
    }
}

/// The encoder of a folder: one for all workers of a process, as long as one of them has it.
fn encoder_folder(path: &Path) -> Result<Arc<EncoderFolder>, Failure> {
    static FOUND: Mutex<BTreeMap<PathBuf, Weak<EncoderFolder>>> = Mutex::new(BTreeMap::new());
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = found.get(path).and_then(Weak::upgrade) {
        return Ok(folder);
    }
    let folder = Arc::new(EncoderFolder::find(path)?);
    found.insert(path.to_owned(), Arc::downgrade(&folder));
    Ok(folder)
}

/// The index of chunks that the settings name.
pub fn index(settings: &Settings, clients: &Clients) -> Result<Arc<dyn VectorIndex>, SetupError> {
    if let Some(folder) = settings.optional("MILLRACE_INDEX_DIRECTORY") {
        return Ok(Arc::new(ScanIndex::open(Path::new(folder))?));
    }
    let endpoint = settings.required("MILLRACE_OPENSEARCH_ENDPOINT")?;
    let auth = Auth::for_endpoint(endpoint, &clients.config);
    Ok(Arc::new(chunks_at(settings, endpoint, auth)?))
}

/// The index of chunks at an endpoint.
pub(crate) fn chunks_at(
    settings: &Settings,
    endpoint: &str,
    auth: Auth,
) -> Result<OpenSearchIndex, SetupError> {
    let index = OpenSearchIndex::new(endpoint, auth, index_name(settings))?;
    Ok(index.with_engine(engine(settings)?))
}

/// The index of points at an endpoint.
pub(crate) fn points_at(
    settings: &Settings,
    endpoint: &str,
    auth: Auth,
) -> Result<OpenSearchPoints, SetupError> {
    let index = OpenSearchPoints::new(endpoint, auth, profile_index_name(settings))?;
    Ok(index.with_engine(engine(settings)?))
}

pub(crate) fn index_name(settings: &Settings) -> &str {
    let name = settings.optional("MILLRACE_INDEX_NAME");
    name.unwrap_or("document-chunks")
}

pub(crate) fn profile_index_name(settings: &Settings) -> &str {
    let name = settings.optional("MILLRACE_PROFILE_INDEX_NAME");
    name.unwrap_or("employee-profiles")
}

/// What builds the graph of an index that is yet to be made.
fn engine(settings: &Settings) -> Result<Engine, SettingError> {
    let Some(name) = settings.optional("MILLRACE_OPENSEARCH_ENGINE") else {
        return Ok(Engine::default());
    };
    Engine::named(name).ok_or_else(|| SettingError::Invalid {
        name: "MILLRACE_OPENSEARCH_ENGINE",
        value: name.to_owned(),
        expected: "faiss or lucene",
    })
}

/// Whether the index that the settings name shows a write only after a while, and chooses ids itself: a collection of Serverless.
pub fn shows_late(settings: &Settings) -> bool {
    let endpoint = settings.optional("MILLRACE_OPENSEARCH_ENDPOINT");
    let is_there = settings.optional("MILLRACE_INDEX_DIRECTORY").is_some();
    !is_there && endpoint.is_some_and(is_serverless)
}

/// The index of points that the settings name.
pub fn points(settings: &Settings, clients: &Clients) -> Result<Arc<dyn PointIndex>, SetupError> {
    if let Some(folder) = settings.optional("MILLRACE_INDEX_DIRECTORY") {
        return Ok(Arc::new(ScanPoints::open(&points_folder(
            Path::new(folder),
            profile_index_name(settings),
        )?)?));
    }
    let endpoint = settings.required("MILLRACE_OPENSEARCH_ENDPOINT")?;
    let auth = Auth::for_endpoint(endpoint, &clients.config);
    Ok(Arc::new(points_at(settings, endpoint, auth)?))
}

/// Where in the folder of embedded indexes the points of this name are.
///
/// # Errors
/// When the name cannot be one of an index.
pub fn points_folder(folder: &Path, name: &str) -> Result<PathBuf, SettingError> {
    if !is_index_name(name) || name == "users" {
        return Err(SettingError::Invalid {
            name: "MILLRACE_PROFILE_INDEX_NAME",
            value: name.to_owned(),
            expected: "lower-case letters, digits, '-' and '_'",
        });
    }
    Ok(folder.join(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_a_collection_shows_late() {
        let late = |values: &[(&str, &str)]| {
            let settings = Settings::from_map(BTreeMap::new());
            let with =
                |settings: Settings, (name, value): &(&str, &str)| settings.with(name, *value);
            shows_late(&values.iter().fold(settings, with))
        };
        let collection = (
            "MILLRACE_OPENSEARCH_ENDPOINT",
            "https://a.us-east-1.aoss.amazonaws.com",
        );
        let domain = (
            "MILLRACE_OPENSEARCH_ENDPOINT",
            "https://a.us-east-1.es.amazonaws.com",
        );
        assert!(late(&[collection]));
        assert!(!late(&[domain]));
        assert!(!late(&[collection, ("MILLRACE_INDEX_DIRECTORY", "index")]));
        assert!(!late(&[]));
    }

    #[test]
    fn an_engine_that_is_none_is_refused() {
        let with = |name: &str| {
            let settings = Settings::from_map(BTreeMap::new());
            engine(&settings.with("MILLRACE_OPENSEARCH_ENGINE", name))
        };
        assert_eq!(with("lucene").unwrap(), Engine::Lucene);
        assert_eq!(with("").unwrap(), Engine::Faiss);
        assert!(with("nmslib").is_err());
    }

    #[tokio::test]
    async fn an_encoder_without_its_files_ends_the_start() {
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .build();
        let clients = Clients::new(&config, millrace_cloud::Addressing::VirtualHost);
        let settings = Settings::from_map(BTreeMap::new());
        let missing = settings.with("MILLRACE_EMBEDDER", "encoder:nowhere");
        let message = embedder(&missing, &clients).err().unwrap().to_string();
        assert!(
            message.contains("nowhere/sp.model; the encoder takes"),
            "{message}"
        );
    }

    #[test]
    fn the_folder_of_points_is_inside_the_folder_of_indexes() {
        let folder = Path::new("indexes");
        let inside = points_folder(folder, "employee-profiles").unwrap();
        assert_eq!(inside, folder.join("employee-profiles"));
        for wrong in ["", "..", "/tmp", "a/b", "users", "A"] {
            assert!(points_folder(folder, wrong).is_err(), "{wrong}");
        }
    }
}
