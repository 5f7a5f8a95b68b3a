//! Who is a candidate for a job, with what score, in what order: the contract, computed the slow and simple way.
//!
//! Written from the data model (scoring system, rate compatibility, filtering criteria) and from the order and the names of the
//! filters as they are documented, not from the worker: no index, no rows, no streams, nothing shared with it.

use super::people::{Job, Person, Range};

/// Someone is told only if the cosine is this or more.
const NEAR_ENOUGH: f64 = 0.6;
/// Seven days.
const SEEN_WITHIN_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A candidate with every component of the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Who.
    pub id: String,
    /// The cosine of profile and job.
    pub similarity: f64,
    /// 0 to 50.
    pub semantic: f64,
    /// 0 or 30.
    pub district: f64,
    /// 0 to 20.
    pub rate: f64,
    /// 0 to 100.
    pub score: f64,
    /// From 1.
    pub rank: usize,
    /// Whether the cap leaves room.
    pub told: bool,
}

/// Everybody who qualifies, best first; the first `cap` are told.
pub fn candidates(people: &[Person], job: &Job, cap: usize) -> Vec<Candidate> {
    let mut found = Vec::new();
    for person in people {
        if !filters(person, job).is_empty() {
            continue;
        }
        let similarity = cosine(&person.vector, &job.vector);
        let semantic = 50.0 * similarity;
        let district = district_points(person, job);
        let rate = rate_points(person.range, job.rate);
        found.push(Candidate {
            id: person.id.clone(),
            similarity,
            semantic,
            district,
            rate,
            score: semantic + district + rate,
            rank: 0,
            told: false,
        });
    }
    found.sort_by(|a, b| {
        let by_score = b.score.partial_cmp(&a.score).unwrap();
        by_score.then_with(|| a.id.cmp(&b.id))
    });
    for (place, candidate) in found.iter_mut().enumerate() {
        candidate.rank = place + 1;
        candidate.told = place < cap;
    }
    found
}

/// Every filter that keeps this person from being a candidate, by its documented name, in the documented order.
pub fn filters(person: &Person, job: &Job) -> Vec<&'static str> {
    let mut excluded_by = Vec::new();
    if !person.has_profile || !person.complete || person.description.trim().is_empty() {
        excluded_by.push("incomplete");
    }
    if !person.active {
        excluded_by.push("inactive");
    }
    if person.status != "available" {
        excluded_by.push("unavailable");
    }
    if person.id == job.employer {
        excluded_by.push("own-job");
    }
    match person.seen_millis {
        Some(seen) if job.changed_millis - seen <= SEEN_WITHIN_MILLIS => {}
        _ => excluded_by.push("not-seen"),
    }
    let ratings = person.good + person.neutral + person.bad;
    // More than 30 %, in whole numbers.
    if person.bad * 100 > ratings * 30 {
        excluded_by.push("bad-ratings");
    }
    let (minimum, _) = bounds(person.range);
    if job.rate < minimum {
        excluded_by.push("rate-below-minimum");
    }
    if cosine(&person.vector, &job.vector) < NEAR_ENOUGH {
        excluded_by.push("dissimilar");
    }
    excluded_by
}

/// The cosine of the angle between two vectors of any length but zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let mut product = 0.0_f64;
    let mut a_squared = 0.0_f64;
    let mut b_squared = 0.0_f64;
    for place in 0..a.len() {
        let (x, y) = (f64::from(a[place]), f64::from(b[place]));
        product += x * y;
        a_squared += x * x;
        b_squared += y * y;
    }
    (product / (a_squared.sqrt() * b_squared.sqrt())).clamp(-1.0, 1.0)
}

fn district_points(person: &Person, job: &Job) -> f64 {
    match job.district {
        Some(district) if person.districts.contains(&district) => 30.0,
        _ => 0.0,
    }
}

/// What somebody asks for: who says no minimum takes anything, who says no maximum is content with the minimum.
fn bounds(range: Range) -> (f64, f64) {
    match range {
        Range::None => (0.0, 0.0),
        Range::From(minimum) => (minimum, minimum),
        Range::To(maximum) => (0.0, maximum),
        Range::Both(minimum, maximum) => (minimum, maximum),
    }
}

fn rate_points(range: Range, rate: f64) -> f64 {
    let (minimum, maximum) = bounds(range);
    if rate < minimum {
        0.0
    } else if rate >= maximum {
        20.0
    } else {
        (rate - minimum) / (maximum - minimum) * 20.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_worth_what_the_data_model_says() {
        let range = Range::Both(80.0, 150.0);
        for (rate, points) in [
            (79.99, 0.0),
            (80.0, 0.0),
            (115.0, 10.0),
            (150.0, 20.0),
            (500.0, 20.0),
        ] {
            assert_eq!(rate_points(range, rate), points, "{rate}");
        }
        assert_eq!(rate_points(Range::Both(90.0, 90.0), 90.0), 20.0);
        assert_eq!(rate_points(Range::Both(90.0, 90.0), 89.0), 0.0);
        assert_eq!(rate_points(Range::None, 0.0), 20.0);
    }

    #[test]
    fn a_similarity_at_the_boundary_is_near_enough() {
        assert!(cosine(&[0.6, 0.8], &[1.0, 0.0]) >= NEAR_ENOUGH);
        assert!(cosine(&[0.599_999_96, 0.8], &[1.0, 0.0]) < NEAR_ENOUGH);
    }
}
