//! Schedule expressions of EventBridge rules: `rate(…)` and `cron(…)`, in UTC.
//!
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>. `L`, `W` and `#` are not
//! known here and are refused.

use std::collections::BTreeSet;

use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset};

use crate::times;

const MILLIS_PER_SECOND: i64 = 1_000;
const YEARS: std::ops::RangeInclusive<u16> = 1970..=2199;
const MONTHS: &[&str] = &[
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// When a rule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    expression: String,
    times: Times,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Times {
    /// Every so many milliseconds, counted from when the rule was made.
    Rate(i64),
    Cron(Box<Cron>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cron {
    minutes: BTreeSet<u16>,
    hours: BTreeSet<u16>,
    /// `None` for `?` and `*`.
    days_of_month: Option<BTreeSet<u16>>,
    months: BTreeSet<u16>,
    /// 1 is Sunday; `None` for `?` and `*`.
    days_of_week: Option<BTreeSet<u16>>,
    years: BTreeSet<u16>,
}

impl Schedule {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(expression: &str) -> Result<Self, String> {
        let inside = |kind: &str| {
            let rest = expression.strip_prefix(kind)?.strip_prefix('(')?;
            rest.strip_suffix(')')
        };
        let times = if let Some(rate) = inside("rate") {
            Times::Rate(rate_millis(rate)?)
        } else if let Some(cron) = inside("cron") {
            Times::Cron(Box::new(Cron::parse(cron)?))
        } else {
            return Err(format!(
                "{expression:?} is neither rate(VALUE UNIT) nor cron(MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR)"
            ));
        };
        Ok(Self {
            expression: expression.to_owned(),
            times,
        })
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The first time after `millis`; `None` if there is none any more. A rate counts from `from`.
    pub fn next_after(&self, millis: i64, from: i64) -> Option<i64> {
        match &self.times {
            Times::Rate(period) => Some(from + ((millis - from).div_euclid(*period) + 1) * period),
            Times::Cron(cron) => cron.next_after(times::moment(millis)),
        }
    }

    /// The last time up to and including `millis`, if it is later than `after`. A rate counts from `from`.
    pub fn latest(&self, after: i64, millis: i64, from: i64) -> Option<i64> {
        let latest = match &self.times {
            Times::Rate(period) => from + (millis - from).div_euclid(*period) * period,
            Times::Cron(cron) => cron.latest(times::moment(after), times::moment(millis))?,
        };
        (latest > after).then_some(latest)
    }
}

fn rate_millis(text: &str) -> Result<i64, String> {
    let refused = || {
        format!(
            "rate({text}) is no rate: a whole number and minute, minutes, hour, hours, day or days"
        )
    };
    let (value, unit) = text.split_once(' ').ok_or_else(refused)?;
    let value: i64 = value.parse().map_err(|_| refused())?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return Err(refused()),
    };
    // EventBridge refuses `rate(1 minutes)` and `rate(5 minute)`.
    let says_many = unit.ends_with('s');
    if value < 1 || says_many != (value > 1) {
        return Err(refused());
    }
    value
        .checked_mul(seconds * MILLIS_PER_SECOND)
        .ok_or_else(refused)
}

impl Cron {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, day, month, weekday, year] = fields[..] else {
            return Err(format!(
                "cron({text}) has {} fields, not six: minutes, hours, day of month, month, day of week, year",
                fields.len()
            ));
        };
        if (day == "?") == (weekday == "?") {
            return Err(format!(
                "cron({text}): exactly one of day of month and day of week must be ?"
            ));
        }
        let days = |text: &str, name, range, words| match text {
            "?" | "*" => Ok(None),
            some => field(name, some, range, words).map(Some),
        };
        Ok(Self {
            minutes: field("minutes", minutes, 0..=59, &[])?,
            hours: field("hours", hours, 0..=23, &[])?,
            days_of_month: days(day, "day of month", 1..=31, &[])?,
            months: field("month", month, 1..=12, MONTHS)?,
            days_of_week: days(weekday, "day of week", 1..=7, WEEKDAYS)?,
            years: field("year", year, YEARS, &[])?,
        })
    }

    fn has_day(&self, date: Date) -> bool {
        let has = |set: &Option<BTreeSet<u16>>, value: u8| {
            set.as_ref()
                .is_none_or(|set| set.contains(&u16::from(value)))
        };
        self.months.contains(&u16::from(u8::from(date.month())))
            && has(&self.days_of_month, date.day())
            && has(&self.days_of_week, date.weekday().number_from_sunday())
    }

    fn times(&self) -> impl DoubleEndedIterator<Item = Time> + '_ {
        self.hours.iter().flat_map(|hour| {
            self.minutes.iter().filter_map(|minute| {
                Time::from_hms(u8::try_from(*hour).ok()?, u8::try_from(*minute).ok()?, 0).ok()
            })
        })
    }

    fn next_after(&self, moment: OffsetDateTime) -> Option<i64> {
        let mut date = moment.date();
        let last_year = i32::from(*self.years.last()?);
        while date.year() <= last_year {
            if !self.has_year(date) {
                date = Date::from_calendar_date(date.year() + 1, Month::January, 1).ok()?;
                continue;
            }
            if self.has_day(date) {
                let mut moments = self.times().map(|time| at(date, time));
                if let Some(next) = moments.find(|candidate| *candidate > moment) {
                    return Some(millis(next));
                }
            }
            date = date.next_day()?;
        }
        None
    }

    /// The last time in `(after, through]`.
    fn latest(&self, after: OffsetDateTime, through: OffsetDateTime) -> Option<i64> {
        let mut date = through.date();
        while date >= after.date() {
            if self.has_year(date) && self.has_day(date) {
                let mut moments = self.times().rev().map(|time| at(date, time));
                if let Some(latest) = moments.find(|candidate| *candidate <= through) {
                    return Some(millis(latest));
                }
            }
            date = date.previous_day()?;
        }
        None
    }

    fn has_year(&self, date: Date) -> bool {
        u16::try_from(date.year()).is_ok_and(|year| self.years.contains(&year))
    }
}

fn at(date: Date, time: Time) -> OffsetDateTime {
    OffsetDateTime::new_in_offset(date, time, UtcOffset::UTC)
}

fn millis(moment: OffsetDateTime) -> i64 {
    (moment - OffsetDateTime::UNIX_EPOCH).whole_seconds()
        * (Duration::SECOND.whole_milliseconds() as i64)
}

/// The values of a field: `*`, or a list of values, ranges and steps (`0/15`, `8-17/3`).
fn field(
    name: &str,
    text: &str,
    range: std::ops::RangeInclusive<u16>,
    words: &[&str],
) -> Result<BTreeSet<u16>, String> {
    let refused = |part: &str| {
        format!(
            "{part:?} is no {name}: numbers from {} to {}, with , - * / between them",
            range.start(),
            range.end()
        )
    };
    let value = |part: &str| {
        let upper = part.to_ascii_uppercase();
        let word = words.iter().position(|word| *word == upper);
        let number = match word {
            Some(position) => u16::try_from(position + 1).ok(),
            None => part.parse().ok(),
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| refused(part))
    };
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            None => (part, None),
            Some((span, step)) => {
                let step = step.parse::<usize>().ok().filter(|step| *step > 0);
                (span, Some(step.ok_or_else(|| refused(part))?))
            }
        };
        let (first, last) = if span == "*" {
            (*range.start(), *range.end())
        } else if let Some((first, last)) = span.split_once('-') {
            (value(first)?, value(last)?)
        } else {
            let first = value(span)?;
            (first, step.map_or(first, |_| *range.end()))
        };
        if first > last {
            return Err(refused(part));
        }
        values.extend((first..=last).step_by(step.unwrap_or(1)));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> i64 {
        let parsed =
            OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap();
        millis(parsed)
    }

    #[track_caller]
    fn next(expression: &str, after: &str) -> String {
        let schedule = Schedule::parse(expression).unwrap();
        let next = schedule.next_after(moment(after), moment("2026-11-21T00:00:00Z"));
        next.map_or_else(|| "never".to_owned(), times::with_seconds)
    }

    #[test]
    fn expressions_of_the_documentation_run_when_it_says() {
        // Examples of the user guide, in UTC; 2026-11-21 is a Saturday.
        for (expression, after, expected) in [
            (
                "cron(0 10 * * ? *)",
                "2026-11-21T10:00:00Z",
                "2026-11-22T10:00:00Z",
            ),
            (
                "cron(15 12 * * ? *)",
                "2026-11-21T12:14:59Z",
                "2026-11-21T12:15:00Z",
            ),
            (
                "cron(0 18 ? * MON-FRI *)",
                "2026-11-20T18:00:00Z",
                "2026-11-23T18:00:00Z",
            ),
            (
                "cron(0 8 1 * ? *)",
                "2026-11-21T00:00:00Z",
                "2026-12-01T08:00:00Z",
            ),
            (
                "cron(0/15 * * * ? *)",
                "2026-11-21T23:45:00Z",
                "2026-11-22T00:00:00Z",
            ),
            (
                "cron(0/5 8-17 ? * 2-6 *)",
                "2026-11-20T17:55:00Z",
                "2026-11-23T08:00:00Z",
            ),
            (
                "cron(0 0 29 2 ? *)",
                "2026-11-21T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            (
                "cron(0 9 ? 1,7 SUN 2027)",
                "2026-11-21T00:00:00Z",
                "2027-01-03T09:00:00Z",
            ),
            ("cron(0 9 1 1 ? 2026)", "2026-11-21T00:00:00Z", "never"),
            (
                "rate(1 day)",
                "2026-11-21T00:00:00Z",
                "2026-11-22T00:00:00Z",
            ),
            (
                "rate(5 minutes)",
                "2026-11-21T00:07:00Z",
                "2026-11-21T00:10:00Z",
            ),
        ] {
            assert_eq!(next(expression, after), expected, "{expression}");
        }
    }

    #[test]
    fn what_eventbridge_refuses_is_refused() {
        for expression in [
            "",
            "daily",
            "rate(1 days)",
            "rate(2 day)",
            "rate(0 minutes)",
            "rate(5 seconds)",
            "rate(five minutes)",
            "cron(0 10 * * *)",
            "cron(0 10 * * * *)",
            "cron(0 10 ? * ? *)",
            "cron(60 10 * * ? *)",
            "cron(0 24 * * ? *)",
            "cron(0 10 0 * ? *)",
            "cron(0 10 * 13 ? *)",
            "cron(0 10 ? * 8 *)",
            "cron(0 10 * * ? 1969)",
            "cron(30-10 10 * * ? *)",
            "cron(*/0 10 * * ? *)",
            "cron(0 10 L * ? *)",
            "cron(0 10 ? * 6#3 *)",
        ] {
            assert!(Schedule::parse(expression).is_err(), "{expression}");
        }
    }

    proptest! {
        /// Next and latest are two views of the same times.
        #[test]
        fn what_comes_next_is_the_latest_when_it_has_come(
            expression in prop_oneof![
                Just("rate(7 minutes)"), Just("cron(0/7 3,9-17 * * ? *)"), Just("cron(5 0 ? * MON,SAT *)"),
                Just("cron(0 12 31 * ? *)"),
            ],
            from in 1_700_000_000_000_i64..1_900_000_000_000,
            gap in 0_i64..10_000_000_000,
        ) {
            let schedule = Schedule::parse(expression).unwrap();
            let next = schedule.next_after(from + gap, from).unwrap();
            prop_assert!(next > from + gap);
            prop_assert_eq!(schedule.latest(from, next, from), Some(next));
            prop_assert_eq!(schedule.latest(from + gap, next - 1, from), None);
            let following = schedule.next_after(next, from).unwrap();
            prop_assert_eq!(schedule.latest(from, following - 1, from), Some(next));
        }
    }
}
