//! Every schedule: a run for each seed; of one that fails, the shortest history and the least trouble that still fail.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    guards,
    histories::Product,
    simulation::{self, Plan, Run, Trouble},
};

/// How many schedules are tried for each shorter history.
const TRIES: u64 = 3;
/// Making a failure shorter ends after this.
const PATIENCE: Duration = Duration::from_secs(60);
/// Runs of the guards alone for each seed: they are quick.
const GUARDS_PER_SEED: u64 = 2;

/// Every so many seeds one is run twice: it must be the same run.
const TWICE_EVERY: u64 = 10;
/// How often progress is told.
const PROGRESS_EVERY: u64 = 50;

/// Which seeds to run.
#[derive(Debug, Clone, Copy)]
pub struct Seeds {
    pub product: Product,
    pub from: u64,
    pub count: u64,
}

/// What was run, and what came of it.
#[derive(Debug, Default)]
pub struct Summary {
    pub product: Option<Product>,
    pub seeds: u64,
    pub steps: usize,
    pub calls: usize,
    pub deliveries: usize,
    pub faults: usize,
    pub crashes: usize,
    pub repeats: usize,
    pub replays: usize,
    pub sleepers: usize,
    pub seconds: f64,
    /// What did not hold, each with its seed and the shortest history.
    pub violations: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "every schedule of {}: {} seeds, {} steps of history, {} deliveries, {} calls, {} faults, {} deaths, {} events again, {} sleepers, \
             {} dead letters replayed, {} violations, {:.0} s",
            self.product
                .map_or_else(String::new, |product| product.to_string()),
            self.seeds,
            self.steps,
            self.deliveries,
            self.calls,
            self.faults,
            self.crashes,
            self.repeats,
            self.sleepers,
            self.replays,
            self.violations.len(),
            self.seconds
        )
    }
}

/// The plan of a product's seed.
pub fn plan(product: Product, seed: u64) -> Plan {
    let mut chance = StdRng::seed_from_u64(seed);
    let steps = chance.random_range(2..=8);
    Plan {
        seed,
        product,
        history: product.random(&mut chance, steps),
        trouble: Trouble::ALL,
    }
}

/// Runs a plan; a panic of the simulation itself is a violation too.
pub fn run_plan(plan: &Plan) -> Run {
    let ran = catch_unwind(AssertUnwindSafe(|| simulation::run(plan)));
    ran.unwrap_or_else(|panicked| {
        let said = panicked.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panicked.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Run {
            violation: Some(format!("panicked: {}", said.unwrap_or_default())),
            ..Run::default()
        }
    })
}

/// Runs the seeds on as many threads as there are processors, until the first violation or all of them.
pub fn run(seeds: Seeds) -> Summary {
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.from);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary {
        product: Some(seeds.product),
        ..Summary::default()
    });
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.from + seeds.count {
                        return;
                    }
                    let guarded = (0..GUARDS_PER_SEED)
                        .find_map(|copy| guards::run(seed * GUARDS_PER_SEED + copy));
                    let plan = plan(seeds.product, seed);
                    let run = run_plan(&plan);
                    let differs =
                        seed.is_multiple_of(TWICE_EVERY) && run_plan(&plan).trace != run.trace;
                    let mut summary = summary.lock().unwrap();
                    summary.add(&plan, &run);
                    if summary.seeds.is_multiple_of(PROGRESS_EVERY) {
                        eprintln!("{} of {} seeds", summary.seeds, seeds.count);
                    }
                    if differs {
                        let violation = format!("seed {seed} is not the same run twice");
                        summary.violations.push(violation);
                    }
                    if let Some(violation) = guarded {
                        summary
                            .violations
                            .push(format!("guards, seed {seed}: {violation}"));
                    }
                    if let Some(violation) = run.violation {
                        summary.violations.push(told(&plan, &violation));
                    }
                    if !summary.violations.is_empty() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap();
    summary.seconds = begun.elapsed().as_secs_f64();
    summary
}

impl Summary {
    fn add(&mut self, plan: &Plan, run: &Run) {
        self.seeds += 1;
        self.steps += plan.history.len();
        self.calls += run.calls;
        self.deliveries += run.deliveries;
        self.faults += run.faults;
        self.crashes += run.crashes;
        self.repeats += run.repeats;
        self.replays += run.replays;
        self.sleepers += run.sleepers;
    }
}

/// A violation with all that is needed to see it again.
fn told(plan: &Plan, violation: &str) -> String {
    let mut lines = vec![
        format!("seed {}: {violation}", plan.seed),
        String::new(),
        "its history:".to_owned(),
    ];
    lines.extend(plan.history.iter().map(|step| format!("  {step}")));
    let again = format!(
        "again: cargo test -p millrace-tests --test replay -- --product {} --seed {} --trace",
        plan.product, plan.seed
    );
    lines.push(again);
    lines.join("\n")
}

/// The shortest history and the least trouble under which a plan still fails, as far as patience goes.
pub fn shortest(plan: &Plan) -> Plan {
    let begun = Instant::now();
    let mut shortest = plan.clone();
    let mut improved = true;
    while improved && begun.elapsed() < PATIENCE {
        improved = false;
        for leaner in leaner(&shortest) {
            let fails = (0..TRIES).map(|offset| Plan {
                seed: plan.seed + offset * 1_000_003,
                ..leaner.clone()
            });
            if let Some(failing) = { fails }.find(|plan| run_plan(plan).violation.is_some()) {
                shortest = failing;
                improved = true;
                break;
            }
            if begun.elapsed() > PATIENCE {
                break;
            }
        }
    }
    shortest
}

/// Every plan with one step, or one kind of trouble, less.
fn leaner(plan: &Plan) -> Vec<Plan> {
    let with = |trouble: Trouble| Plan {
        trouble,
        ..plan.clone()
    };
    let all = plan.trouble;
    let kinds = [
        Trouble {
            faults: false,
            ..all
        },
        Trouble {
            crashes: false,
            ..all
        },
        Trouble {
            repeats: false,
            ..all
        },
        Trouble {
            sleepers: false,
            ..all
        },
        Trouble {
            replays: false,
            ..all
        },
    ];
    let kinds = kinds.into_iter().filter(|less| *less != all).map(with);
    let steps = (0..plan.history.len()).rev().map(|without| {
        let mut history = plan.history.clone();
        history.remove(without);
        Plan {
            history,
            ..plan.clone()
        }
    });
    steps.chain(kinds).collect()
}
