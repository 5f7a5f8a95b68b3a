//! `millrace dlq drop` and `restore`: nothing is deleted before its copy is kept.

use std::io::{BufRead as _, IsTerminal as _};

use millrace_cloud::{Bucket, Condition, PutOutcome};

use super::{
    HOLD, Opened, Pages, act_selection, letters, list::print_counts, open, put_back_after, read,
};
use crate::{
    audit::What,
    cli::{DlqPlace, Which},
    letters::{Desk, Hold, Letter, LetterCopy, Place, Selection, State},
    output::{self, Ended, Error, line},
};

pub(super) async fn drop_letters(
    which: &Which,
    yes: bool,
    why: &str,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    if !yes && !std::io::stdin().is_terminal() {
        return Err(Error::usage(
            "dropping asks first, and there is no terminal to ask on: say --yes",
        ));
    }
    if why.trim().is_empty() {
        return Err(Error::usage("--why must say why"));
    }
    let Opened { desk, audit, .. } = open(place).await?;
    let selection = which.selection(desk.clock().now());
    let hold = Hold::For {
        selection: selection.clone(),
        time: HOLD,
    };
    if selection.is_empty() {
        return Err(Error::usage(
            "say which letters: ids, a condition such as --worker, or --all",
        ));
    }
    let report = read(&desk, &hold).await?;
    if let Err(error) = act_selection(&desk, which, State::Here) {
        return Err(put_back_after(&desk, &report, error).await);
    }
    let total = print_counts(&desk, &selection, desk.clock().now(), |line| {
        eprintln!("{line}")
    })?;
    if total == 0 || !(yes || confirmed(&desk, total).await) {
        desk.release_held(report.reading).await?;
        eprintln!("nothing was dropped");
        return Ok(Ended::Done);
    }
    let mut act = match audit.begin(What::Drop, &which.words(), Some(why)).await {
        Ok(act) => act,
        Err(failure) => return Err(put_back_after(&desk, &report, failure.into()).await),
    };
    let done = async {
        let mut pages = Pages::new(desk.catalogue(), &selection, State::Here);
        let mut dropped = 0;
        loop {
            let page = pages.next()?;
            if page.is_empty() || desk.is_stopping() {
                return Ok::<u64, Error>(dropped);
            }
            audit
                .name(&mut act, page.iter().map(|letter| letter.id))
                .await?;
            dropped += drop_page(&desk, &page).await?;
        }
    }
    .await;
    desk.release_held(report.reading).await?;
    let dropped = done?;
    audit
        .complete(act, &format!("{dropped} of {total} dropped"))
        .await?;
    if place.place.json {
        output::json(&serde_json::json!({"dropped": dropped, "selected": total}));
    } else {
        line(&format!("dropped {}", letters(dropped)));
    }
    let file = desk
        .catalogue()
        .path()
        .map_or_else(String::new, |path| path.display().to_string());
    eprintln!(
        "copies are kept in {file}; `millrace dlq restore ID` or `restore --all` puts them back"
    );
    Ok(if dropped == total {
        Ended::Done
    } else {
        Ended::SomeFailed
    })
}

/// First the catalogue says that they are being dropped (their bodies are in it, on disk), then they are deleted.
async fn drop_page(desk: &Desk, page: &[Letter]) -> Result<u64, Error> {
    let mut copies: Vec<LetterCopy> = Vec::new();
    for letter in page {
        copies.extend(desk.catalogue().copies(letter.id)?);
    }
    let numbers: Vec<i64> = copies.iter().map(|copy| copy.number).collect();
    desk.catalogue().set_state(&numbers, State::Dropping)?;
    let refused = desk.delete(&copies, State::Dropped).await?;
    // What was refused stays marked: after a lost answer it may be deleted all the same, and can be restored then. The
    // next reading finds it, or finds it gone.
    let now = desk.clock().now();
    let held = refused.iter().map(|(copy, _)| copy.clone());
    let held: Vec<LetterCopy> = held.filter(|copy| copy.visible_at > now).collect();
    desk.release(&held).await?;
    for (copy, why) in &refused {
        eprintln!("{} in {} was not dropped: {why}", copy.letter, copy.place);
    }
    let still_there: std::collections::BTreeSet<_> =
        refused.iter().map(|(copy, _)| copy.letter).collect();
    Ok((page.len() - still_there.len()) as u64)
}

/// Asks on the terminal. Ctrl-C is a no.
async fn confirmed(desk: &Desk, total: u64) -> bool {
    eprint!("drop {}? [y/N] ", letters(total));
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let interrupted = async {
        while !desk.is_stopping() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        answer = answer => {
            let line = answer.ok().and_then(Result::ok).unwrap_or_default();
            matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
        }
        () = interrupted => false,
    }
}

pub(super) async fn restore(
    which: &Which,
    why: Option<&str>,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    let Opened { desk, audit, .. } = open(place).await?;
    // An interrupted drop or restore is settled by looking what is there.
    read(&desk, &Hold::Nothing).await?;
    let selection: Selection = act_selection(&desk, which, State::Dropped)?;
    let mut act = audit.begin(What::Restore, &which.words(), why).await?;
    let mut pages = Pages::new(desk.catalogue(), &selection, State::Dropped);
    let mut restored = 0;
    loop {
        let page = pages.next()?;
        if page.is_empty() || desk.is_stopping() {
            break;
        }
        audit
            .name(&mut act, page.iter().map(|letter| letter.id))
            .await?;
        for letter in &page {
            put_back(&desk, letter).await?;
            let mut kept = desk.catalogue().history(letter.id)?;
            kept.retain(|copy| copy.state == State::Dropped);
            let kept: Vec<i64> = kept.iter().map(|copy| copy.number).collect();
            // The next reading finds the message under its new id.
            desk.catalogue().set_state(&kept, State::Gone)?;
            restored += 1;
        }
    }
    audit.complete(act, &format!("{restored} restored")).await?;
    if place.place.json {
        output::json(&serde_json::json!({ "restored": restored }));
    } else {
        line(&format!("restored {}", letters(restored)));
    }
    Ok(if desk.is_stopping() {
        Ended::SomeFailed
    } else {
        Ended::Done
    })
}

async fn put_back(desk: &Desk, letter: &Letter) -> Result<(), Error> {
    match &letter.place {
        Place::Queue(queue) => {
            let group = letter.group.as_deref();
            desk.put(queue, &letter.body, &letter.attributes, group)
                .await?;
        }
        Place::Object { bucket, key } => {
            let bucket = Bucket::new(desk.clients().s3.clone(), bucket);
            let put = millrace_cloud::Put {
                bytes: letter.body.clone().into_bytes().into(),
                content_type: "application/json",
                metadata: std::collections::HashMap::new(),
            };
            // Whatever is there under the key already is this very object: Lambda never uses a key twice.
            let outcome = bucket.put(key, put, &Condition::Absent).await?;
            if outcome == PutOutcome::Refused {
                tracing::debug!(key, "the object is there already");
            }
        }
    }
    Ok(())
}
