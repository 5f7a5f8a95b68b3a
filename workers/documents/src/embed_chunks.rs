//! `embed-chunks`: the chunks are there; they get their vectors.

use millrace_delivery::{Cx, Worker};
use millrace_events::{Failure, ObjectChange, ObjectChangeKind, Outcome, reason};

use crate::{
    artefacts::{EmbeddedChunk, Embeddings, ProcessedMetadata, parse, to_bytes},
    chunk_text::{CurrentText, write_json},
    context::{CACHED, Documents},
    keys::{Document, Named},
    progress::Step,
    tidy::{advance_or_settle, already, say_error_of, settle},
};

/// Listens to `metadata.json`; writes `embeddings.json`, the message to the index.
#[derive(Clone)]
pub struct EmbedChunks(pub Documents);

impl EmbedChunks {
    const STEP: Step = Step::VectorsGenerated;
}

impl Worker for EmbedChunks {
    const NAME: &'static str = "embed-chunks";
    type Event = ObjectChange;

    async fn handle(&self, change: ObjectChange, _cx: &Cx) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if change.kind != ObjectChangeKind::Created {
            return Ok(Outcome::Ignored("the object was removed"));
        }
        let Named::Metadata(document) = Named::of(&change.key)? else {
            return Ok(Outcome::Ignored("not a list of chunks"));
        };
        let Some(chunked) = Chunked::read(documents, &document, Self::STEP).await? else {
            return settle(documents, &document).await;
        };
        if chunked.text.progress.has_reached(Step::VectorsGenerated) {
            return already(documents, &document).await;
        }
        let embedder = &*documents.embedder;
        let now = documents.clock.now();
        let texts = chunked.contents()?;
        let vectors = documents.cache.embed(embedder, &texts, CACHED, now).await?;
        let embeddings = Embeddings {
            document_id: document.id.as_str().to_owned(),
            user_id: document.user.as_str().to_owned(),
            generation: chunked.list.generation.clone(),
            model: documents.embedder.model().as_str().to_owned(),
            dimensions: documents.embedder.dimensions(),
            chunks: chunked
                .list
                .chunks
                .iter()
                .zip(vectors)
                .map(|(chunk, embedding)| EmbeddedChunk {
                    chunk_id: chunk.chunk_id.clone(),
                    embedding,
                })
                .collect(),
        };
        let generation = &chunked.list.generation;
        let bytes = to_bytes(&embeddings)?;
        if write_json(documents, document.embeddings(), generation, bytes).await?
            == Outcome::Superseded
        {
            return settle(documents, &document).await;
        }
        let step = Step::VectorsGenerated;
        advance_or_settle(documents, &document, generation, step, None).await
    }

    async fn give_up(
        &self,
        change: ObjectChange,
        failure: &Failure,
        _cx: &Cx,
    ) -> Result<(), Failure> {
        let Ok(Named::Metadata(document)) = Named::of(&change.key) else {
            return Ok(());
        };
        say_error_of(
            &self.0,
            &document,
            &change.key,
            Step::VectorsGenerated,
            failure,
        )
        .await
    }
}

/// The list of chunks with the text that its positions refer to.
pub(crate) struct Chunked {
    pub(crate) list: ProcessedMetadata,
    pub(crate) text: CurrentText,
}

impl Chunked {
    /// `None`: gone, superseded, or of a document that was removed. `step` is what the caller wants to reach.
    pub(crate) async fn read(
        documents: &Documents,
        document: &Document,
        step: Step,
    ) -> Result<Option<Self>, Failure> {
        let key = document.metadata();
        let Some(object) = documents.bucket.get(&key).await? else {
            return Ok(None);
        };
        let list: ProcessedMetadata = parse(&key, &object.bytes)?;
        let Some(text) = CurrentText::read(documents, document).await? else {
            // A sleeper may have replaced or removed the text of the generation that counts: it is put back, and
            // this record is not lost for it.
            settle(documents, document).await?;
            let progress = documents.progress.read(document).await?;
            let due = progress
                .is_some_and(|now| now.is_current(&list.generation) && !now.has_reached(step));
            if due {
                let message =
                    "the text was not there, or was another upload's; it is being put back";
                return Err(Failure::transient(reason::ARTEFACT_MISSING, message));
            }
            return Ok(None);
        };
        if list.generation < text.generation {
            // The text is of a newer upload already, whose chunks come later.
            return Ok(None);
        }
        if list.generation != text.generation || list.text_sha256 != text.sha256 {
            return Err(Failure::transient(
                reason::CONFLICT,
                "the list of chunks is of another text than the one there",
            ));
        }
        Ok(Some(Self { list, text }))
    }

    /// The chunks' texts, cut out of the extracted text.
    pub(crate) fn contents(&self) -> Result<Vec<String>, Failure> {
        let offsets = Offsets::of(&self.text.text);
        let cut = |chunk: &crate::artefacts::ChunkEntry| {
            offsets
                .slice(&self.text.text, chunk.start_position, chunk.end_position)
                .map(str::to_owned)
                .ok_or_else(|| {
                    let message = format!("chunk {} lies outside the text", chunk.chunk_index);
                    Failure::permanent(reason::MALFORMED_ARTEFACT, message)
                })
        };
        self.list.chunks.iter().map(cut).collect()
    }
}

/// Byte offsets of characters: every 64th is kept.
struct Offsets(Vec<usize>);

impl Offsets {
    const STEP: usize = 64;

    fn of(text: &str) -> Self {
        Self(
            text.char_indices()
                .step_by(Self::STEP)
                .map(|(at, _)| at)
                .collect(),
        )
    }

    fn byte(&self, text: &str, character: usize) -> Option<usize> {
        let Some(&base) = self.0.get(character / Self::STEP) else {
            // Just behind the last full step, or beyond the end.
            let &last = self.0.last()?;
            let left = character.checked_sub((self.0.len() - 1) * Self::STEP)?;
            return (text[last..].chars().count() == left).then_some(text.len());
        };
        let mut rest = text[base..].char_indices();
        match rest.nth(character % Self::STEP) {
            Some((at, _)) => Some(base + at),
            None => (text[base..].chars().count() == character % Self::STEP).then_some(text.len()),
        }
    }

    fn slice<'a>(&self, text: &'a str, start: usize, end: usize) -> Option<&'a str> {
        text.get(self.byte(text, start)?..self.byte(text, end)?)
    }
}

/// The document that an embeddings or metadata key is of, for the index worker.
pub(crate) fn embedded_document(key: &str) -> Result<Option<Document>, Failure> {
    Ok(match Named::of(key)? {
        Named::Embeddings(document) => Some(document),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn positions_are_characters_whatever_their_width() {
        let text: String = "水車 mill 물레 ".repeat(40);
        let characters: Vec<char> = text.chars().collect();
        let offsets = Offsets::of(&text);
        for start in 0..characters.len() {
            for end in [start, start + 1, start + 64, characters.len()] {
                let expected: Option<String> =
                    characters.get(start..end).map(|part| part.iter().collect());
                assert_eq!(
                    offsets.slice(&text, start, end).map(str::to_owned),
                    expected,
                    "{start}..{end}"
                );
            }
        }
        assert_eq!(offsets.slice(&text, 0, characters.len() + 1), None);
    }
}
