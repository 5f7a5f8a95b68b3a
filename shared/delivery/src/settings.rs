//! How the loop behaves.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

/// How the loop behaves; the defaults fit a worker behind a queue.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// How many messages (FIFO: groups; streams: subjects) are handled at once.
    pub concurrency: NonZeroUsize,
    /// After so many deliveries a transient failure is final, where the source counts them (SQS). The
    /// queue's own `maxReceiveCount` should be larger: its redrive knows no reason.
    pub max_attempts: NonZeroU32,
    /// The same for failures after which the worker lets its records wait ([`crate::Worker::steps_aside`]). With the longest delay
    /// between them, a hundred last eleven hours at least.
    pub max_waits: NonZeroU32,
    /// No record may take longer, even if the invocation could.
    pub record_time_limit: Duration,
    /// The share of an invocation's time that is kept for what comes after handling: giving up, parking,
    /// visibility, the response. In per cent.
    pub margin_percent: u32,
    /// The margin is at least this long, but never more than half of the invocation.
    pub least_margin: Duration,
    /// A message that failed its nth delivery comes back after about `retry_base × 2ⁿ`.
    pub retry_base: Duration,
    /// It never takes longer than this, unless the failure itself asks for more.
    pub retry_cap: Duration,
}

const DEFAULT_CONCURRENCY: NonZeroUsize = NonZeroUsize::new(8).unwrap();
const DEFAULT_MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(8).unwrap();
const DEFAULT_MAX_WAITS: NonZeroU32 = NonZeroU32::new(100).unwrap();

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            concurrency: DEFAULT_CONCURRENCY,
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            max_waits: DEFAULT_MAX_WAITS,
            record_time_limit: Duration::from_secs(15 * 60),
            margin_percent: 10,
            least_margin: Duration::from_secs(2),
            retry_base: Duration::from_secs(2),
            retry_cap: Duration::from_secs(15 * 60),
        }
    }
}

impl DeliverySettings {
    /// What is kept of an invocation that may take `total`.
    pub(crate) fn margin(&self, total: Duration) -> Duration {
        let share = total * self.margin_percent.min(100) / 100;
        share.max(self.least_margin).min(total / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_a_share_with_a_floor_and_leaves_time_to_work() {
        let margin = |seconds| DeliverySettings::default().margin(Duration::from_secs(seconds));
        assert_eq!(margin(300), Duration::from_secs(30));
        assert_eq!(margin(10), Duration::from_secs(2));
        assert_eq!(margin(2), Duration::from_secs(1));
        assert_eq!(margin(0), Duration::ZERO);
    }
}
