//! The platform's upload, as the data model has it: the object, then the row.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use millrace_cloud::{Clients, classify, clock::iso};
use millrace_events::Failure;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    context::Names,
    keys::{Document, DocumentId, UserId},
};

/// The namespace of document ids that are made from a user and a path: the same file is the same document.
const UPLOADS: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_4365_8000_7570_6c6f_6164);

/// A file to upload.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Whose it is and which document.
    pub document: Document,
    /// The name that the user knows it by.
    pub file_name: String,
    /// Its MIME type.
    pub file_type: String,
    /// Its content.
    pub bytes: Bytes,
}

/// The document that a user's file at a path is: uploading it again makes a new generation, not a second document.
pub fn document_of(user: &UserId, path: &str) -> Result<Document, Failure> {
    let id = Uuid::new_v5(&UPLOADS, format!("{}\n{path}", user.as_str()).as_bytes());
    Ok(Document {
        user: user.clone(),
        id: DocumentId::parse(&id.to_string())?,
    })
}

/// Writes the object and then the row. Answers the object's entity tag.
pub async fn upload(
    clients: &Clients,
    names: &Names,
    file: NewFile,
    now: OffsetDateTime,
) -> Result<String, Failure> {
    let e_tag = put_original(clients, names, &file).await?;
    put_row(clients, names, &file, now).await?;
    Ok(e_tag)
}

/// The key under which a file's original lies.
fn key_of(file: &NewFile) -> String {
    let extension = file
        .file_name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_lowercase());
    let usable = |extension: &&String| {
        (1..=8).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    file.document
        .original(extension.as_ref().filter(usable).map(String::as_str))
}

/// The first half of an upload: the object. Answers its entity tag.
pub async fn put_original(
    clients: &Clients,
    names: &Names,
    file: &NewFile,
) -> Result<String, Failure> {
    // Header values are ASCII: anything else in the name is percent-encoded.
    let header_name = utf8_percent_encode(&file.file_name, NON_ALPHANUMERIC).to_string();
    let put = clients
        .s3
        .put_object()
        .bucket(&names.bucket)
        .key(key_of(file))
        .content_type(&file.file_type)
        .metadata("userid", file.document.user.as_str())
        .metadata("documentid", file.document.id.as_str())
        .metadata("originalname", header_name)
        .body(file.bytes.clone().into())
        .send()
        .await
        .map_err(|error| classify("upload the file", error))?;
    Ok(put.e_tag().unwrap_or_default().trim_matches('"').to_owned())
}

/// The second half: the row, whole, whatever was there. The object's event may be handled before it.
pub async fn put_row(
    clients: &Clients,
    names: &Names,
    file: &NewFile,
    now: OffsetDateTime,
) -> Result<(), Failure> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let map = |entries: Vec<(&str, AttributeValue)>| {
        AttributeValue::M(
            entries
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    };
    let now = iso(now);
    let no = AttributeValue::Bool(false);
    let row: HashMap<&str, AttributeValue> = HashMap::from([
        ("userId", text(file.document.user.as_str())),
        ("documentId", text(file.document.id.as_str())),
        ("fileName", text(&file.file_name)),
        ("fileType", text(&file.file_type)),
        ("fileSize", AttributeValue::N(file.bytes.len().to_string())),
        ("s3Key", text(&key_of(file))),
        ("s3Bucket", text(&names.bucket)),
        ("uploadDate", text(&now)),
        ("updatedAt", text(&now)),
        ("status", text("processing")),
        (
            "processingStatus",
            map(vec![
                ("textExtracted", no.clone()),
                ("chunksCreated", no.clone()),
                ("vectorsGenerated", no.clone()),
                ("indexed", no.clone()),
            ]),
        ),
        (
            "metadata",
            map(vec![("tags", AttributeValue::L(Vec::new()))]),
        ),
        (
            "searchableContent",
            map(vec![
                ("preview", text("")),
                ("keywords", AttributeValue::L(Vec::new())),
            ]),
        ),
        (
            "access",
            map(vec![
                ("isPublic", no),
                ("sharedWith", AttributeValue::L(Vec::new())),
            ]),
        ),
    ]);
    let row = row
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    clients
        .dynamodb
        .put_item()
        .table_name(&names.documents_table)
        .set_item(Some(row))
        .send()
        .await
        .map_err(|error| classify("write the document's row", error))?;
    Ok(())
}
