//! `chunk-text`: a text is there; it becomes chunks.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use millrace_cloud::Put;
use millrace_delivery::{Cx, Worker};
use millrace_effects::{ArtefactWrite, write_artefact};
use millrace_events::{Failure, ObjectChange, ObjectChangeKind, Outcome, mutation, reason};
use millrace_text::Chunk;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    artefacts::{
        ChunkEntry, ChunkFile, ChunkMetadata, Layout, ProcessedMetadata, generation_of, parse,
        to_bytes,
    },
    context::Documents,
    keys::{Document, Named},
    progress::{Progress, Step},
    tidy::{advance_or_settle, already, remove_surplus_chunks, say_error_of, settle},
};

/// The namespace of chunk ids: UUIDv5 of `{user}/{document}/{generation}/{index}`.
const CHUNKS: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8000_6368_756e_6b73);

/// Chunks that are written at once.
const AT_ONCE: usize = 8;

/// Listens to `extracted-text.txt`; writes `chunks/…`, and last `metadata.json`, the message to the embedder.
#[derive(Clone)]
pub struct ChunkText(pub Documents);

impl Worker for ChunkText {
    const NAME: &'static str = "chunk-text";
    type Event = ObjectChange;

    async fn handle(&self, change: ObjectChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if change.kind != ObjectChangeKind::Created {
            return Ok(Outcome::Ignored("the object was removed"));
        }
        let Named::Text(document) = Named::of(&change.key)? else {
            return Ok(Outcome::Ignored("not an extracted text"));
        };
        let Some(current) = CurrentText::read(documents, &document).await? else {
            return settle(documents, &document).await;
        };
        if current.progress.has_reached(Step::ChunksCreated) {
            return already(documents, &document).await;
        }
        if mutation::on(mutation::PROGRESS_FIRST) {
            let (now, step) = (documents.now(), Step::ChunksCreated);
            documents
                .progress
                .advance(&document, &current.generation, step, None, &now)
                .await?;
        }
        let key = document.layout();
        let layout = documents.bucket.get(&key).await?;
        let layout: Option<Layout> = layout
            .map(|object| parse(&key, &object.bytes))
            .transpose()?;
        let Some(layout) = layout.filter(|layout| layout.text_sha256 == current.sha256) else {
            // Written just before the text; if it is of another text, a newer upload is on its way.
            return Err(Failure::transient(
                reason::CONFLICT,
                "the layout is of another generation than the text",
            ));
        };
        let chunks = millrace_text::chunk(
            &current.text,
            &layout.pages,
            &layout.sections,
            &documents.chunking,
        );
        let files: Vec<ChunkFile> = chunks
            .into_iter()
            .map(|chunk| chunk_file(&document, &current.generation, &layout, chunk))
            .collect();
        let list = list(&document, &current, &layout, &files);
        // Collected first: a lazy iterator of borrowing futures is not general enough for the compiler.
        let writes: Vec<_> = files
            .iter()
            .map(|file| write_chunk(documents, &document, file))
            .collect();
        let written: Vec<Outcome> = stream::iter(writes)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        if written.contains(&Outcome::Superseded) {
            return settle(documents, &document).await;
        }
        let key = document.metadata();
        if write_json(documents, key, &current.generation, to_bytes(&list)?).await?
            == Outcome::Superseded
        {
            return settle(documents, &document).await;
        }
        remove_surplus_chunks(documents, &document, &current.generation).await?;
        let step = Step::ChunksCreated;
        advance_or_settle(documents, &document, &current.generation, step, None).await
    }

    async fn give_up(
        &self,
        change: ObjectChange,
        failure: &Failure,
        _cx: &Cx,
    ) -> Result<(), Failure> {
        let Ok(Named::Text(document)) = Named::of(&change.key) else {
            return Ok(());
        };
        say_error_of(
            &self.0,
            &document,
            &change.key,
            Step::ChunksCreated,
            failure,
        )
        .await
    }
}

/// The extracted text, when it is of the generation that counts.
pub(crate) struct CurrentText {
    pub(crate) progress: Progress,
    pub(crate) generation: String,
    pub(crate) text: String,
    pub(crate) sha256: String,
}

impl CurrentText {
    /// `None`: gone, superseded, or of a document that was removed.
    pub(crate) async fn read(
        documents: &Documents,
        document: &Document,
    ) -> Result<Option<Self>, Failure> {
        let key = document.text();
        let Some(object) = documents.bucket.get(&key).await? else {
            return Ok(None);
        };
        let Some(generation) = generation_of(&object).map(str::to_owned) else {
            let message = format!(
                "{key} does not say of which generation it is: it was not written by extract-text"
            );
            return Err(Failure::permanent(reason::MALFORMED_ARTEFACT, message));
        };
        let progress = documents.progress.read(document).await?;
        let Some(progress) = progress.filter(|progress| progress.is_current(&generation)) else {
            return Ok(None);
        };
        let sha256 = hex::encode(Sha256::digest(&object.bytes));
        let text = String::from_utf8(object.bytes.into()).map_err(|error| {
            Failure::permanent(reason::MALFORMED_ARTEFACT, format!("{key} is not UTF-8"))
                .caused_by(error)
        })?;
        Ok(Some(Self {
            progress,
            generation,
            text,
            sha256,
        }))
    }
}

fn chunk_file(
    document: &Document,
    generation: &str,
    layout: &Layout,
    chunk: Chunk<'_>,
) -> ChunkFile {
    let name = format!("{document}/{generation}/{}", chunk.index);
    ChunkFile {
        chunk_id: Uuid::new_v5(&CHUNKS, name.as_bytes()).to_string(),
        document_id: document.id.as_str().to_owned(),
        user_id: document.user.as_str().to_owned(),
        chunk_index: chunk.index,
        content: chunk.content.to_owned(),
        start_position: chunk.start,
        end_position: chunk.end,
        metadata: ChunkMetadata {
            page_number: chunk.page,
            page_end: chunk.page_end.filter(|_| chunk.page_end != chunk.page),
            section: chunk.section.map(str::to_owned),
            word_count: chunk.word_count,
            char_count: chunk.char_count,
        },
        created_at: layout.created_at.clone(),
        generation: generation.to_owned(),
    }
}

fn list(
    document: &Document,
    current: &CurrentText,
    layout: &Layout,
    files: &[ChunkFile],
) -> ProcessedMetadata {
    let entry = |file: &ChunkFile| ChunkEntry {
        chunk_id: file.chunk_id.clone(),
        chunk_index: file.chunk_index,
        start_position: file.start_position,
        end_position: file.end_position,
        metadata: file.metadata.clone(),
    };
    ProcessedMetadata {
        document_id: document.id.as_str().to_owned(),
        user_id: document.user.as_str().to_owned(),
        generation: current.generation.clone(),
        text_sha256: current.sha256.clone(),
        created_at: layout.created_at.clone(),
        chunk_count: u32::try_from(files.len()).unwrap_or(u32::MAX),
        chunks: files.iter().map(entry).collect(),
    }
}

async fn write_chunk(
    documents: &Documents,
    document: &Document,
    file: &ChunkFile,
) -> Result<Outcome, Failure> {
    write_json(
        documents,
        document.chunk(file.chunk_index),
        &file.generation,
        to_bytes(file)?,
    )
    .await
}

/// Writes a JSON artefact of a generation.
pub(crate) async fn write_json(
    documents: &Documents,
    key: String,
    generation: &str,
    bytes: bytes::Bytes,
) -> Result<Outcome, Failure> {
    let put = Put {
        bytes,
        content_type: "application/json",
        metadata: HashMap::new(),
    };
    write_artefact(
        &documents.bucket,
        &ArtefactWrite {
            key,
            generation: generation.to_owned(),
            put,
        },
    )
    .await
}
