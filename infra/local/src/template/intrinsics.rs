//! The functions that need nothing but their arguments, and how each is written.

use super::identity::STACK;
use super::node::{Node, Value};
use crate::names;

/// The functions that are known, in their long form.
pub(super) const FUNCTIONS: &[&str] = &[
    "Ref",
    "Condition",
    "Fn::And",
    "Fn::Base64",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::Join",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
];

/// Whether a key calls a function, known or not.
pub(super) fn is_function(key: &str) -> bool {
    key == "Ref" || key == "Condition" || key.starts_with("Fn::")
}

pub(super) fn join(argument: &Node) -> Option<Node> {
    let Value::List(items) = &argument.value else {
        return None;
    };
    let [separator, parts] = items.as_slice() else {
        return None;
    };
    let Value::List(parts) = &parts.value else {
        return None;
    };
    let parts: Option<Vec<String>> = parts.iter().map(Node::as_text).collect();
    Some(Node::text(
        argument.line,
        parts?.join(&separator.as_text()?),
    ))
}

pub(super) fn select(argument: &Node) -> Option<Node> {
    let Value::List(items) = &argument.value else {
        return None;
    };
    let [index, choices] = items.as_slice() else {
        return None;
    };
    let Value::List(choices) = &choices.value else {
        return None;
    };
    let index: usize = index.as_text()?.parse().ok()?;
    choices.get(index).cloned()
}

pub(super) fn split(argument: &Node) -> Option<Node> {
    let Value::List(items) = &argument.value else {
        return None;
    };
    let [separator, text] = items.as_slice() else {
        return None;
    };
    let separator = separator
        .as_text()
        .filter(|separator| !separator.is_empty())?;
    let text = text.as_text()?;
    let parts = text
        .split(&separator)
        .map(|part| Node::text(argument.line, part))
        .collect();
    Some(Node {
        line: argument.line,
        value: Value::List(parts),
    })
}

pub(super) fn pseudo_parameter(name: &str) -> Option<String> {
    Some(match name {
        "AWS::AccountId" => names::ACCOUNT.to_owned(),
        "AWS::Region" => names::REGION.to_owned(),
        "AWS::Partition" => "aws".to_owned(),
        "AWS::URLSuffix" => "amazonaws.com".to_owned(),
        "AWS::StackName" => STACK.to_owned(),
        "AWS::StackId" => format!(
            "arn:aws:cloudformation:{}:{}:stack/{STACK}/embedded",
            names::REGION,
            names::ACCOUNT
        ),
        _ => return None,
    })
}

/// How a function is written, for messages.
pub(super) fn misuse(function: &str) -> String {
    let form = match function {
        "Ref" => "the name of a parameter or resource",
        "Fn::GetAtt" => "Resource.Attribute or [Resource, Attribute]",
        "Fn::Sub" => "text, or [text, {Name: value}]",
        "Fn::If" => "[condition, value if true, value if false]",
        "Fn::Join" => "[separator, [text, ...]]",
        "Fn::Select" => "[index, [value, ...]] with an index that the list has",
        "Fn::Split" => "[separator, text]",
        "Fn::FindInMap" => "[map, first key, second key], all of which are in the section Mappings",
        "Fn::Base64" => "text",
        "Fn::Equals" => "[value, value]",
        "Fn::Not" => "[condition]",
        _ => "[condition, condition, ...]",
    };
    format!("{function} takes {form}")
}
