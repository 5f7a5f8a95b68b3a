//! The end state: everything durable that the promise speaks of.

use std::collections::BTreeMap;

use millrace_documents::Document;
use serde_json::{Value, json};

use crate::World;

/// Rows, objects, index entries and dead letters, in a form that compares. Times and counts of writing are left out.
#[derive(Debug, PartialEq)]
pub struct State {
    /// Rows by table and key.
    pub rows: BTreeMap<String, Value>,
    /// Objects by key: content, generation.
    pub objects: BTreeMap<String, (String, Option<String>)>,
    /// Chunk ids and generations in the index.
    pub entries: Vec<(String, String)>,
    /// Worker, reason code and subject of each distinct dead letter.
    pub letters: Vec<String>,
}

impl State {
    /// As it is now, as far as these documents are concerned.
    pub async fn of(world: &World, documents: &[&Document]) -> Self {
        let mut rows = BTreeMap::new();
        for table in [&world.names.documents_table, &world.names.progress_table] {
            let scan = world
                .services()
                .dynamo
                .call_json("Scan", &json!({"TableName": table}))
                .unwrap();
            for row in scan["Items"].as_array().unwrap() {
                let mut row = row.clone();
                for of_writing in ["updatedAt", "revision"] {
                    row.as_object_mut().unwrap().remove(of_writing);
                }
                rows.insert(
                    format!("{table}/{}/{}", row["userId"]["S"], row["documentId"]["S"]),
                    row,
                );
            }
        }
        let bucket = millrace_cloud::Bucket::new(world.clients.s3.clone(), &world.names.bucket);
        let mut objects = BTreeMap::new();
        for listed in bucket.list("").await.unwrap() {
            let object = bucket.get(&listed.key).await.unwrap().unwrap();
            let content = String::from_utf8_lossy(&object.bytes).into_owned();
            objects.insert(
                listed.key,
                (content, object.metadata.get("generation").cloned()),
            );
        }
        let mut entries = Vec::new();
        for document in documents {
            let found = world
                .documents
                .index()
                .document_chunks(document.user.as_str(), document.id.as_str())
                .await;
            entries.extend(found.unwrap());
        }
        let mut letters = Vec::new();
        for worker in millrace_documents::WORKERS {
            for letter in world.receive(&format!("{worker}-dlq")).await {
                let body = letter.event["Records"][0]["body"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                let body: Value = serde_json::from_str(&body).unwrap();
                letters.push(format!(
                    "{worker} {} {}",
                    body["reason"]["code"], body["subject"]
                ));
                world.put_back(&letter).await;
            }
        }
        letters.sort();
        letters.dedup();
        Self {
            rows,
            objects,
            entries,
            letters,
        }
    }
}
