//! Chance: the jitter of delays comes from here, so that a simulation can repeat a run exactly.

use std::cell::RefCell;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on this thread's chance follows from `seed`: for simulations, which run everything on one thread.
pub fn seed(seed: u64) {
    SEEDED.set(Some(StdRng::seed_from_u64(seed)));
}

/// A number from 0 up to, and without, 1.
pub fn unit() -> f64 {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(chance) => chance.random(),
        None => rand::rng().random(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_chance_and_no_seed_another_each_time() {
        let draw = || [unit(), unit(), unit()];
        let unseeded = draw();
        assert_ne!(unseeded, draw());
        seed(7);
        let first = draw();
        seed(7);
        assert_eq!(first, draw());
        assert!(first.iter().all(|number| (0.0..1.0).contains(number)));
    }
}
