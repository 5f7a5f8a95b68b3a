//! `millrace dlq export` and `import`: letters as lines of JSON.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write},
    path::Path,
};

use futures::{StreamExt as _, stream};
use millrace_cloud::{Bucket, Condition};

use super::{Opened, Pages, bar, check_ids, letters, open, read};
use crate::{
    audit::What,
    cli::{DlqPlace, Which},
    letters::{Desk, Hold, Line, Place, State},
    output::{self, Ended, Error, line},
};

/// Lines that are put into queues at once.
const AT_ONCE: usize = 8;
/// Lines with mistakes that are told before it is enough.
const MISTAKES: usize = 20;

pub(super) async fn export(
    file: &Path,
    which: &Which,
    cached: bool,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    let to_stdout = file == Path::new("-");
    if !to_stdout && file.exists() {
        return Err(Error::usage(format!(
            "{} is there already: name another file",
            file.display()
        )));
    }
    let Opened { desk, .. } = open(place).await?;
    let mut ended = Ended::Done;
    if !cached && !read(&desk, &Hold::Nothing).await?.is_complete() {
        ended = Ended::SomeFailed;
    }
    check_ids(desk.catalogue(), &which.ids, State::Here)?;
    if to_stdout {
        write_lines(&desk, which, &mut std::io::stdout().lock())?;
        return Ok(ended);
    }
    // A file under its name is a whole one.
    let partial = file.with_extension("partial");
    let failed = |error: std::io::Error| {
        Error::failed(format!("could not write {}: {error}", partial.display()))
    };
    let mut out = BufWriter::new(File::create(&partial).map_err(failed)?);
    let written = write_lines(&desk, which, &mut out)?;
    let out = out
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    out.sync_all().map_err(failed)?;
    std::fs::rename(&partial, file).map_err(failed)?;
    if place.place.json {
        output::json(&serde_json::json!({"exported": written, "file": file.display().to_string()}));
    } else {
        line(&format!(
            "exported {} to {}",
            letters(written),
            file.display()
        ));
    }
    Ok(ended)
}

fn write_lines(desk: &Desk, which: &Which, out: &mut impl Write) -> Result<u64, Error> {
    let selection = which.selection(desk.clock().now());
    let mut pages = Pages::new(desk.catalogue(), &selection, State::Here);
    let mut written = 0;
    loop {
        let page = pages.next()?;
        if page.is_empty() {
            return Ok(written);
        }
        for letter in &page {
            let text = serde_json::to_string(&Line::of(letter))
                .map_err(|error| Error::failed(error.to_string()))?;
            writeln!(out, "{text}")
                .map_err(|error| Error::failed(format!("could not write: {error}")))?;
            written += 1;
        }
    }
}

pub(super) async fn import(
    file: &Path,
    to: Option<&str>,
    why: Option<&str>,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    let Opened { desk, audit, .. } = open(place).await?;
    let known = desk.workers().to_vec();
    let count = check_file(&desk, file, to, &known).await?;
    read(&desk, &Hold::Nothing).await?;
    let mut act = audit
        .begin(What::Import, &format!("{}", file.display()), why)
        .await?;
    let bar = bar("imported", Some(count));
    let mut lines = Lines::open(file)?;
    let (mut added, mut present) = (0, 0);
    let mut seen = BTreeSet::new();
    loop {
        // Ids of a row of the audit first, then what they stand for.
        let mut batch = Vec::new();
        while batch.len() < AT_ONCE * 8 {
            let Some((number, text)) = lines.next()? else {
                break;
            };
            let line = Line::parse(&text, &known).map_err(|error| mistake(number, &error))?;
            let is_there = desk
                .catalogue()
                .letter(line.id)?
                .is_some_and(|(_, state)| state == State::Here);
            if is_there || !seen.insert(line.id) {
                present += 1;
                bar.inc(1);
            } else {
                batch.push(line);
            }
        }
        if batch.is_empty() || desk.is_stopping() {
            break;
        }
        audit
            .name(&mut act, batch.iter().map(|line| line.id))
            .await?;
        let mut sent = stream::iter(batch)
            .map(|line| put(&desk, line, to))
            .buffer_unordered(AT_ONCE);
        while let Some(done) = sent.next().await {
            done?;
            added += 1;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    audit
        .complete(
            act,
            &format!("{added} imported, {present} were there already"),
        )
        .await?;
    if place.place.json {
        output::json(&serde_json::json!({"imported": added, "present": present}));
    } else {
        line(&format!(
            "imported {}, {present} were there already",
            letters(added)
        ));
    }
    Ok(if desk.is_stopping() {
        Ended::SomeFailed
    } else {
        Ended::Done
    })
}

async fn put(desk: &Desk, line: Line, to: Option<&str>) -> Result<(), Error> {
    let queue = match (to, line.place()) {
        (Some(queue), _) => queue.to_owned(),
        (None, Place::Queue(queue)) => queue,
        (None, Place::Object { bucket, key }) => {
            let bucket = Bucket::new(desk.clients().s3.clone(), bucket);
            let put = millrace_cloud::Put {
                bytes: line.body.into_bytes().into(),
                content_type: "application/json",
                metadata: std::collections::HashMap::new(),
            };
            bucket.put(&key, put, &Condition::Absent).await?;
            return Ok(());
        }
    };
    desk.put(&queue, &line.body, &line.attributes, line.group.as_deref())
        .await?;
    Ok(())
}

/// Every line is read before the first one is sent anywhere, and every queue is there. Says how many lines there are.
async fn check_file(
    desk: &Desk,
    file: &Path,
    to: Option<&str>,
    known: &[String],
) -> Result<u64, Error> {
    let mut lines = Lines::open(file)?;
    let mut mistakes = Vec::new();
    let mut queues: BTreeSet<String> = to.map(str::to_owned).into_iter().collect();
    let mut count = 0;
    while let Some((number, text)) = lines.next()? {
        match Line::parse(&text, known) {
            Ok(line) => {
                count += 1;
                if to.is_none()
                    && let Place::Queue(queue) = line.place()
                {
                    queues.insert(queue);
                }
            }
            Err(error) => mistakes.push(format!("line {number}: {error}")),
        }
        if mistakes.len() == MISTAKES {
            mistakes.push("and perhaps more".to_owned());
            break;
        }
    }
    if !mistakes.is_empty() {
        return Err(Error::usage(format!(
            "nothing was imported, {} has mistakes:\n  {}",
            file.display(),
            mistakes.join("\n  ")
        )));
    }
    for queue in queues {
        desk.queue_url(&queue).await?;
    }
    Ok(count)
}

fn mistake(number: usize, error: &str) -> Error {
    Error::failed(format!("line {number} is another than before: {error}"))
}

/// The lines of a file with their numbers; empty ones are passed over.
struct Lines {
    reader: BufReader<File>,
    number: usize,
}

impl Lines {
    fn open(file: &Path) -> Result<Self, Error> {
        let reader = File::open(file)
            .map_err(|error| Error::usage(format!("{} cannot be read: {error}", file.display())))?;
        Ok(Self {
            reader: BufReader::new(reader),
            number: 0,
        })
    }

    fn next(&mut self) -> Result<Option<(usize, String)>, Error> {
        loop {
            let mut text = String::new();
            self.number += 1;
            let read = self.reader.read_line(&mut text).map_err(|error| {
                Error::usage(format!("line {} cannot be read: {error}", self.number))
            })?;
            if read == 0 {
                return Ok(None);
            }
            if !text.trim().is_empty() {
                return Ok(Some((self.number, text)));
            }
        }
    }
}
