//! `millrace dlq show`: everything that is known of one letter, and of its subject.

use millrace_cloud::clock::iso;
use millrace_events::open as open_batch;
use serde_json::{Value, json};
use time::Duration;

use super::{Opened, one, open, read};
use crate::{
    audit::ActRow,
    cli::DlqPlace,
    fixture::as_event,
    letters::{Hold, Letter, LetterCopy, RunLetter, State, event_of, patch::expanded},
    output::{self, Ended, Error, line},
    subjects::SubjectState,
};

/// A queue keeps a message no longer than this: older acts are on other letters.
const LONGEST_RETENTION_DAYS: i64 = 14;

pub(super) async fn run(id: &str, cached: bool, place: &DlqPlace) -> Result<Ended, Error> {
    let opened = open(place).await?;
    let catalogue = opened.desk.catalogue();
    if !cached {
        read(&opened.desk, &Hold::Nothing).await?;
    }
    // A letter that is gone can still be looked at.
    let letter = match one(catalogue, id, State::Here) {
        Ok(letter) => letter,
        Err(error) => [State::Dropped, State::Edited, State::Gone]
            .into_iter()
            .find_map(|state| one(catalogue, id, state).ok())
            .ok_or(error)?,
    };
    let state = catalogue
        .letter(letter.id)?
        .map_or(State::Gone, |(_, state)| state);
    let shown = Shown {
        history: catalogue.history(letter.id)?,
        runs: catalogue.runs_of(letter.id)?,
        edits: catalogue.edits(letter.id)?,
        acts: acts_on(&opened, &letter).await?,
        subject: subject_of(&opened, &letter).await?,
        event: event_of(&letter).map_or(Value::Null, |event| expanded(&event)),
        state,
        letter,
    };
    if place.place.json {
        output::json(&shown.to_json());
    } else {
        shown.print();
    }
    Ok(Ended::Done)
}

struct Shown {
    letter: Letter,
    state: State,
    event: Value,
    history: Vec<LetterCopy>,
    runs: Vec<RunLetter>,
    edits: Vec<(uuid::Uuid, String)>,
    acts: Vec<ActRow>,
    subject: Option<SubjectState>,
}

/// What operators did to it, as the audit tells.
async fn acts_on(opened: &Opened, letter: &Letter) -> Result<Vec<ActRow>, Error> {
    let now = opened.desk.clock().now();
    let id = letter.id.to_string();
    let mut day = letter
        .first
        .max(now - Duration::days(LONGEST_RETENTION_DAYS));
    let mut acts = Vec::new();
    while iso(day)[..10] <= iso(now)[..10] {
        let of_day = opened.audit.day(&iso(day)[..10]).await?;
        acts.extend(
            of_day
                .into_iter()
                .filter(|act| act.letter_ids.contains(&id)),
        );
        day += Duration::days(1);
    }
    Ok(acts)
}

async fn subject_of(opened: &Opened, letter: &Letter) -> Result<Option<SubjectState>, Error> {
    // On AWS the product is set up from its functions' settings, which the desk does not have.
    let Some(platform) = &opened.platform else {
        return Ok(None);
    };
    let batch = event_of(letter)
        .ok()
        .and_then(|event| open_batch(&as_event(&event)).ok());
    let records = batch.iter().flat_map(|batch| &batch.messages);
    let record = records
        .flat_map(|message| message.records.iter().flatten())
        .next();
    for product in platform.products().subjects() {
        if let Some(state) = product.state(&letter.subject, record).await? {
            return Ok(Some(state));
        }
    }
    Ok(None)
}

impl Shown {
    fn to_json(&self) -> Value {
        let edits: Vec<Value> = self
            .edits
            .iter()
            .map(|(id, patch)| json!({"letter": id, "patch": patch}))
            .collect();
        json!({
            "letter": self.letter, "state": self.state, "help": self.letter.reason_link(), "event": self.event,
            "history": self.history, "runs": self.runs, "edits": edits, "acts": self.acts, "subject": self.subject,
        })
    }

    fn print(&self) {
        let letter = &self.letter;
        line(&format!(
            "{}  {}  {}",
            letter.id,
            letter.kind,
            self.state.word()
        ));
        line(&format!("worker   {}", letter.worker));
        let link = letter.reason_link().unwrap_or_default();
        line(&format!("reason   {}  {link}", letter.reason));
        line(&format!("         {}", letter.message));
        line(&format!("subject  {}", letter.subject));
        for record in &letter.record_ids {
            line(&format!("record   {record}"));
        }
        line(&format!(
            "place    {}  ({} here)",
            letter.place, letter.copies
        ));
        if let Some(trace) = &letter.trace_id {
            line(&format!("trace    {trace}"));
        }
        if let Some(from) = letter.edited_from {
            line(&format!("edited from {from}"));
        }
        for (id, patch) in &self.edits {
            line(&format!("edited to   {id}  {patch}"));
        }
        line("attempts:");
        for copy in &self.history {
            line(&format!(
                "  {}  delivered {}  {}: {}  ({})",
                iso(copy.at),
                times(copy.attempts),
                copy.reason,
                output::short(&copy.message, 160),
                copy.state.word()
            ));
        }
        for run in &self.runs {
            let note = run.note.as_deref().unwrap_or_default();
            line(&format!(
                "  {}  replay {}  {}  {note}",
                iso(run.at),
                run.run,
                serde_json::to_value(run.progress)
                    .ok()
                    .and_then(|word| word.as_str().map(str::to_owned))
                    .unwrap_or_default()
            ));
        }
        if !self.acts.is_empty() {
            line("acts:");
        }
        for act in &self.acts {
            line(&super::audit::sentence(act));
        }
        line("event:");
        line(&serde_json::to_string_pretty(&self.event).unwrap_or_default());
        match &self.subject {
            None => line("nothing is known of this subject"),
            Some(subject) => {
                line(&format!("{} now:", subject.name));
                for (name, part) in &subject.parts {
                    let text = serde_json::to_string_pretty(part).unwrap_or_default();
                    line(&format!("{name}: {text}"));
                }
            }
        }
    }
}

/// `1 time`, `3 times`; what is not counted was at least once.
fn times(attempts: u32) -> String {
    match attempts {
        0 => "?".to_owned(),
        1 => "1 time".to_owned(),
        more => format!("{more} times"),
    }
}
