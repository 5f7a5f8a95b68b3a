//! What can be said on the command line.

mod dlq;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use dlq::{Dlq, DlqCommand, DlqPlace, Which};

/// Event-driven workers, with the whole platform in one process.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the products at work on bundled samples: documents and questions, people and jobs, parked events
    Demo(Demo),
    /// Runs the whole platform until Ctrl-C and serves its AWS endpoint on a loopback port
    Up(Up),
    /// Uploads files or folders and waits until each is ready or failed
    Ingest(Ingest),
    /// Finds the chunks of a user's documents nearest to a question
    Search(Search),
    /// Shows a document: its row, its artefacts, its chunks, or its text
    Show(Show),
    /// Says why somebody was told of a job, or was not: the filters, the components of the score
    ExplainMatch(ExplainMatch),
    /// The figures of matches and campaigns: compare them with what they are made of, or build them anew
    Analytics(Analytics),
    /// Makes the marketing report of a day or of a campaign, in the bucket and as files to open
    Report(Report),
    /// Makes the search indexes of a deployment ready, ahead of the workers, as soon as the collection or the domain is
    PrepareIndex(PrepareIndex),
    /// Delivers a recorded event to a worker, or runs a folder of fixtures and compares what comes of them
    Feed(Feed),
    /// Dead letters: list, show, explain, replay, edit, dedupe, export, import, drop, restore, fixture, audit
    Dlq(Box<Dlq>),
}

/// Where the state lives and how to print.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The folder that keeps the platform's state
    #[arg(long, value_name = "DIR", default_value = ".millrace")]
    pub data: PathBuf,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the state in this folder; otherwise in .millrace/demo, which is emptied first
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `up`
#[derive(Debug, Args)]
pub struct Up {
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
    /// Address of the AWS endpoint; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4566")]
    pub listen: std::net::SocketAddr,
    /// Allow an address that other machines can reach (there is no authentication worth the name)
    #[arg(long)]
    pub listen_beyond_loopback: bool,
}

/// `ingest`
#[derive(Debug, Args)]
pub struct Ingest {
    /// Files, or folders to take whole
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Whose documents they are
    #[arg(long, value_name = "ID")]
    pub user: String,
    /// Upload to AWS, with its usual settings (environment, profile, role), where deployed workers do the rest
    #[arg(long, conflicts_with = "data")]
    pub aws: bool,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}

/// `search`
#[derive(Debug, Args)]
pub struct Search {
    /// The question
    pub query: String,
    /// Whose documents to look in
    #[arg(long, value_name = "ID")]
    pub user: String,
    /// How many chunks at most
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// Ask the index on AWS, with its usual settings, at `MILLRACE_OPENSEARCH_ENDPOINT`
    #[arg(long, conflicts_with = "data")]
    pub aws: bool,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}

/// `show`
#[derive(Debug, Args)]
pub struct Show {
    /// The document's id
    pub document: String,
    /// Whose it is
    #[arg(long, value_name = "ID")]
    pub user: String,
    /// Print the extracted text and nothing else
    #[arg(long, conflicts_with = "json")]
    pub text: bool,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}

/// `explain-match`
#[derive(Debug, Args)]
pub struct ExplainMatch {
    /// The job's id
    #[arg(long, value_name = "ID")]
    pub job: String,
    /// The person's user id
    #[arg(long, value_name = "ID")]
    pub user: String,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}

/// `analytics`
#[derive(Debug, Args)]
pub struct Analytics {
    /// What to do with them.
    #[command(subcommand)]
    pub command: AnalyticsCommand,
}

/// The commands of `analytics`.
#[derive(Debug, Subcommand)]
pub enum AnalyticsCommand {
    /// Computes every figure from matches and campaigns and names what differs; ends with 1 when something does
    Verify(AnalyticsPlace),
    /// Makes every figure what matches and campaigns say, while events go on arriving; goes on where it was interrupted
    Rebuild(AnalyticsPlace),
}

/// Whose figures, and how to print.
#[derive(Debug, Args)]
pub struct AnalyticsPlace {
    /// Those of AWS, with its usual settings (environment, profile, role), in the tables that the functions' variables name
    #[arg(long, conflicts_with = "data")]
    pub aws: bool,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}

/// `report`
#[derive(Debug, Args)]
pub struct Report {
    /// The day, such as 2026-11-21, from midnight to midnight in UTC
    #[arg(
        long,
        value_name = "DAY",
        required_unless_present = "campaign",
        conflicts_with = "campaign"
    )]
    pub day: Option<String>,
    /// The campaign's id
    #[arg(long, value_name = "ID")]
    pub campaign: Option<String>,
    /// Where to copy the files; the data folder when it is not given
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Work on AWS, with the usual settings, instead of in --data
    #[arg(long)]
    pub aws: bool,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}

/// `prepare-index`
#[derive(Debug, Args)]
pub struct PrepareIndex {
    /// The collection of OpenSearch Serverless; without it, what `MILLRACE_OPENSEARCH_ENDPOINT` says, else millrace-STAGE
    #[arg(long, value_name = "NAME")]
    pub collection: Option<String>,
    /// How long to wait for it, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub wait: u64,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `feed`
#[derive(Debug, Args)]
pub struct Feed {
    /// A file with the event as Lambda would hand it over, or a fixture, or a folder of them
    pub path: PathBuf,
    /// The worker; fixtures name theirs. With it, a single file is delivered into --data; without it, and in folders,
    /// each in a fresh world in memory
    #[arg(long, value_name = "WORKER")]
    pub to: Option<String>,
    /// Say what would come of it in --data: the worker runs, its effects are withheld, nothing changes
    #[arg(long)]
    pub rehearse: bool,
    /// Where the state lives and how to print.
    #[command(flatten)]
    pub place: Place,
}
