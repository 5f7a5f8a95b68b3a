//! A circuit breaker: a service that is down is not asked again by every record.
//!
//! Closed, calls go through; after a number of transient failures in a row it opens and answers for the
//! service, with the time after which asking makes sense; then one call goes through as a probe, and its
//! end decides. It stands before embedders and the index.

use std::{
    future::Future,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use millrace_events::{Failure, Reason};
use tokio::time::Instant;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerSettings {
    /// So many transient failures in a row open it.
    pub failures: NonZeroU32,
    /// So long it stays open before it probes.
    pub open_for: Duration,
}

const DEFAULT_FAILURES: NonZeroU32 = NonZeroU32::new(5).unwrap();

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: DEFAULT_FAILURES,
            open_for: Duration::from_secs(15),
        }
    }
}

/// A circuit breaker before one service; shared by all who call it.
#[derive(Debug)]
pub struct Breaker {
    service: &'static str,
    reason: Reason,
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A probe is under way. Callers meanwhile are told to come back in `open_for`.
    HalfOpen,
}

/// What a call was let through as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Normal,
    Probe,
}

impl Breaker {
    /// A closed breaker. `service` completes "… is not asked" ("the embedder"); `reason` is the code of the
    /// failures with which it answers while it is open.
    pub fn new(service: &'static str, reason: Reason, settings: BreakerSettings) -> Self {
        Self {
            service,
            reason,
            settings,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Whether calls are being turned away now.
    pub fn is_open(&self) -> bool {
        match *self.lock() {
            State::Closed { .. } => false,
            State::Open { until } => Instant::now() < until,
            State::HalfOpen => true,
        }
    }

    /// Calls the service, unless it is known to be down.
    ///
    /// # Errors
    /// The operation's own failure; while open, a transient one with the time after which to retry.
    /// Permanent failures are answers of a service that works: they count as successes here.
    pub async fn call<T, F, Fut>(&self, operation: F) -> Result<T, Failure>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let ticket = Ticket {
            breaker: self,
            pass: self.admit()?,
            settled: false,
        };
        let result = operation().await;
        let worked = !result.as_ref().is_err_and(Failure::is_transient);
        ticket.settle(worked);
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> Result<Pass, Failure> {
        let mut state = self.lock();
        let wait = match *state {
            State::Closed { .. } => return Ok(Pass::Normal),
            State::HalfOpen => self.settings.open_for,
            State::Open { until } => {
                let wait = until.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    *state = State::HalfOpen;
                    return Ok(Pass::Probe);
                }
                wait
            }
        };
        Err(Failure::transient(
            self.reason,
            format!(
                "{} failed repeatedly and is not asked for a while",
                self.service
            ),
        )
        .retry_after(wait))
    }

    fn end(&self, pass: Pass, worked: bool) {
        let mut state = self.lock();
        let open = State::Open {
            until: Instant::now() + self.settings.open_for,
        };
        *state = match (*state, pass, worked) {
            (State::HalfOpen, Pass::Probe, true) => State::Closed { failures: 0 },
            (State::HalfOpen, Pass::Probe, false) => open,
            (State::Closed { .. }, Pass::Normal, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, Pass::Normal, false) => {
                if failures + 1 >= self.settings.failures.get() {
                    tracing::warn!(service = self.service, "the circuit breaker opens");
                    open
                } else {
                    State::Closed {
                        failures: failures + 1,
                    }
                }
            }
            // A call that was let through before the breaker opened says nothing about now.
            (unchanged, _, _) => unchanged,
        };
    }
}

/// One call on its way; dropped without an answer (a time-out) it counts as failed, so that a probe that
/// never ends does not leave the breaker half-open for ever.
struct Ticket<'a> {
    breaker: &'a Breaker,
    pass: Pass,
    settled: bool,
}

impl Ticket<'_> {
    fn settle(mut self, worked: bool) {
        self.settled = true;
        self.breaker.end(self.pass, worked);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.end(self.pass, false);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::cell::Cell;

    use millrace_events::reason;

    use super::*;

    fn breaker() -> Breaker {
        let settings = BreakerSettings {
            failures: NonZeroU32::new(3).unwrap(),
            open_for: Duration::from_secs(10),
        };
        Breaker::new("the embedder", reason::EMBEDDER_UNAVAILABLE, settings)
    }

    async fn fail(breaker: &Breaker) -> Failure {
        let operation = || async { Err::<(), _>(Failure::transient(reason::THROTTLED, "busy")) };
        breaker.call(operation).await.unwrap_err()
    }

    async fn succeed(breaker: &Breaker) -> Result<u32, Failure> {
        breaker.call(|| async { Ok(7) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker = breaker();
        for _ in 0..5 {
            fail(&breaker).await;
            fail(&breaker).await;
            assert_eq!(succeed(&breaker).await.unwrap(), 7);
        }
        for _ in 0..3 {
            assert!(!breaker.is_open());
            assert_eq!(fail(&breaker).await.reason(), reason::THROTTLED);
        }
        assert!(breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn open_it_answers_for_the_service_with_the_time_left() {
        let breaker = breaker();
        for _ in 0..3 {
            fail(&breaker).await;
        }
        tokio::time::advance(Duration::from_secs(4)).await;
        let called = Cell::new(false);
        let failure = breaker
            .call(|| async {
                called.set(true);
                Ok(())
            })
            .await
            .unwrap_err();
        assert!(!called.get());
        assert!(failure.is_transient());
        assert_eq!(failure.reason(), reason::EMBEDDER_UNAVAILABLE);
        assert_eq!(failure.delay(), Some(Duration::from_secs(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_decides() {
        let breaker = breaker();
        for _ in 0..3 {
            fail(&breaker).await;
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        let during_probe = breaker
            .call(|| async {
                let other = succeed(&breaker).await;
                assert!(
                    other.is_err(),
                    "a second call went through beside the probe"
                );
                Err::<(), _>(Failure::transient(reason::THROTTLED, "still busy"))
            })
            .await;
        assert!(during_probe.is_err());
        assert!(breaker.is_open(), "a failed probe opens again at once");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(succeed(&breaker).await.unwrap(), 7);
        assert!(!breaker.is_open());
        fail(&breaker).await;
        assert!(!breaker.is_open(), "a closed breaker counts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_failures_do_not_open_it() {
        let breaker = breaker();
        for _ in 0..9 {
            let rejected =
                || async { Err::<(), _>(Failure::permanent(reason::EMBEDDER_REJECTED, "no")) };
            assert!(breaker.call(rejected).await.is_err());
        }
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_dropped_counts_as_failed() {
        let breaker = breaker();
        for _ in 0..3 {
            fail(&breaker).await;
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        let hanging = breaker.call(std::future::pending::<Result<(), Failure>>);
        assert!(
            tokio::time::timeout(Duration::from_secs(1), hanging)
                .await
                .is_err()
        );
        assert!(breaker.is_open());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(succeed(&breaker).await.is_ok());
    }
}
