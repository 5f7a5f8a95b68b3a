//! Who suits a job, and how well: filters, score, order. Plain functions over values.
//!
//! The index proposes, the rows decide: [`proposed`] is what the index is asked, a little more generous than the rules, and
//! [`judge`] decides by what a person's row says, in f64.

use millrace_vectors::{Embedding, Field, Filter};
use time::{Duration, OffsetDateTime};

use crate::{
    attributes::millis,
    profiles::Profile,
    rows::{Absent, Job, RateRange, Ratings},
};

/// Points for texts that mean the same.
pub const SEMANTIC_POINTS: f64 = 50.0;
/// Points for a job in a preferred district.
pub const DISTRICT_POINTS: f64 = 30.0;
/// Points for a rate at or above the greatest of the range.
pub const RATE_POINTS: f64 = 20.0;
/// The least cosine.
pub const LEAST_SIMILARITY: f64 = 0.6;
/// Of ten ratings so many may be bad.
const BAD_OF_TEN: u128 = 3;
/// For so long somebody counts as active after they were last seen.
const SEEN_WITHIN: Duration = Duration::days(7);
/// The index computes in f32, or approximately: it is asked for a little more than what qualifies.
const SLACK: f64 = 0.001;

/// A filter that somebody does not pass. The words are a contract: they stand in rows and in what `explain-match` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Excluded {
    /// The profile is not complete, says nothing, or is gone.
    Incomplete,
    /// The account is not active.
    Inactive,
    /// They work, or do not want to.
    Unavailable,
    /// It is their own job.
    OwnJob,
    /// They were not seen in the seven days before the job's change.
    NotSeen,
    /// More than three in ten of their ratings are bad.
    BadRatings,
    /// The job pays less than they work for.
    RateBelowMinimum,
    /// The texts mean different things.
    Dissimilar,
}

impl Excluded {
    /// Every filter, in the order in which they are applied and named.
    pub const ALL: [Self; 8] = [
        Self::Incomplete,
        Self::Inactive,
        Self::Unavailable,
        Self::OwnJob,
        Self::NotSeen,
        Self::BadRatings,
        Self::RateBelowMinimum,
        Self::Dissimilar,
    ];

    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Incomplete => Absent::Incomplete.word(),
            Self::Inactive => Absent::Inactive.word(),
            Self::Unavailable => "unavailable",
            Self::OwnJob => "own-job",
            Self::NotSeen => "not-seen",
            Self::BadRatings => "bad-ratings",
            Self::RateBelowMinimum => "rate-below-minimum",
            Self::Dissimilar => "dissimilar",
        }
    }
}

/// A job with what people are compared with.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose job it is.
    pub employer_id: String,
    /// Where it is.
    pub district: Option<String>,
    /// What an hour is paid.
    pub hourly_rate: f64,
    /// When the change happened that is scored. Not the wall clock: a replay decides the same.
    pub as_of: OffsetDateTime,
    /// What its text means.
    pub embedding: Embedding,
}

impl Wanted {
    /// Of a job at a time.
    pub fn of(job: &Job, as_of: OffsetDateTime, embedding: Embedding) -> Self {
        Self {
            employer_id: job.employer_id.clone(),
            district: job.district.clone(),
            hourly_rate: job.hourly_rate,
            as_of,
            embedding,
        }
    }

    fn seen_since(&self) -> i64 {
        millis(self.as_of).saturating_sub(SEEN_WITHIN.whole_milliseconds() as i64)
    }
}

/// The score with every component: 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The cosine, −1 to 1.
    pub similarity: f64,
    /// 0 to 50.
    pub semantic: f64,
    /// 0 or 30.
    pub district: f64,
    /// 0 to 20.
    pub rate: f64,
}

impl Score {
    /// The sum of the components.
    pub fn total(&self) -> f64 {
        self.semantic + self.district + self.rate
    }
}

/// The cosine of the angle between two vectors, in f64, summed in the order of the numbers: the same on every machine. Vectors of other
/// dimensions mean nothing to each other.
pub fn cosine(left: &Embedding, right: &Embedding) -> f64 {
    if left.dimensions() != right.dimensions() {
        return 0.0;
    }
    let (mut product, mut lefts, mut rights) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (x, y) in left.values().iter().zip(right.values()) {
        let (x, y) = (f64::from(*x), f64::from(*y));
        product += x * y;
        lefts += x * x;
        rights += y * y;
    }
    let lengths = lefts.sqrt() * rights.sqrt();
    if lengths == 0.0 {
        return 0.0;
    }
    (product / lengths).clamp(-1.0, 1.0)
}

/// Whether more than three in ten of somebody's ratings are bad. No ratings are not bad.
pub fn is_badly_rated(ratings: &Ratings) -> bool {
    let bad = u128::from(ratings.bad);
    let all = u128::from(ratings.good) + u128::from(ratings.neutral) + bad;
    10 * bad > BAD_OF_TEN * all
}

/// The share of bad ratings; 0 without any.
pub fn bad_share(ratings: &Ratings) -> f64 {
    let all = ratings.good as f64 + ratings.neutral as f64 + ratings.bad as f64;
    if all == 0.0 {
        return 0.0;
    }
    ratings.bad as f64 / all
}

/// 0 at the least rate of the range, 20 at or above the greatest, linear between. Without a range any rate is as good as it can be.
pub fn rate_points(rate: f64, range: Option<RateRange>) -> f64 {
    let Some(RateRange { min, max }) = range else {
        return RATE_POINTS;
    };
    if rate >= max {
        return RATE_POINTS;
    }
    if rate < min {
        return 0.0;
    }
    let points = (rate - min) / (max - min) * RATE_POINTS;
    // Tables know no numbers that are as small as the least of f64.
    if points < 1e-9 { 0.0 } else { points }
}

/// The score, whatever the filters say.
pub fn score(wanted: &Wanted, profile: &Profile) -> Score {
    let embedding = profile.embedding.as_ref();
    let similarity = embedding.map_or(0.0, |own| cosine(&wanted.embedding, own));
    let preferred = wanted
        .district
        .as_ref()
        .is_some_and(|district| profile.districts.contains(district));
    Score {
        similarity,
        semantic: SEMANTIC_POINTS * similarity,
        district: if preferred { DISTRICT_POINTS } else { 0.0 },
        rate: rate_points(wanted.hourly_rate, profile.rates),
    }
}

/// Whether somebody does not pass a filter. `similarity` is the score's.
pub fn is_excluded(by: Excluded, wanted: &Wanted, profile: &Profile, similarity: f64) -> bool {
    match by {
        // Whatever keeps a profile out of the index and is not the account's standing: malformed rows too.
        Excluded::Incomplete => {
            !profile.present && profile.excluded.as_deref() != Some(Absent::Inactive.word())
        }
        Excluded::Inactive => profile.excluded.as_deref() == Some(Absent::Inactive.word()),
        Excluded::Unavailable => !profile.available,
        Excluded::OwnJob => profile.user_id == wanted.employer_id,
        Excluded::NotSeen => profile
            .last_seen
            .is_none_or(|seen| seen < wanted.seen_since()),
        Excluded::BadRatings => is_badly_rated(&profile.ratings),
        Excluded::RateBelowMinimum => profile
            .rates
            .is_some_and(|range| wanted.hourly_rate < range.min),
        Excluded::Dissimilar => similarity < LEAST_SIMILARITY,
    }
}

/// Every filter that somebody does not pass, in order. Of a profile that is not in the index nothing else is known.
pub fn excluded_by(wanted: &Wanted, profile: &Profile) -> Vec<Excluded> {
    let similarity = score(wanted, profile).similarity;
    let excluded = Excluded::ALL
        .into_iter()
        .filter(|by| is_excluded(*by, wanted, profile, similarity));
    if profile.present {
        excluded.collect()
    } else {
        excluded.take(1).collect()
    }
}

/// The score of somebody who passes every filter; else the first that they do not pass.
///
/// # Errors
/// That filter.
pub fn judge(wanted: &Wanted, profile: &Profile) -> Result<Score, Excluded> {
    let score = score(wanted, profile);
    let excluded = Excluded::ALL
        .into_iter()
        .find(|by| is_excluded(*by, wanted, profile, score.similarity));
    match excluded {
        None => Ok(score),
        Some(by) => Err(by),
    }
}

/// Best first; equal scores by id. The rank is the place, from 1.
pub fn ranked(mut people: Vec<(String, Score)>) -> Vec<(String, Score)> {
    people.sort_by(|(left_id, left), (right_id, right)| {
        right
            .total()
            .total_cmp(&left.total())
            .then_with(|| left_id.cmp(right_id))
    });
    people
}

/// Fields of a point in the index of profiles.
pub mod field {
    /// Whether they are available: a flag.
    pub const AVAILABLE: &str = "available";
    /// When they were last seen, in milliseconds since 1970: a number.
    pub const LAST_SEEN: &str = "lastSeen";
    /// The share of bad ratings: a number.
    pub const BAD_SHARE: &str = "badShare";
    /// The least rate they work for: a number.
    pub const RATE_MIN: &str = "rateMin";
    /// Who they are: a word.
    pub const USER_ID: &str = "userId";
}

/// What the index is asked: nobody who qualifies is left out, and some who do not may come with them.
pub fn proposed(wanted: &Wanted) -> (Filter, f32) {
    let filter = Filter::All(vec![
        Filter::Is(field::AVAILABLE, Field::Flag(true)),
        Filter::IsNot(field::USER_ID, Field::Word(wanted.employer_id.clone())),
        Filter::AtLeast(field::LAST_SEEN, wanted.seen_since() as f64),
        Filter::AtMost(field::BAD_SHARE, 0.3 + SLACK),
        Filter::AtMost(field::RATE_MIN, wanted.hourly_rate),
    ]);
    (filter, (LEAST_SIMILARITY - SLACK) as f32)
}

#[cfg(test)]
mod tests;
