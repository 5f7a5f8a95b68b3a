//! Any event again, at any time, in any order: the end state is that of one delivery.

use futures::future::join_all;
use millrace_tests::{Pending, State, World, workers};
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
                world.checkpoint(worker, last);
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
    let text = FIRST.repeat(80);
    for stage in ["extract-text", "chunk-text", "embed-chunks", "index-chunks"] {
        let document = document("ada", 4);
        let calm = calm_of_both(&text, &document).await;
        // Asleep after each of its calls in turn: the newer upload runs to its end, then it goes on.
        let calls = calls_of(&text, stage).await;
        for asleep_before in 0..calls {
            let mut state = overtaken(&text, stage, asleep_before, &document).await;
            // The sleeper's calls beside the held one take sequencers too; where one of them was later than the
            // second upload's minute, the upload got another generation, and the worlds do not compare.
            for _ in 0..10 {
                let generation = |state: &State| Some(state.entries.last()?.generation.clone());
                if generation(&state) == generation(&calm) {
                    break;
                }
                state = overtaken(&text, stage, asleep_before, &document).await;
            }
            assert_eq!(state, calm, "{stage}, asleep before call {asleep_before}");
        }
    }
}

/// The first upload's worker sleeps before one of its calls while a second upload runs to its end; then it goes on.
async fn overtaken(
    text: &str,
    stage: &'static str,
    asleep_before: usize,
    document: &millrace_documents::Document,
) -> State {
    let world = World::in_process().await;
    world.upload(document, "first.txt", text.as_bytes()).await;
    world.quiet_without(&[stage]).await;
    let pending = world.receive(stage).await.remove(0);
    world.tap.hold_at(asleep_before);
    let event = pending.event.clone();
    let delivery = world.deliveries[stage].clone();
    let invocation = millrace_delivery::Invocation::lasting(std::time::Duration::from_secs(120));
    let sleeper = tokio::spawn(async move { delivery.deliver(event, invocation).await });
    world.tap.held().await;
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    world.later();
    world
        .upload(document, "second.txt", SECOND.as_bytes())
        .await;
    world.quiet().await;
    world.tap.release();
    let report = sleeper.await.unwrap();
    let failed = &report.response["batchItemFailures"];
    if failed.as_array().is_some_and(Vec::is_empty) {
        world.delete(&pending).await;
    } else {
        world.put_back(&pending).await;
    }
    world.quiet().await;
    State::of(&world).await
}

async fn calls_of(text: &str, stage: &str) -> usize {
    let world = World::in_process().await;
    world
        .upload(&document("ada", 4), "first.txt", text.as_bytes())
        .await;
    world.quiet_without(&[stage]).await;
    let pending = world.receive(stage).await.remove(0);
    world.tap.arm(None);
    world.deliver(stage, &pending.event).await;
    world.tap.calls().len()
}

async fn calm_of_both(text: &str, document: &millrace_documents::Document) -> State {
    let world = World::in_process().await;
    world.upload(document, "first.txt", text.as_bytes()).await;
    world.quiet_without(&["extract-text"]).await;
    world.later();
    world
        .upload(document, "second.txt", SECOND.as_bytes())
        .await;
    world.quiet().await;
    State::of(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_a_sleeper_took_away_is_put_back_and_the_document_becomes_ready() {
    for stage in ["embed-chunks", "index-chunks"] {
        let world = World::in_process().await;
        let document = document("ada", 5);
        world.upload(&document, "first.txt", FIRST.as_bytes()).await;
        world.quiet_without(&[stage]).await;
        let key = document.text();
        let removal = world.clients.s3.delete_object().bucket(&world.names.bucket);
        removal.key(key).send().await.unwrap();
        world.quiet().await;
        let state = State::of(&world).await;

        let calm = World::in_process().await;
        calm.upload(&document, "first.txt", FIRST.as_bytes()).await;
        calm.quiet().await;
        assert_eq!(state, State::of(&calm).await, "{stage}");
    }
}
