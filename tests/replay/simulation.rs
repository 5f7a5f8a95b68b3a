//! One run: a history, a schedule that follows from a seed, and what must hold meanwhile and in the end.
//!
//! The simulation stands in for Lambda: it takes messages from the embedded queues and records from the embedded stream and
//! delivers them to the real workers. Everything else that can happen to them in a cloud, it does to them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use millrace_cloud::{Fault, chance};
use millrace_delivery::{Invocation, Report};
use millrace_documents::{
    Document,
    invariants::{ALWAYS, AT_REST, Snapshot},
};
use millrace_effects::broken;
use millrace_events::{ParkedRecord, Reason};
use millrace_tests::{Pending, State, World, stream_workers, workers};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    gate::Gate,
    history::{self, Platform, Step},
};

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

/// A message that was received and not acknowledged.
struct Message {
    number: usize,
    record: Value,
    /// `None`: a copy, which no queue knows of.
    pending: Option<Pending>,
    receives: u32,
    busy: bool,
    not_before: Instant,
}

/// What a stream worker has seen of the stream.
#[derive(Default)]
struct Shard {
    records: Vec<Value>,
    checkpoint: usize,
    /// The invocation that counts. Others may still run: their answers come too late.
    owner: Option<usize>,
}

enum Source {
    Queue(Vec<usize>),
    Shard { from: usize, to: usize },
    Again(usize),
}

struct Running {
    number: usize,
    worker: &'static str,
    source: Source,
    task: JoinHandle<Report>,
}

/// A stream event that comes again, alone, until it is handled.
struct Again {
    number: usize,
    worker: &'static str,
    event: Value,
    busy: bool,
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

    fn come_again(&mut self, worker: &'static str, event: Value, number: usize) {
        let record = &event["Records"][0];
        if record["eventSource"] != "aws:sqs" {
            self.again.push(Again {
                number,
                worker,
                event,
                busy: false,
            });
            return;
        }
        let mut record = record.clone();
        record["messageId"] = json!(format!("again-{number}"));
        let message = Message {
            number,
            record,
            pending: None,
            receives: 0,
            busy: false,
            not_before: Instant::now(),
        };
        self.hands.get_mut(worker).unwrap().push(message);
    }

    /// Takes whatever has come into the workers' queues.
    async fn receive(&mut self) {
        for worker in workers() {
            for pending in self.world.receive_for(worker).await {
                self.counter += 1;
                let message = Message {
                    number: self.counter,
                    record: pending.event["Records"][0].clone(),
                    pending: Some(pending),
                    receives: 0,
                    busy: false,
                    not_before: Instant::now(),
                };
                self.hands.get_mut(worker).unwrap().push(message);
            }
        }
        self.read_streams().await;
    }

    /// Takes what the stream has, with the time by the world's clock: the embedded stream has the machine's.
    async fn read_streams(&mut self) {
        let now = self.world.now().unix_timestamp();
        for (worker, shard) in &mut self.shards {
            while let Some((event, last)) = self.world.stream_event(worker).await {
                for record in event["Records"].as_array().unwrap() {
                    let mut record = record.clone();
                    record["dynamodb"]["ApproximateCreationDateTime"] = json!(now);
                    shard.records.push(record);
                }
                self.world.checkpoint(worker, last);
            }
        }
    }

    fn start(&mut self, worker: &'static str, event: Value, source: Source) -> usize {
        self.counter += 1;
        self.run.deliveries += 1;
        let delivery = self.world.deliveries[worker].clone();
        let task = tokio::spawn(async move {
            let invocation = Invocation::lasting(Duration::from_secs(12 * 60 * 60));
            delivery.deliver(event, invocation).await
        });
        let number = self.counter;
        self.running.push(Running {
            number,
            worker,
            source,
            task,
        });
        number
    }

    fn deliver(&mut self) -> String {
        let now = Instant::now();
        let due = |message: &Message| !message.busy && message.not_before <= now;
        let workers: Vec<&'static str> = self
            .hands
            .iter()
            .filter(|(_, hand)| hand.iter().any(due))
            .map(|(worker, _)| *worker)
            .collect();
        let overlap = self.plan.trouble.overlap;
        let pick = |chance: &mut StdRng, among: usize| {
            if overlap {
                chance.random_range(0..among)
            } else {
                0
            }
        };
        let worker = workers[pick(&mut self.chance, workers.len())];
        let size = if overlap {
            self.chance.random_range(1..=3)
        } else {
            1
        };
        let hand = self.hands.get_mut(worker).unwrap();
        let (mut records, mut numbers) = (Vec::new(), Vec::new());
        for _ in 0..size {
            let free: Vec<usize> = (0..hand.len()).filter(|at| due(&hand[*at])).collect();
            if free.is_empty() {
                break;
            }
            let message = &mut hand[free[pick(&mut self.chance, free.len())]];
            message.busy = true;
            message.receives += 1;
            let mut record = message.record.clone();
            record["attributes"]["ApproximateReceiveCount"] = json!(message.receives.to_string());
            self.seen
                .push((worker, json!({"Records": [record.clone()]})));
            records.push(record);
            numbers.push(message.number);
        }
        let name = format!("{numbers:?}");
        let number = self.start(worker, json!({"Records": records}), Source::Queue(numbers));
        format!(">> {worker} #{number} {name}")
    }

    fn deliver_stream(&mut self, worker: &'static str) -> String {
        let size = if self.plan.trouble.overlap {
            self.chance.random_range(1..=4)
        } else {
            1
        };
        let shard = &self.shards[worker];
        let from = shard.checkpoint;
        let to = shard.records.len().min(from + size);
        let event = json!({"Records": shard.records[from..to]});
        self.seen.push((worker, event.clone()));
        let number = self.start(worker, event, Source::Shard { from, to });
        self.shards.get_mut(worker).unwrap().owner = Some(number);
        format!(">> {worker} #{number} {from}..{to}")
    }

    fn deliver_again(&mut self) -> String {
        let free: Vec<usize> = (0..self.again.len())
            .filter(|at| !self.again[*at].busy)
            .collect();
        let at = free[self.chance.random_range(0..free.len())];
        let again = &mut self.again[at];
        again.busy = true;
        let (worker, event, number) = (again.worker, again.event.clone(), again.number);
        let invocation = self.start(worker, event, Source::Again(number));
        format!(">> {worker} #{invocation} again {number}")
    }

    /// Takes the answers of invocations that have ended.
    async fn collect_ended(&mut self) {
        while let Some(at) = self.running.iter().position(|one| one.task.is_finished()) {
            let running = self.running.remove(at);
            let Ok(report) = running.task.await else {
                self.hand_back(&running.source, running.worker, running.number);
                continue;
            };
            let outcomes: Vec<String> = report
                .records
                .iter()
                .map(|record| match &record.reason {
                    None => record.outcome.word().to_owned(),
                    Some(reason) => format!("{} {}", record.outcome.word(), reason.code),
                })
                .collect();
            let line = format!("<- {} #{} {outcomes:?}", running.worker, running.number);
            self.run.trace.push(line);
            let failed: Vec<String> = report.response["batchItemFailures"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| item["itemIdentifier"].as_str().map(str::to_owned))
                .collect();
            match &running.source {
                Source::Queue(numbers) => self.answer_queue(running.worker, numbers, &failed).await,
                Source::Shard { from, to } => {
                    let shard = self.shards.get_mut(running.worker).unwrap();
                    if shard.owner != Some(running.number) {
                        continue;
                    }
                    shard.owner = None;
                    let sequence = |at: &usize| {
                        let number = shard.records[*at]["dynamodb"]["SequenceNumber"].as_str();
                        failed.iter().any(|failed| Some(failed.as_str()) == number)
                    };
                    shard.checkpoint = (*from..*to).find(sequence).unwrap_or(*to);
                }
                Source::Again(number) if failed.is_empty() => {
                    self.again.retain(|again| again.number != *number);
                }
                source @ Source::Again(_) => self.hand_back(source, running.worker, running.number),
            }
        }
    }

    async fn answer_queue(&mut self, worker: &'static str, numbers: &[usize], failed: &[String]) {
        let hand = self.hands.get_mut(worker).unwrap();
        let mut done = Vec::new();
        for message in hand.iter_mut().filter(|one| numbers.contains(&one.number)) {
            message.busy = false;
            let id = message.record["messageId"].as_str().unwrap_or_default();
            if failed.iter().any(|failed| failed == id) {
                let delay = Duration::from_secs(2 << message.receives.min(8));
                message.not_before = Instant::now() + delay;
                continue;
            }
            done.push(message.number);
            if let Some(pending) = &message.pending {
                self.world.delete(pending).await;
            }
        }
        hand.retain(|message| !done.contains(&message.number));
    }

    /// What an invocation had that nobody will answer for any more.
    fn hand_back(&mut self, source: &Source, worker: &'static str, invocation: usize) {
        match source {
            Source::Queue(numbers) => {
                let hand = self.hands.get_mut(worker).unwrap();
                for message in hand.iter_mut().filter(|one| numbers.contains(&one.number)) {
                    message.busy = false;
                }
            }
            Source::Shard { .. } => {
                let shard = self.shards.get_mut(worker).unwrap();
                if shard.owner == Some(invocation) {
                    shard.owner = None;
                }
            }
            Source::Again(number) => {
                let again = self.again.iter_mut();
                for again in again.filter(|again| again.number == *number) {
                    again.busy = false;
                }
            }
        }
    }

    /// Sends a dead letter to its worker again, and only then takes it out of its queue. With a list: one of those only.
    async fn replay_letter(&mut self, worker: &'static str, only: &[String]) -> bool {
        let letters = self.world.receive(&format!("{worker}-dlq")).await;
        let mut replayed = false;
        for letter in letters {
            let body = letter.event["Records"][0]["body"].as_str().unwrap();
            let known = only.is_empty() || only.contains(&letter_line(body));
            if replayed || !known {
                self.world.put_back(&letter).await;
                continue;
            }
            self.world.send(worker, body).await;
            self.world.delete(&letter).await;
            self.run.replays += 1;
            replayed = true;
        }
        replayed
    }

    /// Worker, reason and subject of every dead letter.
    async fn letters(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for worker in workers() {
            for letter in self.world.receive(&format!("{worker}-dlq")).await {
                let body = letter.event["Records"][0]["body"].as_str().unwrap();
                lines.push(letter_line(body));
                self.world.put_back(&letter).await;
            }
        }
        lines.sort();
        lines.dedup();
        lines
    }

    async fn look(&mut self, whole: bool) -> Result<(), String> {
        let observer = &self.world.observer;
        for (at, document) in self.documents.iter().enumerate() {
            let now = if whole {
                Snapshot::read(observer, document).await
            } else {
                Snapshot::glance(observer, document).await
            };
            let now = now.map_err(|failure| format!("{document}: {}", failure.chain()))?;
            self.snapshots[at] = now.after(&self.snapshots[at]);
        }
        Ok(())
    }

    async fn check_always(&mut self) -> Result<(), String> {
        self.looks += 1;
        self.look(self.looks.is_multiple_of(WHOLE_EVERY)).await?;
        self.check(ALWAYS)
    }

    fn check(&self, invariants: &[millrace_effects::Invariant<Snapshot>]) -> Result<(), String> {
        for (document, snapshot) in self.documents.iter().zip(&self.snapshots) {
            let broken = broken(invariants, snapshot);
            if !broken.is_empty() {
                let what = format!("{snapshot:#?}");
                return Err(format!("{}: {document}\n{what:.4000}", broken.join(", ")));
            }
        }
        Ok(())
    }

    async fn check_rest(&mut self) -> Result<(), String> {
        self.look(true).await?;
        for worker in workers() {
            for letter in self.world.receive(&format!("{worker}-dlq")).await {
                let body = letter.event["Records"][0]["body"].as_str().unwrap();
                let Some(parked) = ParkedRecord::from_body(body) else {
                    return Err(format!("letters-are-whole: {worker} parked {body:.300}"));
                };
                let opened = serde_json::from_str(body).ok();
                let opened = opened.and_then(|body: Value| millrace_events::open(&body).ok());
                let holds_it = opened.is_some_and(|batch| {
                    let records = batch
                        .messages
                        .iter()
                        .filter_map(|one| one.records.as_ref().ok());
                    records
                        .flatten()
                        .any(|record| record.id == parked.record_id)
                });
                if !holds_it || Reason::from_code(&parked.reason.code).is_none() {
                    return Err(format!("letters-are-whole: {worker} parked {body:.300}"));
                }
                for (document, snapshot) in self.documents.iter().zip(&mut self.snapshots) {
                    snapshot.has_letter |= parked.subject.contains(document.id.as_str());
                }
                self.world.put_back(&letter).await;
            }
        }
        self.check(ALWAYS)?;
        self.check(AT_REST)
    }

    async fn end_state(&self) -> State {
        let mut state = State::of(&self.world).await;
        for (key, row) in &mut state.rows {
            *row = self.seen_from_outside(key, row.take());
        }
        // A document of which only a removal is known need not have a row of its own.
        let removed = json!({"status": {"S": "removed"}});
        state.rows.retain(|_, row| *row != removed);
        state
    }

    /// How a removal was learnt of differs from run to run, and only Millrace reads it; that it is removed does not.
    fn seen_from_outside(&self, key: &str, mut row: Value) -> Value {
        if !key.starts_with(&self.world.names.progress_table) {
            return row;
        }
        if matches!(row["status"]["S"].as_str(), Some("removed" | "removing")) {
            return json!({"status": row["status"]});
        }
        for private in ["removedThrough", "removedAt", "writtenTitle"] {
            row.as_object_mut().unwrap().remove(private);
        }
        row
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

fn letter_line(body: &str) -> String {
    match ParkedRecord::from_body(body) {
        Some(parked) => format!(
            "{} {} {}",
            parked.worker, parked.reason.code, parked.subject
        ),
        None => format!("redriven {body:.200}"),
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
