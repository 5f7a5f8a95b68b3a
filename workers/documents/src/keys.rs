//! Ids and object keys. Keys come from outside and are not trusted.

use std::fmt;

use millrace_events::{Failure, reason};
use uuid::Uuid;

/// A user of the platform: Cognito's `sub`, or any other name of letters, digits and `._:@=+-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

/// A document: a UUID, kept as it is written in keys and rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId(String);

/// One document of one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Document {
    /// The owner.
    pub user: UserId,
    /// The document.
    pub id: DocumentId,
}

/// Words of keys and rows that the platform or a worker has chosen, and nobody's data: they stay when an event is
/// redacted, and a worker decides by them.
pub const PUBLIC_WORDS: &[&str] = &[
    // Keys.
    "documents",
    "processed",
    "chunks",
    "original",
    "extracted-text.txt",
    "layout.json",
    "metadata.json",
    "embeddings.json",
    "chunk-#.json",
    "temp-uploads",
    // Extensions and types of files.
    "pdf",
    "docx",
    "xlsx",
    "pptx",
    "odt",
    "ods",
    "odp",
    "epub",
    "doc",
    "html",
    "htm",
    "md",
    "markdown",
    "txt",
    "rtf",
    "json",
    "jsonl",
    "csv",
    "tsv",
    "xml",
    "eml",
    "png",
    "application",
    "text",
    "plain",
    "vnd.openxmlformats-officedocument.wordprocessingml.document",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "vnd.openxmlformats-officedocument.presentationml.presentation",
    "octet-stream",
    // States in rows, and the attributes of keys.
    "uploading",
    "processing",
    "ready",
    "error",
    "removing",
    "removed",
    "userId",
    "documentId",
    // Models, in embeddings.
    "millrace-hashed-1",
];

impl UserId {
    /// Takes 1 to 128 characters, the first a letter or a digit.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:@=+-".contains(&b);
        let first = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        if first && text.len() <= 128 && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let message = format!(
            "{text:?} is not a user id: 1 to 128 letters, digits and ._:@=+-, the first a letter or digit"
        );
        Err(Failure::permanent(reason::INVALID_ID, message))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DocumentId {
    /// Takes a UUID in its usual form of 36 characters.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.len() == 36 && Uuid::try_parse(text).is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err(Failure::permanent(
            reason::INVALID_ID,
            format!("{text:?} is not a document id: it must be a UUID"),
        ))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.user.0, self.id.0)
    }
}

/// What a key of the documents bucket names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// `documents/{userId}/{documentId}/original` or `…/original.{ext}`.
    Original(Document),
    /// `documents/{userId}/{documentId}/extracted-text.txt`.
    Text(Document),
    /// `processed/{userId}/{documentId}/metadata.json`.
    Metadata(Document),
    /// `processed/{userId}/{documentId}/embeddings.json`.
    Embeddings(Document),
    /// Anything else.
    Other,
}

impl Named {
    /// Reads a decoded key. Keys that are not a document's are [`Named::Other`]; keys that look like one but
    /// carry something that is not an id, or that leave their folder, are failures.
    pub fn of(key: &str) -> Result<Self, Failure> {
        let parts: Vec<&str> = key.split('/').collect();
        let &[root, user, id, file] = parts.as_slice() else {
            let ours = matches!(parts.first(), Some(&("documents" | "processed")));
            if ours && parts.iter().any(|part| matches!(*part, "." | ".." | "")) {
                return Err(invalid_key(key));
            }
            return Ok(Self::Other);
        };
        let name: fn(Document) -> Self = match (root, file) {
            ("documents", "extracted-text.txt") => Self::Text,
            ("documents", file) if is_original(file) => Self::Original,
            ("processed", "metadata.json") => Self::Metadata,
            ("processed", "embeddings.json") => Self::Embeddings,
            _ => return Ok(Self::Other),
        };
        if [user, id]
            .iter()
            .any(|part| matches!(*part, "." | ".." | ""))
            || key.contains(['\0', '\\'])
        {
            return Err(invalid_key(key));
        }
        Ok(name(Document {
            user: UserId::parse(user)?,
            id: DocumentId::parse(id)?,
        }))
    }
}

fn is_original(file: &str) -> bool {
    match file.strip_prefix("original") {
        Some("") => true,
        Some(rest) => {
            rest.len() > 1 && rest.starts_with('.') && !rest.chars().any(char::is_control)
        }
        None => false,
    }
}

fn invalid_key(key: &str) -> Failure {
    let message = format!(
        "the object key {key:?} leaves its folder; expected documents/{{userId}}/{{documentId}}/original.{{ext}}"
    );
    Failure::permanent(reason::INVALID_KEY, message)
}

impl Document {
    /// From a row's or an item's two key attributes.
    pub fn parse(user: &str, id: &str) -> Result<Self, Failure> {
        Ok(Self {
            user: UserId::parse(user)?,
            id: DocumentId::parse(id)?,
        })
    }

    /// `documents/{userId}/{documentId}/`: originals, text and chunks.
    pub fn folder(&self) -> String {
        format!("documents/{self}/")
    }

    /// `processed/{userId}/{documentId}/`: what workers tell each other.
    pub fn processed_folder(&self) -> String {
        format!("processed/{self}/")
    }

    /// The key of an original with that extension (without the dot), or without one.
    pub fn original(&self, extension: Option<&str>) -> String {
        match extension {
            Some(extension) => format!("{}original.{extension}", self.folder()),
            None => format!("{}original", self.folder()),
        }
    }

    /// The extracted text.
    pub fn text(&self) -> String {
        format!("{}extracted-text.txt", self.folder())
    }

    /// Pages and sections of the extracted text.
    pub fn layout(&self) -> String {
        format!("{}layout.json", self.processed_folder())
    }

    /// The chunks.
    pub fn chunks_folder(&self) -> String {
        format!("{}chunks/", self.folder())
    }

    /// One chunk; `index` counts from 0, names count from 001.
    pub fn chunk(&self, index: u32) -> String {
        format!(
            "{}chunk-{:03}.json",
            self.chunks_folder(),
            u64::from(index) + 1
        )
    }

    /// The list of chunks.
    pub fn metadata(&self) -> String {
        format!("{}metadata.json", self.processed_folder())
    }

    /// The embeddings.
    pub fn embeddings(&self) -> String {
        format!("{}embeddings.json", self.processed_folder())
    }
}

/// The index (from 0) in a chunk's key.
pub fn chunk_index(key: &str) -> Option<u32> {
    let name = key.rsplit('/').next()?;
    let number: u32 = name
        .strip_prefix("chunk-")?
        .strip_suffix(".json")?
        .parse()
        .ok()?;
    number.checked_sub(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ID: &str = "0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a01";

    #[test]
    fn originals_are_known_with_and_without_an_extension() {
        let document = Document::parse("user-1", ID).unwrap();
        for file in ["original", "original.pdf", "original.tar.gz", "original.文"] {
            let key = format!("documents/user-1/{ID}/{file}");
            assert_eq!(
                Named::of(&key).unwrap(),
                Named::Original(document.clone()),
                "{key}"
            );
        }
        for file in [
            "originals",
            "original.",
            "chunks/chunk-001.json",
            "preview.png",
        ] {
            assert_eq!(
                Named::of(&format!("documents/user-1/{ID}/{file}")).unwrap(),
                Named::Other,
                "{file}"
            );
        }
    }

    #[test]
    fn what_is_not_an_id_or_leaves_its_folder_is_refused() {
        let code = |key: &str| Named::of(key).unwrap_err().reason();
        assert_eq!(
            code(&format!("documents/../{ID}/original.pdf")),
            reason::INVALID_KEY
        );
        assert_eq!(
            code("documents/user/../../original.pdf"),
            reason::INVALID_KEY
        );
        assert_eq!(
            code(&format!("documents//{ID}/original.pdf")),
            reason::INVALID_KEY
        );
        assert_eq!(
            code("documents/user/not-a-uuid/original.pdf"),
            reason::INVALID_ID
        );
        assert_eq!(
            code(&format!("documents/us er/{ID}/original.pdf")),
            reason::INVALID_ID
        );
        assert_eq!(
            Named::of("somewhere/else/entirely/original.pdf").unwrap(),
            Named::Other
        );
    }

    #[test]
    fn a_chunk_key_and_its_index_belong_together() {
        let document = Document::parse("u", ID).unwrap();
        assert!(document.chunk(0).ends_with("/chunks/chunk-001.json"));
        for index in [0, 41, 998, 999, 12_345] {
            assert_eq!(chunk_index(&document.chunk(index)), Some(index));
        }
        assert_eq!(chunk_index("chunks/chunk-000.json"), None);
    }
}
