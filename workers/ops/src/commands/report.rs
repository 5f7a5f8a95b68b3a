//! `millrace report`: the report of a day or of a campaign, made by hand.

use std::path::{Path, PathBuf};

use millrace_cloud::{Bucket, Clock as _, SystemClock};
use millrace_events::Outcome;
use millrace_marketing::{
    Marketing,
    publish_report::parse_day,
    publishing::{About, publish},
};
use serde_json::json;
use time::UtcOffset;

use crate::{
    cli::Report,
    output::{self, Ended, Error, line},
    platform::Platform,
};

pub(crate) async fn run(asked: Report) -> Result<Ended, Error> {
    let about =
        match (&asked.day, &asked.campaign) {
            (Some(day), None) => About::Day(parse_day(day).ok_or_else(|| {
                Error::usage(format!("`{day}` is no day: write it as 2026-11-21"))
            })?),
            (None, Some(campaign)) => About::Campaign(campaign.clone()),
            _ => return Err(Error::usage("say either --day or --campaign")),
        };
    let data = &asked.place.data;
    let platform = if asked.aws {
        Platform::on_aws(data).await?
    } else {
        Platform::open_existing(data).await?
    };
    let marketing = platform.products().marketing();
    let now = SystemClock.now().to_offset(UtcOffset::UTC);
    let Some(outcome) = publish(marketing, &about, now.date()).await? else {
        return Err(Error::failed("there is no such campaign"));
    };
    let folder = asked.out.unwrap_or_else(|| data.clone());
    let files = copy(marketing, &about, &folder).await?;
    if asked.place.json {
        output::json(&json!({
            "outcome": outcome.word(),
            "bucket": marketing.names.reports,
            "keys": about.keys(),
            "files": files,
        }));
        return Ok(Ended::Done);
    }
    line(&match outcome {
        Outcome::Applied => format!("written to s3://{}", marketing.names.reports),
        _ => format!("lies in s3://{} as it should", marketing.names.reports),
    });
    for file in files {
        line(&format!("  {}", file.display()));
    }
    Ok(Ended::Done)
}

/// Copies a report's files from the bucket into a folder, where a browser can open them.
pub(crate) async fn copy(
    marketing: &Marketing,
    about: &About,
    folder: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let bucket = Bucket::new(marketing.clients.s3.clone(), &marketing.names.reports);
    let mut files = Vec::new();
    for key in about.keys() {
        let object = bucket.get(&key).await?;
        let object = object.ok_or_else(|| Error::failed(format!("{key} is gone again")))?;
        let file = folder.join(&key);
        let io = |error| Error::failed(format!("could not write {}: {error}", file.display()));
        if let Some(above) = file.parent() {
            std::fs::create_dir_all(above).map_err(io)?;
        }
        std::fs::write(&file, &object.bytes).map_err(io)?;
        files.push(file.canonicalize().unwrap_or(file));
    }
    Ok(files)
}
