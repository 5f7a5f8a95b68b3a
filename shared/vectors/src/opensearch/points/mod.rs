//! Points in OpenSearch.
//!
//! On a domain, a document's `_id` is its point's id and its version is the point's revision, kept apart from the order in which
//! writes come: OpenSearch refuses an older one. What is taken out stays as a document without a vector. A search computes the
//! score of every document that the filter lets through; nobody is left out.
//!
//! A Serverless vector collection knows neither ids nor versions of its users, nor scripts: see [`serverless`].

mod documents;
mod search;
mod serverless;

use async_trait::async_trait;
use millrace_events::{Failure, reason};
use opensearch::http::Method;
use serde_json::{Value, json};

use super::{Auth, Engine, OpenSearchIndex, Service, bulk};
use crate::{
    embedding::{Embedding, ModelId},
    points::{Filter, Found, Point, PointIndex},
};

use documents::State;

/// An index of points in OpenSearch.
#[derive(Debug, Clone)]
pub struct OpenSearchPoints {
    index: OpenSearchIndex,
}

impl OpenSearchPoints {
    /// The index of that name at an endpoint. Nothing is asked yet.
    pub fn new(endpoint: &str, auth: Auth, index: &str) -> Result<Self, Failure> {
        let index = OpenSearchIndex::new(endpoint, auth, index)?;
        Ok(Self { index })
    }

    /// With another engine for an index that is yet to be made.
    #[must_use]
    pub fn with_engine(self, engine: Engine) -> Self {
        Self {
            index: self.index.with_engine(engine),
        }
    }

    /// As a domain or as a collection, where the endpoint's host does not tell: behind a proxy.
    #[must_use]
    pub fn with_service(self, service: Service) -> Self {
        Self {
            index: self.index.with_service(service),
        }
    }

    fn is_serverless(&self) -> bool {
        self.index.service == Service::Serverless
    }

    async fn write(&self, states: Vec<State>) -> Result<(), Failure> {
        if states.is_empty() {
            return Ok(());
        }
        for state in &states {
            state.check()?;
        }
        // A bulk request to an index that is gone would make one without vectors.
        self.index.must_be_there("points").await?;
        let wire = &self.index.wire;
        if self.is_serverless() {
            return serverless::write(wire, states).await;
        }
        let mut requests = bulk::Requests::default();
        for state in &states {
            let action = json!({"index": {
                "_id": state.id(),
                "version": state.revision(),
                "version_type": "external_gte",
            }});
            requests.add(&action, Some(&state.to_document()?));
        }
        for request in requests.all() {
            // What is refused for its version is older than what is there.
            bulk::send(wire, "put points", request, bulk::Conflicts::Fine).await?;
        }
        bulk::refresh(wire).await
    }

    /// The newest states of these ids; on a domain as they are, on a collection as far as they can be seen.
    async fn states(&self, ids: &[&str]) -> Result<Vec<State>, Failure> {
        let wire = &self.index.wire;
        if self.is_serverless() {
            return serverless::newest(wire, ids).await;
        }
        let mut states = Vec::new();
        for ids in ids.chunks(search::STATES_A_REQUEST) {
            let body = json!({"docs": ids.iter().map(|id| json!({
                "_id": id, "_source": {"excludes": ["embedding"]},
            })).collect::<Vec<Value>>()});
            let mut answer = wire
                .ask_index(
                    "get points",
                    Method::Post,
                    "/_mget",
                    &[],
                    Some(body.to_string()),
                )
                .await?;
            let documents = match answer["docs"].take() {
                Value::Array(documents) => documents,
                _ => Vec::new(),
            };
            for mut document in documents {
                if document["found"].as_bool() == Some(true) {
                    let state = State::from_source(document["_source"].take());
                    states.push(state.ok_or_else(|| self.unreadable())?);
                } else if !document["error"].is_null() {
                    let message = format!(
                        "could not get points of {}: {}",
                        wire.index(),
                        document["error"]["reason"]
                    );
                    return Err(Failure::transient(reason::INDEX_UNAVAILABLE, message));
                }
            }
        }
        Ok(states)
    }

    fn unreadable(&self) -> Failure {
        let message = format!(
            "the index {} has a document that is no point",
            self.index.wire.index()
        );
        Failure::permanent(reason::INDEX_REJECTED, message)
    }
}

#[async_trait]
impl PointIndex for OpenSearchPoints {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        let definition = documents::definition(model, dimensions, self.index.engine);
        let adoption = documents::adoption(model, dimensions);
        self.index
            .check_with(model, dimensions, &definition, &adoption)
            .await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.index.fits_model(model, dimensions).await
    }

    async fn put(&self, points: &[Point]) -> Result<(), Failure> {
        for point in points {
            point.check()?;
        }
        let states = points
            .iter()
            .cloned()
            .map(|point| State::Present(Box::new(point)));
        self.write(states.collect()).await
    }

    async fn remove(&self, id: &str, revision: u64) -> Result<(), Failure> {
        let id = id.to_owned();
        self.write(vec![State::Removed { id, revision }]).await
    }

    /// On a collection, at most 10,000 are found, and the graph may miss some: see the README.
    async fn within(
        &self,
        query: &Embedding,
        filter: &Filter,
        at_least: f32,
    ) -> Result<Vec<Found>, Failure> {
        let mut hits = if self.is_serverless() {
            search::nearest(&self.index.wire, query, filter).await?
        } else {
            search::all_near(&self.index.wire, query, filter, at_least).await?
        };
        search::keep_sure(&mut hits, at_least);
        // Where the service's arithmetic cannot tell, ours does.
        let unsure: Vec<&str> = hits.unsure.iter().map(|found| found.id.as_str()).collect();
        for state in self.states(&unsure).await? {
            if let State::Present(point) = state
                && filter.passes(&point.fields)
                && let Some(score) = search::exact(&point.embedding, query)
                && score >= f64::from(at_least)
            {
                hits.sure.push(Found {
                    id: point.id,
                    revision: point.revision,
                    score: score as f32,
                });
            }
        }
        crate::points::sort_found(&mut hits.sure);
        Ok(hits.sure)
    }

    async fn get(&self, id: &str) -> Result<Option<Point>, Failure> {
        Ok(match self.states(&[id]).await?.pop() {
            Some(State::Present(point)) => Some(*point),
            Some(State::Removed { .. }) | None => None,
        })
    }
}
