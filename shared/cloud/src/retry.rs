//! Trying again at once, within one invocation: the only place that knows `backoff`.
//!
//! The loop hands a transient failure back to its source, which delivers again later. What is tried again
//! here is only what is likely to succeed within moments: a write that lost a race, a throttle in a
//! burst.

use std::{future::Future, time::Duration};

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};
use millrace_events::Failure;

use crate::chance;

/// How often and how long.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The first delay; each further one is about twice as long, with jitter.
    pub first_delay: Duration,
    /// No delay is longer.
    pub longest_delay: Duration,
    /// Attempts in all, the first included.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(20),
            longest_delay: Duration::from_secs(1),
            attempts: 6,
        }
    }
}

impl Retry {
    fn delays(&self) -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(self.first_delay)
            .with_max_interval(self.longest_delay)
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_elapsed_time(None)
            .build()
    }

    /// Runs `operation` until it succeeds, fails permanently, the attempts are used up or the next delay would
    /// pass `deadline`. Returns the last failure.
    pub async fn run<T, F, Fut>(
        &self,
        deadline: tokio::time::Instant,
        mut operation: F,
    ) -> Result<T, Failure>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let mut delays = self.delays();
        let mut attempt = 1;
        loop {
            let failure = match operation().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let Some(delay) = delays.next_backoff() else {
                return Err(failure);
            };
            // Jitter from the one place of chance, not from `backoff`, whose own cannot be seeded.
            let delay = delay.mul_f64(0.5 + chance::unit());
            let delay = failure.delay().map_or(delay, |asked| asked.max(delay));
            let too_late = tokio::time::Instant::now() + delay >= deadline;
            if !failure.is_transient() || attempt >= self.attempts || too_late {
                return Err(failure);
            }
            attempt += 1;
            tokio::time::sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use millrace_events::reason;

    use super::*;

    async fn failing(times: u32, retry: Retry, within: Duration) -> (u32, bool) {
        let calls = std::cell::Cell::new(0);
        let deadline = tokio::time::Instant::now() + within;
        let result = retry
            .run(deadline, || {
                calls.set(calls.get() + 1);
                let done = calls.get() > times;
                async move {
                    if done {
                        Ok(())
                    } else {
                        Err(Failure::transient(reason::THROTTLED, "slow down"))
                    }
                }
            })
            .await;
        (calls.get(), result.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn it_tries_until_it_works_or_the_attempts_are_used_up() {
        let retry = Retry::default();
        assert_eq!(failing(3, retry, Duration::from_secs(60)).await, (4, true));
        assert_eq!(
            failing(99, retry, Duration::from_secs(60)).await,
            (retry.attempts, false)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_wait_past_the_deadline() {
        let (calls, worked) = failing(99, Retry::default(), Duration::from_millis(25)).await;
        assert!(calls < 4 && !worked);
    }

    #[tokio::test]
    async fn a_permanent_failure_is_not_tried_again() {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(9);
        let mut calls = 0;
        let failed: Result<(), _> = Retry::default()
            .run(deadline, || {
                calls += 1;
                async { Err(Failure::permanent(reason::EMPTY_FILE, "no bytes")) }
            })
            .await;
        assert!(failed.is_err());
        assert_eq!(calls, 1);
    }
}
