//! `match-creators`: a store or a creator was classified anew; pairs that suit each other become matches, best first.
//!
//! The indexes propose who shares a category or a place, the rows decide. A match, its pair, the store's count and the check
//! of the fence are one transaction, so there is never a second match of a pair, nor more than a store's share.

use millrace_delivery::{Cx, Worker};
use millrace_effects::{Committed, Fence, Row, When, Write, key};
use millrace_events::{
    Failure, Item, Outcome, RowChange, RowChangeKind, Version,
    fields::{Fields, malformed},
    mutation, reason,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    attributes::text,
    context::Marketing,
    creators::Channel,
    lookup::{creator_rows, proposed, row_is_active, store_row},
    matching::{Pair, match_row, pair_key, quota},
    publish::NAMESPACE,
    scoring::{Candidate, Seeker, score},
    stores::Store,
};

/// How often a store's count that somebody else moved is looked at again.
const RACES: u32 = 8;

/// Listens to the stores and the creators tables. Guards: a fence for each profile and each channel, and a row for each pair.
#[derive(Clone)]
pub struct MatchCreators(pub Marketing);

/// Who was classified anew.
enum Side {
    Store(Seeker),
    Creator(Candidate),
}

/// Why no match was made of a pair.
enum Made {
    Yes,
    /// The pair was matched before.
    Before,
    /// The store has its share.
    Full,
    /// Something newer of the subject was handled.
    Superseded,
}

impl Worker for MatchCreators {
    const NAME: &'static str = "match-creators";
    type Event = RowChange;

    async fn handle(&self, change: RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let Self(marketing) = self;
        if change.kind == RowChangeKind::Removed {
            return Ok(Outcome::Ignored("the row was removed"));
        }
        let Some(new) = &change.new else {
            return Err(malformed("the record has no new image"));
        };
        let is_store = change.table == marketing.names.stores;
        let Some(now) = wanted(is_store, &change.keys, new)? else {
            return Ok(Outcome::Ignored("not classified, or not active"));
        };
        let before = change
            .old
            .as_ref()
            .map(|old| wanted(is_store, &change.keys, old));
        let before = before.and_then(|before| before.ok().flatten());
        if before.as_ref() == Some(&now) {
            return Ok(Outcome::Ignored(
                "nothing that matching looks at has changed",
            ));
        }
        let fence = Subject::of(cx);
        if let Some(outcome) = fence.seen(marketing).await? {
            return Ok(outcome);
        }
        let as_of = cx.record.occurred_at.unwrap_or(cx.now);
        let Some(side) = self.side(is_store, &change, new).await? else {
            return Ok(Outcome::Superseded);
        };
        let mut pairs = match &side {
            Side::Store(seeker) => self.pairs_of_store(seeker, as_of).await?,
            Side::Creator(candidate) => self.pairs_of_creator(candidate, as_of).await?,
        };
        pairs.retain(|pair| pair.score.total() >= marketing.rules.match_threshold * 100);
        pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.score.total()), pair.ids()));
        let mut made = false;
        for pair in pairs {
            match self.make(&fence, &pair, as_of).await? {
                Made::Yes => made = true,
                Made::Before => {}
                Made::Full if is_store => break,
                Made::Full => {}
                Made::Superseded => return Ok(Outcome::Superseded),
            }
        }
        Ok(match fence.done(marketing).await? {
            _ if made => Outcome::Applied,
            Outcome::Applied => Outcome::Ignored("no pair that is new suits"),
            outcome => outcome,
        })
    }
}

impl MatchCreators {
    /// Who it is about, as their row is now; `None` when a store has a newer profile by now.
    async fn side(
        &self,
        is_store: bool,
        change: &RowChange,
        new: &Item,
    ) -> Result<Option<Side>, Failure> {
        let Self(marketing) = self;
        if !is_store {
            return Ok(Some(Side::Creator(candidate(&change.keys, new)?)));
        }
        let store = Store::of(&change.keys, new)?;
        let newest = store_row(marketing, &store.store_id).await?.map(Item::from);
        let sort = |row: &Item| row.inner().get("SK").cloned();
        if newest.as_ref().and_then(sort) != sort(&change.keys) {
            return Ok(None);
        }
        Ok(Some(Side::Store(seeker(&change.keys, new)?)))
    }

    /// The creators who share the store's category or place: of each the channel that suits best.
    async fn pairs_of_store(
        &self,
        seeker: &Seeker,
        as_of: OffsetDateTime,
    ) -> Result<Vec<Pair>, Failure> {
        let Self(marketing) = self;
        let names = &marketing.names;
        let store = &seeker.store;
        let mut ids = Vec::new();
        if let Some(category) = &store.category {
            let index = ("creator-category-index", "GSI1PK");
            let value = format!("CATEGORY#{category}");
            ids.extend(proposed(marketing, &names.creators, index, &value, "CREATOR#").await?);
        }
        if let Some(place) = store.location() {
            let index = ("creator-location-index", "GSI2PK");
            let value = format!("LOCATION#{place}");
            ids.extend(proposed(marketing, &names.creators, index, &value, "CREATOR#").await?);
        }
        ids.sort();
        ids.dedup();
        let mut pairs = Vec::new();
        for creator in ids {
            pairs.extend(self.best(seeker, &creator, as_of).await?);
        }
        Ok(pairs)
    }

    /// The stores that share the creator's category or place.
    async fn pairs_of_creator(
        &self,
        candidate: &Candidate,
        as_of: OffsetDateTime,
    ) -> Result<Vec<Pair>, Failure> {
        let Self(marketing) = self;
        let names = &marketing.names;
        let channel = &candidate.channel;
        let mut ids = Vec::new();
        if let Some(category) = &channel.category {
            let index = ("store-category-index", "GSI1PK");
            let value = format!("CATEGORY#{category}");
            ids.extend(proposed(marketing, &names.stores, index, &value, "STORE#").await?);
        }
        if let Some((city, district)) = channel
            .region
            .as_deref()
            .and_then(|region| region.split_once(' '))
        {
            let index = ("store-location-index", "GSI2PK");
            let value = format!("LOCATION#{city}#{district}");
            ids.extend(proposed(marketing, &names.stores, index, &value, "STORE#").await?);
        }
        ids.sort();
        ids.dedup();
        let mut pairs = Vec::new();
        for store in ids {
            let row = store_row(marketing, &store).await?.map(Item::from);
            let Some(row) = row.filter(row_is_active) else {
                continue;
            };
            let Ok(seeker) = seeker(&row, &row) else {
                continue;
            };
            pairs.extend(self.best(&seeker, &channel.creator_id, as_of).await?);
        }
        Ok(pairs)
    }

    /// The active channel of a creator that suits a store best, as the rows are now.
    async fn best(
        &self,
        seeker: &Seeker,
        creator: &str,
        as_of: OffsetDateTime,
    ) -> Result<Option<Pair>, Failure> {
        let Self(marketing) = self;
        let rows = creator_rows(marketing, creator)
            .await?
            .into_iter()
            .map(Item::from);
        let channels = rows
            .filter(row_is_active)
            .filter_map(|row| candidate(&row, &row).ok())
            .filter(|candidate| shares(&seeker.store, &candidate.channel));
        let pairs = channels.map(|candidate| Pair {
            score: score(seeker, &candidate, as_of),
            store: seeker.store.clone(),
            channel: candidate.channel,
        });
        Ok(pairs.max_by_key(|pair| (pair.score.total(), pair.channel.platform)))
    }

    /// Makes a match of a pair, unless there ever was one.
    async fn make(
        &self,
        fence: &Subject,
        pair: &Pair,
        as_of: OffsetDateTime,
    ) -> Result<Made, Failure> {
        let Self(marketing) = self;
        let names = &marketing.names;
        let pair_key = pair_key(pair);
        let before = marketing.table.read(&names.pairs, pair_key.clone()).await?;
        if before.is_some() && !mutation::on(mutation::PAIR_TWICE) {
            return Ok(Made::Before);
        }
        let id = Uuid::new_v5(&NAMESPACE, format!("match/{}", pair.name()).as_bytes()).to_string();
        for _ in 0..RACES {
            let Some(count) = quota(marketing, &pair.store.store_id, as_of).await? else {
                return Ok(Made::Full);
            };
            let mut of_pair = pair_key.clone();
            of_pair.insert("matchId".to_owned(), text(&*id));
            let writes = vec![
                fence.check(marketing),
                count,
                Write::Put {
                    table: names.pairs.clone(),
                    row: of_pair,
                    when: (!mutation::on(mutation::PAIR_TWICE)).then_some(When::Absent("pair")),
                },
                Write::Put {
                    table: names.matches.clone(),
                    row: match_row(pair, &id, as_of),
                    when: (!mutation::on(mutation::PAIR_TWICE)).then_some(When::Absent("PK")),
                },
            ];
            match marketing.table.commit("make a match", writes).await? {
                Committed::Done => return Ok(Made::Yes),
                Committed::Refused { index: 0, .. } => return Ok(Made::Superseded),
                // Somebody else made a match for the store: its count is read again.
                Committed::Refused { index: 1, .. } => {}
                Committed::Refused { .. } => return Ok(Made::Before),
            }
        }
        let message = "others made matches for the store more often than is tried again at once";
        Err(Failure::transient(reason::CONFLICT, message))
    }
}

/// What was handled of a profile or a channel.
struct Subject {
    name: String,
    version: Version,
}

impl Subject {
    fn of(cx: &Cx) -> Self {
        Self {
            name: cx.record.subject.clone(),
            version: cx.record.version.clone(),
        }
    }

    fn key(&self) -> Row {
        key([("subject", &*self.name)])
    }

    fn fence(&self) -> Fence {
        Fence::new("version", self.version.clone())
    }

    /// What it means that this or something newer was handled before; `None`: it was not.
    async fn seen(&self, marketing: &Marketing) -> Result<Option<Outcome>, Failure> {
        let row = marketing
            .table
            .read(&marketing.names.matching, self.key())
            .await?;
        let seen = row.as_ref().and_then(|row| row.get("version")?.as_s().ok());
        let is_past = seen.is_some_and(|seen| seen.as_str() >= self.version.as_str());
        Ok((is_past && !mutation::on(mutation::MATCHED_AGAIN))
            .then(|| self.fence().verdict(row.as_ref())))
    }

    /// Holds while nothing newer was handled.
    fn check(&self, marketing: &Marketing) -> Write {
        Write::Check {
            table: marketing.names.matching.clone(),
            key: self.key(),
            when: if mutation::on(mutation::MATCHED_AGAIN) {
                When::whatever("version")
            } else {
                self.fence().newer()
            },
        }
    }

    async fn done(&self, marketing: &Marketing) -> Result<Outcome, Failure> {
        let update = millrace_effects::Update::of(&marketing.names.matching, self.key());
        let fence = self.fence();
        fence
            .commit(&marketing.table, "note what was matched", update)
            .await
    }
}

/// Everything of a row that matching looks at; `None`: it is not classified as it says, or not active.
fn wanted(is_store: bool, keys: &Item, row: &Item) -> Result<Option<Wanted>, Failure> {
    let derived = if is_store {
        Store::of(keys, row).map(|store| store.derived())
    } else {
        Channel::of(keys, row).map(|channel| channel.derived())
    };
    // What cannot be classified is parked by the worker that classifies.
    let Ok(derived) = derived else {
        return Ok(None);
    };
    let is_there = |(name, value): &(&'static str, Option<String>)| {
        let said = Fields::of("row", row).text(name).ok().flatten();
        said == value.as_deref()
    };
    let in_an_index = derived.iter().any(|(_, value)| value.is_some());
    if !row_is_active(row) || !in_an_index || !derived.iter().all(is_there) {
        return Ok(None);
    }
    Ok(Some(if is_store {
        Wanted::Store(seeker(keys, row)?)
    } else {
        Wanted::Creator(candidate(keys, row)?)
    }))
}

#[derive(Debug, PartialEq)]
enum Wanted {
    Store(Seeker),
    Creator(Candidate),
}

fn seeker(keys: &Item, row: &Item) -> Result<Seeker, Failure> {
    let said = Fields::of("stores row", row);
    let budget = said.number("marketingBudget")?;
    if budget.is_some_and(|budget| budget < 0.0) {
        return Err(said.wrong("marketingBudget", "a number of 0 or more"));
    }
    let store = Store::of(keys, row)?;
    Ok(Seeker { store, budget })
}

fn candidate(keys: &Item, row: &Item) -> Result<Candidate, Failure> {
    let said = Fields::of("creators row", row);
    let views = said.map("statistics", "statistics")?.number("avgViews")?;
    Ok(Candidate {
        channel: Channel::of(keys, row)?,
        average_views: views.unwrap_or(0.0).max(0.0),
        last_active: said.time("lastActiveAt")?,
    })
}

/// Whether they share a category or a place: the same from whichever side one looks.
fn shares(store: &Store, channel: &Channel) -> bool {
    let category = store.category.is_some() && store.category == channel.category;
    category || (channel.region.is_some() && store.location() == channel.region)
}
