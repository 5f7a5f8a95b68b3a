//! `millrace analytics`: the figures, the campaigns' totals and the campaigns' rows against what they are made of.

use millrace_effects::{Difference, Rebuilt};
use millrace_marketing::{
    analytics::{Everything, ledger},
    campaigns::Members,
};
use serde_json::json;

use crate::{
    cli::{Analytics, AnalyticsCommand, AnalyticsPlace},
    output::{self, Ended, Error, line},
    platform::Platform,
};

/// The figures of all matches and campaigns.
const FIGURES: &str = "figures";
/// The totals of each campaign, and its creators.
const CAMPAIGNS: &str = "campaigns";
/// What of them stands in the platform's rows.
const ROWS: &str = "campaign rows";

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
    let campaigns = &marketing.campaigns;
    let everything = Everything(marketing.clone());
    let figures = ledger(marketing).verify(&everything).await?;
    let members = Members(marketing.clone());
    let totals = campaigns.ledger.verify(&members).await?;
    let of = |of: &'static str, all: Vec<Difference>| {
        all.into_iter().map(move |found| (of, found.to_string()))
    };
    let mut found: Vec<_> = of(FIGURES, figures).chain(of(CAMPAIGNS, totals)).collect();
    let rows = campaigns.differing().await?.into_iter();
    found.extend(rows.map(|(campaign, what)| {
        let said = format!("row of campaign {campaign}: differs in {}", what.join(", "));
        (ROWS, said)
    }));
    for (of, said) in &found {
        if place.place.json {
            output::json(&json!({"of": of, "difference": said}));
        } else {
            line(&format!("{of}: {said}"));
        }
    }
    if place.place.json {
        output::json(&json!({"differences": found.len()}));
    } else if found.is_empty() {
        line("every figure is what matches and campaigns say, and so is every campaign's row");
    } else {
        line(&format!(
            "{} differ; an event that is on its way is one too: `millrace analytics rebuild` mends what stays",
            found.len()
        ));
    }
    Ok(if found.is_empty() {
        Ended::Done
    } else {
        Ended::SomeFailed
    })
}

async fn rebuild(place: AnalyticsPlace) -> Result<Ended, Error> {
    let platform = open(&place).await?;
    let marketing = platform.products().marketing();
    let campaigns = &marketing.campaigns;
    let rebuilt = ledger(marketing)
        .rebuild(&Everything(marketing.clone()))
        .await?;
    tell(&place, FIGURES, "matches and campaigns", &rebuilt);
    let members = Members(marketing.clone());
    let rebuilt = campaigns.ledger.rebuild(&members).await?;
    tell(&place, CAMPAIGNS, "matches of campaigns", &rebuilt);
    // Rows follow totals, so they come last.
    let written = campaigns.project_all().await?;
    if place.place.json {
        output::json(&json!({"of": ROWS, "written": written}));
    } else {
        line(&format!("{ROWS}: {written} written"));
    }
    Ok(Ended::Done)
}

/// What was built anew.
fn tell(place: &AnalyticsPlace, of: &str, subjects: &str, rebuilt: &Rebuilt) {
    if place.place.json {
        output::json(&json!({
            "of": of,
            "wentOn": rebuilt.went_on,
            "subjects": rebuilt.subjects,
            "written": rebuilt.written,
            "emptied": rebuilt.emptied,
            "strays": rebuilt.strays,
        }));
        return;
    }
    if rebuilt.went_on {
        line(&format!(
            "{of}: went on with a rebuild that was interrupted"
        ));
    }
    line(&format!(
        "{of}: {} {subjects} looked at, {} written, {} without a source emptied, {} rows removed that were nobody's",
        rebuilt.subjects, rebuilt.written, rebuilt.emptied, rebuilt.strays
    ));
}
