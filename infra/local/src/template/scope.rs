//! Intrinsic functions: turns a property as written into the value that it stands for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::identity::{Identity, Kind};
use super::intrinsics::{FUNCTIONS, is_function, join, misuse, pseudo_parameter, select, split};
use super::node::{Entry, Node, Value};
use super::problems::{Problems, closest};

/// What names in a template stand for.
pub(crate) struct Scope<'a> {
    problems: &'a Problems,
    parameters: &'a BTreeMap<String, Node>,
    mappings: Option<&'a Node>,
    conditions: Option<&'a Node>,
    resources: Option<&'a Node>,
    /// What is being resolved now, to tell a circle.
    open: RefCell<Vec<String>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        problems: &'a Problems,
        parameters: &'a BTreeMap<String, Node>,
        root: &'a Node,
    ) -> Self {
        Self {
            problems,
            parameters,
            mappings: root.get("Mappings"),
            conditions: root.get("Conditions"),
            resources: root.get("Resources"),
            open: RefCell::new(Vec::new()),
        }
    }

    pub(crate) fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// The value with all functions carried out. `None` stands for `AWS::NoValue`: the property is
    /// not there.
    pub(crate) fn resolve(&self, node: &Node, path: &str) -> Option<Node> {
        match &node.value {
            Value::List(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .filter_map(|(index, item)| self.resolve(item, &format!("{path}[{index}]")))
                    .collect();
                Some(Node {
                    line: node.line,
                    value: Value::List(items),
                })
            }
            Value::Map(entries) => match entries.as_slice() {
                [only] if is_function(&only.key) => self.call(only, path),
                _ => Some(Node {
                    line: node.line,
                    value: Value::Map(self.resolve_entries(entries, path)),
                }),
            },
            _ => Some(node.clone()),
        }
    }

    fn resolve_entries(&self, entries: &[Entry], path: &str) -> Vec<Entry> {
        entries
            .iter()
            .filter_map(|entry| {
                let value = self.resolve(&entry.value, &format!("{path}.{}", entry.key))?;
                Some(Entry {
                    key: entry.key.clone(),
                    line: entry.line,
                    value,
                })
            })
            .collect()
    }

    /// Notes a problem and stands in for the value that is missing.
    fn broken(&self, line: usize, path: &str, message: impl Into<String>) -> Option<Node> {
        self.problems.add(line, path, message);
        Some(Node::broken(line))
    }

    fn call(&self, entry: &Entry, path: &str) -> Option<Node> {
        let line = entry.line;
        let argument = &entry.value;
        let function = entry.key.as_str();
        match function {
            "Ref" => self.reference(argument, path),
            "Fn::GetAtt" => self.attribute(argument, path),
            "Fn::Sub" => self.substitute(argument, path),
            "Fn::If" => self.choose(argument, path),
            "Fn::Join" | "Fn::Select" | "Fn::Split" | "Fn::FindInMap" | "Fn::Base64" => {
                let argument = self.resolve(argument, path)?;
                if is_broken(&argument) {
                    return Some(Node::broken(line));
                }
                let value = match function {
                    "Fn::Join" => join(&argument),
                    "Fn::Select" => select(&argument),
                    "Fn::Split" => split(&argument),
                    "Fn::FindInMap" => self.find_in_map(&argument),
                    _ => argument.as_text().map(|text| {
                        use base64::Engine as _;
                        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
                        Node::text(line, encoded)
                    }),
                };
                match value {
                    Some(value) => Some(value),
                    None => self.broken(line, path, misuse(function)),
                }
            }
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" | "Condition" => {
                let truth = self.test(
                    &Node {
                        line,
                        value: Value::Map(vec![entry.clone()]),
                    },
                    path,
                );
                Some(Node {
                    line,
                    value: truth.map_or(Value::Broken, Value::Bool),
                })
            }
            unknown => {
                let hint = closest(unknown, FUNCTIONS.iter().copied())
                    .map(|known| format!(" (did you mean {known}?)"))
                    .unwrap_or_default();
                let message = format!(
                    "the function {unknown} is not known here{hint}; known are {}",
                    FUNCTIONS.join(", ")
                );
                self.broken(line, path, message)
            }
        }
    }

    fn reference(&self, argument: &Node, path: &str) -> Option<Node> {
        let Some(name) = argument.as_text() else {
            return self.broken(argument.line, path, misuse("Ref"));
        };
        if name == "AWS::NoValue" {
            return None;
        }
        Some(self.named(&name, argument.line, path))
    }

    /// What a name stands for: a parameter, a pseudo parameter or a resource.
    fn named(&self, name: &str, line: usize, path: &str) -> Node {
        if let Some(pseudo) = pseudo_parameter(name) {
            return Node::text(line, pseudo);
        }
        if let Some(parameter) = self.parameters.get(name) {
            let value = parameter.value.clone();
            return Node { line, value };
        }
        match self.identity(name, line, path) {
            Some(identity) => Node::text(line, identity.reference()),
            None => Node::broken(line),
        }
    }

    /// The resource behind a logical id. Notes a problem if there is none.
    pub(crate) fn identity(&self, logical_id: &str, line: usize, path: &str) -> Option<Identity> {
        let resources = self.resources.map(Node::entries).unwrap_or_default();
        let Some(resource) = resources.iter().find(|entry| entry.key == logical_id) else {
            let parameters = self.parameters.keys().map(String::as_str);
            let known = resources.iter().map(|entry| entry.key.as_str());
            let hint = closest(logical_id, known.chain(parameters))
                .map(|known| format!(" (did you mean {known}?)"))
                .unwrap_or_default();
            let message =
                format!("{logical_id} is neither a parameter nor a resource of the template{hint}");
            self.problems.add(line, path, message);
            return None;
        };
        if !self.is_wanted(&resource.value, logical_id) {
            let message = format!(
                "{logical_id} is left out by its condition: put this under the same condition"
            );
            self.problems.add(line, path, message);
            return None;
        }
        // A missing or unknown type is noted where the resource itself is read.
        let type_name = resource.value.get("Type").and_then(Node::as_text)?;
        let kind = Kind::of(&type_name)?;
        let given = kind.name_property().and_then(|property| {
            let node = resource.value.get("Properties")?.get(property)?;
            Some((property, node))
        });
        let Some((property, node)) = given else {
            let name = Identity::default_name(kind, logical_id);
            return Some(Identity { kind, name });
        };
        let name_path = format!("Resources.{logical_id}.Properties.{property}");
        self.guarded(&name_path, node.line, || {
            let name = self.resolve(node, &name_path)?.as_text()?;
            Some(Identity { kind, name })
        })
    }

    /// Whether a resource's condition holds. A resource without one is always wanted.
    pub(crate) fn is_wanted(&self, resource: &Node, logical_id: &str) -> bool {
        let Some(condition) = resource.get("Condition") else {
            return true;
        };
        let path = format!("Resources.{logical_id}.Condition");
        match condition.as_text() {
            Some(name) => self.condition(&name, condition.line, &path).unwrap_or(true),
            None => {
                let message = "the name of a condition was expected";
                self.problems.add(condition.line, path, message);
                true
            }
        }
    }

    /// Runs `resolve` unless it is running already, which means that a definition needs itself.
    fn guarded<T>(
        &self,
        what: &str,
        line: usize,
        resolve: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        if self.open.borrow().iter().any(|open| open == what) {
            let message = "this needs itself to be resolved: break the circle";
            self.problems.add(line, what, message);
            return None;
        }
        self.open.borrow_mut().push(what.to_owned());
        let value = resolve();
        self.open.borrow_mut().pop();
        value
    }

    fn attribute(&self, argument: &Node, path: &str) -> Option<Node> {
        let line = argument.line;
        let parts: Option<(String, String)> = match &argument.value {
            Value::Text(text) => text
                .split_once('.')
                .map(|(id, attribute)| (id.to_owned(), attribute.to_owned())),
            Value::List(items) => match items.as_slice() {
                [id, attribute] => id.as_text().zip(attribute.as_text()),
                _ => None,
            },
            _ => None,
        };
        let Some((logical_id, attribute)) = parts else {
            return self.broken(line, path, misuse("Fn::GetAtt"));
        };
        Some(self.attribute_of(&logical_id, &attribute, line, path))
    }

    fn attribute_of(&self, logical_id: &str, attribute: &str, line: usize, path: &str) -> Node {
        let Some(identity) = self.identity(logical_id, line, path) else {
            return Node::broken(line);
        };
        let attributes = identity.attributes();
        match attributes.iter().find(|(name, _)| *name == attribute) {
            Some((_, value)) => Node::text(line, value.clone()),
            None => {
                let known: Vec<&str> = attributes.iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "{logical_id} has no attribute {attribute} here; it has {}",
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                );
                self.problems.add(line, path, message);
                Node::broken(line)
            }
        }
    }

    fn substitute(&self, argument: &Node, path: &str) -> Option<Node> {
        let line = argument.line;
        let (pattern, values) = match &argument.value {
            Value::Text(text) => (text.clone(), Vec::new()),
            Value::List(items) => match items.as_slice() {
                [pattern, values] if matches!(values.value, Value::Map(_)) => {
                    let Value::Text(pattern) = &pattern.value else {
                        return self.broken(line, path, misuse("Fn::Sub"));
                    };
                    (
                        pattern.clone(),
                        self.resolve_entries(values.entries(), path),
                    )
                }
                _ => return self.broken(line, path, misuse("Fn::Sub")),
            },
            _ => return self.broken(line, path, misuse("Fn::Sub")),
        };
        let mut text = String::with_capacity(pattern.len());
        let mut rest = pattern.as_str();
        while let Some(start) = rest.find("${") {
            text.push_str(&rest[..start]);
            let after = &rest[start + 2..];
            let Some(end) = after.find('}') else {
                return self.broken(
                    line,
                    path,
                    "`${` is not closed: add `}`, or write `${!` for itself",
                );
            };
            let name = after[..end].trim();
            rest = &after[end + 1..];
            // `${!Literal}` stands for `${Literal}`.
            if let Some(literal) = name.strip_prefix('!') {
                text.push_str("${");
                text.push_str(literal);
                text.push('}');
                continue;
            }
            let value = match values.iter().find(|entry| entry.key == name) {
                Some(entry) => entry.value.clone(),
                None => match name.split_once('.') {
                    Some((id, attribute)) => self.attribute_of(id, attribute, line, path),
                    None => self.named(name, line, path),
                },
            };
            if is_broken(&value) {
                return Some(Node::broken(line));
            }
            let Some(value) = value.as_text() else {
                let message = format!(
                    "${{{name}}} is {}: only text can be put into text",
                    value.kind()
                );
                return self.broken(line, path, message);
            };
            text.push_str(&value);
        }
        text.push_str(rest);
        Some(Node::text(line, text))
    }

    fn choose(&self, argument: &Node, path: &str) -> Option<Node> {
        let Value::List(items) = &argument.value else {
            return self.broken(argument.line, path, misuse("Fn::If"));
        };
        let [condition, then, otherwise] = items.as_slice() else {
            return self.broken(argument.line, path, misuse("Fn::If"));
        };
        let Some(name) = condition.as_text() else {
            return self.broken(argument.line, path, misuse("Fn::If"));
        };
        match self.condition(&name, condition.line, path) {
            Some(true) => self.resolve(then, path),
            Some(false) => self.resolve(otherwise, path),
            None => Some(Node::broken(argument.line)),
        }
    }

    /// Whether a condition of the section `Conditions` holds.
    fn condition(&self, name: &str, line: usize, path: &str) -> Option<bool> {
        let Some(node) = self.conditions.and_then(|conditions| conditions.get(name)) else {
            let message = format!("there is no condition {name} in the section Conditions");
            self.problems.add(line, path, message);
            return None;
        };
        let condition_path = format!("Conditions.{name}");
        self.guarded(&condition_path, node.line, || {
            self.test(node, &condition_path)
        })
    }

    /// Whether an expression of conditions holds.
    pub(crate) fn test(&self, node: &Node, path: &str) -> Option<bool> {
        if let Value::Bool(truth) = node.value {
            return Some(truth);
        }
        let [entry] = node.entries() else {
            let message = "Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition was expected";
            self.problems.add(node.line, path, message);
            return None;
        };
        if entry.key == "Condition" {
            let name = entry.value.as_text()?;
            return self.condition(&name, entry.line, path);
        }
        let arguments = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            _ => &[],
        };
        let truths = || -> Option<Vec<bool>> {
            let all: Vec<_> = arguments.iter().map(|item| self.test(item, path)).collect();
            all.into_iter().collect()
        };
        match (entry.key.as_str(), arguments) {
            ("Fn::Equals", [left, right]) => {
                let left = self.resolve(left, path)?;
                let right = self.resolve(right, path)?;
                if is_broken(&left) || is_broken(&right) {
                    return None;
                }
                Some(match (left.as_text(), right.as_text()) {
                    (Some(left), Some(right)) => left == right,
                    _ => left.to_json() == right.to_json(),
                })
            }
            ("Fn::Not", [only]) => self.test(only, path).map(|truth| !truth),
            ("Fn::And", [_, _, ..]) => truths().map(|all| all.into_iter().all(|truth| truth)),
            ("Fn::Or", [_, _, ..]) => truths().map(|all| all.into_iter().any(|truth| truth)),
            (function, _) => {
                self.problems.add(entry.line, path, misuse(function));
                None
            }
        }
    }

    fn find_in_map(&self, argument: &Node) -> Option<Node> {
        let Value::List(items) = &argument.value else {
            return None;
        };
        let [map, first, second] = items.as_slice() else {
            return None;
        };
        let found = self
            .mappings?
            .get(&map.as_text()?)?
            .get(&first.as_text()?)?
            .get(&second.as_text()?)?;
        Some(found.clone())
    }
}

fn is_broken(node: &Node) -> bool {
    match &node.value {
        Value::Broken => true,
        Value::List(items) => items.iter().any(is_broken),
        _ => false,
    }
}
