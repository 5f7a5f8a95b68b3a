//! When a failed SQS message comes back.

use std::time::Duration;

use async_trait::async_trait;
use millrace_cloud::classify;
use millrace_events::{Failure, Receipt};

use crate::DeliverySettings;

/// SQS hides a message for no longer than this.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// Decides when a message that was not handled is seen again.
#[async_trait]
pub trait Visibility: Send + Sync {
    /// Hides the message for `delay` from now on; zero shows it at once.
    ///
    /// # Errors
    /// Any failure: the message then comes back when the queue's own visibility timeout ends.
    async fn hide(&self, receipt: &Receipt, delay: Duration) -> Result<(), Failure>;
}

/// Leaves the queue's visibility timeout as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueDefault;

#[async_trait]
impl Visibility for QueueDefault {
    async fn hide(&self, _receipt: &Receipt, _delay: Duration) -> Result<(), Failure> {
        Ok(())
    }
}

/// `ChangeMessageVisibility`.
#[derive(Debug, Clone)]
pub struct SqsVisibility {
    client: aws_sdk_sqs::Client,
    endpoint: String,
}

impl SqsVisibility {
    /// Messages name their queue by ARN, SQS wants a URL, and asking for it needs a permission that
    /// event source mappings do without. So it is derived from the URL of any queue at the same
    /// endpoint: the worker's dead-letter queue.
    pub fn beside(client: aws_sdk_sqs::Client, some_queue_url: &str) -> Self {
        Self {
            client,
            endpoint: endpoint_of(some_queue_url).to_owned(),
        }
    }
}

#[async_trait]
impl Visibility for SqsVisibility {
    async fn hide(&self, receipt: &Receipt, delay: Duration) -> Result<(), Failure> {
        let Some(queue_url) = queue_url(&self.endpoint, &receipt.queue_arn) else {
            return Ok(());
        };
        self.client
            .change_message_visibility()
            .queue_url(queue_url)
            .receipt_handle(&receipt.handle)
            .visibility_timeout(whole_seconds(delay))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("change the message's visibility", error))
    }
}

/// `https://sqs.us-east-1.amazonaws.com` of `https://sqs.us-east-1.amazonaws.com/000000000000/name`.
fn endpoint_of(queue_url: &str) -> &str {
    let mut from_the_end = queue_url.rmatch_indices('/').map(|(at, _)| at);
    let before_account = from_the_end.nth(1).unwrap_or(queue_url.len());
    &queue_url[..before_account]
}

/// From `arn:aws:sqs:us-east-1:000000000000:name`.
fn queue_url(endpoint: &str, queue_arn: &str) -> Option<String> {
    let mut parts = queue_arn.rsplitn(3, ':');
    let name = parts.next()?;
    let account = parts.next()?;
    Some(format!("{endpoint}/{account}/{name}"))
}

fn whole_seconds(delay: Duration) -> i32 {
    let seconds = delay.min(LONGEST).as_secs_f64().ceil();
    // Bounded by twelve hours just now.
    seconds as i32
}

/// When a message that failed its `attempt`th delivery should come back: exponential, with jitter (`dice`
/// between 0 and 1) over the upper half, so that messages that failed together do not return together.
/// What the failure asks for is a lower bound.
pub(crate) fn retry_delay(
    settings: &DeliverySettings,
    attempt: u32,
    asked: Option<Duration>,
    dice: f64,
) -> Duration {
    let doublings = attempt.min(31);
    let full = settings
        .retry_base
        .saturating_mul(1 << doublings)
        .min(settings.retry_cap);
    let jittered = full.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0);
    asked
        .map_or(jittered, |asked| asked.max(jittered))
        .min(LONGEST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_come_from_a_neighbour() {
        let endpoint = endpoint_of("https://sqs.us-east-1.amazonaws.com/000000000000/w-dlq");
        assert_eq!(endpoint, "https://sqs.us-east-1.amazonaws.com");
        assert_eq!(
            queue_url(endpoint, "arn:aws:sqs:us-east-1:000000000000:w.fifo").unwrap(),
            "https://sqs.us-east-1.amazonaws.com/000000000000/w.fifo"
        );
        assert_eq!(
            endpoint_of("http://127.0.0.1:4566/000000000000/w"),
            "http://127.0.0.1:4566"
        );
    }

    #[test]
    fn seconds_are_rounded_up_and_bounded() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(1_000_000)), 43_200);
    }

    #[test]
    fn delays_double_up_to_the_cap() {
        let settings = DeliverySettings::default();
        let longest = |attempt| retry_delay(&settings, attempt, None, 1.0).as_secs();
        assert_eq!(
            [1, 2, 3, 8, 9, 4_000_000_000].map(longest),
            [4, 8, 16, 512, 900, 900]
        );
    }

    #[test]
    fn records_that_wait_outlast_an_outage_of_a_night() {
        let settings = DeliverySettings::default();
        let delays = 1..settings.max_waits.get();
        let shortest = delays.map(|attempt| retry_delay(&settings, attempt, None, 0.0));
        let hours = shortest.sum::<Duration>().as_secs() / 3600;
        assert_eq!(hours, 11);
    }

    proptest! {
        #[test]
        fn a_delay_keeps_its_bounds(attempt in any::<u32>(), asked in 0_u64..100_000, dice in 0.0..1.0_f64) {
            let settings = DeliverySettings::default();
            let asked = Duration::from_secs(asked);
            let delay = retry_delay(&settings, attempt, Some(asked), dice);
            prop_assert!(delay >= asked.min(LONGEST));
            prop_assert!(delay >= settings.retry_base / 2);
            prop_assert!(delay <= settings.retry_cap.max(asked));
        }
    }
}
