//! `track-match`: a match's row was written or is gone; its progress, the keys of its row and the mail service follow.
//!
//! The progress row is replaced under its revision. What follows from it (the platform's row, the messages) may be done again, and is
//! done again whenever the record is. A change of the status that is no step is kept, changes nothing, and is parked.

use millrace_delivery::{Cx, Worker};
use millrace_events::fields::{Fields, malformed};
use millrace_events::{Failure, Item, Outcome, RowChange, RowChangeKind, reason};
use time::OffsetDateTime;

use crate::{
    context::Marketing,
    lookup::{active_campaign, traits_of},
    matches::{MatchKey, MatchRow},
    progress::{How, MOST_HEARD, News, Progress, Told, Verdict},
    projection::project,
    publish::publish,
    workflow::Status,
};

/// How often a write that lost a race looks again before the record is handed back.
const RACES: u32 = 6;

/// Listens to the matches table. Guard: the revision of the progress row; its own writes into the match's row end as `Ignored`.
#[derive(Clone)]
pub struct TrackMatch(pub Marketing);

impl Worker for TrackMatch {
    const NAME: &'static str = "track-match";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(marketing) = self;
        let Some(news) = news(&change, cx)? else {
            return Ok(Outcome::Ignored(
                "only what this worker itself writes has changed",
            ));
        };
        let (progress, changed) = self.follow(&news).await?;
        let projected = project(marketing, &progress).await?;
        let published = publish(marketing, &progress).await?;
        refused(&progress, &news)?;
        Ok(if changed || projected || published {
            Outcome::Applied
        } else if news.version.as_str() < &*progress.version && !progress.has_heard(&news.version) {
            Outcome::Superseded
        } else {
            Outcome::Already
        })
    }
}

impl TrackMatch {
    /// The progress after this was heard, and whether that changed it.
    async fn follow(&self, news: &News) -> Result<(Progress, bool), Failure> {
        let Self(marketing) = self;
        for _ in 0..RACES {
            let before = Progress::read(marketing, &news.key.match_id).await?;
            let known = before.clone().unwrap_or_else(|| Progress::new(&news.key));
            let known = self.look_around(known, news).await?;
            let after = known.after(news);
            if after.heard.len() > MOST_HEARD {
                let message =
                    format!("the match's status has changed more than {MOST_HEARD} times");
                return Err(Failure::permanent(reason::ROW_TOO_LARGE, message));
            }
            if before.as_ref() == Some(&after) {
                return Ok((after, false));
            }
            if let Some(written) = after.replace(marketing, before.as_ref()).await? {
                return Ok((written, true));
            }
        }
        let message = "others wrote the match's progress more often than is tried again at once";
        Err(Failure::transient(reason::CONFLICT, message))
    }

    /// With the state's change comes a look at the store, the creator and the store's campaigns, as far as something is not known.
    async fn look_around(&self, mut known: Progress, news: &News) -> Result<Progress, Failure> {
        let Self(marketing) = self;
        let Told::Row {
            row, from: Some(_), ..
        } = &news.told
        else {
            return Ok(known);
        };
        if known.has_heard(&news.version) {
            return Ok(known);
        }
        if known.campaign_id().is_none() && row.campaign_id.is_none() {
            known.bound = active_campaign(marketing, &news.key.store_id).await?;
        }
        let (said, found) = (&row.facts.traits, &known.found);
        let is_known =
            |said: &Option<String>, found: &Option<String>| said.is_some() || found.is_some();
        let all = is_known(&said.category, &found.category)
            && is_known(&said.location, &found.location)
            && is_known(&said.tier, &found.tier)
            && is_known(&said.platform, &found.platform);
        if !all {
            let key = &news.key;
            let platform = said.platform.as_deref();
            let traits = traits_of(marketing, &key.store_id, &key.creator_id, platform).await?;
            known.found.category = known.found.category.or(traits.category);
            known.found.location = known.found.location.or(traits.location);
            known.found.tier = known.found.tier.or(traits.tier);
            known.found.platform = known.found.platform.or(traits.platform);
        }
        Ok(known)
    }
}

/// What the record tells; `None` when only what this worker derives has changed.
fn news(change: &RowChange, cx: &Cx) -> Result<Option<News>, Failure> {
    let key = MatchKey::of(&change.keys)?;
    let version = cx.record.version.clone();
    let at = cx.record.occurred_at.unwrap_or(cx.now);
    if change.kind == RowChangeKind::Removed {
        let how = if change.by_ttl {
            How::Expired
        } else {
            How::Deleted
        };
        let at = match how {
            How::Expired => change.old.as_ref().and_then(expiry).unwrap_or(at),
            How::Deleted => at,
        };
        let told = Told::Gone(how);
        return Ok(Some(News {
            key,
            version,
            at,
            told,
        }));
    }
    let Some(new) = &change.new else {
        return Err(malformed(
            "the record of a match that was written has no new image",
        ));
    };
    let row = MatchRow::of(new)?;
    let old = change.old.as_ref();
    if old.is_some_and(|old| is_own_write(old, new, &row)) {
        return Ok(None);
    }
    let before = old.map(status_of);
    let from = match before {
        None => Some(None),
        Some(before) => (before != Some(row.status)).then_some(before),
    };
    let inserted = change.kind == RowChangeKind::Inserted;
    let told = Told::Row {
        row,
        from,
        inserted,
    };
    Ok(Some(News {
        key,
        version,
        at,
        told,
    }))
}

fn status_of(row: &Item) -> Option<Status> {
    let word = Fields::of("matches row", row).text("status").ok()??;
    Status::of_word(word)
}

/// When the row was to expire.
fn expiry(row: &Item) -> Option<OffsetDateTime> {
    let seconds = Fields::of("matches row", row).count("ttl").ok()??;
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
}

/// Whether a later revision was written into the row, and nothing else that is followed.
fn is_own_write(old: &Item, new: &Item, row: &MatchRow) -> bool {
    let revision = |row| {
        Fields::of("matches row", row)
            .count("projectedRevision")
            .ok()
            .flatten()
    };
    revision(new) > revision(old) && MatchRow::of(old).is_ok_and(|old| old == *row)
}

/// The failure of a change that is no step.
fn refused(progress: &Progress, news: &News) -> Result<(), Failure> {
    let version = news.version.as_str();
    let verdict = progress
        .verdicts()
        .find(|(heard, _)| heard.version == version);
    let Some((heard, Verdict::Invalid(counts))) = verdict else {
        return Ok(());
    };
    let word = |status: Option<Status>| status.map_or("nothing", Status::word);
    let told = match heard.from {
        from if from == counts => String::new(),
        from => format!(" (the row said {})", word(from)),
    };
    let message = format!(
        "the workflow has no step from {} to {}{told}",
        word(counts),
        heard.status
    );
    Err(Failure::permanent(reason::INVALID_TRANSITION, message))
}
