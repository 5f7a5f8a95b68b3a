//! `millrace demo`: the products at work on bundled samples.

mod jobs;
mod marketing;

use std::{path::PathBuf, time::Instant};

use millrace_cloud::{Clock as _, SystemClock};
use millrace_documents::{UserId, search::search};
use millrace_events::Failure;

use crate::{
    cli::Demo,
    commands::{dlq, ingest, search::Found},
    letters::{Catalogue, Desk, Hold, Selection},
    output::{Ended, Error, line},
    platform::Platform,
    samples,
};

/// Dead letters that are shown at most.
const SHOWN: usize = 20;
/// Whose documents the samples are.
const USER: &str = "demo";

pub(crate) async fn run(asked: Demo) -> Result<Ended, Error> {
    let begun = Instant::now();
    let data = match asked.data {
        Some(data) => data,
        None => fresh_folder()?,
    };
    let io = |error: std::io::Error| {
        Error::failed(format!(
            "could not unpack the samples into {}: {error}",
            data.display()
        ))
    };
    let folder = data.join("samples");
    std::fs::create_dir_all(&folder).map_err(io)?;
    let mut files = Vec::new();
    for sample in samples::DEMO {
        let path = folder.join(sample.name.rsplit('/').next().unwrap_or(sample.name));
        std::fs::write(&path, sample.bytes).map_err(io)?;
        files.push(path);
    }
    let user = UserId::parse(USER).map_err(|failure: Failure| Error::usage(failure.message()))?;
    let mut platform = Platform::open(&data).await?;
    let way = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = way.clone();
    platform.on_outcome(move |said| {
        // A worker that finds its own write in the table's stream has nothing to tell.
        if !matches!(said.outcome.as_str(), "already" | "ignored") {
            eprintln!("  {said}");
        }
        if let Ok(mut way) = heard.lock() {
            way.push(said.worker.clone());
        }
    });
    eprintln!(
        "Uploading {} files of user {USER}; every line is a worker that handled an event.",
        files.len()
    );
    platform.start();
    let results = ingest::ingest(&platform, &user, files).await?;
    line("");
    line("Documents");
    for result in &results {
        line(&format!("  {}", result.sentence()));
    }
    let clock = std::sync::Arc::new(SystemClock);
    line("");
    line("Questions");
    for question in samples::questions()? {
        let found = search(
            platform.products().documents(),
            &user,
            &question.question,
            1,
        )
        .await?;
        line(&format!("  {}", question.question));
        for hit in found {
            line(&format!("    {}", Found::from(hit).sentence(160)));
        }
    }
    let jobs = jobs::run(&platform, clock.now()).await?;
    let marketing = marketing::run(&platform, clock.now(), &data).await?;
    line("");
    line("Parked (an operator can replay them once the cause is gone)");
    let desk = Desk::new(platform.clients().clone(), Catalogue::in_memory()?, clock);
    desk.read(&Hold::Nothing, |_| ()).await?;
    for letter in desk
        .catalogue()
        .select(&Selection::everything(), None, SHOWN)?
        .letters
        .iter()
        .rev()
    {
        line(&format!("  {}", dlq::sentence(letter)));
    }
    platform.stop().await;
    let ready = results
        .iter()
        .filter(|result| result.error.is_none())
        .count();
    let events = way.lock().map(|way| way.len()).unwrap_or_default();
    line("");
    line(&format!(
        "{ready} of {} documents are ready; {} people, {} jobs, {} told; {} stores, {} creators, {} steps; {events} events handled, {:.1} s",
        results.len(),
        jobs.people,
        jobs.jobs,
        jobs.told,
        marketing.stores,
        marketing.creators,
        marketing.steps,
        begun.elapsed().as_secs_f64()
    ));
    go_on(&data, jobs.not_told, marketing.campaign);
    Ok(Ended::Done)
}

/// The demo's own folder, begun anew each time.
fn fresh_folder() -> Result<PathBuf, Error> {
    let folder = PathBuf::from(".millrace").join("demo");
    match std::fs::remove_dir_all(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(Error::failed(format!(
                "could not empty {}: {error}",
                folder.display()
            )));
        }
    }
    Ok(folder)
}

fn go_on(data: &std::path::Path, not_told: Option<(String, String)>, campaign: Option<String>) {
    let data = data.display();
    let millrace = std::env::args()
        .next()
        .unwrap_or_else(|| "millrace".to_owned());
    eprintln!();
    eprintln!("Go on with");
    eprintln!("  {millrace} search \"…\" --user {USER} --data {data}");
    if let Some((job, user)) = not_told {
        eprintln!("  {millrace} explain-match --job {job} --user {user} --data {data}");
    }
    if let Some(campaign) = campaign {
        eprintln!("  {millrace} report --campaign {campaign} --data {data}");
    }
    eprintln!("  {millrace} dlq list --data {data}");
    eprintln!("  {millrace} ingest FILES… --user you --data {data}");
    eprintln!("  {millrace} up --data {data}");
}
