//! The `millrace` command: demo, up, ingest, search, show, explain-match, analytics, report, prepare-index, feed, dlq.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 some item failed, 2 wrong use.

pub mod audit;
pub mod cli;
mod commands;
pub mod fixture;
pub mod letters;
mod output;
pub mod platform;
pub mod products;
pub mod rehearsal;
pub mod replay;
mod samples;
pub mod subjects;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{Cli, Command},
    output::Ended,
};

/// The command's `main`, after the extraction child had its chance.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("MILLRACE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("error,millrace_delivery::metrics=off"));
    // Outcomes are printed by the commands; a panic's words may hold document text.
    millrace_delivery::install_panic_hook();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("millrace: could not start: {error}");
            return ExitCode::from(1);
        }
    };
    let ended = runtime.block_on(run(cli));
    // Blocking work that outlives the command (a housekeeping pass) does not hold it up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::SomeFailed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("millrace: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<Ended, output::Error> {
    match cli.command {
        Command::Demo(demo) => commands::demo::run(demo).await,
        Command::Up(up) => commands::up::run(up).await,
        Command::Ingest(ingest) => commands::ingest::run(ingest).await,
        Command::Search(search) => commands::search::run(search).await,
        Command::Show(show) => commands::show::run(show).await,
        Command::ExplainMatch(asked) => commands::explain_match::run(asked).await,
        Command::Analytics(asked) => commands::analytics::run(asked).await,
        Command::Report(asked) => commands::report::run(asked).await,
        Command::PrepareIndex(asked) => commands::prepare_index::run(asked).await,
        Command::Feed(feed) => commands::feed::run(feed).await,
        Command::Dlq(dlq) => commands::dlq::run(dlq.command).await,
    }
}
