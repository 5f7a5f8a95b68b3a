//! The platform on AWS: real queues, tables and buckets, with the usual AWS settings.
//!
//! Nothing is embedded here. Credentials, region, profile and endpoint come from where every AWS tool takes them
//! (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …); names come from the template, and what the environment says
//! in a `MILLRACE_…` variable goes before them.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use millrace_cloud::{Clients, Settings, classify};
use millrace_events::{Failure, reason};
use millrace_local::{FunctionConfig, names::queue_of_url};
use millrace_text::{Child, Extractor, Limits};
use millrace_vectors::{Embedding, Entry, Hit, ModelId, VectorIndex};
use tokio::sync::OnceCell;

use super::{OpenFailed, Platform, Standing, functions::template_with};

/// Each function has its own; one in the environment cannot be meant for all.
const OF_ONE_FUNCTION: [&str; 3] = [
    "MILLRACE_DEAD_LETTER_QUEUE_URL",
    "MILLRACE_QUEUE_URL",
    "MILLRACE_WORKER",
];

impl Platform {
    /// The platform that the usual AWS settings lead to. `data` is for what the command itself keeps.
    ///
    /// # Errors
    /// [`OpenFailed::Aws`] if a dead-letter queue of the template cannot be found: wrong account, wrong region, no
    /// credentials, or not deployed.
    pub async fn on_aws(data: &Path) -> Result<Self, OpenFailed> {
        let clients = Clients::from_environment().await;
        let environment = Settings::from_environment();
        let parameters: BTreeMap<String, String> = environment
            .optional("MILLRACE_ENVIRONMENT")
            .map(|name| ("Environment".to_owned(), name.to_owned()))
            .into_iter()
            .collect();
        let template = template_with(&parameters).map_err(OpenFailed::Aws)?;
        let mut functions: Vec<FunctionConfig> = template
            .functions
            .into_iter()
            .map(|function| function.config)
            .collect();
        for function in &mut functions {
            function.environment.extend(overrides());
            use_real_queue(function, &clients).await?;
        }
        let first = functions.first().map(|first| first.environment.clone());
        let index = LateIndex {
            settings: Settings::from_map(first.unwrap_or_default()),
            clients: clients.clone(),
            embedder: OnceCell::new(),
            made: OnceCell::new(),
            checked: OnceCell::new(),
        };
        let extractor = Extractor::new(Child::this_program(), Limits::default());
        let opened = Self::assemble(
            data.to_owned(),
            &functions,
            clients,
            Arc::new(index),
            extractor,
        );
        let mut platform = opened.await?;
        platform.standing = Standing::Aws;
        Ok(platform)
    }
}

/// What the environment says of settings that all functions share.
fn overrides() -> BTreeMap<String, String> {
    let said = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        let is_shared = name.starts_with("MILLRACE_") && !OF_ONE_FUNCTION.contains(&name.as_str());
        (is_shared && !value.is_empty()).then_some((name, value))
    });
    said.collect()
}

/// The template's URL is that of the embedded account.
async fn use_real_queue(
    function: &mut FunctionConfig,
    clients: &Clients,
) -> Result<(), OpenFailed> {
    let Some(url) = function
        .environment
        .get_mut("MILLRACE_DEAD_LETTER_QUEUE_URL")
    else {
        return Ok(());
    };
    let name = queue_of_url(url).to_owned();
    let answer = clients.sqs.get_queue_url().queue_name(&name).send().await;
    let answer = answer.map_err(|error| {
        let failure = classify(&format!("find the queue {name}"), error);
        OpenFailed::Aws(format!(
            "{}; look at the credentials, at AWS_PROFILE and at AWS_REGION, and whether infra/template.yaml is deployed there",
            failure.chain()
        ))
    })?;
    *url = answer.queue_url().unwrap_or_default().to_owned();
    Ok(())
}

/// The vector index, made when it is first needed: listing dead letters needs none, and an operator who only
/// lists them may have no right to it.
struct LateIndex {
    settings: Settings,
    clients: Clients,
    /// What it must fit.
    embedder: OnceCell<(ModelId, usize)>,
    made: OnceCell<Arc<dyn VectorIndex>>,
    checked: OnceCell<()>,
}

impl LateIndex {
    /// For what only reads: an index that is not there is not made.
    async fn reading(&self) -> Result<&Arc<dyn VectorIndex>, Failure> {
        let make = || async {
            let index = millrace_vectors::settings::index(&self.settings, &self.clients).map_err(|error| {
                Failure::transient(
                    reason::INDEX_UNAVAILABLE,
                    "the vector index is not set up here: name it with MILLRACE_OPENSEARCH_ENDPOINT, or replay with --via queue",
                )
                .caused_by(error)
            })?;
            if let Some((model, dimensions)) = self.embedder.get() {
                index.fits(model, *dimensions).await?;
            }
            Ok(index)
        };
        self.made.get_or_try_init(make).await
    }

    async fn writing(&self) -> Result<&Arc<dyn VectorIndex>, Failure> {
        let index = self.reading().await?;
        let check = || async {
            match self.embedder.get() {
                Some((model, dimensions)) => index.check(model, *dimensions).await,
                None => Ok(()),
            }
        };
        self.checked.get_or_try_init(check).await?;
        Ok(index)
    }
}

#[async_trait]
impl VectorIndex for LateIndex {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        // Kept until there is an index to ask.
        let _ = self.embedder.set((model.clone(), dimensions));
        Ok(())
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.check(model, dimensions).await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        self.writing().await?.put(entries).await
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        let index = self.writing().await?;
        index.remove_older(user_id, document_id, generation).await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        let index = self.writing().await?;
        index
            .remove_document(user_id, document_id, up_to_generation)
            .await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        self.reading().await?.search(user_id, query, k).await
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let index = self.reading().await?;
        index.document_chunks(user_id, document_id).await
    }
}
