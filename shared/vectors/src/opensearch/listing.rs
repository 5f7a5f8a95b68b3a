//! Which documents there are, without their vectors.

use millrace_events::Failure;
use opensearch::http::Method;
use serde_json::{Value, json};

use super::{documents::hits_of, wire::Wire};

/// Documents on one page.
const PAGE: usize = 1000;

/// One document as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// The document's `_id`.
    pub(super) id: String,
    pub(super) chunk_id: String,
    pub(super) generation: String,
    pub(super) content: String,
}

/// Every document that a query finds, by chunk id and generation.
pub(super) async fn list(wire: &Wire, query: Value) -> Result<Vec<Listed>, Failure> {
    let mut listed: Vec<Listed> = Vec::new();
    let mut after: Option<Value> = None;
    loop {
        let mut body = json!({
            "size": PAGE,
            "_source": ["chunkId", "generation", "content"],
            "query": query,
            "sort": [{"chunkId": "asc"}, {"generation": "asc"}],
        });
        if let Some(after) = after.take() {
            body["search_after"] = after;
        }
        let text = Some(body.to_string());
        let mut answer = wire
            .ask_index("list chunks", Method::Post, "/_search", &[], text)
            .await?;
        let page = hits_of(&mut answer);
        let is_last = page.len() < PAGE;
        after = page.last().map(|hit| hit["sort"].clone());
        listed.extend(page.iter().map(one));
        if is_last {
            return Ok(listed);
        }
    }
}

fn one(hit: &Value) -> Listed {
    let text = |pointer: &str| {
        hit.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Listed {
        id: text("/_id"),
        chunk_id: text("/_source/chunkId"),
        generation: text("/_source/generation"),
        content: text("/_source/content"),
    }
}
