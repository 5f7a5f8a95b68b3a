//! What every vector index does, whichever it is.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

use millrace_events::reason;
use millrace_vectors::{Embedder, Embedding, Entry, HashedEmbedder, Hit, ModelId, VectorIndex};

pub const ANN: &str = "3f0c6f6e-ann";
pub const BEN: &str = "../../etc/ben";

/// An entry with the local embedder's vector of its text.
pub fn entry(
    user_id: &str,
    document_id: &str,
    generation: &str,
    chunk_index: u32,
    content: &str,
) -> Entry {
    let name = format!("{user_id}/{document_id}/{generation}/{chunk_index}");
    Entry {
        chunk_id: uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        user_id: user_id.to_owned(),
        document_id: document_id.to_owned(),
        generation: generation.to_owned(),
        chunk_index,
        content: content.to_owned(),
        embedding: embedding(content),
        file_name: "mill.pdf".to_owned(),
        file_type: "application/pdf".to_owned(),
        page_number: Some(2),
        page_end: (chunk_index > 0).then_some(3),
        section: (chunk_index > 0).then(|| "The wheel".to_owned()),
        word_count: content.split_whitespace().count() as u32,
        tags: vec!["water".to_owned(), "wood".to_owned()],
        created_at: "2026-11-21T04:43:00Z".to_owned(),
    }
}

pub fn embedding(text: &str) -> Embedding {
    HashedEmbedder::new().embed_one(text).unwrap()
}

/// What is found for an entry.
pub fn as_hit(entry: &Entry, score: f32) -> Hit {
    let entry = entry.clone();
    Hit {
        score,
        chunk_id: entry.chunk_id,
        user_id: entry.user_id,
        document_id: entry.document_id,
        generation: entry.generation,
        chunk_index: entry.chunk_index,
        content: entry.content,
        file_name: entry.file_name,
        file_type: entry.file_type,
        page_number: entry.page_number,
        page_end: entry.page_end,
        section: entry.section,
        word_count: entry.word_count,
        tags: entry.tags,
        created_at: entry.created_at,
    }
}

pub fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.chunk_id.as_str()).collect()
}

/// Runs every clause on an index that is empty and not checked yet.
pub async fn holds(index: &dyn VectorIndex) {
    the_model_is_checked(index).await;
    what_is_put_is_found_whole(index).await;
    scores_are_cosines(index).await;
    nobody_finds_what_is_anothers(index).await;
    putting_again_replaces(index).await;
    equal_scores_are_ordered_by_chunk_id(index).await;
    the_new_generation_stays(index).await;
    a_document_is_removed_up_to_a_generation(index).await;
}

async fn the_model_is_checked(index: &dyn VectorIndex) {
    let embedder = HashedEmbedder::new();
    let other = ModelId::new("another-model");
    // Asking makes no index: one that is not there yet fits every model.
    for model in [&other, embedder.model()] {
        index.fits(model, embedder.dimensions()).await.unwrap();
    }
    for _ in 0..2 {
        index
            .check(embedder.model(), embedder.dimensions())
            .await
            .unwrap();
    }
    for (model, dimensions) in [(&other, embedder.dimensions()), (embedder.model(), 512)] {
        let failure = index.fits(model, dimensions).await.unwrap_err();
        assert_eq!(failure.reason(), reason::MODEL_MISMATCH);
        let failure = index.check(model, dimensions).await.unwrap_err();
        assert_eq!(failure.reason(), reason::MODEL_MISMATCH);
        assert!(!failure.is_transient());
        let message = failure.message();
        let names_both = message.contains("another-model") && message.contains("millrace-hashed-1");
        assert!(
            names_both || message.contains("512") && message.contains("1536"),
            "{message}"
        );
    }
    index
        .check(embedder.model(), embedder.dimensions())
        .await
        .unwrap();
}

async fn what_is_put_is_found_whole(index: &dyn VectorIndex) {
    let entries = [
        entry(ANN, "whole", "1", 0, "The stream drives the wheel."),
        entry(ANN, "whole", "1", 1, "粉を挽く水車 밀가루"),
    ];
    index.put(&[]).await.unwrap();
    index.put(&entries).await.unwrap();
    for entry in &entries {
        let hits = index.search(ANN, &entry.embedding, 1).await.unwrap();
        assert_eq!(hits.len(), 1);
        assert!((hits[0].score - 1.0).abs() < 1e-3, "{}", hits[0].score);
        assert_eq!(hits, [as_hit(entry, hits[0].score)]);
    }
    assert_eq!(
        index
            .search(ANN, &entries[0].embedding, 10)
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        index.search(ANN, &entries[0].embedding, 0).await.unwrap(),
        []
    );
    let mut chunks: Vec<_> = entries
        .iter()
        .map(|entry| (entry.chunk_id.clone(), "1".to_owned()))
        .collect();
    chunks.sort();
    assert_eq!(index.document_chunks(ANN, "whole").await.unwrap(), chunks);
    assert_eq!(index.remove_document(ANN, "whole", None).await.unwrap(), 2);
    assert_eq!(index.remove_document(ANN, "whole", None).await.unwrap(), 0);
    assert_eq!(index.document_chunks(ANN, "whole").await.unwrap(), []);
    assert_eq!(
        index.search(ANN, &entries[0].embedding, 10).await.unwrap(),
        []
    );
}

async fn scores_are_cosines(index: &dyn VectorIndex) {
    let axis = |places: &[(usize, f32)]| {
        let mut values = vec![0.0; 1536];
        places
            .iter()
            .for_each(|(place, value)| values[*place] = *value);
        Embedding::try_new(values, 1536).unwrap()
    };
    let query = axis(&[(0, 1.0)]);
    let expected = [
        (axis(&[(0, 2.0)]), 1.0),
        (axis(&[(0, 3.0), (7, 4.0)]), 0.6),
        (axis(&[(9, 1.0)]), 0.0),
        (axis(&[(0, -1.0)]), -1.0),
    ];
    let entries: Vec<Entry> = (0..)
        .zip(&expected)
        .map(|(number, (embedding, _))| Entry {
            embedding: embedding.clone(),
            ..entry(ANN, "cosines", "1", number, "x")
        })
        .collect();
    index.put(&entries).await.unwrap();
    let hits = index.search(ANN, &query, 4).await.unwrap();
    assert_eq!(
        hits.iter().map(|hit| hit.chunk_index).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    for (hit, (_, cosine)) in hits.iter().zip(&expected) {
        assert!(
            (hit.score - cosine).abs() < 1e-3,
            "{} is not {cosine}",
            hit.score
        );
    }
    index.remove_document(ANN, "cosines", None).await.unwrap();
}

async fn nobody_finds_what_is_anothers(index: &dyn VectorIndex) {
    let of_ben: Vec<Entry> = (0..12)
        .map(|number| entry(BEN, "shared-id", "1", number, "The miller's secret"))
        .collect();
    let of_ann = entry(ANN, "shared-id", "1", 0, "Bread and rolls every morning");
    index.put(&of_ben).await.unwrap();
    index.put(std::slice::from_ref(&of_ann)).await.unwrap();
    // Every vector of Ben's is nearer than Ann's only one: a filter after the search would leave nothing.
    let hits = index.search(ANN, &of_ben[0].embedding, 5).await.unwrap();
    assert_eq!(ids(&hits), [of_ann.chunk_id.as_str()]);
    for stranger in ["", "*", "nobody", "3f0c6f6e", "3f0c6f6e-ANN"] {
        assert_eq!(
            index
                .search(stranger, &of_ben[0].embedding, 5)
                .await
                .unwrap(),
            [],
            "{stranger:?}"
        );
    }
    assert_eq!(
        index.document_chunks(ANN, "shared-id").await.unwrap().len(),
        1
    );
    assert_eq!(index.remove_older(ANN, "shared-id", "9").await.unwrap(), 1);
    assert_eq!(
        index.document_chunks(BEN, "shared-id").await.unwrap().len(),
        12
    );
    assert_eq!(
        index.remove_document(BEN, "shared-id", None).await.unwrap(),
        12
    );
}

async fn putting_again_replaces(index: &dyn VectorIndex) {
    let before = entry(ANN, "again", "1", 0, "The wheel stands still");
    let after = Entry {
        content: "The wheel turns".to_owned(),
        embedding: embedding("The wheel turns"),
        ..before.clone()
    };
    for entry in [&before, &before, &after, &after] {
        index.put(std::slice::from_ref(entry)).await.unwrap();
    }
    let hits = index.search(ANN, &before.embedding, 5).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].content, "The wheel turns");
    assert!((hits[0].score - before.embedding.cosine(&after.embedding)).abs() < 1e-3);
    index.remove_document(ANN, "again", None).await.unwrap();
}

async fn equal_scores_are_ordered_by_chunk_id(index: &dyn VectorIndex) {
    let entries: Vec<Entry> = (0..6)
        .map(|number| entry(ANN, "ties", "1", number, "the same words"))
        .collect();
    index.put(&entries).await.unwrap();
    let hits = index.search(ANN, &entries[0].embedding, 6).await.unwrap();
    let mut expected: Vec<&str> = entries
        .iter()
        .map(|entry| entry.chunk_id.as_str())
        .collect();
    expected.sort_unstable();
    assert_eq!(ids(&hits), expected);
    index.remove_document(ANN, "ties", None).await.unwrap();
}

async fn the_new_generation_stays(index: &dyn VectorIndex) {
    let of = |generation: &str| -> Vec<Entry> {
        (0..3)
            .map(|number| entry(ANN, "edited", generation, number, "A page of the ledger"))
            .collect()
    };
    for generation in ["0A00", "0B00", "0900"] {
        index.put(&of(generation)).await.unwrap();
    }
    index
        .put(&[entry(ANN, "other", "0100", 0, "Another document")])
        .await
        .unwrap();
    assert_eq!(index.document_chunks(ANN, "edited").await.unwrap().len(), 9);
    assert_eq!(index.remove_older(ANN, "edited", "0B00").await.unwrap(), 6);
    assert_eq!(index.remove_older(ANN, "edited", "0B00").await.unwrap(), 0);
    let left = index.document_chunks(ANN, "edited").await.unwrap();
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|(_, generation)| generation == "0B00"));
    assert_eq!(index.document_chunks(ANN, "other").await.unwrap().len(), 1);
    index.remove_document(ANN, "edited", None).await.unwrap();
    index.remove_document(ANN, "other", None).await.unwrap();
}

async fn a_document_is_removed_up_to_a_generation(index: &dyn VectorIndex) {
    for generation in ["1", "2", "3"] {
        index
            .put(&[entry(ANN, "removed", generation, 0, "A page")])
            .await
            .unwrap();
    }
    assert_eq!(
        index
            .remove_document(ANN, "removed", Some("2"))
            .await
            .unwrap(),
        2
    );
    let left = index.document_chunks(ANN, "removed").await.unwrap();
    assert_eq!(
        left.iter()
            .map(|(_, generation)| generation.as_str())
            .collect::<Vec<_>>(),
        ["3"]
    );
    assert_eq!(
        index.remove_document(ANN, "removed", None).await.unwrap(),
        1
    );
}
