//! One run: a history, a schedule that follows from a seed, and what must hold meanwhile and in the end.
//!
//! The simulation stands in for Lambda: it takes messages from the embedded queues and records from the embedded stream and
//! delivers them to the real workers. Everything else that can happen to them in a cloud, it does to them.

mod actions;
mod checks;
mod lambda;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use millrace_cloud::{Fault, chance};
use millrace_tests::{Listening, State, World, listening};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::{
    gate::Gate,
    histories::{Product, Scene, Step},
};
use lambda::{Again, Message, Running, Shard};

/// Invocations that run at once.
const AT_ONCE: usize = 8;
/// Everything is read after so many writes; what changes most after each.
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
    pub product: Product,
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
    let compares = plan.product.scene(plan.seed).has_one_end();
    if let (Some(end), Some(calm_end), true) = (end, calm_end, compares) {
        let differences = end.differences(&calm_end);
        if !differences.is_empty() {
            let list = differences.join("\n  ");
            run.violation = Some(format!("same-end-state:\n  {list:.60000}"));
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
    Finish,
    Deliver,
    Stream(Listening),
    Again,
    LetGo,
    Sleep,
    Wake,
    Crash,
    Stall(Listening),
    Expire,
    Repeat,
    Replay,
}

struct Simulation<'a> {
    plan: &'a Plan,
    world: World,
    gate: Arc<Gate>,
    chance: StdRng,
    scene: Box<dyn Scene>,
    taken: usize,
    hands: BTreeMap<&'static str, Vec<Message>>,
    shards: BTreeMap<Listening, Shard>,
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
        let scene = plan.product.scene(plan.seed);
        let world = scene.world().await;
        world.tap.obey(gate.clone());
        let workers = scene.workers();
        Self {
            plan,
            world,
            gate,
            chance: StdRng::seed_from_u64(plan.seed ^ 0x5eed),
            scene,
            taken: 0,
            hands: { workers }
                .iter()
                .map(|worker| (*worker, Vec::new()))
                .collect(),
            shards: listening()
                .filter(|stream| workers.contains(&stream.worker))
                .map(|stream| (stream, Shard::default()))
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
            for worker in self.scene.workers() {
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
                    if self.scene.let_time_pass(&self.world).await {
                        self.count_action()?;
                        continue;
                    }
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
