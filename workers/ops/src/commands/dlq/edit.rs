//! `millrace dlq edit`: another event in the place of one that cannot be handled.

use std::path::Path;

use serde_json::Value;

use super::{HOLD, Opened, copies, one, open, put_back_after, read};
use crate::{
    audit::What,
    cli::DlqPlace,
    letters::{
        Attribute, Attributes, Desk, Hold, Letter, Place, Selection, State, edited, event_of,
        patch::{difference, expanded, folded, merge, set},
    },
    output::{self, Ended, Error, line},
};

/// A message of SQS, attributes included.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// What the attributes may take of it.
const ATTRIBUTE_BYTES: usize = 1024;

/// Where the change comes from.
enum Change {
    Patch(Value),
    Values(Vec<(String, Value)>),
    Editor(String),
}

pub(super) async fn run(
    id: &str,
    patch: Option<&Path>,
    values: &[String],
    why: Option<&str>,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    let change = change_of(patch, values)?;
    let Opened { desk, audit, .. } = open(place).await?;
    // Read without holding first: an editor may stay open for long.
    read(&desk, &Hold::Nothing).await?;
    let letter = one(desk.catalogue(), id, State::Here)?;
    let before = event_of(&letter)?;
    let after = changed(before.clone(), change)?;
    let Some(difference) = difference(&before, &after) else {
        eprintln!("nothing was changed");
        return Ok(Ended::Done);
    };
    let record = edited(&letter, after)?;
    let body = record.to_body();
    if body.len() + ATTRIBUTE_BYTES > MAX_MESSAGE_BYTES {
        return Err(Error::failed(format!(
            "the letter would have {} bytes with the event before the edit beside it, and SQS takes {MAX_MESSAGE_BYTES}",
            body.len()
        )));
    }
    let queue = queue_for(&desk, &letter).await?;
    let hold = Hold::For {
        selection: Selection::id(letter.id.to_string()),
        time: HOLD,
    };
    let report = read(&desk, &hold).await?;
    let done = async {
        let former = desk.catalogue().copies(letter.id)?;
        if former.is_empty() {
            return Err(Error::failed(format!(
                "{} is not there any more: somebody else was faster",
                letter.id
            )));
        }
        let mut act = audit.begin(What::Edit, id, why).await?;
        audit.name(&mut act, [letter.id, record.id]).await?;
        let now = desk.clock().now();
        desk.catalogue().keep_edit(
            record.id,
            letter.id,
            &difference.to_string(),
            &before.to_string(),
            now,
        )?;
        // New before old. After an interruption the edited one may be there already.
        let is_there = desk
            .catalogue()
            .letter(record.id)?
            .is_some_and(|(_, state)| state == State::Here);
        if !is_there {
            let group = letter.group.as_deref();
            desk.put(&queue, &body, &attributes(&record), group).await?;
        }
        let refused = desk.delete(&former, State::Edited).await?;
        let result = match refused.first() {
            None => format!("edited to {}", record.id),
            Some((_, why)) => format!(
                "edited to {}; {} of the letter before left: {why}",
                record.id,
                copies(refused.len())
            ),
        };
        audit.complete(act, &result).await?;
        Ok((result, refused.is_empty()))
    }
    .await;
    let (result, is_whole) = match done {
        Ok(done) => done,
        Err(error) => return Err(put_back_after(&desk, &report, error).await),
    };
    desk.release_held(report.reading).await?;
    if place.place.json {
        output::json(&serde_json::json!({
            "id": record.id, "editedFrom": letter.id, "patch": difference, "subject": record.subject,
        }));
    } else {
        line(&result);
    }
    Ok(if is_whole {
        Ended::Done
    } else {
        Ended::SomeFailed
    })
}

fn change_of(patch: Option<&Path>, values: &[String]) -> Result<Change, Error> {
    if let Some(file) = patch {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::usage(format!(
                "the patch {} cannot be read: {error}",
                file.display()
            ))
        })?;
        let patch = serde_json::from_str(&text).map_err(|error| {
            Error::usage(format!("the patch {} is not JSON: {error}", file.display()))
        })?;
        return Ok(Change::Patch(patch));
    }
    if !values.is_empty() {
        let mut changes = Vec::new();
        for text in values {
            let Some((pointer, value)) = text.split_once('=') else {
                return Err(Error::usage(format!("{text:?} is not POINTER=VALUE")));
            };
            // What is not JSON is text: nobody wants to quote quotes.
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            changes.push((pointer.to_owned(), value));
        }
        return Ok(Change::Values(changes));
    }
    match std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR")) {
        Ok(editor) if !editor.trim().is_empty() => Ok(Change::Editor(editor)),
        _ => Err(Error::usage(
            "say what to change: --patch FILE, --set POINTER=VALUE, or set EDITOR",
        )),
    }
}

fn changed(before: Value, change: Change) -> Result<Value, Error> {
    match change {
        Change::Patch(patch) => Ok(merge(before, &patch)),
        Change::Values(values) => {
            let mut event = before;
            for (pointer, value) in values {
                event =
                    set(event, &pointer, value).map_err(|error| Error::usage(error.to_string()))?;
            }
            Ok(event)
        }
        Change::Editor(editor) => {
            let text = serde_json::to_string_pretty(&expanded(&before)).unwrap_or_default();
            let text = in_editor(&editor, &text)?;
            let after = serde_json::from_str(&text).map_err(|error| {
                Error::usage(format!("what was edited is not JSON any more: {error}"))
            })?;
            Ok(folded(&before, after))
        }
    }
}

/// Lets the operator edit a text in a file of their own.
fn in_editor(editor: &str, text: &str) -> Result<String, Error> {
    let failed =
        |what: &str, error: &std::io::Error| Error::failed(format!("could not {what}: {error}"));
    let folder = std::env::temp_dir().join(format!("millrace-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).map_err(|error| failed("make a folder for the event", &error))?;
    let file = folder.join("event.json");
    let edited = (|| {
        std::fs::write(&file, text).map_err(|error| failed("write the event", &error))?;
        // The shell splits what people put into EDITOR, such as `code --wait`.
        let status = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("{editor} \"$1\""))
            .arg("sh")
            .arg(&file)
            .status()
            .map_err(|error| failed("start the editor", &error))?;
        if !status.success() {
            return Err(Error::failed(
                "the editor ended with an error: nothing was changed",
            ));
        }
        std::fs::read_to_string(&file).map_err(|error| failed("read what was edited", &error))
    })();
    let _ = std::fs::remove_dir_all(&folder);
    edited
}

/// An edited letter lies where the one before lay; in place of an object, in its worker's dead-letter queue.
async fn queue_for(desk: &Desk, letter: &Letter) -> Result<String, Error> {
    if let Place::Queue(queue) = &letter.place {
        return Ok(queue.clone());
    }
    let queues = desk.queues().await?;
    let found = queues
        .into_iter()
        .find(|queue| queue.workers.default == letter.worker);
    found.map(|queue| queue.name).ok_or_else(|| {
        Error::failed(format!(
            "there is no dead-letter queue of the worker {} for the edited letter",
            letter.worker
        ))
    })
}

/// What parking puts beside a record.
fn attributes(record: &millrace_events::ParkedRecord) -> Attributes {
    let text = |value: &str| Attribute {
        data_type: "String".to_owned(),
        text: Some(value.to_owned()),
        binary: None,
    };
    Attributes::from([
        ("worker".to_owned(), text(&record.worker)),
        ("reason".to_owned(), text(&record.reason.code)),
    ])
}
