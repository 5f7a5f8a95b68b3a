//! What the marketing platform does: stores, creators, campaigns, matches; how it is done to a world, and what must hold of it.

mod platform;

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
};

use async_trait::async_trait;
use millrace_effects::{Invariant, broken};
use millrace_events::Failure;
use millrace_marketing::{
    analytics::{Everything, ledger},
    invariants::{
        CampaignSnapshot, FiguresSnapshot, MatchSnapshot, OF_A_CAMPAIGN, OF_A_CAMPAIGN_AT_REST,
        OF_A_MATCH, OF_A_MATCH_AT_REST, OF_FIGURES_AT_REST, OF_TOTALS, TotalsSnapshot,
    },
    matches::MatchKey,
    workflow::Status,
};
use millrace_tests::{State, World, marketing::tables};
use rand::{Rng, rngs::StdRng};
use tokio::task::JoinHandle;

use super::{Scene, When};
use platform::{Campaigns, Platform};

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
    Creator { creator: u8, channel: u8, look: u8 },
    /// One of a store's campaigns begins, or ends, or is written so that it cannot be read.
    Campaign { campaign: Campaign, look: Look },
    /// The platform writes a campaign's whole row with another budget and no figures, or with those that it read when it last did so.
    Rewrite {
        campaign: Campaign,
        budget: u8,
        stale: bool,
    },
    /// A campaign is removed.
    Drop { campaign: Campaign },
    /// Somebody makes a match by hand; one that is there is written anew, whatever its state.
    Make { one: u8, status: Status },
    /// Somebody moves a match along by a step of the workflow.
    Move { one: u8, other: bool },
    /// Somebody sets the state of a match, whether or not the workflow has that step.
    Set { one: u8, status: Status },
    /// Somebody says which campaign a match is of.
    Name { one: u8, campaign: Campaign },
    /// The platform writes a match's whole row as it is, without what is derived.
    Overwrite { one: u8 },
    /// Another score, and what the creator is paid.
    Score { one: u8, score: u8 },
    /// A match is deleted.
    Delete { one: u8 },
    /// A month passes: what has not moved expires.
    Month,
    /// Somebody has the figures built anew.
    Rebuild,
}

/// One of a store's campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Campaign {
    pub store: u8,
    pub nth: u8,
}

/// What a campaign's row says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Active,
    Over,
    /// Its budget is a text.
    Unreadable,
}

impl Step {
    /// What many things depend on that are found once.
    fn is_looked_up(self) -> bool {
        matches!(
            self,
            Self::Store { .. }
                | Self::Creator { .. }
                | Self::Campaign { .. }
                | Self::Drop { .. }
                | Self::Month
        )
    }

    /// Whether two things may end one way or the other, depending on which is handled first, and both are right.
    /// See README.md, "Two things that race".
    pub fn races(self, other: Self) -> bool {
        let is_rebuild = self == Self::Rebuild || other == Self::Rebuild;
        !is_rebuild && (self.is_looked_up() || other.is_looked_up())
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "campaign {} of store {}", self.nth, self.store)
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
            Self::Creator {
                creator,
                channel,
                look,
            } => write!(
                f,
                "channel {channel} of creator {creator} looks like {look}"
            ),
            Self::Campaign { campaign, look } => write!(f, "{campaign} is {look:?}"),
            Self::Rewrite {
                campaign,
                budget,
                stale,
            } => write!(
                f,
                "{campaign} is written over with budget {budget}, with old figures: {stale}"
            ),
            Self::Drop { campaign } => write!(f, "{campaign} is removed"),
            Self::Make { one, status } => write!(f, "match {one} is made in {status}"),
            Self::Move { one, other } => {
                write!(f, "match {one} moves along, the other way: {other}")
            }
            Self::Set { one, status } => write!(f, "match {one} is set to {status}"),
            Self::Name { one, campaign } => write!(f, "match {one} is of {campaign}"),
            Self::Overwrite { one } => write!(f, "match {one} is written over"),
            Self::Score { one, score } => write!(f, "match {one} has score {score}"),
            Self::Delete { one } => write!(f, "match {one} is deleted"),
            Self::Month => f.write_str("a month passes"),
            Self::Rebuild => f.write_str("the figures are built anew"),
        }
    }
}

/// A history of so many steps, after there is a match.
pub fn random(chance: &mut StdRng, steps: usize) -> Vec<Step> {
    let mut history = vec![
        Step::Store {
            store: 0,
            look: 0,
            active: true,
        },
        Step::Creator {
            creator: 0,
            channel: 0,
            look: 0,
        },
        Step::Campaign {
            campaign: Campaign { store: 0, nth: 0 },
            look: Look::Active,
        },
        Step::Make {
            one: 0,
            status: Status::Pending,
        },
    ];
    history.extend((0..2 * steps).map(|_| one_step(chance)));
    history
}

fn any_status(chance: &mut StdRng) -> Status {
    Status::ALL[chance.random_range(0..Status::ALL.len())]
}

fn any_campaign(chance: &mut StdRng) -> Campaign {
    // Mostly the first of the first.
    let mut mostly = |behind: f64| u8::from(chance.random_bool(behind));
    Campaign {
        store: mostly(0.3),
        nth: mostly(0.3),
    }
}

fn one_step(chance: &mut StdRng) -> Step {
    let one = chance.random_range(0..MATCHES);
    match chance.random_range(0..100) {
        0..4 => Step::Store {
            store: chance.random_range(0..STORES),
            look: chance.random_range(0..3),
            active: chance.random_bool(0.8),
        },
        4..9 => Step::Creator {
            creator: chance.random_range(0..CREATORS),
            channel: chance.random_range(0..2),
            look: chance.random_range(0..4),
        },
        9..13 => Step::Campaign {
            campaign: any_campaign(chance),
            look: match chance.random_range(0..10) {
                0..6 => Look::Active,
                6..9 => Look::Over,
                _ => Look::Unreadable,
            },
        },
        13 => Step::Drop {
            campaign: any_campaign(chance),
        },
        14..20 => Step::Rewrite {
            campaign: any_campaign(chance),
            budget: chance.random_range(0..3),
            stale: chance.random_bool(0.5),
        },
        20..30 => Step::Make {
            one,
            status: if chance.random_bool(0.8) {
                Status::Pending
            } else {
                any_status(chance)
            },
        },
        30..64 => Step::Move {
            one,
            other: chance.random_bool(0.3),
        },
        64..70 => Step::Set {
            one,
            status: any_status(chance),
        },
        70..77 => Step::Name {
            one,
            campaign: any_campaign(chance),
        },
        77..81 => Step::Overwrite { one },
        81..89 => Step::Score {
            one,
            score: chance.random_range(0..=100),
        },
        89..92 => Step::Delete { one },
        92..95 => Step::Month,
        _ => Step::Rebuild,
    }
}

/// Somebody who has the figures built anew.
type Rebuilding = JoinHandle<Result<(), Failure>>;

/// The stores, creators, campaigns and matches, and what was last seen of what follows from them.
#[derive(Default)]
pub struct Marketing {
    /// What was done since everything was last handled.
    under_way: Vec<Step>,
    /// Whether a month has passed: queues keep nothing for so long, so which letters there still are depends on what came again since.
    letters_are_gone: bool,
    /// What the platform read of campaigns when it last wrote over them.
    read: Campaigns,
    rebuilding: Vec<Rebuilding>,
    /// A rebuild has ended before its end.
    is_half_built: bool,
    /// A rebuild failed in a way that another attempt does not mend.
    failed: Option<String>,
    matches: Vec<MatchSnapshot>,
    campaigns: Vec<CampaignSnapshot>,
    /// How many changes campaigns' rows held when they were last looked at.
    changes: BTreeMap<String, i64>,
    totals: Vec<TotalsSnapshot>,
    figures: FiguresSnapshot,
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

impl Marketing {
    fn rebuild(&mut self, world: &World) {
        let marketing = world.products.marketing().clone();
        let rebuild = async move {
            let sources = Everything(marketing.clone());
            ledger(&marketing).rebuild(&sources).await.map(|_| ())
        };
        self.rebuilding.push(tokio::spawn(rebuild));
    }

    /// Takes the rebuilds that have ended.
    async fn collect(&mut self) {
        let ended = |one: &Rebuilding| one.is_finished();
        while let Some(at) = self.rebuilding.iter().position(ended) {
            match self.rebuilding.remove(at).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) if !failure.is_transient() => self.failed = Some(failure.chain()),
                Ok(Err(_)) | Err(_) => self.is_half_built = true,
            }
        }
    }
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
        if step == Step::Rebuild {
            self.rebuild(world);
            return;
        }
        // What the platform writes is not what a projection replaces.
        self.changes.clear();
        Platform(world).take(step, &mut self.read).await;
    }

    fn is_done(&self) -> bool {
        true
    }

    async fn finish(&mut self, _world: &World) {}

    fn works_itself(&self) -> bool {
        !self.rebuilding.is_empty()
    }

    async fn dies(&mut self) {
        for rebuilding in self.rebuilding.drain(..) {
            rebuilding.abort();
            let _ = rebuilding.await;
            self.is_half_built = true;
        }
    }

    async fn let_time_pass(&mut self, world: &World) -> bool {
        self.collect().await;
        if self.rebuilding.is_empty() && self.is_half_built && self.failed.is_none() {
            self.is_half_built = false;
            self.rebuild(world);
        }
        let goes_on = !self.rebuilding.is_empty();
        if goes_on {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        goes_on
    }

    async fn look(&mut self, world: &World, whole: bool) -> Result<(), String> {
        let observer = world.observer.marketing();
        self.matches.clear();
        for one in 0..MATCHES {
            let seen = MatchSnapshot::read(observer, &match_key(one)).await;
            self.matches.push(seen.map_err(|failure| failure.chain())?);
        }
        self.campaigns = tables::campaigns(world, &self.changes, whole);
        let changes = self.campaigns.iter();
        let changes = changes.filter_map(|one| Some((one.campaign.clone(), one.changes()?)));
        self.changes = changes.collect();
        if whole {
            self.totals = tables::all_totals(world).into();
            self.figures = tables::figures(world).await?;
        }
        Ok(())
    }

    fn has_letter(&mut self, _subject: &str) {}

    fn broken(&self, when: When) -> Option<String> {
        if let Some(failed) = &self.failed {
            return Some(format!("rebuilds-end: {failed}"));
        }
        match when {
            When::Always => first_broken(OF_A_MATCH, &self.matches)
                .or_else(|| first_broken(OF_A_CAMPAIGN, &self.campaigns))
                .or_else(|| first_broken(OF_TOTALS, &self.totals)),
            When::AtRest => first_broken(OF_A_MATCH_AT_REST, &self.matches)
                .or_else(|| first_broken(OF_A_CAMPAIGN_AT_REST, &self.campaigns))
                .or_else(|| first_broken(OF_FIGURES_AT_REST, std::slice::from_ref(&self.figures))),
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

fn first_broken<T: Debug>(invariants: &[Invariant<T>], seen: &[T]) -> Option<String> {
    seen.iter().find_map(|one| {
        let broken = broken(invariants, one);
        (!broken.is_empty()).then(|| {
            let what = format!("{one:#?}");
            format!("{}:\n{what:.30000}", broken.join(", "))
        })
    })
}
