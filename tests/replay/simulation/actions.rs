//! What happens next: the schedule's choice, and the doing of it.

use rand::Rng as _;
use tokio::time::Instant;

use super::{
    AT_ONCE, Action, FAULTS, SLEEPERS, Simulation, TROUBLE_ENDS, Trouble, WAKES_UP,
    lambda::Message, moves_something,
};

use crate::histories::Step;

impl Simulation<'_> {
    /// What to do next. `None`: nothing can be done now.
    pub(super) fn choose(&mut self) -> Option<Action> {
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
        for (stream, shard) in &self.shards {
            if shard.owner.is_none() && shard.checkpoint < shard.records.len() && room {
                can.push((6, Action::Stream(*stream)));
            }
            if shard.owner.is_some() && trouble.sleepers {
                can.push((1, Action::Stall(*stream)));
            }
        }
        if trouble.sleepers && self.hands.values().flatten().any(|message| message.busy) {
            can.push((1, Action::Expire));
        }
        let nothing_runs = can.is_empty() && self.running.is_empty();
        let quiet = nothing_runs && self.next_due().is_none();
        let next = self.plan.history.get(self.taken);
        let overlaps = |step: &Step| trouble.overlap && !self.scene.waits(*step);
        // What is still to be done may be what everything waits for.
        if !self.scene.is_done() && (nothing_runs || trouble.overlap) {
            can.push((3, Action::Finish));
        } else if next.is_some_and(|step| quiet || overlaps(step)) {
            can.push((2, Action::Step));
        }
        if (!self.running.is_empty() || self.scene.works_itself()) && trouble.crashes {
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

    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self
            .hands
            .values()
            .flatten()
            .filter(|message| !message.busy);
        waiting.map(|message| message.not_before).min()
    }

    pub(super) async fn act(&mut self, action: Action) -> String {
        match action {
            Action::Step => {
                let step = self.plan.history[self.taken];
                self.taken += 1;
                self.read_streams().await;
                self.scene.take(step, &self.world).await;
                self.read_streams().await;
                format!("-- {step}")
            }
            Action::Finish => {
                self.scene.finish(&self.world).await;
                self.read_streams().await;
                "-- what was still to be done".to_owned()
            }
            Action::Deliver => self.deliver(),
            Action::Stream(stream) => self.deliver_stream(stream),
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
            Action::Crash
                if self.scene.works_itself()
                    && (self.running.is_empty() || self.chance.random_bool(0.3)) =>
            {
                self.scene.dies().await;
                self.run.crashes += 1;
                "xx what is no worker's dies".to_owned()
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
            Action::Stall(stream) => {
                let shard = self.shards.get_mut(&stream).unwrap();
                shard.owner = None;
                self.run.sleepers += 1;
                format!(
                    "~~ {}'s batch is given to another invocation",
                    stream.worker
                )
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
                let names = self.scene.workers();
                let worker = names[self.chance.random_range(0..names.len())];
                let replayed = self.replay_letter(worker, &[]).await;
                let what = if replayed { "replayed" } else { "none" };
                format!("<< {worker} dead letter {what}")
            }
        }
    }
}
