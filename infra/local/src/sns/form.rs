//! The query protocol: form fields in, XML out.
//!
//! Lists come as `Name.member.1`, maps as `Name.entry.1.key` and
//! `Name.entry.1.value`; some maps use other words for key and value.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::error::ServiceError;

/// The fields of a form, by name.
#[derive(Debug, Default)]
pub(crate) struct Form {
    fields: BTreeMap<String, String>,
}

impl Form {
    /// Reads `a=b&c=d`.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let fields = body.split('&').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decode(name), decode(value)))
        });
        Self {
            fields: fields.collect(),
        }
    }

    /// A field, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// A field that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ServiceError> {
        self.get(name).ok_or_else(|| {
            ServiceError::client(
                "InvalidParameter",
                format!("Invalid parameter: {name} is missing"),
            )
        })
    }

    /// The fields below `prefix.1`, `prefix.2`, …, each with its prefix taken
    /// off; values of plain lists have an empty name.
    pub(crate) fn list(&self, prefix: &str) -> Vec<Form> {
        (1..)
            .map(|position| self.below(&format!("{prefix}.{position}")))
            .take_while(|form| !form.fields.is_empty())
            .collect()
    }

    /// The fields below `prefix`.
    fn below(&self, prefix: &str) -> Form {
        let fields = self.fields.iter().filter_map(|(name, value)| {
            let rest = name.strip_prefix(prefix)?;
            let rest = if rest.is_empty() {
                rest
            } else {
                rest.strip_prefix('.')?
            };
            Some((rest.to_owned(), value.clone()))
        });
        Form {
            fields: fields.collect(),
        }
    }

    /// A map of texts below `name.entry`.
    pub(crate) fn map(&self, name: &str) -> BTreeMap<String, String> {
        let entries = self.list(&format!("{name}.entry"));
        let pairs = entries.iter().filter_map(|entry| {
            Some((entry.get("key")?.to_owned(), entry.get("value")?.to_owned()))
        });
        pairs.collect()
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Text as it may stand between tags.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_are_found_by_their_prefixes() {
        let form = Form::parse(
            b"Action=Publish&A.entry.1.key=a+b&A.entry.1.value=%26&A.entry.2.key=c&A.entry.2.value=&L.member.1=x&L.member.2=y",
        );
        assert_eq!(form.get("Action"), Some("Publish"));
        let map = form.map("A");
        assert_eq!(map.get("a b").map(String::as_str), Some("&"));
        assert_eq!(map.get("c").map(String::as_str), Some(""));
        let list: Vec<String> = form
            .list("L.member")
            .iter()
            .filter_map(|item| item.get("").map(str::to_owned))
            .collect();
        assert_eq!(list, ["x", "y"]);
        assert!(form.required("Topic").is_err());
    }
}
