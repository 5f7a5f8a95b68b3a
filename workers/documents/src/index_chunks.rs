//! `index-chunks`: the vectors are there; the chunks go into the index, the new generation before the old one leaves.

use millrace_delivery::{Cx, Worker};
use millrace_events::{Failure, ObjectChange, ObjectChangeKind, Outcome, mutation, reason};
use millrace_vectors::Entry;

use crate::{
    artefacts::{Embeddings, parse},
    context::Documents,
    embed_chunks::{Chunked, embedded_document},
    keys::Document,
    progress::Step,
    reconcile_index::reconcile_later,
    tidy::{advance_or_settle, already, say_error_of, settle},
};

/// Entries in one request to the index.
const AT_ONCE: usize = 200;

/// Listens to `embeddings.json`; writes the index, then the row becomes `ready`.
#[derive(Clone)]
pub struct IndexChunks(pub Documents);

impl Worker for IndexChunks {
    const NAME: &'static str = "index-chunks";
    type Event = ObjectChange;

    async fn handle(&self, change: ObjectChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if change.kind != ObjectChangeKind::Created {
            return Ok(Outcome::Ignored("the object was removed"));
        }
        let Some(document) = embedded_document(&change.key)? else {
            return Ok(Outcome::Ignored("not embeddings"));
        };
        let outcome = index(documents, &document).await?;
        reconcile_later(documents, &document).await?;
        Ok(outcome)
    }

    async fn give_up(
        &self,
        change: ObjectChange,
        failure: &Failure,
        _cx: &Cx,
    ) -> Result<(), Failure> {
        let Ok(Some(document)) = embedded_document(&change.key) else {
            return Ok(());
        };
        say_error_of(&self.0, &document, &change.key, Step::Indexed, failure).await
    }
}

async fn index(documents: &Documents, document: &Document) -> Result<Outcome, Failure> {
    let Some(chunked) = Chunked::read(documents, document, Step::Indexed).await? else {
        return settle(documents, document).await;
    };
    if chunked.text.progress.has_reached(Step::Indexed) {
        return already(documents, document).await;
    }
    if !put_entries(documents, document, &chunked).await? {
        return settle(documents, document).await;
    }
    let generation = &chunked.list.generation;
    advance_or_settle(documents, document, generation, Step::Indexed, None).await
}

/// The entries of this generation are in the index, and those of former ones are not. `false`: its embeddings are not there.
pub(crate) async fn put_entries(
    documents: &Documents,
    document: &Document,
    chunked: &Chunked,
) -> Result<bool, Failure> {
    let key = document.embeddings();
    let Some(object) = documents.bucket.get(&key).await? else {
        return Ok(false);
    };
    let embeddings: Embeddings = parse(&key, &object.bytes)?;
    if embeddings.generation != chunked.list.generation {
        // An older event, while the newer generation's own embeddings are still to come.
        return Ok(false);
    }
    let entries = entries(documents, document, chunked, embeddings).await?;
    let generation = &chunked.list.generation;
    if mutation::on(mutation::OLD_BEFORE_NEW) {
        remove_older(documents, document, generation).await?;
    }
    for some in entries.chunks(AT_ONCE) {
        documents.index.put(some).await?;
    }
    if !mutation::on(mutation::OLD_STAYS) {
        remove_older(documents, document, generation).await?;
    }
    Ok(true)
}

/// The entries of former generations leave the index.
async fn remove_older(
    documents: &Documents,
    document: &Document,
    generation: &str,
) -> Result<(), Failure> {
    documents
        .index
        .remove_older(document.user.as_str(), document.id.as_str(), generation)
        .await
        .map(|_| ())
}

async fn entries(
    documents: &Documents,
    document: &Document,
    chunked: &Chunked,
    embeddings: Embeddings,
) -> Result<Vec<Entry>, Failure> {
    let model = documents.embedder.model().as_str();
    if embeddings.model != model {
        let message = format!(
            "the embeddings are of model {:?}, the index is of {model:?}",
            embeddings.model
        );
        return Err(Failure::permanent(reason::MODEL_MISMATCH, message));
    }
    let row = documents
        .progress
        .read_row(document)
        .await?
        .unwrap_or_default();
    let field = |name: &str| {
        row.get(name)
            .and_then(|value| value.as_s().ok())
            .cloned()
            .unwrap_or_default()
    };
    let tags: Vec<String> = row
        .get("metadata")
        .and_then(|metadata| metadata.as_m().ok()?.get("tags")?.as_l().ok())
        .into_iter()
        .flatten()
        .filter_map(|tag| tag.as_s().ok().cloned())
        .collect();
    let (file_name, file_type) = (field("fileName"), field("fileType"));
    let contents = chunked.contents()?;
    if embeddings.chunks.len() != contents.len() {
        let message = format!(
            "there are {} vectors for {} chunks",
            embeddings.chunks.len(),
            contents.len()
        );
        return Err(Failure::permanent(reason::MALFORMED_ARTEFACT, message));
    }
    let entries = chunked
        .list
        .chunks
        .iter()
        .zip(contents)
        .zip(embeddings.chunks)
        .map(|((chunk, content), vector)| Entry {
            chunk_id: chunk.chunk_id.clone(),
            user_id: document.user.as_str().to_owned(),
            document_id: document.id.as_str().to_owned(),
            generation: chunked.list.generation.clone(),
            chunk_index: chunk.chunk_index,
            content,
            embedding: vector.embedding,
            file_name: file_name.clone(),
            file_type: file_type.clone(),
            page_number: chunk.metadata.page_number,
            page_end: chunk.metadata.page_end,
            section: chunk.metadata.section.clone(),
            word_count: chunk.metadata.word_count,
            tags: tags.clone(),
            created_at: chunked.list.created_at.clone(),
        });
    Ok(entries.collect())
}
