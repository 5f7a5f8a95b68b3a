//! Panics, told without what they say.
//!
//! A panic's message can hold document text (slicing a string at the wrong place prints the string),
//! so neither logs nor parked records carry it: they carry the place in the source.

use std::{cell::RefCell, panic, sync::Once};

thread_local! {
    static LAST_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

static INSTALLED: Once = Once::new();

/// Replaces the process's panic hook by one that logs where a panic was, not what it said. Called by
/// [`crate::lambda::run`]; any other process that runs workers should call it once.
pub fn install_panic_hook() {
    INSTALLED.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string);
            tracing::error!(
                place = place.as_deref().unwrap_or("unknown"),
                "a thread panicked"
            );
            // A thread that is ending has no place to keep it, and nobody who would ask.
            let _ = LAST_PLACE.try_with(|last| last.replace(place));
        }));
    });
}

/// Where this thread last panicked, told once.
pub(crate) fn take_place() -> Option<String> {
    LAST_PLACE.with(RefCell::take)
}
