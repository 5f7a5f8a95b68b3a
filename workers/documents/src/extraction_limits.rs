//! The limits of extraction, as settings.

use std::time::Duration;

use millrace_cloud::{SettingError, Settings};
use millrace_text::Limits;

const MEBIBYTE: u64 = 1024 * 1024;

/// What the settings say of the limits of extraction; `defaults` where they say nothing.
pub(crate) fn extraction_limits(
    settings: &Settings,
    defaults: &Limits,
) -> Result<Limits, SettingError> {
    let megabytes = |name, default: u64| -> Result<u64, SettingError> {
        let Some(value) = positive(settings, name)? else {
            return Ok(default);
        };
        value
            .checked_mul(MEBIBYTE)
            .ok_or_else(|| invalid(settings, name))
    };
    let seconds = |name, default: Duration| -> Result<Duration, SettingError> {
        Ok(positive(settings, name)?.map_or(default, Duration::from_secs))
    };
    const PAGES: &str = "MILLRACE_EXTRACT_PAGES";
    Ok(Limits {
        input_bytes: megabytes("MILLRACE_EXTRACT_INPUT_MB", defaults.input_bytes)?,
        output_bytes: megabytes("MILLRACE_EXTRACT_TEXT_MB", defaults.output_bytes)?,
        expanded_bytes: megabytes("MILLRACE_EXTRACT_UNPACKED_MB", defaults.expanded_bytes)?,
        memory_bytes: megabytes("MILLRACE_EXTRACT_MEMORY_MB", defaults.memory_bytes)?,
        cpu: seconds("MILLRACE_EXTRACT_CPU_SECONDS", defaults.cpu)?,
        wall: seconds("MILLRACE_EXTRACT_SECONDS", defaults.wall)?,
        pages: match positive(settings, PAGES)? {
            None => defaults.pages,
            Some(pages) => u32::try_from(pages).map_err(|_| invalid(settings, PAGES))?,
        },
    })
}

fn positive(settings: &Settings, name: &'static str) -> Result<Option<u64>, SettingError> {
    if settings.optional(name).is_none() {
        return Ok(None);
    }
    match settings.number(name, 0)? {
        0 => Err(invalid(settings, name)),
        value => Ok(Some(value)),
    }
}

fn invalid(settings: &Settings, name: &'static str) -> SettingError {
    SettingError::Invalid {
        name,
        value: settings.optional(name).unwrap_or_default().to_owned(),
        expected: "a whole number of at least 1 that is not too large",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn limits(settings: &Settings) -> Result<Limits, SettingError> {
        extraction_limits(settings, &Limits::default())
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(limits(&Settings::default()).unwrap(), Limits::default());
    }

    #[test]
    fn each_limit_has_a_setting() {
        let settings = Settings::default()
            .with("MILLRACE_EXTRACT_INPUT_MB", "1")
            .with("MILLRACE_EXTRACT_TEXT_MB", "2")
            .with("MILLRACE_EXTRACT_UNPACKED_MB", "3")
            .with("MILLRACE_EXTRACT_MEMORY_MB", "400")
            .with("MILLRACE_EXTRACT_CPU_SECONDS", "5")
            .with("MILLRACE_EXTRACT_SECONDS", "6")
            .with("MILLRACE_EXTRACT_PAGES", "7");
        let expected = Limits {
            input_bytes: MEBIBYTE,
            output_bytes: 2 * MEBIBYTE,
            expanded_bytes: 3 * MEBIBYTE,
            memory_bytes: 400 * MEBIBYTE,
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(6),
            pages: 7,
        };
        assert_eq!(limits(&settings).unwrap(), expected);
    }

    #[test]
    fn what_is_no_limit_is_refused_by_its_name() {
        for (name, value) in [
            ("MILLRACE_EXTRACT_PAGES", "0"),
            ("MILLRACE_EXTRACT_PAGES", "5000000000"),
            ("MILLRACE_EXTRACT_INPUT_MB", "18446744073709551615"),
            ("MILLRACE_EXTRACT_SECONDS", "ten"),
            ("MILLRACE_EXTRACT_SECONDS", "-1"),
        ] {
            let error = limits(&Settings::default().with(name, value)).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
