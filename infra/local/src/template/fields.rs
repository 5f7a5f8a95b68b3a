//! Reads a map of properties and notices every key that nobody asked for.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use super::node::{Node, Value};
use super::problems::{Problems, closest};

/// The shape of a property that means nothing on one machine: still spelt right, or it is an error.
pub(crate) enum Shape {
    /// Text, a number or a truth value.
    Scalar,
    /// Free form: policy documents, tags, patterns.
    Any,
    List(&'static Shape),
    Map(&'static [(&'static str, Shape)]),
}

/// A map of properties that is being read. Call `finish` at the end.
pub(crate) struct Fields<'a> {
    problems: &'a Problems,
    node: &'a Node,
    path: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(problems: &'a Problems, node: &'a Node, path: impl Into<String>) -> Self {
        let path = path.into();
        if !matches!(node.value, Value::Map(_) | Value::Broken) {
            let message = format!("a map of properties was expected, this is {}", node.kind());
            problems.add(node.line, &path, message);
        }
        Self {
            problems,
            node,
            path,
            asked: RefCell::new(Vec::new()),
        }
    }

    /// The line of a property, or of the map if it does not have it.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        let entry = self.node.entries().iter().find(|entry| entry.key == key);
        entry.map_or(self.node.line, |entry| entry.line)
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Notes a problem with one property.
    pub(crate) fn problem(&self, key: &str, message: impl Into<String>) {
        self.problems
            .add(self.line_of(key), self.path_of(key), message);
    }

    /// The property's value. Nothing is the same as not being there, as CloudFormation has it.
    pub(crate) fn node(&self, key: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(key);
        let node = self.node.get(key)?;
        match node.value {
            Value::Broken => None,
            Value::Null => {
                self.problem(
                    key,
                    "nothing is given: write a value, or leave the property out",
                );
                None
            }
            _ => Some(node),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.get(key).is_some()
    }

    fn wrong(&self, key: &str, node: &Node, expected: &str) {
        let message = format!("{expected} was expected, this is {}", node.kind());
        self.problem(key, message);
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        let text = node.as_text();
        if text.is_none() {
            self.wrong(key, node, "text");
        }
        text
    }

    /// Text that must be there; empty if it is not, which is noted.
    pub(crate) fn required_text(&self, key: &'static str) -> String {
        if !self.has(key) && !matches!(self.node.value, Value::Broken) {
            self.problem(key, "this property must be given");
        }
        self.text(key).unwrap_or_default()
    }

    /// One of a few words.
    pub(crate) fn choice(&self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(key)?;
        let word = words.iter().copied().find(|word| *word == text);
        if word.is_none() {
            let message = format!("{text:?} is not one of {}", words.join(", "));
            self.problem(key, message);
        }
        word
    }

    /// A whole number within a range.
    pub(crate) fn number(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = self.node(key)?;
        let number = node.as_text().and_then(|text| text.parse::<i64>().ok());
        match number {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let message = format!(
                    "a whole number from {} to {} was expected, this is {}",
                    range.start(),
                    range.end(),
                    node.as_text().unwrap_or_else(|| node.kind().to_owned())
                );
                self.problem(key, message);
                None
            }
        }
    }

    pub(crate) fn flag(&self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        let flag = match node.as_text().as_deref() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        if flag.is_none() {
            self.wrong(key, node, "true or false");
        }
        flag
    }

    /// The items of a list, each with its path; none if it is not there.
    pub(crate) fn list(&self, key: &'static str) -> Vec<(&'a Node, String)> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Value::List(items) = &node.value else {
            self.wrong(key, node, "a list");
            return Vec::new();
        };
        let path = self.path_of(key);
        items
            .iter()
            .enumerate()
            .map(|(index, item)| (item, format!("{path}[{index}]")))
            .collect()
    }

    /// A map found below this one by other means.
    pub(crate) fn below(&self, node: &'a Node, path: String) -> Fields<'a> {
        Fields::new(self.problems, node, path)
    }

    /// A list of maps.
    pub(crate) fn maps(&self, key: &'static str) -> Vec<Fields<'a>> {
        self.list(key)
            .into_iter()
            .map(|(item, path)| Fields::new(self.problems, item, path))
            .collect()
    }

    /// A list of texts, or one text, which CloudFormation accepts for it.
    pub(crate) fn texts(&self, key: &'static str) -> Vec<String> {
        if let Some(Value::Text(text)) = self.node.get(key).map(|node| &node.value) {
            self.asked.borrow_mut().push(key);
            return vec![text.clone()];
        }
        self.list(key)
            .into_iter()
            .filter_map(|(item, path)| {
                let text = item.as_text();
                if text.is_none() && !matches!(item.value, Value::Broken) {
                    let message = format!("text was expected, this is {}", item.kind());
                    self.problems.add(item.line, path, message);
                }
                text
            })
            .collect()
    }

    /// A map of properties below this one.
    pub(crate) fn map(&self, key: &'static str) -> Option<Fields<'a>> {
        let node = self.node(key)?;
        Some(Fields::new(self.problems, node, self.path_of(key)))
    }

    /// Properties that are known and mean nothing on one machine.
    pub(crate) fn idle(&self, shapes: &[(&'static str, Shape)]) {
        for (key, shape) in shapes {
            if let Some(node) = self.node(key) {
                check(self.problems, node, shape, &self.path_of(key));
            }
        }
    }

    /// Notes every key that was not asked for.
    pub(crate) fn finish(self) {
        let asked = self.asked.borrow();
        for entry in self.node.entries() {
            if asked.iter().any(|key| *key == entry.key) {
                continue;
            }
            let path = self.path_of(&entry.key);
            self.problems
                .add(entry.line, path, unknown(&entry.key, &asked));
        }
    }
}

fn unknown(key: &str, known: &[&'static str]) -> String {
    if let Some(meant) = closest(key, known.iter().copied()) {
        return format!("this property is not known: did you mean {meant}?");
    }
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    format!(
        "this property is not known here: remove it, or teach infra/local what it means; known are {}",
        known.join(", ")
    )
}

fn check(problems: &Problems, node: &Node, shape: &Shape, path: &str) {
    match (shape, &node.value) {
        (_, Value::Broken) | (Shape::Any, _) => {}
        (Shape::Scalar, _) => {
            if node.as_text().is_none() {
                let message = format!(
                    "text, a number or a truth value was expected, this is {}",
                    node.kind()
                );
                problems.add(node.line, path, message);
            }
        }
        (Shape::List(item_shape), Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(problems, item, item_shape, &format!("{path}[{index}]"));
            }
        }
        (Shape::Map(shapes), Value::Map(_)) => {
            let fields = Fields::new(problems, node, path);
            fields.idle(shapes);
            fields.finish();
        }
        (Shape::List(_), _) => {
            let message = format!("a list was expected, this is {}", node.kind());
            problems.add(node.line, path, message);
        }
        (Shape::Map(_), _) => {
            let message = format!("a map of properties was expected, this is {}", node.kind());
            problems.add(node.line, path, message);
        }
    }
}
