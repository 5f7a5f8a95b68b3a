//! Time as the embedded cloud sees it.
//!
//! Visibility timeouts, delays, deduplication windows and retention are all
//! measured on one clock, so that a test can let five minutes pass in no time.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

/// A source of time, in milliseconds since the Unix epoch.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time in milliseconds since the Unix epoch.
    fn now_millis(&self) -> i64;

    /// Completes once `now_millis` has reached `millis`.
    fn sleep_until(&self, millis: i64) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_millis(&self) -> i64 {
        // A clock set before 1970 reads as 1970.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        since_epoch.map_or(0, |elapsed| elapsed.as_millis() as i64)
    }

    fn sleep_until(&self, millis: i64) -> BoxFuture<'static, ()> {
        let remaining = (millis - self.now_millis()).max(0) as u64;
        tokio::time::sleep(Duration::from_millis(remaining)).boxed()
    }
}

/// A clock that moves only when a test moves it.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: watch::Sender<i64>,
}

impl ManualClock {
    /// A clock that stands at `millis` since the Unix epoch.
    pub fn new(millis: i64) -> Self {
        let (now, _) = watch::channel(millis);
        Self { now }
    }

    /// Moves the clock on and wakes everything that slept until then.
    pub fn advance(&self, by: Duration) {
        self.now
            .send_modify(|now| *now += i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 2));
    }
}

impl Clock for ManualClock {
    fn now_millis(&self) -> i64 {
        *self.now.borrow()
    }

    fn sleep_until(&self, millis: i64) -> BoxFuture<'static, ()> {
        let mut changes = self.now.subscribe();
        async move {
            // The clock itself being gone means that nobody can move it: the
            // sleeper then never wakes, as with a stopped clock.
            if changes.wait_for(|now| *now >= millis).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_manual_clock_reaches_its_time() {
        let clock = ManualClock::new(1_000);
        let sleeper = tokio::spawn(clock.sleep_until(61_000));
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        assert!(sleeper.await.is_ok());
        assert_eq!(clock.now_millis(), 61_000);
    }
}
