//! Numbers as people read them: dates are numbers in a workbook, and only the format tells.

const SECONDS_OF_DAY: i64 = 86_400;
/// The first day after the last that Excel knows: 1 January 10000.
const DAYS: f64 = 2_958_466.0;
/// Between the day 0 of workbooks that count from 1904 and those that count from 1900.
const DAYS_TO_1904: i64 = 1_462;
/// The day that Excel believes in and that never was: 29 February 1900.
const NO_DAY: i64 = 60;
/// From 30 December 1899 to 1 January 1970.
const DAYS_TO_1970: i64 = 25_569;

/// How a number is shown, as far as it makes a difference to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum NumberFormat {
    #[default]
    Plain,
    Percent,
    Date,
    Time,
    DateAndTime,
    /// Hours may be more than 24.
    Duration,
}

impl NumberFormat {
    /// The formats that every Excel has; from 27 on those of East Asia.
    pub(super) fn built_in(id: u32) -> Self {
        match id {
            9 | 10 => Self::Percent,
            14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => Self::Date,
            18..=21 | 32..=35 | 45 | 47 | 55 | 56 => Self::Time,
            22 => Self::DateAndTime,
            46 => Self::Duration,
            _ => Self::Plain,
        }
    }

    /// Reads a format code. Only its first section counts, which is for positive numbers.
    pub(super) fn of_code(code: &str) -> Self {
        let letters = significant_letters(code);
        if letters.elapsed {
            return Self::Duration;
        }
        let letters = letters.rest.to_ascii_lowercase();
        let general = letters.contains("general") || letters.contains("standard");
        if general || letters.contains('#') {
            return if letters.contains('%') {
                Self::Percent
            } else {
                Self::Plain
            };
        }
        let letters = letters.replace("am/pm", "").replace("a/p", "");
        let time = letters.contains(['h', 's']);
        let date = letters.contains(['y', 'd']) || (letters.contains('m') && !time);
        match (date, time) {
            (true, true) => Self::DateAndTime,
            (true, false) => Self::Date,
            (false, true) => Self::Time,
            (false, false) if letters.contains('%') => Self::Percent,
            (false, false) => Self::Plain,
        }
    }

    /// A number as it stands in the file, as people read it.
    pub(super) fn show(self, raw: &str, since_1904: bool) -> String {
        let raw = raw.trim();
        let Ok(number) = raw.parse::<f64>() else {
            return raw.to_owned();
        };
        if self == Self::Percent && number.is_finite() {
            return format!("{}%", shortest(number * 100.0));
        }
        if self != Self::Plain && (0.0..DAYS).contains(&number) {
            return self.show_moment(number, since_1904);
        }
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole || !number.is_finite() {
            return raw.to_owned();
        }
        shortest(number)
    }

    fn show_moment(self, number: f64, since_1904: bool) -> String {
        // The number is below three million: nothing is lost.
        let seconds = (number * SECONDS_OF_DAY as f64).round() as i64;
        let (day, second) = (seconds / SECONDS_OF_DAY, seconds % SECONDS_OF_DAY);
        let date = || {
            let day = if since_1904 { day + DAYS_TO_1904 } else { day };
            date_of(day)
        };
        match self {
            Self::Date => date(),
            Self::DateAndTime => format!("{} {}", date(), clock(second)),
            Self::Duration => clock(seconds),
            // A time of a day that the format does not show.
            Self::Time => clock(second),
            Self::Plain | Self::Percent => shortest(number),
        }
    }
}

struct Letters {
    /// What is neither quoted nor escaped nor in brackets.
    rest: String,
    /// There are hours, minutes or seconds in brackets.
    elapsed: bool,
}

fn significant_letters(code: &str) -> Letters {
    let mut letters = Letters {
        rest: String::new(),
        elapsed: false,
    };
    let mut characters = code.chars();
    while let Some(character) = characters.next() {
        match character {
            ';' => break,
            '"' => {
                characters.by_ref().find(|&other| other == '"');
            }
            // The next one is itself, as wide as a gap, or repeated.
            '\\' | '_' | '*' => {
                characters.next();
            }
            '[' => {
                let inside: String = characters.by_ref().take_while(|&c| c != ']').collect();
                let unit = inside.to_ascii_lowercase();
                let same = !unit.is_empty() && unit.chars().all(|c| unit.starts_with(c));
                letters.elapsed |= same && unit.starts_with(['h', 'm', 's']);
            }
            other => letters.rest.push(other),
        }
    }
    letters
}

/// Fifteen digits, as Excel shows and computes: 0.1 + 0.2 is 0.3.
fn shortest(number: f64) -> String {
    let rounded = format!("{number:.14e}").parse().unwrap_or(number);
    if rounded == 0.0 {
        return "0".to_owned();
    }
    if (1e-9..1e15).contains(&rounded.abs()) {
        format!("{rounded}")
    } else {
        format!("{rounded:E}")
    }
}

/// Hours, minutes, and seconds if there are some.
fn clock(seconds: i64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds % 60 {
        0 => format!("{hours:02}:{minutes:02}"),
        seconds => format!("{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// The date of a day counted from the end of 1899, as Excel counts.
fn date_of(day: i64) -> String {
    let (year, month, day) = match day {
        NO_DAY => (1900, 2, 29),
        // Before the day that never was, it counts from 31 December.
        _ if day < NO_DAY => civil(day + 1),
        _ => civil(day),
    };
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a day counted from 30 December 1899.
///
/// Years are taken to begin with March, so that the leap day is the last one of its year; four
/// hundred of them have 146,097 days.
fn civil(day: i64) -> (i64, i64, i64) {
    // From 1 March of the year 0.
    let day = day - DAYS_TO_1970 + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March: of 31, 30, 31, 30, 31 days, and again.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year;
    if month < 10 {
        (year, month + 3, day_of_month)
    } else {
        (year + 1, month - 9, day_of_month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_by_serial_number() {
        let date = |raw: &str| NumberFormat::Date.show(raw, false);
        assert_eq!(date("1"), "1900-01-01");
        assert_eq!(date("59"), "1900-02-28");
        assert_eq!(date("60"), "1900-02-29");
        assert_eq!(date("61"), "1900-03-01");
        assert_eq!(date("25569"), "1970-01-01");
        assert_eq!(date("45351"), "2024-02-29");
        assert_eq!(date("46082"), "2026-03-01");
        assert_eq!(date("2958465"), "9999-12-31");
        assert_eq!(date("2958466"), "2958466");
        assert_eq!(date("-1"), "-1");
        assert_eq!(NumberFormat::Date.show("0", true), "1904-01-01");
        assert_eq!(
            NumberFormat::DateAndTime.show("46082.60416666", false),
            "2026-03-01 14:30"
        );
        assert_eq!(NumberFormat::Time.show("0.5006944", false), "12:01");
        assert_eq!(NumberFormat::Duration.show("1.25", false), "30:00");
    }

    #[test]
    fn plain_numbers() {
        let plain = |raw: &str| NumberFormat::Plain.show(raw, false);
        assert_eq!(plain("0.30000000000000004"), "0.3");
        assert_eq!(plain("8250"), "8250");
        assert_eq!(plain("-12"), "-12");
        assert_eq!(plain("12345678901234567890"), "12345678901234567890");
        assert_eq!(plain("1.5E+20"), "1.5E20");
        assert_eq!(plain("1E-3"), "0.001");
        assert_eq!(plain("no number"), "no number");
        assert_eq!(plain("NaN"), "NaN");
        assert_eq!(NumberFormat::Percent.show("0.07", false), "7%");
    }

    #[test]
    fn format_codes() {
        let cases = [
            ("General", NumberFormat::Plain),
            ("#,##0.00 \"days\"", NumberFormat::Plain),
            ("0.00E+00", NumberFormat::Plain),
            ("0\\d", NumberFormat::Plain),
            ("[Red]0.0%;-0.0%", NumberFormat::Percent),
            ("yyyy\"年\"m\"月\"d\"日\"", NumberFormat::Date),
            ("[$-409]d-mmm-yy;@", NumberFormat::Date),
            ("mmmm", NumberFormat::Date),
            ("h:mm AM/PM", NumberFormat::Time),
            ("mm:ss.0", NumberFormat::Time),
            ("m/d/yy h:mm", NumberFormat::DateAndTime),
            ("[hh]:mm", NumberFormat::Duration),
            ("@", NumberFormat::Plain),
            ("\"unclosed", NumberFormat::Plain),
            ("[h", NumberFormat::Duration),
        ];
        for (code, format) in cases {
            assert_eq!(NumberFormat::of_code(code), format, "{code}");
        }
    }
    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..proptest::test_runner::Config::default() })]

        #[test]
        fn no_format_and_no_number_is_too_much(code: String, raw: String, number: f64, since_1904: bool) {
            let format = NumberFormat::of_code(&code);
            format.show(&raw, since_1904);
            for format in [format, NumberFormat::DateAndTime, NumberFormat::Duration] {
                proptest::prop_assert!(format.show(&number.to_string(), since_1904).len() < 400);
            }
        }

        #[test]
        fn dates_follow_each_other(day in 61_i64..2_958_465) {
            let (year, month, of_month) = civil(day);
            proptest::prop_assert!((1900..=9999).contains(&year));
            proptest::prop_assert!((1..=12).contains(&month) && (1..=31).contains(&of_month));
            proptest::prop_assert!(civil(day + 1) > civil(day));
        }
    }
}
