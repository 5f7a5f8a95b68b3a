//! The promise, proven: every call, every schedule, real death, and that these proofs can fail. See README.md beside this.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod deaths;
mod gate;
mod guards;
mod histories;
mod mutations;
mod schedules;
mod simulation;

use std::process::ExitCode;

use clap::Parser;
use millrace_tests::every_call::{self, EveryCall};

use histories::Product;
use schedules::Seeds;

/// The promise, proven. Without arguments: a part that takes about a minute.
#[derive(Debug, Parser)]
struct Arguments {
    /// More of everything, within ten minutes
    #[arg(long)]
    ci: bool,
    /// All of it: every fixture under every fault, thousands of seeds, a hundred deaths
    #[arg(long)]
    full: bool,
    /// Only these parts
    #[arg(value_name = "PART", value_parser = ["calls", "schedules", "deaths", "mutations"])]
    parts: Vec<String>,
    /// How many seeds
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// Schedules of this product alone; of --seed it is the documents' unless this says another
    #[arg(long, value_name = "PRODUCT")]
    product: Option<Product>,
    /// This one seed; when it fails, the shortest history that still fails
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// With --seed: everything that the schedule chose
    #[arg(long)]
    trace: bool,
    /// How many deaths
    #[arg(long, value_name = "N")]
    deaths: Option<usize>,
    /// Only mutations or cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Looks for the mutation that the environment has switched on
    #[arg(long, hide = true)]
    hunt: bool,
    /// What cargo's own harness understands and this one need not
    #[arg(long, hide = true)]
    nocapture: bool,
}

impl Arguments {
    /// One of three sizes.
    fn size<T>(&self, everyday: T, ci: T, full: T) -> T {
        if self.full {
            full
        } else if self.ci {
            ci
        } else {
            everyday
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

fn main() -> ExitCode {
    // What workers say of faults that were meant is not news.
    std::panic::set_hook(Box::new(|_| {}));
    millrace_delivery::install_panic_hook();
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        let product = arguments.product.unwrap_or(Product::Documents);
        return one_seed(product, seed, arguments.trace);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if arguments.hunt {
        mutations::hunt(&runtime);
        return ExitCode::SUCCESS;
    }
    let mut failed = false;
    let missing = mutations::not_in_the_table();
    if !missing.is_empty() {
        println!("tests/replay/README.md does not say what caught {missing:?}");
        failed = true;
    }
    // Their everyday part runs as a test of the suite (tests/suite/crash.rs).
    let asked = |part: &str| arguments.parts.iter().any(|asked| asked == part);
    if arguments.wants("calls") && (asked("calls") || arguments.full) {
        let only = Some(arguments.only.clone()).filter(|only| !only.is_empty());
        let options = EveryCall {
            full: arguments.full,
            only,
        };
        let summary = runtime.block_on(every_call::run(&options));
        println!("{summary}");
        summary
            .differences
            .iter()
            .for_each(|line| println!("  {line}"));
        failed |= !summary.differences.is_empty();
    }
    if arguments.wants("schedules") {
        let count = arguments.seeds.unwrap_or(arguments.size(8, 80, 3_000));
        let from = arguments.from;
        let wanted = |product: &Product| arguments.product.is_none_or(|only| only == *product);
        for product in Product::ALL.into_iter().filter(wanted) {
            let summary = schedules::run(Seeds {
                product,
                from,
                count,
            });
            println!("{summary}");
            summary
                .violations
                .iter()
                .for_each(|line| println!("\n{line}"));
            failed |= !summary.violations.is_empty();
        }
    }
    if arguments.wants("deaths") {
        let deaths = arguments.deaths.unwrap_or(arguments.size(5, 20, 100));
        println!("{}", runtime.block_on(deaths::run(deaths, arguments.from)));
    }
    // Everyday runs leave them out: they show something about the proofs, not about the change at hand.
    if arguments.wants("mutations") && (asked("mutations") || arguments.ci || arguments.full) {
        let hunted = mutations::run(&arguments.only);
        let caught = hunted.iter().filter(|one| one.caught_by.is_some()).count();
        println!("mutations: {caught} of {} caught", hunted.len());
        failed |= caught < hunted.len();
    }
    if failed {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs one seed, twice: the same seed must be the same run.
fn one_seed(product: Product, seed: u64, trace: bool) -> ExitCode {
    let plan = schedules::plan(product, seed);
    let run = schedules::run_plan(&plan);
    if trace {
        run.trace.iter().for_each(|line| println!("{line}"));
    }
    let again = schedules::run_plan(&plan);
    if again.trace != run.trace {
        let differs = again.trace.iter().zip(&run.trace).position(|(a, b)| a != b);
        println!("seed {seed} is not the same run twice: differs at {differs:?}");
        return ExitCode::FAILURE;
    }
    let Some(violation) = run.violation else {
        println!("seed {seed}: everything holds, {} calls", run.calls);
        return ExitCode::SUCCESS;
    };
    println!("seed {seed}: {violation}\n\nlooking for the shortest history that still fails");
    let shortest = schedules::shortest(&plan);
    println!("seed {}, {:?}", shortest.seed, shortest.trouble);
    shortest
        .history
        .iter()
        .for_each(|step| println!("  {step}"));
    let run = schedules::run_plan(&shortest);
    println!("{}", run.violation.unwrap_or_default());
    ExitCode::FAILURE
}
