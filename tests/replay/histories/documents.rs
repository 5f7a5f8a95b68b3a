//! What people do to documents: a random history, how it is done to a world, and what must hold of it.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use millrace_documents::{
    Document,
    invariants::{ALWAYS, AT_REST, Snapshot},
    upload::{NewFile, put_original, put_row},
};
use millrace_effects::broken;
use millrace_tests::{State, World};
use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};

use super::{Scene, When};

/// Documents in a history. Few, so that what is done to one meets what was done to it before.
const DOCUMENTS: u8 = 2;

/// What a file is: its name, its heading, and a text so many times.
struct File(&'static str, &'static str, &'static str, usize);

/// Good ones of one and of several chunks, with and without a title, and from [`READABLE`] on some that cannot be read.
const FILES: [File; 6] = [
    File("notes.txt", "", "The mill stands by the river. ", 2),
    File(
        "ledger.txt",
        "",
        "Forty sacks were ground on Monday.\n\n",
        120,
    ),
    File(
        "guide.md",
        "# The guide to the mill\n\n",
        "The sluice opens at dawn. ",
        1,
    ),
    File(
        "tour.md",
        "# A tour of the valley\n\n",
        "The path follows the old canal. ",
        120,
    ),
    File("blank.txt", "", " \n", 3),
    File("picture.txt", "", "\u{0}\u{1}\u{2}\u{3}\u{7f}", 20),
];

/// Their extensions: each gives a document another original.
const EXTENSIONS: [&str; 2] = ["txt", "md"];

/// So many of the files can be read.
const READABLE: usize = 4;

/// One thing that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Uploads a file: the object, and the row at once or only later.
    Upload {
        document: u8,
        file: usize,
        row_late: bool,
    },
    /// Removes the originals of a document.
    RemoveOriginal { document: u8 },
    /// Removes the original that the last upload, with another extension, left behind.
    RemoveFormer { document: u8 },
    /// Removes the row of a document.
    RemoveRow { document: u8 },
    /// Gives a document a title, and a tag.
    Edit { document: u8, title: u8 },
}

impl Step {
    fn document_number(self) -> u8 {
        match self {
            Self::Upload { document, .. }
            | Self::RemoveOriginal { document }
            | Self::RemoveFormer { document }
            | Self::RemoveRow { document }
            | Self::Edit { document, .. } => document,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upload {
                document,
                file,
                row_late,
            } => {
                let late = if *row_late { ", its row later" } else { "" };
                write!(f, "upload {} as document {document}{late}", FILES[*file].0)
            }
            Self::RemoveOriginal { document } => {
                write!(f, "remove the originals of document {document}")
            }
            Self::RemoveFormer { document } => {
                write!(f, "remove the former original of document {document}")
            }
            Self::RemoveRow { document } => write!(f, "remove the row of document {document}"),
            Self::Edit { document, title } => write!(f, "give document {document} title {title}"),
        }
    }
}

/// A history of so many steps.
pub fn random(chance: &mut StdRng, steps: usize) -> Vec<Step> {
    let one = |chance: &mut StdRng| {
        let document = chance.random_range(0..DOCUMENTS);
        match chance.random_range(0..100) {
            0..60 => {
                // Good files more often than bad ones.
                let good = chance.random_bool(0.8);
                let file = if good {
                    chance.random_range(0..READABLE)
                } else {
                    chance.random_range(READABLE..FILES.len())
                };
                Step::Upload {
                    document,
                    file,
                    row_late: chance.random_bool(0.3),
                }
            }
            60..70 => Step::RemoveOriginal { document },
            70..75 => Step::RemoveFormer { document },
            75..87 => Step::RemoveRow { document },
            _ => Step::Edit {
                document,
                title: chance.random_range(0..3),
            },
        }
    };
    (0..steps).map(|_| one(chance)).collect()
}

/// The documents that histories are about.
fn documents() -> Vec<Document> {
    let id = |number| format!("3c9d2b7a-51e4-4f0a-8a6b-0d1e2f3a4b{number:02x}");
    (0..DOCUMENTS)
        .map(|number| Document::parse("ada", &id(number)).unwrap())
        .collect()
}

/// The documents, what the platform knows between two steps, and what was last seen.
pub struct Documents {
    documents: Vec<Document>,
    snapshots: Vec<Snapshot>,
    /// Rows that are still to be written.
    late: Vec<(NewFile, time::OffsetDateTime)>,
    /// The extension of each document's last upload.
    last: BTreeMap<Document, &'static str>,
}

impl Default for Documents {
    fn default() -> Self {
        let documents = documents();
        Self {
            snapshots: vec![Snapshot::default(); documents.len()],
            documents,
            late: Vec::new(),
            last: BTreeMap::new(),
        }
    }
}

impl Documents {
    /// Writes the rows of a document, or of all.
    async fn write_rows(&mut self, world: &World, document: Option<&Document>) {
        let (now, later) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(file, _)| document.is_none_or(|document| file.document == *document));
        self.late = later;
        let now: Vec<(NewFile, time::OffsetDateTime)> = now;
        for (file, at) in now {
            put_row(&world.clients, &world.names.documents, &file, at)
                .await
                .unwrap();
        }
    }

    /// How a removal was learnt of differs from run to run, and only Millrace reads it; that it is removed does not.
    fn row_from_outside(world: &World, key: &str, mut row: Value) -> Value {
        if !key.starts_with(&world.names.documents.progress_table) {
            return row;
        }
        if matches!(row["status"]["S"].as_str(), Some("removed" | "removing")) {
            return json!({"status": row["status"]});
        }
        for private in ["removedThrough", "removedAt", "writtenTitle"] {
            row.as_object_mut().unwrap().remove(private);
        }
        row
    }
}

#[async_trait(?Send)]
impl Scene for Documents {
    fn workers(&self) -> &'static [&'static str] {
        &millrace_documents::WORKERS
    }

    async fn take(&mut self, step: super::Step, world: &World) {
        if let super::Step::Documents(step) = step {
            take(step, world, self).await;
        }
    }

    fn is_done(&self) -> bool {
        self.late.is_empty()
    }

    async fn finish(&mut self, world: &World) {
        self.write_rows(world, None).await;
    }

    async fn look(&mut self, world: &World, whole: bool) -> Result<(), String> {
        let observer = world.observer.documents();
        for (at, document) in self.documents.iter().enumerate() {
            let now = if whole {
                Snapshot::read(observer, document).await
            } else {
                Snapshot::glance(observer, document).await
            };
            let now = now.map_err(|failure| format!("{document}: {}", failure.chain()))?;
            self.snapshots[at] = now.after(&self.snapshots[at]);
        }
        Ok(())
    }

    fn has_letter(&mut self, subject: &str) {
        for (document, snapshot) in self.documents.iter().zip(&mut self.snapshots) {
            snapshot.has_letter |= subject.contains(document.id.as_str());
        }
    }

    fn broken(&self, when: When) -> Option<String> {
        let invariants = match when {
            When::Always => ALWAYS,
            When::AtRest => AT_REST,
        };
        let seen = self.documents.iter().zip(&self.snapshots);
        { seen }.find_map(|(document, snapshot)| {
            let broken = broken(invariants, snapshot);
            let what = format!("{snapshot:#?}");
            (!broken.is_empty()).then(|| format!("{}: {document}\n{what:.4000}", broken.join(", ")))
        })
    }

    fn seen_from_outside(&self, world: &World, mut state: State) -> State {
        for (key, row) in &mut state.rows {
            *row = Self::row_from_outside(world, key, row.take());
        }
        // A document of which only a removal is known need not have a row of its own.
        let removed = json!({"status": {"S": "removed"}});
        state.rows.retain(|_, row| *row != removed);
        state
    }
}

/// Does one step. Every step has a minute of its own, so that two worlds give its uploads the same sequencer, whatever was
/// written before.
async fn take(step: Step, world: &World, platform: &mut Documents) {
    world.later();
    let document = &documents()[usize::from(step.document_number())];
    // Somebody who does something with a document has seen his upload end.
    platform.write_rows(world, Some(document)).await;
    match step {
        Step::Upload { file, row_late, .. } => {
            let File(name, heading, text, times) = &FILES[file];
            let extension = EXTENSIONS.into_iter().find(|one| name.ends_with(one));
            platform.last.insert(document.clone(), extension.unwrap());
            let file = NewFile {
                document: document.clone(),
                file_name: (*name).to_owned(),
                file_type: "text/plain".to_owned(),
                bytes: format!("{heading}{}", text.repeat(*times))
                    .into_bytes()
                    .into(),
            };
            put_original(&world.clients, &world.names.documents, &file)
                .await
                .unwrap();
            let now = world.now();
            if row_late {
                platform.late.push((file, now));
            } else {
                put_row(&world.clients, &world.names.documents, &file, now)
                    .await
                    .unwrap();
            }
        }
        Step::RemoveOriginal { .. } => {
            for extension in EXTENSIONS {
                remove_original(world, document, extension).await;
            }
        }
        Step::RemoveFormer { .. } => {
            let Some(last) = platform.last.get(document) else {
                return;
            };
            for extension in EXTENSIONS.into_iter().filter(|one| one != last) {
                remove_original(world, document, extension).await;
            }
        }
        Step::RemoveRow { .. } => {
            let request = world.clients.dynamodb.delete_item();
            let request = request.table_name(&world.names.documents.documents_table);
            let request = request
                .key("userId", text(document.user.as_str()))
                .key("documentId", text(document.id.as_str()));
            request.send().await.unwrap();
        }
        Step::Edit { title, .. } => {
            let request = world.clients.dynamodb.update_item();
            let request = request
                .table_name(&world.names.documents.documents_table)
                .key("userId", text(document.user.as_str()))
                .key("documentId", text(document.id.as_str()))
                .update_expression("SET metadata.title = :title, metadata.tags = :tags")
                .condition_expression("attribute_exists(userId)")
                .expression_attribute_values(":title", text(&format!("My title {title}")))
                .expression_attribute_values(":tags", AttributeValue::L(vec![text("mill")]));
            // Nobody edits a document that he does not see.
            let _ = request.send().await;
        }
    }
}

async fn remove_original(world: &World, document: &Document, extension: &str) {
    let request = world
        .clients
        .s3
        .delete_object()
        .bucket(&world.names.documents.bucket);
    let key = document.original(Some(extension));
    request.key(key).send().await.unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
