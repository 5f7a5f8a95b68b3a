//! What the first layers say of tokens that came lately.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

/// What is known of a token before it is seen among its neighbours.
pub(super) type Known = Arc<[f32]>;

/// Keeps tokens until as many others came, and up to twice as many. A few thousand are most of what is written in a language.
pub(super) struct Recent {
    kept: usize,
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    /// Asked for since the last time that there were too many.
    newer: HashMap<u32, Known>,
    /// Not asked for since, and gone the next time.
    older: HashMap<u32, Known>,
}

impl Recent {
    /// Keeps so many.
    pub(super) fn new(kept: usize) -> Self {
        Self {
            kept,
            tokens: Mutex::default(),
        }
    }

    /// What is known of these tokens, and which of them are not known.
    pub(super) fn look(
        &self,
        wanted: impl Iterator<Item = u32>,
    ) -> (HashMap<u32, Known>, Vec<u32>) {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        for token in wanted {
            let known = match tokens.newer.get(&token) {
                Some(known) => Some(Arc::clone(known)),
                None => tokens.older.remove(&token),
            };
            match known {
                Some(known) => {
                    tokens.keep(self.kept, token, &known);
                    found.insert(token, known);
                }
                None => missing.push(token),
            }
        }
        (found, missing)
    }

    /// These are known now.
    pub(super) fn keep<'a>(&self, known: impl Iterator<Item = (u32, &'a Known)>) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        for (token, known) in known {
            tokens.keep(self.kept, token, known);
        }
    }
}

impl Tokens {
    fn keep(&mut self, kept: usize, token: u32, known: &Known) {
        if self.newer.len() >= kept && !self.newer.contains_key(&token) {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.insert(token, Arc::clone(known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_there_are_never_many() {
        let recent = Recent::new(10);
        let known: Known = Arc::from([1.0]);
        for token in 0..1000 {
            recent.keep([(token, &known), (7, &known)].into_iter());
            let (found, missing) = recent.look([7, token, 2000].into_iter());
            assert!(found.contains_key(&7) && found.contains_key(&token));
            assert_eq!(missing, [2000]);
            let tokens = recent.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(tokens.newer.len() <= 10 && tokens.older.len() <= 10);
        }
        assert_eq!(recent.look([3].into_iter()).1, [3]);
    }
}
