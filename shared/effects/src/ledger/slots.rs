//! Which rows of the totals a process adds to.
//!
//! Writers of one row conflict, and a busy total would be one row. So there are several, and a process keeps to one of them that
//! it drew by chance; where it meets another process it goes on to another. What it folds at the same time it folds in slots of
//! its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use millrace_cloud::chance;

use super::rows::Generations;

/// How many slots there are. More may be added while no rebuild is under way, never fewer.
pub(super) const SLOTS: usize = 16;

/// The slots of a process.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    busy: BTreeSet<usize>,
    /// Where this process has added undisturbed, the latest last.
    quiet: Vec<usize>,
    /// Into which generations writers of a slot write, as far as is known.
    views: BTreeMap<usize, Generations>,
}

impl Slots {
    /// A slot for one fold.
    pub(super) fn take(self: &Arc<Self>) -> Taken {
        let mut state = self.lock();
        let number = match state.quiet.pop() {
            Some(quiet) => quiet,
            None => state.draw(),
        };
        state.busy.insert(number);
        Taken {
            slots: self.clone(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Any that this process does not use; any at all when it uses all of them.
    fn draw(&self) -> usize {
        let free: Vec<usize> = (0..SLOTS)
            .filter(|slot| !self.busy.contains(slot) && !self.quiet.contains(slot))
            .collect();
        let any = (chance::unit() * SLOTS as f64) as usize;
        let nth = (chance::unit() * free.len() as f64) as usize;
        free.get(nth).copied().unwrap_or(any.min(SLOTS - 1))
    }
}

/// A slot while a fold uses it.
#[derive(Debug)]
pub(super) struct Taken {
    slots: Arc<Slots>,
    number: usize,
}

impl Taken {
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Somebody else adds here: on to another. What was known of this one is taken to be so there too; a fold asks anyway.
    pub(super) fn move_on(&mut self) {
        let mut state = self.slots.lock();
        let next = state.draw();
        state.busy.remove(&self.number);
        state.busy.insert(next);
        if let Some(view) = state.views.get(&self.number).cloned() {
            state.views.entry(next).or_insert(view);
        }
        self.number = next;
    }

    /// Into which generations writers write here, if that is known.
    pub(super) fn view(&self) -> Option<Generations> {
        self.slots.lock().views.get(&self.number).cloned()
    }

    pub(super) fn learn(&self, view: Generations) {
        self.slots.lock().views.insert(self.number, view);
    }

    /// What was known is so no more, of any slot: they change together.
    pub(super) fn forget(&self) {
        self.slots.lock().views.clear();
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        state.busy.remove(&self.number);
        if !state.quiet.contains(&self.number) {
            state.quiet.push(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_at_the_same_time_have_slots_of_their_own_and_one_after_the_other_the_same() {
        let slots = Arc::new(Slots::default());
        let together: Vec<Taken> = (0..SLOTS).map(|_| slots.take()).collect();
        let numbers: BTreeSet<usize> = together.iter().map(Taken::number).collect();
        assert_eq!(numbers.len(), SLOTS);
        let one_too_many = slots.take();
        assert!(one_too_many.number() < SLOTS);
        drop(one_too_many);
        drop(together);
        let first = slots.take().number();
        assert_eq!(slots.take().number(), first);
    }

    #[test]
    fn who_meets_somebody_goes_elsewhere_and_stays_there() {
        let slots = Arc::new(Slots::default());
        let mut taken = slots.take();
        let met = taken.number();
        taken.learn(Generations::from([3]));
        taken.move_on();
        assert_ne!(taken.number(), met);
        assert_eq!(taken.view(), Some(Generations::from([3])));
        let stays = taken.number();
        drop(taken);
        assert_eq!(slots.take().number(), stays);
    }
}
