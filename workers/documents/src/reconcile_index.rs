//! `reconcile-index`: a document's entries are looked at once more when everything that was written has come to light.
//!
//! A vector collection of OpenSearch Serverless chooses ids itself and shows a write only after a while. What an attempt wrote that then died can so come to
//! light when the next attempt has looked, found nothing, and written it again: twins, or entries of a document that is gone, at which nobody would ever look. So every
//! delivery to `index-chunks` sends a message with a delay before it is acknowledged, however it ends. An attempt that dies is delivered again; so there is a look later than
//! whatever any attempt wrote. The look compares the index with the list of chunks: what is missing is put in, what is there twice or is of a former
//! generation leaves. A look that changed something is followed by another one. With other indexes nothing is sent, unless `MILLRACE_RECONCILE_SECONDS` says so.

use std::collections::{BTreeMap, BTreeSet};

use millrace_cloud::{Clients, SettingError, Settings, classify};
use millrace_delivery::{Cx, FromRecord, Worker};
use millrace_events::{Failure, Outcome, Payload, Record, reason};
use millrace_vectors::settings::shows_late;
use serde_json::{Value, json};

use crate::{
    context::Documents, embed_chunks::Chunked, index_chunks::put_entries, keys::Document,
    progress::Step, tidy::settle,
};

/// Longer than the service says that a write may take to be seen, twice.
const LATE_SECONDS: u16 = 180;
/// The longest delay of a message.
const LONGEST_SECONDS: u16 = 900;

/// When indexed documents are looked at again.
#[derive(Debug, Clone)]
pub(crate) struct Reconciling {
    clients: Clients,
    queue_url: String,
    seconds: u16,
}

impl Reconciling {
    /// From a function's settings; `None` when nothing comes to light late.
    pub(crate) fn from_settings(
        settings: &Settings,
        clients: &Clients,
    ) -> Result<Option<Self>, SettingError> {
        let name = "MILLRACE_RECONCILE_SECONDS";
        let usual = if shows_late(settings) {
            LATE_SECONDS
        } else {
            0
        };
        let seconds = settings.number(name, usual)?;
        if seconds > LONGEST_SECONDS {
            return Err(SettingError::Invalid {
                name,
                value: seconds.to_string(),
                expected: "a number of seconds up to 900",
            });
        }
        if seconds == 0 {
            return Ok(None);
        }
        let queue_url = settings.required("MILLRACE_RECONCILE_QUEUE_URL")?;
        Ok(Some(Self {
            clients: clients.clone(),
            queue_url: queue_url.to_owned(),
            seconds,
        }))
    }
}

/// Has the worker look at a document's entries after a while.
pub(crate) async fn reconcile_later(
    documents: &Documents,
    document: &Document,
) -> Result<(), Failure> {
    let Some(reconciling) = &documents.reconciling else {
        return Ok(());
    };
    let body = json!({"userId": document.user.as_str(), "documentId": document.id.as_str()});
    let request = reconciling.clients.sqs.send_message();
    let sent = request
        .queue_url(&reconciling.queue_url)
        .delay_seconds(i32::from(reconciling.seconds))
        .message_body(body.to_string())
        .send()
        .await;
    let attempted = "send the message that has the index looked at again";
    sent.map(drop).map_err(|error| classify(attempted, error))
}

/// Listens to a queue of delayed messages that name a document.
#[derive(Clone)]
pub struct ReconcileIndex(pub Documents);

/// That somebody shall look at a document's entries.
#[derive(Debug, Clone)]
pub struct LookAt(Document);

impl FromRecord for LookAt {
    fn from_record(record: &Record) -> Result<Option<Self>, Failure> {
        let Payload::Message(message) = &record.payload else {
            return Ok(None);
        };
        let text = |name: &str| {
            message.get(name).and_then(Value::as_str).ok_or_else(|| {
                let message =
                    format!("the message names no document: `{name}` is missing or no text");
                Failure::permanent(reason::MALFORMED_EVENT, message)
            })
        };
        let document = Document::parse(text("userId")?, text("documentId")?)?;
        Ok(Some(Self(document)))
    }
}

impl Worker for ReconcileIndex {
    const NAME: &'static str = "reconcile-index";
    type Event = LookAt;

    async fn handle(&self, look: LookAt, _cx: &Cx) -> Result<Outcome, Failure> {
        let Self(documents) = self;
        let LookAt(document) = &look;
        let Some(progress) = documents.progress.read(document).await? else {
            return Ok(Outcome::Ignored("nobody knows the document"));
        };
        if progress.is_removed() || !progress.has_reached(Step::Indexed) {
            // Whoever indexes it sends a message of their own.
            return settle(documents, document).await;
        }
        let Some(chunked) = Chunked::read(documents, document, Step::Indexed).await? else {
            return settle(documents, document).await;
        };
        let chunks = &chunked.list.chunks;
        let wanted = chunks.iter().map(|chunk| &*chunk.chunk_id).collect();
        let generation = &chunked.list.generation;
        if is_there_once(documents, document, generation, &wanted).await? {
            return Ok(Outcome::Already);
        }
        if !put_entries(documents, document, &chunked).await? {
            return settle(documents, document).await;
        }
        // What was put in may have twins by now that show later.
        reconcile_later(documents, document).await?;
        // Somebody may have uploaded or removed it meanwhile: what was put in then leaves.
        let now = documents.progress.read(document).await?;
        if now.is_some_and(|now| now.is_current(generation)) {
            return Ok(Outcome::Applied);
        }
        settle(documents, document).await
    }
}

/// Whether the index has each of these chunks once, and nothing of former generations. What is of a newer one is its own upload's.
async fn is_there_once(
    documents: &Documents,
    document: &Document,
    generation: &str,
    wanted: &BTreeSet<&str>,
) -> Result<bool, Failure> {
    let (user, id) = (document.user.as_str(), document.id.as_str());
    let there = documents.index.document_chunks(user, id).await?;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for (chunk, held) in &there {
        if held.as_str() < generation {
            return Ok(false);
        }
        if held == generation {
            *times.entry(chunk).or_default() += 1;
        }
    }
    Ok(wanted.iter().all(|chunk| times.get(chunk) == Some(&1)))
}
