//! What a job's own row says follows from the progress row: its matching window, its status once somebody is chosen, its expiry.
//!
//! The platform may write its row whole at any time and so lose what was written here. The stream record of that very write makes
//! `settle-job` project again; our own write comes by there too, finds that the row says so, and ends.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use millrace_cloud::clock::iso;
use millrace_effects::{Committed, Row, Update, When};
use millrace_events::{Failure, reason};

use crate::{
    attributes::text,
    context::Jobs,
    progress::ProgressStore,
    responses::{JobState, ResponseSide},
    window::Window,
};

/// How often a projection that lost a race looks again before the record is handed back.
const RACES: u32 = 6;

/// The attributes of the job's row that are written here.
pub const PROJECTED: [&str; 3] = ["matchingWindow", "status", "expiresAt"];

/// What came of a projection.
#[derive(Debug)]
pub struct Projected {
    /// What the progress row says.
    pub side: ResponseSide,
    /// Whether the job's row said something else.
    pub changed: bool,
}

/// Brings the job's row to what the progress row says; `side` is how that was read last. A job without a row needs nothing.
///
/// # Errors
/// `conflict` when others were faster too often.
pub async fn project(jobs: &Jobs, job: &str, mut side: ResponseSide) -> Result<Projected, Failure> {
    for _ in 0..RACES {
        let row = jobs.table.read(&jobs.names.jobs, ProgressStore::key(job));
        let update = row.await?.and_then(|row| wanted(&side, &row, jobs, job));
        let Some(update) = update else {
            let changed = false;
            return Ok(Projected { side, changed });
        };
        let attempted = "write into the job's row what became of it";
        let writes = vec![side.still(jobs, job), update.into()];
        if let Committed::Done = jobs.table.commit(attempted, writes).await? {
            let changed = true;
            return Ok(Projected { side, changed });
        }
        side = ResponseSide::read(jobs, job).await?;
    }
    let message = "could not write what became of the job into its row: others were faster";
    Err(Failure::transient(reason::CONFLICT, message))
}

/// The update that makes the row say what is known; `None` when it says so. It holds only for the row that was read.
fn wanted(side: &ResponseSide, row: &Row, jobs: &Jobs, job: &str) -> Option<Update> {
    let mut update =
        Update::of(&jobs.names.jobs, ProgressStore::key(job)).when(When::Present("jobId"));
    let mut differs = false;
    for attribute in PROJECTED {
        let held = row.get(attribute);
        let wanted = match attribute {
            "matchingWindow" => window(side, held),
            "status" => status(side, held),
            _ => expiry(side, held),
        };
        update = match wanted {
            Wanted::AsItIs => continue,
            Wanted::Value(value) => update.set(attribute, value),
            Wanted::Nothing => update.remove(attribute),
        };
        differs = true;
        update = update.when(match held {
            Some(held) => When::Equal(attribute, held.clone()),
            None => When::Absent(attribute),
        });
    }
    differs.then_some(update)
}

/// What an attribute must become.
#[derive(Debug, PartialEq)]
enum Wanted {
    AsItIs,
    Value(AttributeValue),
    Nothing,
}

/// The window keeps what others wrote beside its three attributes.
fn window(side: &ResponseSide, held: Option<&AttributeValue>) -> Wanted {
    let Some(window) = side.window() else {
        return Wanted::AsItIs;
    };
    let mut said = match held {
        Some(AttributeValue::M(map)) => map.clone(),
        _ => HashMap::new(),
    };
    said.insert("isOpen".to_owned(), AttributeValue::Bool(side.is_open()));
    said.insert("firstResponseAt".to_owned(), text(iso(window.first)));
    said.insert("responses".to_owned(), counted(side, window));
    let said = AttributeValue::M(said);
    if held == Some(&said) {
        return Wanted::AsItIs;
    }
    Wanted::Value(said)
}

fn counted(side: &ResponseSide, window: Window) -> AttributeValue {
    let counted = window.counted(&side.responses).into_iter();
    let said = counted.map(|(id, response)| {
        AttributeValue::M(HashMap::from([
            ("responseId".to_owned(), text(id)),
            ("employeeId".to_owned(), text(&*response.employee_id)),
            ("respondedAt".to_owned(), text(iso(response.responded_at))),
        ]))
    });
    AttributeValue::L(said.collect())
}

/// A job for which somebody was chosen is not `matching`, whatever a late write of the whole row says.
fn status(side: &ResponseSide, held: Option<&AttributeValue>) -> Wanted {
    let word = held.and_then(|value| value.as_s().ok());
    let ended = word
        .and_then(|word| JobState::of_row(word))
        .is_some_and(JobState::is_ended);
    if side.selected.is_none() || ended {
        return Wanted::AsItIs;
    }
    let standing = match side.released() {
        Some(_) => JobState::Completed,
        None => JobState::Closed,
    };
    Wanted::Value(text(standing.word()))
}

fn expiry(side: &ResponseSide, held: Option<&AttributeValue>) -> Wanted {
    let said = held.and_then(|value| value.as_n().ok());
    match side.expires_at {
        _ if side.standing.is_none() => Wanted::AsItIs,
        Some(at) if said.is_some_and(|said| *said == at.to_string()) => Wanted::AsItIs,
        Some(at) => Wanted::Value(AttributeValue::N(at.to_string())),
        None if held.is_some() => Wanted::Nothing,
        None => Wanted::AsItIs,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;
    use crate::{decision::Selection, window::Response};

    const TEN: time::OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

    fn side(seconds: &[i64]) -> ResponseSide {
        let given = seconds.iter().map(|second| {
            let response = Response {
                employee_id: format!("e{second}"),
                responded_at: TEN + time::Duration::seconds(*second),
            };
            (format!("r{second}"), response)
        });
        ResponseSide {
            responses: given.collect(),
            window_length: Some(Duration::from_secs(900)),
            ..ResponseSide::default()
        }
    }

    fn selected(seconds: i64) -> Option<Selection> {
        Some(Selection {
            response_id: "r0".to_owned(),
            employee_id: "e0".to_owned(),
            at: TEN + time::Duration::seconds(seconds),
        })
    }

    fn shown(side: &ResponseSide, held: Option<&AttributeValue>) -> Row {
        match window(side, held) {
            Wanted::Value(AttributeValue::M(map)) => map,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_has_answered_and_the_window_stays_as_the_platform_wrote_it() {
        assert_eq!(window(&side(&[]), None), Wanted::AsItIs);
    }

    #[test]
    fn the_window_says_who_answered_in_time_and_keeps_what_is_beside() {
        let held = HashMap::from([
            ("isOpen".to_owned(), AttributeValue::Bool(true)),
            ("firstResponseAt".to_owned(), AttributeValue::Null(true)),
            ("note".to_owned(), text("the platform's")),
        ]);
        let side = side(&[60, 0, 901]);
        let map = shown(&side, Some(&AttributeValue::M(held)));
        assert_eq!(map["isOpen"], AttributeValue::Bool(true));
        assert_eq!(map["firstResponseAt"], text("2026-11-21T10:00:00.000Z"));
        assert_eq!(map["note"], text("the platform's"));
        let responses = map["responses"].as_l().unwrap();
        let id = |value: &AttributeValue| value.as_m().unwrap()["responseId"].clone();
        let ids: Vec<AttributeValue> = responses.iter().map(id).collect();
        assert_eq!(ids, [text("r0"), text("r60")]);
        // What it says now is what it should say.
        let said = AttributeValue::M(map);
        assert_eq!(window(&side, Some(&said)), Wanted::AsItIs);
    }

    #[test]
    fn a_window_is_shut_by_its_end_a_decision_or_the_end_of_the_job() {
        let open = |change: fn(&mut ResponseSide)| {
            let mut side = side(&[0]);
            change(&mut side);
            shown(&side, None)["isOpen"].clone()
        };
        assert_eq!(open(|_| {}), AttributeValue::Bool(true));
        let shut = AttributeValue::Bool(false);
        assert_eq!(open(|side| side.window_closed = true), shut);
        assert_eq!(open(|side| side.selected = selected(5)), shut);
        assert_eq!(open(|side| side.standing = Some(JobState::Closed)), shut);
        let again = open(|side| side.standing = Some(JobState::Matching));
        assert_eq!(again, AttributeValue::Bool(true));
    }

    #[test]
    fn a_decided_job_is_not_matching_again() {
        let mut side = side(&[0]);
        let matching = text("matching");
        assert_eq!(status(&side, Some(&matching)), Wanted::AsItIs);
        side.selected = selected(5);
        let closed = Wanted::Value(text("closed"));
        assert_eq!(status(&side, Some(&matching)), closed);
        assert_eq!(status(&side, Some(&text("closed"))), Wanted::AsItIs);
        assert_eq!(status(&side, Some(&text("completed"))), Wanted::AsItIs);
        side.over_at = Some(TEN + time::Duration::hours(4));
        let completed = Wanted::Value(text("completed"));
        assert_eq!(status(&side, Some(&matching)), completed);
    }

    #[test]
    fn the_expiry_is_what_the_newest_status_says() {
        let number = |number: &str| AttributeValue::N(number.to_owned());
        let mut side = side(&[]);
        // Of a job whose end nobody told, it is not ours.
        assert_eq!(expiry(&side, Some(&number("7"))), Wanted::AsItIs);
        side.standing = Some(JobState::Completed);
        side.expires_at = Some(1_800_000_000);
        let wanted = Wanted::Value(number("1800000000"));
        assert_eq!(expiry(&side, None), wanted);
        assert_eq!(expiry(&side, Some(&number("7"))), wanted);
        assert_eq!(expiry(&side, Some(&number("1800000000"))), Wanted::AsItIs);
        side.standing = Some(JobState::Matching);
        side.expires_at = None;
        assert_eq!(expiry(&side, Some(&number("7"))), Wanted::Nothing);
        assert_eq!(expiry(&side, None), Wanted::AsItIs);
    }
}
