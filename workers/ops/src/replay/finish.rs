//! What happens to a letter once its worker has it: it is taken out of its place, and the run knows.
//!
//! Many at once, because a queue deletes ten with one request and the catalogue writes to the disk once. What is
//! not finished when the process dies is handed to its worker once more, which ends as `already`.

use std::{collections::BTreeMap, time::Duration};

use millrace_events::Failure;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::{
    engine::SOMEBODY,
    outcome::{Became, Trouble},
};
use crate::letters::{Desk, LetterCopy, Marked, Progress, State, Waiting};

/// Letters that are finished at once.
const AT_ONCE: usize = 64;
/// How long the first of them waits for others.
const PATIENCE: Duration = Duration::from_millis(100);

/// A letter whose turn is over.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) waiting: Waiting,
    /// What became of it; `None`: it was not tried.
    pub(super) became: Option<Became>,
    /// Why it was not tried.
    pub(super) why_not: Option<&'static str>,
    /// The catalogue's numbers of the copies that were there when its worker was given it.
    pub(super) copies: Vec<i64>,
}

pub(super) struct Finisher<'a> {
    pub(super) desk: &'a Desk,
    pub(super) run: Uuid,
    /// Told of every letter that was tried; with `None` of one that was left to somebody else.
    pub(super) tell: &'a mut (dyn FnMut(&Waiting, Option<&Became>) + Send),
}

impl Finisher<'_> {
    pub(super) async fn finish_all(
        mut self,
        mut ended: mpsc::Receiver<Ended>,
    ) -> Result<(), Failure> {
        while let Some(first) = ended.recv().await {
            let mut letters = vec![first];
            let by = Instant::now() + PATIENCE;
            while letters.len() < AT_ONCE {
                match timeout_at(by, ended.recv()).await {
                    Ok(Some(letter)) => letters.push(letter),
                    Ok(None) | Err(_) => break,
                }
            }
            self.finish(letters).await?;
        }
        Ok(())
    }

    /// New before old: what is deleted here was handled, or is kept by its worker's queue.
    async fn finish(&mut self, mut letters: Vec<Ended>) -> Result<(), Failure> {
        let mut copies: Vec<LetterCopy> = Vec::new();
        for letter in &letters {
            if matches!(letter.became, Some(Became::Handled(_) | Became::Sent(_))) {
                // One that came meanwhile tells of a failure since: the worker parked it again.
                let lying = self.desk.catalogue().copies(letter.waiting.letter)?;
                copies.extend(
                    lying
                        .into_iter()
                        .filter(|copy| letter.copies.contains(&copy.number)),
                );
            }
        }
        let refused = self.desk.delete(&copies, State::Gone).await?;
        let mut left: BTreeMap<Uuid, String> = BTreeMap::new();
        for (copy, why) in refused {
            left.insert(copy.letter, why);
        }
        for letter in &mut letters {
            let Some(why) = left.remove(&letter.waiting.letter) else {
                continue;
            };
            let word = letter.became.as_ref().map_or("tried", Became::word);
            letter.became = Some(Became::Failed(Trouble::still_there(word, &why)));
        }
        let marked: Vec<Marked> = letters.iter().map(marked).collect();
        let now = self.desk.clock().now();
        self.desk.catalogue().mark_each(self.run, &marked, now)?;
        for letter in &letters {
            if letter.became.is_some() || letter.why_not == Some(SOMEBODY) {
                (self.tell)(&letter.waiting, letter.became.as_ref());
            }
        }
        Ok(())
    }
}

fn marked(ended: &Ended) -> Marked {
    let (progress, note) = match &ended.became {
        None => (
            Progress::Skipped,
            ended.why_not.unwrap_or_default().to_owned(),
        ),
        Some(became @ Became::Handled(_)) => (Progress::Confirmed, became.word().to_owned()),
        Some(Became::Sent(records)) => (Progress::Sent, super::judge::note_of(records)),
        Some(Became::Failed(trouble)) => (
            Progress::FailedAgain,
            format!("{}: {}", trouble.code, trouble.message),
        ),
    };
    Marked {
        letter: ended.waiting.letter,
        progress,
        note: Some(note),
    }
}
