//! YAML as a tree that remembers its lines and knows CloudFormation's short tags.
//!
//! Every function comes out in its long form (`!Ref X` as `{Ref: X}`), so that what reads the tree
//! knows one form only.

use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::problems::Problems;

/// Deeper than any template; a guard for the stack.
const MAXIMUM_DEPTH: usize = 64;

/// A value with the line that it stands on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// What could not be resolved. The problem is noted already, so readers stay silent.
    Broken,
}

/// A key of a map with its value. Keys keep the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The key's line.
    pub(crate) line: usize,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn text(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            value: Value::Text(text.into()),
        }
    }

    pub(crate) fn broken(line: usize) -> Self {
        Self {
            line,
            value: Value::Broken,
        }
    }

    /// The value under a key, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// A map's entries; none if it is not a map.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Text, or a number or truth value as it would be written: CloudFormation accepts both.
    pub(crate) fn as_text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Broken => None,
        }
    }

    /// The tree as JSON, without lines.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Broken => serde_json::Value::Null,
            Value::Bool(truth) => (*truth).into(),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null | Value::Broken => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads one YAML document. What is wrong goes to `problems`; `None` if nothing can be read on.
pub(crate) fn parse(text: &str, problems: &Problems) -> Option<Node> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        problems,
    };
    reader.document()
}

struct Reader<'a> {
    parser: Parser<std::str::Chars<'a>>,
    problems: &'a Problems,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<Node> {
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart => {}
                Event::StreamEnd | Event::DocumentEnd => {
                    self.problems.add(mark.line(), "", "the template is empty");
                    return None;
                }
                first => {
                    let node = self.node(first, mark, 0)?;
                    return self.nothing_follows().then_some(node);
                }
            }
        }
    }

    fn nothing_follows(&mut self) -> bool {
        loop {
            match self.next() {
                Some((Event::StreamEnd, _)) => return true,
                Some((Event::DocumentStart, mark)) => {
                    let message = "a second document begins here: keep one document in a template";
                    self.problems.add(mark.line(), "", message);
                    return false;
                }
                Some(_) => {}
                None => return false,
            }
        }
    }

    fn next(&mut self) -> Option<(Event, Marker)> {
        match self.parser.next_token() {
            Ok(next) => Some(next),
            Err(error) => {
                let message = format!("this is not YAML: {}", error.info());
                self.problems.add(error.marker().line(), "", message);
                None
            }
        }
    }

    fn node(&mut self, event: Event, mark: Marker, depth: usize) -> Option<Node> {
        let line = mark.line();
        if depth > MAXIMUM_DEPTH {
            let message = format!("nested deeper than {MAXIMUM_DEPTH} levels");
            self.problems.add(line, "", message);
            return None;
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let value = if style == TScalarStyle::Plain && tag.is_none() {
                    plain_scalar(text)
                } else {
                    Value::Text(text)
                };
                Some(self.tagged(Node { line, value }, tag))
            }
            Event::SequenceStart(_, tag) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, mark) => items.push(self.node(event, mark, depth + 1)?),
                    }
                }
                let value = Value::List(items);
                Some(self.tagged(Node { line, value }, tag))
            }
            Event::MappingStart(_, tag) => {
                let entries = self.entries(depth)?;
                let value = Value::Map(entries);
                Some(self.tagged(Node { line, value }, tag))
            }
            Event::Alias(_) => {
                let message = "an alias (`*name`): write the value out";
                self.problems.add(line, "", message);
                Some(Node {
                    line,
                    value: Value::Null,
                })
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                self.problems
                    .add(line, "", "this is not YAML: a value was expected");
                None
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Option<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if event == Event::MappingEnd {
                return Some(entries);
            }
            let key_node = self.node(event, mark, depth + 1)?;
            let (event, mark) = self.next()?;
            let value = self.node(event, mark, depth + 1)?;
            let Some(key) = key_node.as_text() else {
                let message = format!("a key is {}: a key is text", key_node.kind());
                self.problems.add(key_node.line, "", message);
                continue;
            };
            if let Some(former) = entries.iter().find(|entry| entry.key == key) {
                let message = format!(
                    "the key {key} is here twice, first on line {}: keep one of them",
                    former.line
                );
                self.problems.add(key_node.line, "", message);
                continue;
            }
            entries.push(Entry {
                key,
                line: key_node.line,
                value,
            });
        }
    }

    /// Turns a short tag into the function's long form.
    fn tagged(&self, node: Node, tag: Option<Tag>) -> Node {
        let Some(tag) = tag else { return node };
        let line = node.line;
        let function = match (tag.handle.as_str(), tag.suffix.as_str()) {
            ("!", "Ref") => "Ref".to_owned(),
            ("!", "Condition") => "Condition".to_owned(),
            ("!", name) => format!("Fn::{name}"),
            _ => {
                let message = format!("the tag {}{} means nothing here", tag.handle, tag.suffix);
                self.problems.add(line, "", message);
                return node;
            }
        };
        Node {
            line,
            value: Value::Map(vec![Entry {
                key: function,
                line,
                value: node,
            }]),
        }
    }
}

/// What a scalar without quotes means. Only spellings that come back unchanged count as numbers, so
/// that an account id or a version keeps its zeros.
fn plain_scalar(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    if let Ok(whole) = text.parse::<i64>()
        && whole.to_string() == text
    {
        return Value::Number(whole.into());
    }
    if let Ok(number) = text.parse::<f64>()
        && number.to_string() == text
        && let Some(number) = serde_json::Number::from_f64(number)
    {
        return Value::Number(number);
    }
    Value::Text(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> (Option<Node>, Vec<String>) {
        let problems = Problems::default();
        let node = parse(text, &problems);
        let messages = match problems.into_result("t") {
            Ok(()) => Vec::new(),
            Err(error) => error
                .problems
                .into_iter()
                .map(|problem| format!("{}: {}", problem.line, problem.message))
                .collect(),
        };
        (node, messages)
    }

    #[test]
    fn short_tags_become_long_forms() {
        let (node, problems) = read(
            "a: !Ref X\nb: !GetAtt X.Arn\nc: !Sub ['${Y}', {Y: !Ref Z}]\nd: !Equals [!Ref E, dev]\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            node.unwrap().to_json(),
            json!({
                "a": {"Ref": "X"},
                "b": {"Fn::GetAtt": "X.Arn"},
                "c": {"Fn::Sub": ["${Y}", {"Y": {"Ref": "Z"}}]},
                "d": {"Fn::Equals": [{"Ref": "E"}, "dev"]},
            })
        );
    }

    #[test]
    fn scalars_keep_what_a_number_would_lose() {
        let (node, _) = read("a: 010\nb: 10\nc: '10'\nd: 2012-10-17\ne: true\nf: 1.5\ng: 1.50\nh:");
        assert_eq!(
            node.unwrap().to_json(),
            json!({"a": "010", "b": 10, "c": "10", "d": "2012-10-17", "e": true, "f": 1.5, "g": "1.50", "h": null})
        );
    }

    #[test]
    fn every_duplicate_key_is_named_with_both_lines() {
        let (_, problems) = read("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n");
        assert_eq!(
            problems,
            [
                "4: the key c is here twice, first on line 3: keep one of them",
                "5: the key a is here twice, first on line 1: keep one of them",
            ]
        );
    }

    #[test]
    fn what_is_not_yaml_or_not_a_template_is_an_error_with_its_line() {
        assert!(read("a: [1, 2\nb: 3").1[0].contains("this is not YAML"));
        assert!(read("").1[0].contains("empty"));
        assert!(read("a: 1\n---\nb: 2\n").1[0].starts_with("2: a second document"));
        assert!(read("a: &x 1\nb: *x\n").1[0].starts_with("2: an alias"));
        assert!(read(&"[".repeat(100)).1[0].contains("nested deeper"));
    }
}
