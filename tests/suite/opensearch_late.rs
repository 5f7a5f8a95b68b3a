//! An index that chooses ids itself and shows writes late, as a collection of OpenSearch Serverless does: what a dead attempt wrote comes to light when nobody
//! waits for it any more, and `reconcile-index` puts it right.
//!
//! A real OpenSearch stands in for the collection (`MILLRACE_OPENSEARCH_URL`; `tests/real/opensearch.sh` starts one): entries are written without ids. A write that is on its
//! way when its process dies is kept by the test, which lets it arrive later.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use millrace_documents::Document;
use millrace_events::Failure;
use millrace_tests::World;
use millrace_vectors::{
    Auth, Embedding, Engine, Entry, Hit, ModelId, OpenSearchIndex, Service, VectorIndex,
};
use serde_json::Value;

use crate::{
    SECOND, document,
    opensearch::{SERVER, url},
};

/// A collection, and writes that are on their way to it.
struct Collection {
    index: OpenSearchIndex,
    /// The same index, written to with ids of the test's own.
    by_hand: OpenSearchIndex,
    /// Whether the next process that writes dies of it.
    kills: AtomicBool,
    under_way: Mutex<Vec<Entry>>,
    /// What was last put in.
    last: Mutex<Vec<Entry>>,
}

impl Collection {
    async fn world(name: &str) -> Option<(World, Arc<Self>)> {
        let url = url()?;
        let name = format!("late-{name}-{}", std::process::id());
        // The plugin as it comes from Maven Central has no native library, so no faiss.
        let index = OpenSearchIndex::new(&url, Auth::None, &name).unwrap();
        let by_hand = index.with_engine(Engine::Lucene);
        let collection = Arc::new(Self {
            index: by_hand.clone().with_service(Service::Serverless),
            by_hand,
            kills: AtomicBool::new(false),
            under_way: Mutex::default(),
            last: Mutex::default(),
        });
        Some((World::with_index(collection.clone()).await, collection))
    }

    /// What was on its way arrives.
    async fn writes_arrive(&self) {
        let entries = std::mem::take(&mut *self.under_way.lock().unwrap());
        assert!(!entries.is_empty(), "nothing was on its way");
        self.by_hand.put(&entries).await.unwrap();
    }

    /// How often each chunk of a document is in the index, by its generation.
    async fn there(&self, document: &Document) -> BTreeMap<(String, String), usize> {
        let (user, id) = (document.user.as_str(), document.id.as_str());
        let mut there = BTreeMap::new();
        for (chunk, generation) in self.by_hand.document_chunks(user, id).await.unwrap() {
            *there.entry((generation, chunk)).or_default() += 1;
        }
        there
    }

    /// The same, where no chunk may be there twice.
    async fn there_once(&self, document: &Document) -> Vec<(String, String)> {
        let there = self.there(document).await;
        assert!(there.values().all(|times| *times == 1), "{there:?}");
        there.into_keys().collect()
    }
}

#[async_trait]
impl VectorIndex for Collection {
    async fn check(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.index.check(model, dimensions).await
    }

    async fn fits(&self, model: &ModelId, dimensions: usize) -> Result<(), Failure> {
        self.index.fits(model, dimensions).await
    }

    async fn put(&self, entries: &[Entry]) -> Result<(), Failure> {
        *self.last.lock().unwrap() = entries.to_vec();
        if self.kills.swap(false, Ordering::SeqCst) {
            self.under_way.lock().unwrap().extend_from_slice(entries);
            return pending().await;
        }
        self.index.put(entries).await
    }

    async fn remove_older(
        &self,
        user_id: &str,
        document_id: &str,
        generation: &str,
    ) -> Result<u64, Failure> {
        let index = &self.index;
        index.remove_older(user_id, document_id, generation).await
    }

    async fn remove_document(
        &self,
        user_id: &str,
        document_id: &str,
        up_to_generation: Option<&str>,
    ) -> Result<u64, Failure> {
        let index = &self.index;
        index
            .remove_document(user_id, document_id, up_to_generation)
            .await
    }

    async fn search(
        &self,
        user_id: &str,
        query: &Embedding,
        k: usize,
    ) -> Result<Vec<Hit>, Failure> {
        self.index.search(user_id, query, k).await
    }

    async fn document_chunks(
        &self,
        user_id: &str,
        document_id: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        self.index.document_chunks(user_id, document_id).await
    }
}

/// Enough for several chunks.
fn long() -> String {
    "The mill stands by the river, and its wheel is five metres wide. The miller opens the sluice at dawn.\n\n"
        .repeat(60)
}

/// A document whose chunks are on their way into the index when the process that sent them dies. Answers the event that waits again.
async fn dies_writing(world: &World, collection: &Collection, worker: &str) -> Value {
    let waiting = world.receive(worker).await;
    assert_eq!(waiting.len(), 1);
    collection.kills.store(true, Ordering::SeqCst);
    let delivery = world.deliver(worker, &waiting[0].event);
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! {
            report = delivery => panic!("it wrote nothing: {:?}", report.records),
            () = async {
                while collection.under_way.lock().unwrap().is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            } => {}
        }
    });
    ended.await.unwrap();
    world.put_back(&waiting[0]).await;
    waiting[0].event.clone()
}

/// Indexed documents are looked at once more, and whatever was changed again.
async fn looked_at(world: &World) {
    for _ in 0..3 {
        world.wait(Duration::from_secs(180));
        world.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_that_come_to_light_late_leave() {
    let _shared = SERVER.read().await;
    let Some((world, collection)) = Collection::world("twins").await else {
        return;
    };
    let document = document("ada", 1);
    world.upload(&document, "mill.txt", long().as_bytes()).await;
    world.quiet_without(&["index-chunks"]).await;
    dies_writing(&world, &collection, "index-chunks").await;
    // Delivered again, it sees nothing of what it wrote, and writes it again.
    world.quiet().await;
    let expected = collection.there_once(&document).await;
    assert!(expected.len() > 3, "{expected:?}");
    collection.writes_arrive().await;
    let there = collection.there(&document).await;
    assert!(there.values().all(|times| *times == 2), "{there:?}");

    // A look that does not live to its end changes nothing that the next one cannot see.
    world.wait(Duration::from_secs(180));
    let event = dies_writing(&world, &collection, "reconcile-index").await;
    world.quiet().await;
    collection.writes_arrive().await;
    looked_at(&world).await;
    assert_eq!(collection.there_once(&document).await, expected);

    // Once more, out of turn.
    let report = world.deliver("reconcile-index", &event).await;
    assert_eq!(report.response["batchItemFailures"], serde_json::json!([]));
    looked_at(&world).await;
    assert_eq!(collection.there_once(&document).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_put_in() {
    let _shared = SERVER.read().await;
    let Some((world, collection)) = Collection::world("missing").await else {
        return;
    };
    let document = document("ada", 2);
    world.upload(&document, "mill.txt", long().as_bytes()).await;
    world.quiet().await;
    let expected = collection.there_once(&document).await;
    let (user, id) = (document.user.as_str(), document.id.as_str());
    collection
        .index
        .remove_document(user, id, None)
        .await
        .unwrap();
    let entries = collection.last.lock().unwrap().clone();
    collection.by_hand.put(&entries[..2]).await.unwrap();
    assert_eq!(collection.there(&document).await.len(), 2);

    looked_at(&world).await;
    assert_eq!(collection.there_once(&document).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_attempt_wrote_of_a_document_that_is_gone_leaves() {
    let _shared = SERVER.read().await;
    let Some((world, collection)) = Collection::world("gone").await else {
        return;
    };
    let document = document("ada", 3);
    world.upload(&document, "mill.txt", long().as_bytes()).await;
    world.quiet_without(&["index-chunks"]).await;
    dies_writing(&world, &collection, "index-chunks").await;
    let s3 = &world.clients.s3;
    let removal = s3.delete_object().bucket(&world.names.documents.bucket);
    let removal = removal.key(document.original(Some("txt")));
    removal.send().await.unwrap();
    // Everybody is done with the document, the redelivered event too.
    world.quiet().await;
    collection.writes_arrive().await;
    assert!(collection.there(&document).await.len() > 3);

    looked_at(&world).await;
    assert_eq!(collection.there(&document).await, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_attempt_wrote_of_a_former_upload_leaves() {
    let _shared = SERVER.read().await;
    let Some((world, collection)) = Collection::world("former").await else {
        return;
    };
    let document = document("ada", 4);
    world.upload(&document, "mill.txt", long().as_bytes()).await;
    world.quiet_without(&["index-chunks"]).await;
    dies_writing(&world, &collection, "index-chunks").await;
    world.later();
    world.upload(&document, "sold.txt", SECOND.as_bytes()).await;
    world.quiet().await;
    let expected = collection.there_once(&document).await;
    assert_eq!(expected.len(), 1);
    collection.writes_arrive().await;
    assert!(collection.there(&document).await.len() > 4);

    looked_at(&world).await;
    assert_eq!(collection.there_once(&document).await, expected);
}
