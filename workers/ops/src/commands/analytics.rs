//! `millrace analytics`: the figures against what they are made of.

use millrace_marketing::analytics::{Everything, ledger};
use serde_json::json;

use crate::{
    cli::{Analytics, AnalyticsCommand, AnalyticsPlace},
    output::{self, Ended, Error, line},
    platform::Platform,
};

pub(crate) async fn run(asked: Analytics) -> Result<Ended, Error> {
    match asked.command {
        AnalyticsCommand::Verify(place) => verify(place).await,
        AnalyticsCommand::Rebuild(place) => rebuild(place).await,
    }
}

async fn open(place: &AnalyticsPlace) -> Result<Platform, Error> {
    let data = &place.place.data;
    Ok(if place.aws {
        Platform::on_aws(data).await?
    } else {
        Platform::open_existing(data).await?
    })
}

async fn verify(place: AnalyticsPlace) -> Result<Ended, Error> {
    let platform = open(&place).await?;
    let marketing = platform.products().marketing();
    let everything = Everything(marketing.clone());
    let differences = ledger(marketing).verify(&everything).await?;
    for difference in &differences {
        if place.place.json {
            output::json(&json!({"difference": difference.to_string()}));
        } else {
            line(&difference.to_string());
        }
    }
    if place.place.json {
        output::json(&json!({"differences": differences.len()}));
    } else if differences.is_empty() {
        line("every figure is what matches and campaigns say");
    } else {
        line(&format!(
            "{} differ; an event that is on its way is one too: `millrace analytics rebuild` mends what stays",
            differences.len()
        ));
    }
    Ok(if differences.is_empty() {
        Ended::Done
    } else {
        Ended::SomeFailed
    })
}

async fn rebuild(place: AnalyticsPlace) -> Result<Ended, Error> {
    let platform = open(&place).await?;
    let marketing = platform.products().marketing();
    let everything = Everything(marketing.clone());
    let rebuilt = ledger(marketing).rebuild(&everything).await?;
    if place.place.json {
        output::json(&json!({
            "wentOn": rebuilt.went_on,
            "subjects": rebuilt.subjects,
            "written": rebuilt.written,
            "emptied": rebuilt.emptied,
        }));
        return Ok(Ended::Done);
    }
    if rebuilt.went_on {
        line("went on with a rebuild that was interrupted");
    }
    line(&format!(
        "{} matches and campaigns looked at, {} written, {} without a source emptied",
        rebuilt.subjects, rebuilt.written, rebuilt.emptied
    ));
    Ok(Ended::Done)
}
