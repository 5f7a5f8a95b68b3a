//! An overlay: every clause of the contract holds on it, and what is below stays as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contract;

use std::sync::{Arc, Mutex};

use contract::{ANN, BEN, entry, ids};
use millrace_vectors::{IndexChange, ModelId, OverlayIndex, ScanIndex, VectorIndex};

fn over(below: &ScanIndex) -> (OverlayIndex, Arc<Mutex<Vec<IndexChange>>>) {
    let told: Arc<Mutex<Vec<IndexChange>>> = Arc::default();
    let tell = told.clone();
    let overlay = OverlayIndex::new(
        Arc::new(below.clone()),
        Box::new(move |change| tell.lock().unwrap().push(change)),
    );
    (overlay, told)
}

#[tokio::test]
async fn it_keeps_the_contract_and_the_index_below_hears_nothing_of_it() {
    let below = ScanIndex::in_memory();
    let (overlay, _) = over(&below);
    contract::holds(&overlay).await;
    for document in ["whole", "shared", "doc"] {
        assert!(
            below
                .document_chunks(ANN, document)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            below
                .document_chunks(BEN, document)
                .await
                .unwrap()
                .is_empty()
        );
    }
    // Not even the model: the index below is still anybody's.
    below
        .check(&ModelId::new("another-model"), 8)
        .await
        .unwrap();
}

#[tokio::test]
async fn it_shows_what_is_below_with_its_own_changes_and_tells_them() {
    let below = ScanIndex::in_memory();
    let old: Vec<_> = (0..6)
        .map(|number| entry(ANN, "doc", "1", number, &format!("the wheel {number}")))
        .collect();
    let other = entry(ANN, "other", "1", 0, "the wheel of another document");
    below.put(&old).await.unwrap();
    below.put(std::slice::from_ref(&other)).await.unwrap();
    let before = below.document_chunks(ANN, "doc").await.unwrap();
    let (overlay, told) = over(&below);
    assert_eq!(overlay.document_chunks(ANN, "doc").await.unwrap(), before);

    let new = entry(ANN, "doc", "2", 0, "the sluice");
    overlay.put(std::slice::from_ref(&new)).await.unwrap();
    assert_eq!(overlay.remove_older(ANN, "doc", "2").await.unwrap(), 6);
    assert_eq!(overlay.remove_older(ANN, "doc", "2").await.unwrap(), 0);

    assert_eq!(
        overlay.document_chunks(ANN, "doc").await.unwrap(),
        [(new.chunk_id.clone(), "2".to_owned())]
    );
    // Six better ones are hidden: the search below must ask for more than it wants.
    let hits = overlay
        .search(ANN, &contract::embedding("the wheel 3"), 2)
        .await
        .unwrap();
    assert_eq!(ids(&hits), [&other.chunk_id, &new.chunk_id]);
    assert_eq!(
        overlay
            .remove_document(ANN, "doc", Some("2"))
            .await
            .unwrap(),
        1
    );
    assert!(
        overlay
            .document_chunks(ANN, "doc")
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(below.document_chunks(ANN, "doc").await.unwrap(), before);

    let (user_id, document_id) = (ANN.to_owned(), "doc".to_owned());
    assert_eq!(
        *told.lock().unwrap(),
        [
            IndexChange::Put {
                user_id: user_id.clone(),
                document_id: document_id.clone(),
                chunks: 1
            },
            IndexChange::RemoveOlder {
                user_id: user_id.clone(),
                document_id: document_id.clone(),
                chunks: 6
            },
            IndexChange::RemoveDocument {
                user_id,
                document_id,
                chunks: 1
            },
        ]
    );
}

#[tokio::test]
async fn what_is_put_again_hides_the_one_below() {
    let below = ScanIndex::in_memory();
    let old = entry(ANN, "doc", "1", 0, "the wheel");
    below.put(std::slice::from_ref(&old)).await.unwrap();
    let (overlay, _) = over(&below);
    let mut new = old.clone();
    new.content = "the wheel, mended".to_owned();
    overlay.put(&[new]).await.unwrap();
    let hits = overlay.search(ANN, &old.embedding, 5).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].content, "the wheel, mended");
    assert_eq!(overlay.document_chunks(ANN, "doc").await.unwrap().len(), 1);
    let below_still = below.search(ANN, &old.embedding, 5).await.unwrap();
    assert_eq!(below_still[0].content, "the wheel");
}
