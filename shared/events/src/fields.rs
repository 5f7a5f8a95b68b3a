//! Attributes of a row as values, or a failure that names the attribute.

use std::collections::HashMap;

use serde_dynamo::AttributeValue;
use time::{OffsetDateTime, PrimitiveDateTime, format_description::well_known::Iso8601};

use crate::{Failure, Item, reason};

/// The longest id that is accepted.
const LONGEST_ID: usize = 256;

/// Numbers beyond this are milliseconds: as seconds they would lie in the year 5138.
const LARGEST_SECONDS: f64 = 1e11;

/// The attributes of a row, or of a map in it.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// What the row is, for failures: `users row`, or with the map's path.
    what: &'static str,
    map: Option<&'a HashMap<String, AttributeValue>>,
}

impl<'a> Fields<'a> {
    /// The attributes of this row.
    pub fn of(what: &'static str, item: &'a Item) -> Self {
        let map = Some(item.inner());
        Self { what, map }
    }

    /// The attribute; one that is null counts as not there.
    pub fn get(&self, name: &str) -> Option<&'a AttributeValue> {
        let value = self.map?.get(name)?;
        (!matches!(value, AttributeValue::Null(_))).then_some(value)
    }

    /// What the row is, for failures.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The failure that says that an attribute is not what is expected: `text`, `a number of 0 or more`.
    pub fn wrong(&self, name: &str, expected: &str) -> Failure {
        malformed(format!("`{name}` of the {} is not {expected}", self.what))
    }

    /// Text.
    ///
    /// # Errors
    /// `malformed-row` when it is something else; so for all of these.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "text")),
        }
    }

    /// Yes or no; not there is no.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name) {
            None => Ok(false),
            Some(AttributeValue::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn count(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = number(value).filter(|number| number.fract() == 0.0 && *number >= 0.0);
        let number = number.filter(|number| *number <= 9e15);
        let number = number.ok_or_else(|| self.wrong(name, "a whole number of 0 or more"))?;
        Ok(Some(number as u64))
    }

    /// A finite number.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn number(&self, name: &str) -> Result<Option<f64>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = number(value).ok_or_else(|| self.wrong(name, "a number"))?;
        Ok(Some(number))
    }

    /// A map within; one that is not there has no attributes.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn map(&self, name: &str, what: &'static str) -> Result<Self, Failure> {
        match self.get(name) {
            None => Ok(Self { what, map: None }),
            Some(AttributeValue::M(map)) => Ok(Self {
                what,
                map: Some(map),
            }),
            Some(_) => Err(self.wrong(name, "a map")),
        }
    }

    /// Words, as a list or a set.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn words(&self, name: &str) -> Result<Vec<String>, Failure> {
        let list = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(AttributeValue::Ss(words)) => return Ok(words.clone()),
            Some(AttributeValue::L(list)) => list,
            Some(_) => return Err(self.wrong(name, "a list of words")),
        };
        let word = |value: &AttributeValue| match value {
            AttributeValue::S(word) => Some(word.clone()),
            _ => None,
        };
        let words: Option<Vec<String>> = list.iter().map(word).collect();
        words.ok_or_else(|| self.wrong(name, "a list of words"))
    }

    /// A time: ISO 8601 text (without an offset it is UTC), or seconds or milliseconds since 1970.
    ///
    /// # Errors
    /// `malformed-row`.
    pub fn time(&self, name: &str) -> Result<Option<OffsetDateTime>, Failure> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let time = match value {
            AttributeValue::S(text) => parse_time(text),
            _ => number(value).and_then(since_1970),
        };
        let time = time.ok_or_else(|| self.wrong(name, "a time"))?;
        Ok(Some(time))
    }

    /// An id: text with something in it, not longer than 256 bytes, without control characters.
    ///
    /// # Errors
    /// `malformed-row` when it is missing or no text, `invalid-id` when it is no id.
    pub fn id(&self, name: &str) -> Result<String, Failure> {
        let Some(id) = self.text(name)? else {
            return Err(malformed(format!("the {} has no `{name}`", self.what)));
        };
        check_id(id)
            .map_err(|why| {
                Failure::permanent(
                    reason::INVALID_ID,
                    format!("`{name}` of the {} {why}", self.what),
                )
            })
            .map(|()| id.to_owned())
    }
}

fn check_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() {
        return Err("is empty");
    }
    if id.len() > LONGEST_ID {
        return Err("is longer than 256 bytes");
    }
    if id.chars().any(char::is_control) {
        return Err("has control characters");
    }
    Ok(())
}

/// The number, if it is one and finite.
pub fn number(value: &AttributeValue) -> Option<f64> {
    let AttributeValue::N(text) = value else {
        return None;
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    let with_offset = OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok();
    with_offset.or_else(|| {
        let utc = PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).ok()?;
        Some(utc.assume_utc())
    })
}

fn since_1970(number: f64) -> Option<OffsetDateTime> {
    let seconds = if number.abs() > LARGEST_SECONDS {
        number / 1000.0
    } else {
        number
    };
    // Saturates instead of overflowing; what is out of range is no time.
    let millis = (seconds * 1000.0).round() as i128;
    OffsetDateTime::from_unix_timestamp_nanos(millis.saturating_mul(1_000_000)).ok()
}

/// A permanent failure: the row is not as the data model says.
pub fn malformed(message: impl Into<String>) -> Failure {
    Failure::permanent(reason::MALFORMED_ROW, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::{Value, json};

    use super::*;

    fn item(value: Value) -> Item {
        serde_json::from_value(value).unwrap()
    }

    fn time_of(value: Value) -> Result<Option<i64>, &'static str> {
        let item = item(json!({"at": value}));
        let time = Fields::of("row", &item).time("at");
        time.map(|time| time.map(|time| time.unix_timestamp()))
            .map_err(|failure| failure.reason().code())
    }

    #[test]
    fn times_are_read_in_every_form_that_the_platform_may_write() {
        let expected = Ok(Some(1_795_233_600));
        for value in [
            json!({"S": "2026-11-21T04:00:00.000Z"}),
            json!({"S": "2026-11-21T04:00:00Z"}),
            json!({"S": "2026-11-21T12:00:00+08:00"}),
            json!({"S": "2026-11-21T04:00:00"}),
            json!({"N": "1795233600"}),
            json!({"N": "1795233600000"}),
        ] {
            assert_eq!(time_of(value.clone()), expected, "{value}");
        }
        assert_eq!(time_of(json!({"NULL": true})), Ok(None));
        for value in [
            json!({"S": "yesterday"}),
            json!({"S": ""}),
            json!({"BOOL": true}),
            json!({"N": "1e300"}),
        ] {
            assert_eq!(time_of(value.clone()), Err("malformed-row"), "{value}");
        }
    }

    #[test]
    fn failures_name_the_attribute() {
        let item = item(json!({"isActive": {"S": "true"}, "userId": {"S": ""}}));
        let fields = Fields::of("users row", &item);
        let failure = fields.flag("isActive").unwrap_err();
        assert_eq!(failure.reason(), reason::MALFORMED_ROW);
        assert!(failure.message().contains("`isActive` of the users row"));
        let failure = fields.id("userId").unwrap_err();
        assert_eq!(failure.reason(), reason::INVALID_ID);
    }
}
