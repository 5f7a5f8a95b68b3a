//! Invariants: what must always hold, written once and with a name.
//!
//! A product lists its invariants over values of its own. The same list is asked by the simulation after every step, by tests
//! at the end, and by `debug_assert!` where the product moves.

/// One thing that must hold of a `T`.
#[derive(Debug)]
pub struct Invariant<T: ?Sized> {
    /// In kebab case; what a test prints when it does not hold.
    pub name: &'static str,
    /// What must hold, as a sentence.
    pub says: &'static str,
    /// Whether it does.
    pub holds: fn(&T) -> bool,
}

/// The names of those that do not hold.
pub fn broken<T: ?Sized>(invariants: &[Invariant<T>], value: &T) -> Vec<&'static str> {
    let not_held = invariants.iter().filter(|one| !(one.holds)(value));
    not_held.map(|one| one.name).collect()
}
