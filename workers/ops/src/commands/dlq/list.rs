//! `millrace dlq list`: counts first, then the newest.

use serde::Serialize;
use time::OffsetDateTime;

use super::{Opened, Pages, letters, open, read};
use crate::{
    cli::{DlqPlace, Which},
    letters::{Hold, Letter, Selection, State},
    output::{self, Ended, Error, line, short},
};

/// A letter as `--json` prints it: without its body, which `export` writes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    id: uuid::Uuid,
    kind: &'a str,
    place: String,
    worker: &'a str,
    reason: &'a str,
    message: &'a str,
    subject: &'a str,
    record_ids: &'a [String],
    attempts: u32,
    first: String,
    last: String,
    copies: u32,
    edited_from: Option<uuid::Uuid>,
    bytes: usize,
    help: Option<String>,
}

impl<'a> From<&'a Letter> for Listed<'a> {
    fn from(letter: &'a Letter) -> Self {
        Self {
            id: letter.id,
            kind: letter.kind.word(),
            place: letter.place.to_string(),
            worker: &letter.worker,
            reason: &letter.reason,
            message: &letter.message,
            subject: &letter.subject,
            record_ids: &letter.record_ids,
            attempts: letter.attempts,
            first: millrace_cloud::clock::iso(letter.first),
            last: millrace_cloud::clock::iso(letter.last),
            copies: letter.copies,
            edited_from: letter.edited_from,
            bytes: letter.body.len(),
            help: letter.reason_link(),
        }
    }
}

pub(super) async fn run(
    which: &Which,
    limit: usize,
    cached: bool,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    let Opened { desk, .. } = open(place).await?;
    let mut ended = Ended::Done;
    if cached {
        say_age(desk.catalogue().read_at()?);
    } else if !read(&desk, &Hold::Nothing).await?.is_complete() {
        ended = Ended::SomeFailed;
    }
    let now = desk.clock().now();
    let selection = which.selection(now);
    if place.place.json {
        let mut pages = Pages::new(desk.catalogue(), &selection, State::Here);
        loop {
            let page = pages.next()?;
            if page.is_empty() {
                return Ok(ended);
            }
            page.iter()
                .for_each(|letter| output::json(&Listed::from(letter)));
        }
    }
    let total = print_counts(&desk, &selection, now, line)?;
    let page = desk.catalogue().select(&selection, None, limit)?;
    if !page.letters.is_empty() {
        line("");
    }
    for letter in &page.letters {
        line(&sentence(letter));
    }
    let hidden = total.saturating_sub(page.letters.len() as u64);
    if hidden > 0 {
        eprintln!("{} more; --limit N or --json shows them", letters(hidden));
    }
    Ok(ended)
}

fn say_age(read_at: Option<OffsetDateTime>) {
    match read_at {
        Some(at) => eprintln!("as of {}", millrace_cloud::clock::iso(at)),
        None => eprintln!("the queues were never read to their end; leave out --cached"),
    }
}

/// Counts by worker and reason, with the age of the oldest.
pub(super) fn print_counts(
    desk: &crate::letters::Desk,
    selection: &Selection,
    now: OffsetDateTime,
    print: fn(&str),
) -> Result<u64, Error> {
    let counts = desk.catalogue().counts(selection)?;
    let total: u64 = counts.iter().map(|count| count.letters).sum();
    let copies: u64 = counts.iter().map(|count| count.copies).sum();
    let lying = if copies == total {
        String::new()
    } else {
        format!(" in {copies} copies")
    };
    print(&format!("{}{lying}", letters(total)));
    let widest = |of: fn(&crate::letters::Count) -> usize| counts.iter().map(of).max().unwrap_or(0);
    let worker = widest(|count| count.worker.chars().count());
    let reason = widest(|count| count.reason.chars().count());
    for count in &counts {
        print(&format!(
            "{:>7}  {:worker$}  {:reason$}  oldest {:>5}  {}",
            count.letters,
            count.worker,
            count.reason,
            age(now - count.oldest),
            output::docs_link(&count.reason).unwrap_or_default()
        ));
    }
    Ok(total)
}

/// `45s`, `12m`, `3h`, `9d`.
fn age(age: time::Duration) -> String {
    let seconds = age.whole_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `1c2d3e4f  extract-text  encrypted  s3://…: the file needs a password`
pub(crate) fn sentence(letter: &Letter) -> String {
    let copies = match letter.copies {
        0 | 1 => String::new(),
        copies => format!("  ({copies} copies)"),
    };
    format!(
        "{}  {}  {}  {}: {}{copies}",
        letter.short_id(),
        letter.worker,
        letter.reason,
        letter.subject,
        short(&letter.message, 120)
    )
}
