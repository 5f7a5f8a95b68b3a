//! `extract-text`: an original was uploaded; its text, pages and sections become artefacts.

use std::fs::File;

use millrace_cloud::{Object, Opened, Put, clock::iso};
use millrace_delivery::{Cx, Worker};
use millrace_effects::{ArtefactWrite, write_artefact};
use millrace_events::{Failure, ObjectChange, ObjectChangeKind, Outcome, Reason, reason};
use millrace_text::{ExtractError, Extraction};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use crate::{
    artefacts::{Layout, to_bytes},
    context::{Documents, last_part},
    keys::{Document, Named},
    progress::{Claim, Derived, ErrorSaid, Step, Upload},
    tidy::{advance_or_settle, settle},
};

/// Originals up to this size, in bytes, go to their reader through memory, larger ones through a file.
const IN_MEMORY: u64 = 8 * 1024 * 1024;

/// Listens to originals; writes `layout.json`, then `extracted-text.txt`, whose creation is the message to the chunker.
#[derive(Clone)]
pub struct ExtractText(pub Documents);

/// One generation of a document's original.
#[derive(Debug, Clone)]
pub struct Original {
    /// The document.
    pub document: Document,
    /// The sequencer, padded.
    pub generation: String,
    /// The original's key.
    pub key: String,
    /// Its entity tag.
    pub e_tag: String,
    /// When it was uploaded.
    pub uploaded_at: String,
}

impl Worker for ExtractText {
    const NAME: &'static str = "extract-text";
    type Event = ObjectChange;

    async fn handle(&self, change: ObjectChange, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        if change.kind != ObjectChangeKind::Created {
            return Ok(Outcome::Ignored("the object was removed"));
        }
        let Named::Original(document) = Named::of(&change.key)? else {
            return Ok(Outcome::Ignored("not an original"));
        };
        let generation = generation(cx)?;
        let Some(object) = documents.bucket.head(&change.key).await? else {
            // Removed since: that event settles the rest.
            return settle(documents, &document).await;
        };
        if change
            .e_tag
            .as_ref()
            .is_some_and(|tag| *tag != object.e_tag)
        {
            // Another upload took its place, and has an event of its own.
            return settle(documents, &document).await;
        }
        let upload = describe(documents, &change, &object, &generation, cx)?;
        let progress = match documents
            .progress
            .claim(&document, &upload, &documents.now())
            .await?
        {
            Claim::Current(progress) => progress,
            Claim::Superseded => return settle(documents, &document).await,
        };
        if progress.has_reached(Step::TextExtracted) && progress.derived.is_some() {
            return Ok(Outcome::Already);
        }
        let original = Original {
            document: document.clone(),
            generation,
            key: upload.key,
            e_tag: upload.e_tag,
            uploaded_at: upload.uploaded_at,
        };
        let Some(derived) = write_text(documents, &original).await? else {
            return settle(documents, &document).await;
        };
        let step = Step::TextExtracted;
        advance_or_settle(
            documents,
            &document,
            &original.generation,
            step,
            Some(derived),
        )
        .await
    }

    async fn give_up(
        &self,
        change: ObjectChange,
        failure: &Failure,
        cx: &Cx,
    ) -> Result<(), Failure> {
        let Ok(Named::Original(document)) = Named::of(&change.key) else {
            return Ok(());
        };
        let Ok(generation) = generation(cx) else {
            return Ok(());
        };
        say_error(
            &self.0,
            &document,
            &generation,
            Step::TextExtracted,
            failure,
        )
        .await?;
        // Of a file that cannot be read nothing is found any more, whatever was found of the one before it.
        settle(&self.0, &document).await.map(|_| ())
    }
}

/// The generation is the place of this upload in the history of its key.
fn generation(cx: &Cx) -> Result<String, Failure> {
    if cx.record.version.is_none() {
        return Err(Failure::permanent(
            reason::MALFORMED_EVENT,
            "the S3 event has no sequencer",
        ));
    }
    Ok(cx.record.version.as_str().to_owned())
}

fn describe(
    documents: &Documents,
    change: &ObjectChange,
    object: &Object,
    generation: &str,
    cx: &Cx,
) -> Result<Upload, Failure> {
    let Some(uploaded) = cx.record.occurred_at else {
        return Err(Failure::permanent(
            reason::MALFORMED_EVENT,
            "the S3 event does not say when it happened",
        ));
    };
    if change.bucket != documents.bucket.name() {
        let message = format!(
            "the event is of bucket {}, this worker reads {}",
            change.bucket,
            documents.bucket.name()
        );
        return Err(Failure::permanent(reason::MALFORMED_EVENT, message));
    }
    Ok(Upload {
        generation: generation.to_owned(),
        bucket: change.bucket.clone(),
        key: change.key.clone(),
        e_tag: object.e_tag.clone(),
        size: object.size,
        uploaded_at: iso(uploaded),
        file_name: file_name(object, &change.key),
        file_type: object
            .content_type
            .clone()
            .unwrap_or_else(|| "application/octet-stream".to_owned()),
    })
}

/// The name that the upload gave, else the last part of the key.
fn file_name(object: &Object, key: &str) -> String {
    let given = object
        .metadata
        .get("originalname")
        .and_then(|name| percent_decode_str(name).decode_utf8().ok());
    given
        .filter(|name| !name.is_empty())
        .map_or_else(|| last_part(key), |name| name.into_owned())
}

/// Extracts the text of a generation and writes its artefacts. `None` when the original, or an artefact, is newer.
pub async fn write_text(
    documents: &Documents,
    original: &Original,
) -> Result<Option<Derived>, Failure> {
    let Some(opened) = documents.bucket.open(&original.key).await? else {
        return Ok(None);
    };
    if opened.object.e_tag != original.e_tag {
        return Ok(None);
    }
    let extraction = extract(documents, opened, &original.key).await?;
    let layout = Layout {
        generation: original.generation.clone(),
        text_sha256: hex::encode(Sha256::digest(extraction.text.as_bytes())),
        pages: extraction.pages,
        sections: extraction.sections,
        created_at: original.uploaded_at.clone(),
    };
    let artefacts = [
        (
            original.document.layout(),
            "application/json",
            to_bytes(&layout)?,
        ),
        (
            original.document.text(),
            "text/plain; charset=utf-8",
            extraction.text.into_bytes().into(),
        ),
    ];
    for (key, content_type, bytes) in artefacts {
        let put = Put {
            bytes,
            content_type,
            metadata: std::collections::HashMap::new(),
        };
        let write = ArtefactWrite {
            key,
            generation: original.generation.clone(),
            put,
        };
        if write_artefact(&documents.bucket, &write).await? == Outcome::Superseded {
            return Ok(None);
        }
    }
    Ok(Some(Derived {
        title: extraction.title,
        language: extraction.language,
        page_count: u32::try_from(layout.pages.len())
            .ok()
            .filter(|pages| *pages > 0),
        word_count: extraction.word_count,
        preview: extraction.preview,
        keywords: extraction.keywords,
    }))
}

async fn extract(documents: &Documents, opened: Opened, key: &str) -> Result<Extraction, Failure> {
    let Ok(_permit) = documents.extractions.acquire().await else {
        return Err(Failure::transient(
            reason::WORKER_UNAVAILABLE,
            "the worker is shutting down",
        ));
    };
    let extractor = documents.extractor.clone();
    // Before the bytes are fetched: what is too large would fill the disk.
    extractor.accepts(opened.object.size).map_err(no_text)?;
    let name = file_name(&opened.object, key);
    let extracted = if opened.object.size <= IN_MEMORY {
        let bytes = opened.bytes().await?;
        tokio::task::spawn_blocking(move || extractor.extract(&bytes, &name)).await
    } else {
        let file = put_aside(opened).await?;
        tokio::task::spawn_blocking(move || extractor.extract_file(file, &name)).await
    };
    let extracted = extracted.map_err(|error| {
        Failure::permanent(
            reason::EXTRACTION_CRASHED,
            "the extraction ended without an answer",
        )
        .caused_by(error)
    })?;
    extracted.map_err(no_text)
}

fn no_text(error: ExtractError) -> Failure {
    let reason = Reason::from_code(error.reason()).unwrap_or(reason::EXTRACTION_CRASHED);
    if error.is_transient() {
        return Failure::transient(reason, error.to_string());
    }
    Failure::permanent(reason, error.to_string())
}

/// An object's bytes in a file without a name: it goes with its last handle, however the process ends.
async fn put_aside(opened: Opened) -> Result<File, Failure> {
    let file = tempfile::tempfile().map_err(|error| {
        let folder = std::env::temp_dir();
        let message = format!("could not make a file in {}", folder.display());
        Failure::transient(reason::WORKER_UNAVAILABLE, message).caused_by(error)
    })?;
    let mut file = tokio::fs::File::from_std(file);
    opened.write_to(&mut file).await?;
    Ok(file.into_std().await)
}

/// Writes into the rows why a generation cannot be processed.
pub(crate) async fn say_error(
    documents: &Documents,
    document: &Document,
    generation: &str,
    step: Step,
    failure: &Failure,
) -> Result<(), Failure> {
    let said = ErrorSaid {
        code: failure.reason().code().to_owned(),
        message: failure.message().to_owned(),
    };
    documents
        .progress
        .fail(document, generation, step, said, &documents.now())
        .await
        .map(|_| ())
}
