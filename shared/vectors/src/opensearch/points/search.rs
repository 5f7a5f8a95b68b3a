//! Finding points: all that are near enough, and what is to be made of the service's scores.

use millrace_events::{Failure, reason};
use opensearch::http::Method;
use serde_json::{Value, json};

use super::{
    super::{documents::hits_of, wire::Wire},
    documents::passing,
};
use crate::{
    embedding::Embedding,
    points::{Filter, Found},
};

/// Documents on one page, and the most neighbours that a graph is asked for.
const PAGE: usize = 10_000;

/// Documents with their vectors in one answer: about 4 MB.
pub(super) const STATES_A_REQUEST: usize = 400;

/// How far the service's scores may be from ours. It sums up to three products of n numbers in 32 bits; each sum is off by
/// at most n · 2⁻²⁴ of its size, which is one: 2.8 · 10⁻⁴ together for 1,536 numbers.
const OFF: f64 = 5e-4;

/// What a search brought.
#[derive(Default)]
pub(super) struct Hits {
    pub(super) sure: Vec<Found>,
    /// Too near to the bound to tell.
    pub(super) unsure: Vec<Found>,
}

/// Every point that passes and is near enough, or perhaps so.
///
/// The score of each document that passes is computed by a script, so none is left out. It is made of the inner product, which is the
/// cosine since vectors are of length one: what the script makes of cosines differs between versions of OpenSearch. Pages follow each other by id, which
/// a point never changes: one that is there all the time is on one of them, whatever is written meanwhile.
pub(super) async fn all_near(
    wire: &Wire,
    query: &Embedding,
    filter: &Filter,
    at_least: f32,
) -> Result<Hits, Failure> {
    let mut hits = Hits::default();
    let min_score = score_of_product(f64::from(at_least) - OFF);
    let mut body = json!({
        "size": PAGE,
        "_source": false,
        "version": true,
        "track_scores": true,
        "track_total_hits": false,
        "sort": [{"id": "asc"}],
        "query": {"script_score": {
            "query": passing(filter),
            "min_score": min_score,
            "script": {"source": "knn_score", "lang": "knn", "params": {
                "field": "embedding",
                "query_value": query.values(),
                "space_type": "innerproduct",
            }},
        }},
    });
    loop {
        let mut answer = ask(wire, &body).await?;
        let page = hits_of(&mut answer);
        for hit in &page {
            let score = product_of_score(hit["_score"].as_f64().unwrap_or_default());
            if let (Some(id), Some(revision)) = (hit["_id"].as_str(), hit["_version"].as_u64()) {
                hits.unsure.push(found(id, revision, score));
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => body["search_after"] = last["sort"].clone(),
            _ => return Ok(hits),
        }
    }
}

/// What the script makes of an inner product, so that it is never negative.
fn score_of_product(product: f64) -> f64 {
    if product >= 0.0 {
        1.0 + product
    } else {
        1.0 / (1.0 - product)
    }
}

fn product_of_score(score: f64) -> f64 {
    if score >= 1.0 {
        score - 1.0
    } else {
        1.0 - 1.0 / score.max(f64::MIN_POSITIVE)
    }
}

/// The nearest points that pass, as the graph finds them.
pub(super) async fn nearest(
    wire: &Wire,
    query: &Embedding,
    filter: &Filter,
) -> Result<Hits, Failure> {
    let body = json!({
        "size": PAGE,
        "_source": ["id", "revision"],
        "query": {"knn": {"embedding": {"vector": query.values(), "k": PAGE, "filter": passing(filter)}}},
    });
    let mut answer = ask(wire, &body).await?;
    let mut hits = Hits::default();
    for hit in &hits_of(&mut answer) {
        let source = &hit["_source"];
        // A graph's score for `cosinesimil` is (1 + cosine) / 2.
        let score = hit["_score"].as_f64().unwrap_or_default() * 2.0 - 1.0;
        if let (Some(id), Some(revision)) = (source["id"].as_str(), source["revision"].as_u64()) {
            hits.unsure.push(found(id, revision, score));
        }
    }
    Ok(hits)
}

fn found(id: &str, revision: u64, score: f64) -> Found {
    Found {
        id: id.to_owned(),
        revision,
        score: score.clamp(-1.0, 1.0) as f32,
    }
}

/// A search whose answer is whole: one of some shards only would leave points out.
async fn ask(wire: &Wire, body: &Value) -> Result<Value, Failure> {
    let parameters = [("allow_partial_search_results", "false")];
    let body = Some(body.to_string());
    let answer = wire
        .ask_index("search points", Method::Post, "/_search", &parameters, body)
        .await?;
    let failed = answer["_shards"]["failed"].as_u64().unwrap_or_default();
    if failed > 0 || answer["timed_out"].as_bool() == Some(true) {
        let message = format!("could not search all of {}", wire.index());
        return Err(Failure::transient(reason::INDEX_UNAVAILABLE, message));
    }
    Ok(answer)
}

/// Parts what is near enough for sure, or not near enough for sure, from the rest.
pub(super) fn keep_sure(hits: &mut Hits, at_least: f32) {
    let at_least = f64::from(at_least);
    let all = std::mem::take(&mut hits.unsure);
    for found in all {
        let score = f64::from(found.score);
        if score >= at_least + OFF {
            hits.sure.push(found);
        } else if score >= at_least - OFF {
            hits.unsure.push(found);
        }
    }
}

/// The cosine in double precision; `None` when the dimensions differ.
pub(super) fn exact(left: &Embedding, right: &Embedding) -> Option<f64> {
    let (left, right) = (left.values(), right.values());
    let pairs = left.iter().zip(right);
    let dot: f64 = pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    (left.len() == right.len()).then_some(dot.clamp(-1.0, 1.0))
}
