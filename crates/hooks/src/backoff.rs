//! When to try again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Waits between attempts: each twice as long as the one before, up to a longest one, and shortened
/// by up to a half at random, so that many senders do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Default for Backoff {
    /// 1 s, 2 s, 4 s, ... 1 min.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait after so many failures; `dice` is from 0 to 1.
    pub(crate) fn wait(&self, failures: u32, dice: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let whole = self.first.saturating_mul(doubled).min(self.longest);
        whole / 2 + (whole / 2).mul_f64(dice.clamp(0.0, 1.0))
    }
}

/// How long a receiver asks us to wait: seconds, or a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number holds are as good as many.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let then = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_receiver_may_say_when_in_seconds_or_by_a_date() {
        let now = "1994-11-06T08:49:00Z".parse().unwrap();
        let asked = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(37));
        assert_eq!(asked("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0));
        assert_eq!((asked(""), asked("soon"), asked("-1")), (None, None, None));
    }

    proptest! {
        #[test]
        fn waits_grow_and_stay_within_their_bounds(
            failures in 1_u32..1000, dice in 0.0_f64..1.0, first in 0_u64..5000, more in 0_u64..100_000,
        ) {
            let first = Duration::from_millis(first);
            let backoff = Backoff { first, longest: first + Duration::from_millis(more) };
            let wait = backoff.wait(failures, dice);
            prop_assert!(wait <= backoff.longest);
            prop_assert!(wait >= first / 2);
            prop_assert!(backoff.wait(failures + 1, dice) >= wait);
        }
    }
}
