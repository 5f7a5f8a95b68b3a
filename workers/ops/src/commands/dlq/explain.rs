//! `millrace dlq explain`: what a replay would do, without doing it.

use serde_json::{Value, json};

use super::{Opened, Pages, act_selection, open, read};
use crate::{
    cli::{DlqPlace, Which},
    letters::{Hold, Kind, Letter, State, event_of},
    output::{self, Ended, Error, line},
    platform::Platform,
    rehearsal::{Rehearsal, Verdict},
    replay::resolve::resolve,
};

pub(super) async fn run(which: &Which, cached: bool, place: &DlqPlace) -> Result<Ended, Error> {
    let Opened { desk, platform, .. } = open(place).await?;
    let platform = match platform {
        Some(platform) => platform,
        None => Platform::on_aws(&place.place.data).await?,
    };
    if !cached {
        read(&desk, &Hold::Nothing).await?;
    }
    let selection = act_selection(&desk, which, State::Here)?;
    let mut pages = Pages::new(desk.catalogue(), &selection, State::Here);
    let mut ended = Ended::Done;
    loop {
        let page = pages.next()?;
        if page.is_empty() || desk.is_stopping() {
            return Ok(ended);
        }
        for letter in &page {
            match rehearsed(&platform, letter).await {
                Ok(rehearsal) => print(letter, &rehearsal, place.place.json),
                Err(why) => {
                    ended = Ended::SomeFailed;
                    unknown(letter, &why, place.place.json);
                }
            }
        }
    }
}

/// Delivers the letter as its queue would.
async fn rehearsed(platform: &Platform, letter: &Letter) -> Result<Rehearsal, String> {
    if letter.kind == Kind::StreamPlace {
        // A page of a thousand records; batches are smaller.
        let resolved = resolve(letter, &platform.clients().streams);
        let mut resolved = resolved.map_err(|failure| super::said(&failure))?;
        let event = resolved.next_event(letter).await;
        let event = event.map_err(|failure| super::said(&failure))?;
        return rehearsed_event(platform, letter, event.unwrap_or_default()).await;
    }
    let event = event_of(letter).map_err(|failure| super::said(&failure))?;
    // A parked record opens to the one record it was parked for, which its event alone does not say.
    let body = match letter.kind {
        Kind::Parked => letter.body.clone(),
        _ => event
            .as_str()
            .map_or_else(|| event.to_string(), str::to_owned),
    };
    let message = json!({"Records": [{
        "messageId": letter.id, "eventSource": "aws:sqs", "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
    }]});
    rehearsed_event(platform, letter, message).await
}

async fn rehearsed_event(
    platform: &Platform,
    letter: &Letter,
    event: Value,
) -> Result<Rehearsal, String> {
    let rehearsal = platform.rehearse(&letter.worker, event).await;
    rehearsal.map_err(|error| {
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            said = format!("{said}: {error}");
            cause = error.source();
        }
        said
    })
}

fn print(letter: &Letter, rehearsal: &Rehearsal, as_json: bool) {
    if as_json {
        let mut shown = serde_json::to_value(rehearsal).unwrap_or(Value::Null);
        shown["id"] = json!(letter.id);
        shown["subject"] = json!(letter.subject);
        output::json(&shown);
        return;
    }
    line(&format!(
        "{}  {}  {}: {}",
        letter.short_id(),
        letter.worker,
        letter.subject,
        sentence(&rehearsal.verdict)
    ));
    for effect in &rehearsal.effects {
        line(&format!(
            "          withheld: {} ({} {})",
            effect.summary, effect.service, effect.operation
        ));
    }
}

/// What a replay would do, in one sentence.
fn sentence(verdict: &Verdict) -> String {
    match verdict {
        Verdict::WouldApply => "a replay would take effect".to_owned(),
        Verdict::AlreadyApplied => "its effect is there: a replay would change nothing".to_owned(),
        Verdict::Superseded => {
            "a newer version was applied: a replay would leave that as it is".to_owned()
        }
        Verdict::Ignored => "it is not this worker's: a replay would pass over it".to_owned(),
        Verdict::StillFailing { reason, message } => {
            format!("a replay would fail again with {reason}: {message}")
        }
        Verdict::WouldRetry { reason, message } => {
            format!("a replay would be tried again and again, {reason}: {message}")
        }
    }
}

fn unknown(letter: &Letter, why: &str, as_json: bool) {
    if as_json {
        output::json(&json!({"id": letter.id, "verdict": "unknown", "why": why}));
        return;
    }
    let (id, worker) = (letter.short_id(), &letter.worker);
    line(&format!(
        "{id}  {worker}  {}: not known: {why}",
        letter.subject
    ));
}
