//! What can have happened to people and jobs before a worker wakes up.

use futures::future::FutureExt as _;

use super::{Story, Told};
use crate::jobs::{
    people::{Job, Person},
    platform::{End, Platform},
};

const WAITER: &str = "Waiter in a busy restaurant, speaks English and Cantonese";
const DRIVER: &str = "Driver of heavy lorries, at night, on long roads across the country";

/// The employer, who has a profile too: nobody is told of their own jobs.
const EMPLOYER: u8 = 0;
/// People whose profiles suit the job.
const SUITABLE: [u8; 2] = [1, 2];
/// Somebody whose profile is far from it.
const OTHER: u8 = 3;

/// Longer than the matching window and than the longest delay of a queue.
const TWO_HOURS: u64 = 7_200;

fn person_id(person: u8) -> String {
    format!("{person:08x}-0000-4000-8000-0000000057a0")
}

fn job_id(job: u8) -> String {
    format!("{job:08x}-0000-4000-8000-0000000057b0")
}

fn response_id(job: u8, person: u8) -> String {
    format!("{job:04x}{person:04x}-0000-4000-8000-0000000057c0")
}

/// All of them.
pub(super) const STORIES: [Story; 19] = [
    Story {
        name: "a first profile",
        tell: |told| async move { told.has_profile(1, WAITER) }.boxed(),
    },
    Story {
        name: "a profile in the index changes its words",
        tell: |told| {
            async move {
                told.has_profile(1, WAITER);
                told.all_go_on().await;
                told.platform().wait(60);
                told.has_profile(1, DRIVER);
            }
            .boxed()
        },
    },
    Story {
        name: "two changes of a profile before the worker wakes, and a login",
        tell: |told| {
            async move {
                told.has_profile(1, WAITER);
                told.others_go_on().await;
                told.platform().wait(60);
                told.has_profile(1, DRIVER);
                told.platform().wait(60);
                told.platform().log_in(&person_id(1));
            }
            .boxed()
        },
    },
    Story {
        name: "somebody in the index leaves",
        tell: |told| {
            async move {
                told.has_profile(1, WAITER);
                told.all_go_on().await;
                told.platform().remove_person(&person_id(1));
            }
            .boxed()
        },
    },
    Story {
        name: "a job is posted",
        tell: |told| {
            async move {
                told.people().await;
                told.posts(1, WAITER, 120.0);
            }
            .boxed()
        },
    },
    Story {
        name: "a job that is scored pays less than one of those told takes",
        tell: |told| {
            async move {
                told.scored().await;
                told.posts(1, WAITER, 85.0);
            }
            .boxed()
        },
    },
    Story {
        name: "a job is edited while the worker sleeps",
        tell: |told| {
            async move {
                told.people().await;
                told.posts(1, WAITER, 120.0);
                told.others_go_on().await;
                told.platform().wait(60);
                told.posts(1, DRIVER, 120.0);
            }
            .boxed()
        },
    },
    Story {
        name: "a job is closed while the worker sleeps",
        tell: |told| {
            async move {
                told.people().await;
                told.posts(1, WAITER, 120.0);
                told.others_go_on().await;
                told.platform().end_job(&job_id(1), End::Closed);
            }
            .boxed()
        },
    },
    Story {
        name: "a job that is scored is removed",
        tell: |told| {
            async move {
                told.scored().await;
                told.platform().remove_job(&job_id(1));
            }
            .boxed()
        },
    },
    Story {
        name: "a job that was closed is opened again",
        tell: |told| {
            async move {
                told.scored().await;
                told.platform().end_job(&job_id(1), End::Closed);
                told.all_go_on().await;
                told.platform().wait(60);
                told.posts(1, WAITER, 120.0);
            }
            .boxed()
        },
    },
    Story {
        name: "a first response",
        tell: |told| {
            async move {
                told.scored().await;
                told.responds(1);
            }
            .boxed()
        },
    },
    Story {
        name: "a response before the job was heard of",
        tell: |told| {
            async move {
                told.people().await;
                told.posts(1, WAITER, 120.0);
                told.responds(1);
            }
            .boxed()
        },
    },
    Story {
        name: "a second response, in time",
        tell: |told| {
            async move {
                told.answered().await;
                told.platform().wait(60);
                told.responds(2);
            }
            .boxed()
        },
    },
    Story {
        name: "a window that is over",
        tell: |told| {
            async move {
                told.answered().await;
                told.platform().wait(TWO_HOURS);
            }
            .boxed()
        },
    },
    Story {
        name: "one of two who responded is selected",
        tell: |told| {
            async move {
                told.answered_twice().await;
                told.selects(1);
            }
            .boxed()
        },
    },
    Story {
        name: "one of two who responded is rejected",
        tell: |told| {
            async move {
                told.answered_twice().await;
                told.platform().decide(&response_id(1, 2), "rejected");
            }
            .boxed()
        },
    },
    Story {
        name: "a response after the decision",
        tell: |told| {
            async move {
                told.answered().await;
                told.selects(1);
                told.all_go_on().await;
                told.platform().wait(60);
                told.responds(2);
            }
            .boxed()
        },
    },
    Story {
        name: "a job with somebody selected is completed",
        tell: |told| {
            async move {
                told.answered_twice().await;
                told.selects(1);
                told.all_go_on().await;
                told.platform().wait(60);
                told.platform().end_job(&job_id(1), End::Completed);
            }
            .boxed()
        },
    },
    Story {
        name: "selected and completed while the worker sleeps",
        tell: |told| {
            async move {
                told.answered_twice().await;
                told.selects(1);
                told.others_go_on().await;
                told.platform().wait(60);
                told.platform().end_job(&job_id(1), End::Completed);
            }
            .boxed()
        },
    },
];

impl Told<'_> {
    fn platform(&self) -> Platform<'_> {
        Platform(self.world)
    }

    fn has_profile(&self, person: u8, description: &str) {
        let platform = self.platform();
        // Who came later asks for more.
        let minimum = 80.0 + 10.0 * f64::from(person);
        let person = Person::suitable(
            &person_id(person),
            description,
            minimum,
            platform.now_millis(),
        );
        platform.write_person(&person);
    }

    /// Everybody has a profile, and is in the index.
    async fn people(&self) {
        for person in [EMPLOYER].into_iter().chain(SUITABLE) {
            self.has_profile(person, WAITER);
        }
        self.has_profile(OTHER, DRIVER);
        self.all_go_on().await;
        self.platform().wait(60);
    }

    /// Posts a job, or changes it.
    fn posts(&self, job: u8, text: &str, rate: f64) {
        let job = Job {
            id: job_id(job),
            employer: person_id(EMPLOYER),
            title: "Wanted".to_owned(),
            description: text.to_owned(),
            changed_millis: self.platform().now_millis(),
            district: Some("Central"),
            rate,
            vector: [0.0; crate::jobs::people::DIMENSIONS],
        };
        self.platform().edit_job(&job);
    }

    /// People, and a job of which they were told.
    async fn scored(&self) {
        self.people().await;
        self.posts(1, WAITER, 120.0);
        self.all_go_on().await;
        self.platform().wait(60);
    }

    fn responds(&self, person: u8) {
        let response = response_id(1, person);
        self.platform()
            .respond(&response, &job_id(1), &person_id(person));
    }

    fn selects(&self, person: u8) {
        self.platform().decide(&response_id(1, person), "selected");
    }

    /// The same, and one of them has responded.
    async fn answered(&self) {
        self.scored().await;
        self.responds(1);
        self.all_go_on().await;
    }

    /// The same, and both have.
    async fn answered_twice(&self) {
        self.answered().await;
        self.platform().wait(60);
        self.responds(2);
        self.all_go_on().await;
        self.platform().wait(60);
    }
}
