//! The tests can fail: one fault after the other is put into the code, and each must be caught.
//!
//! Every mutation runs in a process of its own, this very program, which hunts for it with the same proofs that must hold
//! without it.

use std::{
    fmt,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use millrace_events::mutation::{self, Mutation};
use millrace_tests::{World, batches, every_call, fixtures::fixtures, sleepers::Sleepers};
use tokio::runtime::Runtime;

use crate::{guards, histories::Product, schedules};

/// How a hunt that found something ends.
const CAUGHT: i32 = 3;
/// Names the mutation that is switched on.
const SWITCH: &str = "MILLRACE_MUTATION";
/// What caught which mutation.
const TABLE: &str = include_str!("README.md");
/// What it prints before what caught the mutation.
const BY: &str = "caught by ";
/// How it calls what sleepers caught.
const SLEEPERS: &str = "sleepers of ";
/// How it calls what batches of streams that fail as a whole caught.
const BATCHES: &str = "batches";
/// Runs of the guards alone in a hunt.
const GUARDS: u64 = 400;
/// A hunt through seeds ends after this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mutation and what caught it.
#[derive(Debug)]
pub struct Hunted {
    pub mutation: Mutation,
    /// `None`: it lived.
    pub caught_by: Option<String>,
    pub seconds: f64,
}

impl fmt::Display for Hunted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.caught_by.as_deref().unwrap_or("NOT CAUGHT");
        write!(
            f,
            "| `{}` | {} | {by} | {:.0} s |",
            self.mutation.name, self.mutation.fault, self.seconds
        )
    }
}

/// Mutations that the table of what caught them does not have.
pub fn not_in_the_table() -> Vec<&'static str> {
    let names = mutation::ALL.iter().map(|mutation| mutation.name);
    names
        .filter(|name| !TABLE.contains(&format!("| `{name}` |")))
        .collect()
}

/// Hunts every mutation whose name contains `only`.
pub fn run(only: &str) -> Vec<Hunted> {
    let wanted: Vec<Mutation> = mutation::ALL
        .iter()
        .copied()
        .filter(|mutation| mutation.name.contains(only))
        .collect();
    let next = AtomicUsize::new(0);
    let hunted = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&mutation) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = hunt_in_a_process_of_its_own(mutation);
                    println!("{one}");
                    hunted.lock().unwrap().push(one);
                }
            });
        }
    });
    hunted.into_inner().unwrap()
}

fn hunt_in_a_process_of_its_own(mutation: Mutation) -> Hunted {
    let begun = Instant::now();
    let mut hunter = Command::new(std::env::current_exe().unwrap());
    hunter.arg("--hunt").env(SWITCH, mutation.name);
    let ended = hunter.stderr(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let by = said.lines().find_map(|line| line.strip_prefix(BY));
    let caught = ended.status.code() == Some(CAUGHT);
    Hunted {
        mutation,
        caught_by: by.filter(|_| caught).map(str::to_owned),
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// Looks for a violation: where it was found before, then the quick proofs first. Ends the process when it has one.
pub fn hunt(runtime: &Runtime) {
    let switched_on = std::env::var(SWITCH).unwrap_or_default();
    if let Some(before) = caught_before(&switched_on) {
        look_there(runtime, before);
    }
    for seed in 0..GUARDS {
        if let Some(violation) = guards::run(seed) {
            caught(&format!("guards, seed {seed}"), &violation);
        }
    }
    look_at_batches(runtime);
    if let Some(difference) = runtime.block_on(first_wrong_fixture("")) {
        caught("fixtures", &difference);
    }
    let begun = Instant::now();
    let mut seed = 0;
    while begun.elapsed() < PATIENCE {
        for product in Product::ALL {
            let plan = schedules::plan(product, seed);
            if let Some(violation) = schedules::run_plan(&plan).violation {
                caught(&format!("schedules of {product}, seed {seed}"), &violation);
            }
        }
        seed += 1;
    }
    for sleepers in Sleepers::ALL {
        look_for_sleepers(runtime, sleepers);
    }
    let calls = runtime.block_on(every_call::run(&every_call::EveryCall::default()));
    if let Some(difference) = calls.differences.first() {
        caught("every call", difference);
    }
}

/// What caught this mutation before, as the table says.
fn caught_before(name: &str) -> Option<&'static str> {
    let begins = format!("| `{name}` | ");
    let row = TABLE.lines().find_map(|line| line.strip_prefix(&begins))?;
    row.split(" | ").nth(1)
}

/// Looks for a violation where the table says that there was one. It may be elsewhere by now.
fn look_there(runtime: &Runtime, before: &str) {
    let (place, what) = before.split_once(": ").unwrap_or((before, ""));
    if let Some(seed) = place.strip_prefix("schedules of ") {
        let Some((product, Ok(seed))) = seed
            .split_once(", seed ")
            .map(|(product, seed)| (product, seed.parse()))
        else {
            return;
        };
        let product = Product::ALL
            .into_iter()
            .find(|one| one.to_string() == product);
        let Some(product) = product else {
            return;
        };
        let plan = schedules::plan(product, seed);
        if let Some(violation) = schedules::run_plan(&plan).violation {
            caught(place, &violation);
        }
    } else if let Some(seed) = place.strip_prefix("guards, seed ") {
        let seed = seed.parse().ok();
        if let Some(violation) = seed.and_then(guards::run) {
            caught(place, &violation);
        }
    } else if let Some(who) = place.strip_prefix(SLEEPERS) {
        let sleepers = Sleepers::ALL.into_iter();
        { sleepers }
            .filter(|sleepers| sleepers.to_string() == who)
            .for_each(|sleepers| look_for_sleepers(runtime, sleepers));
    } else if place == BATCHES {
        look_at_batches(runtime);
    } else if place == "every call" {
        let case = what.trim_matches('`').split(',').next();
        let options = every_call::EveryCall {
            only: case.map(str::to_owned),
            ..Default::default()
        };
        let calls = runtime.block_on(every_call::run(&options));
        if let Some(difference) = calls.differences.first() {
            caught(place, difference);
        }
    } else if place == "fixtures"
        && let Some(difference) = runtime.block_on(first_wrong_fixture(what.trim_matches('`')))
    {
        caught(place, &difference);
    }
}

fn look_at_batches(runtime: &Runtime) {
    if let Some(difference) = runtime.block_on(batches::run()).first() {
        caught(BATCHES, difference);
    }
}

fn look_for_sleepers(runtime: &Runtime, sleepers: Sleepers) {
    if let Some(difference) = runtime.block_on(sleepers.run()).first() {
        caught(&format!("{SLEEPERS}{sleepers}"), difference);
    }
}

/// A recorded event that comes out otherwise than its fixture says, of those whose name contains this.
async fn first_wrong_fixture(only: &str) -> Option<String> {
    for recorded in fixtures() {
        if !recorded.name.contains(only) {
            continue;
        }
        let world = World::in_process().await;
        recorded.set_up(&world).await;
        let report = world
            .deliver(recorded.worker, &recorded.fixture.event)
            .await;
        if recorded.fixture.expect.difference(&report).is_some() {
            return Some(recorded.name);
        }
    }
    None
}

fn caught(by: &str, violation: &str) -> ! {
    // The first words name the invariant.
    let name = violation.trim_start_matches("already when nothing goes wrong: ");
    let name = name.split([':', '\n']).next().unwrap_or_default();
    println!("{BY}{by}: `{name}`");
    std::process::exit(CAUGHT);
}
