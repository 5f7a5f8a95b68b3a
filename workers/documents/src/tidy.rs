//! Tidying: what a record that came too late may have left behind.
//!
//! A worker that slept while a newer upload or a removal was processed finds out at its last step, because the
//! fence refuses it. What it wrote before that step must not stay. So whoever is superseded settles the
//! document: brings its artefacts and index entries to what the progress row says. If it dies before it has
//! done so, its record is delivered again, is superseded again, and settles again.

use millrace_cloud::Condition;
use millrace_events::{Failure, Outcome, mutation};

use crate::{
    artefacts::{ProcessedMetadata, generation_of, parse},
    context::Documents,
    extract_text::{self, Original, say_error},
    keys::{Document, chunk_index},
    progress::{Derived, Progress, Step},
};

/// Brings what was derived to what the progress says; the outcome is always `Superseded`.
pub async fn settle(documents: &Documents, document: &Document) -> Result<Outcome, Failure> {
    if mutation::on(mutation::SETTLE_SKIPPED) {
        return Ok(Outcome::Superseded);
    }
    let Some(progress) = documents.progress.read(document).await? else {
        return Ok(Outcome::Superseded);
    };
    if progress.is_removed() {
        // Without a sequencer the row was removed before any upload was claimed, and nothing was derived.
        if let Some(through) = progress.removed_through.as_deref() {
            remove_derived(documents, document, through).await?;
        }
        return Ok(Outcome::Superseded);
    }
    let Some(generation) = progress.generation.clone() else {
        return Ok(Outcome::Superseded);
    };
    if progress.is_unreadable() {
        remove_former(documents, document, &generation).await?;
        return Ok(Outcome::Superseded);
    }
    if progress.has_reached(Step::TextExtracted) {
        restore_text(documents, document, &progress, &generation).await?;
    }
    if progress.has_reached(Step::ChunksCreated) {
        remove_surplus_chunks(documents, document, &generation).await?;
    }
    if progress.has_reached(Step::Indexed) {
        documents
            .index
            .remove_older(document.user.as_str(), document.id.as_str(), &generation)
            .await?;
    }
    Ok(Outcome::Superseded)
}

/// Ends an event whose work was done before. It may be the event of an older upload, delivered again because its worker
/// died between what it wrote and the fence that would have told it; so this settles too.
pub async fn already(documents: &Documents, document: &Document) -> Result<Outcome, Failure> {
    settle(documents, document).await?;
    Ok(Outcome::Already)
}

/// A worker's last step: moves the progress on. Whoever is superseded settles the document.
pub async fn advance_or_settle(
    documents: &Documents,
    document: &Document,
    generation: &str,
    step: Step,
    derived: Option<Derived>,
) -> Result<Outcome, Failure> {
    let now = documents.now();
    let moved = documents
        .progress
        .advance(document, generation, step, derived, &now);
    match moved.await? {
        Outcome::Superseded => settle(documents, document).await,
        outcome => Ok(outcome),
    }
}

/// Says in the rows that the generation of an artefact cannot be processed, if the artefact is still there.
pub(crate) async fn say_error_of(
    documents: &Documents,
    document: &Document,
    key: &str,
    step: Step,
    failure: &Failure,
) -> Result<(), Failure> {
    let artefact = documents.bucket.head(key).await?;
    match artefact.as_ref().and_then(generation_of) {
        Some(generation) => say_error(documents, document, generation, step, failure).await,
        None => Ok(()),
    }
}

/// The text is the one artefact whose bytes do not name its generation: a sleeper that was between look and write
/// can replace it when two uploads have the same text. Then it is extracted again.
async fn restore_text(
    documents: &Documents,
    document: &Document,
    progress: &Progress,
    generation: &str,
) -> Result<(), Failure> {
    let text = documents.bucket.head(&document.text()).await?;
    if text
        .as_ref()
        .and_then(generation_of)
        .is_some_and(|held| held >= generation)
    {
        return Ok(());
    }
    let (Some(key), Some(e_tag), Some(uploaded_at)) =
        (&progress.s3_key, &progress.e_tag, &progress.uploaded_at)
    else {
        return Ok(());
    };
    let original = Original {
        document: document.clone(),
        generation: generation.to_owned(),
        key: key.clone(),
        e_tag: e_tag.clone(),
        uploaded_at: uploaded_at.clone(),
    };
    extract_text::write_text(documents, &original)
        .await
        .map(|_| ())
}

/// Removes chunks behind the last one of the list of chunks, unless they are of a newer generation.
pub async fn remove_surplus_chunks(
    documents: &Documents,
    document: &Document,
    generation: &str,
) -> Result<(), Failure> {
    let key = document.metadata();
    let Some(list) = documents.bucket.get(&key).await? else {
        return Ok(());
    };
    let list: ProcessedMetadata = parse(&key, &list.bytes)?;
    if list.generation != generation {
        return Ok(());
    }
    for chunk in documents.bucket.list(&document.chunks_folder()).await? {
        if chunk_index(&chunk.key).is_some_and(|index| index >= list.chunk_count) {
            remove_object(documents, &chunk.key, &|held: &str| held > generation).await?;
        }
    }
    Ok(())
}

/// Removes every artefact and index entry up to a generation.
pub async fn remove_derived(
    documents: &Documents,
    document: &Document,
    through: &str,
) -> Result<(), Failure> {
    remove_artefacts(documents, document, |held| held > through).await?;
    documents
        .index
        .remove_document(document.user.as_str(), document.id.as_str(), Some(through))
        .await?;
    Ok(())
}

/// Removes every artefact and index entry before a generation that cannot be read. Its upload took the former
/// original's place, so what was derived from that has no original any more; and whether it had been derived at all
/// depends on which of the two events came first.
async fn remove_former(
    documents: &Documents,
    document: &Document,
    generation: &str,
) -> Result<(), Failure> {
    remove_artefacts(documents, document, |held| held >= generation).await?;
    documents
        .index
        .remove_older(document.user.as_str(), document.id.as_str(), generation)
        .await?;
    Ok(())
}

/// Removes every artefact but those whose generation `stays`.
async fn remove_artefacts(
    documents: &Documents,
    document: &Document,
    stays: impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    for key in [
        document.embeddings(),
        document.metadata(),
        document.layout(),
        document.text(),
    ] {
        remove_object(documents, &key, &stays).await?;
    }
    for chunk in documents.bucket.list(&document.chunks_folder()).await? {
        if chunk_index(&chunk.key).is_some() {
            remove_object(documents, &chunk.key, &stays).await?;
        }
    }
    Ok(())
}

/// Removes an artefact unless its generation `stays`, or somebody writes another one meanwhile.
async fn remove_object(
    documents: &Documents,
    key: &str,
    stays: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let Some(object) = documents.bucket.head(key).await? else {
        return Ok(());
    };
    if generation_of(&object).is_some_and(stays) && !mutation::on(mutation::REMOVAL_UNGUARDED) {
        return Ok(());
    }
    // Refused: somebody wrote another one between the look and the removal, which is theirs to keep.
    documents
        .bucket
        .delete(key, &Condition::Is(object.e_tag))
        .await
        .map(|_| ())
}
