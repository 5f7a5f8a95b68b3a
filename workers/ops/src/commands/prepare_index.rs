//! `millrace prepare-index`: the search indexes of a deployment, made ahead of the workers that need them.

use std::time::Duration;

use millrace_cloud::Clients;
use millrace_events::{Failure, reason};
use millrace_vectors::{
    prepare::{Searched, Waits, prepare},
    settings::{SetupError, embedder},
};
use serde::Serialize;

use crate::{
    cli::PrepareIndex,
    output::{Ended, Error, json, line, short},
    platform::settings_on_aws,
};

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Ready {
    index: String,
    endpoint: String,
    model: String,
    dimensions: usize,
}

pub(crate) async fn run(asked: PrepareIndex) -> Result<Ended, Error> {
    let settings = settings_on_aws()?;
    let clients = Clients::from_environment().await;
    let embedder = embedder(&settings, &clients).map_err(failed)?;
    let endpoint = settings.optional("MILLRACE_OPENSEARCH_ENDPOINT");
    let searched = match (asked.collection, endpoint) {
        (Some(name), _) => Searched::Collection(name),
        (None, Some(endpoint)) => Searched::Endpoint(endpoint.to_owned()),
        (None, None) => {
            let stage = settings.optional("MILLRACE_ENVIRONMENT").unwrap_or("dev");
            Searched::Collection(format!("millrace-{stage}"))
        }
    };
    let waits = Waits {
        whole: Duration::from_secs(asked.wait),
        ..Waits::default()
    };
    let told = |failure: &Failure| {
        eprintln!(
            "waiting: {} [{}]",
            short(failure.message(), 200),
            failure.reason()
        );
    };
    let prepared = prepare(&settings, &clients, &searched, &*embedder, waits, &told).await;
    let prepared = prepared.map_err(failed)?;
    for index in prepared.indexes {
        let ready = Ready {
            index,
            endpoint: prepared.endpoint.clone(),
            model: embedder.model().to_string(),
            dimensions: embedder.dimensions(),
        };
        if asked.json {
            json(&ready);
        } else {
            line(&format!(
                "{} is ready at {}, for {} with {} dimensions",
                ready.index, ready.endpoint, ready.model, ready.dimensions
            ));
        }
    }
    Ok(Ended::Done)
}

fn failed(error: SetupError) -> Error {
    match error {
        SetupError::Setting(error) => Error::failed(error.to_string()),
        SetupError::Vectors(failure) if failure.reason() == reason::ACCESS_DENIED => {
            Error::failed(format!(
                "{} [{}]; whoever asks needs aoss:BatchGetCollection and aoss:APIAccessAll, and the collection's data access policy has to name them (parameter SearchPreparerArn); \
                 on a domain es:ESHttpGet and es:ESHttpPut",
                failure.chain(),
                failure.reason()
            ))
        }
        SetupError::Vectors(failure) => failure.into(),
    }
}
