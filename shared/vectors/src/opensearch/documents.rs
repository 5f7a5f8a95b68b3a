//! The index's JSON: mapping, documents, queries.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Engine;
use crate::{
    embedding::ModelId,
    index::{Entry, Hit},
};

/// Edges a node of the graph keeps.
const HNSW_M: u32 = 24;
/// Candidates looked at while the graph is built.
const EF_CONSTRUCTION: u32 = 128;
/// Candidates looked at while it is searched.
const EF_SEARCH: u32 = 100;
/// The same, for the engine that looks at as many as it is asked for and knows no such setting: `lucene`.
pub(super) const CANDIDATES: usize = EF_SEARCH as usize;
/// Whoever waits for an index's own refresh waits no longer than this.
const LONGEST_REFRESH_MILLISECONDS: u64 = 5_000;

/// Settings and mapping of a new index.
pub(super) fn definition(model: &ModelId, dimensions: usize, engine: Engine) -> Value {
    json!({
        "settings": {"index": {"knn": true, "knn.algo_param.ef_search": EF_SEARCH}},
        "mappings": {
            "_meta": {"model": model.as_str(), "dimensions": dimensions},
            "properties": {
                "chunkId": {"type": "keyword"},
                "documentId": {"type": "keyword"},
                "userId": {"type": "keyword"},
                "generation": {"type": "keyword"},
                "content": {"type": "text", "analyzer": "standard"},
                "embedding": {
                    "type": "knn_vector",
                    "dimension": dimensions,
                    "method": hnsw(engine),
                },
                "metadata": {
                    "properties": {
                        "fileName": {"type": "keyword"},
                        "fileType": {"type": "keyword"},
                        "pageNumber": {"type": "integer"},
                        "pageEnd": {"type": "integer"},
                        "section": {"type": "text"},
                        "wordCount": {"type": "integer"},
                        "tags": {"type": "keyword"},
                        "chunkIndex": {"type": "integer"},
                    },
                },
                "createdAt": {"type": "date", "format": "strict_date_optional_time"},
            },
        },
    })
}

/// How the graph is built.
pub(super) fn hnsw(engine: Engine) -> Value {
    json!({
        "name": "hnsw",
        "space_type": "cosinesimil",
        "engine": engine.name(),
        "parameters": {"m": HNSW_M, "ef_construction": EF_CONSTRUCTION},
    })
}

/// What is added to an index that another part of the platform made and nothing is in yet.
pub(super) fn adoption(model: &ModelId, dimensions: usize) -> Value {
    json!({
        "_meta": {"model": model.as_str(), "dimensions": dimensions},
        "properties": {
            "generation": {"type": "keyword"},
            "metadata": {"properties": {"chunkIndex": {"type": "integer"}}},
        },
    })
}

/// What an index's mapping says of its vectors.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// `None` when `embedding` is not a field of vectors.
    pub(super) dimensions: Option<u64>,
    /// `None` when the index does not say.
    pub(super) model: Option<String>,
}

impl Kept {
    /// From the answer to `GET /{index}/_mapping`, whose one key is the index's real name.
    pub(super) fn from_mapping(answer: &Value) -> Self {
        let mappings = answer
            .as_object()
            .and_then(|indexes| indexes.values().next())
            .map(|index| &index["mappings"]);
        let of = |pointer: &str| mappings.and_then(|mappings| mappings.pointer(pointer));
        Self {
            dimensions: of("/properties/embedding/dimension").and_then(Value::as_u64),
            model: of("/_meta/model")
                .and_then(Value::as_str)
                .map(str::to_owned),
        }
    }
}

/// Whether an index shows by itself what is written, and soon; from the answer to `GET /{index}`. Who says nothing means every second;
/// -1 means never.
pub(super) fn refreshes_soon(answer: &Value) -> bool {
    let indexes = answer.as_object();
    let index = indexes.and_then(|indexes| indexes.values().next());
    let interval = index.and_then(|index| index.pointer("/settings/index/refresh_interval"));
    let Some(interval) = interval else {
        return index.is_some();
    };
    let interval = interval.as_str().unwrap_or_default();
    let number = |unit: &str| interval.strip_suffix(unit)?.parse::<u64>().ok();
    let milliseconds = number("ms").or_else(|| number("s")?.checked_mul(1_000));
    milliseconds.is_some_and(|milliseconds| milliseconds <= LONGEST_REFRESH_MILLISECONDS)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    chunk_id: String,
    document_id: String,
    user_id: String,
    #[serde(default)]
    generation: String,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    created_at: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    file_name: String,
    file_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_end: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<String>,
    word_count: u32,
    tags: Vec<String>,
    chunk_index: u32,
}

/// The document of an entry.
pub(super) fn document(entry: &Entry) -> serde_json::Result<String> {
    serde_json::to_string(&Source {
        chunk_id: entry.chunk_id.clone(),
        document_id: entry.document_id.clone(),
        user_id: entry.user_id.clone(),
        generation: entry.generation.clone(),
        content: entry.content.clone(),
        embedding: Some(entry.embedding.values().to_vec()),
        metadata: Metadata {
            file_name: entry.file_name.clone(),
            file_type: entry.file_type.clone(),
            page_number: entry.page_number,
            page_end: entry.page_end,
            section: entry.section.clone(),
            word_count: entry.word_count,
            tags: entry.tags.clone(),
            chunk_index: entry.chunk_index,
        },
        created_at: entry.created_at.clone(),
    })
}

/// The hits in the answer to a search.
pub(super) fn hits(answer: &mut Value) -> serde_json::Result<Vec<Hit>> {
    hits_of(answer).iter_mut().map(hit).collect()
}

/// The array of hits in an answer; empty when there is none.
pub(super) fn hits_of(answer: &mut Value) -> Vec<Value> {
    match answer.pointer_mut("/hits/hits").map(Value::take) {
        Some(Value::Array(hits)) => hits,
        _ => Vec::new(),
    }
}

fn hit(found: &mut Value) -> serde_json::Result<Hit> {
    let score = found["_score"].as_f64().unwrap_or_default();
    let source: Source = serde_json::from_value(found["_source"].take())?;
    Ok(Hit {
        score: cosine(score),
        chunk_id: source.chunk_id,
        user_id: source.user_id,
        document_id: source.document_id,
        generation: source.generation,
        chunk_index: source.metadata.chunk_index,
        content: source.content,
        file_name: source.metadata.file_name,
        file_type: source.metadata.file_type,
        page_number: source.metadata.page_number,
        page_end: source.metadata.page_end,
        section: source.metadata.section,
        word_count: source.metadata.word_count,
        tags: source.metadata.tags,
        created_at: source.created_at,
    })
}

/// OpenSearch's score for `cosinesimil` is (1 + cosine) / 2, so that it is never negative.
fn cosine(score: f64) -> f32 {
    (score * 2.0 - 1.0) as f32
}

/// The nearest of one user. The filter stands inside the vector query: it is applied while the graph is
/// walked, not to what the walk brought back.
pub(super) fn nearest(user_id: &str, vector: &[f32], k: usize, size: usize) -> Value {
    json!({
        "size": size,
        "_source": {"excludes": ["embedding"]},
        "query": {"knn": {"embedding": {"vector": vector, "k": k, "filter": {"term": {"userId": user_id}}}}},
    })
}

/// Which generations of a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Generations<'a> {
    All,
    Before(&'a str),
    Through(&'a str),
}

/// A document's entries.
pub(super) fn entries_of(user_id: &str, document_id: &str, generations: Generations<'_>) -> Value {
    let mut filter = vec![
        json!({"term": {"userId": user_id}}),
        json!({"term": {"documentId": document_id}}),
    ];
    match generations {
        Generations::All => {}
        Generations::Before(generation) => {
            filter.push(json!({"range": {"generation": {"lt": generation}}}))
        }
        Generations::Through(generation) => {
            filter.push(json!({"range": {"generation": {"lte": generation}}}))
        }
    }
    json!({"bool": {"filter": filter}})
}

/// One user's entries of these chunk ids.
pub(super) fn chunks(user_id: &str, chunk_ids: &[&str]) -> Value {
    json!({"bool": {"filter": [{"term": {"userId": user_id}}, {"terms": {"chunkId": chunk_ids}}]}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_mapping_says() {
        let definition = definition(&ModelId::new("m-1"), 8, Engine::Lucene);
        let answer = json!({"document-chunks-000001": definition});
        assert_eq!(
            Kept::from_mapping(&answer),
            Kept {
                dimensions: Some(8),
                model: Some("m-1".to_owned())
            }
        );
        let foreign = json!({"x": {"mappings": {"properties": {"embedding": {"type": "float"}}}}});
        assert_eq!(
            Kept::from_mapping(&foreign),
            Kept {
                dimensions: None,
                model: None
            }
        );
    }

    #[test]
    fn an_index_that_refreshes_late_or_never_is_not_waited_for() {
        let index =
            |settings: Value| json!({"document-chunks-000001": {"settings": {"index": settings}}});
        assert!(refreshes_soon(&index(json!({"knn": "true"}))));
        for (interval, is_soon) in [
            ("1s", true),
            ("500ms", true),
            ("5s", true),
            ("30s", false),
            ("1m", false),
            ("-1", false),
        ] {
            let settings = json!({"refresh_interval": interval});
            assert_eq!(refreshes_soon(&index(settings)), is_soon, "{interval}");
        }
        assert!(!refreshes_soon(&json!({})));
    }

    #[test]
    fn the_user_is_inside_the_vector_query() {
        let query = nearest("user-1", &[1.0], 3, 3);
        assert_eq!(
            query.pointer("/query/knn/embedding/filter/term/userId"),
            Some(&json!("user-1"))
        );
    }
}
