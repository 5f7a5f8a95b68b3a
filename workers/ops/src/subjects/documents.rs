//! What a document is now.

use async_trait::async_trait;
use millrace_documents::{Document, Documents, artefacts::ProcessedMetadata};
use millrace_events::{Failure, Payload, Record};
use serde_json::{Value, json};

use super::{SubjectState, Subjects, as_json, key_in};

#[async_trait]
impl Subjects for Documents {
    async fn state(
        &self,
        subject: &str,
        record: Option<&Record>,
    ) -> Result<Option<SubjectState>, Failure> {
        let named = document_of(subject).or_else(|| document_of_message(record?));
        let Some(document) = named else {
            return Ok(None);
        };
        let state = document_state(self, &document).await?;
        let part = |name: &str| (name.to_owned(), state[name].clone());
        Ok(Some(SubjectState {
            name: format!("document {document}"),
            parts: ["row", "progress", "artefacts", "indexedChunks"]
                .map(part)
                .to_vec(),
        }))
    }
}

/// The document of `s3://bucket/documents/{user}/{id}/…`, `s3://bucket/processed/{user}/{id}/…` or
/// `table/documentId={id},userId={user}`.
fn document_of(subject: &str) -> Option<Document> {
    let (user, id) = match subject.strip_prefix("s3://") {
        Some(object) => {
            let mut parts = object.split('/').skip(1);
            let root = parts.next()?;
            if !matches!(root, "documents" | "processed") {
                return None;
            }
            (parts.next()?.to_owned(), parts.next()?.to_owned())
        }
        None => (key_in(subject, "userId")?, key_in(subject, "documentId")?),
    };
    Document::parse(&user, &id).ok()
}

/// The document that a message of this product names.
fn document_of_message(record: &Record) -> Option<Document> {
    let Payload::Message(message) = &record.payload else {
        return None;
    };
    let text = |name: &str| message[name].as_str();
    Document::parse(text("userId")?, text("documentId")?).ok()
}

/// Row, progress, artefacts and chunks of a document.
pub(crate) async fn document_state(
    documents: &Documents,
    document: &Document,
) -> Result<Value, Failure> {
    let row = as_json(documents.progress().read_row(document).await?);
    let progress = documents.progress().read(document).await?;
    let mut artefacts = Vec::new();
    for folder in [document.folder(), document.processed_folder()] {
        for listed in documents.bucket().list(&folder).await? {
            let head = documents.bucket().head(&listed.key).await?;
            let generation = head
                .as_ref()
                .and_then(millrace_documents::artefacts::generation_of)
                .map(str::to_owned);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_document_is_found_in_each_form_of_subject() {
        let id = "0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a01";
        for subject in [
            format!("s3://b/documents/ada/{id}/original.pdf"),
            format!("s3://b/processed/ada/{id}/metadata.json"),
            format!("ai-assistant-documents/documentId={id},userId=ada"),
        ] {
            let document = document_of(&subject).unwrap();
            assert_eq!(document.to_string(), format!("ada/{id}"), "{subject}");
        }
        for subject in [
            "-",
            "",
            "e-1",
            "s3://b/else/ada/x",
            "t/userId=ada",
            "undecodable:x",
        ] {
            assert!(document_of(subject).is_none(), "{subject}");
        }
    }
}
