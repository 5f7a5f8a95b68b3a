//! The functions of the template, with their settings on this machine.

use std::collections::BTreeMap;

use millrace_cloud::Settings;
use millrace_local::{FunctionConfig, Template};

/// The template that is run when none is named: the repository's own.
const TEMPLATE: &str = include_str!("../../../../infra/template.yaml");

/// Settings that this machine's environment says before the template: keys are in no template.
const FROM_ENVIRONMENT: [&str; 3] = [
    "MILLRACE_EMBEDDER",
    "MILLRACE_OPENAI_ENDPOINT",
    "MILLRACE_OPENAI_KEY",
];

/// The template, or what is wrong with it.
pub(super) fn template() -> Result<Template, String> {
    Template::parse(TEMPLATE, "infra/template.yaml", &BTreeMap::new())
        .map_err(|error| error.to_string())
}

/// What a function is told by its environment.
pub(super) fn settings(function: &FunctionConfig) -> Settings {
    let mut values = function.environment.clone();
    values.extend(
        FROM_ENVIRONMENT
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), std::env::var(key).ok()?))),
    );
    Settings::from_map(values)
}
