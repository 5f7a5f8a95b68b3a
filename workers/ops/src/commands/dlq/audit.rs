//! `millrace dlq audit`: what operators did.

use millrace_cloud::clock::iso;
use millrace_events::reason;

use super::{Opened, letters, open};
use crate::{
    audit::ActRow,
    cli::DlqPlace,
    output::{self, Ended, Error, line},
};

pub(super) async fn run(day: Option<&str>, place: &DlqPlace) -> Result<Ended, Error> {
    let Opened { desk, audit, .. } = open(place).await?;
    let today = iso(desk.clock().now());
    let day = day.unwrap_or(&today[..10]);
    let form = time::macros::format_description!("[year]-[month]-[day]");
    if time::Date::parse(day, &form).is_err() {
        return Err(Error::usage(format!(
            "{day:?} is no day: write it as 2026-11-21"
        )));
    }
    let acts = match audit.day(day).await {
        Ok(acts) => acts,
        Err(failure) if failure.reason() == reason::RESOURCE_MISSING => {
            return Err(Error::failed(format!(
                "{}: deploy infra/template.yaml, or name the table",
                super::said(&failure)
            )));
        }
        Err(failure) => return Err(failure.into()),
    };
    if place.place.json {
        acts.iter().for_each(output::json);
    } else if acts.is_empty() {
        eprintln!("no acts on {day}");
    } else {
        acts.iter().for_each(|act| line(&sentence(act)));
    }
    Ok(Ended::Done)
}

/// `2026-11-21T08:00:00.000Z  os:ada  drop  2 letters  --reason not-json  "sent by hand": 2 dropped`
pub(super) fn sentence(act: &ActRow) -> String {
    let why = act
        .why
        .as_ref()
        .map(|why| format!("  {why:?}"))
        .unwrap_or_default();
    let result = act.result.as_deref().unwrap_or("not completed");
    format!(
        "{}  {}  {}  {}  {}{why}: {result}",
        act.at,
        act.who,
        act.what,
        letters(act.letters),
        act.selection
    )
}
