//! Every recorded event comes out as its fixture says.

use std::collections::BTreeSet;

use millrace_tests::{
    World,
    fixtures::{Recorded, fixtures},
    workers,
};

use crate::PROGRAM;

async fn run(recorded: &Recorded) -> Result<(), String> {
    let world = World::new(PROGRAM).await;
    recorded.set_up(&world).await;
    let fixture = &recorded.fixture;
    let report = world.deliver(recorded.worker, &fixture.event).await;
    match fixture.expect.difference(&report) {
        None => Ok(()),
        Some(difference) => Err(difference.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_comes_out_as_it_says() {
    let fixtures = fixtures();
    let covered: BTreeSet<&str> = fixtures.iter().map(|recorded| recorded.worker).collect();
    for worker in workers() {
        assert!(covered.contains(worker), "{worker} has no fixtures");
    }
    assert!(
        fixtures.len() >= 60,
        "only {} fixtures were found",
        fixtures.len()
    );
    let mut wrong = Vec::new();
    for recorded in fixtures {
        if let Err(message) = run(&recorded).await {
            wrong.push(format!("{}: {message}", recorded.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} fixtures are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
