//! Reads `infra/template.yaml`: YAML with lines, intrinsic functions, and resources that are checked to
//! the last property.
//!
//! What the template says and infra/local does not know is an error that names the property and the
//! line; what it knows and needs no meaning on one machine (encryption, alarms, policies) is listed as
//! such beside the resource type, with its shape, so that a misspelt word is an error there as well.

mod described;
mod fields;
mod functions;
mod identity;
mod intrinsics;
mod model;
mod node;
mod problems;
mod resources;
mod routing;
mod scope;
mod storage;

use std::collections::BTreeMap;
use std::path::Path;

pub use model::{
    Bucket, Described, Destination, FailureReports, Function, FunctionConfig, Holding, Mapping,
    Notification, OnError, Queue, QueueMapping, Redrive, Rule, StartingPosition, StreamMapping,
    Subscription, Table, Target, Template, Topic, Trigger,
};
pub use problems::{Problem, TemplateError};

use fields::Fields;
use node::{Node, Value};
use problems::Problems;
use scope::Scope;

/// Why a template could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("could not read the template {file}")]
    Read {
        /// The file.
        file: String,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// What it says cannot be run.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl Template {
    /// Reads a template from a file, with the defaults of its parameters.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::load_with(path, &BTreeMap::new())
    }

    /// Reads a template from a file, with values for some of its parameters.
    pub fn load_with(
        path: &Path,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self, LoadError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::Read {
            file: file.clone(),
            source,
        })?;
        Ok(Self::parse(&text, &file, parameters)?)
    }

    /// Reads a template. `file_name` is for messages only.
    pub fn parse(
        text: &str,
        file_name: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let problems = Problems::default();
        let mut template = Self {
            file_name: file_name.to_owned(),
            ..Self::default()
        };
        if let Some(root) = node::parse(text, &problems) {
            read(&mut template, &root, &problems, parameters);
        }
        problems.into_result(file_name)?;
        Ok(template)
    }
}

fn read(
    template: &mut Template,
    root: &Node,
    problems: &Problems,
    given: &BTreeMap<String, String>,
) {
    let top = Fields::new(problems, root, "");
    top.text("AWSTemplateFormatVersion");
    top.text("Description");
    top.node("Metadata");
    top.node("Mappings");
    top.node("Conditions");
    top.node("Globals");
    top.node("Outputs");
    top.node("Rules");
    if top.texts("Transform") != ["AWS::Serverless-2016-10-31"] {
        let message = "the template must say `Transform: AWS::Serverless-2016-10-31`";
        top.problem("Transform", message);
    }
    let values = parameters(&top, problems, given);
    if top.node("Resources").is_none() {
        top.problem("Resources", "a template has resources");
    }
    top.finish();

    let scope = Scope::new(problems, &values, root);
    resources::read(template, root, &scope);
    outputs(template, root, &scope);
}

/// The values of the parameters: what was given, or else their defaults.
fn parameters(
    top: &Fields<'_>,
    problems: &Problems,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, Node> {
    let mut values = BTreeMap::new();
    let declared = top
        .node("Parameters")
        .map(Node::entries)
        .unwrap_or_default();
    for entry in declared {
        let path = format!("Parameters.{}", entry.key);
        let fields = Fields::new(problems, &entry.value, &path);
        let kind = fields.choice("Type", &["String", "Number", "CommaDelimitedList"]);
        let default = fields.text("Default");
        let allowed = fields.texts("AllowedValues");
        for key in [
            "AllowedPattern",
            "ConstraintDescription",
            "Description",
            "MaxLength",
            "MaxValue",
            "MinLength",
            "MinValue",
            "NoEcho",
        ] {
            fields.text(key);
        }
        let value = given.get(&entry.key).cloned().or(default);
        let line = entry.line;
        match value {
            Some(value) => {
                if !allowed.is_empty() && !allowed.contains(&value) {
                    let message = format!("{value:?} is not one of {}", allowed.join(", "));
                    problems.add(line, &path, message);
                }
                let value = if kind == Some("CommaDelimitedList") {
                    let items = value.split(',').map(|item| Node::text(line, item.trim()));
                    Value::List(items.collect())
                } else {
                    Value::Text(value)
                };
                values.insert(entry.key.clone(), Node { line, value });
            }
            None => {
                let message = "this parameter has no default and no value was given: give one";
                problems.add(line, &path, message);
                values.insert(entry.key.clone(), Node::broken(line));
            }
        }
        fields.finish();
    }
    for name in given.keys() {
        if !values.contains_key(name) {
            let message = format!("a value was given for the parameter {name}, which there is not");
            problems.add(top.line_of("Parameters"), "Parameters", message);
        }
    }
    values
}

fn outputs(template: &mut Template, root: &Node, scope: &Scope<'_>) {
    for entry in root.get("Outputs").map(Node::entries).unwrap_or_default() {
        if !scope.is_wanted(&entry.value, &entry.key) {
            continue;
        }
        let path = format!("Outputs.{}", entry.key);
        let Some(resolved) = scope.resolve(&without_condition(&entry.value), &path) else {
            continue;
        };
        let fields = Fields::new(scope.problems(), &resolved, &path);
        fields.text("Description");
        fields.node("Export");
        let value = fields.required_text("Value");
        fields.finish();
        template.outputs.insert(entry.key.clone(), value);
    }
}

/// A resource or output without the key `Condition`, which resolving would take for the function.
fn without_condition(node: &Node) -> Node {
    let Value::Map(entries) = &node.value else {
        return node.clone();
    };
    let entries = entries.iter().filter(|entry| entry.key != "Condition");
    Node {
        line: node.line,
        value: Value::Map(entries.cloned().collect()),
    }
}

#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;
