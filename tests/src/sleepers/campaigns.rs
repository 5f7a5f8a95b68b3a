//! `update-campaign` asleep before each of its calls, while the next batch of the same campaign is handled and the platform writes over
//! the campaign's row.

use std::time::Duration;

use millrace_delivery::Invocation;
use serde_json::Value;

use crate::{
    State, World, has_failed,
    marketing::by_hand::{WORKER, batches, put_campaign, put_match},
};

/// One match has gone one step; the records of two more steps, each an event.
async fn going_on(world: &World) -> (Value, Value) {
    put_campaign(world, 1_000);
    put_match(world, "m", 3, None);
    world.quiet().await;
    put_match(world, "m", 4, None);
    put_match(world, "other", 1, None);
    let first = batches(world).await.remove(0);
    put_match(world, "m", 5, Some(300));
    (first, batches(world).await.remove(0))
}

/// What differs from the calm end state.
pub(super) async fn run() -> Vec<String> {
    let calm = World::in_process().await;
    let (first, second) = going_on(&calm).await;
    calm.deliver(WORKER, &first).await;
    calm.tap.arm(None);
    calm.deliver(WORKER, &second).await;
    let calls = calm.tap.calls().len();
    // The platform writes over the row, in some of the worlds: in the end it is the same.
    put_campaign(&calm, 2_000);
    calm.quiet().await;
    let calm = State::of(&calm).await;
    let mut found = Vec::new();
    for over in [false, true] {
        for asleep_before in 0..calls {
            let (state, failed, back) = overtaken(asleep_before, over).await;
            let differences = state.differences(&calm).into_iter();
            let differences = differences.map(|difference| format!("same-end-state: {difference}"));
            let failed = failed.then(|| "delivered: a batch failed".to_owned());
            let back = back.map(|back| format!("campaign-never-goes-back: {back}"));
            let all = back.into_iter().chain(failed).chain(differences);
            found.extend(all.map(|what| {
                format!("{what}, asleep before call {asleep_before}, written over: {over}")
            }));
        }
    }
    found
}

/// The end, whether a batch failed, and how the campaign's row went back when the sleeper woke.
async fn overtaken(asleep_before: usize, over: bool) -> (State, bool, Option<String>) {
    let world = World::in_process().await;
    let (first, second) = going_on(&world).await;
    world.tap.hold_at(asleep_before);
    let delivery = world.deliveries[WORKER].clone();
    let invocation = Invocation::lasting(Duration::from_secs(60));
    let sleeper = tokio::spawn(async move { delivery.deliver(first, invocation).await });
    world.tap.held().await;
    let mut failed = has_failed(&world.deliver(WORKER, &second).await);
    let before = changes(&world);
    if over {
        put_campaign(&world, 2_000);
    }
    world.tap.release();
    failed |= has_failed(&sleeper.await.unwrap());
    let after = changes(&world);
    let back = !over && after < before;
    if !over {
        put_campaign(&world, 2_000);
    }
    world.quiet().await;
    let back = back.then(|| format!("{before:?} changes, then {after:?}"));
    (State::of(&world).await, failed, back)
}

/// How many changes the campaign's row holds.
fn changes(world: &World) -> Option<i64> {
    let campaigns = crate::marketing::tables::campaigns(world, &Default::default(), false);
    campaigns.first()?.changes()
}
