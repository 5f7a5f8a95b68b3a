//! Every worker, every case of it, every call that it makes, every fault: the end state is the calm one's.
//!
//! Nothing here names a worker. Workers come from the template, cases from the folder of fixtures and from
//! [`stories`]; a worker without a case that makes it write something is a failure.

mod case;
mod stories;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use millrace_cloud::Fault;

use self::case::{Case, Duplicates, Ran};
use crate::{State, fixtures::fixtures, workers};

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct EveryCall {
    /// Every case under every fault at every call, and everything once more after each. Otherwise each call of a worker under every
    /// fault, and at least one at it after each call that it can come after: elsewhere it is the same call on other data.
    pub full: bool,
    /// Only cases whose name contains this.
    pub only: Option<String>,
}

/// What was run, and what came of it.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Workers in the template.
    pub workers: usize,
    /// Recorded events, each delivered calmly and once more.
    pub fixtures: usize,
    /// Stories in which a worker had something to do, delivered likewise.
    pub stories: usize,
    /// Fixtures and stories that were run under faults.
    pub cases: usize,
    /// Calls at which these faults were.
    pub calls: usize,
    /// Faults at each call.
    pub faults: usize,
    /// Worlds in which something was delivered, with a fault or calmly.
    pub runs: usize,
    /// How long it took.
    pub seconds: f64,
    /// What went wrong, a sentence each; empty if nothing.
    pub differences: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "every call: {} workers, {} fixtures and {} stories, {} of them under faults, {} calls, {} faults, {} runs, \
             {} differences, {:.0} s",
            self.workers,
            self.fixtures,
            self.stories,
            self.cases,
            self.calls,
            self.faults,
            self.runs,
            self.differences.len(),
            self.seconds
        )
    }
}

/// A case with its calm run.
struct Calm {
    case: Case,
    calls: Vec<String>,
    /// The calls of a whole run: what each run of this case costs.
    cost: usize,
    wrote: bool,
    state: State,
}

/// Runs it all, on as many threads as there are processors.
pub async fn run(options: &EveryCall) -> Summary {
    let options = options.clone();
    let running = tokio::task::spawn_blocking(move || run_blocking(&options));
    running.await.unwrap()
}

fn run_blocking(options: &EveryCall) -> Summary {
    let begun = Instant::now();
    let differences = Mutex::new(Vec::new());
    let calm = Mutex::new(Vec::new());
    let cases = cases(options);
    side_by_side(&cases, |case| {
        match run_case(case, None, Duplicates::AtTheEnd) {
            Ok(ran) if ran.had_work => {
                let changed = changed_by_duplicates(&ran, &ran.state);
                say(&differences, &case.name(), "delivered once more", changed);
                calm.lock().unwrap().push(Calm {
                    case: case.clone(),
                    cost: ran.calls.len() + ran.calls_afterwards,
                    calls: ran.calls,
                    wrote: ran.wrote,
                    state: ran.state,
                });
            }
            Ok(_) => {}
            Err(panicked) => say(&differences, &case.name(), "calm", vec![panicked]),
        }
    });
    let mut calm = calm.into_inner().unwrap();
    calm.sort_by_key(|calm| calm.case.name());
    let mut summary = Summary {
        workers: workers().count(),
        faults: Fault::ALL.len(),
        ..Summary::default()
    };
    for calm in &calm {
        match calm.case {
            Case::Fixture(_) => summary.fixtures += 1,
            Case::Story(..) => summary.stories += 1,
        }
    }
    if options.only.is_none() {
        let writing = calm.iter().filter(|calm| calm.wrote);
        let writing: BTreeSet<&str> = writing.map(|calm| calm.case.worker()).collect();
        differences.lock().unwrap().extend(uncovered(&writing));
    }
    let (places, jobs, duplicates) = if options.full {
        let places = every_place(&calm);
        let jobs = { &places }
            .iter()
            .flat_map(|place| Fault::ALL.map(|fault| (*place, fault)));
        let jobs: Vec<_> = jobs.collect();
        (places, jobs, Duplicates::AtTheEnd)
    } else {
        let places = distinct_places(&calm);
        let jobs = spread(&places);
        (places, jobs, Duplicates::None)
    };
    side_by_side(&jobs, |((calm, number), fault)| {
        let what = format!(
            "{fault:?} at call {number} of {} ({})",
            calm.calls.len(),
            calm.calls[*number]
        );
        let found = match run_case(&calm.case, Some((*number, *fault)), duplicates) {
            Ok(ran) => {
                let found = ran.state.differences(&calm.state);
                if found.is_empty() {
                    changed_by_duplicates(&ran, &calm.state)
                } else {
                    found
                }
            }
            Err(panicked) => vec![panicked],
        };
        say(&differences, &calm.case.name(), &what, found);
    });
    let cases_under_faults: BTreeSet<String> =
        places.iter().map(|(calm, _)| calm.case.name()).collect();
    summary.cases = cases_under_faults.len();
    summary.calls = places.len();
    summary.runs = cases.len() + jobs.len();
    summary.differences = differences.into_inner().unwrap();
    summary.differences.sort();
    summary.seconds = begun.elapsed().as_secs_f64();
    summary
}

fn changed_by_duplicates(ran: &Ran, expected: &State) -> Vec<String> {
    let after = ran.state_after_duplicates.as_ref();
    after.map_or_else(Vec::new, |state| state.differences(expected))
}

fn cases(options: &EveryCall) -> Vec<Case> {
    let recorded = fixtures().into_iter().map(Box::new).map(Case::Fixture);
    let told = stories::stories().map(|(story, worker)| Case::Story(story, worker));
    let wanted = |case: &Case| match &options.only {
        Some(part) => case.name().contains(part),
        None => true,
    };
    recorded.chain(told).filter(wanted).collect()
}

/// A call of a case.
type Place<'a> = (&'a Calm, usize);

fn every_place(calm: &[Calm]) -> Vec<Place<'_>> {
    calm.iter()
        .flat_map(|calm| (0..calm.calls.len()).map(move |number| (calm, number)))
        .collect()
}

/// Each call of a worker after each call that it can come after, in the case that is cheapest to run.
fn distinct_places(calm: &[Calm]) -> Vec<Place<'_>> {
    let mut places = every_place(calm);
    places.sort_by_key(|(calm, _)| calm.cost);
    let mut seen = BTreeSet::new();
    places.retain(|(calm, number)| {
        let before = number
            .checked_sub(1)
            .map(|before| kind(&calm.calls[before]));
        seen.insert((calm.case.worker(), before, kind(&calm.calls[*number])))
    });
    places
}

/// Every fault at each call of each worker, spread over the calls that it can come after; each of these gets one at least.
fn spread<'a>(places: &[Place<'a>]) -> Vec<(Place<'a>, Fault)> {
    let mut same_calls: BTreeMap<(&str, String), Vec<Place<'a>>> = BTreeMap::new();
    for place in places {
        let (calm, number) = *place;
        let call = (calm.case.worker(), kind(&calm.calls[number]));
        same_calls.entry(call).or_default().push(*place);
    }
    let faults = same_calls.values().flat_map(|places| {
        (0..places.len().max(Fault::ALL.len())).map(|turn| {
            let place = places[turn % places.len()];
            (place, Fault::ALL[turn % Fault::ALL.len()])
        })
    });
    faults.collect()
}

/// A call's name without what differs by document: `S3 PUT text.txt` for `S3 PUT /bucket/…/text.txt?x-id=PutObject`.
fn kind(call: &str) -> String {
    let Some((method, path)) = call.rsplit_once(' ') else {
        return call.to_owned();
    };
    let path = path.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let last = if last.starts_with("original") {
        "original"
    } else {
        last
    };
    format!("{method} {last}")
}

/// A sentence for each worker of the template that is not among those that were seen to write.
pub fn uncovered(seen_to_write: &BTreeSet<&str>) -> Vec<String> {
    workers()
        .filter(|worker| !seen_to_write.contains(worker))
        .map(|worker| {
            format!(
                "{worker} is in the template, and no case makes it write anything: add a fixture whose event does to \
                 events-fixtures/PRODUCT/{worker}/, or a story to tests/src/every_call/stories/"
            )
        })
        .collect()
}

fn say(differences: &Mutex<Vec<String>>, case: &str, what: &str, found: Vec<String>) {
    if found.is_empty() {
        return;
    }
    let text = format!("{case}, {what}: {}", found.join("; "));
    differences.lock().unwrap().push(text);
}

/// A run in a runtime of its own, whose clock jumps over every wait.
fn run_case(
    case: &Case,
    fault: Option<(usize, Fault)>,
    duplicates: Duplicates,
) -> Result<Ran, String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(case.run(fault, duplicates))
    };
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        format!("the test panicked: {}", said.unwrap_or_default())
    })
}

fn side_by_side<T: Sync>(work: &[T], run: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(item);
                }
            });
        }
    });
}
