//! `millrace dlq fixture`: a letter as a recorded fixture, redacted.

use std::path::Path;

use millrace_text::Child;
use serde_json::{Value, json};

use super::{Opened, one, open, read};
use crate::{
    audit::What,
    cli::DlqPlace,
    fixture::{DeadLetter, FixtureError, current, from_letter},
    letters::{Hold, Kind, Letter, State, event_of},
    output::{self, Ended, Error, line},
};

pub(super) async fn run(
    id: &str,
    into: &Path,
    name: Option<&str>,
    why: Option<&str>,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    let opened = open(place).await?;
    let Opened {
        desk,
        audit,
        platform,
    } = &opened;
    let Some(platform) = platform else {
        return Err(Error::usage(
            "a fixture is tried on the embedded cloud: export the letter and import it there",
        ));
    };
    read(desk, &Hold::Nothing).await?;
    let letter = one(desk.catalogue(), id, State::Here)?;
    let name = match name {
        Some(name) => checked(name)?.to_owned(),
        None => format!("{}-{}", letter.reason, letter.short_id()),
    };
    let file = into.join(format!("{name}.json"));
    if file.exists() {
        return Err(Error::usage(format!(
            "{} is there already: give another --name",
            file.display()
        )));
    }
    let event = event_for(&letter)?;
    let around = current(platform.clients(), platform.names(), &event)
        .await
        .map_err(failed)?;
    let dead_letter = DeadLetter {
        worker: &letter.worker,
        event: &event,
        reason: (letter.kind == Kind::Parked).then_some(letter.reason.as_str()),
        day: letter.last.date(),
    };
    let fixture = from_letter(&dead_letter, around, Child::this_program())
        .await
        .map_err(failed)?;
    let mut act = audit.begin(What::Fixture, id, why).await?;
    audit.name(&mut act, [letter.id]).await?;
    let not_written = |error: std::io::Error| {
        Error::failed(format!("could not write {}: {error}", file.display()))
    };
    std::fs::create_dir_all(into).map_err(not_written)?;
    std::fs::write(&file, fixture.to_text()).map_err(not_written)?;
    audit
        .complete(act, &format!("saved as {name}.json"))
        .await?;
    if place.place.json {
        output::json(&json!({"id": letter.id, "file": file.display().to_string()}));
    } else {
        line(&format!("saved {}", file.display()));
    }
    eprintln!("it is redacted; read it before you commit it");
    Ok(Ended::Done)
}

/// A file name that says what is special about the event.
fn checked(name: &str) -> Result<&str, Error> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(Error::usage(format!(
            "{name:?} is no name for a fixture: use small letters, digits and hyphens"
        )));
    }
    Ok(name)
}

/// The event as Lambda would hand it over.
fn event_for(letter: &Letter) -> Result<Value, Error> {
    match letter.kind {
        // Its event says which record of it failed only together with the rest.
        Kind::Parked => Ok(serde_json::from_str(&letter.body).unwrap_or(Value::Null)),
        Kind::Redriven => Ok(json!({"Records": [{
            "messageId": letter.id, "eventSource": "aws:sqs", "body": letter.body,
            "attributes": {"ApproximateReceiveCount": "1"},
        }]})),
        Kind::StreamPlace | Kind::StreamBatch | Kind::Async => Ok(event_of(letter)?),
    }
}

fn failed(error: FixtureError) -> Error {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    Error::failed(said)
}
