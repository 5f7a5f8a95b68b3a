//! The gate: every call of every worker waits here until the schedule lets it pass.
//!
//! Workers run on one thread under a clock that moves only when nothing else can. So once everything waits, either here or for
//! a time, what happens next is the schedule's choice alone, and the same choices make the same run.

use std::sync::Mutex;

use async_trait::async_trait;
use millrace_cloud::{Arbiter, Call, Fault};
use tokio::sync::oneshot;

/// A call that waits.
#[derive(Debug)]
struct Waiting {
    name: String,
    asleep: bool,
    go: oneshot::Sender<Option<Fault>>,
}

/// Holds every call until it is let go.
#[derive(Debug, Default)]
pub struct Gate {
    waiting: Mutex<Vec<Waiting>>,
}

impl Gate {
    /// How many calls wait and are not asleep. Those of workers that are gone are forgotten.
    pub fn awake(&self) -> usize {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.retain(|one| !one.go.is_closed());
        waiting.iter().filter(|one| !one.asleep).count()
    }

    /// How many calls are asleep.
    pub fn asleep(&self) -> usize {
        let waiting = self.waiting.lock().unwrap();
        waiting.iter().filter(|one| one.asleep).count()
    }

    /// Lets the nth waking call go on, to its fault if there is one. Answers its name.
    pub fn let_go(&self, nth: usize, fault: Option<Fault>) -> String {
        let mut waiting = self.waiting.lock().unwrap();
        let place = nth_of(&waiting, nth, false);
        let one = waiting.remove(place);
        // Its worker may have gone this very moment.
        let _ = one.go.send(fault);
        one.name
    }

    /// Which of the waking calls have a name like this, as numbers for [`Gate::put_to_sleep`].
    pub fn awake_like(&self, like: impl Fn(&str) -> bool) -> Vec<usize> {
        let waiting = self.waiting.lock().unwrap();
        let awake = waiting.iter().filter(|one| !one.asleep).enumerate();
        awake
            .filter(|(_, one)| like(&one.name))
            .map(|(nth, _)| nth)
            .collect()
    }

    /// Puts the nth waking call to sleep: its owner is slow from here on. Answers its name.
    pub fn put_to_sleep(&self, nth: usize) -> String {
        let mut waiting = self.waiting.lock().unwrap();
        let place = nth_of(&waiting, nth, false);
        waiting[place].asleep = true;
        waiting[place].name.clone()
    }

    /// Wakes the nth sleeping call.
    pub fn wake(&self, nth: usize) -> String {
        let mut waiting = self.waiting.lock().unwrap();
        let place = nth_of(&waiting, nth, true);
        waiting[place].asleep = false;
        waiting[place].name.clone()
    }
}

fn nth_of(waiting: &[Waiting], nth: usize, asleep: bool) -> usize {
    let mut places = (0..waiting.len()).filter(|place| waiting[*place].asleep == asleep);
    places.nth(nth).expect("the caller has counted")
}

#[async_trait]
impl Arbiter for Gate {
    async fn before(&self, call: Call) -> Option<Fault> {
        let (go, went) = oneshot::channel();
        let one = Waiting {
            name: call.name,
            asleep: false,
            go,
        };
        self.waiting.lock().unwrap().push(one);
        went.await.unwrap_or_default()
    }
}
