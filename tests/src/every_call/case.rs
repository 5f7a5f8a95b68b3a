//! A case: a world, and what is about to be delivered to one worker in it.

use millrace_cloud::Fault;
use millrace_delivery::Report;
use serde_json::{Value, json};

use super::stories::{Story, Told};
use crate::{Pending, Seen, State, World, dead_letters, fixtures::Recorded, has_failed};

/// More deliveries of one event than any fault can ask for.
const DELIVERIES: usize = 10;

/// What a worker may be about to handle.
#[derive(Clone)]
pub(super) enum Case {
    /// A recorded event.
    Fixture(Box<Recorded>),
    /// Whatever waits for this worker at the end of a story.
    Story(Story, &'static str),
}

/// Something on its way to a worker.
enum Item {
    /// A recorded event, which no source keeps: it is delivered again by hand.
    Hand(Value),
    /// A message in the worker's queue.
    Queued(Pending),
    /// What the stream has for the worker, up to a place.
    Streamed(Value, Seen),
}

impl Item {
    fn event(&self) -> &Value {
        match self {
            Self::Hand(event) | Self::Streamed(event, _) => event,
            Self::Queued(pending) => &pending.event,
        }
    }
}

/// Whether everything is delivered once more when all is quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    None,
    AtTheEnd,
}

/// How one run ended.
pub(super) struct Ran {
    /// The calls of the first delivery, by name.
    pub(super) calls: Vec<String>,
    /// Whether that delivery changed anything; looked at in a calm run only.
    pub(super) wrote: bool,
    /// Whether there was anything to deliver.
    pub(super) had_work: bool,
    /// The calls of everybody from then until all was quiet: what a run costs.
    pub(super) calls_afterwards: usize,
    /// What was there in the end.
    pub(super) state: State,
    /// What was there after everything had been delivered once more, if it was.
    pub(super) state_after_duplicates: Option<State>,
}

impl Case {
    pub(super) fn worker(&self) -> &'static str {
        match self {
            Self::Fixture(fixture) => fixture.worker,
            Self::Story(_, worker) => worker,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Fixture(fixture) => fixture.name.clone(),
            Self::Story(story, worker) => format!("{worker}: {}", story.name),
        }
    }

    async fn set_up(&self, world: &World) -> Vec<Item> {
        match self {
            Self::Fixture(fixture) => {
                fixture.set_up(world).await;
                // What is given is the past: its own events came long ago.
                world.forget_events().await;
                vec![Item::Hand(fixture.fixture.event.clone())]
            }
            Self::Story(story, worker) => {
                let told = Told::new(world, worker);
                (story.tell)(&told).await;
                told.others_go_on().await;
                let mut items = Vec::new();
                for pending in world.receive_for(worker).await {
                    items.push(Item::Queued(pending));
                }
                for (event, seen) in world.stream_events(worker).await {
                    items.push(Item::Streamed(event, seen));
                }
                items
            }
        }
    }

    /// Delivers what there is under a fault, which may end the worker's process; then again until quiet.
    ///
    /// What a worker says it has done is acknowledged and does not come again: a fault that a worker keeps to
    /// itself must not be covered by the redelivery. Only at the very end everything comes once more.
    pub(super) async fn run(&self, fault: Option<(usize, Fault)>, duplicates: Duplicates) -> Ran {
        let world = World::in_process().await;
        let items = self.set_up(&world).await;
        let before = match fault {
            None => Some(State::of(&world).await),
            Some(_) => None,
        };
        world.tap.arm(fault);
        let mut left = Vec::new();
        let mut alive = true;
        for item in &items {
            let report = if alive {
                tokio::select! {
                    report = world.deliver(self.worker(), item.event()) => Some(report),
                    () = world.tap.died() => None,
                }
            } else {
                None
            };
            alive = report.is_some();
            left.extend(self.settle(&world, item, report).await);
        }
        let calls = world.tap.calls();
        world.tap.arm(None);
        let wrote = match before {
            Some(before) => State::of(&world).await != before,
            None => false,
        };
        for event in left {
            self.deliver_until_done(&world, event).await;
        }
        world.quiet().await;
        self.replay_exhausted(&world).await;
        let calls_afterwards = world.tap.calls().len();
        let state = State::of(&world).await;
        let state_after_duplicates = match duplicates {
            Duplicates::None => None,
            Duplicates::AtTheEnd => Some(self.once_more(&world, &items).await),
        };
        Ran {
            calls,
            wrote,
            had_work: !items.is_empty(),
            calls_afterwards,
            state,
            state_after_duplicates,
        }
    }

    async fn once_more(&self, world: &World, items: &[Item]) -> State {
        for item in items {
            self.deliver_until_done(world, item.event().clone()).await;
        }
        world.quiet().await;
        State::of(world).await
    }

    /// Does what the source does after a delivery, or after a process that ended in the middle of it. Answers what
    /// has to be delivered again by hand.
    async fn settle(&self, world: &World, item: &Item, report: Option<Report>) -> Option<Value> {
        match (item, report) {
            (Item::Hand(event), report) => left_of(event, report.as_ref()),
            (Item::Queued(pending), None) => {
                world.put_back(pending).await;
                None
            }
            (Item::Queued(pending), Some(report)) => {
                world.settle(pending, &report).await;
                None
            }
            (Item::Streamed(..), None) => None,
            (Item::Streamed(_, last), Some(report)) => {
                if !has_failed(&report) {
                    world.checkpoint(last.clone());
                }
                None
            }
        }
    }

    async fn deliver_until_done(&self, world: &World, event: Value) {
        let mut left = Some(event);
        for _ in 0..DELIVERIES {
            let Some(event) = left else {
                return;
            };
            let report = world.deliver(self.worker(), &event).await;
            left = left_of(&event, Some(&report));
        }
        assert_eq!(left, None, "still fails after {DELIVERIES} deliveries");
    }

    /// An event on its last attempt ends as a dead letter over a fault that is none of its own. Its replay is what
    /// the promise speaks of.
    async fn replay_exhausted(&self, world: &World) {
        for letter in dead_letters(world).await {
            if letter.reason == millrace_events::reason::RETRIES_EXHAUSTED.code() {
                let report = world.deliver(&letter.worker, &letter.pending.event).await;
                world.settle(&letter.pending, &report).await;
            } else {
                world.put_back(&letter.pending).await;
            }
        }
        world.quiet().await;
    }
}

/// What of an event its source delivers again. A process that ended (no report) has acknowledged nothing.
fn left_of(event: &Value, report: Option<&Report>) -> Option<Value> {
    let Some(report) = report else {
        return Some(event.clone());
    };
    if !has_failed(report) {
        return None;
    }
    let Some(failures) = report.response["batchItemFailures"].as_array() else {
        return Some(event.clone());
    };
    let failed = |id: &Value| failures.iter().any(|item| item["itemIdentifier"] == *id);
    let records = event["Records"].as_array()?;
    // A queue brings what failed, a stream everything from the first failure on.
    let first = records
        .iter()
        .position(|record| failed(&record["dynamodb"]["SequenceNumber"]));
    let left: Vec<Value> = match first {
        Some(first) => records[first..].to_vec(),
        None => records
            .iter()
            .filter(|record| failed(&record["messageId"]))
            .cloned()
            .collect(),
    };
    assert!(!left.is_empty(), "the response names nothing of the event");
    Some(json!({"Records": left}))
}
