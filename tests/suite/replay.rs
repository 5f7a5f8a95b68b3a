//! Any event again, at any time, in any order: the end state is that of one delivery.

use futures::future::join_all;
use millrace_tests::{Pending, State, World, batches, sleepers::Sleepers, workers};
use serde_json::Value;

use crate::{FIRST, SECOND, document};

/// Lets everything happen once and keeps every event that was delivered.
async fn record(world: &World) -> Vec<(&'static str, Value)> {
    let mut seen = Vec::new();
    loop {
        let before = seen.len();
        for worker in workers() {
            for pending in world.receive(worker).await {
                seen.push((worker, pending.event.clone()));
                world.deliver(worker, &pending.event).await;
                world.delete(&pending).await;
            }
        }
        for worker in workers() {
            while let Some((event, last)) = world.stream_event(worker).await {
                world.deliver(worker, &event).await;
                world.checkpoint(last);
                seen.push((worker, event));
            }
        }
        if seen.len() == before {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_again_after_everything_changes_nothing() {
    let world = World::in_process().await;
    let document = document("ada", 1);
    let mut events = Vec::new();
    world.upload(&document, "first.txt", FIRST.as_bytes()).await;
    events.extend(record(&world).await);
    world
        .upload(&document, "second.txt", SECOND.as_bytes())
        .await;
    events.extend(record(&world).await);
    let calm = State::of(&world).await;
    assert!(
        calm.rows.values().any(|row| row["status"]["S"] == "ready"),
        "{:#?}",
        calm.rows
    );
    // Twice each, newest first, then oldest first.
    for (worker, event) in events.iter().rev().chain(events.iter()) {
        world.deliver(worker, event).await;
        world.quiet().await;
    }
    assert_eq!(State::of(&world).await, calm);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_many_times_at_once_is_one() {
    let world = World::in_process().await;
    let document = document("ada", 2);
    world.upload(&document, "first.txt", FIRST.as_bytes()).await;
    for worker in workers() {
        let pending: Vec<Pending> = world.receive(worker).await;
        for message in &pending {
            join_all((0..4).map(|_| world.deliver(worker, &message.event))).await;
            world.delete(message).await;
        }
    }
    world.quiet().await;
    let together = State::of(&world).await;

    let once = World::in_process().await;
    once.upload(&document, "first.txt", FIRST.as_bytes()).await;
    once.quiet().await;
    assert_eq!(together, State::of(&once).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_older_upload_are_superseded_and_leave_nothing() {
    let world = World::in_process().await;
    let document = document("ada", 3);
    world
        .upload(&document, "first.txt", FIRST.repeat(60).as_bytes())
        .await;
    world.quiet_without(&["extract-text"]).await;
    let late = world.receive("extract-text").await;
    world
        .upload(&document, "second.txt", SECOND.as_bytes())
        .await;
    world.quiet().await;
    let newest = State::of(&world).await;
    for pending in &late {
        let report = world.deliver("extract-text", &pending.event).await;
        assert_eq!(report.records[0].outcome.word(), "superseded");
        world.delete(pending).await;
    }
    world.quiet().await;
    assert_eq!(State::of(&world).await, newest);
    assert!(
        newest
            .entries
            .iter()
            .all(|entry| entry.generation == newest.entries[0].generation)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_of_each_stage_wakes_after_a_newer_upload_and_leaves_nothing() {
    assert_eq!(Sleepers::Documents.run().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_stream_goes_on_from_its_first_failure() {
    assert_eq!(batches::run().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_a_sleeper_took_away_is_put_back_and_the_document_becomes_ready() {
    for stage in ["embed-chunks", "index-chunks"] {
        let world = World::in_process().await;
        let document = document("ada", 5);
        world.upload(&document, "first.txt", FIRST.as_bytes()).await;
        world.quiet_without(&[stage]).await;
        let key = document.text();
        let removal = world
            .clients
            .s3
            .delete_object()
            .bucket(&world.names.documents.bucket);
        removal.key(key).send().await.unwrap();
        world.quiet().await;
        let state = State::of(&world).await;

        let calm = World::in_process().await;
        calm.upload(&document, "first.txt", FIRST.as_bytes()).await;
        calm.quiet().await;
        assert_eq!(state, State::of(&calm).await, "{stage}");
    }
}
