//! One run: a history, a schedule that follows from a seed, and what must hold meanwhile and in the end.
//!
//! The simulation stands in for Lambda: it takes messages from the embedded queues and records from the embedded stream and
//! delivers them to the real workers. Everything else that can happen to them in a cloud, it does to them.

mod checks;
mod lambda;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use millrace_cloud::{Fault, chance};
use millrace_documents::{Document, invariants::Snapshot};
use millrace_tests::{State, World, stream_workers, workers};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    gate::Gate,
    history::{self, Platform, Step},
};
use lambda::{Again, Message, Running, Shard};

/// Invocations that run at once.
const AT_ONCE: usize = 8;
/// Everything of a document is read after so many writes; its progress and its index entries after each.
const WHOLE_EVERY: usize = 8;
/// So many turns everybody gets who can run: more than a chain of tasks that wake each other has members.
const TURNS: usize = 32;
/// Calls that sleep at once.
const SLEEPERS: usize = 3;
/// The chance of a sleeper at each action: most sleep while whole uploads are processed.
const WAKES_UP: f64 = 0.004;
/// After so many actions nothing goes wrong any more, so that every run ends.
const TROUBLE_ENDS: usize = 1_500;
/// A run that has not come to rest by then never does.
const NEVER: usize = 40_000;
/// Rounds in which every dead letter is replayed at the end.
const LAST_REPLAYS: usize = 3;
/// Faults that a call can meet; the death of a process is an action of its own.
pub const FAULTS: [Fault; 6] = [
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::Throttle,
    Fault::TimeoutBefore,
    Fault::TimeoutAfter,
    Fault::ConnectionLost,
];

/// What may go wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Calls fail.
    pub faults: bool,
    /// Processes end between two calls.
    pub crashes: bool,
    /// Events that were delivered come again.
    pub repeats: bool,
    /// Owners sleep while others do their work, and wake up late.
    pub sleepers: bool,
    /// Dead letters are replayed while everything goes on.
    pub replays: bool,
    /// Things happen before what came before them was handled, side by side, out of order.
    pub overlap: bool,
}

impl Trouble {
    pub const ALL: Self = Self {
        faults: true,
        crashes: true,
        repeats: true,
        sleepers: true,
        replays: true,
        overlap: true,
    };
    pub const NONE: Self = Self {
        faults: false,
        crashes: false,
        repeats: false,
        sleepers: false,
        replays: false,
        overlap: false,
    };
}

/// What makes a run: the same plan is the same run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub history: Vec<Step>,
    pub trouble: Trouble,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Run {
    /// What did not hold.
    pub violation: Option<String>,
    /// Everything that the schedule chose.
    pub trace: Vec<String>,
    pub calls: usize,
    pub deliveries: usize,
    pub faults: usize,
    pub crashes: usize,
    pub repeats: usize,
    pub replays: usize,
    pub sleepers: usize,
}

/// Runs a plan, and beside it the same history calmly: every step handled once, in order, before the next.
pub fn run(plan: &Plan) -> Run {
    let calm = Plan {
        trouble: Trouble::NONE,
        ..plan.clone()
    };
    let (calm_run, calm_end) = run_alone(&calm);
    if let Some(violation) = calm_run.violation {
        let violation = Some(format!("already when nothing goes wrong: {violation}"));
        return Run {
            violation,
            ..calm_run
        };
    }
    let (mut run, end) = run_alone(plan);
    if let (Some(end), Some(calm_end)) = (end, calm_end) {
        let differences = end.differences(&calm_end);
        if !differences.is_empty() {
            let list = differences.join("\n  ");
            run.violation = Some(format!("same-end-state:\n  {list:.6000}"));
        }
    }
    run
}

fn run_alone(plan: &Plan) -> (Run, Option<State>) {
    chance::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut simulation = Simulation::new(plan).await;
        let end = match simulation.play().await {
            Ok(end) => Some(end),
            Err(violation) => {
                simulation.run.violation = Some(violation);
                None
            }
        };
        (simulation.run, end)
    })
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Step,
    LateRow,
    Deliver,
    Stream(&'static str),
    Again,
    LetGo,
    Sleep,
    Wake,
    Crash,
    Stall(&'static str),
    Expire,
    Repeat,
    Replay,
}

struct Simulation<'a> {
    plan: &'a Plan,
    world: World,
    gate: Arc<Gate>,
    chance: StdRng,
    documents: Vec<Document>,
    snapshots: Vec<Snapshot>,
    platform: Platform,
    taken: usize,
    hands: BTreeMap<&'static str, Vec<Message>>,
    shards: BTreeMap<&'static str, Shard>,
    again: Vec<Again>,
    running: Vec<Running>,
    seen: Vec<(&'static str, Value)>,
    counter: usize,
    actions: usize,
    looks: usize,
    run: Run,
}

impl<'a> Simulation<'a> {
    async fn new(plan: &'a Plan) -> Self {
        let gate = Arc::new(Gate::default());
        let world = World::in_process().await;
        world.tap.obey(gate.clone());
        let documents = history::documents();
        Self {
            plan,
            world,
            gate,
            chance: StdRng::seed_from_u64(plan.seed ^ 0x5eed),
            snapshots: vec![Snapshot::default(); documents.len()],
            documents,
            platform: Platform::default(),
            taken: 0,
            hands: workers().map(|worker| (worker, Vec::new())).collect(),
            shards: stream_workers()
                .map(|worker| (worker, Shard::default()))
                .collect(),
            again: Vec::new(),
            running: Vec::new(),
            seen: Vec::new(),
            counter: 0,
            actions: 0,
            looks: 0,
            run: Run::default(),
        }
    }

    async fn play(&mut self) -> Result<State, String> {
        self.until_rest().await?;
        // The operator's last rounds: whatever is still in a dead-letter queue is replayed.
        for _ in 0..LAST_REPLAYS {
            let before = self.letters().await;
            for worker in workers() {
                while self.replay_letter(worker, &before).await {}
            }
            self.until_rest().await?;
            let after = self.letters().await;
            if after == before {
                break;
            }
        }
        self.check_rest().await?;
        Ok(self.end_state().await)
    }

    /// Acts until there is nothing left to do.
    async fn until_rest(&mut self) -> Result<(), String> {
        loop {
            nothing_else_can_run().await;
            self.collect_ended().await;
            self.receive().await;
            let Some(action) = self.choose() else {
                if let Some(due) = self.next_due() {
                    tokio::time::sleep_until(due).await;
                    continue;
                }
                if self.running.is_empty() && self.gate.awake() == 0 {
                    return Ok(());
                }
                // Somebody waits for a delay of his own.
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.count_action()?;
                continue;
            };
            self.count_action()?;
            let name = self.act(action).await;
            let looks = moves_something(&name) || matches!(action, Action::Step);
            self.run.trace.push(name);
            if looks {
                nothing_else_can_run().await;
                self.check_always().await?;
            }
        }
    }

    fn count_action(&mut self) -> Result<(), String> {
        self.actions += 1;
        if self.actions > NEVER {
            return Err("comes-to-rest: events go round in circles".to_owned());
        }
        Ok(())
    }

    /// What to do next. `None`: nothing can be done now.
    fn choose(&mut self) -> Option<Action> {
        let trouble = if self.actions < TROUBLE_ENDS {
            self.plan.trouble
        } else {
            Trouble::NONE
        };
        let awake = self.gate.awake();
        let asleep = self.gate.asleep();
        let now = Instant::now();
        let room = self.running.len() < AT_ONCE;
        let due = |message: &Message| !message.busy && message.not_before <= now;
        let mut can: Vec<(u32, Action)> = Vec::new();
        if awake > 0 {
            can.push((30 + 4 * u32::try_from(awake).unwrap_or(0), Action::LetGo));
            if trouble.sleepers && asleep < SLEEPERS {
                can.push((2, Action::Sleep));
            }
        }
        if room && self.hands.values().flatten().any(due) {
            can.push((8, Action::Deliver));
        }
        if room && self.again.iter().any(|again| !again.busy) {
            can.push((4, Action::Again));
        }
        for (worker, shard) in &self.shards {
            if shard.owner.is_none() && shard.checkpoint < shard.records.len() && room {
                can.push((6, Action::Stream(worker)));
            }
            if shard.owner.is_some() && trouble.sleepers {
                can.push((1, Action::Stall(worker)));
            }
        }
        if trouble.sleepers && self.hands.values().flatten().any(|message| message.busy) {
            can.push((1, Action::Expire));
        }
        let more = self.taken < self.plan.history.len();
        let quiet = can.is_empty() && self.running.is_empty() && self.next_due().is_none();
        if !self.platform.is_done() && (quiet || trouble.overlap) {
            can.push((3, Action::LateRow));
        } else if more && (quiet || trouble.overlap) {
            can.push((2, Action::Step));
        }
        if !self.running.is_empty() && trouble.crashes {
            can.push((1, Action::Crash));
        }
        if !self.seen.is_empty() && trouble.repeats && room {
            can.push((1, Action::Repeat));
        }
        if trouble.replays {
            can.push((1, Action::Replay));
        }
        // Without overlap everything is handled in the order in which it came.
        if !self.plan.trouble.overlap {
            can.truncate(1);
        }
        // Trouble alone keeps nothing going.
        let useful = |action: &Action| {
            !matches!(
                action,
                Action::Sleep
                    | Action::Stall(_)
                    | Action::Expire
                    | Action::Crash
                    | Action::Repeat
                    | Action::Replay
            )
        };
        if !can.iter().any(|(_, action)| useful(action)) {
            // A sleeper wakes up at the latest when everybody else is done.
            return (asleep > 0).then_some(Action::Wake);
        }
        if asleep > 0 && self.chance.random_bool(WAKES_UP) {
            return Some(Action::Wake);
        }
        let total: u32 = can.iter().map(|(weight, _)| weight).sum();
        let mut picked = self.chance.random_range(0..total);
        for (weight, action) in can {
            if picked < weight {
                return Some(action);
            }
            picked -= weight;
        }
        None
    }

    fn next_due(&self) -> Option<Instant> {
        let waiting = self
            .hands
            .values()
            .flatten()
            .filter(|message| !message.busy);
        waiting.map(|message| message.not_before).min()
    }

    async fn act(&mut self, action: Action) -> String {
        match action {
            Action::Step => {
                let step = self.plan.history[self.taken];
                self.taken += 1;
                self.read_streams().await;
                history::take(step, &self.world, &mut self.platform).await;
                self.read_streams().await;
                format!("-- {step}")
            }
            Action::LateRow => {
                self.platform.write_rows(&self.world, None).await;
                self.read_streams().await;
                "-- the row of the upload".to_owned()
            }
            Action::Deliver => self.deliver(),
            Action::Stream(worker) => self.deliver_stream(worker),
            Action::Again => self.deliver_again(),
            Action::LetGo => {
                let awake = self.gate.awake();
                let nth = if self.plan.trouble.overlap {
                    self.chance.random_range(0..awake)
                } else {
                    0
                };
                let fails = self.plan.trouble.faults
                    && self.actions < TROUBLE_ENDS
                    && self.chance.random_bool(0.03);
                let fault = fails.then(|| FAULTS[self.chance.random_range(0..FAULTS.len())]);
                self.run.calls += 1;
                self.run.faults += usize::from(fails);
                let name = self.gate.let_go(nth, fault);
                match fault {
                    None => name,
                    Some(fault) => format!("{name} ! {fault:?}"),
                }
            }
            Action::Sleep => {
                // Between what was looked at and what is written is where sleep does harm.
                let before_writes = self.gate.awake_like(moves_something);
                let nth = if before_writes.is_empty() {
                    self.chance.random_range(0..self.gate.awake())
                } else {
                    before_writes[self.chance.random_range(0..before_writes.len())]
                };
                self.run.sleepers += 1;
                format!("~~ asleep before {}", self.gate.put_to_sleep(nth))
            }
            Action::Wake => {
                let nth = self.chance.random_range(0..self.gate.asleep());
                format!("~~ awake before {}", self.gate.wake(nth))
            }
            Action::Crash => {
                let nth = self.chance.random_range(0..self.running.len());
                let running = self.running.remove(nth);
                running.task.abort();
                let _ = running.task.await;
                self.run.crashes += 1;
                let name = format!("xx {} #{} dies", running.worker, running.number);
                self.hand_back(&running.source, running.worker, running.number);
                name
            }
            Action::Stall(worker) => {
                let shard = self.shards.get_mut(worker).unwrap();
                shard.owner = None;
                self.run.sleepers += 1;
                format!("~~ {worker}'s batch is given to another invocation")
            }
            Action::Expire => {
                let hands = self.hands.values_mut().flatten();
                let mut busy: Vec<&mut Message> = hands.filter(|one| one.busy).collect();
                let nth = self.chance.random_range(0..busy.len());
                busy[nth].busy = false;
                self.run.sleepers += 1;
                format!("~~ message {} can be seen again", busy[nth].number)
            }
            Action::Repeat => {
                let nth = self.chance.random_range(0..self.seen.len());
                let (worker, event) = self.seen[nth].clone();
                self.run.repeats += 1;
                self.counter += 1;
                let number = self.counter;
                self.come_again(worker, event, number);
                format!("++ an event comes again for {worker}")
            }
            Action::Replay => {
                let names: Vec<&'static str> = workers().collect();
                let worker = names[self.chance.random_range(0..names.len())];
                let replayed = self.replay_letter(worker, &[]).await;
                let what = if replayed { "replayed" } else { "none" };
                format!("<< {worker} dead letter {what}")
            }
        }
    }
}

/// Returns once nothing else can run. The clock is paused: it moves on only then.
pub async fn nothing_else_can_run() {
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Whoever waited for the same millisecond runs now, not beside what the simulation does next: how long that takes is not
    // the same in two runs.
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// Whether a call may have changed what the invariants speak of.
fn moves_something(call: &str) -> bool {
    [
        "PUT",
        "DELETE",
        "WriteItem",
        "UpdateItem",
        "PutItem",
        "DeleteItem",
        "index ",
    ]
    .iter()
    .any(|word| call.contains(word))
}
