//! Who makes a report asleep before each of its calls, while the figures go on and others make it.

use millrace_cloud::Bucket;
use millrace_marketing::publishing::{About, publish};
use time::{Date, macros::date};

use crate::{World, marketing::by_hand::put_total};

const DAY: Date = date!(2026 - 11 - 20);
const TODAY: Date = date!(2026 - 11 - 21);
const SCOPE: &str = "2026-11-20#all";

/// The three files of the report, as they lie in the bucket.
type Lies = [Option<Vec<u8>>; 3];

/// A report of an older figure lies there, and the figure has gone on.
async fn begin() -> World {
    let world = World::in_process().await;
    put_total(&world, SCOPE, 1);
    make(&world).await;
    put_total(&world, SCOPE, 2);
    world
}

/// Makes the report, past the tap.
async fn make(world: &World) {
    let about = About::Day(DAY);
    publish(world.observer.marketing(), &about, TODAY)
        .await
        .unwrap();
}

async fn lies(world: &World) -> Lies {
    let bucket = Bucket::new(world.clients.s3.clone(), &world.names.marketing.reports);
    let mut lies = Lies::default();
    for (there, key) in lies.iter_mut().zip(About::Day(DAY).keys()) {
        *there = bucket
            .get(&key)
            .await
            .unwrap()
            .map(|object| object.bytes.to_vec());
    }
    lies
}

/// What differs from the report of the newest figure, at the end or, where that must not be, on the way there.
pub(super) async fn run() -> Vec<String> {
    let world = begin().await;
    world.tap.arm(None);
    let about = About::Day(DAY);
    let made = publish(world.products.marketing(), &about, TODAY).await;
    assert!(made.is_ok());
    let calls = world.tap.calls().len();
    let mut found = Vec::new();
    // In the end back to what it was: the very bytes that the sleeper may have looked at lie there again. Then older figures may lie there
    // for a moment, and only then.
    for (figures, back) in [([3, 4], false), ([3, 1], true)] {
        put_total(&world, SCOPE, figures[1]);
        make(&world).await;
        let newest = lies(&world).await;
        for asleep_before in 0..calls {
            if let Some(what) = overtaken(asleep_before, figures, back, &newest).await {
                found.push(format!("{what}, asleep before call {asleep_before}"));
            }
        }
    }
    found
}

async fn overtaken(
    asleep_before: usize,
    figures: [i64; 2],
    back: bool,
    newest: &Lies,
) -> Option<String> {
    let world = begin().await;
    world.tap.hold_at(asleep_before);
    let marketing = world.products.marketing().clone();
    let mut sleeper =
        tokio::spawn(async move { publish(&marketing, &About::Day(DAY), TODAY).await });
    world.tap.held().await;
    for entered in figures {
        put_total(&world, SCOPE, entered);
        make(&world).await;
    }
    // One call of the sleeper after the other.
    loop {
        world.tap.hold_at(0);
        tokio::select! {
            ended = &mut sleeper => {
                if let Err(failure) = ended.unwrap() {
                    return Some(format!("delivered: {}", failure.chain()));
                }
                break;
            }
            () = world.tap.held() => {}
        }
        if !back && lies(&world).await != *newest {
            return Some("report-never-goes-back: older figures lie there".to_owned());
        }
    }
    let is_newest = lies(&world).await == *newest;
    (!is_newest).then(|| "same-end-state: older figures stayed".to_owned())
}
