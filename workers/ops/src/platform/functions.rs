//! The functions of the template, with their settings on this machine.

use std::collections::BTreeMap;

use millrace_cloud::Settings;
use millrace_delivery::recorder;
use millrace_local::{FunctionConfig, Template};

/// The template that is run when none is named: the repository's own.
const TEMPLATE: &str = include_str!("../../../../infra/template.yaml");

/// Settings that this machine's environment says before the template: keys are in no template.
const FROM_ENVIRONMENT: [&str; 3] = [
    "MILLRACE_EMBEDDER",
    "MILLRACE_OPENAI_ENDPOINT",
    "MILLRACE_OPENAI_KEY",
];

/// Whether this machine's environment has a say in what is recorded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Recording {
    /// Of a platform that is kept it has.
    AsAsked,
    /// What is tried in memory is no news.
    Never,
}

impl Recording {
    /// The functions with what is asked for in their environment.
    pub(super) fn of(self, functions: &[FunctionConfig]) -> Vec<FunctionConfig> {
        let mut functions = functions.to_vec();
        for function in &mut functions {
            for name in [recorder::RULE, recorder::TO] {
                match (self, std::env::var(name)) {
                    (Self::AsAsked, Ok(said)) => {
                        function.environment.insert(name.to_owned(), said);
                    }
                    (Self::AsAsked, Err(_)) => {}
                    (Self::Never, _) => {
                        function.environment.remove(name);
                    }
                }
            }
        }
        functions
    }
}

/// The template, or what is wrong with it.
pub(super) fn template() -> Result<Template, String> {
    template_with(&BTreeMap::new())
}

/// The same with values for some of its parameters.
pub(super) fn template_with(parameters: &BTreeMap<String, String>) -> Result<Template, String> {
    Template::parse(TEMPLATE, "infra/template.yaml", parameters).map_err(|error| error.to_string())
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
