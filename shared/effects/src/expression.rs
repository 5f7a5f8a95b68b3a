//! Condition and update expressions, built from values instead of text.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// Attribute names and values as DynamoDB carries a row or a key.
pub type Row = HashMap<String, AttributeValue>;

/// A key of one or two text attributes.
pub fn key<const N: usize>(parts: [(&str, &str); N]) -> Row {
    parts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())))
        .collect()
}

/// What must be true of a row for a write to take place. Paths may be nested: `metadata.title`.
#[derive(Debug, Clone)]
pub enum When {
    /// The attribute is not there (for a key attribute: the row is not there).
    Absent(&'static str),
    /// The attribute is there.
    Present(&'static str),
    /// It has this value.
    Equal(&'static str, AttributeValue),
    /// It has another value.
    NotEqual(&'static str, AttributeValue),
    /// It is less than this value.
    Less(&'static str, AttributeValue),
    /// It is this value or less.
    AtMost(&'static str, AttributeValue),
    /// Any of these.
    Any(Vec<When>),
    /// All of these.
    All(Vec<When>),
}

impl When {
    /// Holds whatever the row is. A commit without a guard is a mistake: this is for mutations.
    #[doc(hidden)]
    pub fn whatever(attribute: &'static str) -> Self {
        Self::Any(vec![Self::Absent(attribute), Self::Present(attribute)])
    }
}

/// Collects the placeholders of one request.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Row,
}

impl Placeholders {
    /// `#n0.#n1` for `metadata.title`.
    pub(crate) fn path(&mut self, path: &str) -> String {
        let parts: Vec<String> = path.split('.').map(|part| self.name(part)).collect();
        parts.join(".")
    }

    /// `#n0` for an attribute of this name, whatever is in it.
    pub(crate) fn name(&mut self, name: &str) -> String {
        if let Some((placeholder, _)) = self.names.iter().find(|(_, known)| *known == name) {
            return placeholder.clone();
        }
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    pub(crate) fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(crate) fn condition(&mut self, when: &When) -> String {
        match when {
            When::Absent(path) => format!("attribute_not_exists({})", self.path(path)),
            When::Present(path) => format!("attribute_exists({})", self.path(path)),
            When::Equal(path, value) => self.compare(path, "=", value),
            When::NotEqual(path, value) => self.compare(path, "<>", value),
            When::Less(path, value) => self.compare(path, "<", value),
            When::AtMost(path, value) => self.compare(path, "<=", value),
            When::Any(parts) => self.joined(parts, " OR "),
            When::All(parts) => self.joined(parts, " AND "),
        }
    }

    fn compare(&mut self, path: &str, operator: &str, value: &AttributeValue) -> String {
        format!(
            "{} {operator} {}",
            self.path(path),
            self.value(value.clone())
        )
    }

    fn joined(&mut self, parts: &[When], with: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.condition(part)).collect();
        format!("({})", parts.join(with))
    }

    pub(crate) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub(crate) fn values(&self) -> Option<Row> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
