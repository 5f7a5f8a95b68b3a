//! What the marketing platform does: stores, creators, campaigns, matches; how it is done to a world, and what must hold of it.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use millrace_effects::{Invariant, broken};
use millrace_marketing::{
    invariants::{MatchSnapshot, OF_A_MATCH, OF_A_MATCH_AT_REST},
    matches::MatchKey,
    workflow::Status,
};
use millrace_tests::{State, World};
use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};

use super::{Scene, When};

/// Few of each, so that what is done to one meets what was done to it before.
const STORES: u8 = 2;
const CREATORS: u8 = 3;
const MATCHES: u8 = 3;

/// One thing that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A store's profile is scraped: its whole row is written.
    Store { store: u8, look: u8, active: bool },
    /// A creator's channel is synced: its whole row is written, as one that cannot be classified with an odd look.
    Creator { creator: u8, look: u8 },
    /// A store's campaign begins, or ends.
    Campaign { store: u8, active: bool },
    /// Somebody makes a match by hand; one that is there is written anew, whatever its state.
    Make { one: u8, status: Status },
    /// Somebody moves a match along by a step of the workflow.
    Move { one: u8, other: bool },
    /// Somebody sets the state of a match, whether or not the workflow has that step.
    Set { one: u8, status: Status },
    /// The platform writes a match's whole row as it is, without what is derived.
    Overwrite { one: u8 },
    /// Another score, and what the creator is paid.
    Score { one: u8, score: u8 },
    /// A match is deleted.
    Delete { one: u8 },
    /// A month passes: what has not moved expires.
    Month,
}

impl Step {
    fn is_of_a_match(self) -> bool {
        !matches!(
            self,
            Self::Store { .. } | Self::Creator { .. } | Self::Campaign { .. } | Self::Month
        )
    }

    /// Whether two things may end one way or the other, depending on which is handled first, and both are right.
    /// See README.md, "Two things that race".
    pub fn races(self, other: Self) -> bool {
        !(self.is_of_a_match() && other.is_of_a_match())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store {
                store,
                look,
                active,
            } => write!(f, "store {store} looks like {look}, active: {active}"),
            Self::Creator { creator, look } => write!(f, "creator {creator} looks like {look}"),
            Self::Campaign { store, active } => {
                write!(f, "the campaign of store {store} is active: {active}")
            }
            Self::Make { one, status } => write!(f, "match {one} is made in {status}"),
            Self::Move { one, other } => {
                write!(f, "match {one} moves along, the other way: {other}")
            }
            Self::Set { one, status } => write!(f, "match {one} is set to {status}"),
            Self::Overwrite { one } => write!(f, "match {one} is written over"),
            Self::Score { one, score } => write!(f, "match {one} has score {score}"),
            Self::Delete { one } => write!(f, "match {one} is deleted"),
            Self::Month => f.write_str("a month passes"),
        }
    }
}

/// A history of so many steps, after there is a match.
pub fn random(chance: &mut StdRng, steps: usize) -> Vec<Step> {
    let status = |chance: &mut StdRng| Status::ALL[chance.random_range(0..Status::ALL.len())];
    let mut history = vec![
        Step::Store {
            store: 0,
            look: 0,
            active: true,
        },
        Step::Creator {
            creator: 0,
            look: 0,
        },
        Step::Campaign {
            store: 0,
            active: true,
        },
        Step::Make {
            one: 0,
            status: Status::Pending,
        },
    ];
    let one_step = |chance: &mut StdRng| {
        let store = chance.random_range(0..STORES);
        let one = chance.random_range(0..MATCHES);
        match chance.random_range(0..100) {
            0..5 => Step::Store {
                store,
                look: chance.random_range(0..3),
                active: chance.random_bool(0.8),
            },
            5..12 => Step::Creator {
                creator: chance.random_range(0..CREATORS),
                look: chance.random_range(0..4),
            },
            12..16 => Step::Campaign {
                store,
                active: chance.random_bool(0.6),
            },
            16..26 => Step::Make {
                one,
                status: if chance.random_bool(0.8) {
                    Status::Pending
                } else {
                    status(chance)
                },
            },
            26..64 => Step::Move {
                one,
                other: chance.random_bool(0.3),
            },
            64..72 => Step::Set {
                one,
                status: status(chance),
            },
            72..82 => Step::Overwrite { one },
            82..90 => Step::Score {
                one,
                score: chance.random_range(0..=100),
            },
            90..95 => Step::Delete { one },
            _ => Step::Month,
        }
    };
    history.extend((0..2 * steps).map(|_| one_step(chance)));
    history
}

/// The stores, creators and matches, and what was last seen of the matches.
#[derive(Default)]
pub struct Marketing {
    /// What was done since everything was last handled.
    under_way: Vec<Step>,
    /// Whether a month has passed: queues keep nothing for so long, so which letters there still are depends on what came again since.
    letters_are_gone: bool,
    matches: Vec<MatchSnapshot>,
}

fn store_id(store: u8) -> String {
    format!("{store:08x}-0000-4000-8000-00000000dddd")
}

fn creator_id(creator: u8) -> String {
    format!("{creator:08x}-0000-4000-8000-00000000eeee")
}

fn match_key(one: u8) -> MatchKey {
    MatchKey {
        match_id: format!("{one:08x}-0000-4000-8000-00000000ffff"),
        store_id: store_id(one % STORES),
        creator_id: creator_id(one),
    }
}

fn text(value: &str) -> Value {
    json!({"S": value})
}

#[async_trait(?Send)]
impl Scene for Marketing {
    fn workers(&self) -> &'static [&'static str] {
        &millrace_marketing::WORKERS
    }

    fn waits(&self, next: super::Step) -> bool {
        let super::Step::Marketing(next) = next else {
            return false;
        };
        self.under_way.iter().any(|step| step.races(next))
    }

    async fn take(&mut self, step: super::Step, world: &World) {
        let super::Step::Marketing(step) = step else {
            return;
        };
        if self.under_way.iter().any(|before| before.races(step)) {
            self.under_way.clear();
        }
        self.under_way.push(step);
        self.letters_are_gone |= step == Step::Month;
        Platform(world).take(step).await;
    }

    fn is_done(&self) -> bool {
        true
    }

    async fn finish(&mut self, _world: &World) {}

    async fn look(&mut self, world: &World, _whole: bool) -> Result<(), String> {
        let observer = world.observer.marketing();
        self.matches.clear();
        for one in 0..MATCHES {
            let seen = MatchSnapshot::read(observer, &match_key(one)).await;
            self.matches.push(seen.map_err(|failure| failure.chain())?);
        }
        Ok(())
    }

    fn has_letter(&mut self, _subject: &str) {}

    fn broken(&self, when: When) -> Option<String> {
        match when {
            When::Always => first_broken(OF_A_MATCH, &self.matches),
            When::AtRest => first_broken(OF_A_MATCH_AT_REST, &self.matches),
        }
    }

    fn seen_from_outside(&self, world: &World, mut state: State) -> State {
        if self.letters_are_gone {
            state.letters.clear();
        }
        // A row that is written over with what it says already has no record, so whether the newest is of such a write depends on
        // whether what is derived was in the row by then.
        let progress = format!("{}/", world.names.marketing.match_progress);
        let rows = state.rows.iter_mut();
        for (_, row) in rows.filter(|(key, _)| key.starts_with(&progress)) {
            row.as_object_mut().unwrap().remove("version");
        }
        state
    }
}

fn first_broken(invariants: &[Invariant<MatchSnapshot>], seen: &[MatchSnapshot]) -> Option<String> {
    seen.iter().find_map(|one| {
        let broken = broken(invariants, one);
        let what = format!("{one:#?}");
        (!broken.is_empty()).then(|| format!("{}:\n{what:.6000}", broken.join(", ")))
    })
}

/// The platform, in a world.
struct Platform<'a>(&'a World);

impl Platform<'_> {
    fn names(&self) -> &millrace_marketing::Names {
        &self.0.names.marketing
    }

    fn call(&self, operation: &str, request: &Value) -> Value {
        let dynamo = &self.0.services().dynamo;
        dynamo.call_json(operation, request).unwrap()
    }

    fn put(&self, table: &str, row: &Value) {
        self.call("PutItem", &json!({"TableName": table, "Item": row}));
    }

    fn match_row(&self, one: u8) -> Option<Value> {
        let request = json!({"TableName": self.names().matches, "Key": key_of(one)});
        self.call("GetItem", &request).get("Item").cloned()
    }

    /// Sets attributes of a match that is there.
    fn set(&self, one: u8, values: &[(&str, Value)]) {
        if self.match_row(one).is_none() {
            return;
        }
        let (mut sets, mut names, mut given) = (Vec::new(), json!({}), json!({}));
        for (nth, (name, value)) in values.iter().enumerate() {
            sets.push(format!("#n{nth} = :v{nth}"));
            names[format!("#n{nth}")] = json!(name);
            given[format!(":v{nth}")] = value.clone();
        }
        let request = json!({
            "TableName": self.names().matches, "Key": key_of(one),
            "UpdateExpression": format!("SET {}", sets.join(", ")),
            "ExpressionAttributeNames": names, "ExpressionAttributeValues": given,
        });
        self.call("UpdateItem", &request);
    }

    async fn take(&self, step: Step) {
        self.0.wait(Duration::from_secs(60));
        match step {
            Step::Store {
                store,
                look,
                active,
            } => self.put(&self.names().stores, &store_row(store, look, active)),
            Step::Creator { creator, look } => {
                self.put(&self.names().creators, &creator_row(creator, look));
            }
            Step::Campaign { store, active } => {
                self.put(&self.names().campaigns, &campaign_row(store, active));
            }
            Step::Make { one, status } => {
                let mut row = key_of(one);
                row["status"] = text(status.word());
                row["matchScore"] = json!({"N": "72.5"});
                self.put(&self.names().matches, &row);
            }
            Step::Move { one, other } => {
                let row = self.match_row(one);
                let status = row.and_then(|row| Status::of_word(row["status"]["S"].as_str()?));
                let next = status.map(Status::next).unwrap_or_default();
                let next = if other { next.last() } else { next.first() };
                if let Some(next) = next {
                    self.set(one, &[("status", text(next.word()))]);
                }
            }
            Step::Set { one, status } => self.set(one, &[("status", text(status.word()))]),
            Step::Overwrite { one } => {
                if let Some(mut row) = self.match_row(one) {
                    let kept = ["PK", "SK", "status", "matchScore", "agreedCost"];
                    let fields = row.as_object_mut().unwrap();
                    fields.retain(|name, _| kept.contains(&name.as_str()));
                    self.put(&self.names().matches, &row);
                }
            }
            Step::Score { one, score } => {
                let cost = json!({"N": (u32::from(score) * 1_000).to_string()});
                let score = json!({"N": score.to_string()});
                self.set(one, &[("matchScore", score), ("agreedCost", cost)]);
            }
            Step::Delete { one } => {
                let request = json!({"TableName": self.names().matches, "Key": key_of(one)});
                self.call("DeleteItem", &request);
            }
            Step::Month => {
                self.0.wait(Duration::from_secs(31 * 24 * 60 * 60));
                self.0.services().sweep().await.unwrap();
            }
        }
    }
}

fn key_of(one: u8) -> Value {
    let (partition, sort) = match_key(one).parts();
    json!({"PK": {"S": partition}, "SK": {"S": sort}})
}

fn store_row(store: u8, look: u8, active: bool) -> Value {
    let price = [9_000, 25_000, 45_000][usize::from(look)];
    json!({
        "PK": {"S": format!("STORE#{}", store_id(store))}, "SK": {"S": "PROFILE#2026-11-20T00:00:00.000Z"},
        "primaryCategory": {"S": if look == 2 { "식당" } else { "카페" }},
        "location": {"M": {"city": {"S": "서울"}, "district": {"S": "마포구"}}},
        "priceAnalysis": {"M": {"averagePrice": {"N": price.to_string()}}},
        "status": {"S": if active { "active" } else { "inactive" }},
    })
}

fn creator_row(creator: u8, look: u8) -> Value {
    // The last look is of a channel that cannot be classified.
    let subscribers = ["900", "8000", "45000", "-1"][usize::from(look)];
    json!({
        "PK": {"S": format!("CREATOR#{}", creator_id(creator))}, "SK": {"S": "PLATFORM#youtube#UC1"},
        "platform": {"S": "youtube"}, "category": {"S": if creator == 2 { "식당" } else { "카페" }},
        "region": {"S": "서울 마포구"}, "status": {"S": "active"},
        "statistics": {"M": {
            "subscribers": {"N": subscribers}, "avgViews": {"N": "400"}, "engagementRate": {"N": "5.5"},
        }},
        "lastActiveAt": {"S": "2026-11-20T00:00:00.000Z"},
    })
}

fn campaign_row(store: u8, active: bool) -> Value {
    let id = format!("{store:08x}-0000-4000-8000-00000000abcd");
    json!({
        "PK": {"S": format!("CAMPAIGN#{id}")}, "SK": {"S": format!("STORE#{}", store_id(store))},
        "campaignId": {"S": id}, "status": {"S": if active { "active" } else { "completed" }},
        "GSI2PK": {"S": format!("STORE#{}", store_id(store))}, "GSI2SK": {"S": "DATE#2026-11-18T00:00:00.000Z"},
    })
}
