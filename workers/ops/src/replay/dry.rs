//! `--dry-run`: which letters would be replayed, and with `--explain` what would come of each.

use millrace_events::Failure;
use serde_json::json;

use super::{
    args::{ReplayArgs, Via},
    resolve::resolve,
};
use crate::{
    commands::dlq::{check_ids, letters},
    letters::{Desk, Hold, Selection, State, Waiting},
    output::{Ended, Error, json, line, short},
    platform::Platform,
    rehearsal::Verdict,
};

/// Letters that are looked at in one go.
const PAGE: usize = 1_000;

pub(super) async fn dry_run(
    platform: &Platform,
    desk: &Desk,
    selection: &Selection,
    asked: &ReplayArgs,
    via: Via,
    as_json: bool,
) -> Result<Ended, Error> {
    desk.read(&Hold::Nothing, |_| {}).await?;
    check_ids(desk.catalogue(), &selection.ids, State::Here)?;
    let total = desk.catalogue().total(selection)?;
    let planned = asked.max.map_or(total, |max| max.min(total));
    let mut told = 0;
    let mut after = None;
    while told < planned && !desk.is_stopping() {
        let mut page = desk.catalogue().oldest(selection, after.as_ref(), PAGE)?;
        after = page.last().cloned();
        if after.is_none() {
            break;
        }
        page.truncate(usize::try_from(planned - told).unwrap_or(PAGE));
        for waiting in &page {
            let verdict = match asked.explain {
                true => Some(explained(platform, desk, waiting).await?),
                false => None,
            };
            told += 1;
            say(waiting, verdict.as_ref(), as_json);
        }
    }
    eprintln!(
        "{told} of {} would be replayed via {}; nothing was changed",
        letters(total),
        via.word()
    );
    Ok(Ended::Done)
}

fn say(waiting: &Waiting, verdict: Option<&Verdict>, as_json: bool) {
    if as_json {
        json(&json!({
            "id": waiting.letter, "worker": waiting.worker, "subject": waiting.subject,
            "outcome": verdict.map_or("would-replay", Verdict::word),
        }));
        return;
    }
    let id: String = waiting.letter.to_string().chars().take(8).collect();
    let said = verdict.map_or_else(
        || "would replay".to_owned(),
        |verdict| short(&verdict.to_string(), 160),
    );
    line(&format!(
        "{id}  {}  {}  {said}",
        waiting.worker, waiting.subject
    ));
}

/// What would come of a letter: of several parts, the first that does not go well.
async fn explained(platform: &Platform, desk: &Desk, waiting: &Waiting) -> Result<Verdict, Error> {
    let failing = |failure: &Failure| Verdict::StillFailing {
        reason: failure.reason().code().to_owned(),
        message: failure.chain(),
    };
    let Some((letter, State::Here)) = desk.catalogue().letter(waiting.letter)? else {
        return Ok(Verdict::Ignored);
    };
    let mut resolved = match resolve(&letter, &desk.clients().streams) {
        Ok(resolved) => resolved,
        Err(failure) => return Ok(failing(&failure)),
    };
    let mut whole = Verdict::Ignored;
    loop {
        let event = match resolved.next_event(&letter).await {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(whole),
            Err(failure) => return Ok(failing(&failure)),
        };
        let rehearsed = platform.rehearse(&letter.worker, event).await;
        let verdict = rehearsed
            .map_err(|error| Error::failed(error.to_string()))?
            .verdict;
        match verdict {
            Verdict::StillFailing { .. } | Verdict::WouldRetry { .. } => return Ok(verdict),
            Verdict::WouldApply => whole = verdict,
            other if whole == Verdict::Ignored => whole = other,
            _ => {}
        }
    }
}
