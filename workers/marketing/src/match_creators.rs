//! `match-creators`: a store or a creator was classified anew; pairs that suit each other become matches, best first.
//!
//! The indexes propose who shares a category or a place, the rows decide. A match, its pair, the store's count and the check
//! of the fence are one transaction, so there is never a second match of a pair, nor more than a store's share.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

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
    lookup::{Place, creator_rows, proposed, row_is_active, store_row},
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
        let matched = self.matched(&pairs).await?;
        pairs.retain(|pair| !matched.contains(&pair.name()) || mutation::on(mutation::PAIR_TWICE));
        pairs.sort_by_key(|pair| (Reverse(pair.score.total()), pair.ids()));
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

    /// The creators who share the store's category or place: of each the channel that suits best. One that the indexes do not have yet
    /// comes with its own record.
    async fn pairs_of_store(
        &self,
        seeker: &Seeker,
        as_of: OffsetDateTime,
    ) -> Result<Vec<Pair>, Failure> {
        let Self(marketing) = self;
        let store = &seeker.store;
        let category = store.category.as_ref().map(|category| Place {
            index: "creator-category-index",
            attribute: "GSI1PK",
            value: format!("CATEGORY#{category}"),
        });
        let location = store.location().map(|place| Place {
            index: "creator-location-index",
            attribute: "GSI2PK",
            value: format!("LOCATION#{place}"),
        });
        let places: Vec<Place> = category.into_iter().chain(location).collect();
        let mut channels: BTreeMap<String, Vec<(String, Candidate)>> = BTreeMap::new();
        proposed(marketing, &marketing.names.creators, &places, |row| {
            if let Some((sort, candidate)) = active_channel(&row) {
                let creator = candidate.channel.creator_id.clone();
                channels.entry(creator).or_default().push((sort, candidate));
            }
        })
        .await?;
        let best = channels
            .values()
            .filter_map(|channels| best(seeker, channels, as_of));
        Ok(best.collect())
    }

    /// The stores that share the creator's category or place. A store is what its newest profile says: that is read of each store of
    /// which a profile would do.
    async fn pairs_of_creator(
        &self,
        candidate: &Candidate,
        as_of: OffsetDateTime,
    ) -> Result<Vec<Pair>, Failure> {
        let Self(marketing) = self;
        let channel = &candidate.channel;
        let category = channel.category.as_ref().map(|category| Place {
            index: "store-category-index",
            attribute: "GSI1PK",
            value: format!("CATEGORY#{category}"),
        });
        let region = channel.region.as_deref();
        let region = region.and_then(|region| region.split_once(' '));
        let location = region.map(|(city, district)| Place {
            index: "store-location-index",
            attribute: "GSI2PK",
            value: format!("LOCATION#{city}#{district}"),
        });
        let places: Vec<Place> = category.into_iter().chain(location).collect();
        // What a row says decides only which stores are looked at closely.
        let channels = creator_rows(marketing, &channel.creator_id).await?;
        let channels: Vec<_> = { channels }
            .into_iter()
            .filter_map(|row| active_channel(&Item::from(row)))
            .collect();
        let suits = |seeker: &Seeker| {
            let pair = best(seeker, &channels, as_of);
            pair.filter(|pair| pair.score.total() >= marketing.rules.match_threshold * 100)
        };
        let mut stores = BTreeSet::new();
        proposed(marketing, &marketing.names.stores, &places, |row| {
            let seeker = seeker(&row, &row).ok().filter(|_| row_is_active(&row));
            let pair = seeker.as_ref().and_then(suits);
            stores.extend(pair.map(|pair| pair.store.store_id));
        })
        .await?;
        let mut pairs = Vec::new();
        for store in stores {
            let row = store_row(marketing, &store).await?.map(Item::from);
            let row = row.filter(row_is_active);
            let seeker = row.and_then(|row| seeker(&row, &row).ok());
            pairs.extend(seeker.as_ref().and_then(suits));
        }
        Ok(pairs)
    }

    /// The names of those pairs that were ever matched.
    async fn matched(&self, pairs: &[Pair]) -> Result<BTreeSet<String>, Failure> {
        let Self(marketing) = self;
        let table = &marketing.names.pairs;
        let wanted = pairs.iter().map(|pair| (table.clone(), pair_key(pair)));
        let mut found = marketing.table.read_many(wanted).await?;
        let rows = found.remove(table).unwrap_or_default();
        let names = rows.iter().filter_map(|row| row.get("pair")?.as_s().ok());
        Ok(names.cloned().collect())
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

/// The channel of a row that is active and can be read, and its sort key.
fn active_channel(row: &Item) -> Option<(String, Candidate)> {
    let sort = Fields::of("creators row", row).text("SK").ok()??;
    let candidate = candidate(row, row).ok().filter(|_| row_is_active(row))?;
    Some((sort.to_owned(), candidate))
}

/// The channel of a creator that suits a store best.
fn best(seeker: &Seeker, channels: &[(String, Candidate)], as_of: OffsetDateTime) -> Option<Pair> {
    let shared = channels
        .iter()
        .filter(|(_, candidate)| shares(&seeker.store, &candidate.channel));
    let pairs = shared.map(|(sort, candidate)| {
        let pair = Pair {
            score: score(seeker, candidate, as_of),
            store: seeker.store.clone(),
            channel: candidate.channel.clone(),
        };
        (sort, pair)
    });
    let best = pairs.max_by_key(|(sort, pair)| {
        let platform = pair.channel.platform;
        (pair.score.total(), platform, Reverse(*sort))
    });
    best.map(|(_, pair)| pair)
}

/// Whether they share a category or a place: the same from whichever side one looks.
fn shares(store: &Store, channel: &Channel) -> bool {
    let category = store.category.is_some() && store.category == channel.category;
    category || (channel.region.is_some() && store.location() == channel.region)
}
