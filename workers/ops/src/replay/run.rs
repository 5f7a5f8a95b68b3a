//! The command around a replay: which letters, which way, in whose name, and what is said at the end.

use std::{num::NonZeroU32, sync::Arc};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    args::{ReplayArgs, Via, hold_for},
    brake::{Brake, Percent},
    dry::dry_run,
    engine::{Engine, Stopped, Way},
    handler::Handlers,
    judge::judge,
    outcome::{Became, Trouble},
    pace::{Pace, Rate},
    queue::ThroughQueues,
    tally::Tally,
};
use crate::{
    audit::{Audit, What},
    commands::dlq::{check_ids, letters},
    letters::{Desk, Hold, Letter, Progress, Run, Selection, State, Waiting},
    output::{Ended, Error},
    platform::{Platform, Standing},
};

const SAY_WHICH: &str = "say which letters: ids, --worker, --reason, --kind, --subject, --older-than, --newer-than, or --all";
/// Ids that are looked at in one go.
const PAGE: usize = 1_000;
/// How soon a wish to stop is noticed.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);
/// On AWS the functions' concurrency and what stands behind them set the limit.
const RATE_ON_AWS: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// What a run keeps of what was asked for: enough to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    what: String,
    words: String,
    selection: Selection,
    via: Via,
    #[serde(default)]
    rate: Option<Rate>,
    #[serde(default)]
    stop_on_error_rate: Option<Percent>,
}

/// What is needed to replay.
pub(crate) struct Counter<'a> {
    pub(crate) platform: &'a mut Platform,
    pub(crate) desk: &'a Desk,
    pub(crate) audit: &'a Audit,
    pub(crate) as_json: bool,
}

/// `dlq replay`. `words` says which letters, in the words of the command.
pub(crate) async fn run(
    counter: Counter<'_>,
    selection: Selection,
    words: String,
    asked: &ReplayArgs,
) -> Result<Ended, Error> {
    let go_on = asked.run_to_go_on().map_err(Error::usage)?;
    // Before anything is read, and so hidden from others.
    way_of(counter.platform.standing(), asked.via)?;
    if asked.dry_run {
        let selection = match go_on {
            Some(wanted) => remembered(&run_to_go_on(counter.desk, wanted)?)?.selection,
            None => selection,
        };
        if selection.is_empty() {
            return Err(Error::usage(SAY_WHICH));
        }
        let via = way_of(counter.platform.standing(), asked.via)?;
        let Counter {
            platform,
            desk,
            as_json,
            ..
        } = counter;
        return dry_run(platform, desk, &selection, asked, via, as_json).await;
    }
    let begun = match go_on {
        Some(wanted) => Begun::again(&counter, wanted, asked)?,
        None => Begun::new(&counter, selection, words, asked).await?,
    };
    begun.replay(counter, asked).await
}

/// A run that is in the catalogue.
struct Begun {
    run: Uuid,
    remembered: Remembered,
    rate: Option<Rate>,
    /// When letters were received, if they were already.
    read_at: Option<OffsetDateTime>,
    /// Whether every place could be read to its end.
    is_complete: bool,
}

fn remembered(run: &Run) -> Result<Remembered, Error> {
    serde_json::from_str(&run.what).map_err(|error| {
        Error::failed(format!(
            "the run {} was not begun by this version of the command: {error}",
            run.id
        ))
    })
}

fn run_to_go_on(desk: &Desk, wanted: Option<Uuid>) -> Result<Run, Error> {
    let catalogue = desk.catalogue();
    if let Some(id) = wanted {
        let run = catalogue.run(id).map_err(millrace_events::Failure::from)?;
        return run.ok_or_else(|| Error::usage(format!("there is no replay {id}")));
    }
    let runs = catalogue
        .unfinished_runs()
        .map_err(millrace_events::Failure::from)?;
    let last = runs.into_iter().rev().find(|run| remembered(run).is_ok());
    last.ok_or_else(|| Error::usage("no replay was interrupted: there is nothing to go on with"))
}

fn rate_of(platform: &Platform, asked: &ReplayArgs) -> Option<Rate> {
    let on_aws = platform.standing() == Standing::Aws;
    asked
        .rate
        .or_else(|| on_aws.then(|| Rate::per_second(RATE_ON_AWS)))
}

/// The way to the workers.
fn way_of(standing: Standing, asked: Option<Via>) -> Result<Via, Error> {
    match (standing, asked) {
        (Standing::Attached, Some(Via::Handler)) => Err(Error::usage(
            "the platform runs in another process, which alone writes the vector index: replay --via queue, or stop it first",
        )),
        (Standing::Attached, _) => Ok(Via::Queue),
        (Standing::Owned, asked) => Ok(asked.unwrap_or(Via::Handler)),
        (Standing::Aws, asked) => Ok(asked.unwrap_or(Via::Queue)),
    }
}

impl Begun {
    async fn new(
        counter: &Counter<'_>,
        selection: Selection,
        words: String,
        asked: &ReplayArgs,
    ) -> Result<Self, Error> {
        if selection.is_empty() {
            return Err(Error::usage(SAY_WHICH));
        }
        let rate = rate_of(counter.platform, asked);
        let (read_at, is_complete) = read(counter.desk, &selection, rate).await?;
        if counter.desk.is_stopping() {
            // A run over what was read so far would look like one over all of it.
            counter.desk.release_selection(&selection).await?;
            return Err(Error::failed(
                "interrupted: everything that was held is put back, nothing was changed",
            ));
        }
        let enlisted = Self::enlist(counter, &selection, words, asked);
        let (run, remembered) = match enlisted {
            Ok(enlisted) => enlisted,
            Err(error) => {
                counter.desk.release_selection(&selection).await?;
                return Err(error);
            }
        };
        Ok(Self {
            run,
            remembered,
            rate,
            read_at: Some(read_at),
            is_complete,
        })
    }

    /// The letters that were read become a run.
    fn enlist(
        counter: &Counter<'_>,
        selection: &Selection,
        words: String,
        asked: &ReplayArgs,
    ) -> Result<(Uuid, Remembered), Error> {
        check_ids(counter.desk.catalogue(), &selection.ids, State::Here)?;
        let run = Uuid::new_v4();
        let remembered = Remembered {
            what: "replay".to_owned(),
            words,
            selection: selection.clone(),
            via: way_of(counter.platform.standing(), asked.via)?,
            rate: rate_of(counter.platform, asked),
            stop_on_error_rate: asked.stop_on_error_rate,
        };
        let catalogue = counter.desk.catalogue();
        let now = counter.desk.clock().now();
        let what = serde_json::to_string(&remembered).unwrap_or_default();
        let begun = catalogue.begin_run(run, &what, selection, now);
        begun.map_err(millrace_events::Failure::from)?;
        if let Some(max) = asked.max {
            let skipped = catalogue.keep_oldest(run, max, "beyond --max", now);
            skipped.map_err(millrace_events::Failure::from)?;
        }
        Ok((run, remembered))
    }

    fn again(
        counter: &Counter<'_>,
        wanted: Option<Uuid>,
        asked: &ReplayArgs,
    ) -> Result<Self, Error> {
        let run = run_to_go_on(counter.desk, wanted)?;
        let mut remembered = remembered(&run)?;
        // What was begun through the handler goes on through the queue when another process runs the platform now.
        let standing = counter.platform.standing();
        let via = asked
            .via
            .or((standing != Standing::Attached).then_some(remembered.via));
        remembered.via = way_of(standing, via)?;
        let brake = asked.stop_on_error_rate.or(remembered.stop_on_error_rate);
        remembered.stop_on_error_rate = brake;
        Ok(Self {
            run: run.id,
            rate: asked
                .rate
                .or(remembered.rate)
                .or(rate_of(counter.platform, asked)),
            remembered,
            read_at: None,
            is_complete: true,
        })
    }

    async fn replay(mut self, counter: Counter<'_>, asked: &ReplayArgs) -> Result<Ended, Error> {
        let Counter {
            platform,
            desk,
            audit,
            as_json,
        } = counter;
        let catalogue = desk.catalogue();
        let counts = catalogue
            .run_counts(self.run)
            .map_err(millrace_events::Failure::from)?;
        let waiting = counts.get(&Progress::Waiting).copied().unwrap_or(0);
        let act = match self.write_down(audit, desk, waiting, asked).await {
            Ok(act) => act,
            Err(error) => {
                desk.release_selection(&self.remembered.selection).await?;
                return Err(error);
            }
        };
        if self.remembered.via == Via::Queue && asked.stop_on_error_rate.is_some() {
            eprintln!(
                "through queues --stop-on-error-rate counts only what could not be sent: what a worker makes of a letter is not known at once"
            );
        }
        let mut tally = Tally::new(waiting, as_json);
        if platform.standing() == Standing::Owned {
            platform.start();
        }
        let way = match self.remembered.via {
            Via::Handler => Way::Handler(Arc::new(Handlers::of(platform))),
            Via::Queue => Way::Queue(Arc::new(ThroughQueues::new(
                desk.clone(),
                platform.workers(),
            ))),
        };
        let replayed = self.engine(desk, way, asked, &mut tally).await;
        tally.end();
        let judged = match &replayed {
            Ok(_) if !desk.is_stopping() => self.settle(platform, desk, asked, &mut tally).await,
            _ => Ok(()),
        };
        let released = desk.release_selection(&self.remembered.selection).await;
        platform.stop().await;
        let stopped = match (replayed, judged.and(released)) {
            (Ok(stopped), Ok(())) => stopped,
            (Err(failure), _) | (_, Err(failure)) => {
                let said = format!("failed: {}; {}", failure, tally.words());
                audit.complete(act, &said).await?;
                eprintln!(
                    "{}; go on with `millrace dlq replay --continue {}`",
                    tally.words(),
                    self.run
                );
                return Err(failure.into());
            }
        };
        let how = self.said(&stopped, &tally);
        audit.complete(act, &how).await?;
        if stopped == Stopped::AtTheEnd {
            let ended = catalogue.end_run(self.run, desk.clock().now());
            ended.map_err(millrace_events::Failure::from)?;
        }
        eprintln!("{how}");
        if stopped == Stopped::AtTheEnd && tally.is_whole() && self.is_complete {
            return Ok(Ended::Done);
        }
        Ok(Ended::SomeFailed)
    }

    /// The act is in the audit table before anything is done.
    async fn write_down(
        &self,
        audit: &Audit,
        desk: &Desk,
        waiting: u64,
        asked: &ReplayArgs,
    ) -> Result<crate::audit::Act, Error> {
        let rate = self
            .rate
            .map_or("unlimited".to_owned(), |rate| rate.to_string());
        let selection = format!(
            "{}; {} via {} at {rate}; run {}",
            self.remembered.words,
            letters(waiting),
            self.remembered.via.word(),
            self.run
        );
        let mut act = audit
            .begin(What::Replay, &selection, asked.why.as_deref())
            .await?;
        let mut after = None;
        loop {
            let page = desk
                .catalogue()
                .run_letters(self.run, Progress::Waiting, after, PAGE)
                .map_err(millrace_events::Failure::from)?;
            after = page.last().map(|one| one.letter);
            if after.is_none() {
                return Ok(act);
            }
            let ids = page.iter().map(|one| one.letter);
            audit.name(&mut act, ids).await?;
        }
    }

    /// Receives and replays, and again if the replay takes longer than letters can be held.
    async fn engine(
        &mut self,
        desk: &Desk,
        way: Way,
        asked: &ReplayArgs,
        tally: &mut Tally,
    ) -> Result<Stopped, millrace_events::Failure> {
        let mut pace = Pace::new(self.rate);
        let mut brake = Brake::new(self.remembered.stop_on_error_rate);
        let mut read_at = self.read_at;
        let stop = asked_to_stop(desk);
        let mut stop = std::pin::pin!(stop);
        loop {
            let received_at = match read_at.take() {
                Some(time) => time,
                None => {
                    let (time, is_complete) =
                        read(desk, &self.remembered.selection, self.rate).await?;
                    self.is_complete &= is_complete;
                    time
                }
            };
            let engine = Engine {
                desk,
                run: self.run,
                read_at: received_at,
                way: way.clone(),
                pace: &mut pace,
                brake: &mut brake,
                concurrency: asked.concurrency,
            };
            let mut tell = |waiting: &Waiting, became: Option<&Became>| match became {
                Some(became) => tally.letter(waiting, became),
                None => tally.left(),
            };
            let stopped = engine.run(stop.as_mut(), &mut tell).await?;
            if stopped != Stopped::HoldOver || desk.is_stopping() {
                return Ok(stopped);
            }
        }
    }

    /// Waits for what the replay set going, and looks which letters came back.
    async fn settle(
        &self,
        platform: &Platform,
        desk: &Desk,
        asked: &ReplayArgs,
        tally: &mut Tally,
    ) -> Result<(), millrace_events::Failure> {
        // The workers of an owned platform end with this process: it waits for them in any case.
        let owned = platform.standing() == Standing::Owned;
        if !owned && !asked.wait {
            return Ok(());
        }
        platform.wait_idle().await;
        if self.remembered.via == Via::Handler {
            return Ok(());
        }
        judge(desk, self.run, |letter: &Letter, back: Option<&Letter>| {
            tally.correct(back.is_some());
            let Some(back) = back else {
                return;
            };
            let trouble = Trouble {
                code: back.reason.clone(),
                message: back.message.clone(),
                is_transient: false,
            };
            tally.came_back(letter, &trouble);
        })
        .await
    }

    fn said(&self, stopped: &Stopped, tally: &Tally) -> String {
        let words = tally.words();
        let on = format!("go on with `millrace dlq replay --continue {}`", self.run);
        match stopped {
            Stopped::AtTheEnd => words,
            Stopped::Interrupted | Stopped::HoldOver => format!("interrupted: {words}; {on}"),
            Stopped::TooManyFailed(share) => format!(
                "stopped because {share:.0} % of the last letters failed: {words}; when the cause is gone, {on}"
            ),
        }
    }
}

/// Ends once an operator has asked for it.
async fn asked_to_stop(desk: &Desk) {
    while !desk.is_stopping() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Receives the letters of a selection and holds them; says when, and whether every place was read to its end.
async fn read(
    desk: &Desk,
    selection: &Selection,
    rate: Option<Rate>,
) -> Result<(OffsetDateTime, bool), millrace_events::Failure> {
    let began = desk.clock().now();
    let hold = Hold::For {
        selection: selection.clone(),
        time: hold_for(desk.approximate_total().await?, rate),
    };
    let report = desk.read(&hold, |_| {}).await?;
    for (place, why) in &report.failed {
        eprintln!("{place} could not be read: {why}");
    }
    for (queue, count) in &report.hidden {
        eprintln!(
            "{queue}: {} held by an interrupted replay, or by somebody else",
            letters(*count)
        );
    }
    for (queue, count) in &report.unread {
        eprintln!(
            "{queue}: about {} not handed out and not replayed; replay again when this is over",
            letters(*count)
        );
    }
    Ok((began, report.is_complete()))
}
