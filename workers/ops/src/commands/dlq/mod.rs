//! `millrace dlq`: the operators' desk.

mod audit;
mod dedupe;
mod discard;
mod edit;
mod explain;
mod fixture;
mod list;
mod replay;
mod show;
mod transfer;

use std::{io::IsTerminal as _, path::PathBuf, sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use millrace_cloud::{Clients, Settings, SystemClock};
use millrace_events::Failure;

pub(crate) use list::sentence;

use crate::{
    audit::{Audit, aws_operator, local_operator},
    cli::{DlqCommand, DlqPlace, Which},
    letters::{
        Catalogue, CatalogueError, Cursor, Desk, Hold, Letter, ReadReport, Selection, State,
    },
    output::{Ended, Error},
    platform::Platform,
    products,
};

/// The catalogue in the data folder.
const CATALOGUE: &str = "letters.sqlite";
/// How long letters stay out of others' sight while an act on them goes on.
const HOLD: Duration = Duration::from_secs(900);
/// Letters that are taken from the catalogue at once.
const PAGE: usize = 200;

pub(crate) async fn run(command: DlqCommand) -> Result<Ended, Error> {
    match command {
        DlqCommand::List {
            which,
            limit,
            cached,
            place,
        } => list::run(&which, limit, cached, &place).await,
        DlqCommand::Show { id, cached, place } => show::run(&id, cached, &place).await,
        DlqCommand::Explain {
            which,
            cached,
            place,
        } => explain::run(&which, cached, &place).await,
        DlqCommand::Replay { which, how, place } => replay::run(&which, &how, &place).await,
        DlqCommand::Edit {
            id,
            patch,
            set,
            why,
            place,
        } => edit::run(&id, patch.as_deref(), &set, why.as_deref(), &place).await,
        DlqCommand::Dedupe { which, why, place } => {
            dedupe::run(&which, why.as_deref(), &place).await
        }
        DlqCommand::Export {
            file,
            which,
            cached,
            place,
        } => transfer::export(&file, &which, cached, &place).await,
        DlqCommand::Import {
            file,
            to,
            why,
            place,
        } => transfer::import(&file, to.as_deref(), why.as_deref(), &place).await,
        DlqCommand::Drop {
            which,
            yes,
            why,
            place,
        } => discard::drop_letters(&which, yes, &why, &place).await,
        DlqCommand::Restore { which, why, place } => {
            discard::restore(&which, why.as_deref(), &place).await
        }
        DlqCommand::Fixture {
            id,
            into,
            name,
            why,
            place,
        } => fixture::run(&id, &into, name.as_deref(), why.as_deref(), &place).await,
        DlqCommand::Audit { day, place } => audit::run(day.as_deref(), &place).await,
    }
}

/// What the commands work with.
struct Opened {
    desk: Desk,
    audit: Audit,
    /// The embedded platform; `None` on AWS.
    platform: Option<Platform>,
}

async fn open(which: &DlqPlace) -> Result<Opened, Error> {
    let clock = Arc::new(SystemClock);
    let (clients, settings, who, platform, default_catalogue) = if which.aws {
        let clients = Clients::from_environment().await;
        let who = aws_operator(&clients).await?;
        // Two accounts' letters in one catalogue would make each look gone when the other is read.
        let account = who.split(':').nth(4).unwrap_or("unknown").to_owned();
        let region = clients.config.region().map_or("unknown", AsRef::as_ref);
        let file = PathBuf::from(".millrace").join(format!("letters-{account}-{region}.sqlite"));
        (clients, Settings::from_environment(), who, None, file)
    } else {
        let platform = Platform::open_existing(&which.place.data).await?;
        let clients = platform.clients().clone();
        let file = which.place.data.join(CATALOGUE);
        let settings = Settings::from_environment();
        (clients, settings, local_operator(), Some(platform), file)
    };
    let file = which.catalogue.clone().unwrap_or(default_catalogue);
    let catalogue = Catalogue::open(&file)?;
    let patience = if which.aws {
        Duration::from_secs(1)
    } else {
        Duration::ZERO
    };
    let workers = match &platform {
        Some(platform) => platform.workers(),
        None => products::workers().map(str::to_owned).collect(),
    };
    let audit = Audit::new(&clients, &settings, who, clock.clone());
    let desk = Desk::new(clients, catalogue, clock)
        .with_workers(workers)
        .only_queue(which.queue.clone())
        .with_failures_bucket(which.failures_bucket.clone())
        .with_patience(patience);
    stop_on_interrupt(desk.clone());
    Ok(Opened {
        desk,
        audit,
        platform,
    })
}

/// Ctrl-C ends what goes on in good order; a second one ends it at once.
fn stop_on_interrupt(desk: Desk) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        eprintln!(
            "millrace: putting back what is held, then stopping (Ctrl-C again stops at once)"
        );
        desk.stop();
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

/// Reads the queues with a bar, and says what could not be read.
async fn read(desk: &Desk, hold: &Hold) -> Result<ReadReport, Error> {
    let bar = bar("read", None);
    let counted = bar.clone();
    let report = desk.read(hold, move |letters| counted.inc(letters)).await;
    bar.finish_and_clear();
    let report = report?;
    for (queue, count) in &report.hidden {
        eprintln!(
            "{queue}: {count} more out of sight, which somebody holds, at most for some minutes"
        );
    }
    for (queue, count) in &report.unread {
        eprintln!("{queue}: about {count} more not handed out; read again in a moment");
    }
    for (place, reason) in &report.failed {
        eprintln!("{place} was not read: {reason}");
    }
    if report.interrupted {
        return Err(Error::failed(
            "interrupted: everything that was held is put back, nothing was changed",
        ));
    }
    Ok(report)
}

/// A bar on stderr, which is silent where that is no terminal.
fn bar(what: &'static str, length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{wide_bar} {pos}/{len} {msg} ({per_sec}, {eta})",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {pos} {msg} ({per_sec})",
        ),
    };
    bar.set_message(what);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The selection of an act: it must say something, and each id must be that of one letter.
fn act_selection(desk: &Desk, which: &Which, state: State) -> Result<Selection, Error> {
    let selection = which.selection(desk.clock().now());
    if selection.is_empty() {
        return Err(Error::usage(
            "say which letters: ids, a condition such as --worker, or --all",
        ));
    }
    check_ids(desk.catalogue(), &which.ids, state)?;
    Ok(selection)
}

pub(crate) fn check_ids(catalogue: &Catalogue, ids: &[String], state: State) -> Result<(), Error> {
    for id in ids {
        one(catalogue, id, state)?;
    }
    Ok(())
}

/// The one letter whose id begins so.
fn one(catalogue: &Catalogue, id: &str, state: State) -> Result<Letter, Error> {
    let found = catalogue.select_in(state, &Selection::id(id), None, 2)?;
    let mut letters = found.letters.into_iter();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Ok(letter),
        (Some(_), Some(_)) => Err(Error::usage(format!(
            "{id} is the beginning of several ids: give more of it"
        ))),
        (None, _) if state == State::Here => Err(Error::usage(format!(
            "there is no dead letter {id}; `millrace dlq list` shows what there is"
        ))),
        (None, _) => Err(Error::usage(format!(
            "there is no {} letter {id} in the catalogue",
            state.word()
        ))),
    }
}

/// Goes through the letters of a selection, a page at a time.
struct Pages<'a> {
    catalogue: &'a Catalogue,
    selection: &'a Selection,
    state: State,
    cursor: Option<Cursor>,
    is_over: bool,
}

impl<'a> Pages<'a> {
    fn new(catalogue: &'a Catalogue, selection: &'a Selection, state: State) -> Self {
        Self {
            catalogue,
            selection,
            state,
            cursor: None,
            is_over: false,
        }
    }

    /// The next letters; empty after the last.
    fn next(&mut self) -> Result<Vec<Letter>, CatalogueError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let page =
            self.catalogue
                .select_in(self.state, self.selection, self.cursor.as_ref(), PAGE)?;
        self.is_over = page.next.is_none();
        self.cursor = page.next;
        Ok(page.letters)
    }
}

/// `1 copy`, `2 copies`.
fn copies(count: usize) -> String {
    match count {
        1 => "1 copy".to_owned(),
        count => format!("{count} copies"),
    }
}

/// `1 letter`, `2 letters`.
pub(crate) fn letters(count: u64) -> String {
    match count {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}

impl From<CatalogueError> for Error {
    fn from(error: CatalogueError) -> Self {
        Self::failed(error.to_string())
    }
}

/// A part of the act failed: what is held is put back, and the act says so.
async fn put_back_after(desk: &Desk, report: &ReadReport, error: Error) -> Error {
    if let Err(failure) = desk.release_held(report.reading).await {
        return Error::failed(format!("{error}; and {}", said(&failure)));
    }
    error
}

fn said(failure: &Failure) -> String {
    format!("{} [{}]", failure.chain(), failure.reason())
}
