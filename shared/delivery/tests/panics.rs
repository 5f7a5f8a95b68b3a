//! With the panic hook installed, which is why these are in a process of their own: a failed assertion
//! here prints its place, not its words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::*;

#[tokio::test(start_paused = true)]
async fn a_parked_panic_names_its_place_and_not_its_words() {
    millrace_delivery::install_panic_hook();
    let bench = bench(|_| Step::Panic);
    bench.deliver(&batch([message("a")])).await;
    let said = bench.parked().remove(0).reason.message;
    let place = said.strip_prefix("the handler panicked at ").unwrap();
    assert!(place.contains("support/mod.rs:"), "{said}");
    assert!(!said.contains("SECRET"), "{said}");
}
