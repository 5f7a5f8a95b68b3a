//! Each stage of the pipeline asleep before each of its calls, while a newer upload is processed to its end; and the last one, while it
//! replaces a document that can be found.

use std::time::Duration;

use millrace_delivery::Invocation;
use millrace_documents::Document;

use crate::{State, World, world::Pending};

/// The stages, each fed by the one before it.
const STAGES: [&str; 4] = ["extract-text", "chunk-text", "embed-chunks", "index-chunks"];

/// The sleeper's upload, so many times: several chunks.
const FIRST: &str = "The mill stands by the river. Its wheel is five metres wide.\n\n";
const TIMES: usize = 80;
/// The newer upload: one chunk.
const SECOND: &str = "The mill was sold. The new owner grows mushrooms in the cellar.";

/// How often a world is made anew whose second upload got another generation than the calm one's.
const TRIES: usize = 10;

/// Runs them all. Answers what differs from the calm end state, a sentence each; empty if nothing.
pub(super) async fn run() -> Vec<String> {
    let document = Document::parse("ada", "0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a04").unwrap();
    let mut found = Vec::new();
    for stage in STAGES {
        let calm = calm_of_both(&document).await;
        for asleep_before in 0..calls_of(stage, &document).await {
            let mut state = overtaken(stage, asleep_before, &document).await;
            // The sleeper's calls beside the held one take sequencers too; where one of them was later than the
            // second upload's minute, the upload got another generation, and the worlds do not compare.
            for _ in 0..TRIES {
                let generation = |state: &State| Some(state.entries.last()?.generation.clone());
                if generation(&state) == generation(&calm) {
                    break;
                }
                state = overtaken(stage, asleep_before, &document).await;
            }
            let differences = state.differences(&calm);
            found.extend(differences.iter().map(|difference| {
                format!("same-end-state: {stage}, asleep before call {asleep_before}: {difference}")
            }));
        }
    }
    for asleep_before in 0..calls_of_replacing(&document).await {
        if !is_found_while_replaced(asleep_before, &document).await {
            found.push(format!(
                "new-before-old: index-chunks, asleep before call {asleep_before}: nobody finds the document"
            ));
        }
    }
    found
}

/// A world in which a second upload of a finished document waits to be indexed, with the event that says so.
async fn replacing(document: &Document) -> (World, Pending) {
    let world = World::in_process().await;
    upload_first(&world, document).await;
    world.quiet().await;
    world.later();
    world
        .upload(document, "second.txt", SECOND.as_bytes())
        .await;
    world.quiet_without(&["index-chunks"]).await;
    let pending = world.receive("index-chunks").await.remove(0);
    (world, pending)
}

/// Whether the document is in the index while the worker that replaces its entries sleeps before one of its calls.
async fn is_found_while_replaced(asleep_before: usize, document: &Document) -> bool {
    let (world, pending) = replacing(document).await;
    world.tap.hold_at(asleep_before);
    let delivery = world.deliveries["index-chunks"].clone();
    let event = pending.event.clone();
    let invocation = Invocation::lasting(Duration::from_secs(120));
    let sleeper = tokio::spawn(async move { delivery.deliver(event, invocation).await });
    world.tap.held().await;
    let is_found = !world.index.entries().await.is_empty();
    world.tap.release();
    sleeper.await.unwrap();
    is_found
}

async fn calls_of_replacing(document: &Document) -> usize {
    let (world, pending) = replacing(document).await;
    world.tap.arm(None);
    world.deliver("index-chunks", &pending.event).await;
    world.tap.calls().len()
}

/// The first upload's worker sleeps before one of its calls while a second upload runs to its end; then it goes on.
async fn overtaken(stage: &'static str, asleep_before: usize, document: &Document) -> State {
    let world = World::in_process().await;
    upload_first(&world, document).await;
    world.quiet_without(&[stage]).await;
    let pending = world.receive(stage).await.remove(0);
    world.tap.hold_at(asleep_before);
    let event = pending.event.clone();
    let delivery = world.deliveries[stage].clone();
    let invocation = Invocation::lasting(Duration::from_secs(120));
    let sleeper = tokio::spawn(async move { delivery.deliver(event, invocation).await });
    world.tap.held().await;
    // Its other calls, which pass meanwhile, come to their end.
    tokio::time::sleep(Duration::from_millis(30)).await;
    world.later();
    world
        .upload(document, "second.txt", SECOND.as_bytes())
        .await;
    world.quiet().await;
    world.tap.release();
    let report = sleeper.await.unwrap();
    world.settle(&pending, &report).await;
    world.quiet().await;
    State::of(&world).await
}

async fn upload_first(world: &World, document: &Document) {
    let text = FIRST.repeat(TIMES);
    world.upload(document, "first.txt", text.as_bytes()).await;
}

async fn calls_of(stage: &str, document: &Document) -> usize {
    let world = World::in_process().await;
    upload_first(&world, document).await;
    world.quiet_without(&[stage]).await;
    let pending = world.receive(stage).await.remove(0);
    world.tap.arm(None);
    world.deliver(stage, &pending.event).await;
    world.tap.calls().len()
}

async fn calm_of_both(document: &Document) -> State {
    let world = World::in_process().await;
    upload_first(&world, document).await;
    world.quiet_without(&["extract-text"]).await;
    world.later();
    world
        .upload(document, "second.txt", SECOND.as_bytes())
        .await;
    world.quiet().await;
    State::of(&world).await
}
