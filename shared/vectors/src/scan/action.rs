//! One change to a user's entries, as the log keeps it.

use serde::{Deserialize, Serialize};

use crate::{
    disk::{Record, parts, payload},
    embedding::Embedding,
    index::Entry,
};

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// Put in, or replace.
    Put(Box<Entry>),
    /// Remove a document's entries of generations before this one.
    RemoveBefore {
        document_id: String,
        generation: String,
    },
    /// Remove a document's entries up to and including this generation.
    RemoveThrough {
        document_id: String,
        generation: String,
    },
    /// Remove a document's entries.
    RemoveAll { document_id: String },
}

#[derive(Serialize, Deserialize)]
struct PutLine {
    chunk_id: String,
    user_id: String,
    document_id: String,
    generation: String,
    chunk_index: u32,
    content: String,
    file_name: String,
    file_type: String,
    page_number: Option<u32>,
    // Logs from before it was known do not have it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    page_end: Option<u32>,
    section: Option<String>,
    word_count: u32,
    tags: Vec<String>,
    created_at: String,
}

#[derive(Serialize, Deserialize)]
struct RemoveLine {
    document_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
}

impl Record for Action {
    fn to_payload(&self) -> serde_json::Result<Vec<u8>> {
        let removal = |kind, document_id: &String, generation: Option<&String>| {
            let line = RemoveLine {
                document_id: document_id.clone(),
                generation: generation.cloned(),
            };
            payload(kind, &line, &[])
        };
        match self {
            Self::Put(entry) => payload(1, &put_line(entry), entry.embedding.values()),
            Self::RemoveBefore {
                document_id,
                generation,
            } => removal(2, document_id, Some(generation)),
            Self::RemoveThrough {
                document_id,
                generation,
            } => removal(3, document_id, Some(generation)),
            Self::RemoveAll { document_id } => removal(4, document_id, None),
        }
    }

    fn from_payload(payload: &[u8]) -> Option<Self> {
        let (kind, line, vector) = parts(payload)?;
        if kind == 1 {
            let line: PutLine = serde_json::from_slice(line).ok()?;
            let embedding = Embedding::from_le_bytes(vector, vector.len() / 4).ok()?;
            return Some(Self::Put(Box::new(line.into_entry(embedding))));
        }
        let RemoveLine {
            document_id,
            generation,
        } = serde_json::from_slice(line).ok()?;
        match (kind, generation) {
            (2, Some(generation)) => Some(Self::RemoveBefore {
                document_id,
                generation,
            }),
            (3, Some(generation)) => Some(Self::RemoveThrough {
                document_id,
                generation,
            }),
            (4, None) => Some(Self::RemoveAll { document_id }),
            _ => None,
        }
    }
}

fn put_line(entry: &Entry) -> PutLine {
    PutLine {
        chunk_id: entry.chunk_id.clone(),
        user_id: entry.user_id.clone(),
        document_id: entry.document_id.clone(),
        generation: entry.generation.clone(),
        chunk_index: entry.chunk_index,
        content: entry.content.clone(),
        file_name: entry.file_name.clone(),
        file_type: entry.file_type.clone(),
        page_number: entry.page_number,
        page_end: entry.page_end,
        section: entry.section.clone(),
        word_count: entry.word_count,
        tags: entry.tags.clone(),
        created_at: entry.created_at.clone(),
    }
}

impl PutLine {
    fn into_entry(self, embedding: Embedding) -> Entry {
        Entry {
            chunk_id: self.chunk_id,
            user_id: self.user_id,
            document_id: self.document_id,
            generation: self.generation,
            chunk_index: self.chunk_index,
            content: self.content,
            embedding,
            file_name: self.file_name,
            file_type: self.file_type,
            page_number: self.page_number,
            page_end: self.page_end,
            section: self.section,
            word_count: self.word_count,
            tags: self.tags,
            created_at: self.created_at,
        }
    }
}
