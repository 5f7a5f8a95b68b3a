//! Settings: what the template hands to a function as environment variables.

use std::collections::BTreeMap;

use thiserror::Error;

/// A set of named values: the process's environment on Lambda, a function's own in the embedded cloud.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

/// A setting that is missing or wrong.
#[derive(Debug, Error)]
pub enum SettingError {
    /// There is no such variable.
    #[error(
        "the setting {name} is missing: set it in the function's environment (see docs/settings.md)"
    )]
    Missing {
        /// The variable's name.
        name: &'static str,
    },
    /// The value does not parse.
    #[error("the setting {name} is {value:?}, which is not {expected}")]
    Invalid {
        /// The variable's name.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Settings {
    /// The process's environment.
    pub fn from_environment() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// These values and no others.
    pub fn from_map(values: BTreeMap<String, String>) -> Self {
        Self(values)
    }

    /// The same with one value replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A value that must be there. An empty one counts as missing.
    pub fn required(&self, name: &'static str) -> Result<&str, SettingError> {
        self.optional(name).ok_or(SettingError::Missing { name })
    }

    /// A value that may be missing.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A number, or the default when it is missing.
    pub fn number<T: std::str::FromStr>(
        &self,
        name: &'static str,
        default: T,
    ) -> Result<T, SettingError> {
        let Some(value) = self.optional(name) else {
            return Ok(default);
        };
        value.parse().map_err(|_| SettingError::Invalid {
            name,
            value: value.to_owned(),
            expected: "a number",
        })
    }
}
