//! What is different on a vector collection of OpenSearch Serverless.
//!
//! The service chooses `_id` itself, knows neither `_refresh` nor delete-by-query, and shows a write only
//! after some seconds. So an entry is known by its fields: what is there already is not written
//! again, what was written is waited for, and of twins that two attempts wrote, all but one are removed.

use std::{collections::HashMap, time::Duration};

use millrace_events::{Failure, reason};
use opensearch::http::Method;
use serde_json::{Value, json};

use super::{
    bulk,
    documents::{chunks, hits_of},
    wire::Wire,
};
use crate::index::Entry;

/// Documents on one page of a listing.
const PAGE: usize = 1000;

/// How long a write may take to be seen; the service says a minute at most.
const VISIBLE_WITHIN: Duration = Duration::from_secs(75);
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// One document as a listing shows it.
pub(super) struct Listed {
    id: String,
    pub(super) chunk_id: String,
    pub(super) generation: String,
}

/// Every document that a query finds, by chunk id.
pub(super) async fn list(wire: &Wire, query: Value) -> Result<Vec<Listed>, Failure> {
    let mut listed: Vec<Listed> = Vec::new();
    let mut after: Option<Value> = None;
    loop {
        let mut body = json!({
            "size": PAGE,
            "_source": ["chunkId", "generation"],
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
        listed.extend(page.iter().map(|hit| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let source = &hit["_source"];
            Listed {
                id: text(&hit["_id"]),
                chunk_id: text(&source["chunkId"]),
                generation: text(&source["generation"]),
            }
        }));
        if is_last {
            return Ok(listed);
        }
    }
}

/// Puts entries in by their fields; they are visible, once each, when this returns.
pub(super) async fn put(wire: &Wire, entries: &[Entry]) -> Result<(), Failure> {
    let mut by_user: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        by_user.entry(&entry.user_id).or_default().push(entry);
    }
    for (user_id, entries) in by_user {
        let ids: Vec<&str> = entries
            .iter()
            .map(|entry| entry.chunk_id.as_str())
            .collect();
        let there = list(wire, chunks(user_id, &ids)).await?;
        let is_there = |entry: &Entry| {
            let same = |listed: &Listed| {
                listed.chunk_id == entry.chunk_id && listed.generation == entry.generation
            };
            there.iter().any(same)
        };
        let missing: Vec<&Entry> = entries
            .iter()
            .copied()
            .filter(|entry| !is_there(entry))
            .collect();
        bulk::put(wire, &missing, bulk::Naming::ByService).await?;
        let seen = wait_until_seen(wire, user_id, &entries).await?;
        bulk::delete(wire, &superfluous(seen, &entries)).await?;
    }
    Ok(())
}

async fn wait_until_seen(
    wire: &Wire,
    user_id: &str,
    entries: &[&Entry],
) -> Result<Vec<Listed>, Failure> {
    let ids: Vec<&str> = entries
        .iter()
        .map(|entry| entry.chunk_id.as_str())
        .collect();
    let mut waited = Duration::ZERO;
    loop {
        let seen = list(wire, chunks(user_id, &ids)).await?;
        let is_seen = |entry: &&Entry| {
            seen.iter().any(|listed| {
                listed.chunk_id == entry.chunk_id && listed.generation == entry.generation
            })
        };
        if entries.iter().all(is_seen) {
            return Ok(seen);
        }
        if waited >= VISIBLE_WITHIN {
            let message = format!(
                "chunks put into {} cannot be found after {waited:?}",
                wire.index()
            );
            return Err(Failure::transient(reason::INDEX_UNAVAILABLE, message));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        waited += LOOK_AGAIN_AFTER;
    }
}

/// Of every chunk, all but the one of the wanted generation whose `_id` is the lowest: two attempts at the
/// same time choose the same one.
fn superfluous(mut seen: Vec<Listed>, entries: &[&Entry]) -> Vec<String> {
    let wanted: HashMap<&str, &str> = entries
        .iter()
        .map(|entry| (entry.chunk_id.as_str(), entry.generation.as_str()))
        .collect();
    seen.sort_by(|left, right| left.id.cmp(&right.id));
    let mut kept: Vec<String> = Vec::new();
    let mut superfluous = Vec::new();
    for listed in seen {
        let is_wanted = wanted.get(listed.chunk_id.as_str()) == Some(&listed.generation.as_str());
        if is_wanted && !kept.contains(&listed.chunk_id) {
            kept.push(listed.chunk_id);
        } else {
            superfluous.push(listed.id);
        }
    }
    superfluous
}

/// Removes what a query finds.
pub(super) async fn remove(wire: &Wire, query: Value) -> Result<u64, Failure> {
    let ids: Vec<String> = list(wire, query)
        .await?
        .into_iter()
        .map(|listed| listed.id)
        .collect();
    bulk::delete(wire, &ids).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::embedding::Embedding;

    fn entry(chunk_id: &str, generation: &str) -> Entry {
        Entry {
            chunk_id: chunk_id.to_owned(),
            user_id: "u".to_owned(),
            document_id: "d".to_owned(),
            generation: generation.to_owned(),
            chunk_index: 0,
            content: String::new(),
            embedding: Embedding::try_new(vec![1.0], 1).unwrap(),
            file_name: String::new(),
            file_type: String::new(),
            page_number: None,
            section: None,
            word_count: 0,
            tags: Vec::new(),
            created_at: String::new(),
        }
    }

    fn listed(id: &str, chunk_id: &str, generation: &str) -> Listed {
        Listed {
            id: id.to_owned(),
            chunk_id: chunk_id.to_owned(),
            generation: generation.to_owned(),
        }
    }

    #[test]
    fn of_twins_the_lowest_id_stays() {
        let seen = vec![
            listed("z", "a", "2"),
            listed("m", "a", "2"),
            listed("b", "a", "1"),
            listed("c", "b", "2"),
        ];
        let (a, b) = (entry("a", "2"), entry("b", "2"));
        assert_eq!(superfluous(seen, &[&a, &b]), ["b", "z"]);
    }
}
