//! Patterns over JSON, as EventBridge rules and SNS filter policies have them.
//!
//! A pattern is read once, where every operator that is not known is an error
//! with its name, and then matched against any number of documents.

use serde_json::{Map, Value};

/// A pattern that was read and can be matched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// All fields must match.
    Fields(Vec<(String, Node)>),
    /// At least one must match: `$or`.
    AnyOf(Vec<Node>),
    /// At least one of these must match the value.
    Values(Vec<Matcher>),
}

#[derive(Debug, Clone, PartialEq)]
enum Matcher {
    Exactly(Value),
    EqualsIgnoringCase(String),
    Prefix(String),
    PrefixIgnoringCase(String),
    Suffix(String),
    SuffixIgnoringCase(String),
    /// The literal pieces between the stars.
    Wildcard(Vec<String>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
    AnythingBut(Vec<Matcher>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// Why a pattern could not be read: what is wrong, and at which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at {path}")]
pub(crate) struct PatternError {
    problem: String,
    path: String,
}

type Parsed<T> = Result<T, PatternError>;

impl Pattern {
    /// Reads a pattern. It must be an object that names at least one field.
    pub(crate) fn parse(pattern: &Value) -> Parsed<Self> {
        match pattern {
            Value::Object(fields) if !fields.is_empty() => Ok(Self(parse_fields(fields, "$")?)),
            _ => Err(problem("a pattern must be an object with fields", "$")),
        }
    }

    /// Whether the document matches.
    pub(crate) fn matches(&self, document: &Value) -> bool {
        node_matches(&self.0, Some(document))
    }
}

fn problem(problem: impl Into<String>, path: &str) -> PatternError {
    PatternError {
        problem: problem.into(),
        path: path.to_owned(),
    }
}

fn parse_fields(fields: &Map<String, Value>, path: &str) -> Parsed<Node> {
    let mut nodes = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        let node = match value {
            Value::Array(branches) if name == "$or" => parse_branches(branches, &path)?,
            Value::Object(fields) if !fields.is_empty() => parse_fields(fields, &path)?,
            Value::Array(values) if !values.is_empty() => Node::Values(
                values
                    .iter()
                    .map(|value| parse_matcher(value, &path))
                    .collect::<Parsed<_>>()?,
            ),
            _ => {
                let text = "a field takes an object or a list of values, and neither may be empty";
                return Err(problem(text, &path));
            }
        };
        nodes.push((name.clone(), node));
    }
    Ok(Node::Fields(nodes))
}

fn parse_branches(branches: &[Value], path: &str) -> Parsed<Node> {
    if branches.len() < 2 {
        return Err(problem("$or takes a list of at least two patterns", path));
    }
    let nodes = branches.iter().map(|branch| match branch {
        Value::Object(fields) if !fields.is_empty() => parse_fields(fields, path),
        _ => Err(problem("$or takes patterns", path)),
    });
    Ok(Node::AnyOf(nodes.collect::<Parsed<_>>()?))
}

fn parse_matcher(value: &Value, path: &str) -> Parsed<Matcher> {
    let Value::Object(operators) = value else {
        if value.is_array() {
            return Err(problem("a list inside of a list of values", path));
        }
        return Ok(Matcher::Exactly(value.clone()));
    };
    let mut operators = operators.iter();
    let (Some((operator, operand)), None) = (operators.next(), operators.next()) else {
        return Err(problem("a matcher must have exactly one operator", path));
    };
    match operator.as_str() {
        "exists" => match operand {
            Value::Bool(expected) => Ok(Matcher::Exists(*expected)),
            _ => Err(problem("exists takes true or false", path)),
        },
        "numeric" => parse_numeric(operand, path),
        "anything-but" => parse_anything_but(operand, path),
        _ => parse_text_matcher(operator, operand, path),
    }
}

fn parse_text_matcher(operator: &str, operand: &Value, path: &str) -> Parsed<Matcher> {
    let text = || {
        let text = operand.as_str().map(str::to_owned);
        text.ok_or_else(|| problem(format!("{operator} takes a text"), path))
    };
    let ignoring_case = operand["equals-ignore-case"].as_str();
    match (operator, ignoring_case) {
        ("prefix", Some(prefix)) => Ok(Matcher::PrefixIgnoringCase(prefix.to_lowercase())),
        ("suffix", Some(suffix)) => Ok(Matcher::SuffixIgnoringCase(suffix.to_lowercase())),
        ("prefix", None) => Ok(Matcher::Prefix(text()?)),
        ("suffix", None) => Ok(Matcher::Suffix(text()?)),
        ("equals-ignore-case", None) => Ok(Matcher::EqualsIgnoringCase(text()?.to_lowercase())),
        ("wildcard", None) => parse_wildcard(&text()?, path),
        _ => Err(problem(format!("unknown operator {operator}"), path)),
    }
}

/// Splits `a*b` at its stars. `\*` is a star, `\\` a backslash.
fn parse_wildcard(text: &str, path: &str) -> Parsed<Matcher> {
    let mut pieces = vec![String::new()];
    let mut characters = text.chars();
    let mut after_star = false;
    while let Some(character) = characters.next() {
        let literal = match character {
            '*' if after_star => {
                return Err(problem("wildcard takes no two stars in a row", path));
            }
            '*' => {
                pieces.push(String::new());
                after_star = true;
                continue;
            }
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '\\')) => escaped,
                _ => return Err(problem("wildcard knows only \\* and \\\\", path)),
            },
            other => other,
        };
        after_star = false;
        if let Some(piece) = pieces.last_mut() {
            piece.push(literal);
        }
    }
    Ok(Matcher::Wildcard(pieces))
}

fn parse_numeric(operand: &Value, path: &str) -> Parsed<Matcher> {
    let wrong = || problem("numeric takes [comparison, number], once or twice", path);
    let list = operand.as_array().ok_or_else(wrong)?;
    if list.is_empty() || list.len() % 2 != 0 || list.len() > 4 {
        return Err(wrong());
    }
    let mut bounds = Vec::new();
    for pair in list.chunks_exact(2) {
        let comparison = match pair[0].as_str().ok_or_else(wrong)? {
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            "=" => Comparison::Equal,
            ">=" => Comparison::GreaterOrEqual,
            ">" => Comparison::Greater,
            other => return Err(problem(format!("unknown comparison {other}"), path)),
        };
        bounds.push((comparison, pair[1].as_f64().ok_or_else(wrong)?));
    }
    Ok(Matcher::Numeric(bounds))
}

fn parse_anything_but(operand: &Value, path: &str) -> Parsed<Matcher> {
    let excluded = match operand {
        Value::Array(values) if !values.is_empty() => {
            let is_simple = |value: &Value| value.is_string() || value.is_number();
            if !values.iter().all(is_simple) {
                return Err(problem("anything-but takes texts and numbers", path));
            }
            values.iter().cloned().map(Matcher::Exactly).collect()
        }
        Value::String(_) | Value::Number(_) => vec![Matcher::Exactly(operand.clone())],
        Value::Object(operators) if operators.len() == 1 => {
            let mut excluded = Vec::new();
            for (operator, operands) in operators {
                // Each of these takes one text or a list of them.
                let operands = match operands {
                    Value::Array(operands) if !operands.is_empty() => operands.as_slice(),
                    single => std::slice::from_ref(single),
                };
                for operand in operands {
                    excluded.push(parse_text_matcher(operator, operand, path)?);
                }
            }
            excluded
        }
        _ => return Err(problem("anything-but takes values or one operator", path)),
    };
    Ok(Matcher::AnythingBut(excluded))
}

/// `value` is `None` for a field that is not there.
fn node_matches(node: &Node, value: Option<&Value>) -> bool {
    match node {
        Node::AnyOf(nodes) => nodes.iter().any(|node| node_matches(node, value)),
        Node::Values(matchers) => matchers.iter().any(|matcher| field_matches(matcher, value)),
        Node::Fields(fields) => match value {
            // A list of objects matches if one of them does.
            Some(Value::Array(elements)) => elements
                .iter()
                .any(|element| node_matches(node, Some(element))),
            _ => fields.iter().all(|(name, node)| {
                let is_branch = matches!(node, Node::AnyOf(_)) && name == "$or";
                let inner = if is_branch {
                    value
                } else {
                    value.and_then(|value| value.get(name))
                };
                node_matches(node, inner)
            }),
        },
    }
}

fn field_matches(matcher: &Matcher, value: Option<&Value>) -> bool {
    match (matcher, value) {
        // Only values count as present, not objects of further fields.
        (Matcher::Exists(expected), value) => {
            *expected == value.is_some_and(|value| !value.is_object())
        }
        (_, None) => false,
        (_, Some(Value::Array(elements))) => elements
            .iter()
            .any(|element| value_matches(matcher, element)),
        (_, Some(value)) => value_matches(matcher, value),
    }
}

fn value_matches(matcher: &Matcher, value: &Value) -> bool {
    let text = value.as_str();
    let lower_text = || text.map(str::to_lowercase);
    match matcher {
        Matcher::Exactly(expected) => equal(expected, value),
        Matcher::EqualsIgnoringCase(expected) => lower_text().as_ref() == Some(expected),
        Matcher::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
        Matcher::PrefixIgnoringCase(prefix) => {
            lower_text().is_some_and(|text| text.starts_with(prefix))
        }
        Matcher::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
        Matcher::SuffixIgnoringCase(suffix) => {
            lower_text().is_some_and(|text| text.ends_with(suffix))
        }
        Matcher::Wildcard(pieces) => text.is_some_and(|text| wildcard_matches(pieces, text)),
        Matcher::Numeric(bounds) => value.as_f64().is_some_and(|number| {
            bounds
                .iter()
                .all(|(comparison, bound)| comparison.holds(number, *bound))
        }),
        Matcher::Exists(expected) => *expected,
        Matcher::AnythingBut(excluded) => {
            !value.is_object() && !excluded.iter().any(|matcher| value_matches(matcher, value))
        }
    }
}

/// Numbers are equal by value: 300, 300.0 and 3.0e2.
fn equal(expected: &Value, value: &Value) -> bool {
    match (expected.as_f64(), value.as_f64()) {
        (Some(expected), Some(value)) => expected == value,
        _ => expected == value,
    }
}

impl Comparison {
    fn holds(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Equal => number == bound,
            Self::GreaterOrEqual => number >= bound,
            Self::Greater => number > bound,
        }
    }
}

/// The first piece must begin the text and the last must end it; those between
/// follow each other, each found as early as possible.
fn wildcard_matches(pieces: &[String], text: &str) -> bool {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return false;
    };
    if pieces.len() == 1 {
        return first == text;
    }
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    for piece in &pieces[1..pieces.len() - 1] {
        match rest.find(piece.as_str()) {
            Some(position) => rest = &rest[position + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// Pattern, documents that match, documents that do not.
    #[test]
    fn patterns_match_what_they_say() {
        let table = [
            (
                json!({"a": ["x", 3, null]}),
                vec![
                    json!({"a": "x"}),
                    json!({"a": 3.0}),
                    json!({"a": null}),
                    json!({"a": ["y", "x"]}),
                ],
                vec![json!({"a": "y"}), json!({}), json!({"b": "x"})],
            ),
            (
                json!({"a": [{"prefix": "ab"}]}),
                vec![json!({"a": "abc"})],
                vec![json!({"a": "cab"}), json!({"a": 1})],
            ),
            (
                json!({"a": [{"prefix": {"equals-ignore-case": "AB"}}]}),
                vec![json!({"a": "aBc"})],
                vec![json!({"a": "cab"})],
            ),
            (
                json!({"a": [{"suffix": ".png"}]}),
                vec![json!({"a": "x.png"})],
                vec![json!({"a": "x.PNG"})],
            ),
            (
                json!({"a": [{"suffix": {"equals-ignore-case": ".PNG"}}]}),
                vec![json!({"a": "x.png"})],
                vec![json!({"a": "png"})],
            ),
            (
                json!({"a": [{"equals-ignore-case": "Alice"}]}),
                vec![json!({"a": "aLICE"})],
                vec![json!({"a": "alic"})],
            ),
            (
                json!({"a": [{"wildcard": "documents/*/*/original*"}]}),
                vec![
                    json!({"a": "documents/u/d/original.pdf"}),
                    json!({"a": "documents/u/d/original"}),
                ],
                vec![
                    json!({"a": "documents/u/original"}),
                    json!({"a": "x/documents/u/d/original"}),
                ],
            ),
            (
                json!({"a": [{"wildcard": "a*a"}]}),
                vec![json!({"a": "aa"}), json!({"a": "aba"})],
                vec![json!({"a": "a"})],
            ),
            (
                json!({"a": [{"wildcard": "100\\*"}]}),
                vec![json!({"a": "100*"})],
                vec![json!({"a": "100x"})],
            ),
            (
                json!({"a": [{"numeric": [">", 0, "<=", 5]}]}),
                vec![json!({"a": 5}), json!({"a": 0.1})],
                vec![json!({"a": 0}), json!({"a": 5.1}), json!({"a": "5"})],
            ),
            (
                json!({"a": [{"exists": true}]}),
                vec![json!({"a": null}), json!({"a": 0})],
                vec![json!({}), json!({"a": {"b": 1}})],
            ),
            (
                json!({"a": [{"exists": false}]}),
                vec![json!({}), json!({"b": 1})],
                vec![json!({"a": null})],
            ),
            (
                json!({"a": [{"anything-but": ["x", 1]}]}),
                vec![json!({"a": "y"}), json!({"a": 2})],
                vec![json!({"a": "x"}), json!({"a": 1}), json!({})],
            ),
            (
                json!({"a": [{"anything-but": "x"}]}),
                vec![json!({"a": "y"})],
                vec![json!({"a": "x"})],
            ),
            (
                json!({"a": [{"anything-but": {"prefix": "in"}}]}),
                vec![json!({"a": "out"})],
                vec![json!({"a": "init"})],
            ),
            (
                json!({"a": [{"anything-but": {"suffix": [".a", ".b"]}}]}),
                vec![json!({"a": "x.c"})],
                vec![json!({"a": "x.b"})],
            ),
            (
                json!({"a": [{"anything-but": {"wildcard": "*/lib/*"}}]}),
                vec![json!({"a": "x/bin/y"})],
                vec![json!({"a": "x/lib/y"})],
            ),
            (
                json!({"d": {"b": {"n": ["v"]}}, "s": ["aws.s3"]}),
                vec![
                    json!({"s": "aws.s3", "d": {"b": {"n": "v"}}}),
                    json!({"s": "aws.s3", "d": [{"b": {"n": "w"}}, {"b": {"n": "v"}}]}),
                ],
                vec![json!({"s": "aws.s3"}), json!({"s": "aws.s3", "d": "b"})],
            ),
            (
                json!({"k": ["1"], "$or": [{"a": ["x"]}, {"b": {"c": [{"numeric": ["=", 2]}]}}]}),
                vec![
                    json!({"k": "1", "a": "x"}),
                    json!({"k": "1", "b": {"c": 2}}),
                ],
                vec![json!({"k": "1"}), json!({"a": "x"})],
            ),
            (
                json!({"a": [{"prefix": "p"}, {"suffix": "s"}]}),
                vec![json!({"a": "px"}), json!({"a": "xs"})],
                vec![json!({"a": "x"})],
            ),
        ];
        for (pattern, matching, failing) in table {
            let parsed = Pattern::parse(&pattern).unwrap();
            for document in matching {
                assert!(
                    parsed.matches(&document),
                    "{pattern} should match {document}"
                );
            }
            for document in failing {
                assert!(
                    !parsed.matches(&document),
                    "{pattern} should not match {document}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_place() {
        for (pattern, expected) in [
            (json!({}), "an object with fields at $"),
            (json!({"a": "x"}), "at $.a"),
            (json!({"a": []}), "at $.a"),
            (
                json!({"a": {"b": [{"like": "x"}]}}),
                "unknown operator like at $.a.b",
            ),
            (
                json!({"a": [{"numeric": ["~", 1]}]}),
                "unknown comparison ~",
            ),
            (json!({"a": [{"numeric": [">"]}]}), "numeric takes"),
            (json!({"a": [{"prefix": 3}]}), "prefix takes a text"),
            (json!({"a": [{"exists": "yes"}]}), "exists takes"),
            (json!({"a": [{"wildcard": "a**b"}]}), "two stars"),
            (
                json!({"a": [{"prefix": "a", "suffix": "b"}]}),
                "exactly one operator",
            ),
            (
                json!({"a": [{"anything-but": {"numeric": ["=", 1]}}]}),
                "unknown operator numeric",
            ),
            (json!({"$or": [{"a": ["x"]}]}), "at least two"),
        ] {
            let error = Pattern::parse(&pattern).unwrap_err().to_string();
            assert!(error.contains(expected), "{pattern}: {error}");
        }
    }
}
