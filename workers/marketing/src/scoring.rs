//! How well a creator suits a store: 0 to 100, of six components. See README.md for the table.
//!
//! Points are counted in hundredths, so that the sum is exact and the same everywhere.

use time::{Duration, OffsetDateTime};

use crate::{
    creators::{Channel, Tier},
    stores::{PriceLevel, Store},
};

/// Hundredths of a point.
pub type Hundredths = u32;

/// From this engagement on it is as good as it can be, in percent.
const BEST_ENGAGEMENT: f64 = 6.0;
/// From this share of the subscribers on, that sees an average video, it is as good as it can be.
const BEST_REACH: f64 = 0.3;
/// Who was active within this time is.
const LATELY: Duration = Duration::days(7);
/// Who was not within this time is not.
const LONG_AGO: Duration = Duration::days(90);

/// What a store looks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeker {
    /// The store.
    pub store: Store,
    /// What it spends on one creator, in won, where it says.
    pub budget: Option<f64>,
}

/// What a creator brings.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The channel.
    pub channel: Channel,
    /// How many see an average video; 0 where it does not say.
    pub average_views: f64,
    /// When something was last published, where it says.
    pub last_active: Option<OffsetDateTime>,
}

/// A score with its components, in hundredths of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Of 30.
    pub category: Hundredths,
    /// Of 20.
    pub location: Hundredths,
    /// Of 20.
    pub tier: Hundredths,
    /// Of 15.
    pub engagement: Hundredths,
    /// Of 10.
    pub audience: Hundredths,
    /// Of 5.
    pub recency: Hundredths,
}

impl Score {
    /// The components by name, in the order of the table.
    pub fn components(&self) -> [(&'static str, Hundredths); 6] {
        [
            ("category", self.category),
            ("location", self.location),
            ("tier", self.tier),
            ("engagement", self.engagement),
            ("audience", self.audience),
            ("recency", self.recency),
        ]
    }

    /// The score.
    pub fn total(&self) -> Hundredths {
        self.components().iter().map(|(_, points)| points).sum()
    }

    /// As a number of a row: `87.5`.
    pub fn decimal(points: Hundredths) -> String {
        (f64::from(points) / 100.0).to_string()
    }
}

/// What a creator of a tier asks for, about, in won.
fn asks(tier: Tier) -> f64 {
    match tier {
        Tier::Nano => 50_000.0,
        Tier::Micro => 150_000.0,
        Tier::Mid => 500_000.0,
        Tier::Macro => 2_000_000.0,
        Tier::Mega => 8_000_000.0,
    }
}

/// The tier that suits a price level.
fn suits(price: PriceLevel) -> Tier {
    match price {
        PriceLevel::Low => Tier::Nano,
        PriceLevel::Medium => Tier::Micro,
        PriceLevel::High => Tier::Mid,
        PriceLevel::Premium => Tier::Macro,
    }
}

/// The score of a creator for a store, as of a moment.
pub fn score(seeker: &Seeker, candidate: &Candidate, as_of: OffsetDateTime) -> Score {
    let Candidate {
        channel,
        average_views,
        last_active,
    } = candidate;
    let store = &seeker.store;
    let same = store.category.is_some() && store.category == channel.category;
    Score {
        category: if same { 3_000 } else { 0 },
        location: location(store, channel),
        tier: price(store, channel) + budget(seeker, channel),
        engagement: share(channel.engagement_rate / BEST_ENGAGEMENT, 1_500),
        audience: match channel.subscribers {
            0 => 0,
            subscribers => share(average_views / subscribers as f64 / BEST_REACH, 1_000),
        },
        recency: last_active.map_or(0, |at| recency(as_of - at)),
    }
}

/// So much of these points, rounded down; what is a whole number but for the last bits of a fraction counts as one.
fn share(of_one: f64, points: Hundredths) -> Hundredths {
    (of_one.clamp(0.0, 1.0) * f64::from(points) + 1e-6).floor() as Hundredths
}

fn location(store: &Store, channel: &Channel) -> Hundredths {
    let (Some((city, district)), Some(region)) = (&store.place, &channel.region) else {
        return 0;
    };
    let rest = region.strip_prefix(city.as_str());
    match rest {
        Some(rest) if rest.strip_prefix(' ') == Some(district) => 2_000,
        Some(rest) if rest.is_empty() || rest.starts_with(' ') => 1_200,
        _ => 0,
    }
}

fn price(store: &Store, channel: &Channel) -> Hundredths {
    let Some(price) = store.price else {
        return 600;
    };
    let apart = (suits(price) as i32 - channel.tier() as i32).abs();
    [1_200, 800, 400].get(apart as usize).copied().unwrap_or(0)
}

fn budget(seeker: &Seeker, channel: &Channel) -> Hundredths {
    let asked = asks(channel.tier());
    match seeker.budget {
        None => 400,
        Some(budget) if asked <= budget => 800,
        Some(budget) if asked <= 2.0 * budget => 400,
        Some(_) => 0,
    }
}

fn recency(ago: Duration) -> Hundredths {
    let left = LONG_AGO - ago;
    share(
        left.as_seconds_f64() / (LONG_AGO - LATELY).as_seconds_f64(),
        500,
    )
}

#[cfg(test)]
mod tests;
