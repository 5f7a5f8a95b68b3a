//! What must hold of documents: at every moment, at rest, and from one progress row to the next.
//!
//! Written once: the simulation asks it after every step, the tests of the promise at their end, and the progress
//! store by `debug_assert!` at every move.

use std::{collections::BTreeMap, fmt};

use millrace_effects::{Invariant, Row, broken};
use millrace_events::Failure;

use crate::{
    artefacts::{Embeddings, Layout, ProcessedMetadata, generation_of, parse},
    context::Documents,
    keys::{Document, chunk_index},
    progress::{Progress, Status, Step, says},
};

/// A progress row that replaces another.
#[derive(Debug, Clone)]
pub struct Move {
    /// As it was.
    pub before: Progress,
    /// As it becomes.
    pub after: Progress,
}

impl Move {
    /// The names of what does not hold of it.
    pub fn broken(before: &Progress, after: &Progress) -> Vec<&'static str> {
        let (before, after) = (before.clone(), after.clone());
        broken(OF_A_MOVE, &Self { before, after })
    }
}

/// What holds of every move of a progress row.
pub const OF_A_MOVE: &[Invariant<Move>] = &[
    Invariant {
        name: "generation-never-goes-back",
        says: "A document's generation is never replaced by an older one.",
        holds: |step| step.after.generation >= step.before.generation,
    },
    Invariant {
        name: "progress-never-goes-back",
        says: "Within a generation, what was reached stays reached.",
        holds: |step| {
            step.after.generation != step.before.generation
                || step.after.reached >= step.before.reached
        },
    },
    Invariant {
        name: "ready-is-indexed",
        says: "A document is ready exactly when its chunks are in the index.",
        holds: |step| {
            step.after.is_removed()
                || (step.after.status == Status::Ready) == step.after.has_reached(Step::Indexed)
        },
    },
    Invariant {
        name: "every-move-counts",
        says: "Every move of a progress row counts its revision up by one.",
        holds: |step| step.after.revision == step.before.revision + 1,
    },
];

/// Everything durable of one document.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// The progress row.
    pub progress: Option<Progress>,
    /// The platform's row.
    pub row: Option<Row>,
    /// Generation of the extracted text.
    pub text: Option<String>,
    /// Generation in the layout.
    pub layout: Option<String>,
    /// The list of chunks.
    pub list: Option<ProcessedMetadata>,
    /// Generation in the embeddings.
    pub embeddings: Option<String>,
    /// Generation of every chunk's object, by index.
    pub chunks: BTreeMap<u32, String>,
    /// Generation of every entry in the index, by chunk id.
    pub entries: BTreeMap<String, String>,
    /// Whether a dead letter tells of it.
    pub has_letter: bool,
    /// The generation that was last ready, while nothing removed the document since: whoever looks at one moment after
    /// another keeps it up with [`Snapshot::after`].
    pub serving: Option<String>,
}

impl Snapshot {
    /// Reads everything there is of a document, except its dead letters. Not one moment: nothing else may move
    /// meanwhile.
    pub async fn read(documents: &Documents, document: &Document) -> Result<Self, Failure> {
        let bucket = documents.bucket();
        let text = bucket.head(&document.text()).await?;
        let layout_key = document.layout();
        let layout = bucket.get(&layout_key).await?;
        let layout = layout.map(|object| parse::<Layout>(&layout_key, &object.bytes));
        let list_key = document.metadata();
        let list = bucket.get(&list_key).await?;
        let list = list.map(|object| parse(&list_key, &object.bytes));
        let embeddings_key = document.embeddings();
        let embeddings = bucket.get(&embeddings_key).await?;
        let embeddings =
            embeddings.map(|object| parse::<Embeddings>(&embeddings_key, &object.bytes));
        let mut chunks = BTreeMap::new();
        for listed in bucket.list(&document.chunks_folder()).await? {
            let Some(index) = chunk_index(&listed.key) else {
                continue;
            };
            let object = bucket.head(&listed.key).await?;
            let generation = object.as_ref().and_then(generation_of).unwrap_or_default();
            chunks.insert(index, generation.to_owned());
        }
        Ok(Self {
            row: documents.progress().read_row(document).await?,
            text: text.as_ref().and_then(generation_of).map(ToOwned::to_owned),
            layout: layout.transpose()?.map(|layout| layout.generation),
            list: list.transpose()?,
            embeddings: embeddings.transpose()?.map(|all| all.generation),
            chunks,
            ..Self::glance(documents, document).await?
        })
    }

    /// Reads the progress and the index entries of a document, and leaves the rest out: cheap enough to look after every
    /// step.
    pub async fn glance(documents: &Documents, document: &Document) -> Result<Self, Failure> {
        let (user, id) = (document.user.as_str(), document.id.as_str());
        let entries = documents.index().document_chunks(user, id).await?;
        Ok(Self {
            progress: documents.progress().read(document).await?,
            entries: entries.into_iter().collect(),
            ..Self::default()
        })
    }

    /// This snapshot, knowing the one before it.
    #[must_use]
    pub fn after(mut self, former: &Self) -> Self {
        self.serving = match &self.progress {
            Some(progress) if progress.is_removed() || progress.is_unreadable() => None,
            Some(progress) if progress.status == Status::Ready => progress.generation.clone(),
            _ => former.serving.clone(),
        };
        self
    }

    /// Every generation that something was derived from.
    fn derived(&self) -> impl Iterator<Item = &String> {
        let list = self.list.as_ref().map(|list| &list.generation);
        let artefacts = [
            self.text.as_ref(),
            self.layout.as_ref(),
            list,
            self.embeddings.as_ref(),
        ];
        artefacts
            .into_iter()
            .flatten()
            .chain(self.chunks.values())
            .chain(self.entries.values())
    }

    /// The generation that is ready.
    fn ready(&self) -> Option<&str> {
        let progress = self.progress.as_ref()?;
        (progress.status == Status::Ready).then_some(progress.generation.as_deref()?)
    }
}

/// Generations and states; no text.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = self.progress.as_ref().map(|progress| {
            let Progress {
                generation,
                status,
                reached,
                error,
                removed_through,
                removed_at,
                ..
            } = progress;
            (
                generation,
                status,
                reached,
                error,
                removed_through,
                removed_at,
            )
        });
        let status = self.row.as_ref().map(|row| row.get("status"));
        let list = self
            .list
            .as_ref()
            .map(|list| (&list.generation, list.chunk_count));
        f.debug_struct("Snapshot")
            .field("progress", &progress)
            .field("row", &status)
            .field("text", &self.text)
            .field("layout", &self.layout)
            .field("list", &list)
            .field("embeddings", &self.embeddings)
            .field("chunks", &self.chunks)
            .field("entries", &self.entries)
            .field("has_letter", &self.has_letter)
            .field("serving", &self.serving)
            .finish()
    }
}

/// What holds at every moment.
pub const ALWAYS: &[Invariant<Snapshot>] = &[
    Invariant {
        name: "nothing-without-progress",
        says: "Nothing is derived from an upload that the progress row does not know, or knows something newer of.",
        holds: |now| {
            let known = now.progress.as_ref();
            let known = known.and_then(|progress| progress.generation.as_ref());
            now.derived()
                .all(|derived| known.is_some_and(|known| derived <= known))
        },
    },
    Invariant {
        name: "ready-can-be-found",
        says: "While a document is ready, chunks of its generation are in the index.",
        holds: |now| {
            now.ready().is_none_or(|generation| {
                now.entries
                    .values()
                    .any(|indexed| indexed.as_str() == generation)
            })
        },
    },
    Invariant {
        name: "new-before-old",
        says: "Once a document can be found it can be found until it is removed or replaced by a file that cannot be read, also while it is \
               replaced.",
        holds: |now| now.serving.is_none() || !now.entries.is_empty(),
    },
];

/// What holds once every event was handled and nothing moves.
pub const AT_REST: &[Invariant<Snapshot>] = &[
    Invariant {
        name: "nothing-stays-on-its-way",
        says: "Every document ends as ready, as an error, or removed.",
        holds: |now| {
            now.progress.as_ref().is_none_or(|progress| {
                !matches!(progress.status, Status::Processing | Status::Removing)
            })
        },
    },
    Invariant {
        name: "row-says-progress",
        says: "The platform's row says what the progress row says.",
        holds: |now| match (&now.row, &now.progress) {
            (Some(row), Some(progress)) => progress.is_removed() || says(row, progress),
            _ => true,
        },
    },
    Invariant {
        name: "ready-is-whole",
        says: "A ready document has its text, layout, list, embeddings, each chunk once as an object and once in the index, all of its \
               generation, and nothing else.",
        holds: |now| {
            now.ready()
                .is_none_or(|generation| is_whole(now, generation))
        },
    },
    Invariant {
        name: "removed-is-empty",
        says: "Nothing that was derived is left of a document that was removed, or replaced by a file that cannot be read.",
        holds: |now| {
            let gone = |progress: &Progress| progress.is_removed() || progress.is_unreadable();
            !now.progress.as_ref().is_some_and(gone) || now.derived().next().is_none()
        },
    },
    Invariant {
        name: "error-has-a-letter",
        says: "A document that ended as an error has a dead letter by which it can be tried again.",
        holds: |now| {
            now.has_letter
                || now
                    .progress
                    .as_ref()
                    .is_none_or(|progress| progress.status != Status::Error)
        },
    },
];

fn is_whole(now: &Snapshot, generation: &str) -> bool {
    let Some(list) = &now.list else {
        return false;
    };
    let of_it = |held: &String| held == generation;
    let listed: BTreeMap<&String, u32> = list
        .chunks
        .iter()
        .map(|chunk| (&chunk.chunk_id, chunk.chunk_index))
        .collect();
    now.derived().all(of_it)
        && now.text.is_some()
        && now.layout.is_some()
        && now.embeddings.is_some()
        && listed.keys().copied().eq(now.entries.keys())
        && now.chunks.keys().copied().eq(0..list.chunk_count)
        && listed.len() == now.chunks.len()
}
