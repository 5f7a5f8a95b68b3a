//! In Lambda's place: takes messages from queues and records from the stream, delivers them, and does with the answers what
//! Lambda does.

use std::time::Duration;

use millrace_delivery::{Invocation, Report};
use millrace_tests::{Listening, Pending};
use rand::{Rng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use super::Simulation;

/// A message that was received and not acknowledged.
pub(super) struct Message {
    pub(super) number: usize,
    pub(super) record: Value,
    /// `None`: a copy, which no queue knows of.
    pub(super) pending: Option<Pending>,
    pub(super) receives: u32,
    pub(super) busy: bool,
    pub(super) not_before: Instant,
}

/// What a stream worker has seen of the stream.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) records: Vec<Value>,
    pub(super) checkpoint: usize,
    /// The invocation that counts. Others may still run: their answers come too late.
    pub(super) owner: Option<usize>,
}

pub(super) enum Source {
    Queue(Vec<usize>),
    Shard {
        stream: Listening,
        from: usize,
        to: usize,
    },
    Again(usize),
}

pub(super) struct Running {
    pub(super) number: usize,
    pub(super) worker: &'static str,
    pub(super) source: Source,
    pub(super) task: JoinHandle<Report>,
}

/// A stream event that comes again, alone, until it is handled.
pub(super) struct Again {
    pub(super) number: usize,
    pub(super) worker: &'static str,
    pub(super) event: Value,
    pub(super) busy: bool,
}

impl Simulation<'_> {
    pub(super) fn come_again(&mut self, worker: &'static str, event: Value, number: usize) {
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
    pub(super) async fn receive(&mut self) {
        for worker in self.scene.workers() {
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
    pub(super) async fn read_streams(&mut self) {
        let now = self.world.now().unix_timestamp();
        for (stream, shard) in &mut self.shards {
            while let Some((event, last)) = self.world.event_of(*stream).await {
                for record in event["Records"].as_array().unwrap() {
                    let mut record = record.clone();
                    record["dynamodb"]["ApproximateCreationDateTime"] = json!(now);
                    shard.records.push(record);
                }
                self.world.checkpoint(last);
            }
        }
    }

    pub(super) fn start(&mut self, worker: &'static str, event: Value, source: Source) -> usize {
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

    pub(super) fn deliver(&mut self) -> String {
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

    pub(super) fn deliver_stream(&mut self, stream: Listening) -> String {
        let size = if self.plan.trouble.overlap {
            self.chance.random_range(1..=4)
        } else {
            1
        };
        let worker = stream.worker;
        let shard = &self.shards[&stream];
        let from = shard.checkpoint;
        let to = shard.records.len().min(from + size);
        let event = json!({"Records": shard.records[from..to]});
        self.seen.push((worker, event.clone()));
        let number = self.start(worker, event, Source::Shard { stream, from, to });
        self.shards.get_mut(&stream).unwrap().owner = Some(number);
        format!(">> {worker} #{number} {from}..{to}")
    }

    pub(super) fn deliver_again(&mut self) -> String {
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
    pub(super) async fn collect_ended(&mut self) {
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
                Source::Shard { stream, from, to } => {
                    let shard = self.shards.get_mut(stream).unwrap();
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

    pub(super) async fn answer_queue(
        &mut self,
        worker: &'static str,
        numbers: &[usize],
        failed: &[String],
    ) {
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
    pub(super) fn hand_back(&mut self, source: &Source, worker: &'static str, invocation: usize) {
        match source {
            Source::Queue(numbers) => {
                let hand = self.hands.get_mut(worker).unwrap();
                for message in hand.iter_mut().filter(|one| numbers.contains(&one.number)) {
                    message.busy = false;
                }
            }
            Source::Shard { stream, .. } => {
                let shard = self.shards.get_mut(stream).unwrap();
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
}
