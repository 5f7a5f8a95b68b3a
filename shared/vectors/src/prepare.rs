//! Makes the indexes ready ahead of the workers that would make them at their first start: a step of a deployment.
//!
//! A collection that was just created is waited for, and so is a domain that does not answer yet, and a policy that does not let anybody in yet. All of
//! it may be done again: what is there and fits stays.

use std::{future::Future, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_opensearchserverless::{
    Client,
    types::{CollectionDetail, CollectionStatus},
};
use millrace_cloud::{Clients, Settings, classify};
use millrace_events::{Failure, reason};
use tokio::time::Instant;

use crate::{
    embedder::Embedder,
    index::VectorIndex,
    opensearch::{Auth, Service},
    points::PointIndex,
    settings::{self, SetupError},
};

/// Where indexes are to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Searched {
    /// In a collection of Serverless of this name.
    Collection(String),
    /// At this address: a domain, a collection that is ready, a server of one's own.
    Endpoint(String),
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// For all of it.
    pub whole: Duration,
    /// For being let in. A policy takes effect about a minute after it was written.
    pub denied: Duration,
    /// Between two looks.
    pub pause: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            whole: Duration::from_secs(600),
            denied: Duration::from_secs(120),
            pause: Duration::from_secs(5),
        }
    }
}

/// Indexes that are ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Where they are.
    pub endpoint: String,
    /// Their names: of chunks, of profiles.
    pub indexes: [String; 2],
}

/// Waits until the service answers, then makes the index of chunks and that of profiles, or checks that they fit the embedder. `told` hears what is
/// waited for.
///
/// # Errors
/// `resource-missing` when there is no such collection; `index-unavailable` when it failed, is being deleted, or nothing answers in time; `access-denied`
/// when a policy goes on denying; `model-mismatch` when an index is another embedder's.
pub async fn prepare(
    settings: &Settings,
    clients: &Clients,
    searched: &Searched,
    embedder: &dyn Embedder,
    waits: Waits,
    told: &(dyn Fn(&Failure) + Sync),
) -> Result<Prepared, SetupError> {
    let patience = Patience::new(waits, told);
    let (endpoint, auth) = match searched {
        Searched::Endpoint(endpoint) => {
            let auth = Auth::for_endpoint(endpoint, &clients.config);
            (endpoint.clone(), auth)
        }
        Searched::Collection(name) => {
            let client = Client::new(&clients.config);
            let endpoint = patience
                .until_ready(|| collection_endpoint(&client, name))
                .await?;
            (endpoint, signed(&clients.config))
        }
    };
    let chunks = settings::chunks_at(settings, &endpoint, auth.clone())?;
    let points = settings::points_at(settings, &endpoint, auth)?;
    let (model, dimensions) = (embedder.model(), embedder.dimensions());
    patience
        .until_ready(|| chunks.check(model, dimensions))
        .await?;
    patience
        .until_ready(|| points.check(model, dimensions))
        .await?;
    Ok(Prepared {
        endpoint,
        indexes: [
            settings::index_name(settings),
            settings::profile_index_name(settings),
        ]
        .map(str::to_owned),
    })
}

fn signed(config: &SdkConfig) -> Auth {
    Auth::SigV4 {
        config: Box::new(config.clone()),
        service: Service::Serverless,
    }
}

/// The address of a collection that is ready; transient: it is on its way.
async fn collection_endpoint(client: &Client, name: &str) -> Result<String, Failure> {
    let asked = client.batch_get_collection().names(name).send().await;
    let answer =
        asked.map_err(|error| classify(&format!("look up the collection {name}"), error))?;
    match answer.collection_details().first() {
        Some(details) => ready(name, details),
        None => {
            let message = format!(
                "there is no collection {name}: look at AWS_REGION and at the account, and whether infra/template.yaml is deployed there with Search=serverless"
            );
            Err(Failure::permanent(reason::RESOURCE_MISSING, message))
        }
    }
}

fn ready(name: &str, details: &CollectionDetail) -> Result<String, Failure> {
    let status = details.status();
    let word = status.map_or("unknown", CollectionStatus::as_str);
    let message = format!("the collection {name} is not ready: its status is {word}");
    match (status, details.collection_endpoint()) {
        (Some(CollectionStatus::Active | CollectionStatus::Updating), Some(endpoint)) => {
            Ok(endpoint.to_owned())
        }
        (Some(CollectionStatus::Failed | CollectionStatus::Deleting), _) => {
            let said = [details.failure_code(), details.failure_message()];
            let said: Vec<&str> = said.into_iter().flatten().collect();
            let message = match said.is_empty() {
                true => message,
                false => format!("{message} ({})", said.join(": ")),
            };
            Err(Failure::permanent(reason::INDEX_UNAVAILABLE, message))
        }
        _ => Err(Failure::transient(reason::INDEX_UNAVAILABLE, message)),
    }
}

/// Waits for what may come, for a time.
struct Patience<'a> {
    waits: Waits,
    begun: Instant,
    told: &'a (dyn Fn(&Failure) + Sync),
}

impl<'a> Patience<'a> {
    fn new(waits: Waits, told: &'a (dyn Fn(&Failure) + Sync)) -> Self {
        Self {
            waits,
            begun: Instant::now(),
            told,
        }
    }

    async fn until_ready<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let mut denied_since: Option<Instant> = None;
        let mut last = String::new();
        loop {
            let failure = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if failure.reason() == reason::ACCESS_DENIED {
                let since = denied_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= self.waits.denied {
                    return Err(failure);
                }
            } else {
                denied_since = None;
            }
            if !failure.is_transient() || self.begun.elapsed() >= self.waits.whole {
                return Err(failure);
            }
            // Once for each kind of waiting.
            if failure.message() != last {
                (self.told)(&failure);
                failure.message().clone_into(&mut last);
            }
            tokio::time::sleep(self.waits.pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_collection_is_ready_on_its_way_or_lost() {
        let with = |status: &str| {
            let details = CollectionDetail::builder().status(CollectionStatus::from(status));
            details.collection_endpoint("https://a").build()
        };
        assert_eq!(ready("c", &with("ACTIVE")).unwrap(), "https://a");
        assert_eq!(ready("c", &with("UPDATING")).unwrap(), "https://a");
        for (status, is_transient) in [("CREATING", true), ("FAILED", false), ("DELETING", false)] {
            let failure = ready("c", &with(status)).unwrap_err();
            assert_eq!(failure.is_transient(), is_transient, "{status}");
            assert_eq!(failure.reason(), reason::INDEX_UNAVAILABLE);
            assert!(failure.message().contains(status), "{failure}");
        }
        let details = CollectionDetail::builder().status(CollectionStatus::Failed);
        let details = details.failure_code("KMS").failure_message("no such key");
        let failure = ready("c", &details.build()).unwrap_err();
        assert!(
            failure.message().ends_with("FAILED (KMS: no such key)"),
            "{failure}"
        );
    }

    async fn asked(failure: Failure, waits: Waits) -> (usize, usize) {
        let (asked, heard) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let told = |_: &Failure| {
            heard.fetch_add(1, Ordering::Relaxed);
        };
        let patience = Patience::new(waits, &told);
        let answer: Result<(), _> = patience
            .until_ready(|| {
                asked.fetch_add(1, Ordering::Relaxed);
                let again = match failure.is_transient() {
                    true => Failure::transient(failure.reason(), failure.message()),
                    false => Failure::permanent(failure.reason(), failure.message()),
                };
                async move { Err(again) }
            })
            .await;
        assert_eq!(answer.unwrap_err().reason(), failure.reason());
        (asked.into_inner(), heard.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_come_is_waited_for_and_told_once() {
        let waits = Waits::default();
        let coming = Failure::transient(reason::INDEX_UNAVAILABLE, "CREATING");
        assert_eq!(asked(coming, waits).await, (121, 1));
        let denied = Failure::transient(reason::ACCESS_DENIED, "403");
        assert_eq!(asked(denied, waits).await, (25, 1));
        let lost = Failure::permanent(reason::INDEX_UNAVAILABLE, "FAILED");
        assert_eq!(asked(lost, waits).await, (1, 0));
    }
}
