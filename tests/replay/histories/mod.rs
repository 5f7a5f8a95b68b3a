//! What people do to a product, and what must hold of it: all that the simulation knows of products.

pub mod documents;
pub mod jobs;
pub mod marketing;

use std::fmt;

use async_trait::async_trait;
use clap::ValueEnum;
use millrace_tests::{State, World};
use rand::rngs::StdRng;

/// A product that histories are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Product {
    Documents,
    Jobs,
    Marketing,
}

impl Product {
    pub const ALL: [Self; 3] = [Self::Documents, Self::Jobs, Self::Marketing];

    /// A history of so many steps.
    pub fn random(self, chance: &mut StdRng, steps: usize) -> Vec<Step> {
        match self {
            Self::Documents => {
                let steps = documents::random(chance, steps);
                steps.into_iter().map(Step::Documents).collect()
            }
            Self::Jobs => {
                let steps = jobs::random(chance, steps);
                steps.into_iter().map(Step::Jobs).collect()
            }
            Self::Marketing => {
                let steps = marketing::random(chance, steps);
                steps.into_iter().map(Step::Marketing).collect()
            }
        }
    }

    /// A stage on which nothing has happened yet. Every other seed of the jobs is of one on which nothing waits.
    pub fn scene(self, seed: u64) -> Box<dyn Scene> {
        match self {
            Self::Documents => Box::new(documents::Documents::default()),
            Self::Jobs => Box::new(jobs::Jobs::new(seed.is_multiple_of(2))),
            Self::Marketing => Box::new(marketing::Marketing::default()),
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documents => "documents",
            Self::Jobs => "jobs",
            Self::Marketing => "marketing",
        })
    }
}

/// One thing that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Documents(documents::Step),
    Jobs(jobs::Step),
    Marketing(marketing::Step),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Documents(step) => step.fmt(f),
            Self::Jobs(step) => step.fmt(f),
            Self::Marketing(step) => step.fmt(f),
        }
    }
}

/// What a history happens to, and what is seen of it.
#[async_trait(?Send)]
pub trait Scene {
    /// A world in which it can happen.
    async fn world(&self) -> World {
        World::in_process().await
    }

    /// The product's workers. Those of other products have nothing to do.
    fn workers(&self) -> &'static [&'static str];

    /// Whether a step must wait until everything that was done before it has been handled.
    fn waits(&self, _next: Step) -> bool {
        false
    }

    /// Does one step.
    async fn take(&mut self, step: Step, world: &World);

    /// Whether something of an earlier step is still to be done.
    fn is_done(&self) -> bool;

    /// Does what is still to be done of earlier steps.
    async fn finish(&mut self, world: &World);

    /// Whether something is under way that is no worker's: it passes the gate like everything else.
    fn works_itself(&self) -> bool {
        false
    }

    /// The process of that ends.
    async fn dies(&mut self) {}

    /// Nothing can be done now: what time alone brings is let come. Says whether time passed.
    async fn let_time_pass(&mut self, _world: &World) -> bool {
        false
    }

    /// Looks at everything, or only at what changes most.
    async fn look(&mut self, world: &World, whole: bool) -> Result<(), String>;

    /// A dead letter tells of this subject.
    fn has_letter(&mut self, subject: &str);

    /// What does not hold of what was last seen, by name, and what was seen.
    fn broken(&self, when: When) -> Option<String>;

    /// Whether there is one right end. If not, only the invariants speak of it.
    fn has_one_end(&self) -> bool {
        true
    }

    /// The end state as the promise speaks of it: without what may differ from run to run.
    fn seen_from_outside(&self, world: &World, state: State) -> State;
}

/// What must hold when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At every moment.
    Always,
    /// When nothing is under way.
    AtRest,
}
