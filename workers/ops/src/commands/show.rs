//! `millrace show`: one document with its row, artefacts and chunks.

use millrace_documents::{
    Document,
    artefacts::{ProcessedMetadata, generation_of},
};
use serde_json::{Value, json};

use crate::{
    cli::Show,
    output::{self, Ended, Error, line},
    platform::Platform,
};

pub(crate) async fn run(asked: Show) -> Result<Ended, Error> {
    let document = Document::parse(&asked.user, &asked.document)
        .map_err(|failure| Error::usage(failure.message()))?;
    let platform = Platform::open_existing(&asked.place.data).await?;
    let documents = platform.documents();
    if asked.text {
        let Some(text) = documents.bucket().get(&document.text()).await? else {
            return Err(Error::failed(format!(
                "there is no text of document {document}"
            )));
        };
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&text.bytes).and_then(|()| out.flush());
        return Ok(Ended::Done);
    }
    let shown = gather(&platform, &document).await?;
    if shown["row"].is_null() && shown["progress"].is_null() {
        return Err(Error::failed(format!(
            "there is no document {document} in {}",
            asked.place.data.display()
        )));
    }
    if asked.place.json {
        output::json(&shown);
        return Ok(Ended::Done);
    }
    for part in ["row", "progress"] {
        line(&format!("{part}:"));
        line(&serde_json::to_string_pretty(&shown[part]).unwrap_or_default());
    }
    line("artefacts:");
    for artefact in shown["artefacts"].as_array().into_iter().flatten() {
        let field = |name: &str| artefact[name].as_str().unwrap_or("-").to_owned();
        line(&format!(
            "  {:>9}  {}  generation {}",
            artefact["size"],
            field("key"),
            field("generation")
        ));
    }
    line("chunks:");
    for chunk in shown["chunks"].as_array().into_iter().flatten() {
        let place = chunk["metadata"]["pageNumber"]
            .as_u64()
            .map(|page| format!("page {page}"))
            .unwrap_or_default();
        let section = chunk["metadata"]["section"].as_str().unwrap_or_default();
        line(&format!(
            "  {:>4}  {:>7}–{:<7} {place:8} {}",
            chunk["chunkIndex"],
            chunk["startPosition"],
            chunk["endPosition"],
            output::short(section, 60)
        ));
    }
    Ok(Ended::Done)
}

async fn gather(platform: &Platform, document: &Document) -> Result<Value, Error> {
    let documents = platform.documents();
    let as_json = |row: Option<millrace_effects::Row>| -> Value {
        row.and_then(|row| serde_dynamo::from_item(row).ok())
            .unwrap_or(Value::Null)
    };
    let row = as_json(documents.progress().read_row(document).await?);
    let progress = documents.progress().read(document).await?;
    let mut artefacts = Vec::new();
    for folder in [document.folder(), document.processed_folder()] {
        for listed in documents.bucket().list(&folder).await? {
            let head = documents.bucket().head(&listed.key).await?;
            let generation = head.as_ref().and_then(generation_of).map(str::to_owned);
            artefacts.push(
                json!({"key": listed.key, "size": listed.size, "eTag": listed.e_tag, "generation": generation}),
            );
        }
    }
    let list = documents.bucket().get(&document.metadata()).await?;
    let list: Option<ProcessedMetadata> =
        list.and_then(|object| serde_json::from_slice(&object.bytes).ok());
    let chunks = list.map(|list| list.chunks).unwrap_or_default();
    let user = document.user.as_str();
    let indexed = documents
        .index()
        .document_chunks(user, document.id.as_str())
        .await?
        .len();
    Ok(json!({
        "row": row, "progress": progress, "artefacts": artefacts, "chunks": chunks, "indexedChunks": indexed,
    }))
}
