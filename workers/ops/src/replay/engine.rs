//! The loop of a replay: letters of a run, oldest first, at a pace, side by side by subject, until all are tried
//! or something says stop.
//!
//! Memory holds one page of ids and as many letters as are under way.

use std::{future::Future, num::NonZeroUsize, sync::Arc};

use millrace_events::Failure;
use time::OffsetDateTime;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use uuid::Uuid;

use super::{
    brake::Brake,
    finish::{Ended, Finisher},
    handler::Handlers,
    lanes::Lanes,
    outcome::{Became, Trouble},
    pace::Pace,
    queue::ThroughQueues,
};
use crate::letters::{Desk, Letter, LetterCopy, Place, State, Waiting};

/// How many ids are looked ahead: letters of busy subjects wait among them.
const PAGE: usize = 500;
/// Why a letter is left: a message that others can see, or have, could not be deleted.
pub(super) const SOMEBODY: &str =
    "somebody else holds it: a worker, or another operator; replay it later";
/// Letters that may wait for being taken out of their places.
const ENDED: usize = 256;

/// How a letter reaches its worker.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Through the worker's own loop, in this process.
    Handler(Arc<Handlers>),
    /// Through the worker's own queue.
    Queue(Arc<ThroughQueues>),
}

/// Why a replay ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stopped {
    /// Every letter was tried.
    AtTheEnd,
    /// An operator asked for it.
    Interrupted,
    /// Too many failed: the share in per cent.
    TooManyFailed(f64),
    /// A letter is visible to others again: what is left must be received once more.
    HoldOver,
}

/// A replay.
pub(crate) struct Engine<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) run: Uuid,
    /// When the letters were received: what was visible again by then and did not come is somebody else's.
    pub(crate) read_at: OffsetDateTime,
    pub(crate) way: Way,
    pub(crate) pace: &'a mut Pace,
    pub(crate) brake: &'a mut Brake,
    pub(crate) concurrency: NonZeroUsize,
}

/// What came of looking at a letter.
pub(super) enum Look {
    /// Its worker was given it, when these copies of it were there.
    Tried(Became, Vec<i64>),
    /// It is not to be tried; says why.
    Not(&'static str),
    /// It is not held any more.
    Lost,
}

struct Done {
    waiting: Waiting,
    lane: String,
    look: Look,
}

impl Engine<'_> {
    /// Tries the letters of the run that wait, and tells of each.
    ///
    /// # Errors
    /// A [`Failure`] of the catalogue: what was tried until then is replayed again the next time, which is safe.
    pub(crate) async fn run(
        self,
        interrupted: impl Future<Output = ()>,
        tell: &mut (dyn FnMut(&Waiting, Option<&Became>) + Send),
    ) -> Result<Stopped, Failure> {
        let (sender, receiver) = mpsc::channel(ENDED);
        let finisher = Finisher {
            desk: self.desk,
            run: self.run,
            tell,
        };
        let (started, finished) = futures::join!(
            self.start_all(sender, interrupted),
            finisher.finish_all(receiver)
        );
        // The starter stops early when nobody takes what ended: the finisher's reason is the one to tell.
        finished?;
        started
    }

    async fn start_all(
        mut self,
        ended: mpsc::Sender<Ended>,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Stopped, Failure> {
        let mut interrupted = std::pin::pin!(interrupted);
        let mut lanes: Lanes<Waiting> = Lanes::new();
        let mut tasks: JoinSet<Done> = JoinSet::new();
        let mut chosen: Option<(String, Waiting, Instant)> = None;
        let mut cursor: Option<Waiting> = None;
        let mut exhausted = false;
        let mut stopped: Option<Stopped> = None;
        loop {
            if stopped.is_none() && !exhausted && lanes.len() < PAGE / 2 {
                let catalogue = self.desk.catalogue();
                let page = catalogue.run_waiting(self.run, cursor.as_ref(), PAGE)?;
                exhausted = page.len() < PAGE;
                cursor = page.last().cloned().or(cursor);
                for waiting in page {
                    lanes.push(lane_of(&waiting), waiting);
                }
            }
            if stopped.is_some() {
                chosen = None;
            } else if chosen.is_none() && tasks.len() < self.concurrency.get() {
                chosen = lanes.next().map(|(lane, waiting)| {
                    let start = self.pace.reserve(Instant::now());
                    (lane, waiting, start)
                });
            }
            if chosen.is_none() && tasks.is_empty() {
                return Ok(stopped.unwrap_or(Stopped::AtTheEnd));
            }
            let start = chosen.as_ref().map(|(_, _, start)| *start);
            tokio::select! {
                biased;
                () = &mut interrupted, if stopped.is_none() => stopped = Some(Stopped::Interrupted),
                Some(joined) = tasks.join_next(), if !tasks.is_empty() => {
                    let done = joined.map_err(|error| {
                        Failure::transient(
                            millrace_events::reason::HANDLER_PANICKED,
                            format!("a replay of a letter did not come to its end: {error}"),
                        )
                    })?;
                    lanes.done(&done.lane);
                    let now = self.after(done, &ended).await;
                    stopped = stopped.or(now);
                }
                () = until(start), if start.is_some() => {
                    if let Some((lane, waiting, _)) = chosen.take() {
                        self.pace.started(Instant::now());
                        tasks.spawn(self.work(lane, waiting));
                    }
                }
            }
        }
    }

    /// Passes on what became of a letter; says whether that is a reason to stop.
    async fn after(&mut self, done: Done, ended: &mpsc::Sender<Ended>) -> Option<Stopped> {
        let (became, why_not, copies) = match done.look {
            Look::Lost => return Some(Stopped::HoldOver),
            Look::Tried(became, copies) => (Some(became), None, copies),
            Look::Not(why) => (None, Some(why), Vec::new()),
        };
        if let Some(became) = &became {
            self.brake.note(became.trouble().is_some());
        }
        let passed = ended
            .send(Ended {
                waiting: done.waiting,
                became,
                why_not,
                copies,
            })
            .await;
        if passed.is_err() {
            return Some(Stopped::Interrupted);
        }
        self.brake.pulled().map(Stopped::TooManyFailed)
    }

    fn work(&self, lane: String, waiting: Waiting) -> impl Future<Output = Done> + Send + 'static {
        let (desk, way, read_at) = (self.desk.clone(), self.way.clone(), self.read_at);
        async move {
            let look = one(&desk, &way, waiting.letter, read_at).await;
            Done {
                waiting,
                lane,
                look,
            }
        }
    }
}

/// Gives a letter to its worker, if it is there and ours.
async fn one(desk: &Desk, way: &Way, id: Uuid, read_at: OffsetDateTime) -> Look {
    let ours = |error| Look::Tried(Became::Failed(Trouble::ours(&error)), Vec::new());
    let letter = match desk.catalogue().letter(id) {
        Ok(Some((letter, State::Here))) => letter,
        Ok(_) => return Look::Not("it was not there any more"),
        Err(error) => return ours(error),
    };
    let copies = match desk.catalogue().copies(id) {
        Ok(copies) => copies,
        Err(error) => return ours(error),
    };
    if let Some(look) = not_held(&copies, read_at, desk.clock().now()) {
        return look;
    }
    let numbers = copies.iter().map(|copy| copy.number).collect();
    Look::Tried(give(way, &letter).await, numbers)
}

/// Messages that others can see, or have: replaying them would be safe, but they could not be deleted.
fn not_held(copies: &[LetterCopy], read_at: OffsetDateTime, now: OffsetDateTime) -> Option<Look> {
    let messages = copies
        .iter()
        .filter(|copy| matches!(copy.place, Place::Queue(_)));
    for copy in messages {
        if copy.receipt.is_none() || copy.visible_at <= read_at {
            return Some(Look::Not(SOMEBODY));
        }
        if copy.visible_at <= now {
            return Some(Look::Lost);
        }
    }
    None
}

async fn give(way: &Way, letter: &Letter) -> Became {
    match way {
        Way::Handler(handlers) => handlers.replay(letter).await,
        Way::Queue(queues) => queues.send(letter).await,
    }
}

/// Letters of one subject wait for each other; one that tells no subject waits for none.
fn lane_of(waiting: &Waiting) -> String {
    if waiting.subject == "-" {
        waiting.letter.to_string()
    } else {
        waiting.subject.clone()
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        // A timer waits for its next millisecond even when its time has come.
        Some(moment) if moment <= Instant::now() => {}
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
