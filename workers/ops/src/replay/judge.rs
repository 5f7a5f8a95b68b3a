//! Whether letters that were sent to their workers' queues came back.

use millrace_events::{Failure, parked_id};
use uuid::Uuid;

use crate::letters::{Catalogue, Desk, Hold, Letter, Marked, Progress, State};

/// Letters that are looked at in one go.
const PAGE: usize = 200;

/// Reads the dead letters again, and tells of every letter of the run that was sent: with its reason if it is a dead
/// letter once more, without if it is not.
pub(crate) async fn judge(
    desk: &Desk,
    run: Uuid,
    mut tell: impl FnMut(&Letter, Option<&Letter>),
) -> Result<(), Failure> {
    let report = desk.read(&Hold::Nothing, |_| {}).await?;
    for place in report.failed.keys().chain(report.unread.keys()) {
        eprintln!("{place} was not read to its end: what came back there may be missing here");
    }
    let catalogue = desk.catalogue();
    loop {
        let sent = catalogue.run_letters(run, Progress::Sent, None, PAGE)?;
        let mut marked = Vec::with_capacity(sent.len());
        for one in &sent {
            let Some((letter, state)) = catalogue.letter(one.letter)? else {
                continue;
            };
            let mut records = letter.record_ids.clone();
            records.extend(records_of(one.note.as_deref()));
            let back = came_back(catalogue, &letter, state, &records)?;
            tell(&letter, back.as_ref());
            let (progress, note) = match &back {
                Some(back) => (
                    Progress::FailedAgain,
                    format!("{}: {}", back.reason, back.message),
                ),
                None => (Progress::Confirmed, "handled".to_owned()),
            };
            marked.push(Marked {
                letter: one.letter,
                progress,
                note: Some(note),
            });
        }
        if marked.is_empty() {
            return Ok(());
        }
        catalogue.mark_each(run, &marked, desk.clock().now())?;
    }
}

/// What was parked comes back under its own id. A bare message or a batch comes back under those of its records.
fn came_back(
    catalogue: &Catalogue,
    letter: &Letter,
    state: State,
    records: &[String],
) -> Result<Option<Letter>, Failure> {
    if state == State::Here {
        return Ok(Some(letter.clone()));
    }
    for record in records {
        let id = parked_id(&letter.worker, record);
        if let Some((parked, State::Here)) = catalogue.letter(id)? {
            return Ok(Some(parked));
        }
    }
    Ok(None)
}

/// What the run keeps of a letter that was sent: its records, where the letter does not tell them.
pub(super) fn note_of(records: &[String]) -> String {
    if records.is_empty() {
        return "sent".to_owned();
    }
    serde_json::to_string(records).unwrap_or_default()
}

fn records_of(note: Option<&str>) -> Vec<String> {
    note.and_then(|note| serde_json::from_str(note).ok())
        .unwrap_or_default()
}
