//! What can have happened before a worker wakes up: deeper than one recorded event.
//!
//! A story is told once and is a case for every worker of its product that has something to do at its end. It is told while
//! that worker sleeps and all others are awake; what then waits for the sleeper is delivered under faults.

mod documents;
mod jobs;
mod marketing;

use futures::future::BoxFuture;

use crate::World;

/// Something that happened.
#[derive(Clone, Copy)]
pub(super) struct Story {
    /// What, in a few words.
    pub name: &'static str,
    /// Makes it happen in a world in which one worker sleeps.
    pub tell: for<'a> fn(&'a Told<'a>) -> BoxFuture<'a, ()>,
}

/// A world to which a story happens.
pub(super) struct Told<'a> {
    world: &'a World,
    asleep: &'static str,
}

/// All stories, each with every worker of its product.
pub(super) fn stories() -> impl Iterator<Item = (Story, &'static str)> {
    let with = |story: Story, workers: &'static [&'static str]| {
        workers.iter().map(move |worker| (story, *worker))
    };
    let documents = documents::STORIES.into_iter();
    let documents = documents.flat_map(move |story| with(story, &millrace_documents::WORKERS));
    let jobs = jobs::STORIES.into_iter();
    let jobs = jobs.flat_map(move |story| with(story, &millrace_jobs::WORKERS));
    let marketing = marketing::STORIES.into_iter();
    let marketing = marketing.flat_map(move |story| with(story, &millrace_marketing::WORKERS));
    documents.chain(jobs).chain(marketing)
}

impl<'a> Told<'a> {
    /// A world to tell a story in, while this worker sleeps.
    pub(super) fn new(world: &'a World, asleep: &'static str) -> Self {
        Self { world, asleep }
    }

    /// Everybody but the sleeper does what there is to do.
    pub(super) async fn others_go_on(&self) {
        self.world.quiet_without(&[self.asleep]).await;
    }

    /// Everybody does, the later sleeper too.
    async fn all_go_on(&self) {
        self.world.quiet().await;
    }
}
